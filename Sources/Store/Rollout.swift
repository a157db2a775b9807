// SPDX-License-Identifier: Apache-2.0
// Many changes of channels, directories, clients, groups and policies that become true together, with their events, or not at all.

package import LoginEngine

/// New rows, directories that passwords live at among them, are named by −1, −2, … in the order in which they stand here, until they have
/// a number.
package struct Rollout: Sendable {
    /// The revision of everything that the plan was made by.
    package var revision: Int64
    package var newChannels: [(settings: ChannelSettings, event: Event)] = []
    package var changedChannels: [(id: Int64, settings: ChannelSettings, event: Event)] = []
    package var removedChannels: [(id: Int64, event: Event)] = []
    package var newDirectories: [(settings: DirectorySettings, event: Event)] = []
    package var changedDirectories: [(id: Int64, settings: DirectorySettings, event: Event)] = []
    package var removedDirectories: [(id: Int64, event: Event)] = []
    package var newClients: [(settings: ClientSettings, event: Event)] = []
    package var changedClients: [(id: Int64, settings: ClientSettings, event: Event)] = []
    package var removedClients: [(id: Int64, event: Event)] = []
    package var newGroups: [(name: String, event: Event)] = []
    /// Their reply attributes; new groups by their numbers below zero.
    package var groupReplies: [(group: Int64, reply: [ReplySetting])] = []
    /// How many sessions their members may have open; nil: any number.
    package var groupSessions: [(group: Int64, most: Int?)] = []
    /// Where the passwords of their members live.
    package var groupHomes: [(group: Int64, home: PasswordHome?)] = []
    package var removedGroups: [(id: Int64, event: Event)] = []
    package var members: [Membership] = []
    package var policies: Policies?
    /// Of members and policies.
    package var events: [Event] = []

    package struct Membership: Sendable, Equatable {
        package var group: Int64
        package var member: GroupMember
        package var joins: Bool

        package init(group: Int64, member: GroupMember, joins: Bool) {
            self.group = group
            self.member = member
            self.joins = joins
        }
    }

    package struct Policies: Sendable {
        package var set: PolicySet
        package var policies: [Policy]
        package var names: PolicyNames

        package init(set: PolicySet, policies: [Policy], names: PolicyNames) {
            self.set = set
            self.policies = policies
            self.names = names
        }
    }

    package init(revision: Int64) {
        self.revision = revision
    }
}

extension Records {
    /// - Throws: `.notAllowed` when anything was changed since the revision that the plan was made by.
    package func roll(out rollout: Rollout, at: Timestamp) async throws(StoreError) {
        // A new row's number is known only when it is there, so its insertion is a guard and everything else follows.
        var guards = [Unit.Guard(Statement(.revisionIs, [.integer(rollout.revision)]))]
        let clientsFrom = guards.count
        guards += rollout.newClients.map { Unit.Guard(Statement(.insertClient, Self.values(of: $0.settings))) }
        let groupsFrom = guards.count
        guards += rollout.newGroups.map { Unit.Guard(Statement(.insertUserGroup, [.text($0.name)])) }
        let directoriesFrom = guards.count
        guards += rollout.newDirectories.map { Unit.Guard(Statement(.insertDirectory, Self.values(of: $0.settings))) }
        guards += rollout.removedDirectories.map { Unit.Guard(Statement(.userOfDirectory, [.integer($0.id)]), rows: 0) }
        let channelsFrom = guards.count
        guards += rollout.newChannels.map { Unit.Guard(Statement(.insertChannel, Self.values(of: $0.settings, secret: []))) }
        let sealing = self.sealing
        let unit = Unit(guarded: guards) { rows in
            let numbers = NewRows(rows, rollout, clientsFrom: clientsFrom, groupsFrom: groupsFrom, directoriesFrom: directoriesFrom)
            return rollout.channelStatements(rows, from: channelsFrom, sealing: sealing, at: at)
                + rollout.statements(numbers, sealing: sealing, at: at)
                + rollout.directoryStatements(rows, from: directoriesFrom, sealing: sealing)
        }
        let changed = StoreError(.notAllowed, "somebody else changed something at this moment", remedy: "Try again.")
        let refusals =
            [changed] + rollout.newClients.map { Self.clientTaken($0.settings.name) } + rollout.newGroups.map { Self.groupTaken($0.name) }
            + rollout.newDirectories.map { Self.directoryTaken($0.settings.name) } + rollout.removedDirectories.map { _ in changed }
            + rollout.newChannels.map { Self.channelTaken($0.settings.name) }
        try await change(unit, refusals: refusals) { rows in
            let numbers = NewRows(rows, rollout, clientsFrom: clientsFrom, groupsFrom: groupsFrom, directoriesFrom: directoriesFrom)
            var events = rollout.newChannels.map(\.event) + rollout.changedChannels.map(\.event) + rollout.removedChannels.map(\.event)
            events += rollout.newDirectories.map(\.event) + rollout.changedDirectories.map(\.event)
            for (index, new) in rollout.newClients.enumerated() {
                events.append(new.event.about(client: numbers.clients[-Int64(index) - 1]))
            }
            events += rollout.changedClients.map(\.event) + rollout.removedClients.map(\.event)
            return events + rollout.newGroups.map(\.event) + rollout.events + rollout.removedGroups.map(\.event)
                + rollout.removedDirectories.map(\.event)
        }
    }
}

