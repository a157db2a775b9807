// SPDX-License-Identifier: Apache-2.0
// A policy as the administrator sees one, and what can be asked about policies.

package import LoginEngine

package struct PolicyView: Codable, Sendable, Equatable {
    package var name: String
    package var revision: Int
    /// When this revision was written.
    package var since: Instant
    package var clients: [String]
    package var clientTags: [String]
    package var groups: [String]
    /// By which protocol a login has to come (`LoginManner.methods`); empty: by any.
    package var methods: [String]
    /// What has to stand behind the `@` of the name; empty: anything, or nothing.
    package var realms: [String]
    package var users: [String]
    /// Where the user's device has to be; empty: anywhere.
    package var networks: [String]
    /// Where it must not be.
    package var otherNetworks: [String]
    /// Two letters each.
    package var countries: [String]
    package var otherCountries: [String]
    /// `mon-fri 07:00-20:00 Europe/Berlin`; one of them has to be open.
    package var hours: [String]
    /// `deny`, `password`, `factor` or `password+factor`.
    package var require: String
    /// Nil: whatever the user has.
    package var factors: [String]?
    package var unenrolled: Unenrolled
    /// Always `never` in this version.
    package var remember = "never"
    package var isReportOnly: Bool
    package var reply: [ReplySetting]
    /// How many sessions a user may have open at once; nil: any number.
    package var sessions: Int?

    package struct Unenrolled: Codable, Sendable, Equatable {
        /// `deny` or `grace`.
        package var action: String
        package var until: Instant?
        package var days: Int?

        package init(action: String, until: Instant? = nil, days: Int? = nil) {
            self.action = action
            self.until = until
            self.days = days
        }
    }
}

package struct PolicyList: Codable, Sendable, Equatable {
    /// In the order in which they are asked.
    package var policies: [PolicyView]
    /// What holds at each client where none matches.
    package var otherwise: [Otherwise]
    package var warnings: [String] = []

    package struct Otherwise: Codable, Sendable, Equatable {
        package var client: String
        package var require: String
    }
}

/// Every field of a policy that can be set; nil leaves it as it is, or at its default. Empty lists: any.
package struct PolicyChoices: Codable, Sendable, Equatable {
    package var clients: [String]?
    package var clientTags: [String]?
    package var groups: [String]?
    package var methods: [String]?
    package var realms: [String]?
    package var users: [String]?
    package var networks: [String]?
    package var otherNetworks: [String]?
    package var countries: [String]?
    package var otherCountries: [String]?
    package var hours: [String]?
    package var require: String?
    /// Empty: whatever the user has.
    package var factors: [String]?
    package var unenrolled: String?
    /// `2027-02-01`, or with a time: grace ends then.
    package var graceUntil: String?
    package var graceDays: Int?
    package var remember: String?
    package var isReportOnly: Bool?
    /// Empty: none.
    package var reply: [ReplySetting]?
    /// 0: any number.
    package var sessions: Int?

    package init() {}
}

package enum PolicyPlace: Codable, Sendable, Equatable {
    case first, last
    case before(String)
    case after(String)
}

package struct AddPolicy: AdminOperation {
    package static let verb = "policy.add"
    package var name: String
    package var choices: PolicyChoices
    package var place: PolicyPlace
    package var isDryRun: Bool

    package init(name: String, choices: PolicyChoices, place: PolicyPlace = .last, isDryRun: Bool = false) {
        self.name = name
        self.choices = choices
        self.place = place
        self.isDryRun = isDryRun
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var message: String
        package var isDryRun: Bool
        package var policy: PolicyView
        /// Active users whom it decides about, at one client at least.
        package var concerned: Int
        /// Those of them who would be refused now: no factor that counts, or everybody where it denies.
        package var lockedOut: Int
        package var warnings: [String]
    }
}

