// SPDX-License-Identifier: Apache-2.0
// Whole logins by EAP-TLS, TTLS and PEAP, against a device of the tests' own.

import RADIUS
import TLS
import TestSupport
import Testing

@testable import EAP

/// The devices' ways to prove a password inside TTLS.
private enum InnerProof: String, CaseIterable {
    case pap, chap, msCHAP, msCHAPv2, gtc, eapMSCHAPv2, md5
}

struct TunnelLoginTests {
    private let certificates: TunnelCertificates

    init() throws {
        certificates = try TunnelCertificates()
    }

    private static let challenge = (0..<16).map { UInt8($0 * 3) }

    private func innerMethods() -> [any EAPMethod] {
        [
            MSCHAPv2Method(challenge: Self.challenge, server: "sallyport"), GTCMethod(),
            MD5Method(challenge: Self.challenge),
        ]
    }

    private func ttls(_ context: TLSContext, mtu: Int? = nil, now: Int64 = 0) throws -> TTLSMethod {
        try TTLSMethod(context: context, inner: innerMethods(), framedMTU: mtu, now: now)
    }

    private func peap(
        _ context: TLSContext, binding: PEAPMethod.Binding = .offered, mtu: Int? = nil, now: Int64 = 0
    ) throws -> PEAPMethod {
        let inner: [any EAPMethod] = [MSCHAPv2Method(challenge: Self.challenge, server: "sallyport"), GTCMethod()]
        return try PEAPMethod(
            context: context, inner: inner, nonce: Array(repeating: 5, count: 32), binding: binding, framedMTU: mtu, now: now)
    }

    // MARK: EAP-TLS

    @Test(arguments: [TLSSettings.Version.tls12, .tls13], [500, 777, 1020, 1400])
    func certificateLogsIn(_ version: TLSSettings.Version, _ mtu: Int) throws {
        let context = try certificates.serverContext(version, wantsCertificate: true)
        var method = try TLSMethod(context: context, framedMTU: mtu, now: 0)
        let peer = try TunnelPeer(try certificates.clientContext(certificates.alice))
        peer.fragment = mtu - 100
        var judge = Judge()
        let end = try logIn(&method, peer, &judge)
        #expect(end.keys == (try clientKeys(peer.session, .tls)))
        #expect(end.keys?.sessionID.count == 65)
        #expect(peer.longest <= mtu)
        #expect(peer.session.version == (version == .tls12 ? "TLSv1.2" : "TLSv1.3"))
        // RFC 9190 §2.1.1
        #expect(peer.heard == (version == .tls12 ? [] : [[0]]))
        guard case .certificate(let certificate) = try #require(judge.questions.first).proof else {
            Issue.record("no certificate was asked about")
            return
        }
        #expect(judge.questions.count == 1)
        #expect(certificate.subject == "CN=alice,O=Test")
        #expect(certificate.commonNames == ["alice"])
        #expect(certificate.principals == ["alice@corp.example"])
        #expect(certificate.mails == ["alice@example.org"])
        #expect(certificate.fingerprint.count == 32 && certificate.shownBefore == nil)
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func sessionIsTakenUpByItsOwnMethodAlone(_ version: TLSSettings.Version) throws {
        let sessions = SessionCache(lifetime: 600)
        let context = try certificates.serverContext(version, wantsCertificate: true, sessions: sessions)
        let client = try certificates.clientContext(certificates.alice)
        var judge = Judge()
        var first = try TLSMethod(context: context, now: 1_000)
        let peer = try TunnelPeer(client)
        #expect(try logIn(&first, peer, &judge).keys != nil)
        #expect(sessions.count == 1)

        var second = try TLSMethod(context: context, now: 1_500)
        let again = try TunnelPeer(client, takingUp: peer)
        let end = try logIn(&second, again, &judge)
        #expect(end.keys == (try clientKeys(again.session, .tls)))
        #expect(end.keys?.receive != (try clientKeys(peer.session, .tls).receive))
        guard case .certificate(let certificate) = try #require(judge.questions.last).proof else {
            Issue.record("no certificate was asked about")
            return
        }
        #expect(certificate.shownBefore == 1_000 && certificate.principals == ["alice@corp.example"])

        // The age of a session is that of its full handshake, however often it is taken up.
        var late = try TLSMethod(context: context, now: 1_600)
        #expect(try logIn(&late, try TunnelPeer(client, takingUp: again), &judge).keys != nil)
        guard case .certificate(let anew) = try #require(judge.questions.last).proof else { return }
        #expect(anew.shownBefore == nil)

