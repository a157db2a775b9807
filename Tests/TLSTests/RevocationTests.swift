// SPDX-License-Identifier: Apache-2.0
// Revocation lists that are older than they say: for how long they are believed, and what that means for sessions of before.

import Foundation
import TestSupport
import Testing

@testable import TLS

struct RevocationTests {
    private let folder: CertificateFolder
    private let authority: TestAuthority
    private let server: TestAuthority.Issued
    private let now = Int64(Date().timeIntervalSince1970)

    init() throws {
        folder = try CertificateFolder()
        authority = try TestAuthority(in: folder.path)
        server = try authority.issue("server", for: "serverAuth")
    }

    private func context(_ list: String?, grace: Int64, _ version: TLSSettings.Version = .tls13) throws -> TLSContext {
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (server.pem, server.keyPEM)
        settings.peerAuthorities = authority.pem
        settings.revocations = list.map { TestAuthority.bytes(of: $0) } ?? []
        (settings.revocationGrace, settings.newestVersion, settings.sessions) = (grace, version, SessionCache())
        return try TLSContext(.server, settings)
    }

    /// What the server makes of a client with this certificate.
    private func meet(
        _ issued: TestAuthority.Issued, _ context: TLSContext, at now: Int64, takingUp earlier: TLSSession? = nil
    ) throws -> (client: TLSSession, server: TLSSession) {
        var settings = TLSSettings()
        (settings.certificates, settings.key, settings.peerAuthorities) = (issued.pem, issued.keyPEM, authority.pem)
        let pair = (
            client: try TLSSession(try TLSContext(.client(), settings)), server: try TLSSession(context, purpose: [13], now: now)
        )
        if let earlier { pair.client.takeUp(earlier) }
        for _ in 0..<4 {
            _ = try pair.client.handshake()
            try carry(pair.client, pair.server)
            _ = try pair.server.handshake()
            try carry(pair.server, pair.client)
        }
        _ = try pair.client.readAll(atMost: 100)
        return pair
    }

    private func carry(_ from: TLSSession, _ to: TLSSession) throws {
        var bytes: [UInt8] = []
        from.takeOutput(into: &bytes)
        try to.put(bytes[...])
    }

    private func refusal(_ body: () throws -> Void) -> PeerRefusal.Cause? {
        do {
            try body()
            return nil
        } catch TLSError.refused(let refusal) {
            return refusal.cause
        } catch {
            return .other
        }
    }

    @Test func listThatIsTooOldLetsNobodyIn() throws {
        let (phone, lost) = (try authority.issue("phone"), try authority.issue("lost"))
        let list = try authority.revoke(lost, until: Date(timeIntervalSince1970: Double(now - 3_600)))
        let (strict, patient) = (try context(list, grace: 0), try context(list, grace: 7_200))
        #expect(patient.revocationLists == [TrustedList(issuer: "CN=authority,O=Test", ends: now - 3_600)])
        #expect(refusal { _ = try meet(phone, strict, at: now) } == .revocationUnknown)
        #expect(refusal { _ = try meet(phone, patient, at: now) } == nil)
        // What it names is refused all the same.
        #expect(refusal { _ = try meet(lost, patient, at: now) } == .revoked)
        #expect(refusal { _ = try meet(phone, patient, at: now + 3_600) } == nil)
        #expect(refusal { _ = try meet(phone, patient, at: now + 3_601) } == .revocationUnknown)
        // Nobody says what time it is.
        #expect(refusal { _ = try meet(phone, patient, at: 0) } == .revocationUnknown)
        #expect(refusal { _ = try meet(phone, try context(nil, grace: 0), at: 0) } == nil)
    }

    @Test func authorityWithoutAListLetsNobodyIn() throws {
        let other = try CertificateFolder()
        let list = try TestAuthority("elsewhere", in: other.path).revoke()
        let phone = try authority.issue("phone")
        #expect(refusal { _ = try meet(phone, try context(list, grace: 7_200), at: now) } == .revocationUnknown)
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func sessionLastsNoLongerThanItsListIsBelieved(_ version: TLSSettings.Version)
        throws
    {
        let phone = try authority.issue("phone")
        let end = now + 600
        let context = try context(try authority.revoke(until: Date(timeIntervalSince1970: Double(end))), grace: 60, version)
        let first = try meet(phone, context, at: now)
        first.server.keep(identity: [])
        var last = first.client
        for (time, isResumed) in [(now + 600, true), (end + 60, true), (end + 61, false), (0, false)] {
            let again = try meet(phone, context, at: time, takingUp: last)
            #expect((again.server.resumed != nil) == isResumed)
            if isResumed {
                again.server.keep(identity: [])
                last = again.client
            }
            // Its certificate is known without being shown.
            #expect(again.server.peer?.commonNames == ["phone"])
        }
    }
}
