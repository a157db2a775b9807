// SPDX-License-Identifier: Apache-2.0
// Devices with certificates of the node's own authority, by wpa_supplicant's eapol_test: good for their row alone.

import Administration
import Foundation
import RADIUSDoor
import TestSupport
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("eapol_test"), "eapol_test (eapoltest) is not installed"))
struct IssuedDeviceInteropTests {
    private func sallyport(_ arguments: [String], _ node: TestNode) async throws {
        let end = try await Program.sallyport.run(arguments + ["--data-dir", node.folder.path])
        try #require(end.status == 0, "\(end.everything)")
    }

    /// - Parameter body: logs in with the certificate `phone/alice-phone.pem` and its key, or with another of that folder.
    private func withDevice(
        flags: [String: String] = [:], body: (TestNode, TemporaryFolder, _ login: (String) async throws -> Finished) async throws -> Void
    ) async throws {
        let node = try await TestNode.start(flags: flags)
        do {
            let out = try TemporaryFolder()
            try await sallyport(["ca", "init", "--name", "Example CA"], node)
            try await node.addClient {
                $0.requirement = "certificate"
                $0.eap = ["tls"]
            }
            _ = try await node.addUser()
            try await sallyport(
                ["user", "device", "add", "alice", "--name", "phone", "--format", "pem", "--out", out.path + "/phone"], node)
            let test = try EAPOLTest(node)
            try await body(node, out) { certificate in
                try await test.login(
                    "TLS", nil,
                    lines: [
                        "ca_cert=\"\(out.path)/phone/ca.pem\"", "client_cert=\"\(out.path)/\(certificate).pem\"",
                        "private_key=\"\(out.path)/\(certificate.replacing("cert", with: "key"))\(certificate.hasSuffix("cert") ? ".pem" : ".key")\"",
                    ])
            }
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    @Test func deviceIsItsUsersUntilItIsRevoked() async throws {
        try await withDevice { node, _, login in
            expectSuccess(try await login("phone/alice-phone"), hasKeys: true)
            let accepted = try #require(try await node.logins("login-accepted", count: 1).first)
            #expect(accepted.details.contains { $0.name == "bound-by" && $0.value == "fingerprint" })
            try await node.setUser("alice") { $0.status = "disabled" }
            expectFailure(try await login("phone/alice-phone"))
            #expect(try await node.lastReason(of: "alice") == "user-disabled")
            try await node.setUser("alice") { $0.status = "active" }
            expectSuccess(try await login("phone/alice-phone"), hasKeys: true)
            try await sallyport(["user", "device", "revoke", "alice", "phone"], node)
            expectFailure(try await login("phone/alice-phone"))
            #expect(try await node.lastReason(of: "alice", count: 2) == "certificate-revoked")
        }
    }

    /// The name in it is the new user's too, and proves nothing.
    @Test func certificateOfAUserWhoIsGoneIsNobodys() async throws {
        try await withDevice { node, _, login in
            try await sallyport(["user", "remove", "alice", "--yes"], node)
            _ = try await node.addUser()
            expectFailure(try await login("phone/alice-phone"))
            #expect(try await node.lastReason(of: "alice") == "certificate-revoked")
        }
    }

    /// It is signed by the same authority, for a program and no device.
    @Test func certificateThatIsNoDevicesLetsNobodyIn() async throws {
        try await withDevice { node, out, login in
            try await sallyport(["ca", "issue", "alice", "--usage", "client", "--out", out.path + "/program"], node)
            expectFailure(try await login("program/cert"))
            #expect(try await node.lastReason(of: "alice") == "certificate-revoked")
        }
    }

    /// Where lists of other authorities are looked up, this one needs none: its rows are asked at each login.
    @Test func listsOfOtherAuthoritiesAreNoHindrance() async throws {
        let folder = try TemporaryFolder()
        let other = try TestAuthority(in: folder.path)
        let flags = ["eap.client-ca": other.certificate, "eap.client-crl": try other.revoke()]
        try await withDevice(flags: flags) { node, _, login in
            expectSuccess(try await login("phone/alice-phone"), hasKeys: true)
            try await sallyport(["user", "device", "revoke", "alice", "phone"], node)
            expectFailure(try await login("phone/alice-phone"))
        }
    }

    /// Of a generation before: still good, until it is taken away.
    @Test func devicesOfAnAuthorityBeforeAreGoodAsLongAsItIsThere() async throws {
        try await withDevice { node, _, login in
            try await sallyport(["ca", "init", "--name", "Next CA", "--replace"], node)
            expectSuccess(try await login("phone/alice-phone"), hasKeys: true)
            let first = try #require(try await node.perform(ShowAuthority()).authorities.last?.id)
            try await node.perform(RemoveAuthority(authority: first))
            let end = try await login("phone/alice-phone")
            #expect(end.status != 0 && !end.output.contains("Access-Accept"), "\(end.everything)")
        }
    }
}
