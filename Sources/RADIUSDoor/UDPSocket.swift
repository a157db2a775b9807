// SPDX-License-Identifier: Apache-2.0
// A bound socket that is closed when nobody sends on it any more.

internal import CSockets
internal import Glibc
import LoginEngine

/// Replies on their way out: their bytes one behind the other, so that a whole group is one system call.
struct Outbox {
    private(set) var bytes: [UInt8] = []
    fileprivate(set) var replies: [datagram_reply] = []

    var isEmpty: Bool { replies.isEmpty }
    var count: Int { replies.count }

    mutating func add(_ reply: [UInt8], by route: datagram_route) {
        replies.append(datagram_reply(route: route, offset: bytes.count, length: reply.count))
        bytes.append(contentsOf: reply)
    }

    mutating func empty() {
        bytes.removeAll(keepingCapacity: true)
        replies.removeAll(keepingCapacity: true)
    }
}

final class UDPSocket: Sendable {
    /// What became of one reply that could not be sent.
    struct Failure {
        let route: datagram_route
        let error: CInt
    }

    /// How long a full send buffer is waited for before a reply is given up.
    private static let sendPatience: CInt = 20

    let descriptor: CInt
    let endpoint: UDPEndpoint

    /// Opens and binds.
    ///
    /// - Throws: `addressInUse`, `notPermitted`, `addressNotOurs` or `cannotListen`.
    init(_ wanted: UDPEndpoint) throws(RADIUSServiceError) {
        var port = wanted.port
        let opened = datagrams_open(wanted.address.words, !wanted.address.isIPv4, &port)
        guard opened >= 0 else { throw RADIUSServiceError(-opened, at: wanted) }
        descriptor = opened
        endpoint = UDPEndpoint(address: wanted.address, port: port)
        // Wakes the reader now and then, for what must not wait for the next packet.
        _ = datagrams_set_receive_timeout(opened, 1000)
    }

    deinit {
        datagrams_close(descriptor)
    }

    func growBuffer(to bytes: Int) -> Int {
        Int(datagrams_grow_buffer(descriptor, CInt(clamping: bytes)))
    }

    func stopReceiving() {
        datagrams_stop_receiving(descriptor)
    }

    /// Sends all, in an order of its own; those that could not be sent are handed to `failed`.
    func send(_ outbox: inout Outbox, failed: (Failure) -> Void) {
        let isIPv6 = !endpoint.address.isIPv4
        outbox.bytes.withUnsafeBufferPointer { bytes in
            outbox.replies.withUnsafeMutableBufferPointer { replies in
                guard let area = bytes.baseAddress, let first = replies.baseAddress else { return }
                var position = 0
                var hasWaited = false
                while position < replies.count {
                    let sent = datagrams_send(descriptor, isIPv6, area, first + position, replies.count - position, true)
                    if sent > 0 {
                        position += Int(sent)
                        hasWaited = false
                        continue
                    }
                    if sent == -EINTR { continue }
                    if sent == -EAGAIN, !hasWaited {
                        hasWaited = true
                        if datagrams_wait_writable(descriptor, Self.sendPatience) { continue }
                    }
                    failed(Failure(route: replies[position].route, error: -sent))
                    position += 1
                }
            }
        }
    }
}

extension NetworkAddress {
    init(_ words: datagram_address) {
        self.init(bits: UInt128(words.high) << 64 | UInt128(words.low))
    }

    var words: datagram_address {
        datagram_address(high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits))
    }
}
