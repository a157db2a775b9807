// SPDX-License-Identifier: Apache-2.0
// One EAP conversation between packets: the machine, what the engine was asked, and what it decided.

import EAP
import LoginEngine
import RADIUS
internal import Synchronization

/// What goes back for one packet of a conversation.
enum EAPOutcome: Sendable {
    /// `isRepeat`: what came was worth nothing, and the request before goes out again.
    case challenge([UInt8], isRepeat: Bool)
    case accept([UInt8], EAPKeys?, EAPConversation.Accepted)
    case reject([UInt8])
    case none(NoAnswer)
}

/// Thread-safe: the next packet may come while the engine answers on another thread.
final class EAPConversation: Sendable {
    /// What the engine accepted. It goes out when the device has believed the server.
    struct Accepted: Sendable {
        let login: LoginID
        let reply: [UInt8]
        /// The keys have the strength of a code.
        let isCode: Bool
        /// Who was let in, where the gateway knows another name: the device gave this one inside of a tunnel, or by its certificate
        /// (RFC 2865 §5.1).
        let name: [UInt8]?
        let at: Timestamp
    }

    /// A device answers the server's proof at once; what was decided longer ago is no decision about now.
    static let acceptLife = Timestamp.Span.seconds(30)

    /// What a packet leads to.
    enum Turn {
        case answer(EAPOutcome)
        /// It came to nothing, which has to be told now: not every device answers the alert that goes out.
        case failing(EAPOutcome, EAPFailureReason)
        /// The engine has to judge; `judged` goes on.
        case judge(EAPQuestion, identity: [UInt8], handle: String?)
        /// The very same is being judged; the caller hears of it too.
        case joined
        /// Another packet came while one is being judged: whose answer would this be?
        case busy
        /// It came to nothing before the engine refused it, which has to be told.
        case failed(EAPFailureReason)
    }

    private struct Course {
        var authenticator: EAPAuthenticator
        /// What came last, byte by byte.
        var response: [UInt8] = []
        var question: EAPQuestion?
        /// The engine has the question.
        var isBeingJudged = false
        /// Of the engine's challenge.
        var handle: String?
        var accepted: Accepted?
        var isRefused = false
        var others: [@Sendable (EAPOutcome) -> Void] = []

        var lastIdentifier: UInt8 { authenticator.lastRequest.count > 1 ? authenticator.lastRequest[1] : 0 }
    }

    /// Who waits for one answer besides the first: a gateway repeats itself a few times.
    static let mostOthers = 8

    /// State, RFC 2865 §5.24. The same for all rounds: the identifiers of EAP tell them apart.
    let state: Bits128
    let client: Int64
    /// Of the gateway.
    let source: NetworkAddress
    private let course: Mutex<Course>
    private let judging = Atomic<Bool>(false)

    init(state: Bits128, client: Int64, source: NetworkAddress, methods: sending [any EAPMethod]) {
        self.state = state
        self.client = client
        self.source = source
        course = Mutex(Course(authenticator: EAPAuthenticator(methods: methods)))
    }

    /// With what the object itself takes.
    var keptBytes: Int {
        course.withLock { 512 + $0.authenticator.keptBytes + $0.response.count + ($0.accepted?.reply.count ?? 0) }
    }

    /// Does not wait for a handshake that is under way: the table of all conversations is locked where this is asked.
    var isBeingJudged: Bool { judging.load(ordering: .acquiring) }

