// SPDX-License-Identifier: Apache-2.0
// Brings directories, clients, groups and policies to what a file says: a plan first, then all of it in one transaction.

internal import LoginEngine
internal import Store

extension ApplyBlueprint {
    private static let mostTries = 5

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        for attempt in 1... {
            // Whatever is written meanwhile raises the revision, and the plan is made anew.
            var plan = BlueprintPlan(self, operations, actor, revision: try operations.records.revision())
            try plan.make()
            var answer = Answer(isDryRun: isDryRun, differences: plan.differences, warnings: plan.warnings)
            guard !isDryRun, answer.changes else { return answer }
            let (rollout, records, now) = (plan.rollout, operations.records, operations.now())
            let isWritten = try await operations.isWritten(mayLookAgain: attempt < Self.mostTries) { () throws(StoreError) in
                try await records.roll(out: rollout, at: now)
            }
            guard isWritten else { continue }
            if plan.changesChannels { try await operations.ports.changed(.mail) }
            if plan.changesDirectories { try await operations.ports.changed(.directories) }
            if rollout.policies != nil { try await operations.ports.changed(.policies) }
            if plan.changesClients { try await operations.ports.changed(.clients) }
            if plan.changesReplies { try await operations.ports.changed(.replies) }
            let changesAccepts = plan.changesReplies || plan.changesClients || rollout.policies != nil || !rollout.members.isEmpty
            if changesAccepts, try !operations.replyTable().isEmpty { answer.warnings += try operations.updateHint() }
            return answer
        }
        preconditionFailure("the loop ends with an answer or an error")
    }
}

/// From what is there and what is wanted to what has to be written.
struct BlueprintPlan {
    let request: ApplyBlueprint
    let operations: Operations
    let actor: Actor
    var rollout: Rollout
    var differences: [ApplyBlueprint.Difference] = []
    var warnings: [String] = []
    /// Clients and groups as they will be, new ones under a number of their own below zero.
    var rows: PolicyRows
    /// Of groups; those of clients and policies change with these.
    var changesReplies: Bool {
        !(rollout.groupReplies.isEmpty && rollout.groupHomes.isEmpty && rollout.groupSessions.isEmpty && rollout.newGroups.isEmpty
            && rollout.removedGroups.isEmpty)
    }
    var changesDirectories: Bool {
        !(rollout.newDirectories.isEmpty && rollout.changedDirectories.isEmpty && rollout.removedDirectories.isEmpty)
    }
    var changesChannels: Bool { !(rollout.newChannels.isEmpty && rollout.changedChannels.isEmpty && rollout.removedChannels.isEmpty) }
    /// Somebody is held to a number of sessions who was not before.
    var setsSessions = false
    /// As they will be.
    var directories: [LoginEngine.Directory] = []
    /// Groups and clients that will say that passwords live at a directory, by its row.
    var named: [Int64: [String]] = [:]
    var changesClients: Bool { !(rollout.newClients.isEmpty && rollout.changedClients.isEmpty && rollout.removedClients.isEmpty) }

    init(_ request: ApplyBlueprint, _ operations: Operations, _ actor: Actor, revision: Int64) {
        self.request = request
        self.operations = operations
        self.actor = actor
        rollout = Rollout(revision: revision)
        rows = PolicyRows(clients: [], groups: [], replies: operations.ports.replies, user: operations.policyUser)
    }

    mutating func make() throws {
        let set = try operations.records.policySet()
        try planChannels()
        try planDirectories()
        try planClients(hasPolicies: try willHavePolicies(set))
        try planGroups()
        try planPolicies(set)
        for (id, event) in rollout.removedDirectories {
            guard let names = named[id] else { continue }
            throw Refusal(
                .conflict,
                "The passwords of \(Words.list(names)) live at directory `\(event["directory"] ?? "?")`, which is not in the file.",
                remedy: "Write it down, or say there where else they live.")
        }
        if setsSessions { warnings += try operations.unaccountedWarnings() }
    }

    /// Whether anything but clients' own rules will decide: then a client that says nothing lets in by policies alone.
    private func willHavePolicies(_ set: PolicySet) throws -> Bool {
        if let wanted = request.blueprint.policies, wanted.contains(where: { $0.choices.isReportOnly != true }) { return true }
        if request.prunes, request.blueprint.policies != nil { return false }
        return set.records.contains { !$0.policy.rule.isReportOnly }
    }

