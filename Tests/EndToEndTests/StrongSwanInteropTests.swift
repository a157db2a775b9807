// SPDX-License-Identifier: Apache-2.0
// strongSwan as gateway and as device, set up by what `client show --howto` prints; and a tunnel between two network namespaces.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import Store
import Testing

@testable import sallyport

/// Debian packs them apart.
private func hasStrongSwan(_ plugins: String...) -> Bool {
    plugins.allSatisfy { access("/usr/lib/ipsec/plugins/libstrongswan-\($0).so", F_OK) == 0 }
}

/// Two daemons of strongSwan, `gateway` and `device`, with their files.
private struct StrongSwan {
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
            && hasStrongSwan("openssl", "eap-radius", "eap-identity", "eap-mschapv2", "eap-gtc", "xauth-generic") && getuid() == 0,
        "strongSwan or one of its plugins is not installed, or nobody is root"))
struct StrongSwanInteropTests {
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
                    try await swan.load(connections, "gateway")
                    try await swan.load(home, "device")
                    let up = try await swan.swanctl(["--initiate", "--ike", "home", "--timeout", "20"], "device")
                    #expect(up.output.contains("initiate completed successfully"), "\(up.everything) \(folder.text(of: "gateway.log"))")
                    #expect(up.output.contains("authentication of 'alice' (myself) with EAP"), "\(up.everything)")
                    #expect(up.output.contains("authentication of 'CN=gateway' with EAP successful"), "\(up.everything)")
                    let accepted = try #require(try await node.logins("login-accepted", count: 1).first)
                    #expect(accepted.user == "alice")
                    let method = accepted.details.first { $0.name == "protocol" }?.value
                    #expect(method == (way == .gtc ? "EAP-GTC" : "EAP-MSCHAPv2"))
                    // The same code opens nothing again.
                    _ = try await swan.swanctl(["--terminate", "--ike", "home", "--timeout", "10"], "device")
                    let again = try await swan.swanctl(["--initiate", "--ike", "home", "--timeout", "20"], "device")
                    #expect(!again.output.contains("initiate completed successfully"), "\(again.everything)")
                    #expect(try await node.lastReason(of: "alice") == "code-already-used")
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
    .enabled(
        if: Foreign.isHere("charon-systemd", "swanctl", "ip", "ping")
            && hasStrongSwan("openssl", "eap-radius", "eap-identity", "eap-mschapv2", "kernel-libipsec") && getuid() == 0
            && access("/dev/net/tun", R_OK | W_OK) == 0,
        "strongSwan, one of its plugins, ip or ping is not installed, nobody is root, or there is no /dev/net/tun"))
struct TunnelInteropTests {
    @Test func aTunnelCarriesPacketsUntilItsSessionIsEnded() async throws {
        let networks = Networks()
        try await networks.make()
        var problem: (any Error)?
        do {
            let node = try await TestNode.start(
                flags: ["radius.listen": networks.server + ":0", "radius.accounting": networks.server + ":0"])
            do { try await carryPackets(node, networks) } catch { problem = error }
            await node.stop()
        } catch {
            problem = error
        }
        try await networks.remove()
        if let problem { throw problem }
    }

    private func carryPackets(_ node: TestNode, _ networks: Networks) async throws {
        let dynamicPort: UInt16 = 3799
        try await node.addClient("vpn", [networks.client]) {
            $0.profile = "strongswan"
            $0.requirement = "factor"
            $0.eap = ["gtc", "mschapv2"]
            $0.disconnectPort = Int(dynamicPort)
        }
        let token = try await node.addUser()
        let pasted = try await Pasted(node, server: networks.server)
        let swan = try StrongSwan()
        try await swan.makeCertificates()
        let kernel = "kernel-libipsec kernel-netlink"
        let gateway = try swan.daemon(
            "gateway", port: 500, natPort: 4500, more: "eap-radius eap-identity", kernel: kernel,
            include: try pasted.block("/etc/strongswan.d/sallyport.conf"))
        let device = try swan.daemon("device", port: 500, natPort: 4500, more: "eap-identity eap-mschapv2", kernel: kernel)
        let connections = try swan.folder.file(
            "gateway/swanctl.conf",
            try pasted.block("/etc/swanctl/conf.d/sallyport-ikev2.conf") + """
                pools {
                  sallyport {
                    addrs = 10.99.0.0/24
                  }
                }

                """)
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
                  auth = eap-mschapv2
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
                #expect(accepted.user == "alice")
                #expect(accepted.details.contains { $0.name == "protocol" && $0.value == "EAP-MSCHAPv2" })
                let through = try await networks.ping()
                #expect(through.status == 0, "\(through.everything)")
                _ = try await eventually { swan.folder.text(of: "gateway.log").contains("received RADIUS Accounting-Response") }
                let ended = try await node.perform(DisconnectSessions(user: "alice"))
                #expect(ended.results.map(\.answer) == ["acknowledged"], "\(ended) \(swan.folder.text(of: "gateway.log"))")
                let isDown = try await eventually { swan.folder.text(of: "device.log").contains("received DELETE for IKE_SA") }
                #expect(isDown)
                #expect(try await networks.ping().status != 0)
            }
        }
    }
}
