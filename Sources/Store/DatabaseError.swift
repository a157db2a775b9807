// SPDX-License-Identifier: Apache-2.0
// Why the database did not do what it was asked; the same words for every backend.

package struct DatabaseError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// The disk or the quota is full.
        case full
        /// Reading or writing the file failed.
        case inputOutput = "input/output"
        /// Somebody else holds the database.
        case busy
        case readOnly = "read-only"
        case cannotOpen = "cannot open"
        case damaged
        case outOfMemory = "out of memory"
        /// A constraint was violated by one statement.
        case constraint
        /// Anything else that one statement did wrong.
        case statement
        case closed
        /// The connection ended: what was being written may be there or not.
        case lost = "connection lost"
    }

    package var kind: Kind
    /// The database's own words; they name tables and columns, never values.
    package var message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    static func unexpectedValue(_ column: Int) -> DatabaseError {
        DatabaseError(.damaged, "column \(column + 1) does not hold what the schema says")
    }

    /// Whether only the statement is to blame, so that the rest of its group can still be written.
    package var isOfOneStatement: Bool { kind == .constraint || kind == .statement }

    package var description: String { "\(kind.rawValue): \(message)" }
}
