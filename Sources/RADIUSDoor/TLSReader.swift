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
    private var intake: TLSIntake
    private var connections: [UInt64: TLSConnection] = [:]
    private var handshakes: Handshakes
    private var table: ClientTable
    private var lastNumber: UInt64
    private var lastSweep: Timestamp
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)
    private var isAccepting = true
    /// The process may open no more files. The sockets are not watched then: they would stay readable, and the thread never sleep.
    private var isShortOfFiles = false

    init(_ listener: TLSListener) {
        self.listener = listener
        door = listener.door
        settings = listener.settings
        intake = TLSIntake(listener, capacity: Self.eventsAtOnce)
        handshakes = Handshakes(listener.settings)
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
        watchSockets(true, isNew: true)
        var events = [poller_event](repeating: poller_event(), count: Self.eventsAtOnce)
        var end: Timestamp?
        while true {
            let count = poller_wait(poller, &events, CInt(Self.eventsAtOnce), end == nil ? 1000 : 50)
            let now = door.now()
            if count < 0, count != -EINTR {
                return .overTLS(.cannotRead(listener.endpoints[0], reason: RADIUSServiceError.words(for: -count)))
            }
            noteClients()
            for event in events.prefix(Int(max(0, count))) { handle(event, at: now) }
            intake.handOver()
            deliver(at: now)
            if now.uptime - lastSweep >= .seconds(1) { sweep(at: now.uptime) }
            if let drain = listener.drain {
                if end == nil { stopReading() }
                end = min(end ?? now.uptime + drain, now.uptime + drain)
                if listener.pendingCount == 0 || now.uptime >= end ?? now.uptime { return nil }
            }
        }
    }

    /// Says goodbye to everybody.
    func close() {
        deliver(at: door.now())
        for connection in connections.values {
            connection.session.close()
            _ = connection.flush()
            connection.asked.giveUp()
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

    private func handle(_ event: poller_event, at now: Moment) {
        if event.name == Self.wakerName { return waker_clear(listener.waker.number) }
        if event.name <= UInt64(listener.sockets.count) { return accept(from: Int(event.name) - 1, at: now.uptime) }
        guard let connection = connections[event.name] else { return }
        if event.is_readable || event.is_broken {
            let ending = connection.receive(scratch, at: now.uptime)
            // What came before the end still counts.
            guard advance(connection, at: now) else { return }
            if let ending { return end(connection, connection.explained(ending), at: now.uptime) }
        }
        send(connection, at: now)
    }

    // MARK: Connections

    private func accept(from index: Int, at now: Timestamp) {
        for _ in 0..<Self.eventsAtOnce {
            var route = datagram_route()
            let accepted = streams_accept(listener.sockets[index].number, &route)
            guard let descriptor = Descriptor(accepted) else {
                if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(-accepted) { pauseAccepting(-accepted, at: index, now) }
                // Others are of a connection that ended before it was taken (accept(2)), or there is none: the poller tells of more.
                return
            }
            let peer = NetworkAddress(route.peer)
            guard isAccepting else { continue }
            guard connections.count < settings.connections, handshakes.hasRoom(for: peer) else {
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
            handshakes.begin(peer)
        }
    }

    /// Until the next sweep: what connects waits in the kernel meanwhile.
    private func pauseAccepting(_ error: CInt, at index: Int, _ now: Timestamp) {
        isShortOfFiles = true
        watchSockets(false)
        let reason = RADIUSServiceError.words(for: error)
        door.refuse(
            .noFiles, from: listener.endpoints[index].address, at: now,
            words:
                "no connection by TLS can be taken (\(reason)), so gateways wait; let the node open more files: LimitNOFILE= in the unit, or"
                + " ulimit -n")
    }

    private func watchSockets(_ isWatched: Bool, isNew: Bool = false) {
        for (index, socket) in listener.sockets.enumerated() {
            _ = poller_watch(listener.poller.number, socket.number, Self.wakerName + 1 + UInt64(index), isWatched, false, isNew)
        }
    }

    /// Handshake, then packets, as far as what came allows.
    ///
    /// - Returns: false when the connection has ended.
    private func advance(_ connection: TLSConnection, at now: Moment) -> Bool {
        do throws(TLSError) {
            if connection.proof == nil {
                guard try connection.shakeHands(), let proof = connection.proof else { return true }
                guard settings.versions.contains(connection.version) else {
                    try connection.write(ErrorPacket.versionRequired)
                    throw .handshake(.applicationProtocol, words: "the peer offers no version of RADIUS by ALPN, and 1.1 is required here")
                }
                switch table.peers.client(proof, from: connection.peer) {
                case .refused(let refusal, let words):
                    end(connection, .refused(refusal, words: words), at: now.uptime)
                    return false
                case .client(let entry):
                    handshakes.end(connection.peer)
                    welcome(connection, entry)
                }
            }
            guard let entry = connection.entry, isAccepting else { return true }
            guard let ending = try intake.read(connection, of: entry, by: scratch, at: now) else { return true }
            end(connection, ending, at: now.uptime)
        } catch {
            end(connection, TLSConnection.Ending(error, of: connection.peer), at: now.uptime)
        }
        return false
    }

    private func welcome(_ connection: TLSConnection, _ entry: ClientEntry) {
        connection.entry = entry
        door.counters.tls.establish(connection.version)
        door.counters.tls.setOpen(connections.count - handshakes.count)
        door.logger.info(
            "a gateway is connected by TLS",
            metadata: [
                "client": "\(entry.client.name)", "source": "\(connection.peer)", "radius": "\(connection.version.rawValue)",
                "version": "\(connection.session.version)", "cipher": "\(connection.session.cipher)",
                "peer": "\(connection.proof?.words ?? "")",
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
        if connection.entry == nil { handshakes.end(connection.peer) }
        door.counters.tls.setOpen(connections.count - handshakes.count)
        if connection.pending > 0 { intake.forget(connection) }
        connection.asked.giveUp()
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
        if isShortOfFiles {
            isShortOfFiles = false
            watchSockets(true)
        }
        for connection in Array(connections.values) {
            connection.asked.expire(at: now)
            let idle = now - connection.lastHeard
            if connection.entry == nil, now - connection.opened >= settings.handshakeTime {
                let words = "TLS from \(connection.peer) did not come about: it took too long; see what it is set to"
                end(connection, .refused(.timeout, words: words), at: now)
            } else if idle >= settings.idleTime, connection.pending == 0 {
                end(connection, .closed, at: now)
            }
        }
    }

    // MARK: Replies

    /// Encrypts what was answered since the last time, and sends it.
    private func deliver(at now: Moment) {
        while true {
            let (outbox, questions) = listener.takeOutbox()
            guard !outbox.isEmpty || !questions.isEmpty else { return }
            var touched: [UInt64: TLSConnection] = [:]
            for question in questions {
                if let asked = ask(question, at: now) { touched[asked.number] = asked }
            }
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
                    end(connection, .broken(error.description), at: now.uptime)
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

    /// - Returns: the connection by which it goes out.
    private func ask(_ pending: PendingQuestion, at now: Moment) -> TLSConnection? {
        let question = pending.question
        // The newest: an older one may be dead and not know it yet.
        let near = connections.values.filter { $0.entry?.client.id == question.client && $0.peer == question.source }
        guard let connection = near.max(by: { $0.number < $1.number }), let entry = connection.entry else {
            pending.completion(.notConnected)
            return nil
        }
        guard let bytes = connection.asked.write(pending, connection.version, secret: entry.secret, at: now.uptime) else { return nil }
        do throws(TLSError) {
            try connection.write(bytes)
            return connection
        } catch {
            end(connection, .broken(error.description), at: now.uptime)
            return nil
        }
    }

    private func send(_ connection: TLSConnection, at now: Moment) {
        guard connections[connection.number] != nil else { return }
        guard connection.flush() else { return end(connection, .broken("the peer takes no replies"), at: now.uptime) }
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
