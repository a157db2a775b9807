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
    private let table = Mutex<[Int64: Source]>([:])

    private struct Source: Sendable {
        var directory: Directory
        var upstream: UpstreamPasswordSource?
        var counts: UpstreamCounts
    }

    /// - Parameter changed: a server stopped answering, or answers again; told on any thread.
    package init(
        local: LocalPasswordSource, deadlines: Deadlines, random: @escaping @Sendable () -> any RandomNumberGenerator & Sendable,
        now: @escaping @Sendable () -> Moment, changed: @escaping @Sendable (Directory, UpstreamServers.Change) -> Void = { _, _ in }
    ) {
        self.local = local
        self.deadlines = deadlines
        self.random = random
        self.now = now
        self.changed = changed
    }

    /// Every login that begins from now on is checked by these; what is under way ends by the old ones.
    ///
    /// - Parameter takes: the attributes that a directory's accepts may bring along.
    package func replace(_ directories: [Directory], takes: (Directory) -> Set<TakenAttribute>) {
        let retired = table.withLock { table -> [UpstreamPasswordSource] in
            var retired: [UpstreamPasswordSource] = []
            let old = table
            table = [:]
            for directory in directories {
                let before = old[directory.id]
                let counts = before?.counts ?? UpstreamCounts()
                if let before, before.directory == directory {
                    table[directory.id] = before
                    continue
                }
                let upstream = upstream(directory, counts, takes(directory))
                table[directory.id] = Source(directory: directory, upstream: upstream, counts: counts)
            }
            for (id, source) in old {
                if let upstream = source.upstream, table[id]?.upstream !== upstream { retired.append(upstream) }
            }
            return retired
        }
        for source in retired { source.servers.retire() }
    }

    private func upstream(_ directory: Directory, _ counts: UpstreamCounts, _ takes: Set<TakenAttribute>) -> UpstreamPasswordSource? {
        let settings = directory.settings
        // One whose secret did not open can be asked nothing.
        var secrets: [(server: ServerAddress, secret: SharedSecret)] = []
        for server in settings.servers {
            guard let secret = settings.secret(of: server).reveal({ SharedSecret($0) }) else { continue }
            secrets.append((ServerAddress(server.address, port: server.port), secret))
        }
        guard settings.isEnabled, let first = secrets.first else { return nil }
        var upstream = UpstreamServers.Settings(
            servers: secrets.map(\.server), secret: first.secret, timeout: settings.timeout, tries: settings.tries)
        upstream.ownSecrets = Dictionary(secrets.map { ($0.server, $0.secret) }) { first, _ in first }
        upstream.requiresMessageAuthenticator = settings.messageAuthenticator == .require
        let changed = changed
        let servers = UpstreamServers(upstream, counts: counts, deadlines: deadlines, random: random(), now: now) { changed(directory, $0) }
        return UpstreamPasswordSource(directory, servers: servers, takes: takes)
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
        case .success(let source): source.check(password, of: user, for: request, answering: thread, completion: completion)
        case .failure(let why): completion(.unreachable(why.text))
        }
    }

    package func match(
        _ proof: HashedProof, of user: User?, for request: LoginRequest,
        completion: @escaping @Sendable (PasswordVerdict, PasswordCandidate?) -> Void
    ) {
        guard let user, let id = user.directory else { return local.match(proof, of: user, for: request, completion: completion) }
        switch source(id) {
        case .success(let source): source.match(proof, of: user, for: request, completion: completion)
        case .failure(let why): completion(.unreachable(why.text), nil)
        }
    }

    private struct Unusable: Error {
        var text: String
    }

    private func source(_ id: Int64) -> Result<UpstreamPasswordSource, Unusable> {
        guard let source = table.withLock({ $0[id] }) else { return .failure(Unusable(text: "directory \(id), which is gone,")) }
        guard let upstream = source.upstream else {
            let why = source.directory.settings.isEnabled ? "none of whose secrets opens" : "which is disabled"
            return .failure(Unusable(text: "\(source.directory.name), \(why),"))
        }
        return .success(upstream)
    }

    // MARK: For metrics and doctor

    package struct Figures: Sendable {
        package var directory: Directory
        package var counts: UpstreamCounts
        package var underWay: Int
        package var servers: [UpstreamServers.Status]
    }

    package var figures: [Figures] {
        table.withLock { $0.values.map { $0 } }.sorted { $0.directory.name < $1.directory.name }.map {
            Figures(
                directory: $0.directory, counts: $0.counts, underWay: $0.upstream?.servers.underWay ?? 0,
                servers: $0.upstream?.servers.status ?? [])
        }
    }
}
