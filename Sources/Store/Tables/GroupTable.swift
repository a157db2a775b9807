// SPDX-License-Identifier: Apache-2.0
// group, membership and group_in_group: named sets of users, which may contain one another, but never in a circle.

package import LoginEngine

package struct GroupRecord: Sendable, Equatable {
    package var id: Int64
    package var name: String
    /// Direct members.
    package var users: Int
    package var groups: Int
    /// What goes out with an accept of its members.
    package var reply: [ReplySetting]
    /// How many sessions each member may have open at once; nil: any number.
    package var mostSessions: Int?
    /// Where the passwords of its members live; nil: it does not say.
    package var home: PasswordHome?
}

package enum GroupMember: Sendable, Equatable {
    case user(Int64)
    case group(Int64)
}

extension Records {
    package func addGroup(name: String, event: Event) async throws(StoreError) -> Int64 {
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.insertUserGroup, [.text(name)]))], then: { _ in [Statement(.raiseRevision)] })
        let rows = try await change(unit, refusals: [Self.groupTaken(name)]) { _ in [event] }
        do throws(DatabaseError) { return try rows[0][0].integer(0) } catch { throw StoreError(error) }
    }

    package func renameGroup(_ group: Int64, to name: String, event: Event) async throws(StoreError) {
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.findGroup, [.integer(group)])),
                Unit.Guard(Statement(.findGroupName, [.text(name), .integer(group)]), rows: 0),
                Unit.Guard(Statement(.renameGroup, [.integer(group), .text(name)])),
            ], then: { _ in [Statement(.raiseRevision)] })
        try await change(unit, refusals: [Self.noGroup(group), Self.groupTaken(name)]) { _ in [event] }
    }

    package func setReply(ofGroup group: Int64, _ reply: [ReplySetting], event: Event) async throws(StoreError) {
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.setGroupReply, [.integer(group), .text(ReplyBody.json(reply))]))],
            then: { _ in [Statement(.raiseRevision)] })
        try await change(unit, refusals: [Self.noGroup(group)]) { _ in [event] }
    }

    package func setMostSessions(_ most: Int?, ofGroup group: Int64, event: Event) async throws(StoreError) {
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.setGroupSessions, [.integer(group), .integer(most.map { Int64($0) })]))],
            then: { _ in [Statement(.raiseRevision)] })
        try await change(unit, refusals: [Self.noGroup(group)]) { _ in [event] }
    }

    /// Whoever began to log in by what was said before begins again.
    package func setHome(_ home: PasswordHome?, ofGroup group: Int64, event: Event) async throws(StoreError) {
        let unit = Unit(
            guarded: Self.guards(of: home) + [Unit.Guard(Statement(.setGroupHome, [.integer(group), .integer(home?.stored)]))],
            then: { _ in [Self.dropOpenHandles(at: event.at), Statement(.raiseRevision)] })
        try await change(unit, refusals: Self.refusals(of: home) + [Self.noGroup(group)]) { _ in [event] }
    }

    package func removeGroup(_ group: Int64, event: Event) async throws(StoreError) {
        let unit = Unit(
            guarded: [
                Unit.Guard(Statement(.policyOfGroup, [.integer(group)]), rows: 0),
                Unit.Guard(Statement(.deleteGroup, [.integer(group)])),
            ], then: { _ in [Statement(.raiseRevision)] })
        let named = StoreError(.notAllowed, "a policy names this group", remedy: "Change the policy first.")
        try await change(unit, refusals: [named, Self.noGroup(group)]) { _ in [event] }
    }

    package func addMember(_ member: GroupMember, toGroup group: Int64, event: Event) async throws(StoreError) {
        let id = SQLValue.integer(group)
        let already = StoreError(.notAllowed, "is a member already")
        switch member {
        case .user(let user):
            let unit = Unit(
                guarded: [
                    Unit.Guard(Statement(.findGroup, [id])), Unit.Guard(Statement(.userIsThere, [.integer(user)])),
                    Unit.Guard(Statement(.insertMembership, [id, .integer(user)])),
                ], then: { _ in [Statement(.raiseRevision)] })
            try await change(unit, refusals: [Self.noGroup(group), Self.noUser, already]) { _ in [event.about(user: user)] }
        case .group(let inner):
            let unit = Unit(
                guarded: [
                    Unit.Guard(Statement(.findGroup, [id])), Unit.Guard(Statement(.findGroup, [.integer(inner)])),
                    Unit.Guard(Statement(.findCircle, [id, .integer(inner)]), rows: 0),
                    Unit.Guard(Statement(.insertGroupInGroup, [id, .integer(inner)])),
                ], then: { _ in [Statement(.raiseRevision)] })
            let circle = StoreError(.notAllowed, "the group would contain itself")
            try await change(unit, refusals: [Self.noGroup(group), Self.noGroup(inner), circle, already]) { _ in [event] }
        }
    }

    package func removeMember(_ member: GroupMember, fromGroup group: Int64, event: Event) async throws(StoreError) {
        let id = SQLValue.integer(group)
        let (statement, user): (Statement, Int64?) =
            switch member {
            case .user(let user): (Statement(.deleteMembership, [id, .integer(user)]), user)
            case .group(let inner): (Statement(.deleteGroupInGroup, [id, .integer(inner)]), nil)
            }
        let unit = Unit(guarded: [Unit.Guard(statement)], then: { _ in [Statement(.raiseRevision)] })
        try await change(unit, refusals: [StoreError(.notFound, "is not a member")]) { _ in [event.about(user: user)] }
    }

    package func groups() throws(StoreError) -> [GroupRecord] {
        try read([Statement(.groups)]) { results throws(DatabaseError) in try Self.groups(results[0]) }
    }

    package func group(name: String) throws(StoreError) -> GroupRecord? {
        try groups().first { $0.name == name }
    }

    /// - Parameter nested: whether groups that contain the user's groups count too.
    package func groups(ofUser user: Int64, nested: Bool = true) throws(StoreError) -> [GroupRecord] {
        try read([Statement(nested ? .groupsOfUser : .directGroupsOfUser, [.integer(user)])]) { results throws(DatabaseError) in
            try Self.groups(results[0])
        }
    }

    package func members(ofGroup group: Int64) throws(StoreError) -> [GroupMember] {
        try read([Statement(.groupMembers, [.integer(group)]), Statement(.userMembers, [.integer(group)])]) {
            results throws(DatabaseError) in
            var members: [GroupMember] = []
            for row in results[0] { members.append(.group(try row.integer(0))) }
            for row in results[1] { members.append(.user(try row.integer(0))) }
            return members
        }
    }

    /// Login names of the direct members, in order.
    package func userNames(inGroup group: Int64) throws(StoreError) -> [String] {
        try read([Statement(.namesOfMembers, [.integer(group)])]) { results throws(DatabaseError) in
            var names: [String] = []
            for row in results[0] { names.append(try row.text(0)) }
            return names
        }
    }

    static func noGroup(_ id: Int64) -> StoreError { StoreError(.notFound, "there is no such group", at: "group \(id)") }

    static func groupTaken(_ name: String) -> StoreError { StoreError(.nameTaken, "there is a group of this name", at: name) }

    private static func groups(_ rows: Rows) throws(DatabaseError) -> [GroupRecord] {
        var groups: [GroupRecord] = []
        for row in rows {
            guard let reply = ReplyBody.settings(try row.text(4)) else { throw .unexpectedValue(4) }
            groups.append(
                GroupRecord(
                    id: try row.integer(0), name: try row.text(1), users: Int(try row.integer(2)), groups: Int(try row.integer(3)),
                    reply: reply, mostSessions: try row.integerIfAny(5).map { Int($0) },
                    home: try row.integerIfAny(6).map { PasswordHome(stored: $0) }))
        }
        return groups
    }
}

