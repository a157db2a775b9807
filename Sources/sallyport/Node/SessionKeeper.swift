// SPDX-License-Identifier: Apache-2.0
// What the node does for its sessions every minute: those that nobody reports any more end, those long over are removed.

import Administration
import Logging
import LoginEngine
import Store
import Synchronization

final class SessionKeeper: Sendable {
    /// What happened while the node was down is heard within this time of its start, so that nothing counts as lost for our own absence.
    static let patience = Timestamp.Span.minutes(60)

    private let records: Records
    private let lostAfter: Timestamp.Span?
    private let keep: Timestamp.Span?
    private let since: Moment
    private let clock = Mutex(SteadyClock())
    private let logger: Logger

    init(records: Records, settings: Settings, since: Moment, logger: Logger) {
        self.records = records
        lostAfter = settings.sessionsLostAfter
        keep = settings.sessionsKeep
        self.since = since
        self.logger = logger
    }

    func everyMinute(at moment: Moment) async {
        guard clock.withLock({ $0.isTrusted(at: moment) }) else { return }
        do {
            if let lostAfter, moment.uptime - since.uptime >= Self.patience {
                let lost = try await records.endSessions(notHeardSince: moment.wall - lostAfter)
                if lost > 0 { logger.notice("\(Words.count(lost, "session")) ended: nothing was heard of them for too long") }
            }
            if let keep {
                let removed = try await records.removeSessions(endedBefore: moment.wall - keep)
                if removed > 0 { logger.notice("retention removed \(Words.count(removed, "session"))") }
            }
        } catch {
            logger.warning("old sessions were not looked after; it is tried again in a minute", metadata: ["error": "\(error)"])
        }
    }
}
