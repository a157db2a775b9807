// SPDX-License-Identifier: Apache-2.0
// Writes a plan in small transactions, one after the other, so that logins find the writer free in between. Each leaves what is right by
// itself: whoever breaks off begins again with a smaller plan.

internal import Directories
internal import LoginEngine
internal import Store

final class SyncWriter {
    /// Users in one transaction.
    static let usersAtOnce = 32
    /// Memberships in one transaction.
    static let membersAtOnce = 256
    static let groupsAtOnce = 64
    /// Changes of one group's members that are told one by one.
    static let mostTold = 20
    static let sessionsAtOnce = 32

    private let operations: Operations
    private let directory: Directory
    private let plan: SyncPlan
    private let state: SyncState
    private let actor: Actor
    private let claim: SyncClaim
    private var renewed: Timestamp
    private var faults: [SyncFault] = []
    private var warnings: [String] = []
    /// By place in `plan.groups`.
    private var rows: [Int64?]

    init(operations: Operations, directory: Directory, plan: SyncPlan, state: SyncState, actor: Actor, claim: SyncClaim) {
        self.operations = operations
        self.directory = directory
        self.plan = plan
        self.state = state
        self.actor = actor
        self.claim = claim
        renewed = operations.now()
        rows = plan.groups.map(\.row)
    }

    /// Access goes first, and comes last.
    func write() async throws -> (faults: [SyncFault], warnings: [String]) {
        let disabled = plan.changes.filter { $0.kind == .disable }
        func isPlain(_ change: SyncPlan.Change) -> Bool { change.kind == .disable && !change.isRenamed && change.aliases.isEmpty }
        try await change(disabled.filter(isPlain), "disabling")
        try await endAccess(of: disabled.map(\.user.id))
        try await writeGroups()
        try await removeLinks()
        try await leaveGroups()
        try await change(plan.changes.filter { !isPlain($0) }, "changing")
        try await addLinks()
        try await add()
        try await joinGroups()
        if plan.changes.contains(where: { $0.kind == .enable }) { try await certificatesChanged(plan.changes.map(\.user.id)) }
        return (faults, warnings)
    }

    // MARK: In steps

    private func step(_ count: Int) async throws {
        operations.syncs.add(count, directory.id)
        let now = operations.now()
        guard now - renewed >= SyncClaim.renewedEvery else { return }
        renewed = now
        try await claim.renew(at: now)
    }

    /// Somebody changed one of these meanwhile: the others go on without it.
    private func each<Item: Sendable>(
        _ items: [Item], _ place: (Item) -> String, _ write: ([Item]) async throws(StoreError) -> Void
    ) async throws(StoreError) {
        do throws(StoreError) {
            return try await write(items)
        } catch {
            guard Self.isOfOne(error) else { throw error }
            if items.count == 1 {
                faults.append(
                    SyncFault(entry: place(items[0]), message: "It was changed here meanwhile: \(error.what). The next sync looks again."))
                return
            }
        }
        for item in items { try await each([item], place, write) }
    }

    private static func isOfOne(_ error: StoreError) -> Bool {
        switch error.code {
        case .notAllowed, .nameTaken, .notFound: true
        default: false
        }
    }

    // MARK: Users

    private func change(_ changes: [SyncPlan.Change], _ phase: String) async throws {
        operations.syncs.set(phase, of: changes.count, directory.id)
        var batch: [SyncPlan.Change] = []
        for component in components(changes) {
            if component.count > 1 {
                // Names go from one to another: all of them, or none.
                try await write(component, isWhole: true)
                continue
            }
            batch += component
            guard batch.count >= Self.usersAtOnce else { continue }
            try await write(batch, isWhole: false)
            batch = []
        }
        if !batch.isEmpty { try await write(batch, isWhole: false) }
    }

    private func write(_ changes: [SyncPlan.Change], isWhole: Bool) async throws {
        let directory = directory.id
        if isWhole {
            try await each([changes], { $0[0].entry }) { [self] groups throws(StoreError) in
                try await operations.records.changeSynced(groups[0].map(written), directory: directory)
            }
        } else {
            try await each(changes, \.entry) { [self] changes throws(StoreError) in
                try await operations.records.changeSynced(changes.map(written), directory: directory)
            }
        }
        try await step(changes.count)
    }

