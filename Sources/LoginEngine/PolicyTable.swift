// SPDX-License-Identifier: Apache-2.0
// The ordered list of policies, with what is worked out once so that a login need not look at all of them.

/// All policies in their order: an immutable value that is replaced as a whole, so that one login is judged by one of them.
package struct PolicyTable: Sendable, Equatable {
    package let policies: [Policy]
    private let index: PolicyIndex
    private let gates: PolicyGates
    /// Where any of them looks at groups, gives grace or asks for a password: only there logins look these up.
    private let namesGroups: ClientReach
    private let givesGrace: ClientReach
    private let asksPassword: ClientReach
    /// Whether any of them asks how a login came.
    package let asksManner: Bool
    /// Whether any of them asks who logs in, from where, or when.
    package let asksPlace: Bool
    package let asksCountry: Bool
    /// Whether any of them goes by the clock where the user lives.
    package let asksUsersClock: Bool

    package static let empty = PolicyTable([])

    package init(_ policies: [Policy]) {
        self.policies = policies
        index = PolicyIndex(policies)
        gates = PolicyGates(policies)
        namesGroups = ClientReach(policies.filter { !$0.rule.when.groups.isEmpty })
        givesGrace = ClientReach(policies.filter { $0.rule.unenrolled != .deny })
        asksPassword = ClientReach(policies.filter(Self.asksPassword))
        asksManner = policies.contains { $0.rule.when.asksManner }
        asksPlace = policies.contains { policy in
            let when = policy.rule.when
            return !when.users.isEmpty || when.asksAddress || !when.hours.isEmpty
        }
        asksCountry = policies.contains { $0.rule.when.asksCountry }
        asksUsersClock = policies.contains { $0.rule.when.hours.contains { $0.clock == nil } }
    }

    package var isEmpty: Bool { policies.isEmpty }

    package func looksUpGroups(for client: Client) -> Bool { namesGroups.contains(client) }

    package func looksUpGrace(for client: Client) -> Bool { givesGrace.contains(client) }

    /// Whether anybody's password may be checked at this client.
    package func mayAskPassword(at client: Client) -> Bool {
        // Where a certificate is asked for, what is typed all the same is read as a password.
        client.settings.requirement != .factor || asksPassword.contains(client)
    }

    private static func asksPassword(_ policy: Policy) -> Bool {
        guard !policy.rule.isReportOnly else { return false }
        return policy.rule.requirement == .password || policy.rule.requirement == .passwordAndFactor
    }

    /// Calls for each policy that is not ruled out by who asks, from where and when, in order, until one call returns false.
    func visit(_ client: Client, groups: [Int64], _ place: LoginPlace, _ body: (Policy) -> Bool) {
        guard asksPlace else { return index.visit(client, groups: groups, user: place.user) { body(policies[$0]) } }
        var probe = gates.probe(place)
        index.visit(client, groups: groups, user: place.user) { !gates.mayFit($0, &probe) || body(policies[$0]) }
    }

    package static func == (left: PolicyTable, right: PolicyTable) -> Bool { left.policies == right.policies }
}

/// The clients for which some policies hold.
private struct ClientReach: Sendable {
    private var everywhere = false
    private var clients: Set<Int64> = []
    private var tags: Set<String> = []
    /// Those that name clients and tags: both have to fit.
    private var both: [PolicyRule.Conditions] = []

    init(_ policies: [Policy]) {
        for when in policies.map(\.rule.when) {
            switch (when.clients.isEmpty, when.tags.isEmpty) {
            case (true, true): everywhere = true
            case (false, true): clients.formUnion(when.clients)
            case (true, false): tags.formUnion(when.tags)
            case (false, false): both.append(when)
            }
        }
    }

    func contains(_ client: Client) -> Bool {
        everywhere || clients.contains(client.id) || !tags.isEmpty && client.settings.tags.contains { tags.contains($0) }
            || both.contains { $0.fits(client) }
    }
}

/// Which policies could match, by the one of user, group, client and tag that rules the most out.
///
/// A set of positions for each value, as bits: putting some of them together and going through the result in order costs a few words for
/// each value, however many policies there are.
private struct PolicyIndex: Sendable {
    /// Words of a set.
    private let width: Int
    /// The sets one after the other; the first is of the policies that name none of the four.
    private var bits: [UInt64]
    private var users: [Int64: Int] = [:]
    private var groups: [Int64: Int] = [:]
    private var clients: [Int64: Int] = [:]
    private var tags: [String: Int] = [:]

    init(_ policies: [Policy]) {
        width = (policies.count + 63) / 64
        bits = Array(repeating: 0, count: width)
        for (position, policy) in policies.enumerated() {
            let when = policy.rule.when
            if !when.users.isEmpty {
                for user in when.users { mark(position, \.users, user) }
            } else if !when.groups.isEmpty {
                for group in when.groups { mark(position, \.groups, group) }
            } else if !when.clients.isEmpty {
                for client in when.clients { mark(position, \.clients, client) }
            } else if !when.tags.isEmpty {
                for tag in when.tags { mark(position, \.tags, tag) }
            } else {
                mark(position, inSetAt: 0)
            }
        }
    }

    private mutating func mark<Value: Hashable>(_ position: Int, _ table: WritableKeyPath<PolicyIndex, [Value: Int]>, _ value: Value) {
        let start: Int
        if let known = self[keyPath: table][value] {
            start = known
        } else {
            start = bits.count
            bits += Array(repeating: 0, count: width)
            self[keyPath: table][value] = start
        }
        mark(position, inSetAt: start)
    }

    private mutating func mark(_ position: Int, inSetAt start: Int) {
        bits[start + position / 64] |= 1 << UInt64(position % 64)
    }

    func visit(_ client: Client, groups: [Int64], user: Int64?, _ body: (Int) -> Bool) {
        var sets = [0]
        if !users.isEmpty, let user, let set = users[user] { sets.append(set) }
        if !self.groups.isEmpty { for group in groups { if let set = self.groups[group] { sets.append(set) } } }
        if !clients.isEmpty, let set = clients[client.id] { sets.append(set) }
        if !tags.isEmpty { for tag in client.settings.tags { if let set = tags[tag] { sets.append(set) } } }
        for word in 0..<width {
            var found: UInt64 = 0
            for set in sets { found |= bits[set + word] }
            while found != 0 {
                guard body(word * 64 + found.trailingZeroBitCount) else { return }
                found &= found - 1
            }
        }
    }
}
