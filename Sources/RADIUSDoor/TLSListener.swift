// SPDX-License-Identifier: Apache-2.0
// RADIUS over TLS (RFC 6614): what is pending on its connections, and how answers reach its thread. The thread is `TLSReader`.

internal import CSockets
internal import Glibc
internal import Logging
package import LoginEngine
package import RADIUS
internal import Synchronization
import TLS

package struct TLSListenSettings: Sendable {
    package var listen: [UDPEndpoint]
    /// Connections in all.
    package var connections = 4096
    /// One of them has to be agreed on. A peer that offers none by ALPN speaks 1.0.
    package var versions = Set(RADIUSVersion.allCases)
    /// Of them those that have not proven who they are: from everywhere, and from one address.
    package var handshakes = 512
    package var handshakesOfOneAddress = 128
    /// How long a peer may take to prove who it is.
    package var handshakeTime = Timestamp.Span.seconds(10)
    /// A connection on which nothing came for so long is closed; the gateway opens another when it needs one.
    package var idleTime = Timestamp.Span.minutes(60)
    /// Requests of one connection that are being decided; more are not read until some are answered.
    package var pendingOfOneConnection = 4096

    package init(listen: [UDPEndpoint]) {
        self.listen = listen
    }
}

/// Where replies go: to the connection that the request came by, if it is still there.
struct TLSRoute: Sendable {
    let connection: UInt64
    let peer: NetworkAddress
}

/// The context that new connections are made from.
final class CurrentContext: Sendable {
    private let context = Mutex<TLSContext?>(nil)

    var value: TLSContext? {
        get { context.withLock { $0 } }
        set { context.withLock { $0 = newValue } }
    }
}

/// Closes a descriptor when nobody uses it any more.
final class Descriptor: Sendable {
    let number: CInt

    /// - Parameter result: a descriptor, or a negative errno.
    init?(_ result: CInt) {
        guard result >= 0 else { return nil }
        number = result
    }

    deinit {
        datagrams_close(number)
    }
}

final class TLSListener: RequestListener {
    let settings: TLSListenSettings
    let door: Door
    let context: CurrentContext
    /// Ports are the bound ones.
    let endpoints: [UDPEndpoint]
    let sockets: [Descriptor]
    let poller: Descriptor
    let waker: Descriptor
    private let state: Mutex<State>

    private struct State {
        var duplicates: DuplicateCache
        var outbox: [Outgoing] = []
        var questions: [PendingQuestion] = []
        var isWoken = false
        var drain: Timestamp.Span?
        var isClosed = false
    }

    /// What the thread is told: a request of this connection is decided, with a reply or without one.
    struct Outgoing {
        let route: TLSRoute
        let reply: [UInt8]?
        /// Whether a login waited for it.
        let isAnswer: Bool
    }

    init(_ settings: TLSListenSettings, context: CurrentContext, index: Int, limits: DuplicateLimits, door: Door) throws(RADIUSServiceError)
    {
        self.settings = settings
        self.context = context
        self.door = door
        var sockets: [Descriptor] = []
        var endpoints: [UDPEndpoint] = []
        for wanted in settings.listen {
            var port = wanted.port
            let opened = streams_listen(wanted.address.words, !wanted.address.isIPv4, &port)
            guard let socket = Descriptor(opened) else { throw .overTLS(RADIUSServiceError(-opened, at: wanted)) }
            sockets.append(socket)
            endpoints.append(UDPEndpoint(address: wanted.address, port: port))
        }
        guard let poller = Descriptor(poller_create()), let waker = Descriptor(waker_create()) else {
            throw .overTLS(.cannotListen(settings.listen[0], reason: RADIUSServiceError.words(for: errno)))
        }
        (self.sockets, self.endpoints, self.poller, self.waker) = (sockets, endpoints, poller, waker)
        state = Mutex(State(duplicates: DuplicateCache(limits: limits, firstWaiter: UInt64(index) << 48)))
    }

    var pendingCount: Int { state.withLock { $0.duplicates.pendingCount } }

    // MARK: Requests

    func admit(
        _ key: RequestKey, _ authenticator: Authenticator, isSigned: Bool, by route: TLSRoute, at now: Timestamp
    ) -> DuplicateCache.Admission {
        state.withLock { state in
            let admission = state.duplicates.admit(key, authenticator, isSigned: isSigned, at: now)
            switch admission {
            case .answered(let reply): state.outbox.append(Outgoing(route: route, reply: reply, isAnswer: false))
            // The request that it replaces gets no answer.
            case .fresh(_, abandoned: .some): state.outbox.append(Outgoing(route: route, reply: nil, isAnswer: true))
            default: break
            }
            return admission
        }
    }

    func forget(_ ticket: DuplicateCache.Ticket) {
        state.withLock { _ = $0.duplicates.forget(ticket) }
    }

    func expire(at now: Timestamp) {
        state.withLock { $0.duplicates.expire(at: now) }
    }

