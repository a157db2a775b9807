// SPDX-License-Identifier: Apache-2.0
// wpa_supplicant's eapol_test with certificates of devices: who is let in by which, and the keys of both sides.

import Administration
import Foundation
import LoginEngine
import RADIUSDoor
import TestSupport
import Testing

@testable import sallyport

/// A node that lets people in by certificates of an authority, and one of a device.
private struct Certified {
    let node: TestNode
    /// Of the authority.
    let folder: TemporaryFolder
    let authority: TestAuthority
    let test: EAPOLTest

    static let versions = ["tls_disable_tlsv1_3=1", "tls_disable_tlsv1_3=0"]

    /// - Parameter lists: whether the node looks up what is revoked.
    static func with(
        flags: [String: String] = [:], lists: Bool = false, _ choose: (inout ClientChoices) -> Void = { _ in },
        body: (Certified) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        let authority = try TestAuthority(in: folder.path)
        var all = ["eap.client-ca": authority.certificate].merging(flags) { $1 }
        if lists { all["eap.client-crl"] = try authority.revoke() }
        let node = try await TestNode.start(flags: all)
        do {
            try await node.addClient {
                $0.requirement = "certificate"
                $0.eap = ["tls"]
                choose(&$0)
            }
            _ = try await node.addUser()
            try await node.setUser("alice") { $0.addAliases = ["alice@corp.example"] }
            try await body(Certified(node: node, folder: folder, authority: authority, test: try EAPOLTest(node)))
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    /// Of alice, by her mail address.
    func certificate() throws -> TestAuthority.Issued { try authority.issue("phone", alternatives: ["email:alice@corp.example"]) }

    func login(
        _ issued: TestAuthority.Issued, name: String = "alice", version: String = "", lines: [String] = [], options: [String] = []
    ) async throws -> Finished {
        try await test.login(
            "TLS", nil, name: name,
            lines: [
                "ca_cert=\"\(node.folder.path)/eap/ca.pem\"", "client_cert=\"\(issued.certificate)\"", "private_key=\"\(issued.key)\"",
                "phase1=\"\(version)\"",
            ] + lines, options: options)
    }

    func reason(_ user: String = "alice", count: Int = 1) async throws -> String? { try await node.lastReason(of: user, count: count) }
}

@Suite(.enabled(if: Foreign.isHere("eapol_test"), "eapol_test (eapoltest) is not installed"))
struct EAPTLSInteropTests {
    @Test(arguments: Certified.versions) func certificateLetsItsUserIn(_ version: String) async throws {
        try await Certified.with { here in
            let certificate = try here.certificate()
            let end = try await here.login(certificate, version: version)
            expectSuccess(end, hasKeys: true)
            let accepted = try #require(try await here.node.logins("login-accepted", count: 1).first)
            #expect(accepted.user == "alice")
            #expect(accepted.certificate?.hasPrefix("CN=phone,O=Test sha256:") == true)
            let details = Dictionary(accepted.details.map { ($0.name, $0.value) }) { first, _ in first }
            #expect(details["protocol"] == "EAP-TLS" && details["bound-by"] == "email" && details["issuer"] == "CN=authority,O=Test")
            let story = try await here.node.story(try #require(accepted.login))
            #expect(story.contains("It is the user's by its mail address; CN=authority,O=Test issued it."), "\(story)")
        }
    }

    @Test(arguments: [("tls_disable_tlsv1_3=1", 500), ("tls_disable_tlsv1_3=0", 500), ("tls_disable_tlsv1_3=0", 1000), ("", 1400)])
    func flightsGoInFragments(_ version: String, _ size: Int) async throws {
        try await Certified.with { here in
            // Both ways: what the gateway says of the way to the device, and what the device cuts its own to.
            let end = try await here.login(
                try here.certificate(), version: version, lines: ["fragment_size=\(size)"], options: ["-N12:d:\(size)"])
            expectSuccess(end, hasKeys: true)
        }
    }

    @Test(arguments: Certified.versions) func sessionThatIsTakenUpIsJudgedAnew(_ version: String) async throws {
        try await Certified.with { here in
            let certificate = try here.certificate()
            let twice = try await here.login(certificate, version: version, options: ["-r", "2"])
            expectSuccess(twice, hasKeys: true, logins: 3)
            let accepted = try await here.node.logins("login-accepted", count: 3)
            #expect(accepted.count == 3)
            let isResumed = accepted.map { $0.details.contains { $0.name == "steps" && $0.value.contains("session-resumed") } }
            #expect(isResumed == [true, true, false], "\(twice.everything)")
            #expect(accepted.allSatisfy { event in event.details.contains { $0.name == "bound-by" && $0.value == "email" } })
        }
    }

    @Test(arguments: Certified.versions) func whatIsNotTrustedIsRefused(_ version: String) async throws {
        try await Certified.with(lists: true) { here in
            let elsewhere = try TemporaryFolder()
            let stranger = try TestAuthority("elsewhere", in: elsewhere.path).issue("phone", alternatives: ["email:alice@corp.example"])
            #expect(try await here.login(stranger, version: version).status != 0)
            #expect(try await here.reason() == "certificate-refused")
            #expect(here.node.node.radius.refusedDevices == ["untrusted_certificate": 1])
            #expect(try await here.login(try here.authority.issueExpired("old"), version: version).status != 0)
            #expect(try await here.reason(count: 2) == "certificate-refused")
            #expect(here.node.node.radius.refusedDevices["expired_certificate"] == 1)
            #expect(try await here.login(try TestAuthority.selfSigned("own", in: elsewhere.path), version: version).status != 0)
            #expect(here.node.node.radius.refusedDevices["untrusted_certificate"] == 2)
            let purpose = try here.authority.issue("server", alternatives: ["email:alice@corp.example"], for: "serverAuth")
            #expect(try await here.login(purpose, version: version).status != 0)
            #expect(here.node.node.radius.refusedDevices["certificate_purpose"] == 1)
            #expect(try await here.node.logins("login-accepted").isEmpty)
        }
    }

    @Test(arguments: Certified.versions) func revokedCertificateIsRefusedWithoutARestart(_ version: String) async throws {
        try await Certified.with(lists: true) { here in
            let certificate = try here.certificate()
            expectSuccess(try await here.login(certificate, version: version), hasKeys: true)
            _ = try here.authority.revoke(certificate)
            here.node.node.reloadCertificates()
            let end = try await here.login(certificate, version: version)
            #expect(end.status != 0 && !end.output.contains("Access-Accept"), "\(end.everything)")
            #expect(try await here.reason() == "certificate-refused")
            #expect(here.node.node.radius.refusedDevices == ["revoked_certificate": 1])
            let story = try await here.node.story(try #require(try await here.node.logins("login-rejected").first?.login))
            #expect(story.contains("certificate revoked") && !story.contains("CN=phone"), "\(story)")
        }
    }

    @Test func listThatIsOldIsBelievedForATime() async throws {
        try await Certified.with(lists: true) { here in
            let certificate = try here.certificate()
            // In DER, as distribution points have it.
            let list = try here.authority.revoke(until: Date(timeIntervalSinceNow: -3_600))
            try TestAuthority.openssl(["crl", "-in", list, "-outform", "DER", "-out", list])
            here.node.node.reloadCertificates()
            expectSuccess(try await here.login(certificate), hasKeys: true)
            #expect(try await here.node.perform(ExamineNode()).findings.contains { $0.kind == .revocationsOld })
            _ = try here.authority.revoke(until: Date(timeIntervalSinceNow: -90_000))
            here.node.node.reloadCertificates()
            #expect(try await here.login(certificate).status != 0)
            #expect(here.node.node.radius.refusedDevices == ["revocation_unknown": 1])
            #expect(try await here.node.perform(ExamineNode()).findings.contains { $0.kind == .revocationsEnded })
            // What cannot be read changes nothing.
            try Data("nothing".utf8).write(to: URL(fileURLWithPath: list))
            here.node.node.reloadCertificates()
            #expect(try await here.node.perform(ExamineNode()).findings.contains { $0.kind == .certificateNotInForce })
            #expect(try await here.login(certificate).status != 0)
        }
    }

    @Test func certificateOfAnotherOpensNothing() async throws {
        try await Certified.with { here in
            try await here.node.addUser("bob")
            let certificate = try here.certificate()
            // Alice's device says that it is bob, and bob's name is in no certificate.
            expectFailure(try await here.login(certificate, name: "bob"))
            #expect(try await here.reason("bob") == "certificate-not-of-user")
            expectFailure(try await here.login(certificate, name: "carol"))
            #expect(try await here.reason("carol") == "unknown-user")
            let nameless = try here.authority.issue("alice")
            expectFailure(try await here.login(nameless))
            #expect(try await here.reason() == "certificate-not-of-user")
            // Names are whole: the realm is part of them.
            let partner = try here.authority.issue("partner", alternatives: ["email:alice@partner.example"])
            expectFailure(try await here.login(partner))
            #expect(try await here.reason(count: 2) == "certificate-not-of-user")
            // Two people in one.
            try await here.node.setUser("bob") { $0.addAliases = ["bob@corp.example"] }
            let both = try here.authority.issue("both", alternatives: ["email:alice@corp.example", "email:bob@corp.example"])
            expectFailure(try await here.login(both))
            #expect(try await here.reason(count: 3) == "certificate-not-of-user")
            #expect(try await here.node.logins("login-accepted").isEmpty)
        }
    }

    @Test func namesCountAsTheNodeIsSet() async throws {
        try await Certified.with(flags: ["eap.client-names": "common-name"]) { here in
            expectFailure(try await here.login(try here.certificate()))
            #expect(try await here.reason() == "certificate-not-of-user")
            expectSuccess(try await here.login(try here.authority.issue("Alice")), hasKeys: true)
        }
        try await Certified.with { here in
            let principal = "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:ALICE@corp.example"
            expectSuccess(try await here.login(try here.authority.issue("pc", alternatives: [principal])), hasKeys: true)
            let accepted = try #require(try await here.node.logins("login-accepted", count: 1).first)
            #expect(accepted.details.contains { $0.name == "bound-by" && $0.value == "upn" })
        }
    }

    @Test func anonymousDeviceIsWhoseItsCertificateIs() async throws {
        try await Certified.with { here in
            let end = try await here.login(try here.certificate(), name: "@corp.example")
            expectSuccess(end, hasKeys: true)
            // The gateway hears who it was.
            #expect(end.output.contains("Value: 'alice@corp.example'") || end.output.contains("alice@corp.example"), "\(end.everything)")
            #expect(try await here.node.logins("login-accepted", count: 1).first?.user == "alice@corp.example")
            expectFailure(try await here.login(try here.authority.issue("nameless"), name: "anonymous"))
            #expect(try await here.reason("anonymous") == "unknown-user")
        }
    }

    @Test func disabledUserIsNotLetInByTheSessionOfBefore() async throws {
        try await Certified.with { here in
            let certificate = try here.certificate()
            try await here.node.setUser("alice") { $0.status = "disabled" }
            expectFailure(try await here.login(certificate))
            #expect(try await here.reason() == "user-disabled")
        }
    }

    @Test func certificateIsNoPasswordAndNoPasswordIsACertificate() async throws {
        try await Certified.with({ $0.eap = ["tls", "gtc"] }) { here in
            let certificate = try here.certificate()
            try await here.node.setClient { $0.requirement = "password+factor" }
            expectFailure(try await here.login(certificate))
            #expect(try await here.reason() == "certificate-not-asked-for")
            try await here.node.setClient { $0.requirement = "certificate" }
            expectFailure(try await here.test.login("GTC", TestNode.password, comparesKeys: false))
            #expect(try await here.reason(count: 2) == "certificate-missing")
            expectFailure(try await here.test.login("GTC", "wrong password", comparesKeys: false))
            #expect(try await here.reason(count: 3) == "wrong-password")
            expectSuccess(try await here.login(certificate), hasKeys: true)
        }
    }

    @Test func secondFactorThatCannotBeAskedForLetsNobodyIn() async throws {
        try await Certified.with({
            $0.requirement = "certificate+factor"
            $0.automaticPush = true
        }) { here in
            // Alice's codes cannot be asked for.
            expectFailure(try await here.login(try here.certificate()))
            #expect(try await here.reason() == "cannot-ask")
        }
    }

    @Test(arguments: [("TLS", true), ("TLS", false), ("TTLS", true), ("PEAP", true)])
    func keyNameGoesOutWhereItIsAskedFor(_ method: String, _ isAsked: Bool) async throws {
        try await Certified.with({
            $0.requirement = method == "TLS" ? "certificate" : "password"
            $0.eap = method == "TLS" ? ["tls"] : [method.lowercased()]
        }) { here in
            // It compares the name with the one that it made of the same keys.
            let options = isAsked ? ["-e"] : []
            let end: Finished
            if method == "TLS" {
                end = try await here.login(try here.certificate(), options: options)
            } else {
                let inside = method == "TTLS" ? "auth=PAP" : "auth=GTC"
                end = try await here.test.login(
                    method, TestNode.password,
                    lines: ["ca_cert=\"\(here.node.folder.path)/eap/ca.pem\"", "phase2=\"\(inside)\"", "phase1=\"peapver=0\""],
                    options: options)
            }
            expectSuccess(end, hasKeys: true)
            let matches = end.output.contains("Locally derived EAP Session-Id matches EAP-Key-Name from server")
            #expect(matches == isAsked && end.output.contains("EAP-Key-Name from server") == isAsked, "\(end.everything)")
        }
    }
}