    /// - Parameters:
    ///   - response: what EAP-Message held; empty for EAP-Start (RFC 3579 §2.1).
    ///   - other: called where the very same is being judged.
    func take(_ response: [UInt8], at now: Timestamp, other: @escaping @Sendable (EAPOutcome) -> Void) -> Turn {
        course.withLock { course in
            defer { judging.store(course.isBeingJudged, ordering: .releasing) }
            if course.authenticator.state == .methodResponse {
                guard response == course.response, let question = course.question else { return .busy }
                guard course.isBeingJudged else {
                    // The engine could not say; the gateway asks again.
                    course.isBeingJudged = true
                    return .judge(question, identity: course.authenticator.identity, handle: course.handle)
                }
                guard course.others.count < Self.mostOthers else { return .busy }
                course.others.append(other)
                return .joined
            }
            course.response = response
            let step = response.isEmpty ? course.authenticator.start(identifier: 1) : course.authenticator.take(response[...])
            return Self.turn(step, &course, at: now)
        }
    }

    private static func turn(_ step: EAPAuthenticator.Step, _ course: inout Course, at now: Timestamp) -> Turn {
        switch step {
        case .send(let packet):
            guard let reason = course.authenticator.pendingFailure, !course.isRefused else {
                return .answer(.challenge(packet, isRepeat: false))
            }
            course.isRefused = true
            return .failing(.challenge(packet, isRepeat: false), reason)
        case .ask(let question):
            course.question = question
            course.isBeingJudged = true
            // Of an expired password; what comes now is judged for itself.
            course.isRefused = false
            return .judge(question, identity: course.authenticator.identity, handle: course.handle)
        case .success(let packet, let keys):
            // No method is done before its question was answered; were it otherwise, nobody is let in.
            guard let accepted = course.accepted else { return .failed(.unsupported("EAP method that asked nothing")) }
            guard now - accepted.at <= acceptLife else { return .failed(.unsupported("device that answered too late")) }
            return .answer(.accept(packet, keys, accepted))
        case .failure(let packet, let reason):
            return course.isRefused ? .answer(.reject(packet)) : .failed(reason)
        case .discard:
            guard !course.authenticator.lastRequest.isEmpty else { return .failed(.malformed("EAP packet")) }
            return .answer(.challenge(course.authenticator.lastRequest, isRepeat: true))
        }
    }

    /// The engine's answer.
    ///
    /// - Parameter name: who was judged.
    /// - Returns: what the device hears, and everybody else who waits for the same.
    func judged(_ answer: LoginAnswer, as name: [UInt8]? = nil, at now: Timestamp) -> (EAPOutcome, others: [@Sendable (EAPOutcome) -> Void])
    {
        course.withLock { course in
            defer { judging.store(course.isBeingJudged, ordering: .releasing) }
            course.isBeingJudged = false
            let others = course.others
            course.others = []
            guard let verdict = Self.verdict(answer, as: name, &course, at: now) else {
                if case .none(let cause) = answer { return (.none(cause), others) }
                return (.none(.abandoned), others)
            }
            let outcome: EAPOutcome =
                switch Self.turn(course.authenticator.take(verdict: verdict), &course, at: now) {
                case .answer(let outcome): outcome
                // The engine's event says what was refused, or accepted and not proved; here nothing more is judged.
                case .failing, .failed, .busy, .joined, .judge: .reject(EAPPacket(.failure, identifier: course.lastIdentifier).bytes)
                }
            return (outcome, others)
        }
    }

    private static func verdict(
        _ answer: LoginAnswer, as name: [UInt8]?, _ course: inout Course, at now: Timestamp
    ) -> EAPVerdict? {
        switch answer {
        case .accept(let login, let proven, let reply):
            let isOfTunnel = course.question?.isOfTunnel ?? false
            course.accepted = Accepted(
                login: login, reply: reply,
                // A tunnel's keys are TLS's own.
                isCode: !isOfTunnel && proven?.isCode ?? false, name: name == course.authenticator.identity ? nil : name, at: now)
            return .accept(proven.flatMap { proven in course.question?.grant(proven.candidate) })
        case .challenge(_, let challenge):
            course.handle = challenge.handle
            return .challenge(prompt: challenge.prompt)
        case .reject(_, let message, let refusal):
            course.isRefused = true
            return course.question?.verdict(on: refusal, message: message) ?? .reject()
        case .none:
            return nil
        }
    }
}
