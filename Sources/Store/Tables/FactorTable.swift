// SPDX-License-Identifier: Apache-2.0
// factor and recovery_code as administrators change them; logins only add marks (MarkTable).

package import LoginEngine

package struct NewFactor: Sendable {
    package var user: Int64
    package var kind: FactorKind
    package var label: String
    package var state: FactorState = .active
    /// Empty for kinds that have none.
    package var secret: Secret
    package var algorithm: CodeAlgorithm = .sha1
    package var digits = 6
    package var period = 30
    /// HOTP: the first counter that is accepted.
    package var firstCounter: Int64 = 0
    package var created: Timestamp

    package init(user: Int64, kind: FactorKind, label: String, secret: Secret, created: Timestamp) {
        self.user = user
        self.kind = kind
        self.label = label
        self.secret = secret
        self.created = created
    }
}

/// A factor as lists show it: everything but its secret.
package struct FactorRecord: Sendable, Equatable {
    package var id: Int64
    package var user: Int64
    package var kind: FactorKind
    package var label: String
    package var state: FactorState
    package var algorithm: CodeAlgorithm
    package var digits: Int
    package var period: Int
    package var created: Timestamp
    package var lastUsed: Timestamp?
    /// −1 when none was used.
    package var highestUsed: Int64
    package var drift: Int
}

extension Records {
    package func addFactor(_ factor: NewFactor, event: Event) async throws(StoreError) -> Int64 {
        try await addFactors([(factor, event)])[0]
    }

    /// Adds them with their events in one transaction: all, or none where a user is gone.
    ///
    /// - Returns: the factors' ids, in order.
    package func addFactors(_ additions: [(factor: NewFactor, event: Event)]) async throws(StoreError) -> [Int64] {
        guard !additions.isEmpty else { return [] }
        let sealing = self.sealing
        let unit = Unit(
            guarded: additions.flatMap { factor, _ in
                [
                    Unit.Guard(Statement(.userIsThere, [.integer(factor.user)])),
                    Unit.Guard(
                        Statement(
                            .insertFactor,
                            [
                                .integer(factor.user), .text(factor.kind.rawValue), .text(factor.label), .text(factor.state.rawValue),
                                .text(factor.algorithm.rawValue), .integer(Int64(factor.digits)), .integer(Int64(factor.period)),
                                .integer(factor.firstCounter - 1), .integer(factor.created.microseconds),
                            ])),
                ]
            },
            then: { rows in
                var statements: [Statement] = []
                for (index, addition) in additions.enumerated() where !addition.factor.secret.isEmpty {
                    guard let id = try? rows[2 * index + 1].first?.integer(0) else { continue }
                    let sealed = sealing.seal(addition.factor.secret, at: .factorSecret(id, ofUser: addition.factor.user))
                    statements.append(Statement(.setFactorSecret, [.integer(id), .blob(sealed)]))
                }
                return statements + [Statement(.raiseRevision)]
            })
        let refusals = [StoreError](repeating: Self.noUser, count: 2 * additions.count)
        let rows = try await change(unit, refusals: refusals) { _ in additions.map { $0.event.about(user: $0.factor.user) } }
        var ids: [Int64] = []
        do throws(DatabaseError) {
            for index in additions.indices { ids.append(try rows[2 * index + 1][0].integer(0)) }
        } catch {
            throw StoreError(error)
        }
        return ids
    }

    package func setFactorState(_ state: FactorState, ofFactor factor: Int64, event: Event) async throws(StoreError) {
        try await changeFactor(
            Statement(.setFactorState, [.integer(factor), .text(state.rawValue)]), event, endsGrace: state == .disabled)
    }

    package func setFactorLabel(_ label: String, ofFactor factor: Int64, event: Event) async throws(StoreError) {
        try await changeFactor(Statement(.setFactorLabel, [.integer(factor), .text(label)]), event, endsLogins: false)
    }

    package func removeFactor(_ factor: Int64, event: Event) async throws(StoreError) {
        try await changeFactor(Statement(.deleteFactor, [.integer(factor)]), event, endsGrace: true)
    }

