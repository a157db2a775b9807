// SPDX-License-Identifier: Apache-2.0
// Fills the search tables of the trail behind the writer; what is not in them yet is scanned.

internal import LoginEngine
internal import Synchronization

final class EventIndex: Sendable {
    /// Lines that may lie unindexed while the writer is otherwise idle.
    static let chunk: Int64 = 512
    /// Lines of one step in the background: about a millisecond.
    static let step: Int64 = 192
    /// Lines that may lie unindexed under load, before some are indexed between the logins.
    static let mostUnindexed: Int64 = 1_000_000
    /// What housekeeping leaves to the background.
    static let longTail: Int64 = 8192

    private let database: any SQLDatabase
    private let mark: Mutex<Int64>

    /// - Parameter head: a mark above it would hide the lines that come next.
    init(_ database: any SQLDatabase, head: Int64) throws(DatabaseError) {
        self.database = database
        mark = Mutex(max(0, min(head, try database.read([Statement(.watermark)])[0].first?.integer(0) ?? 0)))
    }

    /// The last line that is indexed.
    var watermark: Int64 { mark.withLock { $0 } }

    /// Indexes some groups, on the writer's thread: one, and more while they have at most `lines` lines together.
    /// - Returns: whether it did anything.
    func fillSome(upTo head: Int64, atLeast count: Int64, lines most: Int64 = 4096) throws(DatabaseError) -> Bool {
        let from = watermark
        guard head - from >= max(count, 1) else { return false }
        let groups = try database.read([Statement(.groupsAbove, [.integer(from), .integer(16)])])[0]
        guard !groups.isEmpty else { return false }
        var statements: [Statement] = []
        var last = from
        for row in groups {
            let group = try EventGroup(row)
            let end = group.first + max(group.count, 1) - 1
            if last > from, end - from > most { break }
            last = max(last, end)
            // A damaged line is for `verify` to tell; here it is left out.
            guard let lines = try? group.lines() else { continue }
            for line in lines {
                guard let chained = try? EventCodec.decode(line.bytes) else { continue }
                let seq = SQLValue.integer(chained.seq)
                if let login = chained.event.login { statements.append(Statement(.indexLogin, [.blob(login.bits.bytes), seq])) }
                if let user = chained.event.user { statements.append(Statement(.indexUser, [.integer(user), seq])) }
                if let client = chained.event.client { statements.append(Statement(.indexClient, [.integer(client), seq])) }
            }
        }
        statements.append(Statement(.setWatermark, [.integer(last)]))
        _ = try database.write([Unit(statements)]) { _ in [] }
        mark.withLock { $0 = last }
        return true
    }
}

extension SQL {
    fileprivate static let watermark = SQL("SELECT watermark FROM event_index WHERE id = 1")
    fileprivate static let setWatermark = SQL("UPDATE event_index SET watermark = ?1 WHERE id = 1")
    static let groupsAbove = SQL(
        """
        SELECT first_seq, count, at_first, at_last, previous_hash, head_hash, mac, body
        FROM event_group WHERE first_seq > ?1 ORDER BY first_seq LIMIT ?2
        """)
    fileprivate static let indexLogin = SQL("INSERT INTO event_login (login, seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    fileprivate static let indexUser = SQL("INSERT INTO event_user (\"user\", seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    fileprivate static let indexClient = SQL("INSERT INTO event_client (client, seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
}
