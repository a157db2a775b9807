// SPDX-License-Identifier: Apache-2.0

internal import RADIUS
internal import Testing

/// What is read out of a request, and what is refused.
struct HashedPasswordTests {
    let secret = SharedSecret("xyzzy5461")
    let hash: NTHash

    init() throws { hash = try RADIUSTests.hash(of: "clientPass") }

    func packet(_ write: (inout PacketWriter) -> Void) throws -> Packet {
        var writer = PacketWriter(request: .accessRequest, identifier: 1, authenticator: Authenticator(high: 5, low: 6))
        write(&writer)
        return try Packet(decoding: writer.sign(with: #require(secret)))
    }

    func addV2(_ writer: inout PacketWriter, challenge: Int = 16, response: Int = 50) throws {
        let made = MSCHAPv2Response(
            identifier: 4, challenge: Authenticator(high: 1, low: 2), peerChallenge: Authenticator(high: 3, low: 4),
            userName: Array("User".utf8), hash: hash)
        writer.add(.userName, Array("User".utf8))
        let value = made.bytes + [UInt8](repeating: 0, count: 8)
        writer.addVendor(311, type: MicrosoftAttribute.chap2Response, Array(value.prefix(response)))
        writer.addVendor(311, type: MicrosoftAttribute.chapChallenge, Array((made.challenge.bytes + [0]).prefix(challenge)))
    }

    @Test func theSecondVersionIsRead() throws {
        let packet = try packet { writer in try? addV2(&writer) }
        guard case .msCHAPv2(let response) = try packet.hashedPassword() else {
            Issue.record("not read")
            return
        }
        #expect(response.matches(hash))
        #expect(response.identifier == 4)
    }

    @Test func theFirstVersionIsRead() throws {
        let made = try #require(MSCHAPResponse(identifier: 4, challenge: Array(1...8), hash: hash))
        let packet = try packet { writer in
            writer.addVendor(311, type: MicrosoftAttribute.chapChallenge, made.challenge)
            writer.addVendor(311, type: MicrosoftAttribute.chapResponse, made.bytes)
        }
        #expect(try packet.hashedPassword() == .msCHAP(made))
    }

    @Test func theChallengeOfCHAPIsTheAttributeElseTheAuthenticator() throws {
        let chap = CHAPResponse(identifier: 1, challenge: Array(1...20), password: Array("pw".utf8))
        let withAttribute = try packet { writer in
            writer.add(.chapPassword, chap.bytes)
            writer.add(.chapChallenge, chap.challenge)
        }
        #expect(try withAttribute.hashedPassword() == .chap(chap))
        let bare = try packet { writer in writer.add(.chapPassword, chap.bytes) }
        guard case .chap(let read) = try bare.hashedPassword() else {
            Issue.record("not read")
            return
        }
        #expect(read.challenge == bare.authenticator.bytes)
    }

    @Test func whatCarriesNoneHasNone() throws {
        let secret = try #require(secret)
        #expect(try packet { $0.addPassword([0x61], secret: secret) }.hashedPassword() == nil)
        #expect(try packet { $0.addVendor(311, type: MicrosoftAttribute.chapChallenge, Array(1...16)) }.hashedPassword() == nil)
        #expect(try packet { $0.addVendor(312, type: MicrosoftAttribute.chap2Response, Array(1...50)) }.hashedPassword() == nil)
    }

    @Test(arguments: [
        (16, 49, PasswordProofError.responseLength(.msCHAPv2, 49, expected: 50)),
        (16, 51, .responseLength(.msCHAPv2, 51, expected: 50)),
        (15, 50, .challengeLength(.msCHAPv2, 15, expected: 16)),
        (17, 50, .challengeLength(.msCHAPv2, 17, expected: 16)),
        (0, 50, .challengeLength(.msCHAPv2, 0, expected: 16)),
    ]) func wrongLengthsAreNamed(_ challenge: Int, _ response: Int, _ expected: PasswordProofError) throws {
        let packet = try packet { writer in try? addV2(&writer, challenge: challenge, response: response) }
        #expect(throws: expected) { try packet.hashedPassword() }
    }

    @Test func twoKindsOfPasswordAreRefused() throws {
        let secret = try #require(secret)
        let chap = [UInt8](repeating: 1, count: 17)
        #expect(throws: PasswordProofError.several) {
            try packet { writer in
                try? addV2(&writer)
                writer.addPassword([0x61], secret: secret)
            }.hashedPassword()
        }
        #expect(throws: PasswordProofError.several) {
            try packet { writer in
                try? addV2(&writer)
                writer.add(.chapPassword, chap)
            }.hashedPassword()
        }
        #expect(throws: PasswordProofError.several) {
            try packet { writer in
                writer.add(.chapPassword, chap)
                writer.addPassword([0x61], secret: secret)
            }.hashedPassword()
        }
        #expect(throws: PasswordProofError.several) {
            try packet { writer in
                try? addV2(&writer)
                writer.addVendor(311, type: MicrosoftAttribute.chapResponse, [UInt8](repeating: 1, count: 50))
            }.hashedPassword()
        }
    }

    @Test func lanManagerAloneIsRefused() throws {
        let packet = try packet { writer in
            writer.addVendor(311, type: MicrosoftAttribute.chapChallenge, Array(1...8))
            writer.addVendor(311, type: MicrosoftAttribute.chapResponse, [UInt8](repeating: 0, count: 50))
        }
        #expect(throws: PasswordProofError.lanManagerOnly) { try packet.hashedPassword() }
    }

    @Test func aResponseWithoutAChallengeIsRefused() throws {
        let packet = try packet { $0.addVendor(311, type: MicrosoftAttribute.chap2Response, [UInt8](repeating: 0, count: 50)) }
        #expect(throws: PasswordProofError.challengeMissing) { try packet.hashedPassword() }
    }

    @Test(arguments: [MicrosoftAttribute.chapCPW1, MicrosoftAttribute.chapCPW2]) func oldChangesOfPasswordAreRefused(_ type: UInt8) throws {
        let packet = try packet { $0.addVendor(311, type: type, [UInt8](repeating: 0, count: 72)) }
        #expect(throws: PasswordProofError.changeTooOld) { try packet.hashedPassword() }
    }

    @Test func aChangeOfPasswordIsReadFromItsPieces() throws {
        let (old, new) = (hash, Array("newPass".utf8))
        let made = try #require(
            MSCHAPPasswordChange(
                identifier: 4, challenge: Authenticator(high: 1, low: 2), peerChallenge: .zero, userName: Array("User".utf8), old: old,
                new: new,
                padding: [UInt8](repeating: 9, count: 512)))
        let packet = try packet { writer in
            writer.add(.userName, Array("CORP\\User".utf8))
            writer.addVendor(311, type: MicrosoftAttribute.chapChallenge, made.response.challenge.bytes)
            for piece in made.pieces { writer.addVendor(311, type: MicrosoftAttribute.chapNTEncPW, piece) }
            writer.addVendor(311, type: MicrosoftAttribute.chap2CPW, made.bytes)
        }
        guard case .change(let change) = try packet.hashedPassword() else {
            Issue.record("not read")
            return
        }
        #expect(change.newPassword(old: old)?.password == new)
    }

    @Test func errorsAreWordsAndNoValues() {
        let all: [PasswordProofError] = [
            .several, .challengeMissing, .challengeLength(.chap, 0, expected: 16), .responseLength(.msCHAP, 3, expected: 50),
            .lanManagerOnly,
            .changeMalformed, .changeTooOld,
        ]
        #expect(Set(all.map(\.description)).count == all.count)
    }
}
