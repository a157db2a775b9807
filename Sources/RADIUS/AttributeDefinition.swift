// SPDX-License-Identifier: Apache-2.0
// What a dictionary says of one attribute: its place, how its value is written, and what is done to it on the wire.

/// Where an attribute stands, as numbers from the outside in: `27`, `26.9.1`, `241.26.9.1`, and `26.24757.1.2` for a value inside one.
public struct AttributeOID: Sendable, Hashable, CustomStringConvertible {
    /// Never empty. After 26 the vendor follows, after 241–246 the extended type (RFC 6929 §2), after an extended 26 the vendor.
    public let numbers: [UInt32]

    init(_ numbers: [UInt32]) {
        self.numbers = numbers
    }

    /// An attribute of RFC 2865 §5.
    public init(_ type: AttributeType) {
        numbers = [UInt32(type.rawValue)]
    }

    /// A vendor's attribute (RFC 2865 §5.26).
    public init(vendor: UInt32, type: UInt32) {
        numbers = [26, vendor, type]
    }

    /// Reads `26.9.1`. Nil for what is no such list, or names no place that an attribute can have.
    public init?(_ text: some StringProtocol) {
        var numbers: [UInt32] = []
        for part in text.split(separator: ".", omittingEmptySubsequences: false) {
            guard part.utf8.allSatisfy({ UInt8(ascii: "0") <= $0 && $0 <= UInt8(ascii: "9") }), let number = UInt32(part),
                numbers.count < Self.maximumDepth
            else { return nil }
            numbers.append(number)
        }
        self.init(numbers)
        guard place != nil, numbers[0] > 0 else { return nil }
    }

    /// No dictionary nests deeper; what does is kept as bytes.
    public static let maximumDepth = 10

    public var description: String { numbers.map { String($0) }.joined(separator: ".") }

    /// The attribute around this one.
    public var parent: AttributeOID? { numbers.count > 1 ? AttributeOID(numbers.dropLast()) : nil }

    public func child(_ number: UInt32) -> AttributeOID { AttributeOID(numbers + [number]) }

    /// The container that a value at this place is written into, and the way inside it through nested values.
    enum Place: Equatable {
        case standard(UInt8)
        case vendor(UInt32, UInt32)
        case extended(UInt8, UInt8)
        case extendedVendor(UInt8, UInt32, UInt8)
    }

    /// Nil when the numbers are no place of a whole attribute: 26 alone, a vendor alone, a number too large for its field.
    var place: (outer: Place, inner: [UInt8])? {
        guard let first = numbers.first, let type = UInt8(exactly: first) else { return nil }
        let outer: Place
        let used: Int
        switch type {
        case 26:
            guard numbers.count >= 3 else { return nil }
            (outer, used) = (.vendor(numbers[1], numbers[2]), 3)
        case 241...246:
            guard numbers.count >= 2, let extended = UInt8(exactly: numbers[1]) else { return nil }
            if extended == 26 {
                guard numbers.count >= 4, let vendorType = UInt8(exactly: numbers[3]) else { return nil }
                (outer, used) = (.extendedVendor(type, numbers[2], vendorType), 4)
            } else {
                (outer, used) = (.extended(type, extended), 2)
            }
        default:
            (outer, used) = (.standard(type), 1)
        }
        var inner: [UInt8] = []
        for number in numbers[used...] {
            guard let number = UInt8(exactly: number) else { return nil }
            inner.append(number)
        }
        return (outer, inner)
    }
}

/// How a value is written (RFC 8044 §3), by the words of FreeRADIUS's dictionaries.
public enum AttributeKind: String, Sendable, Hashable, CaseIterable {
    case text = "string"
    case octets
    case integer
    case short
    case byte
    case signed
    case integer64
    case ipv4 = "ipaddr"
    case ipv6 = "ipv6addr"
    case ipv4Prefix = "ipv4prefix"
    case ipv6Prefix = "ipv6prefix"
    /// An IPv4 or an IPv6 address, told apart by the length.
    case anyAddress = "combo-ip"
    case time = "date"
    case interfaceID = "ifid"
    case ethernet = "ether"
    /// Values inside the value (RFC 6929 §2.3).
    case nested = "tlv"
    case vendor = "vsa"
    case extended
    case longExtended = "long-extended"
    case extendedVendor = "evs"

    /// Whether it holds attributes of its own and no value.
    var isContainer: Bool {
        switch self {
        case .nested, .vendor, .extended, .longExtended, .extendedVendor: true
        default: false
        }
    }

    /// Whether a dictionary may give names to its values.
    var isNumber: Bool {
        switch self {
        case .integer, .short, .byte, .signed, .integer64, .time: true
        default: false
        }
    }
}

/// How a value is hidden with the shared secret.
public enum AttributeHiding: UInt8, Sendable, Hashable {
    /// As User-Password (RFC 2865 §5.2).
    case userPassword = 1
    /// With a salt, as Tunnel-Password (RFC 2868 §3.5) and the keys of RFC 2548 §2.4.
    case salted = 2
    /// As Ascend-Send-Secret: XORed with MD5(authenticator + secret).
    case ascendSecret = 3
}

/// One attribute of a dictionary.
public struct AttributeDefinition: Sendable, Hashable {
    public let name: String
    public let oid: AttributeOID
    public let kind: AttributeKind
    /// The only length that `octets` may have; nil: any.
    public var fixedLength: Int?
    /// A tag of RFC 2868 §3 stands before the value.
    public var isTagged = false
    public var hiding: AttributeHiding?
    /// A long value goes on in the attributes that follow (RFC 3579 §3.1).
    public var isConcatenated = false

    public init(name: String, oid: AttributeOID, kind: AttributeKind, fixedLength: Int? = nil) {
        self.name = name
        self.oid = oid
        self.kind = kind
        self.fixedLength = fixedLength
    }
}

/// How a vendor lays its attributes out inside Vendor-Specific.
public struct VendorDefinition: Sendable, Hashable {
    public let name: String
    /// The private enterprise number.
    public let number: UInt32
    /// Bytes of the type: 1, 2 or 4.
    public var typeLength = 1
    /// Bytes of the length: 0, 1 or 2.
    public var lengthLength = 1
    /// A byte behind the length says whether the value goes on in the next attribute (WiMAX).
    public var hasContinuation = false

    var headerLength: Int { typeLength + lengthLength + (hasContinuation ? 1 : 0) }
}
