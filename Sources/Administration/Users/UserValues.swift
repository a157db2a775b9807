// SPDX-License-Identifier: Apache-2.0
// A user as the administrator sees one, and what can be asked about users.

/// One line of a list.
package struct UserSummary: Codable, Sendable, Equatable {
    package var name: String
    package var status: String
    package var email: String?
    package var groups: [String]
    /// Kinds of active factors, in order, each once.
    package var factors: [String]
    package var hasPassword: Bool
    /// Where the password lives, as far as no client says it; nil: here.
    package var directory: String?
    package var isLocked: Bool
}

package struct UserView: Codable, Sendable, Equatable {
    package var name: String
    package var status: String
    package var email: String?
    package var phone: String?
    package var timeZone: String?
    package var aliases: [String]
    package var groups: [String]
    package var hasPassword: Bool
    /// Where the password lives, as far as no client says it; nil: here.
    package var directory: String?
    /// Who says so: `user`, `group staff`; nil: nobody.
    package var directoryBy: String?
    package var factors: [FactorView]
    package var recoveryCodesLeft: Int
    package var locks: [LockView]
    package var created: Instant
    package var lastAccept: Instant?
    /// The newest logins, newest first.
    package var logins: [EventView]
    package var mustChangePassword: Bool?
    package var sessions: Sessions?
    /// How far an invitation is.
    package var onboarding: Onboarding?
    /// What the help desk gave and is open.
    package var grants: [GrantView]?
    package var warnings: [String] = []

    /// What is open of how many.
    package struct Sessions: Codable, Sendable, Equatable {
        package var open: Int
        /// The user's own number; nil: what groups and policies say.
        package var own: Int?
        /// What holds wherever no policy says anything; nil: any number, or what a policy says.
        package var most: Int?
        /// `user` or `group staff`.
        package var by: String?
    }
}

package struct LockView: Codable, Sendable, Equatable {
    /// `password`, `code` or `recovery code`.
    package var of: String
    /// The address it holds for; nil for everywhere.
    package var source: String?
    package var until: Instant
}

package struct UserList: Codable, Sendable, Equatable {
    package var users: [UserSummary]
    /// Give it as `after` to go on; nil at the end.
    package var next: String?
}

package struct AddUser: AdminOperation {
    package static let verb = "user.add"
    package var name: String
    package var email: String?
    package var phone: String?
    package var timeZone: String?
    package var groups: [String]
    package var aliases: [String]
    package var password: SecretText?
    /// Where the password lives: a directory, or `local`; nil or `none`: groups and clients say.
    package var directory: String?
    /// How many sessions may be open at once; nil or 0: what groups and policies say.
    package var sessions: Int?
    /// Whether nobody is let in before the link of an invitation, which follows, was used.
    package var awaitsInvitation: Bool?

    package init(
        name: String, email: String? = nil, phone: String? = nil, timeZone: String? = nil, groups: [String] = [], aliases: [String] = [],
        password: SecretText? = nil, directory: String? = nil, sessions: Int? = nil, awaitsInvitation: Bool? = nil
    ) {
        self.sessions = sessions
        self.awaitsInvitation = awaitsInvitation
        self.name = name
        self.email = email
        self.phone = phone
        self.timeZone = timeZone
        self.groups = groups
        self.aliases = aliases
        self.password = password
        self.directory = directory
    }
}

package struct ListUsers: AdminOperation {
    package static let verb = "user.list"
    /// Part of name, alias or e-mail.
    package var text: String?
    package var status: String?
    package var group: String?
    package var withoutFactor: Bool
    package var directory: String?
    package var after: String?
    package var limit: Int

    package static let mostUsers = 10_000

    package init(
        text: String? = nil, status: String? = nil, group: String? = nil, withoutFactor: Bool = false, directory: String? = nil,
        after: String? = nil, limit: Int = 100
    ) {
        self.text = text
        self.status = status
        self.group = group
        self.withoutFactor = withoutFactor
        self.directory = directory
        self.after = after
        self.limit = limit
    }
}

package struct ShowUser: AdminOperation {
    package static let verb = "user.show"
    package var name: String

    package init(name: String) {
        self.name = name
    }
}

/// Nil leaves a field as it is; an empty text clears it.
package struct SetUser: AdminOperation {
    package static let verb = "user.set"
    package var user: String
    package var name: String?
    package var email: String?
    package var phone: String?
    package var timeZone: String?
    package var addAliases: [String] = []
    package var removeAliases: [String] = []
    package var addGroups: [String] = []
    package var removeGroups: [String] = []
    package var password: SecretText?
    /// `active` or `disabled`.
    package var status: String?
    /// Where the password lives from now on: a directory, `local`, or `none`: groups and clients say.
    package var directory: String?
    /// The password, a new one too, opens nothing until the user changes it.
    package var expiresPassword: Bool?
    /// How many sessions may be open at once; 0: what groups and policies say.
    package var sessions: Int?

    package init(user: String) {
        self.user = user
    }
}

package struct UnlockUser: AdminOperation {
    package static let verb = "user.unlock"
    package var name: String

    package init(name: String) {
        self.name = name
    }
}

package struct RemoveUser: AdminOperation {
    package static let verb = "user.remove"
    package var name: String

    package init(name: String) {
        self.name = name
    }
}
