// SPDX-License-Identifier: Apache-2.0
// A new master key while logins go on: everything opens before, during and after; ended at any step, the next start goes on.

import Crypto
import Foundation
import LoginEngine
import Synchronization
import Testing

@testable import Store

@Suite struct KeyRotationTests {
    private let begun: @Sendable (String) -> Event = { Event(.keyRotationBegun, at: start, details: [.init("key", $0)]) }
    private let done: @Sendable (KeyRotationReport) -> Event = { Event(.keyRotated, at: start, details: [.init("key", $0.fingerprint)]) }

    private func rotate(_ records: Records) async throws -> KeyRotationReport {
        try await records.rotateKey(at: start, begun: begun, done: done)
    }

    private func open(
        _ folder: TemporaryFolder, key: MasterKeySource? = nil,
        probe: (@Sendable (KeyRotationStep) throws(StoreError) -> Void)? = nil
    ) throws -> Records {
        var options = Records.Options()
        options.rotationProbe = probe
        return try Records(
            try folder.kind.open(in: folder), key: key ?? .file(folder.path + "/master.key"), at: start, options: options)
    }

    /// Users, factors and a client, more than one transaction seals anew.
    private func filled(_ kind: TestDatabases) async throws -> (folder: TemporaryFolder, recovery: [UInt8]) {
        let fixture = try await Fixture(kind)
        let folder = fixture.folder
        let recovery = fixture.recoveryHash
        fixture.records.close()
        let records = try open(folder)
        for part in PasswordKeeping.Part.allCases { try await records.keep(part, event: Event(.passwordKeepingChanged, at: start)) }
        for number in 0..<Records.resealChunk + 10 {
            var user = NewUser(name: "u\(number)", key: "u\(number)", created: start)
            user.passwordHash = Secret(utf8: "hash of \(number)")
            user.kept = KeptPassword(ntHash: Secret(utf8: "NT of \(number)"), text: Secret(utf8: "text of \(number)"))
            _ = try await records.addUser(user, event: Event(.userAdded, at: start))
        }
        var settings = ClientSettings(name: "vpn", addresses: [], secret: Secret(utf8: "shared"))
        settings.preSharedKey = PreSharedKey(identity: "vpn", key: Secret(utf8: "a key of TLS"))
        _ = try await records.addClient(settings, event: Event(.clientAdded, at: start))
        let servers = ["192.0.2.7", "192.0.2.8"].compactMap { DirectoryServer($0) }
        var directory = DirectorySettings(name: "nps", servers: servers, secret: Secret(utf8: "of all servers"))
        directory.ownSecrets[servers[1]] = Secret(utf8: "of one server")
        _ = try await records.addDirectory(directory, event: Event(.directoryAdded, at: start))
        let authority = NewAuthority(
            name: "CA", domains: [], certificate: "in PEM", key: Secret(utf8: "a private key"), begins: start, ends: start)
        _ = try await records.addAuthority(authority, after: 0, event: Event(.authorityAdded, at: start))
        records.close()
        return (folder, recovery)
    }

