// SPDX-License-Identifier: Apache-2.0
// Directories, whose passwords live there, and what they say between two packets, on every database.

import LoginEngine
import Testing

@testable import Store

@Suite struct DirectoryTableTests {
    private static var settings: DirectorySettings {
        get throws {
            let servers = [try #require(DirectoryServer("192.0.2.7")), try #require(DirectoryServer("[2001:db8::1]:1645"))]
            var settings = DirectorySettings(name: "nps", servers: servers, secret: Secret(utf8: "a-shared-secret-of-two"))
            settings.timeout = .milliseconds(1_500)
            settings.tries = 3
            settings.messageAuthenticator = .allow
            settings.nameSent = .typed
            settings.takes = ["Class", "Filter-Id"]
            settings.ownSecrets[servers[1]] = Secret(utf8: "a-secret-of-the-second")
            return settings
        }
    }

    @Test(arguments: TestDatabases.all) func everyFieldComesBack(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let settings = try Self.settings
        let id = try await fixture.change { try await $0.addDirectory(settings, event: Event(.directoryAdded, at: start)) }
        #expect(try fixture.records.directories() == [Directory(id: id, settings: settings)])
        let stored = try fixture.query("SELECT secret FROM directory")[0].blob(0)
        #expect(stored.count > settings.secret.count && !stored.contains(sub: Array("a-shared-secret".utf8)), "it is sealed")
        let own = try fixture.query("SELECT server_secrets FROM directory")[0].blob(0)
        #expect(!own.contains(sub: Array("of-the-second".utf8)))
        var changed = settings
        changed.ownSecrets = [:]
        changed.name = "old"
        changed.secret = Secret(utf8: "another-shared-secret")
        changed.isEnabled = false
        let wanted = changed
        try await fixture.change { try await $0.updateDirectory(id, wanted, event: Event(.directoryChanged, at: start)) }
        #expect(try fixture.records.directories() == [Directory(id: id, settings: wanted)])
        try await fixture.change { try await $0.removeDirectory(id, event: Event(.directoryRemoved, at: start)) }
        #expect(try fixture.records.directories().isEmpty)
    }

    @Test(arguments: TestDatabases.all) func whereServersSecretsDoNotOpenNoServerIsTakenForOneThatSharesTheOther(_ kind: TestDatabases)
        async throws
    {
        let fixture = try await Fixture(kind)
        let settings = try Self.settings
        _ = try await fixture.change { try await $0.addDirectory(settings, event: Event(.directoryAdded, at: start)) }
        var sealed = try fixture.query("SELECT server_secrets FROM directory")[0].blob(0)
        sealed[sealed.count - 1] ^= 1
        try fixture.tamper("UPDATE directory SET server_secrets = ?1", [.blob(sealed)])
        let damaged = try #require(try fixture.records.directories().first?.settings)
        #expect(damaged.mute == settings.servers && damaged.secret == settings.secret)
    }

    @Test(arguments: TestDatabases.all) func aLoginKnowsWhereThePasswordLives(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let (settings, user) = (try Self.settings, fixture.user)
        let id = try await fixture.change { try await $0.addDirectory(settings, event: Event(.directoryAdded, at: start)) }
        #expect(try fixture.facts().user?.directory == nil)
        try await fixture.change { try await $0.setHome(.directory(id), ofUser: user, event: Event(.userChanged, at: start)) }
        #expect(try fixture.facts().user?.directory == id, "the facts that were kept are no longer taken")
        #expect(try fixture.records.user(id: user)?.home == .directory(id))
        #expect(try fixture.records.directoryUserCounts() == [id: 1])
        await #expect(throws: StoreError.self, "users would be left without a password") {
            try await fixture.change { try await $0.removeDirectory(id, event: Event(.directoryRemoved, at: start)) }
        }
        await #expect(throws: StoreError.self) {
            try await fixture.change { try await $0.setHome(.directory(id + 99), ofUser: user, event: Event(.userChanged, at: start)) }
        }
        try await fixture.change { try await $0.setHome(.here, ofUser: user, event: Event(.userChanged, at: start)) }
        #expect(try fixture.facts().user?.home == .here)
        #expect(try fixture.facts().user?.directory == nil)
        #expect(try fixture.records.directoryUserCounts().isEmpty)
        try await fixture.change { try await $0.setHome(nil, ofUser: user, event: Event(.userChanged, at: start)) }
        #expect(try fixture.facts().user?.home == nil)
    }

    @Test(arguments: TestDatabases.all) func groupsAndClientsSayItToo(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let (settings, user) = (try Self.settings, fixture.user)
        let event = Event(.groupChanged, at: start)
        let id = try await fixture.change { try await $0.addDirectory(settings, event: event) }
        let group = try await fixture.change { try await $0.addGroup(name: "staff", event: event) }
        try await fixture.change { try await $0.addMember(.user(user), toGroup: group, event: event) }
        let client = try await fixture.change {
            var settings = ClientSettings(
                name: "vpn", addresses: [AddressRange(NetworkAddress(v4: 0xC000_0201))], secret: Secret(utf8: "a-shared-secret"))
            settings.home = .directory(id)
            return try await $0.addClient(settings, event: event)
        }
        #expect(try fixture.records.client(id: client.id)?.settings.home == .directory(id))
        await #expect(throws: StoreError.self, "the client names it") {
            try await fixture.change { try await $0.removeDirectory(id, event: event) }
        }
        try await fixture.change { try await $0.setHome(.directory(id), ofGroup: group, event: event) }
        #expect(try fixture.records.groups().map(\.home) == [.directory(id)])
        await #expect(throws: StoreError.self) {
            try await fixture.change { try await $0.setHome(.directory(id + 9), ofGroup: group, event: event) }
        }
        let table = try fixture.records.homeTable()
        #expect(table.ruling(own: nil, groups: [group], client: client).words == "nps (group staff)")
        #expect(table.ruling(own: nil, groups: [], client: client).words == "nps (client)")
        try await fixture.change { records in
            var settings = client.settings
            settings.home = .here
            try await records.updateClient(client.id, settings, event: event)
        }
        await #expect(throws: StoreError.self, "the group names it") {
            try await fixture.change { try await $0.removeDirectory(id, event: event) }
        }
        try await fixture.change { try await $0.setHome(nil, ofGroup: group, event: event) }
        try await fixture.change { try await $0.removeDirectory(id, event: event) }
    }

    @Test(arguments: TestDatabases.all) func whoeverBeganByWhatWasSaidBeforeBeginsAgain(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let event = Event(.groupChanged, at: start)
        let settings = try Self.settings
        let id = try await fixture.change { try await $0.addDirectory(settings, event: event) }
        let group = try await fixture.change { try await $0.addGroup(name: "staff", event: event) }
        let client = try await fixture.change {
            let settings = ClientSettings(
                name: "vpn", addresses: [AddressRange(NetworkAddress(v4: 0xC000_0201))], secret: Secret(utf8: "a-shared-secret"))
            return try await $0.addClient(settings, event: event)
        }
        func begin(_ number: UInt64) throws -> HandleID {
            let handle = HandleID(Bits128(high: 1, low: number))
            let row = SuspendedLogin(
                handle: handle, login: LoginID(Bits128(high: 2, low: number)), client: client.id, user: fixture.user, nameKey: "alice",
                station: nil, firstFactor: .right, issued: start, expires: start + .minutes(2))
            let answers = Collected<NoAnswer?>()
            fixture.records.suspend(row, event: Event(.loginChallenged, at: start)) { answers.add($0) }
            fixture.records.writer.commitNow()
            #expect(answers.all == [nil])
            return handle
        }
        let first = try begin(1)
        try await fixture.change { records in
            var settings = client.settings
            settings.retryTries = 4
            try await records.updateClient(client.id, settings, event: event)
        }
        #expect(try fixture.facts(handle: first).suspended != nil, "another change of the client leaves logins alone")
        try await fixture.change { records in
            var settings = client.settings
            settings.home = .directory(id)
            try await records.updateClient(client.id, settings, event: event)
        }
        #expect(try fixture.facts(handle: first).suspended == nil)
        let second = try begin(2)
        try await fixture.change { try await $0.setHome(.directory(id), ofGroup: group, event: event) }
        #expect(try fixture.facts(handle: second).suspended == nil)
    }

    @Test(arguments: TestDatabases.all) func whatADirectorySaidSurvivesARestart(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let words: [SourceWord] = [.asked(SourceThread(server: "192.0.2.7:1812", state: [0, 255, 3])), .gave([25, 4, 1, 2])]
        for (number, word) in words.enumerated() {
            let handle = HandleID(Bits128(high: 1, low: UInt64(number)))
            let row = SuspendedLogin(
                handle: handle, login: LoginID(Bits128(high: 2, low: UInt64(number))), client: 3, user: fixture.user, nameKey: "alice",
                station: nil, firstFactor: number == 0 ? .asked : .right, issued: start, expires: start + .minutes(2), source: word)
            let answers = Collected<NoAnswer?>()
            fixture.records.suspend(row, event: Event(.loginChallenged, at: start)) { answers.add($0) }
            fixture.records.writer.commitNow()
            #expect(answers.all == [nil])
            try fixture.reopen()
            let found = try fixture.facts(handle: handle).suspended
            #expect(found?.source == word && found?.firstFactor == row.firstFactor)
        }
    }

    @Test func whatIsNoServerIsNotRead() {
        for text in ["radius..example.org", "192.0.2.7:0", "192.0.2.7:65536", "192.0.2.7:+1812", "[192.0.2.7]:1812", "[2001:db8::1", ""] {
            #expect(DirectoryServer(text) == nil, "\(text)")
        }
        #expect(DirectoryServer("2001:db8::1")?.description == "[2001:db8::1]:1812")
        #expect(DirectoryServer("192.0.2.7:1645")?.port == 1645)
        #expect(DirectoryServer("Radius.example.org:1645")?.hostName == "radius.example.org")
    }
}

extension [UInt8] {
    fileprivate func contains(sub: [UInt8]) -> Bool {
        guard count >= sub.count else { return false }
        return (0...(count - sub.count)).contains { Array(self[$0..<($0 + sub.count)]) == sub }
    }
}
