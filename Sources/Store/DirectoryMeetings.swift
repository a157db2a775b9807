// SPDX-License-Identifier: Apache-2.0
// What a directory says of somebody whose password was right there: read what is known here, write what is new.

internal import Dispatch
package import LoginEngine

extension Records {
    /// Reads on a queue of its own: whoever calls may be a thread that hands out work, and the writer has better to do.
    package func meet(_ meeting: DirectoryMeeting, completion: @escaping @Sendable (MeetingOutcome) -> Void) {
        meetings.async { [self] in
            let plan: MeetingPlan
            do throws(DatabaseError) {
                plan = try self.plan(meeting)
            } catch {
                return completion(.failed(.databaseUnavailable))
            }
            switch plan {
            case .same: completion(.same)
            case .refused(let reason): completion(.refused(reason))
            case .known(let key): completion(.changed(key: key))
            case .change(let key, let unit, let event):
                writer.submit(
                    GroupCommit.Submission(unit, isChange: true, trail: .made(event)) { [meetings] outcome in
                        meetings.async {
                            switch outcome {
                            // Where another node was first, what it wrote is there now.
                            case .written(.done), .written(.refused): completion(.changed(key: key))
                            case .written(.failed): completion(.failed(.databaseUnavailable))
                            case .failed(let reason): completion(.failed(reason))
                            }
                        }
                    })
            }
        }
    }

    private enum MeetingPlan {
        case same
        case refused(RejectReason)
        /// Everything is as the directory says, of a user who was not found by what was typed.
        case known(key: String)
        case change(key: String, Unit, @Sendable ([Rows]) -> [Event])
    }

    /// A user as far as meetings go by one.
    private struct Known {
        var id: Int64
        var name: String
        var key: String
        var home: PasswordHome?
        var entry: (directory: Int64, key: String)?

        init?(_ row: Row?) throws(DatabaseError) {
            guard let row else { return nil }
            id = try row.integer(0)
            name = try row.text(1)
            key = try row.text(2)
            home = try row.integerIfAny(3).map { PasswordHome(stored: $0) }
            if let directory = try row.integerIfAny(4), let key = try row.textIfAny(5) { entry = (directory, key) }
        }
    }

    private func plan(_ meeting: DirectoryMeeting) throws(DatabaseError) -> MeetingPlan {
        let person = meeting.person
        let ownKey = person.name.flatMap { UserName.key(of: $0) }
        let found = try database.read([
            Statement(.userOfEntry, [.integer(person.directory), .text(person.key)]),
            Statement(.userForMeeting, [.integer(meeting.user ?? 0)]),
            Statement(.userByKeyForMeeting, [.text(ownKey ?? "")]),
            Statement(.groupsBelow, [.text(DirectoryPerson.groupName("", of: person.directoryName))]),
        ])
        let ofEntry = try Known(found[0].first)
        var groups: [(id: Int64, name: String)] = []
        for row in found[3] { groups.append((try row.integer(0), try row.text(1))) }
        let wanted = Set(person.groups.map { DirectoryPerson.groupName($0, of: person.directoryName).lowercased() })
        if meeting.user != nil {
            guard let user = try Known(found[1].first) else { return .refused(.changedMeanwhile) }
            if let entry = user.entry, entry != (person.directory, person.key) { return .refused(.directoryEntryChanged) }
            if let ofEntry, ofEntry.id != user.id { return .refused(.directoryEntryChanged) }
            return try change(user, meeting, groups, wanted)
        }
        if let ofEntry { return try change(ofEntry, meeting, groups, wanted) }
        guard person.creates else {
            // Nobody's here, and the directory decides alone; but it says by which other names it knows the same person.
            for name in [person.name].compactMap({ $0 }) + person.aliases {
                guard let key = UserName.key(of: name) else { continue }
                guard try database.read([Statement(.nameForMeeting, [.text(key)])])[0].isEmpty else { return .refused(.directoryNameTaken) }
            }
            return .same
        }
        guard let ownKey, let name = person.name else { return .refused(.directoryEntryUnfit) }
        if let namesake = try Known(found[2].first) {
            // The same name in the same directory is the same person, unless it is known to be another.
            guard namesake.home == .directory(person.directory), namesake.entry == nil else { return .refused(.directoryNameTaken) }
            return try change(namesake, meeting, groups, wanted)
        }
        return try add(name, ownKey, meeting, groups.filter { wanted.contains($0.name.lowercased()) })
    }

