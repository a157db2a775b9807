// SPDX-License-Identifier: Apache-2.0
// The audit trail as a hash chain: one packed row per commit, with a MAC that only the holder of the master key can make.

internal import Crypto
internal import Foundation
internal import LoginEngine
internal import Synchronization

package final class EventChain: Sendable {
    /// The last line that is written.
    package struct Head: Sendable, Equatable {
        package var seq: Int64
        package var hash: [UInt8]
    }

    /// A group that is computed, and becomes true when the transaction that it is part of does.
    struct Link: Sendable {
        var statements: [Statement]
        var head: Head
    }

    static let checkSize = 8
    static let origin = [UInt8](repeating: 0, count: 32)

    let signing: ChainSigning
    private let current: Mutex<Head>

    package init(signing: ChainSigning, head: Head) {
        self.signing = signing
        current = Mutex(head)
    }

    package var head: Head { current.withLock { $0 } }

    /// Computes the row of one group; remembers nothing.
    func link(_ events: [Event]) -> Link {
        var head = self.head
        guard !events.isEmpty else { return Link(statements: [], head: head) }
        let previous = head.hash
        let first = head.seq + 1
        var body = ByteWriter()
        body.reserve(events.count * 224)
        body.raw(EventGroup.preface)
        var personal = ByteWriter()
        personal.reserve(events.count * 64)
        var line = ByteWriter()
        line.reserve(512)
        var salts = SaltSource(for: events.count)
        var (earliest, latest) = (events[0].at, events[0].at)
        for event in events {
            head.seq += 1
            let subject = Self.commit(event.subject, .subject, offset: head.seq - first, &salts, &personal)
            let actor = Self.commit(event.actor, .actor, offset: head.seq - first, &salts, &personal)
            line.empty()
            EventCodec.encode(event, seq: head.seq, subject: subject, actor: actor, into: &line)
            head.hash = Self.hash(line.bytes, after: head.hash)
            body.blob(line.bytes)
            // Tells which lines of the group were changed; the MAC tells that one was.
            Self.check(of: line.bytes) { body.raw($0) }
            earliest = min(earliest, event.at)
            latest = max(latest, event.at)
        }
        let group = EventGroup(
            first: first, count: Int64(events.count), earliest: earliest, latest: latest, previous: previous, head: head.hash, mac: [],
            body: body.bytes)
        var statements = [
            Statement(
                .insertGroup,
                [
                    .integer(first), .integer(group.count), .integer(earliest.microseconds), .integer(latest.microseconds),
                    .blob(previous), .blob(head.hash), .blob(signing.mac(of: group)), .blob(group.body),
                ])
        ]
        if !personal.bytes.isEmpty { statements.append(Statement(.insertPersonal, [.integer(first), .blob(personal.bytes)])) }
        statements.append(Self.record(head, signing))
        return Link(statements: statements, head: head)
    }

    /// Puts a person's fields aside.
    /// - Returns: what stands for them in the chain; nil where there are none.
    private static func commit(
        _ fields: PersonalFields, _ role: PersonalEntry.Role, offset: Int64, _ salts: inout SaltSource, _ personal: inout ByteWriter
    ) -> [UInt8]? {
        if fields.fields.isEmpty { return nil }
        let bytes = EventCodec.encode(fields)
        let salt = salts.next()
        PersonalCodec.encode(offset: offset, role, salt: salt, fields: bytes, into: &personal)
        return EventCodec.commitment(of: bytes, salt: salt)
    }

    static func record(_ head: Head, _ signing: ChainSigning) -> Statement {
        Statement(.setHead, [.integer(head.seq), .blob(head.hash), .blob(signing.mac(of: head))])
    }

    /// The transaction of `link` is durable.
    func adopt(_ link: Link) {
        current.withLock { $0 = link.head }
    }

    /// Reads the head again, in a new session with the database.
    func takeUp(_ database: any SQLDatabase) throws(DatabaseError) {
        var head = try Self.resume(database, signing: signing).head
        current.withLock { known in
            // What was written is no longer there: a standby that took over had not heard of it. It is told for ever, as what is cut off is.
            if head.seq < known.seq { head.seq = known.seq + 1 }
            known = head
        }
    }

    static func hash(_ event: some ContiguousBytes, after previous: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: previous)
        event.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return hash.finalize().withUnsafeBytes { Array($0) }
    }

    /// Of the line alone, so that of several changed ones each is told.
    static func check<Result>(of line: some ContiguousBytes, _ body: (Slice<UnsafeRawBufferPointer>) -> Result) -> Result {
        var hash = SHA256()
        line.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return hash.finalize().withUnsafeBytes { body($0.prefix(checkSize)) }
    }

    /// Takes up the chain where it was left.
    ///
    /// When its head record is missing, forged or behind the last group, one number is left out, so that `verify` tells it for ever.
    static func resume(_ database: any SQLDatabase, signing: ChainSigning) throws(DatabaseError) -> EventChain {
        let results = try database.read([Statement(.readHead), Statement(.readLastGroup)])
        var last = Head(seq: 0, hash: origin)
        if let row = results[1].first {
            last = Head(seq: try row.integer(0) + max(try row.integer(1), 1) - 1, hash: try row.blob(2))
        }
        guard let row = results[0].first else {
            last.seq += 1
            return EventChain(signing: signing, head: last)
        }
        var head = Head(seq: try row.integer(0), hash: try row.blob(1))
        if signing.mac(of: head) != (try row.blob(2)) || head.seq < last.seq || (head.seq == last.seq && head.hash != last.hash) {
            head.seq = max(head.seq, last.seq) + 1
        }
        return EventChain(signing: signing, head: head)
    }
}

