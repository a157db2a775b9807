// SPDX-License-Identifier: Apache-2.0

internal import RADIUS
internal import Testing

/// A value as people write it, and as it lies in a packet.
struct AttributeVector: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let source: String
    let attribute: String
    let tag: UInt8?
    let text: String
    let bytes: Hex
    // Where the value is hidden.
    let secret: String?
    let authenticator: Hex?
    let salt: UInt16?

    var testDescription: String { name }

    static let values: [AttributeVector] = load("attribute-values")
    static let hidden: [AttributeVector] = load("hidden-values")

    func key() throws -> AttributeKey? {
        guard let secret, let authenticator else { return nil }
        return AttributeKey(
            secret: try #require(SharedSecret(secret)), authenticator: try #require(Authenticator(authenticator.bytes)))
    }
}

/// The examples of RFC 6929 §9, each with the dictionary that it speaks of.
struct ExtendedVector: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let dictionary: String
    let attributes: [String: String]
    let bytes: Hex

    var testDescription: String { name }

    static let all: [ExtendedVector] = load("rfc6929-extended")
}

/// Attributes that are not what their kind says.
struct MalformedAttributeVector: Decodable, Sendable, CustomTestStringConvertible {
    struct Expected: Decodable, Sendable, Equatable {
        let oid: String
        let form: String
    }

    let name: String
    let bytes: Hex
    let expected: [Expected]

    var testDescription: String { name }

    static let all: [MalformedAttributeVector] = load("malformed-attributes")
}

struct AttributeCodecTests {
    let dictionary = AttributeDictionary.builtIn

    @Test func theVectorFilesAreThere() {
        #expect(AttributeVector.values.count >= 36)
        #expect(AttributeVector.hidden.count >= 8)
        #expect(ExtendedVector.all.count >= 11)
        #expect(MalformedAttributeVector.all.count >= 36)
    }

    @Test(arguments: AttributeVector.values + AttributeVector.hidden)
    func valuesAreWrittenAndReadAgain(_ vector: AttributeVector) throws {
        let definition = try #require(dictionary[name: vector.attribute])
        let value = try dictionary.value(vector.text, for: definition)
        let attribute = DecodedAttribute(definition.oid, tag: vector.tag, value)
        let key = try vector.key()
        #expect(try dictionary.encode(attribute, key: key, salt: vector.salt ?? 0) == vector.bytes.bytes)
        var decoded = try #require(try dictionary.decode(attributes: vector.bytes.bytes, key: key).first)
        // A member of a nested value stands inside it.
        while case .nested(let members) = decoded.value { decoded = try #require(members.first) }
        #expect(decoded == attribute)
        #expect(dictionary.text(of: decoded) == vector.text)
    }

    @Test(arguments: AttributeVector.hidden) func withoutTheSecretHiddenValuesStayHidden(_ vector: AttributeVector) throws {
        let decoded = try #require(try dictionary.decode(attributes: vector.bytes.bytes).first)
        #expect(decoded.form == .hidden)
        #expect(try dictionary.encode(decoded) == vector.bytes.bytes)
        let definition = try #require(dictionary[name: vector.attribute])
        let attribute = DecodedAttribute(definition.oid, tag: vector.tag, try dictionary.value(vector.text, for: definition))
        #expect(throws: AttributeError.secretNeeded) { try dictionary.encode(attribute) }
    }

    @Test func aWrongSecretRevealsNothing() throws {
        let vector = try #require(AttributeVector.hidden.first { $0.name == "tunnel password of several blocks" })
        let right = try #require(try vector.key())
        let wrong = AttributeKey(secret: try #require(SharedSecret("another")), authenticator: right.authenticator)
        let decoded = try #require(try dictionary.decode(attributes: vector.bytes.bytes, key: wrong).first)
        #expect(decoded.value != .text(vector.text))
    }

    @Test(arguments: ExtendedVector.all) func theExamplesOfRFC6929(_ vector: ExtendedVector) throws {
        var dictionary = dictionary
        // The numbers of the examples belong to others by now.
        try dictionary.read(vector.dictionary, named: "example")
        let attributes = try vector.attributes.sorted { $0.key < $1.key }.map { name, text in
            let definition = try #require(dictionary[name: name])
            return DecodedAttribute(definition.oid, try dictionary.value(text, for: definition))
        }
        // By name the inner one of the nested example stands before its sibling; the order on the wire is by number.
        let ordered = attributes.sorted { $0.oid.numbers.lexicographicallyPrecedes($1.oid.numbers) }
        #expect(try dictionary.encode(ordered) == vector.bytes.bytes)
        let decoded = try dictionary.decode(attributes: vector.bytes.bytes)
        #expect(decoded.count == 1 && decoded.allSatisfy { $0.form == .plain })
        #expect(try dictionary.encode(decoded) == vector.bytes.bytes)
    }

    @Test(arguments: MalformedAttributeVector.all) func whatDoesNotFitIsKeptAsItCame(_ vector: MalformedAttributeVector) throws {
        let decoded = try dictionary.decode(attributes: vector.bytes.bytes)
        let found = decoded.map { MalformedAttributeVector.Expected(oid: "\($0.oid)", form: "\($0.form)") }
        #expect(found == vector.expected)
        #expect(try dictionary.encode(decoded) == vector.bytes.bytes)
    }

    @Test func longValuesGoOnWhereTheirPlaceAllowsIt() throws {
        let bytes = (0..<600).map { UInt8(truncatingIfNeeded: $0) }
        for name in ["EAP-Message", "WiMAX-AAA-Session-Id"] {
            let definition = try #require(dictionary[name: name])
            let encoded = try dictionary.encode(DecodedAttribute(definition.oid, .octets(bytes)))
            #expect(try dictionary.decode(attributes: encoded) == [DecodedAttribute(definition.oid, .octets(bytes))])
        }
        #expect(throws: AttributeError.valueTooLong(length: 254, limit: 253)) {
            try dictionary.encode(DecodedAttribute(AttributeOID(.filterID), .text(String(repeating: "a", count: 254))))
        }
        #expect(throws: AttributeError.valueTooLong(length: 248, limit: 247)) {
            try dictionary.encode(DecodedAttribute(AttributeOID(vendor: 9, type: 1), .text(String(repeating: "a", count: 248))))
        }
        #expect(throws: AttributeError.valueTooLong(length: 240, limit: 239)) {
            let key = AttributeKey(secret: try #require(SharedSecret("s")), authenticator: .zero)
            return try dictionary.encode(
                DecodedAttribute(AttributeOID(vendor: 311, type: 16), .octets([UInt8](repeating: 1, count: 240))), key: key)
        }
    }

