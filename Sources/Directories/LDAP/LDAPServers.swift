// SPDX-License-Identifier: Apache-2.0
// The servers of one directory: connections that are kept, who is asked next, who is down.

package import LoginEngine
internal import Synchronization

/// Everything that blocks does so on the threads of `pool`; logins only leave work there.
package final class LDAPServers: Sendable {
    /// Who a connection is bound as.
    package enum Role: Sendable, Hashable {
        /// The account that searches.
        case account
        /// Whoever logged in by it last.
        case users
    }

    package struct Status: Sendable, Equatable {
        package var server: String
        package var isUp: Bool
        /// Uptime.
        package var downSince: Timestamp?
        package var lastHeard: Timestamp?
        package var askedSince: Timestamp?
        /// Why it is down, or why its account is refused.
        package var problem: String?
        /// DER, as it was shown last.
        package var certificate: [UInt8]?
    }

    /// A server stopped answering, or answers again.
    package struct Change: Sendable, Equatable {
        package var server: String
        package var isUp: Bool
        package var why: String
    }

    package let settings: LDAPSettings
    package let pool: BlockingPool
    /// Of one question.
    let timeout: Timestamp.Span
    let now: @Sendable () -> Moment
    private let secret: Secret
    private let deadlines: Deadlines
    private let changed: @Sendable (Change) -> Void
    private let state: Mutex<State>

    static let threads = 8
    static let mostWaiting = 512
    static let mostIdle = 8
    /// Servers and firewalls close what is idle for longer.
    static let longestIdle: Timestamp.Span = .seconds(60)
    /// Between two looks at one that is down.
    static let probeEvery: Timestamp.Span = .seconds(5)
    /// Logins find out no more often than that whether one is back.
    static let trialEvery: Timestamp.Span = .seconds(1)
    /// An account whose password is refused is not tried at every login: the directory would lock it.
    static let refusalHolds: Timestamp.Span = .seconds(30)

    private struct Server {
        let address: LDAPServer
        var health = ServerHealth()
        var problem: String?
        var certificate: [UInt8]?
        var lastTried: Timestamp?
        var isProbed = false
    }

    private struct State {
        var servers: [Server]
        var idle: [Role: [LDAPConnection]] = [:]
        /// What a server said of the account, and until when it is not asked again.
        var refusal: (text: String, until: Timestamp)?
        var isRetired = false
    }

    package init(
        _ settings: LDAPSettings, name: String, secret: Secret, timeout: Timestamp.Span, deadlines: Deadlines,
        now: @escaping @Sendable () -> Moment, changed: @escaping @Sendable (Change) -> Void = { _ in }
    ) {
        self.settings = settings
        self.secret = secret
        self.timeout = timeout
        self.deadlines = deadlines
        self.now = now
        self.changed = changed
        pool = BlockingPool(name: "ldap-\(name)", threads: Self.threads, queueLimit: Self.mostWaiting, now: { now().uptime })
        state = Mutex(State(servers: settings.servers.map { Server(address: $0) }))
    }

    deinit { retire() }

    package var status: [Status] {
        state.withLock { state in
            state.servers.map {
                Status(
                    server: $0.address.description, isUp: $0.health.isUp, downSince: $0.health.downSince, lastHeard: $0.health.lastHeard,
                    askedSince: $0.health.askedSince, problem: $0.problem ?? state.refusal?.text, certificate: $0.certificate)
            }
        }
    }

    /// Work that waits or is done.
    package var underWay: Int {
        let load = pool.load
        return load.waiting + load.running
    }

    /// Takes nothing new.
    package func retire() {
        let idle = state.withLock { state in
            state.isRetired = true
            defer { state.idle = [:] }
            return state.idle.values.flatMap { $0 }
        }
        for connection in idle { connection.close() }
        pool.stop()
    }

    // MARK: Asking

    /// Runs `body` with a connection to the first server that answers. Blocks.
    ///
    /// A bind that no answer came to is sent once more and not again: each may be a wrong password that the directory counts.
    ///
    /// - Throws: what the last server failed by; `.refused` and the like of a server that answers at once.
    func ask<Result>(
        _ role: Role, until: Timestamp, _ body: (LDAPConnection, _ until: Timestamp) throws(LDAPFailure) -> Result
    ) throws(LDAPFailure) -> Result {
        var tried: Set<Int> = []
        var last = LDAPFailure(.unreachable, "no server answers")
        var wasBound = false
        while now().uptime < until, let index = choose(beside: tried) {
            tried.insert(index)
            // What was kept may have been closed meanwhile: then a new one is worth a try.
            for isFresh in [false, true] {
                do throws(LDAPFailure) {
                    return try ask(index, role, isFresh: isFresh, until: until, body)
                } catch {
                    if error.kind == .malformed, !isFresh, error.text == Self.noneKept { continue }
                    guard error.isOfServer else { throw error }
                    last = error
                    if error.isBehindBind, wasBound {
                        note(index, failedBy: last)
                        throw last
                    }
                    wasBound = wasBound || error.isBehindBind
                    if !isFresh, error.kind == .unreachable { continue }
                    break
                }
            }
            note(index, failedBy: last)
        }
        throw last
    }

    private static let noneKept = "no connection is kept"

    private func ask<Result>(
        _ index: Int, _ role: Role, isFresh: Bool, until: Timestamp,
        _ body: (LDAPConnection, _ until: Timestamp) throws(LDAPFailure) -> Result
    ) throws(LDAPFailure) -> Result {
        let end = min(until, now().uptime + timeout)
        let connection: LDAPConnection
        if isFresh {
            connection = try open(index, role, until: end)
        } else if let kept = take(index, role) {
            connection = kept
        } else {
            throw LDAPFailure(.malformed, Self.noneKept)
        }
        state.withLock { $0.servers[index].health.asked(at: now().uptime) }
        do throws(LDAPFailure) {
            let result = try body(connection, min(until, now().uptime + timeout))
            heard(index)
            give(connection, role)
            return result
        } catch {
            if !error.isOfServer { heard(index) }
            give(connection, role)
            throw error
        }
    }

    /// Connects, and binds as the account where that is asked for.
    private func open(_ index: Int, _ role: Role, until: Timestamp) throws(LDAPFailure) -> LDAPConnection {
        if role == .account {
            let refusal = state.withLock { $0.refusal }
            if let refusal, now().uptime < refusal.until { throw LDAPFailure(.refused(49), refusal.text) }
        }
        let address = state.withLock { $0.servers[index].address }
        let connection = try LDAPConnection.open(address, caFile: settings.caFile, until: until, now: now().uptime)
        let certificate = connection.certificate
        state.withLock { $0.servers[index].certificate = certificate }
        guard role == .account else { return connection }
        let account = settings.account ?? ""
        let answer = try connection.bind(account, secret, asksPolicy: false, until: until) { now().uptime }
        guard answer.isSuccess else {
            let text =
                "the account \(account) is refused by \(address): code \(answer.code)"
                + (answer.diagnostic.isEmpty ? "" : " (\(answer.diagnostic))")
            connection.close()
            // Not right, and not of this server alone: busy ones are.
            if answer.code == 49 { state.withLock { $0.refusal = (text, now().uptime + Self.refusalHolds) } }
            throw LDAPFailure(.refused(answer.code), text)
        }
        state.withLock { $0.refusal = nil }
        return connection
    }

    // MARK: Connections that are kept

    private func take(_ index: Int, _ role: Role) -> LDAPConnection? {
        while true {
            let (found, address) = state.withLock { state -> (LDAPConnection?, LDAPServer) in
                let address = state.servers[index].address
                guard let place = state.idle[role]?.lastIndex(where: { $0.server == address }) else { return (nil, address) }
                return (state.idle[role]?.remove(at: place), address)
            }
            guard let found, found.server == address else { return nil }
            if now().uptime - found.used < Self.longestIdle, !found.isStale { return found }
            found.close()
        }
    }

    private func give(_ connection: LDAPConnection, _ role: Role) {
        guard !connection.isBroken else { return connection.close() }
        let isKept = state.withLock { state in
            guard !state.isRetired, state.idle[role, default: []].count(where: { $0.server == connection.server }) < Self.mostIdle else {
                return false
            }
            state.idle[role, default: []].append(connection)
            return true
        }
        if !isKept { connection.close() }
    }

    // MARK: Health

    /// The first that answers; else one of which nobody has found out lately that it does not.
    private func choose(beside tried: Set<Int>) -> Int? {
        let uptime = now().uptime
        return state.withLock { state in
            let left = state.servers.indices.filter { !tried.contains($0) }
            if let up = left.first(where: { state.servers[$0].health.isUp }) { return up }
            let trial = left.first { index in state.servers[index].lastTried.map { uptime - $0 >= Self.trialEvery } ?? true }
            if let trial { state.servers[trial].lastTried = uptime }
            return trial
        }
    }

    private func heard(_ index: Int) {
        let change = state.withLock { state -> Change? in
            state.servers[index].problem = nil
            guard state.servers[index].health.heard(at: now().uptime) else { return nil }
            return Change(server: state.servers[index].address.description, isUp: true, why: "it answers")
        }
        if let change { changed(change) }
    }

    private func note(_ index: Int, failedBy failure: LDAPFailure) {
        let uptime = now().uptime
        let (change, probes) = state.withLock { state -> (Change?, Bool) in
            state.servers[index].problem = failure.text
            state.servers[index].lastTried = uptime
            let isDown = state.servers[index].health.refused(at: uptime)
            let probes = !state.isRetired && !state.servers[index].isProbed
            state.servers[index].isProbed = true
            return (isDown ? Change(server: state.servers[index].address.description, isUp: false, why: failure.text) : nil, probes)
        }
        if let change { changed(change) }
        if probes { scheduleProbe(index, at: uptime) }
    }

    private func scheduleProbe(_ index: Int, at uptime: Timestamp) {
        deadlines.schedule(at: uptime + Self.probeEvery) { [weak self] _ in self?.probe(index) }
    }

    private func probe(_ index: Int) {
        let isWanted = state.withLock { state in
            let isWanted = !state.isRetired && !state.servers[index].health.isUp
            if !isWanted { state.servers[index].isProbed = false }
            return isWanted
        }
        guard isWanted else { return }
        _ = pool.run { [weak self] in self?.look(at: index) }
        scheduleProbe(index, at: now().uptime)
    }

    /// Whether it is back: a connection, with TLS and the account where these are used.
    private func look(at index: Int) {
        let uptime = now().uptime
        let role: Role = settings.bind == .service ? .account : .users
        do throws(LDAPFailure) {
            let connection = try open(index, role, until: uptime + timeout)
            heard(index)
            give(connection, role)
        } catch {
            // An account that is refused is an answer.
            if case .refused = error.kind, !error.isOfServer { state.withLock { _ = $0.servers[index].health.heard(at: now().uptime) } }
            state.withLock { $0.servers[index].problem = error.text }
        }
    }
}
