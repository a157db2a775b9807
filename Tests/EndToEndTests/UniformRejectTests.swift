// SPDX-License-Identifier: Apache-2.0
// Every reject looks the same to the gateway; the trail and `trace` know them apart.

import Administration
import Glibc
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct UniformRejectTests {
    @Test func rejectsLookAlikeAndTheTrailTellsThemApart() async throws {
        try await withNode { node in
            try await node.addClient { $0.asking = "append" }
            let alice = try await node.addUser("alice")
            let bob = try await node.addUser("bob")
            let carol = try await node.addUser("carol")
            let gateway = try GatewayClient(node)
            let code = try alice.code()
            #expect(try await gateway.login("alice", append(code))?.code == .accessAccept)
            // Locks bob by ten different wrong passwords.
            for number in 0..<10 { _ = try await gateway.login("bob", append(try bob.code(), to: "wrong password \(number)")) }
            try await node.perform(disabling("carol"))

            let cases = [
                ("alice", append(code), "code-already-used"),
                ("alice", append(try alice.wrongCode()), "wrong-code"),
                ("alice", append(try alice.code(ahead: 1), to: "not her password"), "wrong-password"),
                ("alice", TestNode.password, "code-missing"),
                ("mallory", append("123456"), "unknown-user"),
                ("bob", append(try bob.code()), "password-locked"),
                ("carol", append(try carol.code()), "user-disabled"),
            ]
            var seen: [[[UInt8]]] = []
            for (user, field, reason) in cases {
                let reply = try #require(try await gateway.login(user, field) { $0.add(.proxyState, Array(user.utf8)) })
                #expect(reply.code == .accessReject)
                #expect(reply.all(.proxyState) == [Array(user.utf8)])
                #expect(try reply.text(.replyMessage) == "Login refused.")
                seen.append(reply.visible)
                let wanted = try await eventuallyTrail(of: node, user: user, reason: reason)
                #expect(wanted, "\(user): \(reason)")
            }
            #expect(Set(seen).count == 1)
            #expect(try await node.verifyTrail().isIntact)
        }
    }

    @Test func traceTellsWhatHappenedAndWhatToDo() async throws {
        try await withNode { node in
            try await node.addClient()
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            let question = try #require(try await gateway.login("alice", TestNode.password))
            let code = try token.code()
            _ = try await gateway.login("alice", code, state: question.octets(.state))
            let accepted = try #require(try await node.logins("login-accepted").first?.login)
            let story = try await node.perform(TraceLogin(login: String(accepted.prefix(10))))
            #expect(story.outcome == "accepted")
            #expect(story.user == "alice" && story.client == "vpn")
            #expect(story.lines.contains { $0.text.contains("password was right") })
            #expect(story.lines.contains { $0.text.contains("authenticator") })

            let second = try #require(try await gateway.login("alice", TestNode.password))
            _ = try await gateway.login("alice", code, state: second.octets(.state))
            let refused = try #require(try await node.logins("login-rejected", count: 1).first?.login)
            let refusal = try await node.perform(TraceLogin(login: refused))
            #expect(refusal.outcome == "refused" && refusal.reason == "code-already-used")
            #expect(refusal.lines.contains { $0.text.contains("used already") && $0.text.contains(accepted.prefix(8)) })
            #expect(!refusal.next.isEmpty)
        }
    }

    @Test func wrongCodesLockTheFactorAndTheHelpDeskUnlocksIt() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "factor" }
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            let right = try token.code()
            for number in 0..<5 {
                let wrong = String((Int(right)! + 1 + number) % 1_000_000 + 1_000_000).suffix(6)
                _ = try await gateway.login("alice", String(wrong))
            }
            #expect(try await gateway.login("alice", right)?.code == .accessReject)
            #expect(try await node.lastReason(of: "alice", count: 6) == "factor-locked")
            try await node.perform(UnlockUser(name: "alice"))
            #expect(try await gateway.login("alice", right)?.code == .accessAccept)
        }
    }

    @Test func aLockSurvivesARestart() async throws {
        var node = try await TestNode.start()
        try await node.addClient { $0.requirement = "factor" }
        let token = try await node.addUser()
        let first = try GatewayClient(node)
        let right = try token.code()
        for number in 0..<5 {
            let wrong = String((Int(right)! + 1 + number) % 1_000_000 + 1_000_000).suffix(6)
            _ = try await first.login("alice", String(wrong))
        }
        node = try await node.restarted()
        #expect(try await GatewayClient(node).login("alice", try token.code())?.code == .accessReject)
        #expect(try await node.lastReason(of: "alice", count: 6) == "factor-locked")
        await node.stop()
    }

    private func disabling(_ user: String) -> SetUser {
        var change = SetUser(user: user)
        change.status = "disabled"
        return change
    }

    private func eventuallyTrail(of node: TestNode, user: String, reason: String) async throws -> Bool {
        for _ in 0..<500 {
            let events = try await node.logins("login-rejected")
            if events.contains(where: { $0.user == user && $0.reason == reason }) { return true }
            _ = try await onThread { poll(nil, 0, 3) }
        }
        return false
    }
}
