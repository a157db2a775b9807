// SPDX-License-Identifier: Apache-2.0
// Retention: the oldest lines of the trail go, from the front and for good, and a mark says up to where, so that the rest still verifies.

internal import Crypto
package import LoginEngine

/// The mark behind which lines were removed: the number and hash of the last of them.
struct CutMark: Sendable, Equatable {
    var head: EventChain.Head
    var mac: [UInt8]
    /// The last removed line that an event tells of.
    var told: Int64

    init(_ row: Row) throws(DatabaseError) {
        head = EventChain.Head(seq: try row.integer(0), hash: try row.blob(1))
        mac = try row.blob(2)
        told = try row.integer(3)
    }
}

extension ChainSigning {
    /// Of another shape than any record of the chain's end, so that an old one of those cannot be put in its place.
    func mac(ofCut head: EventChain.Head) -> [UInt8] {
        mac(of: EventChain.Head(seq: head.seq, hash: Array(SHA256.hash(data: Array("sallyport cut 1 ".utf8) + head.hash))))
    }
}

/// How much there is of the trail, for metrics and for retention by size.
package struct TrailExtent: Sendable, Equatable {
    /// The line before the first one.
    package var base: Int64
    package var head: Int64
    /// When the oldest group was begun; nil for an empty trail.
    package var oldest: Timestamp?
    /// With indexes, estimated from the newest groups.
    package var bytes: Int64
    package var bytesPerEvent: Int64

    package var events: Int64 { max(0, head - base) }
}

package enum CutOutcome: Sendable, Equatable {
    /// So many lines went; there may be more.
    case cut(Int64)
    /// Nothing is old enough.
    case done
    /// The oldest lines are not what was written: evidence, which is not removed.
    case damaged(at: Int64)
}

extension Records {
    /// Lines of one transaction: some ten milliseconds, most of them for the search tables.
    static let linesOfACut: Int64 = 1024
    private static let groupsOfACut: Int64 = 256
    /// What a line costs in the search tables and a group in its row, measured with small and large groups.
    private static let indexBytes: Int64 = 72
    private static let groupBytes: Int64 = 170

    package func trailExtent() throws(StoreError) -> TrailExtent {
        let head = chain.head.seq
        return try read([Statement(.readBase), Statement(.oldestGroup), Statement(.sizeOfNewest), Statement(.sizeOfNewestPersonal)]) {
            results throws(DatabaseError) in
            let base = try results[0].first?.integer(0) ?? 0
            let lines = max(1, try results[2][0].integerIfAny(1) ?? 1)
            let body = try results[2][0].integerIfAny(0) ?? 0
            let personal = try results[3][0].integerIfAny(0) ?? 0
            let each = Self.indexBytes + (body + personal + Self.groupBytes * (try results[2][0].integer(2))) / lines
            let oldest = try results[1].first.map { row throws(DatabaseError) in Timestamp(microseconds: try row.integer(0)) }
            return TrailExtent(base: base, head: head, oldest: oldest, bytes: max(0, head - base) * each, bytesPerEvent: each)
        }
    }

