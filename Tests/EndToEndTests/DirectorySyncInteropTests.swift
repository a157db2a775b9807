// SPDX-License-Identifier: Apache-2.0
// Users and groups of a real OpenLDAP, taken over by a node: all, then what changed, and nothing of what could not be read.

import Administration
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import TestSupport
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("slapd", "ldapadd"), "slapd and ldap-utils are not installed"))
struct DirectorySyncInteropTests {
    private func add(_ slapd: Slapd, to node: TestNode) async throws {
        var choices = DirectoryChoices()
        choices.type = "ldap"
        choices.servers = [slapd.tls]
        choices.secret = SecretText(Slapd.readerPassword)
        choices.timeout = "2s"
        choices.syncEvery = "15m"
        var ldap = DirectoryChoices.LDAP()
        ldap.ca = slapd.authority.certificate
        ldap.base = Slapd.base
        ldap.account = Slapd.reader
        choices.ldap = ldap
        try await node.perform(AddDirectory(name: "corp", choices: choices))
    }

    @Test func everybodyIsTakenOverAndStaysAsTheDirectorySays() async throws {
        let slapd = try await Slapd.start()
        try await withNode { node in
            try await add(slapd, to: node)
            // More than one page, one of them beyond ASCII.
            let people = (0..<600).map { Slapd.person("u\($0)") }.joined()
            try await slapd.add(people + Slapd.person("jürgen").replacing("mail: jürgen@corp.example\n", with: ""))
            let dry = try await node.perform(SyncDirectory(name: "corp", isDryRun: true))
            #expect(dry.counts.added == 604 && dry.counts.passedOver == 1 && dry.counts.groupsAdded == 3)
            let answer = try await node.perform(SyncDirectory(name: "corp", limit: 100))
            #expect(answer.counts == dry.counts)
            #expect(answer.faults.count { $0.entry.hasPrefix("uid=twin") } == 2, "\(answer.faults)")
            #expect(answer.faults.count { $0.message.contains("hold each other") } == 2)
            #expect(try await node.perform(ShowGroup(name: "corp/Engineers")).users == ["alice"])
            #expect(try await node.perform(ShowGroup(name: "corp/VPN Users")).groups == ["corp/Engineers"])
            let alice = try await node.perform(ShowUser(name: "alice"))
            #expect(alice.email == "alice@corp.example" && alice.directory == "corp")
            #expect(alice.groups == ["corp/Circle", "corp/Engineers"])
            #expect(try await node.perform(ShowUser(name: "JÜRGEN")).name == "jürgen")
            // A policy by a synced group lets in by the directory's password.
            var policy = PolicyChoices()
            policy.groups = ["corp/VPN Users"]
            policy.require = "password"
            try await node.perform(AddPolicy(name: "vpn", choices: policy))
            try await node.addClient()
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", Slapd.password)?.code == .accessAccept)

            try await slapd.modify("dn: uid=bob,ou=people,\(Slapd.base)\nchangetype: modrdn\nnewrdn: uid=robert\ndeleteoldrdn: 1\n")
            try await slapd.modify("dn: cn=Circle,ou=groups,\(Slapd.base)\nchangetype: modrdn\nnewrdn: cn=Ring\ndeleteoldrdn: 1\n")
            try await slapd.modify("dn: uid=alice,ou=people,\(Slapd.base)\nchangetype: delete\n")
            let second = try await node.perform(SyncDirectory(name: "corp", limit: 100))
            #expect(second.counts.disabled == 1 && second.counts.changed == 1 && second.counts.groupsChanged == 1, "\(second)")
            #expect(try await node.perform(ShowUser(name: "robert")).aliases.isEmpty)
            #expect(try await node.perform(ShowUser(name: "alice")).status == "disabled")
            #expect(try await gateway.login("alice", Slapd.password)?.code == .accessReject)
            #expect(try await node.perform(ListGroups()).groups.map(\.name).contains("corp/Ring"))
            #expect(try await node.perform(SyncDirectory(name: "corp")).counts.isNothing)

            try await slapd.stop()
            await #expect(throws: Refusal.self) { try await node.perform(SyncDirectory(name: "corp", isConfirmed: true)) }
            #expect(try await node.perform(ShowUser(name: "robert")).status == "active")
            let findings = try await node.perform(ExamineNode(seconds: 0)).findings
            #expect(findings.contains { $0.kind == .directorySyncFailed })
        }
    }

    @Test func anAccountThatIsRefusedChangesNothing() async throws {
        let slapd = try await Slapd.start()
        try await withNode { node in
            try await add(slapd, to: node)
            try await node.perform(SyncDirectory(name: "corp"))
            try await node.perform(SetDirectory(directory: "corp", choices: wrongPassword))
            await #expect(throws: Refusal.self) { try await node.perform(SyncDirectory(name: "corp", isConfirmed: true)) }
            #expect(try await node.perform(ShowUser(name: "bob")).status == "active")
            let view = try await node.perform(ShowDirectory(name: "corp"))
            #expect(view.sync?.problem?.contains("refused") == true && view.sync?.failures == 1)
        }
        try await slapd.stop()
    }

    private var wrongPassword: DirectoryChoices {
        var choices = DirectoryChoices()
        choices.secret = SecretText("not the reader's")
        return choices
    }
}
