// SPDX-License-Identifier: Apache-2.0
// The number of sessions on the real node: accounting fills it and empties it.

import Administration
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import Testing

@testable import sallyport

@Suite struct SessionLimitTests {
    private struct Gateway {
        let logins: GatewayClient
        let accounting: GatewayClient

        init(_ node: TestNode) throws {
            logins = try GatewayClient(node)
            accounting = try GatewayClient(try #require(node.node.radius.boundAccounting.first))
        }

        func login(_ station: String, _ name: String = "alice") async throws -> Code? {
            let request = try logins.request(name, TestNode.password) { $0.addText(.callingStationID, station) }
            return try await logins.exchange(request)?.code
        }

        func report(_ kind: UInt32, _ session: String, _ station: String, identifier: UInt8, _ name: String = "alice") async throws {
            var writer = PacketWriter(
                request: .accountingRequest, identifier: identifier, authenticator: Authenticator(high: 0, low: 0),
                messageAuthenticator: true)
            writer.addInteger(.acctStatusType, kind)
            writer.addText(.acctSessionID, session)
            writer.addText(.userName, name)
            writer.addText(.nasIdentifier, "vpn1")
            writer.addText(.callingStationID, station)
            #expect(try await accounting.exchange(try writer.sign(with: accounting.secret))?.code == .accountingResponse)
        }
    }

