// SPDX-License-Identifier: Apache-2.0
// One view of a whole database that lasts while others write to it, also another process.

internal import GRDB

/// What a table looks like, as the database itself says.
struct TableShape: Sendable, Equatable {
    var name: String
    var columns: [String]
    /// Positions of the columns that tell its rows apart, in their order.
    var key: [Int]
}

struct SQLiteSnapshot {
    private let connection: SQLiteConnection
    private let database: Database

    /// A reader holds up nobody who writes; the journal grows by what is written meanwhile.
    static func open<Result: Sendable>(
        _ path: String, _ body: (SQLiteSnapshot) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        let outcome: Swift.Result<Result, StoreError>
        do throws(DatabaseError) {
            let connection = SQLiteConnection(try SQLiteDatabase.open(path, reading: true))
            defer { connection.close() }
            outcome = try connection.alone { database throws(DatabaseError) in
                _ = try connection.run(Statement(SQL(composed: "BEGIN DEFERRED TRANSACTION")), on: database)
                defer { _ = try? connection.run(Statement(SQL(composed: "ROLLBACK TRANSACTION")), on: database) }
                let snapshot = SQLiteSnapshot(connection: connection, database: database)
                // The view is that of the first read.
                _ = try snapshot.rows("SELECT count(*) FROM sqlite_master")
                do throws(StoreError) { return .success(try body(snapshot)) } catch { return .failure(error) }
            }
        } catch {
            throw StoreError(error)
        }
        return try outcome.get()
    }

    func rows(_ text: String, _ values: [SQLValue] = []) throws(DatabaseError) -> Rows {
        try connection.run(Statement(SQL(composed: text), values), on: database)
    }

    /// In the order in which they were made, so that what is referred to comes first.
    func tables() throws(DatabaseError) -> [TableShape] { try Self.tables { text, values throws(DatabaseError) in try rows(text, values) } }

    static func tables(_ read: (String, [SQLValue]) throws(DatabaseError) -> Rows) throws(DatabaseError) -> [TableShape] {
        var shapes: [TableShape] = []
        for row in try read(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid", [])
        {
            var shape = TableShape(name: try row.text(0), columns: [], key: [])
            var key: [(order: Int64, position: Int)] = []
            for column in try read("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid", [.text(shape.name)]) {
                if try column.integer(1) > 0 { key.append((try column.integer(1), shape.columns.count)) }
                shape.columns.append(try column.text(0))
            }
            shape.key = key.sorted { $0.order < $1.order }.map(\.position)
            shapes.append(shape)
        }
        return shapes
    }

    /// The highest number that each table ever gave.
    func counters() throws(DatabaseError) -> [(table: String, value: Int64)] {
        var counters: [(String, Int64)] = []
        for row in try rows("SELECT name, seq FROM sqlite_sequence") { counters.append((try row.text(0), try row.integer(1))) }
        return counters
    }
}
