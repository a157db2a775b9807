// SPDX-License-Identifier: Apache-2.0
// directory: where passwords live that are not kept here. Few and read as a whole.

package import LoginEngine

extension Records {
    package func addDirectory(_ settings: DirectorySettings, event: Event) async throws(StoreError) -> Int64 {
        // The secret is sealed for a row that has no number yet, so it follows.
        let guards = [Unit.Guard(Statement(.insertDirectory, Self.values(of: settings)))]
        let sealing = self.sealing
        let unit = Unit(guarded: guards) { rows in
            guard let id = try? rows[0].first?.integer(0) else { return [] }
            return [Self.setSecrets(of: settings, id, sealing), Statement(.raiseRevision)]
        }
        let rows = try await change(unit, refusals: [Self.directoryTaken(settings.name)]) { _ in [event] }
        do throws(DatabaseError) { return try rows[0][0].integer(0) } catch { throw StoreError(error) }
    }

    package func updateDirectory(_ directory: Int64, _ settings: DirectorySettings, event: Event) async throws(StoreError) {
        let id = SQLValue.integer(directory)
        let values = Self.values(of: settings, directory, sealing) + [id]
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.directoryIsThere, [id])),
                Unit.Guard(Statement(.findDirectoryName, [.text(settings.name), id]), rows: 0),
            ], then: { _ in [Statement(.updateDirectory, values), Statement(.raiseRevision)] })
        try await change(unit, refusals: [Self.noDirectory, Self.directoryTaken(settings.name)]) { _ in [event] }
    }

    /// Refused while somebody's passwords live there: they could never log in.
    package func removeDirectory(_ directory: Int64, event: Event) async throws(StoreError) {
        let id = SQLValue.integer(directory)
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.directoryIsNamed, [id]), rows: 0), Unit.Guard(Statement(.deleteDirectory, [id])),
            ], then: { _ in [Statement(.forgetEntries, [id]), Statement(.forgetGroupEntries, [id]), Statement(.raiseRevision)] })
        let used = StoreError(
            .notAllowed, "users, groups or clients say that passwords live there", remedy: "Give these another directory first.")
        try await change(unit, refusals: [used, Self.noDirectory]) { _ in [event] }
    }

    /// By name. The secret of one whose sealed value does not open is empty.
    package func directories() throws(StoreError) -> [Directory] {
        try read([Statement(.directories)]) { results throws(DatabaseError) in
            var directories: [Directory] = []
            for row in results[0] { directories.append(try directory(row)) }
            return directories
        }
    }

    /// Users by directory.
    package func directoryUserCounts() throws(StoreError) -> [Int64: Int] {
        try read([Statement(.countUsersByDirectory)]) { results throws(DatabaseError) in
            var counts: [Int64: Int] = [:]
            for row in results[0] { counts[try row.integer(0)] = Int(try row.integer(1)) }
            return counts
        }
    }

    static let noDirectory = StoreError(.notFound, "there is no such directory")

    static func directoryTaken(_ name: String) -> StoreError { StoreError(.nameTaken, "there is a directory of this name", at: name) }

    static func setSecrets(of settings: DirectorySettings, _ id: Int64, _ sealing: Sealing) -> Statement {
        Statement(.setDirectorySecrets, [.integer(id)] + sealed(settings, id, sealing))
    }

    /// The shared one, and those of servers of their own.
    private static func sealed(_ settings: DirectorySettings, _ id: Int64, _ sealing: Sealing) -> [SQLValue] {
        let own = settings.storedSecrets.map { sealing.seal($0, at: .serverSecrets(id)) }
        return [.blob(sealing.seal(settings.secret, at: .directorySecret(id))), .blob(own)]
    }

    static func values(of settings: DirectorySettings, _ id: Int64, _ sealing: Sealing) -> [SQLValue] {
        let sealed = sealed(settings, id, sealing)
        return values(of: settings, secret: sealed[0], own: sealed[1])
    }

    /// Of one that has no number yet, to which its secrets could be sealed.
    static func values(of settings: DirectorySettings) -> [SQLValue] { values(of: settings, secret: .blob([]), own: .null) }

    private static func values(of settings: DirectorySettings, secret: SQLValue, own: SQLValue) -> [SQLValue] {
        [
            .text(settings.name), .text(settings.kind.rawValue), .text(settings.servers.map(\.description).joined(separator: " ")),
            secret, .integer(settings.timeout.microseconds), .integer(Int64(settings.tries)),
            .text(settings.messageAuthenticator.rawValue), .text(settings.nameSent.rawValue),
            .text(settings.takes.joined(separator: " ")), .flag(settings.isEnabled), own,
            .text(settings.ldap.map { LDAPBody($0).json }), .integer(settings.syncEvery?.microseconds),
        ]
    }

    private func directory(_ row: Row) throws(DatabaseError) -> Directory {
        let id = try row.integer(0)
        guard let kind = DirectoryKind(rawValue: try row.text(2)) else { throw .unexpectedValue(2) }
        var servers: [DirectoryServer] = []
        for text in try row.text(3).split(separator: " ") {
            guard let server = DirectoryServer(String(text)) else { throw .unexpectedValue(3) }
            servers.append(server)
        }
        let secret = (try? sealing.open(try row.blob(4), at: .directorySecret(id))) ?? Secret([])
        guard let rule = ReplyAuthenticatorRule(rawValue: try row.text(7)) else { throw .unexpectedValue(7) }
        guard let nameSent = NameSent(rawValue: try row.text(8)) else { throw .unexpectedValue(8) }
        var settings = DirectorySettings(name: try row.text(1), servers: servers, secret: secret)
        settings.kind = kind
        settings.timeout = Timestamp.Span(microseconds: try row.integer(5))
        settings.tries = Int(try row.integer(6))
        settings.messageAuthenticator = rule
        settings.nameSent = nameSent
        settings.takes = try row.text(9).split(separator: " ").map(String.init)
        settings.isEnabled = try row.flag(10)
        if let sealed = try row.blobIfAny(11) {
            let opened = (try? sealing.open(sealed, at: .serverSecrets(id))) ?? Secret([])
            // Which of them share the other one is not known then, so none does.
            settings.ownSecrets =
                DirectorySettings.ownSecrets(stored: opened, of: servers)
                ?? Dictionary(servers.map { ($0, Secret([])) }) { first, _ in first }
        }
        if let json = try row.textIfAny(12) {
            guard let ldap = LDAPBody(json: json)?.settings(of: kind) else { throw .unexpectedValue(12) }
            settings.ldap = ldap
        }
        settings.syncEvery = try row.integerIfAny(13).map { Timestamp.Span(microseconds: $0) }
        return Directory(id: id, settings: settings)
    }
}

