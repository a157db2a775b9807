// SPDX-License-Identifier: Apache-2.0
// Who waits for which server under which identifier, and what has to be done next. Does nothing itself but open sockets.

internal import LoginEngine
internal import RADIUS

struct UpstreamState {
    /// A source port towards a server.
    struct PortID: Sendable, Hashable {
        var server: Int
        var number: Int
    }

    enum Deed: Sendable {
        case read(UpstreamSocket, PortID)
        case send(UpstreamSocket, [UInt8], PortID)
        case wake(number: UInt64, turn: Int, at: Timestamp)
        case probe(server: Int, at: Timestamp)
        case finish(@Sendable (UpstreamOutcome) -> Void, UpstreamOutcome)
        case tell(UpstreamServers.Change)
        case close(UpstreamSocket)
    }

    struct Server {
        let address: ServerAddress
        var health = ServerHealth()
        var ports: [Port] = []
        var dropped: ReplyVerdict?
        var isProbed = false
    }

    /// 256 identifiers, each of one request (RFC 2865 §3).
    struct Port {
        var socket: UpstreamSocket
        var owners = [UInt64?](repeating: nil, count: 256)
        var next: UInt8 = 0
        var used = 0

        /// Round and round, so that a late reply seldom meets a new request; its authenticator would give it away.
        mutating func take(_ number: UInt64) -> UInt8? {
            guard used < owners.count else { return nil }
            while owners[Int(next)] != nil { next &+= 1 }
            defer { next &+= 1 }
            owners[Int(next)] = number
            used += 1
            return next
        }

        mutating func free(_ identifier: UInt8, of number: UInt64) {
            guard owners[Int(identifier)] == number else { return }
            owners[Int(identifier)] = nil
            used -= 1
        }
    }

    private struct UnderWay {
        let request: UpstreamRequest
        /// Nil: a probe.
        let completion: (@Sendable (UpstreamOutcome) -> Void)?
        let giveUp: Timestamp
        let isBound: Bool
        var server: Int
        var port = 0
        var identifier: UInt8 = 0
        var packet: Packet
        /// When this server was first sent it.
        var since: Timestamp
        var sendings = 0
        /// Rises with every sending, so that an old timer wakes nobody.
        var turn = 0
        var tried: Set<Int> = []
    }

    private let settings: UpstreamServers.Settings
    private(set) var servers: [Server]
    private var underWay: [UInt64: UnderWay] = [:]
    private(set) var logins = 0
    private var last: UInt64 = 0
    private var isRetired = false

    /// - Parameter health: what is known of servers already.
    init(_ settings: UpstreamServers.Settings, health: [ServerAddress: ServerHealth] = [:]) {
        self.settings = settings
        servers = settings.servers.map { Server(address: $0, health: health[$0] ?? ServerHealth()) }
    }

    var sockets: [UpstreamSocket] { servers.flatMap { $0.ports.map(\.socket) } }

    // MARK: Asking

    mutating func begin(
        _ request: UpstreamRequest, until giveUp: Timestamp, only: ServerAddress?, at now: Timestamp,
        _ random: inout any RandomNumberGenerator & Sendable, _ completion: @escaping @Sendable (UpstreamOutcome) -> Void
    ) -> [Deed] {
        // Names that anybody can invent must leave room for users.
        let most = request.isOfStranger ? settings.mostUnderWay / 2 : settings.mostUnderWay
        guard !isRetired, logins < most else { return [.finish(completion, .shed)] }
        var chosen = only.flatMap { only in servers.firstIndex { $0.address == only } }
        if let only, chosen == nil { return [.finish(completion, .silent("\(only) is none of its servers any more"))] }
        if chosen == nil { chosen = choose(beside: [], at: now) }
        guard let chosen else { return [.finish(completion, .silent("it has no servers"))] }
        last += 1
        logins += 1
        let number = last
        let packet: Packet
        do throws(PacketError) {
            // Only to see whether it can be written at all; each server gets its own.
            packet = try request.packet(identifier: 0, authenticator: .zero, secret: settings.secret)
        } catch {
            logins -= 1
            return [.finish(completion, .silent("the request cannot be written: \(error)"))]
        }
        underWay[number] = UnderWay(
            request: request, completion: completion, giveUp: giveUp, isBound: only != nil, server: chosen, packet: packet, since: now)
        return put(number, to: chosen, at: now, &random)
    }

    /// The first that answers; where none does, whichever was not asked yet.
    private mutating func choose(beside tried: Set<Int>, at now: Timestamp) -> Int? {
        if tried.isEmpty, let trial = servers.indices.first(where: { servers[$0].health.takeTrial(at: now) }) { return trial }
        let left = servers.indices.filter { !tried.contains($0) }
        return left.first { servers[$0].health.isUp } ?? left.first
    }

