// SPDX-License-Identifier: Apache-2.0
// Reply attributes on a whole node, as a gateway reads them: on every way to an accept, and after a restart.

import Administration
import Foundation
import LoginEngine
import RADIUS
import Store
import Testing

@testable import sallyport

@Suite struct ReplyAttributeTests {
    private func settings(_ pairs: (String, String)...) -> [ReplySetting] { pairs.map { ReplySetting($0.0, $0.1) } }

    /// What a reply carries besides its signature, as text.
    private func carried(_ packet: Packet?) -> [String] {
        let dictionary = AttributeDictionary.builtIn
        guard let packet else { return [] }
        return dictionary.decode(packet).filter { $0.oid != AttributeOID(.messageAuthenticator) }.map {
            "\(dictionary.name(of: $0.oid))\($0.tag.map { ":\($0)" } ?? "") = \(dictionary.text(of: $0))"
        }
    }

    @Test func theyReachTheAcceptAtOnceBehindAChallengeAndInItsRetries() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.profile = "cisco-asa"
                $0.reply = settings(("Session-Timeout", "28800"), ("Class", "{user.name}"), ("Framed-IP-Netmask", "255.255.255.0"))
            }
            let token = try await node.addUser()
            try await node.perform(
                AddGroup(name: "staff", users: ["alice"], reply: settings(("group", "vpn-{group}"), ("Idle-Timeout", "600"))))
            let expected = [
                "Idle-Timeout = 600", "ASA-Group-Policy = vpn-staff", "Session-Timeout = 28800", "Class = 0x616c696365",
                "Framed-IP-Netmask = 255.255.255.0",
            ].sorted()
            let gateway = try GatewayClient(node)
            let question = try #require(try await gateway.login("alice", TestNode.password))
            #expect(question.code == .accessChallenge)
            let bytes = try gateway.request("alice", token.code(), state: question.octets(.state))
            let answer = try #require(try await gateway.exchange(bytes))
            #expect(answer.code == .accessAccept)
            #expect(carried(answer).sorted() == expected)
            // The same bytes again: from the cache. After a restart: from the recorded decision.
            #expect(carried(try await gateway.exchange(bytes)).sorted() == expected)
            let event = try #require(try await node.logins("login-accepted").first)
            #expect(event.details.contains { $0.name == "reply" && $0.value.contains("ASA-Group-Policy") })
        }
    }

    @Test func aRetryAfterARestartCarriesWhatTheDecisionDid() async throws {
        let first = try await TestNode.start()
        try await first.addClient { $0.reply = settings(("Filter-Id", "before")) }
        let token = try await first.addUser()
        let gateway = try GatewayClient(first)
        let question = try #require(try await gateway.login("alice", TestNode.password))
        let bytes = try gateway.request("alice", token.code(), state: question.octets(.state))
        let decided = ContinuousClock.now
        #expect(carried(try await gateway.exchange(bytes)) == ["Filter-Id = before"])
        try await first.setClient { $0.reply = settings(("Filter-Id", "after")) }
        let second = try await first.restarted()
        let again = try await GatewayClient(second).exchange(bytes)
        // A decision is given again for ten seconds; a machine that is busy may need longer than that to start a node.
        if ContinuousClock.now - decided < .seconds(9) {
            #expect(carried(again) == ["Filter-Id = before"])
        } else {
            #expect(again?.code == .accessAccept ? carried(again) == ["Filter-Id = before"] : again?.code == .accessReject)
        }
        await second.stop()
    }

    @Test func aPolicyStandsInForTheClientAndAnAppendedCodeIsAnsweredAlike() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.asking = "append"
                $0.profile = "fortigate"
                $0.reply = settings(("group", "everybody"), ("Tunnel-Type:1", "VLAN"), ("Tunnel-Medium-Type:1", "IEEE-802"))
            }
            let token = try await node.addUser()
            var choices = PolicyChoices()
            choices.require = "password+factor"
            choices.reply = settings(("group", "admins"), ("Tunnel-Private-Group-Id:1", "120"))
            try await node.perform(AddPolicy(name: "admins", choices: choices))
            let answer = try await GatewayClient(node).login("alice", append(token.code()))
            #expect(
                carried(answer).sorted() == [
                    "Fortinet-Group-Name = admins", "Tunnel-Medium-Type:1 = IEEE-802", "Tunnel-Private-Group-Id:1 = 120",
                    "Tunnel-Type:1 = VLAN",
                ])
            let preview = try await node.perform(PreviewReply(client: "vpn", user: "alice"))
            #expect(preview.policy == "admins@1" && preview.attributes.allSatisfy { $0.problem == nil })
            #expect(
                preview.attributes.map { "\($0.name) = \($0.value ?? "") (\($0.origin))" } == [
                    "Fortinet-Group-Name = admins (policy admins)", "Tunnel-Private-Group-Id:1 = 120 (policy admins)",
                    "Tunnel-Type:1 = VLAN (client)", "Tunnel-Medium-Type:1 = IEEE-802 (client)",
                ])
            // What the preview says is what was sent.
            let sent = try #require(answer).attributes.filter { $0.type != .messageAuthenticator }.map { attribute in
                [attribute.type.rawValue, UInt8(attribute.range.count + 2)] + answer.map { Array($0.value(of: attribute)) }!
            }
            let digits = sent.map { $0.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
            #expect(preview.attributes.map(\.hexadecimal) == digits)
        }
    }

    @Test func nobodyIsLetInWhileAnAttributeCannotBeMade() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "password"; $0.reply = settings(("Filter-Id", "{group}"))
            }
            try await node.addUser()
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", TestNode.password)?.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "reply-attribute-unfit")
            let preview = try await node.perform(PreviewReply(client: "vpn", user: "alice"))
            #expect(preview.attributes.first?.problem == "nothing is known for {group}")
            try await node.perform(AddGroup(name: "staff", users: ["alice"]))
            #expect(carried(try await gateway.login("alice", TestNode.password)) == ["Filter-Id = staff"])
            var rename = SetGroup(group: "staff")
            rename.name = "crew"
            try await node.perform(rename)
            #expect(carried(try await gateway.login("alice", TestNode.password)) == ["Filter-Id = crew"])
        }
    }

    @Test func aDictionaryBesideTheDataBringsAttributesOfItsOwn() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/" + DictionaryFolder.name
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let text = "VENDOR Acme 64000 format=2,1\nBEGIN-VENDOR Acme\nATTRIBUTE Acme-Role 258 string\nEND-VENDOR Acme\n"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/dictionary.acme"))
        let node = try await TestNode.start(in: folder)
        try await node.addClient {
            $0.requirement = "password"; $0.reply = settings(("acme-role", "admin"))
        }
        try await node.addUser()
        let answer = try #require(try await GatewayClient(node).login("alice", TestNode.password))
        #expect(answer.octets(.vendorSpecific) == [0, 0, 0xFA, 0, 1, 2, 8] + Array("admin".utf8))
        // A mistake keeps the node from starting, and names its place.
        try Data("VENDOR Acme\n".utf8).write(to: URL(fileURLWithPath: path + "/dictionary.acme"))
        await node.stop()
        do {
            _ = try await TestNode.start(in: folder)
            Issue.record("it started")
        } catch let refusal as Refusal {
            #expect(refusal.kind == .configuration && refusal.place?.hasSuffix("dictionaries/dictionary.acme:1") == true)
            #expect(refusal.message.contains("VENDOR name number"))
        }
        // What cannot be read is not passed over: attributes would be missing from accepts.
        try FileManager.default.removeItem(atPath: path + "/dictionary.acme")
        try FileManager.default.createDirectory(atPath: path + "/dictionary.acme", withIntermediateDirectories: true)
        #expect(throws: Refusal.self) { try DictionaryFolder.read(in: folder.path) }
        try FileManager.default.removeItem(atPath: path)
        try Data("no folder".utf8).write(to: URL(fileURLWithPath: path))
        let refusal = #expect(throws: Refusal.self) { try DictionaryFolder.read(in: folder.path) }
        #expect(refusal?.place == path && refusal?.kind == .configuration)
        // Without the dictionary nobody is let in, and doctor says why.
        try FileManager.default.removeItem(atPath: path)
        let without = try await TestNode.start(in: folder)
        #expect(try await GatewayClient(without).login("alice", TestNode.password)?.code == .accessReject)
        let findings = try await without.perform(ExamineNode(seconds: 0)).findings.filter { $0.kind == .replyUnfit }
        #expect(findings.map(\.subject) == ["vpn"])
        #expect(findings.first?.text.contains("No attribute `Acme-Role`") == true)
        await without.stop()
    }
}
