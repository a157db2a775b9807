// SPDX-License-Identifier: Apache-2.0
// Asking a gateway about one of its sessions: by its connection over TLS where it has one, else over UDP; and what is written of it.

internal import Directories
internal import Foundation
internal import LoginEngine
internal import RADIUS
internal import Store

extension Operations {
    /// Asks, and writes down what the gateway said.
    func ask(
        _ deed: GatewayRequest.Deed, _ session: GatewaySession, by actor: Actor, _ details: [Event.Detail] = []
    ) async -> (outcome: GatewayOutcome, message: String) {
        let outcome: GatewayOutcome
        if let client = try? records.client(id: session.client) {
            outcome = await ask(client, session, deed)
        } else {
            outcome = .notSent("Its client was removed.")
        }
        var message = "\(words(of: session)): \(outcome.sentence(deed))"
        do {
            let kind: EventKind = deed == .end ? .sessionDisconnect : .sessionUpdate
            var event = event(of: session, kind, by: actor, ["answer": outcome.word])
            event.details += details
            try await records.append(event)
            if outcome.isForgotten {
                try await records.endLost(session: session.id, at: now(), event: self.event(of: session, .sessionEnded, by: actor))
            }
        } catch {
            message += " The trail could not be written: \(error)"
        }
        return (outcome, message)
    }

    /// `session 17 of alice at office`
    func words(of session: GatewaySession) -> String {
        let client = (try? records.client(id: session.client))?.name ?? "its gateway"
        return "session \(session.id)\(session.name.isEmpty ? "" : " of \(session.name)") at \(client)"
    }

    private func ask(_ client: Client, _ session: GatewaySession, _ deed: GatewayRequest.Deed) async -> GatewayOutcome {
        let settings = client.settings
        guard settings.disconnectPort != 0 else {
            return .notSent("It takes no \(deed.code.name)s (`client set \(client.name) --disconnect-port`).")
        }
        if settings.isKnownByTLS, let outcome = await askByTLS(client, session, deed) { return outcome }
        guard let secret = settings.secret.reveal({ SharedSecret($0) }) else {
            return .notSent("It is not connected by TLS from \(session.source), and has no shared secret for UDP.")
        }
        var exchange = RADIUSExchange(to: ServerAddress(session.source, port: settings.disconnectPort), secret: secret)
        exchange.timeout = GatewayRequest.timeout
        exchange.tries = GatewayRequest.tries
        exchange.requiresMessageAuthenticator = false
        let identifier = UInt8.random(in: 0...255)
        let seconds = now().seconds
        return await onQueue { [exchange] in
            var outcome = GatewayOutcome.notSent("")
            // Some gateways refuse what names them otherwise than they do themselves.
            for namesGateway in [true, false] {
                let request = GatewayRequest(deed, session: session, namesGateway: namesGateway, at: seconds)
                outcome = request.perform(exchange, identifier: identifier &+ (namesGateway ? 0 : 1), secret: secret)
                guard case .refused(let cause) = outcome, GatewayRequest.mayBeAboutNames(cause) else { break }
            }
            return outcome
        }
    }

    /// - Returns: nil where it is not connected.
    private func askByTLS(_ client: Client, _ session: GatewaySession, _ deed: GatewayRequest.Deed) async -> GatewayOutcome? {
        var outcome: GatewayOutcome?
        // Some gateways refuse what names them otherwise than they do themselves.
        for namesGateway in [true, false] {
            let request = GatewayRequest(deed, session: session, namesGateway: namesGateway, at: now().seconds)
            let question = TLSQuestion(code: deed.code, client: client.id, source: session.source) { request.write(to: &$0) }
            switch await ports.askByTLS(question) {
            case .notConnected: return outcome
            case .acknowledged: return .acknowledged
            case .noAnswer: return .noAnswerByTLS("No answer by its TLS connection in \(GatewayRequest.tries * 3) s.")
            case .disconnected: return .noAnswerByTLS("Its TLS connection ended before an answer came.")
            case .notWritable(let words): return .notSent("The request cannot be written: \(words)")
            case .refused(let cause):
                outcome = .refused(cause)
                guard GatewayRequest.mayBeAboutNames(cause) else { return outcome }
            }
        }
        return outcome
    }

    /// A silent gateway holds a thread for ten seconds, and so only one of a few.
    private static let queue: OperationQueue = {
        let queue = OperationQueue()
        queue.name = "sallyport.gateways"
        queue.maxConcurrentOperationCount = 16
        return queue
    }()

    private func onQueue(_ body: @escaping @Sendable () -> GatewayOutcome) async -> GatewayOutcome {
        await withCheckedContinuation { continuation in
            Self.queue.addOperation { continuation.resume(returning: body()) }
        }
    }
}