    private func withGateway(_ body: (TestNode, Gateway) async throws -> Void) async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "password" }
            try await node.addUser()
            try await body(node, try Gateway(node))
        }
    }

    @Test func accountingFillsAndEmptiesTheNumber() async throws {
        try await withGateway { node, gateway in
            var one = SetUser(user: "alice")
            one.sessions = 1
            let done = try await node.perform(one)
            #expect(done.message.contains("sessions: any → 1") && done.warnings.contains { $0.contains("no session yet") }, "\(done)")
            #expect(try await gateway.login("198.51.100.7") == .accessAccept)
            // No Start has come yet.
            #expect(try await gateway.login("203.0.113.9") == .accessReject)
            try await gateway.report(1, "a", "198.51.100.7", identifier: 1)
            #expect(try await gateway.login("203.0.113.9") == .accessReject)
            #expect(try await gateway.login("198.51.100.7") == .accessAccept)
            #expect(try await node.lastReason(of: "alice", count: 2) == "too-many-sessions")
            let refused = try #require(try await node.logins("login-rejected").first)
            let story = try await node.story(try #require(refused.login))
            #expect(story.contains("1 are open or about to be, and the user may have 1"), "\(story)")
            #expect(story.contains("session list --open --user alice"))
            let view = try #require(try await node.perform(ShowUser(name: "alice")).sessions)
            #expect(view.open == 1 && view.own == 1 && view.most == 1 && view.by == "user")
            try await gateway.report(2, "a", "198.51.100.7", identifier: 2)
            // What the device that came back claimed is still on its way.
            #expect(try await gateway.login("203.0.113.9") == .accessReject)
            try await gateway.report(1, "b", "198.51.100.7", identifier: 3)
            try await gateway.report(2, "b", "198.51.100.7", identifier: 4)
            #expect(try await gateway.login("203.0.113.9") == .accessAccept)
        }
    }

    /// From eight places at the same moment, before any gateway has reported anything.
    @Test func ofManyLoginsAtOnceOneGetsIn() async throws {
        try await withGateway { node, _ in
            try await node.setUser("alice") { $0.sessions = 1 }
            let codes = try await withThrowingTaskGroup(of: Code?.self) { group in
                for place in 1...8 {
                    let gateway = try Gateway(node)
                    group.addTask { try await gateway.login("198.51.100.\(place)") }
                }
                var codes: [Code?] = []
                for try await code in group { codes.append(code) }
                return codes
            }
            #expect(codes.count { $0 == .accessAccept } == 1 && codes.count { $0 == .accessReject } == 7, "\(codes)")
        }
    }

    @Test func commandsSetAndShowTheNumber() async throws {
        try await withGateway { node, gateway in
            let folder = node.folder.path
            func command(_ arguments: String...) async throws -> Finished {
                try await Program.sallyport.run(arguments + ["--data-dir", folder])
            }
            try await gateway.report(1, "a", "198.51.100.7", identifier: 1)
            #expect(try await command("user", "set", "alice", "--sessions", "2").output.contains("sessions: any → 2"))
            let show = try await command("user", "show", "alice")
            #expect(show.output.contains("1 open, 2 at most (user)"), "\(show.everything)")
            #expect(try await command("user", "set", "alice", "--sessions", "0").status == 64)
            #expect(try await command("user", "set", "alice", "--sessions", "1001").status != 0)
            #expect(try await command("user", "set", "alice", "--sessions", "any").output.contains("sessions: 2 → any"))
            #expect(try await command("group", "add", "staff", "--user", "alice", "--sessions", "3").status == 0)
            #expect(try await command("group", "show", "staff").output.contains("3 at most, for each member"))
            #expect(try await command("policy", "add", "all", "--require", "password", "--sessions", "5").status == 0)
            #expect(try await command("policy", "show", "all").output.contains("5 at most"))
            let exported = try await command("export")
            #expect(
                exported.output.contains("    sessions: 3\n") && exported.output.contains("    sessions: 5\n"), "\(exported.everything)")
        }
    }

    @Test func groupsAndPoliciesSayHowManyToo() async throws {
        try await withGateway { node, gateway in
            try await node.addUser("bob")
            try await node.perform(AddGroup(name: "staff", users: ["alice"], sessions: 2))
            var choices = PolicyChoices()
            choices.require = "password"
            choices.sessions = 1
            let added = try await node.perform(AddPolicy(name: "all", choices: choices))
            #expect(added.policy.sessions == 1 && added.message.contains("1 session open at most"))
            for (position, station) in ["198.51.100.7", "198.51.100.8", "198.51.100.9"].enumerated() {
                let isFirst = position == 0
                #expect(try await gateway.login(station) == (position < 2 ? .accessAccept : .accessReject))
                #expect(try await gateway.login(station, "bob") == (isFirst ? .accessAccept : .accessReject))
                if position < 2 { try await gateway.report(1, "a\(position)", station, identifier: UInt8(10 + position)) }
                if isFirst { try await gateway.report(1, "b", station, identifier: 20, "bob") }
            }
            let explained = try await node.perform(ExplainPolicy(user: "alice", client: "vpn"))
            #expect(explained.outcome.last == "alice may have 2 sessions open at once, as the group staff says.")
            // The user's own number comes first; none of a group is any.
            try await node.setUser("bob") { $0.sessions = 2 }
            #expect(try await gateway.login("198.51.100.8", "bob") == .accessAccept)
            var set = SetGroup(group: "staff")
            set.sessions = 0
            try await node.perform(set)
            try await node.perform(RemovePolicy(name: "all"))
            #expect(try await gateway.login("198.51.100.9") == .accessAccept)
            #expect(try await node.perform(ShowGroup(name: "staff")).sessions == nil)
        }
    }

    /// The code of a refused login is not used up: it is right once there is room.
    @Test func aCodeThatFoundNoRoomIsStillGood() async throws {
        try await withGateway { node, gateway in
            try await node.setClient { $0.requirement = "factor" }
            let token = try await node.addUser("carol")
            try await node.setUser("carol") { $0.sessions = 1 }
            try await gateway.report(1, "a", "198.51.100.7", identifier: 1, "carol")
            let code = try token.code()
            func ask() async throws -> Code? {
                try await gateway.logins.exchange(
                    try gateway.logins.request("carol", code) { $0.addText(.callingStationID, "203.0.113.9") })?
                    .code
            }
            #expect(try await ask() == .accessReject)
            #expect(try await node.lastReason(of: "carol") == "too-many-sessions")
            try await gateway.report(2, "a", "198.51.100.7", identifier: 2, "carol")
            #expect(try await ask() == .accessAccept)
        }
    }

    @Test func doctorNamesClientsThatReportNone() async throws {
        try await withGateway { node, gateway in
            func findings() async throws -> [String?] {
                try await node.perform(ExamineNode(seconds: 0)).findings.filter { $0.kind == .sessionsUncounted }.map(\.subject)
            }
            #expect(try await findings() == [])
            try await node.setUser("alice") { $0.sessions = 1 }
            #expect(try await findings() == ["vpn"])
            try await gateway.report(1, "a", "198.51.100.7", identifier: 1)
            #expect(try await findings() == [])
        }
    }
}
