// SPDX-License-Identifier: Apache-2.0
// Where each user's password is checked: here, or at the directory that the user belongs to.

internal import Foundation
package import LoginEngine
internal import RADIUS
internal import Synchronization

/// One door for the engine; behind it the local hashes and every directory.
package final class PasswordSources: PasswordSource {
    private let local: LocalPasswordSource
    private let deadlines: Deadlines
    private let random: @Sendable () -> any RandomNumberGenerator & Sendable
    private let now: @Sendable () -> Moment
    private let changed: @Sendable (Directory, UpstreamServers.Change) -> Void
    private let ldapChanged: @Sendable (Directory, LDAPServers.Change) -> Void
    private let names: ServerNames
    private let table = Mutex<[Int64: Source]>([:])

    private struct Source: Sendable {
        var directory: Directory
        var upstream: UpstreamPasswordSource?
        var ldap: LDAPPasswordSource?
        var counts: UpstreamCounts
        var takes: Set<TakenAttribute>
    }

    /// - Parameters:
    ///   - changed: a server stopped answering, or answers again; told on any thread.
    ///   - moved: a name of a server stands for other addresses, or cannot be looked up, or can again; told on any thread.
    ///   - lookUp: blocks; never called by a login.
    package init(
        local: LocalPasswordSource, deadlines: Deadlines, random: @escaping @Sendable () -> any RandomNumberGenerator & Sendable,
        now: @escaping @Sendable () -> Moment, changed: @escaping @Sendable (Directory, UpstreamServers.Change) -> Void = { _, _ in },
        moved: @escaping @Sendable (Directory, ServerNames.Change) -> Void = { _, _ in },
        ldapChanged: @escaping @Sendable (Directory, LDAPServers.Change) -> Void = { _, _ in },
        lookUp: @escaping @Sendable (String) -> ServerNames.Answer = ServerNames.system
    ) {
        self.local = local
        self.deadlines = deadlines
        self.random = random
        self.now = now
        self.changed = changed
        self.ldapChanged = ldapChanged
        names = ServerNames(deadlines: deadlines, now: now, lookUp: lookUp)
        names.whenChanged { [weak self] change in
            guard let self else { return }
            for directory in take(change) { moved(directory, change) }
        }
    }

    /// Asks its servers where they are now. What is under way ends where it began.
    /// - Returns: whose servers it is about.
    private func take(_ change: ServerNames.Change) -> [Directory] {
        let (retired, directories) = table.withLock { table -> ([UpstreamPasswordSource], [Directory]) in
            var (retired, directories): ([UpstreamPasswordSource], [Directory]) = ([], [])
            for (id, source) in table where source.directory.settings.servers.contains(where: { $0.hostName == change.name }) {
                directories.append(source.directory)
                guard change.isElsewhere else { continue }
                table[id]?.upstream = upstream(source.directory, source.counts, source.takes, continuing: source.upstream)
                if let old = source.upstream { retired.append(old) }
            }
            return (retired, directories)
        }
        for source in retired { source.servers.retire() }
        return directories
    }

    /// Every login that begins from now on is checked by these; what is under way ends by the old ones.
    ///
    /// - Parameter takes: the attributes that a directory's accepts may bring along.
    package func replace(_ directories: [Directory], takes: (Directory) -> Set<TakenAttribute>) {
        defer { names.watch(Set(directories.filter(\.settings.isEnabled).flatMap { $0.settings.servers.compactMap(\.hostName) })) }
        let (retired, retiredLDAP) = table.withLock { table -> ([UpstreamPasswordSource], [LDAPPasswordSource]) in
            var retired: [UpstreamPasswordSource] = []
            var retiredLDAP: [LDAPPasswordSource] = []
            let old = table
            table = [:]
            for directory in directories {
                let before = old[directory.id]
                let counts = before?.counts ?? UpstreamCounts()
                if let before, before.directory == directory {
                    table[directory.id] = before
                    continue
                }
                let takes = takes(directory)
                if let settings = directory.settings.ldap {
                    let source = ldap(directory, settings, counts)
                    table[directory.id] = Source(directory: directory, upstream: nil, ldap: source, counts: counts, takes: takes)
                    continue
                }
                let upstream = upstream(directory, counts, takes, continuing: nil)
                table[directory.id] = Source(directory: directory, upstream: upstream, counts: counts, takes: takes)
            }
            for (id, source) in old {
                if let upstream = source.upstream, table[id]?.upstream !== upstream { retired.append(upstream) }
                if let ldap = source.ldap, table[id]?.ldap !== ldap { retiredLDAP.append(ldap) }
            }
            return (retired, retiredLDAP)
        }
        for source in retired { source.servers.retire() }
        for source in retiredLDAP { source.servers.retire() }
    }

    private func ldap(_ directory: Directory, _ settings: LDAPSettings, _ counts: UpstreamCounts) -> LDAPPasswordSource? {
        guard directory.settings.isEnabled, !directory.settings.lacksPassword else { return nil }
        let changed = ldapChanged
        let servers = LDAPServers(
            settings, name: directory.name, secret: directory.settings.secret, timeout: directory.settings.timeout, deadlines: deadlines,
            now: now
        ) { changed(directory, $0) }
        return LDAPPasswordSource(directory, settings, servers: servers, counts: counts, deadlines: deadlines)
    }

    private func upstream(
        _ directory: Directory, _ counts: UpstreamCounts, _ takes: Set<TakenAttribute>, continuing old: UpstreamPasswordSource?
    ) -> UpstreamPasswordSource? {
        let settings = directory.settings
        // One whose secret did not open can be asked nothing. Where two stand for the same address the first counts, with its secret.
        var secrets: [(server: ServerAddress, secret: SharedSecret)] = []
        for server in settings.servers {
            guard let secret = settings.secret(of: server).reveal({ SharedSecret($0) }) else { continue }
            for address in addresses(of: server) where !secrets.contains(where: { $0.server == address }) {
                secrets.append((address, secret))
            }
        }
        guard settings.isEnabled, let first = secrets.first else { return nil }
        var upstream = UpstreamServers.Settings(
            servers: secrets.map(\.server), secret: first.secret, timeout: settings.timeout, tries: settings.tries)
        upstream.ownSecrets = Dictionary(secrets.map { ($0.server, $0.secret) }) { first, _ in first }
        upstream.requiresMessageAuthenticator = settings.messageAuthenticator == .require
        let (changed, names, hosts) = (changed, names, settings.servers.compactMap(\.hostName))
        let servers = UpstreamServers(
            upstream, counts: counts, deadlines: deadlines, random: random(), now: now, continuing: old?.servers
        ) { change in
            changed(directory, change)
            if !change.isUp, !hosts.isEmpty { names.lookAgain(hosts) }
        }
        return UpstreamPasswordSource(directory, servers: servers, takes: takes)
    }

    /// Where it is, as far as that is known.
    private func addresses(of server: DirectoryServer) -> [ServerAddress] {
        switch server.place {
        case .address(let address): [ServerAddress(address, port: server.port)]
        case .name(let name): names.resolution(of: name).addresses.map { ServerAddress($0, port: server.port) }
        }
    }

    // MARK: PasswordSource

    /// Of nobody in general: users of a directory say so themselves.
    package var countsElsewhere: Bool { false }

    package func check(
        _ password: Secret, of user: User?, for request: LoginRequest, answering thread: SourceThread?,
        completion: @escaping @Sendable (PasswordVerdict) -> Void
    ) {
        guard let user, let id = user.directory else {
            return local.check(password, of: user, for: request, answering: thread, completion: completion)
        }
        switch source(id) {
        case .success(.radius(let source)): source.check(password, of: user, for: request, answering: thread, completion: completion)
        case .success(.ldap(let source)): source.check(password, of: user, for: request, answering: thread, completion: completion)
        case .failure(let why): completion(.unreachable(why.text))
        }
    }

    package func match(
        _ proof: HashedProof, of user: User?, for request: LoginRequest,
        completion: @escaping @Sendable (PasswordVerdict, PasswordCandidate?) -> Void
    ) {
        guard let user, let id = user.directory else { return local.match(proof, of: user, for: request, completion: completion) }
        switch source(id) {
        case .success(.radius(let source)): source.match(proof, of: user, for: request, completion: completion)
        // LDAP binds by the password itself.
        case .success(.ldap): completion(.notKept, nil)
        case .failure(let why): completion(.unreachable(why.text), nil)
        }
    }

    package func matchAtOnce(_ proof: HashedProof, of user: User?) -> (verdict: PasswordVerdict, candidate: PasswordCandidate?)? {
        user?.directory == nil ? local.matchAtOnce(proof, of: user) : nil
    }

    private struct Unusable: Error {
        var text: String
    }

    private enum Judge {
        case radius(UpstreamPasswordSource)
        case ldap(LDAPPasswordSource)
    }

    private func source(_ id: Int64) -> Result<Judge, Unusable> {
        guard let source = table.withLock({ $0[id] }) else { return .failure(Unusable(text: "directory \(id), which is gone,")) }
        if let ldap = source.ldap { return .success(.ldap(ldap)) }
        guard let upstream = source.upstream else {
            let settings = source.directory.settings
            let why =
                !settings.isEnabled
                ? "which is disabled"
                : settings.lacksPassword
                    ? "whose account's password does not open"
                    : settings.mute == settings.servers ? "none of whose secrets opens" : "of whose servers no address is known"
            return .failure(Unusable(text: "\(source.directory.name), \(why),"))
        }
        return .success(.radius(upstream))
    }

    // MARK: For metrics and doctor

    package struct Figures: Sendable {
        package var directory: Directory
        package var counts: UpstreamCounts
        package var underWay: Int
        package var servers: [UpstreamServers.Status]
        /// Of one that is asked by LDAP.
        package var ldap: [LDAPServers.Status] = []
        /// Of those of its servers that have one.
        package var names: [String: ServerNames.Resolution]
    }

    package var figures: [Figures] {
        table.withLock { $0.values.map { $0 } }.sorted { $0.directory.name < $1.directory.name }.map { source in
            let names = Set(source.directory.settings.servers.compactMap(\.hostName))
            return Figures(
                directory: source.directory, counts: source.counts,
                underWay: source.upstream?.servers.underWay ?? source.ldap?.servers.underWay ?? 0,
                servers: source.upstream?.servers.status ?? [], ldap: source.ldap?.servers.status ?? [],
                names: Dictionary(uniqueKeysWithValues: names.map { ($0, self.names.resolution(of: $0)) }))
        }
    }
}
