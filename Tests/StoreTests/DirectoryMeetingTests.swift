// SPDX-License-Identifier: Apache-2.0
// What a directory says of somebody who is right there, and what is written of it, on every database.

import LoginEngine
import Testing

@testable import Store

@Suite struct DirectoryMeetingTests {
    private static var settings: DirectorySettings {
        var settings = DirectorySettings(name: "corp", servers: [], secret: Secret(utf8: "reader's"))
        settings.kind = .activeDirectory
        var ldap = LDAPSettings(.activeDirectory)
        ldap.servers = [LDAPServer("ldaps://dc1.corp.example"), LDAPServer("starttls://dc2.corp.example:1389")].compactMap { $0 }
        ldap.caFile = "/etc/ca.pem"
        ldap.base = "dc=corp,dc=example"
        ldap.bind = .service
        ldap.account = "reader@corp.example"
        ldap.users = "(a=b)"
        ldap.domains = ["corp.example", "CORP"]
        ldap.attributes.aliases = ["mail"]
        ldap.groupBase = "ou=g,dc=corp,dc=example"
        ldap.nested = false
        ldap.creates = false
        settings.ldap = ldap
        return settings
    }

    private func meet(
        _ fixture: Fixture, _ person: DirectoryPerson, user: Int64? = nil, typed: String = "bob"
    ) async throws -> MeetingOutcome {
        try await fixture.change { records in
            await withCheckedContinuation { continuation in
                records.meet(DirectoryMeeting(person, user: user, typed: typed, at: start)) { continuation.resume(returning: $0) }
            }
        }
    }

    private func person(_ directory: Int64, _ key: String, _ name: String?, groups: [String] = [], creates: Bool = true) -> DirectoryPerson
    {
        DirectoryPerson(
            directory: directory, directoryName: "corp", key: key, name: name, aliases: name.map { ["CORP\\\($0)"] } ?? [],
            email: "bob@corp.example", phone: "+491711234567", groups: groups, creates: creates)
    }

    private func ready(_ kind: TestDatabases) async throws -> (Fixture, directory: Int64, group: Int64) {
        let fixture = try await Fixture(kind)
        let settings = Self.settings
        let directory = try await fixture.change { try await $0.addDirectory(settings, event: Event(.directoryAdded, at: start)) }
        let group = try await fixture.change { try await $0.addGroup(name: "corp/VPN Users", event: Event(.groupAdded, at: start)) }
        _ = try await fixture.change { try await $0.addGroup(name: "corporate", event: Event(.groupAdded, at: start)) }
        return (fixture, directory, group)
    }

    @Test(arguments: TestDatabases.all) func everyFieldOfAnLDAPDirectoryComesBack(_ kind: TestDatabases) async throws {
        let (fixture, directory, _) = try await ready(kind)
        #expect(try fixture.records.directories() == [Directory(id: directory, settings: Self.settings)])
        #expect(try fixture.query("SELECT ldap FROM directory")[0].text(0).contains("reader's") == false)
        var radius = Self.settings
        radius.name = "other"
        radius.ldap = nil
        radius.kind = .radius
        let wanted = radius
        try await fixture.change { try await $0.updateDirectory(directory, wanted, event: Event(.directoryChanged, at: start)) }
        #expect(try fixture.records.directories().first?.settings.ldap == nil)
    }

    @Test(arguments: TestDatabases.all) func aNewcomerIsAUserWithNamesAndGroups(_ kind: TestDatabases) async throws {
        let (fixture, directory, group) = try await ready(kind)
        let bob = person(directory, "k1", "Bob", groups: ["vpn users", "Others"])
        #expect(try await meet(fixture, bob, typed: "bob@corp.example") == .changed(key: "bob"))
        let user = try #require(try fixture.records.user(key: "bob@corp.example"))
        #expect(
            user.name == "Bob" && user.home == .directory(directory) && user.email == "bob@corp.example" && user.phone == "+491711234567")
        #expect(Set(user.aliases.map(\.key)) == ["corp\\bob", "bob@corp.example"])
        #expect(try fixture.records.groups(ofUser: user.id).map(\.id) == [group])
        // Nothing new: nothing is written.
        #expect(try await meet(fixture, bob, user: user.id) == .same)
        #expect(try await meet(fixture, person(directory, "k1", "Bob"), user: user.id) == .changed(key: "bob"))
        #expect(try fixture.records.groups(ofUser: user.id).isEmpty)
        // Renamed there: the same one by a new name, and another entry by the old one is somebody else.
        #expect(try await meet(fixture, person(directory, "k1", "Robert"), typed: "robert") == .changed(key: "bob"))
        #expect(try fixture.records.user(key: "robert")?.id == user.id)
        #expect(try await meet(fixture, person(directory, "k2", "Bob"), user: user.id) == .refused(.directoryEntryChanged))
        #expect(try await meet(fixture, person(directory, "k2", "Bob"), typed: "bobby") == .refused(.directoryNameTaken))
        #expect(
            try fixture.records.events(EventFilter(limit: 50)).contains { $0.event.kind == .userAdded && $0.event.user == user.id })
        // Said anew where the password lives, the entry is forgotten, and the next one is taken.
        try await fixture.change { try await $0.setHome(.directory(directory), ofUser: user.id, event: Event(.userChanged, at: start)) }
        #expect(try await meet(fixture, person(directory, "k2", "Bob"), user: user.id) == .changed(key: "bob"))
    }

    @Test(arguments: TestDatabases.all) func nobodysPlaceIsTaken(_ kind: TestDatabases) async throws {
        let (fixture, directory, _) = try await ready(kind)
        // Alice's password lives here.
        #expect(try await meet(fixture, person(directory, "k1", "alice"), typed: "CORP\\alice") == .refused(.directoryNameTaken))
        // Nor is it opened by another name that the directory knows the same person by, where it makes no users.
        let known = person(directory, "k1", "alice", creates: false)
        #expect(try await meet(fixture, known, typed: "a.smith") == .refused(.directoryNameTaken))
        let alice = fixture.user
        // A gateway says where the password lives, the user does not: somebody else there may have the same name.
        #expect(try await meet(fixture, person(directory, "k7", "alice"), user: alice) == .same)
        // A filter may go by what people write of themselves: an entry that bears none of her names is not hers.
        #expect(try await meet(fixture, person(directory, "k8", "mallory"), user: alice) == .refused(.directoryEntryChanged))
        #expect(try await meet(fixture, person(directory, "k8", nil), user: alice) == .refused(.directoryEntryChanged))
        #expect(try fixture.query("SELECT id FROM \"user\" WHERE entry_key IS NOT NULL").isEmpty)
        try await fixture.change { try await $0.setHome(.directory(directory), ofUser: alice, event: Event(.userChanged, at: start)) }
        #expect(try await meet(fixture, person(directory, "k1", "alice"), typed: "CORP\\alice") == .changed(key: "alice"))
        #expect(try fixture.records.user(key: "corp\\alice")?.id == alice)
        // An entry that is one user's is no other's.
        #expect(try await meet(fixture, person(directory, "k1", "eve"), typed: "eve") == .changed(key: "alice"))
        #expect(try await meet(fixture, person(directory, "k3", nil), typed: "who") == .refused(.directoryEntryUnfit))
        #expect(try await meet(fixture, person(directory, "k3", "who", creates: false), typed: "who") == .same)
        #expect(try fixture.records.user(key: "who") == nil)
        #expect(try await meet(fixture, person(directory, "k3", "who"), user: 4711) == .refused(.changedMeanwhile))
    }
}
