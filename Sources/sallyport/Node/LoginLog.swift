// SPDX-License-Identifier: Apache-2.0
// Every decision as a log line and a metric, with the login's id and the reason.

import Administration
import Logging
import LoginEngine
import Metrics
import Synchronization

struct LoginLog: Sendable {
    private let logger: Logger
    private let accepted = Counter(label: "sallyport_logins_total", dimensions: [("result", "accepted"), ("reason", "")])
    private let challenged = Counter(label: "sallyport_logins_total", dimensions: [("result", "challenged"), ("reason", "")])
    private let rejected: [String: Counter]
    private let grants = Dictionary(
        uniqueKeysWithValues: Grant.Kind.allCases.map {
            ($0.rawValue, Counter(label: "sallyport_grant_uses_total", dimensions: [("kind", $0.rawValue)]))
        })
    private let policies = PolicyCounters()
    private let doubts = Dictionary(
        uniqueKeysWithValues: [PolicyRule.Condition.network, .country, .hours].map {
            ($0.rawValue, Counter(label: "sallyport_policy_doubts_total", dimensions: [("condition", $0.rawValue)]))
        })
    private let protocols = Dictionary(
        uniqueKeysWithValues: (ProofSchemes.all.hashed.map { ($0.title, $0.rawValue) }
            + EAPMethodName.allCases.map { ($0.title, "eap-\($0.rawValue)") })
            .map { title, name in
                func counter(_ result: String) -> Counter {
                    Counter(label: "sallyport_logins_by_protocol_total", dimensions: [("protocol", name), ("result", result)])
                }
                return (title, (accepted: counter("accepted"), rejected: counter("rejected")))
            })

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
        if let policy = event["policy"] {
            policies.count(policy, event.kind)
            if event.kind != .loginChallenged, let unknown = event["not-known"] {
                for condition in unknown.split(separator: ", ") { doubts[String(condition)]?.increment() }
            }
        }
        // It stands behind the client, and nothing stands there of a login that showed its password.
        if event.details.count > 1, event.details[1].name == "protocol",
            // What is spoken inside of a tunnel stands behind the tunnel.
            let counters = protocols[String(event.details[1].value.prefix { $0 != "/" })]
        {
            if event.kind == .loginAccepted { counters.accepted.increment() }
            if event.kind == .loginRejected { counters.rejected.increment() }
        }
        switch event.kind {
        case .loginAccepted:
            accepted.increment()
            guard let grant = event["grant"] else {
                logger.debug("accepted", metadata: Self.metadata(event))
                break
            }
            // `12 bypass`; seldom enough to be seen always.
            grants[String(grant.drop { $0 != " " }.dropFirst())]?.increment()
            logger.info("accepted by a grant", metadata: Self.metadata(event))
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
        if let policy = event["policy"] { metadata["policy"] = .string(policy) }
        if let scheme = event["protocol"] { metadata["protocol"] = .string(scheme) }
        if let grant = event["grant"] { metadata["grant"] = .string(grant) }
        if let reason = event.reason { metadata["reason"] = .string(reason) }
        if let steps = event["steps"] { metadata["steps"] = .string(steps) }
        return metadata
    }
}

/// Decisions by policy, two series each; names beyond what the registry keeps apart are counted together.
final class PolicyCounters: Sendable {
    private let counters = Mutex<[String: (accepted: Counter, rejected: Counter)]>([:])
    private static let mostNames = 40
    private let factory: any MetricsFactory

    init(factory: any MetricsFactory = MetricsSystem.factory) {
        self.factory = factory
    }

    /// - Parameter label: `staff@3`; its revisions are counted together.
    func count(_ label: String, _ kind: EventKind) {
        guard kind == .loginAccepted || kind == .loginRejected else { return }
        let name = String(label.prefix { $0 != "@" })
        let pair = counters.withLock { counters in
            let name = counters[name] != nil || counters.count < Self.mostNames ? name : "other"
            if let known = counters[name] { return known }
            let made = (counter(name, "accepted"), counter(name, "rejected"))
            counters[name] = made
            return made
        }
        (kind == .loginAccepted ? pair.0 : pair.1).increment()
    }

    private func counter(_ policy: String, _ result: String) -> Counter {
        Counter(label: "sallyport_policy_decisions_total", dimensions: [("policy", policy), ("result", result)], factory: factory)
    }
}
