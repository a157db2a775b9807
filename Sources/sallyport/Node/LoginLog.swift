// SPDX-License-Identifier: Apache-2.0
// Every decision as a log line and a metric, with the login's id and the reason.

import Administration
import Logging
import LoginEngine
import Metrics

struct LoginLog: Sendable {
    private let logger: Logger
    private let accepted = Counter(label: "sallyport_logins_total", dimensions: [("result", "accepted"), ("reason", "")])
    private let challenged = Counter(label: "sallyport_logins_total", dimensions: [("result", "challenged"), ("reason", "")])
    private let rejected: [String: Counter]

    init(logger: Logger) {
        self.logger = logger
        rejected = Dictionary(
            uniqueKeysWithValues: RejectReason.allCases.map { reason in
                (
                    reason.rawValue,
                    Counter(label: "sallyport_logins_total", dimensions: [("result", "rejected"), ("reason", reason.rawValue)])
                )
            })
    }

    /// - Parameter isWritten: false for a reject that only counts, since too many equal ones came this minute.
    func callAsFunction(_ event: Event, isWritten: Bool) {
        switch event.kind {
        case .loginAccepted:
            accepted.increment()
            logger.debug("accepted", metadata: Self.metadata(event))
        case .loginChallenged:
            challenged.increment()
            logger.debug("challenged", metadata: Self.metadata(event))
        case .loginRejected:
            event.reason.flatMap { rejected[$0] }?.increment()
            if isWritten { logger.info("rejected", metadata: Self.metadata(event)) }
        default:
            break
        }
    }

    private static func metadata(_ event: Event) -> Logger.Metadata {
        var metadata: Logger.Metadata = [:]
        if let login = event.login { metadata["login"] = .stringConvertible(login) }
        if let name = event.subject["name"] { metadata["user"] = .string(name) }
        if let client = event["client"] { metadata["client"] = .string(client) }
        if let source = event.source { metadata["source"] = .stringConvertible(source) }
        if let reason = event.reason { metadata["reason"] = .string(reason) }
        if let steps = event["steps"] { metadata["steps"] = .string(steps) }
        return metadata
    }
}
