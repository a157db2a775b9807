// SPDX-License-Identifier: Apache-2.0
// The value of an attribute by its kind, and its text as people write it in settings and logs.

/// A value as its kind reads it.
public enum AttributeValue: Sendable, Hashable {
    case text(String)
    case octets([UInt8])
    /// `integer`, `short`, `byte`, `integer64` and `date`, which counts seconds since 1970.
    case number(UInt64)
    case signed(Int32)
    case ipv4(IPv4Address)
    case ipv6(IPv6Address)
    case ipv4Prefix(IPv4Address, length: UInt8)
    case ipv6Prefix(IPv6Address, length: UInt8)
    case interfaceID(UInt64)
    /// The lower 48 bits.
    case ethernet(UInt64)
    case nested([DecodedAttribute])
}

/// One attribute of a packet, read by a dictionary.
public struct DecodedAttribute: Sendable, Hashable {
    public var oid: AttributeOID
    /// 1–31 (RFC 2868 §3); nil: none, or none that means anything.
    public var tag: UInt8?
    public var value: AttributeValue
    public var form: Form

    public enum Form: Sendable, Hashable {
        case plain
        /// Hidden with the secret, which was not given: the octets are those on the wire, the tag among them.
        case hidden
        /// Not of the length or the shape that its kind has: the octets are those on the wire (RFC 6929 §2.8).
        case malformed
    }

    public init(_ oid: AttributeOID, tag: UInt8? = nil, _ value: AttributeValue, form: Form = .plain) {
        self.oid = oid
        self.tag = tag
        self.value = value
        self.form = form
    }
}

/// Why a value cannot be written. Holds names, lengths and limits, never the value.
public enum AttributeError: Error, Sendable, Hashable {
    case valueTooLong(length: Int, limit: Int)
    case wrongLength(Int, expected: Int)
    case wrongKind(AttributeKind)
    /// The text is none that this kind can be read from.
    case notUnderstood(AttributeKind)
    case numberTooLarge(limit: UInt64)
    case tagNotAllowed
    case tagOutOfRange
    case noPlace(AttributeOID)
    /// The value has to be hidden, and nothing was given to hide it with.
    case secretNeeded
}

extension AttributeError: CustomStringConvertible {
    /// What the value would have to be, to stand behind the name of the attribute.
    public var description: String {
        switch self {
        case .valueTooLong(let length, let limit): "the value has \(length) bytes; \(limit) fit"
        case .wrongLength(let length, let expected): "the value has \(length) bytes; it must have \(expected)"
        case .wrongKind(let kind), .notUnderstood(let kind): "the value must be \(kind.example)"
        case .numberTooLarge(let limit): "the number is too large; the greatest is \(limit)"
        case .tagNotAllowed: "this attribute takes no tag"
        case .tagOutOfRange: "a tag is a number from 1 to 31"
        case .noPlace(let oid): "\(oid) is no place of an attribute"
        case .secretNeeded: "the value is hidden with the shared secret when it is sent"
        }
    }
}

extension AttributeKind {
    /// What a value looks like, with an example.
    public var example: String {
        switch self {
        case .text: "text"
        case .octets: "text, or 0x and hexadecimal digits"
        case .integer: "a number from 0 to 4294967295"
        case .short: "a number from 0 to 65535"
        case .byte: "a number from 0 to 255"
        case .signed: "a number from -2147483648 to 2147483647"
        case .integer64: "a number from 0 to 18446744073709551615"
        case .ipv4: "an IPv4 address such as 192.0.2.1"
        case .ipv6: "an IPv6 address such as 2001:db8::1"
        case .ipv4Prefix: "an IPv4 network such as 192.0.2.0/24"
        case .ipv6Prefix: "an IPv6 network such as 2001:db8::/32"
        case .anyAddress: "an IPv4 or IPv6 address"
        case .time: "seconds since 1970, or a time such as 2026-11-21T18:00:00Z"
        case .interfaceID: "four groups such as 0:0:0:1"
        case .ethernet: "six bytes such as 00:11:22:aa:bb:cc"
        case .nested, .vendor, .extended, .longExtended, .extendedVendor: "set by the attributes inside it"
        }
    }

    /// The greatest number that the kind holds.
    var limit: UInt64 {
        switch self {
        case .byte: 0xFF
        case .short: 0xFFFF
        case .integer64: .max
        default: 0xFFFF_FFFF
        }
    }
}

// MARK: Text