package struct SetPolicy: AdminOperation {
    package static let verb = "policy.set"
    package var policy: String
    package var name: String?
    package var choices: PolicyChoices
    package var isDryRun: Bool

    package init(policy: String, name: String? = nil, choices: PolicyChoices, isDryRun: Bool = false) {
        self.policy = policy
        self.name = name
        self.choices = choices
        self.isDryRun = isDryRun
    }

    package typealias Answer = AddPolicy.Answer
}

package struct ListPolicies: AdminOperation {
    package static let verb = "policy.list"
    /// As they were in force then; nil: now.
    package var at: Instant?

    package init(at: Instant? = nil) {
        self.at = at
    }
}

package struct ShowPolicy: AdminOperation {
    package static let verb = "policy.show"
    package var name: String
    package var at: Instant?

    package init(name: String, at: Instant? = nil) {
        self.name = name
        self.at = at
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var policy: PolicyView
        /// 1 for the first; nil where it is not in force.
        package var position: Int?
        /// In a sentence.
        package var meaning: String
        /// Every revision, newest first.
        package var revisions: [Revision]
        package var warnings: [String]
    }

    package struct Revision: Codable, Sendable, Equatable {
        package var number: Int
        package var name: String
        package var at: Instant
    }
}

package struct RemovePolicy: AdminOperation {
    package static let verb = "policy.remove"
    package var name: String

    package init(name: String) {
        self.name = name
    }
}

package struct MovePolicy: AdminOperation {
    package static let verb = "policy.move"
    package var name: String
    package var place: PolicyPlace

    package init(name: String, place: PolicyPlace) {
        self.name = name
        self.place = place
    }
}

package struct DiffPolicy: AdminOperation {
    package static let verb = "policy.diff"
    package var name: String
    /// Numbers of revisions; nil: the newest, and the one before it.
    package var from: Int?
    package var to: Int?

    package init(name: String, from: Int? = nil, to: Int? = nil) {
        self.name = name
        self.from = from
        self.to = to
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var name: String
        package var from: Int
        package var to: Int
        /// `require: password → password+factor`
        package var differences: [String]
    }
}

package struct ExplainPolicy: AdminOperation {
    package static let verb = "policy.explain"
    package var user: String
    package var client: String
    package var at: Instant?
    /// How the login comes; nil: by a way that no policy asks for.
    package var method: String?
    package var realm: String?
    /// What the gateway says of the user's device, as in Calling-Station-Id; nil: nothing.
    package var from: String?
    /// In place of what the database says of that address.
    package var country: String?

    package init(
        user: String, client: String, at: Instant? = nil, method: String? = nil, realm: String? = nil, from: String? = nil,
        country: String? = nil
    ) {
        self.user = user
        self.client = client
        self.at = at
        self.method = method
        self.realm = realm
        self.from = from
        self.country = country
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var user: String
        package var client: String
        package var at: Instant
        package var steps: [Step]
        /// The deciding policy as events name it, `staff@3`; nil: the client's own rule.
        package var policy: String?
        package var require: String
        /// Where the password lives; nil: here.
        package var directory: String?
        /// Who says so: `user`, `group staff`, `client` or `nobody`.
        package var directoryBy: String
        /// What the user would be asked, and what comes of it, in sentences.
        package var outcome: [String]
        package var warnings: [String]
    }

    package struct Step: Codable, Sendable, Equatable {
        package var policy: String
        /// `decides`, `reports`, `later`, `no-match`, or `unknown` where it is not known whether it matches and it does not decide.
        package var verdict: String
        /// Which conditions do not fit, by the `condition` of the next.
        package var mismatches: [String]
        package var text: String
        /// Every condition of the policy, and why it fits or does not.
        package var conditions: [Condition]
    }

    package struct Condition: Codable, Sendable, Equatable {
        /// `client`, `client-tag`, `user`, `group`, `method`, `realm`, `network`, `country` or `hours`.
        package var condition: String
        /// `yes`, `no` or `unknown`.
        package var fits: String
        package var text: String
    }
}
