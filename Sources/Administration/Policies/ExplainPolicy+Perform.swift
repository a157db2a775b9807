// SPDX-License-Identifier: Apache-2.0
// Which policy would decide about one user at one gateway, why the others do not, and what the user would be asked.

internal import LoginEngine
internal import Store

extension ExplainPolicy {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let records = operations.records
        let user = try operations.user(user)
        let client = try operations.client(client)
        let time = at?.timestamp ?? operations.now()
        let policies = try at.map { try records.policies(at: $0.timestamp) } ?? records.policySet().records
        let names = try operations.names(operations.policyRows(), for: policies.map(\.policy))
        let groups = try records.groups(ofUser: user.id)
        let table = PolicyTable(policies.map(\.policy))
        let manner = LoginManner(
            method: try method.map { try PolicyChoices.method($0) },
            realm: realm.flatMap { LoginManner.realm(of: $0.contains("@") ? $0 : "@\($0)") })
        let ids = groups.map(\.id)
        let (place, placeWarnings) = try place(
            of: user, at: time, in: operations, asksAddress: policies.contains { $0.policy.rule.when.asksAddress })
        var ruling = table.ruling(for: client, groups: ids, manner: manner, place: place)
        ruling.groupLimit = try records.sessionLimits().least(of: ids)

        var steps: [Step] = []
        var isDecided = false
        let words = ConditionWords(client: client, user: user.name, groups: groups.map(\.name), manner: manner, place: place, station: from)
        for (record, entry) in zip(policies, table.trace(for: client, groups: ids, manner: manner, place: place)) {
            let view = PolicyView(record, current: names)
            let (misfits, doubts) = (entry.verdicts.filter { $0.fit == .no }, entry.verdicts.filter { $0.fit == .unknown })
            var step = Step(
                policy: entry.policy.label, verdict: "no-match", mismatches: misfits.map(\.condition.rawValue), text: "",
                conditions: entry.verdicts.map {
                    Condition(
                        condition: $0.condition.rawValue, fits: $0.fit.rawValue, text: words.fact($0.condition, record.policy.rule.when))
                })
            if !misfits.isEmpty {
                step.text = "does not match: \(Words.list(misfits.map { words.reason($0.condition, view, record.policy.rule.when) }))."
            } else if !doubts.isEmpty {
                let unknown = "it is not known whether it matches: \(Words.list(doubts.map { words.doubt($0.condition) }))"
                if !isDecided, entry.policy == ruling.policy {
                    step.verdict = "decides"
                    step.text =
                        "decides: \(unknown), and what it asks for is asked in addition to what would decide without it: \(view.what)."
                } else {
                    step.verdict = "unknown"
                    step.text =
                        "does not decide: \(unknown)"
                        + (view.isReportOnly ? "." : "; what it asks for is asked here anyway.")
                }
            } else if view.isReportOnly {
                step.verdict = "reports"
                step.text = "matches, and only reports. It would ask: \(view.what)."
            } else if isDecided || ruling.policy != entry.policy {
                step.verdict = "later"
                step.text = "would match, but \(ruling.policy?.name ?? "another") comes first."
            } else {
                isDecided = true
                step.verdict = "decides"
                step.text = "matches, and decides: \(view.what)."
            }
            steps.append(step)
        }
        let factors = try records.factors(ofUser: user.id).filter { $0.state == .active }.map {
            Factor(id: $0.id, kind: $0.kind, label: $0.label, state: $0.state, secret: Secret([]))
        }
        let home = try operations.home(of: user, at: client)
        let grants = try records.grants(GrantFilter(user: user.id, openAt: time, limit: Grant.mostOpen)).map(\.grant)
        let outcome = OutcomeWords(
            user: user, client: client, ruling: ruling, factors: factors, grace: try records.graceFacts(ofUser: user.id), time: time,
            home: home, grants: grants)
        var answer = Answer(
            user: user.name, client: client.name, at: Instant(time), steps: steps, policy: ruling.policy?.label,
            require: ruling.requirement.rawValue, directory: home.directory, directoryBy: home.origin.words, outcome: outcome.sentences,
            warnings: placeWarnings)
        if at != nil {
            answer.warnings.append("The policies are those of that time; groups, factors and the client's own rule are as they are now.")
        }
        return answer
    }

    private func place(
        of user: UserRecord, at time: Timestamp, in operations: Operations, asksAddress: Bool
    ) throws -> (LoginPlace, warnings: [String]) {
        var place = LoginPlace(user: user.id, time: time, clock: user.timeZone.flatMap { ZoneClock.named($0) })
        var warnings: [String] = []
        if let from {
            place.address = NetworkAddress(station: from)
            if place.address == nil {
                warnings.append("`\(Valid.shown(from))` is no address, so a login from there is one from nowhere.")
            }
        }
        if let country {
            guard let code = CountryCode(country) else {
                throw Refusal(.invalid, "`\(Valid.shown(country))` is no country.", remedy: "Write its two letters: DE.", place: "country")
            }
            place.country = code
        } else if let address = place.address, asksAddress {
            place.country = operations.ports.countries().lookup.country(address)
        }
        return (place, warnings)
    }
}

