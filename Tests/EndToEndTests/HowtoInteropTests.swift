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
struct Pasted {
    let lines: [String]

    init(_ node: TestNode, client: String = "vpn", server: String = "127.0.0.1") async throws {
        let text = try #require(try await node.perform(ShowClient(name: client, withHowto: true)).howto)
        lines = text.replacing("<server>", with: server).replacing("<secret>", with: TestNode.secret).components(separatedBy: "\n")
    }

    /// The block that begins with the name of this file.
    func block(_ file: String) throws -> String {
        let start = try #require(lines.firstIndex { $0.hasPrefix("# \(file)") }, "no block for \(file)")
        return lines[start...].prefix { !$0.isEmpty }.joined(separator: "\n") + "\n"
    }
}

/// A port that nobody has now.
func freePort(_ kind: __socket_type) throws -> UInt16 {
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
func running(
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
