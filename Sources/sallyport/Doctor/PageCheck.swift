// SPDX-License-Identifier: Apache-2.0
// The certificate of the pages for users, as browsers will judge it.

import Administration
import LoginEngine

enum PageCheck {
    static func findings(_ pages: PageKeeper?, now: Timestamp) -> [Finding] {
        guard let pages, let inForce = pages.inForce else { return [] }
        let file = pages.files.certificatePath
        var findings: [Finding] = []
        if let problem = inForce.problem {
            findings.append(
                Finding(
                    .certificateNotInForce, "web.public",
                    "The certificate of the pages for users as it is now is not in force: \(problem).",
                    remedy: "Mend it; it is read again within a minute, or at SIGHUP."))
        }
        if inForce.expires <= now {
            findings.append(
                Finding(
                    .certificateEnded, "web.public", "The certificate of the pages for users has expired: browsers refuse the links.",
                    remedy: "Put a new one into \(file)."))
        } else if inForce.expires - now <= CertificateWatch.notice {
            findings.append(
                Finding(
                    .certificateEnding, "web.public", "The certificate of the pages for users ends \(Instant(inForce.expires)).",
                    remedy: "Put a new one into \(file)."))
        }
        if pages.files.isSelfMade {
            findings.append(
                Finding(
                    .pageUntrusted, "web.public",
                    "The pages for users show a certificate that is self-made: browsers warn of it, and users learn to ignore warnings.",
                    remedy: "Set web.certificate and web.key to files that an authority has signed."))
        }
        return findings.isEmpty
            ? [Finding(.certificateRight, "web.public", "The certificate of the pages for users holds until \(Instant(inForce.expires)).")]
            : findings
    }
}
