// SPDX-License-Identifier: Apache-2.0
// Policies that decide about nobody: by what they ask for themselves, or because others come before. Pure.

internal import LoginEngine
internal import Store

extension PolicyRule {
    /// Whether every login that `other` fits is decided by this one before.
    func covers(_ other: PolicyRule) -> Bool { !isReportOnly && when.covers(other.when) }
}

extension PolicyRule.Conditions {
    func covers(_ other: PolicyRule.Conditions) -> Bool {
        func holds<Value: Hashable>(_ mine: [Value], _ theirs: [Value]) -> Bool {
            mine.isEmpty || !theirs.isEmpty && Set(theirs).isSubset(of: mine)
        }
        return holds(clients, other.clients) && holds(tags, other.tags) && holds(groups, other.groups) && holds(methods, other.methods)
            && holds(realms, other.realms) && holds(users, other.users) && coversPlace(of: other) && coversHours(of: other)
    }

    private func coversPlace(of other: PolicyRule.Conditions) -> Bool {
        let networksHold =
            networks.isEmpty || !other.networks.isEmpty && other.networks.allSatisfy { range in networks.contains { $0.holds(range) } }
        // What is left out here must be left out there too, or lie beside all that is meant there.
        let othersHold = otherNetworks.allSatisfy { range in
            other.otherNetworks.contains { $0.holds(range) }
                || !other.networks.isEmpty && !other.networks.contains { $0.holds(range) || range.holds($0) }
        }
        let countriesHold = countries.isEmpty || !other.countries.isEmpty && Set(other.countries).isSubset(of: countries)
        let otherCountriesHold = otherCountries.allSatisfy {
            other.otherCountries.contains($0) || !other.countries.isEmpty && !other.countries.contains($0)
        }
        return networksHold && othersHold && countriesHold && otherCountriesHold
    }

    private func coversHours(of other: PolicyRule.Conditions) -> Bool {
        if hours.isEmpty { return true }
        guard !other.hours.isEmpty else { return false }
        if other.hours.allSatisfy({ hours.contains($0) }) { return true }
        // Clocks in two zones, or other holidays, are not compared.
        let first = hours[0]
        guard (hours + other.hours).allSatisfy({ $0.clock == first.clock && $0.holidays == first.holidays }) else { return false }
        let (mine, theirs) = (hours.week, other.hours.week)
        return zip(mine, theirs).allSatisfy { $0 || !$1 }
    }

    /// The policy taken apart: one for each combination of values, where these are few.
    fileprivate var parts: [PolicyRule.Conditions] {
        var parts = [self]
        func split<Value>(_ path: WritableKeyPath<PolicyRule.Conditions, [Value]>) {
            let values = self[keyPath: path]
            guard values.count > 1, parts.count * values.count <= 64 else { return }
            parts = parts.flatMap { part in
                values.map { value in
                    var part = part
                    part[keyPath: path] = [value]
                    return part
                }
            }
        }
        split(\.groups)
        split(\.users)
        split(\.clients)
        split(\.tags)
        split(\.methods)
        split(\.realms)
        split(\.networks)
        split(\.countries)
        split(\.hours)
        return parts
    }

    /// Why no login at all fits, in a sentence's second half; nil: some may.
    func contradiction(_ rows: PolicyRows, users known: [Int64: String]) -> String? {
        if !users.isEmpty, !users.contains(where: { known[$0] != nil }) {
            return "\(users.count == 1 ? "the user whom it names is" : "the users whom it names are") not here any more"
        }
        if !clients.isEmpty, !tags.isEmpty,
            !rows.clients.contains(where: { row in clients.contains(row.id) && tags.contains { row.tags.contains($0) } })
        {
            return "no client that it names has the tag \(Words.list(tags, "or"))"
        }
        if !countries.isEmpty, countries.allSatisfy({ otherCountries.contains($0) }) { return "it leaves out every country that it names" }
        if !networks.isEmpty, networks.allSatisfy({ range in otherNetworks.contains { $0.holds(range) } }) {
            return "it leaves out every network that it names"
        }
        return nil
    }
}

