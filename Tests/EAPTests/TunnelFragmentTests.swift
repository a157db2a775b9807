// SPDX-License-Identifier: Apache-2.0
// Fragments (RFC 5216 §2.1.5, §3.1), both ways, and every limit on both sides of it.

import Testing

@testable import EAP

struct TunnelFragmentTests {
    private func length(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } }

    @Test func piecesMakeTheMessage() throws {
        var assembly = FragmentAssembly()
        #expect(try assembly.take([0xc0] + length(5) + [1, 2]) == .more)
        #expect(try assembly.take([0x40, 3]) == .more)
        #expect(try assembly.take([0x00, 4, 5]) == .message([1, 2, 3, 4, 5]))
        // And is ready for the next.
        #expect(try assembly.take([0x00, 9]) == .message([9]))
    }

    @Test func lengthMayStandInEveryPiece() throws {
        var assembly = FragmentAssembly()
        #expect(try assembly.take([0xc0] + length(2) + [1]) == .more)
        #expect(try assembly.take([0x80] + length(2) + [2]) == .message([1, 2]))
        #expect(try assembly.take([0x80] + length(1) + [3]) == .message([3]))
    }

    @Test(arguments: [[0x00], [0x80, 0, 0, 0, 0], [0x01]] as [[UInt8]]) func nothingInsideIsAnAcknowledgement(_ data: [UInt8]) throws {
        var assembly = FragmentAssembly()
        #expect(try assembly.take(data[...]) == .acknowledgement)
    }

    @Test(
        arguments: [
            ([], .truncated), ([0x80, 0, 0, 0], .truncated), ([0x20], .start), ([0x40, 1], .lengthMissing), ([0xc0, 0, 0, 0, 4], .empty),
            ([0xc0, 0, 1, 0, 1, 9], .tooLong(65_537)), ([0xc0, 0, 0, 0, 1, 9], .lengthMismatch(said: 1, received: 1)),
            ([0x80, 0, 0, 0, 1, 9, 9], .lengthMismatch(said: 1, received: 2)),
            ([0x80, 0, 0, 0, 2, 9], .lengthMismatch(said: 2, received: 1)),
            ([0x80, 0, 0, 0, 2], .lengthMismatch(said: 2, received: 0)),
            ([0x80, 0, 0, 0, 0, 9], .lengthMismatch(said: 0, received: 1)),
        ] as [([UInt8], FragmentError)]) func wrongFirstPieceIsRefused(_ data: [UInt8], _ error: FragmentError)
    {
        var assembly = FragmentAssembly()
        #expect(throws: error) { try assembly.take(data[...]) }
    }

    @Test(
        arguments: [
            ([0xc0, 0, 0, 0, 5, 3], .lengthChanged(from: 4, to: 5)), ([0x40, 3, 4], .lengthMismatch(said: 4, received: 4)),
            ([0x00, 3, 4, 5], .lengthMismatch(said: 4, received: 5)), ([0x00], .lengthMismatch(said: 4, received: 2)), ([0x40], .empty),
        ] as [([UInt8], FragmentError)]) func wrongLaterPieceIsRefused(_ data: [UInt8], _ error: FragmentError) throws
    {
        var assembly = FragmentAssembly()
        #expect(try assembly.take([0xc0] + length(4) + [1, 2]) == .more)
        #expect(throws: error) { try assembly.take(data[...]) }
        #expect(!error.words.isEmpty)
    }

    @Test func longestMessageIsTaken() throws {
        var assembly = FragmentAssembly()
        let limit = FragmentAssembly.longestMessage
        var data: [UInt8] = [0xc0] + length(limit) + Array(repeating: 1, count: limit - 1)
        #expect(try assembly.take(data[...]) == .more)
        data = [0x00, 1]
        #expect(try assembly.take(data[...]) == .message(Array(repeating: 1, count: limit)))
    }

    @Test(arguments: [64, 500, 1020, 1400], [0, 1, 57, 58, 59, 494, 495, 1014, 1015, 5_000, 65_536])
    func queueCutsWhatTheAssemblyPutsTogether(_ packet: Int, _ count: Int) throws {
        let message = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        var queue = FragmentQueue(packet: packet, version: 0)
        queue.put(message)
        var assembly = FragmentAssembly()
        for round in 0..<2_000 {
            let fragment = queue.next()
            #expect(fragment.count + EAPPacket.typedLength <= packet)
            switch try assembly.take(fragment[...]) {
            case .more: #expect(!queue.isEmpty)
            case .message(let bytes):
                #expect(bytes == message && queue.isEmpty)
                return
            case .acknowledgement:
                #expect(message.isEmpty && round == 0 && queue.isEmpty)
                return
            }
        }
        Issue.record("the queue does not end")
    }

    @Test(arguments: [(nil, 1020), (10, 64), (64, 64), (65, 65), (1400, 1400), (1500, 1400)] as [(Int?, Int)])
    func packetsFitTheWay(_ framedMTU: Int?, _ packet: Int) {
        #expect(FragmentQueue.packet(framedMTU: framedMTU) == packet)
    }

    @Test func versionStandsInEveryPacket() {
        var queue = FragmentQueue(packet: 64, version: 1)
        queue.put(Array(repeating: 0, count: 100))
        #expect(queue.next()[0] == 0xc1)
        #expect(queue.next()[0] == 0x01)
        #expect(queue.next() == [0x01])
    }
}
