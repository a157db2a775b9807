// SPDX-License-Identifier: Apache-2.0
// One statement as a value: its text, written once for both databases, and the values bound to it.

internal import Synchronization

/// The text of a statement. Made once (`static let`) and kept prepared by every connection under its number.
package final class SQL: Sendable {
    package let text: String
    /// Dense, so that a connection keeps its prepared statements in an array; −1 for a text that is prepared anew each time.
    package let number: Int

    /// Parameters are `?1`, `?2`, …
    package init(_ text: StaticString) {
        self.text = text.description
        number = Self.count.wrappingAdd(1, ordering: .relaxed).oldValue
    }

    /// A text composed at run time, of our own words only: values are always bound.
    package init(composed text: String) {
        self.text = text
        number = -1
    }

    private static let count = Atomic<Int>(0)
}

package enum SQLValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])

    package static func integer(_ value: Int64?) -> SQLValue { value.map { .integer($0) } ?? .null }
    package static func text(_ value: String?) -> SQLValue { value.map { .text($0) } ?? .null }
    package static func blob(_ value: [UInt8]?) -> SQLValue { value.map { .blob($0) } ?? .null }
    package static func flag(_ value: Bool) -> SQLValue { .integer(value ? 1 : 0) }
}

package struct Statement: Sendable {
    package var sql: SQL
    package var values: [SQLValue]

    package init(_ sql: SQL, _ values: [SQLValue] = []) {
        self.sql = sql
        self.values = values
    }
}
