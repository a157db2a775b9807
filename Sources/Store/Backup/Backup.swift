// SPDX-License-Identifier: Apache-2.0
// Makes a backup of a database, while a node works on it or without one.

internal import Foundation
package import LoginEngine

/// What a backup holds, as far as it can be told without restoring it.
package struct BackupSummary: Sendable, Equatable {
    package var origin: BackupOrigin
    /// Bytes of the file.
    package var size = 0
    package var rows: Int64 = 0
    package var rowsByTable: [String: Int64] = [:]

    package var users: Int64 { rowsByTable["user"] ?? 0 }
    package var factors: Int64 { rowsByTable["factor"] ?? 0 }
    package var clients: Int64 { rowsByTable["client"] ?? 0 }
}

package enum Backup {
    /// Not in it: what is made anew from the rest (search tables), what a restore voids anyway (handles, claims), what migrations write.
    static let leftOut: Set<String> = [
        "schema_version", "login_handle", "session_claim", "factor_resync", "event_index", "event_login", "event_user", "event_client",
    ]
    private static let rowsAtOnce = 128

    /// - Parameters:
    ///   - key: goes into the backup where it is named.
    ///   - progress: called now and then with rows and bytes so far.
    package static func write(
        databaseAt source: String, to path: String, lock: BackupLock, key: MasterKey? = nil, release: String, node: String,
        at now: Timestamp,
        replacing: Bool = false, progress: (Int64, Int) -> Void = { _, _ in }
    ) throws(StoreError) -> BackupSummary {
        guard access(source, F_OK) == 0 else {
            throw StoreError(.notFound, "there is no database", at: source, remedy: "Name the data directory with --data-dir.")
        }
        let file = try NewFile(path, replacing: replacing)
        var writer = try BackupWriter(file, lock)
        var summary = try SQLiteSnapshot.open(source) { snapshot throws(StoreError) in
            let origin = try origin(snapshot, key: key, release: release, node: node, at: now)
            var summary = BackupSummary(origin: origin)
            try writer.add(.origin(origin))
            if let key { try writer.add(.key(key.text)) }
            for table in try asking({ () throws(DatabaseError) in try snapshot.tables() }) where !leftOut.contains(table.name) {
                try writer.add(.table(name: table.name, columns: table.columns))
                summary.rowsByTable[table.name] = 0
                try copy(table, snapshot) { rows throws(StoreError) in
                    try writer.add(.rows(rows))
                    summary.rows += Int64(rows.count)
                    summary.rowsByTable[table.name, default: 0] += Int64(rows.count)
                    progress(summary.rows, writer.size)
                }
            }
            for (table, value) in try asking({ () throws(DatabaseError) in try snapshot.counters() }) {
                try writer.add(.counter(table: table, value: value))
            }
            try writer.add(.end(rows: summary.rows))
            return summary
        }
        try writer.finish()
        summary.size = writer.size
        return summary
    }

    private static func asking<Result>(_ body: () throws(DatabaseError) -> Result) throws(StoreError) -> Result {
        do throws(DatabaseError) { return try body() } catch { throw StoreError(error) }
    }

    private static func origin(
        _ snapshot: SQLiteSnapshot, key: MasterKey?, release: String, node: String, at now: Timestamp
    ) throws(StoreError) -> BackupOrigin {
        try asking { () throws(DatabaseError) in try readOrigin(snapshot, holdsKey: key != nil, release: release, node: node, at: now) }
    }

    private static func readOrigin(
        _ snapshot: SQLiteSnapshot, holdsKey: Bool, release: String, node: String, at now: Timestamp
    ) throws(DatabaseError) -> BackupOrigin {
        var schema: [BackupOrigin.Step] = []
        for row in try snapshot.rows("SELECT number, name, checksum FROM schema_version ORDER BY number") {
            schema.append(BackupOrigin.Step(number: Int(try row.integer(0)), name: try row.text(1), checksum: try row.text(2)))
        }
        let checks =
            schema.contains { $0.name == "master-key" }
            ? try snapshot.rows("SELECT check_value FROM master_key WHERE state = 'current'")
            : try snapshot.rows("SELECT value FROM setting WHERE name = 'key.check'")
        guard let check = try checks.first?.text(0) else { throw DatabaseError(.damaged, "the database names no master key") }
        let head = try snapshot.rows("SELECT seq FROM chain_head WHERE id = 1").first?.integer(0)
        return BackupOrigin(
            release: release, node: node, made: now, schema: schema, keyCheck: check, holdsKey: holdsKey, head: head ?? 0)
    }

    private static func copy(
        _ table: TableShape, _ snapshot: SQLiteSnapshot, _ take: ([[SQLValue]]) throws(StoreError) -> Void
    ) throws(StoreError) {
        func quoted(_ name: String) -> String { "\"\(name.replacing("\"", with: "\"\""))\"" }
        let columns = table.columns.map(quoted).joined(separator: ", ")
        let key = table.key.map { quoted(table.columns[$0]) }.joined(separator: ", ")
        let places = table.key.indices.map { "?\($0 + 1)" }.joined(separator: ", ")
        var after: [SQLValue] = []
        while true {
            // By the key, so that each page is found without reading those before it.
            let condition = after.isEmpty ? "" : " WHERE (\(key)) > (\(places))"
            let page = try asking { () throws(DatabaseError) in
                try snapshot.rows("SELECT \(columns) FROM \(quoted(table.name))\(condition) ORDER BY \(key) LIMIT \(rowsAtOnce)", after)
            }
            guard !page.isEmpty else { return }
            let rows = page.map { row in table.columns.indices.map { row[$0] } }
            try take(rows)
            guard rows.count == rowsAtOnce, let last = rows.last else { return }
            after = table.key.map { last[$0] }
        }
    }

    /// Reads a whole backup and says what is in it; every byte of it is verified.
    package static func verify(_ reader: BackupReader, progress: (Int, Int) -> Void = { _, _ in }) throws(StoreError) -> BackupSummary {
        var walk = try BackupWalk(reader)
        while try walk.next() != nil { progress(reader.read, reader.size) }
        return walk.summary
    }
}

/// The items of a backup in their order, counted; an order that none was written in is refused.
struct BackupWalk {
    private let reader: BackupReader
    private(set) var summary: BackupSummary
    private(set) var key: Secret?
    private(set) var table: (name: String, columns: [String])?
    private var isEnded = false

    init(_ reader: BackupReader) throws(StoreError) {
        self.reader = reader
        guard case .origin(let origin) = try reader.next() else { throw reader.isNotOurs }
        summary = BackupSummary(origin: origin, size: reader.size)
        guard origin.holdsKey else { return }
        guard case .key(let key) = try reader.next() else { throw reader.isNotOurs }
        self.key = key
    }

    /// Tables, rows and counters; nil when all were given and counted right.
    mutating func next() throws(StoreError) -> BackupItem? {
        guard let item = try reader.next() else {
            guard isEnded else { throw reader.isNotOurs }
            return nil
        }
        guard !isEnded else { throw reader.isNotOurs }
        switch item {
        case .origin, .key: throw reader.isNotOurs
        case .table(let name, let columns):
            table = (name, columns)
            summary.rowsByTable[name] = 0
        case .rows(let rows):
            guard let table, rows.allSatisfy({ $0.count == table.columns.count }) else { throw reader.isNotOurs }
            summary.rows += Int64(rows.count)
            summary.rowsByTable[table.name, default: 0] += Int64(rows.count)
        case .counter: break
        case .end(let rows):
            guard rows == summary.rows else { throw reader.isNotOurs }
            isEnded = true
        }
        return item
    }
}
