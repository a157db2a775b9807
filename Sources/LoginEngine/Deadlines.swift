// SPDX-License-Identifier: Apache-2.0
// One heap of what has to happen later, and one thread that sleeps until the first of it.

internal import Foundation
internal import Synchronization

/// Runs bodies at times of the clock that never jumps. The only place that sleeps.
package final class Deadlines: Sendable {
    private let heap = Mutex(Heap())
    private let hook = Mutex<(@Sendable () -> Void)?>(nil)
    private let wake = NSCondition()
    private let now: @Sendable () -> Moment

    private struct Heap {
        var entries: [Entry] = []
        var isStopped = false
    }

    private struct Entry {
        let at: Timestamp
        let body: @Sendable (Moment) -> Void
    }

    package init(now: @escaping @Sendable () -> Moment) {
        self.now = now
    }

    /// How many are waiting.
    package var count: Int { heap.withLock { $0.entries.count } }

    /// - Parameter at: uptime.
    package func schedule(at: Timestamp, _ body: @escaping @Sendable (Moment) -> Void) {
        let isFirst = heap.withLock { heap in
            heap.entries.append(Entry(at: at, body: body))
            Self.siftUp(&heap.entries)
            return heap.entries[0].at == at
        }
        if isFirst {
            wake.lock()
            wake.signal()
            wake.unlock()
        }
    }

    /// Runs after everything that was due at one time has run, on the same thread.
    package func afterGroup(_ body: @escaping @Sendable () -> Void) {
        hook.withLock { $0 = body }
    }

    /// Runs everything that is due. Tests call it after they moved their clock; the node's thread calls it for them otherwise.
    package func fire() {
        let moment = now()
        var wasDue = false
        while let entry = heap.withLock({ heap -> Entry? in
            guard let first = heap.entries.first, first.at <= moment.uptime else { return nil }
            return Self.popFirst(&heap.entries)
        }) {
            entry.body(moment)
            wasDue = true
        }
        if wasDue { hook.withLock { $0 }?() }
    }

    /// Starts the sleeper.
    package func start() {
        let thread = Thread { [self] in sleepAndFire() }
        thread.name = "deadlines"
        thread.start()
    }

    package func stop() {
        heap.withLock { $0.isStopped = true }
        wake.lock()
        wake.signal()
        wake.unlock()
    }

    private func sleepAndFire() {
        while true {
            fire()
            wake.lock()
            let (next, isStopped) = heap.withLock { ($0.entries.first?.at, $0.isStopped) }
            if isStopped {
                wake.unlock()
                return
            }
            // A wall clock that is set back meanwhile must not keep it asleep, hence the bound.
            let seconds = next.map { Double(($0 - now().uptime).microseconds) / 1_000_000 } ?? 1
            if seconds > 0 { _ = wake.wait(until: Date(timeIntervalSinceNow: min(seconds, 1))) }
            wake.unlock()
        }
    }

    private static func siftUp(_ entries: inout [Entry]) {
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].at < entries[parent].at else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    private static func popFirst(_ entries: inout [Entry]) -> Entry? {
        guard let first = entries.first else { return nil }
        let last = entries.removeLast()
        guard !entries.isEmpty else { return first }
        entries[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count && entries[child].at < entries[least].at {
                least = child
            }
            guard least != parent else { return first }
            entries.swapAt(parent, least)
            parent = least
        }
    }
}
