// SPDX-License-Identifier: Apache-2.0
// What administrators change: with its event, or not at all.

import LoginEngine
import Testing

@testable import Store

@Suite struct AdministrationTablesTests {
    private func open(_ kind: TestDatabases, _ folder: TemporaryFolder) throws -> Records {
        try Records(try kind.open(in: folder), key: .file(folder.path + "/master.key"), at: start)
    }

    private func code(_ body: () async throws -> Void) async -> StoreError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    @Test(arguments: TestDatabases.all) func rowsAfterManyAtOnceHaveTheNextNumbers(_ kind: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(kind, folder)
        defer { records.close() }
        try await records.addUsers(count: 3, created: start, event: Event(.userAdded, at: start)) { number in
            var user = BulkUser(name: "u\(number)", key: "u\(number)")
            user.factor = NewFactor(user: 0, kind: .hotp, label: "token", secret: Secret(utf8: "secret"), created: start)
            return user
        }
        let id = try await records.addUser(NewUser(name: "bob", key: "bob", created: start), event: Event(.userAdded, at: start))
        let factor = NewFactor(user: id, kind: .hotp, label: "token", secret: Secret(utf8: "secret"), created: start)
        let added = try await records.addFactor(factor, event: Event(.factorAdded, at: start))
        #expect(id == 4 && added == 4)
        #expect(try records.load([LoginLookup(nameKey: "u2", handle: nil)], at: start)[0].factors.map(\.id) == [3])
    }

