// SPDX-License-Identifier: Apache-2.0
// strongSwan as gateway and as device, set up by what `client show --howto` prints.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import Store
import TestSupport
import Testing

@testable import sallyport

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
