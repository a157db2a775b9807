// SPDX-License-Identifier: Apache-2.0
// strongSwan as gateway and device, each in a network namespace of its own, and a tunnel between them.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import Store
import TestSupport
import Testing

@testable import sallyport

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
