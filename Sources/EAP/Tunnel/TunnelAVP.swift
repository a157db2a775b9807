// SPDX-License-Identifier: Apache-2.0
// What TTLS carries: attribute-value pairs laid out as in Diameter (RFC 5281 §10, RFC 6733 §4.1).

package enum TunnelAVPError: Error, Equatable {
    case truncated
    /// Names fewer bytes than its header has.
    case length(Int)
    case tooMany

    package var words: String {
        switch self {
        case .truncated: "AVP of TTLS that is cut"
        case .length(let length): "AVP of TTLS of \(length) bytes"
        case .tooMany: "more AVPs of TTLS than anybody needs"
        }
    }
}

package struct TunnelAVP: Equatable {
    /// In one message; a login takes three.
    package static let maximumCount = 64
    private static let headerLength = 8
    private static let vendorLength = 4
    private static let hasVendor: UInt8 = 0x80
    private static let mandatory: UInt8 = 0x40

    /// A code and the vendor whose it is; 0: an attribute of RADIUS.
    package struct Name: Hashable {
        package var code: UInt32
        package var vendor: UInt32 = 0

        static let userName = Name(code: 1)
        static let userPassword = Name(code: 2)
        static let chapPassword = Name(code: 3)
        static let replyMessage = Name(code: 18)
        static let chapChallenge = Name(code: 60)
        static let eapMessage = Name(code: 79)
        /// RFC 2548
        static let msCHAPResponse = Name(code: 1, vendor: 311)
        static let msCHAPError = Name(code: 2, vendor: 311)
        static let msCHAPChallenge = Name(code: 11, vendor: 311)
        static let msCHAP2Response = Name(code: 25, vendor: 311)
        static let msCHAP2Success = Name(code: 26, vendor: 311)
    }

    package var name: Name
    /// Who does not know it must not go on (RFC 5281 §10.1).
    package var isMandatory = true
    package var value: [UInt8]

    package static func decode(_ bytes: ArraySlice<UInt8>) throws(TunnelAVPError) -> [TunnelAVP] {
        var found: [TunnelAVP] = []
        var rest = bytes
        while !rest.isEmpty {
            guard found.count < maximumCount else { throw .tooMany }
            guard rest.count >= headerLength else { throw .truncated }
            let flags = rest[rest.startIndex + 4]
            let length = number(rest.dropFirst(5).prefix(3))
            let header = headerLength + (flags & hasVendor != 0 ? vendorLength : 0)
            guard length >= header else { throw .length(length) }
            guard length <= rest.count else { throw .truncated }
            let name = Name(
                code: UInt32(number(rest.prefix(4))),
                vendor: flags & hasVendor != 0 ? UInt32(number(rest.dropFirst(headerLength).prefix(vendorLength))) : 0)
            found.append(TunnelAVP(name: name, isMandatory: flags & mandatory != 0, value: Array(rest.prefix(length).dropFirst(header))))
            // RFC 5281 §10.2: each begins at a multiple of four bytes. Behind the last one some leave the zeros away.
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return found
    }

    package static func encode(_ pairs: [TunnelAVP]) -> [UInt8] {
        pairs.reduce(into: []) { $0 += $1.bytes }
    }

    private var bytes: [UInt8] {
        let header = Self.headerLength + (name.vendor != 0 ? Self.vendorLength : 0)
        let length = header + value.count
        let flags = (name.vendor != 0 ? Self.hasVendor : 0) | (isMandatory ? Self.mandatory : 0)
        let vendor = name.vendor != 0 ? Self.bytes(name.vendor) : []
        let padding = [UInt8](repeating: 0, count: -length & 3)
        return Self.bytes(name.code) + [flags] + Self.bytes(UInt32(length)).dropFirst() + vendor + value + padding
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

    private static func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) } }
}
