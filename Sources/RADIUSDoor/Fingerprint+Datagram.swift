// SPDX-License-Identifier: Apache-2.0
// A datagram's fingerprint. Apart from the mapping, because Crypto has a `SharedSecret` too.

internal import Crypto
import LoginEngine

extension Fingerprint {
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
