// SPDX-License-Identifier: Apache-2.0
// Accepts of users who may not have any number of sessions, on every database.

import LoginEngine
import Testing

@testable import Store

@Suite struct SessionClaimTests {
    private func settlement(
        _ fixture: Fixture, _ login: UInt64, most: Int = 1, from station: String? = nil, sessionID: String? = nil, client: Int64 = 1,
        after: Int64 = 0, marks: [Mark] = []
    ) -> Settlement {
        let at = start + .seconds(after)
        var settlement = fixture.settlement(marks, at: at, login: login)
        settlement.claim = SessionClaim(SessionLimit(most, .user), client: client, station: station, sessionID: sessionID, at: at)
        return settlement
    }

    private func report(
        _ fixture: Fixture, _ kind: AccountingRecord.Kind, _ session: String, from station: String? = nil, client: Int64 = 1,
        after: Int64 = 0, name: String = "alice", login: UInt64? = nil
    ) {
        var record = AccountingRecord(
            kind, client: client, gateway: "vpn1", sessionID: session, source: NetworkAddress(v4: 0xC000_0201), at: start + .seconds(after),
            read: start + .seconds(after))
        record.name = name
        record.nameKey = name
        record.station = station
        record.login = login.map { LoginID(Bits128(high: 7, low: $0)) }
        fixture.records.account([AccountingEntry(record) { #expect($0 == nil) }])
        fixture.records.writer.commitNow()
    }

    private func claims(_ fixture: Fixture) throws -> Int64 {
        try fixture.query("SELECT count(*) FROM session_claim")[0].integer(0)
    }

    /// Neither has a Start yet.
    @Test(arguments: TestDatabases.all, [true, false]) func ofTwoLoginsAtOnceOneGetsIn(_ kind: TestDatabases, inOneGroup: Bool) async throws
    {
        let fixture = try await Fixture(kind)
        let logins = [settlement(fixture, 1, from: "198.51.100.7"), settlement(fixture, 2, from: "203.0.113.9")]
        let outcomes = fixture.settle(inOneGroup ? [logins] : logins.map { [$0] })
        #expect(outcomes == [.done, .tooManySessions(open: 1)])
        #expect(try claims(fixture) == 1)
        // It says nothing of others.
        #expect(fixture.settle(fixture.settlement([], login: 3)) == [.done])
    }

    @Test(arguments: TestDatabases.all) func accountingDrivesTheNumber(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        #expect(fixture.settle(settlement(fixture, 1, from: "198.51.100.7")) == [.done])
        report(fixture, .start, "a", from: "198.51.100.7", after: 1)
        #expect(try claims(fixture) == 0)
        // Long after the claim the session holds the place.
        #expect(fixture.settle(settlement(fixture, 2, from: "203.0.113.9", after: 9_000)) == [.tooManySessions(open: 1)])
        #expect(fixture.settle(settlement(fixture, 3, most: 2, from: "203.0.113.9", after: 9_000)) == [.done])
        report(fixture, .start, "b", from: "203.0.113.9", after: 9_001)
        #expect(fixture.settle(settlement(fixture, 4, most: 2, from: "203.0.113.10", after: 9_500)) == [.tooManySessions(open: 2)])
        report(fixture, .stop, "a", from: "198.51.100.7", after: 9_600)
        #expect(fixture.settle(settlement(fixture, 5, most: 2, from: "203.0.113.10", after: 9_700)) == [.done])
    }

    @Test(arguments: TestDatabases.all) func aSessionThatIsLostHoldsNoPlace(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        report(fixture, .start, "a", from: "198.51.100.7")
        #expect(fixture.settle(settlement(fixture, 1, from: "203.0.113.9", after: 600)) == [.tooManySessions(open: 1)])
        #expect(try await fixture.change { try await $0.endSessions(notHeardSince: start + .seconds(60)) } == 1)
        #expect(fixture.settle(settlement(fixture, 2, from: "203.0.113.9", after: 600)) == [.done])
        // It lives after all.
        report(fixture, .update, "a", from: "198.51.100.7", after: 700)
        #expect(fixture.settle(settlement(fixture, 3, from: "203.0.113.10", after: 900)) == [.tooManySessions(open: 1)])
    }

    @Test(arguments: TestDatabases.all) func aDeviceThatComesBackIsLetIn(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        for login in 1...3 as ClosedRange<UInt64> {
            #expect(fixture.settle(settlement(fixture, login, from: "198.51.100.7", after: Int64(login))) == [.done])
        }
        #expect(try claims(fixture) == 1)
        report(fixture, .start, "a", from: "198.51.100.7", after: 4)
        #expect(fixture.settle(settlement(fixture, 5, from: "198.51.100.7", after: 3_600)) == [.done])
        // The same Acct-Session-Id is the same session, where no station is told.
        #expect(fixture.settle(settlement(fixture, 6, from: nil, sessionID: "a", after: 3_900)) == [.done])
    }

    @Test(arguments: TestDatabases.all) func whatIsNeverReportedHoldsItsPlaceForTwoMinutes(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        #expect(fixture.settle(settlement(fixture, 1)) == [.done])
        #expect(fixture.settle(settlement(fixture, 2, after: 119)) == [.tooManySessions(open: 1)])
        #expect(fixture.settle(settlement(fixture, 3, after: 120)) == [.done])
        #expect(try claims(fixture) == 1)
        // A clock that was set back by more does not lock anybody out.
        #expect(fixture.settle(settlement(fixture, 4, after: 0)) == [.done])
    }

    @Test(arguments: TestDatabases.all) func aStartTakesTheClaimThatItCameOf(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let claims = [
            settlement(fixture, 1, most: 9), settlement(fixture, 2, most: 9, from: "198.51.100.7"),
            settlement(fixture, 3, most: 9, sessionID: "x"), settlement(fixture, 4, most: 9, from: "203.0.113.9"),
        ]
        #expect(fixture.settle([claims]) == [.done, .done, .done, .done])
        func left() throws -> [UInt64] {
            try fixture.query("SELECT login FROM session_claim ORDER BY id").map { Bits128(try $0.blob(0))?.low ?? 0 }
        }
        report(fixture, .start, "a", from: "203.0.113.10", login: 4)
        #expect(try left() == [1, 2, 3])
        report(fixture, .start, "x", from: "203.0.113.10")
        #expect(try left() == [1, 2])
        report(fixture, .start, "b", from: "198.51.100.7")
        #expect(try left() == [1])
        report(fixture, .start, "c", from: "198.51.100.7", client: 2)
        report(fixture, .start, "d", from: "198.51.100.7", name: "mallory")
        #expect(try left() == [1])
        report(fixture, .start, "e", from: "203.0.113.99")
        #expect(try left() == [])
    }

    @Test(arguments: TestDatabases.all) func aRefusedAcceptUsesNothingUp(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        report(fixture, .start, "a", from: "198.51.100.7")
        let marks: [Mark] = [.totp(factor: fixture.totp, step: 100)]
        let recovery: [Mark] = [.recovery(factor: fixture.recovery, hash: fixture.recoveryHash)]
        let head = fixture.records.chain.head.seq
        #expect(fixture.settle(settlement(fixture, 1, from: "203.0.113.9", marks: marks)) == [.tooManySessions(open: 1)])
        #expect(fixture.settle(settlement(fixture, 2, from: "203.0.113.9", marks: recovery)) == [.tooManySessions(open: 1)])
        #expect(try fixture.unfolded == 0 && fixture.records.chain.head.seq == head)
        #expect(try claims(fixture) == 0)
        report(fixture, .stop, "a", after: 60)
        #expect(fixture.settle(settlement(fixture, 3, from: "203.0.113.9", after: 60, marks: marks)) == [.done])
        // A retry of what was accepted hears so, and not that there is a session too many.
        let again = settlement(fixture, 4, from: "203.0.113.10", after: 61, marks: marks)
        guard case .markUsed(.some) = fixture.settle(again)[0] else {
            Issue.record("the mark was taken twice")
            return
        }
        #expect(fixture.settle(settlement(fixture, 5, from: "203.0.113.9", after: 62, marks: recovery)) == [.done])
    }

    @Test(arguments: TestDatabases.all) func aRowThatCannotBeReadCounts(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        guard kind == .sqlite else { return }
        report(fixture, .start, "a", from: "198.51.100.7")
        try fixture.tamper("UPDATE session SET started = 'soon'")
        #expect(fixture.settle(settlement(fixture, 1, from: "198.51.100.7")) == [.tooManySessions(open: 1)])
    }

    @Test(arguments: TestDatabases.all) func numbersAreKept(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        #expect(try fixture.facts().user?.mostSessions == nil)
        var alice = try #require(try fixture.records.user(id: fixture.user))
        alice.mostSessions = 2
        let changed = alice
        try await fixture.change { try await $0.updateUser(changed, event: Event(.userChanged, at: start)) }
        #expect(try fixture.facts().user?.mostSessions == 2)
        #expect(try fixture.records.user(id: fixture.user)?.mostSessions == 2 && fixture.records.countOfLimitedUsers() == 1)
        let group = try await fixture.change { try await $0.addGroup(name: "staff", event: Event(.groupAdded, at: start)) }
        try await fixture.change { try await $0.setMostSessions(3, ofGroup: group, event: Event(.groupChanged, at: start)) }
        #expect(try fixture.records.group(name: "staff")?.mostSessions == 3)
        try await fixture.change { try await $0.setMostSessions(nil, ofGroup: group, event: Event(.groupChanged, at: start)) }
        #expect(try fixture.records.group(name: "staff")?.mostSessions == nil)
        var rule = PolicyRule(name: "staff", requirement: .password)
        rule.mostSessions = 4
        let body = PolicyBody(rule, names: PolicyNames(clients: [:], groups: [:]))
        #expect(PolicyBody(json: body.json)?.rule(named: "staff") == rule)
    }

    @Test(arguments: TestDatabases.all) func whoIsErasedClaimsNothing(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let user = fixture.user
        #expect(fixture.settle(settlement(fixture, 1, from: "198.51.100.7")) == [.done])
        try await fixture.change { try await $0.beginErasure(ofUser: user, keys: ["alice"], event: Event(.userErased, at: start)) }
        #expect(try claims(fixture) == 0)
    }
}
