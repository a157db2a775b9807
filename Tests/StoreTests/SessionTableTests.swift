// SPDX-License-Identifier: Apache-2.0
// Sessions as they are kept, on every database.

import LoginEngine
import Testing

@testable import Store

@Suite struct SessionTableTests {
    private static func record(
        _ kind: AccountingRecord.Kind, _ session: String = "7f", after: Int64 = 0, name: String = "alice", seconds: Int64? = nil,
        input: Int64 = 0, gateway: String = "vpn1", client: Int64 = 1, change: (inout AccountingRecord) -> Void = { _ in }
    ) -> AccountingRecord {
        var record = AccountingRecord(
            kind, client: client, gateway: gateway, sessionID: kind.isOfGateway ? "" : session, source: NetworkAddress(v4: 0xC000_0201),
            at: start + .seconds(after), read: start + .seconds(after))
        record.name = name
        record.nameKey = name.lowercased()
        record.hasTime = seconds != nil
        record.figures = SessionFigures(seconds: seconds ?? 0, input: input, output: 3 * input)
        change(&record)
        return record
    }

    /// In one group; what each was told.
    @discardableResult
    private func account(_ fixture: Fixture, _ records: [AccountingRecord]) -> [NoAnswer?] {
        let answers = Collected<NoAnswer?>()
        fixture.records.account(records.map { AccountingEntry($0) { answers.add($0) } })
        fixture.records.writer.commitNow()
        return answers.all
    }

    private func all(_ fixture: Fixture, _ change: (inout SessionFilter) -> Void = { _ in }) throws -> [GatewaySession] {
        var filter = SessionFilter()
        change(&filter)
        return try fixture.records.sessions(filter, limit: 100)
    }

    @Test(arguments: TestDatabases.all) func aWholeSessionInOneGroupIsOneRow(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let login = LoginID(Bits128(high: 3, low: 4))
        let head = fixture.records.chain.head.seq
        let answers = account(
            fixture,
            [
                Self.record(.start) {
                    $0.station = "198.51.100.7"
                    $0.addresses = "10.0.0.7 2001:db8::5"
                    $0.port = .max
                    $0.groupClass = "staff"
                    $0.login = login
                }, Self.record(.start), Self.record(.update, after: 60, seconds: 60, input: 10),
                Self.record(.stop, after: 90, seconds: 90, input: 20) { $0.cause = 4 },
                Self.record(.stop, after: 95, seconds: 90, input: 20) { $0.cause = 4 },
            ])
        #expect(answers == [nil, nil, nil, nil, nil])
        let found = try all(fixture)
        let session = try #require(found.first)
        #expect(found.count == 1)
        #expect(session.user == fixture.user && session.name == "alice" && session.login == login && session.gateway == "vpn1")
        #expect(session.station == "198.51.100.7" && session.addresses == "10.0.0.7 2001:db8::5" && session.port == .max)
        #expect(session.groupClass == "staff" && session.source == NetworkAddress(v4: 0xC000_0201) && session.sessionID == "7f")
        #expect(session.started == start && session.hasStart && session.heard == start + .seconds(95))
        #expect(session.ended == start + .seconds(90) && session.ending == .stopped && session.cause == 4)
        #expect(session.figures == SessionFigures(seconds: 90, input: 20, output: 60))
        #expect(try fixture.records.session(id: session.id) == session)
        // Records would bury what the trail is for.
        #expect(fixture.records.chain.head.seq == head)
    }

    @Test(arguments: TestDatabases.all) func groupsInAnyOrderEndInTheSameRow(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        account(fixture, [Self.record(.stop, after: 90, seconds: 90, input: 20)])
        account(fixture, [Self.record(.start)])
        account(fixture, [Self.record(.update, after: 60, seconds: 60, input: 10)])
        let found = try all(fixture)
        #expect(found.count == 1 && found[0].hasStart && found[0].ended == start + .seconds(90) && found[0].figures.input == 20)
    }

    @Test(arguments: TestDatabases.all) func aGatewayThatStartsEndsItsOwnSessionsAlone(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let client = try await fixture.change { records in
            try await records.addClient(
                ClientSettings(name: "vpn", addresses: [], secret: Secret(utf8: "secret")), event: Event(.clientAdded, at: start)
            ).id
        }
        // In one group, and the Start after the restart in it too.
        account(
            fixture,
            [
                Self.record(.start, "a", client: client), Self.record(.start, "b", gateway: "vpn2", client: client),
                Self.record(.start, "c", client: client + 1), Self.record(.gatewayOn, after: 60, client: client),
                Self.record(.start, "d", after: 61, client: client), Self.record(.start, "a", after: 62, client: client),
            ])
        let open = try all(fixture) { $0.isOpen = true }
        #expect(Set(open.map { "\($0.sessionID)\($0.started.seconds - start.seconds)" }) == ["b0", "c0", "d61", "a62"])
        let over = try all(fixture) { $0.isOpen = false }
        #expect(over.map(\.sessionID) == ["a"] && over[0].ending == .gatewayRestarted && over[0].ended == start + .seconds(60))
        // A retry that is read later, and says so, ends nothing more.
        account(fixture, [Self.record(.gatewayOn, after: 60, client: client)])
        #expect(try fixture.records.openSessions() == 4)
        account(fixture, [Self.record(.gatewayOff, after: 100, client: client)])
        #expect(try fixture.records.openSessions() == 2)
    }

