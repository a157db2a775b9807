// SPDX-License-Identifier: Apache-2.0
// Lost phones on the real node: a bypass and a temporary code through FreeRADIUS's client and the command line.

import Administration
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct GrantTests {
    private func withAlice(_ choose: (inout ClientChoices) -> Void = { _ in }, _ body: (TestNode, GatewayClient) async throws -> Void)
        async throws
    {
        try await withNode { node in
            try await node.addClient { choose(&$0) }
            try await node.addUser()
            try await body(node, try GatewayClient(node))
        }
    }

    private func ask(_ gateway: GatewayClient, _ field: String = TestNode.password, state: [UInt8]? = nil) async throws -> Packet? {
        try await gateway.login("alice", field, state: state)
    }

    @Test func aBypassOpensItsClientSoOftenAndTheTrailSaysWhy() async throws {
        try await withAlice { node, gateway in
            try await node.addClient("lab", ["192.0.2.7"])
            #expect(try await ask(gateway)?.code == .accessChallenge)
            try await node.perform(AddGrant(user: "alice", reason: "lost phone", clients: ["lab"]))
            #expect(try await ask(gateway)?.code == .accessChallenge, "at another client it opens nothing")
            let grant = try await node.perform(AddGrant(user: "alice", reason: "lost phone, ticket 4711", uses: 2, clients: ["vpn"]))
            for _ in 1...2 { #expect(try await ask(gateway)?.code == .accessAccept) }
            #expect(try await ask(gateway)?.code == .accessChallenge, "it is used up")
            #expect(try await ask(gateway, "wrong")?.code == .accessReject)
            let accepted = try await node.logins("login-accepted", count: 2)
            #expect(accepted.count == 2 && accepted.allSatisfy { $0.grantReason == "lost phone, ticket 4711" })
            #expect(accepted.first?.text == "accepted by grant \(grant.grant.id) bypass")
            let story = try await node.story(try #require(accepted.first?.login))
            #expect(story.contains("Grant \(grant.grant.id) stood in for the second factor (lost phone, ticket 4711)"), "\(story)")
            let shown = try await node.perform(ShowGrant(id: grant.grant.id))
            #expect(shown.state == "used up" && shown.used == 2 && shown.latestUses?.map(\.client) == ["vpn", "vpn"])
            #expect(shown.latestUses?.map(\.login) == accepted.compactMap(\.login))
            #expect(try await node.verifyTrail().findings.isEmpty)
        }
    }

    /// From eight gateways at the same moment.
    @Test func ofManyLoginsAtOnceSoManyGetInAsItAllows() async throws {
        try await withAlice { node, _ in
            try await node.perform(AddGrant(user: "alice", reason: "lost phone", uses: 3))
            let codes = try await withThrowingTaskGroup(of: Code?.self) { group in
                for _ in 1...8 {
                    let gateway = try GatewayClient(node)
                    group.addTask { try await ask(gateway)?.code }
                }
                var codes: [Code?] = []
                for try await code in group { codes.append(code) }
                return codes
            }
            #expect(codes.count { $0 == .accessAccept } == 3, "\(codes)")
            #expect(try await node.perform(ShowGrant(id: 1)).used == 3)
        }
    }

    @Test func aCodeThatIsRevokedWhileTheQuestionIsOpenOpensNothing() async throws {
        try await withAlice { node, gateway in
            let answer = try await node.perform(AddGrant(user: "alice", isCode: true, reason: "lost phone", uses: 2))
            let code = try #require(answer.code).text
            let state = try #require(try await ask(gateway)?.octets(.state))
            #expect(try await ask(gateway, code, state: state)?.code == .accessAccept)
            let open = try #require(try await ask(gateway)?.octets(.state))
            try await node.perform(RevokeGrant(id: answer.grant.id))
            #expect(try await ask(gateway, code, state: open)?.code == .accessReject)
            let refused = try #require(try await node.logins("login-rejected", count: 1).first?.login)
            let story = try await node.story(refused)
            #expect(story.contains("Grant 1, a temporary code, opened nothing: revoked."), "\(story)")
        }
    }

    /// What memory keeps of a user must not outlive what is given and taken.
    @Test func givingAndTakingCountAtOnce() async throws {
        try await withAlice { node, gateway in
            for round in 1...4 as ClosedRange<Int64> {
                #expect(try await ask(gateway)?.code == .accessChallenge)
                try await node.perform(AddGrant(user: "alice", reason: "round \(round)", uses: 0))
                #expect(try await ask(gateway)?.code == .accessAccept)
                try await node.perform(RevokeGrant(id: round))
            }
            #expect(try await ask(gateway)?.code == .accessChallenge)
        }
    }

    @Test func commandsGiveShowAndTake() async throws {
        try await withAlice({ $0.requirement = "factor" }) { node, gateway in
            let folder = node.folder.path
            func command(_ arguments: String...) async throws -> Finished {
                try await Program.sallyport.run(arguments + ["--data-dir", folder])
            }
            let added = try await command("grant", "add", "alice", "--code", "--reason", "lost phone", "--for", "2h", "--uses", "2")
            #expect(added.output.contains("a temporary code, grant 1: 2 times, within 120 minutes, at every client"), "\(added.everything)")
            let code = try #require(added.output.firstMatch(of: /\n  (\d{4}) (\d{4})\n/))
            #expect(try await ask(gateway, "\(code.1)\(code.2)")?.code == .accessAccept)
            let list = try await command("grant", "list")
            #expect(
                list.output.contains("1 of 2") && list.output.contains("lost phone") && list.output.contains("alice"), "\(list.everything)")
            let show = try await command("grant", "show", "1")
            #expect(show.output.contains("temporary code") && show.output.contains("Logins by it"), "\(show.everything)")
            #expect(try await command("user", "show", "alice").output.contains("Grants of the help desk"))
            #expect(try await command("grant", "revoke", "1").status == 0)
            #expect(try await ask(gateway, "\(code.1)\(code.2)")?.code == .accessReject)
            #expect(try await command("grant", "list").output.contains("No open grants."))
            #expect(try await command("grant", "list", "--all", "--json").output.contains("\"state\":\"revoked\""))
            #expect(try await command("grant", "add", "alice").status == 64, "a reason is asked for")
            #expect(try await command("grant", "add", "alice", "--reason", "lost", "--for", "9h").everything.contains("grants.longest"))
            #expect(try await command("grant", "add", "alice", "--reason", "lost", "--uses", "0").status == 64)
        }
    }
}

@Suite(.enabled(if: Foreign.isHere("radclient"), "radclient (freeradius-utils) is not installed"))
struct GrantInteropTests {
    private func radclient(_ node: TestNode, _ password: String, state: String? = nil) async throws -> String {
        let program = try #require(Program(installed: "radclient"), "radclient is required and not installed")
        var lines = ["User-Name = \"alice\"", "User-Password = \"\(password)\""]
        if let state { lines.append("State = \(state)") }
        lines.append("Message-Authenticator = 0x00")
        let end = try await program.run(
            ["-x", "-r", "1", "-t", "15", "\(node.endpoint)", "auth", TestNode.secret], input: lines.joined(separator: "\n") + "\n")
        return end.everything
    }

    @Test func radclientGetsInByABypassOnce() async throws {
        try await withNode { node in
            try await node.addClient()
            try await node.addUser()
            try await node.perform(AddGrant(user: "alice", reason: "lost phone"))
            #expect(try await radclient(node, "wrong").contains("Received Access-Reject"))
            #expect(try await radclient(node, TestNode.password).contains("Received Access-Accept"))
            #expect(try await radclient(node, TestNode.password).contains("Received Access-Challenge"))
        }
    }

    @Test func radclientAnswersWithATemporaryCodeAndAppendsIt() async throws {
        try await withNode { node in
            try await node.addClient { $0.asking = "append+challenge" }
            try await node.perform(AddUser(name: "alice", password: SecretText(TestNode.password)))
            let answer = try await node.perform(AddGrant(user: "alice", isCode: true, reason: "new here", uses: 2))
            let code = try #require(answer.code).text
            let question = try await radclient(node, TestNode.password)
            #expect(question.contains("Reply-Message = \"Enter your code:\""), "\(question)")
            let received = try #require(question.range(of: "Received Access-Challenge"))
            let state = try #require(question[received.upperBound...].firstMatch(of: /State = (0x[0-9a-f]+)/)).1
            let accepted = try await radclient(node, code, state: String(state))
            #expect(accepted.contains("Received Access-Accept"), "\(accepted)")
            #expect(try await radclient(node, append(code)).contains("Received Access-Accept"))
            #expect(try await radclient(node, append(code)).contains("Received Access-Reject"), "it is used up")
        }
    }

    @Test func radclientIsRefusedBehindTheEnd() async throws {
        try await withNode { node in
            try await node.addClient()
            try await node.addUser()
            // Given an hour and a bit ago, by the clock of the records.
            let user = try #require(try node.node.store.records.user(key: "alice"))
            let issued = NodeClock.now().wall - .minutes(61)
            let old = NewGrant(
                user: user.id, kind: .bypass, reason: "lost phone", issuer: "test", issued: issued, until: issued + .minutes(60), uses: nil)
            _ = try await node.node.store.records.addGrant(old, event: Event(.grantIssued, at: issued))
            let answer = try await radclient(node, TestNode.password)
            #expect(answer.contains("Received Access-Challenge"), "\(answer)")
        }
    }
}
