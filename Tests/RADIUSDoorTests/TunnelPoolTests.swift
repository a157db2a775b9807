// SPDX-License-Identifier: Apache-2.0
// The threads that speak TLS with devices: turns, shedding, and waiters that are given up before the engine knows them.

import LoginEngine
import Synchronization
import Testing

@testable import RADIUSDoor

struct TunnelPoolTests {
    /// What was done, in order.
    private final class Record: Sendable {
        private let words = Mutex<[String]>([])
        var all: [String] { words.withLock { $0 } }
        func note(_ word: String) { words.withLock { $0.append(word) } }
    }

    private let clock = HandClock()
    private let record = Record()

    private func pool(_ threads: Int = 1) -> TunnelPool { TunnelPool(threads: threads) { [clock] in clock.now().uptime } }

    private func add(_ name: String, to pool: TunnelPool, of client: Int64 = 1, waiter: UInt64 = 0) -> Bool {
        pool.run(for: client, waiter: waiter, at: clock.now().uptime) { [record] in
            record.note(name)
        } giveUp: { [record] in
            record.note("not \(name)")
        }
    }

    /// Keeps the only thread busy until it is let go.
    private func occupy(_ pool: TunnelPool) throws -> Latch {
        let (isBusy, gate) = (try #require(Latch()), try #require(Latch()))
        let isTaken = pool.run(for: 9, waiter: .max, at: clock.now().uptime) {
            isBusy.release()
            gate.wait()
        } giveUp: {
        }
        #expect(isTaken && isBusy.wait(milliseconds: 60_000))
        return gate
    }

    @Test func whoCallsDoesNotWaitAndClientsTakeTurns() throws {
        let pool = pool()
        let gate = try occupy(pool)
        for name in ["a1", "a2", "a3"] { #expect(add(name, to: pool)) }
        #expect(add("b1", to: pool, of: 2))
        #expect(record.all.isEmpty && pool.waiting == 4)
        gate.release()
        #expect(eventually { record.all.count == 4 })
        #expect(record.all == ["a1", "b1", "a2", "a3"])
        pool.stop()
    }

    @Test func theLongestLineMakesRoomAndNobodyElse() throws {
        let pool = pool()
        let gate = try occupy(pool)
        for number in 0..<TunnelPool.queueLimit { #expect(add("a\(number)", to: pool)) }
        #expect(!add("a too many", to: pool) && record.all.isEmpty)
        #expect(add("b", to: pool, of: 2))
        #expect(record.all == ["not a\(TunnelPool.queueLimit - 1)"] && pool.shedCount == 2)
        gate.release()
        #expect(eventually { record.all.count == TunnelPool.queueLimit + 1 })
        #expect(record.all[1...2] == ["a0", "b"])
        pool.stop()
    }

    @Test(arguments: [(0, "late"), (1, "not late")]) func whatWaitedForTooLongIsGivenUp(_ over: Int64, _ outcome: String) throws {
        let pool = pool()
        let gate = try occupy(pool)
        #expect(add("late", to: pool))
        clock.advance(by: TunnelPool.patience)
        clock.advance(by: .milliseconds(over))
        gate.release()
        #expect(eventually { !record.all.isEmpty })
        #expect(record.all == [outcome] && pool.shedCount == Int(over))
        pool.stop()
    }

    @Test func stoppingGivesUpWhatWaitsAndEndsTheThreads() throws {
        let pool = pool(2)
        let gates = [try occupy(pool), try occupy(pool)]
        #expect(add("left", to: pool))
        pool.stop()
        #expect(record.all == ["not left"] && !add("more", to: pool))
        for gate in gates { gate.release() }
        #expect(record.all == ["not left"])
    }

    @Test func anAbandonedWaiterIsToldByWhoeverWorksAtIt() throws {
        let pool = pool()
        let gate = try occupy(pool)
        #expect(add("one", to: pool, waiter: 7) && add("two", to: pool, waiter: 8))
        #expect(pool.abandon(7) && !pool.abandon(9))
        #expect(pool.heard(7) && !pool.heard(8))
        // From here on it is the engine that knows them.
        #expect(!pool.abandon(7) && !pool.abandon(8))
        gate.release()
        pool.stop()
    }

    @Test func nothingIsKeptOfWaitersThatWereShed() throws {
        let pool = pool()
        let gate = try occupy(pool)
        #expect(add("late", to: pool, waiter: 7))
        clock.advance(by: .seconds(3))
        gate.release()
        #expect(eventually { record.all == ["not late"] })
        #expect(!pool.abandon(7))
        pool.stop()
    }
}
