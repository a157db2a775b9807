// SPDX-License-Identifier: Apache-2.0
// What is known here of a directory's users and groups, and the writing of what a sync found: each call is one transaction.

package import LoginEngine

/// A user who belongs to one directory.
package struct SyncedUser: Sendable, Equatable {
    package struct Alias: Sendable, Equatable {
        package var name: String
        package var key: String
        /// It came with a sync, and goes with one.
        package var isSynced: Bool
    }

    package var id: Int64
    package var name: String
    package var key: String
    package var status: UserStatus
    package var email: String?
    package var phone: String?
    package var home: PasswordHome?
    /// The entry of this directory; nil: not known yet.
    package var entry: String?
    /// A sync disabled the user, not an administrator.
    package var isDisabledBySync: Bool
    package var aliases: [Alias] = []
}

package struct SyncedGroup: Sendable, Equatable {
    package var id: Int64
    package var name: String
    /// The entry of this directory; nil: none, or another's.
    package var entry: String?
    /// It is an entry of another directory.
    package var isOfAnother: Bool
}

/// In one view: what a sync is compared with.
package struct SyncState: Sendable {
    /// Whose passwords live at the directory, or who are known as its entries.
    package var users: [SyncedUser] = []
    /// Every name of everybody, and whose it is.
    package var names: [String: Int64] = [:]
    /// All groups.
    package var groups: [SyncedGroup] = []
    /// Direct members of the directory's groups, and of those that are named as if they were.
    package var members: [Int64: [Int64]] = [:]
    /// Groups in them.
    package var inner: [Int64: [Int64]] = [:]

    package init() {}
}

package struct NewSyncedUser: Sendable {
    package var name: String
    package var key: String
    package var email: String?
    package var phone: String?
    package var entry: String
    package var aliases: [UserAlias]
    package var groups: [Int64]
    package var event: Event

    package init(name: String, key: String, entry: String, aliases: [UserAlias], groups: [Int64], event: Event) {
        (self.name, self.key, self.entry, self.aliases, self.groups, self.event) = (name, key, entry, aliases, groups, event)
    }
}

package struct SyncedUserChange: Sendable {
    package var id: Int64
    package var name: String
    package var key: String
    package var status: UserStatus
    package var isDisabledBySync: Bool
    package var email: String?
    package var phone: String?
    package var entry: String
    /// Where the password lives from then on.
    package var home: PasswordHome?
    /// As the user was when it was planned; whom somebody changed meanwhile is left alone.
    package var was: SyncedUser
    /// Keys of names that go.
    package var drops: [String] = []
    package var aliases: [UserAlias] = []
    /// The login name is another one.
    package var isRenamed = false
    /// Logins that began before are not ended by what was known then.
    package var dropsHandles = false
    package var event: Event

    package init(_ user: SyncedUser, was: SyncedUser, entry: String, event: Event) {
        (id, name, key, status, email, phone) = (user.id, user.name, user.key, user.status, user.email, user.phone)
        (home, self.was) = (user.home, was)
        isDisabledBySync = user.isDisabledBySync
        self.entry = entry
        self.event = event
    }
}

package struct SyncedMembers: Sendable {
    package var group: Int64
    package var joins: [Int64] = []
    package var leaves: [Int64] = []
    package var events: [Event] = []

    package init(group: Int64) {
        self.group = group
    }
}

/// How a directory's syncs went.
package struct SyncRecord: Sendable, Equatable {
    package var directory: Int64
    /// Who works on it now; nil: nobody.
    package var claimedBy: String?
    package var claimedUntil: Timestamp?
    package var started: Timestamp?
    package var ended: Timestamp?
    package var succeeded: Timestamp?
    /// In a row.
    package var failures = 0
    package var problem: String?
    /// As JSON, of the last one that succeeded.
    package var counts: String?

    package init(directory: Int64) {
        self.directory = directory
    }
}

extension Records {
    // MARK: Reading

