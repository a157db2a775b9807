// SPDX-License-Identifier: Apache-2.0
// login_handle: logins that wait for their next packet; and the one statement that a login is judged by.

internal import LoginEngine

extension Records {
    static func suspended(_ handle: HandleID, _ row: Row) throws(DatabaseError) -> SuspendedLogin {
        guard let first = SuspendedLogin.FirstFactor(rawValue: UInt8(clamping: try row.integer(5))) else { throw .unexpectedValue(5) }
        return SuspendedLogin(
            handle: handle, login: LoginID(try bits(row, 0)), client: try row.integer(1), user: try row.integerIfAny(2),
            nameKey: try row.text(3), station: try row.textIfAny(4), firstFactor: first,
            issued: Timestamp(microseconds: try row.integer(6)), expires: Timestamp(microseconds: try row.integer(7)),
            decision: row.isNull(9) ? nil : try decision(row, from: 8), source: try source(row, 15))
    }

    /// Six columns: login, at, accept, request, retry, reply. Nil where no decision was made yet.
    static func decision(_ row: Row, from column: Int) throws(DatabaseError) -> RecordedDecision? {
        guard !row.isNull(column) else { return nil }
        return RecordedDecision(
            login: LoginID(try bits(row, column)), isAccept: try row.flag(column + 2),
            at: Timestamp(microseconds: try row.integer(column + 1)), request: Fingerprint(try bits(row, column + 3)),
            retry: row.isNull(column + 4) ? nil : Fingerprint(try bits(row, column + 4)), reply: try row.blobIfAny(column + 5) ?? [])
    }

    private static func source(_ row: Row, _ column: Int) throws(DatabaseError) -> SourceWord? {
        guard let bytes = try row.blobIfAny(column) else { return nil }
        guard let word = SourceWord(stored: bytes) else { throw .unexpectedValue(column) }
        return word
    }

    /// What a login was begun with is no longer so: nobody may end it.
    static func dropOpenHandles(ofUser user: Int64, at now: Timestamp) -> Statement {
        Statement(.dropOpenHandles, [.integer(user), .integer((now - .minutes(10)).microseconds)])
    }

    /// The same of everybody.
    static func dropOpenHandles(at now: Timestamp) -> Statement {
        Statement(.dropAllOpenHandles, [.integer((now - .minutes(10)).microseconds)])
    }

    /// The same of whoever began at a client that will say another directory.
    static func dropOpenHandles(ofClient client: Int64, movingTo home: PasswordHome?, at now: Timestamp) -> Statement {
        Statement(.dropClientHandles, [.integer(client), .integer((now - .minutes(10)).microseconds), .integer(home?.stored)])
    }

    static func bits(_ row: Row, _ column: Int) throws(DatabaseError) -> Bits128 {
        guard let bits = Bits128(try row.blob(column)) else { throw .unexpectedValue(column) }
        return bits
    }
}

extension SourceWord {
    var stored: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .asked(let thread):
            writer.byte(1)
            writer.text(thread.server)
            writer.blob(thread.state)
        case .gave(let attributes):
            writer.byte(2)
            writer.blob(attributes)
        }
        return writer.bytes
    }

    init?(stored: [UInt8]) {
        var reader = ByteReader(stored[...])
        do throws(DecodingError) {
            switch try reader.byte() {
            case 1: self = .asked(SourceThread(server: try reader.text(), state: Array(try reader.blob())))
            case 2: self = .gave(Array(try reader.blob()))
            default: return nil
            }
        } catch {
            return nil
        }
    }
}

