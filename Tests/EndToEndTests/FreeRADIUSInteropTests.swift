// SPDX-License-Identifier: Apache-2.0
// FreeRADIUS as a TLS client: a proxy whose home server is the node, as docs/gateways/radsec.md has it.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import TestSupport
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("freeradius", "radclient"), "freeradius and radclient (freeradius-utils) are not installed"))
struct FreeRADIUSInteropTests {
    @Test func freeradiusCarriesLoginsAndSessionsOverTLS() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            let token = try await radsec.node.addUser()
            let proxy = try await FreeRADIUSProxy(radsec)
            let question = try await proxy.ask(["User-Name": "alice", "User-Password": TestNode.password])
            let received = try #require(
                question.output.range(of: "Received Access-Challenge"), "\(question.everything) \(proxy.log)")
            let state = try #require(question.output[received.upperBound...].firstMatch(of: /State = (0x[0-9a-f]+)/)).1
            let answer = try await proxy.ask(["User-Name": "alice", "User-Password": try token.code(), "State": String(state)])
            #expect(answer.output.contains("Received Access-Accept"), "\(answer.everything) \(proxy.log)")
            let wrong = try await proxy.ask(["User-Name": "alice", "User-Password": "wrong"])
            #expect(wrong.output.contains("Received Access-Reject"), "\(wrong.everything) \(proxy.log)")

            let start = try await proxy.report(["Acct-Status-Type": "Start", "Acct-Session-Id": "4f2a", "User-Name": "alice"])
            #expect(start.output.contains("Received Accounting-Response"), "\(start.everything) \(proxy.log)")
            let session = try #require(try await radsec.node.perform(ListSessions(isOpen: true)).sessions.first)
            #expect(session.user == "alice" && session.client == "branch" && session.sessionID == "4f2a")
            #expect(radsec.node.node.radius.openConnections > 0 && radsec.refusals.isEmpty)
        }
    }

    @Test func freeradiusWithAStrangersCertificateGetsNoAnswerAndALine() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            let strangers = try TestAuthority("stranger", in: radsec.authority.folder)
            let proxy = try await FreeRADIUSProxy(radsec, showing: try strangers.issue("thief", names: ["gw1.example.org"]))
            let answer = try await proxy.ask(["User-Name": "alice", "User-Password": TestNode.password], seconds: 2)
            #expect(!answer.output.contains("Received Access-Accept") && !answer.output.contains("Received Access-Challenge"))
            #expect(try await eventually { (radsec.refusals["untrusted_certificate"] ?? 0) > 0 }, "\(proxy.log)")
        }
    }
}

/// Debian's FreeRADIUS 3: UDP on one side, TLS on the other. Nothing of /etc/freeradius is read.
private final class FreeRADIUSProxy: Sendable {
    private let running: RunningProgram
    private let folder: TemporaryFolder
    private let port: UInt16
    private let accountingPort: UInt16
    private static let secret = "between-radclient-and-freeradius"

    init(_ radsec: RadSecNode, showing issued: TestAuthority.Issued? = nil) async throws {
        folder = try TemporaryFolder()
        port = try RadSecProxy.freePort()
        accountingPort = try RadSecProxy.freePort()
        let shown = issued ?? radsec.gateway
        _ = try folder.file(
            "radiusd.conf",
            """
            confdir = \(folder.path)
            run_dir = \(folder.path)
            db_dir = \(folder.path)
            libdir = /usr/lib/freeradius
            pidfile = \(folder.path)/pid
            proxy_requests = yes
            security {
                max_attributes = 200
                reject_delay = 0
                status_server = no
            }
            client radclient {
                ipaddr = 127.0.0.1
                secret = \(Self.secret)
            }
            home_server sallyport {
                ipaddr = 127.0.0.1
                port = \(radsec.port)
                type = auth+acct
                proto = tcp
                secret = radsec
                status_check = status-server
                tls {
                    private_key_file = \(shown.key)
                    certificate_file = \(shown.certificate)
                    ca_file = \(radsec.authority.certificate)
                    tls_min_version = "1.2"
                    tls_max_version = "1.3"
                }
            }
            home_server_pool sallyport {
                home_server = sallyport
            }
            realm DEFAULT {
                auth_pool = sallyport
                acct_pool = sallyport
            }
            modules {
            }
            server default {
                listen {
                    type = auth
                    ipaddr = 127.0.0.1
                    port = \(port)
                }
                listen {
                    type = acct
                    ipaddr = 127.0.0.1
                    port = \(accountingPort)
                }
                authorize {
                    update control {
                        &Proxy-To-Realm := "DEFAULT"
                    }
                }
                preacct {
                    update control {
                        &Proxy-To-Realm := "DEFAULT"
                    }
                }
            }

            """)
        let program = try #require(Program(installed: "freeradius"), "freeradius is required and not installed")
        // As the user of the test: it would else change to another one that cannot read the files.
        running = try await program.start(["-X", "-d", folder.path])
        let running = running
        _ = try await eventually(seconds: 20) { running.hasEnded || running.output.contains("Ready to process requests") }
        try #require(!running.hasEnded, "\(running.output) \(running.errors)")
    }

    deinit {
        running.signal(SIGKILL)
    }

    var log: String { running.output + running.errors }

    func ask(_ attributes: KeyValuePairs<String, String>, seconds: Int = 15) async throws -> Finished {
        try await send("auth", to: port, attributes, seconds: seconds)
    }

    func report(_ attributes: KeyValuePairs<String, String>) async throws -> Finished {
        try await send("acct", to: accountingPort, attributes, seconds: 15)
    }

    private func send(_ kind: String, to port: UInt16, _ attributes: KeyValuePairs<String, String>, seconds: Int) async throws -> Finished {
        let program = try #require(Program(installed: "radclient"), "radclient is required and not installed")
        let lines =
            attributes.map { "\($0) = \($1.hasPrefix("0x") ? $1 : "\"\($1)\"")" } + (kind == "auth" ? ["Message-Authenticator = 0x00"] : [])
        return try await program.run(
            ["-x", "-r", "1", "-t", "\(seconds)", "127.0.0.1:\(port)", kind, Self.secret], input: lines.joined(separator: "\n") + "\n")
    }
}