    /// Removes some of the oldest groups, in one transaction: those whose lines are all older than `time` and not above `limit`.
    ///
    /// The newest group stays, whatever its age: the chain goes on from it.
    package func cutTrail(before time: Timestamp, upTo limit: Int64 = .max) async throws(StoreError) -> CutOutcome {
        try await onWriter { [database, chain, index] () throws(DatabaseError) in
            let base = try database.read([Statement(.readBase)])[0].first.map { row throws(DatabaseError) in try CutMark(row) }
            var head = base?.head ?? EventChain.Head(seq: 0, hash: EventChain.origin)
            let start = head.seq
            guard base.map({ chain.signing.mac(ofCut: $0.head) == $0.mac }) ?? true else { return .damaged(at: start) }
            let newest = chain.head.seq
            var statements: [Statement] = []
            var last: Int64?
            scan: for row in try database.read([Statement(.groupsAbove, [.integer(start), .integer(Self.groupsOfACut)])])[0] {
                let group = try EventGroup(row)
                let end = group.first + max(group.count, 1) - 1
                // What the search tables do not know yet would be put there afterwards.
                guard group.latest < time, end <= limit, end < newest, end <= index.watermark else { break }
                guard group.first == head.seq + 1, group.previous == head.hash, chain.signing.isGenuine(group) else {
                    if last == nil { return .damaged(at: group.first) }
                    break scan
                }
                if last != nil, end - start > Self.linesOfACut { break }
                for line in (try? group.lines()) ?? [] {
                    guard let subject = try? EventCodec.subject(of: line.bytes) else { continue }
                    let seq = SQLValue.integer(subject.seq)
                    if let login = subject.login { statements.append(Statement(.unindexLogin, [.blob(login.bits.bytes), seq])) }
                    if let user = subject.user { statements.append(Statement(.unindexUser, [.integer(user), seq])) }
                    if let client = subject.client { statements.append(Statement(.unindexClient, [.integer(client), seq])) }
                }
                head = EventChain.Head(seq: end, hash: group.head)
                last = group.first
            }
            guard let last else { return .done }
            statements += [
                Statement(.dropGroups, [.integer(start), .integer(last)]), Statement(.dropPersonal, [.integer(start), .integer(last)]),
                Statement(.setBase, [.integer(head.seq), .blob(head.hash), .blob(chain.signing.mac(ofCut: head))]),
            ]
            if case .failed(let error) = try database.write([Unit(statements)], closing: { _ in [] })[0] { throw error }
            return .cut(head.seq - start)
        }
    }

    /// Where `cutTrail` finds damage: the lines up to the next group that is what was written.
    ///
    /// - Returns: nil where there is no such group that is older than `time`, or where the mark itself was changed: then nothing goes on.
    package func editedFront(before time: Timestamp) throws(StoreError) -> ClosedRange<Int64>? {
        do throws(DatabaseError) {
            let base = try database.read([Statement(.readBase)])[0].first.map { row throws(DatabaseError) in try CutMark(row) }
            guard base.map({ chain.signing.mac(ofCut: $0.head) == $0.mac }) ?? true else { return nil }
            let start = base?.head.seq ?? 0
            for row in try database.read([Statement(.groupsAbove, [.integer(start), .integer(Self.groupsOfACut)])])[0] {
                let group = try EventGroup(row)
                guard chain.signing.isGenuine(group) else { continue }
                return group.first > start + 1 && group.latest < time ? start + 1...group.first - 1 : nil
            }
            return nil
        } catch {
            throw StoreError(error)
        }
    }

    /// Retention goes on behind edited lines. They stay in their place, so that every verification tells of them; what they held of persons
    /// goes, as all of that age does.
    package func passEdited(_ lines: ClosedRange<Int64>) async throws(StoreError) {
        try await onWriter { [database, chain] () throws(DatabaseError) in
            let results = try database.read([
                Statement(.readBase), Statement(.groupsAbove, [.integer(lines.upperBound), .integer(1)]),
            ])
            let base = try results[0].first.map { row throws(DatabaseError) in try CutMark(row) }
            // Somebody else was faster, or changed more meanwhile: it is looked at again in an hour.
            guard (base?.head.seq ?? 0) + 1 == lines.lowerBound,
                let group = try results[1].first.map({ row throws(DatabaseError) in
                    try EventGroup(row)
                }), group.first == lines.upperBound + 1, chain.signing.isGenuine(group)
            else { return }
            let head = EventChain.Head(seq: lines.upperBound, hash: group.previous)
            let statements = [
                Statement(.dropPersonal, [.integer(lines.lowerBound - 1), .integer(lines.upperBound)]),
                Statement(.setBase, [.integer(head.seq), .blob(head.hash), .blob(chain.signing.mac(ofCut: head))]),
                Statement(.toldUpTo, [.integer(head.seq)]),
            ]
            if case .failed(let error) = try database.write([Unit(statements)], closing: { _ in [] })[0] { throw error }
        }
    }

    /// Groups that retention has passed and left as evidence: how many, and the first line of the oldest.
    package func evidence() throws(StoreError) -> (groups: Int, first: Int64)? {
        try read([Statement(.evidence)]) { results throws(DatabaseError) in
            guard let row = results[0].first, try row.integer(0) > 0 else { return nil }
            return (Int(try row.integer(0)), try row.integer(1))
        }
    }

