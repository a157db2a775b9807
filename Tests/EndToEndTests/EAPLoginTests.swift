// SPDX-License-Identifier: Apache-2.0
// EAP against a real node by a device of our own: rounds, codes as passwords, refusals, and what the trail says.

import Administration
import EAP
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

/// A gateway and the device behind it.
final class EAPDevice {
    let gateway: GatewayClient
    let name: String
    private(set) var state: [UInt8]?
    /// The last request of the server.
    private(set) var asked: EAPPacket?
    /// The last packet that was sent, for what it hides keys with.
    private(set) var sent: Packet?
    /// IKEv2, as strongSwan asks.
    var portType: UInt32 = 5

    init(_ node: TestNode, name: String = "alice", from source: String? = nil) throws {
        gateway = try GatewayClient(node, from: source)
        self.name = name
    }

    func request(_ eap: [UInt8]) throws -> [UInt8] {
        try gateway.request(name, nil, state: state) { writer in
            writer.addInteger(.nasPortType, portType)
            writer.addText(.callingStationID, "192.0.2.9[4500]")
            writer.addSplit(.eapMessage, eap)
        }
    }

    func ask(_ eap: [UInt8]) async throws -> Packet {
        let bytes = try request(eap)
        sent = try Packet(decoding: bytes)
        let reply = try #require(try await gateway.exchange(bytes))
        // RFC 3579 §2.6.5, and each answer says something of EAP.
        #expect(!reply.contains(.replyMessage) && reply.contains(.eapMessage))
        if let state = reply.octets(.state) { self.state = state }
        if let packet = Self.eap(reply), packet.code == .request { asked = packet }
        return reply
    }

    static func eap(_ reply: Packet) -> EAPPacket? { reply.joined(.eapMessage).flatMap { try? EAPPacket($0[...]) } }

    func identify() async throws -> EAPPacket? {
        Self.eap(try await ask(EAPPacket(.response, identifier: 1, type: .identity, data: Array(name.utf8)).bytes))
    }

    func response(_ data: [UInt8], type: EAPType? = nil) -> [UInt8] {
        EAPPacket(.response, identifier: asked?.identifier ?? 0, type: type ?? asked?.type, data: data).bytes
    }

    /// EAP-GTC.
    func type(_ text: String) async throws -> Packet { try await ask(response(Array(text.utf8))) }

    /// EAP-MSCHAPv2 to its end: the last reply, and what the server proved on the way.
    func msCHAPv2(_ password: String) async throws -> (reply: Packet, proof: String, response: MSCHAPv2Response, hash: NTHash) {
        let data = try #require(asked).data
        let challenge = try #require(Authenticator(Array(data[5..<21])))
        let hash = try #require(NTHash(password: Array(password.utf8)))
        let made = MSCHAPv2Response(
            identifier: data[1], challenge: challenge, peerChallenge: Authenticator(high: 3, low: 4), userName: Array(name.utf8), hash: hash
        )
        let value = Array(made.bytes.dropFirst(2)) + [0]
        let judged = try await ask(response([2, data[1], 0, UInt8(54 + name.utf8.count), 49] + value + Array(name.utf8)))
        let said = try #require(Self.eap(judged)).data
        let last = try await ask(response([said.first ?? 0]))
        return (last, String(decoding: said.dropFirst(4), as: UTF8.self), made, hash)
    }

    /// The Failure Request behind a password, and nothing that answers it.
    func refusedMSCHAPv2(_ password: String) async throws -> MSCHAPError? {
        let data = try #require(asked).data
        let challenge = try #require(Authenticator(Array(data[5..<21])))
        let hash = try #require(NTHash(password: Array(password.utf8)))
        let made = MSCHAPv2Response(
            identifier: data[1], challenge: challenge, peerChallenge: Authenticator(high: 3, low: 4), userName: Array(name.utf8), hash: hash
        )
        let value = Array(made.bytes.dropFirst(2)) + [0]
        let judged = try await ask(response([2, data[1], 0, UInt8(54 + name.utf8.count), 49] + value + Array(name.utf8)))
        return MSCHAPError([0] + (Self.eap(judged)?.data.dropFirst(4) ?? []))
    }

