// SPDX-License-Identifier: Apache-2.0
// Compares the search tables with the lines that they are made of: a line that no search finds is as good as removed.

internal import LoginEngine

/// Takes the groups in order; holds numbers only.
struct IndexCheck {
    private let base: Int64
    private let watermark: Int64
    /// Rows that there must be: for logins, users and clients.
    private var expected: Int64 = 0
    private var missing = 0
    private var firstMissing: Int64?
    private var lastMissing: Int64 = 0

    init(after base: Int64, upTo watermark: Int64) {
        self.base = base
        self.watermark = watermark
    }

    mutating func take(_ group: EventGroup, _ database: any SQLDatabase) throws(DatabaseError) {
        // What retention has passed and left is no part of what is searched for.
        guard group.first > base, group.first <= watermark, let lines = try? group.lines() else { return }
        let subjects = lines.compactMap { try? EventCodec.subject(of: $0.bytes) }.filter { $0.seq <= watermark }
        let statements = subjects.map { subject in
            Statement(
                .findIndexed,
                [.integer(subject.seq), .blob(subject.login?.bits.bytes), .integer(subject.user), .integer(subject.client)])
        }
        for (subject, rows) in zip(subjects, try database.read(statements)) {
            let wanted = Int64((subject.login == nil ? 0 : 1) + (subject.user == nil ? 0 : 1) + (subject.client == nil ? 0 : 1))
            expected += wanted
            if try rows[0].integer(0) == wanted { continue }
            missing += 1
            firstMissing = firstMissing ?? subject.seq
            lastMissing = subject.seq
        }
    }

    func end(_ database: any SQLDatabase) throws(DatabaseError) -> ChainFinding? {
        if let firstMissing {
            return ChainFinding(
                kind: .index, lines: firstMissing...max(firstMissing, lastMissing),
                text: "\(missing) of these lines are not found by a search for their login, user or client")
        }
        let count = try database.read([Statement(.countIndexed, [.integer(base), .integer(watermark)])])[0][0].integer(0)
        guard count != expected else { return nil }
        return ChainFinding(
            kind: .index, lines: min(base + 1, watermark)...watermark,
            text: "the search tables have \(count) entries for these lines, and should have \(expected)")
    }
}

extension SQL {
    /// ?1 line, ?2 login, ?3 user, ?4 client
    fileprivate static let findIndexed = SQL(
        """
        SELECT (SELECT count(*) FROM event_login WHERE login = ?2 AND seq = ?1)
            + (SELECT count(*) FROM event_user WHERE "user" = ?3 AND seq = ?1)
            + (SELECT count(*) FROM event_client WHERE client = ?4 AND seq = ?1)
        """)
    fileprivate static let countIndexed = SQL(
        """
        SELECT (SELECT count(*) FROM event_login WHERE seq > ?1 AND seq <= ?2)
            + (SELECT count(*) FROM event_user WHERE seq > ?1 AND seq <= ?2)
            + (SELECT count(*) FROM event_client WHERE seq > ?1 AND seq <= ?2)
        """)
}
