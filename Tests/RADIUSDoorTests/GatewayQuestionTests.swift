// SPDX-License-Identifier: Apache-2.0
// What this server asks gateways by their own connections: Disconnect-Requests over TLS, in either form of RADIUS.

import LoginEngine
import RADIUS
import Synchronization
import TLS
import TestSupport
import Testing

@testable import RADIUSDoor

private let inside = RADIUS.SharedSecret("radsec")!

/// The one answer to a question.
private final class Answer: Sendable {
    private let value = Mutex<[GatewayAnswer]>([])

    func note(_ answer: GatewayAnswer) { value.withLock { $0.append(answer) } }
    /// In short words; nil before it came.
    var words: String? {
        value.withLock { answers in
            guard answers.count < 2 else { return "answered twice" }
            return answers.first.map { answer in
                switch answer {
                case .reply(let packet): "\(packet.code.name) \(packet.integer(.errorCause).map { "\($0)" } ?? "")"
                case .notConnected: "not connected"
                case .noAnswer: "no answer"
                case .disconnected: "disconnected"
                case .notWritable: "not writable"
                }
            }
        }
    }
}

struct GatewayQuestionTests {
    private func ask(
        _ radsec: Radsec, client: Int64 = 5, source: String = "127.0.0.1",
        _ attributes: @escaping @Sendable (inout PacketWriter) -> Void = {
            $0.addText(.userName, "alice")
        }
    ) -> Answer {
        let answer = Answer()
        let question = GatewayQuestion(.disconnectRequest, client: client, source: address(source), attributes: attributes)
        radsec.service.ask(question) { answer.note($0) }
        return answer
    }

    @Test(arguments: [RADIUSVersion.historic, .tokens]) func aGatewayIsAskedByItsConnection(_ version: RADIUSVersion) throws {
        let radsec = try Radsec(.holding())
        let gateway = try radsec.connect(protocols: [version.applicationProtocol])
        #expect(eventually { radsec.service.openConnections == 1 })
        let answer = ask(radsec)
        let asked = try Packet(decoding: try #require(try gateway.receive()), version: version)
        #expect(asked.code == .disconnectRequest && asked.octets(.userName) == Array("alice".utf8))
        if version == .historic {
            #expect(asked.hasValidRequestAuthenticator(secret: inside) && asked.hasValidMessageAuthenticator(secret: inside))
        }
        var writer = PacketWriter(reply: .disconnectNAK, to: asked)
        writer.addInteger(.errorCause, 503)
        let reply = try writer.sign(with: inside)
        // Of another request, or with another signature, it answers nothing.
        var wrong = reply
        wrong[version == .historic ? 1 : 7] ^= 0x55
        try gateway.send(wrong)
        #expect(eventually { radsec.service.statistics.dropped[.unexpectedCode] == 1 })
        #expect(answer.words == nil)
        try gateway.send(reply)
        #expect(eventually { answer.words == "Disconnect-NAK 503" })
        try gateway.send(reply)
        #expect(eventually { radsec.service.statistics.dropped[.unexpectedCode] == 2 })
        #expect(answer.words == "Disconnect-NAK 503")
    }

    @Test func whoIsNotConnectedFromThereIsNotAsked() throws {
        let radsec = try Radsec()
        let nobody = ask(radsec)
        #expect(eventually { nobody.words == "not connected" })
        let gateway = try radsec.connect()
        #expect(eventually { radsec.service.openConnections == 1 })
        for answer in [ask(radsec, client: 6), ask(radsec, source: "127.0.0.2")] {
            #expect(eventually { answer.words == "not connected" })
        }
        gateway.close()
    }

    @Test func silenceAndAnEndAreTold() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect()
        #expect(eventually { radsec.service.openConnections == 1 })
        let silent = ask(radsec)
        #expect(try gateway.receive() != nil)
        radsec.clock.advance(by: .seconds(8))
        #expect(silent.words == nil)
        radsec.clock.advance(by: .seconds(2))
        #expect(eventually { silent.words == "no answer" })
        let ended = ask(radsec)
        #expect(try gateway.receive() != nil)
        gateway.close()
        #expect(eventually { ended.words == "disconnected" })
        let tooLong = try radsec.connect()
        #expect(eventually { radsec.service.openConnections == 1 })
        let unwritable = ask(radsec) { $0.add(.userName, [UInt8](repeating: 7, count: 254)) }
        #expect(eventually { unwritable.words == "not writable" })
        let last = ask(radsec)
        #expect(try tooLong.receive() != nil)
        radsec.service.stop(drain: .seconds(0))
        #expect(eventually { last.words == "disconnected" })
        let late = ask(radsec)
        #expect(eventually { late.words == "not connected" })
    }

    @Test func theNewestConnectionIsAskedAndManyAtOnce() throws {
        let radsec = try Radsec()
        let older = try radsec.connect(patience: 200)
        #expect(eventually { radsec.service.openConnections == 1 })
        let newer = try radsec.connect()
        #expect(eventually { radsec.service.openConnections == 2 })
        let answers = (0..<300).map { _ in ask(radsec) }
        // Identifiers are 256; what has none is told at once.
        #expect(eventually { answers.count { $0.words == "no answer" } == 44 })
        var identifiers: Set<UInt8> = []
        for _ in 0..<256 {
            let asked = try packet(try #require(try newer.receive()))
            identifiers.insert(asked.identifier)
            try newer.send(try PacketWriter(reply: .disconnectACK, to: asked).sign(with: inside))
        }
        #expect(identifiers.count == 256)
        #expect(eventually { answers.count { $0.words == "Disconnect-ACK " } == 256 })
        #expect(try older.receive() == nil)
    }
}
