// SPDX-License-Identifier: Apache-2.0
// `sallyport login --eap`: every method against the node, and against FreeRADIUS.

import Administration
import Foundation
import LoginEngine
import RADIUSDoor
import TestSupport
import Testing

@testable import sallyport

@Suite struct LoginEAPTests {
    /// What `login` did.
    private func login(
        _ node: TestNode, _ method: String, _ lines: [String], _ more: [String] = []
    ) async throws -> Finished {
        let folder = try TemporaryFolder()
        let secret = try folder.file("secret", TestNode.secret + "\n")
        return try await Program.sallyport.run(
            ["login", "alice", "--server", "\(node.endpoint)", "--secret-file", secret, "--password-stdin", "--eap", method] + more,
            input: lines.map { $0 + "\n" }.joined())
    }

    private func authority(_ node: TestNode) -> [String] { ["--ca", "\(node.folder.path)/eap/ca.pem"] }

    @Test(arguments: ["ttls/pap", "ttls/mschapv2", "ttls/gtc", "peap/mschapv2", "peap/gtc", "gtc", "mschapv2", "md5"])
    func theCodeIsThePassword(_ method: String) async throws {
        let outer = String(method.prefix { $0 != "/" })
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = [outer]
            }
            let token = try await node.addUser()
            let isTunnel = outer != method
            let trust = isTunnel ? authority(node) + ["--server-name", NodeLocation.nodeName, "--outer", "anonymous"] : []
            let code = try token.code()
            let accepted = try await login(node, method, [code], trust)
            #expect(accepted.status == 0, "\(accepted.everything)")
            #expect(accepted.output.contains("alice is logged in ("))
            #expect(accepted.output.contains("Message-Authenticator was right in all "))
            let hasKeys = isTunnel || method == "mschapv2"
            #expect(accepted.output.contains("The accept's MPPE keys are those of the device.") == hasKeys, "\(accepted.everything)")
            #expect(accepted.output.contains("as it should be.") == isTunnel)
            if outer == "peap" { #expect(accepted.output.contains("Cryptobinding was right.")) }
            #expect(!accepted.everything.contains(code) && !accepted.everything.contains("NOT verified"))
            #expect(try await node.logins("login-accepted").first?.user == "alice")
            // A code works once.
            let refused = try await login(node, method, [code], trust + ["--json"])
            #expect(refused.status == 2 && refused.output.contains("The server refused"), "\(refused.everything)")
            #expect(try await node.lastReason(of: "alice") == "code-already-used")
        }
    }

    @Test func severalQuestionsAreAnsweredFromLines() async throws {
        try await withNode { node in
            try await node.addClient { $0.eap = ["gtc", "peap"] }
            let token = try await node.addUser()
            let accepted = try await login(node, "gtc", [TestNode.password, try token.code()], ["--show-packets"])
            #expect(accepted.status == 0, "\(accepted.everything)")
            #expect(accepted.output.contains("EAP-Request id 2 EAP-GTC"))
            #expect(accepted.output.contains("EAP-Message = <hidden, "))
            let inside = try await login(node, "peap/gtc", [TestNode.password, try token.code(ahead: 1)], authority(node))
            #expect(inside.status == 0, "\(inside.everything)")
            // What the device wants is not what the server has.
            let other = try await login(node, "ttls/pap", [TestNode.password])
            #expect(other.status == 2 && other.everything.contains("refused"), "\(other.everything)")
            #expect(try await node.logins("login-rejected", count: 1).count == 1)
        }
    }

    @Test func aServerThatIsNotVerifiedIsCalledSoAndAnotherHearsNothing() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = ["ttls"]
            }
            let token = try await node.addUser()
            let blind = try await login(node, "ttls/pap", [try token.code()])
            #expect(blind.status == 0 && blind.everything.contains("NOT verified"), "\(blind.everything)")
            let elsewhere = try TestAuthority("elsewhere", in: node.folder.path)
            let code = try token.code(ahead: 1)
            let stranger = try await login(node, "ttls/pap", [code], ["--ca", elsewhere.certificate])
            #expect(stranger.status == 2, "\(stranger.everything)")
            #expect(stranger.everything.contains("was refused"), "\(stranger.everything)")
            let other = try await login(node, "ttls/pap", [code], authority(node) + ["--server-name", "other.example.org"])
            #expect(other.status == 2 && other.everything.contains("The server's certificate is for "), "\(other.everything)")
            #expect(other.everything.contains("the server was not taken"))
            // Neither has used the code up.
            #expect(try await login(node, "ttls/pap", [code], authority(node)).status == 0)
        }
    }

    @Test(arguments: [
        ["--eap", "leap"], ["--eap", "tls"], ["--eap", "gtc", "--ca", "x"], ["--eap", "gtc", "--protocol", "chap"],
        ["--outer", "anonymous"],
        ["--eap", "ttls/pap", "--device-key", "x"],
    ]) func whatDoesNotFitTogetherIsRefused(_ arguments: [String]) async throws {
        #expect(try await Program.sallyport.run(["login", "alice", "--server", "127.0.0.1:9"] + arguments).status == 64)
    }
}