    /// - Parameter endsGrace: whoever had a factor and lost it is not let in for being new.
    private func changeFactor(
        _ statement: Statement, _ event: Event, endsLogins: Bool = true, endsGrace: Bool = false
    ) async throws(StoreError) {
        let unit = Unit(
            guarded: [Unit.Guard(statement)],
            then: { rows in
                guard endsLogins, let user = try? rows[0].first?.integer(0) else { return [Statement(.raiseRevision)] }
                let end = Statement(.endGrace, [.integer(user), .integer(event.at.microseconds)])
                let hadFactor = endsGrace && (try? rows[0].first?.text(1)) != FactorKind.recovery.rawValue
                return [Self.dropOpenHandles(ofUser: user, at: event.at), Statement(.raiseRevision)] + (hadFactor ? [end] : [])
            })
        try await change(unit, refusals: [StoreError(.notFound, "there is no such factor")]) { rows in
            [event.about(user: try? rows[0].first?.integer(0))]
        }
    }

    /// Makes the codes of a user's recovery factor these, and the factor when there is none; every older code is void.
    /// - Parameter codes: the symbols of each, as they are typed.
    /// - Returns: the factor's id.
    @discardableResult
    package func replaceRecoveryCodes(ofUser user: Int64, codes: [[UInt8]], at: Timestamp, event: Event) async throws(StoreError) -> Int64 {
        let factor = SQLValue.integer(user)
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.userIsThere, [factor])),
                Unit.Guard(Statement(.insertRecoveryFactor, [factor, .integer(at.microseconds)]), rows: nil),
                Unit.Guard(Statement(.findRecoveryFactor, [factor])),
            ],
            then: { [self] rows in
                // The hashes need the factor's number.
                guard let id = try? rows[2].first?.integer(0) else { return [] }
                var statements = [Statement(.activateRecoveryFactor, [factor]), Statement(.dropRecoveryCodes, [factor])]
                statements += codes.map { Statement(.insertRecoveryCode, [.integer(id), .blob(recoveryHash($0, factor: id))]) }
                return statements + [Statement(.raiseRevision)]
            })
        let rows = try await change(unit, refusals: [Self.noUser]) { _ in [event.about(user: user)] }
        do throws(DatabaseError) {
            return try rows[2][0].integer(0)
        } catch {
            throw StoreError(error)
        }
    }

    package func recoveryCodesLeft(ofUser user: Int64) throws(StoreError) -> Int {
        try read([Statement(.countRecoveryCodes, [.integer(user)])]) { results throws(DatabaseError) in Int(try results[0][0].integer(0)) }
    }

    package func factors(ofUser user: Int64) throws(StoreError) -> [FactorRecord] {
        try factors(user: user, id: nil)
    }

    package func factor(_ id: Int64) throws(StoreError) -> FactorRecord? {
        try factors(user: nil, id: id).first
    }

    /// For showing an enrolment once more; a view of it is an event of the caller's.
    package func factorSecret(_ id: Int64) throws(StoreError) -> Secret? {
        try read([Statement(.factorSecret, [.integer(id)])]) { results throws(DatabaseError) in
            guard let row = results[0].first else { return nil }
            return try secret(try row.blobIfAny(0), at: .factorSecret(id, ofUser: try row.integer(1)))
        }
    }

    private func factors(user: Int64?, id: Int64?) throws(StoreError) -> [FactorRecord] {
        try read([Statement(.factors, [.integer(user), .integer(id)])]) { results throws(DatabaseError) in
            var factors: [FactorRecord] = []
            for row in results[0] {
                guard let kind = FactorKind(rawValue: try row.text(2)) else { throw .unexpectedValue(2) }
                guard let state = FactorState(rawValue: try row.text(4)) else { throw .unexpectedValue(4) }
                guard let algorithm = CodeAlgorithm(rawValue: try row.text(5)) else { throw .unexpectedValue(5) }
                let folded = try row.integer(10)
                let live = marks.live(of: try row.integer(0))
                let used = [try row.integerIfAny(9), try row.integerIfAny(13), try row.integerIfAny(14), live?.at].compactMap(\.self).max()
                factors.append(
                    FactorRecord(
                        id: try row.integer(0), user: try row.integer(1), kind: kind, label: try row.text(3), state: state,
                        algorithm: algorithm, digits: Int(try row.integer(6)), period: Int(try row.integer(7)),
                        created: Timestamp(microseconds: try row.integer(8)), lastUsed: used.map { Timestamp(microseconds: $0) },
                        highestUsed: max(folded, try row.integerIfAny(12) ?? folded, live?.step ?? folded), drift: Int(try row.integer(11)))
                )
            }
            return factors
        }
    }
}

