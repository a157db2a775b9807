// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

@Suite struct AccessRequestTests {
    private let source = address("127.0.0.1")

    private func map(_ bytes: [UInt8]) throws -> AccessRequest? {
        AccessRequest(try packet(bytes), of: try entry(client()), from: source)
    }

    private func login(_ build: (inout PacketWriter) -> Void) throws -> LoginRequest {
        try #require(try map(request(.accessRequest, build))).login
    }

    @Test func passwordIsUnhidden() throws {
        let login = try login { $0.login("alice@corp.example", "a long password, longer than one block,123456") }
        #expect(login.door == .radius)
        #expect(login.name == "alice@corp.example")
        #expect(login.proof == .plaintext(Secret(utf8: "a long password, longer than one block,123456")))
        #expect(login.client.name == "vpn")
        #expect(login.source == source)
        #expect(login.handle == nil)
        #expect(login.callingStation == nil)
        #expect(login.gatewaySession == nil)
    }

    @Test func stateIsTheHandle() throws {
        let login = try login {
            $0.login("alice", "123456")
            $0.addText(.state, "abcdefgh-_ABCDEFGHabcdefgh012345")
        }
        #expect(login.handle == "abcdefgh-_ABCDEFGHabcdefgh012345")
    }

    @Test func stateAloneIsAnEmptyAnswer() throws {
        let login = try login {
            $0.addText(.userName, "alice")
            $0.add(.state, [0xFF, 0xFE])
        }
        #expect(login.proof == .plaintext(Secret([])))
        #expect(login.handle == "\u{FFFD}\u{FFFD}")
    }

    @Test func neitherPasswordNorStateAsksNothing() throws {
        let nothing = try map(request { $0.addText(.userName, "alice") })
        #expect(nothing == nil)
    }

    @Test func proofsThatCannotBeJudgedAreNamed() throws {
        func proof(_ build: (inout PacketWriter) -> Void) throws -> PasswordProof {
            try login {
                $0.addText(.userName, "alice")
                build(&$0)
            }.proof
        }
        let chap = [UInt8](repeating: 1, count: 17)
        let found = [
            try proof { $0.addVendor(311, type: 1, [UInt8](repeating: 0, count: 50)) },
            try proof { $0.addVendor(311, type: 25, [UInt8](repeating: 0, count: 50)) },
            try proof { $0.add(.eapMessage, [2, 1, 0, 5, 1]) },
            try proof {
                $0.add(.chapPassword, chap)
                $0.addPassword([65], secret: sharedSecret)
            },
        ]
        let words = ["MS-CHAP without a challenge", "MS-CHAP without a challenge", "EAP", "two kinds of password"]
        #expect(found == words.map { .unsupported($0) })
    }

    @Test func missingUserNameIsJudgedAndCannotBeAccepted() throws {
        let login = try login { $0.addPassword([65], secret: sharedSecret) }
        #expect(login.name == "")
        #expect(login.proof == .unsupported("no User-Name"))
    }

    @Test func nameThatIsNotUTF8CannotBeAccepted() throws {
        let login = try login {
            $0.add(.userName, [0x6D, 0xFC, 0x6C])
            $0.addPassword([65], secret: sharedSecret)
        }
        #expect(login.name == "m\u{FFFD}l")
        #expect(login.proof == .unsupported(AccessRequest.nameNotUTF8))
    }

    @Test(
        arguments: [
            (.latin1, [0x6D, 0xFC, 0x6C], "mül"), (.auto, [0x6D, 0xFC, 0x6C], "mül"), (.auto, [0x6D, 0xC3, 0xBC], "mü"),
        ] as [(Charset, [UInt8], String)])
    func namesAndPasswordsAreReadInTheClientsCharacterSet(charset: Charset, sent: [UInt8], text: String) throws {
        var settings = client().settings
        settings.charset = charset
        let entry = try entry(Client(id: 3, settings: settings))
        func login(signed: Bool, _ password: [UInt8]) throws -> LoginRequest {
            let bytes = request(.accessRequest, signed: signed) {
                $0.add(.userName, sent)
                $0.addPassword(password, secret: sharedSecret)
            }
            return try #require(AccessRequest(try packet(bytes), of: entry, from: source)).login
        }
        // Also where nothing but the password tells whether the secret is the same.
        for signed in [true, false] {
            let login = try login(signed: signed, sent + Array(",123456".utf8))
            #expect(login.name == text)
            #expect(login.proof == .plaintext(Secret(utf8: text + ",123456")))
        }
        #expect(try login(signed: false, [0x41, 0x81]).proof == .unsupported(AccessRequest.hiddenByAnother))
        #expect(try login(signed: true, [0x41, 0x81]).proof == .plaintext(Secret([0x41, 0x81])))
    }