    mutating func note(
        _ kind: String, _ name: String, _ action: ApplyBlueprint.Difference.Action, _ fields: [ApplyBlueprint.Field] = []
    ) {
        differences.append(ApplyBlueprint.Difference(kind: kind, name: name, action: action, fields: fields))
    }

    /// One name, one entry.
    func unique(_ entries: [(name: String, place: String)], _ what: String) throws {
        var seen: Set<String> = []
        for entry in entries where !seen.insert(entry.name.lowercased()).inserted {
            throw Refusal(.invalid, "\(what) `\(Valid.shown(entry.name))` is there twice.", remedy: "Keep one of them.", place: entry.place)
        }
    }

    /// What a nested check refuses, with its place in the file: that of the key that it is about, where that stands there.
    func located<Result>(_ place: String, _ places: [String: String] = [:], _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let refusal as Refusal {
            guard let field = refusal.place else { throw refusal.at(place) }
            // Some have another name in a file than as an option.
            let key = [field, field + "s", Self.keys[field] ?? field].lazy.compactMap { places[$0] }.first
            throw refusal.at("\(key ?? place): \(field)")
        }
    }

    private static let keys = [
        "client": "when", "client-tag": "when", "group": "when", "user": "when", "method": "when", "realm": "when",
        "network": "when", "not-network": "when", "country": "when", "not-country": "when", "hours": "when", "home": "directory",
    ]
}

// MARK: Clients

extension BlueprintPlan {
    private mutating func planClients(hasPolicies: Bool) throws {
        let old = try operations.records.clients().sorted { $0.name < $1.name }
        guard let wanted = request.blueprint.clients else {
            rows.clients = old.map { ($0.id, $0.name, $0.settings.tags) }
            noteHomes(of: old)
            return
        }
        try unique(wanted.map { ($0.name, $0.place) }, "Client")
        var final: [Client] = []
        var changed: [(entry: Blueprint.Client, old: Client?, new: ClientSettings)] = []
        for entry in wanted {
            let (known, settings) = try located(entry.place, entry.places) { try self.settings(entry, old, hasPolicies: hasPolicies) }
            final.append(Client(id: known?.id ?? -Int64(changed.count) - 1, settings: settings))
            changed.append((entry, known, settings))
        }
        let missing = old.filter { client in !wanted.contains { $0.name == client.name } }
        if !request.prunes { final += missing }
        noteHomes(of: final)
        for (entry, _, settings) in changed {
            try located(entry.place, entry.places) { try operations.check(settings, against: final, directories: directories) }
        }

        for (entry, known, settings) in changed {
            guard let known else {
                rollout.newClients.append((settings, event(added: settings)))
                rows.clients.append((-Int64(rollout.newClients.count), settings.name, settings.tags))
                note("client", entry.name, .add, fields(of: settings, since: nil))
                warnings += settings.secretWarnings(among: final.filter { $0.name != settings.name })
                continue
            }
            rows.clients.append((known.id, settings.name, settings.tags))
            let changes = settings.changes(since: known.settings, directories)
            guard !changes.isEmpty else { continue }
            note("client", entry.name, .change, fields(of: settings, since: known.settings))
            rollout.changedClients.append(
                (
                    known.id, settings,
                    operations.event(
                        .clientChanged, by: actor, client: known.id, ["client": settings.name, "change": changes.joined(separator: "; ")])
                ))
        }
        for client in missing {
            note("client", client.name, request.prunes ? .remove : .missing)
            if request.prunes {
                rollout.removedClients.append(
                    (client.id, operations.event(.clientRemoved, by: actor, client: client.id, ["client": client.name])))
            } else {
                rows.clients.append((client.id, client.name, client.settings.tags))
            }
        }
    }

    private mutating func noteHomes(of clients: [Client]) {
        for client in clients {
            for directory in client.settings.directories { named[directory, default: []].append("client \(client.name)") }
        }
    }