    /// Writes the event of what was removed since the last one; nothing where that is nothing.
    /// - Returns: how many lines it tells of.
    package func tellOfCut(at now: Timestamp) async throws(StoreError) -> Int64 {
        let base = try read([Statement(.readBase)]) { results throws(DatabaseError) in
            try results[0].first.map { row throws(DatabaseError) in try CutMark(row) }
        }
        guard let base, base.told < base.head.seq else { return 0 }
        let event = Event(
            .trailCut, at: now, details: [Event.Detail("from", "\(base.told + 1)"), Event.Detail("to", "\(base.head.seq)")])
        let unit = Unit(guarded: [Unit.Guard(Statement(.setTold, [.integer(base.head.seq), .integer(base.told)]))])
        try await change(unit) { _ in [event] }
        return base.head.seq - base.told
    }

    /// Whether logins wait to be written, so that what can wait should.
    package var isBusy: Bool { writer.statistics.waiting > 0 }
}

/// Whether the clock may be trusted to say what is old: a clock that jumps ahead must not remove the trail.
package struct SteadyClock: Sendable {
    /// Time for NTP to put right what a machine believed at its start.
    package static let trustedAfter = Timestamp.Span.minutes(60)
    private static let mostDrift = Timestamp.Span.minutes(1)

    private var since: Moment?

    package init() {}

    /// - Returns: whether wall clock and uptime went alike for an hour.
    package mutating func isTrusted(at moment: Moment) -> Bool {
        guard let since else {
            self.since = moment
            return false
        }
        let drift = (moment.wall - since.wall).microseconds - (moment.uptime - since.uptime).microseconds
        guard abs(drift) <= Self.mostDrift.microseconds else {
            self.since = moment
            return false
        }
        return moment.uptime - since.uptime >= Self.trustedAfter
    }
}

extension SQL {
    static let readBase = SQL("SELECT seq, hash, mac, told FROM chain_base WHERE id = 1")
    static let setBase = SQL(
        """
        INSERT INTO chain_base (id, seq, hash, mac, told) VALUES (1, ?1, ?2, ?3, 0)
        ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac
        """)
    fileprivate static let setTold = SQL("UPDATE chain_base SET told = ?1 WHERE id = 1 AND told = ?2")
    fileprivate static let dropGroups = SQL("DELETE FROM event_group WHERE first_seq > ?1 AND first_seq <= ?2")
    fileprivate static let dropPersonal = SQL("DELETE FROM event_personal WHERE first_seq > ?1 AND first_seq <= ?2")
    fileprivate static let unindexLogin = SQL("DELETE FROM event_login WHERE login = ?1 AND seq = ?2")
    fileprivate static let unindexUser = SQL("DELETE FROM event_user WHERE \"user\" = ?1 AND seq = ?2")
    fileprivate static let unindexClient = SQL("DELETE FROM event_client WHERE client = ?1 AND seq = ?2")
    fileprivate static let oldestGroup = SQL(
        """
        SELECT at_first FROM event_group WHERE first_seq > coalesce((SELECT seq FROM chain_base WHERE id = 1), 0)
        ORDER BY first_seq LIMIT 1
        """)
    fileprivate static let toldUpTo = SQL("UPDATE chain_base SET told = ?1 WHERE id = 1")
    fileprivate static let evidence = SQL(
        "SELECT count(*), min(first_seq) FROM event_group WHERE first_seq <= (SELECT seq FROM chain_base WHERE id = 1)")
    fileprivate static let sizeOfNewest = SQL(
        """
        SELECT CAST(sum(length(g.body)) AS BIGINT), CAST(sum(g.count) AS BIGINT), count(*)
        FROM (SELECT body, count FROM event_group ORDER BY first_seq DESC LIMIT 64) g
        """)
    fileprivate static let sizeOfNewestPersonal = SQL(
        """
        SELECT CAST(sum(length(body)) AS BIGINT) FROM event_personal WHERE first_seq >= (
            SELECT min(g.first_seq) FROM (SELECT first_seq FROM event_group ORDER BY first_seq DESC LIMIT 64) g)
        """)
}
