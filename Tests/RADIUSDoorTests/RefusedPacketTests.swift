// SPDX-License-Identifier: Apache-2.0
// The vectors of bad packets against a door that is open: each is dropped by its cause, gets no answer, and reaches nobody.

import Foundation
import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

/// Bytes that are no packet, and packets that are refused: the files of `RADIUSTests`.
private struct BadPacket: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let datagram: String
    let cause: String
    /// Of the client; `pinned` is `auto` from a source that always signed.
    let rule: String?
    let port: String?
    let version: String?

    var testDescription: String { name }

    static func load(_ file: String) -> [BadPacket] {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../RADIUSTests/Vectors/\(file).json")
        guard let data = try? Data(contentsOf: url), let all = try? JSONDecoder().decode([BadPacket].self, from: data) else { return [] }
        return all
    }

    /// Of those that may come by UDP.
    static let malformed = load("malformed").filter { $0.version == nil }
    static let refused = load("refused")

    func bytes() throws -> [UInt8] {
        let digits = datagram.compactMap(\.hexDigitValue)
        try #require(digits.count == datagram.utf8.count && digits.count % 2 == 0)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

@Suite struct RefusedPacketTests {
    @Test func theFilesAreRead() {
        #expect(BadPacket.malformed.count >= 120)
        #expect(BadPacket.refused.count >= 55)
        #expect(Set(BadPacket.refused.map { "\($0.datagram) \($0.rule ?? "") \($0.port ?? "")" }).count == BadPacket.refused.count)
    }

    /// By one socket, so that none harms the next.
    @Test(arguments: [false, true]) func whatIsNoPacketIsCountedByItsCauseAtEitherPort(isAccounting: Bool) async throws {
        let (judge, ledger) = (ScriptedJudge(), ScriptedLedger())
        let door = try TestDoor(judge, clients: [client(rule: .allow)], ledger: ledger)
        let gateway = try GatewaySocket(to: isAccounting ? door.service.boundAccounting[0] : door.endpoint)
        var expected: [String: Int] = [:]
        for (index, vector) in BadPacket.malformed.enumerated() {
            gateway.send(try vector.bytes())
            expected[vector.cause, default: 0] += 1
            #expect(eventually { door.service.statistics.dropped.values.reduce(0, +) == index + 1 }, "\(vector.name)")
        }
        let counted = Dictionary(uniqueKeysWithValues: door.service.statistics.dropped.map { ($0.key.cause, $0.value) })
        #expect(counted == expected)
        #expect(gateway.receiveNow() == nil)
        // The next honest packet is served as ever.
        if !isAccounting {
            gateway.send(request())
            #expect(try gateway.receivePacket()?.code == .accessAccept)
        }
        #expect(judge.attempts.count == (isAccounting ? 0 : 1) && ledger.entries.isEmpty)
        try await door.close()
    }

    @Test(arguments: BadPacket.refused) fileprivate func whatIsRefusedIsCountedByItsCause(_ vector: BadPacket) async throws {
        let rules: [String: MessageAuthenticatorRule] = ["auto": .auto, "pinned": .auto, "allow": .allow, "require": .require]
        let rule = try #require(rules[vector.rule ?? ""])
        let pins = vector.rule == "pinned" ? [ClientPin(client: 1, address: address("127.0.0.1"))] : []
        let (judge, ledger) = (ScriptedJudge(), ScriptedLedger())
        let traffic = GatewayTraffic(at: Moment(wall: uptime(0), uptime: uptime(0)))
        let door = try TestDoor(judge, clients: [client(rule: rule)], pins: pins, ledger: ledger, traffic: traffic)
        let gateway = try GatewaySocket(to: vector.port == "accounting" ? door.service.boundAccounting[0] : door.endpoint)
        let bytes = try vector.bytes()
        #expect(throws: Never.self) { try packet(bytes) }
        gateway.send(bytes)
        #expect(eventually { !door.service.statistics.dropped.isEmpty })
        #expect(door.service.statistics.dropped.map(\.key.cause) == [vector.cause])
        #expect(gateway.receiveNow() == nil)
        #expect(judge.attempts.isEmpty && ledger.entries.isEmpty)
        try await door.close()
        // Nor does it teach anything of the gateway.
        #expect(traffic.habits(ofClient: 1, at: Moment(wall: uptime(0), uptime: uptime(0))) == GatewayHabits(since: uptime(0)))
    }
}
