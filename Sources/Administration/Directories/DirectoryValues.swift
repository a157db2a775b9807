// SPDX-License-Identifier: Apache-2.0
// A directory as the administrator sees one, and what can be asked about directories.

package import LoginEngine

package struct DirectorySummary: Codable, Sendable, Equatable {
    package var name: String
    package var type: String
    package var servers: [ServerView]
    /// Of how many it is said by name.
    package var users: Int
    /// Of which groups and clients it is said.
    package var groups: [String]
    package var clients: [String]
    package var isEnabled: Bool

    package struct ServerView: Codable, Sendable, Equatable {
        package var address: String
        /// Nil where no node runs that would know.
        package var isUp: Bool?
        package var downSince: Instant?
        package var lastHeard: Instant?
        /// Nothing that was sent since then has been answered.
        package var askedSince: Instant?
        /// Where it is given by a host name.
        package var name: NameView?
        /// It does not share the directory's secret.
        package var hasOwnSecret: Bool
        /// Why it is down, or refuses its account.
        package var problem: String?
        /// When the certificate ends that it showed.
        package var certificateEnds: Instant?
    }

    /// What a host name stands for.
    package struct NameView: Codable, Sendable, Equatable {
        package var addresses: [String]
        /// When these were found last.
        package var found: Instant?
        /// Why none is found now.
        package var problem: String?
    }
}

package struct DirectoryList: Codable, Sendable, Equatable {
    package var directories: [DirectorySummary]
}

package struct DirectoryView: Codable, Sendable, Equatable {
    package var name: String
    package var type: String
    package var servers: [DirectorySummary.ServerView]
    /// Milliseconds that each sending waits.
    package var timeout: Int
    package var tries: Int
    package var messageAuthenticator: String
    package var sends: String
    package var takes: [String]
    package var isEnabled: Bool
    package var users: Int
    package var groups: [String]
    package var clients: [String]
    package var warnings: [String] = []
    package var ldap: DirectoryChoices.LDAP?
    package var sync: SyncView?

    package struct SyncView: Codable, Sendable, Equatable {
        /// `15m`; nil: by hand alone.
        package var every: String?
        package var started: Instant?
        package var ended: Instant?
        package var succeeded: Instant?
        /// In a row.
        package var failures: Int
        /// Why the last one failed; nil: it did not.
        package var problem: String?
        /// Of the last one that succeeded.
        package var counts: SyncPlan.Counts?
    }
}

/// Every field of a directory that can be set; nil leaves it as it is, or at its default.
package struct DirectoryChoices: Codable, Sendable, Equatable {
    package var type: String?
    package var servers: [String]?
    package var secret: SecretText?
    /// Of servers that do not share it; replaces all.
    package var ownSecrets: [OwnSecret]?
    /// `3s`, `500ms`
    package var timeout: String?
    package var tries: Int?
    package var messageAuthenticator: String?
    package var sends: String?
    package var takes: [String]?
    package var isEnabled: Bool?
    /// Of one that is asked by LDAP; the secret is the password of its account.
    package var ldap: LDAP?
    /// How often its users and groups are synced: `15m`, `1h`, `1d`; `off`: by hand alone.
    package var syncEvery: String?

    package init() {}

    /// `none` takes away what may be absent.
    package struct LDAP: Codable, Sendable, Equatable {
        /// A file, or `system`.
        package var ca: String?
        package var base: String?
        package var bind: String?
        package var bindName: String?
        package var account: String?
        package var filter: String?
        package var users: String?
        package var domains: [String]?
        package var map: [Mapping]?
        package var groupBase: String?
        package var nested: Bool?
        package var creates: Bool?

        package init() {}

        package struct Mapping: Codable, Sendable, Equatable {
            package var key: String
            package var attributes: [String]

            package init(_ key: String, _ attributes: [String]) {
                self.key = key
                self.attributes = attributes
            }

            package var text: String { attributes.isEmpty ? "none" : attributes.joined(separator: ", ") }
        }
    }

    package struct OwnSecret: Codable, Sendable, Equatable {
        package var server: String
        /// Nil: the one that it has.
        package var secret: SecretText?

        package init(server: String, secret: SecretText?) {
            self.server = server
            self.secret = secret
        }
    }
}

