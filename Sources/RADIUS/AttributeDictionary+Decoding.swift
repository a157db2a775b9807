// SPDX-License-Identifier: Apache-2.0
// Attributes as they lie in a packet → values, by the dictionary. What does not fit its kind is kept as the bytes it came in.

/// What hidden values are revealed and hidden with.
public struct AttributeKey: Sendable {
    public let secret: SharedSecret
    /// Of the request, in its reply as well (RFC 2868 §3.5).
    public let authenticator: Authenticator

    public init(secret: SharedSecret, authenticator: Authenticator) {
        self.secret = secret
        self.authenticator = authenticator
    }
}

extension AttributeDictionary {
    /// All attributes of a packet in their order. Fragments are joined (RFC 6929 §2.2), nested values stay inside theirs.
    ///
    /// Nothing is thrown: an attribute that is not what its kind says is given as `malformed` octets (RFC 6929 §2.8), and one that no
    /// dictionary knows as plain octets.
    /// - Parameter key: nil leaves hidden values hidden.
    public func decode(_ packet: Packet, key: AttributeKey? = nil) -> [DecodedAttribute] {
        decode(packet.bytes, in: Packet.minimumLength..<packet.bytes.count, key: key)
    }

    /// As `decode(_:key:)`, for attributes that are in no packet.
    ///
    /// - Throws: `attributeTruncated`, `attributeLengthTooSmall`.
    public func decode(attributes bytes: [UInt8], key: AttributeKey? = nil) throws(PacketError) -> [DecodedAttribute] {
        var offset = 0
        while offset < bytes.count {
            let type = AttributeType(rawValue: bytes[offset])
            guard offset + 1 < bytes.count, offset + Int(bytes[offset + 1]) <= bytes.count else { throw .attributeTruncated(type) }
            guard bytes[offset + 1] >= Packet.attributeHeaderLength else { throw .attributeLengthTooSmall(type) }
            offset += Int(bytes[offset + 1])
        }
        return decode(bytes, in: 0..<bytes.count, key: key)
    }

    /// The lengths of the attributes in `range` were checked.
    private func decode(_ bytes: [UInt8], in range: Range<Int>, key: AttributeKey?) -> [DecodedAttribute] {
        var reader = AttributeReader(dictionary: self, key: key)
        var offset = range.lowerBound
        while offset < range.upperBound {
            let end = offset + Int(bytes[offset + 1])
            reader.read(bytes[offset], bytes[(offset + Packet.attributeHeaderLength)..<end])
            offset = end
        }
        reader.giveUpOnOpen()
        return reader.result
    }
}

private struct AttributeReader {
    let dictionary: AttributeDictionary
    let key: AttributeKey?
    var result: [DecodedAttribute] = []
    private var open: Open?
    /// The concatenated attribute that the next one goes on.
    private var concatenating: UInt8?

    /// A value whose fragments are still coming.
    private struct Open {
        var oid: AttributeOID
        var value: [UInt8]
        /// The attributes that it came in, to be given back if the rest never comes.
        var pieces: [DecodedAttribute]
    }

    init(dictionary: AttributeDictionary, key: AttributeKey?) {
        self.dictionary = dictionary
        self.key = key
    }

    mutating func read(_ type: UInt8, _ value: ArraySlice<UInt8>) {
        let oid = AttributeOID([UInt32(type)])
        let definition = dictionary[oid]
        if definition?.isConcatenated == true {
            concatenate(type, oid, value)
            return
        }
        concatenating = nil
        switch type {
        case 26: readVendor(value)
        case 241...244:
            giveUpOnOpen()
            guard let extended = value.first else { return malformed(oid, value) }
            readExtended(AttributeOID([UInt32(type), UInt32(extended)]), value.dropFirst())
        case 245, 246: readLong(type, value)
        default:
            giveUpOnOpen()
            result.append(decode(oid, definition, value))
        }
    }

