// SPDX-License-Identifier: Apache-2.0
// A hundred thousand different names or gateways cannot grow the memory of a node without bound.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUS
import Store
import Testing

@testable import RADIUSDoor
@testable import sallyport

@Suite struct MemoryTests {
    /// What several hundred thousand kept names would exceed, and bounded tables do not.
    private static let limit = 96 << 20

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
            // What is allocated once is there before the first look.
            try await attempt(0..<20_000)
            let before = residentBytes()
            try await attempt(20_000..<120_000)
            let grown = residentBytes() - before
            #expect(grown < Self.limit, "grew by \(grown >> 20) MiB")
            #expect(logins.waitingCount == 0)
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
                _ = log.admit(.source(source), cause: "unknown_client", at: now)
                let key = RequestKey(address: source, port: 1812, identifier: 1)
                if case .fresh(let ticket, _) = duplicates.admit(key, Authenticator(high: 1, low: UInt64(number)), at: now) {
                    _ = duplicates.answer(ticket, with: [UInt8](repeating: 1, count: 100), at: now)
                }
            }
        }
        var (pins, log, duplicates) = (PinRule(), DropLog(), DuplicateCache())
        visit(0..<100_000, &pins, &log, &duplicates)
        let before = residentBytes()
        visit(100_000..<300_000, &pins, &log, &duplicates)
        let grown = residentBytes() - before
        #expect(grown < Self.limit, "grew by \(grown >> 20) MiB")
        #expect(duplicates.count <= duplicates.limits.entries && pins.count <= pins.capacity)
    }

    @Test func strangersOnTheWireCostNothing() async throws {
        try await withNode { node in
            try await node.addClient("vpn", ["127.0.0.1"]) { $0.requirement = "password" }
            try await node.addUser()
            let before = residentBytes()
            // Several thousand addresses of 127.0.0.0/8 that are no client's.
            try await onThread {
                for number in 0..<3000 {
                    let stranger = try GatewayClient(node, from: "127.\(1 + number / 250).0.\(1 + number % 250)")
                    stranger.send(try stranger.request("nobody", "nothing"))
                }
            }
            let radius = node.node.radius
            #expect(try await eventually { (radius.statistics.dropped[.unknownClient] ?? 0) >= 2000 })
            #expect(residentBytes() - before < Self.limit)
            #expect(radius.statistics.pending == 0)
            #expect(try await GatewayClient(node).login("alice", TestNode.password)?.code == .accessAccept)
        }
    }

    private func residentBytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(getpagesize())
    }
}
