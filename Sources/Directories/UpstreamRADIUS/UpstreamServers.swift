// SPDX-License-Identifier: Apache-2.0
// The client's side of RADIUS for many logins at once: who is asked, asked again, asked elsewhere. A login that waits is a row in a table.

package import LoginEngine
package import RADIUS
internal import Synchronization

/// The servers of one directory, in the order in which they are asked.
package final class UpstreamServers: Sendable {
    package struct Settings: Sendable, Equatable {
        package var servers: [ServerAddress]
        package var secret: SharedSecret
        /// Of servers that do not share it.
        package var ownSecrets: [ServerAddress: SharedSecret] = [:]
        /// How long each sending waits.
        package var timeout: Timestamp.Span
        /// Sendings to one server, the first among them.
        package var tries: Int
        package var requiresMessageAuthenticator = true
        /// Logins under way; more are shed.
        package var mostUnderWay = UpstreamServers.mostUnderWay
        /// What Status-Server says of who asks.
        package var nasIdentifier = "sallyport"

        package init(servers: [ServerAddress], secret: SharedSecret, timeout: Timestamp.Span, tries: Int) {
            self.servers = servers
            self.secret = secret
            self.timeout = timeout
            self.tries = tries
        }

        func secret(of server: ServerAddress) -> SharedSecret { ownSecrets[server] ?? secret }
    }

    /// A server stopped answering, or answers again.
    package struct Change: Sendable, Equatable {
        package var server: ServerAddress
        package var isUp: Bool
        package var why: String
    }

    /// As many identifiers as one source port has (RFC 2865 §3), eight times.
    package static let mostUnderWay = 2_000
    /// Source ports towards one server.
    static let mostPorts = 9

    package let settings: Settings
    package let counts: UpstreamCounts
    private let deadlines: Deadlines
    private let now: @Sendable () -> Moment
    private let changed: @Sendable (Change) -> Void
    private let state: Mutex<UpstreamState>
    private let randomness: Mutex<any RandomNumberGenerator & Sendable>

    /// - Parameters:
    ///   - old: whose knowledge of servers that are in both is taken over.
    ///   - changed: told on any thread, outside all locks.
    package init(
        _ settings: Settings, counts: UpstreamCounts = UpstreamCounts(), deadlines: Deadlines,
        random: any RandomNumberGenerator & Sendable, now: @escaping @Sendable () -> Moment, continuing old: UpstreamServers? = nil,
        changed: @escaping @Sendable (Change) -> Void = { _ in }
    ) {
        self.settings = settings
        self.counts = counts
        self.deadlines = deadlines
        self.now = now
        self.changed = changed
        randomness = Mutex(random)
        let health = old?.state.withLock { state in Dictionary(state.servers.map { ($0.address, $0.health) }) { first, _ in first } }
        state = Mutex(UpstreamState(settings, health: health ?? [:]))
        perform(state.withLock { $0.resumeProbing(at: now().uptime) })
    }

    deinit {
        for socket in state.withLock({ $0.sockets }) { socket.stop() }
    }

    /// Logins under way.
    package var underWay: Int { state.withLock { $0.logins } }

    package struct Status: Sendable, Equatable {
        package var server: ServerAddress
        package var isUp: Bool
        /// Uptime.
        package var downSince: Timestamp?
        package var lastHeard: Timestamp?
        /// Sent and not answered since then.
        package var askedSince: Timestamp?
        /// Why replies of it were dropped lately.
        package var dropped: ReplyVerdict?
    }

    package var status: [Status] {
        state.withLock { state in
            state.servers.map {
                Status(
                    server: $0.address, isUp: $0.health.isUp, downSince: $0.health.downSince, lastHeard: $0.health.lastHeard,
                    askedSince: $0.health.askedSince, dropped: $0.dropped)
            }
        }
    }

    /// Asks; never blocks the caller. `completion` runs once, on any thread.
    ///
    /// - Parameters:
    ///   - patience: after it nobody wants the answer any more.
    ///   - server: the only one that knows what this is about.
    package func ask(
        _ request: UpstreamRequest, within patience: Timestamp.Span, only server: ServerAddress? = nil,
        completion: @escaping @Sendable (UpstreamOutcome) -> Void
    ) {
        let uptime = now().uptime
        let deeds = randomly { random in
            state.withLock { state in
                state.begin(request, until: uptime + patience, only: server, at: uptime, &random, completion)
            }
        }
        perform(deeds)
    }

    /// Takes nothing new; what is under way is answered still, then every port is closed.
    package func retire() {
        perform(state.withLock { $0.retire() })
    }

    // MARK: What comes back

    private func arrived(_ arrival: UpstreamSocket.Arrival, at port: UpstreamState.PortID) {
        switch arrival {
        case .datagram(let bytes): datagram(bytes, at: port)
        case .refused:
            let uptime = now().uptime
            perform(randomly { random in state.withLock { $0.refused(port.server, at: uptime, &random) } })
        }
    }

    private func datagram(_ bytes: [UInt8], at port: UpstreamState.PortID) {
        let reply: Packet
        do throws(PacketError) {
            reply = try Packet(decoding: bytes)
        } catch {
            return counts.note(.malformed)
        }
        guard let asked = state.withLock({ $0.asked(by: reply.identifier, at: port) }) else { return counts.note(.late) }
        // A probe is about being there: whoever signs is.
        let verdict = reply.verifyReply(
            to: asked.packet, secret: settings.secret(of: asked.server),
            requiringMessageAuthenticator: settings.requiresMessageAuthenticator && !asked.isStatus)
        guard verdict == .genuine else {
            // Anybody can send one to this port, so the genuine reply is still waited for.
            counts.note(.notGenuine)
            state.withLock { $0.note(verdict, ofServer: port.server) }
            return
        }
        switch reply.code {
        case .accessAccept, .accessReject, .accessChallenge: break
        default:
            if !asked.isStatus { return counts.note(.notGenuine) }
        }
        let uptime = now().uptime
        perform(state.withLock { $0.answered(asked.number, asked.packet, by: reply, at: uptime) })
    }

    private func due(_ number: UInt64, _ turn: Int) {
        let uptime = now().uptime
        perform(randomly { random in state.withLock { $0.due(number, turn, at: uptime, &random) } })
    }

    private func probe(_ server: Int) {
        let uptime = now().uptime
        perform(randomly { random in state.withLock { $0.probe(server, at: uptime, &random) } })
    }

    // MARK: What has to be done

    private func randomly(_ body: (inout any RandomNumberGenerator & Sendable) -> [UpstreamState.Deed]) -> [UpstreamState.Deed] {
        randomness.withLock { body(&$0) }
    }

    private func perform(_ deeds: [UpstreamState.Deed]) {
        for deed in deeds {
            switch deed {
            case .read(let socket, let port):
                socket.read { [weak self] arrival in self?.arrived(arrival, at: port) }
            case .send(let socket, let bytes, let port):
                // What is not sent the timer sends again.
                switch socket.send(bytes) {
                case .sent: counts.note(.sent)
                case .lost: counts.note(.notSent)
                case .broken:
                    counts.note(.notSent)
                    perform(state.withLock { $0.renew(port, insteadOf: socket) })
                }
            case .wake(let number, let turn, let at):
                deadlines.schedule(at: at) { [weak self] _ in self?.due(number, turn) }
            case .probe(let server, let at):
                deadlines.schedule(at: at) { [weak self] _ in self?.probe(server) }
            case .finish(let completion, let outcome):
                counts.note(outcome: outcome)
                completion(outcome)
            case .tell(let change):
                changed(change)
            case .close(let socket):
                socket.stop()
            }
        }
    }
}

/// What became of requests and replies since the node started; kept when settings change.
package final class UpstreamCounts: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case accepted, rejected, challenged, unanswered, shed
        case sent
        case notSent = "not_sent"
        case malformed
        case late
        case notGenuine = "not_genuine"
    }

    private let numbers = Mutex<[Kind: Int]>([:])

    package init() {}

    package subscript(_ kind: Kind) -> Int { numbers.withLock { $0[kind] ?? 0 } }

    func note(_ kind: Kind) {
        numbers.withLock { $0[kind, default: 0] += 1 }
    }

    fileprivate func note(outcome: UpstreamOutcome) {
        switch outcome {
        case .answered(let reply, _, _):
            note(reply.code == .accessAccept ? .accepted : reply.code == .accessChallenge ? .challenged : .rejected)
        case .silent: note(.unanswered)
        case .shed: note(.shed)
        }
    }
}
