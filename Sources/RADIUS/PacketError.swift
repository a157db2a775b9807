// SPDX-License-Identifier: Apache-2.0
// Why bytes are not a packet, or values not an encodable one.

/// What is wrong with a datagram, or with what should become one. Holds lengths and types, never contents.
public enum PacketError: Error, Sendable, Hashable {
    /// Fewer than 20 bytes were received (RFC 2865 §3).
    case tooShort(received: Int)
    /// More than 4096 bytes were to be sent, or Length says so (RFC 2865 §3).
    case tooLong(length: Int)
    /// Length is below 20 (RFC 2865 §3).
    case lengthFieldTooSmall(length: Int)
    /// Length says more than was received (RFC 2865 §3).
    case lengthFieldBeyondDatagram(length: Int, received: Int)
    /// A code that is not in use (RFC 2865 §3).
    case unknownCode(UInt8)
    /// The last attribute ends outside of Length, or has no room for its own length (RFC 2865 §5).
    case attributeTruncated(AttributeType)
    /// An attribute's length is 0 or 1 (RFC 2865 §5).
    case attributeLengthTooSmall(AttributeType)
    /// More attributes than `Packet.maximumAttributeCount`.
    case tooManyAttributes
    /// An attribute that may occur once occurs again (RFC 2865 §5.44, RFC 3579 §3.3).
    case attributeRepeated(AttributeType)
    /// User-Password is not 16, 32, … 128 bytes (RFC 2865 §5.2).
    case userPasswordLength(Int)
    /// CHAP-Password is not 17 bytes (RFC 2865 §5.3).
    case chapPasswordLength(Int)
    /// NAS-IP-Address is not 4 bytes (RFC 2865 §5.4).
    case nasIPAddressLength(Int)
    /// State is empty (RFC 2865 §5.24).
    case stateLength(Int)
    /// Message-Authenticator is not 16 bytes (RFC 3579 §3.2).
    case messageAuthenticatorLength(Int)
    /// NAS-IPv6-Address is not 16 bytes (RFC 3162 §2.1).
    case nasIPv6AddressLength(Int)
    /// A text attribute is not UTF-8 (RFC 2865 §5).
    case textNotUTF8(AttributeType)
    /// A value to be sent exceeds 253 bytes (RFC 2865 §5).
    case valueTooLong(AttributeType, length: Int)
    /// A password to be hidden exceeds 128 bytes (RFC 2865 §5.2).
    case passwordTooLong(length: Int)

    /// A stable word for counters and logs.
    public var cause: String {
        switch self {
        case .tooShort: "too_short"
        case .tooLong: "too_long"
        case .lengthFieldTooSmall: "length_field_too_small"
        case .lengthFieldBeyondDatagram: "length_field_beyond_datagram"
        case .unknownCode: "unknown_code"
        case .attributeTruncated: "attribute_truncated"
        case .attributeLengthTooSmall: "attribute_length_too_small"
        case .tooManyAttributes: "too_many_attributes"
        case .attributeRepeated: "attribute_repeated"
        case .userPasswordLength: "user_password_length"
        case .chapPasswordLength: "chap_password_length"
        case .nasIPAddressLength: "nas_ip_address_length"
        case .stateLength: "state_length"
        case .messageAuthenticatorLength: "message_authenticator_length"
        case .nasIPv6AddressLength: "nas_ipv6_address_length"
        case .textNotUTF8: "text_not_utf8"
        case .valueTooLong: "value_too_long"
        case .passwordTooLong: "password_too_long"
        }
    }
}

extension PacketError: CustomStringConvertible {
    /// One sentence for people.
    public var description: String {
        switch self {
        case .tooShort(let received):
            "The datagram has \(received) bytes; a packet has at least \(Packet.minimumLength)."
        case .tooLong(let length):
            "The packet is \(length) bytes long; the limit is \(Packet.maximumLength)."
        case .lengthFieldTooSmall(let length):
            "The length field says \(length); a packet has at least \(Packet.minimumLength) bytes."
        case .lengthFieldBeyondDatagram(let length, let received):
            "The length field says \(length), but only \(received) bytes arrived."
        case .unknownCode(let code):
            "Code \(code) is not in use."
        case .attributeTruncated(let type):
            "\(type) does not end inside the packet."
        case .attributeLengthTooSmall(let type):
            "The length of \(type) is below \(Packet.attributeHeaderLength)."
        case .tooManyAttributes:
            "The packet has more than \(Packet.maximumAttributeCount) attributes."
        case .attributeRepeated(let type):
            "\(type) may occur only once."
        case .userPasswordLength(let length):
            "User-Password has \(length) bytes; it must have 16, 32, … \(HiddenPassword.maximumLength), and in RADIUS/1.1 no more."
        case .chapPasswordLength(let length):
            "CHAP-Password has \(length) bytes; it must have 17."
        case .nasIPAddressLength(let length):
            "NAS-IP-Address has \(length) bytes; it must have 4."
        case .stateLength(let length):
            "State has \(length) bytes; it must have at least 1."
        case .messageAuthenticatorLength(let length):
            "Message-Authenticator has \(length) bytes; it must have 16."
        case .nasIPv6AddressLength(let length):
            "NAS-IPv6-Address has \(length) bytes; it must have 16."
        case .textNotUTF8(let type):
            "\(type) is not UTF-8 text."
        case .valueTooLong(let type, let length):
            "The value for \(type) has \(length) bytes; an attribute holds \(Packet.maximumValueLength)."
        case .passwordTooLong(let length):
            "The password has \(length) bytes; User-Password holds \(HiddenPassword.maximumLength)."
        }
    }
}
