// SPDX-License-Identifier: Apache-2.0

import EAP
import Testing

@Suite("EAP packets")
struct EAPPacketTests {
    @Test func readsAndWritesAResponse() throws {
        let bytes: [UInt8] = [2, 7, 0, 10, 1] + Array("alice".utf8)
        let packet = try EAPPacket(bytes[...])
        #expect(packet == EAPPacket(.response, identifier: 7, type: .identity, data: Array("alice".utf8)))
        #expect(packet.bytes == bytes)
    }
}
