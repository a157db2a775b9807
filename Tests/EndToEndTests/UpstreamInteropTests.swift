// SPDX-License-Identifier: Apache-2.0
// Users whose passwords live at a FreeRADIUS: a node asks it, and asks for the second factor itself.

import Administration
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import Synchronization
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("freeradius"), "freeradius is not installed"))
struct UpstreamInteropTests {
    private func withUpstream(
        signs: Bool = true, _ change: (inout DirectoryChoices) -> Void = { _ in },
        _ body: (TestNode, UpstreamFreeRADIUS) async throws -> Void
    ) async throws {
        let upstream = try await UpstreamFreeRADIUS.start(signs: signs)
        do {
            var choices = DirectoryChoices()
            choices.servers = [upstream.address]
            choices.secret = SecretText(UpstreamFreeRADIUS.secret)
            choices.timeout = "500ms"
            change(&choices)
            let wanted = choices
            try await withNode { node in
                try await node.perform(AddDirectory(name: "old", choices: wanted))
                try await body(node, upstream)
            }
        } catch {
            try await upstream.stop()
            throw error
        }
        try await upstream.stop()
    }

    private func addUser(_ node: TestNode, _ name: String = "alice") async throws -> TestToken {
        try await node.perform(AddUser(name: name, directory: "old"))
        return try await node.addFactor(AddFactor(user: name, kind: "totp"))
    }

    @Test func thePasswordIsJudgedThereAndTheCodeHere() async throws {
        try await withUpstream { node, _ in
            try await node.addClient()
            let token = try await addUser(node)
            let gateway = try GatewayClient(node)
            let question = try #require(try await gateway.login("alice", UpstreamFreeRADIUS.password))
            #expect(question.code == .accessChallenge)
            let answer = try #require(try await gateway.login("alice", try token.code(), state: question.octets(.state)))
            #expect(answer.code == .accessAccept)
            #expect(!answer.contains(.class) && !answer.contains(.filterID), "nothing is taken over that is not named")
            #expect(try await gateway.login("alice", "wrong one")?.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "wrong-password")
            #expect(try await node.perform(ListDirectories()).directories.first?.servers.first?.isUp == true)
        }
    }

