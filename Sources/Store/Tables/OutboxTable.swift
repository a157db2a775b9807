// SPDX-License-Identifier: Apache-2.0
// outbox: what is to be sent, each of it once. Whoever sends takes a lease first, so that no other node does, and marks what came of it.

package import LoginEngine

package struct NewMail: Sendable {
    package var channel: Int64
    package var user: Int64?
    /// One word for lists and the trail: `invitation`.
    package var purpose: String
    package var recipient: String
    /// Without angle brackets; the same in every try, so that a server that has it already can tell.
    package var messageID: String
    package var subject: String
    /// What may hold a link's token: it is sealed, and gone once it is sent.
    package var body: Secret
    package var created: Timestamp
    package var expires: Timestamp

    package init(
        channel: Int64, user: Int64?, purpose: String, recipient: String, messageID: String, subject: String, body: Secret,
        created: Timestamp, expires: Timestamp
    ) {
        (self.channel, self.user, self.purpose, self.recipient) = (channel, user, purpose, recipient)
        (self.messageID, self.subject, self.body, self.created, self.expires) = (messageID, subject, body, created, expires)
    }
}

package enum MailState: String, Sendable, CaseIterable {
    case waiting, sent, failed
}

/// A mail as lists show it: without what it says.
package struct MailRecord: Sendable, Equatable {
    package var id: Int64
    package var channel: String
    package var user: String?
    package var purpose: String
    package var recipient: String
    package var messageID: String
    package var state: MailState
    package var created: Timestamp
    /// When it is tried next, while it waits.
    package var due: Timestamp
    package var expires: Timestamp
    package var tries: Int
    package var ended: Timestamp?
    /// Why it did not go out, at the last try.
    package var problem: String?
}

/// A mail that whoever claimed it is to send now.
package struct ClaimedMail: Sendable {
    package var id: Int64
    package var channel: Int64
    package var user: Int64?
    package var purpose: String
    package var recipient: String
    package var messageID: String
    package var created: Timestamp
    package var expires: Timestamp
    /// This one among them.
    package var tries: Int
    /// Until then nobody else tries.
    package var leased: Timestamp
    /// Nil where it does not open.
    package var content: (subject: String, body: Secret)?
}

/// What came of a try.
package enum MailEnding: Sendable, Equatable {
    case sent
    case later(Timestamp, why: String)
    case failed(why: String)
}

package struct OutboxFigures: Sendable, Equatable {
    package var waiting = 0
    package var failed = 0
    /// When the oldest that waits was written, and why it waits.
    package var oldest: Timestamp?
    package var problem: String?
}

extension Records {
    /// How long is remembered what was sent, and which links were used.
    package static let mailKept = Timestamp.Span.minutes(30 * 24 * 60)

    static func insertMail(_ mail: NewMail) -> Statement {
        Statement(
            .insertMail,
            [
                .integer(mail.channel), .integer(mail.user), .text(mail.purpose), .text(mail.recipient), .text(mail.messageID),
                .integer(mail.created.microseconds), .integer(mail.created.microseconds), .integer(mail.expires.microseconds),
            ])
    }

    /// The content is sealed for a row that has no number when it is inserted.
    static func setContent(of mail: NewMail, _ id: Int64, _ sealing: Sealing) -> Statement {
        var writer = ByteWriter()
        writer.text(mail.subject)
        mail.body.reveal { writer.blob($0) }
        return Statement(.setMailContent, [.integer(id), .blob(sealing.seal(Secret(writer.bytes), at: .mailContent(id)))])
    }

    /// How many mails went, or will go, to this address since then.
    package func mailCount(to recipient: String, since: Timestamp) throws(StoreError) -> Int {
        try read([Statement(.countMailsTo, [.text(recipient), .integer(since.microseconds)])]) { results throws(DatabaseError) in
            Int(try results[0][0].integer(0))
        }
    }

    /// Whether one could be claimed now; asks nothing of the writer.
    package func isMailDue(at now: Timestamp) throws(StoreError) -> Bool {
        try read([Statement(.dueMail, Self.dueValues(now))]) { results throws(DatabaseError) in !results[0].isEmpty }
    }

