// SPDX-License-Identifier: Apache-2.0
// The load generator's modes against a node on data that `bench prepare` made: what it reports is what the node has done.

import Administration
import ArgumentParser
import Directories
import Foundation
import Glibc
import LoginEngine
import RADIUS
import RADIUSDoor
import TLS
import TestSupport
import Testing

@testable import sallyport

@Suite struct LoadModeTests {
    private static let users = 8

    private func withPrepared(
        _ mode: BenchMode, _ more: [String] = [], flags: [String: String] = [:], _ body: (TestNode, SharedSecret) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        let flagged = ["--data-dir", folder.path, "--users", "\(Self.users)", "--mode", mode.rawValue]
        _ = try await BenchPrepare.parse(flagged + more).prepare()
        let node = try await TestNode.start(in: folder, flags: flags)
        do {
            try await body(node, try ClientSecretSource.read(folder.path + "/" + BenchPrepare.secretFile))
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    private func plan(_ endpoint: UDPEndpoint, _ secret: SharedSecret, _ mode: BenchMode) -> LoadPlan {
        var plan = LoadPlan(
            server: ServerAddress(endpoint.address, port: endpoint.port), secret: secret,
            users: BenchUsers(prefix: "u", count: Self.users, seed: 1), mode: mode)
        plan.window = 4
        plan.sockets = 1
        // So many logins, however long this machine takes for them.
        (plan.most, plan.seconds) = (40, 60)
        plan.warmup = 0
        plan.ahead = 1_000
        return plan
    }

    private func run(_ plan: LoadPlan) async throws -> LoadTally {
        try await onThread { try LoadGenerator(plan).run() }
    }

    @Test(arguments: [BenchMode.ttlsCode, .peapMSCHAPv2], [TLSSettings.Version.tls12, .tls13])
    func devicesShakeHandsAndAreLetIn(_ mode: BenchMode, _ version: TLSSettings.Version) async throws {
        try await withPrepared(mode) { node, secret in
            var plan = plan(node.endpoint, secret, mode)
            plan.newestTLS = version
            let tally = try await run(plan)
            #expect(tally.accepted > 0 && tally.rejected == 0 && tally.lost == 0 && tally.bad == 0, "\(tally)")
            // The keys of each accept are those of its device.
            #expect(tally.proofs >= tally.accepted)
            #expect(try await node.logins("login-accepted", count: 1).count > 0)
            #expect(node.node.radius.openConversations == 0)
        }
    }

    @Test(arguments: [BenchMode.tls, .tlsResumed], [TLSSettings.Version.tls12, .tls13])
    func devicesShowCertificates(_ mode: BenchMode, _ version: TLSSettings.Version) async throws {
        let files = try TemporaryFolder()
        let authority = try TestAuthority(in: files.path)
        let flags = ["eap.client-ca": authority.certificate, "eap.client-names": "common-name"]
        try await withPrepared(.tls, flags: flags) { node, secret in
            var plan = plan(node.endpoint, secret, mode)
            plan.newestTLS = version
            plan.deviceAuthority = IssuedCertificate(certificate: authority.pem, key: authority.keyPEM)
            let tally = try await run(plan)
            #expect(tally.accepted > 0 && tally.rejected == 0 && tally.lost == 0 && tally.bad == 0, "\(tally)")
            #expect(tally.proofs >= tally.accepted)
            // All but the first of each user, and those that were under way beside it.
            let first = Self.users + plan.window
            #expect(mode == .tls ? tally.resumed == 0 : tally.resumed >= tally.accepted - first && tally.resumed > 0, "\(tally)")
        }
    }

    @Test func halfOpenConversationsStayOpen() async throws {
        try await withPrepared(.ttlsCode) { node, secret in
            var plan = plan(node.endpoint, secret, .halfOpen)
            (plan.most, plan.source, plan.seconds) = (20, NetworkAddress(BenchPrepare.halfOpenSources[0]), 30)
            let tally = try await run(plan)
            #expect(tally.challenged == 20 && tally.bad == 0 && tally.accepted == 0)
            #expect(node.node.radius.openConversations == 20)
        }
    }

    @Test(arguments: [BenchMode.code, .chap, .mschapv2]) func usersAreLetIn(_ mode: BenchMode) async throws {
        try await withPrepared(mode) { node, secret in
            let tally = try await run(plan(node.endpoint, secret, mode))
            #expect(tally.accepted > 0 && tally.rejected == 0 && tally.bad == 0)
            #expect((tally.proofs > 0) == (mode == .mschapv2))
            // What came after the measured time was accepted too.
            #expect(try await node.logins("login-accepted", count: 1).count > 0)
        }
    }

    @Test func wrongPasswordsOfCHAPAreRefused() async throws {
        try await withPrepared(.chap) { node, secret in
            var plan = plan(node.endpoint, secret, .chap)
            plan.wrongPercent = 100
            let tally = try await run(plan)
            #expect(tally.rejected > 0 && tally.accepted == 0 && tally.bad == 0)
        }
    }

    @Test func recordsBecomeSessions() async throws {
        try await withPrepared(.code) { node, secret in
            var plan = plan(node.node.radius.boundAccounting[0], secret, .accounting)
            plan.requiresMessageAuthenticator = false
            let tally = try await run(plan)
            #expect(tally.acknowledged > 0 && tally.accepted == 0 && tally.bad == 0)
            let sessions = try await node.perform(ListSessions(isOpen: nil)).sessions
            #expect(!sessions.isEmpty && Set(sessions.compactMap(\.user)).isSubset(of: (0..<Self.users).map { "u\($0)" }))
        }
    }

    @Test func codesComeOverManyConnections() async throws {
        let files = try TemporaryFolder()
        let authority = try TestAuthority(in: files.path)
        let own = try authority.issue("server", names: ["localhost"], for: "serverAuth")
        let gateway = try authority.issue("gateway", names: [BenchPrepare.certificateName])
        let flags = [
            "radsec.listen": "127.0.0.1:0", "radsec.certificate": own.certificate, "radsec.key": own.key,
            "radsec.client-ca": authority.certificate,
        ]
        try await withPrepared(.code, flags: flags) { node, _ in
            let secret = try #require(SharedSecret(Array(LoadTLS.secret.utf8)))
            var plan = plan(node.node.radius.boundTLSAddresses[0], secret, .code)
            plan.tls = try LoadTLS(
                certificate: gateway.certificate, key: gateway.key, authority: authority.certificate, connections: 3)
            let tally = try await run(plan)
            #expect(tally.accepted > 0 && tally.rejected == 0 && tally.lost == 0 && tally.bad == 0)
            // A server that nobody trusts is not loaded.
            plan.tls = try LoadTLS(
                certificate: gateway.certificate, key: gateway.key,
                authority: try TestAuthority("stranger", in: files.path).certificate, connections: 1)
            await #expect(throws: Refusal.self) { try await run(plan) }
        }
        withExtendedLifetime(files) {}
    }

    @Test func loginsWaitForASilentDirectory() async throws {
        let silent = try LoadSocket(to: ServerAddress(try #require(NetworkAddress("127.0.0.1")), port: 9))
        let port = try port(of: silent.descriptor)
        try await withPrepared(.code, ["--waiting", "5", "--silent", "127.0.0.1:\(port)"]) { node, secret in
            let held = try HeldLogins(
                BenchUsers(prefix: "wu", count: 5, seed: 1), at: ServerAddress(node.endpoint.address, port: node.endpoint.port), secret,
                from: NetworkAddress("127.0.0.3"), ports: 2)
            try held.begin(perSecond: 1_000) { false }
            let logins = node.node.logins
            #expect(try await eventually { logins.waitingCount == 5 })
            let tally = try await run(plan(node.endpoint, secret, .code))
            #expect(tally.accepted > 0 && tally.rejected == 0)
            try held.listen(0)
            #expect(held.sent == 5 && held.answered == 0)
            #expect(try await eventually { logins.waitingCount == 5 })
            // It is the directory that they wait for, and it was asked once about each.
            var asked = 0
            try silent.receive { asked += $0.first == Code.accessRequest.rawValue ? 1 : 0 }
            #expect(asked == 5)
        }
        withExtendedLifetime(silent) {}
    }

    private func port(of descriptor: Int32) throws -> UInt16 {
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        try #require(result == 0)
        return UInt16(bigEndian: name.sin_port)
    }
}
