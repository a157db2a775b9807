// SPDX-License-Identifier: Apache-2.0
// Makes the plan of a sync. This part: whose entry each one is, who has which name, what changes. Pure.

internal import Directories
internal import LoginEngine
internal import Store

/// Makes one plan.
struct SyncPlanner {
    let directory: Directory
    let state: SyncState
    let contents: SyncContents
    let adopting: Set<String>
    var plan = SyncPlan()
    var people: [SyncPlan.Person?] = []
    /// By row, in `state.users`.
    let places: [Int64: Int]
    /// Entries by place in `state.users`; those that are skipped too.
    var entryOf: [Int: Int] = [:]
    /// Rows of groups whose entries are skipped.
    var skippedRows: Set<Int64> = []

    static let longestGroupName = 128
    static let mostAliases = 8

    /// - Parameter adopting: keys of users of our own who may become the directory's.
    static func plan(
        _ contents: SyncContents, _ state: SyncState, of directory: Directory, adopting: Set<String> = []
    ) -> SyncPlan {
        var planner = SyncPlanner(contents, state, directory, adopting)
        planner.readPeople()
        planner.match()
        planner.settleNames()
        planner.settleAliases()
        planner.changeUsers()
        planner.planGroups()
        planner.count()
        return planner.plan
    }

    private init(_ contents: SyncContents, _ state: SyncState, _ directory: Directory, _ adopting: Set<String>) {
        self.contents = contents
        self.state = state
        self.directory = directory
        self.adopting = adopting
        places = Dictionary(state.users.enumerated().map { ($1.id, $0) }) { first, _ in first }
    }

    mutating func tell(_ place: String, _ message: String) {
        plan.faults.append(SyncFault(entry: place, message: message))
    }

    /// Nothing is done about this one: not even disabling.
    private mutating func skip(_ index: Int, _ message: String) {
        guard people[index] != nil else { return }
        tell(contents.users[index].place, message)
        people[index] = nil
    }

    // MARK: People

    private mutating func readPeople() {
        people.reserveCapacity(contents.users.count)
        for entry in contents.users {
            guard entry.faults.isEmpty, !entry.id.isEmpty else {
                people.append(nil)
                tell(entry.place, entry.faults.first ?? "It has no identifier that stays when it is renamed.")
                continue
            }
            guard let key = UserName.key(of: entry.name) else {
                people.append(nil)
                tell(
                    entry.place,
                    entry.name.isEmpty
                        ? "It has no login name."
                        : "`\(Valid.shown(entry.name))` cannot be a login name: 1 to \(UserName.longest) bytes without control characters.")
                continue
            }
            var aliases: [UserAlias] = []
            for name in entry.aliases {
                guard let alias = UserName.key(of: name), aliases.count < Self.mostAliases else {
                    tell(entry.place, "`\(Valid.shown(name))` cannot be another name of \(entry.name), and is left out.")
                    continue
                }
                if alias != key, !aliases.contains(where: { $0.key == alias }) { aliases.append(UserAlias(name: name, key: alias)) }
            }
            people.append(
                SyncPlan.Person(
                    entry: entry.id, place: entry.place, name: entry.name, key: key, aliases: aliases,
                    email: entry.email.flatMap { try? Valid.email($0) }, phone: entry.phone.flatMap { try? Valid.phone($0) },
                    isEnabled: entry.isEnabled, reference: entry.reference))
        }
    }

    /// Whose entry each one is: by the directory's own name of it; by login name only where that is not known.
    private mutating func match() {
        var byEntry: [String: Int] = [:]
        for (place, user) in state.users.enumerated() {
            if let entry = user.entry { byEntry[entry] = place }
        }
        var firsts: [String: Int] = [:]
        for index in contents.users.indices {
            let id = contents.users[index].id
            guard !id.isEmpty else {
                // It may be anybody's entry: whoever has the name stays.
                if let key = UserName.key(of: contents.users[index].name), let place = state.names[key].flatMap({ places[$0] }) {
                    entryOf[place] = index
                }
                continue
            }
            if let first = firsts.updateValue(index, forKey: id) {
                skip(first, "Another entry has the same identifier: \(Valid.shown(contents.users[index].place)).")
                skip(index, "Another entry has the same identifier: \(Valid.shown(contents.users[first].place)).")
            }
            guard let place = byEntry[id] else { continue }
            entryOf[place] = index
            people[index]?.user = place
        }
        for index in people.indices {
            guard let person = people[index], person.user == nil, let place = state.names[person.key].flatMap({ places[$0] })
            else { continue }
            let user = state.users[place]
            guard user.entry == nil, user.key == person.key, entryOf[place] == nil else { continue }
            let isAdopted = adopting.contains(person.key)
            guard user.home == .directory(directory.id) || isAdopted else { continue }
            entryOf[place] = index
            people[index]?.user = place
            people[index]?.isAdopted = isAdopted && user.home != .directory(directory.id)
        }
    }

