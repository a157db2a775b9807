// SPDX-License-Identifier: Apache-2.0
// Both sides of a handshake in memory, with certificates of a real authority.

import Foundation
import TestSupport
import Testing

@testable import TLS

/// A folder that goes with the test.
final class CertificateFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "sallyport-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// Two sessions, and the bytes that go between them.
struct Pair {
    let client: TLSSession
    let server: TLSSession

    init(_ client: TLSContext, _ server: TLSContext) throws {
        self.client = try TLSSession(client)
        self.server = try TLSSession(server)
    }

    /// Carries what is there from one to the other.
    func carry(_ from: TLSSession, _ to: TLSSession) throws {
        var bytes: [UInt8] = []
        from.takeOutput(into: &bytes)
        try bytes.withUnsafeBytes { try to.put($0) }
    }

    /// - Throws: what the server says of the client, then what the client says of the server.
    func shakeHands() throws {
        for _ in 0..<6 {
            _ = try client.handshake()
            try carry(client, server)
            let isDone = try server.handshake()
            try carry(server, client)
            if isDone, client.isEstablished { return }
        }
        Issue.record("the handshake does not end")
    }

    func send(_ text: String, from: TLSSession, to: TLSSession) throws -> String? {
        try from.write(Array(text.utf8))
        try carry(from, to)
        return try read(to)
    }

    func read(_ session: TLSSession) throws -> String? {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
        defer { room.deallocate() }
        return try session.read(into: room).map { String(decoding: room[..<$0], as: UTF8.self) }
    }
}

struct TLSSessionTests {
    private let folder: CertificateFolder
    private let authority: TestAuthority
    private let server: TestAuthority.Issued

    init() throws {
        folder = try CertificateFolder()
        authority = try TestAuthority(in: folder.path)
        server = try authority.issue("server", names: ["radius.example.org"], for: "serverAuth")
    }

    private func serverContext(_ change: (inout TLSSettings) -> Void = { _ in }) throws -> TLSContext {
        var settings = TLSSettings()
        settings.certificates = server.pem
        settings.key = server.keyPEM
        settings.peerAuthorities = authority.pem
        change(&settings)
        return try TLSContext(.server, settings)
    }

    private func clientContext(_ issued: TestAuthority.Issued?, _ change: (inout TLSSettings) -> Void = { _ in }) throws -> TLSContext {
        var settings = TLSSettings()
        if let issued { (settings.certificates, settings.key) = (issued.pem, issued.keyPEM) }
        settings.peerAuthorities = authority.pem
        change(&settings)
        return try TLSContext(.client(), settings)
    }

    /// What the server says of a client that it refuses.
    private func refusal(_ client: TLSContext, by server: TLSContext) throws -> TLSError? {
        do {
            try Pair(client, server).shakeHands()
            return nil
        } catch let error as TLSError {
            return error
        }
    }

    /// TLS 1.3 names the curve of a signature by itself. In TLS 1.2 it has to be one of those that keys are agreed on in (RFC 8422 §5.1.1),
    /// and P-521 is none of them, since anybody could ask for its long computations.
    @Test func aCertificateOnP521NeedsTLS13() throws {
        let gateway = try authority.issue("gw521", names: ["gw521.example.org"], curve: "P-521")
        let pair = try Pair(try clientContext(gateway), try serverContext())
        try pair.shakeHands()
        #expect(pair.server.peer?.names == ["gw521.example.org"])
        #expect(try pair.send("hello", from: pair.client, to: pair.server) == "hello")
        let old = try clientContext(gateway) { $0.newestVersion = .tls12 }
        #expect(try #require(try refusal(old, by: try serverContext())).description.contains("wrong curve"))
        let medium = try authority.issue("gw384", names: ["gw384.example.org"], curve: "P-384")
        #expect(try refusal(try clientContext(medium) { $0.newestVersion = .tls12 }, by: try serverContext()) == nil)
    }

