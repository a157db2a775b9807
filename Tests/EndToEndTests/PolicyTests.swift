// SPDX-License-Identifier: Apache-2.0
// Policies on a whole node: in force when the command returns, also under load; on an older database nothing changes.

import Administration
import Foundation
import LoginEngine
import Places
import RADIUS
import RADIUSDoor
import Store
import TestSupport
import Testing

@testable import sallyport

@Suite struct PolicyTests {
    private func add(_ node: TestNode, _ name: String, _ require: String, _ change: (inout PolicyChoices) -> Void = { _ in }) async throws {
        var choices = PolicyChoices()
        choices.require = require
        change(&choices)
        try await node.perform(AddPolicy(name: name, choices: choices))
    }

    private func set(_ node: TestNode, _ name: String, _ require: String) async throws {
        var choices = PolicyChoices()
        choices.require = require
        try await node.perform(SetPolicy(policy: name, choices: choices))
    }

    @Test func theFirstMatchDecidesByGroupAndTag() async throws {
        try await withNode { node in
            try await node.addClient { $0.tags = ["vpn"] }
            try await node.addClient("other", ["127.0.0.2"])
            try await node.addUser("alice")
            try await node.addUser("bob")
            try await node.perform(AddGroup(name: "inner", users: ["bob"]))
            try await node.perform(AddGroup(name: "contractors", groups: ["inner"]))
            try await add(node, "contractors", "deny") { choices in
                choices.groups = ["contractors"]
                choices.clientTags = ["vpn"]
            }
            try await add(node, "easy", "password") { $0.clientTags = ["vpn"] }
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", TestNode.password)?.code == .accessAccept)
            #expect(try await gateway.login("bob", TestNode.password)?.code == .accessReject)
            #expect(try await node.lastReason(of: "bob") == "denied-by-policy")
            // Nested membership counts at once when it changes.
            var leave = SetGroup(group: "inner")
            leave.removeUsers = ["bob"]
            try await node.perform(leave)
            #expect(try await gateway.login("bob", TestNode.password)?.code == .accessAccept)
            // No policy names this client: its own rule.
            #expect(try await GatewayClient(node, from: "127.0.0.2").login("bob", TestNode.password)?.code == .accessChallenge)
            let accepted = try #require(try await node.logins("login-accepted").last)
            #expect(accepted.details.contains { $0.name == "policy" && $0.value == "easy@1" })
            #expect(try await node.story(try #require(accepted.login)).contains("where policy easy@1 asks for the password alone"))
        }
    }