    @Test func nameThatIsNoTextCannotBeAccepted() throws {
        var settings = client().settings
        settings.charset = .latin1
        let bytes = request {
            $0.add(.userName, [0x6D, 0x81])
            $0.addPassword([65], secret: sharedSecret)
        }
        let login = try #require(AccessRequest(try packet(bytes), of: try entry(Client(id: 3, settings: settings)), from: source)).login
        #expect(login.proof == .unsupported("User-Name that is no text"))
    }

    @Test(
        arguments: [
            ("192.0.2.7", "192.0.2.7"), ("192.0.2.7[4500]", "192.0.2.7"), ("2001:db8::1[500]", "2001:db8::1"),
            (" 00-11-22-AA ", "00-11-22-AA"),
            ("[4500]", nil), ("", nil), ("a\u{7}b", nil), ("x[abc]", "x[abc]"), ("x[]", "x[]"), ("x[123456]", "x[123456]"), ("]", "]"),
        ] as [(String, String?)])
    func callingStationIsCleaned(sent: String, expected: String?) throws {
        #expect(AccessRequest.station(Array(sent.utf8)[...]) == expected)
    }

    @Test func stationThatIsNotUTF8IsNone() {
        #expect(AccessRequest.station([0xFF, 0x41]) == nil)
    }

    @Test func gatewaySessionTellsPortAndSessionApart() throws {
        func session(_ port: UInt32?, _ session: [UInt8]?) throws -> String? {
            try login {
                $0.login()
                if let port { $0.addInteger(.nasPort, port) }
                if let session { $0.add(.acctSessionID, session) }
            }.gatewaySession
        }
        let texts = [
            try session(17, nil), try session(nil, [0x31, 0x37]), try session(17, [0x41]), try session(1, [0x37, 0x41]),
            try session(nil, [0xFF]), try session(17, [0xFF]), try session(nil, []), try session(17, [0x2F]),
        ]
        #expect(texts == ["17", "/17", "17/A", "1/7A", "#ff", "17#ff", "/", "17//"])
        #expect(Set(texts).count == texts.count)
    }

    @Test func fingerprintIsThatOfTheWholeDatagram() throws {
        let bytes = request()
        let same = try map(bytes)?.login.fingerprint
        #expect(same != nil)
        #expect(try map(bytes)?.login.fingerprint == same)
        #expect(try map(request(identifier: 2))?.login.fingerprint != same)
        // SHA-256("abc") begins ba7816bf 8f01cfea 414140de 5dae2223 (FIPS 180-4).
        #expect(Fingerprint(ofDatagram: Array("abc".utf8)).bits == Bits128(high: 0xba78_16bf_8f01_cfea, low: 0x4141_40de_5dae_2223))
    }

    @Test func wrongSecretShowsInThePasswordOnlyWithoutMessageAuthenticator() throws {
        let other = RADIUS.SharedSecret("another")!
        func looksWrong(signed: Bool, _ secret: RADIUS.SharedSecret, _ password: String) throws -> Bool {
            let bytes = request(signed: signed) { $0.login("alice", password, secret: secret) }
            return try #require(try map(bytes)).secretLooksWrong
        }
        #expect(try looksWrong(signed: false, other, "sesame,123456"))
        #expect(try !looksWrong(signed: true, other, "sesame,123456"))
        #expect(try !looksWrong(signed: false, sharedSecret, "sesame,123456"))
        #expect(try !looksWrong(signed: false, sharedSecret, "Grüße €"))
        #expect(try !looksWrong(signed: false, sharedSecret, ""))
    }

    /// Judging it would count as a wrong password of somebody who typed the right one.
    @Test func whatAnotherSecretHidIsNotJudged() throws {
        let other = RADIUS.SharedSecret("another")!
        let unsigned = request(signed: false) { $0.login("alice", "sesame,123456", secret: other) }
        #expect(try map(unsigned)?.login.proof == .unsupported("password that another shared secret hid"))
        guard case .plaintext = try map(request { $0.login("alice", "sesame,123456", secret: other) })?.login.proof else {
            Issue.record("a signed request proves its secret: these bytes were typed")
            return
        }
    }

    /// Where the code alone is required, the gateway may send nothing as the password.
    @Test(arguments: [true, false]) func anEmptyPasswordIsAnEmptyField(isEmptyAttribute: Bool) throws {
        let login = try login {
            $0.addText(.userName, "alice")
            if isEmptyAttribute { $0.add(.userPassword, []) } else { $0.addPassword([], secret: sharedSecret) }
        }
        #expect(login.proof == .plaintext(Secret([])))
    }
}
