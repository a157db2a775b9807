// SPDX-License-Identifier: Apache-2.0
// session: what gateways report. Each record is one unit: what is there is read, the rule says what it becomes, and that is written.

package import LoginEngine

extension Records: SessionLedger {
    package func account(_ entries: [AccountingEntry]) {
        // What space is left belongs to accepts; the gateways keep their records and send them again.
        guard !sparesSpace else {
            for entry in entries { entry.completion(.databaseUnavailable) }
            return
        }
        writer.submit(
            entries.map { entry in
                GroupCommit.Submission(Self.unit(for: entry.record)) { outcome in
                    switch outcome {
                    case .written(.done): entry.completion(nil)
                    case .failed(let reason): entry.completion(reason)
                    case .written: entry.completion(.databaseUnavailable)
                    }
                }
            })
    }

    private static func unit(for record: AccountingRecord) -> Unit {
        let key: [SQLValue] = [.text(record.sessionID), .text(record.gateway), .integer(record.client)]
        guard !record.kind.isOfGateway else {
            let end = Statement(.endSessionsOfGateway, [.integer(record.client), .text(record.gateway), .integer(record.at.microseconds)])
            // Without a key, so that what came before it in the group is there to be ended.
            return Unit(guarded: [Unit.Guard(Statement(.clientIsThere, [.integer(record.client)]), rows: nil)], then: { _ in [end] })
        }
        let guards = [
            Unit.Guard(Statement(.latestSession, key), rows: nil), Unit.Guard(Statement(.userOfName, [.text(record.nameKey)]), rows: nil),
        ]
        let unitKey = Array("\(record.client) \(record.gateway) \(record.sessionID)".utf8)
        return Unit(guarded: guards, key: unitKey) { rows in
            let user = rows[1].first.flatMap { try? $0.integer(0) }
            // A row that cannot be read must not keep what is reported now from being kept.
            let latest = rows[0].first.flatMap { try? session($0) }
            return switch GatewaySession.taking(record, over: latest) {
            case .unchanged: []
            case .changed(let session): [update(session, user: session.user ?? user)]
            case .new(let session): begin(session, user: user)
            case .replaced(let old, by: let new): [update(old, user: old.user)] + begin(new, user: user)
            }
        }
    }

    private static func begin(_ session: GatewaySession, user: Int64?) -> [Statement] {
        [insert(session, user: user)] + (user.map { [takeClaim(of: session, user: $0)] } ?? [])
    }

    private static func update(_ session: GatewaySession, user: Int64?) -> Statement {
        Statement(
            .updateSession,
            [
                .integer(session.id), .text(session.name), .text(session.nameKey), .integer(user), .blob(session.login?.bits.bytes),
                .text(session.station), .text(session.addresses), .integer(session.port.map { Int64($0) }), .text(session.groupClass),
                .integer(session.started.microseconds), .flag(session.hasStart), .integer(session.heard.microseconds),
                .integer(session.ended?.microseconds), .text(session.ending?.rawValue), .integer(session.cause.map { Int64($0) }),
            ] + values(of: session.figures))
    }

    private static func insert(_ session: GatewaySession, user: Int64?) -> Statement {
        Statement(
            .insertSession,
            [
                .integer(session.client), .text(session.gateway), .text(session.sessionID), .text(session.name), .text(session.nameKey),
                .integer(user), .blob(session.login?.bits.bytes), .text(session.station), .text(session.addresses),
                .integer(session.port.map { Int64($0) }), .text(session.groupClass), .blob(session.source.bytes),
                .integer(session.started.microseconds), .flag(session.hasStart), .integer(session.heard.microseconds),
                .integer(session.ended?.microseconds), .text(session.ending?.rawValue), .integer(session.cause.map { Int64($0) }),
            ] + values(of: session.figures))
    }

    private static func values(of figures: SessionFigures) -> [SQLValue] {
        [
            .integer(figures.seconds), .integer(figures.input), .integer(figures.output), .integer(figures.inputPackets),
            .integer(figures.outputPackets),
        ]
    }

