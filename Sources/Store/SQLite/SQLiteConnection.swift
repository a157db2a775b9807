// SPDX-License-Identifier: Apache-2.0
// One SQLite connection: prepared statements kept by number, bound and stepped without detours.
// With SQLiteDatabase.swift the only code that knows the driver.

internal import GRDB
internal import GRDBSQLite

/// Used only inside its queue, one caller at a time; that is what makes it safe to hand around.
final class SQLiteConnection: @unchecked Sendable {
    /// Called with the text of each statement before it runs; a test's way to fail the n-th one.
    typealias Probe = @Sendable (String) throws(DatabaseError) -> Void

    private let queue: DatabaseQueue
    private let probe: Probe?
    private var prepared: [Compiled?] = []
    private var bound = BindBuffer()

    /// A prepared statement with what never changes about it.
    private struct Compiled {
        let statement: GRDB.Statement
        let handle: OpaquePointer
        let columns: CInt
        let isReading: Bool

        init(_ statement: GRDB.Statement) {
            self.statement = statement
            handle = statement.sqliteStatement
            columns = sqlite3_column_count(handle)
            isReading = sqlite3_stmt_readonly(handle) != 0
        }
    }

    init(_ queue: DatabaseQueue, probe: Probe? = nil) {
        self.queue = queue
        self.probe = probe
    }

    /// Runs `body` alone on this connection, on the caller's thread.
    func alone<Result: Sendable>(_ body: (Database) throws(DatabaseError) -> Result) throws(DatabaseError) -> Result {
        let result: Swift.Result<Result, DatabaseError> = queue.unsafeReentrantWrite { database in
            do throws(DatabaseError) { return .success(try body(database)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    func close() {
        prepared = []
        try? queue.close()
    }

    func run(_ statement: Statement, on database: Database) throws(DatabaseError) -> Rows {
        let compiled = try compile(statement.sql, on: database)
        let handle = compiled.handle
        if let probe { try probe(statement.sql.text) }
        defer { sqlite3_reset(handle) }
        if !statement.values.isEmpty {
            bound.begin()
            var index: CInt = 0
            for value in statement.values {
                index += 1
                let code = bind(value, to: handle, at: index)
                guard code == SQLITE_OK else { throw Self.error(code, database) }
            }
        }
        let columns = compiled.columns
        var values: [SQLValue] = []
        while true {
            let code = sqlite3_step(handle)
            if code == SQLITE_ROW {
                if values.isEmpty { values.reserveCapacity(Int(columns)) }
                for column in 0..<columns { values.append(Self.value(of: handle, at: column)) }
            } else if code == SQLITE_DONE {
                break
            } else {
                throw Self.error(code, database)
            }
        }
        let changes = compiled.isReading ? 0 : Int(sqlite3_changes(database.sqliteConnection))
        return Rows(columns: Int(columns), values: values, changes: changes)
    }

    func isReading(_ sql: SQL, on database: Database) throws(DatabaseError) -> Bool {
        try compile(sql, on: database).isReading
    }

    func isInTransaction(_ database: Database) -> Bool {
        sqlite3_get_autocommit(database.sqliteConnection) == 0
    }

    /// Many statements in one text, as a migration has them.
    func execute(script: String, on database: Database) throws(DatabaseError) {
        if let probe { try probe(script) }
        let code = sqlite3_exec(database.sqliteConnection, script, nil, nil, nil)
        guard code == SQLITE_OK else { throw Self.error(code, database) }
    }

    private func compile(_ sql: SQL, on database: Database) throws(DatabaseError) -> Compiled {
        if sql.number >= 0, sql.number < prepared.count, let statement = prepared[sql.number] { return statement }
        do {
            let statement = Compiled(try database.makeStatement(sql: sql.text))
            if sql.number >= 0 {
                while prepared.count <= sql.number { prepared.append(nil) }
                prepared[sql.number] = statement
            }
            return statement
        } catch let error as GRDB.DatabaseError {
            throw Self.error(error.resultCode.rawValue, error.message)
        } catch {
            throw DatabaseError(.statement, "\(error)")
        }
    }

    private func bind(_ value: SQLValue, to handle: OpaquePointer, at index: CInt) -> CInt {
        switch value {
        case .null: sqlite3_bind_null(handle, index)
        case .integer(let value): sqlite3_bind_int64(handle, index, value)
        case .real(let value): sqlite3_bind_double(handle, index, value)
        case .text(var text):
            text.withUTF8 { bytes in
                // A nil pointer would bind NULL.
                bytes.withMemoryRebound(to: CChar.self) {
                    sqlite3_bind_text(handle, index, $0.baseAddress ?? Self.empty, CInt($0.count), Self.transient)
                }
            }
        case .blob(let bytes):
            if bytes.isEmpty {
                sqlite3_bind_zeroblob(handle, index, 0)
            } else if let kept = bound.keep(bytes) {
                sqlite3_bind_blob(handle, index, kept, CInt(bytes.count), nil)
            } else {
                bytes.withUnsafeBytes { sqlite3_bind_blob(handle, index, $0.baseAddress, CInt($0.count), Self.transient) }
            }
        }
    }

    private static func value(of handle: OpaquePointer, at column: CInt) -> SQLValue {
        switch sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(handle, column))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(handle, column))
        case SQLITE_TEXT:
            let start = sqlite3_column_text(handle, column)
            let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
            return .text(String(decoding: bytes, as: UTF8.self))
        case SQLITE_BLOB:
            let start = sqlite3_column_blob(handle, column)
            return .blob([UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))))
        default: return .null
        }
    }

    /// SQLite copies what is bound so.
    nonisolated(unsafe) private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    nonisolated(unsafe) private static let empty: UnsafePointer<CChar> = UnsafePointer(UnsafeMutablePointer<CChar>.allocateZero())

    static func error(_ code: CInt, _ database: Database) -> DatabaseError {
        error(code, String(cString: sqlite3_errmsg(database.sqliteConnection)))
    }

    static func error(_ code: CInt, _ message: String?) -> DatabaseError {
        let kind: DatabaseError.Kind =
            switch code & 0xFF {
            case SQLITE_FULL: .full
            case SQLITE_IOERR: .inputOutput
            case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL: .busy
            case SQLITE_READONLY, SQLITE_PERM: .readOnly
            case SQLITE_CANTOPEN: .cannotOpen
            case SQLITE_CORRUPT, SQLITE_NOTADB: .damaged
            case SQLITE_NOMEM: .outOfMemory
            case SQLITE_CONSTRAINT: .constraint
            default: .statement
            }
        return DatabaseError(kind, message ?? "no message")
    }
}

/// Where the short blobs of the statement that runs lie, so that SQLite need not allocate a copy of each. It reads them until the
/// statement is reset, and every run binds anew.
private struct BindBuffer: ~Copyable {
    private static let size = 1024
    private let start = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
    private var used = 0

    deinit { start.deallocate() }

    mutating func begin() { used = 0 }

    /// Nil: there is no room for it.
    mutating func keep(_ bytes: [UInt8]) -> UnsafeRawPointer? {
        guard bytes.count <= Self.size - used else { return nil }
        let place = start + used
        bytes.withUnsafeBytes { place.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(start), byteCount: bytes.count) }
        used += bytes.count
        return UnsafeRawPointer(place)
    }
}

extension UnsafeMutablePointer where Pointee == CChar {
    fileprivate static func allocateZero() -> UnsafeMutablePointer<CChar> {
        let pointer = allocate(capacity: 1)
        pointer.initialize(to: 0)
        return pointer
    }
}
