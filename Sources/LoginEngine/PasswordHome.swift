// SPDX-License-Identifier: Apache-2.0
// Whose password lives where: what is said of users, groups and clients, and whose word counts. Pure.

/// Where a password lives.
package enum PasswordHome: Sendable, Hashable {
    case here
    /// The row of a directory.
    case directory(Int64)

    package var directory: Int64? {
        if case .directory(let row) = self { row } else { nil }
    }
}

/// Who said it.
package enum HomeOrigin: Sendable, Hashable {
    case user
    case group(String)
    case client
    /// The client's rule for names that nobody has here.
    case passThrough(PassThroughRule.Realm)
    /// Nobody said anything: it lives here.
    case nobody
}

/// Where one user's password lives at one client. An object, because most logins have none.
package final class HomeRuling: Sendable {
    package let home: PasswordHome
    package let origin: HomeOrigin
    /// The directory's name; nil for what is here.
    package let directory: String?

    init(_ home: PasswordHome, by origin: HomeOrigin, directory: String?) {
        self.home = home
        self.origin = origin
        self.directory = directory
    }

    /// For the trail: `nps (group staff)`.
    package var words: String { "\(directory ?? "local") (\(origin.words))" }
}

extension HomeRuling: Equatable {
    package static func == (left: HomeRuling, right: HomeRuling) -> Bool {
        left === right || left.home == right.home && left.origin == right.origin && left.directory == right.directory
    }
}

extension HomeOrigin {
    /// `user`, `group staff`, `client`, `nobody`.
    package var words: String {
        switch self {
        case .user: "user"
        case .group(let name): "group \(name)"
        case .client: "client"
        case .passThrough(let realm): "realm \(realm)"
        case .nobody: "nobody"
        }
    }
}

/// What groups say, and what directories are called. An immutable value, replaced as a whole with the policies.
package struct HomeTable: Sendable, Equatable {
    private struct Entry: Sendable, Equatable {
        var group: Int64
        var name: String
        var home: PasswordHome
    }

    /// By name: of several groups of a user the first counts, as with reply attributes.
    private let groups: [Entry]
    private let directories: [Int64: String]
    /// Directories that make users of those who are right there.
    private let creating: Set<Int64>

    package static let empty = HomeTable(groups: [], directories: [:])

    package init(groups: [(id: Int64, name: String, home: PasswordHome?)], directories: [Int64: String], creating: Set<Int64> = []) {
        self.creating = creating
        self.groups = groups.compactMap { group in group.home.map { Entry(group: group.id, name: group.name, home: $0) } }
            .sorted { $0.name < $1.name }
        self.directories = directories
    }

    /// Whether no group says anything: then no login looks its groups up for this.
    package var isEmpty: Bool { groups.isEmpty }

    /// The user's own word, else that of a group, else the client's; else it lives here.
    ///
    /// - Parameters:
    ///   - groups: the user's, nested ones too.
    ///   - client: nil: wherever no client says anything.
    package func ruling(own: PasswordHome?, groups: [Int64], client: Client?) -> HomeRuling {
        if let own { return ruling(own, by: .user) }
        if let entry = self.groups.first(where: { groups.contains($0.group) }) { return ruling(entry.home, by: .group(entry.name)) }
        if let home = client?.settings.home { return ruling(home, by: .client) }
        return ruling(.here, by: .nobody)
    }

    private func ruling(_ home: PasswordHome, by origin: HomeOrigin) -> HomeRuling {
        HomeRuling(home, by: origin, directory: home.directory.map { directories[$0] ?? "?" })
    }

    /// Sends a known user's login where the password lives, and a name that nobody has where the client passes it through. Nothing changes
    /// for those of whom nobody says anything.
    func place(_ facts: inout LoginFacts, at client: Client, named name: String, lookupKey: String) {
        if facts.user == nil, !(client.settings.passThrough.isEmpty && creating.isEmpty) {
            guard let stranger = client.settings.stranger(named: name, lookupKey: lookupKey, creating: creating) else { return }
            facts.stranger = stranger
            facts.home = ruling(.directory(stranger.rule.directory), by: .passThrough(stranger.rule.realm))
        }
        guard let user = facts.user, user.home != nil || client.settings.home != nil || !isEmpty else { return }
        let ruling = ruling(own: user.home, groups: facts.groups, client: client)
        facts.user?.directory = ruling.home.directory
        facts.home = ruling.home == .here ? nil : ruling
    }
}