    /// Takes the one that has waited for longest, for so long.
    package func claimMail(at now: Timestamp, lease: Timestamp.Span) async throws(StoreError) -> ClaimedMail? {
        let until = now + lease
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.claimMail, Self.dueValues(now) + [.integer(until.microseconds)]), rows: nil)])
        let rows = try await change(unit, concernsLogins: false) { _ in [] }
        guard let row = rows[0].first else { return nil }
        do throws(DatabaseError) {
            let id = try row.integer(0)
            return ClaimedMail(
                id: id, channel: try row.integer(1), user: try row.integerIfAny(2), purpose: try row.text(3), recipient: try row.text(4),
                messageID: try row.text(5), created: Timestamp(microseconds: try row.integer(6)),
                expires: Timestamp(microseconds: try row.integer(7)), tries: Int(try row.integer(8)), leased: until,
                content: content(try row.blobIfAny(9), of: id))
        } catch {
            throw StoreError(error)
        }
    }

    private static func dueValues(_ now: Timestamp) -> [SQLValue] {
        [.integer(now.microseconds), .integer((now - .minutes(1)).microseconds)]
    }

    private func content(_ sealed: [UInt8]?, of mail: Int64) -> (subject: String, body: Secret)? {
        guard let sealed, let opened = try? sealing.open(sealed, at: .mailContent(mail)) else { return nil }
        return opened.reveal { bytes in
            var reader = ByteReader(bytes[...])
            guard let subject = try? reader.text(), let body = try? reader.blob() else { return nil }
            return (subject, Secret(Array(body)))
        }
    }

    /// Marks what came of it, unless the lease ended meanwhile and somebody else took it.
    /// - Parameter event: where something came to an end.
    package func end(_ mail: ClaimedMail, _ ending: MailEnding, at now: Timestamp, event: Event?) async throws(StoreError) {
        let values: [SQLValue] = [.integer(mail.id), .integer(mail.leased.microseconds)]
        let statement =
            switch ending {
            case .sent: Statement(.endMail, values + [.text(MailState.sent.rawValue), .integer(now.microseconds), .null])
            case .failed(let why): Statement(.endMail, values + [.text(MailState.failed.rawValue), .integer(now.microseconds), .text(why)])
            case .later(let due, let why): Statement(.putOffMail, values + [.integer(due.microseconds), .text(why)])
            }
        let lost = StoreError(.notAllowed, "somebody else has taken the mail meanwhile")
        try await change(Unit(guarded: [Unit.Guard(statement)]), refusals: [lost], concernsLogins: false) { _ in event.map { [$0] } ?? [] }
    }

    /// Gives up what nobody could make use of any more.
    /// - Parameter event: of one of them, by its purpose and user.
    /// - Returns: how many.
    package func expireMails(
        at now: Timestamp, event: @escaping @Sendable (_ purpose: String, _ user: Int64?) -> Event
    ) async throws(StoreError) -> Int {
        let values: [SQLValue] = [.integer(now.microseconds)]
        let isAny = try read([Statement(.expiredMail, values)]) { results throws(DatabaseError) in !results[0].isEmpty }
        guard isAny else { return 0 }
        let rows = try await change(
            Unit(guarded: [Unit.Guard(Statement(.expireMails, values), rows: nil)]), concernsLogins: false
        ) { rows in
            rows[0].compactMap { row in (try? row.text(0)).map { event($0, (try? row.integerIfAny(1)) ?? nil) } }
        }
        return rows[0].count
    }

    /// When something is to be sent next, by whoever may; nil: nothing waits.
    package func nextMailDue() throws(StoreError) -> Timestamp? {
        try read([Statement(.nextMail)]) { results throws(DatabaseError) in
            try results[0].first?.integerIfAny(0).map { Timestamp(microseconds: $0) }
        }
    }

    /// The newest first.
    package func mails(_ state: MailState? = nil, id: Int64? = nil, limit: Int) throws(StoreError) -> [MailRecord] {
        let values: [SQLValue] = [.text(state?.rawValue ?? ""), .integer(id ?? 0), .integer(Int64(limit))]
        return try read([Statement(.mails, values)]) { results throws(DatabaseError) in
            var mails: [MailRecord] = []
            for row in results[0] {
                guard let state = MailState(rawValue: try row.text(6)) else { throw .unexpectedValue(6) }
                mails.append(
                    MailRecord(
                        id: try row.integer(0), channel: try row.text(1), user: try row.textIfAny(2), purpose: try row.text(3),
                        recipient: try row.text(4), messageID: try row.text(5), state: state,
                        created: Timestamp(microseconds: try row.integer(7)), due: Timestamp(microseconds: try row.integer(8)),
                        expires: Timestamp(microseconds: try row.integer(9)), tries: Int(try row.integer(10)),
                        ended: try row.integerIfAny(11).map { Timestamp(microseconds: $0) }, problem: try row.textIfAny(12)))
            }
            return mails
        }
    }

    package func outboxFigures() throws(StoreError) -> OutboxFigures {
        try read([Statement(.countMails), Statement(.oldestMail)]) { results throws(DatabaseError) in
            var figures = OutboxFigures()
            figures.waiting = Int(try results[0][0].integer(0))
            figures.failed = Int(try results[0][0].integer(1))
            if let row = results[1].first {
                figures.oldest = Timestamp(microseconds: try row.integer(0))
                figures.problem = try row.textIfAny(1)
            }
            return figures
        }
    }

    /// To be tried at once; of nobody who sends it now.
    package func hurryMail(_ mail: Int64, at now: Timestamp) async throws(StoreError) {
        let values: [SQLValue] = [.integer(mail), .integer(now.microseconds)]
        try await change(
            Unit(guarded: [Unit.Guard(Statement(.hurryMail, values))]),
            refusals: [StoreError(.notAllowed, "this mail does not wait, or is being sent")], concernsLogins: false
        ) { _ in [] }
    }

    package func dropMail(_ mail: Int64, at now: Timestamp, event: Event) async throws(StoreError) {
        let values: [SQLValue] = [.integer(mail), .integer(now.microseconds)]
        try await change(
            Unit(guarded: [Unit.Guard(Statement(.dropMail, values))]),
            refusals: [StoreError(.notAllowed, "this mail is being sent at this moment, or is gone", remedy: "Try again in a minute.")],
            concernsLogins: false
        ) { _ in [event] }
    }
}

