// SPDX-License-Identifier: Apache-2.0
// Which policy decides, what it asks for, and why the others do not. Pure.

/// What a login has to prove, and who says so.
package struct Ruling: Sendable, Equatable {
    package var requirement: Requirement
    /// The policy that decides; nil: none matched, so the client's own rule does.
    package var policy: Policy?
    /// The report-only policy that would have decided.
    package var reported: Policy?
    /// What an accept carries; nil: nothing.
    package var reply: ReplyPlan?
    /// What the user's groups say of the sessions that may be open at once.
    package var groupLimit: SessionLimit?

    package init(requirement: Requirement, policy: Policy? = nil, reported: Policy? = nil) {
        self.requirement = requirement
        self.policy = policy
        self.reported = reported
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
}

extension PolicyTable {
    /// The first that matches decides; report-only ones are passed over.
    ///
    /// - Parameters:
    ///   - groups: the user's, nested ones too; empty for a name that nobody has.
    ///   - manner: how the login came; unknown, no policy matches that asks for it.
    package func ruling(for client: Client, groups: [Int64], manner: LoginManner = .unknown) -> Ruling {
        var ruling = Ruling.own(of: client)
        for policy in policies
        where policy.rule.when.fits(client) && policy.rule.when.fits(groups: groups) && policy.rule.when.fits(manner) {
            if policy.rule.isReportOnly {
                if ruling.reported == nil { ruling.reported = policy }
                continue
            }
            ruling.requirement = policy.rule.requirement
            ruling.policy = policy
            return ruling
        }
        return ruling
    }

    /// Every policy in order with what keeps it from matching; those behind the deciding one are told too.
    package func trace(
        for client: Client, groups: [Int64], manner: LoginManner = .unknown
    ) -> [(policy: Policy, mismatches: [PolicyRule.Mismatch])] {
        policies.map { ($0, $0.rule.when.mismatches(client, groups: groups, manner)) }
    }

    /// The policies that could decide in place of this one, were it known how the login came.
    package func undecided(for client: Client, groups: [Int64], before decided: Policy?) -> [Policy] {
        policies.prefix { $0 != decided }.filter {
            $0.rule.when.asksManner && !$0.rule.isReportOnly && $0.rule.when.fits(client) && $0.rule.when.fits(groups: groups)
        }
    }
}

extension PolicyRule {
    package enum Mismatch: String, Sendable, Equatable {
        case client
        case tag = "client-tag"
        case group
        case method
        case realm
    }
}

extension PolicyRule.Conditions {
    package func fits(_ client: Client) -> Bool {
        (clients.isEmpty || clients.contains(client.id)) && (tags.isEmpty || tags.contains { client.settings.tags.contains($0) })
    }

    package func fits(groups: [Int64]) -> Bool {
        self.groups.isEmpty || self.groups.contains { groups.contains($0) }
    }

    package func fits(_ manner: LoginManner) -> Bool {
        guard asksManner else { return true }
        return (methods.isEmpty || methods.contains { manner.fits(method: $0) })
            && (realms.isEmpty || manner.realm.map { realms.contains($0) } ?? false)
    }

    package func mismatches(_ client: Client, groups: [Int64], _ manner: LoginManner) -> [PolicyRule.Mismatch] {
        var mismatches: [PolicyRule.Mismatch] = []
        if !clients.isEmpty, !clients.contains(client.id) { mismatches.append(.client) }
        if !tags.isEmpty, !tags.contains(where: { client.settings.tags.contains($0) }) { mismatches.append(.tag) }
        if !fits(groups: groups) { mismatches.append(.group) }
        if !methods.isEmpty, !methods.contains(where: { manner.fits(method: $0) }) { mismatches.append(.method) }
        if !realms.isEmpty, !(manner.realm.map { realms.contains($0) } ?? false) { mismatches.append(.realm) }
        return mismatches
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
        guard let kinds = policy?.rule.factors else { return UsableFactors(factors: factors, hasOthers: false) }
        var usable: [Factor] = []
        for kind in kinds { usable += factors.filter { $0.kind == kind } }
        let others = factors.contains { $0.kind != .recovery && !kinds.contains($0.kind) }
        return UsableFactors(factors: usable, hasOthers: others)
    }

    package func grace(_ facts: GraceFacts, at now: Timestamp) -> Grace {
        guard let policy else { return .none }
        return policy.rule.unenrolled.grace(facts, under: policy.id, at: now)
    }

    /// In a few stable words, for the trail: `deny`, `password`, `password+factor, and there is none`.
    package func consequence(factors: [Factor], grace facts: GraceFacts, at now: Timestamp) -> String {
        guard requirement == .factor || requirement.owesSecond else { return requirement.rawValue }
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
