// SPDX-License-Identifier: Apache-2.0
// Makes a data directory from a backup, aside and put in its place when it is whole, and opens a new epoch in it.

internal import Foundation
package import LoginEngine

package struct RestoreReport: Sendable {
    package var summary: BackupSummary
    package var epoch: Int64
    /// Schema of the backup, and the one it was brought to.
    package var schemaBefore: Int
    package var schema: Int
    package var voidRecoveryCodes: Int
    /// Tokens that have to show two codes in a row.
    package var counters: Int
}

package struct Restore: Sendable {
    /// Who asked and how, for the event.
    package var event: @Sendable (_ details: [Event.Detail]) -> Event
    package var keepsRecoveryCodes = false
    /// Keys that were named for it, beside those of the source.
    package var keys: [MasterKey] = []
    package var progress: @Sendable (Int, Int) -> Void = { _, _ in }

    package init(event: @escaping @Sendable (_ details: [Event.Detail]) -> Event) {
        self.event = event
    }

    private static let rowsAtOnce = 512

    /// - Parameter directory: holds no database, and no key but the one that the backup needs.
    package func run(
        _ reader: BackupReader, into directory: DataDirectory, key source: MasterKeySource, at now: Timestamp
    ) async throws(StoreError) -> RestoreReport {
        guard access(directory.databasePath, F_OK) != 0 else {
            throw StoreError(
                .notAllowed, "there is a database already", at: directory.path,
                remedy: "Restore into an empty directory, and keep the old one until you know that you need nothing of it.")
        }
        let staging = directory.databasePath + ".restoring"
        Self.remove(staging)
        do throws(StoreError) {
            let report = try await stage(reader, at: staging, directory, source, now)
            guard rename(staging, directory.databasePath) == 0 else {
                throw StoreError(
                    .unavailable, "cannot be put in its place: \(String(cString: strerror(errno)))", at: directory.databasePath)
            }
            DataDirectory.synchronise(directory: directory.path)
            return report
        } catch {
            Self.remove(staging)
            throw error.code == .cannotOpen ? error.at(reader.path) : error
        }
    }

    private static func remove(_ path: String) {
        for end in ["", "-wal", "-shm"] { unlink(path + end) }
    }

    private func stage(
        _ reader: BackupReader, at path: String, _ directory: DataDirectory, _ source: MasterKeySource, _ now: Timestamp
    ) async throws(StoreError) -> RestoreReport {
        var walk = try BackupWalk(reader)
        let origin = walk.summary.origin
        let keys = try keys(for: origin, in: walk.key, source)
        let database: SQLiteDatabase
        do throws(DatabaseError) { database = try SQLiteDatabase(path: path) } catch { throw StoreError(error) }
        let records: Records
        do throws(StoreError) {
            _ = try Self.migrator(to: origin).migrate(database, at: now)
            try load(&walk, reader, into: database)
            try put(keys, source)
            records = try Records(database, key: source, at: now)
        } catch {
            database.close()
            throw error
        }
        defer { records.close() }
        let epoch = try await records.openEpoch(
            made: origin.made, from: origin.node, head: origin.head, keepsRecoveryCodes: keepsRecoveryCodes, at: now, event: event)
        return RestoreReport(
            summary: walk.summary, epoch: epoch.number, schemaBefore: origin.schemaVersion, schema: records.schema,
            voidRecoveryCodes: epoch.voidRecoveryCodes, counters: epoch.counters)
    }

    /// The steps that made the backup's schema, which must be ours.
    private static func migrator(to origin: BackupOrigin) throws(StoreError) -> Migrator {
        let known = Migrator.of(.sqlite)
        guard origin.schemaVersion <= known.newest else {
            throw StoreError(
                .newerSchema, "the backup has schema \(origin.schemaVersion), and this program knows schemas up to \(known.newest)",
                remedy: "Restore it with Sallyport \(origin.release) or newer.")
        }
        let steps = Array(known.migrations.prefix(origin.schemaVersion))
        for (step, ours) in zip(origin.schema, steps) where step.checksum != ours.checksum || step.name != ours.name {
            throw StoreError(
                .changedMigration, "schema step \(step.number) (\(step.name)) of the backup is not the one that this program knows",
                remedy: "Restore it with Sallyport \(origin.release).")
        }
        guard steps.count == origin.schema.count, !steps.isEmpty else { throw BackupReader.malformed }
        return Migrator(migrations: steps)
    }

    // MARK: Rows

    /// Names of tables and columns come from the file, so each is looked up among ours before it stands in a statement.
    private func load(_ walk: inout BackupWalk, _ reader: BackupReader, into database: SQLiteDatabase) throws(StoreError) {
        let shapes = try prepare(database)
        var insert: SQL?
        var counters: [Statement] = []
        while let item = try walk.next() {
            switch item {
            case .origin, .key, .end: break
            case .table(let name, let columns):
                guard let shape = shapes.first(where: { $0.name == name }), Set(columns).count == columns.count,
                    columns.allSatisfy(shape.columns.contains)
                else { throw BackupReader.malformed }
                let names = columns.map { "\"\($0)\"" }.joined(separator: ", ")
                let places = columns.indices.map { "?\($0 + 1)" }.joined(separator: ", ")
                insert = SQL(composed: "INSERT INTO \"\(name)\" (\(names)) VALUES (\(places))")
            case .rows(let rows):
                guard let insert else { throw BackupReader.malformed }
                for start in stride(from: 0, to: rows.count, by: Self.rowsAtOnce) {
                    try write(rows[start..<min(start + Self.rowsAtOnce, rows.count)].map { Statement(insert, $0) }, database)
                }
                progress(reader.read, reader.size)
            case .counter(let table, let value):
                counters.append(Statement(SQL(composed: "DELETE FROM sqlite_sequence WHERE name = ?1"), [.text(table)]))
                counters.append(
                    Statement(SQL(composed: "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)"), [.text(table), .integer(value)]))
            }
        }
        try write(counters, database)
        do throws(DatabaseError) {
            guard try database.pragma("PRAGMA foreign_key_check").isEmpty else { throw DatabaseError(.constraint, "a row refers to none") }
            _ = try database.pragma("PRAGMA foreign_keys = ON")
            _ = try database.pragma("PRAGMA synchronous = FULL")
        } catch {
            throw Self.refused(error)
        }
    }

    /// Empties the tables that are in backups.
    private func prepare(_ database: SQLiteDatabase) throws(StoreError) -> [TableShape] {
        do throws(DatabaseError) {
            let shapes = try SQLiteSnapshot.tables { text, values throws(DatabaseError) in
                try database.read([Statement(SQL(composed: text), values)])[0]
            }.filter { !Backup.leftOut.contains($0.name) }
            // Nothing of it counts until it is renamed; parents may come after their children.
            _ = try database.pragma("PRAGMA synchronous = OFF")
            _ = try database.pragma("PRAGMA foreign_keys = OFF")
            for shape in shapes { _ = try database.write([Unit([Statement(SQL(composed: "DELETE FROM \"\(shape.name)\""))])]) { _ in [] } }
            return shapes
        } catch {
            throw StoreError(error)
        }
    }

    /// Rows that the schema refuses were not written by us.
    private static func refused(_ error: DatabaseError) -> StoreError {
        error.isOfOneStatement ? BackupReader.malformed : StoreError(error)
    }

    private func write(_ statements: [Statement], _ database: SQLiteDatabase) throws(StoreError) {
        do throws(DatabaseError) {
            if case .failed(let error) = try database.write([Unit(statements)], closing: { _ in [] })[0] { throw error }
        } catch {
            throw Self.refused(error)
        }
    }

    // MARK: The key

    /// The keys that the restored node will start with.
    private func keys(for origin: BackupOrigin, in backup: Secret?, _ source: MasterKeySource) throws(StoreError) -> [MasterKey] {
        var offered = keys
        if let backup { offered += try MasterKey.load(.text(backup)) ?? [] }
        if let present = try MasterKey.load(source) {
            guard present.contains(where: { $0.check == origin.keyCheck }) else {
                throw StoreError(
                    .wrongKey, "the backup is sealed under master key \(origin.keyFingerprint), and here is key \(present[0].fingerprint)",
                    at: source.place, remedy: "Restore into an empty directory, or put the right key there.")
            }
            return present
        }
        guard offered.contains(where: { $0.check == origin.keyCheck }) else {
            throw StoreError(
                .keyMissing, "the backup is sealed under master key \(origin.keyFingerprint), and does not hold it",
                remedy: "Name a copy of that key with --key-file.")
        }
        return offered
    }

    private func put(_ keys: [MasterKey], _ source: MasterKeySource) throws(StoreError) {
        guard case .file(let path) = source, access(path, F_OK) != 0 else { return }
        try MasterKey.replace(path, with: keys)
    }
}

