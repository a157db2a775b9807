// SPDX-License-Identifier: Apache-2.0
// The device's side against the server's: every method, and servers that lie.

import RADIUS
import TLS
import TestSupport
import Testing

@testable import EAP

/// What a user types, and what is made of it.
struct PeerUser {
    var password = "correct horse"
    var name = "alice"
    /// Answers to texts, before the password is the answer.
    var texts: [String] = []
    private(set) var prompts: [String] = []

    mutating func answer(_ question: PeerQuestion) throws -> PeerAnswer {
        let bytes = Array(password.utf8)
        switch question {
        case .password: return .text(EAPSecret(bytes))
        case .text(let prompt):
            prompts.append(prompt)
            return .text(EAPSecret(texts.isEmpty ? bytes : Array(texts.removeFirst().utf8)))
        case .chap(let identifier, let challenge):
            return .chap(CHAPResponse(identifier: identifier, challenge: challenge, password: bytes).response.bytes)
        case .msCHAPv2(let identifier, let challenge):
            let hash = try #require(NTHash(password: bytes))
            let made = MSCHAPv2Response(
                identifier: identifier, challenge: try #require(Authenticator(challenge)), peerChallenge: Authenticator(high: 3, low: 4),
                userName: Array(name.utf8), hash: hash)
            let keys = MPPEKeys(made, hash)
            return .msCHAPv2(
                MSCHAPv2Proof(
                    challenge: Authenticator(high: 3, low: 4).bytes, response: Array(made.bytes.suffix(24)),
                    expected: MSCHAPv2Grant(
                        success: Array(made.success(hash).utf8), receive: EAPSecret(keys.receive), send: EAPSecret(keys.send))))
        }
    }
}

enum PeerEnd: Equatable {
    case success(server: EAPKeys?, peer: EAPKeys?)
    case failure(server: EAPFailureReason?, peer: PeerFault?)
}

/// Carries packets until both sides are done. `change` may spoil what the server sends.
func converse(
    _ server: inout EAPAuthenticator, _ peer: inout EAPPeer, _ judge: inout Judge, _ user: inout PeerUser,
    change: (inout [UInt8]) -> Void = { _ in }
) throws -> PeerEnd {
    var toServer = peer.introduction(identifier: 1)
    var toPeer: [UInt8]
    for _ in 0..<300 {
        var ending: (keys: EAPKeys?, reason: EAPFailureReason?)?
        var step = server.take(toServer[...])
        while case .ask(let question) = step { step = server.take(verdict: try judge.judge(question)) }
        switch step {
        case .send(let packet): toPeer = packet
        case .success(let packet, let keys): (toPeer, ending) = (packet, (keys, nil))
        case .failure(let packet, let reason): (toPeer, ending) = (packet, (nil, reason))
        case .ask, .discard:
            Issue.record("the server discards what the peer sent")
            return .failure(server: nil, peer: nil)
        }
        change(&toPeer)
        var answer = peer.take(toPeer[...])
        while case .ask(let question) = answer { answer = peer.take(answer: try user.answer(question)) }
        switch answer {
        case .send(let packet): toServer = packet
        case .success(let keys): return .success(server: ending?.keys, peer: keys)
        case .failure(let fault): return .failure(server: ending?.reason, peer: fault)
        case .ask, .ignore:
            Issue.record("the peer ignores what the server sent")
            return .failure(server: nil, peer: nil)
        }
    }
    Issue.record("the login does not end")
    return .failure(server: nil, peer: nil)
}

struct PeerTests {
    enum Way: String, CaseIterable {
        case gtc, md5, msCHAPv2, tls, ttlsPAP, ttlsMSCHAPv2, ttlsGTC, ttlsEAPMSCHAPv2, peapMSCHAPv2, peapGTC
    }

    private let certificates: TunnelCertificates
    private static let name = Array("alice".utf8)

    init() throws {
        certificates = try TunnelCertificates()
    }

    private func server(_ way: Way, _ version: TLSSettings.Version, mtu: Int? = nil) throws -> EAPAuthenticator {
        let challenge = (0..<16).map { UInt8($0 * 3) }
        let passwords: [any EAPMethod] = [
            GTCMethod(), MSCHAPv2Method(challenge: challenge, server: "sallyport"), MD5Method(challenge: challenge),
        ]
        let context = try certificates.serverContext(version, wantsCertificate: way == .tls)
        let method: any EAPMethod
        switch way {
        case .gtc, .md5, .msCHAPv2: return EAPAuthenticator(methods: passwords)
        case .tls: method = try TLSMethod(context: context, framedMTU: mtu, now: 0)
        case .ttlsPAP, .ttlsMSCHAPv2, .ttlsGTC, .ttlsEAPMSCHAPv2:
            method = try TTLSMethod(context: context, inner: passwords, framedMTU: mtu, now: 0)
        case .peapMSCHAPv2, .peapGTC:
            method = try PEAPMethod(
                context: context, inner: passwords, nonce: Array(repeating: 5, count: 32), binding: .required, framedMTU: mtu, now: 0)
        }
        // The peer has to ask for what it wants.
        return EAPAuthenticator(methods: [GTCMethod(), method])
    }

