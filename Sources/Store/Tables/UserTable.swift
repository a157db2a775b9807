// SPDX-License-Identifier: Apache-2.0
// user and user_name: people, and every name they are found by.

package import LoginEngine

package struct UserAlias: Sendable, Equatable {
    package var name: String
    /// `UserName.key` of it.
    package var key: String

    package init(name: String, key: String) {
        self.name = name
        self.key = key
    }
}

package struct NewUser: Sendable {
    package var name: String
    package var key: String
    package var status: UserStatus = .active
    package var passwordHash: Secret?
    /// What is kept beside the hash, for CHAP and MS-CHAP.
    package var kept: KeptPassword?
    package var email: String?
    package var phone: String?
    package var timeZone: String?
    /// Where the password lives; nil: groups and clients say.
    package var home: PasswordHome?
    /// How many sessions may be open at once; nil: what groups and policies say.
    package var mostSessions: Int?
    package var aliases: [UserAlias] = []
    /// Ids of groups.
    package var groups: [Int64] = []
    package var created: Timestamp

    package init(name: String, key: String, created: Timestamp) {
        self.name = name
        self.key = key
        self.created = created
    }
}

package struct UserRecord: Sendable, Equatable {
    package var id: Int64
    package var name: String
    package var key: String
    package var status: UserStatus
    package var hasPassword: Bool
    /// For which schemes more than a hash is kept.
    package var keptSchemes: ProofSchemes = []
    package var mustChangePassword = false
    /// Where the password lives; nil: groups and clients say.
    package var home: PasswordHome?
    /// How many sessions may be open at once; nil: what groups and policies say.
    package var mostSessions: Int?
    package var email: String?
    package var phone: String?
    package var timeZone: String?
    package var aliases: [UserAlias]
    package var created: Timestamp
}

package struct UserFilter: Sendable {
    /// Part of a name, an alias or an e-mail, in any case.
    package var text: String?
    package var status: UserStatus?
    /// Direct members of this group.
    package var group: Int64?
    package var withoutFactor = false
    /// Whose passwords live at this directory.
    package var directory: Int64?

    package init() {}
}

extension Records {
    package func addUser(_ user: NewUser, event: Event) async throws(StoreError) -> Int64 {
        let names = [UserAlias(name: user.name, key: user.key)] + user.aliases
        let taken = Self.nameTaken(names)
        // Every name is looked at before anything is written, so that a refusal leaves nothing behind.
        var guards = names.map { Unit.Guard(Statement(.findName, [.text($0.key)]), rows: 0) }
        guards += user.groups.map { Unit.Guard(Statement(.findGroup, [.integer($0)])) }
        guards += Self.guards(of: user.home)
        guards.append(
            Unit.Guard(
                Statement(
                    .insertUser,
                    [
                        .text(user.name), .text(user.key), .text(user.status.rawValue), .text(user.email), .text(user.phone),
                        .text(user.timeZone), .integer(user.created.microseconds), .integer(user.home?.stored),
                        .integer(user.mostSessions.map { Int64($0) }),
                    ])))
        let sealing = self.sealing
        let unit = Unit(guarded: guards) { rows in
            guard let id = try? rows.last?.first?.integer(0) else { return [] }
            var statements = names.enumerated().map { Self.insert($1, of: id, isAlias: $0 > 0) }
            if let hash = user.passwordHash {
                statements.append(Self.setPassword(hash, user.kept, ofUser: id, sealing))
                statements += Self.dropUnkept(ofUser: id, user.kept)
            }
            statements += user.groups.map { Statement(.insertMembership, [.integer($0), .integer(id)]) }
            return statements + [Statement(.raiseRevision)]
        }
        let position = guards.count - 1
        let missing = user.groups.map { Self.noGroup($0) } + (user.home?.directory == nil ? [] : [Self.noDirectory])
        let rows = try await change(unit, refusals: taken + missing + [taken[0]]) { rows in
            [event.about(user: try? rows[position].first?.integer(0))]
        }
        do throws(DatabaseError) { return try rows[position][0].integer(0) } catch { throw StoreError(error) }
    }

