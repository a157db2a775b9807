// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import OTP
internal import Testing

struct Base32Vector: Decodable, Sendable {
    let plain: String
    let encoded: String

    static func load() throws -> [Base32Vector] {
        let url = try #require(Bundle.module.url(forResource: "rfc4648-base32", withExtension: "json", subdirectory: "Vectors"))
        return try JSONDecoder().decode([Base32Vector].self, from: Data(contentsOf: url))
    }
}

struct Base32Tests {
    @Test func theVectorsOfRFC4648Hold() throws {
        let vectors = try Base32Vector.load()
        #expect(vectors.count == 7)
        for vector in vectors {
            let plain = Array(vector.plain.utf8)
            let bare = vector.encoded.filter { $0 != "=" }
            #expect(Base32.encode(plain, padded: true) == vector.encoded)
            #expect(Base32.encode(plain) == bare)
            #expect(try Base32.decode(vector.encoded) == plain)
            #expect(try Base32.decode(bare) == plain)
            #expect(try Base32.decode(vector.encoded.lowercased()) == plain)
        }
    }

    @Test(arguments: ["MZXW 6YTB OI", "mzxw-6ytb-oi", " MZXW6YTBOI======\n", "Mzxw6yTboi"])
    func whatPeopleTypeIsTaken(_ text: String) throws {
        #expect(try Base32.decode(text) == Array("foobar".utf8))
    }

    @Test(arguments: [("MZ0W", 2), ("MZXW1", 4), ("MZXW8", 4), ("é", 0), ("MY======A", 8), ("MZ_W", 2), ("MZXW\u{a0}", 4)])
    func otherCharactersAreNamedByTheirPlace(_ text: String, _ position: Int) {
        #expect(throws: OTPError.base32Character(position: position)) { try Base32.decode(text) }
    }

    @Test(arguments: ["M", "MZX", "MZXW6Y", "MZXW6YTBM", "MZ", "MZXR", "MY=", "MY=======", "MZXW6YTB========", "="])
    func incompleteTextIsRefused(_ text: String) {
        #expect(throws: OTPError.base32Length) { try Base32.decode(text) }
    }

    @Test(arguments: 0..<64) func everyLengthComesBack(_ count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
        #expect(try Base32.decode(Base32.encode(bytes)) == bytes)
        #expect(try Base32.decode(Base32.encode(bytes, padded: true)) == bytes)
    }
}
