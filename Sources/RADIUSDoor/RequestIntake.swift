// SPDX-License-Identifier: Apache-2.0
// What is done with a decoded packet and with its answer, whatever way they take. Generic, so that no packet pays for the choice.

import EAP
import LoginEngine
import RADIUS

/// A request that is being decided.
struct Waiting<Route: Sendable>: Sendable {
    let packet: Packet
    let entry: ClientEntry
    let route: Route
    let ticket: DuplicateCache.Ticket
    /// Nil: not timed.
    let read: Timestamp?
    let source: NetworkAddress
    /// Of a login; a record teaches when it is read.
    var provenance = Provenance.ownTest
    var scheme: ProofScheme?
}

/// A way in: it knows what is pending there, and how answers leave.
protocol RequestListener: AnyObject, Sendable {
    /// How a reply finds back.
    associatedtype Route: Sendable

    var door: Door { get }
    /// An answer that is kept already goes out again.
    func admit(
        _ key: RequestKey, _ authenticator: Authenticator, isSigned: Bool, by route: Route, at now: Timestamp
    ) -> DuplicateCache.Admission
    func forget(_ ticket: DuplicateCache.Ticket)
    /// - Returns: how the request came; nil where its answer was not wanted any more.
    @discardableResult
    func finish(_ waiting: Waiting<Route>, _ reply: [UInt8]) -> RequestHistory?
    func giveUp(_ waiting: Waiting<Route>, _ reason: DropReason)
    /// Queues a reply that no login waits for.
    func queue(_ reply: [UInt8], by route: Route)
}

extension RequestListener {
    /// Runs once for each request that was handed to the judge, on any thread.
    func complete(_ waiting: Waiting<Route>, _ answer: LoginAnswer) {
        guard case .none(let cause) = answer else {
            guard let reply = answer.reply(to: waiting.packet, secret: waiting.entry.secret) else {
                giveUp(waiting, .replyTooLong)
                return
            }
            if case .accept(let login, _, _) = answer { door.noteAccept(login, waiting.packet, of: waiting.entry) }
            if let history = finish(waiting, reply) { learn(from: answer, to: waiting, history) }
            return
        }
        giveUp(waiting, DropReason(cause))
    }

    /// Behind the answer, which does not wait for it.
    private func learn(from answer: LoginAnswer, to waiting: Waiting<Route>, _ history: RequestHistory) {
        // TCP asks again by itself.
        let isRenewed = waiting.entry.traffic.note(
            answer, to: waiting.packet, waiting.provenance, scheme: waiting.scheme, from: waiting.source,
            waiting.entry.isProtected ? nil : history)
        if isRenewed { door.counters.renewedRetries.add() }
    }

    /// Runs once for each request of an EAP conversation, on any thread.
    func complete(_ waiting: Waiting<Route>, _ outcome: EAPOutcome, of conversation: EAPConversation) {
        if case .none(let cause) = outcome { return giveUp(waiting, DropReason(cause)) }
        guard let reply = outcome.reply(to: waiting.packet, of: conversation, secret: waiting.entry.secret) else {
            door.eap.close(conversation)
            return giveUp(waiting, .replyTooLong)
        }
        var isAccepted = false
        switch outcome {
        case .challenge, .none:
            door.eap.note(conversation, at: door.now().uptime)
        case .accept(_, _, let accepted):
            isAccepted = true
            door.counters.eap.accepted.add()
            door.eap.close(conversation)
            door.noteAccept(accepted.login, waiting.packet, of: waiting.entry, name: accepted.name)
        case .reject:
            door.counters.eap.failed.add()
            door.eap.close(conversation)
        }
        guard let history = finish(waiting, reply), waiting.provenance == .proven else { return }
        let isRenewed = waiting.entry.traffic.noteRoundAnswered(
            waiting.packet, isAccepted: isAccepted, from: waiting.source, waiting.entry.isProtected ? nil : history)
        if isRenewed { door.counters.renewedRetries.add() }
    }

    /// Runs once for each record that was handed to the ledger, on any thread.
    func acknowledge(_ waiting: Waiting<Route>, _ problem: NoAnswer?) {
        if let problem { return giveUp(waiting, DropReason(problem)) }
        guard let reply = accountingResponse(to: waiting.packet, secret: waiting.entry.secret) else {
            return giveUp(waiting, .replyTooLong)
        }
        finish(waiting, reply)
    }
}