    private mutating func malformed(_ oid: AttributeOID, _ value: ArraySlice<UInt8>) {
        result.append(DecodedAttribute(oid, .octets(Array(value)), form: .malformed))
    }

    /// What was begun and is not gone on with is given as it came.
    mutating func giveUpOnOpen() {
        guard let open else { return }
        result += open.pieces
        self.open = nil
    }

    /// RFC 3579 §3.1: they stand one behind the other.
    private mutating func concatenate(_ type: UInt8, _ oid: AttributeOID, _ value: ArraySlice<UInt8>) {
        giveUpOnOpen()
        if concatenating == type, case .octets(let before) = result.last?.value {
            result[result.count - 1].value = .octets(before + value)
        } else {
            result.append(DecodedAttribute(oid, .octets(Array(value))))
        }
        concatenating = type
    }

    // MARK: Extended (RFC 6929)

    /// RFC 6929 §2.2: type, flags, then a fragment; More may stand only in an attribute that is full.
    private mutating func readLong(_ type: UInt8, _ value: ArraySlice<UInt8>) {
        let outer = AttributeOID([UInt32(type)])
        guard value.count >= 2 else {
            giveUpOnOpen()
            return malformed(outer, value)
        }
        let start = value.startIndex
        let oid = outer.child(UInt32(value[start]))
        let hasMore = value[start + 1] & 0x80 != 0
        let fragment = value[(start + 2)...]
        let piece = DecodedAttribute(outer, .octets(Array(value)), form: .malformed)
        if open?.oid != oid { giveUpOnOpen() }
        if hasMore {
            guard value.count == Packet.maximumValueLength else {
                giveUpOnOpen()
                result.append(piece)
                return
            }
            if open == nil { open = Open(oid: oid, value: [], pieces: []) }
            open?.value += fragment
            open?.pieces.append(piece)
            return
        }
        let whole = (open?.value ?? []) + fragment
        open = nil
        // RFC 6929 §2.2 asks for one byte of value.
        if whole.isEmpty { result.append(piece) } else { readExtended(oid, whole[...]) }
    }

    private mutating func readExtended(_ oid: AttributeOID, _ value: ArraySlice<UInt8>) {
        guard oid.numbers[1] == 26 else {
            guard !value.isEmpty else { return malformed(oid, value) }
            result.append(decode(oid, dictionary[oid], value))
            return
        }
        // RFC 6929 §2.4: vendor, type, and at least one byte.
        guard value.count >= 6 else { return malformed(oid, value) }
        let vendor = value.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let whole = oid.child(vendor).child(UInt32(value[value.startIndex + 4]))
        result.append(decode(whole, dictionary[whole], value.dropFirst(5)))
    }

    // MARK: Vendor-Specific

    private mutating func readVendor(_ value: ArraySlice<UInt8>) {
        guard value.count >= 4 else {
            giveUpOnOpen()
            return malformed(AttributeOID([26]), value)
        }
        let number = value.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let layout = dictionary.vendor(number) ?? VendorDefinition(name: "", number: number)
        let outer = AttributeOID([26, number])
        guard let parts = VendorPart.split(value.dropFirst(4), layout) else {
            giveUpOnOpen()
            return malformed(outer, value.dropFirst(4))
        }
        if layout.hasContinuation, let first = parts.first {
            let piece = DecodedAttribute(outer, .octets(Array(value.dropFirst(4))), form: .malformed)
            let oid = outer.child(first.type)
            if let begun = open, begun.oid == oid {
                guard parts.count == 1 else {
                    giveUpOnOpen()
                    result.append(piece)
                    return
                }
                open?.value += first.value
                open?.pieces.append(piece)
                if !first.hasMore {
                    result.append(decode(oid, dictionary[oid], (begun.value + first.value)[...]))
                    open = nil
                }
                return
            }
            giveUpOnOpen()
            if parts.contains(where: \.hasMore) {
                // A value that goes on fills its attribute.
                if parts.count == 1 {
                    open = Open(oid: oid, value: Array(first.value), pieces: [piece])
                } else {
                    result.append(piece)
                }
                return
            }
        }
        giveUpOnOpen()
        for part in parts {
            let oid = outer.child(part.type)
            result.append(decode(oid, dictionary[oid], part.value))
        }
    }

