// SPDX-License-Identifier: Apache-2.0
// Backups: whole or refused, whatever was done to the file; what comes back, and what does not.

import Crypto
import Foundation
import LoginEngine
import Testing

@testable import Store

@Suite struct BackupTests {
    /// Cheap where argon2id is dear.
    static func passphrase(_ text: String = "four words or more") -> BackupPassphrase {
        BackupPassphrase(Secret(utf8: text)) { secret, salt, _ throws(StoreError) in
            Secret(secret.reveal { Array(SHA256.hash(data: $0 + salt)) })
        }
    }

    /// A database of some hundred kilobytes, closed, with its key in `master.key`.
    static func filled(events: Int = 3000) async throws -> (folder: TemporaryFolder, user: Int64) {
        let fixture = try await Fixture()
        _ = fixture.settle(
            fixture.settlement([.totp(factor: fixture.totp, step: start.seconds / 30)]),
            fixture.settlement([.hotp(factor: fixture.hotp, counter: 7)], login: 2))
        let (folder, user) = (fixture.folder, fixture.user)
        fixture.records.close()
        let records = try Records(try TestDatabases.sqlite.open(in: folder), key: .file(folder.path + "/master.key"), at: start)
        _ = try await records.addClient(
            ClientSettings(name: "vpn", addresses: [AddressRange("192.0.2.7")].compactMap(\.self), secret: Secret(utf8: "shared")),
            event: Event(.clientAdded, at: start))
        for number in 0..<events {
            let login = LoginID(Bits128(high: 1, low: UInt64(number)))
            records.remember(.event(Event(.loginRejected, at: start, login: login, user: user, reason: "wrong-code")))
            if number % 500 == 499 { try await records.append(Event(.nodeStarted, at: start)) }
        }
        try await records.append(Event(.nodeStopped, at: start))
        records.close()
        return (folder, user)
    }

    @discardableResult
    static func write(
        _ folder: TemporaryFolder, to path: String, lock: BackupLock = .passphrase(passphrase()), key: MasterKey? = nil
    ) throws -> BackupSummary {
        try Backup.write(
            databaseAt: folder.path + "/sallyport.sqlite", to: path, lock: lock, key: key, release: "test", node: "here", at: start)
    }

    static func open(_ path: String, _ unlock: BackupUnlock = .passphrase(passphrase())) throws -> BackupReader {
        let reader = try BackupReader(path)
        try reader.unlock(unlock)
        return reader
    }

    static func restore(
        _ path: String, keys: [MasterKey] = [], keepsRecoveryCodes: Bool = false, at now: Timestamp = start + .minutes(60)
    ) async throws -> (folder: TemporaryFolder, report: RestoreReport) {
        let folder = TemporaryFolder()
        let directory = try DataDirectory.open(folder.path)
        defer { directory.close() }
        var restore = Restore { Event(.restored, at: now, details: $0) }
        restore.keepsRecoveryCodes = keepsRecoveryCodes
        restore.keys = keys
        let report = try await restore.run(try open(path), into: directory, key: .file(directory.keyPath), at: now)
        return (folder, report)
    }

    private func rows(_ database: any SQLDatabase, _ sql: String) throws -> [[SQLValue]] {
        let rows = try database.read([Statement(SQL(composed: sql))])[0]
        return rows.map { row in (0..<rows.columns).map { row[$0] } }
    }

    // MARK: The way there and back

