// SPDX-License-Identifier: Apache-2.0
// The user's device in tests: the client's side of EAP-TLS, TTLS and PEAP, with fragments of its own.

import Foundation
import RADIUS
import TLS
import TestSupport
import Testing

@testable import EAP

/// One login of a device. What it says inside is told by whoever makes it.
final class TunnelPeer {
    let session: TLSSession
    let version: UInt8 = 0
    /// Of one fragment, without its flags.
    var fragment = 1_000
    /// It speaks first, once the handshake is done, and hears nothing before.
    var opening: (() throws -> [UInt8])?
    /// What it answers to what is said inside; nil: an acknowledgement.
    var reply: (([UInt8]) throws -> [UInt8]?)?
    /// Whether the opening goes out with the end of the handshake.
    var isHasty = false
    /// Why it refused the server.
    private(set) var refusal: TLSError?
    private(set) var heard: [[UInt8]] = []
    /// Packets that came, and the longest.
    private(set) var requests = 0
    private(set) var longest = 0

    private var incoming: [UInt8] = []
    private var outgoing: [UInt8] = []
    private var announced: Int?
    private var isFirstFragment = true
    private var hasSpoken = false

    init(_ context: TLSContext, takingUp earlier: TunnelPeer? = nil) throws {
        session = try TLSSession(context)
        if let earlier { session.takeUp(earlier.session) }
    }

    /// - Parameter request: what stands behind the type.
    func answer(_ request: [UInt8]) throws -> [UInt8] {
        requests += 1
        longest = max(longest, request.count + EAPPacket.typedLength)
        let flags = try #require(request.first)
        var rest = Array(request.dropFirst())
        if flags & 0x20 != 0 {
            #expect(rest.isEmpty)
            _ = try session.handshake()
            return send()
        }
        if !outgoing.isEmpty {
            #expect(rest.isEmpty && flags & 0xc0 == 0, "an acknowledgement of a fragment is empty")
            return next()
        }
        if flags & 0x80 != 0 {
            announced = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest.removeFirst(4)
        }
        incoming += rest
        if flags & 0x40 != 0 {
            #expect(announced != nil, "the first fragment names the length")
            return [version]
        }
        if let announced { #expect(announced == incoming.count) }
        defer { (incoming, announced) = ([], nil) }
        return try take(incoming)
    }

    private func take(_ message: [UInt8]) throws -> [UInt8] {
        try session.put(message[...])
        if !session.isEstablished {
            do throws(TLSError) {
                guard try session.handshake() else { return send() }
            } catch {
                refusal = error
                return send()
            }
            if session.pendingOutput > 0, !isHasty { return send() }
        }
        let plain: [UInt8]
        do throws(TLSError) {
            plain = try session.readAll(atMost: 65_536) ?? []
        } catch {
            // In TLS 1.3 the server's alert comes when the device is done.
            refusal = error
            return send()
        }
        if !plain.isEmpty {
            heard.append(plain)
            if let answer = try reply?(plain) { try session.write(answer) }
        } else if !hasSpoken, let opening {
            hasSpoken = true
            try session.write(try opening())
        }
        return send()
    }

    private func send() -> [UInt8] {
        outgoing = []
        session.takeOutput(into: &outgoing)
        isFirstFragment = true
        return next()
    }

    private func next() -> [UInt8] {
        let piece = Array(outgoing.prefix(fragment))
        let total = outgoing.count
        outgoing.removeFirst(piece.count)
        var flags = version
        if !outgoing.isEmpty { flags |= 0x40 }
        defer { isFirstFragment = false }
        guard isFirstFragment, !outgoing.isEmpty else { return [flags] + piece }
        return [flags | 0x80] + (0..<4).map { UInt8(truncatingIfNeeded: total >> (24 - 8 * $0)) } + piece
    }
}

/// How a login of a method ended.
enum LoginEnd: Equatable {
    case success(EAPKeys?)
    case failure(EAPFailureReason)

    var keys: EAPKeys? { if case .success(let keys) = self { keys } else { nil } }
    var reason: EAPFailureReason? { if case .failure(let reason) = self { reason } else { nil } }
}

/// Everything that the server's side asks about, with one user in it.
struct Judge {
    var name = "alice"
    var password = "correct horse"
    /// Of what was asked, in order.
    private(set) var questions: [EAPQuestion] = []
    /// Whether a session that is taken up is enough.
    var takesSessions = false
    var prompts: [String] = []
    /// As a server does that knows no password and wants one.
    var takesEverything = false

    init() {}