    // MARK: Values

    private func decode(_ oid: AttributeOID, _ definition: AttributeDefinition?, _ raw: ArraySlice<UInt8>) -> DecodedAttribute {
        guard let definition else { return DecodedAttribute(oid, .octets(Array(raw))) }
        var value = raw
        var tag: UInt8?
        if definition.isTagged, let first = raw.first {
            switch (definition.kind, definition.hiding) {
            case (_, .some):
                // RFC 2868 §3.5: the byte is always there, and means nothing above 31.
                value = raw.dropFirst()
                tag = (1...31).contains(first) ? first : nil
            case (.integer, nil):
                // RFC 2868 §3.1: the first of the four bytes.
                guard raw.count == 4, first <= 31 else { return DecodedAttribute(oid, .octets(Array(raw)), form: .malformed) }
                value = [0] + raw.dropFirst()
                tag = first == 0 ? nil : first
            default:
                // RFC 2868 §3.3: above 31 it is the first byte of the text.
                if first <= 31 {
                    value = raw.dropFirst()
                    tag = first == 0 ? nil : first
                }
            }
        }
        if let hiding = definition.hiding {
            guard let key else { return DecodedAttribute(oid, .octets(Array(raw)), form: .hidden) }
            guard let plain = hiding.reveal(value, key: key, length: definition.fixedLength) else {
                return DecodedAttribute(oid, .octets(Array(raw)), form: .malformed)
            }
            value = plain[...]
        }
        guard let decoded = self.value(value, oid, definition) else {
            return DecodedAttribute(oid, .octets(Array(raw)), form: .malformed)
        }
        return DecodedAttribute(oid, tag: tag, decoded)
    }

    /// Nil when the length is none of the kind's (RFC 8044 §3).
    private func value(_ bytes: ArraySlice<UInt8>, _ oid: AttributeOID, _ definition: AttributeDefinition) -> AttributeValue? {
        let bits = { (count: Int) -> UInt64? in
            bytes.count == count ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : nil
        }
        switch definition.kind {
        case .text: return String(validating: bytes, as: UTF8.self).map { .text($0) }
        case .octets: return definition.fixedLength ?? bytes.count == bytes.count ? .octets(Array(bytes)) : nil
        case .integer, .time: return bits(4).map { .number($0) }
        case .short: return bits(2).map { .number($0) }
        case .byte: return bits(1).map { .number($0) }
        case .integer64: return bits(8).map { .number($0) }
        case .signed: return bits(4).map { .signed(Int32(truncatingIfNeeded: $0)) }
        case .ipv4: return bits(4).map { .ipv4(IPv4Address(UInt32($0))) }
        case .ipv6: return Self.ipv6(bytes).map { .ipv6($0) }
        case .anyAddress:
            return bits(4).map { .ipv4(IPv4Address(UInt32($0))) } ?? Self.ipv6(bytes).map { .ipv6($0) }
        case .ipv4Prefix:
            // RFC 8044 §3.11: reserved, length, four bytes.
            guard let all = bits(6), let length = UInt8(exactly: all >> 32 & 0xFF), length <= 32 else { return nil }
            return .ipv4Prefix(IPv4Address(UInt32(truncatingIfNeeded: all)).masked(to: length), length: length)
        case .ipv6Prefix:
            // RFC 8044 §3.10: reserved, length, and no more bytes than an address has.
            guard (2...18).contains(bytes.count) else { return nil }
            let length = bytes[bytes.startIndex + 1]
            let prefix = bytes.dropFirst(2)
            guard length <= 128, prefix.count >= (Int(length) + 7) / 8 else { return nil }
            let padded = Array(prefix) + [UInt8](repeating: 0, count: 16 - prefix.count)
            return Self.ipv6(padded[...]).map { .ipv6Prefix($0.masked(to: length), length: length) }
        case .interfaceID: return bits(8).map { .interfaceID($0) }
        case .ethernet: return bits(6).map { .ethernet($0) }
        case .nested: return nested(bytes, oid).map { .nested($0) }
        case .vendor, .extended, .longExtended, .extendedVendor: return nil
        }
    }

