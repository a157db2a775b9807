// SPDX-License-Identifier: Apache-2.0

internal import RADIUS
internal import Testing

struct DigestVector: Decodable, Sendable {
    let text: String
    let digest: Hex

    static let all: [DigestVector] = load("rfc1321-md5")
}

struct HMACVector: Decodable, Sendable {
    let key: Hex
    let message: Hex
    let code: Hex

    static let all: [HMACVector] = load("rfc2202-hmac-md5")
}

struct DigestTests {
    @Test(arguments: DigestVector.all) func md5GivesThePublishedDigests(_ vector: DigestVector) {
        #expect(MD5.digest(Array(vector.text.utf8)).bytes == vector.digest.bytes)
    }

    @Test(arguments: HMACVector.all) func hmacGivesThePublishedCodes(_ vector: HMACVector) {
        #expect(HMACMD5Key(vector.key.bytes).code(for: vector.message.bytes).bytes == vector.code.bytes)
    }

    @Test func aMessageInPiecesHasTheDigestOfTheWhole() {
        let message = (0..<200).map { UInt8($0) }
        let whole = MD5.digest(message)
        for cut in 0...message.count {
            var md5 = MD5()
            md5.update(Array(message[..<cut]))
            md5.update(Array(message[cut...]).span)
            #expect(md5.finish() == whole)
        }
    }

    @Test func finishingLeavesTheStateToBeContinued() {
        var md5 = MD5()
        md5.update([1, 2, 3])
        #expect(md5.finish() == MD5.digest([1, 2, 3]))
        md5.update([4])
        #expect(md5.finish() == MD5.digest([1, 2, 3, 4]))
    }

    /// Digests of the digests of 0, 1, … 299 zero bytes: every place the padding can fall, as Python's hashlib has it.
    @Test func everyLengthAroundABlockIsPaddedRight() {
        var all = MD5()
        for count in 0..<300 { all.update(MD5.digest([UInt8](repeating: 0, count: count))) }
        #expect(all.finish().bytes == [UInt8](hexadecimal: "4bd4e20689e5e74da1b1a2a7febc3232"))
    }

    @Test func constantTimeComparisonSeesEveryDifference() {
        let value: [UInt8] = [1, 2, 3, 4]
        #expect(constantTimeEquals(value, [1, 2, 3, 4]))
        #expect(constantTimeEquals([], []))
        #expect(!constantTimeEquals(value, [1, 2, 3]))
        for index in value.indices {
            for bit in 0..<8 {
                var other = value
                other[index] ^= 1 << UInt8(bit)
                #expect(!constantTimeEquals(value, other))
            }
        }
    }

    @Test func authenticatorsKeepTheirBytes() throws {
        let bytes = (1...16).map { UInt8($0) }
        let authenticator = try #require(Authenticator(bytes))
        #expect(authenticator.bytes == bytes)
        #expect(authenticator == Authenticator(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10))
        #expect(Authenticator(Array(bytes.dropLast())) == nil)
        #expect(Authenticator(bytes + [17]) == nil)
    }

    @Test func secretsCannotBePrinted() throws {
        let secret = try #require(SharedSecret("hunter2"))
        var dumped = ""
        dump(secret, to: &dumped)
        dump([secret.hmacKey], to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), "\(secret.hmacKey)", String(reflecting: [secret]), dumped] {
            #expect(!text.contains("hunter2"))
            #expect(!text.contains("104"))
            #expect(text.contains("redacted"))
        }
    }

    @Test func anEmptySecretIsNone() {
        #expect(SharedSecret("") == nil)
        #expect(SharedSecret([]) == nil)
        #expect(SharedSecret("a") != SharedSecret("b"))
        #expect(SharedSecret("a") == SharedSecret([0x61]))
    }
}