    /// - Parameters:
    ///   - prefix: what the names of its groups begin with.
    ///   - adopting: keys of names whose users are looked at too, wherever their passwords live.
    package func syncState(ofDirectory directory: Int64, groups prefix: String, adopting: [String] = []) throws(StoreError) -> SyncState {
        let id = SQLValue.integer(directory)
        let base = [
            Statement(.syncedUsers, [id]), Statement(.syncedAliases, [id]), Statement(.allNames), Statement(.allGroupEntries),
            Statement(.membersOfSynced, [id, .text(prefix)]), Statement(.innerOfSynced, [id, .text(prefix)]),
        ]
        let adopted = adopting.map { Statement(.userForAdoption, [id, .text($0)]) }
        return try read(base + adopted) { results throws(DatabaseError) in
            var state = SyncState()
            var places: [Int64: Int] = [:]
            for rows in [results[0]] + results[base.count...] {
                for row in rows {
                    let user = try Self.syncedUser(row)
                    guard places.updateValue(state.users.count, forKey: user.id) == nil else { continue }
                    state.users.append(user)
                }
            }
            for row in results[1] {
                guard let place = places[try row.integer(0)] else { continue }
                state.users[place].aliases.append(
                    SyncedUser.Alias(name: try row.text(1), key: try row.text(2), isSynced: try row.integer(3) == Self.syncedAlias))
            }
            state.names.reserveCapacity(results[2].count)
            for row in results[2] { state.names[try row.text(0)] = try row.integer(1) }
            for row in results[3] {
                let owner = try row.integerIfAny(2)
                state.groups.append(
                    SyncedGroup(
                        id: try row.integer(0), name: try row.text(1), entry: owner == directory ? try row.textIfAny(3) : nil,
                        isOfAnother: owner != nil && owner != directory))
            }
            for row in results[4] { state.members[try row.integer(0), default: []].append(try row.integer(1)) }
            for row in results[5] { state.inner[try row.integer(0), default: []].append(try row.integer(1)) }
            return state
        }
    }

    private static func syncedUser(_ row: Row) throws(DatabaseError) -> SyncedUser {
        guard let status = UserStatus(rawValue: try row.text(3)) else { throw .unexpectedValue(3) }
        return SyncedUser(
            id: try row.integer(0), name: try row.text(1), key: try row.text(2), status: status, email: try row.textIfAny(4),
            phone: try row.textIfAny(5), home: try row.integerIfAny(6).map { PasswordHome(stored: $0) }, entry: try row.textIfAny(7),
            isDisabledBySync: try row.flag(8))
    }

    /// In user_name.is_alias: a login name is 0, what was given here is 1.
    static let syncedAlias: Int64 = 2

    /// Whether a sync disabled the user, and not an administrator.
    package func isDisabledBySync(user: Int64) throws(StoreError) -> Bool {
        try read([Statement(.disabledBySync, [.integer(user)])]) { results throws(DatabaseError) in !results[0].isEmpty }
    }

    package func syncRecords() throws(StoreError) -> [SyncRecord] {
        try read([Statement(.syncRecords)]) { results throws(DatabaseError) in
            var records: [SyncRecord] = []
            for row in results[0] {
                func time(_ column: Int) throws(DatabaseError) -> Timestamp? {
                    try row.integerIfAny(column).map { Timestamp(microseconds: $0) }
                }
                var record = SyncRecord(directory: try row.integer(0))
                (record.claimedBy, record.claimedUntil) = (try row.textIfAny(1), try time(2))
                (record.started, record.ended, record.succeeded) = (try time(3), try time(4), try time(5))
                record.failures = Int(try row.integer(6))
                (record.problem, record.counts) = (try row.textIfAny(7), try row.textIfAny(8))
                records.append(record)
            }
            return records
        }
    }

    // MARK: One at a time

    /// - Returns: whether nobody else has it.
    package func claimSync(
        ofDirectory directory: Int64, by claimant: String, at now: Timestamp, until: Timestamp, begins: Bool
    ) async throws(StoreError) -> Bool {
        let id = SQLValue.integer(directory)
        let unit = Unit(guarded: [
            Unit.Guard(Statement(.directoryIsThere, [id])), Unit.Guard(Statement(.insertSync, [id]), rows: nil),
            Unit.Guard(
                Statement(
                    .claimSync,
                    [id, .text(claimant), .integer(now.microseconds), .integer(until.microseconds), .flag(begins)])),
        ])
        do throws(StoreError) {
            try await change(unit, refusals: [Self.noDirectory, Self.noDirectory, Self.claimed]) { _ in [] }
            return true
        } catch {
            if error == Self.claimed { return false }
            throw error
        }
    }

    private static let claimed = StoreError(.locked, "another sync of this directory is under way")

    /// - Parameter problem: nil: it succeeded.
    package func endSync(
        ofDirectory directory: Int64, by claimant: String, at now: Timestamp, counts: String?, problem: String?, event: Event?
    ) async throws(StoreError) {
        let values: [SQLValue] = [
            .integer(directory), .text(claimant), .integer(now.microseconds), .text(problem), .text(counts), .flag(problem == nil),
        ]
        try await change(Unit([Statement(.endSync, values)])) { _ in event.map { [$0] } ?? [] }
    }