    mutating func judge(_ question: EAPQuestion) throws -> EAPVerdict {
        questions.append(question)
        let hash = try #require(NTHash(password: Array(password.utf8)))
        if let name = question.name, name != Array(self.name.utf8) { return .reject() }
        switch question.proof {
        case .password(let given):
            if !prompts.isEmpty { return .challenge(prompt: prompts.removeFirst()) }
            return given == EAPSecret(Array(password.utf8)) ? .accept() : .reject()
        case .chap(let identifier, let challenge, let response):
            let digest = try #require(MD5.Digest(response))
            let given = CHAPResponse(identifier: identifier, challenge: challenge, response: digest)
            return given.matches(password: Array(password.utf8)) ? .accept() : .reject()
        case .msCHAP(let challenge, let value):
            return try MSCHAPResponse(challenge: challenge[...], value: value[...]).matches(hash) ? .accept() : .reject()
        case .msCHAPv2(let challenge, let value, let name):
            let given = try MSCHAPv2Response(challenge: challenge[...], value: value[...], userName: name[...])
            guard given.matches(hash) || takesEverything else { return .reject() }
            let keys = MPPEKeys(given, hash)
            return .accept(
                MSCHAPv2Grant(
                    success: Array(given.success(hash).utf8), receive: EAPSecret(keys.receive), send: EAPSecret(keys.send)))
        case .newPassword: return .reject()
        case .certificate: return .accept()
        case .session: return takesSessions ? .accept() : .reject()
        }
    }
}

/// Carries packets between both sides until the server's is done. `change` may spoil what the peer sends.
func logIn(
    _ method: inout some EAPMethod, _ peer: TunnelPeer, _ judge: inout Judge, change: (inout [UInt8]) -> Void = { _ in }
) throws -> LoginEnd {
    var step = method.begin(identifier: 7)
    for _ in 0..<300 {
        switch step {
        case .request(let data):
            var response = try peer.answer(data)
            change(&response)
            step = method.take(response: response[...])
        case .ask(let question): step = method.take(verdict: try judge.judge(question))
        case .success(let keys): return .success(keys)
        case .failure(let reason): return .failure(reason)
        case .ignore:
            Issue.record("nothing is ignored inside a tunnel")
            return .failure(.rejected)
        }
    }
    Issue.record("the login does not end")
    return .failure(.tooManyRounds)
}

/// Certificates for both sides, in a folder that goes with them.
final class TunnelCertificates: Sendable {
    let folder: String
    let authority: TestAuthority
    let server: TestAuthority.Issued
    let alice: TestAuthority.Issued

    init() throws {
        folder = NSTemporaryDirectory() + "sallyport-eap-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        authority = try TestAuthority(in: folder)
        server = try authority.issue("server", names: ["radius.example.org"], for: "serverAuth")
        alice = try authority.issue(
            "alice", alternatives: ["otherName:1.3.6.1.4.1.311.20.2.3;UTF8:alice@corp.example", "email:alice@example.org"])
    }

    deinit {
        try? FileManager.default.removeItem(atPath: folder)
    }

    func serverContext(
        _ version: TLSSettings.Version = .tls13, wantsCertificate: Bool = false, sessions: SessionCache? = nil,
        _ change: (inout TLSSettings) -> Void = { _ in }
    ) throws -> TLSContext {
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (server.pem, server.keyPEM)
        settings.peerAuthorities = authority.pem
        settings.peerCertificate = wantsCertificate ? .required : .none
        settings.newestVersion = version
        settings.sessions = sessions
        change(&settings)
        return try TLSContext(.server, settings)
    }

    func clientContext(_ issued: TestAuthority.Issued? = nil, _ change: (inout TLSSettings) -> Void = { _ in }) throws -> TLSContext {
        var settings = TLSSettings()
        if let issued { (settings.certificates, settings.key) = (issued.pem, issued.keyPEM) }
        settings.peerAuthorities = authority.pem
        change(&settings)
        return try TLSContext(.client(), settings)
    }
}

/// What the device knows after the handshake, by its own reading of RFC 5216 §2.3, RFC 5281 §8 and RFC 9427 §2.1.
func clientKeys(_ session: TLSSession, _ type: EAPType) throws -> EAPKeys {
    let msk: [UInt8]
    let sessionID: [UInt8]
    if session.version == "TLSv1.3" {
        msk = try session.export("EXPORTER_EAP_TLS_Key_Material", context: [type.rawValue], count: 128)
        sessionID = try session.export("EXPORTER_EAP_TLS_Method-Id", context: [type.rawValue], count: 64)
    } else {
        msk = try session.export(type == .ttls ? "ttls keying material" : "client EAP encryption", count: 128)
        sessionID = session.randoms
    }
    return EAPKeys(
        receive: EAPSecret(Array(msk[..<32])), send: EAPSecret(Array(msk[32..<64])), sessionID: [type.rawValue] + sessionID)
}
