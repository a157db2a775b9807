// SPDX-License-Identifier: Apache-2.0
// Threads of our own for what blocks or computes long, with a bounded queue; nothing else ever waits for them.

internal import Foundation
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// A fixed number of low-priority threads. Work beyond the queue's bound is refused at once, never answered late.
package final class BlockingPool: Sendable {
    private let condition = NSCondition()
    private let state = Mutex(State())
    package let name: String
    package let threads: Int
    package let queueLimit: Int

    private struct State {
        var queue: [@Sendable () -> Void] = []
        var head = 0
        var isStopped = false
        var running = 0
    }

    /// - Parameters:
    ///   - threads: at least 1.
    ///   - queueLimit: pieces of work that may wait; sized so that the last is served before a gateway gives up.
    package init(name: String, threads: Int, queueLimit: Int) {
        self.name = name
        self.threads = max(1, threads)
        self.queueLimit = queueLimit
        for _ in 0..<self.threads {
            let thread = Thread { [self] in work() }
            thread.name = name
            thread.start()
        }
    }

    /// How many pieces of work wait and run now.
    package var load: (waiting: Int, running: Int) { state.withLock { ($0.queue.count - $0.head, $0.running) } }

    /// - Returns: false when the queue is full; `body` then never runs.
    package func run(_ body: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isStopped, state.queue.count - state.head < queueLimit else { return false }
            state.queue.append(body)
            return true
        }
        if isTaken {
            condition.lock()
            condition.signal()
            condition.unlock()
        }
        return isTaken
    }

    /// Runs nothing more; what runs is finished.
    package func stop() {
        state.withLock { state in
            state.isStopped = true
            state.queue = []
            state.head = 0
        }
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }

    private func work() {
        // Logins that need no hash go first where cores are few.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
        while true {
            condition.lock()
            var next: (@Sendable () -> Void)?
            while true {
                let (body, isStopped) = state.withLock { state -> ((@Sendable () -> Void)?, Bool) in
                    guard state.head < state.queue.count else { return (nil, state.isStopped) }
                    let body = state.queue[state.head]
                    state.head += 1
                    if state.head == state.queue.count || state.head > 1_024 {
                        state.queue.removeFirst(state.head)
                        state.head = 0
                    }
                    state.running += 1
                    return (body, false)
                }
                if isStopped {
                    condition.unlock()
                    return
                }
                if let body {
                    next = body
                    break
                }
                condition.wait()
            }
            condition.unlock()
            next?()
            state.withLock { $0.running -= 1 }
        }
    }
}
