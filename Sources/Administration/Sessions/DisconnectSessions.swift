// SPDX-License-Identifier: Apache-2.0
// Having gateways end sessions (RFC 5176): by an administrator, or because their user may no longer be in.

internal import LoginEngine
internal import Store

package struct DisconnectSessions: AdminOperation {
    package static let verb = "session.disconnect"
    /// One of both.
    package var id: Int64?
    package var user: String?

    package init(id: Int64? = nil, user: String? = nil) {
        self.id = id
        self.user = user
    }

    package struct Answer: Codable, Sendable {
        package var results: [Result]
    }

    package struct Result: Codable, Sendable, Equatable {
        package var session: Int64
        /// The gateway says that it is gone.
        package var isDone: Bool
        /// `acknowledged`, `no-answer`, `not-sent`, or the gateway's Error-Cause such as `Session-Context-Not-Found`.
        package var answer: String
        package var message: String
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let sessions: [GatewaySession]
        if let id {
            let session = try operations.session(id)
            guard session.isOpen else { throw Refusal(.conflict, "Session \(id) is over already.") }
            sessions = [session]
        } else if let user {
            var filter = try operations.sessionFilter(user: user, client: nil, since: nil)
            filter.isOpen = true
            sessions = try operations.records.sessions(filter, limit: ListSessions.mostSessions)
        } else {
            throw Refusal(.invalid, "No session was named.", remedy: "Give its number, or a user.")
        }
        return Answer(results: await operations.disconnect(sessions, by: actor))
    }
}

extension Operations {
    /// What the user of these sessions still has open ends, because they may no longer be in.
    ///
    /// - Returns: a sentence; nil where there is nothing to end. A node goes on behind its answer: a gateway may be silent for ten seconds.
    func endAccess(_ sessions: [GatewaySession], by actor: Actor) async -> String? {
        let reachable = sessions.filter(\.isOpen)
        guard !reachable.isEmpty else { return nil }
        let count = Words.count(reachable.count, "open session")
        guard ports.isServing else {
            let results = await disconnect(reachable, by: actor)
            let failed = results.filter { !$0.isDone }
            guard let first = failed.first else { return "The gateways ended \(count)." }
            return "\(count): \(failed.count) could not be ended. \(first.message)"
        }
        Task { _ = await disconnect(reachable, by: actor) }
        return "The gateways are asked to end \(count); the trail says what they answer: `sallyport audit list --kind session`."
    }

    /// Before a user goes: their open sessions.
    func openSessions(ofUser user: Int64) throws -> [GatewaySession] {
        var filter = SessionFilter()
        filter.user = user
        filter.isOpen = true
        return try records.sessions(filter, limit: ListSessions.mostSessions)
    }

    /// Asks all gateways at once, and writes what each said.
    func disconnect(_ sessions: [GatewaySession], by actor: Actor) async -> [DisconnectSessions.Result] {
        await withTaskGroup(of: (Int, DisconnectSessions.Result).self) { group in
            for (index, session) in sessions.enumerated() {
                group.addTask { (index, await self.disconnect(session, by: actor)) }
            }
            var results: [(Int, DisconnectSessions.Result)] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private func disconnect(_ session: GatewaySession, by actor: Actor) async -> DisconnectSessions.Result {
        let (outcome, message) = await ask(.end, session, by: actor)
        return DisconnectSessions.Result(session: session.id, isDone: outcome.isGone, answer: outcome.word, message: message)
    }
}
