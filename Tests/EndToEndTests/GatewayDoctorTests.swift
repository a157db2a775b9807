// SPDX-License-Identifier: Apache-2.0
// FreeRADIUS's client asks a real node again and again, and doctor says what it learnt.

import Administration
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("radclient"), "radclient (freeradius-utils) is not installed"))
struct GatewayDoctorTests {
    private func findings(_ node: TestNode) async throws -> [Finding] {
        try await node.perform(ExamineNode()).findings.filter { $0.kind.rawValue.hasPrefix("gateway") }
    }

    /// One request with its retries; it ends when it was answered or has given up.
    private func radclient(_ node: TestNode, _ lines: [String], tries: Int = 1, seconds: String = "15") async throws -> Finished {
        let program = try #require(Program(installed: "radclient"), "radclient is required and not installed")
        return try await program.run(
            ["-x", "-r", "\(tries)", "-t", seconds, "\(node.endpoint)", "auth", TestNode.secret],
            input: lines.joined(separator: "\n") + "\n")
    }

    private func login(_ password: String, _ more: String...) -> [String] {
        ["User-Name = \"alice\"", "User-Password = \"\(password)\"", "Message-Authenticator = 0x00"] + more
    }

    @Test func radclientsTimeOutAndTriesAreLearntFromItsRetries() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.profile = "strongswan"
                $0.requirement = "password"
            }
            try await node.addUser()
            let held = try await node.holdHashing()
            // Three that wait for a second each time, and twice. Of one user's only one would be checked at a time.
            try await withThrowingTaskGroup(of: Finished.self) { group in
                for _ in 0..<3 {
                    group.addTask { try await radclient(node, login(TestNode.password), tries: 2, seconds: "1") }
                }
                for try await end in group { #expect(end.everything.contains("No reply"), "\(end.everything)") }
            }
            #expect(node.node.radius.statistics.duplicatesInProgress == 3)
            // They have given up a second after the second packet; it shows half a second later.
            let gaveUp = ContinuousClock.now
            #expect(try await eventually { ContinuousClock.now - gaveUp > .seconds(1) })
            held.release()
            #expect(try await eventually { node.node.radius.statistics.pending == 0 })
            let seen = try #require(try await node.perform(ShowClient(name: "vpn")).seen)
            #expect(seen.repeated == 3 && seen.retryTries == 2, "\(seen)")
            #expect((0.9...1.6).contains(seen.retryTimeout ?? 0), "\(seen)")
            let finding = try #require(try await findings(node).first { $0.kind == .gatewayGivesUpEarly })
            #expect(finding.subject == "vpn")
            #expect(finding.remedy?.contains("retransmit_timeout = 5, retransmit_tries = 3") == true)
            #expect(finding.remedy?.contains("--retry-tries 2") == true)
            // Set as it is, it is right.
            try await node.setClient {
                $0.retryTimeout = Int((seen.retryTimeout ?? 1).rounded())
                $0.retryTries = 2
            }
            #expect(try await findings(node).map(\.kind) == [.gatewaysRight])
        }
    }

    @Test func challengesThatAreNeverAnsweredAreTold() async throws {
        try await withNode { node in
            try await node.addClient { $0.profile = "ivanti" }
            let token = try await node.addUser()
            var state = ""
            for _ in 0..<5 {
                let end = try await radclient(node, login(TestNode.password))
                let received = try #require(end.output.range(of: "Received Access-Challenge"), "\(end.everything)")
                state = String(try #require(end.output[received.upperBound...].firstMatch(of: /State = (0x[0-9a-f]+)/)).1)
            }
            let finding = try #require(try await findings(node).first { $0.kind == .gatewayShowsNoChallenge })
            #expect(finding.remedy?.contains("Custom Radius Rules") == true)
            let accepted = try await radclient(node, login(try token.code(), "State = \(state)"))
            #expect(accepted.output.contains("Received Access-Accept"), "\(accepted.everything)")
            #expect(try await findings(node).map(\.kind) == [.gatewaysRight])
        }
    }

    @Test func protocolCharacterSetAndWhatIsMissingAreTold() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.profile = "fortigate"
                $0.requirement = "password"
            }
            try await node.addUser()
            for _ in 0..<3 {
                _ = try await radclient(
                    node, ["User-Name = \"alice\"", "CHAP-Password = \"\(TestNode.password)\"", "Message-Authenticator = 0x00"])
                // `müller` in Latin-1.
                _ = try await radclient(
                    node, ["User-Name = \"m\\374ller\"", "User-Password = \"x\"", "Message-Authenticator = 0x00"])
            }
            for _ in 0..<14 { _ = try await radclient(node, login(TestNode.password)) }
            let found = try await findings(node)
            try #require(found.map(\.kind) == [.gatewayProtocol, .gatewayCharset, .gatewayNamesNoDevice, .gatewaySendsNoAccounting])
            #expect(found[0].remedy?.hasPrefix("At the gateway: set auth-type pap under config user radius") == true)
            #expect(found[3].remedy?.contains("config accounting-server") == true)
            let seen = try #require(try await node.perform(ShowClient(name: "vpn")).seen)
            let shown = try await Program.sallyport.run(["client", "show", "vpn", "--data-dir", node.folder.path])
            #expect(shown.status == 0 && shown.output.contains("20 requests since"), "\(shown.everything)")
            #expect(shown.output.contains("from 127.0.0.1") && shown.output.contains("20 without Calling-Station-Id"), "\(shown.output)")
            #expect(shown.output.contains("beyond ASCII: 0 in UTF-8, 3 not") && shown.output.contains("no accounting"), "\(shown.output)")
            #expect(seen.requests == 20 && seen.accepts == 14 && seen.protocols == ["pap", "chap"] && seen.sources == ["127.0.0.1"])
        }
    }

    /// Anybody can send in a gateway's name. Without the secret it teaches nothing.
    @Test func unsignedTrafficTeachesNothingUntilItsPasswordIsRight() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "password"
                $0.messageAuthenticator = "allow"
            }
            try await node.addUser()
            for _ in 0..<5 {
                let forged = ["User-Name = \"m\\374ller\"", "User-Password = \"guess\"", "State = 0x01"]
                #expect(try await radclient(node, forged).output.contains("Received Access-Reject"))
            }
            #expect(try await node.perform(ShowClient(name: "vpn")).seen == nil)
            #expect(try await findings(node).isEmpty)
            let plain = Array(login(TestNode.password).dropLast())
            #expect(try await radclient(node, plain).output.contains("Received Access-Accept"))
            #expect(try await findings(node).map(\.kind) == [.gatewayUnsigned])
        }
    }
}
