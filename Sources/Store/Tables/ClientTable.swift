// SPDX-License-Identifier: Apache-2.0
// client, client_address and client_pin: the gateways that may ask. Few and read as a whole.

package import LoginEngine

package struct ClientPin: Sendable, Equatable {
    package var client: Int64
    package var address: NetworkAddress
    package var at: Timestamp
}

extension Records {
    package func addClient(_ settings: ClientSettings, event: Event) async throws(StoreError) -> Client {
        try Self.check(settings)
        var guards = settings.addresses.map { Unit.Guard(Statement(.findRange, [.text($0.description), .integer(-1)]), rows: 0) }
        let refusals = settings.addresses.map(Self.rangeTaken) + [Self.clientTaken(settings.name)]
        // The secret is sealed for a row that has no number yet, so it follows.
        guards.append(Unit.Guard(Statement(.insertClient, Self.values(of: settings))))
        let position = guards.count - 1
        let sealing = self.sealing
        let unit = Unit(guarded: guards) { rows in
            guard let id = try? rows[position].first?.integer(0) else { return [] }
            return [Statement(.setClientSecrets, [.integer(id)] + Self.sealed(settings, id, by: sealing))]
                + Self.insertRanges(settings, id) + [Statement(.raiseRevision)]
        }
        let rows = try await change(unit, refusals: refusals) { rows in [event.about(client: try? rows[position].first?.integer(0))] }
        do throws(DatabaseError) {
            return Client(id: try rows[position][0].integer(0), settings: settings)
        } catch {
            throw StoreError(error)
        }
    }

    package func updateClient(_ client: Int64, _ settings: ClientSettings, event: Event) async throws(StoreError) {
        try Self.check(settings)
        let id = SQLValue.integer(client)
        var guards = [
            Unit.Guard(Statement(.clientIsThere, [id])),
            Unit.Guard(Statement(.findClientName, [.text(settings.name), id]), rows: 0),
        ]
        guards += settings.addresses.map { Unit.Guard(Statement(.findRange, [.text($0.description), id]), rows: 0) }
        let values = Self.values(of: settings, client, by: sealing) + [id]
        let unit = Unit(guarded: guards) { _ in
            [Statement(.updateClient, values), Statement(.dropRanges, [id])] + Self.insertRanges(settings, client)
                + [Statement(.raiseRevision)]
        }
        let refusals = [Self.noClient, Self.clientTaken(settings.name)] + settings.addresses.map(Self.rangeTaken)
        try await change(unit, refusals: refusals) { _ in [event.about(client: client)] }
    }

