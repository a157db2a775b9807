// SPDX-License-Identifier: Apache-2.0
// The reading thread of one listener: a batch of datagrams in, all new requests to the judge at once, the replies out.

internal import CDatagrams
internal import Glibc
import LoginEngine
import RADIUS

/// Lives on its thread alone.
final class UDPReader {
    /// Datagrams a system call. What is read at once is judged before any of it is written, and a writer that waits for the last of 64
    /// leaves a core idle: 16 gave a quarter more logins a second at 64 open ones, for the same processor time each.
    static let batchSize = 16
    /// In a batch that is fuller than this, only every eighth request is timed.
    private static let timedBatch = 8

    private let listener: UDPListener
    private let door: Door
    private let socket: UDPSocket
    private let batch: OpaquePointer
    private var attempts: [Attempt] = []
    private var table = ClientTable.empty
    /// The last client found, because packets of one gateway come in runs.
    private var lastFound: (source: NetworkAddress, entry: ClientEntry)?

    init?(_ listener: UDPListener, _ socket: UDPSocket) {
        // One byte more than a packet has, so that a longer datagram is noticed (RFC 2865 §3).
        guard let batch = datagram_batch_create(UInt32(Self.batchSize), Packet.maximumLength + 1) else { return nil }
        self.batch = batch
        self.listener = listener
        self.socket = socket
        door = listener.door
        attempts.reserveCapacity(Self.batchSize)
    }

    deinit {
        datagram_batch_free(batch)
    }

    /// Reads until the listener is stopped.
    ///
    /// - Returns: the error that made going on impossible.
    func run() -> RADIUSServiceError? {
        ThreadRole.becomeReader(of: listener)
        while true {
            let count = datagram_batch_receive(batch, socket.descriptor)
            // Stopping makes the socket readable: what it returns then are no datagrams.
            if listener.isStopping { return nil }
            if count > 0 {
                handle(count: count)
                continue
            }
            switch -count {
            case EBADF, ENOTSOCK, EINVAL, EFAULT:
                return .cannotRead(listener.endpoint, reason: RADIUSServiceError.words(for: -count))
            default:
                // EAGAIN: a second without packets. Others (ENOBUFS, ENOMEM, an ICMP error) pass.
                listener.expire(at: door.now().uptime)
                listener.flush()
            }
        }
    }

    private func handle(count: CInt) {
        let now = door.now().uptime
        let current = door.table
        if !current.isIdentical(to: table) {
            table = current
            lastFound = nil
        }
        door.counters.requests.add(Int(count))
        for index in 0..<count {
            let isTimed = count <= Self.timedBatch || index % 8 == 0
            handle(index, at: now, isTimed: isTimed)
        }
        handOver()
        listener.flush()
    }

    /// All new requests so far, to the judge.
    private func handOver() {
        guard !attempts.isEmpty else { return }
        door.judge.attempt(attempts)
        attempts.removeAll(keepingCapacity: true)
    }

    private func handle(_ index: CInt, at now: Timestamp, isTimed: Bool) {
        let route = datagram_batch_route(batch, index)
        let source = NetworkAddress(route.peer)
        guard let entry = client(for: source) else {
            door.drop(.unknownClient, from: source, at: now)
            return
        }
        guard entry.client.settings.isEnabled else {
            door.drop(.clientDisabled, from: source, of: entry, at: now)
            return
        }
        guard !datagram_batch_truncated(batch, index), datagram_batch_length(batch, index) <= Packet.maximumLength else {
            door.drop(.oversized, from: source, of: entry, at: now)
            return
        }
        let packet: Packet
        do throws(PacketError) {
            let bytes = UnsafeBufferPointer(start: datagram_batch_bytes(batch, index), count: datagram_batch_length(batch, index))
            packet = try Packet(decoding: bytes.span)
        } catch {
            door.drop(DropReason(error), from: source, of: entry, detail: error, at: now)
            return
        }
        let check = PacketCheck(packet, of: entry, from: source)
        if let hasMessageAuthenticator = check.countsForPin {
            let pin = ClientPin(client: entry.client.id, address: source)
            door.notePin(pin, hasMessageAuthenticator: hasMessageAuthenticator, at: now)
        }
        if let reason = check.drop {
            door.drop(reason, from: source, of: entry, at: now)
            return
        }
        if packet.code == .statusServer {
            // RFC 5997 §4.2: cheap to make, so nothing is kept of it.
            if let reply = statusReply(to: packet, secret: entry.secret) { listener.queue(reply, by: route) }
            return
        }
        admit(packet, of: entry, by: route, from: source, at: now, isTimed: isTimed)
    }

    private func admit(
        _ packet: Packet, of entry: ClientEntry, by route: datagram_route, from source: NetworkAddress, at now: Timestamp, isTimed: Bool
    ) {
        let key = RequestKey(address: source, port: route.port, identifier: packet.identifier)
        // A wrong Message-Authenticator has been dropped before.
        let isSigned = packet.contains(.messageAuthenticator)
        switch listener.admit(key, packet.authenticator, isSigned: isSigned, by: route, at: now) {
        case .inProgress:
            door.counters.duplicatesInProgress.add()
        case .answered:
            door.counters.duplicatesAnswered.add()
        case .overloaded:
            door.drop(.overloaded, from: source, of: entry, at: now)
        case .outranked:
            door.drop(.unsignedReplacement, from: source, of: entry, at: now)
        case .fresh(let ticket, let abandoned):
            if let abandoned {
                // The judge must have heard of a waiter before it hears that it is gone.
                if attempts.contains(where: { $0.waiter == abandoned }) { handOver() }
                door.judge.abandon(waiter: abandoned)
            }
            guard let request = AccessRequest(packet, of: entry, from: source) else {
                listener.forget(ticket)
                door.drop(.noProof, from: source, of: entry, at: now)
                return
            }
            if request.secretLooksWrong { door.hintAtSecret(from: source, of: entry, at: now) }
            let waiting = UDPListener.Waiting(packet: packet, entry: entry, route: route, ticket: ticket, read: isTimed ? now : nil)
            attempts.append(
                Attempt(request: request.login, waiter: ticket.waiter) { [listener] answer in listener.complete(waiting, answer) })
        }
    }

    private func client(for source: NetworkAddress) -> ClientEntry? {
        if let lastFound, lastFound.source == source { return lastFound.entry }
        guard let entry = table.client(for: source) else { return nil }
        lastFound = (source, entry)
        return entry
    }
}
