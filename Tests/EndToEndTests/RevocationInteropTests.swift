// SPDX-License-Identifier: Apache-2.0
// Devices' certificates that others have revoked: lists that are fetched, OCSP, and what the node shows of its own certificate.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import TLS
import TestSupport
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("eapol_test", "openssl", "python3"), "eapol_test (eapoltest), openssl or python3 is not installed"))
struct RevocationInteropTests {
    private let folder: TemporaryFolder
    private let authority: TestAuthority
    private let phone: TestAuthority.Issued

    init() throws {
        folder = try TemporaryFolder()
        authority = try TestAuthority(in: folder.path)
        phone = try authority.issue("phone", alternatives: ["email:alice@corp.example"])
    }

    /// - Returns: the node's folder.
    @discardableResult private func withNode(
        in data: TemporaryFolder? = nil, _ flags: [String: String], _ body: (TestNode) async throws -> Void
    ) async throws -> TemporaryFolder {
        let node = try await TestNode.start(in: data, flags: ["eap.client-ca": authority.certificate].merging(flags) { $1 })
        do {
            if data == nil {
                try await node.addClient {
                    $0.requirement = "certificate"
                    $0.eap = ["tls"]
                }
                _ = try await node.addUser()
                try await node.setUser("alice") { $0.addAliases = ["alice@corp.example"] }
            }
            try await body(node)
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
        return node.folder
    }

    private func login(_ node: TestNode, _ issued: TestAuthority.Issued? = nil) async throws -> Finished {
        let issued = issued ?? phone
        return try await EAPOLTest(node).login(
            "TLS", nil,
            lines: [
                "ca_cert=\"\(node.folder.path)/eap/ca.pem\"", "client_cert=\"\(issued.certificate)\"", "private_key=\"\(issued.key)\"",
            ])
    }

    private func expectRefused(_ end: Finished, _ node: TestNode, _ cause: String) {
        #expect(end.status != 0 && !end.output.contains("Access-Accept"), "\(end.everything)")
        #expect(node.node.radius.refusedDevices[cause, default: 0] > 0, "\(node.node.radius.refusedDevices)")
    }

    private func publish(_ list: String, _ web: TestWeb) throws {
        try Data(TestAuthority.bytes(of: list)).write(to: URL(fileURLWithPath: "\(web.folder.path)/devices.crl"))
    }

    /// Until it is believed and in force.
    private func takes(_ node: TestNode, _ isThere: @escaping @Sendable (ListKeeper.Source) -> Bool) async throws {
        let lists = node.node.tunnel.lists
        let isTaken = try await eventually(seconds: 20) { lists.sources.first.map(isThere) ?? false }
        #expect(isTaken, "\(lists.sources)")
    }

    private func findings(_ node: TestNode) async throws -> [Finding.Kind] {
        try await node.perform(ExamineNode()).findings.map(\.kind)
    }

    // MARK: Lists

    @Test func listIsFetchedAndCountsAndOutlastsARestart() async throws {
        let web = try await TestWeb.start()
        try publish(try authority.revoke(), web)
        let old = TestAuthority.bytes(of: "\(web.folder.path)/devices.crl")
        let flags = ["eap.client-crl-url": web.address("devices.crl")]
        let data = try await withNode(flags) { node in
            try await takes(node) { $0.list != nil }
            expectSuccess(try await login(node), hasKeys: true)
            #expect(try await findings(node).contains(.revocationsNotFetched) == false)
            // A second later, or nobody could tell which is the newer.
            try await onThread { _ = poll(nil, 0, 1_100) }
            try publish(try authority.revoke(phone), web)
            let before = node.node.tunnel.lists.mark
            let lists = node.node.tunnel.lists
            node.node.reloadCertificates()
            #expect(try await eventually(seconds: 20) { lists.mark != before })
            let radius = node.node.radius
            _ = try await eventually(seconds: 20) { radius.openConversations == 0 }
            expectRefused(try await login(node), node, "revoked_certificate")
            // The older one comes back, and is believed by nobody.
            try Data(old).write(to: URL(fileURLWithPath: "\(web.folder.path)/devices.crl"))
            node.node.reloadCertificates()
            try await takes(node) { $0.problem?.contains("older") == true }
            expectRefused(try await login(node), node, "revoked_certificate")
            #expect(try await findings(node).contains(.revocationsNotFetched))
            #expect(node.node.tunnel.lists.figures.failed == 1)
            let told = try await node.logins("revocations-fetched", count: 3).map(\.text)
            #expect(told.count == 3 && told.last?.contains("CN=authority,O=Test, until ") == true, "\(told)")
            #expect(told.first?.contains("cannot be fetched: the list of CN=authority,O=Test is older") == true, "\(told)")
            let kept = try FileManager.default.contentsOfDirectory(atPath: "\(node.folder.path)/eap/lists")
            #expect(kept.count == 1)
            let mode = try FileManager.default.attributesOfItem(atPath: "\(node.folder.path)/eap/lists/\(kept[0])")[.posixPermissions]
            #expect(mode as? Int == 0o600)
        }
        try await web.stop()
        try await withNode(in: data, flags) { node in
            // Nobody to fetch from; what was kept holds.
            #expect(node.node.tunnel.lists.sources.first?.list != nil)
            expectRefused(try await login(node), node, "revoked_certificate")
            try await takes(node) { $0.problem != nil }
            #expect(try await findings(node).contains(.revocationsNotFetched))
        }
        // The same data with another address: the list of the first is gone.
        try await withNode(in: data, ["eap.client-crl-url": "http://127.0.0.1:1/other.crl"]) { node in
            let left = try FileManager.default.contentsOfDirectory(atPath: "\(node.folder.path)/eap/lists")
            #expect(left.isEmpty, "\(left)")
        }
    }

    @Test func whereNoListEverCameNobodyIsLetIn() async throws {
        try await withNode(["eap.client-crl-url": "http://127.0.0.1:1/devices.crl"]) { node in
            try await takes(node) { $0.problem != nil }
            expectRefused(try await login(node), node, "revocation_unknown")
            #expect(try await findings(node).contains(.revocationsNotFetched))
        }
    }

    @Test func listOfSomebodyElseAndOneThatEndedAreToldOf() async throws {
        let web = try await TestWeb.start()
        let elsewhere = try TemporaryFolder()
        try publish(try TestAuthority(in: elsewhere.path).revoke(), web)
        try await withNode(["eap.client-crl-url": web.address("devices.crl"), "eap.client-crl-grace": "none"]) { node in
            try await takes(node) { $0.problem?.contains("signed by none") == true }
            expectRefused(try await login(node), node, "revocation_unknown")
            try publish(try authority.revoke(until: Date(timeIntervalSinceNow: -60)), web)
            node.node.reloadCertificates()
            try await takes(node) { $0.list != nil }
            _ = try await eventually(seconds: 20) { node.node.tunnel.inForce?.devices?.lists.isEmpty == false }
            expectRefused(try await login(node), node, "revocation_unknown")
            #expect(try await findings(node).contains(.revocationsEnded))
        }
        try await web.stop()
    }

    @Test func whatIsFetchedIsBounded() async throws {
        let web = try await TestWeb.start()
        _ = try web.folder.file("file", "hello")
        @Sendable func problem(_ path: String, largest: Int = 100_000, time: Int = 20_000, refusesInner: Bool = false) -> String {
            do throws(WebProblem) {
                var request = WebRequest(path.contains(":") ? path : web.address(path), largest: largest)
                (request.time, request.refusesInner) = (time, refusesInner)
                return String(decoding: try request.perform(), as: UTF8.self)
            } catch {
                return "\(error)"
            }
        }
        let found = try await onThread {
            [
                problem("file"), problem("file", largest: 5), problem("file", largest: 4), problem("missing"), problem("redirect"),
                problem("long"), problem("silent", time: 100), problem("file", refusesInner: true),
                problem("file:///etc/passwd"), problem("http://127.0.0.1:1/"),
                problem("http://localhost:\(web.port)/file", refusesInner: true),
            ]
        }
        #expect(found[0] == "hello" && found[1] == "hello")
        #expect(found[2].contains("longer than 4 bytes") && found[3].contains("status 404"))
        #expect(found[4].contains("http://127.0.0.1/elsewhere, which is not followed"))
        #expect(found[5].contains("longer than 100000 bytes"))
        #expect(["timed out", "timeout"].contains { found[6].lowercased().contains($0) }, "\(found[6])")
        #expect(found[7].contains("address of this host") && found[10].contains("address of this host"))
        #expect(!found[8].contains("root") && found[8].lowercased().contains("protocol") && !found[9].isEmpty)
        try await web.stop()
    }

    // MARK: OCSP

    @Test func responderIsAskedAboutEachDevice() async throws {
        let (tablet, stranger) = (
            try authority.issue("tablet", alternatives: ["email:alice@corp.example"]),
            try authority.issue("stranger", alternatives: ["email:alice@corp.example"])
        )
        try authority.register(phone)
        _ = try authority.revoke(tablet)
        let responder = try await TestResponder.start(for: authority)
        try await withNode(["eap.client-ocsp": responder.address]) { node in
            expectSuccess(try await login(node), hasKeys: true)
            let accepted = try #require(try await node.logins("login-accepted", count: 1).first)
            #expect(accepted.details.contains { $0.name == "steps" && $0.value.contains("ocsp-good") })
            expectRefused(try await login(node, tablet), node, "revoked_certificate")
            #expect(try await node.lastReason(of: "alice") == "certificate-refused")
            expectRefused(try await login(node, stranger), node, "revocation_unknown")
            #expect(try await findings(node).contains(.statusUnanswered) == false)
            // What was told before holds for its time; about others nobody can be asked.
            try await responder.stop()
            expectSuccess(try await login(node), hasKeys: true)
            let watch = try authority.issue("watch", alternatives: ["email:alice@corp.example"])
            expectRefused(try await login(node, watch), node, "revocation_unknown")
            #expect(try await findings(node).contains(.statusUnanswered))
            let figures = try #require(node.node.tunnel.status).figures
            var expected = DeviceStatusKeeper.Figures()
            (expected.good, expected.revoked, expected.unknown, expected.kept, expected.failed) = (1, 1, 1, 1, 1)
            #expect(figures == expected)
            let story = try await node.story(try #require(try await node.logins("login-rejected").first?.login))
            #expect(story.contains("whether it is revoked cannot be asked"), "\(story)")
        }
    }

    @Test func silenceLetsInWhereItIsSetSo() async throws {
        try await withNode(["eap.client-ocsp": "http://127.0.0.1:1/", "eap.client-ocsp-failure": "accept"]) { node in
            expectSuccess(try await login(node), hasKeys: true)
            let accepted = try #require(try await node.logins("login-accepted", count: 1).first)
            #expect(accepted.details.contains { $0.name == "steps" && $0.value.contains("ocsp-unanswered") })
            #expect(try await findings(node).contains(.statusUnanswered))
        }
    }

    @Test func responderThatACertificateNamesIsNoneOfThisHost() async throws {
        try authority.register(phone)
        let responder = try await TestResponder.start(for: authority)
        let named = try authority.issue(
            "named", alternatives: ["email:alice@corp.example"], extensions: ["authorityInfoAccess=OCSP;URI:\(responder.address)"])
        try authority.register(named)
        try await withNode(["eap.client-ocsp": "certificate"]) { node in
            // Who signs certificates must not have this host ask itself.
            expectRefused(try await login(node, named), node, "revocation_unknown")
            #expect(node.node.tunnel.status?.health.problem?.contains("address of this host") == true)
            expectRefused(try await login(node), node, "revocation_unknown")
            #expect(node.node.tunnel.status?.health.problem?.contains("names no responder") == true)
        }
        try await responder.stop()
    }

    @Test func certificatesOfThisNodeAreNotAskedAbout() async throws {
        try await withNode(["eap.client-ocsp": "http://127.0.0.1:1/", "eap.client-crl-url": "http://127.0.0.1:1/x"]) { node in
            try await node.perform(InitAuthority(name: "Example CA"))
            let made = try await node.perform(AddDevice(user: "alice", label: "own", format: .pem, method: nil, gateway: nil))
            let files = try TemporaryFolder()
            var paths: [String: String] = [:]
            for file in made.files {
                let bytes = try #require(Data(base64Encoded: file.contents.text))
                paths[file.path] = try files.file(file.path.replacing("/", with: "-"), String(decoding: bytes, as: UTF8.self))
            }
            let certificate = try #require(paths.first { $0.key.hasSuffix("own.pem") }?.value, "\(paths)")
            let key = try #require(paths.first { $0.key.hasSuffix("own.key") }?.value)
            let anchor = node.folder.path + "/eap/ca.pem"
            try #require(try await eventually { access(anchor, R_OK) == 0 })
            let end = try await EAPOLTest(node).login(
                "TLS", nil, lines: ["ca_cert=\"\(anchor)\"", "client_cert=\"\(certificate)\"", "private_key=\"\(key)\""])
            expectSuccess(end, hasKeys: true)
            #expect(node.node.tunnel.status?.figures == DeviceStatusKeeper.Figures())
        }
    }

    // MARK: The node's own certificate

    @Test(arguments: ["TTLS", "PEAP"]) func deviceThatAsksIsShownWhatTheResponderSays(_ method: String) async throws {
        let server = try authority.issue("vpn.example.org", names: ["vpn.example.org"], for: "serverAuth")
        try authority.register(server)
        let responder = try await TestResponder.start(for: authority)
        let first = try await TestNode.start()
        try await first.addClient {
            $0.requirement = "password"
            $0.eap = [method.lowercased()]
        }
        _ = try await first.addUser()
        let own = "\(first.folder.path)/eap/server.pem"
        try #require(try await eventually { access(own, R_OK) == 0 && access(own.replacing(".pem", with: ".key"), R_OK) == 0 })
        await first.stop()
        let place = "\(first.folder.path)/eap"
        try Data(server.pem + authority.pem).write(to: URL(fileURLWithPath: "\(place)/server.pem"))
        try Data(server.keyPEM).write(to: URL(fileURLWithPath: "\(place)/server.key"))
        func login(_ node: TestNode) async throws -> Finished {
            let inside = method == "TTLS" ? "auth=PAP" : "auth=GTC"
            return try await EAPOLTest(node).login(
                method, TestNode.password,
                lines: ["ca_cert=\"\(authority.certificate)\"", "ocsp=2", "phase2=\"\(inside)\"", "phase1=\"peapver=0\""])
        }
        var node = try await TestNode.start(in: first.folder)
        let without = try await login(node)
        #expect(without.status != 0, "it wants to be shown something, and nothing is\n\(without.everything)")
        await node.stop()
        node = try await TestNode.start(in: first.folder, flags: ["eap.server-ocsp": responder.address])
        let staple = try #require(node.node.tunnel.staple)
        let isThere = try await eventually(seconds: 20) { staple.staple(at: NodeClock.now().wall) != nil }
        #expect(isThere, "\(staple.health(at: NodeClock.now().wall))")
        expectSuccess(try await login(node), hasKeys: true)
        #expect(try await findings(node).contains(.stapleMissing) == false)
        // What it says is shown no more once the certificate is revoked.
        _ = try authority.revoke(server)
        try await responder.stop()
        let later = try await TestResponder.start(for: authority, port: responder.port)
        node.node.reloadCertificates()
        #expect(try await eventually(seconds: 20) { staple.health(at: NodeClock.now().wall).problem != nil })
        #expect(staple.staple(at: NodeClock.now().wall) == nil)
        #expect(try await findings(node).contains(.stapleMissing))
        await node.stop()
        try await later.stop()
    }
}
