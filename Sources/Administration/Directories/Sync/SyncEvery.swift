// SPDX-License-Identifier: Apache-2.0
// How often a directory is synced, in the administrator's words, and when the next one is due.

package import LoginEngine
package import Store

extension DirectoryChoices {
    /// By hand alone.
    package static let never = "off"
    static let syncSpans = 300...604_800

    /// `15m`, `2h`, `1d`, `off`
    static func syncEvery(_ text: String) throws(Refusal) -> Timestamp.Span? {
        let text = Valid.trimmed(text)
        if text == never { return nil }
        let units: [Character: Int] = ["m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int(text.dropLast()), number > 0, number <= syncSpans.upperBound,
            syncSpans.contains(number * unit)
        else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is not how often a directory can be synced.",
                remedy: "Write 5m to 7d, such as 15m, 1h or 1d, or \(never).", place: "sync-every")
        }
        return .seconds(Int64(number * unit))
    }
}

extension Timestamp.Span {
    /// `15m`, `2h`, `1d`
    var every: String {
        let seconds = microseconds / 1_000_000
        for (size, unit) in [(Int64(86_400), "d"), (3_600, "h"), (60, "m")] where seconds >= size && seconds % size == 0 {
            return "\(seconds / size)\(unit)"
        }
        return "\(seconds)s"
    }
}

/// When a sync is due. Pure.
package enum SyncSchedule {
    static let firstRetry: Timestamp.Span = .seconds(60)

    /// After one that failed the next is tried soon, then less and less often, at most as often as usual.
    ///
    /// - Parameter jitter: 0..<1: of a tenth of the time, so that directories and nodes do not ask in step.
    package static func next(after record: SyncRecord?, every: Timestamp.Span, jitter: Double) -> Timestamp? {
        guard let record, let started = record.started else { return nil }
        var wait = every
        if record.failures > 0 {
            let doubled = Self.firstRetry.microseconds << Int64(min(record.failures - 1, 20))
            wait = Timestamp.Span(microseconds: min(every.microseconds, doubled))
        }
        return started + Timestamp.Span(microseconds: wait.microseconds + Int64(Double(wait.microseconds) * jitter / 10))
    }

    package static func isDue(_ record: SyncRecord?, every: Timestamp.Span, jitter: Double, at now: Timestamp) -> Bool {
        // A clock that was set back must not end it.
        guard let next = next(after: record, every: every, jitter: jitter), let started = record?.started, started <= now
        else { return true }
        return next <= now
    }
}

extension Operations {
    func syncView(of directory: Directory) throws -> DirectoryView.SyncView? {
        guard directory.settings.ldap != nil else { return nil }
        let record = try records.syncRecords().first { $0.directory == directory.id }
        return DirectoryView.SyncView(
            every: directory.settings.syncEvery?.every, started: record?.started.map { Instant($0) },
            ended: record?.ended.map { Instant($0) }, succeeded: record?.succeeded.map { Instant($0) }, failures: record?.failures ?? 0,
            problem: record?.problem,
            counts: record?.counts.flatMap { SyncPlan.Counts(json: $0) })
    }

    /// Names of directories that are to be synced now.
    package func dueSyncs(jitter: Double) throws(StoreError) -> [String] {
        let directories = try records.directories().filter { $0.settings.syncEvery != nil && $0.settings.isEnabled }
        guard !directories.isEmpty else { return [] }
        let past = try records.syncRecords()
        let now = now()
        return directories.filter { directory in
            let record = past.first { $0.directory == directory.id }
            if let until = record?.claimedUntil, until > now, record?.claimedBy != ports.nodeName { return false }
            return directory.settings.syncEvery.map { SyncSchedule.isDue(record, every: $0, jitter: jitter, at: now) } ?? false
        }.map(\.name)
    }
}
