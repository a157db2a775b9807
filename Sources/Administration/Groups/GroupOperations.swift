// SPDX-License-Identifier: Apache-2.0
// Groups: named sets of users and of other groups.

package import LoginEngine
internal import Store

package struct GroupSummary: Codable, Sendable, Equatable {
    package var name: String
    /// Direct members only.
    package var users: Int
    package var groups: Int
}

package struct GroupView: Codable, Sendable, Equatable {
    package var name: String
    package var users: [String]
    package var groups: [String]
    package var reply: [ReplySetting] = []
    /// How many sessions each member may have open at once; nil: any number.
    package var sessions: Int?
    /// Where its members' passwords live: a directory, or `local`; nil: it does not say.
    package var directory: String?
}

package struct GroupList: Codable, Sendable, Equatable {
    package var groups: [GroupSummary]
}

package struct AddGroup: AdminOperation {
    package static let verb = "group.add"
    package var name: String
    package var users: [String]
    package var groups: [String]
    package var reply: [ReplySetting]
    /// How many sessions each member may have open at once; nil or 0: any number.
    package var sessions: Int?
    /// Where its members' passwords live; nil: it does not say.
    package var directory: String?

    package init(
        name: String, users: [String] = [], groups: [String] = [], reply: [ReplySetting] = [], sessions: Int? = nil,
        directory: String? = nil
    ) {
        self.sessions = sessions
        self.name = name
        self.users = users
        self.groups = groups
        self.reply = reply
        self.directory = directory
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let name = try Valid.groupName(name)
        try operations.free(group: name)
        if !(users.isEmpty && groups.isEmpty) { try operations.refuseKept(name, among: try operations.records.directories()) }
        let users = try users.map { try operations.user($0) }
        let groups = try groups.map { try operations.group($0) }
        let reply = try operations.ports.replies.checked(reply)
        let most = try sessions.flatMap { try Valid.mostSessions($0) }
        let home = try directory.flatMap { try operations.home($0) }
        let id = try await operations.records.addGroup(name: name, event: operations.event(.groupAdded, by: actor, ["group": name]))
        for user in users {
            try await operations.records.addMember(.user(user.id), toGroup: id, event: operations.joined(user, name, by: actor))
        }
        for group in groups {
            let event = operations.event(.groupChanged, by: actor, ["group": name, "change": "added group \(group.name)"])
            try await operations.records.addMember(.group(group.id), toGroup: id, event: event)
        }
        if !reply.isEmpty { try await operations.set(reply, ofGroup: id, name, before: [], by: actor) }
        if most != nil { try await operations.set(most, ofGroup: id, name, before: nil, by: actor) }
        if home != nil { try await operations.set(home, ofGroup: id, name, before: nil, by: actor) }
        try await operations.ports.changed(.replies)
        let members = users.map(\.name) + groups.map { "group \($0.name)" }
        return Done(
            members.isEmpty ? "Added group \(name)." : "Added group \(name) with \(Words.list(members)).",
            warnings: most == nil ? [] : try operations.unaccountedWarnings())
    }
}

package struct ListGroups: AdminOperation {
    package static let verb = "group.list"

    package init() {}

    package func perform(in operations: Operations, by actor: Actor) async throws -> GroupList {
        GroupList(groups: try operations.records.groups().map { GroupSummary(name: $0.name, users: $0.users, groups: $0.groups) })
    }
}

