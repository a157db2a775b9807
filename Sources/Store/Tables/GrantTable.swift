// SPDX-License-Identifier: Apache-2.0
// access_grant and grant_use: what the help desk has given, and every accept by it. `user.granted_until` says who has any, so that nobody
// else is looked up here.

package import LoginEngine

package struct NewGrant: Sendable {
    package var user: Int64
    package var kind: Grant.Kind
    package var scope: Grant.Scope
    package var reason: String
    /// Who gives it, as events name the actor.
    package var issuer: String
    package var issued: Timestamp
    package var until: Timestamp
    /// Nil: any number of times.
    package var uses: Int?
    /// The digits of a temporary code; only their keyed hash is kept.
    package var code: Secret?

    package init(
        user: Int64, kind: Grant.Kind, scope: Grant.Scope = Grant.Scope(), reason: String, issuer: String, issued: Timestamp,
        until: Timestamp, uses: Int?, code: Secret? = nil
    ) {
        self.user = user
        self.kind = kind
        self.scope = scope
        self.reason = reason
        self.issuer = issuer
        self.issued = issued
        self.until = until
        self.uses = uses
        self.code = code
    }
}

/// A grant as lists show it.
package struct GrantRecord: Sendable, Equatable {
    package var grant: Grant
    package var user: Int64
    package var issuer: String
    package var revoked: Timestamp?
    package var revoker: String?
    package var lastUsed: Timestamp?
}

/// One accept by a grant.
package struct GrantUse: Sendable, Equatable {
    package var number: Int
    package var client: Int64
    package var login: LoginID
    package var at: Timestamp
}

package struct GrantFilter: Sendable {
    package var user: Int64?
    /// Those that are open at this moment; nil: all.
    package var openAt: Timestamp?
    /// Of a number below this one.
    package var before: Int64?
    package var limit: Int

    package init(user: Int64? = nil, openAt: Timestamp? = nil, before: Int64? = nil, limit: Int) {
        self.user = user
        self.openAt = openAt
        self.before = before
        self.limit = limit
    }
}

extension Records {
    /// How long grants are told of at a refused login behind their end, and how long they are kept.
    static let grantsTold: Timestamp.Span = .minutes(60)
    package static let grantsKept: Timestamp.Span = .minutes(90 * 24 * 60)

    /// What `access_grant` keeps of a temporary code: bound to the grant, so that it is worth nothing in another's row.
    package func temporaryCodeHash(_ digits: [UInt8], grant: Int64) -> [UInt8] {
        // Longer than what is hashed of a recovery code, so that neither passes for the other.
        recoveryHash(Array("temporary code".utf8) + [UInt8](repeating: 0, count: 18) + digits, factor: grant)
    }

