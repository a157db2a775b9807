// SPDX-License-Identifier: Apache-2.0
// What stands in a backup once it is opened: rows as values, not a database file, so that nothing in it is trusted to be one.

package import LoginEngine

/// Where and when a backup was made, and of what.
package struct BackupOrigin: Sendable, Equatable {
    package struct Step: Sendable, Equatable {
        package var number: Int
        package var name: String
        package var checksum: String
    }

    package var release: String
    package var node: String
    package var made: Timestamp
    /// The migrations that made its schema.
    package var schema: [Step]
    /// The check of the master key that its values are sealed under.
    var keyCheck: String
    package var holdsKey: Bool
    /// The last line of its trail.
    package var head: Int64

    package var schemaVersion: Int { schema.last?.number ?? 0 }
    package var keyFingerprint: String { MasterKey.fingerprint(ofCheck: keyCheck) }
}

package enum BackupItem: Sendable, Equatable {
    case origin(BackupOrigin)
    case key(Secret)
    case table(name: String, columns: [String])
    /// Of the table before it.
    case rows([[SQLValue]])
    /// The highest number that a table ever gave.
    case counter(table: String, value: Int64)
    case end(rows: Int64)

    /// An item of more bytes is none of ours.
    static let longest = 64 << 20
    private static let mostColumns = 256

    package var bytes: [UInt8] {
        var out = ByteWriter()
        switch self {
        case .origin(let origin):
            out.byte(1)
            out.text(origin.release)
            out.text(origin.node)
            out.signed(origin.made.microseconds)
            out.unsigned(UInt64(origin.schema.count))
            for step in origin.schema {
                out.unsigned(UInt64(step.number))
                out.text(step.name)
                out.text(step.checksum)
            }
            out.text(origin.keyCheck)
            out.byte(origin.holdsKey ? 1 : 0)
            out.signed(origin.head)
        case .key(let key):
            out.byte(2)
            key.reveal { out.blob($0) }
        case .table(let name, let columns):
            out.byte(3)
            out.text(name)
            out.unsigned(UInt64(columns.count))
            for column in columns { out.text(column) }
        case .rows(let rows):
            out.byte(4)
            out.unsigned(UInt64(rows.count))
            out.unsigned(UInt64(rows.first?.count ?? 0))
            for value in rows.joined() { Self.write(value, &out) }
        case .counter(let table, let value):
            out.byte(5)
            out.text(table)
            out.signed(value)
        case .end(let rows):
            out.byte(6)
            out.signed(rows)
        }
        return out.bytes
    }

    private static func write(_ value: SQLValue, _ out: inout ByteWriter) {
        switch value {
        case .null: out.byte(0)
        case .integer(let number):
            out.byte(1)
            out.signed(number)
        case .real(let number):
            out.byte(2)
            out.word(number.bitPattern)
        case .text(let text):
            out.byte(3)
            out.text(text)
        case .blob(let bytes):
            out.byte(4)
            out.blob(bytes)
        }
    }

    package init(_ bytes: ArraySlice<UInt8>) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let kind = try reader.byte()
        switch kind {
        case 1: self = .origin(try Self.origin(&reader))
        case 2: self = .key(Secret(Array(try reader.blob())))
        case 3:
            let name = try reader.text()
            let count = try reader.unsigned()
            guard (1...UInt64(Self.mostColumns)).contains(count) else { throw .notCanonical }
            var columns: [String] = []
            for _ in 0..<count { columns.append(try reader.text()) }
            self = .table(name: name, columns: columns)
        case 4: self = .rows(try Self.rows(&reader))
        case 5: self = .counter(table: try reader.text(), value: try reader.signed())
        case 6: self = .end(rows: try reader.signed())
        default: throw .unknownKind(kind)
        }
        try reader.end()
    }

    private static func origin(_ reader: inout ByteReader) throws(DecodingError) -> BackupOrigin {
        var origin = BackupOrigin(
            release: try reader.text(), node: try reader.text(), made: Timestamp(microseconds: try reader.signed()), schema: [],
            keyCheck: "",
            holdsKey: false, head: 0)
        let count = try reader.unsigned()
        guard count <= UInt64(reader.remaining) else { throw .truncated }
        for _ in 0..<count {
            let number = try reader.unsigned()
            guard number <= UInt64(UInt16.max) else { throw .notCanonical }
            origin.schema.append(BackupOrigin.Step(number: Int(number), name: try reader.text(), checksum: try reader.text()))
        }
        origin.keyCheck = try reader.text()
        let flag = try reader.byte()
        guard flag < 2 else { throw .notCanonical }
        origin.holdsKey = flag == 1
        origin.head = try reader.signed()
        return origin
    }

    private static func rows(_ reader: inout ByteReader) throws(DecodingError) -> [[SQLValue]] {
        let (count, columns) = (try reader.unsigned(), try reader.unsigned())
        // A value has a byte at least.
        guard columns <= UInt64(mostColumns), count <= UInt64(reader.remaining), (count == 0) == (columns == 0) else { throw .truncated }
        var rows: [[SQLValue]] = []
        for _ in 0..<count {
            var row: [SQLValue] = []
            for _ in 0..<columns { row.append(try value(&reader)) }
            rows.append(row)
        }
        return rows
    }

    private static func value(_ reader: inout ByteReader) throws(DecodingError) -> SQLValue {
        let kind = try reader.byte()
        switch kind {
        case 0: return .null
        case 1: return .integer(try reader.signed())
        case 2: return .real(Double(bitPattern: try reader.word()))
        case 3: return .text(try reader.text())
        case 4: return .blob(Array(try reader.blob()))
        default: throw .unknownKind(kind)
        }
    }
}
