// SPDX-License-Identifier: Apache-2.0
// strongSwan as gateway and as device, set up by what `client show --howto` prints; and a tunnel between two network namespaces.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import Store
import TestSupport
import Testing

@testable import sallyport

/// Debian packs them apart.
func hasStrongSwan(_ plugins: String...) -> Bool {
    plugins.allSatisfy { access("/usr/lib/ipsec/plugins/libstrongswan-\($0).so", F_OK) == 0 }
}

/// Two daemons of strongSwan, `gateway` and `device`, with their files.
struct StrongSwan {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private static let plugins =
        "random nonce drbg openssl aes sha1 sha2 hmac md5 kdf x509 pem pkcs1 pkcs8 pubkey constraints socket-default"

    /// IKEv1 signs with RSA alone.
    func makeCertificates() async throws {
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

    /// Lets the device believe the node, inside of whose TLS it logs in.
    ///
    /// - Returns: the subject that the device has to expect.
    func trustEAP(of node: TestNode) async throws -> String {
        let own = node.folder.path + "/eap"
        _ = try await eventually { access(own + "/ca.pem", R_OK) == 0 }
        try FileManager.default.copyItem(atPath: own + "/ca.pem", toPath: folder.path + "/device/x509ca/eap.pem")
        let shown = try await #require(Program(installed: "openssl")).run(
            ["x509", "-in", own + "/server.pem", "-noout", "-subject", "-nameopt", "RFC2253"])
        return try #require(shown.output.split(separator: "=", maxSplits: 1).last).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// - Parameters:
    ///   - kernel: of two that do the same the first is used.
    /// - Returns: the file of its settings.
    func daemon(
        _ name: String, port: UInt16, natPort: UInt16, more: String, kernel: String = "kernel-netlink", include: String = ""
    ) throws -> String {
        try folder.file(
            name + ".conf",
            """
            charon-systemd {
              load = \(Self.plugins) \(kernel) vici \(more)
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

    func swanctl(_ arguments: [String], _ name: String) async throws -> Finished {
        try await #require(Program(installed: "swanctl")).run(
            arguments + ["--uri", "unix://\(folder.path)/\(name).vici"],
            environment: ["STRONGSWAN_CONF": try folder.file("nothing.conf", "swanctl {\n}\n")])
    }

    /// What alice's device proves itself by, and what it has to trust: the node's own authority.
    ///
    /// - Parameter authority: of devices.
    /// - Returns: lines of its connection.
    func certify(_ authority: TestAuthority, _ node: TestNode) throws -> String {
        let issued = try authority.issue("alice", alternatives: ["email:alice@corp.example"])
        for (file, place) in [
            (issued.certificate, "x509/alice.pem"), (issued.key, "private/alice.key"), (node.folder.path + "/eap/ca.pem", "x509ca/eap.pem"),
        ] {
            try FileManager.default.copyItem(atPath: file, toPath: "\(folder.path)/device/\(place)")
        }
        let server = try #require(node.node.tunnel.inForce).subject
        return """
            auth = eap-tls
            certs = alice.pem
            id = alice@corp.example
            eap_id = alice@corp.example
            aaa_id = "\(server)"
            """
    }

    /// Once it listens.
    func load(_ file: String, _ name: String) async throws {
        _ = try await eventually { access("\(folder.path)/\(name).vici", F_OK) == 0 }
        let loaded = try await swanctl(["--load-all", "--file", file], name)
        #expect(loaded.output.contains("successfully loaded 1 connections"), "\(loaded.everything) \(folder.text(of: name + ".log"))")
    }
}

@Suite(
    .enabled(
        if: Foreign.isHere("charon-systemd", "swanctl")
            && hasStrongSwan("openssl", "eap-radius", "eap-identity", "eap-mschapv2", "eap-gtc", "eap-ttls", "xauth-generic")
            && getuid() == 0,
        "strongSwan or one of its plugins is not installed, or nobody is root"))
struct StrongSwanInteropTests {
    /// What a device is set to, and what of it belongs to the method.
    enum EAPWay: String, Sendable, CaseIterable {
        /// Code as password.
        case msCHAPv2 = "eap-mschapv2"
        /// Password and code in one field.
        case gtc = "eap-gtc"
        /// Password and code in one field, inside of TLS.
        case ttls = "eap-ttls"
        /// The device's own certificate, which the gateway judges, then the code.
        case certificate
        /// The password, then the code under another name (RFC 4739).
        case rounds

        /// How the device proves itself.
        func local(server: String) -> String {
            func part(_ name: String, _ method: String, _ identity: String, _ more: String = "") -> String {
                """
                    \(name) {
                      auth = \(method)
                      id = \(identity)
                      eap_id = \(identity)
                      \(more)
                    }
                """
            }
            return switch self {
            case .msCHAPv2, .gtc: part("local", rawValue, "alice")
            case .ttls: part("local", rawValue, "alice", "aaa_id = \"\(server)\"")
            case .certificate:
                """
                    local-1 {
                      auth = pubkey
                      certs = device.pem
                    }
                """ + "\n" + part("local-2", "eap-gtc", "alice")
            case .rounds: part("local-1", "eap-mschapv2", "alice") + "\n" + part("local-2", "eap-gtc", "alice@otp")
            }
        }

        func secrets(code: String) -> String {
            func secret(_ identity: String, _ text: String) -> String {
                """
                  eap-\(identity.count) {
                    id = \(identity)
                    secret = "\(text)"
                  }
                """
            }
            return switch self {
            case .msCHAPv2, .certificate: secret("alice", code)
            case .gtc, .ttls: secret("alice", TestNode.password + code)
            case .rounds: secret("alice", TestNode.password) + "\n" + secret("alice@otp", code)
            }
        }

        /// What the gateway demands, made of what is pasted there.
        func demands(_ pasted: String) -> String {
            if self == .certificate {
                return pasted.replacing("    remote {", with: "    remote-1 {\n      auth = pubkey\n    }\n    remote-2 {")
            }
            guard self == .rounds else { return pasted }
            // In the order of the file.
            return pasted.replacing("    remote {", with: "    remote-1 {").replacing(
                "      eap_id = %any\n    }",
                with: """
                          eap_id = %any
                        }
                        remote-2 {
                          auth = eap-radius
                          id = *@otp
                          eap_id = %any
                        }
                    """)
        }

        func prepare(_ node: TestNode) async throws {
            if self == .rounds { try await node.perform(KeepPasswords(part: "nt-hash")) }
            try await node.addClient {
                $0.profile = "strongswan"
                $0.disconnectPort = 0
                $0.eap = self == .ttls ? ["ttls"] : ["mschapv2", "gtc"]
                if self == .msCHAPv2 || self == .certificate { $0.requirement = "factor" }
                if self == .rounds {
                    $0.requirement = "deny"
                    $0.nameStripping = "realm"
                }
            }
            guard self == .rounds else { return }
            for (name, requirement, method, realm) in [("second", "factor", nil, "otp"), ("first", "password", "eap-mschapv2", nil)] {
                var choices = PolicyChoices()
                choices.require = requirement
                choices.methods = method.map { [$0] }
                choices.realms = realm.map { [$0] }
                try await node.perform(AddPolicy(name: name, choices: choices))
            }
        }
    }

    @Test(arguments: EAPWay.allCases) func strongSwanLogsInByEAP(_ way: EAPWay) async throws {
        try await withNode { node in
            try await way.prepare(node)
            let token = try await node.addUser()
            let pasted = try await Pasted(node)
            let swan = try StrongSwan()
            let folder = swan.folder
            try await swan.makeCertificates()
            let natPort = try freePort(SOCK_DGRAM)
            let deviceNATPort = try freePort(SOCK_DGRAM)
            let gateway = try swan.daemon(
                "gateway", port: try freePort(SOCK_DGRAM), natPort: natPort, more: "eap-radius eap-identity",
                include: try pasted.block("/etc/strongswan.d/sallyport.conf"))
            let device = try swan.daemon(
                "device", port: try freePort(SOCK_DGRAM), natPort: deviceNATPort,
                more: "eap-identity eap-mschapv2 eap-gtc eap-ttls")
            let server = way == .ttls ? try await swan.trustEAP(of: node) : ""
            let connections = try folder.file(
                "gateway/swanctl.conf",
                way.demands(try pasted.block("/etc/swanctl/conf.d/sallyport-ikev2.conf")) + """
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
                \(way.local(server: server))
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
                \(way.secrets(code: try token.code()))
                }
                """)
            try await running("charon-systemd", [], ["STRONGSWAN_CONF": gateway]) { _ in
                try await running("charon-systemd", [], ["STRONGSWAN_CONF": device]) { _ in
                    try await swan.load(connections, "gateway")
                    try await swan.load(home, "device")
                    let up = try await swan.swanctl(["--initiate", "--ike", "home", "--timeout", "20"], "device")
                    #expect(up.output.contains("initiate completed successfully"), "\(up.everything) \(folder.text(of: "gateway.log"))")
                    #expect(up.output.contains("authentication of 'alice' (myself) with EAP"), "\(up.everything)")
                    #expect(up.output.contains("authentication of 'CN=gateway' with EAP successful"), "\(up.everything)")
                    let accepted = try await node.logins("login-accepted", count: way == .rounds ? 2 : 1)
                    #expect(accepted.map(\.user) == (way == .rounds ? ["alice@otp", "alice"] : ["alice"]))
                    let methods = accepted.map { login in login.details.first { $0.name == "protocol" }?.value }
                    let expected =
                        switch way {
                        case .msCHAPv2: ["EAP-MSCHAPv2"]
                        case .gtc, .certificate: ["EAP-GTC"]
                        case .ttls: ["EAP-TTLS/EAP-GTC"]
                        case .rounds: ["EAP-GTC", "EAP-MSCHAPv2"]
                        }
                    #expect(methods == expected)
                    // The same code opens nothing again.
                    _ = try await swan.swanctl(["--terminate", "--ike", "home", "--timeout", "10"], "device")
                    let again = try await swan.swanctl(["--initiate", "--ike", "home", "--timeout", "20"], "device")
                    #expect(!again.output.contains("initiate completed successfully"), "\(again.everything)")
                    #expect(try await node.lastReason(of: way == .rounds ? "alice@otp" : "alice") == "code-already-used")
                }
            }
        }
    }

    /// By the certificate alone, which the gateway checks, and by EAP-MSCHAPv2; both believe the authority, which is held to a domain.
    @Test(arguments: [DeviceMethod.none, .mschapv2]) func deviceIsSetUpByTheProfileThatWasWrittenForIt(_ method: DeviceMethod) async throws
    {
        try await withNode { node in
            try await node.addClient {
                $0.profile = "strongswan"
                $0.eap = ["mschapv2"]
                $0.requirement = "factor"
            }
            let token = try await node.addUser()
            try await node.perform(InitAuthority(name: "Example CA", domains: ["example.org"]))
            let pasted = try await Pasted(node)
            let swan = try StrongSwan()
            let folder = swan.folder
            func place(_ file: String, _ bytes: [UInt8]) throws {
                let path = URL(fileURLWithPath: folder.path + "/" + file)
                try FileManager.default.createDirectory(at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(bytes).write(to: path)
            }
            let host = try await node.perform(IssueCertificate(name: "vpn.example.org", usage: "server"))
            try place("gateway/x509/cert.pem", Array(host.pem.utf8))
            try place("gateway/private/key.pem", Array(host.key.text.utf8))
            try place("gateway/x509ca/ca.pem", Array(host.authority.utf8))
            let list = try await node.perform(SignRevocationList())
            try place("gateway/x509crl/list.pem", Array(list.pem.utf8))
            var request = AddDevice(user: "alice", label: "box", format: .swanctl, method: method, gateway: "127.0.0.1")
            request.remoteID = "vpn.example.org"
            let profile = try await node.perform(request)
            for file in profile.files { try place("device/" + file.path, Array(Data(base64Encoded: file.contents.text) ?? Data())) }
            let (natPort, deviceNATPort) = (try freePort(SOCK_DGRAM), try freePort(SOCK_DGRAM))
            let gateway = try swan.daemon(
                "gateway", port: try freePort(SOCK_DGRAM), natPort: natPort, more: "revocation eap-radius eap-identity",
                include: try pasted.block("/etc/strongswan.d/sallyport.conf"))
            let device = try swan.daemon(
                "device", port: try freePort(SOCK_DGRAM), natPort: deviceNATPort, more: "eap-identity eap-mschapv2")
            let remote = method == .none ? "auth = pubkey\n cacerts = ca.pem\n revocation = strict" : "auth = eap-radius\n eap_id = %any"
            let connections = try folder.file(
                "gateway/swanctl.conf",
                "connections {\n vpn {\n version = 2\n childless = force\n send_certreq = yes\n local {\n auth = pubkey\n certs = cert.pem\n"
                    + " id = vpn.example.org\n }\n remote {\n \(remote)\n }\n }\n}\n")
            // Ports of this test, and no tunnel (RFC 6023), which would change the routes of this machine.
            let written = folder.text(of: "device/conf.d/alice-box.conf")
            let home = try folder.file(
                "device/swanctl.conf",
                written.replacing(
                    "    vips = 0.0.0.0, ::\n",
                    with: "    remote_port = \(natPort)\n    local_port = \(deviceNATPort)\n    childless = force\n")
                    + "secrets {\n eap-alice-box {\n id = alice\n secret = \"\(try token.code())\"\n }\n}\n")
            try await running("charon-systemd", [], ["STRONGSWAN_CONF": gateway]) { _ in
                try await running("charon-systemd", [], ["STRONGSWAN_CONF": device]) { _ in
                    try await swan.load(connections, "gateway")
                    try await swan.load(home, "device")
                    let up = try await swan.swanctl(["--initiate", "--ike", "alice-box", "--timeout", "20"], "device")
                    #expect(up.output.contains("initiate completed successfully"), "\(up.everything) \(folder.text(of: "gateway.log"))")
                    #expect(up.output.contains("authentication of 'vpn.example.org' with"), "\(up.everything)")
                    guard method == .none else { return }
                    // Revoked, and the gateway has the newer list: the same device is out.
                    _ = try await swan.swanctl(["--terminate", "--ike", "alice-box", "--timeout", "10"], "device")
                    try await node.perform(RevokeDevice(user: "alice", device: "box"))
                    try place("gateway/x509crl/list.pem", Array(try await node.perform(SignRevocationList()).pem.utf8))
                    try await swan.load(connections, "gateway")
                    _ = try await swan.swanctl(["--flush-certs"], "gateway")
                    let again = try await swan.swanctl(["--initiate", "--ike", "alice-box", "--timeout", "20"], "device")
                    #expect(!again.output.contains("initiate completed successfully"), "\(again.everything)")
                    #expect(folder.text(of: "gateway.log").contains("certificate was revoked"), "\(folder.text(of: "gateway.log"))")
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
            let swan = try StrongSwan()
            let folder = swan.folder
            try await swan.makeCertificates()
            let natPort = try freePort(SOCK_DGRAM)
            let gateway = try swan.daemon(
                "gateway", port: try freePort(SOCK_DGRAM), natPort: natPort, more: "eap-radius xauth-generic",
                include: try pasted.block("/etc/strongswan.d/sallyport.conf"))
            let deviceNATPort = try freePort(SOCK_DGRAM)
            let device = try swan.daemon(
                "device", port: try freePort(SOCK_DGRAM), natPort: deviceNATPort, more: "xauth-generic")
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
                    try await swan.load(connections, "gateway")
                    try await swan.load(home, "device")
                    #expect(folder.text(of: "gateway.log").contains("loaded 1 RADIUS server configuration"))
                    let up = try await swan.swanctl(["--initiate", "--ike", "home", "--timeout", "10"], "device")
                    #expect(up.output.contains("XAuth authentication of 'alice' (myself) successful"), "\(up.everything)")
                    #expect(try await node.logins("login-accepted").first?.user == "alice")
                    _ = try await eventually { folder.text(of: "gateway.log").contains("received RADIUS Accounting-Response") }
                    try await node.setClient { $0.reply = [ReplySetting("Session-Timeout", "7200")] }
                    let updated = try await node.perform(UpdateSessions(user: "alice"))
                    #expect(updated.results.map(\.answer) == ["acknowledged"], "\(updated) \(folder.text(of: "gateway.log"))")
                    #expect(folder.text(of: "gateway.log").contains("received RADIUS DAE"), "\(folder.text(of: "gateway.log"))")
                    let ended = try await node.perform(DisconnectSessions(user: "alice"))
                    #expect(ended.results.map(\.answer) == ["acknowledged"], "\(ended) \(folder.text(of: "gateway.log"))")
                }
            }
        }
    }
}

/// A gateway between this machine and a device, each in a network of its own.
private struct Networks {
    let gateway = "sallyport-gateway-\(getpid())"
    let device = "sallyport-device-\(getpid())"
    private let link = "sp\(getpid())"
    /// RFC 2544: 198.18.0.0/15 is for tests.
    private let network = "198.18.\(getpid() % 250)"

    /// Where the gateway finds the node, and where the node sees the gateway.
    var server: String { network + ".1" }
    var client: String { network + ".2" }
    static let outside = "192.0.2.1"
    static let station = "192.0.2.2"
    /// Behind the gateway.
    static let host = "10.20.0.1"

    private func ip(_ words: String) async throws {
        let end = try await #require(Program(installed: "ip")).run(words.split(separator: " ").map(String.init))
        try #require(end.status == 0, "ip \(words): \(end.everything)")
    }

    func make() async throws {
        for name in [gateway, device] {
            try await ip("netns add \(name)")
            try await ip("-n \(name) link set lo up")
        }
        try await ip("link add \(link) type veth peer name g0 netns \(gateway)")
        try await ip("addr add \(server)/24 dev \(link)")
        try await ip("link set \(link) up")
        try await ip("-n \(gateway) addr add \(client)/24 dev g0")
        try await ip("-n \(gateway) link set g0 up")
        try await ip("-n \(gateway) link add g1 type veth peer name d1 netns \(device)")
        try await ip("-n \(gateway) addr add \(Self.outside)/24 dev g1")
        try await ip("-n \(gateway) link set g1 up")
        try await ip("-n \(gateway) addr add \(Self.host)/32 dev lo")
        try await ip("-n \(device) addr add \(Self.station)/24 dev d1")
        try await ip("-n \(device) link set d1 up")
    }

    /// What was made goes with the namespaces.
    func remove() async throws {
        for name in [gateway, device] { try await ip("netns del \(name)") }
    }

    func ping() async throws -> Finished {
        try await #require(Program(installed: "ip")).run(
            ["netns", "exec", device, "ping", "-c", "2", "-i", "0.2", "-W", "3", Self.host])
    }
}

@Suite(
    .serialized,
    .enabled(
        if: Foreign.isHere("charon-systemd", "swanctl", "ip", "ping")
            && hasStrongSwan("openssl", "eap-radius", "eap-identity", "eap-mschapv2", "eap-tls", "kernel-libipsec") && getuid() == 0
            && access("/dev/net/tun", R_OK | W_OK) == 0,
        "strongSwan, one of its plugins, ip or ping is not installed, nobody is root, or there is no /dev/net/tun"))
struct TunnelInteropTests {
    enum Course: String, Sendable, CaseIterable {
        case codeUntilDisconnect, codeUntilDisabled, certificate
    }

    @Test(arguments: Course.allCases) func aTunnelCarriesPacketsUntilItsSessionIsEnded(_ course: Course) async throws {
        let networks = Networks()
        try await networks.make()
        var problem: (any Error)?
        do {
            let folder = try TemporaryFolder()
            let devices = course == .certificate ? try TestAuthority("devices", in: folder.path) : nil
            var flags = ["radius.listen": networks.server + ":0", "radius.accounting": networks.server + ":0"]
            if let devices {
                (flags["eap.client-ca"], flags["eap.client-crl"]) = (devices.certificate, try devices.revoke())
            }
            let node = try await TestNode.start(flags: flags)
            do { try await carryPackets(node, networks, devices, course) } catch { problem = error }
            await node.stop()
            withExtendedLifetime(folder) {}
        } catch {
            problem = error
        }
        try await networks.remove()
        if let problem { throw problem }
    }

    /// - Parameter devices: who signs the device's certificate; nil: its user has a code.
    private func carryPackets(_ node: TestNode, _ networks: Networks, _ devices: TestAuthority?, _ course: Course) async throws {
        let dynamicPort: UInt16 = 3799
        try await node.addClient("vpn", [networks.client]) {
            $0.profile = "strongswan"
            $0.requirement = devices == nil ? "factor" : "certificate"
            $0.eap = devices == nil ? ["gtc", "mschapv2"] : ["tls"]
            $0.disconnectPort = Int(dynamicPort)
            $0.reply = [ReplySetting("Framed-IP-Address", "10.98.0.77")]
        }
        let token = try await node.addUser()
        try await node.setUser("alice") { $0.addAliases = ["alice@corp.example"] }
        let pasted = try await Pasted(node, server: networks.server)
        let swan = try StrongSwan()
        try await swan.makeCertificates()
        let kernel = "kernel-libipsec kernel-netlink"
        let gateway = try swan.daemon(
            "gateway", port: 500, natPort: 4500, more: "eap-radius eap-identity", kernel: kernel,
            include: try pasted.block("/etc/strongswan.d/sallyport.conf"))
        let device = try swan.daemon("device", port: 500, natPort: 4500, more: "eap-identity eap-mschapv2 eap-tls", kernel: kernel)
        let user =
            try devices.map { try swan.certify($0, node) }
                ?? """
                auth = eap-mschapv2
                id = alice
                eap_id = alice
                """
        let connections = try swan.folder.file(
            "gateway/swanctl.conf",
            // The address is the node's to give.
            try pasted.block("/etc/swanctl/conf.d/sallyport-ikev2.conf").replacing("pools = sallyport", with: "pools = radius"))
        let home = try swan.folder.file(
            "device/swanctl.conf",
            """
            connections {
              home {
                version = 2
                local_addrs = \(Networks.station)
                remote_addrs = \(Networks.outside)
                vips = 0.0.0.0
                local {
                  \(user)
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
                secret = "\(try token.code())"
              }
            }
            """)
        let exec = { (name: String) in ["netns", "exec", name, "charon-systemd"] }
        try await running("ip", exec(networks.gateway), ["STRONGSWAN_CONF": gateway]) { _ in
            try await running("ip", exec(networks.device), ["STRONGSWAN_CONF": device]) { _ in
                try await swan.load(connections, "gateway")
                try await swan.load(home, "device")
                let up = try await swan.swanctl(["--initiate", "--ike", "home", "--child", "net", "--timeout", "20"], "device")
                #expect(up.output.contains("initiate completed successfully"), "\(up.everything) \(swan.folder.text(of: "gateway.log"))")
                let accepted = try #require(try await node.logins("login-accepted", count: 1).first)
                #expect(accepted.user == (devices == nil ? "alice" : "alice@corp.example"))
                let method = devices == nil ? "EAP-MSCHAPv2" : "EAP-TLS"
                #expect(accepted.details.contains { $0.name == "protocol" && $0.value == method })
                let through = try await networks.ping()
                #expect(through.status == 0, "\(through.everything)")
                _ = try await eventually { swan.folder.text(of: "gateway.log").contains("received RADIUS Accounting-Response") }
                let session = try #require(try await node.perform(ListSessions(user: "alice")).sessions.first)
                #expect(session.addresses.contains("10.98.0.77"), "\(session)")
                switch course {
                case .codeUntilDisconnect, .certificate:
                    let ended = try await node.perform(DisconnectSessions(user: "alice"))
                    #expect(ended.results.map(\.answer) == ["acknowledged"], "\(ended) \(swan.folder.text(of: "gateway.log"))")
                case .codeUntilDisabled:
                    try await node.setUser("alice") { $0.status = "disabled" }
                }
                let isDown = try await eventually { swan.folder.text(of: "device.log").contains("received DELETE for IKE_SA") }
                #expect(isDown)
                #expect(try await networks.ping().status != 0)
                guard let devices else { return }
                // Somebody else has the device now.
                _ = try devices.revoke(TestAuthority.Issued(certificate: "\(devices.folder)/alice.pem", key: ""))
                node.node.reloadCertificates()
                let again = try await swan.swanctl(["--initiate", "--ike", "home", "--child", "net", "--timeout", "20"], "device")
                #expect(!again.output.contains("initiate completed successfully"), "\(again.everything)")
                // It ends at the alert, and never answers it.
                #expect(try await node.lastReason(of: "alice@corp.example") == "certificate-refused")
                #expect(node.node.radius.refusedDevices == ["revoked_certificate": 1])
            }
        }
    }
}