    @Test func repliesWithoutMessageAuthenticatorAreTakenOnlyWhereThatIsAllowed() async throws {
        try await withUpstream(signs: false) { node, _ in
            try await node.addClient {
                $0.retryTimeout = 1
                $0.retryTries = 3
            }
            _ = try await addUser(node)
            let gateway = try GatewayClient(node, patience: 3_000)
            #expect(try await gateway.login("alice", UpstreamFreeRADIUS.password) == nil)
            // On a busy machine FreeRADIUS may answer a later try first.
            var isFound = false
            for _ in 0..<20 where !isFound {
                let findings = try await node.perform(ExamineNode(seconds: 0)).findings
                isFound = findings.contains { $0.kind == .directoryUnsigned && $0.text.contains("no Message-Authenticator") }
                if !isFound { #expect(try await gateway.login("alice", UpstreamFreeRADIUS.password) == nil) }
            }
            #expect(isFound)
            var choices = DirectoryChoices()
            choices.messageAuthenticator = "allow"
            try await node.perform(SetDirectory(directory: "old", choices: choices))
            #expect(try await gateway.login("alice", UpstreamFreeRADIUS.password)?.code == .accessChallenge)
        }
    }

    @Test func passwordAndCodeInOneFieldAskThereOnlyWithARightCode() async throws {
        try await withUpstream { node, _ in
            try await node.addClient { $0.asking = "append" }
            let token = try await addUser(node)
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", UpstreamFreeRADIUS.password + "," + token.wrongCode())?.code == .accessReject)
            #expect(try await gateway.login("alice", UpstreamFreeRADIUS.password + "," + token.code())?.code == .accessAccept)
        }
    }

    @Test func itsOwnQuestionIsPassedOnAndOursComesBehindIt() async throws {
        try await withUpstream { node, _ in
            try await node.addClient()
            let token = try await addUser(node, "carol")
            let gateway = try GatewayClient(node)
            let theirs = try #require(try await gateway.login("carol", UpstreamFreeRADIUS.password))
            #expect(theirs.code == .accessChallenge)
            #expect(try theirs.text(.replyMessage) == "Code of the old token?")
            #expect(theirs.integer(.prompt) == 0)
            #expect(theirs.octets(.state).map { !String(decoding: $0, as: UTF8.self).contains("old-state") } == true)
            let ours = try #require(try await gateway.login("carol", "4711", state: theirs.octets(.state)))
            #expect(ours.code == .accessChallenge)
            #expect(try ours.text(.replyMessage) == "Enter your code:")
            #expect(try await gateway.login("carol", try token.code(), state: ours.octets(.state))?.code == .accessAccept)
        }
    }

    @Test func anUpstreamThatIsDownIsSilenceInTheTrailAndNoWrongPassword() async throws {
        try await withUpstream { node, upstream in
            try await node.addClient {
                $0.retryTimeout = 1
                $0.retryTries = 2
            }
            try await node.addClient("helpful", ["127.0.0.2"]) { $0.helpfulMessages = true }
            let token = try await addUser(node)
            try await node.addUser("bob")
            try await upstream.stop()
            let gateway = try GatewayClient(node, patience: 2_500)
            #expect(try await gateway.login("alice", UpstreamFreeRADIUS.password) == nil)
            #expect(try await node.lastReason(of: "alice") == "password-source-unreachable")
            #expect(try await gateway.login("bob", TestNode.password)?.code == .accessChallenge, "others are not held up")
            let helpful = try GatewayClient(node, from: "127.0.0.2", patience: 10_000)
            let told = try #require(try await helpful.login("alice", UpstreamFreeRADIUS.password))
            #expect(told.code == .accessReject)
            #expect(try told.text(.replyMessage) == "The directory cannot be reached. Try again in a few minutes.")
            let login = try #require(try await node.logins("login-rejected", count: 1).first?.login)
            #expect(try await node.story(login).contains("The password source old did not say whether the password is right"))
            #expect(try await node.logins("directory-down", count: 1).first?.text.contains("directory old: \(upstream.address)") == true)
            #expect(try await node.perform(ShowUser(name: "alice")).locks.isEmpty)
            #expect(try await node.perform(ListDirectories()).directories.first?.servers.first?.isUp == false)
            let findings = try await node.perform(ExamineNode(seconds: 0)).findings
            #expect(findings.contains { $0.kind == .directoryDown && $0.subject == "old" })
            // It comes back, and Status-Server finds out before anybody logs in.
            let back = try await UpstreamFreeRADIUS.start(port: upstream.port)
            #expect(try await cameBack(node))
            let question = try #require(try await gateway.login("alice", UpstreamFreeRADIUS.password))
            #expect(try await gateway.login("alice", try token.code(), state: question.octets(.state))?.code == .accessAccept)
            try await back.stop()
        }
    }

    private func cameBack(_ node: TestNode) async throws -> Bool {
        for _ in 0..<5 {
            if try await !node.logins("directory-up", count: 1).isEmpty { return true }
        }
        return false
    }

    @Test func aServerThatIsNamedIsFoundAndAsked() async throws {
        let port = Mutex("")
        try await withUpstream({ choices in
            let own = choices.servers?.first?.split(separator: ":").last.map(String.init) ?? ""
            port.withLock { $0 = own }
            choices.servers = ["LocalHost:\(own)", "no-such-host.invalid:\(own)"]
        }) { node, _ in
            let port = port.withLock { $0 }
            try await node.addClient()
            let token = try await addUser(node)
            func servers() async throws -> [DirectorySummary.ServerView] {
                try await node.perform(ListDirectories()).directories.first?.servers ?? []
            }
            var found = try await servers()
            for _ in 0..<600 where found.first?.name?.found == nil || found.last?.name?.problem == nil { found = try await servers() }
            #expect(found.first?.name?.addresses == ["127.0.0.1:\(port)"])
            #expect(found.last?.name?.addresses == [] && found.last?.isUp == false)
            #expect(try await node.logins("directory-moved", count: 4).contains { $0.text == "directory old: localhost is 127.0.0.1" })
            let findings = try await node.perform(ExamineNode(seconds: 0)).findings
            #expect(findings.contains { $0.kind == .directoryNameLost && $0.text.contains("no-such-host.invalid:\(port)") })
            let gateway = try GatewayClient(node)
            let question = try #require(try await gateway.login("alice", UpstreamFreeRADIUS.password))
            #expect(try await gateway.login("alice", try token.code(), state: question.octets(.state))?.code == .accessAccept)
            #expect(try await servers().first?.lastHeard != nil)
            let results = try await node.perform(TestDirectory(name: "old")).results
            #expect(results.map(\.outcome) == ["answers", "silent"] && results.last?.message.contains("is not known") == true)
        }
    }

    @Test func namedAttributesAreTakenOverAndOursWin() async throws {
        try await withUpstream({ $0.takes = ["Class", "Session-Timeout"] }) { node, _ in
            try await node.addClient { $0.reply = [ReplySetting("Session-Timeout", "60")] }
            let token = try await addUser(node)
            let gateway = try GatewayClient(node)
            let question = try #require(try await gateway.login("alice", UpstreamFreeRADIUS.password))
            let answer = try #require(try await gateway.login("alice", try token.code(), state: question.octets(.state)))
            #expect(answer.code == .accessAccept)
            #expect(answer.octets(.class) == Array("of-upstream".utf8), "through our challenge")
            #expect(answer.integer(.sessionTimeout) == 60)
            #expect(!answer.contains(.filterID))
        }
    }

    // MARK: Whose password lives there

    @Test func aGroupMovesAndAClientMovesAndEachUserMayStay() async throws {
        try await withUpstream { node, _ in
            try await node.addClient { $0.requirement = "password" }
            for name in ["alice", "bob", "dora"] { try await node.addUser(name) }
            try await node.perform(AddGroup(name: "staff", users: ["alice", "bob"]))
            var stays = SetUser(user: "bob")
            stays.directory = "local"
            try await node.perform(stays)
            let gateway = try GatewayClient(node)
            /// Whether the one password opens and the other does not; a right one behind a wrong one, which would be taken for its retry.
            func isJudged(_ name: String, here: Bool) async throws -> Bool {
                let passwords = here ? [UpstreamFreeRADIUS.password, TestNode.password] : [TestNode.password, UpstreamFreeRADIUS.password]
                let wrong = try await gateway.login(name, passwords[0])?.code
                let right = try await gateway.login(name, passwords[1])?.code
                return wrong == .accessReject && right == .accessAccept
            }
            #expect(try await isJudged("alice", here: true))
            var group = SetGroup(group: "staff")
            group.directory = "old"
            try await node.perform(group)
            #expect(try await isJudged("alice", here: false))
            let login = try #require(try await node.logins("login-accepted", count: 1).first?.login)
            #expect(try await node.story(login).contains("Directory old judges the password, as is said of the group staff."))
            #expect(try await isJudged("bob", here: true), "the user's own word counts before the group's")
            #expect(try await isJudged("dora", here: true))
            var client = ClientChoices()
            client.directory = "old"
            try await node.perform(SetClient(client: "vpn", choices: client))
            #expect(try await isJudged("dora", here: false))
            #expect(try await isJudged("bob", here: true))
            group.directory = "local"
            try await node.perform(group)
            #expect(try await isJudged("alice", here: true), "a group's word counts before the client's")
        }
    }

    @Test func aServerThatSharesAnotherSecretIsAskedByItsOwn() async throws {
        try await withUpstream({ $0.secret = SecretText("what-the-others-share") }) { node, upstream in
            try await node.addClient { $0.requirement = "password" }
            _ = try await addUser(node)
            func test() async throws -> Finished {
                try await Program.sallyport.run(["directory", "test", "old", "--data-dir", node.folder.path])
            }
            #expect(try await test().status == 69)
            let added = try await Program.sallyport.run(
                ["directory", "server", "add", "old", "--address", upstream.address, "--secret-stdin", "--data-dir", node.folder.path],
                input: UpstreamFreeRADIUS.secret + "\n")
            #expect(added.status == 0, "\(added.everything)")
            #expect(try await test().status == 0)
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", UpstreamFreeRADIUS.password)?.code == .accessAccept)
        }
    }

    // MARK: Names that nobody has here

    @Test func aStrangerIsRefusedUntilTheClientPassesHimThrough() async throws {
        try await withUpstream({ $0.takes = ["Class"] }) { node, _ in
            try await node.addClient()
            let token = try await addUser(node)
            let gateway = try GatewayClient(node)
            #expect(try await gateway.login("bob@corp.example", UpstreamFreeRADIUS.password)?.code == .accessReject)
            #expect(try await node.lastReason(of: "bob@corp.example") == "unknown-user")
            try await node.setClient { $0.passThrough = ["corp.example=old"] }
            let answer = try #require(try await gateway.login("eve@corp.example", UpstreamFreeRADIUS.password))
            #expect(answer.code == .accessAccept && answer.octets(.class) == Array("of-upstream".utf8))
            let login = try #require(try await node.logins("login-accepted", count: 1).first?.login)
            #expect(try await node.story(login).contains("the client passes such names on: the directory decides alone."))
            #expect(try await gateway.login("eve@corp.example", "wrong one")?.code == .accessReject)
            #expect(try await node.lastReason(of: "eve@corp.example") == "wrong-password")
            #expect(try await gateway.login("eve@lab.example", UpstreamFreeRADIUS.password)?.code == .accessReject)
            #expect(try await gateway.login("alice@corp.example", UpstreamFreeRADIUS.password)?.code == .accessReject)
            // Who is a user here owes the code as ever.
            let ours = try #require(try await gateway.login("alice", UpstreamFreeRADIUS.password))
            #expect(try await gateway.login("alice", try token.code(), state: ours.octets(.state))?.code == .accessAccept)
            // The directory's own question, which `carol` is asked there, and its answer.
            let theirs = try #require(try await gateway.login("carol@corp.example", UpstreamFreeRADIUS.password))
            #expect(try theirs.text(.replyMessage) == "Code of the old token?")
            #expect(try await gateway.login("carol@corp.example", "4711", state: theirs.octets(.state))?.code == .accessAccept)
            #expect(try await gateway.login("carol@corp.example", "4711", state: theirs.octets(.state))?.code != .accessChallenge)
            #expect(try await node.verifyTrail().isIntact)
        }
    }

    @Test func twoNodesThatPassNamesToEachOtherEndInAReject() async throws {
        try await withNode { first in
            try await withNode { second in
                for (node, other) in [(first, second), (second, first)] {
                    var choices = DirectoryChoices()
                    choices.servers = ["\(other.endpoint)"]
                    choices.secret = SecretText(TestNode.secret)
                    try await node.perform(AddDirectory(name: "other", choices: choices))
                    try await node.addClient { $0.passThrough = ["*=other"] }
                }
                let gateway = try GatewayClient(first, patience: 10_000)
                #expect(try await gateway.login("bob", "whatever")?.code == .accessReject)
                let reasons =
                    try await first.logins("login-rejected", count: 3).map(\.reason)
                    + second.logins("login-rejected", count: 3).map(\.reason)
                #expect(reasons.count { $0 == "proxy-loop" } == 1, "\(reasons)")
            }
        }
    }

    // MARK: Proofs that show no password

    @Test(arguments: ["alice", "CORP\\alice"]) func msCHAPv2IsJudgedThereAndItsKeysReachTheGateway(typed: String) async throws {
        try await withUpstream { node, _ in
            try await node.addClient {
                $0.requirement = "password"
                $0.protocols = ["ms-chap-v2"]
                $0.nameStripping = "domain"
            }
            _ = try await addUser(node)
            let gateway = try GatewayClient(node)
            let hash = try #require(NTHash(password: Array(UpstreamFreeRADIUS.password.utf8)))
            let challenge = Authenticator(high: 0x0102_0304, low: 0x0506_0708)
            let response = MSCHAPv2Response(
                identifier: 9, challenge: challenge, peerChallenge: Authenticator(high: 3, low: 4), userName: Array(typed.utf8), hash: hash)
            let bytes = try gateway.request(typed, nil) { writer in
                writer.addVendor(311, type: MicrosoftAttribute.chapChallenge, challenge.bytes)
                writer.addVendor(311, type: MicrosoftAttribute.chap2Response, response.bytes)
            }
            let reply = try #require(try await gateway.exchange(bytes))
            #expect(reply.code == .accessAccept)
            func value(_ type: UInt8) -> ArraySlice<UInt8>? { reply.first(vendor: 311, type: type).map { reply.value(of: $0) } }
            let success = try #require(value(MicrosoftAttribute.chap2Success))
            #expect(response.isSuccess(success, hash), "the device would hang up")
            let request = try Packet(decoding: bytes)
            func key(_ type: UInt8) -> [UInt8]? {
                value(type).flatMap { SaltedKey.reveal($0, authenticator: request.authenticator, secret: gateway.secret) }
            }
            let keys = MPPEKeys(response, hash)
            #expect(key(MicrosoftAttribute.mppeSendKey) == keys.send)
            #expect(key(MicrosoftAttribute.mppeReceiveKey) == keys.receive)
            let wrong = try #require(NTHash(password: Array("another".utf8)))
            let bad = MSCHAPv2Response(
                identifier: 9, challenge: challenge, peerChallenge: Authenticator(high: 3, low: 4), userName: Array(typed.utf8), hash: wrong
            )
            let refused = try await gateway.login(typed, nil) { writer in
                writer.addVendor(311, type: MicrosoftAttribute.chapChallenge, challenge.bytes)
                writer.addVendor(311, type: MicrosoftAttribute.chap2Response, bad.bytes)
            }
            #expect(refused?.code == .accessReject)
            #expect(refused?.first(vendor: 311, type: MicrosoftAttribute.chapError) != nil)
        }
    }

    @Test func chapAndMSCHAPAreJudgedThereToo() async throws {
        try await withUpstream { node, _ in
            try await node.addClient {
                $0.requirement = "password"
                $0.protocols = ["chap", "ms-chap"]
            }
            _ = try await addUser(node)
            let gateway = try GatewayClient(node)
            for password in [UpstreamFreeRADIUS.password, "wrong"] {
                let wanted: Code = password == "wrong" ? .accessReject : .accessAccept
                let chap = CHAPResponse(identifier: 1, challenge: [UInt8](repeating: 7, count: 16), password: Array(password.utf8))
                let byCHAP = try await gateway.login("alice", nil) { writer in
                    writer.add(.chapPassword, chap.bytes)
                    writer.add(.chapChallenge, chap.challenge)
                }
                #expect(byCHAP?.code == wanted)
                let hash = try #require(NTHash(password: Array(password.utf8)))
                let response = try #require(MSCHAPResponse(identifier: 1, challenge: [1, 2, 3, 4, 5, 6, 7, 8], hash: hash))
                let bytes = try gateway.request("alice", nil) { writer in
                    writer.addVendor(311, type: MicrosoftAttribute.chapChallenge, response.challenge)
                    writer.addVendor(311, type: MicrosoftAttribute.chapResponse, response.bytes)
                }
                let reply = try #require(try await gateway.exchange(bytes))
                #expect(reply.code == wanted)
                guard wanted == .accessAccept else { continue }
                let hidden = try #require(reply.first(vendor: 311, type: MicrosoftAttribute.chapMPPEKeys).map { reply.value(of: $0) })
                let keys = try HiddenPassword.unhide(
                    Array(hidden), authenticator: try Packet(decoding: bytes).authenticator, secret: gateway.secret)
                // The second half is the NT hash hashed; the first, of the LAN Manager hash, differs by server.
                #expect(
                    keys.count > 8 && Array(keys.dropFirst(8)) == Array(MPPEKeys.firstVersion(hash).dropFirst(8).prefix(keys.count - 8)))
            }
        }
    }

