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

    @Test(arguments: TestDatabases.all) func factsOfWhomMoreIsKeptAreReadAnew(_ kind: TestDatabases) async throws {
        let (_, records) = try records(kind)
        defer { records.close() }
        try await keepBoth(records)
        _ = try await add("alice", kept, records)
        _ = try await add("bob", nil, records)
        guard case .log(let log) = records.marks else { return }
        #expect(try facts("alice", records)?.kept == kept && facts("bob", records) != nil)
        #expect(records.cache.entry("alice", version: log.version) == nil)
        #expect(records.cache.entry("bob", version: log.version) != nil)
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