    @Test(arguments: TestDatabases.all) func usersAreAddedFoundChangedAndRemovedWithTheirEvents(_ kind: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(kind, folder)
        defer { records.close() }
        var new = NewUser(name: "Bob", key: "bob", created: start)
        new.email = "bob@example.org"
        new.aliases = [UserAlias(name: "CORP\\bob", key: "corp\\bob")]
        let revision = try records.revision()
        let id = try await records.addUser(new, event: Event(.userAdded, at: start))
        #expect(try records.revision() > revision)
        #expect(try records.events(EventFilter(limit: 1))[0].event.user == id)
        var bob = try #require(try records.user(key: "corp\\bob"))
        #expect(bob.id == id && bob.name == "Bob" && bob.email == "bob@example.org" && !bob.hasPassword && bob.aliases == new.aliases)
        // Neither the name nor an alias is given twice, and a refusal writes no event.
        let head = records.chain.head.seq
        var thief = NewUser(name: "corp\\bob", key: "corp\\bob", created: start)
        #expect(await code { _ = try await records.addUser(thief, event: Event(.userAdded, at: start)) } == .nameTaken)
        thief.key = "thief"
        thief.aliases = [UserAlias(name: "bob", key: "bob")]
        #expect(await code { _ = try await records.addUser(thief, event: Event(.userAdded, at: start)) } == .nameTaken)
        #expect(try records.user(key: "thief") == nil && records.chain.head.seq == head)
        bob.name = "Robert"
        bob.key = "robert"
        bob.status = .disabled
        bob.email = nil
        try await records.updateUser(bob, event: Event(.userChanged, at: start))
        #expect(try records.user(key: "bob") == nil)
        #expect(try records.user(id: id)?.key == "robert")
        try await records.setAliases([UserAlias(name: "bob", key: "bob")], ofUser: id, event: Event(.userChanged, at: start))
        #expect(try records.user(key: "bob")?.name == "Robert")
        #expect(
            await code {
                try await records.setAliases([UserAlias(name: "r", key: "robert")], ofUser: id, event: Event(.userChanged, at: start))
            } == .nameTaken)
        try await records.setPasswordHash(Secret(utf8: "$x"), ofUser: id, event: Event(.userChanged, at: start))
        #expect(try records.user(id: id)?.hasPassword == true)
        try await records.removeUser(id, event: Event(.userRemoved, at: start))
        #expect(try records.userCount() == 0 && records.user(key: "bob") == nil)
        #expect(await code { try await records.removeUser(id, event: Event(.userRemoved, at: start)) } == .notFound)
        #expect(try records.verifyChain().findings == [])
    }

    @Test(arguments: TestDatabases.all) func usersAreListedByPageAndFilter(_ kind: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(kind, folder)
        defer { records.close() }
        let group = try await records.addGroup(name: "staff", event: Event(.groupAdded, at: start))
        for number in 0..<25 {
            let key = "user\(number < 10 ? "0" : "")\(number)"
            var user = NewUser(name: key, key: key, created: start)
            if number % 5 == 0 { user.groups = [group] }
            if number == 7 { user.email = "SEVEN_%@example.org" }
            if number == 8 { user.status = .disabled }
            _ = try await records.addUser(user, event: Event(.userAdded, at: start))
        }
        var names: [String] = []
        var after: String?
        while true {
            let page = try records.users(UserFilter(), after: after, limit: 10)
            if page.isEmpty { break }
            names += page.map(\.name)
            after = page.last?.key
        }
        #expect(names.count == 25 && names == names.sorted())
        var filter = UserFilter()
        filter.group = group
        #expect(try records.users(filter, limit: 99).map(\.key) == ["user00", "user05", "user10", "user15", "user20"])
        filter = UserFilter()
        filter.text = "seven_%"
        #expect(try records.users(filter, limit: 99).map(\.key) == ["user07"])
        filter.text = "r1"
        #expect(try records.users(filter, limit: 99).count == 10)
        filter = UserFilter()
        filter.status = .disabled
        #expect(try records.users(filter, limit: 99).map(\.key) == ["user08"])
        filter = UserFilter()
        filter.withoutFactor = true
        #expect(try records.users(filter, limit: 99).count == 25)
    }

    @Test(arguments: TestDatabases.all) func groupsContainGroupsButNotThemselves(_ kind: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(kind, folder)
        defer { records.close() }
        let event = Event(.groupChanged, at: start)
        var ids: [Int64] = []
        for name in ["a", "b", "c"] { ids.append(try await records.addGroup(name: name, event: event)) }
        let user = try await records.addUser(NewUser(name: "u", key: "u", created: start), event: event)
        try await records.addMember(.group(ids[1]), toGroup: ids[0], event: event)
        try await records.addMember(.group(ids[2]), toGroup: ids[1], event: event)
        let (a, c) = (ids[0], ids[2])
        #expect(await code { try await records.addMember(.group(a), toGroup: c, event: event) } == .notAllowed)
        #expect(await code { try await records.addMember(.group(a), toGroup: a, event: event) } == .notAllowed)
        #expect(await code { _ = try await records.addGroup(name: "a", event: event) } == .nameTaken)
        try await records.addMember(.user(user), toGroup: c, event: event)
        #expect(await code { try await records.addMember(.user(user), toGroup: c, event: event) } == .notAllowed)
        #expect(try records.groups(ofUser: user).map(\.name) == ["a", "b", "c"])
        #expect(try records.groups(ofUser: user, nested: false).map(\.name) == ["c"])
        #expect(try records.members(ofGroup: ids[0]) == [.group(ids[1])])
        try await records.renameGroup(c, to: "d", event: event)
        #expect(try records.group(name: "d")?.users == 1)
        try await records.removeMember(.user(user), fromGroup: c, event: event)
        #expect(await code { try await records.removeMember(.user(user), fromGroup: c, event: event) } == .notFound)
        try await records.removeGroup(a, event: event)
        #expect(try records.groups().map(\.name) == ["b", "d"])
    }

    @Test(arguments: TestDatabases.all) func clientComesBackWithEverySetting(_ kind: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(kind, folder)
        defer { records.close() }
        var settings = ClientSettings(
            name: "gateway", addresses: ["10.0.0.0/8", "2001:db8::/32"].compactMap { AddressRange($0) }, secret: Secret(utf8: "s3cret"))
        settings.messageAuthenticator = .require
        settings.requirement = .factor
        settings.asking = .appendOrChallenge
        settings.separator = nil
        settings.fixedLengthTail = true
        settings.concealFactor = true
        settings.helpfulMessages = true
        settings.nameStripping = .both
        settings.charset = .auto
        settings.preSharedKey = PreSharedKey(identity: "gw 1", key: Secret([0, 1, 2, 255]))
        settings.retryTimeout = 9
        settings.retryTries = 2
        settings.rejoin = true
        settings.automaticPush = true
        settings.bindBeforeCode = true
        settings.isEnabled = false
        let client = try await records.addClient(settings, event: Event(.clientAdded, at: start))
        #expect(try records.clients().map(\.settings) == [settings])
        #expect(try records.events(EventFilter(limit: 1))[0].event.client == client.id)
        var rival = settings
        rival.name = "rival"
        #expect(await code { _ = try await records.addClient(rival, event: Event(.clientAdded, at: start)) } == .nameTaken)
        rival.addresses = ["10.0.0.0/9"].compactMap { AddressRange($0) }
        let other = try await records.addClient(rival, event: Event(.clientAdded, at: start))
        rival.name = "gateway"
        let taken = await code { try await records.updateClient(other.id, rival, event: Event(.clientChanged, at: start)) }
        #expect(taken == .nameTaken)
        settings.secret = Secret(utf8: "other")
        settings.addresses.removeLast()
        settings.separator = ";"
        settings.preSharedKey?.key = Secret([3])
        try await records.updateClient(client.id, settings, event: Event(.clientChanged, at: start))
        #expect(try records.client(name: "gateway")?.settings == settings)
        settings.preSharedKey = nil
        try await records.updateClient(client.id, settings, event: Event(.clientChanged, at: start))
        #expect(try records.client(name: "gateway")?.settings == settings)
        let pin = try #require(NetworkAddress("10.1.1.1"))
        for _ in 0..<2 { try await records.addPin(client: client.id, address: pin, at: start, event: Event(.clientPinned, at: start)) }
        #expect(try records.pins(ofClient: nil) == [ClientPin(client: client.id, address: pin, at: start)])
        #expect(try await records.removePin(client: client.id, address: nil, event: Event(.clientUnpinned, at: start)) == 1)
        #expect(try await records.removePin(client: client.id, address: pin, event: Event(.clientUnpinned, at: start)) == 0)
        var pins = EventFilter(limit: 9)
        pins.kinds = [.clientPinned, .clientUnpinned]
        #expect(try records.events(pins).count == 2)
        try await records.removeClient(client.id, event: Event(.clientRemoved, at: start))
        #expect(try records.clients().map(\.id) == [other.id])
    }

    @Test(arguments: TestDatabases.all) func factorsAreListedWithoutSecretsAndRecoveryCodesReplaced(_ kind: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(kind, folder)
        defer { records.close() }
        let user = try await records.addUser(NewUser(name: "u", key: "u", created: start), event: Event(.userAdded, at: start))
        var new = NewFactor(user: user, kind: .hotp, label: "token", secret: Secret([1, 2, 3]), created: start)
        new.algorithm = .sha512
        new.digits = 8
        new.firstCounter = 10
        new.state = .pending
        let id = try await records.addFactor(new, event: Event(.factorAdded, at: start))
        let factor = try #require(try records.factor(id))
        #expect(factor.algorithm == .sha512 && factor.digits == 8 && factor.highestUsed == 9 && factor.state == .pending)
        #expect(try records.factorSecret(id) == Secret([1, 2, 3]))
        #expect(try records.load([LoginLookup(nameKey: "u", handle: nil)], at: start)[0].factors.isEmpty)
        try await records.setFactorState(.active, ofFactor: id, event: Event(.factorChanged, at: start))
        try await records.setFactorLabel("key ring", ofFactor: id, event: Event(.factorChanged, at: start))
        #expect(try records.events(EventFilter(limit: 1))[0].event.user == user)
        let first = try await records.replaceRecoveryCodes(
            ofUser: user, codes: [[1], [2]], at: start, event: Event(.recoveryCodesMade, at: start))
        let second = try await records.replaceRecoveryCodes(
            ofUser: user, codes: [[3]], at: start, event: Event(.recoveryCodesMade, at: start))
        #expect(first == second)
        #expect(try records.recoveryCodesLeft(ofUser: user) == 1)
        #expect(try records.factors(ofUser: user).map(\.label) == ["key ring", "recovery codes"])
        try await records.removeFactor(id, event: Event(.factorRemoved, at: start))
        #expect(try records.factors(ofUser: user).map(\.id) == [first])
        #expect(await code { try await records.removeFactor(id, event: Event(.factorRemoved, at: start)) } == .notFound)
    }

    @Test(arguments: TestDatabases.all) func settingsAndHousekeeping(_ kind: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(kind, folder)
        defer { records.close() }
        try await records.setSetting("a", to: "1", event: nil)
        try await records.setSetting("a", to: "2", event: Event(.userChanged, at: start))
        #expect(try records.setting("a") == "2")
        try await records.setSetting("a", to: nil, event: nil)
        #expect(try records.setting("a") == nil)
        let handle = HandleID(Bits128(high: 1, low: 1))
        let answers = Collected<Bool>()
        await withCheckedContinuation { continuation in
            records.suspend(
                SuspendedLogin(
                    handle: handle, login: LoginID(Bits128(high: 1, low: 1)), client: 1, user: nil, nameKey: "x", station: nil,
                    firstFactor: .none, issued: start, expires: start + .minutes(2)), event: Event(.loginChallenged, at: start)
            ) {
                answers.add($0 == nil)
                continuation.resume()
            }
        }
        #expect(answers.all == [true])
        try await records.housekeeping(at: start + .minutes(30))
        #expect(try records.load([LoginLookup(nameKey: nil, handle: handle)], at: start)[0].suspended != nil)
        try await records.housekeeping(at: start + .minutes(90))
        #expect(try records.load([LoginLookup(nameKey: nil, handle: handle)], at: start)[0].suspended == nil)
        #expect(records.index.watermark == records.chain.head.seq)
    }
}