/// What becomes of a right password and a right code, in sentences.
private struct OutcomeWords {
    var user: UserRecord
    var client: Client
    var ruling: Ruling
    var factors: [Factor]
    var grace: GraceFacts
    var time: Timestamp
    var home: HomeRuling
    /// Open ones.
    var grants: [Grant]

    var sentences: [String] {
        var sentences: [String] = []
        if ruling.policy == nil {
            sentences.append(
                "No policy decides, so the client's own rule does: \(client.name) requires \(ruling.requirement.rawValue)"
                    + (ruling.requirement == .deny ? ", that is, it lets nobody in." : "."))
        }
        sentences += asked + granted
        if ruling.requirement != .deny, let limit = ruling.sessionLimit(own: user.mostSessions) {
            sentences.append(
                "\(user.name) may have \(Words.count(limit.most, "session")) open at once, as the \(limit.origin.words) says.")
        }
        // Where nobody says anything there is nothing to explain.
        if ruling.requirement != .factor, !ruling.requirement.asksCertificate, home.origin != .nobody { sentences.append(home.sentence) }
        if user.status != .active { sentences.append("But \(user.name) is \(user.status.rawValue), and is refused whatever is typed.") }
        return sentences
    }

    private var asked: [String] {
        switch ruling.requirement {
        case .deny:
            return ["\(user.name) is refused, after \(client.settings.requirement == .factor ? "the code" : "the password") was right."]
        case .password:
            return ["\(user.name) is let in with the password alone."]
        case .certificate:
            return ["\(user.name) is let in with a certificate of the device alone, by EAP-TLS.\(offered)"]
        case .certificateAndFactor:
            let start = "\(user.name)'s device shows a certificate by EAP-TLS"
            guard !usable.factors.isEmpty else { return ["\(start), and \(user.name) has no second factor\(others): refused.\(offered)"] }
            let waits = client.settings.automaticPush && usable.factors.contains { $0.kind == .push }
            return [
                waits
                    ? "\(start), and the phone asks.\(offered)"
                    : "\(start), and behind it no code can be asked for: refused, unless a factor starts by itself.\(offered)"
            ]
        case .factor:
            return [
                usable.factors.isEmpty
                    ? "The code alone is asked for, and \(user.name) has none\(others): refused."
                    : "\(user.name) types \(listed) into the password field, and nothing else."
            ]
        case .passwordAndFactor:
            guard usable.factors.isEmpty else { return [withFactor] }
            let start = "\(user.name) has no second factor\(others)"
            if usable.hasOthers { return ["\(start): refused, after the password was right."] }
            switch ruling.grace(grace, at: time) {
            case .none:
                return [
                    "\(start): refused, after the password was right. `sallyport factor add \(Words.argument(user.name)) totp` enrols one."
                ]
            case .over(let end):
                return [
                    "\(start), and the time of grace "
                        + (end.map { "ended at \(Instant($0))" } ?? "ended with the factor that was taken away") + ": refused."
                ]
            case .until(let end, let starts):
                return [
                    "\(start). Grace lets the password alone do until \(Instant(end))"
                        + (starts ? ", if the first login is at \(Instant(time))." : ".")
                ]
            }
        }
    }

    private var granted: [String] {
        grants.filter { $0.standing(at: time, for: client) == .open }.compactMap { grant in
            let end = Instant(grant.until)
            switch grant.kind {
            case .bypass where ruling.requirement.owesSecond:
                return "But until \(end) grant \(grant.id) stands in for the second factor: none is asked for."
            case .code where ruling.requirement.owesSecond || ruling.requirement == .factor:
                return "Until \(end) the temporary code of grant \(grant.id) does too."
            case .bypass, .code:
                return nil
            }
        }
    }

    private var offered: String {
        client.settings.eap.contains(.tls) ? "" : " But \(client.name) does not offer it: `sallyport client set \(client.name) --eap tls`."
    }

    private var withFactor: String {
        let separator = client.settings.separator.map { "`\($0)`" } ?? "nothing"
        return switch client.settings.asking {
        case .challenge: "\(user.name) types the password, and is then asked for \(listed)."
        case .append: "\(user.name) types the password and, with \(separator) between, \(listed), in one field."
        case .appendOrChallenge:
            "\(user.name) types password and \(listed) in one field with \(separator) between, or the password, and is then asked."
        }
    }

    private var usable: UsableFactors { ruling.usable(factors) }

    private var others: String { usable.hasOthers ? " that the policy counts" : "" }

    private var listed: String {
        var kinds: [String] = []
        for factor in usable.factors where !kinds.contains(factor.kind.rawValue) { kinds.append(factor.kind.rawValue) }
        return kinds.count == 1 && kinds[0] == "recovery" ? "a recovery code" : "a code (\(Words.list(kinds, "or")))"
    }
}