    /// Those of these names that nobody has, each once.
    private func free(_ names: [String], but taken: Set<String> = []) throws(DatabaseError) -> [UserAlias] {
        var free: [UserAlias] = []
        for name in names {
            guard let key = UserName.key(of: name), !taken.contains(key), !free.contains(where: { $0.key == key }) else { continue }
            guard try database.read([Statement(.nameForMeeting, [.text(key)])])[0].isEmpty else { continue }
            free.append(UserAlias(name: name, key: key))
        }
        return free
    }

    /// Names that one user may come to have by logging in with them.
    private static let mostNames = 16

    private func change(
        _ user: Known, _ meeting: DirectoryMeeting, _ groups: [(id: Int64, name: String)], _ wanted: Set<String>
    ) throws(DatabaseError) -> MeetingPlan {
        let person = meeting.person
        let id = SQLValue.integer(user.id)
        let rows = try database.read([Statement(.membershipsOf, [id]), Statement(.namesOf, [id]), Statement(.groupsAround, [id])])
        var current: Set<Int64> = []
        for row in rows[0] { current.insert(try row.integer(0)) }
        var names: Set<String> = []
        for row in rows[1] { names.insert(try row.text(0)) }
        // Found by the directory's filter alone, which may go by what people write of themselves: the entry has to bear one of the names.
        if meeting.user != nil, user.entry == nil {
            let borne = ([person.name].compactMap { $0 } + person.aliases).compactMap { UserName.key(of: $0) }
            guard borne.contains(where: names.contains) else { return .refused(.directoryEntryChanged) }
        }
        // A sync keeps groups in groups: whoever is in one of these need not join the other, unless it is one that is left.
        var around = current
        if groups.allSatisfy({ !current.contains($0.id) || wanted.contains($0.name.lowercased()) }) {
            for row in rows[2] { around.insert(try row.integer(0)) }
        }
        var statements: [Statement] = []
        var changes: [String] = []
        for group in groups {
            let joins = wanted.contains(group.name.lowercased())
            guard joins ? !around.contains(group.id) : current.contains(group.id) else { continue }
            statements.append(Statement(joins ? .insertMembership : .deleteMembership, [.integer(group.id), id]))
            changes.append(joins ? "joins \(group.name)" : "leaves \(group.name)")
        }
        var aliases: [UserAlias] = []
        // Whose password lives there for what a group or a gateway says may be somebody else of the same name.
        if user.entry == nil, user.home == .directory(person.directory) {
            statements.append(Statement(.setEntry, [id, .integer(person.directory), .text(person.key)]))
            changes.append("known to \(person.directoryName)")
            aliases = try free(person.aliases, but: names)
        }
        if meeting.user == nil {
            // Otherwise the same name would meet a stranger again.
            guard names.count + aliases.count < Self.mostNames, let key = UserName.key(of: meeting.typed) else {
                return .refused(.directoryNameTaken)
            }
            if !names.contains(key), !aliases.contains(where: { $0.key == key }) {
                let typed = try free([meeting.typed], but: names)
                guard !typed.isEmpty else { return .refused(.directoryNameTaken) }
                aliases += typed
            }
        }
        statements += aliases.map { Self.insert($0, of: user.id, isAlias: true) }
        changes += aliases.map { _ in "another name" }
        if statements.isEmpty { return meeting.user == nil ? .known(key: user.key) : .same }
        let unit = Unit(
            guarded: [Unit.Guard(Statement(.userIsThere, [id]))]
                + aliases.map { Unit.Guard(Statement(.nameForMeeting, [.text($0.key)]), rows: 0) },
            then: { [statements] _ in statements + [Statement(.raiseRevision)] })
        let event = Event(
            .userChanged, at: meeting.at, user: user.id, details: [Event.Detail("change", changes.joined(separator: "; "))],
            actor: Self.actor(person))
        return .change(key: user.key, unit, { _ in [event] })
    }

