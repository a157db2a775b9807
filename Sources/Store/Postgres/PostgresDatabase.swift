// SPDX-License-Identifier: Apache-2.0
// PostgreSQL behind the seam: one connection that writes and holds the lock, a few that only read.

internal import Dispatch
internal import Synchronization

package final class PostgresDatabase: SQLDatabase {
    package struct Options: Sendable {
        /// Reading connections that are kept; one more is opened while all are lent.
        package var readers = 4
        /// Milliseconds that an answer may take, after which the server counts as gone. It ends a statement itself a little before.
        package var readTimeout = 10_000
        /// Longer, for housekeeping; a network that is gone is told by TCP after ten seconds.
        package var writeTimeout = 60_000
        /// Milliseconds that the writer waits for what somebody at a console holds.
        package var lockTimeout = 5_000
        /// Milliseconds that the lock of a node that ends is waited for.
        package var lockWait = 3_000
        /// Called with each statement of the writer before it is sent.
        package var probe: (@Sendable (String) throws(DatabaseError) -> Void)?

        package init() {}
    }

    private struct Writer: ~Copyable {
        var connection: PostgresConnection?
        var session = 0
        /// Of the last one, to know its lock from another node's.
        var backend: Backend
    }

    /// A server's process, by its number and when it began: numbers are given again.
    struct Backend: Equatable {
        var process: Int64
        var began: String
    }

    /// After a server did not take a connection, others fail at once for so long, and at least as long as the try took, so that no thread
    /// waits for it again and again.
    private static let pause: UInt64 = 500_000_000

    package let dialect = Dialect.postgres
    /// Other nodes will share it.
    package let isOwnedAlone = false
    private let address: PostgresAddress
    private let options: Options
    private let writer: Mutex<Writer>
    private let idle: Mutex<[PostgresConnection]?>
    private let refusal = Mutex<(until: UInt64, error: DatabaseError)?>(nil)

    /// Connects, looks whether the server keeps what it acknowledges, and takes the lock of this database.
    /// - Throws: `busy` when another node has the lock, `cannotOpen` when the server or its settings are not to be worked with, `lost` when
    ///   no server answers.
    package init(_ address: PostgresAddress, options: Options = Options()) throws(DatabaseError) {
        self.address = address
        self.options = options
        let connection = try Self.open(address, options, reading: false)
        let backend = try Self.takeLock(of: nil, on: connection, options)
        writer = Mutex(Writer(connection: connection, backend: backend))
        idle = Mutex([])
    }

    private static func open(_ address: PostgresAddress, _ options: Options, reading: Bool) throws(DatabaseError) -> PostgresConnection {
        let timeout = reading ? options.readTimeout : options.writeTimeout
        let connection = try PostgresConnection(address, timeout: timeout, probe: reading ? nil : options.probe)
        // Of the server first, so that its answer is an error and no silence.
        try connection.run(
            script: """
                SET client_min_messages = warning; SET standard_conforming_strings = on; SET jit = off;
                SET statement_timeout = \(timeout * 9 / 10); SET lock_timeout = \(options.lockTimeout);
                SET idle_in_transaction_session_timeout = \(timeout)
                """)
        if reading {
            // What is sent together is one transaction, and so one view.
            try connection.run(script: "SET default_transaction_isolation = 'repeatable read'; SET default_transaction_read_only = on")
        }
        try check(connection, reading: reading)
        return connection
    }

    /// What would lose an acknowledged login, or give no right answer, is no database to start on.
    private static func check(_ connection: PostgresConnection, reading: Bool) throws(DatabaseError) {
        if !reading { _ = try connection.run([Statement(.waitForDisk)]) }
        let row = try connection.run([Statement(.serverSettings)])[0][0]
        guard try row.text(0) == "UTF8" else {
            throw DatabaseError(.cannotOpen, "the database has encoding \(try row.text(0)); make one with ENCODING 'UTF8'")
        }
        guard try !row.flag(1) else {
            throw DatabaseError(.readOnly, "this server is a standby; add target_session_attrs=read-write to the address")
        }
        guard try row.text(2) == "on" else {
            throw DatabaseError(.cannotOpen, "the server does not wait for its disk (fsync is off)")
        }
        let waiting = try row.text(3)
        guard reading || waiting == "on" || waiting == "remote_apply" else {
            throw DatabaseError(.cannotOpen, "commits do not wait for the disk (synchronous_commit is \(waiting))")
        }
        guard !row.isNull(4) else {
            throw DatabaseError(.cannotOpen, "no schema of the search path is there; CREATE SCHEMA, or change search_path")
        }
        guard try row.integer(5) >= 130_000 else { throw DatabaseError(.cannotOpen, "the server is older than PostgreSQL 13") }
    }

    // MARK: The lock

    /// One node works on a database at a time. The lock is the session's: it goes with the connection, whatever happens to the node.
    /// - Parameter former: the session that had it before; where its process still hangs on, it is ended.
    private static func takeLock(
        of former: Backend?, on connection: PostgresConnection, _ options: Options
    ) throws(DatabaseError) -> Backend {
        let holder = try connection.run([Statement(.lockHolder)])[0].first
        if let former, let holder, try Backend(holder) == former { _ = try connection.run([Statement(.end, [.integer(former.process)])]) }
        do throws(DatabaseError) {
            _ = try connection.run([Statement(.setLockTimeout, [.text("\(options.lockWait)")]), Statement(.lock)])
            _ = try connection.run([Statement(.setLockTimeout, [.text("\(options.lockTimeout)")])])
        } catch  where error.kind == .busy {
            let place = try holder?.text(2) ?? "another place"
            throw DatabaseError(.busy, "another node (\(place)) works on this database")
        }
        return try Backend(try connection.run([Statement(.backend)])[0][0])
    }

    package func session() throws(DatabaseError) -> Int {
        try writer.withLock { writer throws(DatabaseError) in
            guard idle.withLock({ $0 != nil }) else { throw DatabaseError(.closed, "the database was closed") }
            if let connection = writer.connection, connection.isAlive { return writer.session }
            writer.connection = nil
            let connection = try connect(reading: false)
            writer.backend = try Self.takeLock(of: writer.backend, on: connection, options)
            writer.connection = connection
            writer.session += 1
            return writer.session
        }
    }

    private func connect(reading: Bool) throws(DatabaseError) -> PostgresConnection {
        let began = DispatchTime.now().uptimeNanoseconds
        if let refusal = refusal.withLock({ $0 }), began < refusal.until { throw refusal.error }
        do throws(DatabaseError) {
            let connection = try Self.open(address, options, reading: reading)
            refusal.withLock { $0 = nil }
            return connection
        } catch {
            let now = DispatchTime.now().uptimeNanoseconds
            refusal.withLock { $0 = (now + max(Self.pause, now - began), error) }
            throw error
        }
    }

    // MARK: Reading

    package func read(_ statements: [Statement]) throws(DatabaseError) -> [Rows] {
        let (kept, isOpen) = idle.withLock { idle in (idle?.popLast(), idle != nil) }
        guard isOpen else { throw DatabaseError(.closed, "the database was closed") }
        if let kept {
            do throws(DatabaseError) {
                return try read(statements, on: kept)
            } catch  where error.kind == .lost {
                // It was lost while nobody used it, and so were the others. Nothing was changed by asking: ask again.
                idle.withLock { if $0 != nil { $0 = [] } }
            }
        }
        return try read(statements, on: try connect(reading: true))
    }

    private func read(_ statements: [Statement], on connection: PostgresConnection) throws(DatabaseError) -> [Rows] {
        defer {
            idle.withLock { idle in
                if let count = idle?.count, count < options.readers, connection.isUsable { idle?.append(connection) }
            }
        }
        return try connection.run(statements)
    }

    // MARK: Writing

    package func write(_ units: [Unit], closing: ([UnitOutcome]) -> [Statement]) throws(DatabaseError) -> [UnitOutcome] {
        try withWriter { connection throws(DatabaseError) in
            var group = PostgresGroup(units, on: connection)
            if let outcomes = try group.together(closing: closing) { return outcomes }
            connection.rollBack()
            var again = PostgresGroup(units, on: connection)
            return try again.oneByOne(closing: closing)
        }
    }

    package func execute(script: String, then statements: [Statement]) throws(DatabaseError) {
        try withWriter { connection throws(DatabaseError) in
            _ = try connection.run([Statement(.beginScript), Statement(.waitForEver)])
            try connection.run(script: script)
            _ = try connection.run(statements + [Statement(.commitScript)])
        }
    }

    /// Whoever remembers what the database holds has to hear of a new session first, so none is begun here.
    private func withWriter<Result: Sendable>(
        _ body: (PostgresConnection) throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        try writer.withLock { writer throws(DatabaseError) in
            guard idle.withLock({ $0 != nil }) else { throw DatabaseError(.closed, "the database was closed") }
            guard let connection = writer.connection else { throw DatabaseError(.lost, "the connection was lost") }
            do throws(DatabaseError) {
                return try body(connection)
            } catch {
                connection.rollBack()
                throw error
            }
        }
    }

    package func close() {
        idle.withLock { $0 = nil }
        // libpq says good-bye when the last one lets go; the server gives the lock back then.
        writer.withLock { $0.connection = nil }
    }
}

