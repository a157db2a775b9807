// SPDX-License-Identifier: Apache-2.0
// OCSP: answers of the program `openssl`, and what is no answer to the question.

import Foundation
import TestSupport
import Testing

@testable import TLS

struct CertificateStatusTests {
    private let folder: CertificateFolder
    private let authority: TestAuthority
    private let phone: TestAuthority.Issued
    private let now = Int64(Date().timeIntervalSince1970)

    init() throws {
        folder = try CertificateFolder()
        authority = try TestAuthority(in: folder.path)
        phone = try authority.issue("phone", extensions: ["authorityInfoAccess=OCSP;URI:http://ocsp.example.org/,OCSP;URI:ldap://x/"])
        try authority.register(phone)
    }

    private func question(_ issued: TestAuthority.Issued, nonce: Bool = false, by trusted: [UInt8]? = nil) throws -> StatusQuestion {
        try StatusQuestion(chain: try CertificateText.chain(pem: issued.pem), authorities: trusted ?? authority.pem, wantsNonce: nonce)
    }

    private func answer(_ question: StatusQuestion, of authority: TestAuthority? = nil, _ more: [String] = []) throws -> [UInt8] {
        let (asked, told) = ("\(folder.path)/question.der", "\(folder.path)/answer.der")
        try Data(question.request).write(to: URL(fileURLWithPath: asked))
        try? FileManager.default.removeItem(atPath: told)
        try TestAuthority.openssl((authority ?? self.authority).responder + ["-reqin", asked, "-respout", told] + more)
        return TestAuthority.bytes(of: told)
    }

    @Test func goodRevokedAndUnknownAreToldApart() throws {
        let tablet = try authority.issue("tablet")
        let asked = try question(phone)
        #expect(asked.responders == ["http://ocsp.example.org/"] && asked.certificate.subject == "CN=phone,O=Test")
        let good = try asked.read(try answer(asked), at: now)
        #expect(good.state == .good && good.ends > now + 80_000 && good.ends <= now + 87_000)
        let unknown = try question(tablet)
        #expect(unknown.responders.isEmpty && unknown.subject != asked.subject)
        #expect(try unknown.read(try answer(unknown), at: now).state == .unknown)
        _ = try authority.revoke(phone)
        #expect(try asked.read(try answer(asked), at: now).state == .revoked)
    }

    @Test func answerToAnotherQuestionIsNone() throws {
        let tablet = try authority.issue("tablet")
        try authority.register(tablet)
        let (asked, other) = (try question(phone), try question(tablet))
        let good = try answer(other)
        #expect(throws: TLSError.self) { try asked.read(good, at: now) }
        // By who has the same name and another key.
        let elsewhere = try CertificateFolder()
        let forger = try TestAuthority(in: elsewhere.path)
        try forger.register(phone)
        let forged = try answer(asked, of: forger)
        #expect(throws: TLSError.self) { try asked.read(forged, at: now) }
        // By a device of the authority's, which may not answer for it.
        let signer = ["-rsigner", tablet.certificate, "-rkey", tablet.key]
        let charged = try answer(asked, signer)
        #expect(throws: TLSError.self) { try asked.read(charged, at: now) }
        let responder = try authority.issue("responder", for: "OCSPSigning")
        let fine = try answer(asked, ["-rsigner", responder.certificate, "-rkey", responder.key])
        #expect(try asked.read(fine, at: now).state == .good, "whom the authority has charged with it")
        for nonsense in [[], [0x30, 0], Array(fine.dropLast()), fine + [0], Array("<html>".utf8)] {
            #expect(throws: TLSError.self) { try asked.read(nonsense, at: now) }
        }
        var turned = fine
        turned[turned.count / 2] ^= 1
        #expect(throws: TLSError.self) { try asked.read(turned, at: now) }
    }

    private func answer(_ question: StatusQuestion, _ more: [String]) throws -> [UInt8] { try answer(question, of: nil, more) }

    @Test func answerHoldsForItsTime() throws {
        let asked = try question(phone)
        let good = try answer(asked)
        let ends = try asked.read(good, at: now).ends
        #expect(throws: Never.self) { try asked.read(good, at: ends) }
        #expect(throws: TLSError.self, "over") { try asked.read(good, at: ends + 1) }
        #expect(throws: TLSError.self, "still to come") { try asked.read(good, at: now - 1_000) }
    }

    @Test func nonceMakesAnAnswerOneForThisQuestion() throws {
        let (first, second) = (try question(phone, nonce: true), try question(phone, nonce: true))
        #expect(first.request != second.request && first.subject == second.subject)
        let own = try answer(first)
        #expect(try first.read(own, at: now).state == .good)
        #expect(throws: TLSError.self) { try second.read(own, at: now) }
        let plain = try answer(try question(phone))
        #expect(throws: TLSError.self, "made beforehand") { try first.read(plain, at: now) }
    }

    @Test func issuerIsTheOneWhoseKeySigned() throws {
        let elsewhere = try CertificateFolder()
        let twin = try TestAuthority(in: elsewhere.path)
        #expect(throws: TLSError.self) { try question(phone, by: twin.pem) }
        #expect(throws: TLSError.self) { try question(phone, by: []) }
        let chain = try CertificateText.chain(pem: phone.pem + authority.pem)
        #expect(throws: Never.self) { try StatusQuestion(chain: chain, authorities: twin.pem, wantsNonce: false) }
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func serverShowsTheAnswerToWhoeverAsks(_ version: TLSSettings.Version) throws {
        let server = try authority.issue("server", names: ["vpn.example.org"], for: "serverAuth")
        try authority.register(server)
        let asked = try question(server)
        let good = try answer(asked)
        var settings = TLSSettings()
        (settings.certificates, settings.key, settings.peerCertificate) = (server.pem, server.keyPEM, .none)
        (settings.newestVersion, settings.staple) = (version, { good })
        let context = try TLSContext(.server, settings)
        settings.staple = { nil }
        let without = try TLSContext(.server, settings)
        var trust = TLSSettings()
        trust.peerAuthorities = authority.pem
        let clients = try TLSContext(.client(), trust)
        func shown(_ context: TLSContext, isWanted: Bool) throws -> [UInt8]? {
            let (client, own) = (try TLSSession(clients), try TLSSession(context))
            if isWanted { client.wantStaple() }
            for _ in 0..<3 {
                _ = try client.handshake()
                try carry(client, own)
                _ = try own.handshake()
                try carry(own, client)
            }
            #expect(client.isEstablished && own.isEstablished)
            return client.staple
        }
        #expect(try shown(context, isWanted: true) == good)
        #expect(try shown(context, isWanted: false) == nil)
        #expect(try shown(without, isWanted: true) == nil)
    }

    private func carry(_ from: TLSSession, _ to: TLSSession) throws {
        var bytes: [UInt8] = []
        from.takeOutput(into: &bytes)
        try to.put(bytes[...])
    }
}
