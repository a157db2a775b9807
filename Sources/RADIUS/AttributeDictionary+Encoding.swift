// SPDX-License-Identifier: Apache-2.0
// Values → attributes as they lie in a packet: the opposite of decoding, so that what is written reads the same.

extension AttributeDictionary {
    /// Whole attributes, type and length in front of each, to be added to a packet in one piece.
    ///
    /// Neighbours inside the same `tlv` share one; a value that does not fit is spread over fragments where its place allows that.
    /// - Parameters:
    ///   - key: for values that are hidden. Nil: they are refused.
    ///   - salt: for the first salted value; each next one takes the next number.
    public func encode(
        _ attributes: [DecodedAttribute], key: AttributeKey? = nil, salt: UInt16 = 0
    ) throws(AttributeError) -> [UInt8] {
        var encoder = AttributeEncoder(dictionary: self, key: key, salt: salt)
        for attribute in grouped(attributes) { try encoder.write(attribute) }
        return encoder.bytes
    }

    /// One attribute alone.
    public func encode(_ attribute: DecodedAttribute, key: AttributeKey? = nil, salt: UInt16 = 0) throws(AttributeError) -> [UInt8] {
        try encode([attribute], key: key, salt: salt)
    }

    /// Members that stand alone are put into the `tlv` around them, as people write them in settings. A repeated one begins another.
    private func grouped(_ attributes: [DecodedAttribute]) -> [DecodedAttribute] {
        var grouped: [DecodedAttribute] = []
        var isOwnGroup = false
        for attribute in attributes {
            var whole = attribute
            while whole.form == .plain, let parent = whole.oid.parent, self[parent]?.kind == .nested {
                whole = DecodedAttribute(parent, .nested([whole]))
            }
            let isMember = whole.oid != attribute.oid
            if isMember, isOwnGroup, let last = grouped.last, let both = last.joined(with: whole) {
                grouped[grouped.count - 1] = both
            } else {
                grouped.append(whole)
            }
            isOwnGroup = isMember
        }
        return grouped
    }
}

extension DecodedAttribute {
    /// With the members of another one of the same place; nil when one of them is there already.
    fileprivate func joined(with other: DecodedAttribute) -> DecodedAttribute? {
        guard oid == other.oid, case .nested(var members) = value, case .nested(let more) = other.value else { return nil }
        for member in more {
            guard let index = members.firstIndex(where: { $0.oid == member.oid }) else {
                members.append(member)
                continue
            }
            guard index == members.count - 1, let both = members[index].joined(with: member) else { return nil }
            members[index] = both
        }
        return DecodedAttribute(oid, .nested(members))
    }
}

private struct AttributeEncoder {
    let dictionary: AttributeDictionary
    let key: AttributeKey?
    var salt: UInt16
    var bytes: [UInt8] = []

    init(dictionary: AttributeDictionary, key: AttributeKey?, salt: UInt16) {
        self.dictionary = dictionary
        self.key = key
        self.salt = salt
    }

    mutating func write(_ attribute: DecodedAttribute) throws(AttributeError) {
        if attribute.form == .malformed, case .octets(let raw) = attribute.value, try writeWhole(attribute.oid, raw) { return }
        guard let (outer, inner) = attribute.oid.place, inner.isEmpty else { throw .noPlace(attribute.oid) }
        let definition = dictionary[attribute.oid]
        let value = try value(of: attribute)
        switch outer {
        case .standard(let type):
            if definition?.isConcatenated == true, value.count > Packet.maximumValueLength {
                for start in stride(from: 0, to: value.count, by: Packet.maximumValueLength) {
                    try append(type, [], value[start..<min(start + Packet.maximumValueLength, value.count)])
                }
            } else {
                try append(type, [], value[...])
            }
        case .vendor(let vendor, let type):
            try writeVendor(vendor, type, value)
        case .extended(let type, let extended):
            try writeExtended(type, extended, value)
        case .extendedVendor(let type, let vendor, let vendorType):
            try writeExtended(type, 26, Self.fourBytes(vendor) + [vendorType] + value)
        }
    }