    private static func session(_ row: Row) throws(DatabaseError) -> GatewaySession {
        guard let source = NetworkAddress(bytes: try row.blob(12)) else { throw .unexpectedValue(12) }
        let ending = try row.textIfAny(17)
        guard ending == nil || ending.flatMap(GatewaySession.Ending.init) != nil else { throw .unexpectedValue(17) }
        var record = AccountingRecord(
            .update, client: try row.integer(1), gateway: try row.text(2), sessionID: try row.text(3), source: source,
            at: Timestamp(microseconds: try row.integer(13)), read: Timestamp(microseconds: try row.integer(15)))
        record.name = try row.text(4)
        record.nameKey = try row.textIfAny(5)
        record.login = try row.blobIfAny(7).flatMap { Bits128($0) }.map { LoginID($0) }
        record.station = try row.textIfAny(8)
        record.addresses = try row.text(9)
        record.port = try row.integerIfAny(10).map { UInt32(truncatingIfNeeded: $0) }
        record.groupClass = try row.textIfAny(11)
        record.figures = SessionFigures(
            seconds: try row.integer(19), input: try row.integer(20), output: try row.integer(21), inputPackets: try row.integer(22),
            outputPackets: try row.integer(23))
        var session = GatewaySession(record)
        session.id = try row.integer(0)
        session.user = try row.integerIfAny(6)
        session.hasStart = try row.flag(14)
        session.ended = try row.integerIfAny(16).map { Timestamp(microseconds: $0) }
        session.ending = ending.flatMap(GatewaySession.Ending.init)
        session.cause = try row.integerIfAny(18).map { UInt32(truncatingIfNeeded: $0) }
        return session
    }
}

// MARK: Reading

/// Which sessions are asked for; nil: any.
package struct SessionFilter: Sendable {
    package var user: Int64?
    /// Of names that nobody has, or had.
    package var nameKey: String?
    package var client: Int64?
    package var isOpen: Bool?
    /// Still open then, or later.
    package var since: Timestamp?
    package var login: LoginID?

    package init() {}
}

/// What one user carried through one client.
package struct SessionTraffic: Sendable, Equatable {
    package var name: String
    package var user: Int64?
    package var client: Int64
    package var sessions: Int
    package var open: Int
    package var seconds: Int64
    package var input: Int64
    package var output: Int64
}

extension Records {
    /// Newest first.
    package func sessions(_ filter: SessionFilter, before id: Int64? = nil, limit: Int) throws(StoreError) -> [GatewaySession] {
        var (condition, values) = Self.condition(filter)
        if let id {
            values.append(.integer(id))
            condition += " AND id < ?\(values.count)"
        }
        let text = "SELECT \(SQL.sessionColumns) FROM session WHERE \(condition) ORDER BY id DESC LIMIT \(max(0, limit))"
        return try read([Statement(SQL(composed: text), values)]) { results throws(DatabaseError) in
            var sessions: [GatewaySession] = []
            for row in results[0] { sessions.append(try Self.session(row)) }
            return sessions
        }
    }

    package func session(id: Int64) throws(StoreError) -> GatewaySession? {
        try read([Statement(.sessionOfID, [.integer(id)])]) { results throws(DatabaseError) in
            try results[0].first.map { row throws(DatabaseError) in try Self.session(row) }
        }
    }

    /// Clients that have ever reported one, as far as is kept.
    package func clientsOfSessions() throws(StoreError) -> Set<Int64> {
        try read([Statement(.clientsOfSessions)]) { results throws(DatabaseError) in
            var clients: Set<Int64> = []
            for row in results[0] { clients.insert(try row.integer(0)) }
            return clients
        }
    }

    package func openSessions() throws(StoreError) -> Int {
        try read([Statement(.countOpenSessions)]) { results throws(DatabaseError) in Int(try results[0][0].integer(0)) }
    }

    /// Who carried most first.
    package func traffic(_ filter: SessionFilter, limit: Int) throws(StoreError) -> [SessionTraffic] {
        let (condition, values) = Self.condition(filter)
        let text = """
            SELECT coalesce(name_key, ''), max("user"), client, count(*), CAST(sum(CASE WHEN ended IS NULL THEN 1 ELSE 0 END) AS BIGINT),
                CAST(sum(seconds) AS BIGINT), CAST(sum(input) AS BIGINT), CAST(sum(output) AS BIGINT)
            FROM session WHERE \(condition) GROUP BY coalesce(name_key, ''), client
            ORDER BY sum(input) + sum(output) DESC, coalesce(name_key, ''), client LIMIT \(max(0, limit))
            """
        return try read([Statement(SQL(composed: text), values)]) { results throws(DatabaseError) in
            var traffic: [SessionTraffic] = []
            for row in results[0] {
                traffic.append(
                    SessionTraffic(
                        name: try row.text(0), user: try row.integerIfAny(1), client: try row.integer(2), sessions: Int(try row.integer(3)),
                        open: Int(try row.integer(4)), seconds: try row.integer(5), input: try row.integer(6), output: try row.integer(7)))
            }
            return traffic
        }
    }

