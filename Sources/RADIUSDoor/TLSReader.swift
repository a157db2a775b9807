// SPDX-License-Identifier: Apache-2.0
// The one thread of RADIUS over TLS: accepts, decrypts, hands requests to the judge in batches, encrypts the replies.

internal import CSockets
internal import Glibc
internal import Logging
import LoginEngine
import RADIUS
import TLS

/// Lives on its thread alone.
final class TLSReader {
    private static let eventsAtOnce = 64
    /// The names of what is no connection: the waker, then the sockets. Connections are numbered by the clock, far above.
    private static let wakerName: UInt64 = 0

    private let listener: TLSListener
    private let door: Door
    private let settings: TLSListenSettings
    private var intake: RequestIntake<TLSListener>
    private var connections: [UInt64: TLSConnection] = [:]
    private var handshakes: [NetworkAddress: Int] = [:]
    private var handshakeCount = 0
    private var table: ClientTable
    private var lastNumber: UInt64
    private var lastSweep: Timestamp
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)
    private var isAccepting = true

    init(_ listener: TLSListener) {
        self.listener = listener
        door = listener.door
        settings = listener.settings
        intake = RequestIntake(listener, capacity: Self.eventsAtOnce)
        table = door.table
        let now = door.now()
        // No two connections have one number, not even of two lives of this node.
        lastNumber = UInt64(max(now.wall.microseconds, 1 << 32))
        lastSweep = now.uptime
    }

    deinit {
        scratch.deallocate()
    }

    /// Serves until the listener is stopped.
    ///
    /// - Returns: the error that made going on impossible.
    func run() -> RADIUSServiceError? {
        ThreadRole.becomeReader(of: listener)
        let poller = listener.poller.number
        _ = poller_watch(poller, listener.waker.number, Self.wakerName, true, false, true)
        for (index, socket) in listener.sockets.enumerated() {
            _ = poller_watch(poller, socket.number, Self.wakerName + 1 + UInt64(index), true, false, true)
        }
        var events = [poller_event](repeating: poller_event(), count: Self.eventsAtOnce)
        var end: Timestamp?
        while true {
            let count = poller_wait(poller, &events, CInt(Self.eventsAtOnce), end == nil ? 1000 : 50)
            let now = door.now().uptime
            if count < 0, count != -EINTR {
                return .overTLS(.cannotRead(listener.endpoints[0], reason: RADIUSServiceError.words(for: -count)))
            }
            noteClients()
            for event in events.prefix(Int(max(0, count))) { handle(event, at: now) }
            intake.handOver()
            deliver(at: now)
            if now - lastSweep >= .seconds(1) { sweep(at: now) }
            if let drain = listener.drain {
                if end == nil { stopReading() }
                end = min(end ?? now + drain, now + drain)
                if listener.pendingCount == 0 || now >= end ?? now { return nil }
            }
        }
    }

    /// Says goodbye to everybody.
    func close() {
        deliver(at: door.now().uptime)
        for connection in connections.values {
            connection.session.close()
            _ = connection.flush()
        }
        connections = [:]
        door.counters.tls.setOpen(0)
        let left = listener.close()
        if left > 0 {
            door.logger.warning(
                "stopped before every login was answered; the gateways will ask the next server",
                metadata: ["unanswered": "\(left)", "listener": "\(listener.endpoints[0]) (TLS)"])
        }
    }

    private func stopReading() {
        isAccepting = false
        for connection in connections.values { watch(connection) }
    }

    private func handle(_ event: poller_event, at now: Timestamp) {
        if event.name == Self.wakerName { return waker_clear(listener.waker.number) }
        if event.name <= UInt64(listener.sockets.count) { return accept(from: listener.sockets[Int(event.name) - 1], at: now) }
        guard let connection = connections[event.name] else { return }
        if event.is_readable || event.is_broken {
            let ending = connection.receive(scratch, at: now)
            // What came before the end still counts.
            guard advance(connection, at: now) else { return }
            if let ending { return end(connection, ending, at: now) }
        }
        send(connection, at: now)
    }

    // MARK: Connections

    private func accept(from socket: Descriptor, at now: Timestamp) {
        for _ in 0..<Self.eventsAtOnce {
            var route = datagram_route()
            guard let descriptor = Descriptor(streams_accept(socket.number, &route)) else { return }
            let peer = NetworkAddress(route.peer)
            guard isAccepting else { continue }
            guard connections.count < settings.connections, handshakeCount < settings.handshakes,
                handshakes[peer, default: 0] < settings.handshakesOfOneAddress
            else {
                door.refuse(
                    .tooMany, from: peer, at: now,
                    words:
                        "too many connections by TLS are open or begun, so one from \(peer) was closed; look at what connects to the port")
                continue
            }
            guard let context = listener.context.value, let session = try? TLSSession(context) else { continue }
            lastNumber += 1
            let connection = TLSConnection(number: lastNumber, descriptor: descriptor, peer: peer, session: session, at: now)
            guard poller_watch(listener.poller.number, descriptor.number, lastNumber, true, false, true) == 0 else { continue }
            connections[lastNumber] = connection
            handshakeCount += 1
            handshakes[peer, default: 0] += 1
        }
    }

    private func countHandshakeOut(_ connection: TLSConnection) {
        handshakeCount -= 1
        let left = (handshakes[connection.peer] ?? 1) - 1
        handshakes[connection.peer] = left > 0 ? left : nil
    }

    /// Handshake, then packets, as far as what came allows.
    ///
    /// - Returns: false when the connection has ended.
    private func advance(_ connection: TLSConnection, at now: Timestamp) -> Bool {
        do throws(TLSError) {
            if connection.proof == nil {
                guard try connection.shakeHands(), let proof = connection.proof else { return true }
                switch table.peers.client(proof, from: connection.peer) {
                case .refused(let refusal, let words):
                    end(connection, .refused(refusal, words: words), at: now)
                    return false
                case .client(let entry):
                    countHandshakeOut(connection)
                    welcome(connection, entry)
                }
            }
            return try readPackets(of: connection, at: now)
        } catch {
            end(connection, Self.ending(error, of: connection), at: now)
            return false
        }
    }

    private static func ending(_ error: TLSError, of connection: TLSConnection) -> TLSConnection.Ending {
        let peer = connection.peer
        switch error {
        case .refused(let refusal):
            let remedy =
                refusal.cause == .untrusted
                ? "if it is a gateway of yours, let that authority sign its certificate, or: sallyport client set NAME --certificate"
                    + " sha256:\(refusal.fingerprint)" : "give the gateway a certificate that is in order"
            return .refused(.certificate(refusal.cause), words: "TLS from \(peer): \(refusal); \(remedy)")
        case .handshake(let failure, let words):
            let remedy =
                failure == .peerRefused
                ? "see that the gateway trusts the authority of radsec.certificate, and expects its name" : "see what \(peer) is set to"
            return .refused(.handshake(failure), words: "TLS from \(peer) did not come about: \(words); \(remedy)")
        case .unusable(let words), .broken(let words):
            return .broken(words)
        }
    }

    private func welcome(_ connection: TLSConnection, _ entry: ClientEntry) {
        connection.entry = entry
        door.counters.tls.established.add()
        door.counters.tls.setOpen(connections.count - handshakeCount)
        door.logger.info(
            "a gateway is connected by TLS",
            metadata: [
                "client": "\(entry.client.name)", "source": "\(connection.peer)", "version": "\(connection.session.version)",
                "cipher": "\(connection.session.cipher)", "certificate": "\(connection.proof?.certificate.subject ?? "")",
            ])
    }

    private func end(_ connection: TLSConnection, _ ending: TLSConnection.Ending, at now: Timestamp) {
        guard connections[connection.number] != nil else { return }
        switch ending {
        case .closed: break
        case .refused(let refusal, let words): door.refuse(refusal, from: connection.peer, at: now, words: words)
        case .broken(let words):
            door.logger.info(
                "a connection by TLS broke",
                metadata: [
                    "client": "\(connection.entry?.client.name ?? "unknown")", "source": "\(connection.peer)", "reason": "\(words)",
                ])
        }
        connection.session.close()
        // The alert tells the peer why.
        _ = connection.flush()
        connections[connection.number] = nil
        if connection.entry == nil { countHandshakeOut(connection) }
        door.counters.tls.setOpen(connections.count - handshakeCount)
        guard connection.pending > 0 else { return }
        for waiter in listener.forgetAll(ofConnection: connection.number) { intake.abandon(waiter) }
    }

    /// A client that was removed, disabled or given another certificate is not served on.
    private func noteClients() {
        let current = door.table
        guard !current.isIdentical(to: table) else { return }
        table = current
        let now = door.now().uptime
        for connection in Array(connections.values) {
            guard let proof = connection.proof else { continue }
            switch table.peers.client(proof, from: connection.peer) {
            case .client(let entry): connection.entry = entry
            case .refused(let refusal, let words): end(connection, .refused(refusal, words: words), at: now)
            }
        }
    }

    private func sweep(at now: Timestamp) {
        lastSweep = now
        listener.expire(at: now)
        for connection in Array(connections.values) {
            let idle = now - connection.lastHeard
            if connection.entry == nil, now - connection.opened >= settings.handshakeTime {
                let words = "TLS from \(connection.peer) did not come about: it took too long; see what it is set to"
                end(connection, .refused(.timeout, words: words), at: now)
            } else if idle >= settings.idleTime, connection.pending == 0 {
                end(connection, .closed, at: now)
            }
        }
    }

    // MARK: Packets

    private func readPackets(of connection: TLSConnection, at now: Timestamp) throws(TLSError) -> Bool {
        guard let entry = connection.entry, isAccepting else { return true }
        while true {
            do throws(PacketError) {
                while true {
                    connection.isPaused = connection.isFull(settings.pendingOfOneConnection)
                    if connection.isPaused { return true }
                    guard let bytes = try connection.framing.next() else { break }
                    guard take(bytes, of: entry, by: connection, at: now) else { return false }
                }
            } catch {
                door.drop(DropReason(error), from: connection.peer, of: entry, detail: error, at: now)
                end(connection, .closed, at: now)
                return false
            }
            guard let count = try connection.session.read(into: scratch) else {
                end(connection, .closed, at: now)
                return false
            }
            if count == 0 { return true }
            connection.framing.append(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
        }
    }

    /// - Returns: false when the packet ended the connection. RFC 6613 §2.6.4 says which do.
    private func take(_ bytes: [UInt8], of entry: ClientEntry, by connection: TLSConnection, at now: Timestamp) -> Bool {
        door.counters.requests.add()
        let packet: Packet
        do throws(PacketError) {
            packet = try Packet(decoding: bytes)
        } catch {
            door.drop(DropReason(error), from: connection.peer, of: entry, detail: error, at: now)
            switch error {
            case .attributeTruncated, .attributeLengthTooSmall:
                end(connection, .closed, at: now)
                return false
            default: return true
            }
        }
        if let reply = refusal(of: packet, secret: entry.secret) {
            door.drop(.notForThisServer, from: connection.peer, of: entry, at: now)
            listener.queue(reply, by: connection.route)
            return true
        }
        let outcome = intake.take(
            Arrival(
                packet: packet, entry: entry, source: connection.peer, route: connection.route,
                key: RequestKey(connection: connection.number, identifier: packet.identifier), authenticator: packet.authenticator,
                now: now, isTimed: true))
        switch outcome {
        case .waiting: connection.pending += 1
        case .dropped(.wrongSecretInTLS):
            end(connection, .closed, at: now)
            return false
        case .dropped, .done: break
        }
        return true
    }

    /// RFC 6614 §2.5: what this server does not do is answered, because over TCP silence would be taken for a dead server.
    private func refusal(of packet: Packet, secret: SharedSecret) -> [UInt8]? {
        let code: Code
        switch packet.code {
        case .accountingRequest: code = .accountingResponse
        case .coaRequest: code = .coaNAK
        case .disconnectRequest: code = .disconnectNAK
        default: return nil
        }
        var writer = PacketWriter(reply: code, to: packet)
        writer.addInteger(.errorCause, 406)
        writer.copyProxyState(from: packet)
        return try? writer.sign(with: secret)
    }

    // MARK: Replies

    /// Encrypts what was answered since the last time, and sends it.
    private func deliver(at now: Timestamp) {
        while true {
            let outbox = listener.takeOutbox()
            guard !outbox.isEmpty else { return }
            var touched: [UInt64: TLSConnection] = [:]
            for outgoing in outbox {
                guard let connection = connections[outgoing.route.connection] else {
                    if outgoing.reply != nil { door.counters.drop(.connectionClosed) }
                    continue
                }
                if outgoing.isAnswer { connection.pending -= 1 }
                touched[connection.number] = connection
                guard let reply = outgoing.reply else { continue }
                do throws(TLSError) {
                    try connection.write(reply)
                } catch {
                    end(connection, .broken(error.description), at: now)
                }
            }
            door.counters.replies(outbox.lazy.compactMap { $0.reply?.first })
            for connection in touched.values where connections[connection.number] != nil {
                // Requests that waited for room in the buffers go on.
                if connection.isPaused, !connection.isFull(settings.pendingOfOneConnection) {
                    guard advance(connection, at: now) else { continue }
                }
                send(connection, at: now)
            }
            intake.handOver()
        }
    }

    private func send(_ connection: TLSConnection, at now: Timestamp) {
        guard connections[connection.number] != nil else { return }
        guard connection.flush() else { return end(connection, .broken("the peer takes no replies"), at: now) }
        if connection.isPaused, !connection.isFull(settings.pendingOfOneConnection) {
            guard advance(connection, at: now) else { return }
        }
        watch(connection)
    }

    private func watch(_ connection: TLSConnection) {
        let wanted = (reads: isAccepting && !connection.isPaused, writes: connection.unsentCount > 0)
        guard wanted != connection.watched else { return }
        connection.watched = wanted
        _ = poller_watch(
            listener.poller.number, connection.descriptor.number, connection.number, wanted.reads, wanted.writes, false)
    }
}
