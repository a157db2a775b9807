// SPDX-License-Identifier: Apache-2.0
// The 16 bytes that tie a reply to its request.

/// A Request or Response Authenticator (RFC 2865 §3): 16 bytes, kept as two words so that comparing and hashing are cheap.
public struct Authenticator: Sendable, Hashable {
    /// Length on the wire in bytes (RFC 2865 §3).
    public static let length = 16

    /// Bytes 0–7, first byte most significant.
    public let high: UInt64
    /// Bytes 8–15, first byte most significant.
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Draws a Request Authenticator. RFC 2865 §3 asks for unpredictable values, so pass a generator made for secrets.
    public init(using generator: inout some RandomNumberGenerator) {
        self.init(high: generator.next(), low: generator.next())
    }

    /// Takes exactly 16 bytes; any other count gives nil.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.length else { return nil }
        self.init(bytes.span, at: 0)
    }

    /// 16 zero bytes: what stands in place of the authenticator while RFC 2866 §3 digests are computed.
    public static let zero = Authenticator(high: 0, low: 0)

    /// The 16 bytes in wire order.
    public var bytes: [UInt8] {
        (0..<Self.length).map { self[$0] }
    }

    /// The byte at `index`, 0–15.
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < Self.length)
        let word = index < 8 ? high : low
        return UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * (index & 7)))
    }

    init(_ bytes: borrowing Span<UInt8>, at offset: Int) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<8 {
            high = high << 8 | UInt64(bytes[offset + index])
            low = low << 8 | UInt64(bytes[offset + 8 + index])
        }
        self.init(high: high, low: low)
    }

    func write(to bytes: inout [UInt8], at offset: Int) {
        for index in 0..<Self.length { bytes[offset + index] = self[index] }
    }
}

/// Compares without stopping at the first difference, so that the time tells nothing about where two values part.
///
/// Values of different length are unequal at once: lengths are no secret.
public func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    constantTimeEquals(left.span, right.span)
}

/// As above, for bytes that are looked at in place.
public func constantTimeEquals(_ left: borrowing Span<UInt8>, _ right: borrowing Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for index in 0..<left.count { difference |= left[index] ^ right[index] }
    return difference == 0
}