    /// Gives it an identifier of a server, and sends it there.
    private mutating func put(
        _ number: UInt64, to server: Int, at now: Timestamp, _ random: inout any RandomNumberGenerator & Sendable
    ) -> [Deed] {
        var deeds: [Deed] = []
        guard var exchange = underWay[number] else { return [] }
        guard let (port, identifier) = takeIdentifier(for: number, of: server, &deeds) else {
            exchange.tried.insert(server)
            underWay[number] = exchange
            let change = servers[server].health.refused(at: now) ? wentDown(server, "no socket can be opened to it", at: now) : []
            return deeds + change + moveOn(number, "no socket can be opened to \(servers[server].address)", at: now, &random)
        }
        let authenticator = Authenticator(high: random.next(), low: random.next())
        guard
            let packet = try? exchange.request.packet(
                identifier: identifier, authenticator: authenticator, secret: settings.secret(of: servers[server].address))
        else {
            servers[server].ports[port].free(identifier, of: number)
            return deeds + finish(number, .silent("the request cannot be written"))
        }
        exchange.server = server
        exchange.port = port
        exchange.identifier = identifier
        exchange.packet = packet
        exchange.since = now
        exchange.sendings = 0
        underWay[number] = exchange
        return deeds + send(number, at: now, &random)
    }

    private mutating func takeIdentifier(for number: UInt64, of server: Int, _ deeds: inout [Deed]) -> (port: Int, identifier: UInt8)? {
        for port in servers[server].ports.indices {
            if let identifier = servers[server].ports[port].take(number) { return (port, identifier) }
        }
        guard servers[server].ports.count < UpstreamServers.mostPorts, let socket = try? UpstreamSocket(to: servers[server].address)
        else { return nil }
        let port = servers[server].ports.count
        servers[server].ports.append(Port(socket: socket))
        deeds.append(.read(socket, PortID(server: server, number: port)))
        return servers[server].ports[port].take(number).map { (port, $0) }
    }

    /// The same bytes again (RFC 5080 §2.2.1): a server knows the retransmission by them.
    private mutating func send(_ number: UInt64, at now: Timestamp, _ random: inout any RandomNumberGenerator & Sendable) -> [Deed] {
        guard var exchange = underWay[number] else { return [] }
        exchange.sendings += 1
        exchange.turn += 1
        if exchange.completion != nil { servers[exchange.server].health.asked(at: now) }
        underWay[number] = exchange
        // A tenth more or less, so that what was lost together is not sent again together.
        let tenth = settings.timeout.microseconds / 10
        let patience = settings.timeout.microseconds + (tenth > 0 ? Int64(random.next() % UInt64(2 * tenth)) - tenth : 0)
        let wake = min(now + Timestamp.Span(microseconds: patience), exchange.giveUp)
        return [
            .wake(number: number, turn: exchange.turn, at: wake),
            .send(
                servers[exchange.server].ports[exchange.port].socket, exchange.packet.bytes,
                PortID(server: exchange.server, number: exchange.port)),
        ]
    }

    /// A new port in the place of one that reaches nobody; what was sent by the old one is sent again by its timer.
    mutating func renew(_ port: PortID, insteadOf old: UpstreamSocket) -> [Deed] {
        guard servers[port.server].ports.indices.contains(port.number), servers[port.server].ports[port.number].socket === old,
            let socket = try? UpstreamSocket(to: servers[port.server].address)
        else { return [] }
        servers[port.server].ports[port.number].socket = socket
        return [.close(old), .read(socket, port)]
    }

    // MARK: Silence

    mutating func due(
        _ number: UInt64, _ turn: Int, at now: Timestamp, _ random: inout any RandomNumberGenerator & Sendable
    ) -> [Deed] {
        guard let exchange = underWay[number], exchange.turn == turn else { return [] }
        let address = servers[exchange.server].address
        if exchange.completion == nil {
            // A probe is sent once; the next one comes by itself.
            return finish(number, .silent("")) + goOnProbing(exchange.server, at: now)
        }
        if now < exchange.giveUp, exchange.sendings < settings.tries { return send(number, at: now, &random) }
        // A login that was impatient from the start says nothing about the server.
        let isTold = exchange.sendings >= settings.tries || now - exchange.since >= settings.timeout
        let isDown = isTold && servers[exchange.server].health.silent(since: exchange.since, at: now)
        let change = isDown ? wentDown(exchange.server, "no answer", at: now) : []
        if now >= exchange.giveUp { return change + finish(number, .silent("no answer from \(address)")) }
        underWay[number]?.tried.insert(exchange.server)
        return change + moveOn(number, "no answer from \(address)", at: now, &random)
    }

    /// To a server that was not asked yet; with none left it ends.
    private mutating func moveOn(
        _ number: UInt64, _ why: String, at now: Timestamp, _ random: inout any RandomNumberGenerator & Sendable
    ) -> [Deed] {
        guard let exchange = underWay[number] else { return [] }
        guard !exchange.isBound, exchange.completion != nil, let next = choose(beside: exchange.tried, at: now) else {
            return finish(number, .silent(why))
        }
        release(number, exchange)
        return put(number, to: next, at: now, &random)
    }

