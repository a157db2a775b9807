// SPDX-License-Identifier: Apache-2.0
// SQLite behind the seam: one connection that writes, a few that only read.

internal import Foundation
internal import GRDB
internal import Synchronization

package final class SQLiteDatabase: SQLDatabase {
    package struct Options: Sendable {
        /// Reading connections that are kept; one more is opened while all are lent.
        package var readers = 4
        /// True where the data directory is locked by who opens it.
        package var isOwnedAlone = true
        /// Whether the journal's blocks are written before they are needed: pays for who commits often.
        package var takesJournalSpace = false
        /// Called with each statement of the writer before it runs.
        package var probe: (@Sendable (String) throws(DatabaseError) -> Void)?
        /// Called when the disk is full; true when it made room, so that the transaction is tried again.
        package var makeRoom: (@Sendable () -> Bool)?

        package init() {}
    }

    package let dialect = Dialect.sqlite
    package var isOwnedAlone: Bool { options.isOwnedAlone }

    let path: String
    private let options: Options
    private let writer: SQLiteConnection
    private let checkpointer: Checkpointer
    private let idle: Mutex<[SQLiteConnection]?>

    /// Opens or makes the file, with mode 0600, for a writer that waits for the disk at every commit.
    package init(path: String, options: Options = Options()) throws(DatabaseError) {
        self.path = path
        self.options = options
        // SQLite gives its journal the mode of the file.
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DatabaseError(.cannotOpen, String(cString: strerror(errno))) }
        Glibc.close(descriptor)
        let connection = SQLiteConnection(try Self.open(path, reading: false), probe: options.probe)
        // GRDB falls back to `synchronous = NORMAL` when it sets up the journal, whatever was set before: set it now, and look.
        let durability = try connection.alone { database throws(DatabaseError) in
            try connection.execute(script: Self.writerSettings, on: database)
            return try connection.run(Statement(SQL.readSynchronous), on: database)
        }
        guard durability.first?[0] == .integer(2) else {
            throw DatabaseError(.cannotOpen, "the database does not wait for the disk (synchronous is not FULL)")
        }
        writer = connection
        var journal: JournalSpace?
        if options.takesJournalSpace, options.isOwnedAlone {
            // SQLite opens its journal, and reads what a crash left there, at the first reading.
            _ = try connection.alone { database throws(DatabaseError) in
                try connection.run(Statement(SQL.readVersion), on: database)
            }
            let space = JournalSpace(of: path)
            if space.take() { journal = space }
        }
        checkpointer = Checkpointer(try Self.open(path, reading: false), journal: journal)
        idle = Mutex([])
        try checkpointer.watch(writer)
    }

    private static let writerSettings = """
        PRAGMA synchronous = FULL;
        PRAGMA foreign_keys = ON;
        PRAGMA wal_autocheckpoint = 0;
        PRAGMA journal_size_limit = 67108864;
        PRAGMA secure_delete = FAST;
        PRAGMA cache_size = -65536;
        """

    static func open(_ path: String, reading: Bool) throws(DatabaseError) -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = reading
        configuration.busyMode = .timeout(5)
        configuration.foreignKeysEnabled = true
        configuration.label = reading ? "sallyport.reader" : "sallyport.writer"
        if reading {
            configuration.prepareDatabase { database in
                try database.execute(sql: "PRAGMA query_only = ON; PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -16384")
            }
        } else {
            configuration.journalMode = .wal
        }
        do {
            return try DatabaseQueue(path: path, configuration: configuration)
        } catch let error as GRDB.DatabaseError {
            throw SQLiteConnection.error(error.resultCode.rawValue, error.message)
        } catch {
            throw DatabaseError(.cannotOpen, "\(error)")
        }
    }

    /// A file has no other: nobody else writes it while its directory is locked.
    package func session() -> Int { 0 }

    package func read(_ statements: [Statement]) throws(DatabaseError) -> [Rows] {
        let connection = try borrow()
        defer { giveBack(connection) }
        return try connection.alone { database throws(DatabaseError) in
            var results: [Rows] = []
            results.reserveCapacity(statements.count)
            // One statement is a consistent view by itself.
            if statements.count > 1 { _ = try connection.run(Statement(.begin), on: database) }
            do throws(DatabaseError) {
                for statement in statements { results.append(try connection.run(statement, on: database)) }
            } catch {
                if connection.isInTransaction(database) { _ = try? connection.run(Statement(.rollback), on: database) }
                throw error
            }
            if statements.count > 1 { _ = try connection.run(Statement(.commit), on: database) }
            return results
        }
    }

    private func borrow() throws(DatabaseError) -> SQLiteConnection {
        let (connection, isOpen) = idle.withLock { idle in (idle?.popLast(), idle != nil) }
        guard isOpen else { throw DatabaseError(.closed, "the database was closed") }
        if let connection { return connection }
        return SQLiteConnection(try Self.open(path, reading: true))
    }

    private func giveBack(_ connection: SQLiteConnection) {
        let isKept = idle.withLock { idle in
            guard let count = idle?.count, count < options.readers else { return false }
            idle?.append(connection)
            return true
        }
        if !isKept { connection.close() }
    }

    package func write(_ units: [Unit], closing: ([UnitOutcome]) -> [Statement]) throws(DatabaseError) -> [UnitOutcome] {
        guard idle.withLock({ $0 != nil }) else { throw DatabaseError(.closed, "the database was closed") }
        return try writer.alone { database throws(DatabaseError) in
            while true {
                do throws(DatabaseError) {
                    return try transaction(units, closing: closing, on: database)
                } catch {
                    guard error.kind == .full, let makeRoom = options.makeRoom, makeRoom() else { throw error }
                    // What the journal holds goes to its place, so that the journal begins anew in the room that it has.
                    _ = try? writer.run(Statement(.checkpoint), on: database)
                }
            }
        }
    }

    private func transaction(
        _ units: [Unit], closing: ([UnitOutcome]) -> [Statement], on database: Database
    ) throws(DatabaseError) -> [UnitOutcome] {
        do throws(DatabaseError) {
            return try transaction(units, closing: closing, isolating: false, on: database)
        } catch {
            guard error.isOfOneStatement else { throw error }
            // One unit spoils the group: again, each behind its own savepoint.
            return try transaction(units, closing: closing, isolating: true, on: database)
        }
    }

    private func transaction(
        _ units: [Unit], closing: ([UnitOutcome]) -> [Statement], isolating: Bool, on database: Database
    ) throws(DatabaseError) -> [UnitOutcome] {
        _ = try writer.run(Statement(.beginWriting), on: database)
        do throws(DatabaseError) {
            var outcomes: [UnitOutcome] = []
            outcomes.reserveCapacity(units.count)
            for unit in units {
                outcomes.append(try run(unit, isolating: isolating, on: database))
            }
            for statement in closing(outcomes) { _ = try writer.run(statement, on: database) }
            _ = try writer.run(Statement(.commit), on: database)
            return outcomes
        } catch {
            // SQLite has rolled back by itself after some errors.
            if writer.isInTransaction(database) { _ = try? writer.run(Statement(.rollback), on: database) }
            throw error
        }
    }

    private func run(_ unit: Unit, isolating: Bool, on database: Database) throws(DatabaseError) -> UnitOutcome {
        var needsSavepoint = isolating
        for check in unit.guarded.dropLast() where !needsSavepoint {
            needsSavepoint = try !writer.isReading(check.statement.sql, on: database)
        }
        if needsSavepoint { _ = try writer.run(Statement(.savepoint), on: database) }
        let outcome: UnitOutcome
        do throws(DatabaseError) {
            outcome = try steps(of: unit, on: database)
        } catch {
            guard isolating, error.isOfOneStatement, writer.isInTransaction(database) else { throw error }
            outcome = .failed(error)
        }
        if needsSavepoint {
            if !outcome.isDone { _ = try writer.run(Statement(.rollbackToSavepoint), on: database) }
            _ = try writer.run(Statement(.release), on: database)
        }
        return outcome
    }

    private func steps(of unit: Unit, on database: Database) throws(DatabaseError) -> UnitOutcome {
        var results: [Rows] = []
        results.reserveCapacity(unit.guarded.count)
        for (index, check) in unit.guarded.enumerated() {
            let rows = try writer.run(check.statement, on: database)
            guard check.isMet(by: rows) else { return .refused(index) }
            results.append(rows)
        }
        if let then = unit.then {
            for statement in then(results) { results.append(try writer.run(statement, on: database)) }
        }
        return .done(results)
    }

    package func execute(script: String, then statements: [Statement]) throws(DatabaseError) {
        try writer.alone { database throws(DatabaseError) in
            _ = try writer.run(Statement(.beginWriting), on: database)
            do throws(DatabaseError) {
                try writer.execute(script: script, on: database)
                for statement in statements { _ = try writer.run(statement, on: database) }
                _ = try writer.run(Statement(.commit), on: database)
            } catch {
                if writer.isInTransaction(database) { _ = try? writer.run(Statement(.rollback), on: database) }
                throw error
            }
        }
    }

    /// Runs one statement of the writer outside of a transaction: settings, and what tests ask about them.
    package func pragma(_ text: String) throws(DatabaseError) -> Rows {
        try writer.alone { database throws(DatabaseError) in try writer.run(Statement(SQL(composed: text)), on: database) }
    }

    package func close() {
        let connections = idle.withLock { idle in
            defer { idle = nil }
            return idle
        }
        guard let connections else { return }
        checkpointer.close()
        for connection in connections { connection.close() }
        writer.close()
    }
}

extension SQL {
    fileprivate static let readSynchronous = SQL("PRAGMA synchronous")
    fileprivate static let readVersion = SQL("PRAGMA user_version")
    fileprivate static let checkpoint = SQL("PRAGMA wal_checkpoint(PASSIVE)")
    fileprivate static let begin = SQL("BEGIN DEFERRED TRANSACTION")
    fileprivate static let beginWriting = SQL("BEGIN IMMEDIATE TRANSACTION")
    fileprivate static let commit = SQL("COMMIT TRANSACTION")
    fileprivate static let rollback = SQL("ROLLBACK TRANSACTION")
    fileprivate static let savepoint = SQL("SAVEPOINT unit")
    fileprivate static let rollbackToSavepoint = SQL("ROLLBACK TRANSACTION TO SAVEPOINT unit")
    fileprivate static let release = SQL("RELEASE SAVEPOINT unit")
}
