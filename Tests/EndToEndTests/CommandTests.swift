// SPDX-License-Identifier: Apache-2.0
// The built program against a running node and without one; `kill -9` behind an accept; no secret in any word it says.

import Administration
import Foundation
import Glibc
import LoginEngine
import OTP
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct CommandTests {
    @Test func profileIsShownOnce() async throws {
        let folder = try TemporaryFolder()
        let added = try await Program.sallyport.run(
            ["client", "add", "hq", "--address", "192.0.2.7", "--profile", "fortigate", "--generate-secret", "--data-dir", folder.path])
        #expect(added.status == 0, "\(added.everything)")
        let shown = try await Program.sallyport.run(["client", "show", "hq", "--data-dir", folder.path])
        #expect(shown.output.split(separator: "\n").count { $0.hasPrefix("Profile") } == 1, "\(shown.everything)")
    }

    @Test func casesOfPoliciesEndTheCommandAsTheyAreDecided() async throws {
        let folder = try TemporaryFolder()
        let more = ["--data-dir", folder.path]
        for arguments in [
            ["client", "add", "hq", "--address", "192.0.2.7", "--generate-secret"],
            ["policy", "add", "office", "--network", "203.0.113.0/24", "--require", "password"],
            ["policy", "add", "rest", "--require", "deny"],
        ] {
            let done = try await Program.sallyport.run(arguments + more)
            #expect(done.status == 0, "\(done.everything)")
        }
        func run(_ policy: String) async throws -> Finished {
            let text = "cases:\n  - { name: inside, client: hq, from: 203.0.113.9, expect: { policy: \(policy) } }\n"
            return try await Program.sallyport.run(["policy", "test", "-f", try folder.file("\(policy).yaml", text)] + more)
        }
        let right = try await run("office")
        #expect(right.status == 0 && right.output.contains("1 case, all right.") && right.output.contains("by rest"), "\(right.everything)")
        let wrong = try await run("rest")
        #expect(wrong.status == 1 && wrong.output.contains("expected policy rest, but policy office decides"), "\(wrong.everything)")
        #expect(wrong.output.contains("rest.yaml:2:5") && wrong.output.contains("1 wrong"), "\(wrong.everything)")
    }

    @Test func pruningAsksAndNamesWhatGoes() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("sallyport.apply.yaml", "version: 1\npolicies:\n  - name: rest\n    require: deny\n")
        let data = folder.path + "/data"
        let node = try await Program.sallyport.start(["serve", "--data-dir", data] + NodeProcess.loopback)
        _ = try await node.radiusEndpoint()
        let more = ["--data-dir", data]
        let apply = ["apply", "-f", file, "--prune"] + more
        #expect(try await Program.sallyport.run(["policy", "add", "staff", "--require", "password"] + more).status == 0)
        let asked = try await Program.sallyport.run(apply)
        #expect(asked.status == 64 && asked.errors.contains("policy staff") && asked.errors.contains("--yes"), "\(asked.everything)")
        #expect(try await Program.sallyport.run(["policy", "list"] + more).output.contains("staff"))
        let dry = try await Program.sallyport.run(apply + ["--dry-run"])
        #expect(dry.status == 0 && dry.output.contains("- policy staff"), "\(dry.everything)")
        let done = try await Program.sallyport.run(apply + ["--yes"])
        #expect(done.status == 0 && done.output.contains("- policy staff"), "\(done.everything)")
        // Nothing is left to remove, so nothing is asked.
        #expect(try await Program.sallyport.run(apply).status == 0)
        node.signal(SIGTERM)
        #expect(try await node.end().status == 0)
    }

    private static let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    private static let clientSecret = "quite-a-long-client-secret"

    @Test func killedBehindAnAcceptItStillRefusesTheCode() async throws {
        let folder = try TemporaryFolder()
        var node = try await NodeProcess.start(in: folder)
        var endpoint = try await node.endpoint()
        let token = try await fill(node)
        let field = append(try token.code())
        let reply = try await GatewayClient(endpoint, secret: Self.clientSecret).login("alice", field)
        node.running.signal(SIGKILL)
        #expect(reply?.code == .accessAccept)
        #expect(try await node.running.end().status == -SIGKILL)

        node = try await NodeProcess.start(in: folder)
        endpoint = try await node.endpoint()
        #expect(try await GatewayClient(endpoint, secret: Self.clientSecret).login("alice", field)?.code == .accessReject)
        let verified = try await node.command("audit", "verify")
        #expect(verified.status == 0, "\(verified.everything)")
        node.running.signal(SIGTERM)
        let end = try await node.running.end()
        #expect(end.status == 0)
        // Without a node, on the data itself.
        #expect(try await node.command("audit", "verify").status == 0)
        let accepted = try await node.command("audit", "list", "--kind", "login-accepted", "--json")
        #expect(accepted.output.split(separator: "\n").count == 1)
        #expect(try await node.command("audit", "list", "--kind", "login-rejected", "--json").output.contains("code-already-used"))
    }

    @Test func stoppingFinishesWhatIsBeingDecided() async throws {
        let folder = try TemporaryFolder()
        let node = try await NodeProcess.start(in: folder)
        let endpoint = try await node.endpoint()
        _ = try await fill(node)
        let gateway = try GatewayClient(endpoint, secret: Self.clientSecret)
        // Several hashes long: the signal comes while they are under way.
        let requests = try (0..<12).map { try gateway.request("user\($0)", append("123456", to: "some wrong password")) }
        for request in requests { gateway.send(request) }
        _ = try await gateway.reply(to: requests[0])
        node.running.signal(SIGTERM)
        for request in requests.dropFirst(10) { _ = try await gateway.reply(to: request, within: 3000) }
        let end = try await node.running.end()
        #expect(end.status == 0)
        #expect(end.errors.contains("stopped"))
        #expect(!end.errors.contains("stopped before every login was answered"), "\(end.errors)")
    }

    @Test func commandsWorkWithAndWithoutANode() async throws {
        let folder = try TemporaryFolder()
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        _ = try await fill(node)
        let online = try await node.command("user", "list", "--json")
        #expect(online.status == 0)
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
        let offline = try await node.command("user", "list", "--json")
        #expect(offline.status == 0)
        #expect(offline.output == online.output)
        let list = try JSONSerialization.jsonObject(with: Data(online.output.utf8)) as? [String: Any]
        let users = list?["users"] as? [[String: Any]]
        #expect(users?.first?["name"] as? String == "alice")
        #expect(try await node.command("user", "add", "bob").status == 0)
        #expect(try await node.command("user", "list").output.contains("bob"))
    }

    @Test func exitCodesSayWhatWentWrong() async throws {
        let folder = try TemporaryFolder()
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        _ = try await fill(node)
        let cases: [([String], Int32)] = [
            (["user", "show", "alcie"], 1), (["user", "add", "alice"], 1), (["user", "lst"], 64), (["user", "add"], 64),
            (["client", "add", "two", "--address", "999.1.1.1", "--generate-secret"], 64), (["trace", "zzzz"], 1),
            (["audit", "list", "--since", "yesteryear"], 64),
        ]
        for (arguments, status) in cases {
            let end = try await Program.sallyport.run(arguments + ["--data-dir", folder.path])
            #expect(end.status == status, "\(arguments): \(end.everything)")
            #expect(!end.errors.isEmpty && end.output.isEmpty)
        }
        let near = try await node.command("user", "show", "alcie")
        #expect(near.errors.contains("alice"))
        let nowhere = try await Program.sallyport.run(["user", "list", "--data-dir", folder.path + "/nowhere"])
        #expect(nowhere.status == 78)
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    @Test func theTestClientEndsWithTheDecision() async throws {
        let folder = try TemporaryFolder()
        let node = try await NodeProcess.start(in: folder)
        let endpoint = try await node.endpoint()
        let token = try await fill(node)
        let secretFile = try folder.file("client.secret", Self.clientSecret + "\n")
        let right = append(try token.code())
        let accepted = try await node.command(
            "login", "alice", "--server", "\(endpoint)", "--secret-file", secretFile, "--password-stdin", input: right + "\n")
        #expect(accepted.status == 0, "\(accepted.everything)")
        let refused = try await node.command(
            "login", "alice", "--server", "\(endpoint)", "--secret-file", secretFile, "--password-stdin", input: right + "\n")
        #expect(refused.status == 2, "\(refused.everything)")
        expectNoSecret(in: [accepted, refused])
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    @Test func noSecretIsSaidByAnybody() async throws {
        let folder = try TemporaryFolder()
        let node = try await NodeProcess.start(in: folder, ["--log-level", "trace"])
        let endpoint = try await node.endpoint()
        var said: [Finished] = []
        let token = try await fill(node) { said.append($0) }
        let gateway = try GatewayClient(endpoint, secret: Self.clientSecret)
        _ = try await gateway.login("alice", append(try token.code()))
        _ = try await gateway.login("alice", append(try token.code()))
        _ = try await gateway.login("alice", append("000000", to: TestNode.password))
        _ = try await GatewayClient(endpoint, secret: "not the secret of it", patience: 100).login("alice", TestNode.password)
        let commands = [
            ["user", "list"], ["user", "show", "alice"], ["user", "show", "alice", "--json"], ["client", "list"],
            ["client", "show", "vpn"], ["client", "show", "vpn", "--json"], ["client", "show", "vpn", "--howto"],
            ["factor", "list", "alice"],
            ["factor", "list", "alice", "--json"], ["factor", "show", "alice", "totp"], ["audit", "list"], ["audit", "list", "--json"],
            ["audit", "export"], ["audit", "verify"],
        ]
        for command in commands {
            let end = try await Program.sallyport.run(command + ["--data-dir", folder.path])
            #expect(end.status == 0, "\(command): \(end.everything)")
            said.append(end)
        }
        node.running.signal(SIGTERM)
        let end = try await node.running.end()
        #expect(end.status == 0)
        #expect(end.errors.contains("accepted") && end.errors.contains("rejected"))
        said.append(end)
        expectNoSecret(in: said)
    }

    private func expectNoSecret(in ends: [Finished]) {
        let hexKey = Array("12345678901234567890".utf8).map { String($0, radix: 16) }.joined()
        for end in ends {
            for secret in [TestNode.password, Self.clientSecret, Self.key, hexKey] {
                #expect(!end.everything.contains(secret), "\(end.everything)")
            }
        }
    }

    /// A client for 127.0.0.1 that appends, and alice with a known key.
    private func fill(_ node: NodeProcess, _ note: (Finished) -> Void = { _ in }) async throws -> TestToken {
        let added = [
            try await node.command("user", "add", "alice", "--password-stdin", input: TestNode.password + "\n"),
            try await node.command(
                "client", "add", "vpn", "--address", "127.0.0.1", "--ask", "append", "--secret-stdin", input: Self.clientSecret + "\n"),
        ]
        for end in added {
            try #require(end.status == 0, "\(end.everything)")
            note(end)
        }
        // Shows the key, which is its purpose.
        let factor = try await node.command("factor", "add", "alice", "totp", "--secret-stdin", input: Self.key + "\n")
        try #require(factor.status == 0, "\(factor.everything)")
        return try TestToken(uri: "otpauth://totp/alice?secret=\(Self.key)")
    }
}
