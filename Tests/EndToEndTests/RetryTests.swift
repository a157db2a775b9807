// SPDX-License-Identifier: Apache-2.0
// What tells a retransmission from a replay, on the wire and over a restart.

import Administration
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct RetryTests {
    @Test func theSamePacketWhileItIsDecidedIsOneLogin() async throws {
        try await withNode { node in
            try await node.addClient { $0.asking = "append" }
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            let held = try await node.holdHashing()
            let request = try gateway.request("alice", append(try token.code()))
            for _ in 0..<5 { gateway.send(request) }
            let radius = node.node.radius
            #expect(try await eventually { radius.statistics.duplicatesInProgress == 4 })
            held.release()
            let reply = try #require(try await gateway.reply(to: request))
            #expect(reply.code == .accessAccept)
            // One answer to five packets; one more packet gets the same bytes again.
            #expect(try await gateway.reply(to: request, within: 100) == nil)
            let again = try #require(try await gateway.exchange(request))
            #expect(again.bytes == reply.bytes)
            #expect(try await node.logins().count == 1)
        }
    }

    /// A decision is given again for ten seconds (`Login.retryLife`), and a machine that runs everything at once may need longer to
    /// start a node: then the attempt says nothing, and is made again.
    @Test func theSamePacketAfterARestartGetsTheRecordedAccept() async throws {
        for _ in 0..<8 {
            let began = ContinuousClock.now
            var node = try await TestNode.start()
            try await node.addClient { $0.asking = "append" }
            let token = try await node.addUser()
            let before = try GatewayClient(node)
            let field = append(try token.code())
            let request = try before.request("alice", field)
            let reply = try #require(try await before.exchange(request))
            #expect(reply.code == .accessAccept)
            node = try await node.restarted()
            let after = try GatewayClient(node)
            let again = try #require(try await after.exchange(request))
            guard ContinuousClock.now - began < .seconds(9) else {
                await node.stop()
                continue
            }
            #expect(again.code == .accessAccept)
            #expect(again.visible == reply.visible)
            // A packet of its own with the used code is a replay.
            #expect(try await after.login("alice", field)?.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "code-already-used")
            #expect(try await node.logins("login-accepted").count == 1)
            #expect(try await node.verifyTrail().isIntact)
            await node.stop()
            return
        }
        Issue.record("no restart within nine seconds")
    }

    @Test func aChallengeSurvivesARestart() async throws {
        var node = try await TestNode.start()
        try await node.addClient()
        let token = try await node.addUser()
        let state = try #require(try await GatewayClient(node).login("alice", TestNode.password)?.octets(.state))
        node = try await node.restarted()
        #expect(try await GatewayClient(node).login("alice", try token.code(), state: state)?.code == .accessAccept)
        await node.stop()
    }

    @Test func aNewPacketWithTheSameCodeIsAReplay() async throws {
        try await withNode { node in
            try await node.addClient("one", ["127.0.0.2"]) { $0.asking = "append" }
            try await node.addClient("two", ["127.0.0.3"]) { $0.asking = "append" }
            let token = try await node.addUser()
            let field = append(try token.code())
            let one = try GatewayClient(node, from: "127.0.0.2")
            #expect(try await one.login("alice", field)?.code == .accessAccept)
            #expect(try await one.login("alice", field)?.code == .accessReject)
            #expect(try await GatewayClient(node, from: "127.0.0.3").login("alice", field)?.code == .accessReject)
            #expect(try await node.logins("login-accepted").count == 1)
        }
    }

    @Test func aGatewayThatMayRejoinGetsTheAnswerForANewPacket() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.asking = "append"
                $0.rejoin = true
            }
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            let field = append(try token.code())
            func session(_ port: UInt32, _ writer: inout PacketWriter) {
                writer.addText(.callingStationID, "192.0.2.44")
                writer.addInteger(.nasPort, port)
                writer.addText(.acctSessionID, "4f00a1")
            }
            #expect(try await gateway.login("alice", field, { session(1, &$0) })?.code == .accessAccept)
            #expect(try await gateway.login("alice", field, { session(1, &$0) })?.code == .accessAccept)
            #expect(try await gateway.login("alice", field, { session(2, &$0) })?.code == .accessReject)
            #expect(try await node.logins("login-accepted").count == 1)
        }
    }

    @Test func theSameCodeAtOnceFromManyPacketsIsAcceptedOnce() async throws {
        try await withNode { node in
            try await node.addClient("vpn", ["127.0.0.0/24"]) { $0.requirement = "factor" }
            let token = try await node.addUser()
            let code = try token.code()
            let codes = try await withThrowingTaskGroup(of: Code?.self) { group in
                for number in 2..<12 {
                    let gateway = try GatewayClient(node, from: "127.0.0.\(number)")
                    group.addTask { try await gateway.login("alice", code)?.code }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(codes.filter { $0 == .accessAccept }.count == 1)
            #expect(codes.filter { $0 == .accessReject }.count == 9)
            #expect(try await node.logins("login-accepted").count == 1)
        }
    }
}