    private func written(_ change: SyncPlan.Change) -> SyncedUserChange {
        var subject = [PersonalFields.Field("name", change.result.name)]
        if change.fields.contains("email"), let email = change.result.email { subject.append(PersonalFields.Field("email", email)) }
        if change.fields.contains("phone"), let phone = change.result.phone { subject.append(PersonalFields.Field("phone", phone)) }
        let fields = change.fields.map { $0.hasPrefix("name: ") ? "name" : $0 }
        let event = operations.event(
            .userChanged, by: actor, user: change.user.id, subject: subject,
            ["change": fields.joined(separator: ", "), "directory": directory.name])
        var written = SyncedUserChange(change.result, was: change.user, entry: change.entry, event: event)
        written.drops = change.drops
        written.aliases = change.aliases
        written.isRenamed = change.isRenamed
        written.dropsHandles = change.kind != .change || change.isRenamed || change.isAdopted
        return written
    }

    /// Those between whom names go stay together, in an order in which a name is given up before it is taken.
    private func components(_ changes: [SyncPlan.Change]) -> [[SyncPlan.Change]] {
        var places: [Int64: Int] = [:]
        for (place, change) in changes.enumerated() { places[change.user.id] = place }
        var parent = Array(changes.indices)
        func root(_ place: Int) -> Int {
            var place = place
            while parent[place] != place {
                parent[place] = parent[parent[place]]
                place = parent[place]
            }
            return place
        }
        for (place, change) in changes.enumerated() {
            let keys = (change.isRenamed ? [change.result.key] : []) + change.aliases.map(\.key)
            for key in keys {
                guard let holder = state.names[key], let other = places[holder], other != place else { continue }
                parent[root(place)] = root(other)
            }
        }
        var members: [Int: [SyncPlan.Change]] = [:]
        var order: [Int] = []
        for (place, change) in changes.enumerated() {
            let root = root(place)
            if members[root] == nil { order.append(root) }
            members[root, default: []].append(change)
        }
        return order.map { members[$0] ?? [] }
    }

    private func add() async throws {
        operations.syncs.set("adding", of: plan.additions.count, directory.id)
        let now = operations.now()
        for start in stride(from: 0, to: plan.additions.count, by: Self.usersAtOnce) {
            let people = Array(plan.additions[start..<min(start + Self.usersAtOnce, plan.additions.count)])
            try await each(people, \.place) { [self] people throws(StoreError) in
                try await operations.records.addSynced(people.map(written), directory: directory.id, at: now)
            }
            try await step(people.count)
        }
    }

    private func written(_ person: SyncPlan.Person) -> NewSyncedUser {
        var subject = [PersonalFields.Field("name", person.name)]
        if let email = person.email { subject.append(PersonalFields.Field("email", email)) }
        if let phone = person.phone { subject.append(PersonalFields.Field("phone", phone)) }
        var event = operations.event(.userAdded, by: actor, subject: subject, ["directory": directory.name])
        let groups = person.groups.map { plan.groups[$0].name }
        if groups.count > Self.mostTold {
            event.details.append(Event.Detail("groups", "\(groups.count)"))
        } else if !groups.isEmpty {
            event.details.append(Event.Detail("groups", groups.joined(separator: ", ")))
        }
        var user = NewSyncedUser(
            name: person.name, key: person.key, entry: person.entry, aliases: person.aliases, groups: person.groups.compactMap { rows[$0] },
            event: event)
        user.email = person.email
        user.phone = person.phone
        return user
    }

    private func endAccess(of users: [Int64]) async throws {
        guard !users.isEmpty else { return }
        try await certificatesChanged(users)
        var sessions: [GatewaySession] = []
        for user in users { sessions += try operations.openSessions(ofUser: user) }
        guard !sessions.isEmpty else { return }
        let count = Words.count(sessions.count, "open session")
        let (operations, actor) = (operations, actor)
        let ending: @Sendable () async -> Int = { [sessions] in
            var failed = 0
            for start in stride(from: 0, to: sessions.count, by: Self.sessionsAtOnce) {
                let part = Array(sessions[start..<min(start + Self.sessionsAtOnce, sessions.count)])
                failed += await operations.disconnect(part, by: actor).count { !$0.isDone }
            }
            return failed
        }
        if operations.ports.isServing {
            // A gateway may be silent for ten seconds.
            Task { _ = await ending() }
            warnings.append(
                "The gateways are asked to end \(count); the trail says what they answer: `sallyport audit list --kind session`.")
        } else {
            let failed = await ending()
            warnings.append(failed == 0 ? "The gateways ended \(count)." : "\(count): \(failed) could not be ended.")
        }
    }

    private func certificatesChanged(_ users: [Int64]) async throws {
        for user in users where try !operations.records.certificates(ofUser: user).isEmpty {
            return try await operations.ports.changed(.certificates)
        }
    }

    // MARK: Groups

    private func groupEvent(_ kind: EventKind, _ group: SyncPlan.Group, _ change: String? = nil) -> Event {
        var event = operations.event(kind, by: actor, ["group": group.name])
        if let change { event.details.append(Event.Detail("change", change)) }
        event.details.append(Event.Detail("directory", directory.name))
        return event
    }