    /// A container that was not what it should be, as it came.
    ///
    /// - Returns: false when the place is that of a value, which has its own way.
    private mutating func writeWhole(_ oid: AttributeOID, _ raw: [UInt8]) throws(AttributeError) -> Bool {
        switch (oid.numbers.count, oid.numbers[0]) {
        case (1, 26), (1, 241...246): try append(UInt8(oid.numbers[0]), [], raw[...])
        case (2, 26): try append(26, Self.fourBytes(oid.numbers[1]), raw[...])
        case (2, 241...246): try writeExtended(UInt8(oid.numbers[0]), UInt8(truncatingIfNeeded: oid.numbers[1]), raw)
        default: return false
        }
        return true
    }

    // MARK: Containers

    private mutating func append(_ type: UInt8, _ header: [UInt8], _ value: ArraySlice<UInt8>) throws(AttributeError) {
        let length = header.count + value.count
        guard length <= Packet.maximumValueLength else {
            throw .valueTooLong(length: value.count, limit: Packet.maximumValueLength - header.count)
        }
        bytes.append(type)
        bytes.append(UInt8(length + Packet.attributeHeaderLength))
        bytes += header
        bytes += value
    }

    private mutating func writeVendor(_ vendor: UInt32, _ type: UInt32, _ value: [UInt8]) throws(AttributeError) {
        let layout = dictionary.vendor(vendor) ?? VendorDefinition(name: "", number: vendor)
        let room = Packet.maximumValueLength - 4 - layout.headerLength
        guard value.count <= room || layout.hasContinuation else { throw .valueTooLong(length: value.count, limit: room) }
        guard layout.typeLength == 4 || type >> UInt32(8 * layout.typeLength) == 0 else {
            throw .noPlace(AttributeOID(vendor: vendor, type: type))
        }
        var start = 0
        repeat {
            let end = min(start + room, value.count)
            var header = Self.fourBytes(vendor) + Self.fourBytes(type).suffix(layout.typeLength)
            let length = layout.headerLength + end - start
            header += Self.fourBytes(UInt32(length)).suffix(layout.lengthLength)
            if layout.hasContinuation { header.append(end < value.count ? 0x80 : 0) }
            try append(26, header, value[start..<end])
            start = end
        } while start < value.count
    }

    /// RFC 6929 §2.1 and §2.2.
    private mutating func writeExtended(_ type: UInt8, _ extended: UInt8, _ value: [UInt8]) throws(AttributeError) {
        guard type >= 245 else { return try append(type, [extended], value[...]) }
        let room = Packet.maximumValueLength - 2
        var start = 0
        repeat {
            let end = min(start + room, value.count)
            try append(type, [extended, end < value.count ? 0x80 : 0], value[start..<end])
            start = end
        } while start < value.count
    }