    package func removeClient(_ client: Int64, event: Event) async throws(StoreError) {
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.policyOfClient, [.integer(client)]), rows: 0),
                Unit.Guard(Statement(.deleteClient, [.integer(client)])),
            ], then: { _ in [Statement(.raiseRevision)] })
        let named = StoreError(.notAllowed, "a policy names this client", remedy: "Change the policy first.")
        try await change(unit, refusals: [named, Self.noClient]) { _ in [event.about(client: client)] }
    }

    /// The secret of one whose sealed value does not open is empty.
    package func clients() throws(StoreError) -> [Client] {
        try read([Statement(.clients), Statement(.ranges)]) { results throws(DatabaseError) in
            var ranges: [Int64: [AddressRange]] = [:]
            for row in results[1] {
                guard let range = AddressRange(try row.text(1)) else { throw .unexpectedValue(1) }
                ranges[try row.integer(0), default: []].append(range)
            }
            var clients: [Client] = []
            for row in results[0] {
                let id = try row.integer(0)
                clients.append(Client(id: id, settings: try settings(row, addresses: ranges[id] ?? [])))
            }
            return clients
        }
    }

    package func client(name: String) throws(StoreError) -> Client? { try clients().first { $0.name == name } }

    package func client(id: Int64) throws(StoreError) -> Client? { try clients().first { $0.id == id } }

    // MARK: Pins

    /// A source that is pinned already stays pinned since then, and no event is written.
    package func addPin(client: Int64, address: NetworkAddress, at: Timestamp, event: Event) async throws(StoreError) {
        let values: [SQLValue] = [.integer(client), .blob(address.bytes), .integer(at.microseconds)]
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.clientIsThere, [.integer(client)])), Unit.Guard(Statement(.insertPin, values))],
            then: { _ in [Statement(.raiseRevision)] })
        do throws(StoreError) {
            try await change(unit, refusals: [Self.noClient, StoreError(.nameTaken, "pinned already")]) { _ in [event.about(client: client)]
            }
        } catch  where error.code == .nameTaken {
            return
        }
    }

    /// - Parameter address: nil for all of the client's.
    /// - Returns: how many there were; with none, no event is written.
    @discardableResult
    package func removePin(client: Int64, address: NetworkAddress?, event: Event) async throws(StoreError) -> Int {
        let unit = Unit([Statement(.deletePins, [.integer(client), .blob(address?.bytes)]), Statement(.raiseRevision)])
        let rows = try await change(unit) { rows in rows[0].changes > 0 ? [event.about(client: client)] : [] }
        return rows[0].changes
    }

    package func pins(ofClient client: Int64?) throws(StoreError) -> [ClientPin] {
        try read([Statement(.pins, [.integer(client)])]) { results throws(DatabaseError) in
            var pins: [ClientPin] = []
            for row in results[0] {
                guard let address = NetworkAddress(bytes: try row.blob(1)) else { throw .unexpectedValue(1) }
                pins.append(ClientPin(client: try row.integer(0), address: address, at: Timestamp(microseconds: try row.integer(2))))
            }
            return pins
        }
    }

    // MARK: Rows

    private static let noClient = StoreError(.notFound, "there is no such client")

    static func clientTaken(_ name: String) -> StoreError { StoreError(.nameTaken, "there is a client of this name", at: name) }

    private static func rangeTaken(_ range: AddressRange) -> StoreError {
        StoreError(.nameTaken, "another client has this address", at: range.description)
    }

    private static func check(_ settings: ClientSettings) throws(StoreError) {
        guard Set(settings.addresses).count == settings.addresses.count else {
            throw StoreError(.invalid, "an address is named twice", at: settings.name)
        }
    }

    static func insertRanges(_ settings: ClientSettings, _ client: Int64) -> [Statement] {
        settings.addresses.enumerated().map {
            Statement(.insertRange, [.text($1.description), .integer(client), .integer(Int64($0))])
        }
    }

    /// Secret and pre-shared key.
    static func sealed(_ settings: ClientSettings, _ client: Int64, by sealing: Sealing) -> [SQLValue] {
        [
            .blob(sealing.seal(settings.secret, at: .clientSecret(client))),
            .blob(settings.preSharedKey.map { sealing.seal($0.key, at: .preSharedKey(client)) }),
        ]
    }

    static func values(of settings: ClientSettings, _ client: Int64, by sealing: Sealing) -> [SQLValue] {
        let sealed = sealed(settings, client, by: sealing)
        return values(of: settings, secret: sealed[0], key: sealed[1])
    }

    /// Of one that has no number yet, to which its secrets could be sealed.
    static func values(of settings: ClientSettings) -> [SQLValue] { values(of: settings, secret: .blob([]), key: .blob(nil)) }

    private static func values(of settings: ClientSettings, secret: SQLValue, key: SQLValue) -> [SQLValue] {
        [
            .text(settings.name), secret, .text(settings.messageAuthenticator.rawValue), .text(settings.requirement.rawValue),
            .text(settings.asking.rawValue), .text(settings.separator.map { String($0) }), .flag(settings.fixedLengthTail),
            .flag(settings.concealFactor), .flag(settings.helpfulMessages), .text(settings.nameStripping.rawValue),
            .integer(Int64(settings.retryTimeout)), .integer(Int64(settings.retryTries)), .flag(settings.rejoin),
            .flag(settings.automaticPush), .flag(settings.bindBeforeCode), .flag(settings.isEnabled),
            .text(settings.tags.joined(separator: " ")), .text(settings.schemes.schemes.map(\.rawValue).joined(separator: " ")),
            .text(settings.profile), .text(settings.probeUser), .text(ReplyBody.json(settings.reply)),
            .text(settings.certificates.map(\.description).joined(separator: " ")),
            .integer(Int64(settings.disconnectPort)), .text(settings.charset.rawValue),
            .text(settings.preSharedKey?.identity), key, .text(settings.eap.map(\.rawValue).joined(separator: " ")),
        ]
    }

    private func settings(_ row: Row, addresses: [AddressRange]) throws(DatabaseError) -> ClientSettings {
        // One that does not open costs its client the service, and nobody else: it is empty, as no secret may be.
        let (sealed, place) = (try row.blob(2), SealedPlace.clientSecret(try row.integer(0)))
        let secret = (try? sealing.open(sealed, at: place)) ?? Secret([])
        guard let rule = MessageAuthenticatorRule(rawValue: try row.text(3)) else { throw .unexpectedValue(3) }
        guard let requirement = Requirement(rawValue: try row.text(4)) else { throw .unexpectedValue(4) }
        guard let asking = Asking(rawValue: try row.text(5)) else { throw .unexpectedValue(5) }
        guard let stripping = NameStripping(rawValue: try row.text(10)) else { throw .unexpectedValue(10) }
        var settings = ClientSettings(name: try row.text(1), addresses: addresses, secret: secret)
        settings.messageAuthenticator = rule
        settings.requirement = requirement
        settings.asking = asking
        settings.separator = try row.textIfAny(6)?.first
        settings.fixedLengthTail = try row.flag(7)
        settings.concealFactor = try row.flag(8)
        settings.helpfulMessages = try row.flag(9)
        settings.nameStripping = stripping
        settings.retryTimeout = Int(try row.integer(11))
        settings.retryTries = Int(try row.integer(12))
        settings.rejoin = try row.flag(13)
        settings.automaticPush = try row.flag(14)
        settings.bindBeforeCode = try row.flag(15)
        settings.isEnabled = try row.flag(16)
        settings.tags = try row.text(17).split(separator: " ").map(String.init)
        settings.schemes = ProofSchemes(try row.text(18).split(separator: " ").compactMap { ProofScheme(rawValue: String($0)) })
        settings.profile = try row.text(19)
        settings.probeUser = try row.textIfAny(20)
        guard let reply = ReplyBody.settings(try row.text(21)) else { throw .unexpectedValue(21) }
        settings.reply = reply
        settings.certificates = try row.text(22).split(separator: " ").compactMap { CertificateRule(String($0)) }
        settings.disconnectPort = UInt16(clamping: try row.integer(23))
        guard let charset = Charset(rawValue: try row.text(24)) else { throw .unexpectedValue(24) }
        settings.charset = charset
        if let identity = try row.textIfAny(25), let sealed = try row.blobIfAny(26) {
            let key = try? sealing.open(sealed, at: .preSharedKey(try row.integer(0)))
            settings.preSharedKey = PreSharedKey(identity: identity, key: key ?? Secret([]))
        }
        settings.eap = try row.text(27).split(separator: " ").compactMap { EAPMethodName(rawValue: String($0)) }
        return settings
    }
}

