// SPDX-License-Identifier: Apache-2.0
// FreeRADIUS's own client and OATH Toolkit's codes against a node.

import Administration
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("radclient", "oathtool"), "radclient (freeradius-utils) and oathtool are not installed"))
struct RadclientInteropTests {
    @Test func radclientLogsInWithAnAppendedCode() async throws {
        try await withNode { node in
            let radclient = try Radclient(node)
            try await node.addClient { $0.asking = "append" }
            let token = try await node.addUser()
            let code = try await oath(token, "--totp")
            let accepted = try await radclient.ask(["User-Name": "alice", "User-Password": append(code)])
            #expect(accepted.status == 0, "\(accepted.everything)")
            #expect(accepted.output.contains("Received Access-Accept"))
            #expect(accepted.output.contains("Message-Authenticator"))
            let refused = try await radclient.ask(["User-Name": "alice", "User-Password": append(code)])
            #expect(refused.status != 0)
            #expect(refused.output.contains("Received Access-Reject"), "\(refused.everything)")
            #expect(refused.output.contains("Reply-Message = \"Login refused.\""))
        }
    }

    @Test func radclientAnswersAChallengeWithItsState() async throws {
        try await withNode { node in
            let radclient = try Radclient(node)
            try await node.addClient()
            let token = try await node.addUser("alice", AddFactor(user: "alice", kind: "totp", algorithm: "sha256", digits: 8))
            let question = try await radclient.ask(["User-Name": "alice", "User-Password": TestNode.password])
            #expect(question.output.contains("Received Access-Challenge"), "\(question.everything)")
            #expect(question.output.contains("Prompt = Echo"))
            #expect(question.output.contains("Reply-Message = \"Enter your code:\""))
            let received = try #require(question.output.range(of: "Received Access-Challenge"))
            let state = try #require(question.output[received.upperBound...].firstMatch(of: /State = (0x[0-9a-f]+)/)).1
            let code = try await oath(token, "--totp=sha256", "--digits=8")
            let answer = try await radclient.ask(["User-Name": "alice", "User-Password": code, "State": String(state)])
            #expect(answer.output.contains("Received Access-Accept"), "\(answer.everything)")
        }
    }

    @Test func radclientLogsInWithTheCodeAlone() async throws {
        try await withNode { node in
            let radclient = try Radclient(node)
            try await node.addClient { $0.requirement = "factor" }
            let totp = try await node.addUser("alice", AddFactor(user: "alice", kind: "totp", algorithm: "sha512"))
            let hotp = try await node.addUser("bob", AddFactor(user: "bob", kind: "hotp", counter: 41))
            let code = try await oath(totp, "--totp=sha512")
            #expect(try await radclient.ask(["User-Name": "alice", "User-Password": code]).output.contains("Received Access-Accept"))
            for counter in 41...42 {
                let code = try await oath(hotp, "--hotp", "--counter=\(counter)")
                let answer = try await radclient.ask(["User-Name": "bob", "User-Password": code])
                #expect(answer.output.contains("Received Access-Accept"), "\(answer.everything)")
            }
        }
    }

    @Test func radclientsRetransmissionsAndProxyStatesAreUnderstood() async throws {
        try await withNode { node in
            let radclient = try Radclient(node)
            try await node.addClient { $0.requirement = "password" }
            try await node.addUser()
            let answer = try await radclient.ask([
                "User-Name": "alice", "User-Password": TestNode.password, "Proxy-State": "0x0102", "Calling-Station-Id": "192.0.2.9",
                "NAS-Port": "7",
            ])
            #expect(answer.output.contains("Received Access-Accept"), "\(answer.everything)")
            #expect(answer.output.contains("Proxy-State = 0x0102"))
        }
    }

    @Test func radclientSeesThatTheServerLives() async throws {
        try await withNode { node in
            let radclient = try Radclient(node)
            try await node.addClient()
            let answer = try await radclient.ask([:], kind: "status")
            #expect(answer.status == 0)
            #expect(answer.output.contains("Received Access-Accept"), "\(answer.everything)")
        }
    }

    @Test func radclientWithAnotherSecretGetsNoAnswer() async throws {
        try await withNode { node in
            let radclient = try Radclient(node, secret: "some other shared secret")
            try await node.addClient()
            let answer = try await radclient.ask(["User-Name": "alice", "User-Password": TestNode.password], seconds: 1)
            #expect(answer.status != 0)
            #expect(!answer.output.contains("Received"), "\(answer.everything)")
        }
    }

    private func oath(_ token: TestToken, _ options: String...) async throws -> String {
        let program = try #require(Program(installed: "oathtool"), "oathtool is required and not installed")
        let end = try await program.run(options + ["--base32", token.base32])
        try #require(end.status == 0, "\(end.everything)")
        return end.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// FreeRADIUS's test client, pointed at a node.
struct Radclient: Sendable {
    let program: Program
    let endpoint: UDPEndpoint
    let secret: String

    init(_ node: TestNode, secret: String = TestNode.secret) throws {
        program = try #require(Program(installed: "radclient"), "radclient is required and not installed")
        endpoint = node.endpoint
        self.secret = secret
    }

    /// With Message-Authenticator, as every gateway should.
    func ask(_ attributes: KeyValuePairs<String, String>, kind: String = "auth", seconds: Int = 15) async throws -> Finished {
        let lines = attributes.map { name, value in
            let isPlain = value.hasPrefix("0x") || name == "NAS-Port"
            return "\(name) = \(isPlain ? value : "\"\(value)\"")"
        }
        return try await program.run(
            ["-x", "-r", "1", "-t", "\(seconds)", "\(endpoint)", kind, secret],
            input: (lines + ["Message-Authenticator = 0x00"]).joined(separator: "\n") + "\n")
    }
}
