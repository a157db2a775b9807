// SPDX-License-Identifier: Apache-2.0
// A login between its first packet and its decision, with everybody who waits for the answer.

internal import Synchronization

/// The machine of one login behind its own lock, so that a login that waits holds up nobody else.
final class OpenLogin: Sendable {
    let subject: FailureSubject
    let stored: [FailureRecord]
    /// What its wrong password would be counted by; made only when asked for, since text costs more than a code login.
    var failureSource: String { withLock { $0.login.request.failureSource } }
    private let state: Mutex<State>
    /// The keyed hash of its proof, once a retry may have to be compared.
    let proof = Mutex<Fingerprint?>(nil)
    private let asking = Atomic<Bool>(false)
    private let judgings = Atomic<Int>(0)

    struct State {
        var login: Login
        var waiters: [Waiter]
        /// The factor that was started, while it is open.
        var started: FactorKind?
        /// Uptime after which nothing of this login is kept; later deadlines win over earlier ones.
        var expires: Timestamp?
        /// Uptime at which held answers are given up; nil while nobody is held.
        var holdEnds: Timestamp?

        mutating func takeWaiters() -> [Waiter] {
            holdEnds = nil
            defer { waiters = [] }
            return waiters
        }
    }

    struct Waiter: Sendable {
        var id: UInt64
        var fingerprint: Fingerprint
        /// Uptime at which its request came.
        var arrived: Timestamp
        var completion: @Sendable (LoginAnswer) -> Void
        /// Whether a door may give it up.
        var isHeld = false
    }

    /// The password that a directory has found right already, where this login was begun anew by what it said.
    let proved: Secret?

    convenience init(_ login: Login, waiter: Waiter, subject: FailureSubject) {
        self.init(login, waiters: [waiter], subject: subject, proved: nil)
    }

    init(_ login: Login, waiters: [Waiter], subject: FailureSubject, proved: Secret?) {
        self.subject = subject
        self.proved = proved
        stored = login.facts.failures
        state = Mutex(State(login: login, waiters: waiters))
    }

    func withLock<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        state.withLock { body(&$0) }
    }

    /// Whether a phone is being asked, read under the shard's lock when a rival wants to ask too.
    var isAsking: Bool { asking.load(ordering: .acquiring) && withLock { $0.login.phase == .waiting || $0.login.isBeforeWaiting } }

    /// How often it is being judged already; changed by `step`, under the shard's lock.
    func countsItself(_ step: Int) -> Int { judgings.add(step, ordering: .relaxed).oldValue }

    func markAsking() { asking.store(true, ordering: .releasing) }

    /// Takes everybody who waits, to be answered outside the lock.
    func takeWaiters() -> [Waiter] {
        state.withLock { $0.takeWaiters() }
    }
}

/// Who may share one answer: the joining rule, as a pure function of two requests.
package enum JoiningRule {
    /// Whether a request may wait for (or take) the answer of a login that is open.
    ///
    /// - Parameters:
    ///   - sameProof: the keyed hash of its proof equals that of the login, whose first factor was verified.
    ///   - isRetransmission: it is byte by byte a packet that waits already.
    ///   - age: since the login began.
    package static func joins(
        _ request: LoginRequest, open: LoginRequest, sameProof: Bool, isRetransmission: Bool, age: Timestamp.Span
    ) -> Bool {
        // One that came round by other servers is not the gateway's own: it would wait for itself.
        guard request.client.id == open.client.id, request.hops == open.hops else { return false }
        if isRetransmission { return true }
        guard sameProof, request.gatewaySession == open.gatewaySession, request.callingStation == open.callingStation else {
            return false
        }
        if request.callingStation != nil { return true }
        return request.client.settings.rejoin && age <= request.client.settings.retryTime
    }
}
