// SPDX-License-Identifier: Apache-2.0
// A grant as the administrator sees one, and what can be asked about grants.

package struct GrantView: Codable, Sendable, Equatable {
    package var id: Int64
    /// The login name as it is now.
    package var user: String
    /// `bypass` or `code`.
    package var kind: String
    /// `open`, `used up`, `expired`, `revoked`, `void` (given before a restore) or `early` (the clock was set back).
    package var state: String
    package var reason: String
    /// Who gave it: `cli:anna@vpn1`.
    package var issuer: String
    package var issued: Instant
    package var until: Instant
    /// Nil: any number of times.
    package var uses: Int?
    package var used: Int
    package var lastUsed: Instant?
    /// Clients by name, and tags; both empty: everywhere.
    package var clients: [String]
    package var clientTags: [String]
    /// Of a code.
    package var digits: Int?
    package var revoked: Instant?
    package var revoker: String?
    /// The newest first; only where one grant is shown.
    package var latestUses: [Use]?

    package struct Use: Codable, Sendable, Equatable {
        package var at: Instant
        package var client: String
        package var login: String
    }
}

/// Gives a user a bypass of the second factor, or a temporary code.
package struct AddGrant: AdminOperation {
    package static let verb = "grant.add"
    package var user: String
    /// A temporary code; else a bypass.
    package var isCode: Bool
    package var reason: String
    package var minutes: Int
    /// 0: any number of times within its time; a bypass only.
    package var uses: Int
    package var clients: [String]
    package var clientTags: [String]
    /// Of a code; nil: 8.
    package var digits: Int?

    package init(
        user: String, isCode: Bool = false, reason: String, minutes: Int = 60, uses: Int = 1, clients: [String] = [],
        clientTags: [String] = [], digits: Int? = nil
    ) {
        self.user = user
        self.isCode = isCode
        self.reason = reason
        self.minutes = minutes
        self.uses = uses
        self.clients = clients
        self.clientTags = clientTags
        self.digits = digits
    }

    package struct Answer: Codable, Sendable {
        package var message: String
        package var grant: GrantView
        /// Shown once.
        package var code: SecretText?
        package var warnings: [String]
    }
}

package struct ListGrants: AdminOperation {
    package static let verb = "grant.list"
    package var user: String?
    /// Those that are over too.
    package var isAll: Bool
    package var before: Int64?
    package var limit: Int

    package static let mostGrants = 5000

    package init(user: String? = nil, isAll: Bool = false, before: Int64? = nil, limit: Int = 50) {
        self.user = user
        self.isAll = isAll
        self.before = before
        self.limit = limit
    }

    package struct Answer: Codable, Sendable {
        /// The newest first.
        package var grants: [GrantView]
        /// Open ones of all users.
        package var open: Int
        /// Give it as `before` to go on; nil at the end.
        package var next: Int64?
    }
}

package struct ShowGrant: AdminOperation {
    package static let verb = "grant.show"
    package var id: Int64

    package init(id: Int64) {
        self.id = id
    }
}

package struct RevokeGrant: AdminOperation {
    package static let verb = "grant.revoke"
    package var id: Int64

    package init(id: Int64) {
        self.id = id
    }
}