    /// The file is one that an administrator replaces while the node runs.
    @Test func aLoginIsJudgedByNetworkCountryHoursAndUser() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/countries.mmdb"
        func write(_ networks: [(String, String)]) throws {
            try Data(CountryFile(networks: networks.map { (range: $0.0, country: $0.1) }).bytes()).write(to: URL(fileURLWithPath: path))
        }
        try write([("198.51.100.0/24", "DE"), ("2001:db8::/32", "DE"), ("192.0.2.0/24", "FR")])
        let node = try await TestNode.start(flags: ["policy.country-database": path])
        do {
            try await node.addClient()
            try await node.addUser("alice")
            try await node.addUser("bob")
            try await add(node, "inside", "password") { $0.networks = ["203.0.113.0/24", "2001:db8:1::/48"] }
            try await add(node, "abroad", "deny") { $0.otherCountries = ["DE"] }
            try await add(node, "bob", "password") { $0.users = ["bob"] }
            try await add(node, "always", "password+factor") { $0.hours = ["daily 00:00-24:00 user"] }
            try await add(node, "never", "deny")
            let gateway = try GatewayClient(node)
            func ask(_ name: String, from station: String?) async throws -> Code? {
                try await gateway.login(name, TestNode.password) { writer in
                    if let station { writer.addText(.callingStationID, station) }
                }?.code
            }
            #expect(try await ask("alice", from: "203.0.113.9") == .accessAccept)
            #expect(try await ask("alice", from: "[2001:db8:1::9]:4500") == .accessAccept)
            #expect(try await ask("bob", from: "198.51.100.1") == .accessAccept)
            // No time zone is kept, so nobody knows whether the hours have come.
            #expect(try await ask("alice", from: "198.51.100.1") == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "denied-by-policy")
            var set = SetUser(user: "alice")
            set.timeZone = "Europe/Berlin"
            try await node.perform(set)
            #expect(try await ask("alice", from: "198.51.100.1") == .accessChallenge)
            #expect(try await ask("alice", from: "2001:db8::1") == .accessChallenge)
            for station in ["192.0.2.1", "10.0.0.1", "00-10-A4-23-19-C0", nil] {
                #expect(try await ask("bob", from: station) == .accessReject, "\(station ?? "nowhere")")
            }
            let rejected = try #require(try await node.logins("login-rejected", count: 5).first)
            let story = try await node.story(try #require(rejected.login))
            #expect(story.contains("It is not known whether policy abroad@1 matches (country)"), "\(story)")

            try write([("192.0.2.0/24", "DE")])
            node.node.countries?.reload(isAsked: false)
            #expect(try await ask("bob", from: "192.0.2.1") == .accessAccept)
            #expect(try await ask("bob", from: "198.51.100.1") == .accessReject)
            #expect(try await node.perform(ExplainPolicy(user: "bob", client: "vpn", from: "192.0.2.1")).policy == "bob@1")
            let findings = try await node.perform(ExamineNode(seconds: 0)).findings
            #expect(!findings.contains { $0.kind == .countriesUnknown || $0.kind == .everybodyLockedOut })
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    @Test func aChangeIsInForceWhenTheCommandReturnsAlsoUnderLoad() async throws {
        try await withNode { node in
            try await node.addClient("vpn", ["127.0.0.0/24"])
            for number in 0..<4 { try await node.perform(AddUser(name: "user\(number)", password: SecretText(TestNode.password))) }
            try await add(node, "all", "password")
            let isOver = Flag()
            let load = Task {
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 0..<4 {
                        let gateway = try GatewayClient(node, from: "127.0.0.\(number + 10)")
                        group.addTask {
                            var count = 0
                            while !isOver.isRaised {
                                _ = try await gateway.login("user\(number)", TestNode.password)
                                count += 1
                            }
                            return count
                        }
                    }
                    return try await group.reduce(0, +)
                }
            }
            let gateway = try GatewayClient(node, from: "127.0.0.2")
            for _ in 0..<10 {
                try await set(node, "all", "deny")
                #expect(try await gateway.login("user0", TestNode.password)?.code == .accessReject)
                try await set(node, "all", "password")
                #expect(try await gateway.login("user0", TestNode.password)?.code == .accessAccept)
            }
            isOver.raise()
            #expect(try await load.value > 0)
            // Every decision names the revision that it was made under, and that one said what was decided.
            let events = try await node.logins("login")
            for event in events where event.kind == "login-accepted" || event.kind == "login-rejected" {
                let label = try #require(event.details.first { $0.name == "policy" }?.value)
                let revision = try #require(label.split(separator: "@").last.flatMap { Int($0) })
                #expect((event.kind == "login-accepted") == !revision.isMultiple(of: 2), "\(label)")
            }
            #expect(try await node.verifyTrail().isIntact)
        }
    }

    @Test func unenrolledUsersHaveGraceAndPoliciesOutliveARestart() async throws {
        var node = try await TestNode.start()
        do {
            try await node.addClient()
            try await node.perform(AddUser(name: "carol", password: SecretText(TestNode.password)))
            try await add(node, "staff", "password+factor")
            #expect(try await GatewayClient(node).login("carol", TestNode.password)?.code == .accessReject)
            var choices = PolicyChoices()
            choices.graceDays = 2
            try await node.perform(SetPolicy(policy: "staff", choices: choices))
            #expect(try await GatewayClient(node).login("carol", TestNode.password)?.code == .accessAccept)
            node = try await node.restarted()
            #expect(try await GatewayClient(node).login("carol", TestNode.password)?.code == .accessAccept)
            let ends = try await node.logins("login-accepted").compactMap { $0.details.first { $0.name == "grace-until" }?.value }
            #expect(ends.count == 2 && Set(ends).count == 1, "grace goes on, it does not begin anew")
            // Who had a factor is not new any more.
            let token = try await node.addFactor(AddFactor(user: "carol", kind: "totp"))
            let question = try #require(try await GatewayClient(node).login("carol", TestNode.password))
            #expect(question.code == .accessChallenge)
            let state = try #require(question.octets(.state))
            #expect(try await GatewayClient(node).login("carol", try token.code(), state: state)?.code == .accessAccept)
            try await node.perform(RemoveFactor(user: "carol", factor: "totp"))
            #expect(try await GatewayClient(node).login("carol", TestNode.password)?.code == .accessReject)
            #expect(try await node.verifyTrail().isIntact)
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    @Test func commandsWorkOnTheNodeAndOnTheData() async throws {
        let folder = try TemporaryFolder()
        let node = try await TestNode.start(in: folder)
        try await node.addClient { $0.tags = ["vpn"] }
        try await node.addUser("alice")
        func run(_ arguments: [String], input: String = "") async throws -> Finished {
            try await Program.sallyport.run(arguments + ["--data-dir", folder.path], input: input)
        }
        let added = try await run(["policy", "add", "staff", "--require", "password", "--client-tag", "vpn"])
        #expect(added.status == 0 && added.output.contains("Added policy staff."), "\(added.everything)")
        #expect(try await GatewayClient(node).login("alice", TestNode.password)?.code == .accessAccept)
        let explained = try await run(["policy", "explain", "alice", "--client", "vpn"])
        #expect(
            explained.output
                == "alice at vpn\n  1. staff matches, and decides: the password alone is enough.\n     It fits by client-tag (vpn has vpn).\nalice is let in with the password alone.\n"
        )
        #expect(try await run(["policy", "show", "stuff"]).status == 1)
        #expect(try await run(["policy", "set", "staff", "--require", "nothing"]).status == 64)
        #expect(try await run(["policy", "set", "staff", "--unenrolled", "inline"]).everything.contains("needs the portal"))

        let export = try await run(["export"])
        #expect(
            export.status == 0 && export.output.hasPrefix("version: 1\nclients:\n  vpn:\n") && !export.everything.contains(TestNode.secret))
        let same = try await run(["apply", "-f", "-", "--dry-run"], input: export.output)
        #expect(same.status == 0 && same.output.contains("No differences."), "\(same.everything)")
        let denying = export.output.replacing("require: password\n", with: "require: deny\n")
        let dry = try await run(["apply", "-f", "-", "--dry-run"], input: denying)
        #expect(dry.status == 0 && dry.output.contains("~ policy staff\n    require: password → deny"), "\(dry.everything)")
        #expect(try await GatewayClient(node).login("alice", TestNode.password)?.code == .accessAccept)
        #expect(try await run(["apply", "-f", "-"], input: denying).status == 0)
        #expect(try await GatewayClient(node).login("alice", TestNode.password)?.code == .accessReject)
        let wrong = try await run(["apply", "-f", "-"], input: "version: 1\npolices: []\n")
        #expect(wrong.status == 64 && wrong.errors.contains("standard input:2:1: The file has no key `polices`."), "\(wrong.everything)")
        await node.stop()

        let file = try folder.file("company.yaml", "version: 1\nclients:\n  new: { address: 10.9.8.7, secret: { env: NEW_SECRET } }\n")
        let missing = try await run(["apply", "-f", file])
        #expect(
            missing.status == 64 && missing.errors.contains("company.yaml:3:44: The environment variable NEW_SECRET is not set."),
            "\(missing.everything)")
        let offline = try await Program.sallyport.run(
            ["apply", "-f", file, "--json", "--data-dir", folder.path], environment: ["NEW_SECRET": "a secret of the new client"])
        #expect(offline.status == 0 && offline.output.contains("\"action\":\"add\""), "\(offline.everything)")
        #expect(!offline.everything.contains("a secret of the new client"))
        let list = try await run(["policy", "list"])
        #expect(list.output.contains("staff") && list.output.contains("everybody at clients tagged vpn"), "\(list.everything)")
    }
}