    private func settings(
        _ entry: Blueprint.Client, _ clients: [Client], hasPolicies: Bool
    ) throws -> (known: Client?, settings: ClientSettings) {
        let name = try Valid.clientName(entry.name)
        let known = clients.first { $0.name == name }
        guard known != nil || entry.choices.secret != nil || entry.choices.needsNoSecret else {
            throw Refusal(
                .invalid, "Client `\(name)` is new, so there is no secret to keep.",
                remedy: "Write `secret: { file: PATH }` or `secret: { env: NAME }`.")
        }
        var base = ClientSettings(name: name, addresses: [], secret: known?.settings.secret ?? Secret([]))
        base.preSharedKey = known?.settings.preSharedKey
        base.bindBeforeCode = known?.settings.bindBeforeCode ?? false
        base.requirement = hasPolicies ? .deny : .passwordAndFactor
        return (known, try entry.choices.apply(to: base, operations, directories: directories))
    }

    private func event(added settings: ClientSettings) -> Event {
        operations.event(
            .clientAdded, by: actor,
            [
                "client": settings.name, "addresses": settings.addresses.map(\.description).joined(separator: ", "),
                "requirement": settings.requirement.rawValue, "asking": settings.asking.rawValue,
            ])
    }

    /// Of these only that they change is told.
    private static let secrets = ["secret", "psk", "password", "ca"]

    /// - Parameter old: nil: everything that is not the default.
    private func fields(of new: ClientSettings, since old: ClientSettings?) -> [ApplyBlueprint.Field] {
        let before = old ?? ClientSettings(name: new.name, addresses: [], secret: Secret([]))
        return Self.fields(new.changes(since: before, directories), isNew: old == nil)
    }

    /// `timeout: 3s → 5s`, as a field with what it was and what it is to be.
    static func fields(_ changes: [String], isNew: Bool) -> [ApplyBlueprint.Field] {
        var fields: [ApplyBlueprint.Field] = []
        for change in changes {
            guard let colon = change.firstRange(of: ": "), let arrow = change.firstRange(of: " → ") else {
                fields.append(ApplyBlueprint.Field(name: Self.secrets.first { change.hasPrefix($0 + " ") } ?? change))
                continue
            }
            let value = String(change[colon.upperBound..<arrow.lowerBound])
            fields.append(
                ApplyBlueprint.Field(
                    name: String(change[..<colon.lowerBound]), before: isNew || value.isEmpty ? nil : value,
                    after: String(change[arrow.upperBound...])))
        }
        return fields
    }
}

// MARK: Policies

extension BlueprintPlan {
    private mutating func planPolicies(_ set: PolicySet) throws {
        guard let wanted = request.blueprint.policies else {
            let policies = set.records.map(\.policy)
            try refuseMissing(in: policies)
            return
        }
        try unique(wanted.map { ($0.name, $0.place) }, "Policy")
        guard wanted.count <= Operations.mostPolicies else {
            throw Refusal(.invalid, "There are more than \(Operations.mostPolicies) policies.", remedy: "Name several groups in one.")
        }
        var drafts: [PolicyDraft] = []
        for entry in wanted {
            drafts.append(
                try located(entry.place, entry.places) {
                    let name = try Valid.policyName(entry.name)
                    let known = set.records.first { $0.policy.name == name }
                    return PolicyDraft(
                        id: known?.policy.id, rule: try entry.choices.apply(to: PolicyRule(name: name, requirement: .deny), rows))
                })
        }
        let missing = set.records.filter { record in !wanted.contains { $0.name == record.policy.name } }
        for record in missing { note("policy", record.policy.name, request.prunes ? .remove : .missing) }
        if !request.prunes {
            drafts += missing.map { PolicyDraft(id: $0.policy.id, rule: $0.policy.rule) }
            if !missing.isEmpty, !wanted.isEmpty {
                warnings.append("Policies that are not in the file stay, behind those of the file.")
            }
        }
        let policies = set.applying(drafts)
        try refuseMissing(in: policies)
        let names = try operations.names(rows, for: set.records.map(\.policy) + policies)
        compare(set, policies, names)
        guard policies != set.records.map(\.policy) else { return }
        let counted = Set(set.records.filter { $0.policy.rule.mostSessions != nil }.map(\.policy.id))
        if policies.contains(where: { $0.rule.mostSessions != nil && !counted.contains($0.id) }) { setsSessions = true }
        try warnOfLockout(set.records.map(\.policy), policies, names)
        let known = try operations.shadow(set.records.map(\.policy), rows).sentences
        warnings += try operations.shadow(policies, rows).sentences.filter { !known.contains($0) }
        if rollout.newClients.isEmpty, try operations.isClosed(policies), try !operations.isClosed(set.records.map(\.policy)) {
            warnings.insert(Operations.closedSentence, at: 0)
        }
        rollout.policies = Rollout.Policies(set: set, policies: policies, names: rows.names)
        rollout.events += operations.policyEvents(from: set, to: policies, rows, by: actor, move: nil) + orderEvents(set, policies)
    }