    private func peer(_ way: Way, _ context: TLSContext, serverName: String? = nil, packet: Int? = nil) throws -> EAPPeer {
        let name = Self.name
        let method: any EAPPeerMethod =
            switch way {
            case .gtc: GTCPeer()
            case .md5: MD5Peer(name: name)
            case .msCHAPv2: MSCHAPv2Peer(name: name)
            case .tls: try TLSPeer(context: context, serverName: serverName, packet: packet)
            case .ttlsPAP: try TTLSPeer(context: context, name: name, inner: .pap, serverName: serverName, packet: packet)
            case .ttlsMSCHAPv2: try TTLSPeer(context: context, name: name, inner: .msCHAPv2, serverName: serverName, packet: packet)
            case .ttlsGTC: try TTLSPeer(context: context, name: name, inner: .eap(GTCPeer()), serverName: serverName, packet: packet)
            case .ttlsEAPMSCHAPv2:
                try TTLSPeer(context: context, name: name, inner: .eap(MSCHAPv2Peer(name: name)), serverName: serverName, packet: packet)
            case .peapMSCHAPv2: try peap(MSCHAPv2Peer(name: name), context, serverName, packet)
            case .peapGTC: try peap(GTCPeer(), context, serverName, packet)
            }
        return EAPPeer(identity: name, method: method)
    }

    private func peap(_ inner: any EAPPeerMethod, _ context: TLSContext, _ serverName: String?, _ packet: Int?) throws -> PEAPPeer {
        try PEAPPeer(
            context: context, name: Self.name, inner: inner, nonce: Array(repeating: 9, count: 32), serverName: serverName, packet: packet)
    }

    @Test(arguments: Way.allCases, [TLSSettings.Version.tls12, .tls13])
    func bothSidesAgreeOnTheKeys(_ way: Way, _ version: TLSSettings.Version) throws {
        for mtu in [300, 1_020, 1_400] {
            var server = try server(way, version, mtu: mtu)
            var peer = try peer(
                way, try certificates.clientContext(way == .tls ? certificates.alice : nil), serverName: "radius.example.org", packet: mtu)
            var (judge, user) = (Judge(), PeerUser())
            guard case .success(let ours, let theirs) = try converse(&server, &peer, &judge, &user) else {
                Issue.record("\(way) is refused")
                return
            }
            #expect(ours == theirs && (ours != nil) == (way != .gtc && way != .md5))
            #expect(judge.questions.count == 1)
            #expect(peer.tunnel?.session.isChainTrusted ?? true)
            // And a wrong password is heard of.
            guard way != .tls else { continue }
            server = try self.server(way, version, mtu: mtu)
            peer = try self.peer(way, try certificates.clientContext(), packet: mtu)
            user.password = "another"
            guard case .failure(.rejected?, let fault?) = try converse(&server, &peer, &judge, &user) else {
                Issue.record("\(way) takes every password")
                return
            }
            #expect(fault.description.hasPrefix("the server refused"))
        }
    }

    @Test func severalTextsAreAnswered() throws {
        for way in [Way.gtc, .ttlsPAP, .ttlsGTC, .peapGTC] {
            var server = try server(way, .tls13)
            var peer = try peer(way, try certificates.clientContext())
            var (judge, user) = (Judge(), PeerUser())
            judge.prompts = ["Code: "]
            let end = try converse(&server, &peer, &judge, &user)
            guard case .success = end else {
                Issue.record("\(way): \(end)")
                return
            }
            #expect(user.prompts.last == "Code: ")
        }
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func aServerThatIsNotTrustedHearsNoPassword(_ version: TLSSettings.Version) throws
    {
        let elsewhere = try TestAuthority("elsewhere", in: certificates.folder)
        for way in [Way.ttlsPAP, .peapGTC] {
            var (judge, user) = (Judge(), PeerUser())
            var server = try server(way, version)
            var peer = try peer(way, try certificates.clientContext { $0.peerAuthorities = elsewhere.pem })
            guard case .failure(let reason?, .tls(let words)?) = try converse(&server, &peer, &judge, &user) else {
                Issue.record("\(way) is taken")
                return
            }
            #expect(reason.description.hasPrefix("device that refused") && words.contains("was refused"))
            server = try self.server(way, version)
            peer = try self.peer(way, try certificates.clientContext(), serverName: "other.example.org")
            #expect(
                try converse(&server, &peer, &judge, &user) == .failure(server: nil, peer: .serverName(["radius.example.org"])))
            #expect(judge.questions.isEmpty && user.prompts.isEmpty)
        }
    }

