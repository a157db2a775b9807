// SPDX-License-Identifier: Apache-2.0
// Looking policies up, as they are and as they were.

internal import LoginEngine
internal import Store

extension ListPolicies {
    package func perform(in operations: Operations, by actor: Actor) async throws -> PolicyList {
        let records = try at.map { try operations.records.policies(at: $0.timestamp) } ?? operations.records.policySet().records
        let rows = try operations.policyRows()
        let names = try operations.names(rows, for: records.map(\.policy))
        let clients = try operations.records.clients().sorted { $0.name < $1.name }
        let otherwise = clients.map { PolicyList.Otherwise(client: $0.name, require: $0.settings.requirement.rawValue) }
        var list = PolicyList(policies: records.map { PolicyView($0, current: names) }, otherwise: at == nil ? otherwise : [])
        if at == nil {
            let policies = records.map(\.policy)
            list.warnings = try operations.shadow(policies, rows).sentences
            if try operations.isClosed(policies) {
                list.warnings.insert("Nobody can log in anywhere: every client is denied, by a policy or by its own rule.", at: 0)
            }
        }
        return list
    }
}

extension ShowPolicy {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let wanted = Valid.trimmed(name).lowercased()
        let records = operations.records
        let set = try records.policySet()
        let revisions = try records.policyRevisions(name: wanted)
        let rows = try operations.policyRows()
        let inForce = try at.map { try records.policies(at: $0.timestamp) } ?? set.records
        guard let position = inForce.firstIndex(where: { $0.policy.name == wanted }) else {
            guard let last = revisions.last else {
                throw Refusal.missing(
                    "policy", Valid.shown(name), among: set.records.map(\.policy.name), otherwise: "`sallyport policy list` shows all.")
            }
            if let at {
                throw Refusal(
                    .missing, "No policy `\(wanted)` was in force at \(at).",
                    remedy: "Its first revision is of \(Instant(revisions[0].at)), its last of \(Instant(last.at)).")
            }
            throw Refusal(
                .missing, "There is no policy `\(wanted)` any more.",
                remedy:
                    "Its last revision is of \(Instant(last.at)): `sallyport policy show \(wanted) --at TIME` shows what was in force then."
            )
        }
        let record = inForce[position]
        let view = PolicyView(record, current: try operations.names(rows, for: [record.policy]))
        var answer = Answer(
            policy: view, position: position + 1, meaning: view.meaning,
            revisions: revisions.reversed().filter { $0.policy.id == record.policy.id }.map {
                Revision(number: $0.policy.revision, name: $0.policy.name, at: Instant($0.at))
            }, warnings: [])
        if at == nil {
            let policies = set.records.map(\.policy)
            answer.warnings =
                try operations.impact(of: position, in: policies).sentences(view)
                + operations.warnings(about: position, in: policies, rows)
        }
        return answer
    }
}

extension DiffPolicy {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let wanted = Valid.trimmed(name).lowercased()
        let records = operations.records
        let all = try records.policyRevisions(name: wanted)
        guard let last = all.last(where: { $0.policy.name == wanted }) else {
            throw Refusal.missing(
                "policy", Valid.shown(name), among: try records.policySet().records.map(\.policy.name),
                otherwise: "`sallyport policy list` shows all.")
        }
        func revision(_ number: Int) throws -> PolicyRecord {
            let found = all.filter { $0.policy.revision == number }
            // A name may have been given twice; the policy that has it now counts first.
            if let record = found.first(where: { $0.policy.id == last.policy.id }) ?? found.last { return record }
            throw Refusal(
                .missing, "Policy \(wanted) has no revision \(number).",
                remedy: "It has \(Words.list(all.map { String($0.policy.revision) })): `sallyport policy show \(wanted)`.",
                place: "revision")
        }
        let new = try to.map(revision) ?? last
        let old: PolicyRecord
        if let from {
            old = try revision(from)
        } else {
            guard let before = all.last(where: { $0.policy.id == new.policy.id && $0.policy.revision < new.policy.revision }) else {
                throw Refusal(.missing, "Policy \(wanted) has one revision only, so there is nothing to compare.")
            }
            old = before
        }
        let names = try operations.names(operations.policyRows(), for: [old.policy, new.policy])
        return Answer(
            name: wanted, from: old.policy.revision, to: new.policy.revision,
            differences: PolicyView(new, current: names).differences(since: PolicyView(old, current: names)))
    }
}
