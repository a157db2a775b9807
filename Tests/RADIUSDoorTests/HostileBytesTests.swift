// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import RADIUS
import Synchronization
import Testing

@testable import RADIUSDoor

final class PinBox: Sendable {
    private let pins = Mutex<[ClientPin]>([])

    var all: [ClientPin] { pins.withLock { $0 } }

    func add(_ pin: ClientPin) {
        pins.withLock { $0.append(pin) }
    }
}

@Suite struct HostileBytesTests {
    private static func seeds() -> [[UInt8]] {
        [
            request(signed: false),
            request(signed: false) {
                $0.login()
                $0.addText(.callingStationID, "192.0.2.7[4500]")
                $0.addInteger(.nasPort, 17)
                $0.addText(.acctSessionID, "0A3F")
                $0.addText(.state, "abcdefgh-_ABCDEFGHabcdefgh012345")
            },
            request(signed: false) {
                $0.addText(.userName, "alice")
                $0.addVendor(311, type: 25, [UInt8](repeating: 0, count: 50))
            },
            request {
                $0.login()
                $0.add(.proxyState, [1, 2, 3])
            },
            request {
                $0.addText(.userName, "alice")
                $0.add(.eapMessage, [2, 1, 0, 5, 1])
            },
            request(.statusServer) { _ in },
        ]
    }

    private static func mutated(_ seed: [UInt8], using generator: inout some RandomNumberGenerator) -> [UInt8] {
        var bytes = seed
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: return (0..<Int.random(in: 0..<80, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
        case 1: bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator))
        case 2: bytes += (0..<Int.random(in: 0..<40, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
        default: break
        }
        for _ in 0..<Int.random(in: 0..<6, using: &generator) where !bytes.isEmpty {
            bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
        }
        if Bool.random(using: &generator), bytes.count >= 20 {
            bytes[2] = UInt8(bytes.count >> 8)
            bytes[3] = UInt8(truncatingIfNeeded: bytes.count)
        }
        return bytes
    }

    /// Must only not crash, and an answer is always a packet.
    @Test func hundredThousandHostilePacketsAreSurvived() throws {
        var generator = SystemRandomNumberGenerator()
        let seeds = Self.seeds()
        let entry = try entry(client(rule: .allow))
        let answers: [LoginAnswer] = [
            .accept(loginID), .reject(loginID, message: String(repeating: "Grüße ", count: 100)),
            .challenge(loginID, Challenge(handle: "h", prompt: "Code:", echo: false, lifetime: 60)),
        ]
        var judged = 0
        for number in 0..<100_000 {
            let bytes = Self.mutated(seeds[number % seeds.count], using: &generator)
            guard let packet = try? Packet(decoding: bytes) else { continue }
            let check = PacketCheck(packet, of: entry, from: address("127.0.0.1"))
            // Decided as if nothing had been wrong: an attacker may know the secret of one client.
            _ = AccessRequest(packet, of: entry, from: address("127.0.0.1"))
            guard let reply = answers[number % 3].reply(to: packet, secret: sharedSecret) else { continue }
            if reply.count > 4096 { Issue.record("a reply of \(reply.count) bytes") }
            _ = try Packet(decoding: reply)
            if check.drop == nil { judged += 1 }
        }
        #expect(judged > 1000)
    }

    @Test func serviceAnswersAfterAFloodOfHostilePackets() async throws {
        let door = try TestDoor(ScriptedJudge(), clients: [client(rule: .allow)])
        let gateway = try GatewaySocket(to: door.endpoint)
        var generator = SystemRandomNumberGenerator()
        let seeds = Self.seeds()
        for number in 0..<4000 {
            gateway.send(Self.mutated(seeds[number % seeds.count], using: &generator))
            if number % 50 == 0 { while gateway.receiveNow() != nil {} }
        }
        // The flood may have filled the kernel's queue, so this gateway sends again, as gateways do.
        let honest = try GatewaySocket(to: door.endpoint, from: "127.0.0.77", patience: 500)
        let answer = (0..<20).lazy.compactMap { _ in
            honest.send(request())
            return honest.receive()
        }.first
        #expect(try answer.map { try packet($0) }?.code == .accessAccept)
        try await door.close()
    }
}
