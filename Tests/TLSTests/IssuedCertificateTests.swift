// SPDX-License-Identifier: Apache-2.0
// An authority that is made here, a server that it vouches for, and a client that believes both.

import TestSupport
import Testing

@testable import TLS

struct IssuedCertificateTests {
    private let serial = (1...16).map { UInt8($0) }

    private func server(of authority: IssuedCertificate, _ name: String = "radius.example.org", days: Int = 30) throws -> TLSContext {
        let issued = try IssuedCertificate(name: name, of: authority, serial: serial, days: days)
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (issued.certificate, issued.key)
        settings.peerCertificate = .none
        return try TLSContext(.server, settings)
    }

    private func client(trusting authority: IssuedCertificate) throws -> TLSContext {
        var settings = TLSSettings()
        settings.peerAuthorities = authority.certificate
        return try TLSContext(.client(), settings)
    }

    @Test func clientBelievesWhomTheAuthorityVouchesFor() throws {
        let authority = try IssuedCertificate(name: "ca.example.org", of: nil, serial: serial, days: 60)
        let context = try server(of: authority)
        #expect(context.subject == "CN=radius.example.org")
        let pair = try Pair(try client(trusting: authority), context)
        try pair.shakeHands()
        let peer = try #require(pair.client.peer)
        #expect(peer.names == ["radius.example.org"])
        #expect(peer.issuer == "CN=ca.example.org")
        #expect(pair.server.peer == nil, "no certificate is asked of the client")

        let other = try IssuedCertificate(name: "ca.example.org", of: nil, serial: serial, days: 60)
        #expect(throws: TLSError.self) { try Pair(try client(trusting: other), context).shakeHands() }
    }

    @Test func expiredOneIsNotBelieved() throws {
        let authority = try IssuedCertificate(name: "ca.example.org", of: nil, serial: serial, days: 60)
        let context = try server(of: authority, days: -1)
        #expect(throws: TLSError.self) { try Pair(try client(trusting: authority), context).shakeHands() }
    }

    @Test(arguments: ["", "two words", "a,DNS:b", "a\u{0}b", String(repeating: "a", count: 65)]) func onlyNamesOfHostsAreTaken(
        _ name: String
    ) {
        #expect(throws: TLSError.self) { try IssuedCertificate(name: name, of: nil, serial: serial, days: 1) }
    }

    @Test func longestNameIsTaken() throws {
        let authority = try IssuedCertificate(name: String(repeating: "a", count: 64), of: nil, serial: serial, days: 1)
        #expect(try server(of: authority, String(repeating: "b", count: 64)).subject?.hasPrefix("CN=bbb") == true)
    }

    @Test func whatIsNoAuthorityIssuesNothing() {
        #expect(throws: TLSError.self) {
            try IssuedCertificate(name: "a", of: IssuedCertificate(certificate: [], key: []), serial: serial, days: 1)
        }
    }
}
