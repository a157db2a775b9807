// SPDX-License-Identifier: Apache-2.0
// One person is erased from every group, whatever breaks meanwhile, and nobody else is.

import Foundation
import LoginEngine
import Synchronization
import Testing

@testable import Store

@Suite struct ErasureTests {
    /// Groups of Alice, of Bob and of nobody who typed a name; returns how many events say something of Alice.
    private func fill(_ fixture: Fixture, groups: Int) throws {
        for group in 0..<groups {
            let events: [(Int64?, String)] = [(fixture.user, "Alice"), (77, "Bob"), (nil, "ALICE"), (nil, "carol"), (77, "alice")]
            for (user, name) in events {
                fixture.records.remember(
                    .event(
                        Event(
                            .loginRejected, at: start + .seconds(Int64(group)), user: user, client: 3,
                            subject: PersonalFields([.init("name", name), .init("station", "station of \(name)")]),
                            actor: PersonalFields([.init("actor", "cli:anna@vpn1")]))))
            }
            fixture.records.writer.commitNow()
        }
    }

    private func begin(_ fixture: Fixture) async throws {
        let user = fixture.user
        try await fixture.change {
            try await $0.beginErasure(ofUser: user, keys: ["alice", "alice@example.org"], event: Event(.userErased, at: start))
        }
    }

    private func check(_ fixture: Fixture) throws {
        let report = try fixture.records.verifyChain()
        #expect(report.findings == [])
        for record in try fixture.records.events(EventFilter(limit: .max)) where record.event.kind == .loginRejected {
            let name = record.event.subject["name"]
            // Another user of today has the name that Alice had once; what is theirs stays.
            #expect(name != "Alice" && name != "ALICE" && (record.event.user == 77 || name == nil || name == "carol"), "\(record)")
            #expect(record.isErased == (name == nil) && record.event.actor["actor"] == "cli:anna@vpn1")
        }
        // Neither values nor salts are left, in no column.
        let personal = try fixture.query("SELECT body FROM event_personal")
        for row in personal {
            let text = String(decoding: try row.blob(0), as: UTF8.self)
            #expect(!text.contains("Alice") && !text.contains("ALICE"))
        }
        #expect(try fixture.query("SELECT count(*) FROM user_name")[0].integer(0) == 0)
        #expect(try fixture.query("SELECT count(*) FROM factor")[0].integer(0) == 0)
        #expect(try fixture.query("SELECT count(*) FROM erasure")[0].integer(0) == 0)
    }