extension SealedPlace {
    static func factorSecret(_ factor: Int64, ofUser user: Int64) -> SealedPlace {
        SealedPlace(table: "factor", row: factor, column: "secret", owner: user)
    }
}

extension SQL {
    fileprivate static let insertFactor = SQL(
        """
        INSERT INTO factor ("user", kind, label, state, algorithm, digits, period, folded, drift, created)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9) RETURNING id
        """)
    fileprivate static let setFactorSecret = SQL("UPDATE factor SET secret = ?2 WHERE id = ?1")
    fileprivate static let setFactorState = SQL("UPDATE factor SET state = ?2 WHERE id = ?1 RETURNING \"user\", kind")
    fileprivate static let setFactorLabel = SQL("UPDATE factor SET label = ?2 WHERE id = ?1 RETURNING \"user\"")
    fileprivate static let deleteFactor = SQL("DELETE FROM factor WHERE id = ?1 RETURNING \"user\", kind")
    fileprivate static let factorSecret = SQL("SELECT secret, \"user\" FROM factor WHERE id = ?1")
    fileprivate static let findRecoveryFactor = SQL("SELECT id FROM factor WHERE \"user\" = ?1 AND kind = 'recovery' ORDER BY id LIMIT 1")
    /// Unless the user has one.
    fileprivate static let insertRecoveryFactor = SQL(
        """
        INSERT INTO factor ("user", kind, label, state, algorithm, digits, period, folded, drift, created)
        SELECT u.id, 'recovery', 'recovery codes', 'active', 'sha1', 0, 0, -1, 0, ?2 FROM "user" u
        WHERE u.id = ?1 AND NOT EXISTS (SELECT 1 FROM factor f WHERE f."user" = u.id AND f.kind = 'recovery')
        """)
    fileprivate static let activateRecoveryFactor = SQL("UPDATE factor SET state = 'active' WHERE \"user\" = ?1 AND kind = 'recovery'")
    fileprivate static let dropRecoveryCodes = SQL(
        "DELETE FROM recovery_code WHERE factor IN (SELECT id FROM factor WHERE \"user\" = ?1 AND kind = 'recovery')")
    fileprivate static let insertRecoveryCode = SQL("INSERT INTO recovery_code (factor, hash) VALUES (?1, ?2)")
    fileprivate static let countRecoveryCodes = SQL(
        """
        SELECT count(*) FROM recovery_code c JOIN factor f ON f.id = c.factor
        WHERE f."user" = ?1 AND f.kind = 'recovery' AND c.used_at IS NULL
        """)
    /// By user ?1 or by id ?2. Live marks of every slot count; there are few of them for one factor, and nobody is waiting.
    fileprivate static let factors = SQL(
        """
        SELECT f.id, f."user", f.kind, f.label, f.state, f.algorithm, f.digits, f.period, f.created, f.last_used, f.folded, f.drift,
            max(m.step), max(m.at), (SELECT max(c.used_at) FROM recovery_code c WHERE c.factor = f.id)
        FROM factor f LEFT JOIN used m ON m.factor = f.id AND m.slot IN (SELECT s.slot FROM (SELECT DISTINCT slot FROM used) s)
        WHERE f."user" = ?1 OR f.id = ?2 GROUP BY f.id ORDER BY f.id
        """)
}
