// SPDX-License-Identifier: Apache-2.0
// What CHAP and MS-CHAP become for the engine, and what the replies carry.

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

@Suite struct HashedPasswordTests {
    static let hash = NTHash(password: Array("sesame".utf8))!
    static let v2 = MSCHAPv2Response(
        identifier: 9, challenge: Authenticator(high: 1, low: 2), peerChallenge: Authenticator(high: 3, low: 4),
        userName: Array("alice".utf8), hash: hash)
    static let v1 = MSCHAPResponse(identifier: 9, challenge: Array(1...8), hash: hash)!
    static let chap = CHAPResponse(identifier: 9, challenge: Array(1...16), password: Array("sesame".utf8))

    static func requests() -> [ProofScheme: [UInt8]] {
        [
            .chap: request {
                $0.addText(.userName, "alice")
                $0.add(.chapPassword, chap.bytes)
                $0.add(.chapChallenge, chap.challenge)
            },
            .msCHAP: request {
                $0.addText(.userName, "alice")
                $0.addVendor(311, type: MicrosoftAttribute.chapChallenge, v1.challenge)
                $0.addVendor(311, type: MicrosoftAttribute.chapResponse, v1.bytes)
            },
            .msCHAPv2: request {
                $0.addText(.userName, "alice")
                $0.addVendor(311, type: MicrosoftAttribute.chapChallenge, v2.challenge.bytes)
                $0.addVendor(311, type: MicrosoftAttribute.chap2Response, v2.bytes)
            },
        ]
    }