    @Test func everyTableComesBack() async throws {
        let (folder, _) = try await Self.filled()
        let path = folder.path + "/a.backup"
        let key = try #require(try MasterKey.load(.file(folder.path + "/master.key"))?.first)
        let summary = try Self.write(folder, to: path, key: key)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        #expect(try Backup.verify(try Self.open(path)) == summary)
        #expect(summary.users == 1 && summary.factors == 3 && summary.clients == 1 && summary.size > 2 * BackupChunks.sealedSize)

        let (restored, report) = try await Self.restore(path, keepsRecoveryCodes: true)
        #expect(report.epoch == 2 && report.summary.rows == summary.rows)
        let before = try TestDatabases.sqlite.open(in: folder)
        let after = try TestDatabases.sqlite.open(in: restored)
        defer {
            before.close()
            after.close()
        }
        let tables = try rows(before, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        // Changed by the restore itself, and checked below and elsewhere.
        let own: Set<String> = ["setting", "revision", "factor", "mark_log", "event_group", "event_personal", "chain_head"]
        for case .text(let table) in tables.map({ $0[0] }) where !own.contains(table) && !Backup.leftOut.contains(table) {
            #expect(try rows(after, "SELECT * FROM \"\(table)\"") == rows(before, "SELECT * FROM \"\(table)\""), "\(table)")
        }
        let groups = "SELECT * FROM event_group WHERE first_seq <= \(summary.origin.head)"
        #expect(try rows(after, groups) == rows(before, groups))
        #expect(
            try rows(after, "SELECT * FROM sqlite_sequence ORDER BY name") == rows(before, "SELECT * FROM sqlite_sequence ORDER BY name"))
        #expect(try Set(FileManager.default.contentsOfDirectory(atPath: restored.path)).isSuperset(of: ["master.key", "sallyport.sqlite"]))
    }

