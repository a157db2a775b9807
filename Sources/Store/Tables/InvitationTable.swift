// SPDX-License-Identifier: Apache-2.0
// invitation: one-time links to set a first password. The token itself is nowhere here.

package import LoginEngine

package struct NewInvitation: Sendable {
    package var user: Int64
    /// SHA-256 of the token.
    package var token: [UInt8]
    package var created: Timestamp
    package var expires: Timestamp
    /// What carries the link; nil: whoever invites hands it over.
    package var mail: NewMail?

    package init(user: Int64, token: [UInt8], created: Timestamp, expires: Timestamp, mail: NewMail? = nil) {
        (self.user, self.token, self.created, self.expires, self.mail) = (user, token, created, expires, mail)
    }
}

/// How far an invited user is.
package struct InvitationRecord: Sendable, Equatable {
    package var user: Int64
    package var userName: String
    package var email: String?
    package var status: UserStatus
    package var hasPassword: Bool
    package var created: Timestamp
    package var expires: Timestamp
    package var opened: Timestamp?
    package var used: Timestamp?
    /// Nil: none was to be sent, or it is long gone.
    package var mail: MailState?
    package var mailProblem: String?

    /// Whether the link still opens something.
    package func isOpen(at now: Timestamp) -> Bool { used == nil && !hasPassword && status != .disabled && now < expires }
}

extension Records {
    /// In place of the one before, whose link opens nothing any more and whose mail is not sent.
    package func invite(_ new: NewInvitation, event: Event) async throws(StoreError) {
        let id = SQLValue.integer(new.user)
        var guards = [Unit.Guard(Statement(.userIsThere, [id])), Unit.Guard(Statement(.hasNoPassword, [id]))]
        var refusals = [Self.noUser, StoreError(.notAllowed, "this user has a password already")]
        if let mail = new.mail {
            guards.append(Unit.Guard(Statement(.channelOfMail, [.integer(mail.channel)])))
            guards.append(Unit.Guard(Self.insertMail(mail)))
            refusals += [Self.noChannel]
        }
        let sealing = self.sealing
        let unit = Unit(guarded: guards) { rows in
            let mail = new.mail == nil ? nil : try? rows.last?.first?.integer(0)
            var statements = Self.endInvitation(ofUser: new.user, at: event.at, keeping: mail)
            if let mail, let content = new.mail { statements.append(Self.setContent(of: content, mail, sealing)) }
            statements.append(
                Statement(
                    .insertInvitation,
                    [
                        id, .blob(new.token), .integer(new.created.microseconds), .integer(new.expires.microseconds), .integer(mail),
                    ]))
            return statements + [Statement(.raiseRevision)]
        }
        try await change(unit, refusals: refusals, concernsLogins: false) { _ in [event.about(user: new.user)] }
    }

    /// The link of a user who has another address, or a password by now, opens nothing.
    /// - Returns: whether there was one that did.
    package func withdrawInvitation(ofUser user: Int64, at now: Timestamp) async throws(StoreError) -> Bool {
        guard let invitation = try invitation(ofUser: user), invitation.used == nil else { return false }
        let unit = Unit(Self.endInvitation(ofUser: user, at: now, keeping: nil) + [Statement(.raiseRevision)])
        try await change(unit, concernsLogins: false) { _ in [] }
        return now < invitation.expires
    }

    private static func endInvitation(ofUser user: Int64, at now: Timestamp, keeping mail: Int64?) -> [Statement] {
        [
            Statement(.deleteInvitation, [.integer(user)]),
            Statement(.dropMailsOfInvitation, [.integer(user), .integer(mail ?? 0), .integer(now.microseconds)]),
        ]
    }

    package func invitation(token: [UInt8]) throws(StoreError) -> InvitationRecord? {
        try invitations(Statement(.invitationByToken, [.blob(token)])).first
    }

    package func invitation(ofUser user: Int64) throws(StoreError) -> InvitationRecord? {
        try invitations(Statement(.invitationOfUser, [.integer(user)])).first
    }

    /// By the user's name, a page at a time.
    package func invitations(after key: String? = nil, limit: Int) throws(StoreError) -> [InvitationRecord] {
        try invitations(Statement(.allInvitations, [.text(key ?? ""), .integer(Int64(limit))]))
    }

