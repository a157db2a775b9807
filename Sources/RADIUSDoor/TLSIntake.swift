// SPDX-License-Identifier: Apache-2.0
// What comes by connections over TLS: cut into packets, and each to where its kind is decided. One port serves all (RFC 6614 §2.5).

import LoginEngine
import RADIUS
import TLS

/// Lives on the reading thread alone.
struct TLSIntake {
    private let listener: TLSListener
    private let door: Door
    private var logins: RequestIntake<TLSListener>
    private var accounting: AccountingIntake<TLSListener>?

    init(_ listener: TLSListener, capacity: Int) {
        self.listener = listener
        door = listener.door
        logins = RequestIntake(listener, capacity: capacity)
        if let ledger = listener.door.ledger { accounting = AccountingIntake(listener, ledger) }
    }

    /// Decrypts and takes what came, unless too much of this connection is being decided.
    ///
    /// - Returns: nil, or how it ended.
    mutating func read(
        _ connection: TLSConnection, of entry: ClientEntry, by scratch: UnsafeMutableRawBufferPointer, at now: Moment
    ) throws(TLSError) -> TLSConnection.Ending? {
        while true {
            do throws(PacketError) {
                while true {
                    connection.isPaused = connection.isFull(listener.settings.pendingOfOneConnection)
                    if connection.isPaused { return nil }
                    guard let bytes = try connection.framing.next() else { break }
                    guard take(bytes, of: entry, by: connection, at: now) else { return .closed }
                }
            } catch {
                door.drop(DropReason(error), from: connection.peer, of: entry, detail: error, at: now.uptime)
                return .closed
            }
            guard let count = try connection.session.read(into: scratch) else { return .closed }
            if count == 0 { return nil }
            connection.framing.append(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
        }
    }

    /// All that is new, to who decides it.
    mutating func handOver() {
        logins.handOver()
        accounting?.handOver()
    }

    /// Nobody is there any more to hear what was asked by this connection. Records are kept all the same.
    mutating func forget(_ connection: TLSConnection) {
        for waiter in listener.forgetAll(ofConnection: connection.number) { logins.abandon(waiter) }
    }

    /// - Returns: false when the packet ends the connection. RFC 6613 §2.6.4 says which do.
    private mutating func take(_ bytes: [UInt8], of entry: ClientEntry, by connection: TLSConnection, at now: Moment) -> Bool {
        door.counters.requests.add()
        let packet: Packet
        do throws(PacketError) {
            packet = try Packet(decoding: bytes, version: connection.version)
        } catch {
            door.drop(DropReason(error), from: connection.peer, of: entry, detail: error, at: now.uptime)
            switch error {
            case .attributeTruncated, .attributeLengthTooSmall: return false
            default: return true
            }
        }
        if !packet.code.isRequest, connection.asked.take(packet, secret: entry.secret) { return true }
        if let reply = refusal(of: packet, secret: entry.secret) {
            door.drop(.notForThisServer, from: connection.peer, of: entry, at: now.uptime)
            listener.queue(reply, by: connection.route)
            return true
        }
        let key = RequestKey(packet, connection: connection.number)
        let arrival = Arrival(
            packet: packet, entry: entry, source: connection.peer, route: connection.route, key: key,
            authenticator: packet.version == .historic ? packet.authenticator : Authenticator(contentsOf: packet), now: now.uptime,
            isTimed: true)
        switch key.isAccounting ? accounting?.take(arrival, at: now) : logins.take(arrival) {
        case .waiting: connection.pending += 1
        case .dropped(.wrongSecretInTLS): return false
        case .dropped, .done, nil: break
        }
        return true
    }

    /// RFC 6614 §2.5: what this server does not do is answered, because over TCP silence would be taken for a dead server.
    private func refusal(of packet: Packet, secret: SharedSecret) -> [UInt8]? {
        let code: Code
        switch packet.code {
        case .accountingRequest where accounting == nil: code = .accountingResponse
        case .coaRequest: code = .coaNAK
        case .disconnectRequest: code = .disconnectNAK
        default: return nil
        }
        var writer = PacketWriter(reply: code, to: packet)
        writer.addInteger(.errorCause, 406)
        writer.copyProxyState(from: packet)
        return try? writer.sign(with: secret)
    }
}

extension Authenticator {
    /// Stands for the Request Authenticator where there is none: a gateway that uses a token again too early asks for something else.
    fileprivate init(contentsOf packet: Packet) {
        let fingerprint = Fingerprint(ofDatagram: packet.bytes).bits
        self.init(high: fingerprint.high, low: fingerprint.low)
    }
}
