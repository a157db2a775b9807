// SPDX-License-Identifier: Apache-2.0
// Groups and their members: what a file wants of them, and what has to be written for it.

internal import LoginEngine
internal import Store

extension BlueprintPlan {
    mutating func planGroups() throws {
        let records = operations.records
        let old = try records.groups()
        guard let wanted = request.blueprint.groups else {
            rows.groups = old.map { ($0.id, $0.name) }
            for group in old { if let directory = group.home?.directory { named[directory, default: []].append("group \(group.name)") } }
            return
        }
        try unique(wanted.map { ($0.name, $0.place) }, "Group")
        var entries: [(entry: Blueprint.Group, id: Int64)] = []
        for entry in wanted {
            let name = try located(entry.place) { try Valid.groupName(entry.name) }
            let known = old.first { $0.name == name } ?? old.first { $0.name.lowercased() == name.lowercased() }
            guard let known else {
                rollout.newGroups.append((name, operations.event(.groupAdded, by: actor, ["group": name])))
                entries.append((entry, -Int64(rollout.newGroups.count)))
                rows.groups.append((-Int64(rollout.newGroups.count), name))
                continue
            }
            guard known.name == name else {
                throw Refusal(
                    .conflict, "There is a group `\(known.name)` already, which differs in capital letters alone.",
                    remedy:
                        "Write it as it is, or rename it: `sallyport group set \(Words.argument(known.name)) --name \(Words.argument(name))`.",
                    place: entry.place)
            }
            entries.append((entry, known.id))
            rows.groups.append((known.id, name))
        }
        let missing = old.filter { group in !wanted.contains { $0.name == group.name } }
        if !request.prunes {
            rows.groups += missing.map { ($0.id, $0.name) }
            for group in missing {
                if let directory = group.home?.directory { named[directory, default: []].append("group \(group.name)") }
            }
        }
        try refuseCircles(entries)
        for (entry, id) in entries { try plan(entry, id) }
        for group in missing {
            note("group", group.name, request.prunes ? .remove : .missing)
            if request.prunes {
                rollout.removedGroups.append((group.id, operations.event(.groupRemoved, by: actor, ["group": group.name])))
            }
        }
    }

