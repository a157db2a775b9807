// SPDX-License-Identifier: Apache-2.0
// The reading thread of one listener: a batch of datagrams in, all new requests to the judge at once, the replies out.

internal import CSockets
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
    private var intake: RequestIntake<UDPListener>
    /// Nil where logins are asked for.
    private var accounting: AccountingIntake<UDPListener>?
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
        intake = RequestIntake(listener, capacity: Self.batchSize)
        if listener.purpose == .accounting, let ledger = listener.door.ledger { accounting = AccountingIntake(listener, ledger) }
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
        let now = door.now()
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
        intake.handOver()
        accounting?.handOver()
        listener.flush()
    }

    private func handle(_ index: CInt, at moment: Moment, isTimed: Bool) {
        let now = moment.uptime
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
        let arrival = Arrival(
            packet: packet, entry: entry, source: source, route: route,
            key: RequestKey(address: source, port: route.port, identifier: packet.identifier), authenticator: packet.authenticator,
            now: now, isTimed: isTimed)
        if accounting == nil {
            intake.take(arrival)
        } else {
            accounting?.take(arrival, at: moment)
        }
    }

    private func client(for source: NetworkAddress) -> ClientEntry? {
        if let lastFound, lastFound.source == source { return lastFound.entry }
        guard let entry = table.client(for: source) else { return nil }
        lastFound = (source, entry)
        return entry
    }
}
