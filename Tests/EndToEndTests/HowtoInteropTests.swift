// SPDX-License-Identifier: Apache-2.0
// What `client show --howto` prints, pasted into the programs that it is for: they take it, and a user logs in by them.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import Store
import TestSupport
import Testing

@testable import sallyport

/// The blocks of a client's howto, with what an administrator fills in by hand.
private struct Pasted {
    let lines: [String]

    init(_ node: TestNode, client: String = "vpn") async throws {
        let text = try #require(try await node.perform(ShowClient(name: client, withHowto: true)).howto)
        lines = text.replacing("<server>", with: "127.0.0.1").replacing("<secret>", with: TestNode.secret).components(separatedBy: "\n")
    }

    /// The block that begins with the name of this file.
    func block(_ file: String) throws -> String {
        let start = try #require(lines.firstIndex { $0.hasPrefix("# \(file)") }, "no block for \(file)")
        return lines[start...].prefix { !$0.isEmpty }.joined(separator: "\n") + "\n"
    }
}

/// A port that nobody has now.
private func freePort(_ kind: __socket_type) throws -> UInt16 {
    let descriptor = socket(AF_INET, CInt(kind.rawValue), 0)
    defer { close(descriptor) }
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &name) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) + getsockname(descriptor, $0, &length) }
    }
    try #require(status == 0)
    return UInt16(bigEndian: name.sin_port)
}

/// Runs a daemon while `body` works, and ends it so that it takes its children along.
private func running(
    _ program: String, _ arguments: [String], _ environment: [String: String] = [:], _ body: (RunningProgram) async throws -> Void
)
    async throws
{
    let daemon = try await #require(Program(installed: program)).start(arguments, environment: environment)
    var problem: (any Error)?
    do { try await body(daemon) } catch { problem = error }
    daemon.signal(SIGTERM)
    _ = try await daemon.end()
    if let problem { throw problem }
}

@Suite(
    .enabled(if: Foreign.isHere("ocserv", "openconnect") && getuid() == 0, "ocserv and openconnect are not installed, or nobody is root"))
struct OpenConnectInteropTests {
    @Test func openConnectIsAskedForTheCode() async throws {
        try await withNode { node in
            try await node.addClient { $0.profile = "ocserv" }
            let token = try await node.addUser()
            let pasted = try await Pasted(node)
            let folder = try TemporaryFolder()
            let authority = try TestAuthority(in: folder.path)
            let certificate = try authority.issue("localhost", names: ["localhost"], for: "serverAuth")
            let port = try freePort(SOCK_STREAM)
            chmod(try folder.file("servers", try pasted.block("/etc/radcli/servers")), 0o600)
            let radcli = try folder.file(
                "radiusclient.conf",
                try pasted.block("/etc/radcli/radiusclient.conf").replacing("/etc/radcli/servers", with: folder.path + "/servers"))
            let configuration = try folder.file(
                "ocserv.conf",
                try pasted.block("/etc/ocserv/ocserv.conf").replacing("/etc/radcli/radiusclient.conf", with: radcli) + """
                    tcp-port = \(port)
                    listen-host = 127.0.0.1
                    socket-file = \(folder.path)/socket
                    server-cert = \(certificate.certificate)
                    server-key = \(certificate.key)
                    run-as-user = root
                    run-as-group = root
                    isolate-workers = false
                    use-occtl = false
                    device = vpns
                    ipv4-network = 10.99.0.0/24

                    """)
            let check = try await #require(Program(installed: "ocserv")).run(["--test-config", "-c", configuration])
            #expect(check.status == 0, "\(check.everything)")
            let code = try token.code()
            try await running("ocserv", ["--foreground", "--debug", "3", "-c", configuration]) { ocserv in
                let isUp = try await eventually { (ocserv.errors + ocserv.output).contains("initialized ocserv") }
                try #require(isUp, "\(ocserv.errors)")
                let client = try await #require(Program(installed: "openconnect")).run(
                    [
                        "--authenticate", "--protocol=anyconnect", "--user=alice", "--cafile", authority.certificate, "--no-system-trust",
                        "--passwd-on-stdin", "https://localhost:\(port)/",
                    ], input: "\(TestNode.password)\n\(code)\n")
                #expect(client.status == 0 && client.output.contains("COOKIE="), "\(client.everything)")
                #expect(client.everything.contains("Enter your code:"))
            }
            #expect(try await node.logins("login-accepted").first?.user == "alice")
        }
    }
}

