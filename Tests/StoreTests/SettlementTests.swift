// SPDX-License-Identifier: Apache-2.0
// A code, a handle and a recovery code are used once, ever; and what the engine reads before it judges.

import LoginEngine
import Testing

@testable import Store

@Suite struct SettlementTests {
    private static let day = Timestamp.Span.seconds(86_400)

    @Test(arguments: TestDatabases.all) func sameStepTwiceInOneGroupIsAcceptedOnce(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let first = fixture.settlement([.totp(factor: fixture.totp, step: 100)])
        let second = fixture.settlement([.totp(factor: fixture.totp, step: 100)], login: 2)
        #expect(fixture.settle(first, second) == [.done, .markUsed(first.decision)])
        #expect(try fixture.unfolded == 1)
    }

    @Test(arguments: TestDatabases.all) func sameStepInTwoGroupsIsAcceptedOnce(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let first = fixture.settlement([.totp(factor: fixture.totp, step: 100)])
        let outcomes = fixture.settle([[first], [fixture.settlement([.totp(factor: fixture.totp, step: 100)], login: 2)]])
        #expect(outcomes == [.done, .markUsed(first.decision)])
        // A step below that was not used is still good.
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 99)], login: 3)) == [.done])
    }

    @Test(arguments: TestDatabases.all) func counterAtOrBelowAUsedOneIsRefused(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let first = fixture.settlement([.hotp(factor: fixture.hotp, counter: 5)])
        #expect(fixture.settle(first) == [.done])
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 5)], login: 2)) == [.markUsed(first.decision)])
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 4)], login: 3)) == [.markUsed(nil)])
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 6)], login: 4)) == [.done])
        #expect(try fixture.facts().factors.first { $0.id == fixture.hotp }?.highestUsed == 6)
    }

    @Test(arguments: TestDatabases.all) func refusedAcceptLeavesNeitherMarkNorEvent(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let before = fixture.records.chain.head.seq
        let twice = fixture.settlement([.totp(factor: fixture.totp, step: 7), .hotp(factor: fixture.hotp, counter: -1)])
        #expect(fixture.settle(twice) == [.markUsed(nil)])
        #expect(try fixture.unfolded == 0)
        #expect(fixture.records.chain.head.seq == before)
    }

    @Test(arguments: TestDatabases.all) func foldedStepsStayUsed(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 8)])) == [.done])
        let later = start + .seconds(3 * 86_400)
        try fixture.reopen(at: later)
        try fixture.fold(at: later)
        #expect(try fixture.unfolded == 0)
        for step in [99, 100] as [Int64] {
            #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: step)], at: later)) == [.markUsed(nil)])
        }
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 101)], at: later)) == [.done])
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 8)], at: later)) == [.markUsed(nil)])
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 9)], at: later)) == [.done])
        let record = try #require(try fixture.records.factor(fixture.totp))
        #expect(record.highestUsed == 101 && record.lastUsed == later)
    }

    @Test(arguments: TestDatabases.all, [0, 1, 2, 3, 10, 4000] as [Int64])
    func stepStaysUsedAcrossDaysWithoutHousekeeping(_ kind: TestDatabases, days: Int64) async throws {
        let fixture = try await Fixture(kind)
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        let later = start + .seconds(days * 86_400)
        let outcome = fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)], at: later, login: 2))
        guard case .markUsed = outcome[0] else {
            Issue.record("\(outcome)")
            return
        }
    }

    @Test(arguments: TestDatabases.all) func clockThatJumpsAheadAndBackOpensNoGap(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let ahead = start + .seconds(500 * 86_400)
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 1)], at: ahead)) == [.done])
        // Back again: the slot does not go back with the clock.
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 2)])) == [.done])
        try fixture.reopen()
        for counter in [1, 2] as [Int64] {
            let outcome = fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: counter)], login: 9))
            guard case .markUsed = outcome[0] else {
                Issue.record("\(outcome)")
                return
            }
        }
        guard case .markUsed = fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)]))[0] else {
            Issue.record("a step of long ago was taken again")
            return
        }
        // Both in one group: the one of today is written where the one of tomorrow is looked for.
        let mixed = fixture.settle(
            fixture.settlement([.hotp(factor: fixture.hotp, counter: 7)]),
            fixture.settlement([.hotp(factor: fixture.hotp, counter: 7)], at: ahead + .seconds(10 * 86_400)))
        #expect(mixed[0] == .done && mixed[1] != .done)
    }

    @Test(arguments: TestDatabases.all) func slotThatIsAheadOfEveryDayIsStillFolded(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        #expect(
            fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 1)], at: start + .seconds(500 * 86_400))) == [.done])
        for day in 0...3 as ClosedRange<Int64> { fixture.records.marks.tick(at: start + .seconds(day * 86_400)) }
        try fixture.fold(at: start + .seconds(3 * 86_400))
        #expect(try fixture.unfolded == 0)
        #expect(fixture.settle(fixture.settlement([.hotp(factor: fixture.hotp, counter: 1)])) == [.markUsed(nil)])
    }

    @Test(arguments: TestDatabases.shared) func foldThatFailsRefusesTheGroup(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        try fixture.reopen { sql throws(DatabaseError) in
            if sql.hasPrefix("UPDATE factor SET") { throw DatabaseError(.inputOutput, "planted") }
        }
        let later = fixture.settlement([.totp(factor: fixture.totp, step: 101)], at: start + .seconds(9 * 86_400))
        #expect(fixture.settle(later) == [.failed(.databaseUnavailable)])
        #expect(fixture.settle(later) == [.failed(.databaseUnavailable)])
    }

    @Test(arguments: TestDatabases.all) func driftIsLearntFromTheLatestMark(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let now = start.seconds / 30
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: now + 1)])) == [.done])
        #expect(try fixture.facts().factors[0].drift == 1)
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: now + 4)], at: start + .seconds(60))) == [.done])
        #expect(try fixture.facts().factors[0].drift == 2)
        try fixture.reopen(at: start + .seconds(5 * 86_400))
        try fixture.fold(at: start + .seconds(5 * 86_400))
        let factor = try fixture.facts().factors[0]
        #expect(factor.highestUsed == now + 4 && abs(factor.drift - 2) <= 1)
    }

    @Test(arguments: TestDatabases.all) func handleIsUsedOnce(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let handle = HandleID(Bits128(high: 1, low: 2))
        let suspended = SuspendedLogin(
            handle: handle, login: LoginID(Bits128(high: 7, low: 1)), client: 3, user: fixture.user, nameKey: "alice", station: "a",
            firstFactor: .right, issued: start, expires: start + .minutes(2))
        let answers = Collected<NoAnswer?>()
        fixture.records.suspend(suspended, event: Event(.loginChallenged, at: start)) { answers.add($0) }
        fixture.records.writer.commitNow()
        #expect(answers.all == [nil])
        #expect(try fixture.facts(handle: handle).suspended == suspended)
        let first = fixture.settlement([.totp(factor: fixture.totp, step: 100)], handle: handle)
        let second = fixture.settlement([.totp(factor: fixture.totp, step: 101)], handle: handle, login: 2)
        #expect(fixture.settle(first, second) == [.done, .handleSpent(first.decision)])
        #expect(try fixture.facts(handle: handle).suspended?.decision == first.decision)
        let unknown = HandleID(Bits128(high: 1, low: 3))
        #expect(fixture.settle(fixture.settlement([], handle: unknown, accept: false)) == [.handleSpent(nil)])
    }

    @Test(arguments: TestDatabases.all) func rejectUsesUpItsHandleEvenOfNobody(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let handle = HandleID(Bits128(high: 1, low: 2))
        fixture.records.suspend(
            SuspendedLogin(
                handle: handle, login: LoginID(Bits128(high: 7, low: 1)), client: 3, user: nil, nameKey: "nobody", station: nil,
                firstFactor: .wrong, issued: start, expires: start + .minutes(2)), event: Event(.loginChallenged, at: start)
        ) { _ in }
        var settlement = fixture.settlement([], handle: handle, accept: false)
        settlement.user = nil
        #expect(fixture.settle(settlement, settlement) == [.done, .handleSpent(settlement.decision)])
        settlement.handle = nil
        settlement.decision.isAccept = true
        #expect(fixture.settle(settlement) == [.changedMeanwhile])
    }

    @Test(arguments: TestDatabases.all, [UserStatus.disabled, .pending])
    func userDisabledMeanwhileIsNotAccepted(_ kind: TestDatabases, _ status: UserStatus) async throws {
        let fixture = try await Fixture(kind)
        let user = fixture.user
        try await fixture.change { try await $0.setStatus(status, ofUser: user, event: Event(.userChanged, at: start)) }
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 1)])) == [.changedMeanwhile])
        #expect(fixture.settle(fixture.settlement([])) == [.changedMeanwhile])
        #expect(
            fixture.settle(fixture.settlement([.recovery(factor: fixture.recovery, hash: fixture.recoveryHash)])) == [.changedMeanwhile])
    }

    @Test(arguments: TestDatabases.all) func factorDisabledOrOfAnotherIsNotAccepted(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let totp = fixture.totp
        var other = fixture.settlement([.totp(factor: totp, step: 1)])
        other.user = fixture.user + 1
        #expect(fixture.settle(other) == [.changedMeanwhile])
        try await fixture.change { try await $0.setFactorState(.disabled, ofFactor: totp, event: Event(.factorChanged, at: start)) }
        #expect(fixture.settle(fixture.settlement([.totp(factor: totp, step: 1)])) == [.changedMeanwhile])
        try await fixture.change { try await $0.removeFactor(totp, event: Event(.factorRemoved, at: start)) }
        #expect(fixture.settle(fixture.settlement([.totp(factor: totp, step: 1)])) == [.changedMeanwhile])
    }

    /// What a push was answered for is no longer there.
    @Test(arguments: TestDatabases.all) func acceptWithoutMarkNeedsItsFactor(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let totp = fixture.totp
        var settlement = fixture.settlement([])
        settlement.factor = totp
        #expect(fixture.settle(settlement) == [.done])
        try await fixture.change { try await $0.setFactorState(.disabled, ofFactor: totp, event: Event(.factorChanged, at: start)) }
        #expect(fixture.settle(settlement) == [.changedMeanwhile])
        settlement.factor = fixture.hotp
        #expect(fixture.settle(settlement) == [.done])
        settlement.user = fixture.user + 1
        #expect(fixture.settle(settlement) == [.changedMeanwhile])
        settlement.factor = nil
        settlement.user = fixture.user
        #expect(fixture.settle(settlement) == [.done])
    }

    enum Change: CaseIterable {
        case password, status, statusByUpdate, factorState, factorRemoved
        // What keeps a waiting login alive.
        case label, email
    }

    @Test(arguments: TestDatabases.all, Change.allCases)
    func openHandleGoesWithWhatItWasBegunWith(_ kind: TestDatabases, _ change: Change) async throws {
        let fixture = try await Fixture(kind)
        let (user, totp) = (fixture.user, fixture.totp)
        let handles = (0..<3).map { HandleID(Bits128(high: 2, low: $0)) }
        for (number, handle) in handles.enumerated() {
            fixture.records.suspend(
                SuspendedLogin(
                    handle: handle, login: LoginID(Bits128(high: 7, low: UInt64(number))), client: 3,
                    user: number == 2 ? user + 1 : user, nameKey: "alice", station: nil, firstFactor: .right, issued: start,
                    expires: start + .minutes(2)), event: Event(.loginChallenged, at: start)
            ) { #expect($0 == nil) }
        }
        fixture.records.writer.commitNow()
        #expect(fixture.settle(fixture.settlement([], handle: handles[1])) == [.done])
        let event = Event(.userChanged, at: start)
        var record = try #require(try fixture.records.user(id: user))
        switch change {
        case .password:
            try await fixture.change { try await $0.setPasswordHash(Secret(utf8: "new"), ofUser: user, event: event) }
        case .status: try await fixture.change { try await $0.setStatus(.disabled, ofUser: user, event: event) }
        case .statusByUpdate, .email:
            if change == .email { record.email = "a@b" } else { record.status = .disabled }
            let changed = record
            try await fixture.change { try await $0.updateUser(changed, event: event) }
        case .factorState: try await fixture.change { try await $0.setFactorState(.disabled, ofFactor: totp, event: event) }
        case .factorRemoved: try await fixture.change { try await $0.removeFactor(totp, event: event) }
        case .label: try await fixture.change { try await $0.setFactorLabel("other", ofFactor: totp, event: event) }
        }
        let isKept = change == .label || change == .email
        let known = try handles.map { try fixture.facts(handle: $0).suspended != nil }
        // The used one tells a retry, the last one is another user's.
        #expect(known == [isKept, true, true])
    }

    @Test(arguments: TestDatabases.all) func whatIsMovedToAnotherUserIsWorthNothing(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let (totp, recovery) = (fixture.totp, fixture.recovery)
        let mallory = try await fixture.change {
            try await $0.addUser(NewUser(name: "mallory", key: "mallory", created: start), event: Event(.userAdded, at: start))
        }
        let other = try await fixture.change {
            try await $0.replaceRecoveryCodes(ofUser: mallory, codes: [[9]], at: start, event: Event(.recoveryCodesMade, at: start))
        }
        #expect(
            other != recovery && fixture.records.recoveryHash([9], factor: other) != fixture.records.recoveryHash([9], factor: recovery))
        // The code of one's own is no code of another, wherever its row is put.
        try fixture.tamper("UPDATE recovery_code SET factor = ?1 WHERE factor = ?2", [.integer(recovery), .integer(other)])
        let hash = fixture.records.recoveryHash([9], factor: recovery)
        #expect(fixture.settle(fixture.settlement([.recovery(factor: recovery, hash: hash)])) == [.markUsed(nil)])
        // A factor given to another user does not open.
        try fixture.tamper("UPDATE factor SET \"user\" = ?1 WHERE id = ?2", [.integer(mallory), .integer(totp)])
        let facts = try fixture.records.load([LoginLookup(nameKey: "mallory", handle: nil)], at: start)
        #expect(facts[0].factors.map(\.id) == [other] && fixture.records.damagedSecrets == 1)
    }

    @Test(arguments: TestDatabases.all) func recoveryCodeIsUsedOnce(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let first = fixture.settlement([.recovery(factor: fixture.recovery, hash: fixture.recoveryHash)])
        let second = fixture.settlement([.recovery(factor: fixture.recovery, hash: fixture.recoveryHash)], login: 2)
        #expect(fixture.settle(first, second) == [.done, .markUsed(first.decision)])
        #expect(try fixture.records.recoveryCodesLeft(ofUser: fixture.user) == 1)
        #expect(fixture.settle(fixture.settlement([.recovery(factor: fixture.recovery, hash: [1])])) == [.markUsed(nil)])
    }

    @Test(arguments: TestDatabases.all) func userIsFoundByEveryNameWithOpenedSecrets(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let facts = try fixture.records.load(
            [
                LoginLookup(nameKey: "alice@example.org", handle: nil), LoginLookup(nameKey: "nobody", handle: nil),
                LoginLookup(nameKey: nil, handle: HandleID(Bits128(high: 0, low: 0))),
            ], at: start)
        #expect(facts.count == 3)
        #expect(facts[0].user?.name == "Alice")
        #expect(facts[0].user?.passwordHash == Secret(utf8: "$argon2id$hash"))
        #expect(facts[0].factors.map(\.kind) == [.totp, .hotp, .recovery])
        #expect(facts[0].factors[0].secret == Secret(utf8: "12345678901234567890"))
        #expect(facts[0].factors.map(\.highestUsed) == [-1, -1, -1])
        #expect(facts[1].user == nil && facts[2].suspended == nil)
    }

    @Test(arguments: TestDatabases.all) func failuresAreKeptReplacedAndForgiven(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        var record = FailureRecord(kind: .code, source: "", count: 1, since: start, level: 0, lockedUntil: nil)
        fixture.records.remember(.failure(user: fixture.user, record))
        record.count = 2
        record.lockedUntil = start + .minutes(1)
        fixture.records.remember(.failure(user: fixture.user, record))
        fixture.records.remember(.failure(user: 999, record))
        fixture.records.remember(.resynchronisation(factor: fixture.hotp, .init(counter: 40, expires: start)))
        fixture.records.writer.commitNow()
        let facts = try fixture.facts()
        #expect(facts.failures == [record])
        #expect(facts.factors[1].resynchronisation == .init(counter: 40, expires: start))
        fixture.records.remember(.forgive(user: fixture.user, [.code, .password]))
        fixture.records.writer.commitNow()
        #expect(try fixture.facts().failures.isEmpty)
    }

    @Test(arguments: TestDatabases.files) func acknowledgedLoginIsThereAfterACrash(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        // What a killed process leaves: database and journal as they are, nothing closed.
        let copy = TemporaryFolder()
        for file in ["sallyport.sqlite", "sallyport.sqlite-wal", "master.key"] {
            try copyFile(fixture.folder.path + "/" + file, copy.path + "/" + file)
        }
        var options = Records.Options()
        options.runsWriter = false
        let records = try Records(
            try kind.open(in: copy), key: .file(copy.path + "/master.key"), at: start, options: options)
        defer { records.close() }
        let outcomes = Collected<SettlementOutcome>()
        records.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)], login: 2)) { outcomes.add($0) }
        records.writer.commitNow()
        guard case .markUsed(.some) = outcomes.all[0] else {
            Issue.record("\(outcomes.all)")
            return
        }
        #expect(try records.verifyChain().findings == [])
    }
}
