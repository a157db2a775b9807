// SPDX-License-Identifier: Apache-2.0
// setting and revision; and what has to be cleaned up now and then.

package import LoginEngine

extension Records {
    package func setting(_ name: String) throws(StoreError) -> String? {
        try read([Statement(.setting, [.text(name)])]) { results throws(DatabaseError) in try results[0].first?.text(0) }
    }

    /// - Parameter value: nil takes the setting away.
    package func setSetting(_ name: String, to value: String?, event: Event?) async throws(StoreError) {
        let statement = value.map { Statement(.setSetting, [.text(name), .text($0)]) } ?? Statement(.dropSetting, [.text(name)])
        try await change(Unit([statement, Statement(.raiseRevision)])) { _ in event.map { [$0] } ?? [] }
    }

    /// Rises with every administrative change.
    package func revision() throws(StoreError) -> Int64 {
        try read([Statement(.revision)]) { results throws(DatabaseError) in try results[0][0].integer(0) }
    }

    /// Writes an event that goes with no change; returns when it is durable.
    package func append(_ event: Event) async throws(StoreError) {
        try await change(Unit()) { _ in [event] }
    }

    /// Folds old marks, drops what has expired and fills the search tables. To be called at start, then every minute or so.
    package func housekeeping(at now: Timestamp) async throws(StoreError) {
        marks.tick(at: now)
        let most = writer.hasThread ? EventIndex.longTail : .max
        var isLeft = true
        // Piece by piece, so that logins are written in between.
        while isLeft {
            isLeft = try await onWriter { [marks, index, chain, most] () throws(DatabaseError) in
                let folded = try marks.foldSome()
                // A long tail is what a busy node leaves for later; the writer takes it up when it is idle.
                guard chain.head.seq - index.watermark <= most else { return folded }
                let filled = try index.fillSome(upTo: chain.head.seq, atLeast: 1, lines: EventIndex.step)
                return folded || filled
            }
        }
        // Retries come within seconds; an hour keeps enough to explain a late one.
        let expired = (now - .minutes(60)).microseconds
        let forgotten = (now - .minutes(24 * 60)).microseconds
        let unit = Unit(
            [
                Statement(.dropHandles, [.integer(expired)]), Statement(.dropFailures, [.integer(forgotten)]),
                Statement(.dropResynchronisations, [.integer(expired)]), Statement(.dropOldClaims, [.integer(expired)]),
                Statement(.dropOldMails, [.integer((now - Records.mailKept).microseconds)]),
                Statement(.dropOldInvitations, [.integer((now - Records.mailKept).microseconds)]),
            ] + Self.forgetGrants(at: now))
        try await change(unit) { _ in [] }
    }

    /// What `/readyz` asks.
    package func health() -> StoreHealth {
        let statistics = writer.statistics
        var error = statistics.lastError
        do throws(DatabaseError) { _ = try database.read([Statement(.revision)]) } catch let problem { error = problem.description }
        return StoreHealth(isUsable: error == nil, problem: error, schema: schema, head: chain.head.seq)
    }
}

package struct StoreHealth: Sendable, Equatable {
    /// False while the last group could not be written, or nothing can be read.
    package var isUsable: Bool
    package var problem: String?
    package var schema: Int
    /// The last line of the trail.
    package var head: Int64
}

extension SQL {
    static let setSetting = SQL(
        "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
    static let dropSetting = SQL("DELETE FROM setting WHERE name = ?1")
    fileprivate static let revision = SQL("SELECT number FROM revision WHERE id = 1")
}
