// SPDX-License-Identifier: Apache-2.0
// event_group and event_personal as the trail's readers see them: by login, by user, by client, newest first.

package import LoginEngine

package struct EventRecord: Sendable, Equatable {
    package var seq: Int64
    /// Personal fields are empty where they were erased.
    package var event: Event
    /// Whether personal fields were there once.
    package var isErased: Bool
}

package struct EventFilter: Sendable {
    package var user: Int64?
    /// The key (`UserName.key`) of a name that no user has: what was typed, or was somebody's who was removed. No index knows it.
    package var name: String?
    package var client: Int64?
    /// Empty: every kind.
    package var kinds: Set<EventKind> = []
    package var since: Timestamp?
    package var until: Timestamp?
    /// Only lines before this one: the next page.
    package var before: Int64?
    package var limit: Int

    package init(limit: Int) {
        self.limit = limit
    }

    /// What can be told without decoding the line; a tail of a million lines is searched by it.
    fileprivate func mayTake(_ subject: EventCodec.Subject) -> Bool {
        (user == nil || subject.user == user) && (client == nil || subject.client == client)
    }

    fileprivate func takes(_ line: ChainedEvent) -> Bool {
        let event = line.event
        if let user, event.user != user { return false }
        if let client, event.client != client { return false }
        if !kinds.isEmpty, !kinds.contains(event.kind) { return false }
        if let since, event.at < since { return false }
        if let until, event.at > until { return false }
        return true
    }

    fileprivate func takes(_ record: EventRecord) -> Bool {
        name == nil || record.event.subject["name"].flatMap { UserName.key(of: $0) } == name
    }
}

extension Records {
    /// Oldest first: the story of one login, or of all that begin alike.
    package func events(logins: ClosedRange<Bits128>, limit: Int) throws(StoreError) -> [EventRecord] {
        let bounds: [SQLValue] = [
            .blob(logins.lowerBound.bytes), .blob(logins.upperBound.bytes), .integer(Int64(max(0, limit))),
        ]
        return try read([Statement(.seqsOfLogins, bounds)]) { results throws(DatabaseError) in
            var found: [EventRecord] = []
            var groups = GroupCache(database)
            for row in results[0] {
                if let record = try groups.record(seq: try row.integer(0)) { found.append(record) }
            }
            var from = index.watermark
            // What the index does not know yet.
            scan: while found.count < limit {
                let rows = try database.read([Statement(.groupsAbove, [.integer(from), .integer(32)])])[0]
                if rows.isEmpty { break }
                for row in rows {
                    let group = try EventGroup(row)
                    from = max(from, group.first)
                    for line in group.decoded(where: { $0.login.map { logins.contains($0.bits) } ?? false }) {
                        found.append(try groups.record(of: line, in: group.first))
                        if found.count >= limit { break scan }
                    }
                }
            }
            // The index may have moved on between the two looks.
            var seen: Set<Int64> = []
            return found.filter { seen.insert($0.seq).inserted }.sorted { $0.seq < $1.seq }
        }
    }

    /// Newest first.
    package func events(_ filter: EventFilter) throws(StoreError) -> [EventRecord] {
        do throws(DatabaseError) {
            return try search(filter)
        } catch {
            throw StoreError(error)
        }
    }

    /// The newest event of a kind about a user; nil also where it does not stand in a group that this database's key has signed.
    func newestProven(_ kind: EventKind, ofUser user: Int64) throws(DatabaseError) -> ChainedEvent? {
        var filter = EventFilter(limit: 1)
        filter.user = user
        filter.kinds = [kind]
        guard let found = try search(filter).first, let row = try database.read([Statement(.wholeGroupOf, [.integer(found.seq)])])[0].first
        else { return nil }
        let group = try EventGroup(row)
        guard chain.signing.isGenuine(group) else { return nil }
        return group.decoded().first { $0.seq == found.seq }
    }

    private func search(_ filter: EventFilter) throws(DatabaseError) -> [EventRecord] {
        var found: [EventRecord] = []
        var groups = GroupCache(database)
        let before = filter.before ?? .max
        let isIndexed = filter.user != nil || filter.client != nil
        let watermark = isIndexed ? index.watermark : 0
        // Groups from the newest down: to the watermark where an index goes on, else to the beginning.
        var below = before
        while found.count < filter.limit {
            let rows = try database.read([
                Statement(
                    .groupsBelow,
                    [
                        .integer(below), .integer(watermark), .integer(filter.since?.microseconds ?? .min),
                        .integer(filter.until?.microseconds ?? .max), .integer(32),
                    ])
            ])[0]
            if rows.isEmpty { break }
            for row in rows {
                let group = try EventGroup(row)
                below = group.first
                for line in group.decoded(where: filter.mayTake).reversed()
                where line.seq < before && filter.takes(line) && found.count < filter.limit {
                    let record = try groups.record(of: line, in: group.first)
                    if filter.takes(record) { found.append(record) }
                }
            }
        }
        guard isIndexed else { return found }
        var last = min(before, watermark + 1)
        while found.count < filter.limit {
            let sql: SQL = filter.user != nil ? .seqsOfUser : .seqsOfClient
            let rows = try database.read([Statement(sql, [.integer(filter.user ?? filter.client), .integer(last), .integer(256)])])[0]
            if rows.isEmpty { break }
            for row in rows {
                last = try row.integer(0)
                guard let line = try groups.line(seq: last), filter.takes(line.line), found.count < filter.limit else { continue }
                let record = try groups.record(of: line.line, in: line.group)
                if filter.takes(record) { found.append(record) }
            }
        }
        return found
    }
}

