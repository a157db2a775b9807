// SPDX-License-Identifier: Apache-2.0
// Whether there is a backup that is worth the name.

internal import LoginEngine

enum BackupCheck {
    /// A weekly one may be a day late.
    static let oldAfter = Timestamp.Span.minutes(8 * 24 * 60)

    /// - Parameters:
    ///   - last: when `sallyport backup` made one of this database.
    ///   - keySince: since when the present master key seals; nil for the first one.
    ///   - users: without any there is nothing to lose yet.
    static func findings(last: Timestamp?, keySince: Timestamp? = nil, users: Int, now: Timestamp) -> [Finding] {
        guard let last else {
            guard users > 0 else { return [] }
            return [
                Finding(
                    .backupNone, nil, "No backup of this database was made with `sallyport backup`.",
                    remedy: "Make one every night: sallyport backup FILE (docs/run/backup.md)")
            ]
        }
        if let keySince, last < keySince {
            return [
                Finding(
                    .backupOtherKey, nil,
                    "The last backup, of \(last.iso8601), needs an older master key: today's seals since \(keySince.iso8601).",
                    remedy: "Make a new one: sallyport backup FILE; and keep the copy of the older key as long as backups that need it.")
            ]
        }
        let days = Int(max(0, (now - last).microseconds) / 86_400_000_000)
        guard now - last <= oldAfter else {
            return [
                Finding(
                    .backupOld, nil, "The last backup is \(Words.count(days, "day")) old, of \(last.iso8601).",
                    remedy: "See why the job that makes them no longer runs; sallyport backup FILE makes one now.")
            ]
        }
        return [Finding(.backupRight, nil, "The last backup was made at \(last.iso8601).")]
    }
}
