// SPDX-License-Identifier: Apache-2.0
// Erasing one person: the row at once, what the trail says of them step by step. A row in `erasure` says how far it is, so that a node
// that was killed goes on.

package import LoginEngine
internal import Synchronization

/// What one look at the erasures that are under way came to.
package struct ErasureProgress: Sendable, Equatable {
    package var ended = 0
    /// Users whose row in `erasure` no event of the trail stands behind: nothing is erased for it. Each is told once in a run.
    package var refused: [Int64] = []
}

extension Records {
    /// Groups that one step looks through.
    private static let groupsOfAStep: Int64 = 64
    /// Groups with nothing to erase after which the position is written all the same.
    private static let groupsBetweenPositions = 4096

    /// Removes the user with names, factors and waiting logins, and begins to erase them from the trail, in one transaction.
    package func beginErasure(ofUser user: Int64, keys: [String], event: Event) async throws(StoreError) {
        let id = SQLValue.integer(user)
        let erasure = Erasure(user: user, requested: event.at, keys: Set(keys))
        let unit = Unit(
            guarded: [Self.revokeDevices(ofUser: user, at: event.at), Unit.Guard(Statement(.eraseUserRow, [id]))],
            then: { [sealing] _ in
                [
                    erasure.statement(sealing),
                    // Whatever is kept of them: an hour of handles lies there for retries that are explained late.
                    Statement(.eraseHandles, [id, .integer((event.at - .minutes(70)).microseconds)]),
                    Statement(.eraseSessions, [id]), Statement(.eraseClaims, [id]),
                    Statement(.raiseRevision),
                ] + keys.map { Statement(.eraseSessionsOfName, [.text($0)]) }
            })
        try await change(unit, refusals: [Self.noUser, Self.noUser]) { _ in [event.about(user: user)] }
    }

    /// Returns when what was queued before is written; behind a long queue, when most of it is.
    package func waitForWriter() async throws(StoreError) {
        // What nobody waits for goes behind what somebody does, in the same group.
        for _ in 1...2 { try await change(Unit()) { _ in [] } }
    }

    package func erasures() throws(StoreError) -> [Erasure] {
        try read([Statement(.erasures)]) { results throws(DatabaseError) in
            var found: [Erasure] = []
            for row in results[0] { found.append(try Erasure(row, sealing)) }
            return found
        }
    }

    /// One step through the trail. It may be taken twice, and by two at once: what is erased already is not there to be taken.
    /// - Returns: whether there is more to look through.
    package func eraseSome(ofUser user: Int64) async throws(StoreError) -> Bool {
        let erasure = try read([Statement(.erasureOf, [.integer(user)])]) { results throws(DatabaseError) in
            try results[0].first.map { row throws(DatabaseError) in try Erasure(row, sealing) }
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
        try await onWriter { [database, sealing] () throws(DatabaseError) in
            // Somebody else may have ended it.
            guard let row = try database.read([Statement(.erasureOf, [.integer(user)])])[0].first else { return }
            var erasure = try Erasure(row, sealing)
            var statements: [Statement] = []
            for (first, seqs) in found.sorted(by: { $0.key < $1.key }) {
                guard let row = try database.read([Statement(.personalOf, [.integer(first)])])[0].first,
                    let entries = try? PersonalCodec.decode(try row.blob(0)[...], first: first)
                else { continue }
                let (gone, kept) = entries.reduce(into: ([PersonalEntry](), [PersonalEntry]())) { parts, entry in
                    let goes = seqs.contains(entry.seq) && (entry.role == .subject || Self.isNameOfUser(entry))
                    if goes { parts.0.append(entry) } else { parts.1.append(entry) }
                }
                erasure.events += Set(gone.map(\.seq)).count
                statements.append(Statement(.setPersonal, [.integer(first), .blob(PersonalCodec.encode(kept, first: first))]))
            }
            erasure.position = max(erasure.position, position)
            statements.append(erasure.statement(sealing))
            if case .failed(let error) = try database.write([Unit(statements)], closing: { _ in [] })[0] { throw error }
        }
    }

    /// Forgets the names that were looked for, and what gateways reported of them meanwhile, with the event that says that it is done.
    package func endErasure(ofUser user: Int64, keys: Set<String>, event: Event) async throws(StoreError) {
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.dropErasure, [.integer(user)]))],
            then: { _ in keys.sorted().map { Statement(.eraseSessionsOfName, [.text($0)]) } })
        try await change(unit, refusals: [StoreError(.notFound, "the erasure was ended already")]) { _ in [event.about(user: user)] }
    }

    /// Goes on with every erasure that is under way, to its end.
    /// - Parameter settled: those requested before it have no login under way any more, and end when the trail was looked through.
    package func continueErasures(settledBefore settled: Timestamp, at now: Timestamp) async throws(StoreError) -> ErasureProgress {
        var progress = ErasureProgress()
        for erasure in try erasures() {
            if unasked.withLock({ $0[erasure.user] == erasure.requested }) { continue }
            guard let begun = try beginning(of: erasure) else {
                unasked.withLock { $0[erasure.user] = erasure.requested }
                progress.refused.append(erasure.user)
                continue
            }
            while try await eraseSome(ofUser: erasure.user) {}
            guard erasure.requested < settled, let latest = try erasures().first(where: { $0.user == erasure.user }) else { continue }
            let details = [Event.Detail("events", "\(latest.events)"), Event.Detail(Erasure.begunDetail, "\(begun)")]
            try await endErasure(
                ofUser: erasure.user, keys: latest.keys, event: Event(.userErased, at: now, details: details))
            progress.ended += 1
        }
        return progress
    }

    /// The line in which somebody asked for it. A row is not enough: whoever can write to the database can write one.
    private func beginning(of erasure: Erasure) throws(StoreError) -> Int64? {
        do throws(DatabaseError) {
            guard let line = try newestProven(.userErased, ofUser: erasure.user), !line.event.endsErasure else { return nil }
            return line.seq
        } catch {
            throw StoreError(error)
        }
    }
}

extension SQL {
    fileprivate static let eraseUserRow = SQL("DELETE FROM \"user\" WHERE id = ?1")
    fileprivate static let eraseHandles = SQL("DELETE FROM login_handle WHERE expires >= ?2 AND \"user\" = ?1")
    fileprivate static let dropErasure = SQL("DELETE FROM erasure WHERE \"user\" = ?1")
    fileprivate static let setPersonal = SQL("UPDATE event_personal SET body = ?2 WHERE first_seq = ?1")
}
