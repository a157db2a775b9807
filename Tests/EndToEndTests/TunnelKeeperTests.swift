// SPDX-License-Identifier: Apache-2.0
// The certificate of EAP-TTLS and PEAP in the data directory: made once, readable by nobody else, made anew where it was lost.

import Administration
import Foundation
import LoginEngine
import TLS
import TestSupport
import Testing

@testable import sallyport

struct TunnelKeeperTests {
    private func contents(_ node: TestNode, _ file: String) -> Data? {
        FileManager.default.contents(atPath: "\(node.folder.path)/eap/\(file)")
    }

    @Test func certificateIsMadeAtFirstUseAndKept() async throws {
        var node = try await TestNode.start()
        try await node.addClient { $0.eap = ["gtc"] }
        #expect(contents(node, "ca.pem") == nil, "nobody needs one")
        try await node.addClient("wireless", ["127.0.0.2"]) { $0.eap = ["peap"] }
        let files = ["ca.pem", "ca.key", "server.pem", "server.key"]
        let made = files.map { contents(node, $0) }
        #expect(made.allSatisfy { $0 != nil })
        for file in files {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(node.folder.path)/eap/\(file)")
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
        node = try await node.restarted()
        #expect(files.map { contents(node, $0) } == made)

        // Broken off between the key and the certificate: the authority, which devices know, stays.
        try FileManager.default.removeItem(atPath: "\(node.folder.path)/eap/server.pem")
        node = try await node.restarted()
        #expect(contents(node, "server.pem") != nil && contents(node, "server.pem") != made[2])
        #expect(contents(node, "ca.pem") == made[0])
        #expect(contents(node, "server.key.before") == made[3])
        await node.stop()
    }

    @Test(arguments: ["server.key", "ca.key"]) func halfOfAPairIsNamedAndNeverReplaced(_ missing: String) async throws {
        let node = try await TestNode.start()
        try await node.addClient { $0.eap = ["peap"] }
        await node.stop()
        // An authority without its key is asked for where a certificate is to be made.
        if missing == "ca.key" { try FileManager.default.removeItem(atPath: "\(node.folder.path)/eap/server.pem") }
        try FileManager.default.removeItem(atPath: "\(node.folder.path)/eap/\(missing)")
        let certificate = missing.replacing(".key", with: ".pem")
        let before = contents(node, certificate)
        await #expect(throws: SettingsError.self) { _ = try await TestNode.start(in: node.folder) }
        #expect(contents(node, certificate) == before && contents(node, missing) == nil)
    }

    @Test func filesOfDevicesThatCannotBeReadKeepTheNodeFromStarting() async throws {
        let folder = try TemporaryFolder()
        let authority = try TestAuthority(in: folder.path)
        let nonsense = try folder.file("nonsense.pem", "nothing")
        for flags in [
            ["eap.client-ca": folder.path + "/none.pem"], ["eap.client-ca": nonsense],
            ["eap.client-ca": authority.certificate, "eap.client-crl": authority.certificate + "," + nonsense],
        ] {
            let error = await #expect(throws: SettingsError.self) { _ = try await TestNode.start(flags: flags) }
            #expect(error?.description.hasPrefix("eap.client-") == true, "\(error?.description ?? "")")
        }
        withExtendedLifetime(folder) {}
    }

    @Test func doctorKnowsWhenAuthoritiesAndListsEnd() {
        let files = DeviceTrustFiles(authorities: "ca.pem", revocations: ["a.crl"], grace: .minutes(60))
        let devices = TunnelKeeper.Devices(
            authorities: [TrustedAuthority(subject: "CN=ca", expires: 2_000_000_000)],
            lists: [TrustedList(issuer: "CN=ca", ends: 1_900_000_000)], grace: files.grace)
        func kinds(_ devices: TunnelKeeper.Devices, at seconds: Int64) -> [Finding.Kind] {
            TunnelCheck.findings(devices, files, now: Timestamp(seconds: seconds)).map(\.kind)
        }
        #expect(kinds(devices, at: 1_900_000_000) == [.clientAuthorityRight])
        #expect(kinds(devices, at: 1_900_000_001) == [.revocationsOld])
        #expect(kinds(devices, at: 1_900_003_601) == [.revocationsEnded])
        var fresh = devices
        fresh.lists[0].ends = Int64.max
        #expect(kinds(fresh, at: 2_000_000_000 - 20 * 86_400) == [.clientAuthorityEnding])
        #expect(kinds(fresh, at: 2_000_000_000) == [.clientAuthorityEnded])
        fresh.lists[0].issuer = "CN=elsewhere"
        #expect(kinds(fresh, at: 1_000_000_000) == [.clientAuthorityRight, .revocationsNone])
    }

    @Test func doctorKnowsWhenTheCertificateEnds() {
        let inForce = TunnelKeeper.InForce(subject: "CN=vpn", expires: Timestamp(seconds: 2_000_000_000))
        let kinds = [-90, -20, 1].map { days in
            TunnelCheck.finding(inForce, file: "server.pem", now: Timestamp(seconds: 2_000_000_000 + Int64(days) * 86_400)).kind
        }
        #expect(kinds == [.certificateRight, .certificateEnding, .certificateEnded])
    }
}
