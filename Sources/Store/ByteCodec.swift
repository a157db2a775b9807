// SPDX-License-Identifier: Apache-2.0
// The compact binary form of what is chained: numbers as varints, each value in exactly one way.

struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func reserve(_ count: Int) { bytes.reserveCapacity(count) }

    /// Keeps its memory for what comes next.
    mutating func empty() { bytes.removeAll(keepingCapacity: true) }

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    /// LEB128: seven bits a byte, the lowest first.
    mutating func unsigned(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Zigzag, so that small negative numbers are short too.
    mutating func signed(_ value: Int64) { unsigned(UInt64(bitPattern: value << 1 ^ value >> 63)) }

    mutating func raw(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

    mutating func text(_ value: String) {
        unsigned(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    mutating func blob(_ value: some Collection<UInt8>) {
        unsigned(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    mutating func word(_ value: UInt64) {
        for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }
}

package enum DecodingError: Error, Sendable, Equatable {
    /// The bytes end within a value, or a length points beyond them.
    case truncated
    /// A value that the encoder would have written otherwise.
    case notCanonical
    case notText
    case unknownVersion(UInt8)
    case unknownKind(UInt8)
    case trailingBytes
}

/// Reads hostile bytes: every length is checked before anything is made of it.
struct ByteReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    var remaining: Int { bytes.endIndex - position }

    mutating func byte() throws(DecodingError) -> UInt8 {
        guard position < bytes.endIndex else { throw .truncated }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func unsigned() throws(DecodingError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            // The tenth byte holds the 64th bit alone.
            guard shift < 63 || next <= 1 else { throw .notCanonical }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 {
                guard next != 0 || shift == 0 else { throw .notCanonical }
                return value
            }
            shift += 7
        }
    }

    mutating func signed() throws(DecodingError) -> Int64 {
        let value = try unsigned()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func raw(_ count: Int) throws(DecodingError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else { throw .truncated }
        defer { position += count }
        return bytes[position..<position + count]
    }

    mutating func blob() throws(DecodingError) -> ArraySlice<UInt8> {
        let count = try unsigned()
        guard count <= UInt64(remaining) else { throw .truncated }
        return try raw(Int(count))
    }

    mutating func text() throws(DecodingError) -> String {
        guard let text = String(validating: try blob(), as: UTF8.self) else { throw .notText }
        return text
    }

    mutating func word() throws(DecodingError) -> UInt64 {
        try raw(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }

    func end() throws(DecodingError) {
        guard remaining == 0 else { throw .trailingBytes }
    }
}
