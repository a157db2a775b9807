// SPDX-License-Identifier: Apache-2.0

internal import RADIUS
internal import Testing

struct VectorFilesTests {
    @Test func everyVectorFileIsRead() {
        #expect(ExchangeVector.packets.count == 5)
        #expect(ExchangeVector.signed.count == 7)
        #expect(MalformedVector.all.count >= 138)
        #expect(Set(MalformedVector.all.map { "\($0.datagram.bytes) \($0.version ?? "")" }).count == MalformedVector.all.count)
        #expect(Set(MalformedVector.all.map(\.name)).count == MalformedVector.all.count)
        #expect(UnusualVector.all.count == 18)
        #expect(DigestVector.all.count == 7)
        #expect(HMACVector.all.count == 7)
    }
}

struct DecodingTests {
    @Test(arguments: ExchangeVector.packets) func publishedPacketsAreReadByteByByte(_ vector: ExchangeVector) throws {
        let request = try Packet(decoding: vector.request.bytes)
        #expect(request.code.rawValue == vector.request.bytes[0])
        #expect(request.identifier == vector.request.bytes[1])
        #expect(request.authenticator.bytes == Array(vector.request.bytes[4..<20]))
        let expected = try #require(vector.attributes)
        #expect(request.attributes.map(\.type.rawValue) == expected.map(\.type))
        #expect(request.attributes.map { Array(request.value(of: $0)) } == expected.map(\.value.bytes))
        if let reply = vector.reply {
            let packet = try Packet(decoding: reply.bytes)
            let expected = try #require(vector.replyAttributes)
            #expect(packet.attributes.map(\.type.rawValue) == expected.map(\.type))
            #expect(packet.attributes.map { Array(packet.value(of: $0)) } == expected.map(\.value.bytes))
        }
    }

    @Test(arguments: MalformedVector.all) func malformedDatagramsAreRefusedWithTheirCause(_ vector: MalformedVector) throws {
        let version = try #require(vector.spoken)
        let error = #expect(throws: PacketError.self) { try Packet(decoding: vector.datagram.bytes, version: version) }
        #expect(error?.cause == vector.cause)
        #expect(error?.description.hasSuffix(".") == true)
        // What is decoded in place is never of RADIUS/1.1, which comes by TLS.
        guard version == .historic else { return }
        let inPlace = #expect(throws: PacketError.self) { try Packet(decoding: vector.datagram.bytes.span) }
        #expect(inPlace == error)
    }

    @Test(arguments: UnusualVector.all) func unusualDatagramsArePackets(_ vector: UnusualVector) throws {
        let packet = try Packet(decoding: vector.datagram.bytes)
        #expect(packet.bytes == Array(vector.datagram.bytes.prefix(vector.length)))
        #expect(Array(packet.attributes).count == vector.attributes)
        #expect(packet.reencoded() == packet.bytes)
        #expect(try Packet(decoding: vector.datagram.bytes.span) == packet)
    }

    @Test(arguments: ExchangeVector.packets + ExchangeVector.signed) func anHonestPacketCutAnywhereIsRefused(_ vector: ExchangeVector) {
        let bytes = vector.request.bytes
        for count in 0..<bytes.count {
            #expect(throws: PacketError.self) { try Packet(decoding: Array(bytes.prefix(count))) }
        }
    }

    @Test func causesAreDifferentWords() {
        let errors: [PacketError] = [
            .tooShort(received: 0), .tooLong(length: 5000), .lengthFieldTooSmall(length: 1),
            .lengthFieldBeyondDatagram(length: 30, received: 20), .unknownCode(6), .attributeTruncated(.userName),
            .attributeLengthTooSmall(.userName), .tooManyAttributes, .attributeRepeated(.state), .userPasswordLength(3),
            .chapPasswordLength(3), .nasIPAddressLength(3), .stateLength(0), .messageAuthenticatorLength(3),
            .nasIPv6AddressLength(3), .textNotUTF8(.replyMessage), .valueTooLong(.replyMessage, length: 254),
            .passwordTooLong(length: 129),
        ]
        #expect(Set(errors.map(\.cause)).count == errors.count)
        #expect(Set(errors.map(\.description)).count == errors.count)
        #expect(errors.allSatisfy { $0.cause.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" } })
    }

    @Test func printingAPacketShowsNoValue() throws {
        let vector = try #require(ExchangeVector.packets.first)
        let packet = try Packet(decoding: vector.request.bytes)
        var dumped = ""
        dump(packet, to: &dumped)
        #expect("\(packet)" == "Access-Request 0, 56 bytes, 4 attributes")
        #expect(String(reflecting: packet) == "\(packet)")
        #expect(!dumped.contains("[") && !dumped.contains("0x"))
    }
}