extension SealedPlace {
    static func mailContent(_ mail: Int64) -> SealedPlace { SealedPlace(table: "outbox", row: mail, column: "content") }
}

extension SQL {
    static let dropOldMails = SQL("DELETE FROM outbox WHERE state <> 'waiting' AND ended < ?1")
    static let insertMail = SQL(
        """
        INSERT INTO outbox (channel, "user", purpose, recipient, message_id, state, created, due, expires)
        VALUES (?1, ?2, ?3, ?4, ?5, 'waiting', ?6, ?7, ?8) RETURNING id
        """)
    static let setMailContent = SQL("UPDATE outbox SET content = ?2 WHERE id = ?1")
    fileprivate static let countMailsTo = SQL("SELECT count(*) FROM outbox WHERE recipient = ?1 AND created >= ?2")
    /// ?1 now, ?2 a minute ago: a channel sends so many in any minute.
    fileprivate static let dueMail = SQL(
        """
        SELECT o.id FROM outbox o JOIN channel c ON c.id = o.channel
        WHERE o.state = 'waiting' AND o.due <= ?1 AND o.leased <= ?1 AND o.expires > ?1 AND c.is_enabled <> 0
            AND (SELECT count(*) FROM outbox p WHERE p.channel = o.channel AND p.attempted > ?2) < c.per_minute
        ORDER BY o.due, o.id LIMIT 1
        """)
    fileprivate static let claimMail = SQL(
        """
        UPDATE outbox SET leased = ?3, tries = tries + 1, attempted = ?1 WHERE id = (
            SELECT o.id FROM outbox o JOIN channel c ON c.id = o.channel
            WHERE o.state = 'waiting' AND o.due <= ?1 AND o.leased <= ?1 AND o.expires > ?1 AND c.is_enabled <> 0
                AND (SELECT count(*) FROM outbox p WHERE p.channel = o.channel AND p.attempted > ?2) < c.per_minute
            ORDER BY o.due, o.id LIMIT 1)
        RETURNING id, channel, "user", purpose, recipient, message_id, created, expires, tries, content
        """)
    fileprivate static let endMail = SQL(
        """
        UPDATE outbox SET state = ?3, ended = ?4, problem = ?5, content = NULL, leased = 0
        WHERE id = ?1 AND leased = ?2 AND state = 'waiting'
        """)
    fileprivate static let putOffMail = SQL(
        "UPDATE outbox SET due = ?3, problem = ?4, leased = 0 WHERE id = ?1 AND leased = ?2 AND state = 'waiting'")
    fileprivate static let expiredMail = SQL(
        "SELECT id FROM outbox WHERE state = 'waiting' AND expires <= ?1 AND leased <= ?1 LIMIT 1")
    fileprivate static let expireMails = SQL(
        """
        UPDATE outbox SET state = 'failed', ended = ?1, content = NULL,
            problem = CASE WHEN problem IS NULL THEN 'expired before it could be sent' ELSE 'expired; at the last try: ' || problem END
        WHERE state = 'waiting' AND expires <= ?1 AND leased <= ?1 RETURNING purpose, "user"
        """)
    fileprivate static let nextMail = SQL(
        """
        SELECT min(CASE WHEN o.leased > o.due THEN o.leased ELSE o.due END) FROM outbox o JOIN channel c ON c.id = o.channel
        WHERE o.state = 'waiting' AND c.is_enabled <> 0
        """)
    fileprivate static let mails = SQL(
        """
        SELECT o.id, c.name, u.name, o.purpose, o.recipient, o.message_id, o.state, o.created, o.due, o.expires, o.tries, o.ended,
            o.problem
        FROM outbox o JOIN channel c ON c.id = o.channel LEFT JOIN "user" u ON u.id = o."user"
        WHERE (?1 = '' OR o.state = ?1) AND (?2 = 0 OR o.id = ?2) ORDER BY o.id DESC LIMIT ?3
        """)
    fileprivate static let countMails = SQL(
        """
        SELECT count(CASE WHEN state = 'waiting' THEN 1 END), count(CASE WHEN state = 'failed' THEN 1 END) FROM outbox
        """)
    fileprivate static let oldestMail = SQL(
        "SELECT created, problem FROM outbox WHERE state = 'waiting' ORDER BY created, id LIMIT 1")
    fileprivate static let hurryMail = SQL(
        "UPDATE outbox SET due = ?2 WHERE id = ?1 AND state = 'waiting' AND leased <= ?2")
    fileprivate static let dropMail = SQL("DELETE FROM outbox WHERE id = ?1 AND leased <= ?2")
}
