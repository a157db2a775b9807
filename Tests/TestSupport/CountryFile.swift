// SPDX-License-Identifier: Apache-2.0
// Writes a small database in MaxMind's format (maxmind/MaxMind-DB, version 2.0): a binary tree over address bits, data, metadata.

internal import LoginEngine

package struct CountryFile {
    /// Where each network is; the country may be said as where it is registered alone.
    package var networks: [(range: String, country: String)] = []
    package var registeredOnly = false
    package var built: UInt64 = 1_795_262_591
    package var isIPv4Alone = false

    package init(networks: [(range: String, country: String)], built: UInt64 = 1_795_262_591, isIPv4Alone: Bool = false) {
        (self.networks, self.built, self.isIPv4Alone) = (networks, built, isIPv4Alone)
    }

    private enum Branch { case empty, node(Int), data(Int) }

    package func bytes() -> [UInt8] {
        var nodes: [[Branch]] = [[.empty, .empty]]
        var data: [UInt8] = []
        for (text, country) in networks {
            guard let range = AddressRange(text) else { preconditionFailure("no network: \(text)") }
            // In a tree of IPv6 an address of IPv4 lies behind 96 zeros.
            let value = range.base.isIPv4 ? range.base.bits & 0xFFFF_FFFF : range.base.bits
            let width = isIPv4Alone ? 32 : 128
            let length = isIPv4Alone ? range.prefixLength - 96 : range.prefixLength
            let offset = data.count
            data += Self.map([(registeredOnly ? "registered_country" : "country", Self.map([("iso_code", Self.text(country))]))])
            var node = 0
            for bit in 0..<length {
                let side = Int(truncatingIfNeeded: value >> UInt128(width - 1 - bit) & 1)
                if bit == length - 1 {
                    nodes[node][side] = .data(offset)
                } else if case .node(let next) = nodes[node][side] {
                    node = next
                } else {
                    nodes.append([.empty, .empty])
                    nodes[node][side] = .node(nodes.count - 1)
                    node = nodes.count - 1
                }
            }
        }
        var bytes: [UInt8] = []
        for branch in nodes.flatMap({ $0 }) {
            let record =
                switch branch {
                case .empty: nodes.count
                case .node(let next): next
                case .data(let offset): nodes.count + 16 + offset
                }
            bytes += [UInt8(record >> 16), UInt8(record >> 8 & 0xFF), UInt8(record & 0xFF)]
        }
        bytes += Array(repeating: 0, count: 16) + data
        bytes += [0xAB, 0xCD, 0xEF] + Array("MaxMind.com".utf8)
        return bytes
            + Self.map([
                ("node_count", Self.number(6, UInt64(nodes.count))), ("record_size", Self.number(5, 24)),
                ("ip_version", Self.number(5, isIPv4Alone ? 4 : 6)), ("database_type", Self.text("Test-Country")),
                ("languages", [0x01, 0x04] + Self.text("en")), ("binary_format_major_version", Self.number(5, 2)),
                ("binary_format_minor_version", Self.number(5, 0)), ("build_epoch", Self.number(9, built)),
                ("description", Self.map([("en", Self.text("for tests"))])),
            ])
    }

    private static func text(_ text: String) -> [UInt8] {
        precondition(text.utf8.count < 29)
        return [2 << 5 | UInt8(text.utf8.count)] + Array(text.utf8)
    }

    private static func map(_ entries: [(String, [UInt8])]) -> [UInt8] {
        [7 << 5 | UInt8(entries.count)] + entries.flatMap { text($0.0) + $0.1 }
    }

    /// Types above 7 are written in a byte of their own.
    private static func number(_ type: UInt8, _ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest > 0 {
            bytes.insert(UInt8(truncatingIfNeeded: rest), at: 0)
            rest >>= 8
        }
        return (type > 7 ? [UInt8(bytes.count), type - 7] : [type << 5 | UInt8(bytes.count)]) + bytes
    }
}