extension AttributeDictionary {
    /// Reads a value from the text that people write; a number may be given by its name.
    ///
    /// - Throws: `notUnderstood`, `numberTooLarge`, `wrongKind` for a container.
    public func value(_ text: String, for definition: AttributeDefinition) throws(AttributeError) -> AttributeValue {
        let kind = definition.kind
        let value: AttributeValue?
        switch kind {
        case .text:
            value = .text(text)
        case .octets:
            value = text.hasPrefix("0x") ? Self.hexadecimal(text.dropFirst(2)).map { .octets($0) } : .octets(Array(text.utf8))
        case .integer, .short, .byte, .integer64, .time:
            var number = number(of: text, for: definition.oid) ?? Self.number(text)
            if number == nil, kind == .time { number = CivilTime.seconds(text) }
            if let number, number > kind.limit { throw .numberTooLarge(limit: kind.limit) }
            if definition.isTagged, let number, number > 0xFF_FFFF { throw .numberTooLarge(limit: 0xFF_FFFF) }
            value = number.map { .number($0) }
        case .signed: value = Int32(text).map { .signed($0) }
        case .ipv4: value = IPv4Address(text).map { .ipv4($0) }
        case .ipv6: value = IPv6Address(text).map { .ipv6($0) }
        case .anyAddress: value = IPv4Address(text).map { .ipv4($0) } ?? IPv6Address(text).map { .ipv6($0) }
        case .ipv4Prefix:
            value = Self.prefix(text, longest: 32).flatMap { address, length in
                IPv4Address(address).map { .ipv4Prefix($0.masked(to: length), length: length) }
            }
        case .ipv6Prefix:
            value = Self.prefix(text, longest: 128).flatMap { address, length in
                IPv6Address(address).map { .ipv6Prefix($0.masked(to: length), length: length) }
            }
        case .interfaceID: value = Self.groups(text, count: 4, digits: 1...4).map { .interfaceID($0) }
        case .ethernet: value = Self.groups(text, count: 6, digits: 2...2).map { .ethernet($0) }
        case .nested, .vendor, .extended, .longExtended, .extendedVendor: throw .wrongKind(kind)
        }
        guard let value else { throw .notUnderstood(kind) }
        return value
    }

    /// The text that `value(_:for:)` reads; a number by its name where it has one.
    public func text(of attribute: DecodedAttribute) -> String {
        let definition = self[attribute.oid]
        switch attribute.value {
        case .text(let text): return text
        case .octets(let bytes): return "0x" + Self.hexadecimal(bytes)
        case .number(let number):
            if let name = name(of: number, for: attribute.oid) { return name }
            return definition?.kind == .time ? CivilTime.text(number) : String(number)
        case .signed(let number): return String(number)
        case .ipv4(let address): return address.description
        case .ipv6(let address): return address.description
        case .ipv4Prefix(let address, let length): return "\(address)/\(length)"
        case .ipv6Prefix(let address, let length): return "\(address)/\(length)"
        case .interfaceID(let bits):
            return (0..<4).map { String(bits >> UInt64(48 - 16 * $0) & 0xFFFF, radix: 16) }.joined(separator: ":")
        case .ethernet(let bits):
            return Self.hexadecimal((0..<6).map { UInt8(truncatingIfNeeded: bits >> UInt64(40 - 8 * $0)) }, separator: ":")
        case .nested(let members):
            return "{ " + members.map { "\(name(of: $0.oid)) = \(text(of: $0))" }.joined(separator: ", ") + " }"
        }
    }

    private static func number(_ text: String) -> UInt64? {
        guard let first = text.utf8.first, UInt8(ascii: "0") <= first, first <= UInt8(ascii: "9") else { return nil }
        guard text.hasPrefix("0x") else { return UInt64(text) }
        return text.dropFirst(2).first == "+" ? nil : UInt64(text.dropFirst(2), radix: 16)
    }

    static func hexadecimal(_ text: Substring) -> [UInt8]? {
        guard text.utf8.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in text {
            guard let digit = character.isASCII ? character.hexDigitValue : nil else { return nil }
            if let half = high {
                bytes.append(half << 4 | UInt8(digit))
                high = nil
            } else {
                high = UInt8(digit)
            }
        }
        return bytes
    }

    static func hexadecimal(_ bytes: [UInt8], separator: String = "") -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: separator)
    }

    private static func prefix(_ text: String, longest: UInt8) -> (Substring, UInt8)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = parts[1].utf8.first, first != UInt8(ascii: "+"), let length = UInt8(parts[1]), length <= longest
        else { return nil }
        return (parts[0], length)
    }

    private static func groups(_ text: String, count: Int, digits: ClosedRange<Int>) -> UInt64? {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "-" }
        guard parts.count == count else { return nil }
        var bits: UInt64 = 0
        for part in parts {
            guard digits.contains(part.utf8.count), part.allSatisfy({ $0.isASCII && $0.isHexDigit }), let number = UInt64(part, radix: 16)
            else { return nil }
            bits = bits << UInt64(4 * digits.upperBound) | number
        }
        return bits
    }
}