    /// - Parameter event: gets the grant's number and the user's row.
    /// - Returns: the grant's number.
    package func addGrant(_ grant: NewGrant, event: Event) async throws(StoreError) -> Int64 {
        let user = SQLValue.integer(grant.user)
        let values: [SQLValue] = [
            user, .text(grant.kind.rawValue), .blob(grant.scope.stored), .text(grant.reason), .text(grant.issuer),
            .integer(grant.issued.microseconds), .integer(grant.until.microseconds), .integer(grant.uses.map { Int64($0) }),
            .integer(Int64(grant.code?.count ?? 0)),
        ]
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.userIsThere, [user])),
                Unit.Guard(Statement(.countOpenGrants, [user, .integer(grant.issued.microseconds)]), rows: nil) { rows in
                    guard let count = try? rows.first?.integer(0) else { return false }
                    return count < Int64(Grant.mostOpen)
                },
                Unit.Guard(Statement(.insertGrant, values)),
            ],
            then: { [self] rows in
                // The hash needs the grant's number.
                guard let id = try? rows[2].first?.integer(0) else { return [] }
                let raise = Statement(.raiseGranted, [user, .integer(grant.until.microseconds)])
                guard let code = grant.code else { return [raise] }
                let hash = code.reveal { temporaryCodeHash(Array($0), grant: id) }
                return [raise, Statement(.setCodeHash, [.integer(id), .blob(hash)])]
            })
        let tooMany = StoreError(
            .notAllowed, "the user has \(Grant.mostOpen) open grants already", remedy: "Revoke one: `sallyport grant list --user NAME`.")
        let rows = try await change(unit, refusals: [Self.noUser, tooMany, Self.noUser]) { rows in
            var event = event.about(user: grant.user)
            if let id = try? rows[2].first?.integer(0) {
                event.details.insert(Event.Detail("grant", "\(id) \(grant.kind.rawValue)"), at: 0)
            }
            return [event]
        }
        do throws(DatabaseError) { return try rows[2][0].integer(0) } catch { throw StoreError(error) }
    }

    /// From the moment at which it returns the grant opens nothing; logins that are under way are refused by their settlement.
    package func revokeGrant(_ id: Int64, by revoker: String, at now: Timestamp, event: Event) async throws(StoreError) {
        let revoke = Statement(.revokeGrant, [.integer(id), .integer(now.microseconds), .text(revoker)])
        try await change(
            Unit(guarded: [Unit.Guard(revoke)]),
            refusals: [StoreError(.notAllowed, "the grant is gone or was revoked already", remedy: "See `sallyport grant list --all`.")]
        ) { rows in [event.about(user: try? rows[0].first?.integer(0))] }
    }

    package func grant(_ id: Int64) throws(StoreError) -> GrantRecord? {
        try grants(where: "g.id = ?1", [.integer(id)], limit: 1).first
    }

    /// The newest first.
    package func grants(_ filter: GrantFilter) throws(StoreError) -> [GrantRecord] {
        var conditions: [String] = []
        var values: [SQLValue] = []
        func bind(_ value: SQLValue) -> String {
            values.append(value)
            return "?\(values.count)"
        }
        if let user = filter.user { conditions.append("g.\"user\" = \(bind(.integer(user)))") }
        if let before = filter.before { conditions.append("g.id < \(bind(.integer(before)))") }
        if let now = filter.openAt {
            conditions.append("g.until > \(bind(.integer(now.microseconds))) AND g.revoked IS NULL AND (g.uses IS NULL OR g.used < g.uses)")
            conditions.append("g.epoch = coalesce((SELECT CAST(s.value AS BIGINT) FROM setting s WHERE s.name = 'epoch'), 1)")
        }
        return try grants(where: conditions.isEmpty ? "1 = 1" : conditions.joined(separator: " AND "), values, limit: filter.limit)
    }

    /// The newest first.
    package func uses(ofGrant id: Int64, limit: Int) throws(StoreError) -> [GrantUse] {
        try read([Statement(.grantUses, [.integer(id), .integer(Int64(limit))])]) { results throws(DatabaseError) in
            try results[0].map { row throws(DatabaseError) in
                GrantUse(
                    number: Int(try row.integer(0)), client: try row.integer(1), login: LoginID(try Self.bits(row, 2)),
                    at: Timestamp(microseconds: try row.integer(3)))
            }
        }
    }

    /// Of all users, open ones.
    package func openGrantCount(at now: Timestamp) throws(StoreError) -> Int {
        try read([Statement(.countAllOpenGrants, [.integer(now.microseconds)])]) { results throws(DatabaseError) in
            Int(try results[0][0].integer(0))
        }
    }

    private func grants(where condition: String, _ values: [SQLValue], limit: Int) throws(StoreError) -> [GrantRecord] {
        let text = """
            SELECT g.id, g.kind, g.scope, g.issued, g.until, g.uses, g.used, g.revoked,
                CASE WHEN g.epoch = coalesce((SELECT CAST(s.value AS BIGINT) FROM setting s WHERE s.name = 'epoch'), 1) THEN 0 ELSE 1 END,
                g.reason, g.digits, g.code_hash, g."user", g.issuer, g.revoker,
                (SELECT max(x.at) FROM grant_use x WHERE x.access_grant = g.id)
            FROM access_grant g WHERE \(condition) ORDER BY g.id DESC LIMIT \(max(0, limit))
            """
        return try read([Statement(SQL(composed: text), values)]) { results throws(DatabaseError) in
            try results[0].map { row throws(DatabaseError) in
                GrantRecord(
                    grant: try Grant(row), user: try row.integer(12), issuer: try row.text(13),
                    revoked: try row.integerIfAny(7).map { Timestamp(microseconds: $0) }, revoker: try row.textIfAny(14),
                    lastUsed: try row.integerIfAny(15).map { Timestamp(microseconds: $0) })
            }
        }
    }

    /// Nobody is looked up any more whose last grant ended a while ago, and what ended long ago goes.
    static func forgetGrants(at now: Timestamp) -> [Statement] {
        let told = now - grantsTold
        return [
            Statement(.releaseGranted, [.integer(told.microseconds), .integer((told - .minutes(7 * 24 * 60)).microseconds)]),
            Statement(.dropOldGrants, [.integer((now - grantsKept).microseconds)]),
        ]
    }
}