    /// Replaces name, key, status, e-mail, phone, time zone and the most sessions of the row with this id.
    package func updateUser(_ user: UserRecord, event: Event) async throws(StoreError) {
        let id = SQLValue.integer(user.id)
        let drop = Self.dropOpenHandles(ofUser: user.id, at: event.at)
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.userIsThere, [id])),
                Unit.Guard(Statement(.findOtherName, [.text(user.key), id]), rows: 0),
                Unit.Guard(Statement(.statusOfUser, [id])),
            ],
            then: { rows in
                let isSame = (try? rows[2].first?.text(0)) == user.status.rawValue
                return (isSame ? [] : [drop]) + [
                    Statement(.dropLoginName, [id]),
                    Statement(.dropName, [.text(user.key), id]),
                    Statement(
                        .updateUser,
                        [
                            id, .text(user.name), .text(user.key), .text(user.status.rawValue), .text(user.email), .text(user.phone),
                            .text(user.timeZone), .integer(user.mostSessions.map { Int64($0) }),
                        ]),
                    Self.insert(UserAlias(name: user.name, key: user.key), of: user.id, isAlias: false),
                    Statement(.raiseRevision),
                ]
            })
        let taken = Self.nameTaken([UserAlias(name: user.name, key: user.key)])
        try await change(unit, refusals: [Self.noUser] + taken) { _ in [event.about(user: user.id)] }
    }

    package func setAliases(_ aliases: [UserAlias], ofUser user: Int64, event: Event) async throws(StoreError) {
        let id = SQLValue.integer(user)
        var guards = [Unit.Guard(Statement(.userIsThere, [id]))]
        guards += aliases.map { Unit.Guard(Statement(.findTakenName, [.text($0.key), id]), rows: 0) }
        let unit = Unit(guarded: guards) { _ in
            [Statement(.dropAliases, [id])] + aliases.map { Self.insert($0, of: user, isAlias: true) } + [Statement(.raiseRevision)]
        }
        try await change(unit, refusals: [Self.noUser] + Self.nameTaken(aliases)) { _ in [event.about(user: user)] }
    }

    /// What was kept of the old password goes with it.
    package func setPasswordHash(
        _ hash: Secret?, keeping kept: KeptPassword? = nil, ofUser user: Int64, event: Event
    ) async throws(StoreError) {
        let unkept = Self.dropUnkept(ofUser: user, kept)
        try await changeUser(Self.setPassword(hash, kept, ofUser: user, sealing), then: unkept, user, event)
    }

    /// Until the next password is set.
    package func requirePasswordChange(ofUser user: Int64, event: Event) async throws(StoreError) {
        try await changeUser(Statement(.expirePassword, [.integer(user)]), user, event)
    }

    package func setStatus(_ status: UserStatus, ofUser user: Int64, event: Event) async throws(StoreError) {
        try await changeUser(Statement(.setStatus, [.integer(user), .text(status.rawValue)]), user, event)
    }

    package func removeUser(_ user: Int64, event: Event) async throws(StoreError) {
        let unit = Unit(
            guarded: [Self.revokeDevices(ofUser: user, at: event.at), Unit.Guard(Statement(.deleteUser, [.integer(user)]))],
            then: { _ in [Self.dropOpenHandles(ofUser: user, at: event.at), Statement(.raiseRevision)] })
        try await change(unit, refusals: [Self.noUser, Self.noUser]) { _ in [event.about(user: user)] }
    }

    /// - Parameter home: nil: groups and clients say.
    package func setHome(_ home: PasswordHome?, ofUser user: Int64, event: Event) async throws(StoreError) {
        let drop = Self.dropOpenHandles(ofUser: user, at: event.at)
        let guards =
            [Unit.Guard(Statement(.userIsThere, [.integer(user)]))] + Self.guards(of: home)
            + [Unit.Guard(Statement(.setUserDirectory, [.integer(user), .integer(home?.stored)]))]
        let unit = Unit(guarded: guards, then: { _ in [drop, Statement(.raiseRevision)] })
        try await change(unit, refusals: [Self.noUser] + Self.refusals(of: home) + [Self.noUser]) { _ in [event.about(user: user)] }
    }

    private func changeUser(
        _ statement: Statement, then rest: [Statement] = [], _ user: Int64, _ event: Event
    ) async throws(StoreError) {
        let drop = Self.dropOpenHandles(ofUser: user, at: event.at)
        let unit = Unit(guarded: [Unit.Guard(statement)], then: { _ in rest + [drop, Statement(.raiseRevision)] })
        try await change(unit, refusals: [Self.noUser]) { _ in [event.about(user: user)] }
    }

    static let noUser = StoreError(.notFound, "there is no such user")

    private static func nameTaken(_ names: [UserAlias]) -> [StoreError] {
        names.map { StoreError(.nameTaken, "the name is taken", at: $0.name, remedy: "Choose another one, or change the user who has it.") }
    }

    static func insert(_ name: UserAlias, of user: Int64, isAlias: Bool) -> Statement {
        Statement(.insertName, [.text(name.key), .integer(user), .text(name.name), .flag(isAlias)])
    }

    // MARK: Reading

    package func user(key: String) throws(StoreError) -> UserRecord? {
        try users(where: "u.id = (SELECT n.\"user\" FROM user_name n WHERE n.name_key = ?1)", [.text(key)], limit: 1).first
    }

    package func user(id: Int64) throws(StoreError) -> UserRecord? {
        try users(where: "u.id = ?1", [.integer(id)], limit: 1).first
    }

    package func userCount() throws(StoreError) -> Int {
        try read([Statement(.countUsers)]) { results throws(DatabaseError) in Int(try results[0][0].integer(0)) }
    }

    /// Of users who have a number of sessions of their own that they may have open.
    package func countOfLimitedUsers() throws(StoreError) -> Int {
        try read([Statement(.countLimitedUsers)]) { results throws(DatabaseError) in Int(try results[0][0].integer(0)) }
    }

    /// By key, a page at a time: `after` is the key of the last one seen.
    package func users(_ filter: UserFilter, after key: String? = nil, limit: Int) throws(StoreError) -> [UserRecord] {
        var conditions: [String] = []
        var values: [SQLValue] = []
        func bind(_ value: SQLValue) -> String {
            values.append(value)
            return "?\(values.count)"
        }
        if let key { conditions.append("u.name_key > \(bind(.text(key)))") }
        if let status = filter.status { conditions.append("u.status = \(bind(.text(status.rawValue)))") }
        if let group = filter.group {
            conditions.append("EXISTS (SELECT 1 FROM membership m WHERE m.\"group\" = \(bind(.integer(group))) AND m.\"user\" = u.id)")
        }
        if let directory = filter.directory { conditions.append("u.directory = \(bind(.integer(directory)))") }
        if filter.withoutFactor {
            conditions.append("NOT EXISTS (SELECT 1 FROM factor f WHERE f.\"user\" = u.id AND f.state = 'active' AND f.kind <> 'recovery')")
        }
        if let text = filter.text {
            var pattern = ""
            for character in text.lowercased() { pattern += "%_\\".contains(character) ? "\\\(character)" : String(character) }
            let bound = bind(.text("%\(pattern)%"))
            conditions.append(
                """
                (lower(u.email) LIKE \(bound) ESCAPE '\\' OR EXISTS (
                    SELECT 1 FROM user_name n WHERE n."user" = u.id AND n.name_key LIKE \(bound) ESCAPE '\\'))
                """)
        }
        return try users(where: conditions.isEmpty ? "1 = 1" : conditions.joined(separator: " AND "), values, limit: limit)
    }

    private func users(where condition: String, _ values: [SQLValue], limit: Int) throws(StoreError) -> [UserRecord] {
        let columns =
            "u.id, u.name, u.name_key, u.status, u.password_hash IS NOT NULL, u.email, u.phone, u.time_zone, u.created, "
            + "u.nt_hash IS NOT NULL, u.clear_password IS NOT NULL, u.must_change, u.directory, u.most_sessions"
        let page = "FROM \"user\" u WHERE \(condition) ORDER BY u.name_key LIMIT \(max(0, limit))"
        let names = """
            SELECT n."user", n.name, n.name_key FROM user_name n
            WHERE n.is_alias <> 0 AND n."user" IN (SELECT u.id \(page)) ORDER BY n."user", n.name_key
            """
        let statements = [
            Statement(SQL(composed: "SELECT \(columns) \(page)"), values), Statement(SQL(composed: names), values),
        ]
        return try read(statements) { results throws(DatabaseError) in
            var aliases: [Int64: [UserAlias]] = [:]
            for row in results[1] {
                aliases[try row.integer(0), default: []].append(UserAlias(name: try row.text(1), key: try row.text(2)))
            }
            var users: [UserRecord] = []
            for row in results[0] {
                guard let status = UserStatus(rawValue: try row.text(3)) else { throw .unexpectedValue(3) }
                let id = try row.integer(0)
                var user =
                    UserRecord(
                        id: id, name: try row.text(1), key: try row.text(2), status: status, hasPassword: try row.flag(4),
                        email: try row.textIfAny(5), phone: try row.textIfAny(6), timeZone: try row.textIfAny(7),
                        aliases: aliases[id] ?? [], created: Timestamp(microseconds: try row.integer(8)))
                user.mustChangePassword = try row.flag(11)
                user.home = try row.integerIfAny(12).map { PasswordHome(stored: $0) }
                user.mostSessions = try row.integerIfAny(13).map { Int($0) }
                if try row.flag(9) { user.keptSchemes.formUnion(.needNTHash) }
                if try row.flag(10) { user.keptSchemes.formUnion(.needText) }
                users.append(user)
            }
            return users
        }
    }
}

