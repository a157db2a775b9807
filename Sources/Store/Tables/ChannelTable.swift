// SPDX-License-Identifier: Apache-2.0
// channel: ways to reach people. Few and read as a whole.

package import LoginEngine

extension Records {
    package func addChannel(_ settings: ChannelSettings, event: Event) async throws(StoreError) -> Int64 {
        // The secret is sealed for a row that has no number yet, so it follows.
        let sealing = self.sealing
        let unit = Unit(guarded: [Unit.Guard(Statement(.insertChannel, Self.values(of: settings, secret: [])))]) { rows in
            guard let id = try? rows[0].first?.integer(0) else { return [] }
            return [Self.setSecret(of: settings, id, sealing), Statement(.raiseRevision)]
        }
        let rows = try await change(unit, refusals: [Self.channelTaken(settings.name)], concernsLogins: false) { _ in [event] }
        do throws(DatabaseError) { return try rows[0][0].integer(0) } catch { throw StoreError(error) }
    }

    package func updateChannel(_ channel: Int64, _ settings: ChannelSettings, event: Event) async throws(StoreError) {
        let id = SQLValue.integer(channel)
        let values = Self.values(of: settings, channel, sealing) + [id]
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.channelIsThere, [id])), Unit.Guard(Statement(.findChannelName, [.text(settings.name), id]), rows: 0),
            ],
            then: { _ in
                let hurry = Statement(.hurryMails, [id, .integer(event.at.microseconds)])
                return [Statement(.updateChannel, values), hurry, Statement(.raiseRevision)]
            })
        try await change(unit, refusals: [Self.noChannel, Self.channelTaken(settings.name)], concernsLogins: false) { _ in [event] }
    }

    /// With what waits to be sent by it.
    package func removeChannel(_ channel: Int64, event: Event) async throws(StoreError) {
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.deleteChannel, [.integer(channel)]))], then: { _ in [Statement(.raiseRevision)] })
        try await change(unit, refusals: [Self.noChannel], concernsLogins: false) { _ in [event] }
    }

    /// By name. The secret of one whose sealed value does not open is empty.
    package func channels() throws(StoreError) -> [Channel] {
        try read([Statement(.channels)]) { results throws(DatabaseError) in
            var channels: [Channel] = []
            for row in results[0] { channels.append(try channel(row)) }
            return channels
        }
    }

    static let noChannel = StoreError(.notFound, "there is no such channel")

    static func channelTaken(_ name: String) -> StoreError { StoreError(.nameTaken, "there is a channel of this name", at: name) }

    static func setSecret(of settings: ChannelSettings, _ id: Int64, _ sealing: Sealing) -> Statement {
        Statement(.setChannelSecret, [.integer(id), .blob(sealing.seal(settings.secret, at: .channelSecret(id)))])
    }

    static func values(of settings: ChannelSettings, _ id: Int64, _ sealing: Sealing) -> [SQLValue] {
        values(of: settings, secret: sealing.seal(settings.secret, at: .channelSecret(id)))
    }

    static func values(of settings: ChannelSettings, secret: [UInt8]) -> [SQLValue] {
        [
            .text(settings.name), .text(settings.kind.rawValue), .text(settings.server.description), .text(settings.security.rawValue),
            .text(settings.authorities), .text(settings.userName), .blob(secret), .text(settings.sender), .text(settings.senderName),
            .integer(settings.timeout.microseconds), .integer(Int64(settings.perMinute)), .flag(settings.isEnabled),
        ]
    }

    private func channel(_ row: Row) throws(DatabaseError) -> Channel {
        let id = try row.integer(0)
        guard let kind = ChannelKind(rawValue: try row.text(2)) else { throw .unexpectedValue(2) }
        guard let server = MailServer(try row.text(3)) else { throw .unexpectedValue(3) }
        guard let security = MailSecurity(rawValue: try row.text(4)) else { throw .unexpectedValue(4) }
        var settings = ChannelSettings(name: try row.text(1), server: server, sender: try row.text(8))
        settings.kind = kind
        settings.security = security
        settings.authorities = try row.textIfAny(5)
        settings.userName = try row.textIfAny(6)
        settings.secret = (try? sealing.open(try row.blob(7), at: .channelSecret(id))) ?? Secret([])
        settings.senderName = try row.textIfAny(9)
        settings.timeout = Timestamp.Span(microseconds: try row.integer(10))
        settings.perMinute = Int(try row.integer(11))
        settings.isEnabled = try row.flag(12)
        return Channel(id: id, settings: settings)
    }
}

extension SealedPlace {
    static func channelSecret(_ channel: Int64) -> SealedPlace { SealedPlace(table: "channel", row: channel, column: "secret") }
}

extension SQL {
    static let insertChannel = SQL(
        """
        INSERT INTO channel (name, kind, server, security, authorities, user_name, secret, sender, sender_name, timeout, per_minute,
            is_enabled)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING RETURNING id
        """)
    static let updateChannel = SQL(
        """
        UPDATE channel SET name = ?1, kind = ?2, server = ?3, security = ?4, authorities = ?5, user_name = ?6, secret = ?7, sender = ?8,
            sender_name = ?9, timeout = ?10, per_minute = ?11, is_enabled = ?12
        WHERE id = ?13
        """)
    static let setChannelSecret = SQL("UPDATE channel SET secret = ?2 WHERE id = ?1")
    static let deleteChannel = SQL("DELETE FROM channel WHERE id = ?1")
    /// What was put off is tried at once by what the channel is now.
    static let hurryMails = SQL("UPDATE outbox SET due = ?2 WHERE channel = ?1 AND state = 'waiting' AND due > ?2")
    fileprivate static let channelIsThere = SQL("SELECT 1 FROM channel WHERE id = ?1")
    fileprivate static let findChannelName = SQL("SELECT 1 FROM channel WHERE name = ?1 AND id <> ?2")
    fileprivate static let channels = SQL(
        """
        SELECT id, name, kind, server, security, authorities, user_name, secret, sender, sender_name, timeout, per_minute, is_enabled
        FROM channel ORDER BY name
        """)
}