    /// Nothing listens there. Whoever waits for it asks the next; where there is none the timers ask again, since it may be starting.
    mutating func refused(_ server: Int, at now: Timestamp, _ random: inout any RandomNumberGenerator & Sendable) -> [Deed] {
        var deeds: [Deed] = []
        if servers[server].health.refused(at: now) { deeds += wentDown(server, "nothing listens there", at: now) }
        for (number, exchange) in underWay where exchange.server == server && exchange.completion != nil && !exchange.isBound {
            var tried = exchange.tried
            tried.insert(server)
            guard servers.indices.contains(where: { !tried.contains($0) && servers[$0].health.isUp }) else { continue }
            underWay[number]?.tried = tried
            deeds += moveOn(number, "nothing listens on \(servers[server].address)", at: now, &random)
        }
        return deeds
    }

    private mutating func wentDown(_ server: Int, _ why: String, at now: Timestamp) -> [Deed] {
        var deeds: [Deed] = [.tell(UpstreamServers.Change(server: servers[server].address, isUp: false, why: why))]
        if !servers[server].isProbed { deeds += goOnProbing(server, at: now) }
        return deeds
    }

    // MARK: Probes

    private mutating func goOnProbing(_ server: Int, at now: Timestamp) -> [Deed] {
        servers[server].isProbed = !servers[server].health.isUp && !isRetired
        return servers[server].isProbed ? [.probe(server: server, at: now + ServerHealth.probeEvery)] : []
    }

    /// Those that were silent before.
    mutating func resumeProbing(at now: Timestamp) -> [Deed] {
        servers.indices.flatMap { servers[$0].health.isUp ? [] : goOnProbing($0, at: now) }
    }

    mutating func probe(_ server: Int, at now: Timestamp, _ random: inout any RandomNumberGenerator & Sendable) -> [Deed] {
        guard !isRetired, !servers[server].health.isUp else {
            servers[server].isProbed = false
            return []
        }
        let request = UpstreamRequest(.status, nasIdentifier: settings.nasIdentifier)
        var deeds: [Deed] = []
        last += 1
        let number = last
        guard let (port, identifier) = takeIdentifier(for: number, of: server, &deeds) else {
            return deeds + goOnProbing(server, at: now)
        }
        let authenticator = Authenticator(high: random.next(), low: random.next())
        let secret = settings.secret(of: servers[server].address)
        guard let packet = try? request.packet(identifier: identifier, authenticator: authenticator, secret: secret) else {
            servers[server].ports[port].free(identifier, of: number)
            return deeds
        }
        underWay[number] = UnderWay(
            request: request, completion: nil, giveUp: now + min(settings.timeout, ServerHealth.probeEvery), isBound: true, server: server,
            port: port,
            identifier: identifier, packet: packet, since: now)
        return deeds + send(number, at: now, &random)
    }

    // MARK: Answers

    struct Asked {
        let number: UInt64
        let packet: Packet
        let server: ServerAddress
        let isStatus: Bool
    }

    func asked(by identifier: UInt8, at port: PortID) -> Asked? {
        guard servers[port.server].ports.indices.contains(port.number),
            let number = servers[port.server].ports[port.number].owners[Int(identifier)], let exchange = underWay[number]
        else { return nil }
        return Asked(
            number: number, packet: exchange.packet, server: servers[port.server].address, isStatus: exchange.completion == nil)
    }

    mutating func note(_ verdict: ReplyVerdict, ofServer server: Int) {
        servers[server].dropped = verdict
    }

    /// - Parameter packet: what the reply was found to belong to; its request may be elsewhere by now.
    mutating func answered(_ number: UInt64, _ packet: Packet, by reply: Packet, at now: Timestamp) -> [Deed] {
        guard let exchange = underWay[number], exchange.packet == packet else { return [] }
        let address = servers[exchange.server].address
        var deeds: [Deed] = []
        servers[exchange.server].dropped = nil
        if servers[exchange.server].health.heard(at: now, isProbe: exchange.completion == nil) {
            deeds.append(.tell(UpstreamServers.Change(server: address, isUp: true, why: "it answers")))
        }
        if exchange.completion == nil { servers[exchange.server].isProbed = false }
        return deeds + finish(number, .answered(reply: reply, request: exchange.packet, server: address))
    }

    private mutating func finish(_ number: UInt64, _ outcome: UpstreamOutcome) -> [Deed] {
        guard let exchange = underWay.removeValue(forKey: number) else { return [] }
        release(number, exchange)
        guard let completion = exchange.completion else { return closeIfRetired() }
        logins -= 1
        return [.finish(completion, outcome)] + closeIfRetired()
    }

    private mutating func release(_ number: UInt64, _ exchange: UnderWay) {
        let (server, port) = (exchange.server, exchange.port)
        guard servers[server].ports.indices.contains(port) else { return }
        servers[server].ports[port].free(exchange.identifier, of: number)
    }

    // MARK: The end

    mutating func retire() -> [Deed] {
        isRetired = true
        return closeIfRetired()
    }

    private mutating func closeIfRetired() -> [Deed] {
        guard isRetired, logins == 0 else { return [] }
        let closing = sockets.map { Deed.close($0) }
        for index in servers.indices { servers[index].ports = [] }
        underWay = [:]
        return closing
    }
}
