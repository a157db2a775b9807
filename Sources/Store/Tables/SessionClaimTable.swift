// SPDX-License-Identifier: Apache-2.0
// session_claim: accepts whose session the gateway has not reported yet, of users who may not have any number of them.

internal import LoginEngine

extension SessionClaim {
    /// Runs in the transaction of the accept, in the one writer: no two logins see the same number.
    func check(ofUser user: Int64?) -> Unit.Guard {
        Unit.Guard(look(ofUser: user), rows: nil) { rows in count(rows) < limit.most }
    }

    /// A claim of the same place goes: one device is on its way, however often it asked.
    func statements(ofUser user: Int64?, login: LoginID) -> [Statement] {
        let place: [SQLValue] = [.integer(user), .integer(client), .text(station), .text(sessionID)]
        return [
            Statement(.dropClaims, place + [.integer((at - Self.life).microseconds)]),
            Statement(.insertClaim, place + [.blob(login.bits.bytes), .integer(at.microseconds)]),
        ]
    }

    fileprivate func look(ofUser user: Int64?) -> Statement {
        Statement(
            .sessionsAndClaims, [.integer(user), .integer((at - Self.life).microseconds), .integer((at + Self.life).microseconds)])
    }

    /// A row that cannot be read counts: nobody is let in for damage.
    fileprivate func count(_ rows: Rows) -> Int {
        var others: [Other] = []
        var unreadable = 0
        for row in rows {
            if let other = try? Other(row) { others.append(other) } else { unreadable += 1 }
        }
        return count(beside: others) + unreadable
    }
}

extension SessionClaim.Other {
    fileprivate init(_ row: Row) throws(DatabaseError) {
        self.init(
            isClaim: try row.flag(0), client: try row.integer(1), station: try row.textIfAny(2), sessionID: try row.textIfAny(3),
            began: Timestamp(microseconds: try row.integer(4)), heard: Timestamp(microseconds: try row.integer(5)))
    }
}

extension Settlement {
    func openSessions(in database: any SQLDatabase) throws(DatabaseError) -> Int {
        guard let claim else { return 0 }
        return claim.count(try database.read([claim.look(ofUser: user)])[0])
    }
}

extension Records {
    /// What a session that is reported for the first time was accepted by: it is no longer only claimed.
    static func takeClaim(of session: GatewaySession, user: Int64) -> Statement {
        Statement(
            .takeClaim,
            [
                .integer(user), .integer(session.client), .blob(session.login?.bits.bytes), .text(session.sessionID),
                .text(session.station),
            ])
    }
}

extension SQL {
    fileprivate static let sessionsAndClaims = SQL(
        """
        SELECT 0, s.client, s.station, s.session_id, s.started, s.heard FROM session s WHERE s."user" = ?1 AND s.ended IS NULL
        UNION ALL
        SELECT 1, c.client, c.station, c.session_id, c.at, c.at FROM session_claim c WHERE c."user" = ?1 AND c.at > ?2 AND c.at < ?3
        """)
    fileprivate static let dropClaims = SQL(
        """
        DELETE FROM session_claim WHERE "user" = ?1 AND (at <= ?5 OR client = ?2 AND (station = ?3 OR session_id = ?4))
        """)
    fileprivate static let insertClaim = SQL(
        "INSERT INTO session_claim (\"user\", client, station, session_id, login, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
    /// The one that names the login, else the Acct-Session-Id, else the station; a claim without a station may be of any.
    fileprivate static let takeClaim = SQL(
        """
        DELETE FROM session_claim WHERE id = (
            SELECT c.id FROM session_claim c
            WHERE c."user" = ?1 AND c.client = ?2
                AND (c.login = ?3 OR c.session_id = ?4 OR c.station = ?5 OR c.station IS NULL OR CAST(?5 AS TEXT) IS NULL)
            ORDER BY CASE WHEN c.login = ?3 THEN 0 WHEN c.session_id = ?4 THEN 1 WHEN c.station = ?5 THEN 2 ELSE 3 END, c.id LIMIT 1)
        """)
    static let eraseClaims = SQL("DELETE FROM session_claim WHERE \"user\" = ?1")
    static let dropOldClaims = SQL("DELETE FROM session_claim WHERE at <= ?1")
}