    // MARK: Writing

    /// - Throws: `.notAllowed` where somebody has one of the names or is one of the entries by now; nothing is written then.
    package func addSynced(_ users: [NewSyncedUser], directory: Int64, at now: Timestamp) async throws(StoreError) {
        var guards = [Unit.Guard(Statement(.directoryIsThere, [.integer(directory)]))]
        for user in users {
            for key in [user.key] + user.aliases.map(\.key) { guards.append(Unit.Guard(Statement(.nameInSync, [.text(key)]), rows: 0)) }
        }
        let first = guards.count
        guards += users.map { user in
            Unit.Guard(
                Statement(
                    .insertSyncedUser,
                    [
                        .text(user.name), .text(user.key), .text(user.email), .text(user.phone), .integer(now.microseconds),
                        .integer(directory), .text(user.entry),
                    ]))
        }
        let unit = Unit(guarded: guards) { rows in
            var statements: [Statement] = []
            for (index, user) in users.enumerated() {
                guard let id = try? rows[first + index].first?.integer(0) else { return [] }
                statements.append(Self.insertName(UserAlias(name: user.name, key: user.key), of: id, kind: 0))
                statements += user.aliases.map { Self.insertName($0, of: id, kind: Self.syncedAlias) }
                statements += user.groups.map { Statement(.insertMembershipIfAny, [.integer($0), .integer(id)]) }
            }
            return statements + [Statement(.raiseRevision)]
        }
        try await change(unit) { rows in
            users.enumerated().map { $1.event.about(user: try? rows[first + $0].first?.integer(0)) }
        }
    }

    /// Of a user of whom nobody says where the password lives; no row has that number.
    private static let noHome: Int64 = -1

    /// Names may go from one of these users to another.
    ///
    /// - Throws: as `addSynced`.
    package func changeSynced(_ changes: [SyncedUserChange], directory: Int64) async throws(StoreError) {
        var guards = [Unit.Guard(Statement(.directoryIsThere, [.integer(directory)]))]
        let own = Set(changes.map(\.id))
        for change in changes {
            guards.append(
                Unit.Guard(
                    Statement(
                        .userOfSync,
                        [
                            .integer(change.id), .integer(directory), .text(change.entry), .text(change.was.status.rawValue),
                            .flag(change.was.isDisabledBySync), .integer(change.was.home?.stored ?? Self.noHome),
                        ])))
            for key in [change.key] + change.aliases.map(\.key) {
                guards.append(
                    Unit.Guard(
                        Statement(.ownerInSync, [.text(key)]), rows: nil,
                        admits: { rows in rows.allSatisfy { row in (try? row.integer(0)).map { own.contains($0) } ?? false } }))
            }
        }
        let unit = Unit(guarded: guards) { _ in
            var statements: [Statement] = []
            for change in changes {
                statements += change.drops.map { Statement(.dropNameInSync, [.text($0), .integer(change.id)]) }
                // Until all have their new one: the one that is wanted may be another's of these.
                if change.isRenamed { statements.append(Statement(.clearKey, [.integer(change.id), .text("\u{1}\(change.id)")])) }
            }
            for change in changes {
                let id = SQLValue.integer(change.id)
                statements.append(
                    Statement(
                        .updateSyncedUser,
                        [
                            id, .text(change.name), .text(change.key), .text(change.status.rawValue), .text(change.email),
                            .text(change.phone), .integer(directory), .text(change.entry), .flag(change.isDisabledBySync),
                            .integer(change.home?.stored),
                        ]))
                statements.append(Statement(.renameInSync, [.text(change.key), id, .text(change.name)]))
                if change.isRenamed {
                    statements.append(Self.insertName(UserAlias(name: change.name, key: change.key), of: change.id, kind: 0))
                }
                statements += change.aliases.map { Self.insertName($0, of: change.id, kind: Self.syncedAlias) }
                if change.dropsHandles { statements.append(Self.dropOpenHandles(ofUser: change.id, at: change.event.at)) }
            }
            return statements + [Statement(.raiseRevision)]
        }
        try await change(unit) { _ in changes.map { $0.event.about(user: $0.id) } }
    }

