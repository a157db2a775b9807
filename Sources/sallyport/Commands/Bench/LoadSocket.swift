// SPDX-License-Identifier: Apache-2.0
// One source port of the generator: 256 identifiers, what was sent under each, and what waits to be sent.

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

    let descriptor: Int32
    var requests = [Outstanding](repeating: Outstanding(), count: 256)
    let batch: OpaquePointer
    private let isIPv6: Bool
    private let route: datagram_route
    /// The identifier that was free for the longest comes first.
    private var free = Array(0...255)
    private var freeHead = 0
    private(set) var freeCount = 256
    private var bytes: [UInt8] = []
    private var queued: [datagram_reply] = []

    /// - Parameter source: the address to send from, for a server that knows its clients by it.
    init(to server: ServerAddress, from source: NetworkAddress? = nil) throws {
        isIPv6 = !server.address.isIPv4
        let words = datagram_address(
            high: UInt64(truncatingIfNeeded: server.address.bits >> 64), low: UInt64(truncatingIfNeeded: server.address.bits))
        route = datagram_route(peer: words, local: datagram_address(high: 0, low: 0), scope: 0, port: server.port)
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
        self.batch = batch
        bytes.reserveCapacity(65_536)
        queued.reserveCapacity(256)
    }

    deinit {
        datagrams_close(descriptor)
        datagram_batch_free(batch)
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

    /// Queues a datagram that `write` appends.
    func queue(_ write: (inout [UInt8]) -> Void) {
        let start = bytes.count
        write(&bytes)
        queued.append(datagram_reply(route: route, offset: start, length: bytes.count - start))
    }

    /// Sends what is queued; waits while the kernel's buffer is full.
    func flush() throws {
        var sent = 0
        while sent < queued.count {
            let count = queued.withUnsafeMutableBufferPointer { replies in
                replies.baseAddress.map { datagrams_send(descriptor, isIPv6, bytes, $0 + sent, replies.count - sent, false) } ?? 0
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
        bytes.removeAll(keepingCapacity: true)
        queued.removeAll(keepingCapacity: true)
    }
}