    /// The connection is gone: its requests wait for nothing any more.
    ///
    /// - Returns: the waiters that the judge may forget; the ledger keeps what it was handed.
    func forgetAll(ofConnection connection: UInt64) -> [UInt64] {
        state.withLock { state in
            _ = state.duplicates.forgetPending { $0.connection == connection && $0.isAccounting }
            return state.duplicates.forgetPending { $0.connection == connection }
        }
    }

    // MARK: Answers

    func finish(_ waiting: Waiting<TLSRoute>, _ reply: [UInt8]) -> RequestHistory? {
        let now = door.now().uptime
        let (history, wakes) = state.withLock { state -> (RequestHistory?, Bool) in
            guard let history = state.duplicates.answer(waiting.ticket, with: reply, at: now), !state.isClosed else { return (nil, false) }
            state.outbox.append(Outgoing(route: waiting.route, reply: reply, isAnswer: true))
            return (history, Self.marksWoken(&state, self))
        }
        guard let history else {
            door.counters.drop(.abandoned)
            return nil
        }
        if let read = waiting.read { door.counters.answered(in: now - read) }
        if wakes { waker_wake(waker.number) }
        return history
    }

    func giveUp(_ waiting: Waiting<TLSRoute>, _ reason: DropReason) {
        let told = reason == .replyTooLong ? ErrorPacket.replyTooLong(to: waiting.packet, secret: waiting.entry.secret) : nil
        let wakes = state.withLock { state -> Bool in
            guard state.duplicates.forget(waiting.ticket), !state.isClosed else { return false }
            state.outbox.append(Outgoing(route: waiting.route, reply: told, isAnswer: true))
            return Self.marksWoken(&state, self)
        }
        door.drop(reason, from: waiting.route.peer, of: waiting.entry, at: door.now().uptime)
        if wakes { waker_wake(waker.number) }
    }

    func queue(_ reply: [UInt8], by route: TLSRoute) {
        state.withLock { $0.outbox.append(Outgoing(route: route, reply: reply, isAnswer: false)) }
    }

    /// Whether the caller is to wake the thread: it sleeps, and nobody else is about to.
    private static func marksWoken(_ state: inout State, _ listener: TLSListener) -> Bool {
        guard !state.isWoken, !ThreadRole.gathers(for: listener) else { return false }
        state.isWoken = true
        return true
    }

    /// Lets the thread send what was gathered.
    func flush() {
        let wakes = state.withLock { state in
            guard !state.outbox.isEmpty, !state.isWoken else { return false }
            state.isWoken = true
            return true
        }
        if wakes { waker_wake(waker.number) }
    }

    // MARK: Its thread

    /// What is to be sent; from now on the thread has to be woken again.
    func takeOutbox() -> (replies: [Outgoing], questions: [PendingQuestion]) {
        state.withLock { state in
            defer { (state.outbox, state.questions) = ([], []) }
            state.isWoken = false
            return (state.outbox, state.questions)
        }
    }

    /// Has a gateway asked.
    func ask(_ pending: PendingQuestion) {
        let isTaken = state.withLock { state in
            guard !state.isClosed else { return false }
            state.questions.append(pending)
            state.isWoken = true
            return true
        }
        guard isTaken else { return pending.completion(.notConnected) }
        waker_wake(waker.number)
    }

    /// How long the thread shall wait for outstanding answers, once it is to stop.
    var drain: Timestamp.Span? { state.withLock { $0.drain } }

    /// Wakes the thread, which then waits as long as told for outstanding answers and closes. A second call may shorten the wait.
    func stop(drain: Timestamp.Span) {
        state.withLock { state in
            state.drain = min(drain, state.drain ?? drain)
            state.isWoken = true
        }
        waker_wake(waker.number)
    }

    /// The last thing the thread does.
    func close() -> Int {
        let (left, questions) = state.withLock { state in
            defer { (state.outbox, state.questions) = ([], []) }
            state.isClosed = true
            return (state.duplicates.pendingCount, state.questions)
        }
        for question in questions { question.completion(.notConnected) }
        return left
    }
}

extension RequestKey {
    private static let accounting = UInt128(1)

    /// A request of a connection. Logins and records count their identifiers apart, as over UDP, where each has its port. In RADIUS/1.1
    /// the token stands for the identifier (RFC 9765 §4.2.2).
    init(_ packet: Packet, connection: UInt64) {
        let (identifier, token) = packet.version == .historic ? (packet.identifier, 0) : (0, packet.token)
        let bits = UInt128(connection) << 64 | UInt128(token) << 1 | (packet.code == .accountingRequest ? Self.accounting : 0)
        self.init(address: NetworkAddress(bits: bits), port: 0, identifier: identifier)
    }

    var connection: UInt64 { UInt64(truncatingIfNeeded: address.bits >> 64) }
    var isAccounting: Bool { address.bits & Self.accounting != 0 }
}
