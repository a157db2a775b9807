// SPDX-License-Identifier: Apache-2.0

internal import RADIUS
internal import Testing

struct SigningTests {
    @Test(arguments: ExchangeVector.packets) func publishedRepliesBelongToTheirRequests(_ vector: ExchangeVector) throws {
        let request = try Packet(decoding: vector.request.bytes)
        let reply = try Packet(decoding: #require(vector.reply).bytes)
        let secret = try vector.sharedSecret()
        #expect(reply.verifyReply(to: request, secret: secret, requiringMessageAuthenticator: false) == .genuine)
        #expect(reply.verifyReply(to: request, secret: secret) == .missingMessageAuthenticator)
    }

    @Test(arguments: ExchangeVector.packets) func publishedRepliesAreWrittenByteByByte(_ vector: ExchangeVector) throws {
        let request = try Packet(decoding: vector.request.bytes)
        let reply = try #require(vector.reply).bytes
        let code = try #require(Code(rawValue: reply[0]))
        var writer = PacketWriter(reply: code, to: request, messageAuthenticator: false)
        for attribute in try #require(vector.replyAttributes) {
            writer.add(AttributeType(rawValue: attribute.type), attribute.value.bytes)
        }
        #expect(try writer.sign(with: vector.sharedSecret()) == reply)
    }

    @Test func thePublishedRequestIsWrittenByteByByte() throws {
        let vector = try #require(ExchangeVector.packets.first)
        let secret = try vector.sharedSecret()
        let original = try Packet(decoding: vector.request.bytes)
        var writer = PacketWriter(
            request: .accessRequest, identifier: 0, authenticator: original.authenticator, messageAuthenticator: false)
        writer.addText(.userName, "nemo")
        writer.addPassword(Array("arctangent".utf8), secret: secret)
        writer.addIPv4(.nasIPAddress, IPv4Address(0xc0a8_0110))
        writer.addInteger(.nasPort, 3)
        #expect(try writer.sign(with: secret) == vector.request.bytes)
    }