/// What became of −1, −2, …
private struct NewRows {
    var clients: [Int64: Int64] = [:]
    var groups: [Int64: Int64] = [:]
    var directories: [Int64: Int64] = [:]

    init(_ rows: [Rows], _ rollout: Rollout, clientsFrom: Int, groupsFrom: Int, directoriesFrom: Int) {
        for index in rollout.newClients.indices { clients[-Int64(index) - 1] = try? rows[clientsFrom + index].first?.integer(0) }
        for index in rollout.newGroups.indices { groups[-Int64(index) - 1] = try? rows[groupsFrom + index].first?.integer(0) }
        for index in rollout.newDirectories.indices {
            directories[-Int64(index) - 1] = try? rows[directoriesFrom + index].first?.integer(0)
        }
    }

    func client(_ id: Int64) -> Int64 { clients[id] ?? id }
    func group(_ id: Int64) -> Int64 { groups[id] ?? id }

    func home(_ home: PasswordHome?) -> PasswordHome? {
        guard case .directory(let id)? = home else { return home }
        return .directory(directories[id] ?? id)
    }

    func settings(_ settings: ClientSettings) -> ClientSettings {
        var settings = settings
        settings.home = home(settings.home)
        settings.passThrough = settings.passThrough.map {
            PassThroughRule($0.realm, directory: directories[$0.directory] ?? $0.directory)
        }
        return settings
    }

    func policy(_ policy: Policy) -> Policy {
        var rule = policy.rule
        rule.when.clients = rule.when.clients.map(client)
        rule.when.groups = rule.when.groups.map(group)
        return rule == policy.rule ? policy : Policy(id: policy.id, revision: policy.revision, rule: rule)
    }

    func names(_ names: PolicyNames) -> PolicyNames {
        PolicyNames(
            clients: Dictionary(names.clients.map { (client($0.key), $0.value) }) { first, _ in first },
            groups: Dictionary(names.groups.map { (group($0.key), $0.value) }) { first, _ in first })
    }
}

