// SPDX-License-Identifier: Apache-2.0
// The ways in which a gateway carries the code: behind the password, as an answer to a challenge, or alone.

import Administration
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct LoginModeTests {
    @Test func appendedCodeIsAccepted() async throws {
        try await withNode { node in
            try await node.addClient { $0.asking = "append" }
            let token = try await node.addUser()
            let reply = try #require(try await GatewayClient(node).login("alice", append(try token.code())))
            #expect(reply.code == .accessAccept)
            let events = try await node.logins("login-accepted")
            #expect(events.map(\.user) == ["alice"])
            #expect(events.first?.client == "vpn")
            #expect(events.first?.details.contains { $0.name == "factor" && $0.value == "totp" } == true)
        }
    }

    @Test func challengeAsksWithStateAndTakesTheCode() async throws {
        try await withNode { node in
            try await node.addClient()
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            let question = try #require(try await gateway.login("alice", TestNode.password))
            #expect(question.code == .accessChallenge)
            #expect(try question.text(.replyMessage) == "Enter your code:")
            #expect(question.integer(.prompt) == 1)
            #expect(question.all(.state).count == 1)
            let state = try #require(question.octets(.state))
            #expect(state.count <= 32)
            let answer = try #require(try await gateway.login("alice", try token.code(), state: state))
            #expect(answer.code == .accessAccept)
            // The State opens once.
            let again = try #require(try await gateway.login("alice", try token.code(ahead: 1), state: state))
            #expect(again.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "handle-already-used")
        }
    }

    @Test func stateOfOneUserIsNothingForAnother() async throws {
        try await withNode { node in
            try await node.addClient()
            try await node.addUser("alice")
            let other = try await node.addUser("bob")
            let gateway = try GatewayClient(node)
            let state = try #require(try await gateway.login("alice", TestNode.password)?.octets(.state))
            let stolen = try #require(try await gateway.login("bob", try other.code(), state: state))
            #expect(stolen.code == .accessReject)
            #expect(try await node.lastReason(of: "bob") == "handle-of-another-login")
        }
    }

    @Test func stateOfOneGatewayIsNothingForAnother() async throws {
        try await withNode { node in
            try await node.addClient("one", ["127.0.0.2"])
            try await node.addClient("two", ["127.0.0.3"])
            let token = try await node.addUser()
            let state = try #require(try await GatewayClient(node, from: "127.0.0.2").login("alice", TestNode.password)?.octets(.state))
            let reply = try #require(try await GatewayClient(node, from: "127.0.0.3").login("alice", try token.code(), state: state))
            #expect(reply.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "handle-of-another-login")
        }
    }

    @Test func codeAloneIsEnoughWhereTheClientSaysSo() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "factor" }
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", try token.code())?.code == .accessAccept)
            #expect(try await gateway.login("alice", append(try token.code(ahead: 1)))?.code == .accessReject)
            // Nothing typed: everybody is asked.
            let question = try #require(try await gateway.login("nobody", ""))
            #expect(question.code == .accessChallenge)
        }
    }

    @Test func passwordAloneIsEnoughWhereTheClientSaysSo() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "password" }
            try await node.addUser()
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", TestNode.password)?.code == .accessAccept)
            #expect(try await gateway.login("alice", "not her password")?.code == .accessReject)
        }
    }

    @Test func appendOrChallengeTakesBoth() async throws {
        try await withNode { node in
            try await node.addClient { $0.asking = "append+challenge" }
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", append(try token.code()))?.code == .accessAccept)
            let question = try #require(try await gateway.login("alice", TestNode.password))
            #expect(question.code == .accessChallenge)
            let answer = try await gateway.login("alice", try token.code(ahead: 1), state: question.octets(.state))
            #expect(answer?.code == .accessAccept)
        }
    }

    @Test func fixedLengthTailNeedsNoSeparator() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.asking = "append"
                $0.separator = "none"
                $0.fixedLengthTail = true
            }
            let token = try await node.addUser()
            let reply = try await GatewayClient(node).login("alice", TestNode.password + (try token.code()))
            #expect(reply?.code == .accessAccept)
        }
    }

    @Test func concealedFactorAsksEverybodyTheSame() async throws {
        try await withNode { node in
            try await node.addClient { $0.concealFactor = true }
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            let right = try #require(try await gateway.login("alice", TestNode.password))
            let wrong = try #require(try await gateway.login("alice", "not her password"))
            let nobody = try #require(try await gateway.login("nobody", TestNode.password))
            for question in [right, wrong, nobody] {
                #expect(question.code == .accessChallenge)
                #expect(question.octets(.state)?.count == right.octets(.state)?.count)
                #expect(question.visible(without: .state) == right.visible(without: .state))
            }
            let refusedAlice = try #require(try await gateway.login("alice", try token.code(), state: wrong.octets(.state)))
            let refusedNobody = try #require(try await gateway.login("nobody", try token.code(), state: nobody.octets(.state)))
            #expect(refusedAlice.code == .accessReject)
            #expect(refusedAlice.visible == refusedNobody.visible)
            let accepted = try await gateway.login("alice", try token.code(), state: right.octets(.state))
            #expect(accepted?.code == .accessAccept)
            #expect(try await node.lastReason(of: "alice") == "wrong-password")
            #expect(try await node.lastReason(of: "nobody") == "unknown-user")
        }
    }

    @Test func otherPasswordProtocolsAreRejectedWithTheReason() async throws {
        try await withNode { node in
            try await node.addClient()
            try await node.addUser()
            let gateway = try GatewayClient(node)
            let reply = try await gateway.login("alice", nil) { $0.add(.chapPassword, [UInt8](repeating: 7, count: 17)) }
            #expect(reply?.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "protocol-not-allowed")
            let login = try #require(try await node.logins("login-rejected").first?.login)
            #expect(try await node.story(login).contains("CHAP"))
        }
    }
}
