// SPDX-License-Identifier: Apache-2.0
// What a directory says, held against what is known here: whom to add, change and disable, and which groups hold whom. Pure.

package import Directories
package import LoginEngine
package import Store

/// An entry about which nothing, or not everything, is done.
package struct SyncFault: Codable, Sendable, Equatable {
    /// Where it is in the directory, as a rule its DN.
    package var entry: String
    package var message: String

    package init(entry: String, message: String) {
        self.entry = entry
        self.message = message
    }
}

package struct SyncPlan: Sendable {
    /// An entry that can be somebody here.
    package struct Person: Sendable {
        package var entry: String
        package var place: String
        package var name: String
        package var key: String
        package var aliases: [UserAlias]
        package var email: String?
        package var phone: String?
        package var isEnabled: Bool
        package var reference: String
        /// In `SyncState.users`.
        var user: Int?
        var isAdopted = false
        /// In `groups`; of those who are added.
        package var groups: [Int] = []
    }

    package struct Change: Sendable {
        package enum Kind: String, Sendable {
            case change, disable, enable
        }

        package var kind: Kind
        package var user: SyncedUser
        /// As it is to be.
        package var result: SyncedUser
        package var entry: String
        package var drops: [String] = []
        package var aliases: [UserAlias] = []
        package var fields: [String] = []
        package var isAdopted = false

        package var isRenamed: Bool { result.key != user.key }
    }

    package struct Group: Sendable {
        package var entry: String
        package var place: String
        package var name: String
        /// Nil: it is added.
        package var row: Int64?
        /// Of one that is called otherwise here, or not known as the entry.
        package var oldName: String?
        package var isNewlyKnown = false
        package var isGone = false
        package var joins: [Int64] = []
        package var leaves: [Int64] = []
        /// Who joins as they are added.
        package var newcomers = 0
        /// In `groups`.
        var inner: Set<Int> = []
    }

    package struct Link: Sendable {
        /// In `groups`.
        var group: Int
        var member: Int
    }

    package struct Counts: Codable, Sendable, Equatable {
        /// In the directory.
        package var users = 0
        package var groups = 0
        package var added = 0
        package var changed = 0
        package var disabled = 0
        package var enabled = 0
        package var unchanged = 0
        /// Disabled there and unknown here.
        package var passedOver = 0
        package var groupsAdded = 0
        package var groupsChanged = 0
        package var groupsEmptied = 0
        package var joined = 0
        package var left = 0
        package var faults = 0

        package var isNothing: Bool {
            added + changed + disabled + enabled + groupsAdded + groupsChanged + groupsEmptied + joined + left == 0
        }
    }

    package internal(set) var counts = Counts()
    package internal(set) var additions: [Person] = []
    package internal(set) var changes: [Change] = []
    package internal(set) var groups: [Group] = []
    /// Groups that come into groups.
    package internal(set) var links: [Link] = []
    /// Rows of groups that leave groups.
    package internal(set) var unlinks: [(group: Int64, member: Int64)] = []
    package internal(set) var faults: [SyncFault] = []
    /// Of the directory's users, those who may log in before the sync.
    package internal(set) var activeBefore = 0
    package internal(set) var groupsBefore = 0

    /// Of which part of its users a directory may take the access without being asked.
    package static let mostDisabled = 10
    /// How many may always go.
    package static let fewDisabled = 5

    /// Why somebody has to say that this is meant; nil: nothing unusual.
    package var objection: String? {
        if counts.users == 0, activeBefore > 0 {
            return "The directory names no users at all, and \(Words.count(activeBefore, "user")) would be disabled."
        }
        if counts.disabled > Self.fewDisabled, counts.disabled * 100 > activeBefore * Self.mostDisabled {
            return "\(counts.disabled) of \(Words.count(activeBefore, "user")) would be disabled, more than \(Self.mostDisabled) %."
        }
        if counts.groupsEmptied > Self.fewDisabled, counts.groupsEmptied * 100 > groupsBefore * Self.mostDisabled {
            return "\(counts.groupsEmptied) of \(Words.count(groupsBefore, "group")) would lose all members, more than \(Self.mostDisabled) %."
        }
        return nil
    }
}

/// What was read of a directory, whole.
package struct SyncContents: Sendable {
    package var users: [DirectoryEntry] = []
    package var groups: [DirectoryGroupEntry] = []

    package init(users: [DirectoryEntry] = [], groups: [DirectoryGroupEntry] = []) {
        self.users = users
        self.groups = groups
    }
}

