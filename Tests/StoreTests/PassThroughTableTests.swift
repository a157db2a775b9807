// SPDX-License-Identifier: Apache-2.0
// What clients pass through, and accepts of names that nobody has, on every database.

import LoginEngine
import Testing

@testable import Store

@Suite struct PassThroughTableTests {
    private let event = Event(.clientChanged, at: start)

    /// A client that passes two realms through to a directory.
    private func client(_ fixture: Fixture) async throws -> (client: Client, directory: Int64) {
        let server = try #require(DirectoryServer("192.0.2.7"))
        let event = event
        let directory = try await fixture.change {
            try await $0.addDirectory(
                DirectorySettings(name: "nps", servers: [server], secret: Secret(utf8: "a-shared-secret")), event: event)
        }
        let client = try await fixture.change {
            var settings = ClientSettings(
                name: "vpn", addresses: [AddressRange(NetworkAddress(v4: 0xC000_0201))], secret: Secret(utf8: "a-shared-secret"))
            settings.passThrough = [PassThroughRule(.prefix("corp"), directory: directory), PassThroughRule(.any, directory: directory)]
            return try await $0.addClient(settings, event: event)
        }
        return (client, directory)
    }

    @Test(arguments: TestDatabases.all) func rulesComeBackInTheirOrderAndHoldTheirDirectory(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let event = event
        let (client, directory) = try await client(fixture)
        #expect(try fixture.records.client(id: client.id)?.settings.passThrough == client.settings.passThrough)
        await #expect(throws: StoreError.self) {
            try await fixture.change { try await $0.removeDirectory(directory, event: event) }
        }
        await #expect(throws: StoreError.self, "a directory that is not there") {
            try await fixture.change { records in
                var settings = client.settings
                settings.passThrough = [PassThroughRule(.any, directory: directory + 9)]
                try await records.updateClient(client.id, settings, event: event)
            }
        }
        try await fixture.change { records in
            var settings = client.settings
            settings.passThrough = [PassThroughRule(.suffix("corp.example"), directory: directory)]
            try await records.updateClient(client.id, settings, event: event)
        }
        #expect(
            try fixture.records.clients().map(\.settings.passThrough) == [[PassThroughRule(.suffix("corp.example"), directory: directory)]])
        try await fixture.change { try await $0.removeClient(client.id, event: event) }
        try await fixture.change { try await $0.removeDirectory(directory, event: event) }
    }

    private func settlement(_ fixture: Fixture, _ passedThrough: PassedThrough?, handle: HandleID? = nil) -> Settlement {
        var settlement = fixture.settlement([], handle: handle)
        settlement.user = nil
        settlement.event.user = nil
        settlement.passedThrough = passedThrough
        return settlement
    }

    @Test(arguments: TestDatabases.all) func anAcceptOfNobodyIsWrittenOnlyWhileAllItLeansOnIsSo(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let event = event
        let (client, directory) = try await client(fixture)
        func passed(_ rule: PassThroughRule? = nil, key: String = "bob@corp.example", client id: Int64? = nil) -> Settlement {
            settlement(
                fixture,
                PassedThrough(client: id ?? client.id, rule: rule ?? PassThroughRule(.any, directory: directory), nameKeys: ["bob", key]))
        }
        let before = try fixture.records.events(EventFilter(limit: 100)).count
        #expect(fixture.settle(passed()) == [.done])
        #expect(try fixture.records.events(EventFilter(limit: 100)).count == before + 1, "with its event")
        #expect(fixture.settle(settlement(fixture, nil)) == [.changedMeanwhile], "without a rule nobody is let in")
        #expect(fixture.settle(passed(key: "alice@example.org")) == [.changedMeanwhile], "a user has that name")
        let many = PassedThrough(
            client: client.id, rule: PassThroughRule(.any, directory: directory), nameKeys: (0...Stranger.mostKeys).map { "b\($0)" })
        #expect(fixture.settle(settlement(fixture, many)) == [.changedMeanwhile], "more names than are looked for")
        #expect(fixture.settle(passed(client: client.id + 1)) == [.changedMeanwhile])
        #expect(fixture.settle(passed(PassThroughRule(.suffix("corp"), directory: directory))) == [.changedMeanwhile])
        #expect(fixture.settle(passed(PassThroughRule(.any, directory: directory + 1))) == [.changedMeanwhile])
        try await fixture.change { records in
            var settings = try records.directories()[0].settings
            settings.isEnabled = false
            try await records.updateDirectory(directory, settings, event: event)
        }
        #expect(fixture.settle(passed()) == [.changedMeanwhile], "the directory is asked no more")
        #expect(try fixture.records.events(EventFilter(limit: 100)).count == before + 2)
    }

    @Test(arguments: TestDatabases.all) func itsHandleOpensOnce(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let (client, directory) = try await client(fixture)
        let handle = HandleID(Bits128(high: 1, low: 2))
        let row = SuspendedLogin(
            handle: handle, login: LoginID(Bits128(high: 2, low: 2)), client: client.id, user: nil, nameKey: "bob", station: nil,
            firstFactor: .asked, issued: start, expires: start + .minutes(2),
            source: .asked(SourceThread(server: "192.0.2.7:1812", state: [1])))
        fixture.records.suspend(row, event: Event(.loginChallenged, at: start)) { #expect($0 == nil) }
        fixture.records.writer.commitNow()
        let rule = PassedThrough(client: client.id, rule: PassThroughRule(.any, directory: directory), nameKeys: ["bob"])
        #expect(fixture.settle(settlement(fixture, rule, handle: handle)) == [.done])
        let again = fixture.settle(settlement(fixture, rule, handle: handle))
        guard case .handleSpent(let recorded)? = again.first else {
            Issue.record("opened twice: \(again)")
            return
        }
        #expect(recorded?.isAccept == true)
    }
}
