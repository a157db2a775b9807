// SPDX-License-Identifier: Apache-2.0
// What went wrong in the store, in words for whoever has to put it right: what, where, and what to do.

package struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        case notFound = "not-found"
        case nameTaken = "name-taken"
        case notAllowed = "not-allowed"
        /// A value that cannot be stored.
        case invalid
        case unavailable
        case overloaded
        /// Another node works on the data directory.
        case locked
        case wrongOwner = "wrong-owner"
        case directoryUnusable = "directory-unusable"
        case databaseUnusable = "database-unusable"
        case wrongKey = "wrong-key"
        case keyMissing = "key-missing"
        case keyUnsafe = "key-unsafe"
        case newerSchema = "newer-schema"
        case changedMigration = "changed-migration"
        case damaged
        /// A backup that is cut, changed, or locked otherwise.
        case cannotOpen = "cannot-open"
    }

    package var code: Code
    package var what: String
    /// A path, a row, a name; empty where it is clear.
    package var place: String
    package var remedy: String

    package init(_ code: Code, _ what: String, at place: String = "", remedy: String = "") {
        self.code = code
        self.what = what
        self.place = place
        self.remedy = remedy
    }

    /// Whether the node cannot start until somebody changes its configuration (exit code 78).
    package var isConfiguration: Bool {
        switch code {
        case .wrongOwner, .directoryUnusable, .databaseUnusable, .wrongKey, .keyMissing, .keyUnsafe, .newerSchema, .changedMigration: true
        default: false
        }
    }

    /// The same with the remedy that fits who found the data held by another process.
    package func whenLocked(_ remedy: String) -> StoreError {
        code == .locked ? StoreError(code, what, at: place, remedy: remedy) : self
    }

    package var description: String {
        var text = place.isEmpty ? what : "\(place): \(what)"
        if !remedy.isEmpty { text += ". \(remedy)" }
        return text
    }

    /// Why a node does not start on a database.
    init(opening address: PostgresAddress, _ error: DatabaseError) {
        let place = address.description
        switch error.kind {
        case .busy:
            self.init(
                .locked, error.message, at: place,
                remedy: "One node works on a database at a time: stop the other one, or name another database.")
        case .cannotOpen, .readOnly:
            self.init(.databaseUnusable, error.message, at: place, remedy: "See docs/run/postgres.md.")
        default:
            self.init(.unavailable, error.message, at: place, remedy: "See that the server runs and is reached from here.")
        }
    }

    init(_ error: DatabaseError) {
        switch error.kind {
        case .damaged:
            self.init(.damaged, "the database is damaged (\(error.message))", remedy: "Stop the node and restore a backup.")
        case .full:
            self.init(
                .unavailable, "the disk is full", remedy: "Free space where the database is; no restart is needed.")
        case .closed:
            self.init(.unavailable, "the database was closed")
        default:
            self.init(.unavailable, "the database did not answer (\(error))", remedy: "See the node's log; no restart is needed.")
        }
    }
}
