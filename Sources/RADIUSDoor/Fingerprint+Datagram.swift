// SPDX-License-Identifier: Apache-2.0
// A datagram's fingerprint. Apart from the mapping, because Crypto has a `SharedSecret` too.

internal import Crypto
import LoginEngine

extension Fingerprint {
    /// Of a packet of RADIUS/1.1, which has no random number: the same token with the same password on another connection is another
    /// request (RFC 9765 §4.2.2), and must not be taken for one that was accepted already.
    init(ofPacket packet: [UInt8], connection: UInt64) {
        self.init(ofDatagram: packet + (0..<8).map { UInt8(truncatingIfNeeded: connection >> (8 * $0)) })
    }

    /// The first half of SHA-256 over the datagram.
    init(ofDatagram datagram: [UInt8]) {
        self = SHA256.hash(data: datagram).withUnsafeBytes { bytes in
            Fingerprint(
                Bits128(
                    high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                    low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))))
        }
    }
}