    /// Answers error 648 with another password.
    func changePassword(_ challenge: [UInt8], from old: String, to new: String) async throws -> (packet: EAPPacket?, isProved: Bool) {
        let identifier = try #require(asked).data[1] &+ 1
        let hash = try #require(NTHash(password: Array(old.utf8)))
        let made = MSCHAPPasswordChange(
            identifier: identifier, challenge: try #require(Authenticator(challenge)), peerChallenge: Authenticator(high: 5, low: 6),
            userName: Array(name.utf8), old: hash, new: Array(new.utf8), padding: [UInt8](repeating: 0x2A, count: 512))
        let change = try #require(made)
        let body = change.pieces.flatMap { $0.dropFirst(4) } + change.bytes.dropFirst(2)
        let packet = Self.eap(try await ask(response([7, identifier, 0x02, 0x4A] + body)))
        let proof = [identifier] + (packet?.data.dropFirst(4) ?? [])
        return (packet, change.response.isSuccess(proof[...], try #require(NTHash(password: Array(new.utf8)))))
    }

    /// MS-MPPE-Recv-Key, MS-MPPE-Send-Key.
    func keys(_ reply: Packet) throws -> [[UInt8]] {
        let authenticator = try #require(sent).authenticator
        return [MicrosoftAttribute.mppeReceiveKey, MicrosoftAttribute.mppeSendKey].compactMap { type in
            reply.vendorAttributes.first { $0.vendor == MicrosoftAttribute.vendor && $0.type == type }.flatMap {
                SaltedKey.reveal(reply.value(of: $0), authenticator: authenticator, secret: gateway.secret)
            }
        }
    }
}

@Suite struct EAPLoginTests {
    @Test func gtcAsksForThePasswordThenForTheCode() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.eap = ["gtc"]
                $0.reply = [ReplySetting("Session-Timeout", "3600")]
            }
            let token = try await node.addUser()
            let device = try EAPDevice(node)
            #expect(try await device.identify()?.type == .genericTokenCard)
            let question = try await device.type(TestNode.password)
            #expect(question.code == .accessChallenge)
            #expect(EAPDevice.eap(question)?.data == Array("Enter your code:".utf8))
            let code = try token.code()
            let last = try await device.type(code)
            #expect(last.code == .accessAccept)
            #expect(EAPDevice.eap(last)?.code == .success)
            #expect(last.integer(.sessionTimeout) == 3600)
            let accepted = try #require(try await node.logins("login-accepted").first)
            #expect(accepted.user == "alice")
            #expect(accepted.details.contains { $0.name == "protocol" && $0.value == "EAP-GTC" })
            // The code is used up, whatever brings it.
            let again = try EAPDevice(node)
            _ = try await again.identify()
            _ = try await again.type(TestNode.password)
            #expect(try await again.type(code).code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "code-already-used")
            #expect(node.node.radius.openConversations == 0)
            #expect(try await node.verifyTrail().findings.isEmpty)
        }
    }

    @Test func gtcTakesPasswordAndCodeInOneField() async throws {
        try await withNode { node in
            try await node.addClient { $0.profile = "strongswan" }
            let token = try await node.addUser()
            let device = try EAPDevice(node)
            _ = try await device.identify()
            // The profile reads six digits at the end as a code.
            let last = try await device.type(TestNode.password + (try token.code()))
            #expect(last.code == .accessAccept)
            let wrong = try EAPDevice(node)
            _ = try await wrong.identify()
            #expect(EAPDevice.eap(try await wrong.type("wrong password,123456"))?.code == .failure)
        }
    }

    /// RFC 2759 §7 inside of one conversation, as Windows asks its user.
    @Test func expiredPasswordIsChangedInTheConversation() async throws {
        try await withNode { node in
            try await node.perform(KeepPasswords(part: "nt-hash"))
            try await node.addClient {
                $0.requirement = "password"
                $0.eap = ["mschapv2"]
            }
            try await node.addUser()
            try await node.setUser("alice") { $0.expiresPassword = true }
            // A wrong password hears nothing of that.
            let stranger = try EAPDevice(node)
            _ = try await stranger.identify()
            #expect(try await stranger.refusedMSCHAPv2("wrong password")?.code == .authenticationFailure)

            for (new, code) in [("short", 4), ("a better password", 3)] as [(String, UInt8)] {
                let device = try EAPDevice(node)
                _ = try await device.identify()
                let error = try #require(try await device.refusedMSCHAPv2(TestNode.password))
                #expect(error.code == .passwordExpired && error.challenge.count == 16)
                #expect(try await node.lastReason(of: "alice") == "password-must-be-changed")
                let (packet, isProved) = try await device.changePassword(error.challenge, from: TestNode.password, to: new)
                #expect(packet?.code == .request && packet?.data.first == code && isProved == (code == 3))
                let last = try await device.ask(device.response([code]))
                #expect(last.code == (code == 3 ? .accessAccept : .accessReject))
                #expect(try device.keys(last).count == (code == 3 ? 2 : 0))
            }
            #expect(try await node.logins("user-changed").contains { $0.actor == "user@vpn" && $0.text.contains("password set") })
            let old = try EAPDevice(node)
            _ = try await old.identify()
            #expect(try await old.refusedMSCHAPv2(TestNode.password)?.code == .authenticationFailure)
            let new = try EAPDevice(node)
            _ = try await new.identify()
            #expect(try await new.msCHAPv2("a better password").reply.code == .accessAccept)
        }
    }

    @Test func theCodeIsThePasswordOfMSCHAPv2() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = ["mschapv2", "gtc"]
            }
            let token = try await node.addUser()
            let device = try EAPDevice(node)
            #expect(try await device.identify()?.type == .msCHAPv2)
            let code = try token.code()
            let (reply, proof, response, hash) = try await device.msCHAPv2(code)
            #expect(reply.code == .accessAccept)
            #expect(proof == response.success(hash))
            let expected = MPPEKeys(response, hash)
            #expect(try device.keys(reply) == [expected.receive, expected.send])
            let again = try EAPDevice(node)
            _ = try await again.identify()
            let refused = try await again.msCHAPv2(code)
            #expect(refused.reply.code == .accessReject)
            #expect(refused.proof.hasPrefix("E=691 R=0 C="))
            #expect(refused.proof.hasSuffix("M=Login refused."))
            #expect(try await node.lastReason(of: "alice") == "code-already-used")
        }
    }

    @Test func keysMadeOfACodeStayHereWhereNoTunnelIsAskedAbout() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = ["mschapv2"]
            }
            let token = try await node.addUser()
            let device = try EAPDevice(node)
            // Wireless.
            device.portType = 19
            _ = try await device.identify()
            let reply = try await device.msCHAPv2(try token.code()).reply
            #expect(reply.code == .accessAccept)
            #expect(try device.keys(reply).isEmpty)
        }
    }

    @Test func aSecondFactorThatCannotBeAskedForIsNamed() async throws {
        try await withNode { node in
            try await node.perform(KeepPasswords(part: "nt-hash"))
            try await node.addClient { $0.eap = ["mschapv2", "gtc"] }
            _ = try await node.addUser()
            let device = try EAPDevice(node)
            _ = try await device.identify()
            #expect(try await device.msCHAPv2(TestNode.password).reply.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "cannot-ask")
            // The same device, if it can: GTC.
            let other = try EAPDevice(node)
            _ = try await other.identify()
            let offered = try await other.ask(other.response([6], type: .nak))
            #expect(EAPDevice.eap(offered)?.type == .genericTokenCard)
        }
    }

    @Test func passwordAloneByMSCHAPv2MakesKeys() async throws {
        try await withNode { node in
            try await node.perform(KeepPasswords(part: "nt-hash"))
            try await node.addClient {
                $0.requirement = "password"
                $0.eap = ["mschapv2"]
            }
            _ = try await node.addUser()
            let device = try EAPDevice(node)
            device.portType = 19
            _ = try await device.identify()
            let (reply, _, response, hash) = try await device.msCHAPv2(TestNode.password)
            #expect(reply.code == .accessAccept)
            let expected = MPPEKeys(response, hash)
            #expect(try device.keys(reply) == [expected.receive, expected.send])
        }
    }

    @Test func lostStateIsRefusedAndExplained() async throws {
        try await withNode { node in
            try await node.addClient { $0.eap = ["gtc"] }
            _ = try await node.addUser()
            let device = try EAPDevice(node)
            _ = try await device.identify()
            try await node.addClient("other", ["127.0.0.2"]) { $0.eap = ["gtc"] }
            // Of another gateway.
            let thief = try GatewayClient(node, from: "127.0.0.2")
            let stolen = try thief.request("alice", nil, state: device.state) { writer in
                writer.addSplit(.eapMessage, device.response(Array(TestNode.password.utf8)))
            }
            let refused = try #require(try await thief.exchange(stolen))
            #expect(refused.code == .accessReject && EAPDevice.eap(refused)?.code == .failure)
            #expect(try await node.lastReason(of: "alice") == "eap-failed")
            let login = try #require(try await node.logins("login-rejected", count: 1).first?.login)
            #expect(try await node.story(login).contains("State that nobody knows"))
        }
    }

    @Test func retransmissionsHearTheSameAnswerInEveryRound() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = ["gtc"]
            }
            let token = try await node.addUser()
            let device = try EAPDevice(node)
            let begin = try device.request(EAPPacket(.response, identifier: 1, type: .identity, data: Array("alice".utf8)).bytes)
            let first = try await device.gateway.exchange(begin)
            #expect(try await device.gateway.exchange(begin) == first)
            _ = try await device.identify()
            let end = try device.request(device.response(Array(try token.code().utf8)))
            let last = try await device.gateway.exchange(end)
            #expect(last?.code == .accessAccept)
            #expect(try await device.gateway.exchange(end) == last)
            #expect(try await node.logins("login-accepted").count == 1)
        }
    }

    @Test func methodsAreChosenForEachClient() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "factor" }
            _ = try await node.addUser()
            let off = try EAPDevice(node)
            #expect(try await off.identify()?.code == .failure)
            #expect(try await node.lastReason(of: "alice") == "protocol-not-supported")
            try await node.setClient { $0.eap = ["md5"] }
            #expect(try await EAPDevice(node).identify()?.type == .md5Challenge)
            #expect(try await node.perform(ShowClient(name: "vpn")).warnings.contains { $0.contains("EAP-MD5") })
            try await node.setClient { $0.eap = [] }
            #expect(try await node.perform(ShowClient(name: "vpn")).eap.isEmpty)
            await #expect(throws: Refusal.self) { try await node.setClient { $0.eap = ["leap"] } }
            // By CHAP nothing that is kept could be checked.
            await #expect(throws: Refusal.self) {
                try await node.setClient {
                    $0.requirement = "password+factor"
                    $0.eap = ["md5"]
                }
            }
        }
    }
}
