// SPDX-License-Identifier: Apache-2.0
// failure and factor_resync: what a wrong login leaves behind. Written as afterthoughts, so a row that is gone is no error.

package import LoginEngine

extension Records {
    static func failures(_ rows: Rows) throws(DatabaseError) -> [FailureRecord] {
        var records: [FailureRecord] = []
        for row in rows {
            guard let kind = FailureRecord.Kind(rawValue: UInt8(clamping: try row.integer(0))) else { throw .unexpectedValue(0) }
            records.append(
                FailureRecord(
                    kind: kind, source: try row.text(1), count: Int(try row.integer(2)), since: Timestamp(microseconds: try row.integer(3)),
                    level: Int(try row.integer(4)),
                    lockedUntil: try row.integerIfAny(5).map { Timestamp(microseconds: $0) }))
        }
        return records
    }

    static func statement(for record: FailureRecord, of user: Int64) -> Statement {
        Statement(
            .setFailure,
            [
                .integer(user), .integer(Int64(record.kind.rawValue)), .text(record.source), .integer(Int64(record.count)),
                .integer(record.since.microseconds), .integer(Int64(record.level)), .integer(record.lockedUntil?.microseconds),
            ])
    }

    package func failures(ofUser user: Int64) throws(StoreError) -> [FailureRecord] {
        try read([Statement(.failures, [.integer(user)])]) { results throws(DatabaseError) in try Self.failures(results[0]) }
    }

    package func clearFailures(ofUser user: Int64, event: Event) async throws(StoreError) {
        try await change(Unit([Statement(.clearFailures, [.integer(user)]), Statement(.raiseRevision)])) { _ in [event.about(user: user)] }
    }
}

extension SQL {
    static let failures = SQL(
        "SELECT kind, source, count, since, level, locked_until FROM failure WHERE \"user\" = ?1 ORDER BY kind, source")
    fileprivate static let setFailure = SQL(
        """
        INSERT INTO failure ("user", kind, source, count, since, level, locked_until)
        SELECT u.id, ?2, ?3, ?4, ?5, ?6, ?7 FROM "user" u WHERE u.id = ?1
        ON CONFLICT ("user", kind, source) DO UPDATE SET
            count = excluded.count, since = excluded.since, level = excluded.level, locked_until = excluded.locked_until
        """)
    static let forgive = SQL("DELETE FROM failure WHERE \"user\" = ?1 AND kind = ?2")
    fileprivate static let clearFailures = SQL("DELETE FROM failure WHERE \"user\" = ?1")
    /// ?1: what began before it and is no longer locked counts no more.
    static let dropFailures = SQL("DELETE FROM failure WHERE since < ?1 AND (locked_until IS NULL OR locked_until < ?1)")
    static let resynchronise = SQL(
        """
        INSERT INTO factor_resync (factor, counter, expires) SELECT f.id, ?2, ?3 FROM factor f WHERE f.id = ?1
        ON CONFLICT (factor) DO UPDATE SET counter = excluded.counter, expires = excluded.expires
        """)
    static let dropResynchronisations = SQL("DELETE FROM factor_resync WHERE expires < ?1")
}

extension Event {
    /// The event with the row's id, where it did not say one.
    func about(user: Int64? = nil, client: Int64? = nil) -> Event {
        var event = self
        event.user = event.user ?? user
        event.client = event.client ?? client
        return event
    }
}