    /// Whether a name of a user of ours is given up by what the user's own entry says now.
    private func isReleased(_ key: String, by holder: Int64) -> Bool {
        guard let place = places[holder], let index = entryOf[place], let person = people[index], person.user == place else { return false }
        let user = state.users[place]
        if user.key == key { return person.key != key && !person.aliases.contains { $0.key == key } }
        guard let alias = user.aliases.first(where: { $0.key == key }) else { return false }
        return alias.isSynced && person.key != key && !person.aliases.contains { $0.key == key }
    }

    /// Whoever is skipped keeps the names that others may want, so it is looked at until nothing changes.
    private mutating func settleNames() {
        var isSettled = false
        while !isSettled {
            isSettled = true
            var claims: [String: Int] = [:]
            claims.reserveCapacity(people.count)
            for index in people.indices {
                guard let person = people[index] else { continue }
                if let other = claims[person.key] {
                    let (mine, theirs) = (contents.users[index].place, contents.users[other].place)
                    skip(index, "The login name `\(person.name)` is that of \(Valid.shown(theirs)) too.")
                    skip(other, "The login name `\(person.name)` is that of \(Valid.shown(mine)) too.")
                    isSettled = false
                    continue
                }
                claims[person.key] = index
                guard let holder = state.names[person.key], holder != person.user.map({ state.users[$0].id }) else { continue }
                guard !isReleased(person.key, by: holder) else { continue }
                skip(index, taken(person, by: holder))
                isSettled = false
            }
        }
    }

    private func taken(_ person: SyncPlan.Person, by holder: Int64) -> String {
        guard let place = places[holder] else {
            return
                "A user of this server has the name `\(person.name)`. To make that user the directory's: --adopt \(Words.argument(person.name))."
        }
        let user = state.users[place]
        guard user.key == person.key else { return "`\(person.name)` is another name of user `\(user.name)`." }
        guard user.entry != nil else {
            return
                "User `\(user.name)` has the name and is not known as an entry. To make that user this one: --adopt \(Words.argument(user.name))."
        }
        return
            "User `\(user.name)` is another entry of the directory. If that one is gone for good: sallyport user remove \(Words.argument(user.name))."
    }

    private mutating func settleAliases() {
        var logins: [String: Int] = [:]
        var claims: [String: [Int]] = [:]
        for (index, person) in people.enumerated() {
            guard let person else { continue }
            logins[person.key] = index
            for alias in person.aliases { claims[alias.key, default: []].append(index) }
        }
        for index in people.indices {
            guard let person = people[index], !person.aliases.isEmpty else { continue }
            var kept: [UserAlias] = []
            for alias in person.aliases {
                if let other = logins[alias.key] {
                    tell(person.place, "`\(alias.name)` is the login name of \(Valid.shown(contents.users[other].place)), and is left out.")
                } else if let claimants = claims[alias.key], claimants.count > 1 {
                    let other = claimants.first { $0 != index } ?? index
                    tell(person.place, "`\(alias.name)` is a name of \(Valid.shown(contents.users[other].place)) too, and is nobody's.")
                } else if let holder = state.names[alias.key], holder != person.user.map({ state.users[$0].id }),
                    !isReleased(alias.key, by: holder)
                {
                    let name = places[holder].map { " `\(state.users[$0].name)`" } ?? " of this server"
                    tell(person.place, "`\(alias.name)` is a name of user\(name), and is left out.")
                } else {
                    kept.append(alias)
                }
            }
            people[index]?.aliases = kept
        }
    }

