// SPDX-License-Identifier: Apache-2.0
// Whether the authority still issues, and which certificates end soon.

internal import LoginEngine
internal import Store

enum CertificateCheck {
    /// Devices need new certificates before an authority ends, and that takes time.
    static let authorityNotice = Timestamp.Span.minutes(180 * 24 * 60)
    static let certificateDays = 30

    static func authorities(_ authorities: [AuthorityRecord], now: Timestamp) -> [Finding] {
        var findings: [Finding] = []
        for (index, authority) in authorities.enumerated() {
            let subject = authority.name
            let replace = "Make another one, and give devices new certificates: sallyport ca init --replace (docs/run/certificates.md)"
            let end = Instant(authority.ends)
            if authority.key == nil {
                findings.append(
                    Finding(
                        .authorityDamaged, subject, "The key of authority \(subject) does not open: it issues and revokes nothing.",
                        remedy: index == 0 ? "Restore a backup, or: sallyport ca init --replace" : "sallyport ca remove \(authority.id)"))
            } else if authority.ends <= now {
                findings.append(
                    Finding(
                        .authorityEnded, subject, "Authority \(subject) ended at \(end): nothing that it issued is believed.",
                        remedy: index == 0 ? replace : "Take it away: sallyport ca remove \(authority.id)"))
            } else if index == 0, authority.ends - now <= authorityNotice {
                findings.append(
                    Finding(
                        .authorityEnding, subject, "Authority \(subject) ends at \(end), and with it all that it issues.", remedy: replace))
            }
        }
        return findings
    }

    static func findings(_ all: [AuthorityRecord], _ figures: CertificateFigures, now: Timestamp) -> [Finding] {
        guard let inForce = all.first else { return [] }
        var findings = authorities(all, now: now)
        if figures.ending > 0 {
            findings.append(
                Finding(
                    .certificatesEnding, nil,
                    "\(Words.count(figures.ending, "certificate")) \(figures.ending == 1 ? "ends" : "end") within \(certificateDays) days.",
                    remedy:
                        "See them: sallyport ca list --expiring \(certificateDays). New ones: sallyport user device add, sallyport ca issue"
                ))
        }
        return findings.orElse(
            Finding(
                .authorityRight, inForce.name,
                "Authority \(inForce.name) holds until \(Instant(inForce.ends)); \(Words.count(figures.devices, "device")) of users."))
    }
}