    // MARK: As an administrator

    @Test func theCommandTestsItsServersAndAPassword() async throws {
        try await withUpstream { node, upstream in
            func run(_ arguments: String..., input: String = "") async throws -> Finished {
                try await Program.sallyport.run(arguments + ["--data-dir", node.folder.path], input: input)
            }
            let status = try await run("directory", "test", "old")
            #expect(status.status == 0 && status.output.contains("It answers Status-Server."), "\(status.everything)")
            let right = try await run(
                "directory", "test", "old", "--user", "alice", "--password-stdin", input: UpstreamFreeRADIUS.password + "\n")
            #expect(right.status == 0 && right.output.contains("The password is right."), "\(right.everything)")
            let wrong = try await run("directory", "test", "old", "--user", "alice", "--password-stdin", "--json", input: "nonsense\n")
            #expect(wrong.status == 2 && wrong.output.contains("\"rejected\""), "\(wrong.everything)")
            let list = try await run("directory", "list", "--json")
            #expect(list.output.contains("\"address\":\"\(upstream.address)\""), "\(list.everything)")
            let secret = try await run("directory", "set", "old", "--secret-stdin", input: "not-the-secret-of-it\n")
            #expect(secret.status == 0, "\(secret.everything)")
            #expect(try await run("directory", "test", "old").status == 69)
            #expect(try await run("directory", "show", "older").status == 1)
        }
    }
}
