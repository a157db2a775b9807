// SPDX-License-Identifier: Apache-2.0
// Having gateways end sessions (RFC 5176): by an administrator, or because their user may no longer be in.

internal import Directories
internal import Foundation
internal import LoginEngine
internal import RADIUS
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
        let outcome: DisconnectOutcome
        var name = "its gateway"
        if let client = try? records.client(id: session.client) {
            name = client.name
            outcome = await ask(client, session)
        } else {
            outcome = .notSent("Its client was removed.")
        }
        var result = DisconnectSessions.Result(
            session: session.id, isDone: outcome.isGone, answer: outcome.word,
            message: "session \(session.id)\(session.name.isEmpty ? "" : " of \(session.name)") at \(name): \(outcome.sentence)")
        do {
            try await records.append(event(of: session, .sessionDisconnect, by: actor, ["answer": outcome.word]))
            if outcome.isForgotten {
                try await records.endLost(session: session.id, at: now(), event: event(of: session, .sessionEnded, by: actor))
            }
        } catch {
            result.message += " The trail could not be written: \(error)"
        }
        return result
    }

    private func ask(_ client: Client, _ session: GatewaySession) async -> DisconnectOutcome {
        let settings = client.settings
        guard settings.disconnectPort != 0 else {
            return .notSent("It takes no Disconnect-Requests (`client set \(client.name) --disconnect-port`).")
        }
        if settings.isKnownByTLS, let outcome = await askByTLS(client, session) { return outcome }
        guard let secret = settings.secret.reveal({ SharedSecret($0) }) else {
            return .notSent("It is not connected by TLS from \(session.source), and has no shared secret for UDP.")
        }
        var exchange = RADIUSExchange(to: ServerAddress(session.source, port: settings.disconnectPort), secret: secret)
        exchange.timeout = DisconnectRequest.timeout
        exchange.tries = DisconnectRequest.tries
        exchange.requiresMessageAuthenticator = false
        let identifier = UInt8.random(in: 0...255)
        let seconds = now().seconds
        return await onQueue { [exchange] in
            var outcome = DisconnectOutcome.notSent("")
            // Some gateways refuse what names them otherwise than they do themselves.
            for namesGateway in [true, false] {
                let request = DisconnectRequest(session: session, namesGateway: namesGateway, at: seconds)
                outcome = request.perform(exchange, identifier: identifier &+ (namesGateway ? 0 : 1), secret: secret)
                guard case .refused(let cause) = outcome, DisconnectRequest.mayBeAboutNames(cause) else { break }
            }
            return outcome
        }
    }

    /// - Returns: nil where it is not connected.
    private func askByTLS(_ client: Client, _ session: GatewaySession) async -> DisconnectOutcome? {
        var outcome: DisconnectOutcome?
        // Some gateways refuse what names them otherwise than they do themselves.
        for namesGateway in [true, false] {
            let request = DisconnectRequest(session: session, namesGateway: namesGateway, at: now().seconds)
            switch await ports.askByTLS(TLSDisconnect(client: client.id, source: session.source) { request.write(to: &$0) }) {
            case .notConnected: return outcome
            case .acknowledged: return .acknowledged
            case .noAnswer: return .noAnswerByTLS("No answer by its TLS connection in \(DisconnectRequest.tries * 3) s.")
            case .disconnected: return .noAnswerByTLS("Its TLS connection ended before an answer came.")
            case .notWritable(let words): return .notSent("The request cannot be written: \(words)")
            case .refused(let cause):
                outcome = .refused(cause)
                guard DisconnectRequest.mayBeAboutNames(cause) else { return outcome }
            }
        }
        return outcome
    }

    /// A silent gateway holds a thread for ten seconds, and so only one of a few.
    private static let queue: OperationQueue = {
        let queue = OperationQueue()
        queue.name = "sallyport.disconnect"
        queue.maxConcurrentOperationCount = 16
        return queue
    }()

    private func onQueue(_ body: @escaping @Sendable () -> DisconnectOutcome) async -> DisconnectOutcome {
        await withCheckedContinuation { continuation in
            Self.queue.addOperation { continuation.resume(returning: body()) }
        }
    }
}