// MARK: Epochs

extension Records {
    package struct Epoch: Sendable {
        package var number: Int64
        package var voidRecoveryCodes: Int
        package var counters: Int
    }

    /// How often the data were put back to an older state; 1 when never.
    package func epoch() throws(StoreError) -> Int64 {
        try setting(SettingName.epoch).flatMap { Int64($0) } ?? 1
    }

    /// What was used since the copy was made is not known any more, so nothing that could have been is taken again.
    /// - Parameters:
    ///   - from: the node that the copy is of; nil: the database was put back by its own tools.
    ///   - head: the last line of the copy's trail; nil: the one that is here.
    package func openEpoch(
        made: Timestamp, from node: String?, head: Int64? = nil, keepsRecoveryCodes: Bool, at now: Timestamp,
        event: @escaping @Sendable ([Event.Detail]) -> Event
    ) async throws(StoreError) -> Epoch {
        // Twice, eleven minutes apart: marks that are kept for a while are folded too, so that the factors' rows say all.
        try await housekeeping(at: now)
        try await housekeeping(at: now + .minutes(11))
        let number = try epoch() + 1
        let codes = try read([Statement(.unusedRecoveryCodes)]) { results throws(DatabaseError) in Int(try results[0][0].integer(0)) }
        let counters = try read([Statement(.countCounters)]) { results throws(DatabaseError) in Int(try results[0][0].integer(0)) }
        var statements = [
            Statement(.voidHandles), Statement(.voidResynchronisations), Statement(.raiseSteps, [.integer(now.seconds)]),
            Statement(.doubtCounters), Statement(.voidInvitations), Statement(.voidMails, [.integer(now.microseconds)]),
            Statement(.setSetting, [.text(SettingName.epoch), .text("\(number)")]),
            Statement(.setSetting, [.text(SettingName.epochUnseen), .text("\(made.microseconds)")]),
            Statement(.releaseAllGranted), Statement(.raiseRevision),
        ]
        if !keepsRecoveryCodes { statements.append(Statement(.voidRecoveryCodes)) }
        let restored = event([
            Event.Detail("made", made.iso8601), Event.Detail("from", node ?? "the database's own tools"),
            Event.Detail("epoch", "\(number)"), Event.Detail("head", "\(head ?? chain.head.seq)"),
            Event.Detail("recovery-codes", keepsRecoveryCodes ? "kept" : "void"),
        ])
        try await change(Unit(statements)) { _ in [restored] }
        return Epoch(number: number, voidRecoveryCodes: keepsRecoveryCodes ? 0 : codes, counters: counters)
    }

