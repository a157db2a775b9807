// SPDX-License-Identifier: Apache-2.0
// FreeRADIUS's client asks a real node again and again, and doctor says what it learnt.

import Administration
import Foundation
import Glibc
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

    /// An answer is out before it is counted, so what is expected is waited for.
    private func findings(_ node: TestNode, _ kinds: [Finding.Kind]) async throws -> [Finding] {
        let end = ContinuousClock.now + .seconds(10)
        while true {
            let found = try await findings(node)
            if found.map(\.kind) == kinds || ContinuousClock.now > end { return found }
            try await onThread { _ = poll(nil, 0, 3) }
        }
    }

    /// Requests with their retries, three at once; it ends when all were answered or given up.
    private func radclient(_ node: TestNode, _ lines: [String], seconds: String = "15") async throws -> Finished {
        let program = try #require(Program(installed: "radclient"), "radclient is required and not installed")
        return try await program.run(
            ["-x", "-p", "3", "-r", seconds == "15" ? "1" : "10", "-t", seconds, "\(node.endpoint)", "auth", TestNode.secret],
            input: lines.joined(separator: "\n") + "\n")
    }

    private func login(_ password: String, _ more: String...) -> [String] {
        ["User-Name = \"alice\"", "User-Password = \"\(password)\"", "Message-Authenticator = 0x00"] + more
    }

    /// Passwords are not let wait for longer than four seconds, so the answer comes right behind the second packets.
    @Test func radclientsTimeOutIsLearntFromItsRetries() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.profile = "strongswan"
                $0.requirement = "password"
            }
            try await node.addUser()
            let held = try await node.holdHashing()
            async let asked = radclient(
                node, Array([[String]](repeating: login(TestNode.password), count: 3).joined(separator: [""])), seconds: "1")
            #expect(try await eventually { node.node.radius.statistics.duplicatesInProgress >= 3 })
            held.release()
            #expect(try await asked.output.contains("Received Access-Accept"))
            let found = try await findings(node, [.gatewayGivesUpEarly])
            let finding = try #require(found.first { $0.kind == .gatewayGivesUpEarly }, "\(found)")
            let seen = try #require(try await node.perform(ShowClient(name: "vpn")).seen)
            #expect(seen.repeated == 3 && (0.9...4).contains(seen.retryTimeout ?? 0), "\(seen)")
            #expect(finding.subject == "vpn")
            #expect(finding.remedy?.contains("retransmit_timeout = 5, retransmit_tries = 3") == true)
            #expect(finding.remedy?.contains("or here: sallyport client set vpn --retry-timeout") == true)
            // Set as it is, it is right: radclient may have sent as often as it was told to, where the machine was busy.
            try await node.setClient {
                $0.retryTimeout = Int((seen.retryTimeout ?? 1).rounded())
                $0.retryTries = 10
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
            let finding = try #require(
                try await findings(node, [.gatewayShowsNoChallenge]).first { $0.kind == .gatewayShowsNoChallenge })
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
            let expected: [Finding.Kind] = [.gatewayProtocol, .gatewayCharset, .gatewayNamesNoDevice, .gatewaySendsNoAccounting]
            let found = try await findings(node, expected)
            try #require(found.map(\.kind) == expected)
            #expect(found[0].remedy?.hasPrefix("At the gateway: set auth-type pap under config user radius") == true)
            #expect(found[3].remedy?.contains("config accounting-server") == true)
            let seen = try #require(try await node.perform(ShowClient(name: "vpn")).seen)
            let shown = try await Program.sallyport.run(["client", "show", "vpn", "--data-dir", node.folder.path])
            #expect(shown.status == 0 && shown.output.contains("20 requests since"), "\(shown.everything)")
            #expect(shown.output.contains("from 127.0.0.1") && shown.output.contains("20 without Calling-Station-Id"), "\(shown.output)")
            #expect(shown.output.contains("beyond ASCII: 0 in UTF-8, 3 not") && shown.output.contains("no accounting"), "\(shown.output)")
            #expect(
                seen.requests == 20 && (13...14).contains(seen.accepts) && seen.protocols == ["pap", "chap"]
                    && seen.sources == ["127.0.0.1"])
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
            #expect(try await findings(node, [.gatewayUnsigned]).map(\.kind) == [.gatewayUnsigned])
        }
    }
}
