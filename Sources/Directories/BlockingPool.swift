// SPDX-License-Identifier: Apache-2.0
// Threads of our own for what blocks or computes long, with a queue bounded by length and age; nothing else ever waits for them.

internal import CScheduling
internal import Dispatch
internal import Foundation
package import LoginEngine
internal import Synchronization

/// A fixed number of threads that only compute (`SCHED_BATCH`), and one that hands out work and speaks for them.
///
/// Such a thread may be off its core for a while, so it must never hold a lock that a login wants: it takes none. Work reaches it and
/// leaves it by semaphores, and what follows (`completion`, and the memory of the closures) is done by the other thread. Its slices are long
/// and others' are short (`CScheduling`), so that whoever wakes to answer somebody has its core at once. The priority is the usual one on
/// purpose: with a lower one, or `SCHED_IDLE`, Linux with groups of tasks (autogroup) was seen to let the kernel threads that end a write
/// wait for 300 ms, and with them every login.
///
/// Work that could not be done in time is refused at once. Each asker's is done first in, first out: retransmissions of a request that waits
/// here join it, so the oldest is still the one that somebody waits for. Askers take turns, so that a gateway through which somebody tries
/// passwords by the thousand makes its own users wait and nobody else's.
package final class BlockingPool: Sendable {
    package let name: String
    package let threads: Int
    package let queueLimit: Int
    /// How long work may wait. Longer, and its gateway has given up.
    package let patience: Timestamp.Span
    private let workers: [Worker]
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let now: @Sendable () -> Timestamp
    private let whenIdle: @Sendable () -> Void

    private struct State {
        var queue = FairQueue<Piece>()
        /// Pushed out by others, and to be told.
        var refused: [Piece] = []
        var isStopped = false
        var running = 0
        var shed = 0
        /// Of one piece, as the last ones took, the time off the core included. Microseconds.
        var usualTime: Int64 = 0

        /// - Returns: whether there is room, made if need be.
        mutating func makeRoom(for asker: Int64, limit: Int) -> Bool {
            if queue.count < limit { return true }
            guard let last = queue.giveWay(to: asker) else { return false }
            refused.append(last)
            shed += 1
            return true
        }
    }

    /// - Parameters:
    ///   - threads: at least 1.
    ///   - queueLimit: pieces of work that may wait, however quickly they are done.
    ///   - now: uptime.
    ///   - whenIdle: runs when nothing was to do for a second, for giving back what was kept for the next piece.
    package init(
        name: String, threads: Int, queueLimit: Int, patience: Timestamp.Span = .seconds(4),
        now: @escaping @Sendable () -> Timestamp = BlockingPool.uptime, whenIdle: @escaping @Sendable () -> Void = {}
    ) {
        self.name = name
        self.threads = max(1, threads)
        self.queueLimit = queueLimit
        self.patience = patience
        self.now = now
        self.whenIdle = whenIdle
        workers = (0..<self.threads).map { _ in Worker() }
        for worker in workers { start(name) { [wake] in worker.work(telling: wake) } }
        start("\(name).out") { [self] in handOut() }
    }

    private func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.name = name
        thread.start()
    }

    package static let uptime: @Sendable () -> Timestamp = {
        Timestamp(microseconds: Int64(DispatchTime.now().uptimeNanoseconds / 1_000))
    }

    /// How many pieces of work wait and run now.
    package var load: (waiting: Int, running: Int) { state.withLock { ($0.queue.count, $0.running) } }

    /// How many pieces of work were refused or dropped because they would have been done too late.
    package var shedCount: Int { state.withLock { $0.shed } }

    /// - Parameters:
    ///   - asker: who is to have a fair share: the row of a client, or 0 for administrators.
    ///   - shorterPatience: of the one who asks, where it is less than the pool's.
    ///   - completion: runs on the thread of normal priority, and must not block; with nil when the work was not begun, because it
    ///     had waited for too long or the pool was stopped.
    /// - Returns: false when there is no room, or the wait would be too long; then neither closure ever runs.
    package func run<Value: Sendable>(
        for asker: Int64 = 0, within shorterPatience: Timestamp.Span? = nil, _ work: @escaping @Sendable () -> Value,
        completion: @escaping @Sendable (Value?) -> Void = { _ in }
    ) -> Bool {
        let patience = min(patience, shorterPatience ?? patience)
        let moment = now()
        let piece = Errand(work, completion, submitted: moment, latest: moment + patience)
        let isTaken = state.withLock { state in
            let wait = state.usualTime * Int64(state.queue.ahead(of: asker)) / Int64(threads)
            guard !state.isStopped, wait <= patience.microseconds, state.makeRoom(for: asker, limit: queueLimit) else {
                state.shed += 1
                return false
            }
            state.queue.append(piece, of: asker)
            return true
        }
        if isTaken { wake.signal() }
        return isTaken
    }

    /// Begins nothing more: what runs is finished, what waits is told that it was not begun.
    package func stop() {
        state.withLock { $0.isStopped = true }
        wake.signal()
    }

    // MARK: The thread that hands out

    private func handOut() {
        var mayHoldMemory = false
        while true {
            if mayHoldMemory {
                if wake.wait(timeout: .now() + .seconds(1)) == .timedOut, load == (0, 0) {
                    mayHoldMemory = false
                    whenIdle()
                    continue
                }
            } else {
                wake.wait()
            }
            mayHoldMemory = true
            for worker in workers {
                if let piece = worker.takeFinished() { finish(piece) }
                while worker.isFree, let piece = next() { begin(piece, on: worker) }
            }
            tellRefused()
            guard state.withLock({ $0.isStopped }) else { continue }
            refuseTheRest()
            // The last one to finish wakes this thread once more.
            if workers.allSatisfy(\.isFree) {
                for worker in workers { worker.end() }
                return whenIdle()
            }
        }
    }

    private func tellRefused() {
        let refused = state.withLock { state in
            defer { state.refused = [] }
            return state.refused
        }
        for piece in refused { piece.giveUp() }
    }

    private func next() -> Piece? {
        state.withLock { state in
            guard !state.isStopped, let piece = state.queue.takeFirst() else { return nil }
            state.running += 1
            return piece
        }
    }

    private func begin(_ piece: Piece, on worker: Worker) {
        let moment = now()
        guard moment <= piece.latest else {
            state.withLock { state in
                state.running -= 1
                state.shed += 1
            }
            return piece.giveUp()
        }
        piece.begun = moment
        worker.begin(piece)
    }

    private func finish(_ piece: Piece) {
        // One that was off its core for long says little of the next.
        let took = min((now() - piece.begun).microseconds, 1_000_000)
        state.withLock { state in
            state.running -= 1
            state.usualTime = state.usualTime == 0 ? took : (state.usualTime * 7 + took) / 8
        }
        piece.conclude()
    }

    private func refuseTheRest() {
        while let piece = state.withLock({ $0.queue.takeFirst() }) { piece.giveUp() }
    }
}