    /// Everything that is sealed opens, the trail is intact, and an old recovery code still has its hash.
    private func check(_ records: Records, _ recovery: [UInt8], _ place: String = "") throws {
        for number in [0, Records.resealChunk + 9] {
            let facts = try records.load([LoginLookup(nameKey: "u\(number)", handle: nil)], at: start)[0]
            #expect(facts.user?.passwordHash == Secret(utf8: "hash of \(number)"), "\(place)")
            #expect(
                facts.user?.kept == KeptPassword(ntHash: Secret(utf8: "NT of \(number)"), text: Secret(utf8: "text of \(number)")),
                "\(place)")
        }
        let alice = try records.load([LoginLookup(nameKey: "alice", handle: nil)], at: start)[0]
        #expect(alice.factors.filter { $0.kind != .recovery }.allSatisfy { $0.secret == Secret(utf8: "12345678901234567890") }, "\(place)")
        let client = try #require(try records.clients().first?.settings, "\(place)")
        #expect(client.secret == Secret(utf8: "shared") && client.preSharedKey?.key == Secret(utf8: "a key of TLS"), "\(place)")
        let directory = try #require(try records.directories().first?.settings, "\(place)")
        #expect(
            directory.servers.map { directory.secret(of: $0) } == [Secret(utf8: "of all servers"), Secret(utf8: "of one server")],
            "\(place)")
        #expect(try records.authorities().map(\.key) == [Secret(utf8: "a private key")], "\(place)")
        #expect(records.damagedSecrets == 0, "\(place)")
        #expect(
            records.recoveryHash(Array("ABCD".utf8), factor: alice.factors.first { $0.kind == .recovery }?.id ?? 0) == recovery, "\(place)")
        let report = try records.verifyChain()
        #expect(report.isIntact, "\(place): \(report.findings)")
    }

    /// Whether any value in any table is still sealed under this key.
    private func values(under id: UInt32, _ records: Records) throws -> [String] {
        func rows(_ sql: String) throws -> Rows { try records.database.read([Statement(SQL(composed: sql))])[0] }
        let columns =
            switch records.database.dialect {
            case .sqlite:
                """
                SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
                WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND c.type = 'BLOB'
                """
            case .postgres:
                """
                SELECT CAST(table_name AS text), CAST(column_name AS text) FROM information_schema.columns
                WHERE table_schema = current_schema() AND data_type = 'bytea'
                """
            }
        var found: [String] = []
        for place in try rows(columns) {
            let (table, column) = (try place.text(0), try place.text(1))
            for row in try rows("SELECT \"\(column)\" FROM \"\(table)\" WHERE \"\(column)\" IS NOT NULL") {
                if Sealing.key(of: try row.blob(0)) == id { found.append("\(table).\(column)") }
            }
        }
        return found
    }

    @Test(arguments: TestDatabases.all) func everythingIsSealedAnewAndOpensAsBefore(_ kind: TestDatabases) async throws {
        let (folder, recovery) = try await filled(kind)
        let records = try open(folder)
        let before = try records.keyStatus()
        let handle = HandleID(Bits128(high: 1, low: 2))
        let text = records.handles.text(of: handle)
        #expect(try values(under: 1, records).count > Records.resealChunk)
        let report = try await rotate(records)
        #expect(report.id == 2 && report.fingerprint != before.fingerprint && report.resealed == 3 * (Records.resealChunk + 10) + 8)
        #expect(try values(under: 1, records) == [])
        try check(records, recovery, "while it runs")
        let keys = try #require(try MasterKey.load(.file(folder.path + "/master.key")))
        #expect(keys.map(\.fingerprint) == [report.fingerprint])
        #expect(try FileManager.default.attributesOfItem(atPath: folder.path + "/master.key")[.posixPermissions] as? Int == 0o600)
        records.close()

        let again = try open(folder)
        try check(again, recovery, "after a restart")
        #expect(again.handles.open(text) == handle)
        #expect(try again.events(EventFilter(limit: 2)).map(\.event.kind) == [.keyRotated, .keyRotationBegun])
        // And once more: what the first key left behind is sealed under the third.
        let third = try await rotate(again)
        #expect(third.id == 3)
        #expect(try values(under: 2, again) == [])
        try check(again, recovery, "after the third key")
        again.close()
        let last = try open(folder)
        try check(last, recovery, "after the third key and a restart")
        last.close()
    }

    @Test(arguments: TestDatabases.all, KeyRotationStep.allCases)
    func endedAtAnyStepTheNextStartGoesOn(_ kind: TestDatabases, step: KeyRotationStep) async throws {
        let (folder, recovery) = try await filled(kind)
        let records = try open(folder) { reached throws(StoreError) in
            if reached == step { throw StoreError(.unavailable, "killed") }
        }
        await #expect(throws: StoreError.self) { try await rotate(records) }
        try check(records, recovery, "\(step), going on without the end")
        records.close()

        let again = try open(folder)
        try check(again, recovery, "\(step), after a restart")
        let resumed = try await again.resumeKeyRotation(done: done)
        #expect((resumed != nil) == (step == .switched || step == .resealed))
        // Before the database knew the new key nothing has happened: the command is repeated, and takes the key that lies there.
        if step == .keyMade {
            #expect(try again.keyStatus().isNextWaiting)
            _ = try await rotate(again)
        }
        try check(again, recovery, "\(step), after its end")
        #expect(try again.keyStatus().left == nil && again.keyStatus().id == 2)
        #expect(try values(under: 1, again) == [])
        #expect(try MasterKey.load(.file(folder.path + "/master.key"))?.count == 1)
        again.close()
        let last = try open(folder)
        try check(last, recovery, "\(step), after another start")
        #expect(try last.keyStatus().hasSpentKeys == false)
        last.close()
    }

    @Test(arguments: TestDatabases.all) func keyOfTheEnvironmentIsPutThereByHand(_ kind: TestDatabases) async throws {
        let (folder, recovery) = try await filled(kind)
        let old = try #require(try MasterKey.load(.file(folder.path + "/master.key"))).first
        func text(_ keys: MasterKey?...) -> MasterKeySource {
            .text(Secret(utf8: keys.compactMap { $0?.text.revealText() }.joined(separator: "\n")))
        }
        let records = try open(folder, key: text(old))
        await #expect { try await rotate(records) } throws: { ($0 as? StoreError)?.remedy.contains("sallyport key make") == true }
        records.close()

        let next = MasterKey.random()
        let both = try open(folder, key: text(next, old))
        let report = try await rotate(both)
        #expect(report.fingerprint == next.fingerprint && report.oldKeyIsIn == MasterKeySource.variable)
        #expect(try both.keyStatus().hasSpentKeys)
        both.close()
        let alone = try open(folder, key: text(next))
        try check(alone, recovery)
        alone.close()
        // The old key alone opens it no more, and is told from a key of elsewhere.
        #expect { try open(folder, key: text(old)) } throws: {
            let error = $0 as? StoreError
            return error?.code == .wrongKey && error?.what.contains("was replaced by key \(next.fingerprint)") == true
        }
    }

    @Test(arguments: TestDatabases.all) func oldKeyIsNeededUntilNothingIsSealedUnderIt(_ kind: TestDatabases) async throws {
        let (folder, _) = try await filled(kind)
        let records = try open(folder) { reached throws(StoreError) in
            if reached == .switched { throw StoreError(.unavailable, "killed") }
        }
        await #expect(throws: StoreError.self) { try await rotate(records) }
        records.close()
        let keys = try #require(try MasterKey.load(.file(folder.path + "/master.key")))
        #expect(keys.count == 2)
        try MasterKey.replace(folder.path + "/master.key", with: [keys[0]])
        #expect { try open(folder) } throws: {
            let error = $0 as? StoreError
            return error?.code == .keyMissing && error?.what.contains("still sealed") == true && error?.isConfiguration == true
        }
    }

    @Test(arguments: TestDatabases.all) func oldKeySignsNoNewLine(_ kind: TestDatabases) async throws {
        let (folder, _) = try await filled(kind)
        let records = try open(folder)
        let old = records.ring.withLock { $0.current }
        let name = try #require(try records.setting(SettingName.chain))
        _ = try await rotate(records)
        let signing = ChainSigning(key: old, chain: Array(name.utf8))
        let row = try records.database.read([
            Statement(
                SQL(
                    composed:
                        "SELECT first_seq, count, at_first, at_last, previous_hash, head_hash, mac, body FROM event_group ORDER BY first_seq DESC LIMIT 1"
                ))
        ])[0][0]
        let group = try EventGroup(row)
        let mac = SQLValue.blob(signing.mac(of: group))
        _ = try records.database.write([
            Unit([Statement(SQL(composed: "UPDATE event_group SET mac = ?1 WHERE first_seq = ?2"), [mac, .integer(group.first)])])
        ]) { _ in [] }
        #expect(try records.verifyChain().findings.map(\.kind) == [.forged])
        records.close()
    }

    @Test(arguments: TestDatabases.all) func copyIsConfirmedByItsBytesAndForThisKeyAlone(_ kind: TestDatabases) async throws {
        let (folder, _) = try await filled(kind)
        let records = try open(folder)
        #expect(try records.keyStatus().copyConfirmed == nil)
        let copy = Secret(Array(try Data(contentsOf: URL(fileURLWithPath: folder.path + "/master.key"))))
        await #expect {
            try await records.confirmKeyCopy(MasterKey.random().text, at: start, event: Event(.keyCopyConfirmed, at: start))
        } throws: {
            ($0 as? StoreError)?.code == .wrongKey
        }
        try await records.confirmKeyCopy(copy, at: start, event: Event(.keyCopyConfirmed, at: start))
        #expect(try records.keyStatus().copyConfirmed == start)
        _ = try await rotate(records)
        #expect(try records.keyStatus().copyConfirmed == nil)
        records.close()
    }
}
