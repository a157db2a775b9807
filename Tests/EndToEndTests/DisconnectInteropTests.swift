// SPDX-License-Identifier: Apache-2.0
// FreeRADIUS as the gateway's dynamic authorisation server: it checks the request by its own rules, and answers.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite(
    .enabled(if: Foreign.isHere("radclient") && Program(installed: "freeradius") != nil, "freeradius and radclient are not installed"))
struct DisconnectInteropTests {
    private static func configuration(_ folder: String, port: UInt16) -> String {
        """
        prefix = /usr
        localstatedir = \(folder)
        sysconfdir = \(folder)
        libdir = /usr/lib/freeradius
        raddbdir = \(folder)
        logdir = \(folder)
        run_dir = \(folder)
        pidfile = \(folder)/radiusd.pid
        proxy_requests = no
        client loopback {
            ipaddr = 127.0.0.1
            secret = \(TestNode.secret)
            require_message_authenticator = yes
        }
        modules {
            always ok {
                rcode = ok
            }
            always reject {
                rcode = reject
            }
        }
        server gateway {
            listen {
                type = coa
                ipaddr = 127.0.0.1
                port = \(port)
            }
            recv-coa {
                if (&Packet-Type == CoA-Request && !(&Filter-Id == "staff" && &Session-Timeout <= 3600)) {
                    update reply {
                        Error-Cause := Unsupported-Attribute
                    }
                    reject
                }
                elsif (&Acct-Session-Id == "4f2a" && &User-Name == "alice" && &NAS-Identifier == "vpn1" && &Event-Timestamp) {
                    ok
                }
                else {
                    update reply {
                        Error-Cause := Session-Context-Not-Found
                    }
                    reject
                }
            }
            send-coa {
                ok
            }
        }
        """
    }

    @Test func freeRADIUSUpdatesAndEndsTheSessionItKnows() async throws {
        let folder = try TemporaryFolder()
        let port = try Self.freePort()
        _ = try folder.file("dictionary", "")
        chmod(try folder.file("radiusd.conf", Self.configuration(folder.path, port: port)), 0o600)
        let server = try #require(Program(installed: "freeradius"))
        let running = try await server.start(["-f", "-l", "stdout", "-d", folder.path, "-n", "radiusd"])
        try #require(
            try await eventually(seconds: 20) { running.output.contains("Ready to process requests") || running.hasEnded },
            "\(running.output)")
        try #require(!running.hasEnded, "\(running.output)")
        try await withNode { node in
            try await node.addClient { $0.disconnectPort = Int(port) }
            try await node.addUser()
            let radclient = try #require(Program(installed: "radclient"), "radclient is required and not installed")
            let accounting = try #require(node.node.radius.boundAccounting.first)
            for session in ["4f2a", "gone"] {
                let end = try await radclient.run(
                    ["-r", "3", "-t", "3", "\(accounting)", "acct", TestNode.secret],
                    input: """
                        Acct-Status-Type = Start, Acct-Session-Id = "\(session)", User-Name = "alice", NAS-Identifier = "vpn1"

                        """)
                #expect(end.status == 0, "\(end.everything)")
            }
            let sessions = try await node.perform(ListSessions(isOpen: true)).sessions
            func updated(_ group: String) async throws -> [String] {
                try await node.setClient { $0.reply = [ReplySetting("Filter-Id", group), ReplySetting("Session-Timeout", "3600")] }
                let known = try #require(sessions.first { $0.sessionID == "4f2a" })
                return try await node.perform(UpdateSessions(id: known.id)).results.map(\.answer)
            }
            #expect(try await updated("staff") == ["acknowledged"], "\(running.output)")
            #expect(try await updated("guests") == ["Unsupported-Attribute"], "\(running.output)")
            let results = try await node.perform(DisconnectSessions(user: "alice")).results
            let answers = Dictionary(
                uniqueKeysWithValues: results.map { result in (sessions.first { $0.id == result.session }?.sessionID ?? "", result.answer) }
            )
            #expect(answers == ["4f2a": "acknowledged", "gone": "Session-Context-Not-Found"], "\(running.output)")
            #expect(try await node.perform(ListSessions(isOpen: true)).sessions.map(\.sessionID) == ["4f2a"])
        }
        running.signal(SIGTERM)
        _ = try await running.end()
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) + getsockname(descriptor, $0, &length)
            }
        }
        try #require(status == 0)
        return UInt16(bigEndian: name.sin_port)
    }
}