    /// - Returns: their rows, in order.
    package func addSyncedGroups(
        _ groups: [(name: String, entry: String, event: Event)], directory: Int64
    ) async throws(StoreError) -> [Int64] {
        let guards =
            [Unit.Guard(Statement(.directoryIsThere, [.integer(directory)]))]
            + groups.map { Unit.Guard(Statement(.insertSyncedGroup, [.text($0.name), .integer(directory), .text($0.entry)])) }
        let rows = try await change(Unit(guarded: guards, then: { _ in [Statement(.raiseRevision)] })) { _ in groups.map(\.event) }
        do throws(DatabaseError) {
            var ids: [Int64] = []
            for index in groups.indices { ids.append(try rows[1 + index][0].integer(0)) }
            return ids
        } catch {
            throw StoreError(error)
        }
    }

    /// Names may go from one of these groups to another. One that was not known as an entry is from now on.
    package func changeSyncedGroups(
        _ groups: [(id: Int64, name: String, entry: String, event: Event)], directory: Int64
    ) async throws(StoreError) {
        let guards = groups.map { Unit.Guard(Statement(.findGroup, [.integer($0.id)])) }
        let unit = Unit(guarded: guards) { _ in
            groups.map { Statement(.clearGroupName, [.integer($0.id), .text("\u{1}\($0.id)")]) }
                + groups.map { Statement(.setGroupEntry, [.integer($0.id), .text($0.name), .integer(directory), .text($0.entry)]) }
                + [Statement(.raiseRevision)]
        }
        try await change(unit) { _ in groups.map(\.event) }
    }

    /// Whoever is gone meanwhile does not join.
    package func changeMembers(_ groups: [SyncedMembers]) async throws(StoreError) {
        let unit = Unit { _ in
            var statements: [Statement] = []
            for members in groups {
                let group = SQLValue.integer(members.group)
                statements += members.leaves.map { Statement(.deleteMembership, [group, .integer($0)]) }
                statements += members.joins.map { Statement(.insertMembershipIfAny, [group, .integer($0)]) }
            }
            return statements + [Statement(.raiseRevision)]
        }
        try await change(unit) { _ in groups.flatMap(\.events) }
    }

    /// - Parameter links: which groups are in which, and whether they come or go. Those that go come first.
    package func changeInner(
        _ links: [(group: Int64, member: Int64, joins: Bool)], events: [Event]
    ) async throws(StoreError) {
        let unit = Unit { _ in
            links.map { Statement($0.joins ? .insertGroupInGroupIfAny : .deleteGroupInGroup, [.integer($0.group), .integer($0.member)]) }
                + [Statement(.raiseRevision)]
        }
        try await change(unit) { _ in events }
    }

    private static func insertName(_ name: UserAlias, of user: Int64, kind: Int64) -> Statement {
        Statement(.insertNameInSync, [.text(name.key), .integer(user), .text(name.name), .integer(kind)])
    }
}

