// SPDX-License-Identifier: Apache-2.0
// Which policy decides, what it asks for, and why the others do not. Pure.

/// What a login has to prove, and who says so.
package struct Ruling: Sendable, Equatable {
    package var requirement: Requirement
    /// The policy that decides; nil: none matched, so the client's own rule does.
    package var policy: Policy?
    /// The kinds that count, the first to be asked for first; nil: any.
    package var factors: [FactorKind]?
    /// The report-only policy that would have decided.
    package var reported: Policy?
    /// What is not known of this login, and the policy asks for: what it demands is asked in addition to what would decide without it.
    /// Empty: it matches.
    package var doubts: [PolicyRule.Condition] = []
    /// Nobody is let in without a factor, whatever grace the policy gives: a policy that perhaps decides gives none.
    package var deniesGrace = false
    /// The policy whose attributes an accept carries: never one that perhaps does not match.
    package var giving: Policy?
    /// What an accept carries; nil: nothing.
    package var reply: ReplyPlan?
    /// What the user's groups say of the sessions that may be open at once.
    package var groupLimit: SessionLimit?
    /// Where the user is, where a policy asks for it.
    package var country: CountryCode?

    package init(requirement: Requirement, policy: Policy? = nil, reported: Policy? = nil) {
        self.requirement = requirement
        self.policy = policy
        self.reported = reported
        giving = policy
        factors = policy?.rule.factors
    }

    /// The rule of a client where no policy matches.
    package static func own(of client: Client) -> Ruling { Ruling(requirement: client.settings.requirement) }

    /// How many sessions the user may have open at once: the user's own number, else the least of the groups', else the policy's.
    package func sessionLimit(own: Int?) -> SessionLimit? {
        if let own { return SessionLimit(own, .user) }
        return groupLimit ?? policy.flatMap { policy in policy.rule.mostSessions.map { SessionLimit($0, .policy(policy.name)) } }
    }

    /// Whether a login that began under the one may end under the other.
    func asks(sameAs other: Ruling) -> Bool { requirement == other.requirement && policy == other.policy }

    /// How much is asked, to be compared: what is required, then whether somebody without a factor is let in, then whether any will do.
    fileprivate var strictness: (Int, Int, Int) {
        policy?.rule.strictness ?? (requirement.strictness, 1, 0)
    }
}

extension PolicyTable {
    /// The first that matches decides; report-only ones are passed over.
    ///
    /// Where something that a policy asks for is not known, it fails closed: what such policies ask for is asked in addition to what would
    /// be asked otherwise. So what is unknown never makes a login easier, and what an accept carries is that of the policy that does match.
    ///
    /// - Parameters:
    ///   - groups: the user's, nested ones too; empty for a name that nobody has.
    ///   - manner: how the login came; unknown, no policy matches that asks for it.
    package func ruling(
        for client: Client, groups: [Int64], manner: LoginManner = .unknown, place: LoginPlace = .unknown
    ) -> Ruling {
        var ruling = Ruling.own(of: client)
        var doubtful = DoubtfulPolicies()
        var doubtfulReport: Policy?
        visit(client, groups: groups, place) { policy in
            let rule = policy.rule
            switch rule.when.fit(client, groups: groups, manner, place) {
            case .no: return true
            case .unknown:
                if rule.isReportOnly {
                    if ruling.reported == nil, doubtfulReport.map({ $0.rule.strictness < rule.strictness }) ?? true {
                        doubtfulReport = policy
                    }
                } else {
                    doubtful.add(policy)
                }
                return true
            case .yes:
                if rule.isReportOnly {
                    if ruling.reported == nil { ruling.reported = policy }
                    return true
                }
                ruling.requirement = rule.requirement
                (ruling.policy, ruling.giving, ruling.factors) = (policy, policy, rule.factors)
                return false
            }
        }
        if let strictest = doubtful.strictest, ruling.take(doubtful) {
            ruling.doubts = strictest.rule.when.verdicts(client, groups: groups, manner, place).filter { $0.fit == .unknown }.map(
                \.condition)
        }
        if let doubtfulReport, ruling.strictness < doubtfulReport.rule.strictness, ruling.reported == nil {
            ruling.reported = doubtfulReport
        }
        ruling.country = place.country
        return ruling
    }