    /// The first time alone.
    package func noteOpened(_ invitation: InvitationRecord, token: [UInt8], at now: Timestamp, event: Event) async throws(StoreError) {
        guard invitation.opened == nil else { return }
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.openInvitation, [.blob(token), .integer(now.microseconds)]), rows: nil)])
        try await change(unit, concernsLogins: false) { rows in rows[0].affected == 1 ? [event.about(user: invitation.user)] : [] }
    }

    /// Sets the first password and lets the user in, once.
    /// - Throws: `notAllowed` where the link opens nothing any more.
    package func activate(
        _ user: Int64, token: [UInt8], password: Secret, keeping kept: KeptPassword?, at now: Timestamp, event: Event
    ) async throws(StoreError) {
        let unkept = Self.dropUnkept(ofUser: user, kept)
        let set = Self.setPassword(password, kept, ofUser: user, sealing)
        let drop = Self.dropOpenHandles(ofUser: user, at: now)
        let values: [SQLValue] = [.blob(token), .integer(now.microseconds), .integer(user)]
        let unit = Unit(guarded: [Unit.Guard(Statement(.useInvitation, values))]) { _ in
            [set] + unkept + [Statement(.activateUser, [.integer(user)]), drop, Statement(.raiseRevision)]
        }
        let over = StoreError(.notAllowed, "the link opens nothing any more")
        try await change(unit, refusals: [over]) { _ in [event.about(user: user)] }
    }

    private func invitations(_ statement: Statement) throws(StoreError) -> [InvitationRecord] {
        try read([statement]) { results throws(DatabaseError) in
            var found: [InvitationRecord] = []
            for row in results[0] {
                guard let status = UserStatus(rawValue: try row.text(3)) else { throw .unexpectedValue(3) }
                found.append(
                    InvitationRecord(
                        user: try row.integer(0), userName: try row.text(1), email: try row.textIfAny(2), status: status,
                        hasPassword: try row.flag(4), created: Timestamp(microseconds: try row.integer(5)),
                        expires: Timestamp(microseconds: try row.integer(6)),
                        opened: try row.integerIfAny(7).map { Timestamp(microseconds: $0) },
                        used: try row.integerIfAny(8).map { Timestamp(microseconds: $0) },
                        mail: try row.textIfAny(9).flatMap { MailState(rawValue: $0) }, mailProblem: try row.textIfAny(10)))
            }
            return found
        }
    }
}

extension SQL {
    static let dropOldInvitations = SQL("DELETE FROM invitation WHERE used < ?1")
    fileprivate static let hasNoPassword = SQL("SELECT 1 FROM \"user\" WHERE id = ?1 AND password_hash IS NULL")
    fileprivate static let channelOfMail = SQL("SELECT 1 FROM channel WHERE id = ?1")
    fileprivate static let insertInvitation = SQL(
        "INSERT INTO invitation (\"user\", token, created, expires, mail) VALUES (?1, ?2, ?3, ?4, ?5)")
    fileprivate static let deleteInvitation = SQL("DELETE FROM invitation WHERE \"user\" = ?1")
    /// ?2 but this one, ?3 now: what is being sent at this moment cannot be held back.
    fileprivate static let dropMailsOfInvitation = SQL(
        """
        DELETE FROM outbox WHERE "user" = ?1 AND purpose = 'invitation' AND state = 'waiting' AND id <> ?2 AND leased <= ?3
        """)
    fileprivate static let invitationByToken = SQL(
        """
        SELECT i."user", u.name, u.email, u.status, u.password_hash IS NOT NULL, i.created, i.expires, i.opened, i.used, o.state, o.problem
        FROM invitation i JOIN "user" u ON u.id = i."user" LEFT JOIN outbox o ON o.id = i.mail WHERE i.token = ?1
        """)
    fileprivate static let invitationOfUser = SQL(
        """
        SELECT i."user", u.name, u.email, u.status, u.password_hash IS NOT NULL, i.created, i.expires, i.opened, i.used, o.state, o.problem
        FROM invitation i JOIN "user" u ON u.id = i."user" LEFT JOIN outbox o ON o.id = i.mail WHERE i."user" = ?1
        """)
    fileprivate static let allInvitations = SQL(
        """
        SELECT i."user", u.name, u.email, u.status, u.password_hash IS NOT NULL, i.created, i.expires, i.opened, i.used, o.state, o.problem
        FROM invitation i JOIN "user" u ON u.id = i."user" LEFT JOIN outbox o ON o.id = i.mail
        WHERE u.name_key > ?1 ORDER BY u.name_key LIMIT ?2
        """)
    fileprivate static let openInvitation = SQL(
        "UPDATE invitation SET opened = ?2 WHERE token = ?1 AND opened IS NULL")
    /// Whoever has a password by now, or may not log in, is not let in by a link of before.
    fileprivate static let useInvitation = SQL(
        """
        UPDATE invitation SET used = ?2, opened = coalesce(opened, ?2)
        WHERE token = ?1 AND "user" = ?3 AND used IS NULL AND expires > ?2 AND EXISTS (
            SELECT 1 FROM "user" u WHERE u.id = ?3 AND u.password_hash IS NULL AND u.status <> 'disabled')
        """)
    fileprivate static let activateUser = SQL("UPDATE \"user\" SET status = 'active' WHERE id = ?1 AND status = 'pending'")
}