    private func writeGroups() async throws {
        let renamed = plan.groups.indices.filter { plan.groups[$0].oldName != nil }
        let new = plan.groups.indices.filter { plan.groups[$0].row == nil }
        operations.syncs.set("groups", of: renamed.count + new.count, directory.id)
        // Names may go round among those that are renamed, so they are written together: hardly ever many.
        if !renamed.isEmpty {
            try await operations.records.changeSyncedGroups(
                renamed.map { place in
                    let group = plan.groups[place]
                    let change = group.isNewlyKnown ? "known to \(directory.name)" : "renamed from \(group.oldName ?? "")"
                    return (group.row ?? 0, group.name, group.entry, groupEvent(.groupChanged, group, change))
                }, directory: directory.id)
            try await step(renamed.count)
        }
        for start in stride(from: 0, to: new.count, by: Self.groupsAtOnce) {
            let part = Array(new[start..<min(start + Self.groupsAtOnce, new.count)])
            try await each(part, { plan.groups[$0].place }) { [self] part throws(StoreError) in
                let ids = try await operations.records.addSyncedGroups(
                    part.map { (plan.groups[$0].name, plan.groups[$0].entry, groupEvent(.groupAdded, plan.groups[$0])) },
                    directory: directory.id)
                for (place, id) in zip(part, ids) { rows[place] = id }
            }
            try await step(part.count)
        }
        if !renamed.isEmpty || !new.isEmpty { try await operations.ports.changed(.replies) }
    }

    private func removeLinks() async throws {
        var names: [Int64: String] = [:]
        for group in state.groups { names[group.id] = group.name }
        for start in stride(from: 0, to: plan.unlinks.count, by: Self.groupsAtOnce) {
            let part = plan.unlinks[start..<min(start + Self.groupsAtOnce, plan.unlinks.count)]
            let events = part.map { link in
                operations.event(
                    .groupChanged, by: actor,
                    [
                        "group": names[link.group] ?? "?", "change": "removed group \(names[link.member] ?? "?")",
                        "directory": directory.name,
                    ])
            }
            try await operations.records.changeInner(part.map { ($0.group, $0.member, false) }, events: events)
            try await step(0)
        }
    }

    private func addLinks() async throws {
        for start in stride(from: 0, to: plan.links.count, by: Self.groupsAtOnce) {
            var links: [(Int64, Int64, Bool)] = []
            var events: [Event] = []
            for link in plan.links[start..<min(start + Self.groupsAtOnce, plan.links.count)] {
                guard let group = rows[link.group], let member = rows[link.member] else { continue }
                links.append((group, member, true))
                events.append(groupEvent(.groupChanged, plan.groups[link.group], "added group \(plan.groups[link.member].name)"))
            }
            try await operations.records.changeInner(links, events: events)
            try await step(0)
        }
    }

    private func leaveGroups() async throws { try await changeMembers("leaving groups", \.leaves, joins: false) }

    private func joinGroups() async throws { try await changeMembers("joining groups", \.joins, joins: true) }

    private func changeMembers(_ phase: String, _ path: KeyPath<SyncPlan.Group, [Int64]>, joins: Bool) async throws {
        operations.syncs.set(phase, of: plan.groups.reduce(0) { $0 + $1[keyPath: path].count }, directory.id)
        var names: [Int64: String] = [:]
        for user in state.users { names[user.id] = user.name }
        var batch: [SyncedMembers] = []
        var waiting = 0
        func flush() async throws {
            guard !batch.isEmpty else { return }
            try await operations.records.changeMembers(batch)
            try await step(waiting)
            (batch, waiting) = ([], 0)
        }
        for (place, group) in plan.groups.enumerated() {
            let users = group[keyPath: path]
            // Those who are added with it are told with themselves.
            guard !users.isEmpty, let row = rows[place] else { continue }
            for start in stride(from: 0, to: users.count, by: Self.membersAtOnce) {
                let part = Array(users[start..<min(start + Self.membersAtOnce, users.count)])
                var members = SyncedMembers(group: row)
                if joins { members.joins = part } else { members.leaves = part }
                if users.count <= Self.mostTold {
                    members.events = part.map { user in
                        var event = groupEvent(.groupChanged, group, joins ? "user joined" : "user left")
                        event.user = user
                        event.subject = PersonalFields([PersonalFields.Field("name", names[user] ?? "?")])
                        return event
                    }
                } else {
                    members.events = [groupEvent(.groupChanged, group, "\(Words.count(part.count, "user")) \(joins ? "joined" : "left")")]
                }
                batch.append(members)
                waiting += part.count
                if waiting >= Self.membersAtOnce { try await flush() }
            }
        }
        try await flush()
    }
}
