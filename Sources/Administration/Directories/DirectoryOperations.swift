// SPDX-License-Identifier: Apache-2.0
// Directories: where passwords live that are not kept here.

internal import LoginEngine
internal import RADIUS
internal import Store

extension AddDirectory {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let name = try Valid.directoryName(name)
        try operations.free(directory: name)
        // A type that is none is refused as such, below.
        let needsSecret = choices.type.map { DirectoryKind(rawValue: $0)?.isLDAP == false } ?? true
        guard choices.secret != nil || !needsSecret else {
            throw Refusal(
                .invalid, "A directory needs the secret that its servers share with this one.", remedy: "Give it with --secret-stdin.",
                place: "secret")
        }
        let base = DirectorySettings(name: name, servers: [], secret: Secret([]))
        let settings = try choices.apply(to: base, operations.ports.replies)
        _ = try await operations.records.addDirectory(
            settings,
            event: operations.event(
                .directoryAdded, by: actor,
                ["directory": name, "servers": settings.serverNames.joined(separator: ", "), "type": settings.kind.rawValue])
        )
        try await operations.ports.changed(.directories)
        return Done(
            "Added directory \(name) with \(Words.list(settings.serverNames)).",
            warnings: settings.warnings + [
                "`sallyport directory test \(name)` asks its servers; `--directory \(name)` of `sallyport user set`, `group set` or `client set` says whose passwords live there."
            ])
    }
}

extension ListDirectories {
    package func perform(in operations: Operations, by actor: Actor) async throws -> DirectoryList {
        let uses = try operations.directoryUses()
        let status = operations.ports.directoryStatus()
        return DirectoryList(
            directories: try operations.records.directories().map { directory in
                let uses = uses[directory.id] ?? DirectoryUses()
                return DirectorySummary(
                    name: directory.name, type: directory.settings.kind.rawValue, servers: operations.servers(of: directory, status),
                    users: uses.users, groups: uses.groups, clients: uses.clients, isEnabled: directory.settings.isEnabled)
            })
    }
}

extension ShowDirectory {
    package func perform(in operations: Operations, by actor: Actor) async throws -> DirectoryView {
        let directory = try operations.directory(name)
        let settings = directory.settings
        let uses = try operations.directoryUses()[directory.id] ?? DirectoryUses()
        var view = DirectoryView(
            name: settings.name, type: settings.kind.rawValue,
            servers: operations.servers(of: directory, operations.ports.directoryStatus()),
            timeout: Int(settings.timeout.microseconds / 1_000), tries: settings.tries,
            messageAuthenticator: settings.messageAuthenticator.rawValue, sends: settings.nameSent.rawValue, takes: settings.takes,
            isEnabled: settings.isEnabled, users: uses.users, groups: uses.groups, clients: uses.clients)
        view.warnings = settings.warnings
        view.ldap = settings.ldap.map { DirectoryChoices.LDAP(of: $0) }
        view.sync = try operations.syncView(of: directory)
        return view
    }
}

extension SetDirectory {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let old = try operations.directory(directory)
        guard name != nil || choices != DirectoryChoices() else {
            throw Refusal(.invalid, "Nothing to change was given.", remedy: "`sallyport directory set --help` lists what can be changed.")
        }
        var settings = try choices.apply(to: old.settings, operations.ports.replies)
        if let name {
            settings.name = try Valid.directoryName(name)
            try operations.free(directory: settings.name, but: old.id)
            let mark = DirectoryPerson.groupName("", of: old.name)
            if settings.name != old.name, settings.ldap != nil,
                let group = try operations.records.groups().first(where: { $0.name.hasPrefix(mark) })
            {
                throw Refusal(
                    .conflict, "Group `\(group.name)` is filled by this directory, by its name.",
                    remedy: "Rename or remove its groups first.", place: "name")
            }
        }
        return try await operations.change(old, to: settings, by: actor)
    }
}

