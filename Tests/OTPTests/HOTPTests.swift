// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import OTP
internal import Testing

struct HOTPVector: Decodable, Sendable {
    let key: String
    let codes: [String]

    static func load() throws -> HOTPVector {
        let url = try #require(Bundle.module.url(forResource: "rfc4226-hotp", withExtension: "json", subdirectory: "Vectors"))
        return try JSONDecoder().decode(HOTPVector.self, from: Data(contentsOf: url))
    }
}

func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

struct HOTPTests {
    let vector: HOTPVector
    let hotp: HOTP

    init() throws {
        vector = try HOTPVector.load()
        hotp = try HOTP(key: OTPKey(bytes(vector.key)))
    }

    @Test func codesAreThoseOfRFC4226() {
        #expect(vector.codes.count == 10)
        #expect((0..<10).map { hotp.code(counter: $0) } == vector.codes)
    }

    @Test func aCodeIsFoundInsideTheWindowOnly() {
        #expect(hotp.search(vector.codes[0], from: 0, window: 1) == 0)
        #expect(hotp.search(vector.codes[4], from: 0, window: 5) == 4)
        #expect(hotp.search(vector.codes[5], from: 0, window: 5) == nil)
        #expect(hotp.search(vector.codes[3], from: 4, window: 50) == nil)
        #expect(hotp.search(vector.codes[9], from: 9, window: 1) == 9)
        #expect(hotp.search(vector.codes[0], from: 0, window: 0) == nil)
        #expect(hotp.search(vector.codes[0], from: 0, window: -3) == nil)
    }

    @Test func theWindowIsBounded() {
        let limit = UInt64(HOTP.maximumWindow)
        #expect(hotp.search(hotp.code(counter: limit - 1), from: 0, window: .max) == limit - 1)
        #expect(hotp.search(hotp.code(counter: limit), from: 0, window: .max) == nil)
    }

    @Test func theSearchEndsAtTheLastCounter() {
        #expect(hotp.search(hotp.code(counter: .max), from: .max - 1, window: 10) == .max)
        #expect(hotp.search(vector.codes[0], from: .max - 1, window: 10) == nil)
    }

    @Test(arguments: ["", "75522", "7552244", "75522x", "755 224", "-55224", "+755224", "７５５２２４", "٧٥٥٢٢٤", "755224\n", "755224\0"])
    func textThatIsNotExactlyTheDigitsMatchesNothing(_ text: String) {
        #expect(hotp.search(text, from: 0, window: 10) == nil)
    }

    @Test(arguments: [5, 9, 0, -1]) func otherCountsOfDigitsAreRefused(_ digits: Int) throws {
        #expect(throws: OTPError.digits(digits)) { try HOTP(key: hotp.key, digits: digits) }
    }

    @Test(arguments: [(6, "755224"), (7, "4755224"), (8, "84755224")]) func moreDigitsExtendToTheLeft(_ digits: Int, _ code: String) throws
    {
        #expect(try HOTP(key: hotp.key, digits: digits).code(counter: 0) == code)
    }

    @Test func leadingZerosAreKept() throws {
        let counter = try #require((0..<200).first { hotp.code(counter: $0).hasPrefix("0") })
        #expect(hotp.code(counter: counter).count == 6)
        #expect(hotp.search(hotp.code(counter: counter), from: 0, window: 200) == counter)
        #expect(hotp.search(String(hotp.code(counter: counter).dropFirst()), from: 0, window: 200) == nil)
    }
}

struct OTPCodeTests {
    @Test(arguments: ["123456", "123 456", " 123456 ", "12 34 56", "123\u{a0}456", "\t123456", "123\u{202f}456"])
    func blanksAreTakenOut(_ text: String) {
        #expect(OTPCode.normalized(text) == "123456")
    }

    @Test(arguments: ["", "   ", "12a456", "123-456", "１２３４５６", "123456\n", "+123456", "1.5", "123\u{301}456"])
    func otherTextIsNoCode(_ text: String) {
        #expect(OTPCode.normalized(text) == nil)
    }
}

struct OTPKeyTests {
    @Test(arguments: [(9, false), (10, true), (20, true), (128, true), (129, false), (0, false)])
    func keysOfTenTo128BytesAreTaken(_ count: Int, _ isTaken: Bool) {
        let key = try? OTPKey([UInt8](repeating: 7, count: count))
        #expect((key != nil) == isTaken)
        if !isTaken {
            #expect(throws: OTPError.keyLength(count)) { try OTPKey([UInt8](repeating: 7, count: count)) }
        }
    }

    @Test func keysAndURIsCannotBePrinted() throws {
        let key = try OTPKey(base32: "JBSWY3DPEHPK3PXP")
        let uri = try OTPAuthURI(issuer: "Example", account: "alice", key: key)
        var dumped = ""
        dump(key, to: &dumped)
        dump(uri, to: &dumped)
        dump(try TOTP(key: key), to: &dumped)
        for text in ["\(key)", String(reflecting: key), "\(uri)", String(reflecting: [uri]), dumped, "\(try HOTP(key: key))"] {
            #expect(text.contains("redacted"))
            #expect(!text.contains("JBSWY3DP") && !text.contains("Hello"))
        }
        #expect(key.bytes == Array("Hello!".utf8) + [0xde, 0xad, 0xbe, 0xef])
        #expect(try key == OTPKey(key.bytes))
        #expect(try key != OTPKey(key.bytes + [0]))
    }
}
