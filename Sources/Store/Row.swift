// SPDX-License-Identifier: Apache-2.0
// What a statement gave back, with typed access by column number.

/// The rows of one statement, and how many it changed.
package struct Rows: Sendable, RandomAccessCollection {
    package let columns: Int
    package let changes: Int
    private let values: [SQLValue]

    package init(columns: Int, values: [SQLValue], changes: Int) {
        self.columns = columns
        self.values = values
        self.changes = changes
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { columns == 0 ? 0 : values.count / columns }

    package subscript(position: Int) -> Row {
        precondition(position >= 0 && position < endIndex, "no such row")
        return Row(values: values[position * columns..<(position + 1) * columns])
    }

    /// What a guard expects: the rows it returned, or, where it returns none, the rows it changed.
    package var affected: Int { columns > 0 ? count : changes }
}

/// One row. A column of another type than the schema says is a damaged database, and is thrown as that.
package struct Row: Sendable {
    fileprivate let values: ArraySlice<SQLValue>

    package subscript(column: Int) -> SQLValue { values[values.startIndex + column] }

    package func isNull(_ column: Int) -> Bool { self[column] == .null }

    package func integer(_ column: Int) throws(DatabaseError) -> Int64 {
        guard case .integer(let value) = self[column] else { throw .unexpectedValue(column) }
        return value
    }

    package func integerIfAny(_ column: Int) throws(DatabaseError) -> Int64? {
        if case .null = self[column] { return nil }
        return try integer(column)
    }

    package func text(_ column: Int) throws(DatabaseError) -> String {
        guard case .text(let value) = self[column] else { throw .unexpectedValue(column) }
        return value
    }

    package func textIfAny(_ column: Int) throws(DatabaseError) -> String? {
        if case .null = self[column] { return nil }
        return try text(column)
    }

    package func blob(_ column: Int) throws(DatabaseError) -> [UInt8] {
        guard case .blob(let value) = self[column] else { throw .unexpectedValue(column) }
        return value
    }

    package func blobIfAny(_ column: Int) throws(DatabaseError) -> [UInt8]? {
        if case .null = self[column] { return nil }
        return try blob(column)
    }

    package func flag(_ column: Int) throws(DatabaseError) -> Bool { try integer(column) != 0 }
}
