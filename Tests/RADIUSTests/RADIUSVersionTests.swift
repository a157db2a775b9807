// SPDX-License-Identifier: Apache-2.0
// RADIUS/1.1 (RFC 9765): the same attributes behind another header, and nothing signed or hidden.

import RADIUS
import Testing

@Suite struct RADIUSVersionTests {
    private let secret = SharedSecret("radsec")!

    private func request(_ code: Code = .accessRequest, token: UInt32 = 0x0102_0304, _ build: (inout PacketWriter) -> Void) throws
        -> [UInt8]
    {
        var writer = PacketWriter(request: code, token: token)
        build(&writer)
        return try writer.sign(with: secret)
    }

    /// RFC 9765 §4.1, octet by octet.
    @Test func aRequestIsATokenAndPlainAttributes() throws {
        let bytes = try request {
            $0.addText(.userName, "al")
            $0.addPassword(Array("pw".utf8), secret: secret)
        }
        #expect(
            bytes == [1, 0, 0, 28, 1, 2, 3, 4] + [UInt8](repeating: 0, count: 12) + [1, 4, 0x61, 0x6C, 2, 4, 0x70, 0x77])
        let packet = try Packet(decoding: bytes, version: .tokens)
        #expect(packet.token == 0x0102_0304 && packet.version == .tokens)
        #expect(try packet.password(secret: secret) == Array("pw".utf8))
        #expect("\(packet)".contains("Access-Request 16909060"))
    }

    @Test func aReplyHasTheTokenAndNoSignature() throws {
        let request = try Packet(decoding: try request { $0.addText(.userName, "al") }, version: .tokens)
        var writer = PacketWriter(reply: .accessAccept, to: request)
        writer.addText(.replyMessage, "hi")
        let bytes = try writer.sign(with: secret)
        #expect(bytes == [2, 0, 0, 24, 1, 2, 3, 4] + [UInt8](repeating: 0, count: 12) + [18, 4, 0x68, 0x69])
        let reply = try Packet(decoding: bytes, version: .tokens)
        #expect(reply.verifyReply(to: request, secret: secret) == .genuine)
        let other = try Packet(decoding: try self.request(token: 5) { _ in }, version: .tokens)
        #expect(reply.verifyReply(to: other, secret: secret) == .wrongIdentifier)
        // A reply of the other form is none.
        #expect(try Packet(decoding: bytes).verifyReply(to: request, secret: secret) == .wrongIdentifier)
    }

    /// §5.2: passed over, however it looks and however often it is there.
    @Test func aMessageAuthenticatorIsNotLookedAt() throws {
        var bytes = try request { $0.addText(.userName, "al") } + [80, 3, 9, 80, 2]
        bytes[3] = UInt8(bytes.count)
        let packet = try Packet(decoding: bytes, version: .tokens)
        #expect(!packet.contains(.messageAuthenticator))
        #expect(throws: PacketError.messageAuthenticatorLength(1)) { try Packet(decoding: bytes) }
    }

    /// Reserved octets are zero when sent, and not looked at when they come.
    @Test func reservedOctetsAreIgnored() throws {
        var bytes = try request { $0.addText(.userName, "al") }
        bytes[1] = 7
        for place in 8..<20 { bytes[place] = 0xFF }
        let packet = try Packet(decoding: bytes, version: .tokens)
        #expect(packet.token == 0x0102_0304)
        #expect(
            try PacketWriter(reply: .accessReject, to: packet).sign(with: secret) == [3, 0, 0, 20, 1, 2, 3, 4]
                + [UInt8](repeating: 0, count: 12))
    }

    @Test(arguments: [(0, true), (1, true), (17, true), (128, true), (129, false)])
    func aPasswordIsAsLongAsItIs(_ length: Int, _ isTaken: Bool) throws {
        let password = [UInt8](repeating: 0x61, count: length)
        let bytes = try request { $0.add(.userPassword, password) }
        if isTaken {
            #expect(try Packet(decoding: bytes, version: .tokens).password(secret: secret) == password)
        } else {
            #expect(throws: PacketError.userPasswordLength(length)) { try Packet(decoding: bytes, version: .tokens) }
            #expect(throws: PacketError.passwordTooLong(length: length)) { try request { $0.addPassword(password, secret: secret) } }
        }
    }

    @Test func aNULAtTheEndOfAPasswordIsPartOfIt() throws {
        let bytes = try request { $0.add(.userPassword, [0x61, 0]) }
        #expect(try Packet(decoding: bytes, version: .tokens).password(secret: secret) == [0x61, 0])
    }

    /// §5.1.2: there is no authenticator that could be the challenge.
    @Test func chapNeedsItsChallenge() throws {
        let response = CHAPResponse(identifier: 1, challenge: Array(1...16), password: Array("pw".utf8))
        let without = try request { $0.add(.chapPassword, response.bytes) }
        #expect(throws: PasswordProofError.challengeLength(.chap, 0, expected: 16)) {
            try Packet(decoding: without, version: .tokens).hashedPassword()
        }
        let with = try request {
            $0.add(.chapPassword, response.bytes)
            $0.add(.chapChallenge, response.challenge)
        }
        #expect(try Packet(decoding: with, version: .tokens).hashedPassword() == .chap(response))
    }
}
