// SPDX-License-Identifier: Apache-2.0
// Whether the master key would survive this machine, and whether all that it sealed opens.

internal import Store

enum KeyCheck {
    /// - Parameters:
    ///   - dataDirectory: nil where the database is elsewhere.
    ///   - damaged: how many sealed values did not open since the start.
    static func findings(_ status: KeyStatus, dataDirectory: String?, damaged: Int) -> [Finding] {
        var findings: [Finding] = []
        if status.copyConfirmed == nil {
            findings.append(
                Finding(
                    .keyNotCopied, nil, "No copy of the master key was confirmed. Without the key the data are lost.",
                    remedy: "Put a copy of \(status.place) where no backup of the data is, then: sallyport key confirm-copy FILE"))
        }
        if let dataDirectory, status.place.hasPrefix(dataDirectory + "/") {
            findings.append(
                Finding(
                    .keyBesideData, nil,
                    "The master key lies beside the data: whoever copies the directory can open every secret in it.",
                    remedy: "Leave it out of backups, or give it by systemd: master-key.source (docs/run/settings.md)"))
        }
        if let left = status.left {
            findings.append(
                Finding(
                    .keyChanging, nil, "A new master key takes the old one's place; \(Words.count(left, "value")) left.",
                    remedy: "The running node goes on with it. Keep both keys until it is done."))
        }
        if status.isNextWaiting {
            findings.append(
                Finding(
                    .keyWaiting, nil, "\(status.place) holds a key that is not used yet.",
                    remedy: "Take it with `sallyport key rotate`, or take it out."))
        }
        if status.hasSpentKeys {
            findings.append(
                Finding(
                    .keySpent, nil, "\(status.place) still holds an older key, which nothing needs.",
                    remedy: "Take it out: older backups are opened by its copy."))
        }
        if damaged > 0 {
            findings.append(
                Finding(
                    .secretsDamaged, nil,
                    "\(Words.count(damaged, "sealed value")) did not open since the start; their owners cannot log in.",
                    remedy: "`sallyport trace` names them; give them a new password or factor, and look for who wrote to the database."))
        }
        return findings.orElse(Finding(.keyRight, nil, "Key \(status.fingerprint) opens the data, and a copy of it was confirmed."))
    }
}
