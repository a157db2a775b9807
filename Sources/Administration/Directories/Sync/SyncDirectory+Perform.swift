// SPDX-License-Identifier: Apache-2.0
// One sync: read everything, plan, have what is unusual confirmed, write in small steps. What is read only in part changes nothing.

internal import Directories
internal import Foundation
internal import LoginEngine
internal import Store

extension SyncDirectory {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let directory = try operations.directory(name)
        guard let pages = operations.ports.directoryPages(directory) else {
            throw Refusal(
                .invalid, "Directory `\(directory.name)` cannot list its users: RADIUS has no such request.",
                remedy: "Sync is for directories of type ldap or active-directory.", place: "directory")
        }
        guard directory.settings.isEnabled else {
            throw Refusal(
                .conflict, "Directory `\(directory.name)` is disabled.",
                remedy: "Enable it: sallyport directory set \(directory.name) --enable", place: "directory")
        }
        guard operations.syncs.begin(directory.id) else { throw Self.underWay(directory.name) }
        defer { operations.syncs.end(directory.id) }
        let begun = operations.now()
        if isDryRun {
            let (plan, _) = try await plan(of: directory, pages, in: operations)
            return answer(plan, directory, [], took: operations.now() - begun)
        }
        let claim = SyncClaim(records: operations.records, directory: directory.id, claimant: operations.ports.nodeName)
        guard try await claim.take(at: begun) else { throw Self.underWay(directory.name) }
        do {
            let (plan, state) = try await plan(of: directory, pages, in: operations)
            if let objection = plan.objection, !isConfirmed {
                throw Refusal(
                    .conflict, objection,
                    remedy: "Look at it with --dry-run; if it is meant: sallyport directory sync \(directory.name) --yes",
                    place: "directory")
            }
            let writer = SyncWriter(operations: operations, directory: directory, plan: plan, state: state, actor: actor, claim: claim)
            let (faults, warnings) = try await writer.write()
            var whole = plan
            whole.faults += faults
            whole.counts.faults = whole.faults.count
            let counts = whole.counts
            try await operations.records.endSync(
                ofDirectory: directory.id, by: claim.claimant, at: operations.now(), counts: counts.json, problem: nil,
                event: operations.event(.directorySynced, by: actor, ["directory": directory.name, "counts": counts.words]))
            return answer(whole, directory, warnings, took: operations.now() - begun)
        } catch {
            let why = (error as? Refusal)?.message ?? (error as? StoreError)?.what ?? "\(error)"
            try? await operations.records.endSync(
                ofDirectory: directory.id, by: claim.claimant, at: operations.now(), counts: nil, problem: why,
                event: operations.event(.directorySynced, by: actor, ["directory": directory.name, "why": why]))
            throw error
        }
    }

    private static func underWay(_ name: String) -> Refusal {
        Refusal(.unavailable, "Another sync of directory `\(name)` is under way.", remedy: "Wait until it is done.")
    }

    private func plan(
        of directory: Directory, _ pages: any DirectoryPages, in operations: Operations
    ) async throws -> (SyncPlan, SyncState) {
        var keys: [String] = []
        for name in adopting { keys.append(try operations.adopted(name, by: directory)) }
        let reading = SyncReading { [syncs = operations.syncs] in syncs.add($0, directory.id) }
        do throws(DirectoryReadFailure) {
            try await pages.read { reading.take($0) }
        } catch {
            throw Refusal(
                .unavailable, "Directory `\(directory.name)` could not be read to its end: \(error.text)",
                remedy: "Nothing was changed. See `sallyport directory test \(directory.name)`.")
        }
        let contents = try reading.whole()
        operations.syncs.set("comparing", directory.id)
        let state = try operations.records.syncState(
            ofDirectory: directory.id, groups: DirectoryPerson.groupName("", of: directory.name), adopting: keys)
        return (SyncPlanner.plan(contents, state, of: directory, adopting: Set(keys)), state)
    }

    private func answer(_ plan: SyncPlan, _ directory: Directory, _ warnings: [String], took: Timestamp.Span) -> Answer {
        let limit = min(max(0, limit), Self.highestLimit)
        var answer = Answer(
            directory: directory.name, isDryRun: isDryRun, counts: plan.counts, steps: plan.steps(limit),
            faults: Array(plan.faults.prefix(limit)), objection: isDryRun ? plan.objection : nil, warnings: warnings,
            milliseconds: Int(took.microseconds / 1_000))
        if directory.settings.syncEvery == nil, !isDryRun {
            answer.warnings.append("It is synced by hand alone; to have it done: sallyport directory set \(directory.name) --sync-every 1h")
        }
        return answer
    }
}