extension IPv4Address {
    /// Reads dotted decimal; no leading zeros, which some read as octal.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ UInt8(ascii: "0") <= $0 && $0 <= UInt8(ascii: "9") }),
                part.utf8.count == 1 || part.utf8.first != UInt8(ascii: "0"), let number = UInt8(part)
            else { return nil }
            bits = bits << 8 | UInt32(number)
        }
        self.init(bits)
    }

    /// With the bits outside of the prefix cleared.
    func masked(to length: UInt8) -> IPv4Address {
        IPv4Address(length == 0 ? 0 : rawValue & (UInt32.max << UInt32(32 - min(length, 32))))
    }
}

extension IPv6Address {
    /// Reads the forms of RFC 4291 §2.2: eight groups, `::` once, an IPv4 address at the end.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45 else { return nil }
        let halves = Self.halves(String(text))
        guard let front = Self.groups(halves.0, last: halves.1 == nil) else { return nil }
        var groups = front
        if let rest = halves.1 {
            guard let back = Self.groups(rest, last: true), front.count + back.count <= 7 else { return nil }
            groups += [UInt16](repeating: 0, count: 8 - front.count - back.count) + back
        }
        guard groups.count == 8 else { return nil }
        let word = { (part: ArraySlice<UInt16>) in part.reduce(UInt64(0)) { $0 << 16 | UInt64($1) } }
        self.init(high: word(groups[..<4]), low: word(groups[4...]))
    }

    /// What stands before and behind `::`; nil behind where there is none.
    private static func halves(_ text: String) -> (Substring, Substring?) {
        var previous: String.Index?
        for index in text.indices {
            if text[index] == ":", let previous, text[previous] == ":" {
                return (text[..<previous], text[text.index(after: index)...])
            }
            previous = index
        }
        return (text[...], nil)
    }

    private static func groups(_ text: Substring, last: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if last, index == parts.count - 1, part.contains(".") {
                guard let address = IPv4Address(part) else { return nil }
                groups += [UInt16(address.rawValue >> 16), UInt16(truncatingIfNeeded: address.rawValue)]
                continue
            }
            guard (1...4).contains(part.utf8.count), part.allSatisfy({ $0.isASCII && $0.isHexDigit }), let group = UInt16(part, radix: 16)
            else { return nil }
            groups.append(group)
        }
        return groups
    }

    /// With the bits outside of the prefix cleared.
    func masked(to length: UInt8) -> IPv6Address {
        let length = UInt64(min(length, 128))
        let mask = { (bits: UInt64) in bits == 0 ? 0 : bits >= 64 ? UInt64.max : UInt64.max << (64 - bits) }
        return IPv6Address(high: high & mask(length), low: low & mask(length < 64 ? 0 : length - 64))
    }
}

/// Seconds since 1970 as `2026-11-21T18:00:00Z` and back, without a calendar.
enum CivilTime {
    static func text(_ seconds: UInt64) -> String {
        let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86_400)
        // Days are counted in eras of 400 years that begin on the first of March.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let day = shifted % 146_097
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153
        let civilMonth = month < 10 ? month + 3 : month - 9
        let date = [era * 400 + year + (civilMonth <= 2 ? 1 : 0), civilMonth, dayOfYear - (153 * month + 2) / 5 + 1]
        let time = [rest / 3_600, rest / 60 % 60, rest % 60]
        let padded = { (number: UInt64) in (number < 10 ? "0" : "") + String(number) }
        return date.map(padded).joined(separator: "-") + "T" + time.map(padded).joined(separator: ":") + "Z"
    }

    static func seconds(_ text: String) -> UInt64? {
        let shape = "dddd-dd-ddTdd:dd:ddZ"
        guard text.utf8.count == shape.utf8.count else { return nil }
        for (byte, expected) in zip(text.utf8, shape.utf8) {
            let isDigit = UInt8(ascii: "0") <= byte && byte <= UInt8(ascii: "9")
            guard expected == UInt8(ascii: "d") ? isDigit : byte == expected else { return nil }
        }
        let numbers = text.split { !$0.isNumber }.compactMap { UInt64($0) }
        guard numbers.count == 6 else { return nil }
        let (year, month, day) = (numbers[0], numbers[1], numbers[2])
        guard year >= 1970, (1...12).contains(month), (1...31).contains(day), numbers[3] < 24, numbers[4] < 60, numbers[5] < 60 else {
            return nil
        }
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        let seconds = days * 86_400 + numbers[3] * 3_600 + numbers[4] * 60 + numbers[5]
        // The 31st of a month that has none comes out as another day.
        return Self.text(seconds) == text ? seconds : nil
    }
}