/// A packet that was read and decoded.
struct Arrival<Route: Sendable> {
    let packet: Packet
    let entry: ClientEntry
    let source: NetworkAddress
    let route: Route
    let key: RequestKey
    /// What tells two requests of one key apart: the Request Authenticator, where there is one.
    let authenticator: Authenticator
    let now: Timestamp
    let isTimed: Bool
}

/// Gathers a batch of new requests for the judge. Lives on the thread of its listener.
struct RequestIntake<Listener: RequestListener> {
    enum Outcome {
        /// Its answer comes later.
        case waiting
        /// Answered, or a duplicate.
        case done
        case dropped(DropReason)
    }

    private let listener: Listener
    private let door: Door
    private var attempts: [Attempt] = []

    init(_ listener: Listener, capacity: Int) {
        self.listener = listener
        door = listener.door
        attempts.reserveCapacity(capacity)
    }

    @discardableResult
    mutating func take(_ arrival: Arrival<Listener.Route>) -> Outcome {
        let (packet, entry) = (arrival.packet, arrival.entry)
        let check = PacketCheck(packet, of: entry, from: arrival.source)
        if let hasMessageAuthenticator = check.countsForPin {
            let pin = ClientPin(client: entry.client.id, address: arrival.source)
            door.notePin(pin, hasMessageAuthenticator: hasMessageAuthenticator, at: arrival.now)
        }
        if let reason = check.drop { return drop(arrival, reason) }
        if packet.code == .statusServer {
            // RFC 5997 §4.2: cheap to make, so nothing is kept of it.
            if let reply = statusReply(to: packet, secret: entry.secret) { listener.queue(reply, by: arrival.route) }
            return .done
        }
        // A wrong Message-Authenticator has been dropped before.
        let isSigned = packet.contains(.messageAuthenticator)
        switch listener.admit(arrival.key, arrival.authenticator, isSigned: isSigned, by: arrival.route, at: arrival.now) {
        case .inProgress:
            door.counters.duplicatesInProgress.add()
            return .done
        case .answered:
            door.counters.duplicatesAnswered.add()
            return .done
        case .overloaded:
            return drop(arrival, .overloaded)
        case .outranked:
            return drop(arrival, .unsignedReplacement)
        case .fresh(let ticket, let abandoned):
            if let abandoned { abandon(abandoned) }
            return attempt(arrival, ticket)
        }
    }

    private mutating func attempt(_ arrival: Arrival<Listener.Route>, _ ticket: DuplicateCache.Ticket) -> Outcome {
        if arrival.packet.contains(.eapMessage), !arrival.entry.client.settings.eap.isEmpty { return attemptEAP(arrival, ticket) }
        guard let request = AccessRequest(arrival.packet, of: arrival.entry, from: arrival.source, connection: arrival.key.connection)
        else {
            listener.forget(ticket)
            return drop(arrival, .noProof)
        }
        if request.secretLooksWrong { door.hintAtSecret(from: arrival.source, of: arrival.entry, at: arrival.now) }
        var waiting = Waiting(
            packet: arrival.packet, entry: arrival.entry, route: arrival.route, ticket: ticket, read: arrival.isTimed ? arrival.now : nil,
            source: arrival.source)
        waiting.provenance = Provenance(arrival.packet, of: arrival.entry)
        if case .hashed(let proof) = request.login.proof { waiting.scheme = proof.scheme }
        if waiting.provenance == .proven {
            arrival.entry.traffic.note(
                arrival.packet, scheme: waiting.scheme, password: request.passwordText, from: arrival.source)
        }
        attempts.append(
            Attempt(request: request.login, waiter: ticket.waiter) { [listener, waiting] answer in listener.complete(waiting, answer) })
        return .waiting
    }

    /// Nobody waits for this answer any more.
    mutating func abandon(_ waiter: UInt64) {
        // The judge must have heard of a waiter before it hears that it is gone.
        if attempts.contains(where: { $0.waiter == waiter }) { handOver() }
        guard !door.tunnelWork.abandon(waiter) else { return }
        door.judge.abandon(waiter: waiter)
    }

    /// All new requests so far, to the judge.
    mutating func handOver() {
        guard !attempts.isEmpty else { return }
        door.judge.attempt(attempts)
        attempts.removeAll(keepingCapacity: true)
    }

