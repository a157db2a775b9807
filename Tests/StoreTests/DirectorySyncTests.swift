// SPDX-License-Identifier: Apache-2.0
// What a sync reads and writes, on every database.

import LoginEngine
import Testing

@testable import Store

@Suite struct DirectorySyncTests {
    private func directory(_ fixture: Fixture) async throws -> Int64 {
        var settings = DirectorySettings(name: "corp", servers: [], secret: Secret(utf8: "pw"))
        settings.kind = .ldap
        settings.ldap = LDAPSettings(.ldap)
        settings.syncEvery = .seconds(900)
        let wanted = settings
        let id = try await fixture.change { try await $0.addDirectory(wanted, event: Event(.directoryAdded, at: start)) }
        #expect(try fixture.records.directories() == [Directory(id: id, settings: wanted)])
        return id
    }

    private func new(_ name: String, _ entry: String, aliases: [String] = [], groups: [Int64] = []) -> NewSyncedUser {
        NewSyncedUser(
            name: name, key: name.lowercased(), entry: entry, aliases: aliases.map { UserAlias(name: $0, key: $0) }, groups: groups,
            event: Event(.userAdded, at: start))
    }

    private func state(_ fixture: Fixture, _ directory: Int64) throws -> SyncState {
        try fixture.records.syncState(ofDirectory: directory, groups: "corp/", adopting: ["alice"])
    }

    @Test(arguments: TestDatabases.all) func whatIsWrittenIsReadAgain(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let corp = try await directory(fixture)
        let groups = try await fixture.change { records in
            try await records.addSyncedGroups(
                [("corp/a", "g1", Event(.groupAdded, at: start)), ("corp/b", "g2", Event(.groupAdded, at: start))], directory: corp)
        }
        let users = [new("Bob", "e1", aliases: ["b@corp"], groups: [groups[0], 9_999]), new("Carol", "e2")]
        try await fixture.change { try await $0.addSynced(users, directory: corp, at: start) }
        try await fixture.change { records in
            try await records.changeInner([(groups[1], groups[0], true), (groups[1], groups[0], true)], events: [])
        }
        var read = try state(fixture, corp)
        #expect(read.users.map(\.name) == ["Bob", "Carol", "Alice"] && read.users.map(\.entry) == ["e1", "e2", nil])
        #expect(read.users[0].aliases == [SyncedUser.Alias(name: "b@corp", key: "b@corp", isSynced: true)])
        #expect(read.names["b@corp"] == read.users[0].id && read.names["alice@example.org"] == fixture.user)
        #expect(read.groups.map(\.entry) == ["g1", "g2"])
        #expect(read.members == [groups[0]: [read.users[0].id]] && read.inner == [groups[1]: [groups[0]]])
        var members = SyncedMembers(group: groups[1])
        members.joins = [read.users[1].id, 9_999]
        let joining = members
        try await fixture.change { try await $0.changeMembers([joining]) }
        members = SyncedMembers(group: groups[0])
        members.leaves = [read.users[0].id]
        let leaving = members
        try await fixture.change { try await $0.changeMembers([leaving]) }
        try await fixture.change { try await $0.changeInner([(groups[1], groups[0], false)], events: []) }
        try await fixture.change { records in
            try await records.changeSyncedGroups(
                [
                    (groups[0], "corp/b", "g1", Event(.groupChanged, at: start)),
                    (groups[1], "corp/a", "g2", Event(.groupChanged, at: start)),
                ],
                directory: corp)
        }
        read = try state(fixture, corp)
        #expect(read.groups.map(\.name) == ["corp/b", "corp/a"])
        #expect(read.members == [groups[1]: [read.users[1].id]] && read.inner.isEmpty)
        #expect(try fixture.records.verifyChain().findings == [])
    }