extension SQL {
    static let userIsThere = SQL("SELECT 1 FROM \"user\" WHERE id = ?1")
    fileprivate static let statusOfUser = SQL("SELECT status FROM \"user\" WHERE id = ?1")
    fileprivate static let findName = SQL("SELECT 1 FROM user_name WHERE name_key = ?1")
    fileprivate static let findOtherName = SQL("SELECT 1 FROM user_name WHERE name_key = ?1 AND \"user\" <> ?2")
    /// Of another user, or this one's login name.
    fileprivate static let findTakenName = SQL("SELECT 1 FROM user_name WHERE name_key = ?1 AND (\"user\" <> ?2 OR is_alias = 0)")
    fileprivate static let insertUser = SQL(
        """
        INSERT INTO "user" (name, name_key, status, email, phone, time_zone, created, directory, most_sessions)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING RETURNING id
        """)
    fileprivate static let insertName = SQL("INSERT INTO user_name (name_key, \"user\", name, is_alias) VALUES (?1, ?2, ?3, ?4)")
    fileprivate static let dropLoginName = SQL("DELETE FROM user_name WHERE \"user\" = ?1 AND is_alias = 0")
    fileprivate static let dropName = SQL("DELETE FROM user_name WHERE name_key = ?1 AND \"user\" = ?2")
    fileprivate static let dropAliases = SQL("DELETE FROM user_name WHERE \"user\" = ?1 AND is_alias <> 0")
    fileprivate static let updateUser = SQL(
        """
        UPDATE "user" SET name = ?2, name_key = ?3, email = ?5, phone = ?6, time_zone = ?7, most_sessions = ?8,
            sync_disabled = CASE WHEN status = ?4 THEN sync_disabled ELSE 0 END, status = ?4
        WHERE id = ?1
        """)
    fileprivate static let setUserDirectory = SQL(
        "UPDATE \"user\" SET directory = ?2, entry_directory = NULL, entry_key = NULL WHERE id = ?1")
    fileprivate static let expirePassword = SQL(
        "UPDATE \"user\" SET must_change = 1, password_revision = password_revision + 1 WHERE id = ?1")
    fileprivate static let setStatus = SQL("UPDATE \"user\" SET status = ?2, sync_disabled = 0 WHERE id = ?1")
    fileprivate static let deleteUser = SQL("DELETE FROM \"user\" WHERE id = ?1")
    fileprivate static let countLimitedUsers = SQL("SELECT count(*) FROM \"user\" WHERE most_sessions IS NOT NULL")
    fileprivate static let countUsers = SQL("SELECT count(*) FROM \"user\"")
}