extension Grant {
    /// Twelve columns, as the statements below give them.
    init(_ row: Row) throws(DatabaseError) {
        guard let kind = Kind(rawValue: try row.text(1)) else { throw .unexpectedValue(1) }
        guard let scope = Scope(stored: try row.blob(2)) else { throw .unexpectedValue(2) }
        self.init(
            id: try row.integer(0), kind: kind, issued: Timestamp(microseconds: try row.integer(3)),
            until: Timestamp(microseconds: try row.integer(4)), uses: try row.integerIfAny(5).map { Int(clamping: $0) },
            reason: try row.text(9))
        self.scope = scope
        used = Int(clamping: try row.integer(6))
        isRevoked = !row.isNull(7)
        isVoid = try row.flag(8)
        digits = Int(clamping: try row.integer(10))
        codeHash = try row.blobIfAny(11) ?? []
    }
}

extension Grant.Scope {
    var stored: [UInt8] {
        var writer = ByteWriter()
        writer.byte(1)
        writer.unsigned(UInt64(clients.count))
        for client in clients { writer.signed(client) }
        writer.unsigned(UInt64(tags.count))
        for tag in tags { writer.text(tag) }
        return writer.bytes
    }

    /// Nil where it cannot be read: a scope that is not known opens nothing.
    init?(stored: [UInt8]) {
        var reader = ByteReader(stored[...])
        do throws(DecodingError) {
            guard try reader.byte() == 1 else { return nil }
            self.init()
            for _ in 0..<(try reader.count()) { clients.append(try reader.signed()) }
            for _ in 0..<(try reader.count()) { tags.append(try reader.text()) }
            guard reader.remaining == 0 else { return nil }
        } catch {
            return nil
        }
    }
}

extension ByteReader {
    /// How many values follow; each takes a byte at least.
    fileprivate mutating func count() throws(DecodingError) -> Int {
        let count = try unsigned()
        guard count <= UInt64(remaining) else { throw .truncated }
        return Int(count)
    }
}

// MARK: Settlements

extension Settlement {
    /// What the accept by a grant has to meet: this very request was not let in by it a moment ago, and the grant is good for one more use.
    var grantGuards: [Unit.Guard] {
        guard decision.isAccept, let grant else { return [] }
        return [Unit.Guard(Statement(.grantRepeated, repeatedValues(grant)), rows: 0), Unit.Guard(Statement(.useGrant, useValues(grant)))]
    }

    /// Behind the guards.
    var grantStatements: [Statement] {
        guard decision.isAccept, let grant, let client = event.client else { return [] }
        return [
            Statement(
                .insertGrantUse,
                [
                    .integer(grant), .integer(client), .blob(decision.login.bits.bytes), .integer(decision.at.microseconds),
                    .blob(decision.request.bits.bytes), .blob(decision.retry?.bits.bytes), .flag(decision.isAccept),
                    .blob(decision.reply.isEmpty ? nil : decision.reply),
                ])
        ]
    }

    /// Why the guards did not hold.
    func grantRefusal(in database: any SQLDatabase) throws(DatabaseError) -> SettlementOutcome {
        guard let grant else { return .changedMeanwhile }
        let found = try database.read([
            Statement(.grantRepeated, repeatedValues(grant)),
            Statement(.grantForLogin, [.integer(grant), .integer(user)]),
        ])
        let recorded = try found[0].first.flatMap { row throws(DatabaseError) in try Records.decision(row, from: 0) }
        let standing = try found[1].first.map { row throws(DatabaseError) in try Grant(row).standing(at: decision.at) }
        return .grantRefused(standing, recorded)
    }

    private func repeatedValues(_ grant: Int64) -> [SQLValue] {
        [
            .integer(grant), .integer((decision.at - Login.retryLife).microseconds), .blob(decision.request.bits.bytes),
            .blob(decision.retry?.bits.bytes),
        ]
    }

    private func useValues(_ grant: Int64) -> [SQLValue] {
        [
            .integer(grant), .integer(user), .integer(decision.at.microseconds),
            .integer((decision.at + Grant.clockSlack).microseconds),
        ]
    }
}

