// SPDX-License-Identifier: Apache-2.0
// What a policy would mean at this moment: how many users it decides about, and what deserves a second look.

internal import LoginEngine
internal import Store

struct PolicyImpact {
    var concerned: Int
    /// Without a factor that counts.
    var unenrolled: Int
    var rule: PolicyRule

    var lockedOut: Int {
        switch rule.requirement {
        case .deny: concerned
        case .password, .certificate: 0
        case .factor, .passwordAndFactor, .certificateAndFactor: rule.unenrolled == .deny ? unenrolled : 0
        }
    }

    func sentences(_ view: PolicyView) -> [String] {
        let would = rule.isReportOnly ? "It only reports. If it decided, it" : "It"
        guard concerned > 0 else { return ["It decides about no active user at this moment."] }
        let all = "\(would) decides about \(Words.count(concerned, "active user"))"
        switch rule.requirement {
        case .deny: return ["\(all), and refuses them all."]
        case .password, .certificate: return ["\(all), and asks them for no second factor."]
        case .factor, .passwordAndFactor, .certificateAndFactor:
            guard unenrolled > 0 else { return ["\(all); all of them have a factor that counts."] }
            let without = "\(all); \(unenrolled) of them \(unenrolled == 1 ? "has" : "have") no factor that counts"
            return rule.unenrolled == .deny
                ? [
                    "\(without) and would be locked out now. Enrol them, or give them grace: `sallyport policy set \(view.name) --grace-days 14`."
                ]
                : ["\(without): \(view.unenrolledText)."]
        }
    }
}

extension Operations {
    static let unknownWords = "Where it is not known, what the policy asks for is asked in addition to what would decide without it."

    /// Counts by one statement, whatever the number of users.
    func impact(of position: Int, in policies: [Policy]) throws -> PolicyImpact {
        let rule = policies[position].rule
        // For each client that it names: the groups that are decided about before.
        var earlier: [[Int64]] = []
        for client in try records.clients() where rule.when.fits(client) {
            var groups: Set<Int64> = []
            var isReached = true
            for before in policies[..<position] where !before.rule.isReportOnly && before.rule.when.fits(client) {
                // What decides about some logins of theirs, or about some of them, leaves the others.
                if before.rule.when.isOfSomeLogins || !before.rule.when.users.isEmpty { continue }
                if before.rule.when.groups.isEmpty { isReached = false }
                groups.formUnion(before.rule.when.groups)
            }
            let list = groups.sorted()
            if isReached, !earlier.contains(list) { earlier.append(list) }
        }
        let reach = Records.PolicyReach(
            groups: rule.when.groups.isEmpty ? nil : rule.when.groups, users: rule.when.users.isEmpty ? nil : rule.when.users,
            earlier: earlier)
        // Behind a certificate no code can be asked for.
        let kinds = rule.requirement == .certificateAndFactor ? [.push] : rule.factors
        let counts = try records.countUsers(in: reach, without: kinds)
        return PolicyImpact(concerned: counts.all, unenrolled: counts.without, rule: rule)
    }

    func warnings(about position: Int, in policies: [Policy], _ rows: PolicyRows) -> [String] {
        let policy = policies[position]
        let rule = policy.rule
        var warnings: [String] = []
        if let shadow = try? shadow(policies, rows) {
            if let sentence = shadow.sentence(position) { warnings.append(sentence) }
            var without = policies
            without.remove(at: position)
            let before = PolicyShadow(policies: without, rows: rows, users: shadow.users)
            for behind in policies.indices where behind > position {
                guard shadow.isTouched(behind, by: position), !shadow.before(behind).isEmpty, before.before(behind - 1).isEmpty else {
                    continue
                }
                warnings.append("Policy \(policies[behind].name) behind it is never reached any more.")
            }
        }
        if !rule.isReportOnly, let isClosed = try? isClosed(policies), isClosed { warnings.append(Self.closedSentence) }
        if rule.when.asksCountry, !rule.isReportOnly, let problem = ports.countries().problem {
            let isDenied = rule.requirement == .deny
            let meaning = isDenied ? "Until it is, everybody is refused whom the policy could be about." : Self.unknownWords
            warnings.append("Nobody's country is known: \(problem). \(meaning)")
        }
        for tag in rule.when.tags where !rows.clients.contains(where: { $0.tags.contains(tag) }) {
            let near = NearNames.nearest(to: tag, among: Set(rows.clients.flatMap(\.tags)))
            warnings.append(
                "No client has the tag \(tag)."
                    + (near.isEmpty ? " `sallyport client set NAME --tag \(tag)` gives it." : " " + NearNames.question(near)))
        }
        if rule.requirement.asksCertificate, !rule.isReportOnly {
            let closed = ((try? records.clients()) ?? []).filter { rule.when.fits($0) && !$0.settings.eap.contains(.tls) }.map(\.name)
            if !closed.isEmpty {
                warnings.append(
                    "Client \(Words.list(closed)) does not offer EAP-TLS, so nobody whom it decides about is let in there: `sallyport client set "
                        + "\(closed[0]) --eap tls`.")
            }
            let silent = ((try? records.clients()) ?? []).filter {
                rule.when.fits($0) && $0.settings.eap.contains(.tls) && !$0.settings.automaticPush
            }.map(\.name)
            if rule.requirement == .certificateAndFactor, !silent.isEmpty {
                warnings.append(
                    "At client \(Words.list(silent)) no factor starts by itself, and behind a certificate none can be asked for: `sallyport client "
                        + "set \(silent[0]) --automatic-push on`.")
            }
        }
        if rule.requirement == .factor, !rule.when.groups.isEmpty || !rule.when.users.isEmpty {
            warnings.append(
                "How a field is read should not depend on who logs in: a stranger can tell by the time of the answer who is in the group. Name the client instead."
            )
        }
        if !rule.isReportOnly, rule.when.clients.isEmpty, rule.requirement == .password || rule.requirement == .passwordAndFactor,
            let kept = try? provableSchemes(), let clients = try? records.clients()
        {
            let names = clients.filter { client in
                var settings = client.settings
                settings.requirement = rule.requirement
                return rule.when.fits(client) && settings.schemesWithoutPassword(kept: kept) != nil
            }.map(\.name)
            if !names.isEmpty {
                warnings.append(
                    "At client \(Words.list(names)) CHAP or MS-CHAP may be used, which no kept password can be checked by: see `sallyport password show`."
                )
            }
        }
        if !rule.isReportOnly, rule.mostSessions != nil { warnings += (try? unaccountedWarnings { rule.when.fits($0) }) ?? [] }
        return warnings
    }
}
