// SPDX-License-Identifier: Apache-2.0
// Used codes in memory over their log: what a restart, a failed write, a fold and a change of the user must not undo.

import LoginEngine
import Testing

@testable import Store

@Suite struct MarkLogTests {
    private func log(_ fixture: Fixture) throws -> MarkLog {
        guard case .log(let log) = fixture.records.marks else { throw DatabaseError(.statement, "not a log") }
        return log
    }

    /// An accept that was judged by facts that still hold.
    private func certain(_ fixture: Fixture, _ mark: Mark, at: Timestamp = start, login: UInt64 = 1) throws -> Settlement {
        let facts = try fixture.facts()
        var settlement = fixture.settlement([mark], at: at, login: login)
        let folded = facts.factors.first { $0.id == mark.factor }?.folded ?? -1
        settlement.basis = Settlement.Basis(version: try #require(facts.version), folded: folded)
        return settlement
    }

    @Test func usedCodesSurviveARestart() async throws {
        let fixture = try await Fixture()
        let first = try certain(fixture, .totp(factor: fixture.totp, step: 100))
        let second = try certain(fixture, .hotp(factor: fixture.hotp, counter: 7), login: 2)
        #expect(fixture.settle([[first], [second]]) == [.done, .done])
        try fixture.reopen()
        #expect(fixture.settle(try certain(fixture, .totp(factor: fixture.totp, step: 100), login: 3)) == [.markUsed(first.decision)])
        #expect(fixture.settle(try certain(fixture, .hotp(factor: fixture.hotp, counter: 7), login: 4)) == [.markUsed(second.decision)])
        #expect(fixture.settle(try certain(fixture, .hotp(factor: fixture.hotp, counter: 6), login: 5)) == [.markUsed(nil)])
        #expect(try fixture.facts().factors.prefix(2).map(\.highestUsed) == [100, 7])
    }

    /// Nothing is looked up in the database for a login whose facts still hold.
    @Test func certainAcceptWritesTwoRowsAndReadsNone() async throws {
        let fixture = try await Fixture()
        let seen = Collected<String>()
        try fixture.reopen { sql throws(DatabaseError) in seen.add(sql) }
        let before = seen.all.count
        #expect(fixture.settle(try certain(fixture, .totp(factor: fixture.totp, step: 1))) == [.done])
        let words = seen.all[before...].map { $0.split(separator: " ").prefix(3).joined(separator: " ") }
        #expect(
            words == [
                "BEGIN IMMEDIATE TRANSACTION", "INSERT INTO mark_log", "INSERT INTO event_group", "INSERT INTO event_personal",
                "INSERT INTO chain_head", "COMMIT TRANSACTION",
            ])
    }