extension SQL {
    static let findGroup = SQL("SELECT 1 FROM \"group\" WHERE id = ?1")
    static let insertMembership = SQL("INSERT INTO membership (\"group\", \"user\") VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    fileprivate static let findGroupName = SQL("SELECT 1 FROM \"group\" WHERE name = ?1 AND id <> ?2")
    static let insertUserGroup = SQL("INSERT INTO \"group\" (name) VALUES (?1) ON CONFLICT DO NOTHING RETURNING id")
    static let setGroupHome = SQL("UPDATE \"group\" SET directory = ?2 WHERE id = ?1")
    static let setGroupReply = SQL("UPDATE \"group\" SET reply = ?2 WHERE id = ?1")
    static let setGroupSessions = SQL("UPDATE \"group\" SET most_sessions = ?2 WHERE id = ?1")
    fileprivate static let renameGroup = SQL("UPDATE \"group\" SET name = ?2 WHERE id = ?1")
    static let deleteGroup = SQL("DELETE FROM \"group\" WHERE id = ?1")
    static let insertGroupInGroup = SQL(
        "INSERT INTO group_in_group (\"group\", member) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    static let deleteMembership = SQL("DELETE FROM membership WHERE \"group\" = ?1 AND \"user\" = ?2")
    static let deleteGroupInGroup = SQL("DELETE FROM group_in_group WHERE \"group\" = ?1 AND member = ?2")
    /// Whether ?2 contains ?1, at any depth, or is it.
    fileprivate static let findCircle = SQL(
        """
        WITH RECURSIVE inside (id) AS (
            SELECT ?2 UNION SELECT g.member FROM group_in_group g JOIN inside ON g."group" = inside.id)
        SELECT 1 FROM inside WHERE id = ?1
        """)
    fileprivate static let groups = SQL(
        """
        SELECT g.id, g.name, (SELECT count(*) FROM membership m WHERE m."group" = g.id),
            (SELECT count(*) FROM group_in_group i WHERE i."group" = g.id), g.reply, g.most_sessions, g.directory
        FROM "group" g ORDER BY g.name
        """)
    fileprivate static let directGroupsOfUser = SQL(
        """
        SELECT g.id, g.name, (SELECT count(*) FROM membership m WHERE m."group" = g.id),
            (SELECT count(*) FROM group_in_group i WHERE i."group" = g.id), g.reply, g.most_sessions, g.directory
        FROM "group" g WHERE g.id IN (SELECT m."group" FROM membership m WHERE m."user" = ?1) ORDER BY g.name
        """)
    fileprivate static let groupsOfUser = SQL(
        """
        WITH RECURSIVE around (id) AS (
            SELECT m."group" FROM membership m WHERE m."user" = ?1
            UNION SELECT i."group" FROM group_in_group i JOIN around ON i.member = around.id)
        SELECT g.id, g.name, (SELECT count(*) FROM membership m WHERE m."group" = g.id),
            (SELECT count(*) FROM group_in_group i WHERE i."group" = g.id), g.reply, g.most_sessions, g.directory
        FROM "group" g WHERE g.id IN (SELECT id FROM around) ORDER BY g.name
        """)
    fileprivate static let groupMembers = SQL("SELECT member FROM group_in_group WHERE \"group\" = ?1 ORDER BY member")
    fileprivate static let namesOfMembers = SQL(
        "SELECT u.name FROM membership m JOIN \"user\" u ON u.id = m.\"user\" WHERE m.\"group\" = ?1 ORDER BY u.name_key")
    fileprivate static let userMembers = SQL("SELECT \"user\" FROM membership WHERE \"group\" = ?1 ORDER BY \"user\"")
}