/// Salts of one group, drawn at once.
private struct SaltSource {
    private let bytes: [UInt8]
    private var used = 0

    init(for events: Int) { bytes = RandomBytes.make(events * 2 * EventCodec.saltSize) }

    mutating func next() -> ArraySlice<UInt8> {
        defer { used += EventCodec.saltSize }
        return bytes[used..<used + EventCodec.saltSize]
    }
}

/// One row of `event_group`.
struct EventGroup: Sendable {
    var first: Int64
    var count: Int64
    var earliest: Timestamp
    var latest: Timestamp
    var previous: [UInt8]
    var head: [UInt8]
    var mac: [UInt8]
    var body: [UInt8]

    init(first: Int64, count: Int64, earliest: Timestamp, latest: Timestamp, previous: [UInt8], head: [UInt8], mac: [UInt8], body: [UInt8])
    {
        self.first = first
        self.count = count
        self.earliest = earliest
        self.latest = latest
        self.previous = previous
        self.head = head
        self.mac = mac
        self.body = body
    }

    init(_ row: Row) throws(DatabaseError) {
        self.init(
            first: try row.integer(0), count: try row.integer(1), earliest: Timestamp(microseconds: try row.integer(2)),
            latest: Timestamp(microseconds: try row.integer(3)), previous: try row.blob(4), head: try row.blob(5), mac: try row.blob(6),
            body: try row.blob(7))
    }

    /// A line of the body: its bytes and the check beside it.
    struct Line {
        var bytes: ArraySlice<UInt8>
        var check: ArraySlice<UInt8>
    }

    /// Begins a body whose checks are of each line alone. No line is empty, so none of the first version's bodies begins with 0; there a
    /// check is of the chain's hash behind its line.
    static let preface: [UInt8] = [0, 2]

    var checksLinesAlone: Bool { body.first == 0 }

    func lines() throws(DecodingError) -> [Line] {
        var reader = ByteReader(body[...])
        var lines: [Line] = []
        if checksLinesAlone {
            _ = try reader.byte()
            let version = try reader.byte()
            guard version == Self.preface[1] else { throw .unknownVersion(version) }
        }
        while reader.remaining > 0 {
            lines.append(Line(bytes: try reader.blob(), check: try reader.raw(EventChain.checkSize)))
        }
        return lines
    }
}