extension SQL {
    /// ?1 user, ?2 now, ?3 of those that ended before it nothing is told. Open ones first.
    static let grantsForLogin = SQL(
        """
        SELECT g.id, g.kind, g.scope, g.issued, g.until, g.uses, g.used, g.revoked,
            CASE WHEN g.epoch = coalesce((SELECT CAST(s.value AS BIGINT) FROM setting s WHERE s.name = 'epoch'), 1) THEN 0 ELSE 1 END,
            g.reason, g.digits, g.code_hash
        FROM access_grant g WHERE g."user" = ?1 AND g.until > ?3
        ORDER BY CASE WHEN g.revoked IS NULL AND g.until > ?2 AND (g.uses IS NULL OR g.used < g.uses) THEN 0 ELSE 1 END, g.id DESC LIMIT 20
        """)
    fileprivate static let grantForLogin = SQL(
        """
        SELECT g.id, g.kind, g.scope, g.issued, g.until, g.uses, g.used, g.revoked,
            CASE WHEN g.epoch = coalesce((SELECT CAST(s.value AS BIGINT) FROM setting s WHERE s.name = 'epoch'), 1) THEN 0 ELSE 1 END,
            g.reason, g.digits, g.code_hash
        FROM access_grant g WHERE g.id = ?1 AND g."user" = ?2
        """)
    /// ?1 grant, ?2 since when, ?3 request, ?4 retry
    fileprivate static let grantRepeated = SQL(
        """
        SELECT x.login, x.at, x.accept, x.request, x.retry, x.reply FROM grant_use x
        WHERE x.access_grant = ?1 AND x.at >= ?2 AND (x.request = ?3 OR x.retry = ?4) ORDER BY x.number DESC LIMIT 1
        """)
    /// ?1 grant, ?2 user, ?3 now, ?4 when it was given at the latest. One statement: no two accepts see the same number of uses.
    fileprivate static let useGrant = SQL(
        """
        UPDATE access_grant SET used = used + 1
        WHERE id = ?1 AND "user" = ?2 AND revoked IS NULL AND until > ?3 AND issued <= ?4 AND (uses IS NULL OR used < uses)
            AND epoch = coalesce((SELECT CAST(s.value AS BIGINT) FROM setting s WHERE s.name = 'epoch'), 1)
        """)
    fileprivate static let insertGrantUse = SQL(
        """
        INSERT INTO grant_use (access_grant, number, client, login, at, request, retry, accept, reply)
        SELECT g.id, g.used, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM access_grant g WHERE g.id = ?1
        """)
    fileprivate static let insertGrant = SQL(
        """
        INSERT INTO access_grant ("user", kind, scope, reason, issuer, issued, until, uses, digits, epoch)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
            coalesce((SELECT CAST(s.value AS BIGINT) FROM setting s WHERE s.name = 'epoch'), 1)) RETURNING id
        """)
    fileprivate static let setCodeHash = SQL("UPDATE access_grant SET code_hash = ?2 WHERE id = ?1")
    fileprivate static let raiseGranted = SQL(
        "UPDATE \"user\" SET granted_until = ?2 WHERE id = ?1 AND (granted_until IS NULL OR granted_until < ?2)")
    fileprivate static let revokeGrant = SQL(
        "UPDATE access_grant SET revoked = ?2, revoker = ?3 WHERE id = ?1 AND revoked IS NULL RETURNING \"user\"")
    fileprivate static let countOpenGrants = SQL(
        """
        SELECT count(*) FROM access_grant
        WHERE "user" = ?1 AND until > ?2 AND revoked IS NULL AND (uses IS NULL OR used < uses)
        """)
    fileprivate static let countAllOpenGrants = SQL(
        """
        SELECT count(*) FROM access_grant WHERE until > ?1 AND revoked IS NULL AND (uses IS NULL OR used < uses)
            AND epoch = coalesce((SELECT CAST(s.value AS BIGINT) FROM setting s WHERE s.name = 'epoch'), 1)
        """)
    fileprivate static let grantUses = SQL(
        "SELECT number, client, login, at FROM grant_use WHERE access_grant = ?1 ORDER BY number DESC LIMIT ?2")
    /// ?1 told until, ?2 those before it were seen to already.
    fileprivate static let releaseGranted = SQL(
        """
        UPDATE "user" SET granted_until = NULL
        WHERE id IN (SELECT g."user" FROM access_grant g WHERE g.until <= ?1 AND g.until > ?2) AND granted_until <= ?1
        """)
    fileprivate static let dropOldGrants = SQL("DELETE FROM access_grant WHERE until <= ?1")
    /// Behind a restore.
    static let releaseAllGranted = SQL("UPDATE \"user\" SET granted_until = NULL WHERE granted_until IS NOT NULL")
}
