// SPDX-License-Identifier: Apache-2.0
// The 128-bit values that name a login, a handle and a request.

/// 128 bits, as two words so that it costs no allocation.
package struct Bits128: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init(random: inout some RandomNumberGenerator) {
        high = random.next()
        low = random.next()
    }

    /// - Returns: nil unless there are exactly 16 bytes.
    package init?(_ bytes: some Sequence<UInt8>) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        var count = 0
        for byte in bytes {
            guard count < 16 else { return nil }
            if count < 8 { high = high << 8 | UInt64(byte) } else { low = low << 8 | UInt64(byte) }
            count += 1
        }
        guard count == 16 else { return nil }
        self.init(high: high, low: low)
    }

    /// Big-endian, 16 bytes.
    package var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 16)
        for index in 0..<8 {
            bytes[index] = UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64(index)))
            bytes[index + 8] = UInt8(truncatingIfNeeded: low >> (56 - 8 * UInt64(index)))
        }
        return bytes
    }
}

/// Names one login in every log line, event and page, however many packets it takes.
///
/// Its text is 26 characters of Crockford's base 32, lower case; `trace` also takes any unique beginning.
package struct LoginID: Hashable, Sendable, CustomStringConvertible {
    package var bits: Bits128

    package init(_ bits: Bits128) {
        self.bits = bits
    }

    package var description: String {
        var text = ""
        text.reserveCapacity(26)
        var (high, low) = (bits.high, bits.low)
        for _ in 0..<26 {
            text.unicodeScalars.append(Self.alphabet[Int(high >> 59)])
            high = high << 5 | low >> 59
            low <<= 5
        }
        return text
    }

    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".unicodeScalars)

    /// The identifiers whose text begins with `prefix`, as an inclusive range; nil when a character is not of the alphabet.
    package static func range(ofPrefix prefix: String) -> ClosedRange<Bits128>? {
        guard (1...26).contains(prefix.utf8.count) else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        var (topHigh, topLow): (UInt64, UInt64) = (.max, .max)
        var position = 0
        for scalar in prefix.lowercased().unicodeScalars {
            // Crockford: what people misread stands for what was meant.
            let meant: Unicode.Scalar = scalar == "o" ? "0" : scalar == "i" || scalar == "l" ? "1" : scalar
            guard let value = alphabet.firstIndex(of: meant) else { return nil }
            for bit in 0..<5 where position < 128 {
                let isSet = value & (16 >> bit) != 0
                if position < 64 {
                    let mask = UInt64(1) << UInt64(63 - position)
                    if isSet { high |= mask } else { topHigh &= ~mask }
                } else {
                    let mask = UInt64(1) << UInt64(127 - position)
                    if isSet { low |= mask } else { topLow &= ~mask }
                }
                position += 1
            }
        }
        return Bits128(high: high, low: low)...Bits128(high: topHigh, low: topLow)
    }
}

extension Bits128: Comparable {
    package static func < (left: Bits128, right: Bits128) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }
}

/// The random part of a login handle (RADIUS State); `HandleSeal` adds the MAC and makes the text.
package struct HandleID: Hashable, Sendable {
    package var bits: Bits128

    package init(_ bits: Bits128) {
        self.bits = bits
    }
}

/// A hash that tells a request or a proof from another without revealing it: of a whole datagram (unkeyed), or of what was
/// typed and whence (keyed, see `HandleSeal.digest`).
package struct Fingerprint: Hashable, Sendable {
    package var bits: Bits128

    package init(_ bits: Bits128) {
        self.bits = bits
    }
}
