// SPDX-License-Identifier: Apache-2.0
// Where passwords live, in the administrator's words: a directory's name, `local`, or `none` for nothing said.

internal import LoginEngine
internal import Store

extension Operations {
    /// As a directory, what is kept here.
    static let local = "local"
    /// Nothing is said: the next one decides.
    static let unsaid = "none"

    func home(_ name: String) throws -> PasswordHome? { try home(name, among: try records.directories()) }

    func home(_ name: String, among directories: [Directory]) throws(Refusal) -> PasswordHome? {
        let wanted = Valid.trimmed(name).lowercased()
        switch wanted {
        case Self.local: return .here
        case Self.unsaid: return nil
        default:
            guard let directory = directories.first(where: { $0.name == wanted }) else {
                throw Refusal.missing(
                    "directory", Valid.shown(Valid.trimmed(name)), among: directories.map(\.name) + [Self.local, Self.unsaid],
                    otherwise: "`sallyport directory list` shows all.")
            }
            return .directory(directory.id)
        }
    }

    /// Who says that passwords live at a directory.
    func directoryUses() throws(StoreError) -> [Int64: DirectoryUses] {
        var uses: [Int64: DirectoryUses] = [:]
        for (id, count) in try records.directoryUserCounts() { uses[id, default: DirectoryUses()].users = count }
        for group in try records.groups() {
            if let id = group.home?.directory { uses[id, default: DirectoryUses()].groups.append(group.name) }
        }
        for client in try records.clients().sorted(by: { $0.name < $1.name }) {
            for id in client.settings.directories { uses[id, default: DirectoryUses()].clients.append(client.name) }
        }
        return uses
    }

    /// Where this user's password lives; nil for the client: as far as no client says it.
    func home(of user: UserRecord, at client: Client?) throws -> HomeRuling {
        let table = try records.homeTable()
        let groups = table.isEmpty ? [] : try records.groups(ofUser: user.id).map(\.id)
        return table.ruling(own: user.home, groups: groups, client: client)
    }
}

/// Whose passwords live at one directory.
struct DirectoryUses: Sendable, Equatable {
    /// Of how many users it is said by name.
    var users = 0
    var groups: [String] = []
    var clients: [String] = []

    var isEmpty: Bool { users == 0 && groups.isEmpty && clients.isEmpty }

    /// `3 users, group staff and client office`
    var words: String {
        Words.list(
            (users > 0 ? [Words.count(users, "user")] : []) + groups.map { "group \($0)" } + clients.map { "client \($0)" })
    }
}

extension [Directory] {
    /// `nps`, `local` or `none`.
    func word(for home: PasswordHome?) -> String {
        switch home {
        case nil: Operations.unsaid
        case .here?: Operations.local
        case .directory(let id)?: first { $0.id == id }?.name ?? "?"
        }
    }
}

extension ClientSettings {
    /// Where it says that passwords live, each once.
    var directories: Set<Int64> { Set(passThrough.map(\.directory) + (home?.directory.map { [$0] } ?? [])) }
}

extension [PassThroughRule] {
    /// `corp.example=nps`, as it is written.
    func texts(_ directories: [Directory]) -> [String] { map { "\($0.realm)=\(directories.word(for: .directory($0.directory)))" } }
}

extension HomeRuling {
    /// `Directory nps judges the password, since group staff says so.`
    var sentence: String {
        let judge = directory.map { "Directory \($0) judges the password" } ?? "The password is kept here"
        return switch origin {
        case .user: "\(judge), as is said of the user."
        case .group(let name): "\(judge), as is said of group \(name)."
        case .client: "\(judge), as is said of the client."
        case .passThrough(let realm): "\(judge), as the client passes realm \(realm) through."
        case .nobody: "\(judge): neither user nor groups nor client say anything else."
        }
    }
}