    private mutating func plan(_ entry: Blueprint.Group, _ id: Int64) throws {
        let records = operations.records
        let members = id > 0 ? try records.members(ofGroup: id) : []
        var oldUsers: Set<Int64> = []
        var oldGroups: Set<Int64> = []
        for member in members {
            switch member {
            case .user(let user): oldUsers.insert(user)
            case .group(let group): oldGroups.insert(group)
            }
        }
        var fields: [ApplyBlueprint.Field] = []
        func differ(_ name: String, joined: [String], left: [String]) {
            for item in joined { fields.append(ApplyBlueprint.Field(name: name, before: nil, after: item)) }
            for item in left { fields.append(ApplyBlueprint.Field(name: name, before: item, after: nil)) }
        }
        if entry.users?.isEmpty == false || entry.groups?.isEmpty == false {
            try located(entry.place, entry.places) { try operations.refuseKept(entry.name, among: directories) }
        }
        if let wanted = entry.users {
            var ids: [Int64: UserRecord] = [:]
            for member in wanted { if let user = try user(member, of: entry) { ids[user.id] = user } }
            let joining = ids.values.filter { !oldUsers.contains($0.id) }.sorted { $0.name < $1.name }
            var leaving: [UserRecord] = []
            for user in oldUsers where ids[user] == nil { if let record = try records.user(id: user) { leaving.append(record) } }
            leaving.sort { $0.name < $1.name }
            for user in joining {
                rollout.members.append(Rollout.Membership(group: id, member: .user(user.id), joins: true))
                rollout.events.append(operations.joined(user, entry.name, by: actor))
            }
            for user in leaving {
                rollout.members.append(Rollout.Membership(group: id, member: .user(user.id), joins: false))
                rollout.events.append(operations.joined(user, entry.name, by: actor, left: true))
            }
            differ("members", joined: joining.map(\.name), left: leaving.map(\.name))
        }
        if let wanted = entry.groups {
            let ids = Set(try wanted.map { try row(ofGroup: $0) })
            func name(_ id: Int64) -> String { rows.groups.first { $0.id == id }?.name ?? "?" }
            let leaving = oldGroups.subtracting(ids).filter { id in !request.prunes || rows.groups.contains { $0.id == id } }.sorted()
            let joining = ids.subtracting(oldGroups).sorted()
            for inner in joining {
                rollout.members.append(Rollout.Membership(group: id, member: .group(inner), joins: true))
                rollout.events.append(
                    operations.event(.groupChanged, by: actor, ["group": entry.name, "change": "added group \(name(inner))"]))
            }
            for inner in leaving {
                rollout.members.append(Rollout.Membership(group: id, member: .group(inner), joins: false))
                rollout.events.append(
                    operations.event(.groupChanged, by: actor, ["group": entry.name, "change": "removed group \(name(inner))"]))
            }
            differ("groups", joined: joining.map(name), left: leaving.map(name))
        }
        let known = id > 0 ? try records.groups().first { $0.id == id } : nil
        let before = known?.reply ?? []
        let reply = try located(entry.place, entry.places) { try operations.ports.replies.checked(entry.reply) }
        if reply != before {
            rollout.groupReplies.append((id, reply))
            rollout.events.append(
                operations.event(.groupChanged, by: actor, ["group": entry.name, "change": "reply: \(before.words) → \(reply.words)"]))
            fields.append(ApplyBlueprint.Field(name: "reply", before: before.words, after: reply.words))
        }
        let most = try located(entry.place, entry.places) { try entry.sessions.flatMap { try Valid.mostSessions($0) } }
        if most != known?.mostSessions {
            let (old, new) = (Words.sessions(known?.mostSessions), Words.sessions(most))
            rollout.groupSessions.append((id, most))
            if most != nil { setsSessions = true }
            rollout.events.append(
                operations.event(.groupChanged, by: actor, ["group": entry.name, "change": "sessions: \(old) → \(new)"]))
            fields.append(ApplyBlueprint.Field(name: "sessions", before: old, after: new))
        }
        let homeBefore = id > 0 ? try records.groups().first { $0.id == id }?.home : nil
        let home = try located(entry.place, entry.places) { try entry.directory.flatMap { try operations.home($0, among: directories) } }
        if let directory = home?.directory { named[directory, default: []].append("group \(entry.name)") }
        if home != homeBefore {
            let (before, after) = (directories.word(for: homeBefore), directories.word(for: home))
            rollout.groupHomes.append((id, home))
            rollout.events.append(
                operations.event(.groupChanged, by: actor, ["group": entry.name, "change": "directory: \(before) → \(after)"]))
            fields.append(ApplyBlueprint.Field(name: "directory", before: before, after: after))
        }
        if id < 0 { note("group", entry.name, .add, fields) } else if !fields.isEmpty { note("group", entry.name, .change, fields) }
    }

    private mutating func user(_ member: Blueprint.Member, of entry: Blueprint.Group) throws -> UserRecord? {
        let key = try located(member.place) { try Valid.userName(member.name).key }
        if let user = try operations.records.user(key: key) { return user }
        guard request.skipsUnknownMembers else {
            throw Refusal(
                .missing, "No user `\(Valid.shown(member.name))`, who is to be in group `\(entry.name)`.",
                remedy: "Users are not in the file: add or import them first, or leave unknown ones out with --skip-unknown-members.",
                place: member.place)
        }
        warnings.append("\(member.place): no user \(Valid.shown(member.name)): left out of group \(entry.name).")
        return nil
    }

    private func row(ofGroup member: Blueprint.Member) throws -> Int64 {
        let name = Valid.trimmed(member.name)
        if let row = rows.groups.first(where: { $0.name == name }) { return row.id }
        throw Refusal.missing(
            "group", Valid.shown(name), among: rows.groups.map(\.name), otherwise: "Add it to the file's groups."
        ).at(member.place)
    }

    /// Looks at the groups as they will be.
    private func refuseCircles(_ entries: [(entry: Blueprint.Group, id: Int64)]) throws {
        var inner: [Int64: [Int64]] = [:]
        for row in rows.groups where row.id > 0 {
            for case .group(let member) in try operations.records.members(ofGroup: row.id) { inner[row.id, default: []].append(member) }
        }
        for (entry, id) in entries { if let wanted = entry.groups { inner[id] = try wanted.map { try row(ofGroup: $0) } } }
        for (entry, id) in entries {
            var seen: Set<Int64> = []
            var next = inner[id] ?? []
            while let group = next.popLast() {
                guard group != id else {
                    throw Refusal(
                        .conflict, "Group `\(entry.name)` would hold itself, by way of others or at once.",
                        remedy: "Take one of the links out.", place: entry.place)
                }
                if seen.insert(group).inserted { next += inner[group] ?? [] }
            }
        }
    }
}