extension Rollout {
    /// What goes comes before what comes, so that an address or a name may go from one to another.
    fileprivate func statements(_ numbers: NewRows, sealing: Sealing, at: Timestamp) -> [Statement] {
        var statements: [Statement] = []
        if policies != nil { statements.append(Statement(.dropPolicies)) }
        for (id, _, _) in changedClients { statements += [Statement(.dropRanges, [.integer(id)]), Statement(.dropRealms, [.integer(id)])] }
        for (id, _) in removedClients { statements.append(Statement(.deleteClient, [.integer(id)])) }
        for membership in members where !membership.joins { statements.append(self.statement(membership, numbers)) }
        for (id, _) in removedGroups { statements.append(Statement(.deleteGroup, [.integer(id)])) }
        for (id, settings, _) in changedClients {
            let settings = numbers.settings(settings)
            statements.append(Records.dropOpenHandles(ofClient: id, movingTo: settings.home, at: at))
            statements.append(Statement(.updateClient, Records.values(of: settings, id, by: sealing) + [.integer(id)]))
            statements += Records.insertLists(settings, id)
        }
        for (index, new) in newClients.enumerated() {
            let id = numbers.client(-Int64(index) - 1)
            let settings = numbers.settings(new.settings)
            // Whole, since what it was inserted with named new directories by numbers that they do not have.
            statements.append(Statement(.updateClient, Records.values(of: settings, id, by: sealing) + [.integer(id)]))
            statements += Records.insertLists(settings, id)
        }
        for (group, home) in groupHomes {
            statements.append(
                Statement(.setGroupHome, [.integer(numbers.group(group)), .integer(numbers.home(home)?.stored)]))
        }
        if !groupHomes.isEmpty { statements.append(Records.dropOpenHandles(at: at)) }
        for (group, reply) in groupReplies {
            statements.append(Statement(.setGroupReply, [.integer(numbers.group(group)), .text(ReplyBody.json(reply))]))
        }
        for (group, most) in groupSessions {
            statements.append(Statement(.setGroupSessions, [.integer(numbers.group(group)), .integer(most.map { Int64($0) })]))
        }
        for membership in members where membership.joins { statements.append(self.statement(membership, numbers)) }
        if let policies {
            statements += policies.set.statements(
                for: policies.policies.map(numbers.policy), names: numbers.names(policies.names), at: at)
        }
        return statements + [Statement(.raiseRevision)]
    }

    fileprivate func channelStatements(_ rows: [Rows], from: Int, sealing: Sealing, at: Timestamp) -> [Statement] {
        var statements = removedChannels.map { Statement(.deleteChannel, [.integer($0.id)]) }
        for (id, settings, _) in changedChannels {
            statements.append(Statement(.updateChannel, Records.values(of: settings, id, sealing) + [.integer(id)]))
            statements.append(Statement(.hurryMails, [.integer(id), .integer(at.microseconds)]))
        }
        for (index, new) in newChannels.enumerated() {
            guard let id = try? rows[from + index].first?.integer(0) else { continue }
            statements.append(Records.setSecret(of: new.settings, id, sealing))
        }
        return statements
    }

    fileprivate func directoryStatements(_ rows: [Rows], from: Int, sealing: Sealing) -> [Statement] {
        var statements = removedDirectories.flatMap {
            [
                Statement(.deleteDirectory, [.integer($0.id)]), Statement(.forgetEntries, [.integer($0.id)]),
                Statement(.forgetGroupEntries, [.integer($0.id)]),
            ]
        }
        for (id, settings, _) in changedDirectories {
            statements.append(Statement(.updateDirectory, Records.values(of: settings, id, sealing) + [.integer(id)]))
        }
        for (index, new) in newDirectories.enumerated() {
            guard let id = try? rows[from + index].first?.integer(0) else { continue }
            statements.append(Records.setSecrets(of: new.settings, id, sealing))
        }
        return statements
    }

    private func statement(_ membership: Membership, _ numbers: NewRows) -> Statement {
        let group = SQLValue.integer(numbers.group(membership.group))
        return switch (membership.member, membership.joins) {
        case (.user(let user), true): Statement(.insertMembership, [group, .integer(user)])
        case (.user(let user), false): Statement(.deleteMembership, [group, .integer(user)])
        case (.group(let inner), true): Statement(.insertGroupInGroup, [group, .integer(numbers.group(inner))])
        case (.group(let inner), false): Statement(.deleteGroupInGroup, [group, .integer(numbers.group(inner))])
        }
    }
}

extension SQL {
    fileprivate static let revisionIs = SQL("SELECT 1 FROM revision WHERE id = 1 AND number = ?1")
}