        // Another method does not take it.
        var other = try TTLSMethod(context: context, now: 1_500)
        let stranger = try TunnelPeer(client, takingUp: again)
        speakTTLS(stranger, .pap)
        #expect(try logIn(&other, stranger, &judge).keys != nil)
        #expect(judge.questions.last?.method == "EAP-TTLS/PAP")
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func sessionOfARefusedPeerIsWorthNothing(_ version: TLSSettings.Version) throws {
        let sessions = SessionCache()
        let context = try certificates.serverContext(version, sessions: sessions)
        let client = try certificates.clientContext()
        var judge = Judge()
        judge.password = "another"
        judge.takesSessions = true
        var method = try ttls(context)
        let peer = try TunnelPeer(client)
        speakTTLS(peer, .pap)
        #expect(try logIn(&method, peer, &judge).reason == .rejected)
        #expect(sessions.count == 0)
        var second = try ttls(context)
        let again = try TunnelPeer(client, takingUp: peer)
        speakTTLS(again, .pap)
        #expect(try logIn(&second, again, &judge).reason == .rejected)
        #expect(judge.questions.map(\.method) == ["EAP-TTLS/PAP", "EAP-TTLS/PAP"])
    }

    // MARK: Certificates that do not fit

    /// RFC 5216 §2.1.3: the alert goes out, and the failure follows on its answer.
    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func serverTellsWhyItRefusesACertificate(_ version: TLSSettings.Version) throws {
        let stranger = try TestAuthority("elsewhere", in: certificates.folder).issue("mallory")
        let expired = try certificates.authority.issueExpired("old")
        let revoked = try certificates.authority.issue("lost")
        let list = try certificates.authority.revoke(revoked)
        for (issued, word) in [(stranger, "unable to get local issuer"), (expired, "expired"), (revoked, "revoked")] {
            let context = try certificates.serverContext(version, wantsCertificate: true) {
                $0.revocations = TestAuthority.bytes(of: list)
            }
            var method = try TLSMethod(context: context, now: 0)
            let peer = try TunnelPeer(try certificates.clientContext(issued))
            var judge = Judge()
            let reason = try #require(try logIn(&method, peer, &judge).reason)
            #expect(reason.description.contains(word), "\(reason)")
            #expect(judge.questions.isEmpty)
            #expect(peer.refusal != nil, "the alert has come")
        }
    }

    @Test func certificateThatIsDemandedIsNotMissed() throws {
        var method = try TLSMethod(context: try certificates.serverContext(wantsCertificate: true), now: 0)
        let peer = try TunnelPeer(try certificates.clientContext())
        var judge = Judge()
        #expect(try logIn(&method, peer, &judge).reason == .tls("the peer showed no certificate"))
    }

    /// Wrong authority, and expired: the device's alert is the reason.
    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func deviceTellsWhyItRefusesTheServer(_ version: TLSSettings.Version) throws {
        let elsewhere = try TestAuthority("elsewhere", in: certificates.folder)
        let expired = try certificates.authority.issueExpired("oldserver")
        var judge = Judge()
        var method = try ttls(try certificates.serverContext(version))
        var peer = try TunnelPeer(try certificates.clientContext { $0.peerAuthorities = elsewhere.pem })
        var reason = try #require(try logIn(&method, peer, &judge).reason)
        #expect(reason.description.hasPrefix("device that refused") && reason.description.contains("unknown ca"))
        let context = try certificates.serverContext(version) { ($0.certificates, $0.key) = (expired.pem, expired.keyPEM) }
        method = try ttls(context)
        peer = try TunnelPeer(try certificates.clientContext())
        reason = try #require(try logIn(&method, peer, &judge).reason)
        #expect(reason.description.hasPrefix("device that refused") && reason.description.contains("expired"))
        #expect(judge.questions.isEmpty)
    }

    // MARK: TTLS

    @Test(arguments: InnerProof.allCases, [TLSSettings.Version.tls12, .tls13])
    private func ttlsTakesEveryKindOfPassword(_ proof: InnerProof, _ version: TLSSettings.Version) throws {
        for (mtu, isHasty) in [(500, false), (1400, false), (1020, true)] {
            var method = try ttls(try certificates.serverContext(version), mtu: mtu)
            let peer = try TunnelPeer(try certificates.clientContext())
            peer.isHasty = isHasty
            speakTTLS(peer, proof)
            var judge = Judge()
            let end = try logIn(&method, peer, &judge)
            #expect(end.keys == (try clientKeys(peer.session, .ttls)), "\(proof) \(mtu)")
            #expect(peer.longest <= mtu)
            #expect(judge.questions.map(\.name) == [Array("alice".utf8)])
        }
        var judge = Judge()
        judge.password = "another"
        var method = try ttls(try certificates.serverContext(version))
        let peer = try TunnelPeer(try certificates.clientContext())
        speakTTLS(peer, proof)
        #expect(try logIn(&method, peer, &judge).reason == .rejected)
    }

