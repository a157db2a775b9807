// SPDX-License-Identifier: Apache-2.0
// IPv4 and IPv6 addresses and ranges as plain values.

/// An address; IPv4 is kept as the IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2), so that a dual-stack socket and an
/// IPv4 socket name the same gateway alike.
package struct NetworkAddress: Hashable, Sendable {
    package var bits: UInt128

    package init(bits: UInt128) {
        self.bits = bits
    }

    /// - Parameter bytes: 4 (IPv4) or 16 (IPv6) bytes in network order; nil for any other count.
    package init?(bytes: ArraySlice<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        let value = bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        bits = bytes.count == 4 ? Self.mappedPrefix | value : value
    }

    package init?(bytes: [UInt8]) { self.init(bytes: bytes[...]) }

    package init(v4 value: UInt32) {
        bits = Self.mappedPrefix | UInt128(value)
    }

    package var isIPv4: Bool { bits >> 32 == Self.mappedPrefix >> 32 }
    package var isLoopback: Bool { isIPv4 ? (bits >> 24) & 0xFF == 127 : bits == 1 }

    /// Neither nobody's (`0.0.0.0`, `::`) nor many's (multicast, broadcast, RFC 4291 §2.7 and RFC 5771).
    package var isOfOneHost: Bool {
        if isIPv4 {
            let word = UInt32(truncatingIfNeeded: bits)
            return word >> 24 != 0 && word >> 28 < 0xE
        }
        return bits != 0 && bits >> 120 != 0xFF
    }

    /// Of this very host (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3), or good on one link alone (RFC 3927, RFC 4291 §2.5.6).
    package var isOfHostOrLink: Bool {
        if isLoopback { return true }
        return isIPv4 ? UInt32(truncatingIfNeeded: bits) >> 16 == 0xA9FE : bits >> 118 == 0x3FA
    }

    /// 4 or 16 bytes in network order.
    package var bytes: [UInt8] {
        let count = isIPv4 ? 4 : 16
        return (0..<count).map { UInt8(truncatingIfNeeded: bits >> UInt128(8 * (count - 1 - $0))) }
    }

    private static let mappedPrefix = UInt128(0xFFFF) << 32
}

extension NetworkAddress: CustomStringConvertible {
    /// RFC 4291 §2.2 and RFC 5952 text; nil when the text is no address.
    package init?(_ text: some StringProtocol) {
        if let value = Self.parseIPv4(text) {
            self.init(v4: value)
            return
        }
        guard let words = Self.parseIPv6(text) else { return nil }
        self.init(bits: words.reduce(UInt128(0)) { $0 << 16 | UInt128($1) })
    }

    package var description: String {
        if isIPv4 { return bytes.map(String.init).joined(separator: ".") }
        let words = (0..<8).map { UInt16(truncatingIfNeeded: bits >> UInt128(16 * (7 - $0))) }
        // RFC 5952 §4.2: the longest run of two or more zero words becomes `::`, the first of equals.
        var best = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, words[end] == 0 { end += 1 }
            if end - index > best.count, end - index > 1 { best = index..<end }
            index = max(end, index + 1)
        }
        let left = words[..<best.lowerBound].map { String($0, radix: 16) }.joined(separator: ":")
        if best.isEmpty { return words.map { String($0, radix: 16) }.joined(separator: ":") }
        return left + "::" + words[best.upperBound...].map { String($0, radix: 16) }.joined(separator: ":")
    }

    private static func parseIPv4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var octet: UInt32 = 0
            for digit in part {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
                octet = octet * 10 + UInt32(digit - UInt8(ascii: "0"))
            }
            guard octet < 256 else { return nil }
            value = value << 8 | octet
        }
        return value
    }

    private static func parseIPv6(_ text: some StringProtocol) -> [UInt16]? {
        guard (2...45).contains(text.utf8.count) else { return nil }
        let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
        guard halves.count <= 2 else { return nil }
        func words(_ half: some StringProtocol, isLast: Bool) -> [UInt16]? {
            if half.isEmpty { return [] }
            var words: [UInt16] = []
            let groups = half.split(separator: ":", omittingEmptySubsequences: false)
            for (position, group) in groups.enumerated() {
                if isLast, position == groups.count - 1, group.contains(".") {
                    guard let value = parseIPv4(group) else { return nil }
                    words += [UInt16(value >> 16), UInt16(truncatingIfNeeded: value)]
                } else {
                    guard (1...4).contains(group.utf8.count), group.first != "+", group.first != "-", let word = UInt16(group, radix: 16)
                    else { return nil }
                    words.append(word)
                }
            }
            return words
        }
        guard let left = words(halves[0], isLast: halves.count == 1) else { return nil }
        guard halves.count == 2 else { return left.count == 8 ? left : nil }
        guard let right = words(halves[1], isLast: true), left.count + right.count < 8 else { return nil }
        return left + Array(repeating: 0, count: 8 - left.count - right.count) + right
    }
}

/// A CIDR range, or one address.
package struct AddressRange: Hashable, Sendable, CustomStringConvertible {
    package var base: NetworkAddress
    /// 0…128; an IPv4 range of /n has 96 + n.
    package var prefixLength: Int

    package init(_ address: NetworkAddress) {
        base = address
        prefixLength = 128
    }

    /// `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`. Nil when it is none, or when bits beyond the prefix are set.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = NetworkAddress(parts[0]) else { return nil }
        base = address
        prefixLength = 128
        guard parts.count == 2 else { return }
        let limit = address.isIPv4 ? 32 : 128
        guard parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let length = Int(parts[1]), (0...limit).contains(length)
        else { return nil }
        prefixLength = length + 128 - limit
        guard base.bits & ~mask == 0 else { return nil }
    }

    package func contains(_ address: NetworkAddress) -> Bool {
        address.bits & mask == base.bits
    }

    package var mask: UInt128 {
        prefixLength == 0 ? 0 : UInt128.max << UInt128(128 - prefixLength)
    }

    package var description: String {
        if prefixLength == 128 { return base.description }
        return "\(base)/\(base.isIPv4 && prefixLength >= 96 ? prefixLength - 96 : prefixLength)"
    }
}