    @Test(arguments: TestDatabases.all) func namesThatNobodyHasAreKeptToo(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        account(
            fixture,
            [
                Self.record(.start, "a", name: "Mallory"), Self.record(.start, "b", name: "ALICE@example.org"),
                Self.record(.start, "c", name: "") { $0.nameKey = nil },
            ])
        #expect(try all(fixture).map(\.user) == [nil, fixture.user, nil])
        #expect(try all(fixture) { $0.nameKey = "mallory" }.map(\.sessionID) == ["a"])
        #expect(try all(fixture) { $0.user = fixture.user }.map(\.sessionID) == ["b"])
    }

    @Test(arguments: TestDatabases.all) func trafficIsSummedByUserAndClient(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        account(
            fixture,
            [
                Self.record(.stop, "a", after: 10, seconds: 10, input: 5), Self.record(.update, "b", after: 20, seconds: 20, input: 7),
                Self.record(.stop, "c", after: 10, seconds: 10, input: 100, client: 2),
                Self.record(.stop, "d", after: 10, name: "bob", seconds: 1, input: 1),
            ])
        let traffic = try fixture.records.traffic(SessionFilter(), limit: 10)
        #expect(traffic.map(\.name) == ["alice", "alice", "bob"])
        #expect(traffic.map(\.client) == [2, 1, 1])
        #expect(
            traffic[1]
                == SessionTraffic(
                    name: "alice", user: fixture.user, client: 1, sessions: 2, open: 1, seconds: 30, input: 12, output: 36))
        var since = SessionFilter()
        since.since = start + .seconds(11)
        #expect(try fixture.records.traffic(since, limit: 10).map(\.sessions) == [1])
    }

    @Test(arguments: TestDatabases.all) func silentSessionsAreLostAndOldOnesGo(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        account(
            fixture, [Self.record(.start, "a"), Self.record(.start, "b", after: 100), Self.record(.stop, "c", after: 50, seconds: 50)])
        #expect(try await fixture.change { try await $0.endSessions(notHeardSince: start + .seconds(100)) } == 1)
        let lost = try #require(try all(fixture).last)
        #expect(lost.sessionID == "a" && lost.ending == .lost && lost.ended == start)
        #expect(try await fixture.change { try await $0.removeSessions(endedBefore: start + .seconds(50)) } == 1)
        #expect(try all(fixture).map(\.sessionID) == ["c", "b"])
        // It was not lost after all, only silent.
        account(fixture, [Self.record(.update, "b", after: 5000, seconds: 4900)])
        #expect(try fixture.records.openSessions() == 1)
    }

    @Test(arguments: TestDatabases.all) func anErasedPersonsSessionsGo(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        account(
            fixture,
            [
                Self.record(.start, "a"), Self.record(.start, "b", name: "bob"),
                // Reported before the user was there.
                Self.record(.start, "c", name: "alice.old"),
            ])
        let user = fixture.user
        try await fixture.change {
            try await $0.beginErasure(ofUser: user, keys: ["alice", "alice.old"], event: Event(.userErased, at: start))
        }
        #expect(try all(fixture).map(\.sessionID) == ["b"])
        // Its gateway reports the end while the trail is looked through.
        account(fixture, [Self.record(.stop, "a", after: 1, seconds: 1)])
        #expect(try all(fixture).count == 2)
        #expect(try await fixture.change { try await $0.continueErasures(settledBefore: start + .seconds(2), at: start) }.ended == 1)
        #expect(try all(fixture).map(\.sessionID) == ["b"])
    }

    @Test func aFullQueueAcknowledgesNothing() async throws {
        let fixture = try await Fixture()
        var limits = GroupCommit.Limits()
        limits.waiting = 2
        try fixture.reopen(limits: limits)
        let answers = account(fixture, (0..<4).map { Self.record(.start, "\($0)") })
        #expect(answers.filter { $0 == .overloaded }.count == 2 && answers.filter { $0 == nil }.count == 2)
        #expect(try all(fixture).count == 2)
    }

    @Test(arguments: TestDatabases.all) func aLowDiskIsLeftToAccepts(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        fixture.records.sparesSpace = true
        #expect(account(fixture, [Self.record(.start), Self.record(.stop, after: 9)]) == [.databaseUnavailable, .databaseUnavailable])
        #expect(try all(fixture).isEmpty)
        fixture.records.sparesSpace = false
        #expect(account(fixture, [Self.record(.start)]) == [nil])
        #expect(try all(fixture).count == 1)
    }

    @Test(arguments: TestDatabases.all) func whatWasNotWrittenIsNotAcknowledged(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let isBroken = Collected<Bool>()
        try fixture.reopen { (sql: String) throws(DatabaseError) in
            if sql.hasPrefix("COMMIT"), !isBroken.all.isEmpty { throw DatabaseError(.inputOutput, "the disk is gone") }
        }
        isBroken.add(true)
        #expect(account(fixture, [Self.record(.start)]) == [.databaseUnavailable])
    }
}