    // MARK: EAP

    private mutating func attemptEAP(_ arrival: Arrival<Listener.Route>, _ ticket: DuplicateCache.Ticket) -> Outcome {
        let (packet, entry) = (arrival.packet, arrival.entry)
        var waiting = Waiting(
            packet: packet, entry: entry, route: arrival.route, ticket: ticket, read: arrival.isTimed ? arrival.now : nil,
            source: arrival.source)
        waiting.provenance = Provenance(packet, of: entry)
        let message = packet.joined(.eapMessage) ?? []
        if waiting.provenance == .proven {
            entry.traffic.noteRound(packet, message, offered: entry.client.settings.eap, from: arrival.source)
        }
        let conversation: EAPConversation
        switch door.conversation(of: packet, entry, from: arrival.source, at: arrival.now) {
        case .known(let known): conversation = known
        case .unknown:
            attempts.append(listener.refusal(of: arrival, waiting, .failed("EAP State that nobody knows")))
            return .waiting
        case .overloaded:
            listener.forget(ticket)
            return drop(arrival, .overloaded)
        }
        guard Self.isOfTLS(message) else {
            if case .judge(let attempt) = listener.take(message, of: conversation, arrival, waiting) { attempts.append(attempt) }
            return .waiting
        }
        let isTaken = door.tunnelWork.run(for: entry.client.id, waiter: ticket.waiter, at: arrival.now) { [listener, waiting] in
            switch listener.take(message, of: conversation, arrival, waiting) {
            case .judge(let attempt): listener.door.judgeFromPool(attempt)
            case .settled: _ = listener.door.tunnelWork.heard(ticket.waiter)
            case .later: break
            }
        } giveUp: { [listener, waiting] in
            listener.giveUp(waiting, .overloaded)
        }
        guard isTaken else {
            listener.forget(ticket)
            return drop(arrival, .overloaded)
        }
        return .waiting
    }

    /// Whether a session of TLS has to do with it.
    private static func isOfTLS(_ message: [UInt8]) -> Bool {
        message.count >= EAPPacket.typedLength
            && [EAPType.tls, .ttls, .peap].contains(EAPType(rawValue: message[EAPPacket.headerLength]))
    }

    private func drop(_ arrival: Arrival<Listener.Route>, _ reason: DropReason) -> Outcome {
        door.drop(reason, from: arrival.source, of: arrival.entry, at: arrival.now)
        return .dropped(reason)
    }
}

// MARK: EAP

extension Door {
    /// For what a thread of `tunnelWork` has begun: the engine hears of the waiter, and then whether it is gone.
    fileprivate func judgeFromPool(_ attempt: Attempt) {
        judge.attempt([attempt])
        if tunnelWork.heard(attempt.waiter) { judge.abandon(waiter: attempt.waiter) }
    }
}

/// What a packet of a conversation came to.
private enum Taken {
    /// For the engine.
    case judge(Attempt)
    /// Answered, or to be answered with another request.
    case settled
    /// Somebody else is asked first; then the engine, by `judgeFromPool`.
    case later
}

