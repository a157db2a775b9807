// SPDX-License-Identifier: Apache-2.0
// Says once that the database cannot be written, and once that it can be again: between the two every login would say the same.

import Logging
import Synchronization

final class DatabaseLog: Sendable {
    private let logger: Logger
    private let isFailing = Atomic<Bool>(false)

    init(logger: Logger) {
        self.logger = logger
    }

    /// After each group of the writer; on its thread alone.
    /// - Parameter error: why it could not be written.
    func note(_ error: String?) {
        guard (error != nil) != isFailing.load(ordering: .relaxed) else { return }
        isFailing.store(error != nil, ordering: .relaxed)
        if let error {
            logger.error("the database cannot be written, so nobody is let in: \(error)")
        } else {
            logger.notice("the database can be written again")
        }
    }
}