package struct AddDirectory: AdminOperation {
    package static let verb = "directory.add"
    package var name: String
    package var choices: DirectoryChoices

    package init(name: String, choices: DirectoryChoices) {
        self.name = name
        self.choices = choices
    }
}

package struct ListDirectories: AdminOperation {
    package static let verb = "directory.list"

    package init() {}
}

package struct ShowDirectory: AdminOperation {
    package static let verb = "directory.show"
    package var name: String

    package init(name: String) {
        self.name = name
    }
}

package struct SetDirectory: AdminOperation {
    package static let verb = "directory.set"
    package var directory: String
    package var name: String?
    package var choices: DirectoryChoices

    package init(directory: String, name: String? = nil, choices: DirectoryChoices = DirectoryChoices()) {
        self.directory = directory
        self.name = name
        self.choices = choices
    }
}

/// Adds a server behind the others, or gives one another secret.
package struct AddDirectoryServer: AdminOperation {
    package static let verb = "directory.server.add"
    package var directory: String
    package var server: String
    /// Nil: it shares the directory's.
    package var secret: SecretText?

    package init(directory: String, server: String, secret: SecretText? = nil) {
        self.directory = directory
        self.server = server
        self.secret = secret
    }
}

package struct RemoveDirectoryServer: AdminOperation {
    package static let verb = "directory.server.remove"
    package var directory: String
    package var server: String

    package init(directory: String, server: String) {
        self.directory = directory
        self.server = server
    }
}

package struct RemoveDirectory: AdminOperation {
    package static let verb = "directory.remove"
    package var name: String

    package init(name: String) {
        self.name = name
    }
}

/// Asks every server whether it is there, or what it says of one user's password.
package struct TestDirectory: AdminOperation {
    package static let verb = "directory.test"
    package var name: String
    package var user: String?
    package var password: SecretText?

    package init(name: String, user: String? = nil, password: SecretText? = nil) {
        self.name = name
        self.user = user
        self.password = password
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var directory: String
        package var results: [Result]

        package struct Result: Codable, Sendable, Equatable {
            package var server: String
            /// `answers`, `accepted`, `rejected`, `challenged`, `silent`; of a step `done` or `failed`.
            package var outcome: String
            package var milliseconds: Int?
            package var message: String
            /// Of one that is asked by LDAP: what was tried, what to change, what was found.
            package var step: String?
            package var remedy: String?
            package var values: [String]?

            package var isDone: Bool { outcome != "silent" && outcome != "failed" }
        }
    }
}

/// What a running node knows of a directory's servers.
package struct DirectoryStatus: Sendable, Equatable {
    package var directory: Int64
    package var server: String
    package var isUp: Bool
    package var downSince: Timestamp?
    package var lastHeard: Timestamp?
    package var askedSince: Timestamp?
    package var name: Name?
    /// Its replies are dropped, since they lack a Message-Authenticator, or another secret signed them.
    package var dropped: Dropped?
    /// Why it is down, or refuses its account.
    package var problem: String?
    /// When the certificate ends that it showed.
    package var certificateEnds: Timestamp?

    package enum Dropped: Sendable, Equatable {
        case unsigned, otherSecret
    }

    package struct Name: Sendable, Equatable {
        package var addresses: [String]
        package var found: Timestamp?
        package var problem: String?

        package init(addresses: [String], found: Timestamp?, problem: String?) {
            self.addresses = addresses
            self.found = found
            self.problem = problem
        }
    }

    package init(directory: Int64, server: String, isUp: Bool, downSince: Timestamp? = nil, dropped: Dropped? = nil) {
        self.directory = directory
        self.server = server
        self.isUp = isUp
        self.downSince = downSince
        self.dropped = dropped
    }
}