extension Records {
    /// What logins are sent by: of groups and directories; clients are known with their requests.
    package func homeTable() throws(StoreError) -> HomeTable {
        let directories = try directories()
        return HomeTable(
            groups: try groups().map { ($0.id, $0.name, $0.home) },
            directories: Dictionary(directories.map { ($0.id, $0.name) }) { first, _ in first },
            creating: Set(directories.filter { $0.settings.isEnabled && $0.settings.ldap?.creates == true }.map(\.id)))
    }

    /// A directory that is named must be there.
    static func guards(of home: PasswordHome?) -> [Unit.Guard] {
        home?.directory.map { [Unit.Guard(Statement(.directoryIsThere, [.integer($0)]))] } ?? []
    }

    static func guards(of settings: ClientSettings) -> [Unit.Guard] {
        guards(of: settings.home) + settings.passThrough.map { Unit.Guard(Statement(.directoryIsThere, [.integer($0.directory)])) }
    }

    static func refusals(of settings: ClientSettings) -> [StoreError] {
        refusals(of: settings.home) + settings.passThrough.map { _ in noDirectory }
    }

    static func refusals(of home: PasswordHome?) -> [StoreError] { home?.directory == nil ? [] : [noDirectory] }
}

extension PasswordHome {
    /// Rows are numbered from 1.
    private static let storedHere: Int64 = 0

