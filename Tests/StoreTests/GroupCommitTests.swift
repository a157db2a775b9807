// SPDX-License-Identifier: Apache-2.0
// The writer: in order, bounded, awake after a failing disk; and no outcome that says more than was written.

import Foundation
import LoginEngine
import Synchronization
import Testing

@testable import Store

@Suite struct GroupCommitTests {
    @Test(arguments: TestDatabases.all) func groupsKeepTheOrderOfSubmissionAndHooksRunOncePerGroup(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        var limits = GroupCommit.Limits()
        limits.group = 4
        try fixture.reopen(limits: limits)
        let order = Collected<Int>()
        fixture.records.writer.afterGroup { order.add(-1) }
        for number in 0..<10 {
            fixture.records.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: Int64(number))])) { outcome in
                #expect(outcome == .done)
                order.add(number)
            }
        }
        while fixture.records.writer.commitNow() > 0 {}
        #expect(order.all == [0, 1, 2, 3, -1, 4, 5, 6, 7, -1, 8, 9, -1])
        #expect(fixture.records.writer.statistics.largestGroup == 4)
    }

    @Test(arguments: TestDatabases.all) func beyondTheBoundASubmissionFailsAtOnce(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        var limits = GroupCommit.Limits()
        limits.waiting = 3
        limits.afterthoughts = 2
        try fixture.reopen(limits: limits)
        let outcomes = Collected<SettlementOutcome>()
        for number in 0..<4 as Range<Int64> {
            fixture.records.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: number)])) { outcomes.add($0) }
        }
        #expect(outcomes.all == [.failed(.overloaded)])
        let before = fixture.records.chain.head.seq
        for _ in 0..<5 { fixture.records.remember(.event(Event(.loginRejected, at: start))) }
        fixture.records.writer.commitNow()
        #expect(outcomes.all.count == 4)
        // Three accepts, two of the five afterthoughts, and what says that three are missing.
        #expect(fixture.records.chain.head.seq == before + 6)
        let last = try fixture.records.events(EventFilter(limit: 1))[0].event
        #expect(last.kind == .loginsRejected && last.reason == "lost-under-load" && last.details == [.init("count", "3")])
        let statistics = fixture.records.writer.statistics
        #expect(statistics.overloaded == 1 && statistics.afterthoughtsLost == 3 && statistics.waiting == 0)
    }

    @Test(arguments: TestDatabases.all) func countersAreKeptWhenTheQueueIsFull(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        var limits = GroupCommit.Limits()
        limits.afterthoughts = 2
        try fixture.reopen(limits: limits)
        let user = fixture.user
        func fail(_ kind: FailureRecord.Kind, _ count: Int) {
            fixture.records.remember(
                .failure(user: user, FailureRecord(kind: kind, source: "", count: count, since: start, level: 0, lockedUntil: nil)))
        }
        for count in 1...9 {
            fail(.code, count)
            fail(.password, count)
        }
        // Room again, and yet the later value must not come before the earlier one.
        fixture.records.writer.commitNow()
        fail(.code, 10)
        while fixture.records.writer.commitNow() > 0 {}
        #expect(try fixture.records.failures(ofUser: user).map(\.count) == [9, 10])
        #expect(fixture.records.writer.statistics.afterthoughtsLost == 0)
        for count in 11...15 { fail(.code, count) }
        fixture.records.remember(.forgive(user: user, [.code]))
        while fixture.records.writer.commitNow() > 0 {}
        // The forgiving found no room; what came before it must not come back with a value of its own.
        #expect(try fixture.records.failures(ofUser: user).first { $0.kind == .code }?.count == 12)
    }

    @Test func fullDiskAcceptsNobodyAndTheWriterGoesOnAfterwards() async throws {
        let fixture = try await Fixture(.sqlite)
        let database = try #require(fixture.records.database as? SQLiteDatabase)
        let pages = try database.pragma("PRAGMA page_count")[0].integer(0)
        _ = try database.pragma("PRAGMA max_page_count = \(pages)")
        let outcomes = Collected<SettlementOutcome>()
        var number: Int64 = 0
        while !outcomes.all.contains(.failed(.databaseUnavailable)), number < 2_000 {
            fixture.records.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: number)])) { outcomes.add($0) }
            fixture.records.writer.commitNow()
            number += 1
        }
        #expect(outcomes.all.last == .failed(.databaseUnavailable))
        #expect(fixture.records.writer.statistics.lastError?.hasPrefix("full") == true)
        #expect(!fixture.records.health().isUsable)
        _ = try database.pragma("PRAGMA max_page_count = 1000000")
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: number)])) == [.done])
        #expect(fixture.records.health().isUsable)
        let accepted = outcomes.all.filter { $0 == .done }.count + 1
        #expect(try fixture.unfolded == accepted)
        #expect(try fixture.records.verifyChain().findings == [])
    }

    /// Fails the n-th statement of the writer, for every n, until a run gets through.
    @Test(arguments: TestDatabases.all, [DatabaseError.Kind.inputOutput, .statement])
    func noFailedStatementEndsInAnAcceptWithoutMarkAndEvent(_ kind: TestDatabases, _ error: DatabaseError.Kind) async throws {
        var failing = 1
        while true {
            let fixture = try await Fixture(kind)
            do {
                let counter = CountDown(error)
                try fixture.reopen(probe: { sql throws(DatabaseError) in try counter.step() })
                counter.fail(at: failing)
                let handle = HandleID(Bits128(high: 5, low: 5))
                let suspended = SuspendedLogin(
                    handle: handle, login: LoginID(Bits128(high: 7, low: 1)), client: 1, user: fixture.user, nameKey: "alice", station: nil,
                    firstFactor: .right, issued: start, expires: start + .minutes(2))
                fixture.records.suspend(suspended, event: Event(.loginChallenged, at: start)) { _ in }
                fixture.records.writer.commitNow()
                var pushed = fixture.settlement([], login: 4)
                pushed.factor = fixture.totp
                var certain = fixture.settlement([.totp(factor: fixture.totp, step: 101)], login: 6)
                if let facts = try? fixture.facts(), let version = facts.version,
                    let folded = facts.factors.first(where: { $0.id == fixture.totp })?.folded
                {
                    certain.basis = Settlement.Basis(version: version, folded: folded)
                }
                let settlements = [
                    fixture.settlement([.totp(factor: fixture.totp, step: 100)], handle: handle),
                    fixture.settlement([.hotp(factor: fixture.hotp, counter: 3)], login: 2),
                    fixture.settlement([.recovery(factor: fixture.recovery, hash: fixture.recoveryHash)], login: 3),
                    // A factor that was answered elsewhere, a password alone, and one whose facts still hold.
                    pushed, fixture.settlement([], login: 5), certain,
                ]
                let outcomes = fixture.settle([settlements] as [[Settlement]])
                let hasFailed = counter.hasFailed
                counter.fail(at: .max)
                for (settlement, outcome) in zip(settlements, outcomes) {
                    let events = try fixture.records.events(
                        logins: settlement.decision.login.bits...settlement.decision.login.bits, limit: 9
                    ).filter { $0.event.kind == .loginAccepted }
                    let isMarked = !settlement.marks.isEmpty || settlement.handle != nil
                    let again = isMarked ? fixture.settle(settlement)[0] : nil
                    if outcome == .done {
                        #expect(events.count == 1, "statement \(failing)")
                        #expect(again != .done, "statement \(failing)")
                    } else {
                        #expect(events.isEmpty, "statement \(failing)")
                    }
                }
                #expect(try fixture.records.verifyChain().findings == [], "statement \(failing)")
                if !hasFailed { failing = -1 }
            }
            if failing < 0 { break }
            failing += 1
            try #require(failing < 100)
        }
    }

    @Test(arguments: TestDatabases.all) func backgroundWorkWaitsUntilNothingIsSubmitted(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        fixture.records.close()
        let records = try Records(try kind.open(in: fixture.folder), key: fixture.key, at: start)
        defer { records.close() }
        let began = records.index.watermark
        let (hotp, user) = (fixture.hotp, fixture.user)
        func submit(_ number: Int64) async {
            await withCheckedContinuation { continuation in
                let login = LoginID(Bits128(high: 5, low: UInt64(number)))
                records.settle(
                    Settlement(
                        decision: RecordedDecision(login: login, isAccept: true, at: start, request: Fingerprint(login.bits), retry: nil),
                        user: user, marks: [.hotp(factor: hotp, counter: number)], handle: nil,
                        event: Event(.loginAccepted, at: start, login: login, user: user))
                ) { _ in continuation.resume() }
            }
        }
        var longestPause = ContinuousClock.Duration.zero
        for number in 0..<1_200 as Range<Int64> {
            let before = ContinuousClock.now
            await submit(number)
            longestPause = max(longestPause, ContinuousClock.now - before)
        }
        // One after the other, with a pause of the writer's after each: none of them is idleness. (A machine that stands still for
        // longer than that makes it one.)
        #expect(records.index.watermark == began || longestPause > .milliseconds(100))
        let deadline = ContinuousClock.now + .seconds(10)
        while records.index.watermark < began + 600, ContinuousClock.now < deadline { await Task.yield() }
        #expect(records.index.watermark >= began + 600)
        // Woken out of its rest.
        await submit(5_000)
        #expect(try records.events(logins: Bits128(high: 5, low: 5_000)...Bits128(high: 5, low: 5_000), limit: 2).count == 1)
    }

    /// Four at a time, each behind its last: too few to fill a group, and never one that nobody wakes the writer for.
    @Test(arguments: TestDatabases.all) func loginsThatFollowEachOtherShareCommits(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        fixture.records.close()
        let records = try Records(try kind.open(in: fixture.folder), key: fixture.key, at: start)
        defer { records.close() }
        let (hotp, user) = (fixture.hotp, fixture.user)
        let done = Collected<Int64>()
        let begun = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<4 as Range<Int64> {
                group.addTask {
                    for turn in 0..<100 as Range<Int64> {
                        let number = task * 100 + turn
                        let login = LoginID(Bits128(high: 5, low: UInt64(number)))
                        await withCheckedContinuation { continuation in
                            records.settle(
                                Settlement(
                                    decision: RecordedDecision(
                                        login: login, isAccept: true, at: start, request: Fingerprint(login.bits), retry: nil),
                                    user: user, marks: [.hotp(factor: hotp, counter: number)], handle: nil,
                                    event: Event(.loginAccepted, at: start, login: login, user: user))
                            ) { _ in continuation.resume() }
                        }
                        done.add(number)
                    }
                }
            }
        }
        let statistics = records.writer.statistics
        #expect(Set(done.all).count == 400)
        // A hundred turns take 0.2 s at that pace; on a machine that takes much longer they come one by one.
        #expect(
            statistics.units >= 400 && (statistics.groups * 2 < statistics.units || ContinuousClock.now - begun > .milliseconds(600)),
            "\(statistics.groups) groups of \(statistics.units) units")
    }

    @Test(arguments: TestDatabases.all) func threadWritesWhatManyThreadsSubmit(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        fixture.records.close()
        let records = try Records(try kind.open(in: fixture.folder), key: fixture.key, at: start)
        let (hotp, user) = (fixture.hotp, fixture.user)
        let done = Collected<Int64>()
        await withTaskGroup(of: Void.self) { group in
            for lane in 0..<8 as Range<Int64> {
                group.addTask {
                    for number in 0..<50 as Range<Int64> {
                        await withCheckedContinuation { continuation in
                            let login = LoginID(Bits128(high: UInt64(lane), low: UInt64(number)))
                            let settlement = Settlement(
                                decision: RecordedDecision(
                                    login: login, isAccept: true, at: start, request: Fingerprint(login.bits), retry: nil),
                                user: user, marks: [.hotp(factor: hotp, counter: number)], handle: nil,
                                event: Event(.loginAccepted, at: start, login: login))
                            records.settle(settlement) { outcome in
                                if outcome == .done { done.add(number) }
                                continuation.resume()
                            }
                        }
                    }
                }
            }
        }
        // Eight lanes fight for the same fifty counters: each is used at most once.
        let accepted = done.all.count
        #expect(accepted >= 1 && accepted <= 50)
        records.close()
        try fixture.reopen()
        #expect(try fixture.unfolded == accepted)
        #expect(try fixture.records.verifyChain().findings == [])
    }
}

/// Throws at the n-th step.
private final class CountDown: Sendable {
    private let kind: DatabaseError.Kind
    private let state = Mutex<(left: Int, hasFailed: Bool)>((.max, false))

    var hasFailed: Bool { state.withLock { $0.hasFailed } }

    init(_ kind: DatabaseError.Kind) { self.kind = kind }

    func fail(at step: Int) { state.withLock { $0.left = step } }

    func step() throws(DatabaseError) {
        let fails = state.withLock { state in
            if state.left == .max { return false }
            state.left -= 1
            if state.left == 0 { state.hasFailed = true }
            return state.left == 0
        }
        if fails { throw DatabaseError(kind, "planted") }
    }
}
