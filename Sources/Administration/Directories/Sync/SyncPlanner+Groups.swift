// SPDX-License-Identifier: Apache-2.0
// The groups of a plan, and who is in them. Pure.

internal import Directories
internal import LoginEngine
internal import Store

extension SyncPlanner {
    /// Who an entry's reference means.
    private enum Referent {
        case person(Int)
        case group(Int)
    }

    mutating func planGroups() {
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