extension AddressRange {
    /// Whether every address of the other is one of this.
    func holds(_ other: AddressRange) -> Bool { prefixLength <= other.prefixLength && contains(other.base) }
}

extension [PolicyHours] {
    /// The minutes at which one of them is open, by the day of the week, or holiday, on which it opens.
    fileprivate var week: [Bool] {
        let day = 1_440
        // Two days for each, since what lies behind midnight is of the day that follows, whichever that is.
        var open = [Bool](repeating: false, count: 8 * 2 * day)
        for window in self {
            for number in 0..<8 where window.days & 1 << UInt8(number) != 0 {
                let end = window.isOverMidnight ? day + window.to : window.to
                for minute in window.from..<end { open[number * 2 * day + minute] = true }
            }
        }
        return open
    }
}

/// What keeps policies from ever deciding.
struct PolicyShadow {
    var policies: [Policy]
    var rows: PolicyRows
    var users: [Int64: String]

    /// What decides before the policy at this place, in its stead: one policy, or several together; empty: nothing does.
    func before(_ position: Int) -> [Policy] {
        let when = policies[position].rule.when
        let earlier = policies[..<position].filter { !$0.rule.isReportOnly }
        if let one = earlier.first(where: { $0.rule.when.covers(when) }) { return [one] }
        let parts = when.parts
        guard parts.count > 1 else { return [] }
        var several: [Policy] = []
        for part in parts {
            guard let one = earlier.first(where: { $0.rule.when.covers(part) }) else { return [] }
            if !several.contains(one) { several.append(one) }
        }
        return several
    }

    /// Whether the one takes any part of the other away.
    func isTouched(_ behind: Int, by position: Int) -> Bool {
        let rule = policies[position].rule
        return !rule.isReportOnly && policies[behind].rule.when.parts.contains { rule.when.covers($0) }
    }

    /// In a sentence why this policy never decides; nil: it may.
    func sentence(_ position: Int) -> String? {
        let name = policies[position].name
        if let why = policies[position].rule.when.contradiction(rows, users: users) { return "Policy \(name) can never match: \(why)." }
        let before = before(position)
        guard let first = before.first else { return nil }
        return "Policy \(name) is never reached: \(Words.list(before.map(\.name))) \(before.count == 1 ? "decides" : "decide") before. "
            + "`sallyport policy move \(name) --before \(first.name)` changes that."
    }

    var sentences: [String] { policies.indices.compactMap { sentence($0) } }
}

extension Operations {
    func shadow(_ policies: [Policy], _ rows: PolicyRows) throws -> PolicyShadow {
        PolicyShadow(
            policies: policies, rows: rows, users: try records.userNames(ofRows: Set(policies.flatMap(\.rule.when.users))))
    }

    /// Whether nobody can log in anywhere: every client that is served ends in a deny before anything that lets somebody in.
    func isClosed(_ policies: [Policy]) throws -> Bool { Self.isClosed(policies, try records.clients()) }

    static func isClosed(_ policies: [Policy], _ clients: [Client]) -> Bool {
        let clients = clients.filter(\.settings.isEnabled)
        return !clients.isEmpty
            && clients.allSatisfy { client in
                for policy in policies where !policy.rule.isReportOnly && policy.rule.when.fits(client) {
                    if policy.rule.requirement != .deny { return false }
                    // What denies some leaves the others to those behind.
                    let when = policy.rule.when
                    if when.groups.isEmpty, when.users.isEmpty, !when.isOfSomeLogins { return true }
                }
                return client.settings.requirement == .deny
            }
    }

    /// Said first by whatever change brings it about.
    static let closedSentence =
        "Nobody can log in anywhere after this: every client is denied, by a policy or by its own rule. Add a policy that lets somebody in before it, "
        + "or `sallyport policy show NAME --at TIME` shows what was in force."
}