    @Test func bothSidesProveThemselvesAndTalk() throws {
        let gateway = try authority.issue("gw1", names: ["GW1.example.org", "gw1.internal"])
        let context = try serverContext()
        let pair = try Pair(try clientContext(gateway), context)
        try pair.shakeHands()
        #expect(pair.server.version == "TLSv1.3")
        let peer = try #require(pair.server.peer)
        #expect(peer.names == ["gw1.example.org", "gw1.internal"])
        #expect(peer.subject == "CN=gw1,O=Test")
        #expect(peer.issuer == "CN=authority,O=Test")
        #expect(peer.fingerprint.count == 32)
        #expect(pair.server.isChainTrusted)
        #expect(try pair.send("ask", from: pair.client, to: pair.server) == "ask")
        #expect(try pair.send("answer", from: pair.server, to: pair.client) == "answer")
        #expect(try pair.read(pair.server) == "")
        pair.client.close()
        try pair.carry(pair.client, pair.server)
        #expect(try pair.read(pair.server) == nil)
        #expect(context.subject == "CN=server,O=Test")
        let days = (try #require(context.expires) - Int64(Date().timeIntervalSince1970)) / 86_400
        #expect((28...30).contains(days))
    }

    @Test func aCertificateWithoutNamesIsKnownByItsCommonName() throws {
        let pair = try Pair(try clientContext(try authority.issue("gw-2")), try serverContext())
        try pair.shakeHands()
        #expect(pair.server.peer?.names == ["gw-2"])
    }

    @Test func aPeerWithoutACertificateIsRefused() throws {
        let error = try refusal(try clientContext(nil), by: try serverContext())
        guard case .handshake(.noCertificate, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func aStrangersCertificateIsRefusedWithSubjectIssuerAndWhatWasExpected() throws {
        let strangers = try TestAuthority("stranger", in: folder.path)
        let error = try refusal(try clientContext(try strangers.issue("thief")), by: try serverContext())
        guard case .refused(let refusal) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(refusal.cause == .untrusted)
        #expect(refusal.subject == "CN=thief,O=Test")
        #expect(refusal.issuer == "CN=stranger,O=Test")
        #expect("\(refusal)".contains("expected one signed by an authority of the configured file"))
    }

    @Test func anExpiredCertificateIsRefusedAlsoWhereItsFingerprintIsRegistered() throws {
        let gateway = try authority.issueExpired("old")
        for isPinned in [false, true] {
            let error = try refusal(try clientContext(gateway), by: try serverContext { $0.isPinned = { _ in isPinned } })
            guard case .refused(let refusal) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(refusal.cause == .expired)
        }
    }

    @Test func aCertificateForServersIsNoneOfAGateway() throws {
        let error = try refusal(try clientContext(server), by: try serverContext())
        guard case .refused(let refusal) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(refusal.cause == .purpose)
    }

    @Test func aSelfSignedCertificateIsTakenByItsFingerprintAndItsNamesDoNotCount() throws {
        let own = try TestAuthority.selfSigned("gw3", in: folder.path)
        #expect(try refusal(try clientContext(own), by: try serverContext()) != nil)
        let pair = try Pair(try clientContext(own), try serverContext { $0.isPinned = { $0.count == 32 } })
        try pair.shakeHands()
        #expect(!pair.server.isChainTrusted)
        #expect(pair.server.peer?.subject == "CN=gw3")
    }

    @Test func aRevokedCertificateIsRefused() throws {
        let (lost, kept) = (try authority.issue("lost"), try authority.issue("kept"))
        let list = TestAuthority.bytes(of: try authority.revoke(lost))
        let context = try serverContext { $0.revocations = list }
        guard case .refused(let refusal) = try refusal(try clientContext(lost), by: context) else {
            Issue.record("a revoked certificate was taken")
            return
        }
        #expect(refusal.cause == .revoked)
        try Pair(try clientContext(kept), context).shakeHands()
    }

    @Test func bytesThatAreNoTLSAreNamed() throws {
        let session = try TLSSession(try serverContext())
        try Array("GET / HTTP/1.1\r\n\r\n".utf8).withUnsafeBytes { try session.put($0) }
        #expect(throws: TLSError.self) { try session.handshake() }
        let radius = try TLSSession(try serverContext())
        // An Access-Request without TLS.
        try ([1, 7, 0, 20] + [UInt8](repeating: 3, count: 16)).withUnsafeBytes { try radius.put($0) }
        do {
            _ = try radius.handshake()
            Issue.record("it was taken for TLS")
        } catch {
            guard case .handshake(.notTLS, _) = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test(arguments: [["radius/1.1", "radius/1.0"], ["radius/1.0"], []])
    func theApplicationProtocolIsTheFirstOfTheServersThatTheClientOffers(_ offered: [String]) throws {
        let gateway = try authority.issue("gw4")
        let context = try serverContext { $0.applicationProtocols = ["radius/1.1", "radius/1.0"] }
        let pair = try Pair(try clientContext(gateway) { $0.applicationProtocols = offered }, context)
        try pair.shakeHands()
        #expect(pair.server.applicationProtocol == offered.first)
    }

    @Test func aClientThatSpeaksAnotherProtocolIsRefused() throws {
        let gateway = try authority.issue("gw5")
        let context = try serverContext { $0.applicationProtocols = ["radius/1.1", "radius/1.0"] }
        let error = try refusal(try clientContext(gateway) { $0.applicationProtocols = ["h2"] }, by: context)
        guard case .handshake(.applicationProtocol, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    /// What the server says in the end, whatever the client does.
    private func serversWord(_ client: TLSContext, to server: TLSContext) throws -> TLSError? {
        let pair = try Pair(client, server)
        for _ in 0..<6 {
            _ = try? pair.client.handshake()
            try pair.carry(pair.client, pair.server)
            do throws(TLSError) {
                _ = try pair.server.handshake()
            } catch {
                return error
            }
            try pair.carry(pair.server, pair.client)
        }
        return nil
    }

    @Test(arguments: ["ffdhe2048", "ffdhe8192", "P-521"], [TLSSettings.Version.tls12, .tls13])
    func aClientOfCostlyGroupsIsRefused(_ groups: String, _ version: TLSSettings.Version) throws {
        let gateway = try authority.issue("gw7")
        func client(_ groups: String) throws -> TLSContext {
            try clientContext(gateway) {
                $0.groups = groups
                $0.newestVersion = version
            }
        }
        guard case .handshake = try serversWord(try client(groups), to: try serverContext()) else {
            Issue.record("\(groups) was agreed on")
            return
        }
        // One that offers another beside has to take that.
        try Pair(try client("\(groups):P-256"), try serverContext()).shakeHands()
    }

    @Test func groupsThatOpenSSLDoesNotKnowAreNone() throws {
        #expect(throws: TLSError.self) { try serverContext { $0.groups = "Q-256" } }
    }

    @Test func aPreSharedKeyStandsForCertificates() throws {
        let key = [UInt8](repeating: 7, count: 32)
        let context = try serverContext { $0.preSharedKey = { $0 == "gw6" ? key : nil } }
        func client(_ identity: String, _ key: [UInt8]) throws -> TLSContext {
            try TLSContext(.client(identity: identity, key: key), TLSSettings())
        }
        let pair = try Pair(try client("gw6", key), context)
        try pair.shakeHands()
        #expect(pair.server.peerKey?.identity == "gw6" && pair.server.peerKey?.key == key)
        #expect(pair.server.peer == nil)
        #expect(pair.server.version == "TLSv1.3")
        #expect(try pair.send("ask", from: pair.client, to: pair.server) == "ask")
        for (identity, key) in [("gw6", [UInt8](repeating: 8, count: 32)), ("nobody", key), ("gw6\u{7F}", key)] {
            let error = try serversWord(try client(identity, key), to: context)
            guard case .handshake(.unknownKey, let words) = error else {
                Issue.record("\(identity): \(String(describing: error))")
                continue
            }
            #expect(!words.contains("\u{7F}"))
        }
    }
}

struct TLSContextTests {
    private let folder: CertificateFolder
    private let authority: TestAuthority

    init() throws {
        folder = try CertificateFolder()
        authority = try TestAuthority(in: folder.path)
    }

    private func words(_ change: (inout TLSSettings) -> Void) -> String? {
        var settings = TLSSettings()
        change(&settings)
        do {
            _ = try TLSContext(.server, settings)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func everyFileThatIsNotWhatItShouldBeIsNamed() throws {
        let (one, two) = (try authority.issue("one"), try authority.issue("two"))
        #expect(words { $0.certificates = Array("hello".utf8) }?.contains("holds no certificate in PEM") == true)
        #expect(words { $0.certificates = one.pem } == "there is a certificate and no key")
        #expect(words { ($0.certificates, $0.key) = (one.pem, two.keyPEM) }?.contains("does not belong to the first certificate") == true)
        #expect(words { ($0.certificates, $0.key) = (one.pem, one.pem) }?.contains("holds no private key in PEM") == true)
        #expect(words { $0.peerAuthorities = one.keyPEM }?.contains("the file of certificate authorities holds no certificate") == true)
        #expect(words { $0.revocations = one.pem }?.contains("the revocation file holds no list") == true)
        let damaged = String(decoding: one.pem, as: UTF8.self).replacing("MII", with: "MIA")
        #expect(words { $0.certificates = Array(damaged.utf8) }?.contains("certificate 1 of the certificate file cannot be read") == true)
    }

    @Test func aKeyWithAPassphraseIsRefusedAndNobodyIsAsked() throws {
        let one = try authority.issue("locked")
        let file = "\(folder.path)/locked.enc"
        try TestAuthority.openssl(["pkey", "-in", one.key, "-aes256", "-passout", "pass:secret", "-out", file])
        let key = TestAuthority.bytes(of: file)
        #expect(words { ($0.certificates, $0.key) = (one.pem, key) }?.contains("protected by a passphrase") == true)
    }
}