extension AddDirectoryServer {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let old = try operations.directory(directory)
        try operations.refuseSingleServers(of: old)
        let server = try DirectoryChoices.server(server)
        var choices = DirectoryChoices()
        if !old.settings.servers.contains(server) { choices.servers = old.settings.servers.map(\.description) + [server.description] }
        var own: [DirectoryChoices.OwnSecret] = []
        for other in old.settings.servers where other != server && old.settings.ownSecrets[other] != nil {
            own.append(DirectoryChoices.OwnSecret(server: other.description, secret: nil))
        }
        if let secret { own.append(DirectoryChoices.OwnSecret(server: server.description, secret: secret)) }
        choices.ownSecrets = own
        return try await operations.change(old, to: try choices.apply(to: old.settings, operations.ports.replies), by: actor)
    }
}

extension RemoveDirectoryServer {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let old = try operations.directory(directory)
        try operations.refuseSingleServers(of: old)
        let server = try DirectoryChoices.server(server)
        guard old.settings.servers.contains(server) else {
            throw Refusal(
                .missing, "Directory `\(old.name)` has no server \(server).",
                remedy: "Its servers are \(Words.list(old.settings.servers.map(\.description))).", place: "address")
        }
        guard old.settings.servers.count > 1 else {
            throw Refusal(
                .conflict, "\(server) is the only server of directory `\(old.name)`.",
                remedy: "Add another one first, or remove the directory.", place: "address")
        }
        var choices = DirectoryChoices()
        var left: [String] = []
        for other in old.settings.servers where other != server { left.append(other.description) }
        choices.servers = left
        return try await operations.change(old, to: try choices.apply(to: old.settings, operations.ports.replies), by: actor)
    }
}

extension Operations {
    fileprivate func refuseSingleServers(of directory: Directory) throws(Refusal) {
        guard directory.settings.ldap != nil else { return }
        throw Refusal(
            .conflict, "Servers of an LDAP directory share everything.",
            remedy: "Name all of them: `sallyport directory set \(directory.name) --server … --server …`.", place: "directory")
    }

    fileprivate func change(_ old: Directory, to settings: DirectorySettings, by actor: Actor) async throws -> Done {
        let changes = settings.changes(since: old.settings)
        guard !changes.isEmpty else { return Done("Nothing to change: directory \(old.name) is like that already.") }
        try await records.updateDirectory(
            old.id, settings,
            event: event(.directoryChanged, by: actor, ["directory": settings.name, "change": changes.joined(separator: "; ")]))
        try await ports.changed(.directories)
        return Done("Changed directory \(settings.name): \(changes.joined(separator: "; ")).", warnings: settings.warnings)
    }
}

extension RemoveDirectory {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let directory = try operations.directory(name)
        if let uses = try operations.directoryUses()[directory.id], !uses.isEmpty { throw Operations.stillUsed(directory.name, uses) }
        try await operations.records.removeDirectory(
            directory.id, event: operations.event(.directoryRemoved, by: actor, ["directory": directory.name]))
        try await operations.ports.changed(.directories)
        return Done("Removed directory \(directory.name).")
    }
}

extension Operations {
    func directory(_ name: String) throws -> Directory {
        let wanted = Valid.trimmed(name)
        let all = try records.directories()
        if let directory = all.first(where: { $0.name == wanted.lowercased() }) { return directory }
        throw Refusal.missing(
            "directory", Valid.shown(wanted), among: all.map(\.name), otherwise: "`sallyport directory list` shows all.")
    }

    func free(directory name: String, but own: Int64? = nil) throws {
        guard let other = try records.directories().first(where: { $0.name == name }), other.id != own else { return }
        throw Refusal(
            .conflict, "There is a directory `\(name)` already.",
            remedy: "Change it with `sallyport directory set \(name)`, or choose another name.", place: "name")
    }

    static func stillUsed(_ name: String, _ uses: DirectoryUses) -> Refusal {
        Refusal(
            .conflict, "The passwords of \(uses.words) live at directory `\(name)`.",
            remedy:
                "Say first where else, with --directory of `sallyport user set`, `group set` or `client set`: another one, or local and a "
                + "password of their own.")
    }

