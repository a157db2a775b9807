// SPDX-License-Identifier: Apache-2.0
// Builds packets: attributes in order into one buffer, signed in place.

/// Writes a packet. Adding never throws: the first mistake is kept and thrown by `sign(with:)`, so a packet is all or nothing.
///
/// A packet that will carry a Message-Authenticator has it as its first attribute, as the defence against CVE-2024-3596 asks.
public struct PacketWriter: Sendable {
    /// Where the value of Message-Authenticator lies: first, right behind the header.
    static let messageAuthenticatorOffset = Packet.minimumLength + Packet.attributeHeaderLength

    private(set) var bytes: [UInt8]
    let code: Code
    let version: RADIUSVersion
    /// What stands at bytes 4–19 while digests are computed.
    let requestAuthenticator: Authenticator
    let isReply: Bool
    let hasMessageAuthenticator: Bool
    private(set) var failure: PacketError?
    private var attributeCount = 0

    /// Starts a request.
    ///
    /// - Parameters:
    ///   - authenticator: the random Request Authenticator (RFC 2865 §3). Ignored for codes that compute theirs.
    ///   - messageAuthenticator: whether to sign by RFC 3579 §3.2 also; by default all but Accounting-Request are.
    public init(request code: Code, identifier: UInt8, authenticator: Authenticator, messageAuthenticator: Bool? = nil) {
        self.init(
            code, .historic, identifier, code.hasComputedRequestAuthenticator ? .zero : authenticator, isReply: false,
            messageAuthenticator ?? (code != .accountingRequest))
    }

    /// Starts a request of RADIUS/1.1.
    ///
    /// - Parameter token: another one for each request of a connection (RFC 9765 §4.2.1).
    public init(request code: Code, token: UInt32) {
        self.init(code, .tokens, 0, Authenticator(token: token), isReply: false, false)
    }

    /// Starts a reply to a request, with its identifier or token, in its form.
    ///
    /// - Parameter messageAuthenticator: whether to sign by RFC 3579 §3.2 also; by default all but Accounting-Response are. In RADIUS/1.1
    ///   none is (RFC 9765 §5.2).
    public init(reply code: Code, to request: Packet, messageAuthenticator: Bool? = nil) {
        guard request.version == .historic else {
            self.init(code, .tokens, 0, Authenticator(token: request.token), isReply: true, false)
            return
        }
        self.init(
            code, .historic, request.identifier, request.authenticator, isReply: true, messageAuthenticator ?? (code != .accountingResponse)
        )
    }

    private init(
        _ code: Code, _ version: RADIUSVersion, _ identifier: UInt8, _ authenticator: Authenticator, isReply: Bool,
        _ hasMessageAuthenticator: Bool
    ) {
        self.code = code
        self.version = version
        self.isReply = isReply
        self.hasMessageAuthenticator = hasMessageAuthenticator
        requestAuthenticator = authenticator
        bytes = []
        bytes.reserveCapacity(224)
        bytes.append(code.rawValue)
        bytes.append(identifier)
        bytes.append(0)
        bytes.append(0)
        append(authenticator)
        if hasMessageAuthenticator {
            bytes.append(AttributeType.messageAuthenticator.rawValue)
            bytes.append(UInt8(MessageAuthenticator.length + Packet.attributeHeaderLength))
            append(.zero)
            attributeCount = 1
        }
    }

    /// The length the packet has so far in bytes.
    public var length: Int { bytes.count }

    /// Adds one attribute.
    ///
    /// Message-Authenticator is refused by making `sign(with:)` throw `attributeRepeated`: it is there already.
    /// Kept for `sign(with:)`: `valueTooLong` over 253 bytes, `tooLong` over 4096 in all, `tooManyAttributes`.
    public mutating func add(_ type: AttributeType, _ value: [UInt8]) {
        add(type, value.span, 0..<value.count)
    }

    /// Adds a slice of bytes as one attribute.
    public mutating func add(_ type: AttributeType, _ value: ArraySlice<UInt8>) {
        guard reserve(type, value.count) else { return }
        bytes.append(contentsOf: value)
    }

    /// Adds a 32-bit number (RFC 8044 §3.1).
    public mutating func addInteger(_ type: AttributeType, _ value: UInt32) {
        guard reserve(type, 4) else { return }
        append(value)
    }

    /// Adds an IPv4 address (RFC 8044 §3.8).
    public mutating func addIPv4(_ type: AttributeType, _ address: IPv4Address) {
        addInteger(type, address.rawValue)
    }

    /// Adds an IPv6 address (RFC 8044 §3.9).
    public mutating func addIPv6(_ type: AttributeType, _ address: IPv6Address) {
        guard reserve(type, 16) else { return }
        append(Authenticator(high: address.high, low: address.low))
    }

    /// Adds text, in as many attributes as it needs; no scalar is cut. Empty text adds nothing (RFC 2865 §5).
    public mutating func addText(_ type: AttributeType, _ text: String) {
        let utf8 = Array(text.utf8)
        var start = 0
        while start < utf8.count {
            var end = min(start + Packet.maximumValueLength, utf8.count)
            // A byte 10xxxxxx continues a scalar (RFC 3629 §3).
            while end < utf8.count && utf8[end] & 0xc0 == 0x80 { end -= 1 }
            add(type, utf8.span, start..<end)
            start = end
        }
    }

    /// Adds bytes in pieces of 253, as EAP-Message is sent (RFC 3579 §3.1). Empty bytes add nothing.
    public mutating func addSplit(_ type: AttributeType, _ value: [UInt8]) {
        var start = 0
        while start < value.count {
            let end = min(start + Packet.maximumValueLength, value.count)
            add(type, value.span, start..<end)
            start = end
        }
    }

