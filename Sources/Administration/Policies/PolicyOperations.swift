// SPDX-License-Identifier: Apache-2.0
// Changing policies: each change is a new list, written as a whole with its event.

internal import LoginEngine
internal import Store

extension Operations {
    static let mostPolicies = 1_000

    /// The list is read, changed and written; whoever was faster makes us look again.
    func changePolicies<Answer>(
        by actor: Actor, _ change: (PolicySet, PolicyRows) throws -> PolicyChange<Answer>
    ) async throws -> Answer {
        for attempt in 1... {
            let set = try records.policySet()
            let rows = try policyRows()
            let wanted = try change(set, rows)
            guard let drafts = wanted.drafts else { return wanted.answer([]) }
            let policies = set.applying(drafts)
            try refuseUnprovable(policies, but: set)
            let events = policyEvents(from: set, to: policies, rows, by: actor, move: wanted.move)
            let (names, now) = (rows.names, now())
            let isWritten = try await isWritten(mayLookAgain: attempt < 4) { [records] () throws(StoreError) in
                try await records.replacePolicies(policies, over: set, names: names, at: now, events: events)
            }
            guard isWritten else { continue }
            try await ports.changed(.policies)
            return wanted.answer(policies)
        }
        preconditionFailure("the loop ends with an answer or an error")
    }

    /// - Returns: false when what the change was made by is no longer so, and it may be made anew.
    func isWritten(mayLookAgain: Bool, _ write: () async throws(StoreError) -> Void) async throws -> Bool {
        do throws(StoreError) {
            try await write()
            return true
        } catch {
            guard error.code == .notAllowed, mayLookAgain else { throw error }
            return false
        }
    }

    /// One event for each policy that was added, changed, moved or removed.
    func policyEvents(
        from set: PolicySet, to policies: [Policy], _ rows: PolicyRows, by actor: Actor, move: (policy: Int64, text: String)? = nil
    ) -> [Event] {
        var events: [Event] = []
        for policy in policies {
            let view = PolicyView(PolicyRecord(policy: policy, at: now(), names: rows.names), current: rows.names)
            guard let old = set.records.first(where: { $0.policy.id == policy.id }) else {
                events.append(event(.policyAdded, by: actor, ["policy": policy.label, "meaning": view.meaning]))
                continue
            }
            let changes = view.differences(since: PolicyView(old, current: rows.names))
            if old.policy != policy {
                events.append(
                    event(.policyChanged, by: actor, ["policy": policy.label, "change": changes.joined(separator: "; ")]))
            }
            if let move, move.policy == policy.id {
                events.append(event(.policyChanged, by: actor, ["policy": policy.label, "change": move.text]))
            }
        }
        for record in set.records where !policies.contains(where: { $0.id == record.policy.id }) {
            events.append(event(.policyRemoved, by: actor, ["policy": record.policy.label]))
        }
        return events
    }

    func policy(_ name: String, in set: PolicySet) throws -> PolicyRecord {
        let wanted = Valid.trimmed(name).lowercased()
        if let record = set.records.first(where: { $0.policy.name == wanted }) { return record }
        throw Refusal.missing(
            "policy", Valid.shown(name), among: set.records.map(\.policy.name), otherwise: "`sallyport policy list` shows all.")
    }

    /// A group that a policy names cannot go: the policy would mean something else.
    func refuseIfNamed(group: GroupRecord) throws {
        let names = try records.policySet().records.filter { $0.policy.rule.when.groups.contains(group.id) }.map(\.policy.name)
        try refuse("Group `\(group.name)`", namedBy: names)
    }

    func refuseIfNamed(client: Client) throws {
        let names = try records.policySet().records.filter { $0.policy.rule.when.clients.contains(client.id) }.map(\.policy.name)
        try refuse("Client `\(client.name)`", namedBy: names)
    }