    @Test func ttlsShowsAText() throws {
        var method = try ttls(try certificates.serverContext())
        let peer = try TunnelPeer(try certificates.clientContext())
        speakTTLS(peer, .pap)
        peer.reply = { plain in
            let pairs = try TunnelAVP.decode(plain[...])
            #expect(pairs.map(\.name) == [.replyMessage] && pairs[0].value == Array("Code: ".utf8))
            return TunnelAVP.encode([TunnelAVP(name: .userPassword, value: Array("correct horse".utf8))])
        }
        var judge = Judge()
        judge.prompts = ["Code: "]
        #expect(try logIn(&method, peer, &judge).keys != nil)
        #expect(judge.questions.count == 2)
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13], [true, false])
    func ttlsAsksWhetherASessionIsEnough(_ version: TLSSettings.Version, _ isEnough: Bool) throws {
        let context = try certificates.serverContext(version, sessions: SessionCache())
        let client = try certificates.clientContext()
        var judge = Judge()
        judge.takesSessions = isEnough
        var first = try ttls(context, now: 100)
        let peer = try TunnelPeer(client)
        speakTTLS(peer, .msCHAPv2)
        #expect(try logIn(&first, peer, &judge).keys != nil)
        var second = try ttls(context, now: 200)
        let again = try TunnelPeer(client, takingUp: peer)
        if !isEnough { speakTTLS(again, .msCHAPv2) }
        let end = try logIn(&second, again, &judge)
        #expect(end.keys == (try clientKeys(again.session, .ttls)))
        let asked = judge.questions.dropFirst().map(\.proof)
        #expect(asked.first == .session(since: 100))
        #expect(judge.questions[1].name == Array("alice".utf8))
        #expect(asked.count == (isEnough ? 1 : 2), "the password is asked for where the session is not enough")
        // RFC 9427 §4
        if isEnough { #expect(again.heard == (version == .tls13 ? [[0]] : [])) }
    }

    // MARK: PEAP

    @Test(arguments: [TLSSettings.Version.tls12, .tls13], [500, 1020, 1400])
    func peapBindsTunnelAndPassword(_ version: TLSSettings.Version, _ mtu: Int) throws {
        for speaker in [PEAPSpeaker(.msCHAPv2), PEAPSpeaker(.genericTokenCard)] {
            for binding in [PEAPMethod.Binding.required, .offered] {
                var method = try peap(try certificates.serverContext(version), binding: binding, mtu: mtu)
                let peer = try TunnelPeer(try certificates.clientContext())
                speaker.speak(peer)
                var judge = Judge()
                let end = try logIn(&method, peer, &judge)
                #expect(end.keys == (try speaker.compoundKeys(peer)))
                #expect(peer.longest <= mtu)
                #expect(judge.questions.map(\.name) == [Array("alice".utf8)])
                #expect(judge.questions[0].method.hasPrefix("PEAP/EAP-"))
            }
        }
    }

    @Test func peapWithoutBindingHasTheTunnelsKeys() throws {
        let speaker = PEAPSpeaker(.msCHAPv2)
        speaker.bindsNothing = true
        var method = try peap(try certificates.serverContext())
        var peer = try TunnelPeer(try certificates.clientContext())
        speaker.speak(peer)
        var judge = Judge()
        #expect(try logIn(&method, peer, &judge).keys == (try clientKeys(peer.session, .peap)))

        method = try peap(try certificates.serverContext(), binding: .required)
        peer = try TunnelPeer(try certificates.clientContext())
        speaker.speak(peer)
        #expect(try logIn(&method, peer, &judge).reason == .refusedByPeer("cryptobinding, which is required"))
    }

    @Test func peapRefusesOneWhoseMethodWasSpokenElsewhere() throws {
        let speaker = PEAPSpeaker(.msCHAPv2)
        speaker.innerKeys = Array(repeating: 9, count: 32)
        var method = try peap(try certificates.serverContext())
        let peer = try TunnelPeer(try certificates.clientContext())
        speaker.speak(peer)
        var judge = Judge()
        let reason = try #require(try logIn(&method, peer, &judge).reason)
        #expect(reason == .malformed("cryptobinding: tunnel and inner method do not have the same ends"))
    }

    @Test(arguments: [EAPType.msCHAPv2, .genericTokenCard]) func peapTellsAWrongPassword(_ type: EAPType) throws {
        let speaker = PEAPSpeaker(type)
        var method = try peap(try certificates.serverContext())
        let peer = try TunnelPeer(try certificates.clientContext())
        speaker.speak(peer)
        var judge = Judge()
        judge.password = "another"
        #expect(try logIn(&method, peer, &judge).reason == .rejected)
        #expect(speaker.result == .failure)
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13], [true, false])
    func peapAsksWhetherASessionIsEnough(_ version: TLSSettings.Version, _ isEnough: Bool) throws {
        let context = try certificates.serverContext(version, sessions: SessionCache())
        let client = try certificates.clientContext()
        var judge = Judge()
        judge.takesSessions = isEnough
        let speaker = PEAPSpeaker(.msCHAPv2)
        var first = try peap(context, binding: .required, now: 100)
        let peer = try TunnelPeer(client)
        speaker.speak(peer)
        #expect(try logIn(&first, peer, &judge).keys != nil)
        var second = try peap(context, binding: .required, now: 200)
        let again = try TunnelPeer(client, takingUp: peer)
        let resumed = PEAPSpeaker(.msCHAPv2)
        resumed.isResumed = isEnough
        resumed.speak(again)
        let end = try logIn(&second, again, &judge)
        #expect(end.keys == (try resumed.compoundKeys(again)))
        #expect(judge.questions[1].proof == .session(since: 100))
        #expect(judge.questions[1].name == Array("alice".utf8))
        #expect(judge.questions.count == (isEnough ? 2 : 3))
    }
}