    @Test func numbersAndTagsHaveLimits() throws {
        func encode(_ name: String, _ value: AttributeValue, tag: UInt8? = nil) throws -> [UInt8] {
            try dictionary.encode(DecodedAttribute(try #require(dictionary[name: name]).oid, tag: tag, value))
        }
        #expect(throws: AttributeError.numberTooLarge(limit: 0xFF_FFFF)) { try encode("Tunnel-Preference", .number(0x100_0000)) }
        #expect(try encode("Tunnel-Preference", .number(0xFF_FFFF)) == [83, 6, 0, 255, 255, 255])
        #expect(throws: AttributeError.tagOutOfRange) { try encode("Tunnel-Type", .number(1), tag: 32) }
        #expect(throws: AttributeError.tagOutOfRange) { try encode("Tunnel-Type", .number(1), tag: 0) }
        #expect(throws: AttributeError.tagNotAllowed) { try encode("Filter-Id", .text("a"), tag: 1) }
        #expect(throws: AttributeError.wrongKind(.integer)) { try encode("Session-Timeout", .text("a")) }
        #expect(throws: AttributeError.wrongLength(2, expected: 8)) { try encode("User-Priority-Table", .octets([1, 2])) }
    }

    @Test(
        arguments: [
            ("Session-Timeout", "4294967296"), ("Session-Timeout", "-1"), ("Session-Timeout", "+1"), ("Session-Timeout", "soon"),
            ("Session-Timeout", ""), ("PKM-SAID", "65536"), ("Framed-IP-Address", "10.0.0"), ("Framed-IP-Address", "10.0.0.256"),
            ("Framed-IP-Address", "10.0.0.01"), ("Framed-IP-Address", "0x0a000001"), ("Framed-IPv6-Address", "1::2::3"),
            ("Framed-IPv6-Address", ":1"), ("Framed-IPv6-Address", "1:2:3:4:5:6:7"), ("Framed-IPv6-Address", "1:2:3:4:5:6:7:8:9"),
            ("Framed-IPv6-Address", "::12345"), ("Framed-IPv6-Address", "1:2:3:4:5:6:7:8::"), ("Framed-IPv6-Prefix", "2001:db8::"),
            ("Framed-IPv6-Prefix", "2001:db8::/129"), ("Framed-IPv6-Prefix", "2001:db8::/+1"), ("Class", "0x0"), ("Class", "0xzz"),
            ("Framed-Interface-Id", "1:2:3"), ("Fortinet-WirelessController-Device-MAC", "0:1:2:3:4:5"),
            ("Event-Timestamp", "2026-02-30T00:00:00Z"), ("Event-Timestamp", "2026-11-21"), ("Tunnel-Preference", "16777216"),
        ]) func textThatIsNoValueIsRefused(_ name: String, _ text: String) throws
    {
        let definition = try #require(dictionary[name: name])
        #expect(throws: AttributeError.self) { try dictionary.value(text, for: definition) }
    }

    @Test(
        arguments: [
            ("2001:0DB8::1", "2001:db8::1"), ("::ffff:192.0.2.1", "::ffff:c000:201"), ("::", "::"), ("1::", "1::"), ("::1", "::1"),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ]) func addressesAreReadAsRFC4291Says(_ text: String, _ canonical: String)
    {
        #expect(IPv6Address(text)?.description == canonical)
    }

    @Test func encodedAttributesGoIntoAPacket() throws {
        let secret = try #require(SharedSecret("secret"))
        let group = DecodedAttribute(AttributeOID(vendor: 3076, type: 25), .text("staff"))
        let timeout = DecodedAttribute(AttributeOID(.sessionTimeout), .number(60))
        var writer = PacketWriter(request: .accessRequest, identifier: 1, authenticator: .zero, messageAuthenticator: false)
        writer.addEncoded(try dictionary.encode([group, timeout]))
        let packet = try Packet(decoding: writer.sign(with: secret))
        #expect(dictionary.decode(packet) == [group, timeout])
        for (bytes, expected) in [
            ([27, 6, 0], PacketError.attributeTruncated(.sessionTimeout)), ([27, 1], .attributeLengthTooSmall(.sessionTimeout)),
        ] as [([UInt8], PacketError)] {
            #expect(throws: expected) { try Self.signed(bytes, secret) }
        }
    }

    private static func signed(_ attributes: [UInt8], _ secret: SharedSecret) throws -> [UInt8] {
        var writer = PacketWriter(request: .accessRequest, identifier: 1, authenticator: .zero)
        writer.addEncoded(attributes)
        return try writer.sign(with: secret)
    }
}
