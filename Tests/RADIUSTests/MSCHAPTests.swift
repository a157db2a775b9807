// SPDX-License-Identifier: Apache-2.0

internal import Testing

@testable internal import RADIUS

struct CipherVector: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let source: String
    let des: Hex?
    let rc4: Hex?
    let plain: Hex
    let cipher: Hex

    var testDescription: String { name }

    static let all: [CipherVector] = load("des-rc4")
}

struct MSCHAPVector: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let source: String
    let userName: Hex?
    let password: Hex
    let challenge: Hex
    let peerChallenge: Hex?
    let challengeHash: Hex?
    let hash: Hex
    let hashedHash: Hex?
    let response: Hex
    let success: String?
    let sendKey: Hex?

    var testDescription: String { name }

    static let all: [MSCHAPVector] = load("ms-chap")
}

extension DigestVector {
    static let md4: [DigestVector] = load("rfc1320-md4")
    static let sha1: [DigestVector] = load("rfc3174-sha1")
}

func hash(of password: String) throws -> NTHash { try #require(NTHash(password: Array(password.utf8))) }

struct LegacyCipherTests {
    @Test(arguments: DigestVector.md4) func md4GivesThePublishedDigests(_ vector: DigestVector) {
        #expect(MD4.digest(Array(vector.text.utf8)).bytes == vector.digest.bytes)
    }

    @Test(arguments: DigestVector.sha1) func sha1GivesThePublishedDigests(_ vector: DigestVector) {
        #expect(SHA1.digest(Array(vector.text.utf8)) == vector.digest.bytes)
    }

    @Test(arguments: CipherVector.all) func ciphersGiveThePublishedTexts(_ vector: CipherVector) {
        if let key = vector.des {
            // The published keys have parity bits; MS-CHAP's have none.
            let des = DES(key: key.bytes.reduce(0) { $0 << 7 | UInt64($1 >> 1) })
            let plain = vector.plain.bytes[...].word(at: 0)
            #expect(des.encrypt(SIMD4(plain, 0, 0, 0))[0].bytes == vector.cipher.bytes)
            #expect(des.decrypt(SIMD4(vector.cipher.bytes[...].word(at: 0), 0, 0, 0))[0] == plain)
        }
        if let key = vector.rc4 { #expect(RC4.apply(key: key.bytes, to: vector.plain.bytes) == vector.cipher.bytes) }
    }

    @Test func eachLaneHasItsOwnKeyAndBlock() {
        let (keys, blocks): (SIMD4<UInt64>, SIMD4<UInt64>) = (SIMD4(1, 2 << 30, 3 << 50, 0xff_ffff_ffff_ffff), SIMD4(5, 6 << 60, 7, .max))
        let together = DES(keys).encrypt(blocks)
        for lane in 0..<4 {
            #expect(together[lane] == DES(key: keys[lane]).encrypt(SIMD4(blocks[lane], 0, 0, 0))[0])
        }
        #expect(DES(keys).decrypt(together) == blocks)
    }

    /// A message of 55 bytes fits one block with its length, one of 56 does not.
    @Test(arguments: [55, 56, 63, 64, 119, 120]) func paddingIsRightAtTheBordersOfBlocks(_ count: Int) {
        let one = MD4.digest([UInt8](repeating: 0x61, count: count))
        #expect(one != MD4.digest([UInt8](repeating: 0x61, count: count + 1)))
        #expect(SHA1.digest([UInt8](repeating: 0x61, count: count)).count == SHA1.digestLength)
    }
}

struct MSCHAPTests {
    @Test(arguments: MSCHAPVector.all) func theExamplesOfTheRFCsComeOut(_ vector: MSCHAPVector) throws {
        let hash = try #require(NTHash(password: vector.password.bytes))
        #expect(hash.bytes == vector.hash.bytes)
        if let hashed = vector.hashedHash { #expect(hash.hashed.bytes == hashed.bytes) }
        guard let peer = vector.peerChallenge else {
            let response = try #require(MSCHAPResponse(identifier: 7, challenge: vector.challenge.bytes, hash: hash))
            #expect(response.response.bytes == vector.response.bytes)
            #expect(response.matches(hash))
            return
        }
        let response = MSCHAPv2Response(
            identifier: 7, challenge: try #require(Authenticator(vector.challenge.bytes)),
            peerChallenge: try #require(Authenticator(peer.bytes)), userName: vector.userName?.bytes ?? [], hash: hash)
        #expect(response.challengeHash.bytes == vector.challengeHash?.bytes)
        #expect(response.response.bytes == vector.response.bytes)
        #expect(response.matches(hash))
        #expect(response.success(hash) == vector.success)
        #expect(MPPEKeys(response, hash).send == vector.sendKey?.bytes)
    }

    @Test func aWrongPasswordDoesNotMatch() throws {
        let (right, wrong) = (
            try hash(of: "clientPass"), try hash(of: "clientpass")
        )
        let challenge = Authenticator(high: 1, low: 2)
        let response = MSCHAPv2Response(
            identifier: 1, challenge: challenge, peerChallenge: challenge, userName: Array("User".utf8), hash: right)
        #expect(!response.matches(wrong))
        #expect(MSCHAPResponse(identifier: 1, challenge: Array(1...8), hash: right)?.matches(wrong) == false)
        // One wrong bit in the last of the three blocks is enough.
        var bytes = response.bytes
        bytes[49] ^= 1
        let forged = try MSCHAPv2Response(challenge: challenge.bytes[...], value: bytes[...], userName: Array("User".utf8)[...])
        #expect(!forged.matches(right))
    }

    @Test(arguments: ["CORP\\User", "User"]) func aDomainInFrontIsNoPartOfTheHash(_ name: String) throws {
        let hash = try RADIUSTests.hash(of: "clientPass")
        let plain = MSCHAPv2Response(identifier: 1, challenge: .zero, peerChallenge: .zero, userName: Array("User".utf8), hash: hash)
        let read = try MSCHAPv2Response(challenge: Authenticator.zero.bytes[...], value: plain.bytes[...], userName: Array(name.utf8)[...])
        #expect(read == plain && read.matches(hash))
    }

    @Test func aRealmBehindIsPartOfTheHash() throws {
        let hash = try RADIUSTests.hash(of: "clientPass")
        let plain = MSCHAPv2Response(identifier: 1, challenge: .zero, peerChallenge: .zero, userName: Array("User".utf8), hash: hash)
        let read = try MSCHAPv2Response(
            challenge: Authenticator.zero.bytes[...], value: plain.bytes[...], userName: Array("User@corp.example".utf8)[...])
        #expect(!read.matches(hash))
    }

    @Test func passwordsAreHashedInUTF16AndBounded() throws {
        // MD4 over 70 00 e4 00: `pä` in UTF-16.
        #expect(NTHash(password: Array("pä".utf8))?.value == MD4.digest([0x70, 0, 0xe4, 0]))
        #expect(NTHash(password: Array("🔑".utf8))?.value == MD4.digest([0x3d, 0xd8, 0x11, 0xdd]))
        #expect(NTHash(password: [0xff]) == nil)
        #expect(NTHash(password: [UInt8](repeating: 0x61, count: NTHash.longestPassword)) != nil)
        #expect(NTHash(password: [UInt8](repeating: 0x61, count: NTHash.longestPassword + 1)) == nil)
        #expect("\(try hash(of: "a"))" == "NTHash(redacted)")
    }

    @Test func theServersProofIsChecked() throws {
        let hash = try RADIUSTests.hash(of: "clientPass")
        let response = MSCHAPv2Response(identifier: 9, challenge: .zero, peerChallenge: .zero, userName: [0x55], hash: hash)
        let value = response.successValue(hash)
        #expect(value.count == 43 && value[0] == 9)
        #expect(response.isSuccess(value[...], hash))
        #expect(response.isSuccess((value + Array(" M=Welcome".utf8))[...], hash))
        #expect(!response.isSuccess((value + [0x41])[...], hash))
        #expect(!response.isSuccess(value.dropLast(), hash))
        #expect(!response.isSuccess(([8] + value.dropFirst())[...], hash))
        #expect(try !response.isSuccess(value[...], RADIUSTests.hash(of: "other")))
    }

    @Test func theExampleOfCHAPComesOut() throws {
        // RFC 2865 §7.2; the password is that of §7.1.
        let vector = try #require(ExchangeVector.packets.first { $0.source == "RFC 2865 §7.2" })
        let packet = try Packet(decoding: vector.request.bytes)
        guard case .chap(let chap) = try packet.hashedPassword() else {
            Issue.record("no CHAP")
            return
        }
        #expect(chap.challenge == packet.authenticator.bytes)
        #expect(chap.matches(password: Array("arctangent".utf8)))
        #expect(!chap.matches(password: Array("arctangens".utf8)))
        #expect(CHAPResponse(identifier: 0x16, challenge: chap.challenge, password: Array("arctangent".utf8)) == chap)
    }
}

struct SaltedKeyTests {
    @Test(arguments: [0, 1, 15, 16, 32, 239]) func hiddenKeysAreRevealed(_ count: Int) throws {
        let secret = try #require(SharedSecret("xyzzy5461"))
        let key = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let hidden = SaltedKey.hide(key, salt: 0x1234, authenticator: .zero, secret: secret)
        #expect(hidden[0] == 0x92 && hidden[1] == 0x34 && hidden.count == 2 + (count + 16) / 16 * 16)
        #expect(SaltedKey.reveal(hidden[...], authenticator: .zero, secret: secret) == key)
        #expect(SaltedKey.reveal(hidden[...], authenticator: Authenticator(high: 0, low: 1), secret: secret) != key || count == 0)
        #expect(SaltedKey.reveal(hidden.dropLast(), authenticator: .zero, secret: secret) == nil)
        #expect(SaltedKey.reveal(([0x12] + hidden.dropFirst())[...], authenticator: .zero, secret: secret) == nil)
    }
}

struct MSCHAPErrorTests {
    @Test func theTextIsThatOfTheRFC() {
        let error = MSCHAPError(.authenticationFailure, allowsRetry: true, challenge: Array(1...16), message: "Login refused.")
        #expect(error.text == "E=691 R=1 C=0102030405060708090A0B0C0D0E0F10 V=3 M=Login refused.")
        #expect(MSCHAPError(error.value(identifier: 5)[...]) == error)
        #expect(error.value(identifier: 5)[0] == 5)
        #expect(MSCHAPError(.passwordExpired, allowsRetry: false, challenge: Array(1...8)).text == "E=648 R=0 C=0102030405060708 V=2")
    }

    @Test func aLongMessageIsCutBetweenCharacters() {
        let error = MSCHAPError(
            .authenticationFailure, allowsRetry: false, challenge: Array(1...16), message: String(repeating: "ä", count: 200))
        let value = error.value(identifier: 5)
        #expect((246...247).contains(value.count))
        #expect(String(validating: value.dropFirst(), as: UTF8.self) != nil)
    }

    @Test(arguments: ["", "E=", "E=999 R=1", "R=1 C=00"]) func whatNamesNoErrorIsNone(_ text: String) {
        #expect(MSCHAPError(([0] + Array(text.utf8))[...]) == nil)
    }
}

struct MSCHAPPasswordChangeTests {
    let old: NTHash
    let name = Array("User".utf8)

    init() throws { old = try hash(of: "clientPass") }

    func change(to new: String, old: NTHash) throws -> MSCHAPPasswordChange {
        let padding = (0..<512).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let made = try #require(
            MSCHAPPasswordChange(
                identifier: 3, challenge: Authenticator(high: 1, low: 2), peerChallenge: Authenticator(high: 3, low: 4), userName: name,
                old: old,
                new: Array(new.utf8), padding: padding))
        return try MSCHAPPasswordChange(
            challenge: made.response.challenge.bytes[...], value: made.bytes[...], pieces: made.pieces.map { $0[...] }.reversed(),
            userName: name[...])
    }

    @Test(arguments: ["n", "new-password-ä-🔑", String(repeating: "x", count: 256)]) func theNewPasswordComesOut(_ new: String) throws {
        let change = try change(to: new, old: old)
        let found = try #require(change.newPassword(old: old))
        #expect(found.password == Array(new.utf8))
        #expect(found.hash == NTHash(password: Array(new.utf8)))
        #expect(change.pieces.map(\.count) == [247, 247, 34])
        #expect(change.bytes.count == MSCHAPPasswordChange.length)
    }

    @Test func withAnotherOldPasswordNothingComesOut() throws {
        let change = try change(to: "new", old: old)
        #expect(try change.newPassword(old: hash(of: "other")) == nil)
    }

    @Test func aResponseThatWasExchangedIsRefused() throws {
        let made = try change(to: "new", old: old)
        var bytes = made.bytes
        bytes[50] ^= 1
        let forged = try MSCHAPPasswordChange(
            challenge: made.response.challenge.bytes[...], value: bytes[...], pieces: made.pieces.map { $0[...] }, userName: name[...])
        #expect(forged.newPassword(old: old) == nil)
    }

    @Test func piecesThatDoNotMakeABlockAreRefused() throws {
        let made = try change(to: "new", old: old)
        let pieces = made.pieces
        func read(_ pieces: [[UInt8]], _ value: [UInt8]? = nil) throws(PasswordProofError) -> MSCHAPPasswordChange {
            try MSCHAPPasswordChange(
                challenge: made.response.challenge.bytes[...], value: (value ?? made.bytes)[...], pieces: pieces.map { $0[...] },
                userName: name[...])
        }
        for wrong in [
            [], [pieces[0]], [pieces[0], pieces[1]], pieces + [pieces[2]], [pieces[0], pieces[0], pieces[2]], [[6], [6, 3], pieces[0]],
        ] {
            #expect(throws: PasswordProofError.changeMalformed) { try read(wrong) }
        }
        #expect(throws: PasswordProofError.changeMalformed) { try read(pieces, made.bytes.dropLast()) }
        #expect(throws: PasswordProofError.changeMalformed) { try read(pieces, [6] + made.bytes.dropFirst()) }
        // Clients that count from zero.
        let fromZero = pieces.map { [$0[0], $0[1], 0, $0[3] - 1] + $0.dropFirst(4) }
        #expect(try read(fromZero) == made)
    }
}