// MARK: What devices say

extension TunnelLoginTests {
    private func speakTTLS(_ peer: TunnelPeer, _ proof: InnerProof) {
        let name = Array("alice".utf8)
        let password = Array("correct horse".utf8)
        let user = TunnelAVP(name: .userName, value: name)
        func eap(_ packet: EAPPacket) -> [UInt8] { TunnelAVP.encode([TunnelAVP(name: .eapMessage, value: packet.bytes)]) }
        peer.opening = { [unowned peer] in
            let hash = try #require(NTHash(password: password))
            switch proof {
            case .pap:
                let padded = password + Array(repeating: 0, count: 16 - password.count)
                return TunnelAVP.encode([user, TunnelAVP(name: .userPassword, value: padded)])
            case .chap:
                let material = try peer.session.export("ttls challenge", count: 17)
                let response = CHAPResponse(identifier: material[16], challenge: Array(material[..<16]), password: password)
                return TunnelAVP.encode([
                    user, TunnelAVP(name: .chapChallenge, value: response.challenge), TunnelAVP(name: .chapPassword, value: response.bytes),
                ])
            case .msCHAP:
                let material = try peer.session.export("ttls challenge", count: 9)
                let response = try #require(MSCHAPResponse(identifier: material[8], challenge: Array(material[..<8]), hash: hash))
                return TunnelAVP.encode([
                    user, TunnelAVP(name: .msCHAPChallenge, value: response.challenge),
                    TunnelAVP(name: .msCHAPResponse, value: response.bytes),
                ])
            case .msCHAPv2:
                let material = try peer.session.export("ttls challenge", count: 17)
                let response = MSCHAPv2Response(
                    identifier: material[16], challenge: try #require(Authenticator(Array(material[..<16]))), peerChallenge: .zero,
                    userName: name, hash: hash)
                peer.reply = { plain in
                    let pairs = try TunnelAVP.decode(plain[...])
                    #expect(pairs.map(\.name) == [.msCHAP2Success])
                    #expect(response.isSuccess(pairs[0].value[...], hash), "the server proves itself")
                    return nil
                }
                return TunnelAVP.encode([
                    user, TunnelAVP(name: .msCHAPChallenge, value: response.challenge.bytes),
                    TunnelAVP(name: .msCHAP2Response, value: response.bytes),
                ])
            case .gtc, .eapMSCHAPv2, .md5:
                let type: EAPType = proof == .gtc ? .genericTokenCard : proof == .md5 ? .md5Challenge : .msCHAPv2
                let speaker = InnerSpeaker(type)
                peer.reply = { plain in
                    let pairs = try TunnelAVP.decode(plain[...])
                    let packet = try EAPPacket(try #require(pairs.first).value[...])
                    return eap(try speaker.answer(packet))
                }
                return eap(EAPPacket(.response, identifier: 77, type: .identity, data: name))
            }
        }
    }
}

/// A device that speaks one EAP method and refuses all others.
final class InnerSpeaker {
    let type: EAPType
    private let name = Array("alice".utf8)
    private let password = Array("correct horse".utf8)
    /// Receive and send of the server's.
    private(set) var keys: [UInt8] = []
    private var response: MSCHAPv2Response?