    /// Names those by which more users than before could not log in: of the clients, groups and members that there are now.
    private mutating func warnOfLockout(_ before: [Policy], _ policies: [Policy], _ names: PolicyNames) throws {
        for (position, policy) in policies.enumerated() where !policy.rule.isReportOnly {
            let impact = try operations.impact(of: position, in: policies)
            guard impact.lockedOut > 0 else { continue }
            if let old = before.firstIndex(where: { $0.id == policy.id }),
                try operations.impact(of: old, in: before).lockedOut >= impact.lockedOut
            {
                continue
            }
            let view = PolicyView(PolicyRecord(policy: policy, at: operations.now(), names: names), current: names)
            warnings += impact.sentences(view).map { "Policy \(policy.name): \($0)" }
        }
    }

    private mutating func compare(_ set: PolicySet, _ policies: [Policy], _ names: PolicyNames) {
        let moves = moves(set, policies)
        for policy in policies {
            let view = PolicyView(PolicyRecord(policy: policy, at: operations.now(), names: names), current: names)
            guard let old = set.records.first(where: { $0.policy.id == policy.id }) else {
                note("policy", policy.name, .add, [ApplyBlueprint.Field(name: "meaning", before: nil, after: view.meaning)])
                continue
            }
            var fields = view.differences(since: PolicyView(old, current: names)).map { change in
                let colon = change.firstRange(of: ": ")
                let arrow = change.firstRange(of: " → ")
                guard let colon, let arrow else { return ApplyBlueprint.Field(name: change) }
                return ApplyBlueprint.Field(
                    name: String(change[..<colon.lowerBound]), before: String(change[colon.upperBound..<arrow.lowerBound]),
                    after: String(change[arrow.upperBound...]))
            }
            if let (before, after) = moves[policy.id] {
                fields.append(ApplyBlueprint.Field(name: "place", before: "\(before)", after: "\(after)"))
            }
            if !fields.isEmpty { note("policy", policy.name, .change, fields) }
        }
    }

    /// The fewest policies that have to move to come into the new order: place before and after, counted from 1.
    private func moves(_ set: PolicySet, _ policies: [Policy]) -> [Int64: (Int, Int)] {
        let old = set.records.map(\.policy.id)
        let staying = policies.compactMap { policy in old.firstIndex(of: policy.id) }
        // The longest run that is in order already stays where it is.
        var lengths: [(length: Int, before: Int?)] = []
        for (index, place) in staying.enumerated() {
            var best: (length: Int, before: Int?) = (1, nil)
            for earlier in 0..<index where staying[earlier] < place && lengths[earlier].length >= best.length {
                best = (lengths[earlier].length + 1, earlier)
            }
            lengths.append(best)
        }
        var kept: Set<Int> = []
        var next = lengths.indices.max { lengths[$0].length < lengths[$1].length }
        while let index = next {
            kept.insert(staying[index])
            next = lengths[index].before
        }
        var moves: [Int64: (Int, Int)] = [:]
        for place in staying where !kept.contains(place) {
            moves[old[place]] = policies.firstIndex { $0.id == old[place] }.map { (place + 1, $0 + 1) }
        }
        return moves
    }

    private func orderEvents(_ set: PolicySet, _ policies: [Policy]) -> [Event] {
        let moves = moves(set, policies)
        return policies.compactMap { policy in
            moves[policy.id].map {
                operations.event(.policyChanged, by: actor, ["policy": policy.label, "change": "moved from place \($0.0) to \($0.1)"])
            }
        }
    }

    /// What a policy names must be there when all is done.
    private func refuseMissing(in policies: [Policy]) throws {
        for policy in policies {
            let clients = policy.rule.when.clients.filter { id in !rows.clients.contains { $0.id == id } }
            let groups = policy.rule.when.groups.filter { id in !rows.groups.contains { $0.id == id } }
            guard !clients.isEmpty || !groups.isEmpty else { continue }
            throw Refusal(
                .conflict, "Policy `\(policy.name)` names a \(clients.isEmpty ? "group" : "client") that --prune would remove.",
                remedy: "Keep it in the file, or change the policy there too.")
        }
    }
}