extension PostgresDatabase.Backend {
    fileprivate init(_ row: Row) throws(DatabaseError) {
        self.init(process: try row.integer(0), began: try row.text(1))
    }
}

extension SQL {
    fileprivate static let waitForDisk = SQL(
        """
        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply'
        """)
    fileprivate static let serverSettings = SQL(
        """
        SELECT current_setting('server_encoding'), pg_is_in_recovery(), current_setting('fsync'), current_setting('synchronous_commit'),
            current_schema(), CAST(current_setting('server_version_num') AS bigint)
        """)
    fileprivate static let lock = SQL("SELECT CAST(pg_advisory_lock(hashtextextended('sallyport ' || current_schema(), 0)) AS text)")
    /// Two halves of the lock's number, as pg_locks has them.
    fileprivate static let lockHolder = SQL(
        """
        SELECT CAST(a.pid AS bigint), coalesce(CAST(a.backend_start AS text), ''),
            coalesce(CAST(a.client_addr AS text), 'of this machine') || ', process ' || a.pid || ' of the server'
        FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        CROSS JOIN (SELECT hashtextextended('sallyport ' || current_schema(), 0) AS number) k
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (
                SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND CAST(l.classid AS bigint) = (k.number >> 32) & 4294967295 AND CAST(l.objid AS bigint) = k.number & 4294967295
        """)
    fileprivate static let backend = SQL(
        """
        SELECT CAST(a.pid AS bigint), coalesce(CAST(a.backend_start AS text), '') FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()
        """)
    fileprivate static let end = SQL("SELECT pg_terminate_backend(CAST(?1 AS integer))")
    fileprivate static let setLockTimeout = SQL("SELECT set_config('lock_timeout', ?1, false)")
    fileprivate static let beginScript = SQL("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    fileprivate static let waitForEver = SQL("SET LOCAL statement_timeout = 0")
    fileprivate static let commitScript = SQL("COMMIT")
}
