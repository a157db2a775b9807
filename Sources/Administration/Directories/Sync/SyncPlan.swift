// SPDX-License-Identifier: Apache-2.0
// What a directory says, held against what is known here: whom to add, change and disable, and which groups hold whom. Pure.

package import Directories
internal import LoginEngine
package import Store

/// An entry about which nothing, or not everything, is done.
package struct SyncFault: Codable, Sendable, Equatable {
    /// Where it is in the directory, as a rule its DN.
    package var entry: String
    package var message: String

    package init(entry: String, message: String) {
        self.entry = entry
        self.message = message
    }
}

package struct SyncPlan: Sendable {
    /// An entry that can be somebody here.
    package struct Person: Sendable {
        package var entry: String
        package var place: String
        package var name: String
        package var key: String
        package var aliases: [UserAlias]
        package var email: String?
        package var phone: String?
        package var isEnabled: Bool
        package var reference: String
        /// In `SyncState.users`.
        var user: Int?
        var isAdopted = false
        /// In `groups`; of those who are added.
        package var groups: [Int] = []
    }

    package struct Change: Sendable {
        package enum Kind: String, Sendable {
            case change, disable, enable
        }

        package var kind: Kind
        package var user: SyncedUser
        /// As it is to be.
        package var result: SyncedUser
        package var entry: String
        package var drops: [String] = []
        package var aliases: [UserAlias] = []
        package var fields: [String] = []
        package var isAdopted = false

        package var isRenamed: Bool { result.key != user.key }
    }

    package struct Group: Sendable {
        package var entry: String
        package var place: String
        package var name: String
        /// Nil: it is added.
        package var row: Int64?
        /// Of one that is called otherwise here, or not known as the entry.
        package var oldName: String?
        package var isNewlyKnown = false
        package var isGone = false
        package var joins: [Int64] = []
        package var leaves: [Int64] = []
        /// Who joins as they are added.
        package var newcomers = 0
        /// In `groups`.
        var inner: Set<Int> = []
    }

    package struct Link: Sendable {
        /// In `groups`.
        var group: Int
        var member: Int
    }

    package struct Counts: Codable, Sendable, Equatable {
        /// In the directory.
        package var users = 0
        package var groups = 0
        package var added = 0
        package var changed = 0
        package var disabled = 0
        package var enabled = 0
        package var unchanged = 0
        /// Disabled there and unknown here.
        package var passedOver = 0
        package var groupsAdded = 0
        package var groupsChanged = 0
        package var groupsEmptied = 0
        package var joined = 0
        package var left = 0
        package var faults = 0

        package var isNothing: Bool {
            added + changed + disabled + enabled + groupsAdded + groupsChanged + groupsEmptied + joined + left == 0
        }
    }

    package internal(set) var counts = Counts()
    package internal(set) var additions: [Person] = []
    package internal(set) var changes: [Change] = []
    package internal(set) var groups: [Group] = []
    /// Groups that come into groups.
    package internal(set) var links: [Link] = []
    /// Rows of groups that leave groups.
    package internal(set) var unlinks: [(group: Int64, member: Int64)] = []
    package internal(set) var faults: [SyncFault] = []
    /// Of the directory's users, those who may log in before the sync.
    package internal(set) var activeBefore = 0
    package internal(set) var groupsBefore = 0

    /// Of which part of its users a directory may take the access without being asked.
    package static let mostDisabled = 10
    /// How many may always go.
    package static let fewDisabled = 5

    /// Why somebody has to say that this is meant; nil: nothing unusual.
    package var objection: String? {
        if counts.users == 0, activeBefore > 0 {
            return "The directory names no users at all, and \(Words.count(activeBefore, "user")) would be disabled."
        }
        if counts.disabled > Self.fewDisabled, counts.disabled * 100 > activeBefore * Self.mostDisabled {
            return "\(counts.disabled) of \(Words.count(activeBefore, "user")) would be disabled, more than \(Self.mostDisabled) %."
        }
        if counts.groupsEmptied > Self.fewDisabled, counts.groupsEmptied * 100 > groupsBefore * Self.mostDisabled {
            return
                "\(counts.groupsEmptied) of \(Words.count(groupsBefore, "group")) would lose all members, more than \(Self.mostDisabled) %."
        }
        return nil
    }
}

/// What was read of a directory, whole.
package struct SyncContents: Sendable {
    package var users: [DirectoryEntry] = []
    package var groups: [DirectoryGroupEntry] = []

    package init(users: [DirectoryEntry] = [], groups: [DirectoryGroupEntry] = []) {
        self.users = users
        self.groups = groups
    }
}
