// SPDX-License-Identifier: Apache-2.0
// Which client asks, what it must prove, and how soon a change of it is in force.

import Administration
import LoginEngine
import RADIUS
import RADIUSDoor
import Testing

@testable import Store
@testable import sallyport

@Suite struct ClientRuleTests {
    @Test func aGatewayMayCallOverIPv6() async throws {
        try await withNode { node in
            try await node.addClient("six", ["::1"]) { $0.asking = "append" }
            let token = try await node.addUser()
            let reply = try await GatewayClient(node.endpointIPv6).login("alice", append(try token.code()))
            #expect(reply?.code == .accessAccept)
            #expect(try await node.logins("login-accepted").first?.source == "::1")
        }
    }

    @Test func namesAndPasswordsComeInTheCharacterSetOfTheClient() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "password" }
            try await node.perform(AddUser(name: "Müller", password: SecretText("pässwörd € long")))
            let password: [UInt8] = [0x70, 0xE4] + Array("ssw".utf8) + [0xF6] + Array("rd ".utf8) + [0x80] + Array(" long".utf8)
            func ask(_ name: [UInt8], _ password: [UInt8]) async throws -> Code? {
                let gateway = try GatewayClient(node)
                let secret = RADIUS.SharedSecret(TestNode.secret)!
                var writer = PacketWriter(
                    request: .accessRequest, identifier: 1, authenticator: Authenticator(high: .random(in: 0...(.max)), low: 5))
                writer.add(.userName, name)
                writer.addPassword(password, secret: secret)
                return try await gateway.exchange(try writer.sign(with: secret))?.code
            }
            let latin1: [UInt8] = [0x6D, 0xFC] + Array("ller".utf8)
            let utf8 = (Array("müller".utf8), Array("pässwörd € long".utf8))
            #expect(try await ask(utf8.0, utf8.1) == .accessAccept)
            #expect(try await ask(latin1, password) == .accessReject)
            try await node.setClient { $0.charset = "auto" }
            #expect(try await ask(latin1, password) == .accessAccept)
            #expect(try await ask(utf8.0, utf8.1) == .accessAccept)
            try await node.setClient { $0.charset = "latin-1" }
            #expect(try await ask(latin1, password) == .accessAccept)
            #expect(try await ask(utf8.0, utf8.1) == .accessReject)
        }
    }

    @Test func theLongestAddressMatchDecides() async throws {
        try await withNode { node in
            try await node.addClient("wide", ["127.0.0.0/24"], secret: "the secret of the wide one") { $0.requirement = "password" }
            try await node.addClient("narrow", ["127.0.0.64/26"], secret: "the secret of the narrow") { $0.requirement = "password" }
            try await node.addClient("single", ["127.0.0.70"], secret: "the secret of the single") { $0.requirement = "password" }
            try await node.addUser()
            for (source, secret, client) in [
                ("127.0.0.5", "the secret of the wide one", "wide"), ("127.0.0.66", "the secret of the narrow", "narrow"),
                ("127.0.0.70", "the secret of the single", "single"),
            ] {
                let reply = try await GatewayClient(node, from: source, secret: secret).login("alice", TestNode.password)
                #expect(reply?.code == .accessAccept)
                #expect(try await node.logins("login-accepted").first?.client == client)
            }
        }
    }

    @Test func aStrangerGetsSilence() async throws {
        try await withNode { node in
            try await node.addClient("vpn", ["127.0.0.2"])
            let stranger = try GatewayClient(node, from: "127.0.0.9", patience: 200)
            #expect(try await stranger.login("alice", TestNode.password) == nil)
            #expect(node.node.radius.statistics.dropped[.unknownClient] == 1)
        }
    }

    @Test func aWrongSecretGetsSilence() async throws {
        try await withNode { node in
            try await node.addClient()
            let gateway = try GatewayClient(node, secret: "not the secret of this one", patience: 200)
            #expect(try await gateway.login("alice", TestNode.password) == nil)
            #expect(node.node.radius.statistics.dropped[.wrongMessageAuthenticator] == 1)
        }
    }

    /// Behind the back of the node, as damage comes.
    private func write(_ sql: String, _ node: TestNode) async throws {
        _ = try await node.node.store.records.change(Unit([Statement(SQL(composed: sql))])) { _ in [] }
    }

    @Test func aSecretThatDoesNotOpenCostsItsClientAlone() async throws {
        try await withNode { node in
            try await node.addClient("broken", ["127.0.0.5"]) { $0.requirement = "password" }
            try await node.addUser()
            try await write("UPDATE client SET secret = x'0102030405'", node)
            try await node.addClient("vpn", ["127.0.0.6"]) { $0.requirement = "password" }
            let gateway = try GatewayClient(node, from: "127.0.0.6")
            #expect(try await gateway.login("alice", TestNode.password)?.code == .accessAccept)
            #expect(try await GatewayClient(node, from: "127.0.0.5", patience: 200).login("alice", TestNode.password) == nil)
            let found = try await node.perform(ExamineNode()).findings.first { $0.kind == .secretDamaged }
            #expect(found?.subject == "broken" && found?.severity == .problem)
            try await node.setClient("broken") { $0.secret = SecretText(TestNode.secret) }
            #expect(try await GatewayClient(node, from: "127.0.0.5").login("alice", TestNode.password)?.code == .accessAccept)
        }
    }

    @Test func aChangeThatIsNotInForceIsNotReportedAsDone() async throws {
        try await withNode { node in
            try await node.addClient("vpn", ["127.0.0.6"]) { $0.requirement = "password" }
            try await node.addUser()
            try await write("ALTER TABLE policy RENAME TO policy_lost", node)
            await #expect {
                try await node.perform(AddGroup(name: "second"))
            } throws: { error in
                "\(error)".contains("The change is written, but not in force")
            }
            #expect(try await node.healthPage("/readyz").status == 503)
            #expect(try await node.metricsPage("/readyz").body.contains("not in force"))
            // What was in force before still is.
            #expect(try await GatewayClient(node, from: "127.0.0.6").login("alice", TestNode.password)?.code == .accessAccept)
            try await write("ALTER TABLE policy_lost RENAME TO policy", node)
            // A later reload brings both.
            try await node.perform(AddGroup(name: "third"))
            #expect(try node.node.store.records.groups().map(\.name) == ["second", "third"])
            #expect(try await node.healthPage("/readyz").status == 200)
        }
    }

    @Test func changesAreInForceWhenTheyReturn() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "password" }
            try await node.addUser()
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", TestNode.password)?.code == .accessAccept)

            try await node.setUser("alice") { $0.status = "disabled" }
            #expect(try await gateway.login("alice", TestNode.password)?.code == .accessReject)
            try await node.setUser("alice") { $0.status = "active" }
            #expect(try await gateway.login("alice", TestNode.password)?.code == .accessAccept)

            try await node.setUser("alice") { $0.password = SecretText("another long password") }
            #expect(try await gateway.login("alice", TestNode.password)?.code == .accessReject)
            #expect(try await gateway.login("alice", "another long password")?.code == .accessAccept)

            try await node.setClient { $0.requirement = "password+factor" }
            #expect(try await gateway.login("alice", "another long password")?.code == .accessChallenge)

            try await node.setClient { $0.secret = SecretText("a new secret for the vpn") }
            let other = try GatewayClient(node, secret: "a new secret for the vpn")
            #expect(try await other.login("alice", "another long password") != nil)

            try await node.setClient { $0.isEnabled = false }
            #expect(try await other.exchange(try other.request("alice", "x"), within: 200) == nil)
            #expect(node.node.radius.statistics.dropped[.clientDisabled] == 1)
            try await node.perform(RemoveClient(name: "vpn"))
            #expect(try await other.exchange(try other.request("alice", "x"), within: 200) == nil)
            #expect(node.node.radius.statistics.dropped[.unknownClient] == 1)
        }
    }

    @Test(arguments: [("require", false), ("auto", true), ("allow", true)])
    func messageAuthenticatorIsAskedForAsTheClientSays(rule: String, isAnswered: Bool) async throws {
        try await withNode { node in
            try await node.addClient {
                $0.messageAuthenticator = rule
                $0.requirement = "password"
            }
            try await node.addUser()
            let gateway = try GatewayClient(node)
            let bare = try gateway.request("alice", TestNode.password, signed: false)
            #expect(try await gateway.exchange(bare, within: isAnswered ? 15_000 : 200)?.code == (isAnswered ? .accessAccept : nil))
            #expect(try await gateway.login("alice", TestNode.password)?.code == .accessAccept)
        }
    }

    @Test(arguments: ["auto", "allow"])
    func proxyStateWithoutMessageAuthenticatorIsDropped(rule: String) async throws {
        try await withNode { node in
            try await node.addClient {
                $0.messageAuthenticator = rule
                $0.requirement = "password"
            }
            try await node.addUser()
            let gateway = try GatewayClient(node)
            let bytes = try gateway.request("alice", TestNode.password, signed: false) { $0.add(.proxyState, Array("forged".utf8)) }
            #expect(try await gateway.exchange(bytes, within: 200) == nil)
            #expect(node.node.radius.statistics.dropped[.proxyStateWithoutMessageAuthenticator] == 1)
            // Signed, it is answered.
            let signed = try await gateway.login("alice", TestNode.password) { $0.add(.proxyState, Array("honest".utf8)) }
            #expect(signed?.code == .accessAccept)
        }
    }

    @Test func proxyStatesComeBackInTheirOrder() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "password" }
            try await node.addUser()
            let sent = [[1, 2, 3], [255], [1, 2, 3], Array(repeating: 9, count: 253)] as [[UInt8]]
            let gateway = try GatewayClient(node)
            for field in [TestNode.password, "not her password"] {
                let reply = try #require(
                    try await gateway.login("alice", field) { writer in
                        for state in sent { writer.add(.proxyState, state) }
                    })
                #expect(reply.all(.proxyState) == sent)
            }
        }
    }

    @Test func statusServerIsAnsweredOnlyWhenSigned() async throws {
        try await withNode { node in
            try await node.addClient()
            let gateway = try GatewayClient(node)
            #expect(try await gateway.exchange(try gateway.statusServer())?.code == .accessAccept)
            #expect(try await gateway.exchange(try gateway.statusServer(signed: false), within: 200) == nil)
            #expect(try await node.logins().isEmpty)
        }
    }

    @Test func aPinSurvivesARestart() async throws {
        var node = try await TestNode.start()
        try await node.addClient("vpn", ["127.0.0.0/24"]) { $0.requirement = "password" }
        try await node.addUser()
        let client = try #require(try node.node.store.records.client(name: "vpn"))
        let source = try #require(NetworkAddress("127.0.0.7"))
        // What the door does after twenty signed requests over an hour.
        let now = NodeClock.now().wall
        try await node.node.store.records.addPin(
            client: client.id, address: source, at: now, event: Event(.clientPinned, at: now, client: client.id, source: source))
        node = try await node.restarted()
        let pinned = try GatewayClient(node, from: "127.0.0.7")
        let free = try GatewayClient(node, from: "127.0.0.8")
        let bare = try pinned.request("alice", TestNode.password, signed: false)
        #expect(try await pinned.exchange(bare, within: 200) == nil)
        #expect(node.node.radius.statistics.dropped[.pinnedWithoutMessageAuthenticator] == 1)
        #expect(try await free.login("alice", TestNode.password, signed: false)?.code == .accessAccept)
        #expect(try await node.perform(ShowClient(name: "vpn")).pins.map(\.address) == ["127.0.0.7"])
        // The command that undoes it is in force when it returns.
        try await node.perform(UnpinClient(name: "vpn", address: "127.0.0.7"))
        #expect(try await pinned.login("alice", TestNode.password, signed: false)?.code == .accessAccept)
        await node.stop()
    }

    @Test func malformedDatagramsAreCountedAndHarmNobody() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "password" }
            try await node.addUser()
            let gateway = try GatewayClient(node)
            let good = try gateway.request("alice", TestNode.password)
            var truncated = good
            truncated.removeLast(3)
            let broken = [[], [1], Array(good.prefix(19)), truncated, Array(repeating: 0xFF, count: 4500)] as [[UInt8]]
            for bytes in broken { gateway.send(bytes) }
            #expect(try await gateway.exchange(good)?.code == .accessAccept)
            let radius = node.node.radius
            #expect(try await eventually { radius.statistics.dropped.values.reduce(0, +) >= 4 })
        }
    }
}
