// SPDX-License-Identifier: Apache-2.0
// Replies that leave in one piece arrive one by one, each whole, at those they are for.

import CSockets
import LoginEngine
import Testing

@testable import RADIUSDoor

@Suite struct UDPSocketTests {
    @Test(arguments: ["127.0.0.1", "::1"])
    func repliesOfManyLengthsToManyPeersArriveEachWhole(address: String) throws {
        let own = try UDPSocket(UDPEndpoint(address: try #require(NetworkAddress(address)), port: 0))
        let peers = try (0..<3).map { _ in try Peer(at: own.endpoint.address) }
        var outbox = Outbox()
        var expected = Array(repeating: [[UInt8]](), count: peers.count)
        for number in 0..<150 {
            // Longer than what is cut out of one piece, now and then.
            let length = number % 50 == 7 ? 3_000 : 20 + number % 4 * 37
            let reply = Array(repeating: UInt8(number), count: length)
            outbox.add(reply, by: peers[number % 3].route)
            expected[number % 3].append(reply)
        }
        own.send(&outbox) { failure in Issue.record("not sent: \(failure.error)") }
        for (peer, expected) in zip(peers, expected) {
            #expect(Set(try peer.received(expected.count)) == Set(expected))
        }
    }

    @Test func whatCannotBeSentFailsAloneAndTheRestArrives() throws {
        let own = try UDPSocket(UDPEndpoint(address: try #require(NetworkAddress("127.0.0.1")), port: 0))
        let peer = try Peer(at: own.endpoint.address)
        var nowhere = peer.route
        nowhere.port = 0
        var outbox = Outbox()
        for number in 0..<30 { outbox.add(Array(repeating: UInt8(number), count: 20), by: number % 3 == 0 ? nowhere : peer.route) }
        var failures = 0
        own.send(&outbox) { failure in
            #expect(failure.route.port == 0)
            failures += 1
        }
        #expect(failures == 10)
        #expect(Set(try peer.received(20).compactMap(\.first)) == Set((0..<30).filter { $0 % 3 != 0 }))
    }
}

/// A socket that only receives.
private struct Peer {
    let socket: UDPSocket

    init(at address: NetworkAddress) throws {
        socket = try UDPSocket(UDPEndpoint(address: address, port: 0))
    }

    var route: datagram_route {
        datagram_route(peer: socket.endpoint.address.words, local: datagram_address(), scope: 0, port: socket.endpoint.port)
    }

    /// Gives up after a second without one.
    func received(_ count: Int) throws -> [[UInt8]] {
        let batch = try #require(datagram_batch_create(64, 4_096))
        defer { datagram_batch_free(batch) }
        var all: [[UInt8]] = []
        while all.count < count {
            let taken = datagram_batch_receive(batch, socket.descriptor)
            guard taken > 0 else { break }
            for index in 0..<taken {
                let bytes = UnsafeBufferPointer(start: datagram_batch_bytes(batch, index), count: datagram_batch_length(batch, index))
                all.append(Array(bytes))
            }
        }
        return all
    }
}