extension Operations {
    /// - Returns: the key of a user of our own.
    fileprivate func adopted(_ name: String, by directory: Directory) throws -> String {
        let user = try user(name)
        if let home = user.home, let other = home.directory, other != directory.id {
            let word = try records.directories().word(for: home)
            throw Refusal(
                .conflict, "The password of `\(user.name)` lives at directory `\(word)`.",
                remedy: "First: sallyport user set \(Words.argument(user.name)) --directory none", place: "adopt")
        }
        return user.key
    }
}

extension SyncPlan.Counts {
    /// `12 added, 3 disabled`
    package var words: String {
        let parts = [
            (added, "added"), (changed, "changed"), (disabled, "disabled"), (enabled, "enabled"), (groupsAdded, "groups added"),
            (groupsChanged, "groups changed"), (groupsEmptied, "groups emptied"), (joined, "joined groups"), (left, "left groups"),
            (faults, "entries with faults"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return parts.isEmpty ? "nothing to change" : parts.joined(separator: ", ")
    }

    var json: String { (try? JSONEncoder().encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}" }

    init?(json: String) {
        guard let counts = try? JSONDecoder().decode(Self.self, from: Data(json.utf8)) else { return nil }
        self = counts
    }
}

extension SyncPlan {
    /// The first of each kind.
    func steps(_ limit: Int) -> [SyncDirectory.Answer.Step] {
        typealias Step = SyncDirectory.Answer.Step
        var steps: [Step] = []
        for kind in [Change.Kind.disable, .enable, .change] {
            steps += changes.lazy.filter { $0.kind == kind }.prefix(limit).map {
                Step(action: kind.rawValue, name: $0.result.name, differences: $0.fields)
            }
        }
        steps += additions.prefix(limit).map { person in
            var differences: [String] = []
            if let email = person.email { differences.append("email: \(email)") }
            if let phone = person.phone { differences.append("phone: \(phone)") }
            if !person.aliases.isEmpty { differences.append("aliases: \(person.aliases.map(\.name).joined(separator: ", "))") }
            if !person.groups.isEmpty { differences.append("groups: \(person.groups.map { groups[$0].name }.joined(separator: ", "))") }
            return Step(action: "add", name: person.name, differences: differences)
        }
        func members(_ group: Group) -> [String] {
            (group.joins.count + group.newcomers > 0 ? ["\(group.joins.count + group.newcomers) join"] : [])
                + (group.leaves.isEmpty ? [] : ["\(group.leaves.count) leave"])
        }
        steps += groups.lazy.filter { $0.row == nil }.prefix(limit).map {
            Step(action: "add-group", name: $0.name, differences: members($0))
        }
        steps += groups.lazy.filter { $0.oldName != nil }.prefix(limit).map { group in
            let name = group.oldName.flatMap { $0 == group.name ? nil : ["name: \($0) → \(group.name)"] } ?? ["known to the directory"]
            return Step(action: "change-group", name: group.name, differences: name + members(group))
        }
        steps += groups.lazy.filter { $0.isGone }.prefix(limit).map {
            Step(action: "empty-group", name: $0.name, differences: members($0))
        }
        steps += groups.lazy.filter { group in
            group.row != nil && group.oldName == nil && !group.isGone
                && !(group.joins.isEmpty && group.leaves.isEmpty && group.newcomers == 0)
        }.prefix(limit).map { Step(action: "members", name: $0.name, differences: members($0)) }
        return steps
    }
}

/// One sync of a directory at a time, whoever asks.
struct SyncClaim: Sendable {
    /// Who ends without giving it back is waited for so long.
    static let holds: Timestamp.Span = .seconds(15 * 60)
    static let renewedEvery: Timestamp.Span = .seconds(60)

    let records: Records
    let directory: Int64
    let claimant: String

    func take(at now: Timestamp) async throws(StoreError) -> Bool {
        try await records.claimSync(ofDirectory: directory, by: claimant, at: now, until: now + Self.holds, begins: true)
    }

    func renew(at now: Timestamp) async throws {
        guard try await records.claimSync(ofDirectory: directory, by: claimant, at: now, until: now + Self.holds, begins: false) else {
            throw Refusal(
                .unavailable, "Another node took the sync over.", remedy: "What was written before is right; the other one goes on.")
        }
    }
}