/// One piece of work; only one thread at a time has to do with it.
private class Piece: @unchecked Sendable {
    /// Begun later it would end too late.
    let latest: Timestamp
    var begun: Timestamp

    init(submitted: Timestamp, latest: Timestamp) {
        self.latest = latest
        begun = submitted
    }

    /// On a worker.
    func compute() {}
    /// Afterwards, on the thread that hands out.
    func conclude() {}
    func giveUp() {}
}

private final class Errand<Value: Sendable>: Piece, @unchecked Sendable {
    private let work: @Sendable () -> Value
    private let completion: @Sendable (Value?) -> Void
    private var value: Value?

    init(
        _ work: @escaping @Sendable () -> Value, _ completion: @escaping @Sendable (Value?) -> Void, submitted: Timestamp,
        latest: Timestamp
    ) {
        self.work = work
        self.completion = completion
        super.init(submitted: submitted, latest: latest)
    }

    override func compute() { value = work() }
    override func conclude() { completion(value) }
    override func giveUp() { completion(nil) }
}

/// A thread that computes. Its place is handed to and fro by `go` and `isDone`, so that it needs no lock.
private final class Worker: @unchecked Sendable {
    private let go = DispatchSemaphore(value: 0)
    private let isDone = Atomic<Bool>(false)
    /// Nil: free, or to end.
    private var piece: Piece?

    var isFree: Bool { piece == nil }

    func begin(_ piece: Piece) {
        self.piece = piece
        go.signal()
    }

    func end() { go.signal() }

    func takeFinished() -> Piece? {
        guard isDone.exchange(false, ordering: .acquiring) else { return nil }
        defer { piece = nil }
        return piece
    }

    func work(telling wake: DispatchSemaphore) {
        scheduling_compute()
        while true {
            go.wait()
            guard let piece else { return }
            piece.compute()
            isDone.store(true, ordering: .releasing)
            wake.signal()
        }
    }
}