extension EventGroup {
    /// The lines that can be read; a damaged one is for `verifyChain` to tell.
    func decoded(where isWanted: (EventCodec.Subject) -> Bool = { _ in true }) -> [ChainedEvent] {
        guard let lines = try? lines() else { return [] }
        return lines.compactMap { line in
            guard let subject = try? EventCodec.subject(of: line.bytes), isWanted(subject) else { return nil }
            return try? EventCodec.decode(line.bytes)
        }
    }
}

/// Groups that were read for one answer, so that lines of one group cost one look.
private struct GroupCache {
    private let database: any SQLDatabase
    private var lines: [Int64: (first: Int64, line: ChainedEvent)] = [:]
    private var personal: [Int64: [PersonalEntry]] = [:]

    init(_ database: any SQLDatabase) {
        self.database = database
    }

    mutating func line(seq: Int64) throws(DatabaseError) -> (line: ChainedEvent, group: Int64)? {
        if let known = lines[seq] { return (known.line, known.first) }
        guard let row = try database.read([Statement(.wholeGroupOf, [.integer(seq)])])[0].first else { return nil }
        let group = try EventGroup(row)
        // One answer of many groups must not hold them all.
        if lines.count > 4096 { lines = [:] }
        for line in group.decoded() { lines[line.seq] = (group.first, line) }
        return lines[seq].map { ($0.line, $0.first) }
    }

    mutating func record(seq: Int64) throws(DatabaseError) -> EventRecord? {
        guard let found = try line(seq: seq) else { return nil }
        return try record(of: found.line, in: found.group)
    }

    mutating func record(of line: ChainedEvent, in first: Int64) throws(DatabaseError) -> EventRecord {
        var record = EventRecord(seq: line.seq, event: line.event, isErased: false)
        guard line.subjectCommitment != nil || line.actorCommitment != nil else { return record }
        if personal[first] == nil {
            if personal.count > 256 { personal = [:] }
            let row = try database.read([Statement(.personalOf, [.integer(first)])])[0].first
            let bytes = try row?.blob(0) ?? []
            personal[first] = (try? PersonalCodec.decode(bytes[...], first: first)) ?? []
        }
        let entries = (personal[first] ?? []).filter { $0.seq == line.seq }
        for entry in entries {
            guard let fields = try? EventCodec.decodeFields(entry.fields[...]) else { continue }
            switch entry.role {
            case .subject: record.event.subject = fields
            case .actor: record.event.actor = fields
            }
        }
        record.isErased =
            (line.subjectCommitment != nil && record.event.subject.fields.isEmpty)
            || (line.actorCommitment != nil && record.event.actor.fields.isEmpty)
        return record
    }
}

extension SQL {
    fileprivate static let seqsOfLogins = SQL("SELECT seq FROM event_login WHERE login >= ?1 AND login <= ?2 ORDER BY seq LIMIT ?3")
    fileprivate static let seqsOfUser = SQL("SELECT seq FROM event_user WHERE \"user\" = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3")
    fileprivate static let seqsOfClient = SQL("SELECT seq FROM event_client WHERE client = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3")
    fileprivate static let wholeGroupOf = SQL(
        """
        SELECT first_seq, count, at_first, at_last, previous_hash, head_hash, mac, body
        FROM event_group WHERE first_seq <= ?1 ORDER BY first_seq DESC LIMIT 1
        """)
    /// Below ?1, above the watermark ?2, with a line that may lie between the times ?3 and ?4.
    fileprivate static let groupsBelow = SQL(
        """
        SELECT first_seq, count, at_first, at_last, previous_hash, head_hash, mac, body
        FROM event_group WHERE first_seq < ?1 AND first_seq > ?2 AND at_last >= ?3 AND at_first <= ?4
        ORDER BY first_seq DESC LIMIT ?5
        """)
    static let personalOf = SQL("SELECT body FROM event_personal WHERE first_seq = ?1")
}