extension SQL {
    static let forgetGroupEntries = SQL("UPDATE \"group\" SET entry_directory = NULL, entry_key = NULL WHERE entry_directory = ?1")
    fileprivate static let syncedUsers = SQL(
        """
        SELECT u.id, u.name, u.name_key, u.status, u.email, u.phone, u.directory,
            CASE WHEN u.entry_directory = ?1 THEN u.entry_key END, u.sync_disabled
        FROM "user" u WHERE u.directory = ?1 OR u.entry_directory = ?1 ORDER BY u.id
        """)
    fileprivate static let userForAdoption = SQL(
        """
        SELECT u.id, u.name, u.name_key, u.status, u.email, u.phone, u.directory,
            CASE WHEN u.entry_directory = ?1 THEN u.entry_key END, u.sync_disabled
        FROM "user" u WHERE u.name_key = ?2
        """)
    fileprivate static let syncedAliases = SQL(
        """
        SELECT n."user", n.name, n.name_key, n.is_alias FROM user_name n JOIN "user" u ON u.id = n."user"
        WHERE n.is_alias <> 0 AND (u.directory = ?1 OR u.entry_directory = ?1) ORDER BY n."user", n.name_key
        """)
    fileprivate static let allNames = SQL("SELECT name_key, \"user\" FROM user_name")
    fileprivate static let allGroupEntries = SQL("SELECT id, name, entry_directory, entry_key FROM \"group\" ORDER BY id")
    fileprivate static let membersOfSynced = SQL(
        """
        SELECT m."group", m."user" FROM membership m JOIN "group" g ON g.id = m."group"
        WHERE g.entry_directory = ?1 OR g.entry_directory IS NULL AND substr(g.name, 1, length(?2)) = ?2 ORDER BY m."group", m."user"
        """)
    fileprivate static let innerOfSynced = SQL(
        """
        SELECT i."group", i.member FROM group_in_group i JOIN "group" g ON g.id = i."group"
        WHERE g.entry_directory = ?1 OR g.entry_directory IS NULL AND substr(g.name, 1, length(?2)) = ?2 ORDER BY i."group", i.member
        """)
    fileprivate static let syncRecords = SQL(
        """
        SELECT directory, claimed_by, claimed_until, started, ended, succeeded, failures, problem, counts FROM directory_sync
        ORDER BY directory
        """)
    fileprivate static let disabledBySync = SQL("SELECT 1 FROM \"user\" WHERE id = ?1 AND status = 'disabled' AND sync_disabled = 1")
    fileprivate static let insertSync = SQL("INSERT INTO directory_sync (directory) VALUES (?1) ON CONFLICT DO NOTHING")
    fileprivate static let claimSync = SQL(
        """
        UPDATE directory_sync SET claimed_by = ?2, claimed_until = ?4, started = CASE WHEN ?5 = 1 THEN ?3 ELSE started END
        WHERE directory = ?1 AND (claimed_until IS NULL OR claimed_until <= ?3 OR claimed_by = ?2)
        """)
    fileprivate static let endSync = SQL(
        """
        UPDATE directory_sync SET claimed_by = NULL, claimed_until = NULL, ended = ?3, problem = ?4,
            succeeded = CASE WHEN ?6 = 1 THEN ?3 ELSE succeeded END, failures = CASE WHEN ?6 = 1 THEN 0 ELSE failures + 1 END,
            counts = COALESCE(?5, counts)
        WHERE directory = ?1 AND claimed_by = ?2
        """)
    fileprivate static let nameInSync = SQL("SELECT 1 FROM user_name WHERE name_key = ?1")
    fileprivate static let ownerInSync = SQL("SELECT \"user\" FROM user_name WHERE name_key = ?1")
    fileprivate static let userOfSync = SQL(
        """
        SELECT 1 FROM "user" WHERE id = ?1 AND (entry_directory IS NULL OR entry_directory = ?2 AND entry_key = ?3)
            AND status = ?4 AND sync_disabled = ?5 AND COALESCE(directory, -1) = ?6
        """)
    fileprivate static let insertSyncedUser = SQL(
        """
        INSERT INTO "user" (name, name_key, status, email, phone, created, directory, entry_directory, entry_key)
        VALUES (?1, ?2, 'active', ?3, ?4, ?5, ?6, ?6, ?7) ON CONFLICT DO NOTHING RETURNING id
        """)
    fileprivate static let updateSyncedUser = SQL(
        """
        UPDATE "user" SET name = ?2, name_key = ?3, status = ?4, email = ?5, phone = ?6, directory = ?10, entry_directory = ?7,
            entry_key = ?8, sync_disabled = ?9
        WHERE id = ?1
        """)
    fileprivate static let clearKey = SQL("UPDATE \"user\" SET name_key = ?2 WHERE id = ?1")
    fileprivate static let dropNameInSync = SQL("DELETE FROM user_name WHERE name_key = ?1 AND \"user\" = ?2")
    fileprivate static let renameInSync = SQL("UPDATE user_name SET name = ?3 WHERE name_key = ?1 AND \"user\" = ?2 AND is_alias = 0")
    fileprivate static let insertNameInSync = SQL("INSERT INTO user_name (name_key, \"user\", name, is_alias) VALUES (?1, ?2, ?3, ?4)")
    fileprivate static let insertMembershipIfAny = SQL(
        """
        INSERT INTO membership ("group", "user") SELECT g.id, u.id FROM "group" g, "user" u WHERE g.id = ?1 AND u.id = ?2
        ON CONFLICT DO NOTHING
        """)
    fileprivate static let insertGroupInGroupIfAny = SQL(
        """
        INSERT INTO group_in_group ("group", member) SELECT g.id, i.id FROM "group" g, "group" i WHERE g.id = ?1 AND i.id = ?2
        ON CONFLICT DO NOTHING
        """)
    fileprivate static let insertSyncedGroup = SQL(
        "INSERT INTO \"group\" (name, entry_directory, entry_key) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING RETURNING id")
    fileprivate static let clearGroupName = SQL("UPDATE \"group\" SET name = ?2 WHERE id = ?1")
    fileprivate static let setGroupEntry = SQL("UPDATE \"group\" SET name = ?2, entry_directory = ?3, entry_key = ?4 WHERE id = ?1")
}
