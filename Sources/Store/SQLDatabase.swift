// SPDX-License-Identifier: Apache-2.0
// The seam between the store and a database: statements in, rows out, made of values.
// Synchronous, because both callers are threads of our own that batch; a task hop costs more than a query.

package import LoginEngine

package enum Dialect: Sendable {
    case sqlite, postgres
}

package protocol SQLDatabase: Sendable {
    /// Whether nobody else can write to it while it is open, so that what was written may be remembered in place of being read again.
    var isOwnedAlone: Bool { get }

    /// Which migrations make its schema; statements are written once for all.
    var dialect: Dialect { get }

    /// The number of the session that writes, made anew when it was lost; the first is 0. Whoever remembers what the database holds reads
    /// it again in a new one: others may have written in between, and what was being written may be there or not.
    func session() throws(DatabaseError) -> Int

    /// Reads in one consistent view, on the caller's thread; never waits for a writer.
    /// - Returns: one value per statement, in order.
    func read(_ statements: [Statement]) throws(DatabaseError) -> [Rows]

    /// Writes many units in one durable transaction. One caller at a time.
    ///
    /// A unit whose guard is refused, or whose statement fails, leaves no trace; the others are written.
    /// - Parameter closing: computes the statements that end the transaction from the units' outcomes. It may run twice, when the
    ///   transaction had to be begun again, so it must not remember anything before `write` has returned.
    /// - Throws: when nothing was written, or when the session ended and that is not known.
    func write(_ units: [Unit], closing: ([UnitOutcome]) -> [Statement]) throws(DatabaseError) -> [UnitOutcome]

    /// Runs statements that belong to no unit (a migration), in one transaction.
    func execute(script: String, then statements: [Statement]) throws(DatabaseError)

    /// Looks through all of it, for as long as it may, on the caller's thread; for `doctor`.
    func examine(within time: Timestamp.Span) throws(DatabaseError) -> DatabaseExamination

    func close()
}

/// What becomes true as a whole, or not at all.
package struct Unit: Sendable {
    /// A statement that never raises, and how many rows it must return or change; nil: any number.
    package struct Guard: Sendable {
        package var statement: Statement
        package var rows: Int?
        /// What the rows have to say besides. Pure.
        package var admits: (@Sendable (Rows) -> Bool)?

        package init(_ statement: Statement, rows: Int? = 1, admits: (@Sendable (Rows) -> Bool)? = nil) {
            self.statement = statement
            self.rows = rows
            self.admits = admits
        }

        func isMet(by rows: Rows) -> Bool { (self.rows.map { $0 == rows.affected } ?? true) && (admits?(rows) ?? true) }
    }

    /// In order; those that only read come first, since a refusal after a writing one has to be rolled back.
    package var guarded: [Guard]
    /// Pure: what follows from the guards' rows.
    package var then: (@Sendable ([Rows]) -> [Statement])?
    /// What follows concerns only units of this key; nil: it may concern every unit. Guards of others need not wait for it.
    package var key: [UInt8]?

    package init(guarded: [Guard] = [], key: [UInt8]? = nil, then: (@Sendable ([Rows]) -> [Statement])? = nil) {
        self.guarded = guarded
        self.key = key
        self.then = then
    }

    package init(_ statements: [Statement]) {
        self.init(then: { _ in statements })
    }
}

package enum UnitOutcome: Sendable {
    /// The rows of the guards, then of what followed.
    case done([Rows])
    /// The guard with this index did not have its rows.
    case refused(Int)
    case failed(DatabaseError)

    package var isDone: Bool {
        if case .done = self { true } else { false }
    }
}