    private static func ipv6(_ bytes: ArraySlice<UInt8>) -> IPv6Address? {
        guard let value = Authenticator(Array(bytes)) else { return nil }
        return IPv6Address(high: value.high, low: value.low)
    }

    /// RFC 6929 §2.3: type, length, and at least one byte of value, up to the very end.
    private func nested(_ bytes: ArraySlice<UInt8>, _ oid: AttributeOID) -> [DecodedAttribute]? {
        guard !bytes.isEmpty, oid.numbers.count < AttributeOID.maximumDepth else { return nil }
        var members: [DecodedAttribute] = []
        var offset = bytes.startIndex
        while offset < bytes.endIndex {
            guard offset + 1 < bytes.endIndex, bytes[offset + 1] >= 3, offset + Int(bytes[offset + 1]) <= bytes.endIndex else {
                return nil
            }
            let end = offset + Int(bytes[offset + 1])
            let member = oid.child(UInt32(bytes[offset]))
            members.append(decode(member, dictionary[member], bytes[(offset + 2)..<end]))
            offset = end
        }
        return members
    }
}

/// One of the attributes inside Vendor-Specific.
private struct VendorPart {
    var type: UInt32
    var hasMore: Bool
    var value: ArraySlice<UInt8>

    /// Nil when the bytes are not laid out as the vendor does it; an empty one holds nothing, which no vendor means.
    static func split(_ bytes: ArraySlice<UInt8>, _ layout: VendorDefinition) -> [VendorPart]? {
        var parts: [VendorPart] = []
        var rest = bytes
        repeat {
            guard rest.count >= layout.headerLength else { return nil }
            let start = rest.startIndex
            let type = rest.prefix(layout.typeLength).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            var length = rest.count
            if layout.lengthLength > 0 {
                let field = rest.dropFirst(layout.typeLength).prefix(layout.lengthLength)
                length = field.reduce(0) { $0 << 8 | Int($1) }
                guard length >= layout.headerLength, length <= rest.count else { return nil }
            }
            let hasMore = layout.hasContinuation && rest[start + layout.headerLength - 1] & 0x80 != 0
            parts.append(VendorPart(type: type, hasMore: hasMore, value: rest[(start + layout.headerLength)..<(start + length)]))
            rest = rest.dropFirst(length)
        } while !rest.isEmpty
        return parts
    }
}

extension AttributeHiding {
    /// Nil when the hidden value has a length that hiding never gives.
    func reveal(_ hidden: ArraySlice<UInt8>, key: AttributeKey, length: Int?) -> [UInt8]? {
        switch self {
        case .userPassword:
            guard var plain = try? HiddenPassword.unhide(Array(hidden), authenticator: key.authenticator, secret: key.secret) else {
                return nil
            }
            // Zeros at the end are padding, except where the length is known.
            if let length, plain.count < length, length <= hidden.count {
                plain += [UInt8](repeating: 0, count: length - plain.count)
            }
            return plain
        case .salted:
            return SaltedKey.reveal(hidden, authenticator: key.authenticator, secret: key.secret)
        case .ascendSecret:
            guard let block = Authenticator(Array(hidden)) else { return nil }
            var plain = AscendHiding.apply(to: block, authenticator: key.authenticator, secret: key.secret).bytes
            while plain.last == 0 { plain.removeLast() }
            return plain
        }
    }
}