package struct ShowGroup: AdminOperation {
    package static let verb = "group.show"
    package var name: String

    package init(name: String) {
        self.name = name
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> GroupView {
        let group = try operations.group(name)
        var view = GroupView(name: group.name, users: [], groups: [], reply: group.reply, sessions: group.mostSessions)
        view.directory = try group.home.map { try operations.records.directories().word(for: $0) }
        let names = Dictionary(uniqueKeysWithValues: try operations.records.groups().map { ($0.id, $0.name) })
        for member in try operations.records.members(ofGroup: group.id) {
            switch member {
            case .user(let id): view.users.append(try operations.records.user(id: id)?.name ?? "?")
            case .group(let id): view.groups.append(names[id] ?? "?")
            }
        }
        view.users.sort()
        view.groups.sort()
        return view
    }
}

package struct SetGroup: AdminOperation {
    package static let verb = "group.set"
    package var group: String
    package var name: String?
    package var addUsers: [String] = []
    package var removeUsers: [String] = []
    package var addGroups: [String] = []
    package var removeGroups: [String] = []
    /// Empty: none.
    package var reply: [ReplySetting]?
    /// How many sessions each member may have open at once; 0: any number.
    package var sessions: Int?
    /// A directory, `local`, or `none`.
    package var directory: String?

    package init(group: String) {
        self.group = group
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let records = operations.records
        guard
            name != nil || reply != nil || sessions != nil || directory != nil
                || !(addUsers + removeUsers + addGroups + removeGroups).isEmpty
        else {
            throw Refusal(.invalid, "Nothing to change was given.", remedy: "`sallyport group set --help` lists what can be changed.")
        }
        let old = try operations.group(group)
        var newName: String?
        if let name {
            let name = try Valid.groupName(name)
            try operations.free(group: name, but: old.id)
            newName = name == old.name ? nil : name
        }
        let shownName = newName ?? old.name
        if !(addUsers + removeUsers + addGroups + removeGroups).isEmpty {
            try operations.refuseKept(old.name, among: try records.directories())
        }
        let members = try records.members(ofGroup: old.id)
        let joining = try addUsers.map { try operations.user($0) }.filter { !members.contains(.user($0.id)) }
        let leaving = try removeUsers.map { try operations.user($0) }
        let adding = try addGroups.map { try operations.group($0) }.filter { !members.contains(.group($0.id)) }
        let dropping = try removeGroups.map { try operations.group($0) }
        for user in leaving where !members.contains(.user(user.id)) {
            throw Refusal(
                .missing, "\(user.name) is not in group `\(old.name)`.", remedy: "See `sallyport group show \(Words.argument(old.name))`.")
        }
        for group in dropping where !members.contains(.group(group.id)) {
            throw Refusal(
                .missing, "Group `\(group.name)` is not in group `\(old.name)`.",
                remedy: "See `sallyport group show \(Words.argument(old.name))`.")
        }
        for group in adding { try operations.refuseCircle(adding: group, to: old) }
        let newReply = try reply.map { try operations.ports.replies.checked($0) }
        let most = try sessions.map { try Valid.mostSessions($0) }
        let newHome = try directory.map { try operations.home($0) }

        var done: [String] = []
        var warnings: [String] = []
        if let newName {
            try await records.renameGroup(
                old.id, to: newName,
                event: operations.event(.groupChanged, by: actor, ["group": newName, "change": "renamed from \(old.name)"]))
            try await operations.ports.changed(.replies)
            done.append("renamed from \(old.name)")
        }
        if let newReply, newReply != old.reply {
            try await operations.set(newReply, ofGroup: old.id, shownName, before: old.reply, by: actor)
            done.append("reply: \(old.reply.words) → \(newReply.words)")
            warnings += try operations.updateHint("--group \(Words.argument(shownName))")
        }
        if let most, most != old.mostSessions {
            try await operations.set(most, ofGroup: old.id, shownName, before: old.mostSessions, by: actor)
            done.append("sessions: \(Words.sessions(old.mostSessions)) → \(Words.sessions(most))")
            if most != nil { warnings += try operations.unaccountedWarnings() }
        }
        if let newHome, newHome != old.home {
            done.append(try await operations.set(newHome, ofGroup: old.id, shownName, before: old.home, by: actor))
        }
        for user in joining {
            try await records.addMember(.user(user.id), toGroup: old.id, event: operations.joined(user, shownName, by: actor))
            done.append("\(user.name) joined")
        }
        for user in leaving {
            try await records.removeMember(
                .user(user.id), fromGroup: old.id, event: operations.joined(user, shownName, by: actor, left: true))
            done.append("\(user.name) left")
        }
        for group in adding {
            let event = operations.event(.groupChanged, by: actor, ["group": shownName, "change": "added group \(group.name)"])
            try await records.addMember(.group(group.id), toGroup: old.id, event: event)
            done.append("group \(group.name) joined")
        }
        for group in dropping {
            let event = operations.event(.groupChanged, by: actor, ["group": shownName, "change": "removed group \(group.name)"])
            try await records.removeMember(.group(group.id), fromGroup: old.id, event: event)
            done.append("group \(group.name) left")
        }
        if !joining.isEmpty || !leaving.isEmpty || !adding.isEmpty || !dropping.isEmpty, try !operations.replyTable().isEmpty {
            warnings += try operations.updateHint()
        }
        guard !done.isEmpty else { return Done("Nothing to change: group \(old.name) is like that already.") }
        return Done("Changed group \(shownName): \(done.joined(separator: ", ")).", warnings: warnings)
    }
}

package struct RemoveGroup: AdminOperation {
    package static let verb = "group.remove"
    package var name: String

    package init(name: String) {
        self.name = name
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let group = try operations.group(name)
        try operations.refuseIfNamed(group: group)
        try await operations.records.removeGroup(group.id, event: operations.event(.groupRemoved, by: actor, ["group": group.name]))
        try await operations.ports.changed(.replies)
        return Done(
            "Removed group \(group.name). Its \(Words.count(group.users, "user")) and \(Words.count(group.groups, "group")) are kept.")
    }
}

extension Operations {
    func group(_ name: String) throws -> GroupRecord {
        let wanted = Valid.trimmed(name)
        if let group = try records.group(name: wanted) { return group }
        let all = try records.groups()
        if let group = all.first(where: { $0.name.lowercased() == wanted.lowercased() }) { return group }
        throw Refusal.missing(
            "group", Valid.shown(name), among: all.map(\.name), otherwise: "`sallyport group add \(Words.argument(wanted))` makes it.")
    }

    func set(_ reply: [ReplySetting], ofGroup group: Int64, _ name: String, before: [ReplySetting], by actor: Actor) async throws {
        try await records.setReply(
            ofGroup: group, reply,
            event: event(.groupChanged, by: actor, ["group": name, "change": "reply: \(before.words) → \(reply.words)"]))
        try await ports.changed(.replies)
    }

    func set(_ most: Int?, ofGroup group: Int64, _ name: String, before: Int?, by actor: Actor) async throws {
        try await records.setMostSessions(
            most, ofGroup: group,
            event: event(
                .groupChanged, by: actor, ["group": name, "change": "sessions: \(Words.sessions(before)) → \(Words.sessions(most))"]))
        try await ports.changed(.replies)
    }

    /// - Returns: what changed.
    @discardableResult
    func set(_ home: PasswordHome?, ofGroup group: Int64, _ name: String, before: PasswordHome?, by actor: Actor) async throws -> String {
        let directories = try records.directories()
        let change = "directory: \(directories.word(for: before)) → \(directories.word(for: home))"
        try await records.setHome(home, ofGroup: group, event: event(.groupChanged, by: actor, ["group": name, "change": change]))
        try await ports.changed(.replies)
        return change
    }

    func free(group name: String, but own: Int64? = nil) throws {
        let same = name.lowercased()
        guard let other = try records.groups().first(where: { $0.name.lowercased() == same }), other.id != own else { return }
        throw Refusal(.conflict, "There is a group `\(other.name)` already.", remedy: "Choose another name.", place: "name")
    }

    func joined(_ user: UserRecord, _ group: String, by actor: Actor, left: Bool = false) -> Event {
        event(
            .groupChanged, by: actor, user: user.id, subject: [PersonalFields.Field("name", user.name)],
            ["group": group, "change": left ? "user left" : "user joined"])
    }

    /// The store refuses a circle too; here it is named.
    func refuseCircle(adding inner: GroupRecord, to outer: GroupRecord) throws {
        let names = Dictionary(uniqueKeysWithValues: try records.groups().map { ($0.id, $0.name) })
        func path(from group: Int64, seen: Set<Int64>) throws -> [Int64]? {
            if group == outer.id { return [group] }
            for case .group(let next) in try records.members(ofGroup: group) where !seen.contains(next) {
                if let rest = try path(from: next, seen: seen.union([next])) { return [group] + rest }
            }
            return nil
        }
        guard let circle = try path(from: inner.id, seen: [inner.id]) else { return }
        let steps = ([outer.id] + circle).map { "`\(names[$0] ?? "?")`" }.joined(separator: " → ")
        throw Refusal(
            .conflict,
            inner.id == outer.id
                ? "A group cannot hold itself." : "Group `\(inner.name)` already holds `\(outer.name)`: \(steps) would be a circle.",
            remedy: "Take one of the links out first.", place: "add-group")
    }
}