    private static func fourBytes(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> UInt32(24 - 8 * $0)) }
    }

    // MARK: Values

    private mutating func value(of attribute: DecodedAttribute) throws(AttributeError) -> [UInt8] {
        let definition = dictionary[attribute.oid]
        if attribute.form != .plain {
            guard case .octets(let raw) = attribute.value else { throw .wrongKind(.octets) }
            return raw
        }
        var value = try plain(attribute.value, definition)
        if let tag = attribute.tag {
            guard definition?.isTagged == true else { throw .tagNotAllowed }
            guard (1...31).contains(tag) else { throw .tagOutOfRange }
        }
        guard let definition else { return value }
        if let hiding = definition.hiding { value = try hide(value, hiding) }
        guard definition.isTagged else { return value }
        if definition.hiding != nil { return [attribute.tag ?? 0] + value }
        if definition.kind == .integer {
            // RFC 2868 §3.1: three bytes are left for the number.
            guard value[0] == 0 else { throw .numberTooLarge(limit: 0xFF_FFFF) }
            value[0] = attribute.tag ?? 0
            return value
        }
        if let tag = attribute.tag { return [tag] + value }
        // Its first byte would be read as a tag.
        return (value.first ?? 0xFF) <= 31 ? [0] + value : value
    }

    private mutating func hide(_ value: [UInt8], _ hiding: AttributeHiding) throws(AttributeError) -> [UInt8] {
        guard let key else { throw .secretNeeded }
        switch hiding {
        case .userPassword:
            do throws(PacketError) {
                return try HiddenPassword.hide(value, authenticator: key.authenticator, secret: key.secret)
            } catch {
                throw .valueTooLong(length: value.count, limit: HiddenPassword.maximumLength)
            }
        case .salted:
            guard value.count <= SaltedKey.maximumLength else {
                throw .valueTooLong(length: value.count, limit: SaltedKey.maximumLength)
            }
            defer { salt &+= 1 }
            return SaltedKey.hide(value, salt: salt, authenticator: key.authenticator, secret: key.secret)
        case .ascendSecret:
            guard value.count <= AscendHiding.length,
                let block = Authenticator(
                    value + [UInt8](repeating: 0, count: AscendHiding.length - value.count))
            else { throw .valueTooLong(length: value.count, limit: AscendHiding.length) }
            return AscendHiding.apply(to: block, authenticator: key.authenticator, secret: key.secret).bytes
        }
    }

    private mutating func plain(_ value: AttributeValue, _ definition: AttributeDefinition?) throws(AttributeError) -> [UInt8] {
        guard let definition else {
            guard case .octets(let bytes) = value else { throw .wrongKind(.octets) }
            return bytes
        }
        let big = { (number: UInt64, count: Int) in
            (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * (count - 1 - $0))) }
        }
        switch (definition.kind, value) {
        case (.text, .text(let text)): return Array(text.utf8)
        case (.octets, .octets(let bytes)):
            if let length = definition.fixedLength, bytes.count != length { throw .wrongLength(bytes.count, expected: length) }
            return bytes
        case (.integer, .number(let number)), (.time, .number(let number)), (.short, .number(let number)), (.byte, .number(let number)),
            (.integer64, .number(let number)):
            guard number <= definition.kind.limit else { throw .numberTooLarge(limit: definition.kind.limit) }
            let counts: [AttributeKind: Int] = [.byte: 1, .short: 2, .integer64: 8]
            return big(number, counts[definition.kind] ?? 4)
        case (.signed, .signed(let number)): return big(UInt64(UInt32(bitPattern: number)), 4)
        case (.ipv4, .ipv4(let address)), (.anyAddress, .ipv4(let address)): return big(UInt64(address.rawValue), 4)
        case (.ipv6, .ipv6(let address)), (.anyAddress, .ipv6(let address)): return big(address.high, 8) + big(address.low, 8)
        case (.ipv4Prefix, .ipv4Prefix(let address, let length)):
            guard length <= 32 else { throw .numberTooLarge(limit: 32) }
            return [0, length] + big(UInt64(address.masked(to: length).rawValue), 4)
        case (.ipv6Prefix, .ipv6Prefix(let address, let length)):
            guard length <= 128 else { throw .numberTooLarge(limit: 128) }
            let masked = address.masked(to: length)
            // RFC 3162 §2.3: no more bytes than the prefix needs.
            return [0, length] + (big(masked.high, 8) + big(masked.low, 8)).prefix((Int(length) + 7) / 8)
        case (.interfaceID, .interfaceID(let bits)): return big(bits, 8)
        case (.ethernet, .ethernet(let bits)): return big(bits, 6)
        case (.nested, .nested(let members)): return try nested(members, in: definition.oid)
        default: throw .wrongKind(definition.kind)
        }
    }

    private mutating func nested(_ members: [DecodedAttribute], in oid: AttributeOID) throws(AttributeError) -> [UInt8] {
        var result: [UInt8] = []
        for member in members {
            guard member.oid.parent == oid, let type = member.oid.numbers.last.flatMap({ UInt8(exactly: $0) }) else {
                throw .noPlace(member.oid)
            }
            let value = try value(of: member)
            guard value.count <= Packet.maximumValueLength else {
                throw .valueTooLong(length: value.count, limit: Packet.maximumValueLength)
            }
            guard !value.isEmpty else { throw .wrongLength(0, expected: 1) }
            result += [type, UInt8(value.count + 2)] + value
        }
        guard !result.isEmpty else { throw .wrongLength(0, expected: 3) }
        return result
    }
}