extension SQL {
    /// The user by any of the names, each active factor in a row of its own, with the highest live mark: the latest slot that has one.
    static let userForLogin = SQL(
        """
        SELECT u.id, u.name, u.status, u.password_hash, EXISTS (SELECT 1 FROM failure x WHERE x."user" = u.id),
            f.id, f.kind, f.label, f.secret, f.algorithm, f.digits, f.period, f.folded, f.drift,
            coalesce(
                (SELECT m.step FROM used m WHERE m.slot = ?2 AND m.factor = f.id ORDER BY m.step DESC LIMIT 1),
                (SELECT m.step FROM used m WHERE m.slot = ?2 - 1 AND m.factor = f.id ORDER BY m.step DESC LIMIT 1),
                (SELECT m.step FROM used m WHERE m.slot = ?2 - 2 AND m.factor = f.id ORDER BY m.step DESC LIMIT 1)),
            CASE WHEN f.kind = 'totp' THEN coalesce(
                (SELECT m.at FROM used m WHERE m.slot = ?2 AND m.factor = f.id ORDER BY m.step DESC LIMIT 1),
                (SELECT m.at FROM used m WHERE m.slot = ?2 - 1 AND m.factor = f.id ORDER BY m.step DESC LIMIT 1),
                (SELECT m.at FROM used m WHERE m.slot = ?2 - 2 AND m.factor = f.id ORDER BY m.step DESC LIMIT 1)) END,
            r.counter, r.expires, f.unproven, u.nt_hash, u.clear_password, u.must_change, u.password_revision, u.directory, u.most_sessions,
            u.time_zone,
            u.granted_until
        FROM user_name n
        JOIN "user" u ON u.id = n."user"
        LEFT JOIN factor f ON f."user" = u.id AND f.state = 'active'
        LEFT JOIN factor_resync r ON r.factor = f.id
        WHERE n.name_key = ?1 ORDER BY f.id
        """)
    /// The same where memory knows the live marks.
    static let userForLoginBesideLog = SQL(
        """
        SELECT u.id, u.name, u.status, u.password_hash, EXISTS (SELECT 1 FROM failure x WHERE x."user" = u.id),
            f.id, f.kind, f.label, f.secret, f.algorithm, f.digits, f.period, f.folded, f.drift, NULL, NULL, r.counter, r.expires,
            f.unproven, u.nt_hash, u.clear_password, u.must_change, u.password_revision, u.directory, u.most_sessions,
            u.time_zone,
            u.granted_until
        FROM user_name n
        JOIN "user" u ON u.id = n."user"
        LEFT JOIN factor f ON f."user" = u.id AND f.state = 'active'
        LEFT JOIN factor_resync r ON r.factor = f.id
        WHERE n.name_key = ?1 ORDER BY f.id
        """)
    static let userActive = SQL("SELECT 1 FROM \"user\" WHERE id = ?1 AND status = 'active'")
    static let handleRow = SQL(
        """
        SELECT login, client, "user", name_key, station, first_factor, issued, expires, decided_login, decided_at, accept, request, retry,
            reply, renewal, source_word
        FROM login_handle WHERE handle = ?1
        """)
    static let handleUnused = SQL("SELECT 1 FROM login_handle WHERE handle = ?1 AND decided_at IS NULL")
    static let consumeHandle = SQL(
        """
        UPDATE login_handle SET decided_login = ?2, decided_at = ?3, accept = ?4, request = ?5, retry = ?6, reply = ?7,
            renewal = NULL, source_word = NULL
        WHERE handle = ?1
        """)
    /// ?1 user, ?2 what has expired before is left to housekeeping: by it the open ones are found without reading all.
    static let dropOpenHandles = SQL("DELETE FROM login_handle WHERE expires >= ?2 AND \"user\" = ?1 AND decided_at IS NULL")
    static let dropAllOpenHandles = SQL("DELETE FROM login_handle WHERE expires >= ?1 AND decided_at IS NULL")
    /// To be run before the client's row changes.
    static let dropClientHandles = SQL(
        """
        DELETE FROM login_handle WHERE expires >= ?2 AND client = ?1 AND decided_at IS NULL
            AND EXISTS (SELECT 1 FROM client c WHERE c.id = ?1 AND coalesce(c.directory, -1) <> coalesce(?3, -1))
        """)
    static let insertHandle = SQL(
        """
        INSERT INTO login_handle (handle, login, client, "user", name_key, station, first_factor, issued, expires, renewal,
            source_word)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING
        """)
    /// A used handle is kept as long as an unused one, so that a retry finds its decision.
    static let dropHandles = SQL("DELETE FROM login_handle WHERE expires < ?1")
}
