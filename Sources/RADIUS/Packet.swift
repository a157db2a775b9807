// SPDX-License-Identifier: Apache-2.0
// A validated packet: the datagram's bytes, kept once and read in place.

/// A RADIUS packet whose layout has been checked (RFC 2865 §3).
///
/// Holds the bytes as they came, without padding. Attributes are views into them, so that reading one allocates nothing.
/// Nothing here says that the packet is genuine: see `verifyRequest(secret:)` and `verifyReply(to:secret:)`.
public struct Packet: Sendable {
    /// Header length, and so the least length of a packet (RFC 2865 §3).
    public static let minimumLength = 20
    /// The greatest length of a packet (RFC 2865 §3).
    public static let maximumLength = 4096
    /// Type and length in front of each value (RFC 2865 §5).
    public static let attributeHeaderLength = 2
    /// The greatest length of an attribute's value (RFC 2865 §5).
    public static let maximumValueLength = 253
    /// No RFC sets one; honest packets have a few dozen, and 4096 bytes could hold 2038 empty ones.
    public static let maximumAttributeCount = 512

    /// The whole packet as on the wire, 20–4096 bytes.
    public let bytes: [UInt8]
    /// What the packet is for.
    public let code: Code
    /// Which form it has; a packet does not say so itself.
    public let version: RADIUSVersion
    /// Where the value of Message-Authenticator starts; 0 when there is none.
    let messageAuthenticatorOffset: Int
    let types: AttributeTypeSet

    init(bytes: [UInt8], code: Code, version: RADIUSVersion, messageAuthenticatorOffset: Int, types: AttributeTypeSet) {
        self.bytes = bytes
        self.code = code
        self.version = version
        self.messageAuthenticatorOffset = messageAuthenticatorOffset
        self.types = types
    }

    /// Matches a reply to its request (RFC 2865 §3); reserved in RADIUS/1.1, which has `token`.
    public var identifier: UInt8 { bytes[1] }

    /// The Request Authenticator of a request, the Response Authenticator of a reply (RFC 2865 §3).
    public var authenticator: Authenticator { Authenticator(bytes.span, at: 4) }

    /// All attributes in their order.
    public var attributes: Attributes { Attributes(bytes: bytes) }

    /// Whether an attribute of this type is there; takes constant time.
    public func contains(_ type: AttributeType) -> Bool { types.contains(type.rawValue) }

    /// The first attribute of this type.
    public func first(_ type: AttributeType) -> Attribute? {
        guard types.contains(type.rawValue) else { return nil }
        let bytes = bytes.span
        var offset = Self.minimumLength
        while offset < bytes.count {
            let end = offset + Int(bytes[offset + 1])
            if bytes[offset] == type.rawValue { return Attribute(type: type, range: offset + 2..<end) }
            offset = end
        }
        return nil
    }
}

extension Packet {
    /// The value of an attribute of this packet, without copying it.
    public func value(of attribute: Attribute) -> ArraySlice<UInt8> { bytes[attribute.range] }

    /// The first value of this type as bytes.
    public func octets(_ type: AttributeType) -> [UInt8]? {
        first(type).map { Array(bytes[$0.range]) }
    }

    /// The values of all attributes of this type joined in order, as EAP-Message is read (RFC 3579 §3.1); nil when there is none.
    public func joined(_ type: AttributeType) -> [UInt8]? {
        guard contains(type) else { return nil }
        var result: [UInt8] = []
        for attribute in attributes where attribute.type == type { result += bytes[attribute.range] }
        return result
    }

    /// The first value of this type as text.
    ///
    /// - Throws: `textNotUTF8`. Nothing is repaired, because two names that differ must not become one.
    public func text(_ type: AttributeType) throws(PacketError) -> String? {
        guard let attribute = first(type) else { return nil }
        return try text(of: attribute)
    }

    /// The value of one attribute as text.
    ///
    /// - Throws: `textNotUTF8`.
    public func text(of attribute: Attribute) throws(PacketError) -> String {
        guard let text = String(validating: bytes[attribute.range], as: UTF8.self) else {
            throw .textNotUTF8(attribute.type)
        }
        return text
    }

    /// The first value of this type as a 32-bit number; nil when there is none or it is not 4 bytes long (RFC 8044 §3.1).
    public func integer(_ type: AttributeType) -> UInt32? {
        first(type).flatMap { integer(at: $0.range) }
    }

    /// The first value of this type as an IPv4 address; nil when there is none or it is not 4 bytes long (RFC 8044 §3.8).
    public func ipv4(_ type: AttributeType) -> IPv4Address? {
        integer(type).map(IPv4Address.init)
    }

    /// The first value of this type as an IPv6 address; nil when there is none or it is not 16 bytes long (RFC 8044 §3.9).
    public func ipv6(_ type: AttributeType) -> IPv6Address? {
        guard let attribute = first(type), attribute.range.count == 16 else { return nil }
        let value = Authenticator(bytes.span, at: attribute.range.lowerBound)
        return IPv6Address(high: value.high, low: value.low)
    }

    func integer(at range: Range<Int>) -> UInt32? {
        guard range.count == 4 else { return nil }
        return range.reduce(0) { $0 << 8 | UInt32(bytes[$1]) }
    }
}

extension Packet: Hashable {
    public static func == (left: Packet, right: Packet) -> Bool { left.bytes == right.bytes }

    public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

extension Packet: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Code, identifier and sizes; no values, because some of them are passwords.
    public var description: String {
        "\(code.name) \(version == .historic ? "\(identifier)" : "\(token)"), \(bytes.count) bytes, \(attributes.reduce(0) { count, _ in count + 1 }) attributes"
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: ["summary": description]) }
}