    /// Every policy in order with what is to be said of each of its conditions; those behind the deciding one are told too.
    package func trace(
        for client: Client, groups: [Int64], manner: LoginManner = .unknown, place: LoginPlace = .unknown
    ) -> [(policy: Policy, verdicts: [PolicyRule.Verdict])] {
        policies.map { ($0, $0.rule.when.verdicts(client, groups: groups, manner, place)) }
    }

    /// The policies that could decide in place of this one, were more known of how the login came, from where and when.
    package func undecided(for client: Client, groups: [Int64], user: Int64?, before decided: Policy?) -> [Policy] {
        policies.prefix { $0 != decided }.filter {
            $0.rule.when.isOfSomeLogins && !$0.rule.isReportOnly && $0.rule.when.fits(client) && $0.rule.when.fits(groups: groups)
                && $0.rule.when.fits(user: user)
        }
    }
}

/// Those of which it is not known whether they match, in front of the one that decides.
private struct DoubtfulPolicies {
    /// Of equals the first.
    private(set) var strictest: Policy?
    /// What all of them ask for together; nil: there is none.
    private(set) var requirement: Requirement?
    /// One of them asks for a factor, and gives no grace.
    private(set) var deniesGrace = false
    /// The kinds that count for each of them that asks for a factor; nil: any.
    private(set) var factors: [FactorKind]?

    mutating func add(_ policy: Policy) {
        let rule = policy.rule
        if rule.requirement.asksFactor { factors = Ruling.counting(factors, rule.factors) }
        requirement = requirement.map { $0.joined(with: rule.requirement) } ?? rule.requirement
        deniesGrace = deniesGrace || rule.requirement.asksFactor && rule.unenrolled == .deny
        if strictest.map({ $0.rule.strictness < rule.strictness }) ?? true { strictest = policy }
    }
}

extension Ruling {
    /// Asks for what these ask for too.
    ///
    /// - Returns: whether they change anything.
    fileprivate mutating func take(_ doubtful: DoubtfulPolicies) -> Bool {
        guard let strictest = doubtful.strictest, let demanded = doubtful.requirement else { return false }
        let before = (requirement: requirement, factors: factors, givesGrace: policy.map { $0.rule.unenrolled != .deny } ?? false)
        let isStricter = strictness < strictest.rule.strictness
        requirement = before.requirement.joined(with: demanded)
        factors = Self.counting(before.factors, doubtful.factors)
        guard
            isStricter || requirement != before.requirement || factors != before.factors || before.givesGrace && doubtful.deniesGrace
        else { return false }
        policy = strictest
        // Grace lets in by the first proof alone, which has to be enough for what would decide otherwise.
        deniesGrace = doubtful.deniesGrace || before.requirement != .password && !before.givesGrace
        return true
    }

    /// Those that count for both, in the order of the first; nil: any.
    fileprivate static func counting(_ one: [FactorKind]?, _ other: [FactorKind]?) -> [FactorKind]? {
        guard let one, let other else { return one ?? other }
        return one.filter { other.contains($0) }
    }
}

extension Requirement {
    /// What two policies ask for together. A certificate stands for the password, and not the other way around.
    package func joined(with other: Requirement) -> Requirement {
        if self == .deny || other == .deny { return .deny }
        let (first, second) = (max(firstProof, other.firstProof), asksFactor || other.asksFactor)
        return switch (first, second) {
        case (.certificate, true): .certificateAndFactor
        case (.certificate, false): .certificate
        case (.password, true): .passwordAndFactor
        case (.none, true): .factor
        case (.password, false), (.none, false): .password
        }
    }

    private enum FirstProof: Int, Comparable {
        case none, password, certificate

