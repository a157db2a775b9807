// SPDX-License-Identifier: Apache-2.0
// A factor that comes by itself holds an EAP round open, while strongSwan sends it again and again.

import Administration
import Foundation
import Glibc
import LoginEngine
import Store
import TestSupport
import Testing

@testable import sallyport

@Suite(
    .enabled(
        if: Foreign.isHere("charon-systemd", "swanctl")
            && hasStrongSwan("openssl", "eap-radius", "eap-identity", "eap-mschapv2", "eap-tls") && getuid() == 0,
        "strongSwan or one of its plugins is not installed, or nobody is root"))
struct StrongSwanHeldFactorInteropTests {
    /// What the device proves before the phone is asked, and what its user says there.
    enum Course: String, Sendable, CaseIterable {
        case passwordApproved, passwordDenied, certificateApproved

        var isCertificate: Bool { self == .certificateApproved }
        var answer: FactorAnswer { self == .passwordDenied ? .denied(notMe: true) : .approved }
    }

    @Test(arguments: Course.allCases) func onePushAnswersEveryRetryOfTheGateway(_ course: Course) async throws {
        let folder = try TemporaryFolder()
        let devices = course.isCertificate ? try TestAuthority("devices", in: folder.path) : nil
        var flags: [String: String] = [:]
        if let devices { (flags["eap.client-ca"], flags["eap.client-crl"]) = (devices.certificate, try devices.revoke()) }
        let phone = ScriptedPhone()
        let node = try await TestNode.start(flags: flags, factors: [phone])
        var problem: (any Error)?
        do { try await hold(node, phone, devices, course) } catch { problem = error }
        await node.stop()
        withExtendedLifetime(folder) {}
        if let problem { throw problem }
    }

    private func hold(_ node: TestNode, _ phone: ScriptedPhone, _ devices: TestAuthority?, _ course: Course) async throws {
        try await node.perform(KeepPasswords(part: "nt-hash"))
        try await node.addClient {
            $0.profile = "strongswan"
            $0.disconnectPort = 0
            $0.automaticPush = true
            $0.requirement = course.isCertificate ? "certificate+factor" : "password+factor"
            $0.eap = course.isCertificate ? ["tls"] : ["mschapv2"]
        }
        try await node.perform(AddUser(name: "alice", password: SecretText(TestNode.password)))
        try await node.setUser("alice") { $0.addAliases = ["alice@corp.example"] }
        let records = node.node.store.records
        let now = NodeClock.now().wall
        let alice = try #require(try records.user(key: "alice")).id
        _ = try await records.addFactor(
            NewFactor(user: alice, kind: .push, label: "phone", secret: Secret([]), created: now),
            event: Event(.factorAdded, at: now, user: alice))

        let pasted = try await Pasted(node)
        let swan = try StrongSwan()
        let folder = swan.folder
        try await swan.makeCertificates()
        let (natPort, deviceNATPort) = (try freePort(SOCK_DGRAM), try freePort(SOCK_DGRAM))
        let settings = try pasted.block("/etc/strongswan.d/sallyport.conf")
        try #require(settings.contains("retransmit_timeout = 5") && settings.contains("retransmit_tries = 3"), "\(settings)")
        let gateway = try swan.daemon(
            "gateway", port: try freePort(SOCK_DGRAM), natPort: natPort, more: "eap-radius eap-identity",
            // Sooner than anybody would set it, so that the test has its retries.
            include: settings.replacing("retransmit_timeout = 5", with: "retransmit_timeout = 1").replacing(
                "retransmit_tries = 3", with: "retransmit_tries = 20"))
        let device = try swan.daemon(
            "device", port: try freePort(SOCK_DGRAM), natPort: deviceNATPort, more: "eap-identity eap-mschapv2 eap-tls")
        let user = try devices.map { try swan.certify($0, node) } ?? "auth = eap-mschapv2\n id = alice\n eap_id = alice"
        let connections = try folder.file(
            "gateway/swanctl.conf",
            try pasted.block("/etc/swanctl/conf.d/sallyport-ikev2.conf") + "pools {\n sallyport {\n addrs = 10.99.0.0/24\n }\n}\n")
        // Without a tunnel (RFC 6023), which would change the routes of this machine.
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
                  \(user)
                }
                remote {
                  auth = pubkey
                  id = "CN=gateway"
                }
              }
            }
            secrets {
              eap-alice {
                id = alice
                secret = "\(TestNode.password)"
              }
            }
            """)
        try await running("charon-systemd", [], ["STRONGSWAN_CONF": gateway]) { _ in
            try await running("charon-systemd", [], ["STRONGSWAN_CONF": device]) { _ in
                try await swan.load(connections, "gateway")
                try await swan.load(home, "device")
                async let initiated = swan.swanctl(["--initiate", "--ike", "home", "--timeout", "30"], "device")
                let isRepeated = try await eventually(seconds: 20) {
                    folder.text(of: "gateway.log").components(separatedBy: "retransmit").count > 2
                }
                #expect(isRepeated, "\(folder.text(of: "gateway.log"))")
                #expect(phone.startCount == 1)
                #expect(try await node.logins("login-accepted").isEmpty, "nothing is accepted while it is out")
                phone.answer(course.answer)
                let up = try await initiated
                #expect(phone.startCount == 1 && phone.cancelled.isEmpty)
                guard course != .passwordDenied else {
                    #expect(!up.output.contains("initiate completed successfully"), "\(up.everything)")
                    #expect(try await node.lastReason(of: "alice") == "factor-denied")
                    #expect(try await node.logins("login-accepted").isEmpty)
                    return
                }
                #expect(up.output.contains("initiate completed successfully"), "\(up.everything) \(folder.text(of: "gateway.log"))")
                #expect(up.output.contains("authentication of 'CN=gateway' with EAP successful"), "\(up.everything)")
                let accepted = try await node.logins("login-accepted", count: 1)
                #expect(accepted.map(\.user) == [course.isCertificate ? "alice@corp.example" : "alice"])
                #expect(accepted.first?.details.contains { $0.name == "factor" && $0.value == "push" } == true, "\(accepted)")
            }
        }
    }
}
