// SPDX-License-Identifier: Apache-2.0
// Bytes → Packet: one pass over the attributes, every limit with its RFC section.

extension Packet {
    /// Checks the layout of a datagram and keeps the array; bytes beyond Length are dropped as padding (RFC 2865 §3).
    ///
    /// - Parameter version: what both sides of a TLS connection agreed on; elsewhere there is one alone.
    /// - Throws: what makes the datagram no packet; it is to be dropped silently (RFC 2865 §3).
    public init(decoding datagram: [UInt8], version: RADIUSVersion = .historic) throws(PacketError) {
        let layout = try Layout(datagram.span, version)
        let bytes = layout.length == datagram.count ? datagram : Array(datagram[..<layout.length])
        self.init(bytes, layout)
    }

    /// Checks the layout of a datagram that lies in someone else's buffer and copies it once.
    ///
    /// - Throws: as `init(decoding:)` for arrays.
    public init(decoding datagram: borrowing Span<UInt8>) throws(PacketError) {
        let layout = try Layout(datagram, .historic)
        let bytes = [UInt8](capacity: layout.length) { output in
            for index in 0..<layout.length { output.append(datagram[index]) }
        }
        self.init(bytes, layout)
    }

    private init(_ bytes: [UInt8], _ layout: Layout) {
        self.init(
            bytes: bytes, code: layout.code, version: layout.version, messageAuthenticatorOffset: layout.messageAuthenticatorOffset,
            types: layout.types)
    }
}

/// What one pass over a datagram finds.
private struct Layout {
    let version: RADIUSVersion
    let code: Code
    let length: Int
    var messageAuthenticatorOffset = 0
    var types = AttributeTypeSet()

    init(_ bytes: borrowing Span<UInt8>, _ version: RADIUSVersion) throws(PacketError) {
        self.version = version
        guard bytes.count >= Packet.minimumLength else { throw .tooShort(received: bytes.count) }
        length = Int(bytes[2]) << 8 | Int(bytes[3])
        guard length >= Packet.minimumLength else { throw .lengthFieldTooSmall(length: length) }
        guard length <= Packet.maximumLength else { throw .tooLong(length: length) }
        guard length <= bytes.count else { throw .lengthFieldBeyondDatagram(length: length, received: bytes.count) }
        guard let code = Code(rawValue: bytes[0]) else { throw .unknownCode(bytes[0]) }
        self.code = code
        var offset = Packet.minimumLength
        var count = 0
        while offset < length {
            let type = bytes[offset]
            // RFC 2865 §5: the length counts its own two bytes.
            guard offset + 1 < length else { throw .attributeTruncated(AttributeType(rawValue: type)) }
            let attributeLength = Int(bytes[offset + 1])
            guard attributeLength >= Packet.attributeHeaderLength else {
                throw .attributeLengthTooSmall(AttributeType(rawValue: type))
            }
            guard offset + attributeLength <= length else { throw .attributeTruncated(AttributeType(rawValue: type)) }
            count += 1
            guard count <= Packet.maximumAttributeCount else { throw .tooManyAttributes }
            // RFC 9765 §5.2: it is passed over there, as if it were not in the packet.
            if version == .historic || type != AttributeType.messageAuthenticator.rawValue {
                try check(type, valueLength: attributeLength - Packet.attributeHeaderLength, at: offset + Packet.attributeHeaderLength)
                types.insert(type)
            }
            offset += attributeLength
        }
    }

    /// The attributes on which decisions rest must be unambiguous and well formed; the others are checked by their views.
    private mutating func check(_ type: UInt8, valueLength: Int, at offset: Int) throws(PacketError) {
        switch AttributeType(rawValue: type) {
        case .userName:
            break
        case .userPassword:
            // Some clients send an empty password as an empty attribute.
            guard valueLength == 0 || isPasswordLength(valueLength) else { throw .userPasswordLength(valueLength) }
        case .chapPassword:
            guard valueLength == 17 else { throw .chapPasswordLength(valueLength) }
        case .state:
            guard valueLength >= 1 else { throw .stateLength(valueLength) }
        case .messageAuthenticator:
            guard valueLength == MessageAuthenticator.length else { throw .messageAuthenticatorLength(valueLength) }
            messageAuthenticatorOffset = offset
        case .nasIPAddress:
            guard valueLength == 4 else { throw .nasIPAddressLength(valueLength) }
            return
        case .nasIPv6Address:
            guard valueLength == 16 else { throw .nasIPv6AddressLength(valueLength) }
            return
        default:
            return
        }
        guard !types.contains(type) else { throw .attributeRepeated(AttributeType(rawValue: type)) }
    }

    /// RFC 9765 §5.1.1: not hidden, so not padded, and as long as before.
    private func isPasswordLength(_ length: Int) -> Bool {
        version == .historic ? HiddenPassword.isValidLength(length) : length <= HiddenPassword.maximumLength
    }
}
