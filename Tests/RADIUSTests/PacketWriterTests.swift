// SPDX-License-Identifier: Apache-2.0

internal import RADIUS
internal import Testing

struct PacketWriterTests {
    let secret: SharedSecret
    let request: Packet

    init() throws {
        secret = try #require(SharedSecret("secret"))
        var writer = PacketWriter(request: .accessRequest, identifier: 77, authenticator: Authenticator(high: 3, low: 4))
        for value in [[1, 2], [], [3]] as [[UInt8]] { writer.add(.proxyState, value) }
        request = try Packet(decoding: writer.sign(with: secret))
    }

    func reply(_ code: Code = .accessAccept, _ build: (inout PacketWriter) -> Void) throws(PacketError) -> Packet {
        var writer = PacketWriter(reply: code, to: request)
        build(&writer)
        return try Packet(decoding: writer.sign(with: secret))
    }

    @Test(arguments: [Code.accessAccept, .accessReject, .accessChallenge, .coaACK, .disconnectNAK])
    func messageAuthenticatorComesFirst(_ code: Code) throws {
        let packet = try reply(code) { $0.addText(.replyMessage, "hello") }
        #expect(packet.attributes.map(\.type) == [.messageAuthenticator, .replyMessage])
        #expect(packet.identifier == 77)
        #expect(packet.verifyReply(to: request, secret: secret) == .genuine)
    }

    @Test func accountingIsSignedWithoutItUnlessAsked() throws {
        #expect(try reply(.accountingResponse) { _ in }.bytes.count == 20)
        let writer = PacketWriter(reply: .accountingResponse, to: request, messageAuthenticator: true)
        #expect(try Packet(decoding: writer.sign(with: secret)).verifyReply(to: request, secret: secret) == .genuine)
    }

    @Test func proxyStatesAreCopiedInOrder() throws {
        let packet = try reply { $0.copyProxyState(from: request) }
        #expect(packet.attributes.filter { $0.type == .proxyState }.map { Array(packet.value(of: $0)) } == [[1, 2], [], [3]])
    }

    @Test func longTextIsSplitBetweenScalars() throws {
        let texts = ["a" + String(repeating: "é", count: 300), String(repeating: "🙂", count: 200), String(repeating: "x", count: 507)]
        for text in texts {
            let packet = try reply { $0.addText(.replyMessage, text) }
            let pieces = packet.attributes.filter { $0.type == .replyMessage }
            #expect(pieces.count == (text.utf8.count + 249) / 250 || pieces.count == (text.utf8.count + 252) / 253)
            #expect(try pieces.map { try packet.text(of: $0) }.joined() == text)
        }
    }

    @Test(arguments: [(252, 1), (253, 1), (254, 2), (506, 2), (507, 3)]) func textIsSplitAt253Bytes(_ count: Int, _ pieces: Int) throws {
        let packet = try reply { $0.addText(.replyMessage, String(repeating: "x", count: count)) }
        #expect(packet.attributes.filter { $0.type == .replyMessage }.count == pieces)
    }

    @Test func emptyTextAddsNothing() throws {
        #expect(try reply { $0.addText(.replyMessage, "") }.contains(.replyMessage) == false)
    }

    @Test func eapMessagesAreSplitAndJoined() throws {
        let message = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        let packet = try reply(.accessChallenge) { $0.addSplit(.eapMessage, message) }
        #expect(packet.attributes.filter { $0.type == .eapMessage }.map(\.range.count) == [253, 253, 253, 241])
        #expect(packet.joined(.eapMessage) == message)
    }

