// SPDX-License-Identifier: Apache-2.0
// Peers that lie: each ends in a failure with its cause, and none of them is asked about.

import TLS
import TestSupport
import Testing

@testable import EAP

struct TunnelHostileTests {
    private let certificates: TunnelCertificates

    init() throws {
        certificates = try TunnelCertificates()
    }

    private func ttls(_ change: (inout TLSSettings) -> Void = { _ in }) throws -> TTLSMethod {
        try TTLSMethod(
            context: try certificates.serverContext(.tls13, change), inner: [GTCMethod(), try TLSMethodInside.make(certificates)], now: 0)
    }

    private func peap(_ version: TLSSettings.Version = .tls13) throws -> PEAPMethod {
        try PEAPMethod(
            context: try certificates.serverContext(version), inner: [GTCMethod()], nonce: Array(repeating: 1, count: 32), now: 0)
    }

    /// A tunnel's method, for the list of what may be spoken inside another one.
    private enum TLSMethodInside {
        static func make(_ certificates: TunnelCertificates) throws -> TLSMethod {
            try TLSMethod(context: try certificates.serverContext(wantsCertificate: true), now: 0)
        }
    }

    /// What a device that says this inside TTLS hears of it.
    private func end(saying plain: [UInt8], passwords: Set<TTLSMethod.Password> = Set(TTLSMethod.Password.allCases)) throws -> LoginEnd {
        var method = try TTLSMethod(context: try certificates.serverContext(), passwords: passwords, inner: [GTCMethod()], now: 0)
        let peer = try TunnelPeer(try certificates.clientContext())
        peer.opening = { plain }
        var judge = Judge()
        let end = try logIn(&method, peer, &judge)
        #expect(judge.questions.isEmpty)
        return end
    }

    private let user = TunnelAVP(name: .userName, value: Array("alice".utf8))
    private let password = TunnelAVP(name: .userPassword, value: Array("correct horse".utf8))

    // MARK: What is said inside TTLS

    @Test func wrongPairsAreRefused() throws {
        let chap = TunnelAVP(name: .chapPassword, value: Array(repeating: 1, count: 17))
        let challenge = TunnelAVP(name: .chapChallenge, value: Array(repeating: 1, count: 16))
        let cases: [([TunnelAVP], String)] = [
            ([user], "0 kinds of password"), ([user, password, chap, challenge], "2 kinds of password"),
            ([password], "User-Name"), ([TunnelAVP(name: .userName, value: []), password], "User-Name"),
            ([TunnelAVP(name: .userName, value: Array(repeating: 65, count: 254)), password], "User-Name"),
            ([user, user, password], "comes twice"),
            ([user, password, TunnelAVP(name: TunnelAVP.Name(code: 4_711), value: [])], "unknown here"),
            ([user, TunnelAVP(name: .userPassword, value: Array(repeating: 65, count: 256))], "password of 256 bytes"),
            // A challenge that another tunnel made.
            ([user, chap, challenge], "challenge"), ([user, chap], "CHAP"),
            ([user, TunnelAVP(name: .msCHAP2Response, value: Array(repeating: 0, count: 49)), challenge], "MS-CHAP"),
            (
                [
                    user, TunnelAVP(name: .msCHAP2Response, value: Array(repeating: 0, count: 50)),
                    TunnelAVP(name: .msCHAPChallenge, value: Array(repeating: 0, count: 16)),
                ], "challenge"
            ),
            ([TunnelAVP(name: .eapMessage, value: [2, 1, 0, 9, 1])], "malformed EAP packet"),
            ([TunnelAVP(name: .eapMessage, value: [2, 1, 0, 6, 21, 0])], "EAP-TTLS"),
        ]
        for (pairs, word) in cases {
            let reason = try #require(try end(saying: TunnelAVP.encode(pairs)).reason)
            #expect(reason.description.contains(word), "\(reason)")
        }
        #expect(try end(saying: [1, 2, 3]).reason == .malformed("AVP of TTLS that is cut"))
        let optional = TunnelAVP(name: TunnelAVP.Name(code: 4_711), isMandatory: false, value: [1])
        var method = try ttls()
        let peer = try TunnelPeer(try certificates.clientContext())
        peer.opening = { TunnelAVP.encode([optional, user, password]) }
        var judge = Judge()
        #expect(try logIn(&method, peer, &judge).keys != nil, "what is unknown and optional is passed over")
    }

    @Test func kindThatIsOffIsNotAskedAbout() throws {
        let end = try end(saying: TunnelAVP.encode([user, password]), passwords: [.msCHAPv2])
        #expect(end.reason == .unsupported("EAP-TTLS/PAP is off"))
    }

    @Test func silenceIsNotEndless() throws {
        var method = try ttls()
        let peer = try TunnelPeer(try certificates.clientContext())
        var judge = Judge()
        #expect(try logIn(&method, peer, &judge).reason == .malformed("silence inside EAP-TTLS"))
    }