/// Makes one plan.
struct SyncPlanner {
    private let directory: Directory
    private let state: SyncState
    private let contents: SyncContents
    private let adopting: Set<String>
    private var plan = SyncPlan()
    private var people: [SyncPlan.Person?] = []
    /// By row, in `state.users`.
    private let places: [Int64: Int]
    /// Entries by place in `state.users`; those that are skipped too.
    private var entryOf: [Int: Int] = [:]
    /// Rows of groups whose entries are skipped.
    private var skippedRows: Set<Int64> = []

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

    private mutating func tell(_ place: String, _ message: String) {
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
            guard let person = people[index], person.user == nil, let place = state.names[person.key].flatMap({ places[$0] }) else { continue }
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
            return "User `\(user.name)` has the name and is not known as an entry. To make that user this one: --adopt \(Words.argument(user.name))."
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
        change.result.home = .directory(directory.id)
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
        for alias in user.aliases where alias.isSynced && alias.key != person.key && !person.aliases.contains(where: { $0.key == alias.key }) {
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

    // MARK: Groups

    /// Who an entry's reference means.
    private enum Referent {
        case person(Int)
        case group(Int)
    }

    private mutating func planGroups() {
        let live = readGroups()
        var referents: [String: Referent] = [:]
        referents.reserveCapacity(contents.users.count + live.count)
        var byName: [String: Int] = [:]
        for (index, entry) in contents.users.enumerated() { referents[entry.reference] = .person(index) }
        for (place, index) in live.enumerated() { referents[contents.groups[index].reference] = .group(place) }
        if contents.groups.contains(where: { !$0.memberNames.isEmpty }) {
            for (index, person) in people.enumerated() {
                if let person { byName[person.key] = index }
            }
        }
        var members: [[Int]] = Array(repeating: [], count: live.count)
        var inner: [Set<Int>] = Array(repeating: [], count: live.count)
        let isNested = directory.settings.ldap?.nested ?? true
        // Both ways: what groups say of their members, and what users say of their groups.
        for (place, index) in live.enumerated() {
            let entry = contents.groups[index]
            for reference in entry.members {
                switch referents[reference] {
                case .person(let person): members[place].append(person)
                case .group(let group): if group != place, isNested { inner[place].insert(group) }
                case nil: break
                }
            }
            for reference in entry.groups where isNested {
                if case .group(let outer) = referents[reference], outer != place { inner[outer].insert(place) }
            }
            for name in entry.memberNames {
                if let key = UserName.key(of: name), let person = byName[key] { members[place].append(person) }
            }
        }
        for (person, entry) in contents.users.enumerated() {
            for reference in entry.groups {
                if case .group(let group) = referents[reference] { members[group].append(person) }
            }
        }
        SyncCircles.open(&members, &inner) { circle in
            let names = circle.prefix(4).map { "`\(contents.groups[live[$0]].name)`" }.joined(separator: ", ")
            for place in circle {
                tell(
                    contents.groups[live[place]].place,
                    "These groups hold each other: \(names)\(circle.count > 4 ? ", …" : ""). Each is given all their members.")
            }
        }
        for place in live.indices { compare(place, members[place], inner[place]) }
        addPeople(members)
        emptyGoneGroups()
    }

    /// - Returns: places in `contents.groups` of those that are groups here; `plan.groups` has them in the same order.
    private mutating func readGroups() -> [Int] {
        let prefix = DirectoryPerson.groupName("", of: directory.name)
        var byEntry: [String: SyncedGroup] = [:]
        var byName: [String: SyncedGroup] = [:]
        for group in state.groups {
            if let entry = group.entry { byEntry[entry] = group }
            byName[group.name.lowercased()] = group
        }
        var ids: [String: Int] = [:]
        var names: [String: Int] = [:]
        for entry in contents.groups {
            ids[entry.id, default: 0] += 1
            names[entry.name.lowercased(), default: 0] += 1
        }
        /// Rows whose entries are called otherwise now.
        var leaving: Set<Int64> = []
        for entry in contents.groups {
            if let group = byEntry[entry.id], (prefix + entry.name).lowercased() != group.name.lowercased() { leaving.insert(group.id) }
        }
        var live: [Int] = []
        for (index, entry) in contents.groups.enumerated() {
            let problem: String? =
                if let fault = entry.faults.first {
                    fault
                } else if entry.id.isEmpty {
                    "It has no identifier that stays when it is renamed."
                } else if !(1...Self.longestGroupName).contains(entry.name.count) || !Valid.isPrintable(entry.name) {
                    "`\(Valid.shown(entry.name))` cannot be a group's name: 1 to \(Self.longestGroupName) characters without control characters."
                } else if ids[entry.id, default: 0] > 1 {
                    "Another entry has the same identifier."
                } else if names[entry.name.lowercased(), default: 0] > 1 {
                    "Another group is called `\(entry.name)`."
                } else {
                    nil
                }
            if let problem {
                tell(entry.place, problem)
                if let known = byEntry[entry.id] { skippedRows.insert(known.id) }
                continue
            }
            let name = prefix + entry.name
            var group = SyncPlan.Group(entry: entry.id, place: entry.place, name: name)
            if let known = byEntry[entry.id] {
                group.row = known.id
                if known.name != name { group.oldName = known.name }
            } else if let named = byName[name.lowercased()], named.entry == nil, !named.isOfAnother {
                // Made here to be filled by the directory.
                (group.row, group.oldName, group.isNewlyKnown) = (named.id, named.name, true)
            }
            if let other = byName[name.lowercased()], other.id != group.row, !leaving.contains(other.id) {
                tell(entry.place, "There is a group `\(other.name)` already.")
                if let row = group.row { skippedRows.insert(row) }
                continue
            }
            live.append(index)
            plan.groups.append(group)
        }
        return live
    }

    private mutating func compare(_ place: Int, _ members: [Int], _ inner: Set<Int>) {
        plan.groups[place].inner = inner
        for person in members where people[person] != nil && people[person]?.user == nil { plan.groups[place].newcomers += 1 }
        var wanted: Set<Int64> = []
        wanted.reserveCapacity(members.count)
        for person in members {
            if let user = people[person]?.user { wanted.insert(state.users[user].id) }
        }
        if let row = plan.groups[place].row {
            let before = state.members[row] ?? []
            let current = Set(before)
            plan.groups[place].joins = wanted.subtracting(current).sorted()
            // Of whom nothing is known now, nothing is changed.
            plan.groups[place].leaves = before.filter { !wanted.contains($0) && !isSkipped($0) }
            let rows = Set(state.inner[row] ?? [])
            var kept: Set<Int64> = []
            for member in inner.sorted() {
                if let inside = plan.groups[member].row, rows.contains(inside) {
                    kept.insert(inside)
                } else {
                    plan.links.append(SyncPlan.Link(group: place, member: member))
                }
            }
            for gone in rows.subtracting(kept).subtracting(skippedRows).sorted() { plan.unlinks.append((row, gone)) }
        } else {
            plan.groups[place].joins = wanted.sorted()
            for member in inner.sorted() { plan.links.append(SyncPlan.Link(group: place, member: member)) }
        }
    }

    private func isSkipped(_ user: Int64) -> Bool {
        guard let place = places[user], let index = entryOf[place] else { return false }
        return people[index] == nil
    }

    private mutating func addPeople(_ members: [[Int]]) {
        var groups: [Int: [Int]] = [:]
        for (place, people) in members.enumerated() {
            for person in people where self.people[person] != nil && self.people[person]?.user == nil {
                groups[person, default: []].append(place)
            }
        }
        for (index, person) in people.enumerated() {
            guard var person, person.user == nil else { continue }
            guard person.isEnabled else {
                plan.counts.passedOver += 1
                for place in groups[index] ?? [] { plan.groups[place].newcomers -= 1 }
                continue
            }
            person.groups = groups[index] ?? []
            plan.additions.append(person)
        }
    }

    /// A policy may name them, so they stay.
    private mutating func emptyGoneGroups() {
        let listed = Set(contents.groups.map(\.id))
        for group in state.groups {
            guard let entry = group.entry, !listed.contains(entry) else { continue }
            let (members, inner) = (state.members[group.id] ?? [], state.inner[group.id] ?? [])
            guard !members.isEmpty || !inner.isEmpty else { continue }
            var gone = SyncPlan.Group(entry: entry, place: group.name, name: group.name, row: group.id)
            gone.isGone = true
            gone.leaves = members
            plan.groups.append(gone)
            for member in inner { plan.unlinks.append((group.id, member)) }
        }
    }
}