    // MARK: Users

    private mutating func changeUsers() {
        plan.activeBefore = state.users.count { $0.entry != nil && $0.status != .disabled }
        for person in people {
            guard let person else { continue }
            guard let place = person.user else { continue }
            if let change = change(state.users[place], to: person) { plan.changes.append(change) } else { plan.counts.unchanged += 1 }
        }
        for (place, user) in state.users.enumerated() where user.entry != nil && entryOf[place] == nil && user.status != .disabled {
            var change = SyncPlan.Change(kind: .disable, user: user, result: user, entry: user.entry ?? "")
            change.result.status = .disabled
            change.result.isDisabledBySync = true
            change.fields = ["disabled: gone from \(directory.name)"]
            plan.changes.append(change)
        }
    }

    private func change(_ user: SyncedUser, to person: SyncPlan.Person) -> SyncPlan.Change? {
        var change = SyncPlan.Change(kind: .change, user: user, result: user, entry: person.entry)
        change.isAdopted = person.isAdopted
        change.result.entry = person.entry
        // Whose password an administrator moved elsewhere keeps it there.
        if user.home == nil || person.isAdopted, user.home != .directory(directory.id) {
            change.result.home = .directory(directory.id)
            change.fields.append("directory: \(directory.name)")
        }
        if user.entry == nil { change.fields.append(person.isAdopted ? "adopted by \(directory.name)" : "known to \(directory.name)") }
        if person.name != user.name { change.fields.append("name: \(user.name) → \(person.name)") }
        (change.result.name, change.result.key) = (person.name, person.key)
        if change.isRenamed {
            change.drops.append(user.key)
            // What was another name is the login name now.
            if user.aliases.contains(where: { $0.key == person.key }) { change.drops.append(person.key) }
        }
        // What the directory does not know, an administrator may have written here.
        if let email = person.email, email != user.email {
            change.fields.append("email")
            change.result.email = email
        }
        if let phone = person.phone, phone != user.phone {
            change.fields.append("phone")
            change.result.phone = phone
        }
        let count = change.drops.count
        let wanted = Set([person.key] + person.aliases.map(\.key))
        for alias in user.aliases where alias.isSynced && !wanted.contains(alias.key) {
            change.drops.append(alias.key)
        }
        for alias in person.aliases {
            if let own = user.aliases.first(where: { $0.key == alias.key }) {
                guard !own.isSynced || own.name != alias.name else { continue }
                change.drops.append(own.key)
            } else if alias.key != user.key, state.names[alias.key] == user.id {
                continue
            }
            change.aliases.append(alias)
        }
        if change.drops.count > count || !change.aliases.isEmpty { change.fields.append("aliases") }
        if !person.isEnabled, user.status != .disabled {
            change.kind = .disable
            change.result.status = .disabled
            change.result.isDisabledBySync = true
            change.fields.append("disabled in \(directory.name)")
        } else if person.isEnabled, user.status == .disabled, user.isDisabledBySync {
            change.kind = .enable
            change.result.status = .active
            change.result.isDisabledBySync = false
            change.fields.append("enabled")
        }
        return change.fields.isEmpty ? nil : change
    }

    private mutating func count() {
        plan.counts.users = contents.users.count
        plan.counts.groups = contents.groups.count
        plan.counts.added = plan.additions.count
        for change in plan.changes {
            switch change.kind {
            case .change: plan.counts.changed += 1
            case .disable: plan.counts.disabled += 1
            case .enable: plan.counts.enabled += 1
            }
        }
        for group in plan.groups {
            if group.row == nil { plan.counts.groupsAdded += 1 }
            if group.oldName != nil { plan.counts.groupsChanged += 1 }
            plan.counts.joined += group.joins.count
            plan.counts.left += group.leaves.count
            let before = group.row.flatMap { state.members[$0]?.count } ?? 0
            if before > 0, group.leaves.count == before, group.joins.isEmpty, group.newcomers == 0 { plan.counts.groupsEmptied += 1 }
        }
        plan.groupsBefore = state.groups.count { $0.entry != nil && !(state.members[$0.id] ?? []).isEmpty }
        plan.counts.faults = plan.faults.count
        plan.faults.sort { $0.entry < $1.entry }
    }
}