    @Test func aValueOf253BytesFitsAndOneMoreDoesNot() throws {
        #expect(try reply { $0.add(.class, [UInt8](repeating: 1, count: 253)) }.octets(.class)?.count == 253)
        #expect(throws: PacketError.valueTooLong(.class, length: 254)) {
            try reply { $0.add(.class, [UInt8](repeating: 1, count: 254)) }
        }
    }

    @Test func aVendorValueOf247BytesFitsAndOneMoreDoesNot() throws {
        #expect(try reply { $0.addVendor(9, type: 1, [UInt8](repeating: 1, count: 247)) }.first(vendor: 9, type: 1)?.range.count == 247)
        #expect(throws: PacketError.valueTooLong(.vendorSpecific, length: 254)) {
            try reply { $0.addVendor(9, type: 1, [UInt8](repeating: 1, count: 248)) }
        }
    }

    @Test func aPacketOf4096BytesFitsAndOneMoreDoesNot() throws {
        func fill(_ writer: inout PacketWriter, last: Int) {
            for _ in 0..<15 { writer.add(.class, [UInt8](repeating: 1, count: 253)) }
            writer.add(.class, [UInt8](repeating: 1, count: last))
        }
        // 20 header, 18 Message-Authenticator, 15 × 255, and the rest.
        #expect(try reply { fill(&$0, last: 231) }.bytes.count == 4096)
        #expect(throws: PacketError.tooLong(length: 4097)) { try reply { fill(&$0, last: 232) } }
    }

    @Test func fiveHundredAndTwelveAttributesFitAndOneMoreDoesNot() throws {
        let packet = try reply { for _ in 0..<511 { $0.add(.class, []) } }
        #expect(Array(packet.attributes).count == 512)
        #expect(throws: PacketError.tooManyAttributes) { try reply { for _ in 0..<512 { $0.add(.class, []) } } }
    }

    @Test func theFirstMistakeIsTheOneReported() {
        #expect(throws: PacketError.passwordTooLong(length: 129)) {
            try reply {
                $0.addPassword([UInt8](repeating: 1, count: 129), secret: secret)
                $0.add(.class, [UInt8](repeating: 1, count: 254))
            }
        }
    }

    @Test func aSecondMessageAuthenticatorIsRefused() {
        #expect(throws: PacketError.attributeRepeated(.messageAuthenticator)) {
            try reply { $0.add(.messageAuthenticator, [UInt8](repeating: 0, count: 16)) }
        }
    }

    @Test func aStatusServerRequestIsSigned() throws {
        let writer = PacketWriter(request: .statusServer, identifier: 1, authenticator: Authenticator(high: 5, low: 6))
        let packet = try Packet(decoding: writer.sign(with: secret))
        #expect(packet.hasValidMessageAuthenticator(secret: secret))
        #expect(packet.authenticator == Authenticator(high: 5, low: 6))
    }

    /// decode(encode(p)) == p for packets drawn from a fixed seed.
    @Test(arguments: 0..<200) func whatIsWrittenIsReadBack(_ seed: Int) throws {
        var random = SplitMix(state: UInt64(seed))
        let free = (0...255).map { AttributeType(rawValue: $0) }.filter {
            ![.userName, .userPassword, .chapPassword, .state, .messageAuthenticator, .nasIPAddress, .nasIPv6Address].contains($0)
        }
        let values = (0..<Int.random(in: 0...12, using: &random)).map { _ in
            let count = Int.random(in: 0...253, using: &random)
            return (free.randomElement(using: &random)!, (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        }
        let code = Code.allCases.randomElement(using: &random)!
        var writer = PacketWriter(request: code, identifier: UInt8(truncatingIfNeeded: seed), authenticator: Authenticator(using: &random))
        for (type, value) in values { writer.add(type, value) }
        let packet = try Packet(decoding: writer.sign(with: secret))
        let read = packet.attributes.filter { $0.type != .messageAuthenticator }
        #expect(read.map(\.type) == values.map(\.0))
        #expect(read.map { Array(packet.value(of: $0)) } == values.map(\.1))
        #expect(packet.reencoded() == packet.bytes)
        #expect(packet.code == code)
    }
}

/// A small generator whose numbers follow from its seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
