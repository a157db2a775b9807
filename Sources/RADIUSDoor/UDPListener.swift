// SPDX-License-Identifier: Apache-2.0
// One bound address: what is pending there, and how its answers leave. Its reading thread is `UDPReader`.

internal import CSockets
internal import Glibc
internal import Logging
import LoginEngine
import RADIUS
internal import Synchronization

/// What an address is for; RFC 2866 §3 has a port of its own for accounting.
enum UDPPurpose: Sendable {
    case authentication, accounting
}

final class UDPListener: RequestListener {
    let endpoint: UDPEndpoint
    let purpose: UDPPurpose
    let door: Door
    private let state: Mutex<State>
    private let stopping = Atomic<Bool>(false)
    private let drainMilliseconds = Atomic<UInt32>(0)
    private let latch: Latch

    private struct State {
        var duplicates: DuplicateCache
        var outbox = Outbox()
        /// An emptied outbox, so that its memory is used again.
        var spare = Outbox()
        /// Nil after the end: what is answered later is dropped.
        var socket: UDPSocket?
        var isDraining = false

        var isIdleAtEnd: Bool { isDraining && duplicates.pendingCount == 0 }
    }

    init(
        socket: UDPSocket, purpose: UDPPurpose = .authentication, index: Int, limits: DuplicateLimits, door: Door
    ) throws(RADIUSServiceError) {
        endpoint = socket.endpoint
        self.purpose = purpose
        self.door = door
        guard let latch = Latch() else { throw .cannotStartThread(socket.endpoint, reason: "no memory") }
        self.latch = latch
        let duplicates = DuplicateCache(limits: limits, firstWaiter: UInt64(index) << 48)
        state = Mutex(State(duplicates: duplicates, socket: socket))
    }

    var pendingCount: Int { state.withLock { $0.duplicates.pendingCount } }
    var socket: UDPSocket? { state.withLock { $0.socket } }
    var isStopping: Bool { stopping.load(ordering: .acquiring) }

    // MARK: Requests

    func admit(
        _ key: RequestKey, _ authenticator: Authenticator, isSigned: Bool, by route: datagram_route, at now: Timestamp
    ) -> DuplicateCache.Admission {
        state.withLock { state in
            let admission = state.duplicates.admit(key, authenticator, isSigned: isSigned, at: now)
            if case .answered(let reply) = admission { state.outbox.add(reply, by: route) }
            return admission
        }
    }

    func forget(_ ticket: DuplicateCache.Ticket) {
        let isIdle = state.withLock { state in
            state.duplicates.forget(ticket)
            return state.isIdleAtEnd
        }
        if isIdle { latch.release() }
    }

    func expire(at now: Timestamp) {
        state.withLock { $0.duplicates.expire(at: now) }
    }

    // MARK: Answers

    func finish(_ waiting: Waiting<datagram_route>, _ reply: [UInt8]) -> RequestHistory? {
        let now = door.now().uptime
        let (history, isIdle) = state.withLock { state in
            let history = state.duplicates.answer(waiting.ticket, with: reply, at: now)
            if history != nil { state.outbox.add(reply, by: waiting.route) }
            return (history, state.isIdleAtEnd)
        }
        guard let history else {
            door.counters.drop(.abandoned)
            return nil
        }
        if let read = waiting.read { door.counters.answered(in: now - read) }
        if !ThreadRole.gathers(for: self) { flush() }
        if isIdle { latch.release() }
        return history
    }

    func giveUp(_ waiting: Waiting<datagram_route>, _ reason: DropReason) {
        forget(waiting.ticket)
        door.drop(reason, from: NetworkAddress(waiting.route.peer), of: waiting.entry, at: door.now().uptime)
    }

    /// Queues a reply that no login waits for; the reading thread flushes.
    func queue(_ reply: [UInt8], by route: datagram_route) {
        state.withLock { $0.outbox.add(reply, by: route) }
    }

    /// Sends what is queued.
    func flush() {
        let (taken, socket) = state.withLock { state -> (Outbox?, UDPSocket?) in
            guard !state.outbox.isEmpty else { return (nil, nil) }
            let full = state.outbox
            state.outbox = state.spare
            state.spare = Outbox()
            return (full, state.socket)
        }
        guard var outbox = taken else { return }
        guard let socket else {
            door.counters.drop(.sendFailed, outbox.count)
            return
        }
        door.counters.replies(outbox.replies.lazy.map { outbox.bytes[$0.offset] })
        socket.send(&outbox) { failure in
            door.drop(.sendFailed, from: NetworkAddress(failure.route.peer), at: door.now().uptime)
        }
        outbox.empty()
        state.withLock { $0.spare = outbox }
    }

    // MARK: The end

    /// Wakes the reading thread, which then waits as long as told for outstanding answers and closes.
    func stop(drain: Timestamp.Span) {
        drainMilliseconds.store(UInt32(clamping: drain.microseconds / 1000), ordering: .relaxed)
        stopping.store(true, ordering: .releasing)
        socket?.stopReceiving()
        // A second call may shorten the wait.
        if drain <= .seconds(0) { latch.release() }
    }

    /// The last thing the reading thread does.
    func drainAndClose() {
        let isIdle = state.withLock { state in
            state.isDraining = true
            return state.isIdleAtEnd
        }
        let patience = drainMilliseconds.load(ordering: .relaxed)
        if !isIdle, patience > 0 { latch.wait(milliseconds: patience) }
        flush()
        let left = state.withLock { state in
            state.socket = nil
            return state.duplicates.pendingCount
        }
        if left > 0 {
            door.logger.warning(
                "stopped before every login was answered; the gateways will ask the next server",
                metadata: ["unanswered": "\(left)", "listener": "\(endpoint)"])
        }
    }
}

/// Whether replies completed on this thread wait for a flush that is sure to come.
enum ThreadRole {
    /// The thread flushes every listener after each group of completions.
    private static let groups = UInt.max

    static func gathers<Listener: RequestListener>(for listener: Listener) -> Bool {
        let role = thread_role()
        return role == groups || role == identity(listener)
    }

    /// This is the listener's reading thread: it flushes at the end of each batch.
    static func becomeReader<Listener: RequestListener>(of listener: Listener) {
        thread_set_role(identity(listener))
    }

    static func becomeGroupWriter() {
        if thread_role() == 0 { thread_set_role(groups) }
    }

    private static func identity<Listener: RequestListener>(_ listener: Listener) -> UInt {
        UInt(bitPattern: ObjectIdentifier(listener).hashValue)
    }
}
