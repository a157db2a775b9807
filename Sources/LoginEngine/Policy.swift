// SPDX-License-Identifier: Apache-2.0
// A rule of who must prove what, and the ordered list of them.

/// What an administrator wrote down under one name.
package struct PolicyRule: Sendable, Equatable {
    package var name: String
    package var when = Conditions()
    package var requirement: Requirement
    /// The kinds that count, the preferred first; nil: whatever the user has.
    package var factors: [FactorKind]?
    package var unenrolled: Unenrolled = .deny
    /// Decides as if it were absent; the trail tells what it would have done.
    package var isReportOnly = false
    /// What goes out with an accept.
    package var reply: [ReplySetting] = []
    /// How many sessions a user may have open at once, where neither the user nor a group says otherwise; nil: any number.
    package var mostSessions: Int?

    /// Every condition must fit, each by one of its values; one without values fits everybody.
    package struct Conditions: Sendable, Equatable {
        /// Rows of clients.
        package var clients: [Int64] = []
        package var tags: [String] = []
        /// Rows of groups; a group within one of them counts too.
        package var groups: [Int64] = []
        /// Words of `LoginManner.methods`.
        package var methods: [String] = []
        /// Keys of what stands behind the `@` of the name that was typed.
        package var realms: [String] = []
        /// Rows of users; a row that is gone is nobody's.
        package var users: [Int64] = []
        /// Where the user's device is, and where it is not.
        package var networks: [AddressRange] = []
        package var otherNetworks: [AddressRange] = []
        package var countries: [CountryCode] = []
        package var otherCountries: [CountryCode] = []
        /// One of them has to be open.
        package var hours: [PolicyHours] = []

        package init() {}

        /// Whether it matters how a login came.
        package var asksManner: Bool { !methods.isEmpty || !realms.isEmpty }
        package var asksAddress: Bool { !networks.isEmpty || !otherNetworks.isEmpty || asksCountry }
        package var asksCountry: Bool { !countries.isEmpty || !otherCountries.isEmpty }
        /// Whether it holds for some logins of a user at a client and not for others.
        package var isOfSomeLogins: Bool { asksManner || asksAddress || !hours.isEmpty }
    }

    /// What becomes of a user who owes a factor and has none.
    package enum Unenrolled: Sendable, Equatable {
        case deny
        /// The right password is enough until then.
        case graceUntil(Timestamp)
        /// The right password is enough for so many days after the first login under the policy.
        case graceDays(Int)
    }

    package init(name: String, requirement: Requirement) {
        self.name = name
        self.requirement = requirement
    }
}

/// A rule as it is at one revision. A reference, so that a login carries it for the price of a pointer.
package final class Policy: Sendable {
    package let id: Int64
    package let revision: Int
    package let rule: PolicyRule
    /// `staff@3`, as events name it.
    package let label: String

    package init(id: Int64, revision: Int, rule: PolicyRule) {
        self.id = id
        self.revision = revision
        self.rule = rule
        label = "\(rule.name)@\(revision)"
    }

    package var name: String { rule.name }
}

extension Policy: Equatable {
    package static func == (left: Policy, right: Policy) -> Bool {
        left === right || left.id == right.id && left.revision == right.revision && left.rule == right.rule
    }
}

/// Whether a user has begun a time of grace, and whether there may be none any more.
package struct GraceFacts: Sendable, Equatable {
    /// The first login under each policy that was let in for grace.
    package var began: [Int64: Timestamp]
    /// A factor of this user was taken away: whoever had one is not new here.
    package var isOver: Bool

    package init(began: [Int64: Timestamp] = [:], isOver: Bool = false) {
        self.began = began
        self.isOver = isOver
    }
}

/// The first login that grace lets in; written together with its accept.
package struct GraceStart: Sendable, Equatable {
    package var policy: Int64
    package var user: Int64
    package var at: Timestamp

    package init(policy: Int64, user: Int64, at: Timestamp) {
        self.policy = policy
        self.user = user
        self.at = at
    }
}
