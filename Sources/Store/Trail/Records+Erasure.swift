// SPDX-License-Identifier: Apache-2.0
// Erasing one person: the row at once, what the trail says of them step by step. A row in `erasure` says how far it is, so that a node
// that was killed goes on.

package import LoginEngine

/// A person who is being erased.
package struct Erasure: Sendable, Equatable {
    package var user: Int64
    package var requested: Timestamp
    /// `UserName.key` of every name they had.
    package var keys: Set<String>
    /// Groups up to it are done.
    var position: Int64
    /// From how many events something was taken.
    package var events: Int
}

extension Records {
    /// Groups that one step looks through.
    private static let groupsOfAStep: Int64 = 64
    /// Groups with nothing to erase after which the position is written all the same.
    private static let groupsBetweenPositions = 4096

    /// Removes the user with names, factors and waiting logins, and begins to erase them from the trail, in one transaction.
    package func beginErasure(ofUser user: Int64, keys: [String], event: Event) async throws(StoreError) {
        let id = SQLValue.integer(user)
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.eraseUserRow, [id]))],
            then: { _ in
                [
                    Statement(
                        .insertErasure, [id, .integer(event.at.microseconds), .text(keys.joined(separator: "\n"))]),
                    // Whatever is kept of them: an hour of handles lies there for retries that are explained late.
                    Statement(.eraseHandles, [id, .integer((event.at - .minutes(70)).microseconds)]),
                    Statement(.raiseRevision),
                ]
            })
        try await change(unit, refusals: [Self.noUser]) { _ in [event.about(user: user)] }
    }

    /// Returns when what was queued before is written; behind a long queue, when most of it is.
    package func waitForWriter() async throws(StoreError) {
        // What nobody waits for goes behind what somebody does, in the same group.
        for _ in 1...2 { try await change(Unit()) { _ in [] } }
    }

    package func erasures() throws(StoreError) -> [Erasure] {
        try read([Statement(.erasures)]) { results throws(DatabaseError) in
            var found: [Erasure] = []
            for row in results[0] { found.append(try Self.erasure(row)) }
            return found
        }
    }

    private static func erasure(_ row: Row) throws(DatabaseError) -> Erasure {
        Erasure(
            user: try row.integer(0), requested: Timestamp(microseconds: try row.integer(1)),
            keys: Set(try row.text(2).split(separator: "\n").map(String.init)), position: try row.integer(3),
            events: Int(try row.integer(4)))
    }

    /// One step through the trail. It may be taken twice, and by two at once: what is erased already is not there to be taken.
    /// - Returns: whether there is more to look through.
    package func eraseSome(ofUser user: Int64) async throws(StoreError) -> Bool {
        let erasure = try read([Statement(.erasureOf, [.integer(user)])]) { results throws(DatabaseError) in
            try results[0].first.map { row throws(DatabaseError) in try Self.erasure(row) }
        }
        guard let erasure else { return false }
        var from = erasure.position
        var looked = 0
        var found: [Int64: Set<Int64>] = [:]
        var isOver = false
        do throws(DatabaseError) {
            while found.isEmpty, looked < Self.groupsBetweenPositions, !isOver {
                let results = try database.read([
                    Statement(.groupsAbove, [.integer(from), .integer(Self.groupsOfAStep)]),
                    Statement(.personalAbove, [.integer(from), .integer(Self.groupsOfAStep)]),
                ])
                isOver = results[0].isEmpty
                var personal: [Int64: [UInt8]] = [:]
                for row in results[1] { personal[try row.integer(0)] = try row.blob(1) }
                for row in results[0] {
                    let group = try EventGroup(row)
                    from = group.first
                    looked += 1
                    guard let bytes = personal[group.first] else { continue }
                    let lines = Self.lines(of: erasure, in: group, personal: bytes)
                    if !lines.isEmpty { found[group.first] = lines }
                }
            }
        } catch {
            throw StoreError(error)
        }
        guard from > erasure.position else { return false }
        try await erase(found, of: user, upTo: from)
        return !isOver
    }

    /// The lines of a group that say something of this person.
    private static func lines(of erasure: Erasure, in group: EventGroup, personal: [UInt8]) -> Set<Int64> {
        guard let lines = try? group.lines(), let entries = try? PersonalCodec.decode(personal[...], first: group.first) else { return [] }
        var users: [Int64: Int64?] = [:]
        for line in lines {
            if let subject = try? EventCodec.subject(of: line.bytes) { users[subject.seq] = subject.user }
        }
        var found: Set<Int64> = []
        for entry in entries where entry.role == .subject || isNameOfUser(entry) {
            guard let user = users[entry.seq] else { continue }
            if let user {
                if user == erasure.user { found.insert(entry.seq) }
            } else if entry.role == .subject, let fields = try? EventCodec.decodeFields(entry.fields[...]),
                let key = fields["name"].flatMap({ UserName.key(of: $0) }), erasure.keys.contains(key)
            {
                // Typed before the user was there, or while a client's rule read another name out of it.
                found.insert(entry.seq)
            }
        }
        return found
    }

    /// Once a change of password by MS-CHAPv2 named the user as its actor, by name; an administrator's name stays.
    private static func isNameOfUser(_ entry: PersonalEntry) -> Bool {
        guard entry.role == .actor, let fields = try? EventCodec.decodeFields(entry.fields[...]) else { return false }
        return fields["actor"]?.hasPrefix("user:") == true
    }

    private func erase(_ found: [Int64: Set<Int64>], of user: Int64, upTo position: Int64) async throws(StoreError) {
        try await onWriter { [database] () throws(DatabaseError) in
            var statements: [Statement] = []
            var count = 0
            for (first, seqs) in found.sorted(by: { $0.key < $1.key }) {
                guard let row = try database.read([Statement(.personalOf, [.integer(first)])])[0].first,
                    let entries = try? PersonalCodec.decode(try row.blob(0)[...], first: first)
                else { continue }
                let (gone, kept) = entries.reduce(into: ([PersonalEntry](), [PersonalEntry]())) { parts, entry in
                    let goes = seqs.contains(entry.seq) && (entry.role == .subject || Self.isNameOfUser(entry))
                    if goes { parts.0.append(entry) } else { parts.1.append(entry) }
                }
                count += Set(gone.map(\.seq)).count
                statements.append(Statement(.setPersonal, [.integer(first), .blob(PersonalCodec.encode(kept, first: first))]))
            }
            statements.append(Statement(.advanceErasure, [.integer(user), .integer(position), .integer(Int64(count))]))
            if case .failed(let error) = try database.write([Unit(statements)], closing: { _ in [] })[0] { throw error }
        }
    }

    /// Forgets the names that were looked for, with the event that says that it is done.
    package func endErasure(ofUser user: Int64, event: Event) async throws(StoreError) {
        let unit = Unit(guarded: [Unit.Guard(Statement(.dropErasure, [.integer(user)]))])
        try await change(unit, refusals: [StoreError(.notFound, "the erasure was ended already")]) { _ in [event.about(user: user)] }
    }

    /// Goes on with every erasure that is under way, to its end.
    /// - Parameter settled: those requested before it have no login under way any more, and end when the trail was looked through.
    /// - Returns: how many ended.
    package func continueErasures(settledBefore settled: Timestamp, at now: Timestamp) async throws(StoreError) -> Int {
        var ended = 0
        for erasure in try erasures() {
            while try await eraseSome(ofUser: erasure.user) {}
            guard erasure.requested < settled, let latest = try erasures().first(where: { $0.user == erasure.user }) else { continue }
            try await endErasure(
                ofUser: erasure.user,
                event: Event(.userErased, at: now, details: [Event.Detail("events", "\(latest.events)")]))
            ended += 1
        }
        return ended
    }
}

extension SQL {
    fileprivate static let eraseUserRow = SQL("DELETE FROM \"user\" WHERE id = ?1")
    fileprivate static let eraseHandles = SQL("DELETE FROM login_handle WHERE expires >= ?2 AND \"user\" = ?1")
    fileprivate static let insertErasure = SQL(
        "INSERT INTO erasure (\"user\", requested, keys, position, events) VALUES (?1, ?2, ?3, 0, 0)")
    fileprivate static let erasures = SQL("SELECT \"user\", requested, keys, position, events FROM erasure ORDER BY \"user\"")
    fileprivate static let erasureOf = SQL("SELECT \"user\", requested, keys, position, events FROM erasure WHERE \"user\" = ?1")
    fileprivate static let advanceErasure = SQL(
        "UPDATE erasure SET position = CASE WHEN ?2 > position THEN ?2 ELSE position END, events = events + ?3 WHERE \"user\" = ?1")
    fileprivate static let dropErasure = SQL("DELETE FROM erasure WHERE \"user\" = ?1")
    fileprivate static let setPersonal = SQL("UPDATE event_personal SET body = ?2 WHERE first_seq = ?1")
}
