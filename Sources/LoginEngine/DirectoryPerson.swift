// SPDX-License-Identifier: Apache-2.0
// Somebody as a directory describes them, and what comes of it here.

/// What a directory says of somebody whose password was right there.
package final class DirectoryPerson: Sendable {
    /// The directory's row and name.
    package let directory: Int64
    package let directoryName: String
    /// The directory's own name of the entry, which stays when it is renamed.
    package let key: String
    /// The login name there; nil where the entry has none that could be one.
    package let name: String?
    package let aliases: [String]
    package let email: String?
    package let phone: String?
    /// Names of groups, nested ones too.
    package let groups: [String]
    /// Whether somebody who is unknown here becomes a user.
    package let creates: Bool

    package static let mostGroups = 1_000

    package init(
        directory: Int64, directoryName: String, key: String, name: String?, aliases: [String] = [], email: String? = nil,
        phone: String? = nil, groups: [String] = [], creates: Bool
    ) {
        self.directory = directory
        self.directoryName = directoryName
        self.key = key
        self.name = name
        self.aliases = aliases
        self.email = email
        self.phone = phone
        self.groups = groups
        self.creates = creates
    }

    /// What a group of a directory is called here: `corp/VPN Users`.
    package static func groupName(_ group: String, of directory: String) -> String { "\(directory)/\(group)" }
}

extension DirectoryPerson: Equatable {
    package static func == (left: DirectoryPerson, right: DirectoryPerson) -> Bool {
        left === right
            || left.directory == right.directory && left.key == right.key && left.name == right.name && left.aliases == right.aliases
                && left.email == right.email && left.phone == right.phone && left.groups == right.groups && left.creates == right.creates
    }
}

/// A login whose password a directory has found right, before anything else is judged.
package struct DirectoryMeeting: Sendable {
    package var person: DirectoryPerson
    /// Nil: nobody here has the name.
    package var user: Int64?
    /// As the client reads it.
    package var typed: String
    package var at: Timestamp

    package init(_ person: DirectoryPerson, user: Int64?, typed: String, at: Timestamp) {
        self.person = person
        self.user = user
        self.typed = typed
        self.at = at
    }
}

package enum MeetingOutcome: Sendable, Equatable {
    /// Everything here is as the directory says.
    case same
    /// Something was written: the login is judged anew by what is known now, of the user with this key.
    case changed(key: String)
    /// Another one's entry, or a name that is taken.
    case refused(RejectReason)
    case failed(NoAnswer)
}

extension LoginRecords {
    /// Records that know no directories let nobody in by them.
    package func meet(_ meeting: DirectoryMeeting, completion: @escaping @Sendable (MeetingOutcome) -> Void) {
        completion(.refused(.changedMeanwhile))
    }
}