    @Test(arguments: ExchangeVector.signed) func signedExchangesAreGenuine(_ vector: ExchangeVector) throws {
        let request = try Packet(decoding: vector.request.bytes)
        let reply = try Packet(decoding: #require(vector.reply).bytes)
        let secret = try vector.sharedSecret()
        #expect(request.hasValidMessageAuthenticator(secret: secret) == request.contains(.messageAuthenticator))
        #expect(request.hasValidRequestAuthenticator(secret: secret) == request.code.hasComputedRequestAuthenticator)
        let required = reply.contains(.messageAuthenticator)
        #expect(reply.verifyReply(to: request, secret: secret, requiringMessageAuthenticator: required) == .genuine)
    }

    @Test(arguments: ExchangeVector.signed) func signedExchangesAreWrittenByteByByte(_ vector: ExchangeVector) throws {
        let request = try Packet(decoding: vector.request.bytes)
        let secret = try vector.sharedSecret()
        if request.bytes[20] == AttributeType.messageAuthenticator.rawValue || !request.contains(.messageAuthenticator) {
            let signed = request.contains(.messageAuthenticator)
            var writer = PacketWriter(
                request: request.code, identifier: request.identifier, authenticator: request.authenticator,
                messageAuthenticator: signed)
            for attribute in request.attributes where attribute.type != .messageAuthenticator {
                writer.add(attribute.type, request.value(of: attribute))
            }
            #expect(try writer.sign(with: secret) == request.bytes)
        }
        let reply = try Packet(decoding: #require(vector.reply).bytes)
        var writer = PacketWriter(reply: reply.code, to: request, messageAuthenticator: reply.contains(.messageAuthenticator))
        for attribute in reply.attributes where attribute.type != .messageAuthenticator {
            writer.add(attribute.type, reply.value(of: attribute))
        }
        #expect(try writer.sign(with: secret) == reply.bytes)
    }

    @Test(arguments: ExchangeVector.signed) func anyChangedBitOfARequestIsSeen(_ vector: ExchangeVector) throws {
        let secret = try vector.sharedSecret()
        for index in vector.request.bytes.indices {
            var bytes = vector.request.bytes
            bytes[index] ^= 1
            guard let packet = try? Packet(decoding: bytes) else { continue }
            #expect(!packet.hasValidMessageAuthenticator(secret: secret) || packet.code.hasComputedRequestAuthenticator)
            #expect(!packet.hasValidRequestAuthenticator(secret: secret))
        }
    }

    @Test(arguments: ExchangeVector.packets + ExchangeVector.signed) func anyChangedBitOfAReplyIsSeen(_ vector: ExchangeVector) throws {
        let secret = try vector.sharedSecret()
        let request = try Packet(decoding: vector.request.bytes)
        let reply = try #require(vector.reply).bytes
        for index in reply.indices {
            var bytes = reply
            bytes[index] ^= 1
            guard let packet = try? Packet(decoding: bytes) else { continue }
            #expect(packet.verifyReply(to: request, secret: secret, requiringMessageAuthenticator: false) != .genuine)
        }
    }

    @Test func aReplyWithAnotherIdentifierOrSecretIsNotGenuine() throws {
        let vector = try #require(ExchangeVector.signed.first)
        let secret = try vector.sharedSecret()
        let request = try Packet(decoding: vector.request.bytes)
        let reply = try Packet(decoding: #require(vector.reply).bytes)
        #expect(try reply.verifyReply(to: request, secret: #require(SharedSecret("other"))) == .wrongResponseAuthenticator)
        var other = vector.request.bytes
        other[1] ^= 1
        #expect(try reply.verifyReply(to: Packet(decoding: other), secret: secret) == .wrongIdentifier)
    }

    /// What CVE-2024-3596 makes: a right Response Authenticator over a wrong Message-Authenticator.
    @Test func aWrongMessageAuthenticatorUnderARightResponseAuthenticatorIsSeen() throws {
        let secret = try #require(SharedSecret("secret"))
        let request = try Packet(
            decoding: PacketWriter(request: .accessRequest, identifier: 3, authenticator: Authenticator(high: 1, low: 2)).sign(with: secret)
        )
        let right = try PacketWriter(reply: .accessReject, to: request).sign(with: secret)
        var forged = right
        forged[22] ^= 1
        let unsigned = Array(forged[..<4]) + request.authenticator.bytes + Array(forged[20...])
        forged.replaceSubrange(4..<20, with: MD5.digest(unsigned + secret.bytes).bytes)
        #expect(try Packet(decoding: right).verifyReply(to: request, secret: secret) == .genuine)
        #expect(try Packet(decoding: forged).verifyReply(to: request, secret: secret) == .wrongMessageAuthenticator)
    }

    @Test func anEAPReplyNeedsAMessageAuthenticatorEvenWhenOthersDoNot() throws {
        let vector = try #require(ExchangeVector.packets.first)
        let secret = try vector.sharedSecret()
        let request = try Packet(decoding: vector.request.bytes)
        var writer = PacketWriter(reply: .accessChallenge, to: request, messageAuthenticator: false)
        writer.addSplit(.eapMessage, [1, 2, 0, 4])
        let reply = try Packet(decoding: writer.sign(with: secret))
        #expect(reply.verifyReply(to: request, secret: secret, requiringMessageAuthenticator: false) == .missingMessageAuthenticator)
    }
}

struct BlastRADIUSTests {
    static let modes: [MessageAuthenticatorMode] = [.require, .auto(pinned: true), .auto(pinned: false), .allow]

    @Test(arguments: modes) func aRightOneIsAlwaysAccepted(_ mode: MessageAuthenticatorMode) {
        let facts = RequestFacts(messageAuthenticator: .right, hasProxyState: true, hasEAPMessage: true, isStatusServer: true)
        #expect(BlastRADIUSVerdict.judge(facts, mode: mode) == .accept)
    }

    @Test(arguments: modes) func aWrongOneIsAlwaysDropped(_ mode: MessageAuthenticatorMode) {
        #expect(BlastRADIUSVerdict.judge(RequestFacts(messageAuthenticator: .wrong), mode: mode) == .wrongMessageAuthenticator)
    }

    @Test(arguments: modes) func proxyStateEAPAndStatusServerNeedOneInEveryMode(_ mode: MessageAuthenticatorMode) {
        let proxied = RequestFacts(messageAuthenticator: .absent, hasProxyState: true)
        let eap = RequestFacts(messageAuthenticator: .absent, hasEAPMessage: true)
        let status = RequestFacts(messageAuthenticator: .absent, isStatusServer: true)
        #expect(BlastRADIUSVerdict.judge(proxied, mode: mode) == .proxyStateWithoutMessageAuthenticator)
        #expect(BlastRADIUSVerdict.judge(eap, mode: mode) == .eapWithoutMessageAuthenticator)
        #expect(BlastRADIUSVerdict.judge(status, mode: mode) == .missingMessageAuthenticator)
    }

    @Test func aPlainRequestWithoutOneDependsOnTheMode() {
        let facts = RequestFacts(messageAuthenticator: .absent)
        #expect(
            Self.modes.map { BlastRADIUSVerdict.judge(facts, mode: $0) } == [
                .missingMessageAuthenticator, .missingMessageAuthenticator, .accept, .accept,
            ])
    }

    @Test func factsAreReadFromThePacket() throws {
        let signed = try #require(ExchangeVector.signed.first)
        let packet = try Packet(decoding: signed.request.bytes)
        #expect(try RequestFacts(packet, secret: signed.sharedSecret()) == RequestFacts(messageAuthenticator: .right, hasProxyState: true))
        #expect(try RequestFacts(packet, secret: #require(SharedSecret("other"))).messageAuthenticator == .wrong)
        let status = try #require(ExchangeVector.packets.last)
        #expect(
            try RequestFacts(Packet(decoding: status.request.bytes), secret: status.sharedSecret())
                == RequestFacts(messageAuthenticator: .right, isStatusServer: true))
        let plain = try #require(ExchangeVector.packets.first)
        #expect(
            try RequestFacts(Packet(decoding: plain.request.bytes), secret: plain.sharedSecret())
                == RequestFacts(messageAuthenticator: .absent))
    }
}
