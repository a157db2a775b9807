// SPDX-License-Identifier: Apache-2.0
// Users whose passwords and groups live in an OpenLDAP: a node asks it, and asks for the second factor itself.

import Administration
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import TestSupport
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("slapd", "ldapadd"), "slapd and ldap-utils are not installed"))
struct LDAPInteropTests {
    private func withSlapd(_ body: (TestNode, Slapd) async throws -> Void) async throws {
        let slapd = try await Slapd.start()
        do {
            try await withNode { node in try await body(node, slapd) }
        } catch {
            try await slapd.stop()
            throw error
        }
        try await slapd.stop()
    }

    private func choices(_ servers: [String], _ slapd: Slapd, _ change: (inout DirectoryChoices.LDAP) -> Void = { _ in })
        -> DirectoryChoices
    {
        var choices = DirectoryChoices()
        choices.type = "ldap"
        choices.servers = servers
        choices.secret = SecretText(Slapd.readerPassword)
        choices.timeout = "2s"
        var ldap = DirectoryChoices.LDAP()
        ldap.ca = slapd.authority.certificate
        ldap.base = Slapd.base
        ldap.account = Slapd.reader
        change(&ldap)
        choices.ldap = ldap
        return choices
    }

    private func addDirectory(
        _ node: TestNode, _ slapd: Slapd, _ servers: [String]? = nil, _ change: (inout DirectoryChoices.LDAP) -> Void = { _ in }
    ) async throws {
        try await node.perform(AddDirectory(name: "corp", choices: choices(servers ?? [slapd.tls], slapd, change)))
    }

    @Test func thePasswordIsJudgedThereAndTheCodeHere() async throws {
        try await withSlapd { node, slapd in
            try await addDirectory(node, slapd)
            try await node.addClient()
            try await node.perform(AddUser(name: "alice", directory: "corp"))
            let token = try await node.addFactor(AddFactor(user: "alice", kind: "totp"))
            let radclient = try Radclient(node)
            let question = try await radclient.ask(["User-Name": "alice", "User-Password": Slapd.password])
            #expect(question.output.contains("Received Access-Challenge"), "\(question.everything)")
            let received = try #require(question.output.range(of: "Received Access-Challenge"))
            let state = try #require(question.output[received.upperBound...].firstMatch(of: /State = (0x[0-9a-f]+)/)).1
            let answer = try await radclient.ask(["User-Name": "alice", "User-Password": token.code(), "State": String(state)])
            #expect(answer.output.contains("Received Access-Accept"), "\(answer.everything)")
            let gateway = try GatewayClient(node)
            for wrong in ["wrong one", "", "*"] {
                #expect(try await gateway.login("alice", wrong)?.code == .accessReject)
            }
            #expect(try await node.lastReason(of: "alice") == "wrong-password")
            #expect(try await node.perform(ListDirectories()).directories.first?.servers.first?.isUp == true)
        }
    }

    @Test func whoeverIsRightThereBecomesAUserAtTheFirstLogin() async throws {
        try await withSlapd { node, slapd in
            try await addDirectory(node, slapd) { $0.domains = ["corp.example", "CORP"] }
            try await node.perform(AddGroup(name: "corp/VPN Users"))
            try await node.addClient { $0.directory = "corp" }
            var policy = PolicyChoices()
            policy.groups = ["corp/VPN Users"]
            policy.require = "password"
            try await node.perform(AddPolicy(name: "vpn", choices: policy))
            var rest = PolicyChoices()
            rest.require = "deny"
            try await node.perform(AddPolicy(name: "rest", choices: rest))
            let gateway = try GatewayClient(node)
            // Through two groups in groups, one of them in a circle.
            #expect(try await gateway.login("CORP\\alice", Slapd.password)?.code == .accessAccept)
            let alice = try await node.perform(ShowUser(name: "alice"))
            #expect(alice.groups == ["corp/VPN Users"] && alice.directory == "corp" && alice.email == "alice@corp.example")
            #expect(alice.phone == "+491711234567" && alice.aliases.map { $0.lowercased() }.contains("corp\\alice"))
            #expect(try await gateway.login("alice@corp.example", Slapd.password)?.code == .accessAccept)
            #expect(try await gateway.login("alice", Slapd.password)?.code == .accessAccept)
            // Right, and in no group that lets in.
            #expect(try await gateway.login("bob", Slapd.password)?.code == .accessReject)
            #expect(try await node.lastReason(of: "bob") == "denied-by-policy")
            #expect(try await gateway.login("bob", "wrong one")?.code == .accessReject)
            for name in ["nobody", "*)(uid=*", "al*", "alice)(objectClass=*", "alice,ou=people", "alice@evil.example"] {
                #expect(try await gateway.login(name, Slapd.password)?.code == .accessReject, "\(name)")
            }
            #expect(try await node.perform(ListUsers()).users.map(\.name).sorted() == ["alice", "bob"])
            // Out of the group there, out of the policy here.
            try await slapd.modify(
                "dn: cn=Engineers,ou=groups,\(Slapd.base)\nchangetype: modify\ndelete: member\nmember: uid=alice,ou=people,\(Slapd.base)\n")
            try await onThread { _ = poll(nil, 0, 3_050) }
            #expect(try await gateway.login("alice", Slapd.password)?.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "denied-by-policy")
            #expect(try await node.perform(ShowUser(name: "alice")).groups.isEmpty)
        }
    }

