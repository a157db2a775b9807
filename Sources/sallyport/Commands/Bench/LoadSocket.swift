// SPDX-License-Identifier: Apache-2.0
// One source port or connection of the generator: 256 identifiers, what was sent under each, and what waits to be sent.

import Administration
import CSockets
import Directories
import Foundation
import LoginEngine
import RADIUS

/// A request that was sent and is not answered yet.
struct Outstanding {
    enum Phase {
        case free, first, second
        /// Given up; a reply that comes yet is late, not forged.
        case lost
    }

    var phase = Phase.free
    var user = 0
    /// Which login it is, in the order of all.
    var place = 0
    var authenticator = Authenticator.zero
    var sent: UInt64 = 0
    /// When the first request of its login was sent.
    var began: UInt64 = 0
    /// How often it was answered, where it is sent again; and with what.
    var answers = 0
    var answer = Authenticator.zero
}

final class LoadSocket {
    /// At most so many a call (`datagrams_send`).
    private static let batchSize = 64

    private enum Way {
        case datagrams(DatagramWay)
        case connection(LoadConnection)
    }

    private struct DatagramWay {
        var batch: OpaquePointer
        var isIPv6: Bool
        var route: datagram_route
    }

    let descriptor: Int32
    var requests = [Outstanding](repeating: Outstanding(), count: 256)
    private let way: Way
    /// The identifier that was free for the longest comes first.
    private var free = Array(0...255)
    private var freeHead = 0
    private(set) var freeCount = 256
    private var bytes: [UInt8] = []
    private var queued: [Range<Int>] = []
    private var datagrams: [datagram_reply] = []

    /// - Parameter source: the address to send from, for a server that knows its clients by it.
    init(to server: ServerAddress, from source: NetworkAddress? = nil) throws {
        let isIPv6 = !server.address.isIPv4
        let words = datagram_address(
            high: UInt64(truncatingIfNeeded: server.address.bits >> 64), low: UInt64(truncatingIfNeeded: server.address.bits))
        let route = datagram_route(peer: words, local: datagram_address(high: 0, low: 0), scope: 0, port: server.port)
        var port: UInt16 = 0
        // A bound address spares both ends the packet information.
        let own =
            source.map {
                datagram_address(high: UInt64(truncatingIfNeeded: $0.bits >> 64), low: UInt64(truncatingIfNeeded: $0.bits))
            } ?? (server.address.isLoopback ? words : datagram_address(high: 0, low: 0))
        descriptor = datagrams_open(own, isIPv6, &port)
        guard descriptor >= 0 else {
            throw Refusal(.unavailable, "No socket can be opened: \(String(cString: strerror(-descriptor))).")
        }
        datagrams_grow_buffer(descriptor, 4 << 20)
        _ = datagrams_set_receive_timeout(descriptor, 50)
        guard let batch = datagram_batch_create(UInt32(Self.batchSize), Packet.maximumLength) else {
            throw Refusal(.unavailable, "There is no memory for a batch of datagrams.")
        }
        way = .datagrams(DatagramWay(batch: batch, isIPv6: isIPv6, route: route))
        bytes.reserveCapacity(65_536)
        queued.reserveCapacity(256)
        datagrams.reserveCapacity(256)
    }

    init(_ connection: LoadConnection) {
        descriptor = connection.descriptor
        way = .connection(connection)
    }

    deinit {
        guard case .datagrams(let way) = way else { return }
        datagrams_close(descriptor)
        datagram_batch_free(way.batch)
    }

    func takeIdentifier() -> Int? {
        guard freeCount > 0 else { return nil }
        freeCount -= 1
        defer { freeHead = (freeHead + 1) & 255 }
        return free[freeHead]
    }

    func giveBack(_ identifier: Int) {
        requests[identifier].phase = .free
        free[(freeHead + freeCount) & 255] = identifier
        freeCount += 1
    }

    /// Queues a packet that `write` appends.
    func queue<Result>(_ write: (inout [UInt8]) -> Result) -> Result {
        let start = bytes.count
        let result = write(&bytes)
        queued.append(start..<bytes.count)
        return result
    }

    /// Sends what is queued; datagrams wait while the kernel's buffer is full.
    func flush() throws {
        switch way {
        case .datagrams(let way):
            guard !queued.isEmpty else { return }
            try send(way)
        case .connection(let connection):
            guard !queued.isEmpty || connection.isBehind else { return }
            try connection.send(queued.map { bytes[$0] })
        }
        bytes.removeAll(keepingCapacity: true)
        queued.removeAll(keepingCapacity: true)
    }

    private func send(_ way: DatagramWay) throws {
        datagrams.removeAll(keepingCapacity: true)
        for range in queued { datagrams.append(datagram_reply(route: way.route, offset: range.lowerBound, length: range.count)) }
        var sent = 0
        while sent < datagrams.count {
            let count = datagrams.withUnsafeMutableBufferPointer { replies in
                replies.baseAddress.map { datagrams_send(descriptor, way.isIPv6, bytes, $0 + sent, replies.count - sent, false) } ?? 0
            }
            if count > 0 {
                sent += Int(count)
                continue
            }
            switch -count {
            case EINTR: continue
            case EAGAIN, ENOBUFS: _ = datagrams_wait_writable(descriptor, 10)
            // Nothing listens there: an answer to an earlier datagram.
            case ECONNREFUSED: sent += 1
            default: throw Refusal(.unavailable, "Nothing can be sent: \(String(cString: strerror(-count))).")
            }
        }
    }

    /// Takes what has come; datagrams are waited for, for a moment.
    func receive(_ take: (UnsafeBufferPointer<UInt8>) -> Void) throws {
        switch way {
        case .datagrams(let way):
            for index in 0..<max(0, datagram_batch_receive(way.batch, descriptor)) {
                take(UnsafeBufferPointer(start: datagram_batch_bytes(way.batch, index), count: datagram_batch_length(way.batch, index)))
            }
        case .connection(let connection): try connection.receive(take)
        }
    }
}