    @Test func tunnelInsideATunnelIsNotOffered() throws {
        var method = try ttls()
        let peer = try TunnelPeer(try certificates.clientContext())
        func eap(_ packet: EAPPacket) -> [UInt8] { TunnelAVP.encode([TunnelAVP(name: .eapMessage, value: packet.bytes)]) }
        peer.opening = { eap(EAPPacket(.response, identifier: 0, type: .identity, data: Array("alice".utf8))) }
        peer.reply = { plain in
            let request = try EAPPacket(try TunnelAVP.decode(plain[...])[0].value[...])
            return eap(EAPPacket(.response, identifier: request.identifier, type: .nak, data: [EAPType.tls.rawValue]))
        }
        var judge = Judge()
        #expect(try logIn(&method, peer, &judge).reason == .noCommonMethod(wanted: [.tls]))
    }

    // MARK: PEAP

    @Test func otherVersionOfPEAPIsRefused() throws {
        var method = try peap()
        let peer = try TunnelPeer(try certificates.clientContext())
        var judge = Judge()
        #expect(try logIn(&method, peer, &judge) { $0[0] |= 1 }.reason == .malformed("PEAP version 1"))
    }

    @Test(
        arguments: [
            ("02010005", "answer to PEAP's result"), ("0102000b21800300020001", "answer to PEAP's result"),
            ("0203000b21800300020001", "answer to PEAP's result"), ("0202000b01800300020001", "answer to PEAP's result"),
            ("0202000b2180030002000100", "answer to PEAP's result"), ("0202000b21800300020002", "refused: PEAP's result"),
            ("0202000521", "refused: PEAP's result"), ("0202000a218003000200", "TLV of PEAP that is cut"),
            ("0202000b21804200020001", "TLV 66"), ("0202000b21800300020001", nil),
        ] as [(String, String?)]) func onlyTheRightAnswerToPEAPsResultCounts(_ hex: String, _ word: String?) throws
    {
        var method = try peap()
        let peer = try TunnelPeer(try certificates.clientContext())
        var identifier: UInt8?
        peer.reply = { plain in
            if plain.first == 1, plain.count > 5 {
                identifier = plain[1]
                return bytes(hex)
            }
            return plain.first == 1 ? [1] + Array("alice".utf8) : [plain[0]] + Array("correct horse".utf8)
        }
        var judge = Judge()
        let end = try logIn(&method, peer, &judge)
        // Identity, GTC, result: the third request inside.
        #expect(identifier == 2)
        if let word {
            #expect(try #require(end.reason).description.contains(word), "\(end)")
        } else {
            #expect(end.keys != nil, "the one that is right")
        }
    }

    @Test(arguments: [[], [3], [6], [1, 65]] as [[UInt8]]) func wrongInnerAnswerEndsPEAP(_ plain: [UInt8]) throws {
        var method = try peap()
        let peer = try TunnelPeer(try certificates.clientContext())
        // The identity is asked for first.
        peer.reply = { request in request.count == 1 && !plain.isEmpty && plain[0] == 1 ? plain : (plain.isEmpty ? nil : plain) }
        var judge = Judge()
        let end = try logIn(&method, peer, &judge)
        #expect(end.keys == nil)
        #expect(judge.questions.isEmpty)
    }

    // MARK: Fragments and TLS

    @Test(
        arguments: [
            ([], "fragment without its header"), ([0x20], "flag of a start"), ([0x00], "empty answer"),
            ([0x80, 0, 1, 0, 1], "message of 65537 bytes"), ([0x40, 1], "without the length"), ([0xc0, 0, 0, 0, 9], "nothing in it"),
            ([0x00, 1], "flight"), ([0x00, 0x16, 3, 1, 0, 200, 1], "flight"), ([0x00] + Array("GET / HTTP/1.1\r\n".utf8), "no TLS"),
        ] as [([UInt8], String)]) func wrongFirstAnswerIsRefused(_ response: [UInt8], _ word: String) throws
    {
        var method = try ttls()
        #expect(method.begin(identifier: 1) == .request([0x20]))
        var step = method.take(response: response[...])
        // OpenSSL may have an alert to send first.
        if case .request(let alert) = step {
            #expect(alert.count > 1)
            step = method.take(response: [0x00])
        }
        guard case .failure(let reason) = step else {
            Issue.record("\(step)")
            return
        }
        #expect(reason.description.contains(word), "\(reason)")
    }

    @Test func answerToAnAlertChangesNothing() throws {
        let stranger = try TestAuthority("elsewhere", in: certificates.folder).issue("mallory")
        var method = try TLSMethod(context: try certificates.serverContext(.tls12, wantsCertificate: true), now: 0)
        let peer = try TunnelPeer(try certificates.clientContext(stranger))
        var judge = Judge()
        // Whatever it is that comes after the alert.
        let reason = try #require(try logIn(&method, peer, &judge) { if peer.refusal != nil { $0 = [0xff, 0xff] } }.reason)
        #expect(reason.description.contains("unable to get local issuer"))
    }