    @Test(arguments: TestDatabases.all) func personGoesFromEveryGroupAndNobodyElseDoes(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, groups: 150)
        try await begin(fixture)
        #expect(try fixture.records.user(key: "alice") == nil)
        #expect(try await fixture.change { try await $0.continueErasures(settledBefore: start, at: start) }.ended == 0)
        // Under way when it began, and written behind it.
        try fill(fixture, groups: 1)
        #expect(try await fixture.change { try await $0.continueErasures(settledBefore: start + .seconds(1), at: start) }.ended == 1)
        try check(fixture)
        let last = try fixture.records.events(EventFilter(limit: 1))[0].event
        // The user's own event, and two of each group.
        #expect(last.kind == .userErased && last.user == fixture.user && last["events"] == "\(1 + 2 * 151)")
        // What is written about that name afterwards is not theirs.
        fixture.records.remember(.event(Event(.loginRejected, at: start, subject: PersonalFields([.init("name", "alice")]))))
        fixture.records.writer.commitNow()
        #expect(try await fixture.change { try await $0.continueErasures(settledBefore: start + .seconds(1), at: start) }.ended == 0)
        #expect(try fixture.records.events(EventFilter(limit: 1))[0].event.subject["name"] == "alice")
    }

    /// A change of password by MS-CHAPv2 once named the user as its actor.
    @Test(arguments: TestDatabases.all) func personGoesAsAnActorToo(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let events: [(user: Int64, actor: String)] = [
            (fixture.user, "user:alice@office"), (fixture.user, "cli:alice@vpn1"), (77, "user:bob@office"),
        ]
        for (user, actor) in events {
            fixture.records.remember(
                .event(
                    Event(
                        .userChanged, at: start, user: user, details: [.init("change", "password set")],
                        subject: PersonalFields([.init("name", "someone")]), actor: PersonalFields([.init("actor", actor)]))))
        }
        fixture.records.writer.commitNow()
        try await begin(fixture)
        #expect(try await fixture.change { try await $0.continueErasures(settledBefore: start + .seconds(1), at: start) }.ended == 1)
        let changes = try fixture.records.events(EventFilter(limit: .max)).filter { $0.event.kind == .userChanged }
        // Newest first.
        #expect(changes.map { $0.event.actor["actor"] } == ["user:bob@office", "cli:alice@vpn1", nil])
        #expect(changes.map(\.isErased) == [false, true, true])
        #expect(try fixture.records.verifyChain().findings == [])
        let last = try fixture.records.events(EventFilter(limit: 1))[0].event
        // Its own event too; an event from which two things were taken is one.
        #expect(last.kind == .userErased && last["events"] == "3")
    }

    @Test func rowAndEventComeTogetherOrNotAtAll() async throws {
        let fixture = try await Fixture()
        try fixture.reopen { sql throws(DatabaseError) in if sql.contains("INSERT INTO erasure") { throw DatabaseError(.full, "test") } }
        await #expect(throws: StoreError.self) { try await begin(fixture) }
        #expect(try fixture.records.user(key: "alice") != nil && fixture.records.erasures() == [])
        #expect(try fixture.records.verifyChain().isIntact)
    }

    /// Ends the process, so to say, before each of its writes in turn.
    @Test func erasingGoesOnAfterAKillBetweenAnyTwoSteps() async throws {
        var writes = 0
        var isOver = false
        while !isOver {
            let fixture = try await Fixture()
            try fill(fixture, groups: 140)
            let left = Mutex(writes)
            try fixture.reopen { sql throws(DatabaseError) in
                guard sql.contains("BEGIN IMMEDIATE") else { return }
                let isDead = left.withLock { left in
                    left -= 1
                    return left < 0
                }
                if isDead { throw DatabaseError(.inputOutput, "killed") }
            }
            do {
                try await begin(fixture)
                _ = try await fixture.change { try await $0.continueErasures(settledBefore: start + .seconds(1), at: start) }
                isOver = true
            } catch {}
            try fixture.reopen(at: start + .minutes(1))
            if try fixture.records.user(key: "alice") != nil {
                #expect(writes == 0, "the user goes with the first write")
                try await begin(fixture)
            }
            let later = start + .minutes(5)
            _ = try await fixture.change { try await $0.continueErasures(settledBefore: later, at: later) }
            try check(fixture)
            writes += 1
        }
        #expect(writes > 4)
    }

    // MARK: Rows that no node wrote

    private func proceed(_ fixture: Fixture) async throws -> ErasureProgress {
        try await fixture.change { try await $0.continueErasures(settledBefore: start + .seconds(1), at: start + .seconds(2)) }
    }

    private func names(_ fixture: Fixture) throws -> [String?] {
        try fixture.records.events(EventFilter(limit: .max)).filter { $0.event.kind == .loginRejected }.map { $0.event.subject["name"] }
    }

    private func plant(_ fixture: Fixture, requested: Int64) throws {
        try fixture.tamper(
            "INSERT INTO erasure (\"user\", requested, keys, position, events) VALUES (?1, ?2, 'carol', 0, 0)",
            [.integer(fixture.user), .integer(requested)])
    }

    @Test(arguments: TestDatabases.all) func plantedRowErasesNothingAndIsTold(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, groups: 3)
        let before = try names(fixture)
        try plant(fixture, requested: 0)
        #expect(try await proceed(fixture) == ErasureProgress(refused: [fixture.user]))
        // Told once, and refused all the same.
        #expect(try await proceed(fixture) == ErasureProgress())
        #expect(try names(fixture) == before)
        var filter = EventFilter(limit: 1)
        filter.kinds = [.userErased]
        #expect(try fixture.records.events(filter) == [])
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.map(\.kind) == [.personal] && findings[0].text.contains("user \(fixture.user)"), "\(findings)")
        // It does not keep the true one from beginning.
        try await begin(fixture)
        #expect(try await proceed(fixture).ended == 1)
        #expect(try fixture.records.verifyChain().findings == [])
        // Nor does it come back behind its end.
        try plant(fixture, requested: 5)
        #expect(try await proceed(fixture) == ErasureProgress(refused: [fixture.user]))
        #expect(try fixture.records.verifyChain().findings.map(\.kind) == [.personal])
        #expect(try names(fixture).contains("carol"))
    }

    @Test(arguments: TestDatabases.all, ["keys = 'alice carol'", "seal = NULL, keys = 'carol'", "position = 9999"])
    func changedRowReachesNobodyElseAndIsNotSkipped(_ kind: TestDatabases, _ change: String) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, groups: 3)
        try await begin(fixture)
        try fixture.tamper("UPDATE erasure SET \(change.replacing(" c", with: "\nc"))")
        #expect(try await proceed(fixture).ended == 1)
        let left = try names(fixture)
        #expect(left.count(where: { $0 == "carol" }) == 3 && !left.contains("Alice"))
    }

    @Test(arguments: TestDatabases.all) func endWithoutABeginningIsTold(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let end = Event(.userErased, at: start, user: fixture.user, details: [.init("events", "3")])
        fixture.records.remember(.event(end))
        fixture.records.writer.commitNow()
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.map(\.kind) == [.personal] && findings[0].seq == fixture.records.chain.head.seq, "\(findings)")
    }

    @Test(arguments: TestDatabases.all) func erasureWhoseRowIsTakenAwayIsTold(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try await begin(fixture)
        #expect(try fixture.records.verifyChain().findings == [])
        let begun = fixture.records.chain.head.seq
        try fixture.tamper("DELETE FROM erasure")
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.map(\.kind) == [.personal] && findings[0].seq == begun, "\(findings)")
    }

    @Test(arguments: TestDatabases.all) func erasureOfAnEarlierReleaseGoesOn(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, groups: 3)
        try await begin(fixture)
        // As before the rows were sealed.
        for undone in [
            "ALTER TABLE erasure DROP COLUMN seal", "DROP TABLE session", "DROP TABLE session_claim",
            "DROP TABLE invitation", "DROP TABLE outbox", "DROP TABLE channel",
            "DROP TABLE grant_use", "DROP TABLE access_grant", "ALTER TABLE \"user\" DROP COLUMN granted_until",
            "ALTER TABLE \"user\" DROP COLUMN most_sessions", "ALTER TABLE \"group\" DROP COLUMN most_sessions",
            "ALTER TABLE client DROP COLUMN disconnect_port",
            "ALTER TABLE client DROP COLUMN charset", "ALTER TABLE client DROP COLUMN eap",
            "ALTER TABLE client DROP COLUMN psk_identity", "ALTER TABLE client DROP COLUMN psk",
            "DROP TABLE directory_sync", "DROP INDEX group_by_entry", "ALTER TABLE \"group\" DROP COLUMN entry_directory",
            "ALTER TABLE \"group\" DROP COLUMN entry_key", "ALTER TABLE \"user\" DROP COLUMN sync_disabled",
            "DROP INDEX user_by_entry", "ALTER TABLE \"user\" DROP COLUMN entry_directory", "ALTER TABLE \"user\" DROP COLUMN entry_key",
            "DROP TABLE directory", "DROP INDEX user_by_directory", "ALTER TABLE \"user\" DROP COLUMN directory",
            "ALTER TABLE login_handle DROP COLUMN source_word",
            "DROP TABLE device", "DROP TABLE certificate", "DROP TABLE authority",
            "DROP TABLE client_realm", "ALTER TABLE client DROP COLUMN directory", "ALTER TABLE \"group\" DROP COLUMN directory",
            "DELETE FROM schema_version WHERE number >= \(Erasure.sealedSince)",
        ] {
            try fixture.tamper(undone)
        }
        try fixture.reopen(at: start + .seconds(1))
        #expect(try fixture.records.erasures().map(\.keys) == [["alice", "alice@example.org"]])
        #expect(try await proceed(fixture).ended == 1)
        try check(fixture)
    }

    @Test(arguments: TestDatabases.all) func erasureGoesOnUnderANewMasterKey(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, groups: 3)
        try await begin(fixture)
        _ = try await fixture.change { records in
            try await records.rotateKey(
                at: start, begun: { _ in Event(.keyRotationBegun, at: start) }, done: { _ in Event(.keyRotated, at: start) })
        }
        try fixture.reopen(at: start + .seconds(1))
        #expect(try fixture.records.erasures().map(\.keys) == [["alice", "alice@example.org"]])
        #expect(try await proceed(fixture).ended == 1)
        try check(fixture)
    }
}
