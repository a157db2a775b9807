// SPDX-License-Identifier: Apache-2.0
// What an apply file says: how channels, directories, clients, groups and policies are to be.

package import LoginEngine

/// A section that is nil was not in the file and stays untouched. Each entry says all of its object: what it leaves out is the default.
package struct Blueprint: Codable, Sendable, Equatable {
    package var channels: [Channel]?
    package var directories: [Directory]?
    package var clients: [Client]?
    package var groups: [Group]?
    /// In their order.
    package var policies: [Policy]?

    package init() {}

    package struct Directory: Codable, Sendable, Equatable {
        package var name: String
        package var place: String
        /// Where its keys stand.
        package var places: [String: String] = [:]
        /// `secret` is nil for *keep*.
        package var choices: DirectoryChoices

        package init(name: String, place: String, choices: DirectoryChoices) {
            self.name = name
            self.place = place
            self.choices = choices
        }
    }

    package struct Channel: Codable, Sendable, Equatable {
        package var name: String
        package var place: String
        package var places: [String: String] = [:]
        /// `password` and `authorities` are nil for *keep*.
        package var choices: ChannelChoices

        package init(name: String, place: String, choices: ChannelChoices) {
            self.name = name
            self.place = place
            self.choices = choices
        }
    }

    package struct Client: Codable, Sendable, Equatable {
        package var name: String
        /// Where it stands in the file: `sallyport.yaml:7:3`.
        package var place: String
        package var places: [String: String] = [:]
        /// `secret` is nil for *keep*.
        package var choices: ClientChoices

        package init(name: String, place: String, choices: ClientChoices) {
            self.name = name
            self.place = place
            self.choices = choices
        }
    }

    package struct Group: Codable, Sendable, Equatable {
        package var name: String
        package var place: String
        package var places: [String: String] = [:]
        /// Nil leaves the members as they are.
        package var users: [Member]?
        package var groups: [Member]?
        package var reply: [ReplySetting] = []
        /// How many sessions each member may have open at once; nil: any number.
        package var sessions: Int?
        /// Where its members' passwords live: a directory, or `local`; nil: it does not say.
        package var directory: String?

        package init(name: String, place: String, users: [Member]? = nil, groups: [Member]? = nil) {
            self.name = name
            self.place = place
            self.users = users
            self.groups = groups
        }
    }

    package struct Member: Codable, Sendable, Equatable {
        package var name: String
        package var place: String

        package init(_ name: String, place: String) {
            self.name = name
            self.place = place
        }
    }

    package struct Policy: Codable, Sendable, Equatable {
        package var name: String
        package var place: String
        package var places: [String: String] = [:]
        package var choices: PolicyChoices

        package init(name: String, place: String, choices: PolicyChoices) {
            self.name = name
            self.place = place
            self.choices = choices
        }
    }
}

package struct ApplyBlueprint: AdminOperation {
    package static let verb = "apply"
    package var blueprint: Blueprint
    package var isDryRun: Bool
    /// Takes away what a section of the file does not name.
    package var prunes: Bool
    /// Leaves members out whom nobody knows; else they are an error.
    package var skipsUnknownMembers: Bool

    package init(blueprint: Blueprint, isDryRun: Bool = false, prunes: Bool = false, skipsUnknownMembers: Bool = false) {
        self.blueprint = blueprint
        self.isDryRun = isDryRun
        self.prunes = prunes
        self.skipsUnknownMembers = skipsUnknownMembers
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var isDryRun: Bool
        package var differences: [Difference]
        package var warnings: [String]

        /// Whether anything was (or would be) written.
        package var changes: Bool { differences.contains { $0.action != .missing } }
    }

    package struct Difference: Codable, Sendable, Equatable {
        package enum Action: String, Codable, Sendable {
            case add, change, remove
            /// It is there and not in the file; `--prune` would remove it.
            case missing
        }

        /// `channel`, `directory`, `client`, `group` or `policy`.
        package var kind: String
        package var name: String
        package var action: Action
        package var fields: [Field] = []
    }

    package struct Field: Codable, Sendable, Equatable {
        package var name: String
        /// Nil where there was nothing, or for a secret, which is never told.
        package var before: String?
        package var after: String?
    }
}

/// Everything that an apply file can hold, as it is; secrets are left out.
package struct ExportBlueprint: AdminOperation {
    package static let verb = "export"
    /// A group with more members is exported without them.
    package static let mostMembers = 10_000

    package init() {}

    package struct Answer: Codable, Sendable, Equatable {
        package var blueprint: Blueprint
        package var warnings: [String]
    }
}