    /// One bit of each packet in turn: none of them logs in, and nothing traps. In TLS 1.3 some bits have no meaning (RFC 8446 §5.1).
    @Test(arguments: 0..<24) func changedBytesNeverLogIn(_ place: Int) throws {
        for packet in 0..<4 {
            var method = try peap(.tls12)
            let peer = try TunnelPeer(try certificates.clientContext())
            peer.reply = { plain in
                plain.first == 1 ? [1] + Array("alice".utf8) : [plain[0]] + Array("correct horse".utf8)
            }
            var judge = Judge()
            var number = 0
            var hasChanged = false
            var step = method.begin(identifier: 1)
            rounds: for _ in 0..<40 {
                switch step {
                case .request(let data):
                    // A device that was spoilt may find the server's answer wrong, and then says nothing more.
                    guard var response = try? peer.answer(data) else { break rounds }
                    if number == packet, response.count > 6 {
                        response[1 + place * (response.count - 2) / 24] ^= 0x10
                        hasChanged = true
                    }
                    number += 1
                    step = method.take(response: response[...])
                case .ask(let question): step = method.take(verdict: try judge.judge(question))
                case .success:
                    #expect(!hasChanged)
                    break rounds
                case .failure, .ignore: break rounds
                }
            }
        }
    }

    @Test func peerThatClosesTheTunnelIsHeard() throws {
        var method = try ttls()
        let peer = try TunnelPeer(try certificates.clientContext())
        peer.opening = { [unowned peer] in
            peer.session.close()
            return []
        }
        var judge = Judge()
        #expect(try logIn(&method, peer, &judge).reason == .refusedByPeer("it closed the tunnel"))
    }

    @Test func answerToAFragmentHasNothingInIt() throws {
        var method = try TTLSMethod(context: try certificates.serverContext(), inner: [], framedMTU: 200, now: 0)
        let peer = try TunnelPeer(try certificates.clientContext())
        var judge = Judge()
        var number = 0
        let end = try logIn(&method, peer, &judge) { response in
            number += 1
            if number == 2 { response = [0x00, 1] }
        }
        #expect(end.reason == .malformed("answer to a fragment"))
    }
}

struct DeferredMethodTests {
    private struct Problem: Error {}

    @Test func methodIsMadeWhenItsTurnComes() throws {
        var method = DeferredMethod(.genericTokenCard) { GTCMethod(prompt: "Code: ") }
        let before = method.keptBytes
        #expect(method.take(response: [1]) == .failure(.unexpectedType(.genericTokenCard)))
        #expect(method.begin(identifier: 1) == .request(Array("Code: ".utf8)))
        #expect(method.keptBytes > before)
        guard case .ask(let question) = method.take(response: [65]) else {
            Issue.record("nothing was asked")
            return
        }
        #expect(question.proof == .password(EAPSecret([65])))
        #expect(method.take(verdict: .accept()) == .success(nil))
    }

    @Test func tunnelIsMadeWhenThePeerHasAgreedToIt() throws {
        let certificates = try TunnelCertificates()
        let context = try certificates.serverContext()
        var server = EAPAuthenticator(methods: [
            DeferredMethod.tunnel(.ttls) { try TTLSMethod(context: context, now: 0) },
            DeferredMethod.tunnel(.peap) { throw Problem() },
        ])
        _ = server.start(identifier: 0)
        let identity = EAPPacket(.response, identifier: 0, type: .identity, data: [65]).bytes
        #expect(server.take(identity[...]) == .send(EAPPacket(.request, identifier: 1, type: .ttls, data: [0x20]).bytes))
        // Nothing of TLS is there yet.
        #expect(server.keptBytes < 1_024)
        var peer = EAPPeer(identity: [65], method: try TTLSPeer(context: try certificates.clientContext(), name: [65], inner: .pap))
        guard case .send(let hello) = peer.take(server.lastRequest[...]), case .send = server.take(hello[...]) else {
            Issue.record("nothing is sent")
            return
        }
        #expect(server.keptBytes > 40_000)
        var other = DeferredMethod.tunnel(.peap) { throw Problem() }
        #expect(other.begin(identifier: 1) == .request([0x20]))
        guard case .failure(.unsupported) = other.take(response: [0]) else {
            Issue.record("it began")
            return
        }
    }

    @Test func methodThatCannotBeMadeFails() {
        var method = DeferredMethod(.ttls) { throw Problem() }
        guard case .failure(.unsupported) = method.begin(identifier: 1) else {
            Issue.record("it began")
            return
        }
        var other = DeferredMethod(.ttls) { GTCMethod() }
        #expect(other.begin(identifier: 1) == .failure(.unexpectedType(.genericTokenCard)))
    }
}