extension RequestListener {
    /// Goes on with a conversation, on any thread.
    fileprivate func take(
        _ message: [UInt8], of conversation: EAPConversation, _ arrival: Arrival<Route>, _ waiting: Waiting<Route>
    ) -> Taken {
        let (packet, entry, waiter) = (arrival.packet, arrival.entry, waiting.ticket.waiter)
        let turn = conversation.take(message, at: arrival.now) { outcome in self.complete(waiting, outcome, of: conversation) }
        switch turn {
        case .answer(let outcome):
            complete(waiting, outcome, of: conversation)
            return .settled
        case .failing(let outcome, let reason):
            complete(waiting, outcome, of: conversation)
            return .judge(told(reason, arrival, waiting))
        case .joined:
            return .settled
        case .busy:
            giveUp(waiting, .eapOutOfTurn)
            return .settled
        case .failed(let reason):
            door.eap.close(conversation)
            return .judge(refusal(of: arrival, waiting, proof(of: reason, arrival)))
        case .judge(let question, let identity, let handle):
            // RFC 3579 §2.1: a gateway repeats the identity as User-Name, and lets in whom it names. Were they two, the device would
            // prove one and become the other.
            let isSame = packet.first(.userName).map { packet.value(of: $0).elementsEqual(identity) } ?? true
            let name = door.name(of: question, identity, at: entry.client.settings)
            @Sendable func attempt(_ proof: LoginEngine.PasswordProof) -> Attempt {
                var request = AccessRequest(
                    packet, of: entry, from: arrival.source, connection: arrival.key.connection, name: name[...], proof: proof,
                    handle: handle
                ).login
                request.method = question.method
                request.carriesQuestions = question.carriesQuestions
                return Attempt(request: request, waiter: waiter) { answer in
                    let (outcome, others) = conversation.judged(answer, as: name, at: self.door.now().uptime)
                    self.complete(waiting, outcome, of: conversation)
                    for other in others { other(outcome) }
                }
            }
            if !isSame { return .judge(attempt(.failed("EAP identity that is not User-Name"))) }
            guard OuterIdentity.fits(identity, inner: name, of: entry.client.settings) else {
                return .judge(attempt(.failed("EAP identity that is another user's than inside of the tunnel")))
            }
            guard case .certificate(let certificate) = question.proof else {
                let proof = question.passwordProof(in: entry.client.settings.charset)
                return .judge(attempt(proof ?? .failed("\(question.method) that cannot be judged")))
            }
            door.counters.eap.show(certificate)
            return take(certificate, arrival, attempt)
        }
    }

    /// The chain was found good in the handshake; what was learnt of it since, and what only others know.
    private func take(
        _ certificate: EAPCertificate, _ arrival: Arrival<Route>, _ attempt: @escaping @Sendable (LoginEngine.PasswordProof) -> Attempt
    ) -> Taken {
        let door = door
        @Sendable func proof(_ status: DeviceStatus) -> LoginEngine.PasswordProof {
            switch status {
            case .refused(let refusal):
                door.refuse(EAPCertificateRefusal(refusal), from: arrival.source, of: arrival.entry, at: arrival.now)
                return .refusedCertificate("\(refusal)")
            case .fine(let word):
                // Somebody may look at a telephone for a minute before the accept.
                let standing: @Sendable () -> String? = {
                    door.eapContexts.refusal(of: certificate, isOld: true, at: door.now().wall).map { "\($0)" }
                }
                return .certificate(CertificateProof(certificate, note: word.isEmpty ? nil : word, standing: standing))
            }
        }
        let contexts = door.eapContexts
        if let refusal = contexts.refusal(of: certificate, isOld: false, at: door.now().wall) {
            return .judge(attempt(proof(.refused(refusal))))
        }
        guard let source = contexts.status else { return .judge(attempt(proof(.fine("")))) }
        source.ask(certificate.chain) { status in door.judgeFromPool(attempt(proof(status))) }
        return .later
    }

    private func proof(of reason: EAPFailureReason, _ arrival: Arrival<Route>) -> LoginEngine.PasswordProof {
        guard case .certificate(let refusal) = reason else { return .failed(reason.description) }
        door.refuse(refusal, from: arrival.source, of: arrival.entry, at: arrival.now)
        return .refusedCertificate(refusal.description)
    }

    /// For what the engine writes down while the device hears something else of it: nobody waits for this answer.
    private func told(_ reason: EAPFailureReason, _ arrival: Arrival<Route>, _ waiting: Waiting<Route>) -> Attempt {
        let request = AccessRequest(
            arrival.packet, of: arrival.entry, from: arrival.source, connection: arrival.key.connection, name: nil,
            proof: proof(of: reason, arrival)
        ).login
        return Attempt(request: request, waiter: waiting.ticket.waiter) { _ in }
    }

    /// For what the engine can only refuse, and write down.
    fileprivate func refusal(of arrival: Arrival<Route>, _ waiting: Waiting<Route>, _ proof: LoginEngine.PasswordProof) -> Attempt {
        door.counters.eap.failed.add()
        let request = AccessRequest(
            arrival.packet, of: arrival.entry, from: arrival.source, connection: arrival.key.connection, name: nil, proof: proof
        ).login
        return Attempt(request: request, waiter: waiting.ticket.waiter) { answer in
            switch answer {
            case .reject, .none: self.complete(waiting, answer)
            // Nothing was proved, so whatever else is said is no answer to this.
            case .accept, .challenge: self.giveUp(waiting, .abandoned)
            }
        }
    }
}
