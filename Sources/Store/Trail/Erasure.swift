// SPDX-License-Identifier: Apache-2.0
// One row of `erasure`, sealed as a whole: who can write to the database and has not the master key cannot have the node erase anything.

package import LoginEngine

/// A person who is being erased.
package struct Erasure: Sendable, Equatable {
    package var user: Int64
    package var requested: Timestamp
    /// `UserName.key` of every name they had; none where the row is not what a node wrote: then only their number is looked for.
    package var keys: Set<String>
    /// Groups up to it are done.
    var position: Int64 = 0
    /// From how many events something was taken.
    package var events = 0

    /// Of the event at the end: the line that asked for it.
    static let begunDetail = "begun"
    /// The first schema that seals the rows.
    static let sealedSince = 10

    init(user: Int64, requested: Timestamp, keys: Set<String>) {
        self.user = user
        self.requested = requested
        self.keys = keys
    }

    init(_ row: Row, _ sealing: Sealing) throws(DatabaseError) {
        try self.init(unchecked: row)
        guard let sealed = try row.blobIfAny(5), let secret = try? sealing.open(sealed, at: .erasure(user)),
            secret.reveal({ $0.elementsEqual(bytes) })
        else {
            // Begun anew, by nothing but what the trail itself says.
            self = Erasure(user: user, requested: requested, keys: [])
            return
        }
    }

    init(unchecked row: Row) throws(DatabaseError) {
        self.init(
            user: try row.integer(0), requested: Timestamp(microseconds: try row.integer(1)),
            keys: Set(try row.text(2).split(separator: "\n").map(String.init)))
        position = try row.integer(3)
        events = Int(try row.integer(4))
    }

    private var bytes: [UInt8] {
        var out = ByteWriter()
        for number in [user, requested.microseconds, position, Int64(events)] { out.signed(number) }
        for key in keys.sorted() { out.text(key) }
        return out.bytes
    }

    func statement(_ sealing: Sealing) -> Statement {
        Statement(
            .putErasure,
            [
                .integer(user), .integer(requested.microseconds), .text(keys.sorted().joined(separator: "\n")), .integer(position),
                .integer(Int64(events)), .blob(sealing.seal(Secret(bytes), at: .erasure(user))),
            ])
    }

    /// Seals what earlier releases left under way: once, when the column is new.
    static func sealAll(in database: any SQLDatabase, _ sealing: Sealing) throws(DatabaseError) {
        var statements: [Statement] = []
        for row in try database.read([Statement(.erasures)])[0] { statements.append(try Erasure(unchecked: row).statement(sealing)) }
        guard !statements.isEmpty else { return }
        if case .failed(let error) = try database.write([Unit(statements)], closing: { _ in [] })[0] { throw error }
    }
}

extension Event {
    /// Whether it is the second of the two events of an erasure, the one that says how many events it reached.
    var endsErasure: Bool { kind == .userErased && self["events"] != nil }
}

extension SealedPlace {
    static func erasure(_ user: Int64) -> SealedPlace { SealedPlace(table: "erasure", row: user, column: "seal") }
}

extension SQL {
    static let erasures = SQL("SELECT \"user\", requested, keys, position, events, seal FROM erasure ORDER BY \"user\"")
    static let erasureOf = SQL("SELECT \"user\", requested, keys, position, events, seal FROM erasure WHERE \"user\" = ?1")
    /// A row that somebody put there must not keep one of ours out.
    fileprivate static let putErasure = SQL(
        """
        INSERT INTO erasure ("user", requested, keys, position, events, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT ("user") DO UPDATE SET requested = excluded.requested, keys = excluded.keys, position = excluded.position,
            events = excluded.events, seal = excluded.seal
        """)
}