        static func < (left: FirstProof, right: FirstProof) -> Bool { left.rawValue < right.rawValue }
    }

    private var firstProof: FirstProof {
        switch self {
        case .factor, .deny: .none
        case .password, .passwordAndFactor: .password
        case .certificate, .certificateAndFactor: .certificate
        }
    }

    fileprivate var asksFactor: Bool { self == .factor || owesSecond }

    /// More is asked of whoever logs in.
    package var strictness: Int {
        switch self {
        case .password: 0
        case .factor: 1
        case .certificate: 2
        case .passwordAndFactor: 3
        case .certificateAndFactor: 4
        case .deny: 5
        }
    }
}

extension PolicyRule {
    fileprivate var strictness: (Int, Int, Int) {
        (requirement.strictness, unenrolled == .deny ? 1 : 0, factors == nil ? 0 : 1)
    }

    package enum Condition: String, Sendable, Equatable {
        case client
        case tag = "client-tag"
        case user
        case group
        case method
        case realm
        case network
        case country
        case hours
    }

    /// Whether a login is one that is meant.
    package enum Fit: String, Sendable, Equatable {
        case no, unknown, yes
    }

    package struct Verdict: Sendable, Equatable {
        package var condition: Condition
        package var fit: Fit

        init(_ condition: Condition, _ fit: Fit) {
            (self.condition, self.fit) = (condition, fit)
        }
    }
}

extension PolicyRule.Conditions {
    package func fits(_ client: Client) -> Bool {
        (clients.isEmpty || clients.contains(client.id)) && (tags.isEmpty || tags.contains { client.settings.tags.contains($0) })
    }

    package func fits(groups: [Int64]) -> Bool {
        self.groups.isEmpty || self.groups.contains { groups.contains($0) }
    }

    package func fits(user: Int64?) -> Bool {
        users.isEmpty || user.map { users.contains($0) } ?? false
    }

    package func fits(_ manner: LoginManner) -> Bool {
        guard asksManner else { return true }
        return (methods.isEmpty || methods.contains { manner.fits(method: $0) })
            && (realms.isEmpty || manner.realm.map { realms.contains($0) } ?? false)
    }

    /// What is not known leaves open whether it fits, unless something else rules it out.
    func fit(_ client: Client, groups: [Int64], _ manner: LoginManner, _ place: LoginPlace) -> PolicyRule.Fit {
        guard fits(client), fits(groups: groups), fits(user: place.user), fits(manner) else { return .no }
        guard asksAddress || !hours.isEmpty else { return .yes }
        let network = fit(place.address)
        if network == .no { return .no }
        let country = fit(place.country)
        if country == .no { return .no }
        let hours = fit(place.time, place.clock)
        if hours == .no { return .no }
        return network == .yes && country == .yes && hours == .yes ? .yes : .unknown
    }

    private func fit(_ address: NetworkAddress?) -> PolicyRule.Fit {
        guard !networks.isEmpty || !otherNetworks.isEmpty else { return .yes }
        guard let address else { return .unknown }
        return (networks.isEmpty || Self.holds(address, networks)) && !Self.holds(address, otherNetworks) ? .yes : .no
    }

    /// `::/0` means every address of IPv6 and none of IPv4.
    private static func holds(_ address: NetworkAddress, _ ranges: [AddressRange]) -> Bool {
        ranges.contains { $0.contains(address) && ($0.prefixLength >= 96 || !address.isIPv4) }
    }

    private func fit(_ country: CountryCode?) -> PolicyRule.Fit {
        guard asksCountry else { return .yes }
        guard let country else { return .unknown }
        return (countries.isEmpty || countries.contains(country)) && !otherCountries.contains(country) ? .yes : .no
    }

    private func fit(_ time: Timestamp?, _ clock: ZoneClock?) -> PolicyRule.Fit {
        guard !hours.isEmpty else { return .yes }
        guard let time else { return .unknown }
        var fit = PolicyRule.Fit.no
        for window in hours {
            guard let clock = window.clock ?? clock else {
                fit = .unknown
                continue
            }
            if window.isOpen(at: clock.local(time)) { return .yes }
        }
        return fit
    }