    private static func condition(_ filter: SessionFilter) -> (text: String, values: [SQLValue]) {
        var conditions = ["1 = 1"]
        var values: [SQLValue] = []
        func bind(_ value: SQLValue) -> String {
            values.append(value)
            return "?\(values.count)"
        }
        if let user = filter.user { conditions.append("\"user\" = \(bind(.integer(user)))") }
        if let key = filter.nameKey { conditions.append("name_key = \(bind(.text(key)))") }
        if let client = filter.client { conditions.append("client = \(bind(.integer(client)))") }
        if let login = filter.login { conditions.append("login = \(bind(.blob(login.bits.bytes)))") }
        if let isOpen = filter.isOpen { conditions.append(isOpen ? "ended IS NULL" : "ended IS NOT NULL") }
        if let since = filter.since { conditions.append("(ended IS NULL OR ended >= \(bind(.integer(since.microseconds))))") }
        return (conditions.joined(separator: " AND "), values)
    }
}

// MARK: Ending and removing

extension Records {
    /// Ends what was not heard of since then: a gateway that lost power says nothing, and its sessions would stay open for ever.
    /// - Returns: how many there were.
    @discardableResult
    package func endSessions(notHeardSince time: Timestamp) async throws(StoreError) -> Int {
        try await change(Unit([Statement(.endLostSessions, [.integer(time.microseconds)])])) { _ in [] }[0].changes
    }

    /// The gateway will report no end of it.
    package func endLost(session: Int64, at now: Timestamp, event: Event) async throws(StoreError) {
        try await change(Unit([Statement(.endLostSession, [.integer(session), .integer(now.microseconds)])])) { rows in
            rows[0].changes > 0 ? [event] : []
        }
    }

    @discardableResult
    package func removeSessions(endedBefore time: Timestamp) async throws(StoreError) -> Int {
        try await change(Unit([Statement(.dropSessions, [.integer(time.microseconds)])])) { _ in [] }[0].changes
    }
}

extension SQL {
    fileprivate static let sessionColumns = """
        id, client, gateway, session_id, name, name_key, "user", login, station, addresses, port, group_class, source, started, has_start, \
        heard, ended, ending, cause, seconds, input, output, input_packets, output_packets
        """
    fileprivate static let latestSession = SQL(
        composed: "SELECT \(sessionColumns) FROM session WHERE session_id = ?1 AND gateway = ?2 AND client = ?3 ORDER BY id DESC LIMIT 1")
    fileprivate static let sessionOfID = SQL(composed: "SELECT \(sessionColumns) FROM session WHERE id = ?1")
    fileprivate static let userOfName = SQL("SELECT \"user\" FROM user_name WHERE name_key = ?1")
    fileprivate static let insertSession = SQL(
        """
        INSERT INTO session (client, gateway, session_id, name, name_key, "user", login, station, addresses, port, group_class, source,
            started, has_start, heard, ended, ending, cause, seconds, input, output, input_packets, output_packets)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)
        """)
    fileprivate static let updateSession = SQL(
        """
        UPDATE session SET name = ?2, name_key = ?3, "user" = ?4, login = ?5, station = ?6, addresses = ?7, port = ?8, group_class = ?9,
            started = ?10, has_start = ?11, heard = ?12, ended = ?13, ending = ?14, cause = ?15, seconds = ?16, input = ?17, output = ?18,
            input_packets = ?19, output_packets = ?20
        WHERE id = ?1
        """)
    fileprivate static let endSessionsOfGateway = SQL(
        """
        UPDATE session SET ended = ?3, ending = 'gateway-restarted'
        WHERE ended IS NULL AND client = ?1 AND gateway = ?2 AND started <= ?3
        """)
    fileprivate static let endLostSessions = SQL(
        """
        UPDATE session SET ended = CASE WHEN heard > started THEN heard ELSE started END, ending = 'lost'
        WHERE ended IS NULL AND heard < ?1
        """)
    fileprivate static let endLostSession = SQL("UPDATE session SET ended = ?2, ending = 'lost' WHERE id = ?1 AND ended IS NULL")
    fileprivate static let dropSessions = SQL("DELETE FROM session WHERE ended < ?1")
    fileprivate static let clientsOfSessions = SQL("SELECT DISTINCT client FROM session")
    fileprivate static let countOpenSessions = SQL("SELECT count(*) FROM session WHERE ended IS NULL")
    static let eraseSessions = SQL("DELETE FROM session WHERE \"user\" = ?1")
    static let eraseSessionsOfName = SQL("DELETE FROM session WHERE \"user\" IS NULL AND name_key = ?1")
}
