// SPDX-License-Identifier: Apache-2.0
// Devices with certificates of the node's own authority, by wpa_supplicant's eapol_test: good for their row alone.

import Administration
import Foundation
import LoginEngine
import RADIUSDoor
import TestSupport
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("eapol_test"), "eapol_test (eapoltest) is not installed"))
struct IssuedDeviceInteropTests {
    private func write(_ files: [(name: String, contents: [UInt8])], to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for file in files { try Data(file.contents).write(to: URL(fileURLWithPath: "\(folder)/\(file.name)")) }
    }

    /// - Parameter body: logs in with the certificate `phone/alice-phone.pem` and its key, or with another of that folder.
    private func withDevice(
        flags: [String: String] = [:], body: (TestNode, TemporaryFolder, _ login: (String) async throws -> Finished) async throws -> Void
    ) async throws {
        let node = try await TestNode.start(flags: flags)
        do {
            let out = try TemporaryFolder()
            try await node.perform(InitAuthority(name: "Example CA"))
            try await node.addClient {
                $0.requirement = "certificate"
                $0.eap = ["tls"]
            }
            _ = try await node.addUser()
            let made = try await node.perform(AddDevice(user: "alice", label: "phone", format: .pem))
            try write(
                made.files.map { ($0.path, Array(Data(base64Encoded: $0.contents.text) ?? Data())) }, to: out.path + "/phone")
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
            try await node.perform(RevokeDevice(user: "alice", device: "phone"))
            expectFailure(try await login("phone/alice-phone"))
            #expect(try await node.lastReason(of: "alice", count: 2) == "certificate-revoked")
        }
    }

    /// The name in it is the new user's too, and proves nothing.
    @Test func certificateOfAUserWhoIsGoneIsNobodys() async throws {
        try await withDevice { node, _, login in
            try await node.perform(RemoveUser(name: "alice"))
            _ = try await node.addUser()
            expectFailure(try await login("phone/alice-phone"))
            #expect(try await node.lastReason(of: "alice") == "certificate-revoked")
        }
    }

    /// It is signed by the same authority, for a program and no device.
    @Test func certificateThatIsNoDevicesLetsNobodyIn() async throws {
        try await withDevice { node, out, login in
            let made = try await node.perform(IssueCertificate(name: "alice", usage: "client"))
            try write(
                [("cert.pem", Array(made.pem.utf8)), ("key.pem", made.key.secret.reveal { Array($0) })], to: out.path + "/program")
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
            try await node.perform(RevokeDevice(user: "alice", device: "phone"))
            expectFailure(try await login("phone/alice-phone"))
        }
    }

    /// Of a generation before: still good, until it is taken away.
    @Test func devicesOfAnAuthorityBeforeAreGoodAsLongAsItIsThere() async throws {
        try await withDevice { node, _, login in
            try await node.perform(InitAuthority(name: "Next CA", isReplacement: true))
            expectSuccess(try await login("phone/alice-phone"), hasKeys: true)
            let first = try #require(try await node.perform(ShowAuthority()).authorities.last?.id)
            try await node.perform(RemoveAuthority(authority: first))
            let end = try await login("phone/alice-phone")
            #expect(end.status != 0 && !end.output.contains("Access-Accept"), "\(end.everything)")
        }
    }

    /// A handshake that began under an authority ends after it was taken away.
    @Test func whatAnAuthorityIssuedIsNobodysOnceItIsGone() async throws {
        let node = try await TestNode.start()
        try await node.perform(InitAuthority(name: "First CA"))
        let issued = IssuedHere(records: node.node.store.records)
        var trust = DeviceTrust()
        try issued.extend(&trust, at: NodeClock.now().wall)
        try await node.perform(InitAuthority(name: "Next CA", isReplacement: true))
        let first = try #require(try await node.perform(ShowAuthority()).authorities.last?.id)
        try await node.perform(RemoveAuthority(authority: first))
        try issued.extend(&trust, at: NodeClock.now().wall)
        #expect(issued.subjects == ["CN=Next CA"])
        func registered(by issuer: String) throws -> RegisteredCertificate? {
            try issued.registered(
                CertificateProof(
                    fingerprint: [UInt8](repeating: 9, count: 32), subject: "CN=alice", issuer: issuer, names: [.common: ["alice"]],
                    expires: NodeClock.now().wall + .minutes(60)))
        }
        #expect(try registered(by: "CN=First CA")?.isRevoked == true && registered(by: "CN=Next CA")?.isRevoked == true)
        #expect(try registered(by: "CN=Elsewhere") == nil)
        await node.stop()
    }
}
