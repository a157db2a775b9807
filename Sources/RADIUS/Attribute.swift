// SPDX-License-Identifier: Apache-2.0
// Attributes as they lie in a packet: a type and where its value is.

/// The type of an attribute (RFC 2865 §5). The names come from `Dictionaries/`; how values are read, `AttributeDictionary` knows.
public struct AttributeType: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }
}

extension AttributeType: CustomStringConvertible {
    /// The registered name, or `Attribute-` and the number.
    public var description: String { name ?? "Attribute-\(rawValue)" }
}

/// One attribute of a packet: its type and the place of its value in `Packet.bytes`. Only valid with the packet it came from.
public struct Attribute: Sendable, Hashable {
    public let type: AttributeType
    /// Where the value lies in `Packet.bytes`; 0–253 bytes.
    public let range: Range<Int>
}

/// The attributes of a packet in their order; reads them in place.
public struct Attributes: Sequence, Sendable {
    let bytes: [UInt8]

    public struct Iterator: IteratorProtocol, Sendable {
        let bytes: [UInt8]
        var offset = Packet.minimumLength

        public mutating func next() -> Attribute? {
            guard offset < bytes.count else { return nil }
            let start = offset
            offset += Int(bytes[start + 1])
            return Attribute(type: AttributeType(rawValue: bytes[start]), range: start + 2..<offset)
        }
    }

    public func makeIterator() -> Iterator { Iterator(bytes: bytes) }
}

/// A set of attribute types in 32 bytes without allocation.
struct AttributeTypeSet: Sendable {
    private var words: InlineArray<4, UInt64> = [0, 0, 0, 0]

    func contains(_ type: UInt8) -> Bool {
        words[Int(type >> 6)] & (1 << UInt64(type & 63)) != 0
    }

    mutating func insert(_ type: UInt8) {
        words[Int(type >> 6)] |= 1 << UInt64(type & 63)
    }
}

/// An IPv4 address as an attribute carries it (RFC 8044 §3.8).
public struct IPv4Address: Sendable, Hashable, CustomStringConvertible {
    /// First byte most significant.
    public let rawValue: UInt32

    public init(_ rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Dotted decimal.
    public var description: String {
        "\(rawValue >> 24).\(rawValue >> 16 & 255).\(rawValue >> 8 & 255).\(rawValue & 255)"
    }
}

/// An IPv6 address as an attribute carries it (RFC 8044 §3.9).
public struct IPv6Address: Sendable, Hashable, CustomStringConvertible {
    /// Bytes 0–7, first byte most significant.
    public let high: UInt64
    /// Bytes 8–15, first byte most significant.
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The canonical text of RFC 5952.
    public var description: String {
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index & 3)))
        }
        // RFC 5952 §4.2: the first longest run of two or more zero groups becomes "::".
        var run = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8 && groups[end] == 0 { end += 1 }
            if end - index >= 2 && end - index > run.count { run = index..<end }
            index = max(end, index + 1)
        }
        let text = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
        return run.isEmpty ? text(groups[...]) : text(groups[..<run.lowerBound]) + "::" + text(groups[run.upperBound...])
    }
}