@Suite(.enabled(if: Foreign.isHere("freeradius"), "freeradius is not installed"))
struct LoginEAPInteropTests {
    @Test(arguments: ["ttls/pap", "ttls/mschapv2", "ttls/gtc", "peap/mschapv2", "peap/gtc", "mschapv2", "md5"], ["1.2", "1.3"])
    func freeradiusAndTheTestClientAgree(_ method: String, _ version: String) async throws {
        let server = try await FreeRADIUSOfEAP.start(version)
        let isTunnel = method.contains("/")
        let trust = isTunnel ? ["--ca", server.authority.certificate, "--server-name", "radius.example.org"] : []
        func login(_ password: String, _ more: [String] = []) async throws -> Finished {
            try await Program.sallyport.run(
                ["login", "alice", "--server", server.address, "--secret-file", server.secretFile, "--password-stdin", "--eap", method]
                    + trust + more, input: password + "\n")
        }
        let accepted = try await login(FreeRADIUSOfEAP.password)
        #expect(accepted.status == 0, "\(accepted.everything) \(server.log)")
        #expect(accepted.output.contains("The accept's MPPE keys are those of the device.") == (method != "md5"), "\(accepted.everything)")
        #expect(accepted.output.contains("TLSv\(version)") == isTunnel)
        let refused = try await login("wrong")
        #expect(refused.status == 2 && refused.everything.contains("The server refused"), "\(refused.everything)")
        try await server.stop()
    }
}

/// Debian's FreeRADIUS 3 with one user and every method; nothing of /etc/freeradius is read.
private struct FreeRADIUSOfEAP: Sendable {
    static let password = "Pass w0rd of alice"

    let authority: TestAuthority
    let secretFile: String
    let address: String
    private let running: RunningProgram
    private let folder: TemporaryFolder

    var log: String { folder.text(of: "radius.log") }

    static func start(_ version: String) async throws -> FreeRADIUSOfEAP {
        let folder = try TemporaryFolder()
        let port = UInt16.random(in: 28_000..<30_000)
        let authority = try TestAuthority(in: folder.path)
        let server = try authority.issue("radius", names: ["radius.example.org"], for: "serverAuth")
        let secretFile = try folder.file("secret", TestNode.secret + "\n")
        _ = try folder.file("dictionary", "")
        let users = try folder.file("users", "alice Cleartext-Password := \"\(password)\"\n")
        _ = try folder.file(
            "radiusd.conf",
            """
            prefix = /usr
            localstatedir = \(folder.path)
            sysconfdir = \(folder.path)
            libdir = /usr/lib/freeradius
            raddbdir = \(folder.path)
            logdir = \(folder.path)
            run_dir = \(folder.path)
            pidfile = \(folder.path)/radiusd.pid
            max_request_time = 30
            cleanup_delay = 5
            max_requests = 1024
            log {
                destination = files
                file = \(folder.path)/radius.log
            }
            security {
                reject_delay = 0
            }
            proxy_requests = no
            client loopback {
                ipaddr = 127.0.0.1
                secret = \(TestNode.secret)
            }
            modules {
                files {
                    usersfile = \(users)
                }
                pap {
                }
                mschap {
                    use_mppe = yes
                }
                eap {
                    default_eap_type = md5
                    tls-config common {
                        certificate_file = \(server.certificate)
                        private_key_file = \(server.key)
                        tls_min_version = "\(version)"
                        tls_max_version = "\(version)"
                        fragment_size = 1024
                    }
                    ttls {
                        tls = common
                        default_eap_type = mschapv2
                        virtual_server = inside
                    }
                    peap {
                        tls = common
                        default_eap_type = mschapv2
                        virtual_server = inside
                    }
                    md5 {
                    }
                    gtc {
                        auth_type = PAP
                    }
                    mschapv2 {
                    }
                }
            }
            server default {
                listen {
                    type = auth
                    ipaddr = 127.0.0.1
                    port = \(port)
                }
                authorize {
                    eap
                    files
                }
                authenticate {
                    Auth-Type MS-CHAP {
                        mschap
                    }
                    Auth-Type PAP {
                        pap
                    }
                    eap
                }
            }
            server inside {
                authorize {
                    mschap
                    eap
                    files
                    pap
                }
                authenticate {
                    Auth-Type PAP {
                        pap
                    }
                    Auth-Type MS-CHAP {
                        mschap
                    }
                    eap
                }
            }
            """)
        let program = try #require(Program(installed: "freeradius"))
        let running = try await program.start(["-f", "-d", folder.path, "-n", "radiusd"])
        let isHere = try await eventually(seconds: 20) { folder.text(of: "radius.log").contains("Ready to process requests") }
        try #require(isHere, "\(folder.text(of: "radius.log"))")
        return FreeRADIUSOfEAP(
            authority: authority, secretFile: secretFile, address: "127.0.0.1:\(port)", running: running, folder: folder)
    }

    func stop() async throws {
        running.signal(SIGTERM)
        _ = try await running.end()
    }
}
