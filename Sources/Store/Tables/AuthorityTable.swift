// SPDX-License-Identifier: Apache-2.0
// authority: who issues certificates, and who did before. One or two rows; the private key is sealed.

package import LoginEngine

package struct NewAuthority: Sendable {
    package var name: String
    /// Names of servers that it can vouch for, those below them among them; empty: every one.
    package var domains: [String]
    /// PEM.
    package var certificate: String
    /// PEM.
    package var key: Secret
    package var begins: Timestamp
    package var ends: Timestamp

    package init(name: String, domains: [String], certificate: String, key: Secret, begins: Timestamp, ends: Timestamp) {
        (self.name, self.domains, self.certificate, self.key) = (name, domains, certificate, key)
        (self.begins, self.ends) = (begins, ends)
    }
}

package struct AuthorityRecord: Sendable, Equatable {
    package var id: Int64
    package var name: String
    package var domains: [String]
    /// PEM.
    package var certificate: String
    /// PEM; nil where its sealed value does not open.
    package var key: Secret?
    package var begins: Timestamp
    package var ends: Timestamp
}

extension Records {
    /// - Parameter newest: the number of the one that is in force, as whoever asks knows it; 0 for none. Another one meanwhile refuses it.
    package func addAuthority(_ new: NewAuthority, after newest: Int64, event: Event) async throws(StoreError) -> Int64 {
        let sealing = self.sealing
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.authorityIsNewest, [.integer(newest)])),
                Unit.Guard(
                    Statement(
                        .insertAuthority,
                        [
                            .text(new.name), .text(new.domains.joined(separator: " ")), .text(new.certificate), .blob([]),
                            .integer(new.begins.microseconds), .integer(new.ends.microseconds),
                        ])),
            ],
            then: { rows in
                guard let id = try? rows[1].first?.integer(0) else { return [] }
                return [
                    Statement(.setAuthorityKey, [.integer(id), .blob(sealing.seal(new.key, at: .authorityKey(id)))]),
                    Statement(.raiseRevision),
                ]
            })
        let rows = try await change(unit, refusals: [StoreError(.notAllowed, "another authority was made meanwhile")]) { _ in [event] }
        do throws(DatabaseError) { return try rows[1][0].integer(0) } catch { throw StoreError(error) }
    }

    /// With every certificate of it. The one in force is refused: there would be none.
    package func removeAuthority(_ authority: Int64, event: Event) async throws(StoreError) {
        let id = SQLValue.integer(authority)
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.authorityIsNewest, [id]), rows: 0), Unit.Guard(Statement(.deleteAuthority, [id]))],
            then: { _ in [Statement(.raiseRevision)] })
        let isInForce = StoreError(
            .notAllowed, "this authority is the one in force", remedy: "Make another one first: `sallyport ca init --replace`.")
        try await change(unit, refusals: [isInForce, StoreError(.notFound, "there is no such authority")]) { _ in [event] }
    }

    /// The one in force first.
    package func authorities() throws(StoreError) -> [AuthorityRecord] {
        try read([Statement(.authorities)]) { results throws(DatabaseError) in
            var found: [AuthorityRecord] = []
            for row in results[0] {
                let id = try row.integer(0)
                found.append(
                    AuthorityRecord(
                        id: id, name: try row.text(1), domains: try row.text(2).split(separator: " ").map(String.init),
                        certificate: try row.text(3), key: try? sealing.open(try row.blob(4), at: .authorityKey(id)),
                        begins: Timestamp(microseconds: try row.integer(5)), ends: Timestamp(microseconds: try row.integer(6))))
            }
            return found
        }
    }
}

extension SealedPlace {
    static func authorityKey(_ authority: Int64) -> SealedPlace { SealedPlace(table: "authority", row: authority, column: "secret") }
}

extension SQL {
    fileprivate static let authorityIsNewest = SQL("SELECT 1 WHERE (SELECT coalesce(max(id), 0) FROM authority) = ?1")
    fileprivate static let insertAuthority = SQL(
        """
        INSERT INTO authority (name, domains, certificate, secret, begins, ends) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id
        """)
    fileprivate static let setAuthorityKey = SQL("UPDATE authority SET secret = ?2 WHERE id = ?1")
    fileprivate static let deleteAuthority = SQL("DELETE FROM authority WHERE id = ?1")
    fileprivate static let authorities = SQL(
        "SELECT id, name, domains, certificate, secret, begins, ends FROM authority ORDER BY id DESC")
}