/// The two MACs of a chain, keyed once for each master key, bound to the chain's own random name and the time at which it was made.
package final class ChainSigning: Sendable {
    private struct Keyed {
        var group: HMAC<SHA256>
        var head: HMAC<SHA256>
        /// The last line that may be of this key, when another came after it: who learns an old key cannot write new lines.
        var last: Int64?

        init(group: SymmetricKey, head: SymmetricKey, chain: [UInt8], last: Int64?) {
            self.group = HMAC<SHA256>(key: group)
            self.group.update(data: chain)
            self.head = HMAC<SHA256>(key: head)
            self.head.update(data: chain)
            self.last = last
        }
    }

    private struct Keys {
        var current: Keyed
        /// The newest first.
        var older: [Keyed] = []
    }

    private let chain: [UInt8]
    private let keys: Mutex<Keys>

    package init(key: MasterKey, chain: [UInt8]) {
        self.chain = chain
        keys = Mutex(Keys(current: Keyed(group: key.subkey("event group"), head: key.subkey("chain head"), chain: chain, last: nil)))
    }

    convenience init(_ ring: KeyRing, chain: [UInt8]) {
        self.init(key: ring.current, chain: chain)
        let older = ring.older.map { Keyed(group: $0.subkeys.group, head: $0.subkeys.head, chain: chain, last: $0.lastLine) }
        keys.withLock { $0.older = older.reversed() }
    }

    /// From now on this key signs. Only on the writer's thread, which signs.
    func adopt(_ key: MasterKey, after last: Int64) {
        let new = Keyed(group: key.subkey("event group"), head: key.subkey("chain head"), chain: chain, last: nil)
        keys.withLock { keys in
            var before = keys.current
            before.last = last
            keys.older.insert(before, at: 0)
            keys.current = new
        }
    }

    /// The key that was adopted last did not become true.
    func revert() {
        keys.withLock { keys in
            guard !keys.older.isEmpty else { return }
            keys.current = keys.older.removeFirst()
            keys.current.last = nil
        }
    }

    func mac(of group: EventGroup) -> [UInt8] {
        Self.mac(of: group, keys.withLock { $0.current.group })
    }

    /// Whether a key signed it that was in use for its lines.
    func isGenuine(_ group: EventGroup) -> Bool {
        let keys = keys.withLock { $0 }
        if Self.mac(of: group, keys.current.group) == group.mac { return true }
        return keys.older.contains { keyed in
            guard let last = keyed.last, group.first &+ max(group.count, 1) &- 1 <= last else { return false }
            return Self.mac(of: group, keyed.group) == group.mac
        }
    }

    private static func mac(of group: EventGroup, _ keyed: HMAC<SHA256>) -> [UInt8] {
        var message = ByteWriter()
        message.reserve(160)
        for value in [group.first, group.count, group.earliest.microseconds, group.latest.microseconds] {
            message.word(UInt64(bitPattern: value))
        }
        message.blob(group.previous)
        message.blob(group.head)
        message.raw(Array(SHA256.hash(data: group.body)))
        var mac = keyed
        mac.update(data: message.bytes)
        return Array(mac.finalize())
    }

    func mac(of head: EventChain.Head) -> [UInt8] {
        var message = ByteWriter()
        message.word(UInt64(bitPattern: head.seq))
        message.blob(head.hash)
        var mac = keys.withLock { $0.current.head }
        mac.update(data: message.bytes)
        return Array(mac.finalize())
    }
}

extension SQL {
    fileprivate static let insertGroup = SQL(
        """
        INSERT INTO event_group (first_seq, count, at_first, at_last, previous_hash, head_hash, mac, body)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        """)
    fileprivate static let insertPersonal = SQL("INSERT INTO event_personal (first_seq, body) VALUES (?1, ?2)")
    fileprivate static let setHead = SQL(
        """
        INSERT INTO chain_head (id, seq, hash, mac) VALUES (1, ?1, ?2, ?3)
        ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac
        """)
    static let readHead = SQL("SELECT seq, hash, mac FROM chain_head WHERE id = 1")
    fileprivate static let readLastGroup = SQL("SELECT first_seq, count, head_hash FROM event_group ORDER BY first_seq DESC LIMIT 1")
}