    @Test(arguments: TestDatabases.all) func namesGoRoundInOneStepOrNotAtAll(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let corp = try await directory(fixture)
        let users = [new("bob", "e1", aliases: ["b"]), new("carol", "e2")]
        try await fixture.change { try await $0.addSynced(users, directory: corp, at: start) }
        let before = try state(fixture, corp).users
        func renamed(_ user: SyncedUser, _ name: String, aliases: [String] = [], drops: [String] = []) -> SyncedUserChange {
            var result = user
            (result.name, result.key) = (name, name)
            var change = SyncedUserChange(result, was: user, entry: user.entry ?? "", event: Event(.userChanged, at: start))
            change.isRenamed = name != user.key
            change.drops = (change.isRenamed ? [user.key] : []) + drops
            change.aliases = aliases.map { UserAlias(name: $0, key: $0) }
            return change
        }
        let round = [renamed(before[0], "carol", drops: ["b"]), renamed(before[1], "bob", aliases: ["b"])]
        try await fixture.change { try await $0.changeSynced(round, directory: corp) }
        let after = try state(fixture, corp)
        #expect(after.users.prefix(2).map(\.name) == ["carol", "bob"])
        #expect(after.names["b"] == before[1].id && after.names["carol"] == before[0].id)
        // Alice's name is hers; and nothing of the step is written.
        let taking = [renamed(after.users[0], "dora"), renamed(after.users[1], "alice")]
        await #expect(throws: StoreError.self) { try await fixture.change { try await $0.changeSynced(taking, directory: corp) } }
        let clash = [new("erik", "e3"), new("alice", "e4")]
        await #expect(throws: StoreError.self) { try await fixture.change { try await $0.addSynced(clash, directory: corp, at: start) } }
        let same = [new("frida", "e1")]
        await #expect(throws: StoreError.self) { try await fixture.change { try await $0.addSynced(same, directory: corp, at: start) } }
        #expect(try state(fixture, corp).users == after.users)
        var other = after.users[0]
        other.entry = "e9"
        let foreign = [renamed(other, "gone")]
        await #expect(throws: StoreError.self, "another entry") {
            try await fixture.change { try await $0.changeSynced(foreign, directory: corp) }
        }
    }

    @Test(arguments: TestDatabases.all) func aSyncIsClaimedByOneAtATimeAndRemembersHowItWent(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let corp = try await directory(fixture)
        func claim(_ who: String, at seconds: Int64, begins: Bool = true) async throws -> Bool {
            try await fixture.change {
                try await $0.claimSync(
                    ofDirectory: corp, by: who, at: start + .seconds(seconds), until: start + .seconds(seconds + 60), begins: begins)
            }
        }
        func end(_ who: String, at seconds: Int64, _ problem: String?) async throws {
            try await fixture.change {
                try await $0.endSync(
                    ofDirectory: corp, by: who, at: start + .seconds(seconds), counts: problem == nil ? "{}" : nil, problem: problem,
                    event: nil)
            }
        }
        #expect(try await claim("one", at: 0))
        #expect(try await !claim("two", at: 59))
        #expect(try await claim("one", at: 30, begins: false))
        #expect(try await !claim("two", at: 89))
        #expect(try await claim("two", at: 90), "the first one never came back")
        try await end("one", at: 91, nil)
        #expect(try fixture.records.syncRecords().first?.claimedBy == "two")
        try await end("two", at: 95, "it broke")
        var record = try #require(try fixture.records.syncRecords().first)
        #expect(record.started == start + .seconds(90) && record.ended == start + .seconds(95) && record.succeeded == nil)
        #expect(record.failures == 1 && record.problem == "it broke" && record.claimedBy == nil && record.counts == nil)
        #expect(try await claim("one", at: 100))
        try await end("one", at: 101, nil)
        record = try #require(try fixture.records.syncRecords().first)
        #expect(record.failures == 0 && record.problem == nil && record.succeeded == start + .seconds(101) && record.counts == "{}")
        try await fixture.change { try await $0.removeDirectory(corp, event: Event(.directoryRemoved, at: start)) }
        #expect(try fixture.records.syncRecords().isEmpty)
        await #expect(throws: StoreError.self) { try await claim("one", at: 200) }
    }

    /// Between the plan of a sync and its step somebody disables the user, or moves the password.
    @Test(arguments: TestDatabases.all) func whomSomebodyChangedMeanwhileIsLeftAlone(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let corp = try await directory(fixture)
        let users = [new("bob", "e1")]
        try await fixture.change { try await $0.addSynced(users, directory: corp, at: start) }
        let before = try #require(try state(fixture, corp).users.first)
        try await fixture.change { try await $0.setStatus(.disabled, ofUser: before.id, event: Event(.userChanged, at: start)) }
        let change = SyncedUserChange(before, was: before, entry: "e1", event: Event(.userChanged, at: start))
        await #expect(throws: StoreError.self) {
            try await fixture.change { try await $0.changeSynced([change], directory: corp) }
        }
        #expect(try state(fixture, corp).users.first?.status == .disabled)
    }

    @Test(arguments: TestDatabases.all) func aChangeByHandEndsWhatASyncSaid(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let corp = try await directory(fixture)
        let users = [new("bob", "e1")]
        try await fixture.change { try await $0.addSynced(users, directory: corp, at: start) }
        let before = try #require(try state(fixture, corp).users.first)
        var user = before
        user.status = .disabled
        user.isDisabledBySync = true
        let change = SyncedUserChange(user, was: before, entry: "e1", event: Event(.userChanged, at: start))
        try await fixture.change { try await $0.changeSynced([change], directory: corp) }
        #expect(try state(fixture, corp).users.first?.isDisabledBySync == true)
        var record = try #require(try fixture.records.user(key: "bob"))
        record.email = "bob@example.org"
        let same = record
        try await fixture.change { try await $0.updateUser(same, event: Event(.userChanged, at: start)) }
        #expect(try state(fixture, corp).users.first?.isDisabledBySync == true, "the status is the same")
        record.status = .active
        let active = record
        try await fixture.change { try await $0.updateUser(active, event: Event(.userChanged, at: start)) }
        #expect(try state(fixture, corp).users.first?.isDisabledBySync == false)
    }
}