    /// What a named client's protocol can never prove is no rule but a locked door. Policies that stood before are not looked at again.
    private func refuseUnprovable(_ policies: [Policy], but set: PolicySet) throws {
        let new = policies.filter { policy in
            let rule = policy.rule
            return !rule.isReportOnly && !rule.when.clients.isEmpty
                && (rule.requirement == .password || rule.requirement == .passwordAndFactor)
                && !set.records.contains { $0.policy == policy }
        }
        guard !new.isEmpty else { return }
        let kept = try provableSchemes()
        for client in try records.clients() {
            for policy in new where policy.rule.when.clients.contains(client.id) {
                var settings = client.settings
                settings.requirement = policy.rule.requirement
                guard let scheme = settings.schemesWithoutPassword(kept: kept) ?? settings.schemeThatCannotAppend else { continue }
                throw Refusal(
                    .conflict,
                    "Client `\(client.name)` may use \(scheme.title), by which \(policy.rule.requirement.rawValue) cannot be proved.",
                    remedy: "Require factor there, or `sallyport client set \(client.name) --protocol pap`; see `sallyport password show`.")
            }
        }
    }

    private func refuse(_ what: String, namedBy policies: [String]) throws {
        guard let first = policies.first else { return }
        throw Refusal(
            .conflict, "\(what) is named by policy \(Words.list(policies.map { "`\($0)`" })).",
            remedy: "Change or remove it first: `sallyport policy show \(first)`.")
    }

    func index(of place: PolicyPlace, in names: [String]) throws(Refusal) -> Int {
        func position(_ name: String) throws(Refusal) -> Int {
            if let index = names.firstIndex(of: Valid.trimmed(name).lowercased()) { return index }
            throw Refusal.missing("policy", Valid.shown(name), among: names, otherwise: "`sallyport policy list` shows all.")
        }
        switch place {
        case .first: return 0
        case .last: return names.count
        case .before(let name): return try position(name)
        case .after(let name): return try position(name) + 1
        }
    }
}

/// What becomes of the list of policies; no drafts: nothing is written.
struct PolicyChange<Answer> {
    var drafts: [PolicyDraft]?
    var move: (policy: Int64, text: String)?
    var answer: ([Policy]) -> Answer
}

extension PolicySet {
    var drafts: [PolicyDraft] { records.map { PolicyDraft(id: $0.policy.id, rule: $0.policy.rule) } }
}

extension AddPolicy {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let name = try Valid.policyName(name)
        guard choices.require != nil else {
            throw Refusal(
                .invalid, "A policy has to say what it requires.",
                remedy: "Give --require deny, password, factor, password+factor, certificate or certificate+factor.",
                place: "require")
        }
        return try await operations.changePolicies(by: actor) { set, rows in
            guard !set.records.contains(where: { $0.policy.name == name }) else {
                throw Refusal(
                    .conflict, "There is a policy `\(name)` already.",
                    remedy: "Change it with `sallyport policy set \(name)`, or choose another name.", place: "name")
            }
            guard set.records.count < Operations.mostPolicies else {
                throw Refusal(
                    .invalid, "There are \(Operations.mostPolicies) policies; more are not taken.", remedy: "Name several groups in one.")
            }
            let rule = try choices.apply(to: PolicyRule(name: name, requirement: .deny), rows)
            var drafts = set.drafts
            let position = try operations.index(of: place, in: set.records.map(\.policy.name))
            drafts.insert(PolicyDraft(id: nil, rule: rule), at: position)
            return try operations.answer(set, drafts, rows, at: position, verb: "add", isDryRun: isDryRun)
        }
    }
}

extension SetPolicy {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        guard name != nil || choices != PolicyChoices() else {
            throw Refusal(.invalid, "Nothing to change was given.", remedy: "`sallyport policy set --help` lists what can be changed.")
        }
        return try await operations.changePolicies(by: actor) { set, rows in
            let old = try operations.policy(policy, in: set)
            var rule = try choices.apply(to: choices.fit(old.policy.rule), rows)
            if let name {
                rule.name = try Valid.policyName(name)
                guard !set.records.contains(where: { $0.policy.name == rule.name && $0.policy.id != old.policy.id }) else {
                    throw Refusal(.conflict, "There is a policy `\(rule.name)` already.", remedy: "Choose another name.", place: "name")
                }
            }
            var drafts = set.drafts
            guard let position = drafts.firstIndex(where: { $0.id == old.policy.id }) else {
                throw Refusal(.failed, "Policy `\(old.policy.name)` has no place in the list.")
            }
            drafts[position].rule = rule
            return try operations.answer(set, drafts, rows, at: position, verb: "change", isDryRun: isDryRun)
        }
    }
}

