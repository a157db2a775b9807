// SPDX-License-Identifier: Apache-2.0
// Sessions that are taken up again, keys that are exported, and what a certificate says of a user.

import TestSupport
import Testing

@testable import TLS

struct TLSResumptionTests {
    private let folder: CertificateFolder
    private let authority: TestAuthority
    private let server: TestAuthority.Issued

    init() throws {
        folder = try CertificateFolder()
        authority = try TestAuthority(in: folder.path)
        server = try authority.issue("server", names: ["radius.example.org"], for: "serverAuth")
    }

    private func serverContext(_ version: TLSSettings.Version = .tls13, _ sessions: SessionCache?) throws -> TLSContext {
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (server.pem, server.keyPEM)
        settings.peerCertificate = .none
        settings.newestVersion = version
        settings.sessions = sessions
        return try TLSContext(.server, settings)
    }

    private func clientContext() throws -> TLSContext {
        var settings = TLSSettings()
        settings.peerAuthorities = authority.pem
        return try TLSContext(.client(), settings)
    }

    /// A handshake, and what a client of TLS 1.3 hears behind it.
    private func shakeHands(
        _ client: TLSContext, _ server: TLSContext, purpose: [UInt8] = [1], now: Int64 = 0, takingUp earlier: TLSSession? = nil
    ) throws -> (client: TLSSession, server: TLSSession) {
        let pair = (client: try TLSSession(client), server: try TLSSession(server, purpose: purpose, now: now))
        if let earlier { pair.client.takeUp(earlier) }
        for _ in 0..<4 {
            _ = try pair.client.handshake()
            try carry(pair.client, pair.server)
            _ = try pair.server.handshake()
            try carry(pair.server, pair.client)
        }
        #expect(pair.client.isEstablished && pair.server.isEstablished)
        #expect(try pair.client.readAll(atMost: 100) == [])
        return pair
    }

    private func carry(_ from: TLSSession, _ to: TLSSession) throws {
        var bytes: [UInt8] = []
        from.takeOutput(into: &bytes)
        try to.put(bytes[...])
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func onlyAKeptSessionIsTakenUp(_ version: TLSSettings.Version) throws {
        let sessions = SessionCache(lifetime: 100)
        let context = try serverContext(version, sessions)
        let client = try clientContext()
        let first = try shakeHands(client, context)
        #expect(first.server.resumed == nil && sessions.count == 0)
        let unkept = try shakeHands(client, context, takingUp: first.client)
        #expect(unkept.server.resumed == nil)

        unkept.server.keep(identity: [65])
        #expect(sessions.count == 1)
        let owner = SessionCache.Owner(purpose: [1], identity: [65], since: 0)
        let second = try shakeHands(client, context, now: 99, takingUp: unkept.client)
        #expect(second.server.resumed == owner)
        second.server.keep(identity: [65])
        #expect(sessions.count == 1, "one peer has one")
        // Its age is that of the full handshake.
        #expect(try shakeHands(client, context, now: 100, takingUp: second.client).server.resumed == nil)
        #expect(sessions.count == 0)
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func sessionServesItsPurposeAndItsContextAlone(
        _ version: TLSSettings.Version
    ) throws {
        let context = try serverContext(version, SessionCache())
        let client = try clientContext()
        let first = try shakeHands(client, context)
        first.server.keep(identity: [65])
        #expect(try shakeHands(client, context, purpose: [2], takingUp: first.client).server.resumed == nil)
        #expect(try shakeHands(client, try serverContext(version, SessionCache()), takingUp: first.client).server.resumed == nil)
        #expect(try shakeHands(client, try serverContext(version, nil), takingUp: first.client).server.resumed == nil)
        let again = try shakeHands(client, context, takingUp: first.client)
        #expect(again.server.resumed?.identity == [65])
        again.server.forget()
        #expect(try shakeHands(client, context, takingUp: first.client).server.resumed == nil)
    }

    @Test func theOldestSessionsAreDropped() throws {
        let sessions = SessionCache(capacity: 3)
        let context = try serverContext(sessions)
        let client = try clientContext()
        let all = try (0..<5).map { number in
            let pair = try shakeHands(client, context)
            pair.server.keep(identity: [UInt8(number)])
            return pair.client
        }
        #expect(sessions.count == 3)
        let found = try all.map { try shakeHands(client, context, takingUp: $0).server.resumed?.identity }
        #expect(found == [nil, nil, [2], [3], [4]])
    }

    private func serverContext(_ sessions: SessionCache) throws -> TLSContext { try serverContext(.tls13, sessions) }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func bothSidesExportTheSame(_ version: TLSSettings.Version) throws {
        let pair = try shakeHands(try clientContext(), try serverContext(version, nil))
        let key = try pair.server.export("EXPORTER-test", context: [1], count: 40)
        #expect(key.count == 40)
        #expect(try pair.client.export("EXPORTER-test", context: [1], count: 40) == key)
        #expect(try pair.client.export("EXPORTER-test", context: [2], count: 40) != key)
        #expect(try pair.client.export("EXPORTER-other", context: [1], count: 40) != key)
        #expect(pair.client.randoms == pair.server.randoms && pair.client.randoms.count == 64)
        #expect(pair.server.isTLS13 == (version == .tls13))
        #expect(throws: TLSError.self) { try TLSSession(try clientContext()).export("EXPORTER-test", count: 1) }
    }

    @Test func certificateNamesItsUser() throws {
        let alice = try authority.issue(
            "Alice", alternatives: ["otherName:1.3.6.1.4.1.311.20.2.3;UTF8:alice@corp.example", "email:alice@example.org"])
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (alice.pem, alice.keyPEM)
        settings.peerAuthorities = authority.pem
        let client = try TLSContext(.client(), settings)
        settings = TLSSettings()
        (settings.certificates, settings.key) = (server.pem, server.keyPEM)
        settings.peerAuthorities = authority.pem
        let pair = try shakeHands(client, try TLSContext(.server, settings))
        let peer = try #require(pair.server.peer)
        #expect(peer.principals == ["alice@corp.example"])
        #expect(peer.mails == ["alice@example.org"])
        #expect(peer.commonNames == ["Alice"])
        #expect(peer.names == ["alice"])
    }
}