    private func add(
        _ name: String, _ key: String, _ meeting: DirectoryMeeting, _ groups: [(id: Int64, name: String)]
    ) throws(DatabaseError) -> MeetingPlan {
        let person = meeting.person
        let aliases = try free([meeting.typed] + person.aliases, but: [key])
        if let typed = UserName.key(of: meeting.typed), typed != key, !aliases.contains(where: { $0.key == typed }) {
            return .refused(.directoryNameTaken)
        }
        let names = [UserAlias(name: name, key: key)] + aliases
        var guards = names.map { Unit.Guard(Statement(.nameForMeeting, [.text($0.key)]), rows: 0) }
        guards.append(Unit.Guard(Statement(.userOfEntry, [.integer(person.directory), .text(person.key)]), rows: 0))
        guards.append(Unit.Guard(Statement(.directoryIsThere, [.integer(person.directory)])))
        guards.append(
            Unit.Guard(
                Statement(
                    .insertNewcomer,
                    [
                        .text(name), .text(key), .text(UserStatus.active.rawValue), .text(person.email), .text(person.phone),
                        .integer(meeting.at.microseconds), .integer(person.directory), .text(person.key),
                    ])))
        let position = guards.count - 1
        let unit = Unit(guarded: guards) { rows in
            guard let id = try? rows[position].first?.integer(0) else { return [] }
            return names.enumerated().map { Self.insert($1, of: id, isAlias: $0 > 0) }
                + groups.map { Statement(.insertMembership, [.integer($0.id), .integer(id)]) } + [Statement(.raiseRevision)]
        }
        var subject = [PersonalFields.Field("name", name)]
        if let email = person.email { subject.append(PersonalFields.Field("email", email)) }
        if let phone = person.phone { subject.append(PersonalFields.Field("phone", phone)) }
        var details = [Event.Detail("directory", person.directoryName)]
        if !groups.isEmpty { details.append(Event.Detail("groups", groups.map(\.name).joined(separator: ", "))) }
        let event = Event(.userAdded, at: meeting.at, details: details, subject: PersonalFields(subject), actor: Self.actor(person))
        return .change(key: key, unit, { rows in [event.about(user: try? rows[position].first?.integer(0))] })
    }

    private static func actor(_ person: DirectoryPerson) -> PersonalFields {
        PersonalFields([PersonalFields.Field("actor", "directory \(person.directoryName)")])
    }
}

extension SQL {
    static let forgetEntries = SQL("UPDATE \"user\" SET entry_directory = NULL, entry_key = NULL WHERE entry_directory = ?1")
    fileprivate static let userOfEntry = SQL(
        """
        SELECT u.id, u.name, u.name_key, u.directory, u.entry_directory, u.entry_key FROM "user" u
        WHERE u.entry_directory = ?1 AND u.entry_key = ?2
        """)
    fileprivate static let userForMeeting = SQL(
        "SELECT u.id, u.name, u.name_key, u.directory, u.entry_directory, u.entry_key FROM \"user\" u WHERE u.id = ?1")
    fileprivate static let userByKeyForMeeting = SQL(
        """
        SELECT u.id, u.name, u.name_key, u.directory, u.entry_directory, u.entry_key FROM "user" u
        WHERE u.id = (SELECT n."user" FROM user_name n WHERE n.name_key = ?1)
        """)
    fileprivate static let groupsBelow = SQL(
        "SELECT id, name FROM \"group\" WHERE substr(name, 1, length(CAST(?1 AS TEXT))) = CAST(?1 AS TEXT) ORDER BY id")
    fileprivate static let membershipsOf = SQL("SELECT \"group\" FROM membership WHERE \"user\" = ?1")
    fileprivate static let groupsAround = SQL(
        """
        WITH RECURSIVE around (id) AS (
            SELECT m."group" FROM membership m WHERE m."user" = ?1
            UNION SELECT i."group" FROM group_in_group i JOIN around ON i.member = around.id)
        SELECT id FROM around
        """)
    fileprivate static let namesOf = SQL("SELECT name_key FROM user_name WHERE \"user\" = ?1")
    fileprivate static let nameForMeeting = SQL("SELECT 1 FROM user_name WHERE name_key = ?1")
    fileprivate static let setEntry = SQL("UPDATE \"user\" SET entry_directory = ?2, entry_key = ?3 WHERE id = ?1")
    fileprivate static let insertNewcomer = SQL(
        """
        INSERT INTO "user" (name, name_key, status, email, phone, created, directory, entry_directory, entry_key)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8) ON CONFLICT DO NOTHING RETURNING id
        """)
}
