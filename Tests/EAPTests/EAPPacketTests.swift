// SPDX-License-Identifier: Apache-2.0

import EAP
import Testing

struct EAPPacketTests {
    @Test(
        arguments: [
            // RFC 3748 §5.1, §5.3.1, §5.4, §5.6, §4.2
            (
                [2, 7, 0, 10, 1, 0x61, 0x6c, 0x69, 0x63, 0x65],
                EAPPacket(.response, identifier: 7, type: .identity, data: Array("alice".utf8))
            ),
            ([1, 255, 0, 5, 1], EAPPacket(.request, identifier: 255, type: .identity)),
            ([2, 0, 0, 6, 3, 26], EAPPacket(.response, identifier: 0, type: .nak, data: [26])),
            ([1, 9, 0, 8, 6, 0x50, 0x49, 0x4e], EAPPacket(.request, identifier: 9, type: .genericTokenCard, data: Array("PIN".utf8))),
            ([3, 4, 0, 4], EAPPacket(.success, identifier: 4)),
            ([4, 4, 0, 4], EAPPacket(.failure, identifier: 4)),
        ] as [([UInt8], EAPPacket)])
    func packetsAreReadAndWritten(_ bytes: [UInt8], _ packet: EAPPacket) throws {
        #expect(try EAPPacket(bytes[...]) == packet)
        #expect(packet.bytes == bytes)
        // RFC 3748 §4.1: what stands behind the length is padding.
        #expect(try EAPPacket((bytes + [0, 0, 0])[...]) == packet)
        // A slice that does not begin at zero.
        #expect(try EAPPacket(([9, 9] + bytes).dropFirst(2)) == packet)
    }

    @Test(
        arguments: [
            ([], .truncated(0)), ([2, 1, 0], .truncated(3)), ([2, 1, 0, 6, 1], .truncated(5)), ([1, 1, 0xff, 0xff, 1], .truncated(5)),
            ([2, 1, 0, 4], .length(4)), ([1, 1, 0, 0, 1], .length(0)), ([2, 1, 0, 3, 1], .length(3)), ([3, 1, 0, 2], .length(2)),
            ([0, 1, 0, 5, 1], .code(0)), ([5, 1, 0, 5, 1], .code(5)), ([255, 1, 0, 4], .code(255)),
            ([3, 1, 0, 5, 0], .trailing(1)), ([4, 1, 0, 6, 0, 0], .trailing(2)),
        ] as [([UInt8], EAPError)])
    func malformedPacketsAreNamed(_ bytes: [UInt8], _ error: EAPError) {
        #expect(throws: error) { try EAPPacket(bytes[...]) }
        #expect(!error.description.isEmpty)
    }

    @Test func theLongestPacketIsWrittenWhole() throws {
        let data = [UInt8](repeating: 7, count: EAPPacket.maximumLength - EAPPacket.typedLength)
        let packet = EAPPacket(.request, identifier: 1, type: .tls, data: data)
        #expect(packet.bytes.count == EAPPacket.maximumLength)
        #expect(try EAPPacket(packet.bytes[...]) == packet)
        let longer = EAPPacket(.request, identifier: 1, type: .tls, data: data + [7])
        #expect(longer.bytes == packet.bytes)
    }

    @Test func secretsAreNotPrinted() {
        let secret = EAPSecret(Array("sesame".utf8))
        let question = EAPQuestion(method: "EAP-GTC", proof: .password(secret))
        let keys = EAPKeys(receive: secret, send: secret)
        for value in ["\(secret)", "\(question)", "\(keys)", String(reflecting: question), String(reflecting: keys)] {
            #expect(!value.contains("115") && !value.contains("sesame") && value.contains("<secret>"))
        }
        #expect(secret == EAPSecret(Array("sesame".utf8)))
        #expect(secret != EAPSecret(Array("sesamE".utf8)))
        #expect(secret != EAPSecret([]))
    }
}
