// SPDX-License-Identifier: Apache-2.0
// Where a packet ends in a stream: at its Length (RFC 6613 §2.6.4).

package import RADIUS

/// Gathers bytes of one connection and cuts packets from them. Pure, and bounded by what is given to it.
package struct PacketFraming {
    private var bytes: [UInt8] = []
    private var start = 0

    package init() {}

    /// Bytes that wait for the rest of their packet.
    package var count: Int { bytes.count - start }

    package mutating func append(_ more: UnsafeRawBufferPointer) {
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes.append(contentsOf: more)
    }

    /// The next whole packet; nil: more has to come first.
    ///
    /// - Throws: when Length is less than a header has, or more than a packet may: from here on nothing in the stream can be told apart.
    package mutating func next() throws(PacketError) -> [UInt8]? {
        guard count >= 4 else { return nil }
        let length = Int(bytes[start + 2]) << 8 | Int(bytes[start + 3])
        guard length >= Packet.minimumLength else { throw .lengthFieldTooSmall(length: length) }
        guard length <= Packet.maximumLength else { throw .tooLong(length: length) }
        guard count >= length else { return nil }
        defer { start += length }
        return Array(bytes[start..<start + length])
    }
}