    @Test func aCertificateOfNobodyKnownIsToldApart() throws {
        var server = try server(.ttlsPAP, .tls13)
        let context = try certificates.clientContext {
            $0.peerAuthorities = []
            $0.isPinned = { _ in true }
        }
        var peer = try peer(.ttlsPAP, context)
        var (judge, user) = (Judge(), PeerUser())
        guard case .success = try converse(&server, &peer, &judge, &user) else {
            Issue.record("it is refused")
            return
        }
        #expect(peer.tunnel?.session.isChainTrusted == false)
    }

    /// Who does not know the password cannot make the answer of MS-CHAPv2.
    @Test(arguments: [Way.msCHAPv2, .ttlsMSCHAPv2, .peapMSCHAPv2]) func aServerWithoutThePasswordIsFound(_ way: Way) throws {
        var server = try server(way, .tls13)
        var peer = try peer(way, try certificates.clientContext())
        var (judge, user) = (Judge(), PeerUser())
        judge.takesEverything = true
        user.password = "another"
        guard case .failure(_, .notProven?) = try converse(&server, &peer, &judge, &user) else {
            Issue.record("it is taken")
            return
        }
    }

    @Test(arguments: Way.allCases) func successBeforeTheEndIsNotBelieved(_ way: Way) throws {
        for early in 1...3 {
            var server = try server(way, .tls13)
            var peer = try peer(way, try certificates.clientContext(way == .tls ? certificates.alice : nil))
            var (judge, user) = (Judge(), PeerUser())
            var packets = 0
            let end = try converse(&server, &peer, &judge, &user) { packet in
                packets += 1
                if packets == early { packet = EAPPacket(.success, identifier: packet[1]).bytes }
            }
            // GTC and MD5 prove nothing of the server: once the password is out, any success will do.
            if early == 3, [.gtc, .md5].contains(way) { continue }
            if early == 2, way == .msCHAPv2 || way == .md5 || way == .gtc { continue }
            #expect(end == .failure(server: nil, peer: .successTooEarly), "\(way) \(early)")
        }
    }

    @Test func otherMethodsAreRefusedAndNotSwitchedTo() throws {
        var peer = try peer(.ttlsPAP, try certificates.clientContext())
        let gtc = EAPPacket(.request, identifier: 4, type: .genericTokenCard, data: [65]).bytes
        #expect(peer.take(gtc[...]) == .send(EAPPacket(.response, identifier: 4, type: .nak, data: [21]).bytes))
        let start = EAPPacket(.request, identifier: 5, type: .ttls, data: [0x20]).bytes
        guard case .send = peer.take(start[...]) else {
            Issue.record("nothing is sent")
            return
        }
        #expect(peer.take(gtc[...]) == .failure(.unexpectedType(.genericTokenCard)))
        #expect(peer.take(start[...]) == .failure(.unexpectedType(.genericTokenCard)))
    }

    @Test(arguments: Way.allCases) func spoiledPacketsEndInAFault(_ way: Way) throws {
        var random = SystemRandomNumberGenerator()
        for spoiled in 0..<60 {
            var server = try server(way, spoiled % 2 == 0 ? .tls12 : .tls13, mtu: 300)
            var peer = try peer(way, try certificates.clientContext(way == .tls ? certificates.alice : nil), packet: 300)
            var (judge, user) = (Judge(), PeerUser())
            var toServer = peer.introduction(identifier: 1)
            var packets = 0
            conversation: while packets < 60 {
                var step = server.take(toServer[...])
                while case .ask(let question) = step { step = server.take(verdict: try judge.judge(question)) }
                guard case .send(var packet) = step else { break }
                packets += 1
                if packets == 1 + spoiled % 12, packet.count > 5 {
                    let place = Int.random(in: 5..<packet.count, using: &random)
                    switch spoiled % 3 {
                    case 0: packet[place] = UInt8.random(in: 0...255, using: &random)
                    case 1: packet = Array(packet.prefix(place))
                    default: packet += (0..<8).map { _ in UInt8.random(in: 0...255, using: &random) }
                    }
                    (packet[2], packet[3]) = (UInt8(packet.count >> 8), UInt8(packet.count & 0xff))
                }
                var answer = peer.take(packet[...])
                while case .ask(let question) = answer { answer = peer.take(answer: try user.answer(question)) }
                switch answer {
                case .send(let next): toServer = next
                case .success: Issue.record("a success without EAP-Success")
                case .failure, .ignore, .ask: break conversation
                }
            }
            #expect(packets < 60)
        }
    }

    @Test func endlessRequestsEnd() {
        var peer = EAPPeer(identity: Self.name, method: GTCPeer())
        let request = EAPPacket(.request, identifier: 4, type: .notification, data: [65]).bytes
        var rounds = 0
        while case .send = peer.take(request[...]), rounds < 1_000 { rounds += 1 }
        #expect(rounds == EAPLimits().rounds)
        #expect(peer.take(request[...]) == .failure(.tooManyRounds))
    }
}
