// SPDX-License-Identifier: Apache-2.0
// Everybody whom a directory knows, a page at a time: what a sync is planned from.

/// One person of a directory, as it describes them. Values are what came: nothing has been judged.
package struct DirectoryEntry: Sendable, Equatable {
    /// The directory's own name of the entry, which stays when it is renamed; empty where it has none.
    package var id: String
    /// Where it is, as it is told to an administrator.
    package var place: String
    package var name: String
    package var aliases: [String] = []
    package var email: String?
    package var phone: String?
    package var isEnabled = true
    /// By which groups name it among their members.
    package var reference: String
    /// References of groups that it says it is in.
    package var groups: [String] = []
    /// What its source could not read. Such an entry is told, and nothing is done about it.
    package var faults: [String] = []

    package init(id: String, place: String, name: String, reference: String? = nil) {
        self.id = id
        self.place = place
        self.name = name
        self.reference = reference ?? place
    }
}

/// One group of a directory.
package struct DirectoryGroupEntry: Sendable, Equatable {
    package var id: String
    package var place: String
    package var name: String
    package var reference: String
    /// References of users and of groups.
    package var members: [String] = []
    /// References of groups that it says it is in.
    package var groups: [String] = []
    /// Login names, where a group lists these.
    package var memberNames: [String] = []
    package var faults: [String] = []

    package init(id: String, place: String, name: String, reference: String? = nil) {
        self.id = id
        self.place = place
        self.name = name
        self.reference = reference ?? place
    }
}

package enum DirectoryPage: Sendable, Equatable {
    case users([DirectoryEntry])
    case groups([DirectoryGroupEntry])
}

/// Why a directory could not be read to its end. Whatever was read before is of no use then.
package struct DirectoryReadFailure: Error, Sendable, Equatable {
    package var text: String

    package init(_ text: String) {
        self.text = text
    }
}

/// What lists a directory's users and groups.
package protocol DirectoryPages: Sendable {
    /// Hands over every page, in any order, one at a time; returns when the directory has said that there is no more.
    func read(_ take: @escaping @Sendable (DirectoryPage) -> Void) async throws(DirectoryReadFailure)
}
