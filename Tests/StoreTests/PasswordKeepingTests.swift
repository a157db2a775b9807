// SPDX-License-Identifier: Apache-2.0
// What is kept of passwords beside their hash: sealed, given to the engine, gone when it is dropped.

import LoginEngine
import Testing

@testable import Store

@Suite struct PasswordKeepingTests {
    private let kept = KeptPassword(ntHash: Secret([UInt8](repeating: 0xAB, count: 16)), text: Secret(utf8: "correct horse"))

    private func records(_ kind: TestDatabases) throws -> (TemporaryFolder, Records) {
        let folder = TemporaryFolder(kind)
        let records = try Records(try kind.open(in: folder), key: .file(folder.path + "/master.key"), at: start, options: Records.Options())
        return (folder, records)
    }

    private func keepBoth(_ records: Records) async throws {
        for part in PasswordKeeping.Part.allCases { try await records.keep(part, event: Event(.passwordKeepingChanged, at: start)) }
    }

    private func add(_ name: String, _ kept: KeptPassword?, _ records: Records) async throws -> Int64 {
        var user = NewUser(name: name, key: name, created: start)
        user.passwordHash = Secret(utf8: "$argon2id$")
        user.kept = kept
        return try await records.addUser(user, event: Event(.userAdded, at: start))
    }

    private func facts(_ name: String, _ records: Records) throws -> User? {
        try records.load([LoginLookup(nameKey: name, handle: nil)], at: start)[0].user
    }

    @Test(arguments: TestDatabases.all) func whatIsKeptIsSealedAndFound(_ kind: TestDatabases) async throws {
        let (_, records) = try records(kind)
        defer { records.close() }
        try await keepBoth(records)
        _ = try await add("alice", kept, records)
        let bob = try await add("bob", nil, records)
        #expect(try facts("alice", records)?.kept == kept)
        #expect(try facts("bob", records)?.kept == nil)
        let row = try records.database.read([
            Statement(SQL(composed: "SELECT nt_hash, clear_password FROM \"user\" WHERE nt_hash IS NOT NULL"))
        ])[0]
        #expect(row.count == 1)
        let first = try #require(row.first)
        let (hash, text) = (try first.blob(0), try first.blob(1))
        #expect(hash.count == 16 + Sealing.overhead && text.count == 13 + Sealing.overhead)
        #expect(!String(decoding: text, as: UTF8.self).contains("horse"))
        #expect(try records.user(id: bob)?.keptSchemes == [])
        #expect(try records.user(key: "alice")?.keptSchemes.schemes == [.chap, .msCHAP, .msCHAPv2])
    }

    @Test(arguments: TestDatabases.all) func aNewPasswordTakesTheOldOnesAway(_ kind: TestDatabases) async throws {
        let (_, records) = try records(kind)
        defer { records.close() }
        try await keepBoth(records)
        let alice = try await add("alice", kept, records)
        #expect(try facts("alice", records)?.kept != nil)
        try await records.setPasswordHash(Secret(utf8: "new"), ofUser: alice, event: Event(.userChanged, at: start))
        #expect(try facts("alice", records)?.kept == nil)
        let half = KeptPassword(ntHash: kept.ntHash, text: nil)
        try await records.setPasswordHash(Secret(utf8: "newer"), keeping: half, ofUser: alice, event: Event(.userChanged, at: start))
        #expect(try facts("alice", records)?.kept == half)
    }

    @Test(arguments: TestDatabases.all) func droppingErasesItOfEverybody(_ kind: TestDatabases) async throws {
        let (_, records) = try records(kind)
        defer { records.close() }
        let event = Event(.passwordKeepingChanged, at: start)
        #expect(try records.passwordKeeping() == PasswordKeeping())
        try await records.keep(.ntHash, event: event)
        try await records.keep(.clearPassword, event: event)
        #expect(try records.passwordKeeping().parts == [.ntHash, .clearPassword])
        for number in 0..<3 { _ = try await add("u\(number)", kept, records) }
        #expect(try records.keptCount(.ntHash) == 3)
        try await records.drop(.ntHash, event: event)
        #expect(try records.passwordKeeping().parts == [.clearPassword])
        #expect(try records.keptCount(.ntHash) == 0)
        #expect(try records.keptCount(.clearPassword) == 3)
        #expect(try facts("u1", records)?.kept == KeptPassword(ntHash: nil, text: kept.text))
        try await records.drop(.clearPassword, event: event)
        #expect(try facts("u1", records)?.kept == nil)
    }

    /// Hashing takes seconds under load: what is written at its end must not bring back what was dropped meanwhile.
    @Test(arguments: TestDatabases.all) func whatWasDroppedWhileAPasswordWasHashedIsNotKeptAgain(_ kind: TestDatabases) async throws {
        let (_, records) = try records(kind)
        defer { records.close() }
        try await keepBoth(records)
        let alice = try await add("alice", kept, records)
        try await records.drop(.ntHash, event: Event(.passwordKeepingChanged, at: start))
        try await records.setPasswordHash(Secret(utf8: "new"), keeping: kept, ofUser: alice, event: Event(.userChanged, at: start))
        #expect(try facts("alice", records)?.kept == KeptPassword(ntHash: nil, text: kept.text))
        try await records.drop(.clearPassword, event: Event(.passwordKeepingChanged, at: start))
        _ = try await add("bob", kept, records)
        #expect(try facts("bob", records)?.kept == nil)
        #expect(try records.keptCount(.ntHash) + records.keptCount(.clearPassword) == 0)
    }

