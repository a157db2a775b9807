// SPDX-License-Identifier: Apache-2.0
// What `doctor` asks of the store: whether the database is whole and durable, and a few counts.

internal import Foundation
package import LoginEngine

package struct DatabaseExamination: Sendable, Equatable {
    /// What was found broken, a few lines at most.
    package var damage: [String] = []
    /// False when the time was over before the end.
    package var isComplete = true
    /// False where looking through it is left to its own tools.
    package var isExamined = true
    /// Whether a commit waits for the disk, as the connection that writes says now.
    package var isDurable = true
    /// Whether another machine's administrators can write to it.
    package var isElsewhere = false
    /// What is not folded into the database yet.
    package var journalBytes: Int64 = 0

    package init() {}
}

package struct UserFigures: Sendable, Equatable {
    package var active: Int
    /// Active ones without an active factor; recovery codes are none.
    package var withoutFactor: Int
}

extension Records {
    /// Looks through the whole database, for as long as it may. Blocks; reads in a view of its own, so logins go on.
    package func examine(within time: Timestamp.Span) throws(StoreError) -> DatabaseExamination {
        do throws(DatabaseError) { return try database.examine(within: time) } catch { throw StoreError(error) }
    }

    package func userFigures() throws(StoreError) -> UserFigures {
        try read([Statement(.userFigures)]) { results throws(DatabaseError) in
            let row = results[0][0]
            return UserFigures(active: Int(try row.integer(0)), withoutFactor: Int(try row.integer(1)))
        }
    }
}

extension SQL {
    fileprivate static let userFigures = SQL(
        """
        SELECT count(*), count(*) - count(f."user") FROM "user" u
        LEFT JOIN (SELECT DISTINCT "user" FROM factor WHERE state = 'active' AND kind <> 'recovery') f ON f."user" = u.id
        WHERE u.status = 'active'
        """)
}