    /// As with a code, so with a password alone: nothing is looked up, unless something has changed since it was judged.
    @Test func aPasswordAloneIsCertainAsLongAsNothingChanges() async throws {
        let fixture = try await Fixture()
        let seen = Collected<String>()
        try fixture.reopen { sql throws(DatabaseError) in seen.add(sql) }
        func password(_ login: UInt64) throws -> Settlement {
            var settlement = fixture.settlement([], login: login)
            settlement.basis = Settlement.Basis(version: try #require(try fixture.facts().version), folded: 0)
            return settlement
        }
        let certain = try password(1)
        let before = seen.all.count
        #expect(fixture.settle(certain) == [.done])
        #expect(!seen.all[before...].contains { $0.hasPrefix("SELECT") })
        #expect(try fixture.records.events(logins: certain.decision.login.bits...certain.decision.login.bits, limit: 9).count == 1)
        var begun = try password(2)
        begun.grace = GraceStart(policy: 5, user: fixture.user, at: start)
        #expect(fixture.settle(begun) == [.done])
        #expect(try fixture.records.graceFacts(ofUser: fixture.user).began == [5: start], "what comes with it is written")
        var answered = try password(3)
        answered.factor = fixture.totp
        let (stale, user, totp) = (try password(4), fixture.user, fixture.totp)
        try await fixture.change { try await $0.setFactorState(.disabled, ofFactor: totp, event: Event(.factorChanged, at: start)) }
        #expect(fixture.settle(answered) == [.changedMeanwhile])
        try await fixture.change { try await $0.setStatus(.disabled, ofUser: user, event: Event(.userChanged, at: start)) }
        #expect(fixture.settle(stale) == [.changedMeanwhile])
    }

    enum Meanwhile: CaseIterable { case disabled, factorDisabled, factorRemoved, disabledInTheSameGroup }

    @Test(arguments: Meanwhile.allCases) func factsThatNoLongerHoldAreLookedAtAgain(_ meanwhile: Meanwhile) async throws {
        let fixture = try await Fixture()
        let (user, totp) = (fixture.user, fixture.totp)
        let settlement = try certain(fixture, .totp(factor: totp, step: 1))
        let event = Event(.userChanged, at: start)
        switch meanwhile {
        case .disabled: try await fixture.change { try await $0.setStatus(.disabled, ofUser: user, event: event) }
        case .factorDisabled: try await fixture.change { try await $0.setFactorState(.disabled, ofFactor: totp, event: event) }
        case .factorRemoved: try await fixture.change { try await $0.removeFactor(totp, event: event) }
        case .disabledInTheSameGroup:
            let statement = Statement(SQL(composed: "UPDATE \"user\" SET status = 'disabled' WHERE id = ?1"), [.integer(user)])
            fixture.records.writer.submit(GroupCommit.Submission(Unit([statement]), isChange: true))
        }
        #expect(fixture.settle(settlement) == [.changedMeanwhile])
        #expect(try fixture.unfolded == 0)
    }

    /// A mark that was taken in memory for a login that came to nothing is free again, and nobody was told its decision.
    @Test func refusedLoginGivesItsCodeBack() async throws {
        let fixture = try await Fixture()
        var spent = fixture.settlement([.totp(factor: fixture.totp, step: 5)], handle: HandleID(Bits128(high: 0, low: 9)))
        #expect(
            fixture.settle(spent, fixture.settlement([.totp(factor: fixture.totp, step: 5)], login: 2)) == [
                .handleSpent(nil), .markUsed(nil),
            ])
        spent.handle = nil
        #expect(fixture.settle(spent) == [.done])
    }

    @Test func failedWriteGivesEveryCodeBack() async throws {
        let fixture = try await Fixture()
        let mustFail = Collected<Bool>()
        try fixture.reopen { sql throws(DatabaseError) in
            if sql.hasPrefix("COMMIT"), mustFail.all.last == true { throw DatabaseError(.full, "planted") }
        }
        let before = try log(fixture).live.standing(of: fixture.hotp)
        let settlements = [
            try certain(fixture, .hotp(factor: fixture.hotp, counter: 1)), try certain(fixture, .hotp(factor: fixture.hotp, counter: 2)),
        ]
        mustFail.add(true)
        #expect(fixture.settle([settlements]) == [.failed(.databaseUnavailable), .failed(.databaseUnavailable)])
        #expect(try log(fixture).live.standing(of: fixture.hotp) == before)
        mustFail.add(false)
        #expect(fixture.settle([settlements]) == [.done, .done])
    }

    @Test func foldLeavesYoungMarksAndKillsNoCode() async throws {
        let fixture = try await Fixture()
        #expect(fixture.settle(try certain(fixture, .totp(factor: fixture.totp, step: 100))) == [.done])
        let log = try log(fixture)
        log.tick(at: start)
        while try log.foldSome() {}
        #expect(try fixture.facts().factors[0].folded == -1)
        // Judged by the row as it was before the fold: looked at again.
        let stale = try certain(fixture, .totp(factor: fixture.totp, step: 100), login: 2)
        log.tick(at: start + MarkLog.keeps)
        #expect(fixture.settle(try certain(fixture, .totp(factor: fixture.totp, step: 103), login: 3)) == [.done])
        while try log.foldSome() {}
        #expect(try fixture.facts().factors[0].folded == 100 && fixture.facts().factors[0].highestUsed == 103)
        #expect(try fixture.unfolded == 1)
        #expect(fixture.settle(stale) == [.markUsed(nil)])
        for step in [100, 103] as [Int64] {
            guard case .markUsed = fixture.settle(try certain(fixture, .totp(factor: fixture.totp, step: step), login: 4))[0] else {
                Issue.record("step \(step) was taken again")
                return
            }
        }
        #expect(fixture.settle(try certain(fixture, .totp(factor: fixture.totp, step: 102), login: 5)) == [.done])
    }