@Suite(
    .enabled(
        if: Foreign.isHere("python3") && access("/lib/x86_64-linux-gnu/security/pam_radius_auth.so", F_OK) == 0,
        "pam_radius (libpam-radius-auth) is not installed"))
struct PAMInteropTests {
    /// Logs in by PAM with answers given in advance; service files in a folder of its own need `pam_start_confdir` (Linux-PAM 1.4).
    private static let login = """
        import ctypes, sys
        pam, libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL(None)
        class Message(ctypes.Structure): _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]
        class Response(ctypes.Structure): _fields_ = [("text", ctypes.c_void_p), ("code", ctypes.c_int)]
        Talk = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(Message)),
            ctypes.POINTER(ctypes.POINTER(Response)), ctypes.c_void_p)
        libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
        answers = sys.argv[3:]
        @Talk
        def talk(count, messages, responses, data):
            array = ctypes.cast(libc.calloc(count, ctypes.sizeof(Response)), ctypes.POINTER(Response))
            for i in range(count):
                print(messages[i].contents.style, messages[i].contents.text.decode())
                if messages[i].contents.style in (1, 2): array[i].text = libc.strdup((answers.pop(0) if answers else "").encode())
            responses[0] = array
            return 0
        class Conversation(ctypes.Structure): _fields_ = [("talk", Talk), ("data", ctypes.c_void_p)]
        handle, conversation = ctypes.c_void_p(), Conversation(talk, None)
        started = pam.pam_start_confdir(b"sallyport", sys.argv[2].encode(), ctypes.byref(conversation), sys.argv[1].encode(), ctypes.byref(handle))
        print("result", started, pam.pam_authenticate(handle, 0))
        """

    @Test func pamShowsTheChallenge() async throws {
        try await withNode { node in
            try await node.addClient { $0.profile = "pam_radius" }
            let token = try await node.addUser()
            let pasted = try await Pasted(node)
            let folder = try TemporaryFolder()
            let servers = try folder.file("pam_radius_auth.conf", try pasted.block("/etc/pam_radius_auth.conf"))
            chmod(servers, 0o600)
            let service = try pasted.block("/etc/pam.d/sshd").replacing(".so ", with: ".so conf=\(servers) ")
            _ = try folder.file("sallyport", service)
            let script = try folder.file("login.py", Self.login)
            let python = try #require(Program(installed: "python3"))
            let accepted = try await python.run([script, folder.path, "alice", TestNode.password, try token.code()])
            #expect(accepted.output.contains("1 Password: "), "\(accepted.everything)")
            // PAM_PROMPT_ECHO_ON, since the server says so.
            #expect(accepted.output.contains("2 Enter your code:"))
            #expect(accepted.output.contains("result 0 0"))
            #expect(try await node.logins("login-accepted").count == 1)
            // PAM_AUTH_ERR
            let refused = try await python.run([script, folder.path, "alice", TestNode.password, try token.wrongCode()])
            #expect(refused.output.contains("result 0 7"), "\(refused.everything)")
        }
    }
}

/// Debian packs them apart.
private let hasStrongSwanPlugins = ["openssl", "eap-radius", "eap-identity", "eap-mschapv2", "eap-gtc", "xauth-generic"].allSatisfy {
    access("/usr/lib/ipsec/plugins/libstrongswan-\($0).so", F_OK) == 0
}

@Suite(
    .enabled(
        if: Foreign.isHere("charon-systemd", "swanctl") && hasStrongSwanPlugins && getuid() == 0,
        "strongSwan or one of its plugins is not installed, or nobody is root"))
struct StrongSwanInteropTests {
    private static let plugins =
        "random nonce drbg openssl aes sha1 sha2 hmac md5 kdf x509 pem pkcs1 pkcs8 pubkey constraints socket-default kernel-netlink vici"