    func servers(of directory: Directory, _ status: [DirectoryStatus]) -> [DirectorySummary.ServerView] {
        if let ldap = directory.settings.ldap { return ldap.servers.map { view(of: $0, directory, status) } }
        return directory.settings.servers.map { server in
            let known = status.first { $0.directory == directory.id && $0.server == server.description }
            return DirectorySummary.ServerView(
                address: server.description, isUp: known?.isUp, downSince: known?.downSince.map { Instant($0) },
                lastHeard: known?.lastHeard.map { Instant($0) }, askedSince: known?.askedSince.map { Instant($0) },
                name: known?.name.map { name in
                    DirectorySummary.NameView(addresses: name.addresses, found: name.found.map { Instant($0) }, problem: name.problem)
                }, hasOwnSecret: directory.settings.ownSecrets[server] != nil)
        }
    }

    private func view(of server: LDAPServer, _ directory: Directory, _ status: [DirectoryStatus]) -> DirectorySummary.ServerView {
        let known = status.first { $0.directory == directory.id && $0.server == server.description }
        var view = DirectorySummary.ServerView(
            address: server.description, isUp: known?.isUp, downSince: known?.downSince.map { Instant($0) },
            lastHeard: known?.lastHeard.map { Instant($0) }, askedSince: known?.askedSince.map { Instant($0) }, name: nil,
            hasOwnSecret: false)
        view.problem = known?.problem
        view.certificateEnds = known?.certificateEnds.map { Instant($0) }
        return view
    }

    /// The directory by whose logins the members of a group are kept; nil: a group of our own.
    func keeper(ofGroup name: String, among directories: [Directory]) -> Directory? {
        directories.first { $0.settings.ldap != nil && name.hasPrefix(DirectoryPerson.groupName("", of: $0.name)) }
    }

    func refuseKept(_ name: String, among directories: [Directory]) throws(Refusal) {
        guard let directory = keeper(ofGroup: name, among: directories) else { return }
        throw Refusal(
            .conflict, "The members of group `\(name)` are those of directory `\(directory.name)`, as of its syncs and their logins.",
            remedy: "Change them there, or make a group of your own that holds this one.", place: "members")
    }

    /// A group whose members an administrator says.
    func ownGroup(_ name: String) throws -> GroupRecord {
        let group = try group(name)
        try refuseKept(group.name, among: try records.directories())
        return group
    }

    /// By which schemes somebody's password can be judged: by what is kept here, or by handing the proof on.
    func provableSchemes() throws -> ProofSchemes {
        provableSchemes(kept: try records.passwordKeeping().schemes, try records.directories())
    }

    func provableSchemes(kept: ProofSchemes, _ directories: [Directory]) -> ProofSchemes {
        directories.contains { $0.settings.kind == .radius } ? kept.union(.needText) : kept
    }
}

extension ReplyDictionary {
    /// An attribute that may be taken over from another server's accept, by its name and its numbers.
    func taken(_ text: String) throws(Refusal) -> (name: String, type: UInt8, vendor: (number: UInt32, type: UInt8)?) {
        let named: Named
        do throws(NameProblem) {
            named = try self.named(text)
        } catch {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` cannot be taken over.",
                remedy: "Name an attribute that may stand in an accept and is not hidden by the secret, such as Class or Filter-Id.",
                place: "take")
        }
        let numbers = named.oid.numbers
        if numbers.count == 1, named.tag == nil, let type = UInt8(exactly: numbers[0]) { return (named.name, type, nil) }
        if numbers.count == 3, numbers[0] == 26, named.tag == nil, let type = UInt8(exactly: numbers[2]) {
            return (named.name, 26, (numbers[1], type))
        }
        throw Refusal(
            .invalid, "`\(Valid.shown(text))` is no attribute of its own that could be taken over.",
            remedy: "Name one of RFC 2865's kind, or a vendor's with one octet of type.", place: "take")
    }

    /// The numbers of those of a list that the dictionaries still know: type; vendor and the vendor's type where it has one.
    package func takenNumbers(_ names: [String]) -> [(type: UInt8, vendor: (number: UInt32, type: UInt8)?)] {
        names.compactMap { name in
            guard let taken = try? taken(name) else { return nil }
            return (taken.type, taken.vendor)
        }
    }
}