    private func packet(_ scheme: ProofScheme) throws -> Packet {
        try Packet(decoding: try #require(Self.requests()[scheme]))
    }

    private func reply(_ answer: LoginAnswer, _ request: Packet) throws -> Packet {
        let reply = try Packet(decoding: try #require(answer.reply(to: request, secret: sharedSecret)))
        #expect(reply.verifyReply(to: request, secret: sharedSecret) == .genuine)
        return reply
    }

    private func microsoft(_ reply: Packet) -> [UInt8: [UInt8]] {
        Dictionary(uniqueKeysWithValues: reply.vendorAttributes.map { ($0.type, Array(reply.value(of: $0))) })
    }

    private func proven(_ password: String = "sesame", isCode: Bool = false) -> ProvenPassword {
        ProvenPassword(.text(Secret(utf8: password)), isCode: isCode)
    }

    /// CHAP is a hash of the bytes that the device typed, whatever they mean.
    @Test(arguments: Charset.allCases) func chapIsTriedInTheBytesOfTheClient(charset: Charset) throws {
        var settings = client().settings
        settings.charset = charset
        func fits(_ bytes: [UInt8], _ candidate: String) throws -> Bool {
            let chap = CHAPResponse(identifier: 9, challenge: Array(1...16), password: bytes)
            let bytes = request {
                $0.addText(.userName, "alice")
                $0.add(.chapPassword, chap.bytes)
                $0.add(.chapChallenge, chap.challenge)
            }
            let login = try #require(
                AccessRequest(try Packet(decoding: bytes), of: try entry(Client(id: 3, settings: settings)), from: address("127.0.0.1"))
            ).login
            guard case .hashed(let proof) = login.proof else { return false }
            return proof.fits(.text(Secret(utf8: candidate)))
        }
        #expect(try fits([0x70, 0xE4], "pä") == (charset != .utf8))
        #expect(try fits(Array("pä".utf8), "pä"))
        #expect(try !fits([0x70, 0xE4], "pa"))
        #expect(try !fits([0x70, 0xE4], "pż"))
    }

    @Test(arguments: [ProofScheme.chap, .msCHAP, .msCHAPv2]) func theEngineIsHandedWhatCandidatesCanBeTriedOn(_ scheme: ProofScheme) throws
    {
        let packet = try packet(scheme)
        let login = try #require(AccessRequest(packet, of: try entry(client()), from: address("127.0.0.1"))).login
        guard case .hashed(let proof) = login.proof else {
            Issue.record("\(login.proof)")
            return
        }
        #expect(proof.scheme == scheme)
        #expect(proof.fits(.text(Secret(utf8: "sesame"))))
        #expect(!proof.fits(.text(Secret(utf8: "Sesame"))))
        #expect(proof.fits(.ntHash(Secret(Self.hash.bytes))) == (scheme != .chap))
        #expect(!proof.fits(.ntHash(Secret([1, 2, 3]))))
    }

    @Test func theSecondVersionsAcceptProvesTheServerAndCarriesKeys() throws {
        let packet = try packet(.msCHAPv2)
        let reply = try reply(.accept(loginID, proven: proven()), packet)
        let found = microsoft(reply)
        #expect(Set(found.keys) == [7, 8, 16, 17, 26])
        #expect(found[26].map { Self.v2.isSuccess($0[...], Self.hash) } == true)
        let keys = MPPEKeys(Self.v2, Self.hash)
        func key(_ type: UInt8) -> [UInt8]? {
            found[type].flatMap { SaltedKey.reveal($0[...], authenticator: packet.authenticator, secret: sharedSecret) }
        }
        #expect(key(16) == keys.send && key(17) == keys.receive)
        // RFC 2548 §2.4.2: no two salts of a packet are the same.
        #expect(found[16]?.prefix(2) != found[17]?.prefix(2))
        // The same request gets the same bytes.
        #expect(try self.reply(.accept(loginID, proven: proven()), packet) == reply)
    }

    @Test func theFirstVersionsAcceptCarriesItsKeys() throws {
        let packet = try packet(.msCHAP)
        let found = microsoft(try reply(.accept(loginID, proven: proven()), packet))
        #expect(Set(found.keys) == [7, 8, 12])
        let keys = try HiddenPassword.unhide(found[12] ?? [], authenticator: packet.authenticator, secret: sharedSecret)
        #expect(keys == MPPEKeys.firstVersion(Self.hash))
    }

    @Test func aCodeProvesTheServerButMakesNoKeys() throws {
        #expect(microsoft(try reply(.accept(loginID, proven: proven(isCode: true)), try packet(.msCHAPv2))).keys.sorted() == [26])
        #expect(microsoft(try reply(.accept(loginID, proven: proven(isCode: true)), try packet(.msCHAP))).isEmpty)
        #expect(microsoft(try reply(.accept(loginID, proven: proven()), try packet(.chap))).isEmpty)
    }

    @Test func anAcceptOfAnotherPasswordProvesNothing() throws {
        #expect(microsoft(try reply(.accept(loginID, proven: proven("other")), try packet(.msCHAPv2))).isEmpty)
        #expect(microsoft(try reply(.accept(loginID), try packet(.msCHAPv2))).isEmpty)
    }

    @Test func rejectsNameTheErrorAndANewChallenge() throws {
        let packet = try packet(.msCHAPv2)
        let found = microsoft(try reply(.reject(loginID, message: "Login refused."), packet))
        #expect(found.keys.sorted() == [2])
        let error = try #require(MSCHAPError((found[2] ?? [])[...]))
        #expect(found[2]?.first == 9)
        #expect(error.code == .authenticationFailure && error.allowsRetry && error.challenge.count == 16)
        #expect(error.message == "Login refused.")
        #expect(error.challenge != Self.v2.challenge.bytes)
        let first = microsoft(try reply(.reject(loginID, message: "No."), try self.packet(.msCHAP)))
        #expect(MSCHAPError((first[2] ?? [])[...])?.challenge.count == 8)
        #expect(microsoft(try reply(.reject(loginID, message: "No."), try self.packet(.chap))).isEmpty)
        let disabled = microsoft(try reply(.reject(loginID, message: "No.", refusal: .accountDisabled), packet))
        #expect(MSCHAPError((disabled[2] ?? [])[...])?.code == .accountDisabled)
    }

    @Test func aChangeOfPasswordProvesTheOldOneAndIsAnsweredByTheNewOne() throws {
        let change = try #require(
            MSCHAPPasswordChange(
                identifier: 9, challenge: Self.v2.challenge, peerChallenge: Self.v2.peerChallenge, userName: Array("alice".utf8),
                old: Self.hash, new: Array("new".utf8), padding: [UInt8](repeating: 1, count: 512)))
        let bytes = request {
            $0.addText(.userName, "alice")
            $0.addVendor(311, type: MicrosoftAttribute.chapChallenge, change.response.challenge.bytes)
            for piece in change.pieces { $0.addVendor(311, type: MicrosoftAttribute.chapNTEncPW, piece) }
            $0.addVendor(311, type: MicrosoftAttribute.chap2CPW, change.bytes)
        }
        let packet = try Packet(decoding: bytes)
        let login = try #require(AccessRequest(packet, of: try entry(client()), from: address("127.0.0.1"))).login
        guard case .hashed(let proof) = login.proof else {
            Issue.record("\(login.proof)")
            return
        }
        #expect(proof.asksForChange)
        #expect(proof.fits(.ntHash(Secret(Self.hash.bytes))))
        #expect(proof.newPassword(old: .ntHash(Secret(Self.hash.bytes))) == Secret(utf8: "new"))
        #expect(!proof.fits(.text(Secret(utf8: "new"))) && proof.newPassword(old: .text(Secret(utf8: "other"))) == nil)
        let found = microsoft(try reply(.reject(loginID, message: "No.", refusal: .changeFailed), packet))
        let error = try #require(MSCHAPError((found[2] ?? [])[...]))
        #expect(error.code == .changeFailed && !error.allowsRetry)
        let accepted = microsoft(try reply(.accept(loginID, proven: proven("new")), packet))
        #expect(Set(accepted.keys) == [7, 8, 16, 17, 26])
        let new = try #require(NTHash(password: Array("new".utf8)))
        #expect(change.response.isSuccess((accepted[26] ?? [])[...], new))
    }

    @Test func aLongMessageFitsBesideTheError() throws {
        let text = String(repeating: "Grüße ", count: 700)
        for scheme in [ProofScheme.msCHAP, .msCHAPv2] {
            let reply = try reply(.reject(loginID, message: text), try packet(scheme))
            #expect(reply.bytes.count <= Packet.maximumLength)
            #expect(microsoft(reply)[2] != nil)
        }
    }
}
