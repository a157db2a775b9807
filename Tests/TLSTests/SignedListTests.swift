// SPDX-License-Identifier: Apache-2.0
// Revocation lists of others: who signed them, and that they never go back; and chains that are judged once more by newer ones.

import Foundation
import TestSupport
import Testing

@testable import TLS

struct SignedListTests {
    private let folder: CertificateFolder
    private let now = Int64(Date().timeIntervalSince1970)

    init() throws { folder = try CertificateFolder() }

    private func authority(_ name: String = "authority") throws -> IssuedCertificate {
        try IssuedCertificate(
            CertificateDraft(.authority(domains: []), commonName: name, begins: now - 60, ends: now + 86_400, serial: [UInt8](1...16)),
            key: .p256, by: nil)
    }

    private func list(_ number: Int64, by authority: IssuedCertificate, at: Int64 = 0, for seconds: Int64 = 3_600) throws -> RevocationList
    {
        try RevocationList([], by: authority, at: now + at, next: now + at + seconds, number: number)
    }

    @Test func listIsReadInBothForms() throws {
        let authority = try authority()
        let made = try list(7, by: authority)
        let (pem, der) = (
            try SignedRevocationList(made.pem, by: authority.certificate), try SignedRevocationList(made.bytes, by: authority.certificate)
        )
        #expect(pem == der && pem.issuer == "CN=authority" && pem.number == [7] && pem.begins == now && pem.ends == now + 3_600)
        #expect(pem.pem == made.pem)
    }

    @Test func listOfSomebodyElseIsRefused() throws {
        let (own, twin) = (try authority(), try authority())
        let forged = try list(1, by: twin)
        #expect(throws: TLSError.self, "the same name, another key") { try SignedRevocationList(forged.bytes, by: own.certificate) }
        #expect(throws: Never.self) { try SignedRevocationList(forged.bytes, by: own.certificate + twin.certificate) }
        // One bit of the signature.
        var bytes = try list(1, by: own).bytes
        bytes[bytes.count - 1] ^= 1
        #expect(throws: TLSError.self) { try SignedRevocationList(bytes, by: own.certificate) }
        for nonsense in [[], [0x30], Array("-----BEGIN X509 CRL-----".utf8), Array("<html>".utf8)] {
            #expect(throws: TLSError.self) { try SignedRevocationList(nonsense, by: own.certificate) }
        }
        // A certificate that may sign no lists signs none, whatever its key can do.
        let device = try IssuedCertificate(
            CertificateDraft(.client, commonName: "device", begins: now - 60, ends: now + 600, serial: [UInt8](2...17)), key: .p256, by: own
        )
        let own2 = try list(1, by: device)
        #expect(throws: TLSError.self) { try SignedRevocationList(own2.bytes, by: own.certificate + device.certificate) }
    }

    @Test func listNeverGoesBack() throws {
        let authority = try authority()
        func read(_ number: Int64, at: Int64) throws -> SignedRevocationList {
            try SignedRevocationList(try list(number, by: authority, at: at).bytes, by: authority.certificate)
        }
        let kept = try read(256, at: -10)
        for newer in [try read(256, at: -10), try read(257, at: -5), try read(1_000_000, at: 0)] { #expect(newer.succeeds(kept)) }
        // A lower number, however new, and an older time, whatever its number.
        for older in [try read(255, at: 0), try read(2, at: 0), try read(300, at: -11)] { #expect(!older.succeeds(kept)) }
    }

    // MARK: Chains, once more

    @Test func chainIsJudgedByWhatIsTrustedNow() throws {
        let authority = try TestAuthority(in: folder.path)
        let (phone, tablet) = (try authority.issue("phone"), try authority.issue("tablet"))
        func context(_ list: String?, _ checks: Bool = true, by trusted: [UInt8]? = nil) throws -> TLSContext {
            var settings = TLSSettings()
            settings.peerAuthorities = trusted ?? authority.pem
            settings.revocations = list.map { TestAuthority.bytes(of: $0) } ?? []
            settings.checksRevocation = checks
            return try TLSContext(.server, settings)
        }
        let chains = [try CertificateText.chain(pem: phone.pem), try CertificateText.chain(pem: tablet.pem)]
        func causes(_ context: TLSContext) -> [PeerRefusal.Cause?] { chains.map { context.refusal(ofClient: $0, at: now)?.cause } }
        let first = try context(try authority.revoke())
        #expect(causes(first) == [nil, nil])
        let second = try context(try authority.revoke(phone))
        #expect(causes(second) == [.revoked, nil] && first.number != second.number)
        #expect(causes(try context(nil)) == [.revocationUnknown, .revocationUnknown], "a list is wanted, and none is there")
        #expect(causes(try context(nil, false)) == [nil, nil])
        let elsewhere = try TestAuthority("elsewhere", in: folder.path)
        #expect(causes(try context(nil, false, by: elsewhere.pem)) == [.untrusted, .untrusted])
        #expect(first.refusal(ofClient: [], at: now) != nil && first.refusal(ofClient: [[1, 2, 3]], at: now) != nil)
        let server = try authority.issue("server", for: "serverAuth")
        #expect(first.refusal(ofClient: try CertificateText.chain(pem: server.pem), at: now)?.cause == .purpose)
    }
}