    init(_ type: EAPType) { self.type = type }

    func answer(_ request: EAPPacket) throws -> EAPPacket {
        #expect(request.code == .request)
        var response = EAPPacket(.response, identifier: request.identifier, type: request.type)
        switch request.type {
        case .identity: response.data = name
        case type: response.data = try body(request)
        default: (response.type, response.data) = (.nak, [type.rawValue])
        }
        return response
    }

    private func body(_ request: EAPPacket) throws -> [UInt8] {
        let data = request.data
        switch type {
        case .genericTokenCard: return password
        case .md5Challenge:
            let challenge = Array(data.dropFirst().prefix(Int(data[0])))
            return [16] + CHAPResponse(identifier: request.identifier, challenge: challenge, password: password).response.bytes
        default:
            let hash = try #require(NTHash(password: password))
            switch data[0] {
            case 1:
                let made = MSCHAPv2Response(
                    identifier: data[1], challenge: try #require(Authenticator(Array(data[5..<21]))), peerChallenge: .zero, userName: name,
                    hash: hash)
                response = made
                let keys = MPPEKeys(made, hash)
                self.keys = keys.receive + keys.send
                let value = made.bytes.dropFirst(2) + [0]
                let length = 5 + value.count + name.count
                return [2, data[1], UInt8(length >> 8), UInt8(length & 255), UInt8(value.count)] + value + name
            case 3:
                let made = try #require(response)
                #expect(made.isSuccess(([data[1]] + data.dropFirst(4))[...], hash), "the server proves itself")
                return [3]
            default: return [4]
            }
        }
    }
}

/// A device that speaks PEAPv0.
final class PEAPSpeaker {
    private let inner: InnerSpeaker
    /// It does not answer the cryptobinding.
    var bindsNothing = false
    /// It expects to be asked nothing.
    var isResumed = false
    /// Others than those of the method that was spoken.
    var innerKeys: [UInt8]?
    private(set) var result: PEAPExtensions.Outcome?

    init(_ type: EAPType) { inner = InnerSpeaker(type) }

    func speak(_ peer: TunnelPeer) {
        peer.reply = { [unowned peer, self] plain in
            if plain.count > 5, plain[0] == 1, plain[4] == 33 { return try conclude(try EAPPacket(plain[...]), peer) }
            #expect(!isResumed)
            let request = EAPPacket(.request, identifier: 1, type: EAPType(rawValue: plain[0]), data: Array(plain.dropFirst()))
            return Array(try inner.answer(request).bytes.dropFirst(4))
        }
    }

    private func conclude(_ request: EAPPacket, _ peer: TunnelPeer) throws -> [UInt8] {
        let said = try PEAPExtensions(request.data[...])
        result = said.outcome
        var answer = PEAPExtensions(outcome: said.outcome)
        if said.outcome == .success, !bindsNothing {
            let asked = try #require(said.binding)
            let keys = try compound(peer)
            if innerKeys == nil { #expect(keys.compoundMAC(asked.bytesWithoutMAC) == asked.mac) }
            var binding = PEAPExtensions.Binding(subtype: .response, nonce: asked.nonce)
            binding.mac = keys.compoundMAC(binding.bytesWithoutMAC)
            answer.binding = binding
        }
        return EAPPacket(.response, identifier: request.identifier, type: .extensions, data: answer.bytes).bytes
    }

    private func compound(_ peer: TunnelPeer) throws -> CompoundKeys {
        let outer = try clientKeys(peer.session, .peap)
        return CompoundKeys(
            tunnel: outer.receive.bytes + outer.send.bytes, inner: innerKeys ?? inner.keys, isResumed: isResumed)
    }

    func compoundKeys(_ peer: TunnelPeer) throws -> EAPKeys {
        let key = try compound(peer).sessionKey
        return EAPKeys(
            receive: EAPSecret(Array(key[..<32])), send: EAPSecret(Array(key[32..<64])),
            sessionID: try clientKeys(peer.session, .peap).sessionID)
    }
}
