// SPDX-License-Identifier: Apache-2.0
// The certificate that gateways see: whether it still holds, and whether the files are the ones in force.

import Administration
import LoginEngine

enum RadSecCheck {
    static func findings(_ keeper: RadSecKeeper?, now: Timestamp) -> [Finding] {
        guard let keeper, let inForce = keeper.inForce else { return [] }
        return findings(inForce, file: keeper.files.certificate ?? "", now: now)
    }

    static func findings(_ inForce: CertificateWatch.InForce, file: String, now: Timestamp) -> [Finding] {
        let end = Instant(inForce.expires)
        let remedy = "Put a new one into \(file), with its key; it is read within a minute."
        var findings: [Finding] = []
        if inForce.expires <= now {
            findings.append(
                Finding(
                    .certificateEnded, file, "The certificate \(inForce.subject) expired at \(end): gateways refuse it.", remedy: remedy))
        } else if inForce.expires - now <= CertificateWatch.notice {
            findings.append(Finding(.certificateEnding, file, "The certificate \(inForce.subject) expires at \(end).", remedy: remedy))
        } else {
            findings.append(Finding(.certificateRight, file, "RADIUS over TLS shows \(inForce.subject), which holds until \(end)."))
        }
        if let problem = inForce.problem {
            findings.append(
                Finding(
                    .certificateNotInForce, file, "Certificate and key as they are on disk are not in force: \(problem).",
                    remedy: "Put them right; they are read again within a minute."))
        }
        return findings
    }
}
