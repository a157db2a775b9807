// SPDX-License-Identifier: Apache-2.0
// Grants on every database: never used more often than they allow, whatever comes at once and whatever breaks.

import LoginEngine
import Synchronization
import Testing

@testable import Store

@Suite struct GrantTableTests {
    private func give(
        _ fixture: Fixture, _ kind: Grant.Kind = .bypass, uses: Int? = 1, minutes: Int64 = 60, scope: Grant.Scope = Grant.Scope(),
        code: String? = nil, at: Timestamp = start
    ) async throws -> Int64 {
        let grant = NewGrant(
            user: fixture.user, kind: kind, scope: scope, reason: "lost phone", issuer: "cli:anna@vpn1", issued: at,
            until: at + .minutes(minutes), uses: uses, code: code.map { Secret(utf8: $0) })
        return try await fixture.change { try await $0.addGrant(grant, event: Event(.grantIssued, at: at)) }
    }

    private func settlement(_ fixture: Fixture, _ grant: Int64, login: UInt64 = 1, at: Timestamp = start) -> Settlement {
        var settlement = fixture.settlement([], at: at, login: login)
        settlement.grant = grant
        return settlement
    }

    private func uses(_ fixture: Fixture) throws -> Int64 { try fixture.query("SELECT count(*) FROM grant_use")[0].integer(0) }

    private func refused(_ standing: Grant.Standing?) -> SettlementOutcome { .grantRefused(standing, nil) }

    // MARK: Uses

    @Test(arguments: TestDatabases.all, [true, false]) func usesNeverOvershoot(_ kind: TestDatabases, inOneGroup: Bool) async throws {
        let fixture = try await Fixture(kind)
        let grant = try await give(fixture, uses: 3)
        let logins = (1...6).map { settlement(fixture, grant, login: UInt64($0)) }
        let outcomes = fixture.settle(inOneGroup ? [logins] : logins.map { [$0] })
        #expect(outcomes == [.done, .done, .done] + [refused(.usedUp), refused(.usedUp), refused(.usedUp)])
        let record = try #require(try fixture.records.grant(grant))
        #expect(record.grant.used == 3 && record.lastUsed == start)
        let recorded = try fixture.records.uses(ofGrant: grant, limit: 10)
        #expect(recorded.map(\.number) == [3, 2, 1] && recorded.map(\.login.bits.low) == [3, 2, 1] && recorded[0].client == 3)
        #expect(try fixture.records.openGrantCount(at: start) == 0)
    }

    @Test(arguments: TestDatabases.all) func withoutANumberOfUsesItLastsUntilItsEnd(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let grant = try await give(fixture, uses: nil)
        for login in 1...5 as ClosedRange<UInt64> { #expect(fixture.settle(settlement(fixture, grant, login: login)) == [.done]) }
        #expect(fixture.settle(settlement(fixture, grant, login: 6, at: start + .minutes(60))) == [refused(.expired)])
        // A clock that was set back does not lengthen it.
        #expect(fixture.settle(settlement(fixture, grant, login: 7, at: start - .minutes(2))) == [refused(.early)])
        #expect(try uses(fixture) == 5)
    }

    @Test(arguments: TestDatabases.all) func theSameRequestIsDecidedOnce(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let grant = try await give(fixture, uses: 2)
        let first = settlement(fixture, grant)
        #expect(fixture.settle(first) == [.done])
        var again = settlement(fixture, grant, login: 2)
        again.decision.request = first.decision.request
        #expect(fixture.settle(again) == [.grantRefused(.open, first.decision)])
        // Renewed by a gateway that may: another packet, the same retry.
        var renewed = settlement(fixture, grant, login: 3)
        renewed.decision.retry = first.decision.retry
        #expect(fixture.settle(renewed) == [.grantRefused(.open, first.decision)])
        renewed.decision.retry = nil
        #expect(fixture.settle(renewed) == [.done])
        #expect(try uses(fixture) == 2)
    }

    @Test(arguments: TestDatabases.all) func aRefusedAcceptUsesNothingAndLeavesNoEvent(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let grant = try await give(fixture)
        let head = fixture.records.chain.head.seq
        var other = settlement(fixture, grant)
        other.user = 4_711
        guard case .changedMeanwhile = fixture.settle(other)[0] else {
            Issue.record("another user's grant was used")
            return
        }
        var bounded = settlement(fixture, grant)
        bounded.claim = SessionClaim(SessionLimit(0, .user), client: 3, station: nil, sessionID: nil, at: start)
        #expect(fixture.settle(bounded) == [.tooManySessions(open: 0)])
        #expect(try uses(fixture) == 0 && fixture.records.grant(grant)?.grant.used == 0 && fixture.records.chain.head.seq == head)
        #expect(fixture.settle(settlement(fixture, grant, login: 2)) == [.done])
    }

    @Test(arguments: TestDatabases.all) func aDisabledUserAndARevokedGrantOpenNothing(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let (user, grant) = (fixture.user, try await give(fixture, uses: nil))
        try await fixture.change { try await $0.setStatus(.disabled, ofUser: user, event: Event(.userChanged, at: start)) }
        #expect(fixture.settle(settlement(fixture, grant)) == [.changedMeanwhile])
        try await fixture.change { try await $0.setStatus(.active, ofUser: user, event: Event(.userChanged, at: start)) }
        #expect(fixture.settle(settlement(fixture, grant)) == [.done])
        try await fixture.change {
            try await $0.revokeGrant(grant, by: "cli:bob@vpn1", at: start + .seconds(5), event: Event(.grantRevoked, at: start))
        }
        #expect(fixture.settle(settlement(fixture, grant, login: 2)) == [refused(.revoked)])
        let record = try #require(try fixture.records.grant(grant))
        #expect(record.revoked == start + .seconds(5) && record.revoker == "cli:bob@vpn1")
        await #expect(throws: StoreError.self) {
            try await fixture.change { try await $0.revokeGrant(grant, by: "", at: start, event: Event(.grantRevoked, at: start)) }
        }
        #expect(fixture.settle(settlement(fixture, 999, login: 3)) == [refused(nil)])
    }

