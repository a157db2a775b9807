// SPDX-License-Identifier: Apache-2.0
// Threads for what TLS computes inside of EAP, so that no login waits behind a handshake on the thread that reads.

internal import CScheduling
internal import Glibc
import LoginEngine
internal import Synchronization

/// A fixed number of threads and one queue. A piece of work takes some tenths of a millisecond, and what follows it is a reply or a
/// question to the engine: so each thread takes its work and speaks for itself, where `BlockingPool`, whose pieces take 25 ms, has another
/// one for that.
///
/// Clients take turns, and the one with the longest line makes room: a gateway through which somebody begins conversations by the thousand
/// makes its own devices wait. What is shed comes again, since gateways repeat.
final class TunnelPool: Sendable {
    /// Pieces that may wait: what one thread does in less than a second.
    static let queueLimit = 1_024
    /// What waited longer is repeated by its gateway just then, or was given up.
    static let patience = Timestamp.Span.seconds(2)

    private struct Piece {
        let latest: Timestamp
        let waiter: UInt64
        let work: @Sendable () -> Void
        let giveUp: @Sendable () -> Void
    }

    private struct State {
        var queue = FairQueue<Piece>()
        var idle = 0
        var isStarted = false
        var isStopped = false
        var shed = 0
        /// Waiters of which the engine may not know yet, and whether nobody wants their answer any more.
        var unheard: [UInt64: Bool] = [:]
    }

    let threads: Int
    private let state = Mutex(State())
    private let latch: Latch?
    private let now: @Sendable () -> Timestamp

    init(threads: Int, now: @escaping @Sendable () -> Timestamp) {
        self.threads = max(1, threads)
        self.now = now
        latch = Latch()
    }

    /// One core is left to the thread that reads and the one that writes.
    static var usualThreads: Int { sysconf(CInt(_SC_NPROCESSORS_ONLN)) - 1 }

    var waiting: Int { state.withLock { $0.queue.count } }
    var shedCount: Int { state.withLock { $0.shed } }

    /// - Parameters:
    ///   - client: whose turn it is to be.
    ///   - waiter: of the request. Until `heard` nothing is told to the engine about it but here.
    ///   - giveUp: instead of `work`, where it came to wait for too long or made room.
    /// - Returns: false when there is no room; then neither closure runs.
    func run(
        for client: Int64, waiter: UInt64, at now: Timestamp, _ work: @escaping @Sendable () -> Void,
        giveUp: @escaping @Sendable () -> Void
    ) -> Bool {
        guard let latch, start() else { return false }
        let (isTaken, pushedOut, wakes) = state.withLock { state -> (Bool, Piece?, Bool) in
            guard !state.isStopped else { return (false, nil, false) }
            var pushedOut: Piece?
            if state.queue.count >= Self.queueLimit {
                state.shed += 1
                guard let last = state.queue.giveWay(to: client) else { return (false, nil, false) }
                state.unheard[last.waiter] = nil
                pushedOut = last
            }
            state.unheard[waiter] = false
            state.queue.append(Piece(latest: now + Self.patience, waiter: waiter, work: work, giveUp: giveUp), of: client)
            guard state.idle > 0 else { return (true, pushedOut, false) }
            state.idle -= 1
            return (true, pushedOut, true)
        }
        if wakes { latch.release() }
        pushedOut?.giveUp()
        return isTaken
    }

    /// The gateway has given a request up.
    ///
    /// - Returns: whether whoever works at it tells the engine, which may not have heard of it yet.
    func abandon(_ waiter: UInt64) -> Bool {
        state.withLock { state in
            guard state.unheard[waiter] != nil else { return false }
            state.unheard[waiter] = true
            return true
        }
    }

    /// The engine knows of this waiter, or never will.
    ///
    /// - Returns: whether it was abandoned meanwhile.
    func heard(_ waiter: UInt64) -> Bool {
        state.withLock { $0.unheard.removeValue(forKey: waiter) ?? false }
    }

    /// Begins nothing more, and gives up what waits.
    func stop() {
        let (left, idle) = state.withLock { state in
            state.isStopped = true
            var left: [Piece] = []
            while let piece = state.queue.takeFirst() { left.append(piece) }
            state.unheard = [:]
            defer { state.idle = 0 }
            return (left, state.idle)
        }
        for _ in 0..<idle { latch?.release() }
        for piece in left { piece.giveUp() }
    }

    // MARK: Threads

    /// With the first piece: a node whose clients speak no tunnel has none.
    private func start() -> Bool {
        let isFirst = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted
        }
        guard isFirst else { return true }
        var started = 0
        for number in 0..<threads where NamedThread.start("radius-eap-\(number)", { [self] in serve() }) == nil { started += 1 }
        if started == 0 { state.withLock { $0.isStarted = false } }
        return started > 0
    }

    private func serve() {
        scheduling_compute()
        while let piece = next() {
            guard now() <= piece.latest else {
                state.withLock { state in
                    state.shed += 1
                    state.unheard[piece.waiter] = nil
                }
                piece.giveUp()
                continue
            }
            piece.work()
            // Linux lets a thread that never sleeps keep its core for some milliseconds; whoever reads or writes meanwhile gets it here.
            sched_yield()
        }
    }

    private func next() -> Piece? {
        while true {
            let (piece, isOver) = state.withLock { state -> (Piece?, Bool) in
                if let piece = state.queue.takeFirst() { return (piece, false) }
                if state.isStopped { return (nil, true) }
                state.idle += 1
                return (nil, false)
            }
            if piece != nil || isOver { return piece }
            latch?.wait()
        }
    }
}