    /// One for each condition that is set.
    package func verdicts(
        _ client: Client, groups: [Int64], _ manner: LoginManner, _ place: LoginPlace
    ) -> [PolicyRule.Verdict] {
        var verdicts: [PolicyRule.Verdict] = []
        func add(_ condition: PolicyRule.Condition, _ isSet: Bool, _ fit: PolicyRule.Fit) {
            if isSet { verdicts.append(PolicyRule.Verdict(condition, fit)) }
        }
        add(.client, !clients.isEmpty, clients.contains(client.id) ? .yes : .no)
        add(.tag, !tags.isEmpty, tags.contains { client.settings.tags.contains($0) } ? .yes : .no)
        add(.user, !users.isEmpty, fits(user: place.user) ? .yes : .no)
        add(.group, !self.groups.isEmpty, fits(groups: groups) ? .yes : .no)
        add(.method, !methods.isEmpty, methods.contains { manner.fits(method: $0) } ? .yes : .no)
        add(.realm, !realms.isEmpty, manner.realm.map { realms.contains($0) } ?? false ? .yes : .no)
        add(.network, !networks.isEmpty || !otherNetworks.isEmpty, fit(place.address))
        add(.country, asksCountry, fit(place.country))
        add(.hours, !hours.isEmpty, fit(place.time, place.clock))
        return verdicts
    }
}

// MARK: Factors and who has none

/// What a user's factors are worth under a ruling.
package struct UsableFactors: Sendable, Equatable {
    /// In the order of preference.
    package var factors: [Factor]
    /// The user has a factor that the policy does not count.
    package var hasOthers: Bool
}

/// Whether a user without a factor is let in for now.
package enum Grace: Sendable, Equatable {
    /// The policy gives none.
    case none
    /// Until then; `starts` when this login is the first.
    case until(Timestamp, starts: Bool)
    /// It ended; nil: with a factor that was taken away.
    case over(Timestamp?)
}

extension Ruling {
    package func usable(_ factors: [Factor]) -> UsableFactors {
        guard let kinds = self.factors else { return UsableFactors(factors: factors, hasOthers: false) }
        var usable: [Factor] = []
        for kind in kinds { usable += factors.filter { $0.kind == kind } }
        let others = factors.contains { $0.kind != .recovery && !kinds.contains($0.kind) }
        return UsableFactors(factors: usable, hasOthers: others)
    }

    package func grace(_ facts: GraceFacts, at now: Timestamp) -> Grace {
        guard let policy, !deniesGrace else { return .none }
        return policy.rule.unenrolled.grace(facts, under: policy.id, at: now)
    }

    /// In a few stable words, for the trail: `deny`, `password`, `password+factor, and there is none`.
    package func consequence(factors: [Factor], grace facts: GraceFacts, at now: Timestamp) -> String {
        guard requirement.asksFactor else { return requirement.rawValue }
        let usable = usable(factors)
        if !usable.factors.isEmpty { return requirement.rawValue }
        if !usable.hasOthers, case .until(let end, _) = grace(facts, at: now) {
            return "\(requirement.rawValue), grace until \(end.iso8601)"
        }
        return "\(requirement.rawValue), and there is none: refused"
    }
}

extension PolicyRule.Unenrolled {
    package func grace(_ facts: GraceFacts, under policy: Int64, at now: Timestamp) -> Grace {
        switch self {
        case .deny:
            return .none
        case .graceUntil(let end):
            if facts.isOver { return .over(nil) }
            return now < end ? .until(end, starts: false) : .over(end)
        case .graceDays(let days):
            if facts.isOver { return .over(nil) }
            let length = Timestamp.Span.seconds(Int64(days) * 86_400)
            guard let began = facts.began[policy] else { return .until(now + length, starts: true) }
            return now < began + length ? .until(began + length, starts: false) : .over(began + length)
        }
    }
}