extension SealedPlace {
    static func clientSecret(_ client: Int64) -> SealedPlace { SealedPlace(table: "client", row: client, column: "secret") }
    static func preSharedKey(_ client: Int64) -> SealedPlace { SealedPlace(table: "client", row: client, column: "psk") }
}

extension SQL {
    static let insertClient = SQL(
        """
        INSERT INTO client (name, secret, message_authenticator, requirement, asking, separator, fixed_length_tail, conceal_factor,
            helpful_messages, name_stripping, retry_timeout, retry_tries, rejoin, automatic_push, bind_before_code, is_enabled, tags, schemes,
            profile, probe_user, reply, certificates, disconnect_port, charset, psk_identity, psk, eap)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
            ?25, ?26, ?27)
        ON CONFLICT DO NOTHING RETURNING id
        """)
    static let updateClient = SQL(
        """
        UPDATE client SET name = ?1, secret = ?2, message_authenticator = ?3, requirement = ?4, asking = ?5, separator = ?6,
            fixed_length_tail = ?7, conceal_factor = ?8, helpful_messages = ?9, name_stripping = ?10, retry_timeout = ?11,
            retry_tries = ?12, rejoin = ?13, automatic_push = ?14, bind_before_code = ?15, is_enabled = ?16, tags = ?17,
            schemes = ?18, profile = ?19, probe_user = ?20, reply = ?21, certificates = ?22, disconnect_port = ?23,
            charset = ?24, psk_identity = ?25, psk = ?26, eap = ?27
        WHERE id = ?28
        """)
    fileprivate static let clients = SQL(
        """
        SELECT id, name, secret, message_authenticator, requirement, asking, separator, fixed_length_tail, conceal_factor,
            helpful_messages, name_stripping, retry_timeout, retry_tries, rejoin, automatic_push, bind_before_code, is_enabled, tags,
            schemes, profile, probe_user, reply, certificates, disconnect_port, charset, psk_identity, psk, eap
        FROM client ORDER BY name
        """)
    static let setClientSecrets = SQL("UPDATE client SET secret = ?2, psk = ?3 WHERE id = ?1")
    static let clientIsThere = SQL("SELECT 1 FROM client WHERE id = ?1")
    fileprivate static let findClientName = SQL("SELECT 1 FROM client WHERE name = ?1 AND id <> ?2")
    static let deleteClient = SQL("DELETE FROM client WHERE id = ?1")
    fileprivate static let ranges = SQL("SELECT client, range FROM client_address ORDER BY client, position")
    fileprivate static let findRange = SQL("SELECT 1 FROM client_address WHERE range = ?1 AND client <> ?2")
    fileprivate static let insertRange = SQL("INSERT INTO client_address (range, client, position) VALUES (?1, ?2, ?3)")
    static let dropRanges = SQL("DELETE FROM client_address WHERE client = ?1")
    fileprivate static let insertPin = SQL("INSERT INTO client_pin (client, address, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")
    fileprivate static let deletePins = SQL("DELETE FROM client_pin WHERE client = ?1 AND (address = ?2 OR ?2 IS NULL)")
    fileprivate static let pins = SQL("SELECT client, address, at FROM client_pin WHERE client = ?1 OR ?1 IS NULL ORDER BY client, address")
}
