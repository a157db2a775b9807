// SPDX-License-Identifier: Apache-2.0
// What an authority of our own issues: believed by OpenSSL for what it is for and nothing else, taken back, and packed.

import Foundation
import TestSupport
import Testing

@testable import TLS

struct CertificateDraftTests {
    private static let now = Int64(Date().timeIntervalSince1970)

    private func serial(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 16) }

    private func draft(_ usage: CertificateDraft.Usage, _ name: String, _ number: UInt8 = 1) -> CertificateDraft {
        CertificateDraft(usage, commonName: name, begins: Self.now - 60, ends: Self.now + 86_400, serial: serial(number))
    }

    private func authority(domains: [String] = [], key: CertificateKey = .p256) throws -> IssuedCertificate {
        try IssuedCertificate(draft(.authority(domains: domains), "Example CA"), key: key, by: nil)
    }

    private func server(_ issued: IssuedCertificate, trusting authority: IssuedCertificate, revoked: [UInt8] = []) throws -> TLSContext {
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (issued.certificate, issued.key)
        (settings.peerAuthorities, settings.revocations) = (authority.certificate, revoked)
        return try TLSContext(.server, settings)
    }

    private func client(_ issued: IssuedCertificate, trusting authority: IssuedCertificate) throws -> TLSContext {
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (issued.certificate, issued.key)
        settings.peerAuthorities = authority.certificate
        return try TLSContext(.client(), settings)
    }

    @Test(arguments: CertificateKey.allCases) func authorityIsGoodForWhatItSignsAndNothingElse(_ key: CertificateKey) throws {
        let authority = try authority(key: key)
        let below = try IssuedCertificate(draft(.authority(domains: []), "Below", 2), key: .p256, by: authority)
        let device = try IssuedCertificate(draft(.client, "device", 3), key: .p256, by: below)
        let context = try server(try IssuedCertificate(draft(.server, "host", 4), key: .p256, by: authority), trusting: authority)
        func refusal(_ chain: IssuedCertificate...) throws -> PeerRefusal? {
            context.refusal(ofClient: try CertificateText.chain(pem: chain.flatMap { $0.certificate }), at: Self.now)
        }
        #expect(try refusal(try IssuedCertificate(draft(.client, "own", 5), key: .p256, by: authority)) == nil)
        #expect(try refusal(device, below)?.reason.contains("path length") == true, "it issues no other authority")
        #expect(try refusal(authority)?.cause == .purpose, "its key signs no handshake")
        #expect(try refusal(below)?.cause == .purpose)
    }

    @Test(arguments: CertificateKey.allCases) func bothSidesBelieveWhatOneAuthorityIssued(_ key: CertificateKey) throws {
        let authority = try authority(domains: ["example.org"], key: key)
        var host = draft(.server, "vpn.example.org", 2)
        host.dnsNames = ["vpn.example.org"]
        var user = draft(.client, "Ålice Smith", 3)
        (user.mails, user.principals) = (["alice@elsewhere.example"], ["ålice@example.org"])
        let (own, device) = (
            try IssuedCertificate(host, key: key, by: authority), try IssuedCertificate(user, key: key, by: authority)
        )
        let pair = try Pair(try client(device, trusting: authority), try server(own, trusting: authority))
        try pair.shakeHands()
        let peer = try #require(pair.server.peer)
        #expect(peer.commonNames == ["Ålice Smith"] && peer.mails == ["alice@elsewhere.example"])
        #expect(peer.principals == ["ålice@example.org"] && peer.issuer == "CN=Example CA")
        let text = try CertificateText(pem: device.certificate)
        #expect(text.peer == peer && text.isRSA == (key == .rsa3072) && text.begins == Self.now - 60)
        #expect(text.serial == [0x43] + [UInt8](repeating: 3, count: 15), "positive, and long whatever was thrown")
        #expect(try CertificateText.pem(of: text.bytes) == device.certificate)
    }

    @Test func certificateOfAServerIsNoDevicesAndTheOtherWayRound() throws {
        let authority = try authority()
        let host = try IssuedCertificate(draft(.server, "a", 2), key: .p256, by: authority)
        let user = try IssuedCertificate(draft(.client, "b", 3), key: .p256, by: authority)
        #expect(throws: TLSError.self) {
            try Pair(try client(host, trusting: authority), try server(host, trusting: authority)).shakeHands()
        }
        #expect(throws: TLSError.self) {
            try Pair(try client(user, trusting: authority), try server(user, trusting: authority)).shakeHands()
        }
    }

    @Test func authorityThatIsHeldToADomainVouchesForNothingElse() throws {
        let authority = try authority(domains: ["example.org"])
        var host = draft(.server, "vpn.example.com", 2)
        host.dnsNames = ["vpn.example.com"]
        let own = try IssuedCertificate(host, key: .p256, by: authority)
        let user = try IssuedCertificate(draft(.client, "alice", 3), key: .p256, by: authority)
        #expect(throws: TLSError.self) {
            try Pair(try client(user, trusting: authority), try server(own, trusting: authority)).shakeHands()
        }
    }

    @Test func whatWasTakenBackIsRefusedAndTheRestIsNot() throws {
        let authority = try authority()
        let host = try IssuedCertificate(draft(.server, "a", 2), key: .p256, by: authority)
        let (lost, kept) = (
            try IssuedCertificate(draft(.client, "lost", 3), key: .p256, by: authority),
            try IssuedCertificate(draft(.client, "kept", 4), key: .p256, by: authority)
        )
        let entry = RevocationList.Entry(
            serial: try CertificateText(pem: lost.certificate).serial, at: Self.now - 10, reason: .keyCompromise)
        let list = try RevocationList([entry], by: authority, at: Self.now - 5, next: Self.now + 3_600, number: 1)
        #expect(throws: TLSError.self) {
            try Pair(try client(lost, trusting: authority), try server(host, trusting: authority, revoked: list.pem)).shakeHands()
        }
        try Pair(try client(kept, trusting: authority), try server(host, trusting: authority, revoked: list.pem)).shakeHands()
        let old = try RevocationList([], by: authority, at: Self.now - 3_600, next: Self.now - 1, number: 1)
        #expect(throws: TLSError.self, "a list that is too old says nothing, and nothing is not enough") {
            try Pair(try client(kept, trusting: authority), try server(host, trusting: authority, revoked: old.pem)).shakeHands()
        }
    }

    @Test(arguments: ["", "a\u{0}b", "a\nb", String(repeating: "a", count: 65)]) func namesOfNothingAreRefused(_ name: String) {
        #expect(throws: TLSError.self) { try IssuedCertificate(draft(.client, name), key: .p256, by: nil) }
    }

    @Test func namesAreValuesAndNeverReadAsMore() throws {
        let authority = try authority()
        var user = draft(.client, "alice,DNS:evil.example/CN=root", 2)
        user.mails = ["a@b.example,DNS:evil.example"]
        let text = try CertificateText(pem: try IssuedCertificate(user, key: .p256, by: authority).certificate)
        #expect(text.peer.commonNames == ["alice,DNS:evil.example/CN=root"])
        #expect(text.peer.mails == ["a@b.example,DNS:evil.example"] && text.peer.names.isEmpty)
        for name in ["a.example,IP:1.2.3.4", "a b", "", "a\u{0}"] {
            var host = draft(.server, "a")
            host.dnsNames = [name]
            #expect(throws: TLSError.self, "\(name)") { try IssuedCertificate(host, key: .p256, by: authority) }
            #expect(throws: TLSError.self, "\(name)") { try self.authority(domains: [name]) }
        }
    }

    @Test func numbersOfOtherLengthsAndKeysOfOthersAreRefused() throws {
        let authority = try authority()
        var short = draft(.client, "a")
        short.serial.removeLast()
        #expect(throws: TLSError.self) { try IssuedCertificate(short, key: .p256, by: authority) }
        let mixed = IssuedCertificate(certificate: authority.certificate, key: try self.authority().key)
        #expect(throws: TLSError.self) { try IssuedCertificate(draft(.client, "a"), key: .p256, by: mixed) }
        let entry = RevocationList.Entry(serial: [], at: 0, reason: .unspecified)
        #expect(throws: TLSError.self) { try RevocationList([entry], by: authority, at: 1, next: 2, number: 1) }
        #expect(throws: TLSError.self) { try RevocationList([], by: authority, at: 2, next: 2, number: 1) }
    }

    @Test func packsNeedAPasswordThatEverybodyCanType() throws {
        let authority = try authority()
        func pack(_ password: String) throws -> [UInt8] {
            try CertificatePack.pack(authority, authority: authority.certificate, name: "a", password: Array(password.utf8), .modern)
        }
        #expect(try !pack("abcde-fghjk").isEmpty)
        for password in ["", "with blank", "ümlaut", "a\u{0}b", String(repeating: "a", count: 129)] {
            #expect(throws: TLSError.self) { try pack(password) }
        }
    }
}
