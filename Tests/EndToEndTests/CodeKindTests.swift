// SPDX-License-Identifier: Apache-2.0
// Every kind of code over the wire: TOTP of all sorts, HOTP with resynchronisation, recovery codes, learnt clocks.

import Administration
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct CodeKindTests {
    @Test(arguments: [("sha1", 8, 30), ("sha256", 6, 30), ("sha256", 7, 60), ("sha512", 8, 30)])
    func totpOfEverySortIsAccepted(algorithm: String, digits: Int, period: Int) async throws {
        try await withNode { node in
            try await node.addClient { $0.asking = "append" }
            let token = try await node.addUser(
                "alice", AddFactor(user: "alice", kind: "totp", algorithm: algorithm, digits: digits, period: period))
            let code = try token.code()
            #expect(code.count == digits)
            #expect(try await GatewayClient(node).login("alice", append(code))?.code == .accessAccept)
        }
    }

    @Test func hotpMovesOnAndNeverBack() async throws {
        try await withNode { node in
            try await node.addClient { $0.asking = "append" }
            let token = try await node.addUser("alice", AddFactor(user: "alice", kind: "hotp"))
            let gateway = try GatewayClient(node)
            for counter in [0, 1, 7] as [UInt64] {
                #expect(try await gateway.login("alice", append(try token.code(counter: counter)))?.code == .accessAccept)
            }
            for counter in [7, 6, 1] as [UInt64] {
                #expect(try await gateway.login("alice", append(try token.code(counter: counter)))?.code == .accessReject)
            }
        }
    }

    @Test func hotpFarAheadTakesTwoCodesInARow() async throws {
        try await withNode { node in
            try await node.addClient { $0.asking = "append" }
            let token = try await node.addUser("alice", AddFactor(user: "alice", kind: "hotp"))
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", append(try token.code(counter: 30)))?.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "code-beyond-window")
            // Not the next one: still refused.
            #expect(try await gateway.login("alice", append(try token.code(counter: 33)))?.code == .accessReject)
            // What waits for its successor is written behind the answer; a person is slower than this test.
            #expect(try await node.lastReason(of: "alice", count: 2) == "code-beyond-window")
            #expect(try await gateway.login("alice", append(try token.code(counter: 34)))?.code == .accessAccept)
            #expect(try await gateway.login("alice", append(try token.code(counter: 35)))?.code == .accessAccept)
        }
    }

    @Test func recoveryCodeOpensOnceBehindAPasswordOnly() async throws {
        try await withNode { node in
            try await node.addClient("vpn", ["127.0.0.1"]) { $0.asking = "append" }
            try await node.addClient("codes", ["127.0.0.2"]) { $0.requirement = "factor" }
            try await node.addUser()
            let codes = try await node.perform(AddRecoveryCodes(user: "alice")).codes.map(\.text)
            #expect(codes.count == 10)
            #expect(try await GatewayClient(node, from: "127.0.0.2").login("alice", codes[0])?.code == .accessReject)
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", append(codes[0]))?.code == .accessAccept)
            #expect(try await gateway.login("alice", append(codes[0]))?.code == .accessReject)
            #expect(try await gateway.login("alice", append(codes[1].uppercased()))?.code == .accessAccept)
            #expect(try await node.perform(ShowUser(name: "alice")).recoveryCodesLeft == 8)
        }
    }

    @Test func recoveryCodeAnswersAChallengeToo() async throws {
        try await withNode { node in
            try await node.addClient()
            try await node.addUser()
            let code = try #require(try await node.perform(AddRecoveryCodes(user: "alice")).codes.first).text
            let gateway = try GatewayClient(node)
            let state = try await gateway.login("alice", TestNode.password)?.octets(.state)
            #expect(try await gateway.login("alice", code, state: state)?.code == .accessAccept)
        }
    }

    @Test func aTokenWhoseClockRunsAwayIsFollowed() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "factor" }
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            // Two steps ahead is too far for a token of which nothing is known.
            #expect(try await gateway.login("alice", try token.code(ahead: 3))?.code == .accessReject)
            for ahead in 1...3 as ClosedRange<Int64> {
                #expect(try await gateway.login("alice", try token.code(ahead: ahead))?.code == .accessAccept, "\(ahead) ahead")
            }
        }
    }

    @Test func whatWasLearntOfAClockSurvivesFolding() async throws {
        var node = try await TestNode.start()
        try await node.addClient { $0.requirement = "factor" }
        let token = try await node.addUser()
        let gateway = try GatewayClient(node)
        // Made once: in the next step the same two steps ahead are another code.
        let (first, used, next) = (try token.code(ahead: 1), try token.code(ahead: 2), try token.code(ahead: 3))
        for code in [first, used] { #expect(try await gateway.login("alice", code)?.code == .accessAccept) }
        // Three days later the marks are folded into the factor's row; the guards still find the used step.
        let later = NodeClock.now().wall + .minutes(3 * 24 * 60)
        try await node.node.store.records.housekeeping(at: later)
        node = try await node.restarted()
        let after = try GatewayClient(node)
        #expect(try await after.login("alice", used)?.code == .accessReject)
        #expect(try await after.login("alice", next)?.code == .accessAccept)
        await node.stop()
    }

    @Test func aDisabledFactorIsNoFactor() async throws {
        try await withNode { node in
            try await node.addClient { $0.asking = "append" }
            let token = try await node.addUser()
            try await node.perform(SetFactor(user: "alice", factor: "totp", state: "disabled"))
            #expect(try await GatewayClient(node).login("alice", append(try token.code()))?.code == .accessReject)
            try await node.perform(SetFactor(user: "alice", factor: "totp", state: "active"))
            #expect(try await GatewayClient(node).login("alice", append(try token.code(ahead: 1)))?.code == .accessAccept)
        }
    }
}