    /// The first start behind a restore: the old node may have answered until now, so steps are used up again.
    /// - Returns: when the backup was made; nil when this is no such start.
    package func beginEpoch(at now: Timestamp) async throws(StoreError) -> Timestamp? {
        guard let made = try setting(SettingName.epochUnseen).flatMap({ Int64($0) }) else { return nil }
        try await change(
            Unit([Statement(.raiseSteps, [.integer(now.seconds)]), Statement(.dropSetting, [.text(SettingName.epochUnseen)])])
        ) { _ in [] }
        return Timestamp(microseconds: made)
    }
}

extension SettingName {
    static let epoch = "epoch"
    /// When the backup was made behind which no node has started yet.
    static let epochUnseen = "epoch.unseen"
}

extension SQL {
    fileprivate static let voidHandles = SQL("DELETE FROM login_handle")
    fileprivate static let voidResynchronisations = SQL("DELETE FROM factor_resync")
    /// ?1 seconds since 1970. Up to the next step of a token's clock as it was learnt, and of one that is right.
    fileprivate static let raiseSteps = SQL(
        """
        UPDATE factor SET folded = ?1 / period + 1 + CASE WHEN drift > 0 THEN drift ELSE 0 END
        WHERE kind = 'totp' AND period > 0 AND folded < ?1 / period + 1 + CASE WHEN drift > 0 THEN drift ELSE 0 END
        """)
    fileprivate static let doubtCounters = SQL("UPDATE factor SET unproven = folded WHERE kind = 'hotp'")
    fileprivate static let countCounters = SQL("SELECT count(*) FROM factor WHERE kind = 'hotp'")
    fileprivate static let unusedRecoveryCodes = SQL("SELECT count(*) FROM recovery_code WHERE used_at IS NULL")
    /// Links that were handed out before open nothing, and nobody gets one of them by mail.
    fileprivate static let voidInvitations = SQL("DELETE FROM invitation WHERE used IS NULL")
    fileprivate static let voidMails = SQL(
        """
        UPDATE outbox SET state = 'failed', content = NULL, ended = ?1, problem = 'the data were put back from a backup before it was sent'
        WHERE state = 'waiting'
        """)
    fileprivate static let voidRecoveryCodes = SQL("DELETE FROM recovery_code")
}