    init(stored: Int64) {
        self = stored == Self.storedHere ? .here : .directory(stored)
    }

    var stored: Int64 { directory ?? Self.storedHere }
}

extension SealedPlace {
    static func directorySecret(_ directory: Int64) -> SealedPlace { SealedPlace(table: "directory", row: directory, column: "secret") }

    static func serverSecrets(_ directory: Int64) -> SealedPlace {
        SealedPlace(table: "directory", row: directory, column: "server_secrets")
    }
}

extension DirectorySettings {
    /// Each server that has a secret of its own, in their order; nil where none has.
    fileprivate var storedSecrets: Secret? {
        guard !ownSecrets.isEmpty else { return nil }
        var writer = ByteWriter()
        for server in servers {
            guard let secret = ownSecrets[server] else { continue }
            writer.text(server.description)
            secret.reveal { writer.blob($0) }
        }
        return Secret(writer.bytes)
    }

    fileprivate static func ownSecrets(stored: Secret, of servers: [DirectoryServer]) -> [DirectoryServer: Secret]? {
        stored.reveal { bytes in
            var reader = ByteReader(bytes[...])
            var secrets: [DirectoryServer: Secret] = [:]
            do throws(DecodingError) {
                while reader.remaining > 0 {
                    guard let server = DirectoryServer(try reader.text()), servers.contains(server) else { return nil }
                    secrets[server] = Secret(Array(try reader.blob()))
                }
            } catch {
                return nil
            }
            return secrets.isEmpty ? nil : secrets
        }
    }
}

extension SQL {
    static let insertDirectory = SQL(
        """
        INSERT INTO directory (name, kind, servers, secret, timeout, tries, message_authenticator, name_sent, takes, is_enabled,
            server_secrets, ldap, sync_every)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING RETURNING id
        """)
    static let updateDirectory = SQL(
        """
        UPDATE directory SET name = ?1, kind = ?2, servers = ?3, secret = ?4, timeout = ?5, tries = ?6, message_authenticator = ?7,
            name_sent = ?8, takes = ?9, is_enabled = ?10, server_secrets = ?11, ldap = ?12, sync_every = ?13
        WHERE id = ?14
        """)
    static let setDirectorySecrets = SQL("UPDATE directory SET secret = ?2, server_secrets = ?3 WHERE id = ?1")
    static let directoryIsThere = SQL("SELECT 1 FROM directory WHERE id = ?1")
    static let deleteDirectory = SQL("DELETE FROM directory WHERE id = ?1")
    static let userOfDirectory = SQL("SELECT 1 FROM \"user\" WHERE directory = ?1 LIMIT 1")
    fileprivate static let directoryIsNamed = SQL(
        """
        SELECT 1 WHERE EXISTS (SELECT 1 FROM "user" WHERE directory = ?1) OR EXISTS (SELECT 1 FROM "group" WHERE directory = ?1)
            OR EXISTS (SELECT 1 FROM client WHERE directory = ?1) OR EXISTS (SELECT 1 FROM client_realm WHERE directory = ?1)
        """)
    fileprivate static let findDirectoryName = SQL("SELECT 1 FROM directory WHERE name = ?1 AND id <> ?2")
    fileprivate static let countUsersByDirectory = SQL(
        "SELECT directory, count(*) FROM \"user\" WHERE directory > 0 GROUP BY directory ORDER BY directory")
    fileprivate static let directories = SQL(
        """
        SELECT id, name, kind, servers, secret, timeout, tries, message_authenticator, name_sent, takes, is_enabled,
            server_secrets, ldap, sync_every
        FROM directory ORDER BY name
        """)
}
