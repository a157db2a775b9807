// SPDX-License-Identifier: Apache-2.0
// Syncs directories when they are due, one after the other, beside everything else that the node does.

import Administration
import Logging
import LoginEngine
import Synchronization

final class SyncKeeper: Sendable {
    private let operations: Operations
    private let actor: Actor
    private let jitter: Double
    private let isBusy = Mutex(false)
    private let logger: Logger

    /// - Parameter jitter: 0..<1, the node's own.
    init(operations: Operations, actor: Actor, jitter: Double, logger: Logger) {
        self.operations = operations
        self.actor = actor
        self.jitter = jitter
        self.logger = logger
    }

    /// Returns at once: a sync takes as long as the directory does.
    func everyMinute() {
        let mayBegin = isBusy.withLock { isBusy in
            defer { isBusy = true }
            return !isBusy
        }
        guard mayBegin else { return }
        Task {
            await syncAllDue()
            isBusy.withLock { $0 = false }
        }
    }

    private func syncAllDue() async {
        let due: [String]
        do {
            due = try operations.dueSyncs(jitter: jitter)
        } catch {
            return logger.warning(
                "which directories are to be synced is not known; it is tried again in a minute", metadata: ["error": "\(error)"])
        }
        for name in due {
            do {
                let answer = try await operations.perform(SyncDirectory(name: name, limit: 0), by: actor)
                logger.notice("synced directory \(name): \(answer.counts.words)", metadata: ["milliseconds": "\(answer.milliseconds)"])
            } catch {
                logger.error(
                    "directory \(name) was not synced: \(error.message)", metadata: ["remedy": "\(error.remedy ?? "")"])
            }
        }
    }
}