    @Test func whatMayHaveBeenUsedOpensNothing() async throws {
        let (folder, _) = try await Self.filled(events: 10)
        let path = folder.path + "/a.backup"
        let keys = try #require(try MasterKey.load(.file(folder.path + "/master.key")))
        try Self.write(folder, to: path)
        let now = start + .minutes(60)
        let (restored, report) = try await Self.restore(path, keys: keys, at: now)
        #expect(report.voidRecoveryCodes == 2 && report.counters == 1)
        let records = try Records(try TestDatabases.sqlite.open(in: restored), key: .file(restored.path + "/master.key"), at: now)
        defer { records.close() }
        let facts = try records.load([LoginLookup(nameKey: "alice", handle: nil)], at: now)[0]
        let totp = try #require(facts.factors.first { $0.kind == .totp })
        #expect(totp.highestUsed == now.seconds / 30 + 1)
        let hotp = try #require(facts.factors.first { $0.kind == .hotp })
        #expect(hotp.highestUsed == 7 && hotp.unproven == 7)
        #expect(try records.recoveryCodesLeft(ofUser: facts.user?.id ?? 0) == 0)
        #expect(try records.epoch() == 2)
        let verified = try records.verifyChain()
        #expect(verified.isIntact, "\(verified.findings)")
        let event = try #require(try records.events(EventFilter(limit: 1)).first?.event)
        #expect(event.kind == .restored && event["epoch"] == "2" && event["made"] == start.iso8601 && event["recovery-codes"] == "void")
        // The first start uses up the steps of its own moment too, once.
        let later = now + .minutes(10)
        #expect(try await records.beginEpoch(at: later) == start)
        #expect(
            try records.load([LoginLookup(nameKey: "alice", handle: nil)], at: later)[0].factors[0].highestUsed == later.seconds / 30 + 1)
        #expect(try await records.beginEpoch(at: later + .minutes(10)) == nil)
        // A restored node is backed up and restored as any other.
        let again = restored.path + "/b.backup"
        try Self.write(restored, to: again, key: keys[0])
        #expect(try await Self.restore(again).report.epoch == 3)
    }

    @Test func backupBesideAWriterIsOneMomentOfIt() async throws {
        let (folder, user) = try await Self.filled(events: 2000)
        let records = try Records(try TestDatabases.sqlite.open(in: folder), key: .file(folder.path + "/master.key"), at: start)
        // A thread of its own: a task would wait behind what blocks here.
        let isOver = Collected<Bool>()
        Thread.detachNewThread {
            var count: UInt64 = 0
            while isOver.all.isEmpty {
                count += 1
                let login = LoginID(Bits128(high: 2, low: count))
                records.remember(.event(Event(.loginRejected, at: start, login: login, user: user, reason: "wrong-code")))
                poll(nil, 0, 1)
            }
        }
        let paths = (0..<3).map { folder.path + "/\($0).backup" }
        var heads: [Int64] = []
        for path in paths {
            try await records.append(Event(.nodeStarted, at: start))
            heads.append(try Self.write(folder, to: path).origin.head)
        }
        isOver.add(true)
        #expect(heads[0] < heads[1] && heads[1] < heads[2])
        records.close()
        let keys = try #require(try MasterKey.load(.file(folder.path + "/master.key")))
        for path in paths {
            let (restored, report) = try await Self.restore(path, keys: keys)
            let copy = try Records(try TestDatabases.sqlite.open(in: restored), key: .file(restored.path + "/master.key"), at: start)
            let verified = try copy.verifyChain()
            #expect(verified.isIntact && verified.head.seq > report.summary.origin.head, "\(verified.findings)")
            copy.close()
        }
    }

    @Test func recipientAloneOpensWhatIsForIt() async throws {
        let (folder, _) = try await Self.filled(events: 10)
        let (identity, path) = (BackupIdentity(), folder.path + "/a.backup")
        let recipient = try #require(BackupRecipient("\(identity.recipient)"))
        try Self.write(folder, to: path, lock: .recipient(recipient))
        #expect(try Backup.verify(try Self.open(path, .identity(try #require(BackupIdentity(identity.text))))).users == 1)
        for wrong in [BackupUnlock.identity(BackupIdentity()), .passphrase(Self.passphrase()), .masterKeys([.random()])] {
            #expect { try Self.open(path, wrong) } throws: { ($0 as? StoreError)?.code == .cannotOpen }
        }
        for text in ["", "spb-", "spb-AAAA", "xyz-" + "\(recipient)".dropFirst(4), "\(recipient)A"] {
            #expect(BackupRecipient(text) == nil, "\(text)")
        }
        try identity.write(to: folder.path + "/identity")
        #expect(try FileManager.default.attributesOfItem(atPath: folder.path + "/identity")[.posixPermissions] as? Int == 0o600)
        #expect(throws: StoreError.self) { try identity.write(to: folder.path + "/identity") }
    }

    // MARK: What must not be restored

    @Test func restoreTouchesNothingThatIsThere() async throws {
        let (folder, _) = try await Self.filled(events: 10)
        let path = folder.path + "/a.backup"
        let keys = try #require(try MasterKey.load(.file(folder.path + "/master.key")))
        try Self.write(folder, to: path)
        let directory = try DataDirectory.open(folder.path)
        let restore = Restore { Event(.restored, at: start, details: $0) }
        await #expect { try await restore.run(try Self.open(path), into: directory, key: .file(directory.keyPath), at: start) } throws: {
            ($0 as? StoreError)?.code == .notAllowed
        }
        directory.close()
        // Another key lies there; or none is known.
        let empty = TemporaryFolder()
        let other = try DataDirectory.open(empty.path)
        await #expect { try await restore.run(try Self.open(path), into: other, key: .file(other.keyPath), at: start) } throws: {
            ($0 as? StoreError)?.code == .keyMissing
        }
        _ = try MasterKey.make(at: other.keyPath)
        var named = restore
        named.keys = keys
        await #expect { try await named.run(try Self.open(path), into: other, key: .file(other.keyPath), at: start) } throws: {
            ($0 as? StoreError)?.code == .wrongKey
        }
        other.close()
        #expect(try Set(FileManager.default.contentsOfDirectory(atPath: empty.path)) == ["lock", "master.key"])
        #expect(throws: StoreError.self) { try Self.write(folder, to: path) }
    }

    @Test func newerAndUnknownSchemasAreRefused() async throws {
        let (folder, _) = try await Self.filled(events: 10)
        let keys = try #require(try MasterKey.load(.file(folder.path + "/master.key")))
        let database = try TestDatabases.sqlite.open(in: folder)
        let newest = Migrator.of(.sqlite).newest
        _ = try database.write([
            Unit([Statement(SQL(composed: "INSERT INTO schema_version VALUES (\(newest + 1), 'next', 'x', 1)"))])
        ]) { _ in [] }
        let path = folder.path + "/a.backup"
        try Self.write(folder, to: path)
        await #expect { try await Self.restore(path, keys: keys) } throws: { ($0 as? StoreError)?.code == .newerSchema }
        _ = try database.write([
            Unit([
                Statement(SQL(composed: "DELETE FROM schema_version WHERE number > \(newest)")),
                Statement(SQL(composed: "UPDATE schema_version SET checksum = 'x' WHERE number = 1")),
            ])
        ]) { _ in [] }
        database.close()
        let changed = folder.path + "/b.backup"
        try Self.write(folder, to: changed)
        await #expect { try await Self.restore(changed, keys: keys) } throws: { ($0 as? StoreError)?.code == .changedMigration }
    }
}