    @Test func aRenamedEntryStaysTheSameUserAndANewOneOfItsNameDoesNot() async throws {
        try await withSlapd { node, slapd in
            try await addDirectory(node, slapd)
            try await node.addClient {
                $0.directory = "corp"
                $0.requirement = "password"
            }
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("bob", Slapd.password)?.code == .accessAccept)
            try await slapd.modify("dn: uid=bob,ou=people,\(Slapd.base)\nchangetype: modrdn\nnewrdn: uid=robert\ndeleteoldrdn: 1\n")
            #expect(try await gateway.login("robert", Slapd.password)?.code == .accessAccept)
            #expect(try await node.perform(ListUsers()).users.map(\.name) == ["bob"])
            #expect(try await node.perform(ShowUser(name: "robert")).name == "bob")
            try await slapd.add(Slapd.person("bob"))
            try await onThread { _ = poll(nil, 0, 3_050) }
            #expect(try await gateway.login("bob", Slapd.password)?.code == .accessReject)
            #expect(try await node.lastReason(of: "bob") == "directory-entry-changed")
            // A user who was here before, with a password of this server's own, is nobody's to take.
            try await node.perform(AddUser(name: "alice", password: SecretText(TestNode.password)))
            try await node.perform(AddDirectory(name: "other", choices: choices([slapd.startTLS], slapd)))
            try await node.setClient { $0.directory = "other" }
            try await node.setUser("alice") { $0.directory = "local" }
            #expect(try await gateway.login("alice", Slapd.password)?.code == .accessReject)
        }
    }

    @Test func whatTheDirectorySaysOfAnAccountIsTold() async throws {
        try await withSlapd { node, slapd in
            try await addDirectory(node, slapd)
            try await node.addClient { $0.requirement = "password" }
            for name in ["carol", "dan", "twin", "gone"] { try await node.perform(AddUser(name: name, directory: "corp")) }
            let gateway = try GatewayClient(node)
            for (name, reason) in [
                ("carol", "password-must-be-changed"), ("dan", "directory-account-locked"), ("twin", "directory-entry-unfit"),
                ("gone", "directory-entry-missing"),
            ] {
                #expect(try await gateway.login(name, Slapd.password)?.code == .accessReject)
                #expect(try await node.lastReason(of: name) == reason)
            }
        }
    }

    @Test func usersBindAsThemselvesOverStartTLS() async throws {
        try await withSlapd { node, slapd in
            try await addDirectory(node, slapd, [slapd.startTLS]) {
                $0.bind = "direct"
                $0.account = nil
                $0.bindName = "uid={account},ou=people,\(Slapd.base)"
            }
            try await node.addClient {
                $0.directory = "corp"
                $0.requirement = "password"
            }
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", Slapd.password)?.code == .accessAccept)
            #expect(try await gateway.login("alice", "wrong one")?.code == .accessReject)
            #expect(try await gateway.login("alice,ou=people", Slapd.password)?.code == .accessReject)
            #expect(try await node.perform(ListUsers()).users.map(\.name) == ["alice"])
        }
    }

    /// The name that is bound says who somebody is; the administrator's filter says who may come.
    @Test(arguments: ["(&(uid={account})(objectClass=*))": true, "(&(uid={account})(!(uid=alice)))": false])
    func aFilterHoldsWhereUsersBindByTheirEntrysName(_ filter: String, _ isIn: Bool) async throws {
        try await withSlapd { node, slapd in
            try await addDirectory(node, slapd, [slapd.startTLS]) {
                $0.bind = "direct"
                $0.account = nil
                $0.bindName = "uid={account},ou=people,\(Slapd.base)"
                $0.filter = filter
            }
            try await node.addClient {
                $0.directory = "corp"
                $0.requirement = "password"
            }
            #expect(try await GatewayClient(node).login("alice", Slapd.password)?.code == (isIn ? .accessAccept : .accessReject))
            #expect(try await node.perform(ListUsers()).users.count == (isIn ? 1 : 0))
        }
    }

    @Test func theNextServerIsAskedAndWithoutAnyNobodyIsWrong() async throws {
        try await withSlapd { node, slapd in
            let second = try await Slapd.start()
            try await addDirectory(node, slapd, ["ldap://127.0.0.1:\(slapd.port)", "ldap://127.0.0.1:\(second.port)"])
            try await node.addClient {
                $0.requirement = "password"
                $0.helpfulMessages = true
            }
            try await node.perform(AddUser(name: "bob", directory: "corp"))
            try await node.addUser("local")
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("bob", Slapd.password)?.code == .accessAccept)
            #expect(try await node.perform(ExamineNode(seconds: 0)).findings.filter { $0.kind == .directoryPlain }.count == 2)
            // The other one has other entries: what bob is by now is known by the first.
            try await node.setUser("bob") { $0.directory = "none" }
            try await node.setUser("bob") { $0.directory = "corp" }
            try await slapd.stop()
            #expect(try await gateway.login("bob", Slapd.password)?.code == .accessAccept)
            try await second.stop()
            try await onThread { _ = poll(nil, 0, 1_100) }
            let refused = try #require(try await gateway.login("bob", Slapd.password))
            #expect(refused.code == .accessReject)
            #expect(try refused.text(.replyMessage) == "The directory cannot be reached. Try again in a few minutes.")
            #expect(try await node.lastReason(of: "bob") == "password-source-unreachable")
            #expect(try await node.perform(ShowUser(name: "bob")).locks.isEmpty)
            #expect(try await gateway.login("local", TestNode.password)?.code == .accessAccept)
            let findings = try await node.perform(ExamineNode(seconds: 0)).findings
            #expect(findings.filter { $0.kind == .directoryDown }.count == 2)
            #expect(try await node.logins("directory-down").count == 2)
        }
    }

    @Test func aTestShowsEachStepAndWhatIsWrong() async throws {
        let stranger = try await Slapd.start(names: ["DNS:elsewhere.example"])
        try await withSlapd { node, slapd in
            try await addDirectory(node, slapd)
            let answer = try await node.perform(
                TestDirectory(name: "corp", user: "alice", password: SecretText(Slapd.password)))
            #expect(
                answer.results.compactMap(\.step) == ["resolve", "connect", "tls", "account", "search", "mapping", "groups", "password"])
            #expect(answer.results.allSatisfy(\.isDone) && answer.results.last?.outcome == "accepted")
            #expect(answer.results[6].values?.sorted() == ["corp/Circle", "corp/Engineers", "corp/VPN Users"])
            let wrong = try await node.perform(TestDirectory(name: "corp", user: "alice", password: SecretText("wrong one")))
            #expect(wrong.results.last?.outcome == "rejected")
            // Another authority, another name, another password, another place.
            func fails(at step: String, _ change: (inout DirectoryChoices) -> Void) async throws {
                var changed = choices([slapd.tls], slapd)
                change(&changed)
                try await node.perform(AddDirectory(name: "try", choices: changed))
                let answer = try await node.perform(TestDirectory(name: "try", user: "alice"))
                #expect(answer.results.last?.step == step && answer.results.last?.outcome == "failed", "\(answer.results)")
                #expect(answer.results.last?.remedy != nil)
                try await node.perform(RemoveDirectory(name: "try"))
            }
            try await fails(at: "tls") { $0.ldap?.ca = stranger.authority.certificate }
            try await fails(at: "tls") {
                $0.servers = [stranger.tls]
                $0.ldap?.ca = stranger.authority.certificate
            }
            try await fails(at: "connect") { $0.servers = ["ldaps://127.0.0.1:1"] }
            try await fails(at: "account") { $0.secret = SecretText("wrong one") }
            try await fails(at: "search") { $0.ldap?.users = "(uid=somebody)" }
            try await fails(at: "resolve") { $0.servers = ["ldaps://nowhere.invalid"] }
        }
        try await stranger.stop()
    }
}