    /// Each statement of the transaction fails in turn: nobody is let in without the use, and no use is counted without the accept.
    @Test(arguments: TestDatabases.all) func noStatementThatFailsEndsInAnAccept(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let grant = try await give(fixture, uses: 50)
        var failing = 1
        var isOver = false
        while !isOver {
            let left = Mutex(Int.max)
            try fixture.reopen { _ throws(DatabaseError) in
                let isNext = left.withLock { left in
                    left -= 1
                    return left == 0
                }
                if isNext { throw DatabaseError(.inputOutput, "planted") }
            }
            let before = try #require(try fixture.records.grant(grant)).grant.used
            left.withLock { $0 = failing }
            let outcome = fixture.settle(settlement(fixture, grant, login: UInt64(failing)))[0]
            isOver = left.withLock { $0 > 0 }
            left.withLock { $0 = .max }
            let after = try #require(try fixture.records.grant(grant)).grant.used
            #expect(after == before + (outcome == .done ? 1 : 0), "statement \(failing): \(outcome)")
            #expect(try uses(fixture) == Int64(after), "statement \(failing): \(outcome)")
            if isOver { #expect(outcome == .done) }
            failing += 1
            try #require(failing < 40)
        }
        #expect(failing > 3)
        #expect(try fixture.records.verifyChain().isIntact)
    }

    // MARK: What a login reads

    @Test(arguments: TestDatabases.all) func whoHasNoneIsNotLookedUpAndWhoGetsOneIsReadAtOnce(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let none = try fixture.facts()
        #expect(none.grants.isEmpty && !none.mayHaveGrants)
        // Now it is in memory, where memory is kept.
        _ = try fixture.facts()
        let scope = Grant.Scope(clients: [3, 70_000], tags: ["vpn"])
        let grant = try await give(fixture, .code, uses: 2, scope: scope, code: "40718293")
        let facts = try fixture.facts()
        #expect(facts.grants.map(\.id) == [grant] && facts.mayHaveGrants)
        let read = try #require(facts.grants.first)
        #expect(read.kind == .code && read.scope == scope && read.uses == 2 && read.used == 0 && read.reason == "lost phone")
        #expect(read.issued == start && read.until == start + .minutes(60) && read.standing(at: start) == .open)
        #expect(read.digits == 8 && read.codeHash == fixture.records.temporaryCodeHash(Array("40718293".utf8), grant: grant))
        #expect(read.codeHash != fixture.records.temporaryCodeHash(Array("40718293".utf8), grant: grant + 1))
        // Uses are seen at once, and so is the end.
        #expect(fixture.settle(settlement(fixture, grant)) == [.done])
        #expect(try fixture.facts().grants.first?.used == 1)
        try await fixture.change { try await $0.revokeGrant(grant, by: "x", at: start, event: Event(.grantRevoked, at: start)) }
        #expect(try fixture.facts().grants.first?.standing(at: start) == .revoked)
        // Told for an hour behind its end, then nobody is looked up any more.
        let later = start + .minutes(60) + Records.grantsTold
        try await fixture.change { try await $0.housekeeping(at: later - .seconds(1)) }
        #expect(try fixture.facts(at: later - .seconds(1)).mayHaveGrants)
        try await fixture.change { try await $0.housekeeping(at: later) }
        #expect(try !fixture.facts(at: later).mayHaveGrants && fixture.records.grant(grant) != nil)
        try await fixture.change { try await $0.housekeeping(at: start + .minutes(60) + Records.grantsKept) }
        #expect(try fixture.records.grant(grant) == nil && uses(fixture) == 0)
    }

    @Test(arguments: TestDatabases.all) func housekeepingLeavesWhoHasAnotherThatIsOpen(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        _ = try await give(fixture, minutes: 10)
        let long = try await give(fixture, minutes: 24 * 60)
        let later = start + .minutes(120)
        try await fixture.change { try await $0.housekeeping(at: later) }
        #expect(try fixture.facts(at: later).grants.map(\.id) == [long])
    }

    @Test(arguments: TestDatabases.all) func aRowThatCannotBeReadOpensNothing(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        _ = try await give(fixture)
        try fixture.tamper("UPDATE access_grant SET scope = ?1", [.blob([1, 9])])
        let facts = try fixture.facts()
        #expect(facts.grants.isEmpty && facts.user != nil && facts.factors.count == 3)
    }

    // MARK: Lists, bounds, ends

    @Test(arguments: TestDatabases.all) func openOnesAreListedNewestFirst(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let (short, long) = (try await give(fixture, minutes: 1), try await give(fixture, uses: 2))
        let used = try await give(fixture)
        #expect(fixture.settle(settlement(fixture, used)) == [.done])
        func open(_ minutes: Int64) throws -> [Int64] {
            try fixture.records.grants(GrantFilter(user: fixture.user, openAt: start + .minutes(minutes), limit: 9)).map(\.grant.id)
        }
        #expect(try open(0) == [long, short] && open(1) == [long] && open(60) == [])
        #expect(try fixture.records.grants(GrantFilter(limit: 2)).map(\.grant.id) == [used, long])
        #expect(try fixture.records.grants(GrantFilter(before: long, limit: 2)).map(\.grant.id) == [short])
        #expect(try fixture.records.grants(GrantFilter(user: 999, limit: 2)).isEmpty)
        #expect(try fixture.records.openGrantCount(at: start) == 2)
    }

    @Test func oneUserHasTenOpenOnesAtMost() async throws {
        let fixture = try await Fixture()
        for _ in 1...Grant.mostOpen { _ = try await give(fixture) }
        await #expect(throws: StoreError.self) { _ = try await give(fixture) }
        // Those that are over do not count.
        _ = try await give(fixture, at: start + .minutes(60))
    }

    @Test(arguments: TestDatabases.all) func behindARestoreGrantsAreVoid(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let grant = try await give(fixture, uses: nil)
        _ = try await fixture.change { records in
            try await records.openEpoch(made: start, from: "vpn1", keepsRecoveryCodes: false, at: start) {
                Event(.restored, at: start, details: $0)
            }
        }
        #expect(fixture.settle(settlement(fixture, grant)) == [refused(.void)])
        #expect(try fixture.facts().grants.isEmpty && fixture.records.openGrantCount(at: start) == 0)
        #expect(try fixture.records.grant(grant)?.grant.standing(at: start) == .void)
        // One that is given now is good.
        let new = try await give(fixture)
        #expect(try fixture.facts().grants.map { $0.standing(at: start) } == [.open, .void])
        #expect(fixture.settle(settlement(fixture, new, login: 2)) == [.done])
    }

    @Test(arguments: TestDatabases.all) func whoIsErasedLeavesNoGrant(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let (user, grant) = (fixture.user, try await give(fixture, uses: 2))
        #expect(fixture.settle(settlement(fixture, grant)) == [.done])
        try await fixture.change { try await $0.beginErasure(ofUser: user, keys: ["alice"], event: Event(.userErased, at: start)) }
        #expect(try fixture.query("SELECT count(*) FROM access_grant")[0].integer(0) == 0 && uses(fixture) == 0)
    }

    @Test func scopesAreReadAsTheyWereWrittenAndNothingElseIs() {
        for scope in [Grant.Scope(), Grant.Scope(clients: [1, 1 << 40]), Grant.Scope(clients: [7], tags: ["vpn", "x"])] {
            #expect(Grant.Scope(stored: scope.stored) == scope)
            for length in 0..<scope.stored.count { #expect(Grant.Scope(stored: Array(scope.stored[..<length])) == nil) }
            #expect(Grant.Scope(stored: scope.stored + [0]) == nil)
        }
        #expect(Grant.Scope(stored: [1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]) == nil && Grant.Scope(stored: [2, 0, 0]) == nil)
    }
}
