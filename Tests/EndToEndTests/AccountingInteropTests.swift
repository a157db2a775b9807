// SPDX-License-Identifier: Apache-2.0
// FreeRADIUS's own client reports sessions to a node, by every kind of record.

import Administration
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("radclient"), "radclient (freeradius-utils) is not installed"))
struct AccountingInteropTests {
    /// Sends one packet; what radclient saw of the answer.
    private func send(
        _ node: TestNode, _ attributes: KeyValuePairs<String, String>, secret: String = TestNode.secret, kind: String = "acct",
        tries: Int = 3
    ) async throws -> Finished {
        let program = try #require(Program(installed: "radclient"), "radclient is required and not installed")
        let port = try #require(node.node.radius.boundAccounting.first)
        let lines = attributes.map { "\($0.key) = \($0.value)" }.joined(separator: "\n")
        return try await program.run(["-x", "-r", "\(tries)", "-t", "3", "\(port)", kind, secret], input: lines + "\n")
    }

    private func sessions(_ node: TestNode) throws -> [GatewaySession] {
        try node.node.store.records.sessions(SessionFilter(), limit: 100)
    }

    @Test func aSessionIsReportedFromStartToStop() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "password" }
            try await node.addUser()
            let gateway = try GatewayClient(node)
            let login = try gateway.request("alice", TestNode.password) { $0.addText(.acctSessionID, "4f2a") }
            #expect(try await gateway.exchange(login)?.code == .accessAccept)
            let start = try await send(
                node,
                [
                    "Acct-Status-Type": "Start", "Acct-Session-Id": "\"4f2a\"", "User-Name": "\"alice\"", "NAS-Identifier": "\"vpn1\"",
                    "Framed-IP-Address": "10.0.0.7", "Framed-IPv6-Prefix": "2001:db8:7::/64", "Calling-Station-Id": "\"198.51.100.7\"",
                    "Class": "0x7374616666", "Proxy-State": "0x0102",
                ])
            #expect(start.output.contains("Received Accounting-Response"), "\(start.everything)")
            #expect(start.output.contains("Proxy-State = 0x0102"))
            let open = try #require(try sessions(node).first)
            #expect(open.isOpen && open.user != nil && open.login != nil && open.gateway == "vpn1" && open.groupClass == "staff")
            #expect(open.addresses == "10.0.0.7 2001:db8:7::/64" && open.station == "198.51.100.7")
            #expect(try await node.logins("login-accepted").first?.login == open.login?.description)
            for (kind, seconds) in [("Interim-Update", 300), ("Stop", 600)] {
                let end = try await send(
                    node,
                    [
                        "Acct-Status-Type": kind, "Acct-Session-Id": "\"4f2a\"", "User-Name": "\"alice\"", "NAS-Identifier": "\"vpn1\"",
                        "Acct-Session-Time": "\(seconds)", "Acct-Input-Octets": "1000", "Acct-Input-Gigawords": "1",
                        "Acct-Output-Octets": "5", "Acct-Output-Gigawords": "0", "Acct-Terminate-Cause": "Idle-Timeout",
                    ])
                #expect(end.status == 0, "\(end.everything)")
            }
            let all = try sessions(node)
            let over = try #require(all.first)
            #expect(all.count == 1 && over.id == open.id && over.ending == .stopped && over.cause == 4)
            #expect(over.figures.seconds == 600 && over.figures.input == 1 << 32 + 1000 && over.figures.output == 5)
            #expect(node.node.radius.statistics.replies[.accountingResponse] == 3)
        }
    }

    /// Each run of radclient takes another identifier: to the server it is another packet.
    @Test func aStopThatIsSentAgainAsANewPacketIsOneSession() async throws {
        try await withNode { node in
            try await node.addClient()
            for delay in [0, 4, 9] {
                let end = try await send(
                    node,
                    [
                        "Acct-Status-Type": "Stop", "Acct-Session-Id": "\"1\"", "User-Name": "\"nobody\"", "Acct-Session-Time": "60",
                        "Acct-Delay-Time": "\(delay)",
                    ])
                #expect(end.status == 0, "\(end.everything)")
            }
            let all = try sessions(node)
            #expect(all.count == 1 && all[0].user == nil && all[0].name == "nobody" && all[0].figures.seconds == 60)
        }
    }

    @Test func aGatewayThatRestartsEndsItsSessions() async throws {
        try await withNode { node in
            try await node.addClient()
            for attributes in [
                ["Acct-Status-Type": "Start", "Acct-Session-Id": "\"1\"", "User-Name": "\"a\"", "NAS-IP-Address": "192.0.2.1"],
                ["Acct-Status-Type": "Start", "Acct-Session-Id": "\"1\"", "User-Name": "\"b\"", "NAS-IPv6-Address": "2001:db8::1"],
                ["Acct-Status-Type": "Accounting-On", "NAS-IP-Address": "192.0.2.1"],
            ] as [KeyValuePairs<String, String>] {
                let end = try await send(node, attributes)
                #expect(end.output.contains("Received Accounting-Response"), "\(end.everything)")
            }
            #expect(try sessions(node).map(\.isOpen) == [true, false])
            #expect(try sessions(node)[1].ending == .gatewayRestarted)
        }
    }

    @Test func statusServerIsAnsweredAndAnotherSecretIsNot() async throws {
        try await withNode { node in
            try await node.addClient()
            let status = try await send(node, ["Message-Authenticator": "0x00"], kind: "status")
            #expect(status.output.contains("Received Accounting-Response"), "\(status.everything)")
            let other = try await send(
                node, ["Acct-Status-Type": "Start", "Acct-Session-Id": "\"1\""], secret: "some other shared secret", tries: 1)
            #expect(other.status != 0 && !other.output.contains("Received"), "\(other.everything)")
            #expect(try sessions(node).isEmpty)
            #expect(node.node.radius.explanations.contains { $0.cause == "wrong_request_authenticator" })
        }
    }
}