    /// IKEv1 signs with RSA alone.
    private func certificates(in folder: TemporaryFolder) async throws {
        let openssl = try #require(Program(installed: "openssl"))
        let key = ["-newkey", "rsa:2048", "-nodes", "-days", "3"]
        _ = try await openssl.run(
            ["req", "-x509", "-subj", "/CN=authority", "-keyout", folder.path + "/ca.key", "-out", folder.path + "/ca.pem"] + key)
        for name in ["gateway", "device"] {
            for part in ["x509", "x509ca", "private"] {
                try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)/\(part)", withIntermediateDirectories: true)
            }
            let end = try await openssl.run(
                [
                    "req", "-x509", "-CA", folder.path + "/ca.pem", "-CAkey", folder.path + "/ca.key", "-subj", "/CN=\(name)", "-addext",
                    "basicConstraints=CA:false", "-keyout", "\(folder.path)/\(name)/private/\(name).key", "-out",
                    "\(folder.path)/\(name)/x509/\(name).pem",
                ] + key)
            try #require(end.status == 0, "\(end.everything)")
            try FileManager.default.copyItem(atPath: folder.path + "/ca.pem", toPath: "\(folder.path)/\(name)/x509ca/ca.pem")
        }
    }

    private func daemon(_ name: String, in folder: TemporaryFolder, port: UInt16, natPort: UInt16, more: String, include: String = "")
        throws -> String
    {
        try folder.file(
            name + ".conf",
            """
            charon-systemd {
              load = \(Self.plugins) \(more)
              port = \(port)
              port_nat_t = \(natPort)
              filelog {
                file {
                  path = \(folder.path)/\(name).log
                  default = 1
                  flush_line = yes
                }
              }
              plugins {
                vici {
                  socket = unix://\(folder.path)/\(name).vici
                }
              }
            }
            \(include)
            """)
    }

    private func swanctl(_ arguments: [String], _ name: String, in folder: TemporaryFolder) async throws -> Finished {
        try await #require(Program(installed: "swanctl")).run(
            arguments + ["--uri", "unix://\(folder.path)/\(name).vici"],
            environment: ["STRONGSWAN_CONF": try folder.file("nothing.conf", "swanctl {\n}\n")])
    }

    /// What a device is set to, and what of it belongs to the method.
    enum EAPWay: String, Sendable, CaseIterable {
        /// Code as password.
        case msCHAPv2 = "eap-mschapv2"
        /// Password and code in one field.
        case gtc = "eap-gtc"
    }

    @Test(arguments: EAPWay.allCases) func strongSwanLogsInByEAP(_ way: EAPWay) async throws {
        try await withNode { node in
            try await node.addClient {
                $0.profile = "strongswan"
                $0.disconnectPort = 0
                $0.eap = ["mschapv2", "gtc"]
                if way == .msCHAPv2 { $0.requirement = "factor" }
            }
            let token = try await node.addUser()
            let pasted = try await Pasted(node)
            let folder = try TemporaryFolder()
            try await certificates(in: folder)
            let natPort = try freePort(SOCK_DGRAM)
            let deviceNATPort = try freePort(SOCK_DGRAM)
            let gateway = try daemon(
                "gateway", in: folder, port: try freePort(SOCK_DGRAM), natPort: natPort, more: "eap-radius eap-identity",
                include: try pasted.block("/etc/strongswan.d/sallyport.conf"))
            let device = try daemon(
                "device", in: folder, port: try freePort(SOCK_DGRAM), natPort: deviceNATPort,
                more: "eap-identity eap-mschapv2 eap-gtc")
            let connections = try folder.file(
                "gateway/swanctl.conf",
                try pasted.block("/etc/swanctl/conf.d/sallyport-ikev2.conf") + """
                    pools {
                      sallyport {
                        addrs = 10.99.0.0/24
                      }
                    }

                    """)
            // Without a tunnel (RFC 6023), which would change the routes of this machine. The method's keys make AUTH all the same.
            let home = try folder.file(
                "device/swanctl.conf",
                """
                connections {
                  home {
                    version = 2
                    remote_addrs = 127.0.0.1
                    remote_port = \(natPort)
                    local_port = \(deviceNATPort)
                    childless = force
                    local {
                      auth = \(way.rawValue)
                      id = alice
                      eap_id = alice
                    }
                    remote {
                      auth = pubkey
                      id = "CN=gateway"
                    }
                    children {
                      net {
                        remote_ts = 10.20.0.0/16
                      }
                    }
                  }
                }
                secrets {
                  eap-alice {
                    id = alice
                    secret = "\(way == .gtc ? TestNode.password : "")\(try token.code())"
                  }
                }
                """)
            try await running("charon-systemd", [], ["STRONGSWAN_CONF": gateway]) { _ in
                try await running("charon-systemd", [], ["STRONGSWAN_CONF": device]) { _ in
                    for (name, file) in [("gateway", connections), ("device", home)] {
                        _ = try await eventually { access("\(folder.path)/\(name).vici", F_OK) == 0 }
                        let loaded = try await swanctl(["--load-all", "--file", file], name, in: folder)
                        #expect(loaded.output.contains("successfully loaded 1 connections"), "\(loaded.everything)")
                    }
                    let up = try await swanctl(["--initiate", "--ike", "home", "--timeout", "20"], "device", in: folder)
                    #expect(up.output.contains("initiate completed successfully"), "\(up.everything) \(folder.text(of: "gateway.log"))")
                    #expect(up.output.contains("authentication of 'alice' (myself) with EAP"), "\(up.everything)")
                    #expect(up.output.contains("authentication of 'CN=gateway' with EAP successful"), "\(up.everything)")
                    let accepted = try #require(try await node.logins("login-accepted", count: 1).first)
                    #expect(accepted.user == "alice")
                    let method = accepted.details.first { $0.name == "protocol" }?.value
                    #expect(method == (way == .gtc ? "EAP-GTC" : "EAP-MSCHAPv2"))
                    // The same code opens nothing again.
                    _ = try await swanctl(["--terminate", "--ike", "home", "--timeout", "10"], "device", in: folder)
                    let again = try await swanctl(["--initiate", "--ike", "home", "--timeout", "20"], "device", in: folder)
                    #expect(!again.output.contains("initiate completed successfully"), "\(again.everything)")
                    #expect(try await node.lastReason(of: "alice") == "code-already-used")
                }
            }
        }
    }

    @Test func strongSwanLogsInByXAuthAndEndsTheSession() async throws {
        try await withNode { node in
            let dynamicPort = try freePort(SOCK_DGRAM)
            try await node.addClient {
                $0.profile = "strongswan"
                $0.disconnectPort = Int(dynamicPort)
            }
            let token = try await node.addUser()
            let pasted = try await Pasted(node)
            let folder = try TemporaryFolder()
            try await certificates(in: folder)
            let natPort = try freePort(SOCK_DGRAM)
            let gateway = try daemon(
                "gateway", in: folder, port: try freePort(SOCK_DGRAM), natPort: natPort, more: "eap-radius xauth-generic",
                include: try pasted.block("/etc/strongswan.d/sallyport.conf"))
            let deviceNATPort = try freePort(SOCK_DGRAM)
            let device = try daemon(
                "device", in: folder, port: try freePort(SOCK_DGRAM), natPort: deviceNATPort, more: "xauth-generic")
            let connections = try folder.file("gateway/swanctl.conf", try pasted.block("/etc/swanctl/conf.d/sallyport.conf"))
            // As strongSwan puts the two together where it asks for both: nothing between them.
            let home = try folder.file(
                "device/swanctl.conf",
                """
                connections {
                  home {
                    version = 1
                    remote_addrs = 127.0.0.1
                    remote_port = \(natPort)
                    local_port = \(deviceNATPort)
                    vips = 0.0.0.0
                    local-1 {
                      auth = pubkey
                      certs = device.pem
                    }
                    local-2 {
                      auth = xauth
                      xauth_id = alice
                    }
                    remote {
                      auth = pubkey
                      id = "CN=gateway"
                    }
                    children {
                      net {
                        remote_ts = 10.20.0.0/16
                      }
                    }
                  }
                }
                secrets {
                  xauth-alice {
                    id = alice
                    secret = "\(TestNode.password)\(try token.code())"
                  }
                }
                """)
            try await running("charon-systemd", [], ["STRONGSWAN_CONF": gateway]) { _ in
                try await running("charon-systemd", [], ["STRONGSWAN_CONF": device]) { _ in
                    for (name, file) in [("gateway", connections), ("device", home)] {
                        _ = try await eventually { access("\(folder.path)/\(name).vici", F_OK) == 0 }
                        let loaded = try await swanctl(["--load-all", "--file", file], name, in: folder)
                        #expect(loaded.output.contains("successfully loaded 1 connections"), "\(loaded.everything)")
                    }
                    #expect(folder.text(of: "gateway.log").contains("loaded 1 RADIUS server configuration"))
                    let up = try await swanctl(["--initiate", "--ike", "home", "--timeout", "10"], "device", in: folder)
                    #expect(up.output.contains("XAuth authentication of 'alice' (myself) successful"), "\(up.everything)")
                    #expect(try await node.logins("login-accepted").first?.user == "alice")
                    _ = try await eventually { folder.text(of: "gateway.log").contains("received RADIUS Accounting-Response") }
                    let ended = try await node.perform(DisconnectSessions(user: "alice"))
                    #expect(ended.results.map(\.answer) == ["acknowledged"], "\(ended) \(folder.text(of: "gateway.log"))")
                }
            }
        }
    }
}