    /// What was opened lately is remembered for speed; an NT hash and a kept password are not, so that dropping them leaves no copy.
    @Test func whatIsKeptStaysInNoMemory() throws {
        let (old, new) = (MasterKey.random(), MasterKey.random())
        let sealing = Sealing(keys: [1: old], current: 1)
        let opened = OpenedSecrets(sealing)
        let secret = Secret(utf8: "secret")
        let (hash, ntHash, text) = (
            sealing.seal(secret, at: .passwordHash(1)), sealing.seal(secret, at: .ntHash(1)), sealing.seal(secret, at: .clearPassword(1))
        )
        #expect(try opened.passwordHash(hash, ofUser: 1) == secret)
        #expect(try opened.ntHash(ntHash, ofUser: 1) == secret)
        #expect(try opened.clearPassword(text, ofUser: 1) == secret)
        // From now on only what is remembered opens.
        sealing.adopt(new, 2)
        sealing.forget(1)
        #expect(try opened.passwordHash(hash, ofUser: 1) == secret)
        #expect(throws: SealingError.unknownKey(1)) { try opened.ntHash(ntHash, ofUser: 1) }
        #expect(throws: SealingError.unknownKey(1)) { try opened.clearPassword(text, ofUser: 1) }
    }

    /// With the user it is known for as long as nothing changes; then no copy is left, of an older version neither.
    @Test(arguments: TestDatabases.all) func whatIsKeptLeavesMemoryWithTheNextChange(_ kind: TestDatabases) async throws {
        let (_, records) = try records(kind)
        defer { records.close() }
        try await keepBoth(records)
        let alice = try await add("alice", kept, records)
        _ = try await add("bob", nil, records)
        guard case .log(let log) = records.marks else { return }
        func cached(_ name: String, _ version: UInt64) -> User? { records.cache.entry(name, version: version)?.user }
        for change in ["drop", "password", "removal"] {
            #expect(try facts("alice", records)?.kept != nil && facts("bob", records) != nil)
            let version = log.version
            #expect(cached("alice", version)?.kept != nil && cached("bob", version) != nil)
            switch change {
            case "drop": try await records.drop(.ntHash, event: Event(.passwordKeepingChanged, at: start))
            case "password":
                let half = KeptPassword(ntHash: nil, text: Secret(utf8: "another"))
                try await records.setPasswordHash(Secret(utf8: "new"), keeping: half, ofUser: alice, event: Event(.userChanged, at: start))
            default: try await records.removeUser(alice, event: Event(.userRemoved, at: start))
            }
            #expect(log.version != version)
            #expect(cached("alice", version) == nil && cached("bob", version) == nil, "\(change)")
        }
    }

    /// What was read before a change is not kept behind it.
    @Test func whatWasReadBeforeAChangeIsNotKept() {
        let cache = FactsCache()
        var user = User(id: 1, name: "alice", status: .active, passwordHash: nil)
        user.kept = kept
        let before = cache.ticket
        cache.keep(FactsCache.Entry(version: 1, user: user, factors: []), for: "alice", before)
        #expect(cache.entry("alice", version: 1)?.user.kept == kept)
        cache.noteChange()
        cache.keep(FactsCache.Entry(version: 1, user: user, factors: []), for: "alice", before)
        #expect(cache.entry("alice", version: 1) == nil)
    }

    @Test func groupsAreKnownWithTheUserUntilTheyChange() async throws {
        let (_, records) = try records(.sqlite)
        defer { records.close() }
        let alice = try await add("alice", nil, records)
        let staff = try await records.addGroup(name: "staff", event: Event(.groupAdded, at: start))
        var lookup = LoginLookup(nameKey: "alice", handle: nil)
        #expect(try records.load([lookup], at: start)[0].user?.id == alice)
        lookup.wantsGroups = true
        #expect(try records.load([lookup], at: start)[0].groups == [])
        try await records.addMember(.user(alice), toGroup: staff, event: Event(.groupChanged, at: start))
        #expect(try records.load([lookup], at: start)[0].groups == [staff])
        guard case .log(let log) = records.marks else { return }
        #expect(records.cache.entry("alice", version: log.version)?.groups == [staff])
        #expect(try records.load([lookup], at: start)[0].groups == [staff])
        #expect(try records.load([LoginLookup(nameKey: "alice", handle: nil)], at: start)[0].groups == [], "nobody asked")
        try await records.removeMember(.user(alice), fromGroup: staff, event: Event(.groupChanged, at: start))
        #expect(try records.load([lookup], at: start)[0].groups == [])
    }

    @Test(arguments: TestDatabases.all) func aClientsProtocolsProfileAndProbeAreKept(_ kind: TestDatabases) async throws {
        let (_, records) = try records(kind)
        defer { records.close() }
        var settings = ClientSettings(name: "aws", addresses: [], secret: Secret(utf8: "shared"))
        let client = try await records.addClient(settings, event: Event(.clientAdded, at: start))
        #expect(try records.clients().first?.settings == settings)
        (settings.schemes, settings.profile, settings.probeUser) = ([.one(.chap), .one(.msCHAPv2)], "aws-directory", "fakeusername")
        try await records.updateClient(client.id, settings, event: Event(.clientChanged, at: start))
        #expect(try records.clients().first?.settings == settings)
    }
}