    /// Killed after any number of the fold's writes: what was used stays used.
    @Test(arguments: 0...6) func killedFoldLosesNothing(writes: Int) async throws {
        let fixture = try await Fixture()
        for step in [100, 101, 102] as [Int64] {
            #expect(fixture.settle(try certain(fixture, .totp(factor: fixture.totp, step: step))) == [.done])
        }
        #expect(fixture.settle(try certain(fixture, .hotp(factor: fixture.hotp, counter: 5))) == [.done])
        let log = try log(fixture)
        log.tick(at: start)
        log.tick(at: start + MarkLog.keeps)
        for _ in 0..<writes { _ = try log.foldSome() }
        try fixture.reopen()
        for mark in [100, 101, 102].map({ Mark.totp(factor: fixture.totp, step: $0) }) + [.hotp(factor: fixture.hotp, counter: 5)] {
            guard case .markUsed = fixture.settle(try certain(fixture, mark, login: 9))[0] else {
                Issue.record("\(mark) was taken again after \(writes) steps of the fold")
                return
            }
        }
    }

    @Test func foldThatFailsKeepsTheMarksInMemory() async throws {
        let fixture = try await Fixture()
        #expect(fixture.settle(try certain(fixture, .totp(factor: fixture.totp, step: 100))) == [.done])
        try fixture.reopen { sql throws(DatabaseError) in
            if sql.hasPrefix("UPDATE factor SET") { throw DatabaseError(.inputOutput, "planted") }
        }
        #expect(throws: DatabaseError.self) { try fixture.fold(at: start) }
        guard case .markUsed = fixture.settle(try certain(fixture, .totp(factor: fixture.totp, step: 100), login: 2))[0] else {
            Issue.record("taken again")
            return
        }
    }

    @Test func manyStepsOfOneFactorStayBounded() async throws {
        let live = LiveMarks()
        for step in stride(from: 1_000, to: 1_100, by: 2) as StrideTo<Int64> {
            #expect(live.take(LiveMarks.Use(step: step, row: step), of: 1, isCounter: false, at: 0) != .used(row: nil))
        }
        let standing = try #require(live.standing(of: 1))
        #expect(standing.below.count == LiveMarks.mostBelow && standing.highest.step == 1_098)
        for step in 0...1_098 as ClosedRange<Int64> where step % 2 == 0 || step <= standing.floor {
            guard case .used = live.take(LiveMarks.Use(step: step, row: 0), of: 1, isCounter: false, at: 0) else {
                Issue.record("\(step)")
                return
            }
        }
        guard case .taken = live.take(LiveMarks.Use(step: 1_097, row: 0), of: 1, isCounter: false, at: 0) else {
            Issue.record("an unused step of the window was refused")
            return
        }
    }

    @Test func rowsAreReadAsTheyWereWritten() throws {
        let mark = LoggedMark(
            factor: 7, step: -3,
            decision: RecordedDecision(
                login: LoginID(Bits128(high: 1, low: 2)), isAccept: true, at: start, request: Fingerprint(Bits128(high: 3, low: 4)),
                retry: nil))
        var other = mark
        other.decision.retry = Fingerprint(Bits128(high: 5, low: 6))
        other.decision.reply = [27, 6, 0, 0, 0, 60]
        let bytes = MarkRow.encode([mark, other])
        #expect(try MarkRow.decode(bytes) == [mark, other])
        for count in 0..<bytes.count where count != 1 && count != MarkRow.encode([mark]).count {
            #expect(throws: DecodingError.self) { try MarkRow.decode(Array(bytes[..<count])) }
        }
    }
}
