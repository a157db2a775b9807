// SPDX-License-Identifier: Apache-2.0
// A hundred thousand different names or gateways cannot grow the memory of a node without bound.

import Administration
import Foundation
import Glibc
import RADIUS
import Store
import Synchronization
import Testing

@testable import LoginEngine
@testable import RADIUSDoor
@testable import sallyport

@Suite struct MemoryTests {
    @Test func namesThatNobodyHasAreForgotten() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "factor" }
            let client = try #require(try node.node.store.records.client(name: "vpn"))
            let logins = node.node.logins
            func attempt(_ names: Range<Int>) async throws {
                try await onThread {
                    for start in stride(from: names.lowerBound, to: names.upperBound, by: 64) {
                        let batch = (start..<min(start + 64, names.upperBound)).map { number in
                            Attempt(
                                request: LoginRequest(
                                    door: .radius, client: client, name: "somebody-nobody-knows-\(number)",
                                    proof: .plaintext(Secret(utf8: "123456")),
                                    source: NetworkAddress(v4: 0x0A00_0000 | UInt32(number)),
                                    fingerprint: Fingerprint(Bits128(high: 1, low: UInt64(number)))),
                                waiter: UInt64(number), completion: { _ in })
                        }
                        logins.attempt(batch)
                    }
                }
            }
            try await attempt(0..<100_000)
            #expect(logins.waitingCount == 0)
            let kept = logins.shards.map { shard in shard.state.withLock { $0.strangers.count } }.reduce(0, +)
            #expect((20_000...65_536).contains(kept))
            // The node goes on deciding.
            let token = try await node.addUser()
            #expect(try await GatewayClient(node).login("alice", try token.code())?.code == .accessAccept)
        }
    }

    @Test func gatewaysOfAWideRangeAreForgotten() async throws {
        // The door's own tables, with a source for each packet: a test machine has too few addresses.
        func visit(_ numbers: Range<UInt32>, _ pins: inout PinRule, _ log: inout DropLog, _ duplicates: inout DuplicateCache) {
            for number in numbers {
                let source = NetworkAddress(v4: 0x0A00_0000 | number)
                let now = Timestamp(microseconds: Int64(number))
                _ = pins.note(ClientPin(client: 1, address: source), hasMessageAuthenticator: true, at: now)
                _ = log.admit(.source(source), .drop(.unknownClient), at: now)
                let key = RequestKey(address: source, port: 1812, identifier: 1)
                if case .fresh(let ticket, _) = duplicates.admit(key, Authenticator(high: 1, low: UInt64(number)), at: now) {
                    _ = duplicates.answer(ticket, with: [UInt8](repeating: 1, count: 100), at: now)
                }
            }
        }
        var (pins, log, duplicates) = (PinRule(), DropLog(), DuplicateCache())
        visit(0..<100_000, &pins, &log, &duplicates)
        #expect(duplicates.count <= duplicates.limits.entries && pins.count <= pins.capacity)
    }

    /// In a process of its own, whose memory no other test touches.
    @Test func strangersOnTheWireCostNothing() async throws {
        let folder = try TemporaryFolder()
        let node = try await NodeProcess.start(in: folder)
        let endpoint = try await node.endpoint()
        let added = try await node.command(
            "client", "add", "vpn", "--address", "127.0.0.1", "--require", "factor", "--secret-stdin", input: TestNode.secret + "\n")
        #expect(added.status == 0, "\(added.everything)")
        try await strangers(at: endpoint, 0..<1000)
        try await names(at: endpoint, 0..<2000)
        let before = node.running.residentBytes
        try await strangers(at: endpoint, 1000..<3000)
        try await names(at: endpoint, 2000..<14_000)
        let grown = node.running.residentBytes - before
        #expect(before > 0 && grown < 48 << 20, "grew by \(grown >> 20) MiB")
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    /// Addresses of 127.0.0.0/8 that are no client's.
    private func strangers(at endpoint: UDPEndpoint, _ numbers: Range<Int>) async throws {
        try await onThread {
            for number in numbers {
                let stranger = try GatewayClient(endpoint, from: "127.\(1 + number / 250).0.\(1 + number % 250)")
                stranger.send(try stranger.request("nobody", "nothing"))
            }
        }
    }

    /// Names that nobody has; only so many at a time, so that none is lost in a full socket.
    private func names(at endpoint: UDPEndpoint, _ numbers: Range<Int>) async throws {
        let gateway = try GatewayClient(endpoint)
        for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 100) {
            let requests = try (start..<start + 100).map { try gateway.request("somebody-nobody-knows-\($0)", "123456") }
            for request in requests { gateway.send(request) }
            try #require(try await gateway.reply(to: requests[99]) != nil)
        }
    }
}