    /// Adds User-Password, hidden with this request's authenticator (RFC 2865 §5.2).
    ///
    /// Kept for `sign(with:)`: `passwordTooLong` over 128 bytes.
    public mutating func addPassword(_ password: [UInt8], secret: SharedSecret) {
        guard version == .historic else {
            guard password.count <= HiddenPassword.maximumLength else { return _ = fail(.passwordTooLong(length: password.count)) }
            return add(.userPassword, password)
        }
        do throws(PacketError) {
            add(.userPassword, try HiddenPassword.hide(password, authenticator: requestAuthenticator, secret: secret))
        } catch {
            fail(error)
        }
    }

    /// Adds a Vendor-Specific attribute with one vendor attribute in it (RFC 2865 §5.26); the value holds at most 247 bytes.
    public mutating func addVendor(_ vendor: UInt32, type: UInt8, _ value: [UInt8]) {
        guard reserve(.vendorSpecific, value.count + 6) else { return }
        append(vendor)
        bytes.append(type)
        bytes.append(UInt8(value.count + 2))
        bytes.append(contentsOf: value)
    }

    /// Adds a vendor's text attribute; at most 247 bytes of UTF-8.
    public mutating func addVendorText(_ vendor: UInt32, type: UInt8, _ text: String) {
        addVendor(vendor, type: type, Array(text.utf8))
    }

    /// Adds whole attributes, type and length in front of each, as `AttributeDictionary.encode` gives them.
    ///
    /// Kept for `sign(with:)`: `attributeTruncated` and `attributeLengthTooSmall` for what are no whole attributes.
    public mutating func addEncoded(_ attributes: [UInt8]) {
        var offset = 0
        while offset < attributes.count {
            let type = AttributeType(rawValue: attributes[offset])
            let end = offset + 1 < attributes.count ? offset + Int(attributes[offset + 1]) : Int.max
            guard end <= attributes.count else { return _ = fail(.attributeTruncated(type)) }
            guard end >= offset + Packet.attributeHeaderLength else { return _ = fail(.attributeLengthTooSmall(type)) }
            add(type, attributes.span, offset + Packet.attributeHeaderLength..<end)
            offset = end
        }
    }

    /// Copies all Proxy-State of the request in their order (RFC 2865 §5.33).
    public mutating func copyProxyState(from request: Packet) {
        guard request.contains(.proxyState) else { return }
        for attribute in request.attributes where attribute.type == .proxyState {
            add(.proxyState, request.bytes.span, attribute.range)
        }
    }

    private mutating func add(_ type: AttributeType, _ value: borrowing Span<UInt8>, _ range: Range<Int>) {
        guard reserve(type, range.count) else { return }
        for index in range { bytes.append(value[index]) }
    }

    /// Checks the limits and writes type and length; false when the value must not follow.
    private mutating func reserve(_ type: AttributeType, _ count: Int) -> Bool {
        guard failure == nil else { return false }
        guard type != .messageAuthenticator else { return fail(.attributeRepeated(type)) }
        guard count <= Packet.maximumValueLength else { return fail(.valueTooLong(type, length: count)) }
        let length = bytes.count + Packet.attributeHeaderLength + count
        guard length <= Packet.maximumLength else { return fail(.tooLong(length: length)) }
        guard attributeCount < Packet.maximumAttributeCount else { return fail(.tooManyAttributes) }
        attributeCount += 1
        bytes.append(type.rawValue)
        bytes.append(UInt8(count + Packet.attributeHeaderLength))
        return true
    }

    @discardableResult
    private mutating func fail(_ error: PacketError) -> Bool {
        if failure == nil { failure = error }
        return false
    }

    private mutating func append(_ value: UInt32) {
        for index in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index))) }
    }

    private mutating func append(_ value: Authenticator) {
        for index in 0..<Authenticator.length { bytes.append(value[index]) }
    }
}

extension PacketWriter {
    /// Ends the packet: Length, Message-Authenticator (RFC 3579 §3.2), then the authenticator its code asks for.
    ///
    /// Replies get the Response Authenticator (RFC 2865 §3), Accounting-, CoA- and Disconnect-Requests theirs
    /// (RFC 2866 §3, RFC 5176 §2.3); Access-Request and Status-Server keep the random one. In RADIUS/1.1 nothing is signed, and the secret
    /// not used.
    /// - Returns: the datagram, 20–4096 bytes.
    /// - Throws: the first mistake made while adding.
    public consuming func sign(with secret: SharedSecret) throws(PacketError) -> [UInt8] {
        if let failure { throw failure }
        bytes[2] = UInt8(truncatingIfNeeded: bytes.count >> 8)
        bytes[3] = UInt8(truncatingIfNeeded: bytes.count)
        guard version == .historic else { return bytes }
        if hasMessageAuthenticator {
            let offset = Self.messageAuthenticatorOffset
            secret.hmacKey.code(for: bytes).write(to: &bytes, at: offset)
        }
        if isReply || code.hasComputedRequestAuthenticator {
            var digest = MD5()
            digest.update(bytes)
            digest.update(secret.bytes)
            digest.finish().write(to: &bytes, at: 4)
        }
        return bytes
    }
}

extension Packet {
    /// The same packet written anew from its parts; equals `bytes`. For checking codec against codec.
    public func reencoded() -> [UInt8] {
        var result: [UInt8] = [code.rawValue, identifier, 0, 0] + authenticator.bytes
        for attribute in attributes {
            result.append(attribute.type.rawValue)
            result.append(UInt8(attribute.range.count + Self.attributeHeaderLength))
            result += value(of: attribute)
        }
        result[2] = UInt8(truncatingIfNeeded: result.count >> 8)
        result[3] = UInt8(truncatingIfNeeded: result.count)
        return result
    }
}