extension PolicyChoices {
    /// What no longer means anything under a new requirement goes with the old one, unless it was given too.
    fileprivate func fit(_ rule: PolicyRule) -> PolicyRule {
        guard let require, let requirement = Requirement(rawValue: require), requirement != rule.requirement else { return rule }
        var rule = rule
        if requirement == .deny || requirement == .password || requirement == .certificate { rule.factors = nil }
        if requirement != .passwordAndFactor { rule.unenrolled = .deny }
        return rule
    }
}

extension Operations {
    /// The answer to an added or changed policy, with what it means for users.
    fileprivate func answer(
        _ set: PolicySet, _ drafts: [PolicyDraft], _ rows: PolicyRows, at position: Int, verb: String, isDryRun: Bool
    ) throws -> PolicyChange<AddPolicy.Answer> {
        let planned = set.applying(drafts)
        let policy = planned[position]
        let old = set.records.first { $0.policy.id == policy.id }
        let isSame = old?.policy == policy
        let names = try names(rows, for: [policy] + (old.map { [$0.policy] } ?? []))
        let view = PolicyView(PolicyRecord(policy: policy, at: isSame ? old?.at ?? now() : now(), names: rows.names), current: names)
        let impact = try impact(of: position, in: planned)
        let changes = old.map { view.differences(since: PolicyView($0, current: names)) } ?? []
        let deed = isDryRun ? "Would \(verb)" : verb == "add" ? "Added" : "Changed"
        var message = "\(deed) policy \(view.name)" + (changes.isEmpty ? ". \(view.meaning)" : ": \(changes.joined(separator: "; ")).")
        if isSame { message = "Nothing to change: policy \(view.name) is like that already." }
        if isDryRun, !isSame { message += " Nothing was written." }
        let answer = AddPolicy.Answer(
            message: message, isDryRun: isDryRun, policy: view, concerned: impact.concerned, lockedOut: impact.lockedOut,
            warnings: impact.sentences(view) + warnings(about: position, in: planned, rows)
                + (isDryRun || old?.policy.rule.reply ?? [] == policy.rule.reply ? [] : try updateHint()))
        return PolicyChange(drafts: isDryRun || isSame ? nil : drafts, answer: { _ in answer })
    }
}

extension RemovePolicy {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        try await operations.changePolicies(by: actor) { set, rows in
            let old = try operations.policy(name, in: set)
            let drafts = set.drafts.filter { $0.id != old.policy.id }
            let view = PolicyView(old, current: try operations.names(rows, for: [old.policy]))
            let closes = try operations.isClosed(set.applying(drafts)) ? [Operations.closedSentence] : []
            let next = "Whom it decided about (\(view.who)) is now judged by the policies behind it, or by the client's own rule."
            return PolicyChange(
                drafts: drafts,
                answer: { _ in
                    Done(
                        "Removed policy \(old.policy.name). Its revisions are kept: `sallyport policy show \(old.policy.name) --at TIME`.",
                        warnings: view.isReportOnly ? [] : closes + [next])
                })
        }
    }
}

extension MovePolicy {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        try await operations.changePolicies(by: actor) { set, rows in
            let old = try operations.policy(name, in: set)
            var drafts = set.drafts
            guard let from = drafts.firstIndex(where: { $0.id == old.policy.id }) else {
                throw Refusal(.failed, "Policy `\(old.policy.name)` has no place in the list.")
            }
            let draft = drafts.remove(at: from)
            let rest = set.records.map(\.policy.name).filter { $0 != old.policy.name }
            if case .before(old.policy.name) = place { throw Self.besideItself }
            if case .after(old.policy.name) = place { throw Self.besideItself }
            let to = try operations.index(of: place, in: rest)
            guard to != from else {
                return PolicyChange(drafts: nil, answer: { _ in Done("Nothing to change: policy \(old.policy.name) is there already.") })
            }
            drafts.insert(draft, at: to)
            let warnings = operations.warnings(about: to, in: set.applying(drafts), rows)
            return PolicyChange(
                drafts: drafts, move: (old.policy.id, "moved from place \(from + 1) to \(to + 1)"),
                answer: { _ in Done("Moved policy \(old.policy.name) from place \(from + 1) to \(to + 1).", warnings: warnings) })
        }
    }

    private static let besideItself = Refusal(.invalid, "A policy cannot be moved beside itself.", remedy: "Name another one.")
}
