// SPDX-License-Identifier: Apache-2.0
// wpa_supplicant's eapol_test against the three methods, behind a RADIUS server that is just enough: keys of both sides are compared.

import Foundation
import Glibc
import RADIUS
import Synchronization
import TLS
import TestSupport
import Testing

@testable import EAP

/// Answers one gateway on a port of the loopback, with a thread of its own, until it is thrown away.
private final class TunnelServer: Sendable {
    struct Record {
        var conversations: [UInt8: EAPAuthenticator] = [:]
        var next: UInt8 = 1
        var judge = Judge()
        var reasons: [EAPFailureReason] = []
        var sessionIDs: [[UInt8]] = []
    }

    let port: UInt16
    private let descriptor: Int32
    private let record = Mutex(Record())
    private let make: @Sendable (Int?) throws -> any EAPMethod

    init(judge: Judge = Judge(), _ make: @escaping @Sendable (_ framedMTU: Int?) throws -> any EAPMethod) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        try #require(descriptor >= 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        try #require(isBound)
        self.descriptor = descriptor
        self.make = make
        port = UInt16(bigEndian: address.sin_port)
        record.withLock { $0.judge = judge }
        let thread = Thread { [weak self] in while let self, self.serve() {} }
        thread.start()
    }

    /// The thread ends; its descriptor goes with it.
    func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    deinit { close(descriptor) }

    var reasons: [EAPFailureReason] { record.withLock { $0.reasons } }
    var questions: [EAPQuestion] { record.withLock { $0.judge.questions } }
    var sessionIDs: [[UInt8]] { record.withLock { $0.sessionIDs } }

    private func serve() -> Bool {
        var bytes = [UInt8](repeating: 0, count: 4096)
        var from = sockaddr()
        var length = socklen_t(MemoryLayout<sockaddr>.size)
        let count = recvfrom(descriptor, &bytes, bytes.count, 0, &from, &length)
        guard count > 0 else { return false }
        do {
            let packet = try Packet(decoding: Array(bytes[..<count]))
            let reply = try record.withLock { try answer(packet, &$0) }
            sendto(descriptor, reply, reply.count, 0, &from, length)
        } catch {
            Issue.record(error)
        }
        return true
    }

    private func answer(_ packet: Packet, _ record: inout Record) throws -> [UInt8] {
        let secret = try #require(SharedSecret("testing123"))
        var state = packet.octets(.state)?.first ?? 0
        if record.conversations[state] == nil {
            state = record.next
            record.next &+= 1
            let framedMTU = packet.octets(.framedMTU).map { $0.reduce(0) { $0 << 8 | Int($1) } }
            record.conversations[state] = EAPAuthenticator(methods: [try make(framedMTU)])
        }
        var conversation = try #require(record.conversations[state])
        var step = conversation.take((packet.joined(.eapMessage) ?? [])[...])
        while case .ask(let question) = step { step = conversation.take(verdict: try record.judge.judge(question)) }
        record.conversations[state] = conversation
        var writer: PacketWriter
        switch step {
        case .send(let request):
            writer = PacketWriter(reply: .accessChallenge, to: packet, messageAuthenticator: true)
            writer.addSplit(.eapMessage, request)
            writer.add(.state, [state])
        case .success(let success, let keys):
            record.conversations[state] = nil
            writer = PacketWriter(reply: .accessAccept, to: packet, messageAuthenticator: true)
            writer.addSplit(.eapMessage, success)
            if let keys {
                record.sessionIDs.append(keys.sessionID)
                for (type, key, salt) in [(UInt8(16), keys.send, UInt16(1)), (17, keys.receive, 2)] {
                    writer.addVendor(
                        311, type: type,
                        SaltedKey.hide(key.bytes, salt: salt, authenticator: packet.authenticator, secret: secret))
                }
            }
        case .failure(let failure, let reason):
            record.conversations[state] = nil
            record.reasons.append(reason)
            writer = PacketWriter(reply: .accessReject, to: packet, messageAuthenticator: true)
            writer.addSplit(.eapMessage, failure)
        case .discard, .ask:
            writer = PacketWriter(reply: .accessChallenge, to: packet, messageAuthenticator: true)
            writer.addSplit(.eapMessage, conversation.lastRequest)
            writer.add(.state, [state])
        }
        return try writer.sign(with: secret)
    }
}

private enum EAPOLTest {
    static let path = "/usr/bin/eapol_test"

    static var isHere: Bool {
        FileManager.default.isExecutableFile(atPath: path)
            || (ProcessInfo.processInfo.environment["SALLYPORT_REQUIRE"] ?? "").split(separator: ",").contains("eapol_test")
    }

    struct Finished {
        var status: Int32
        var output: String
        var isSuccess: Bool { status == 0 && output.hasSuffix("SUCCESS\n") }
    }

    /// - Parameters:
    ///   - lines: of the network, beside what all have.
    ///   - again: how often it logs in once more, with the session that it has.
    static func run(_ lines: [String], port: UInt16, in folder: String, again: Int = 0, framedMTU: Int? = nil) throws -> Finished {
        let name = UUID().uuidString
        let configuration = "\(folder)/\(name).conf"
        let settings = (["key_mgmt=IEEE8021X", "ca_cert=\"\(folder)/authority.pem\""] + lines).joined(separator: "\n  ")
        try Data("network={\n  \(settings)\n}\n".utf8).write(to: URL(fileURLWithPath: configuration))
        let log = "\(folder)/\(name).log"
        try Data().write(to: URL(fileURLWithPath: log))
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        defer { try? output.close() }
        let null = try FileHandle(forUpdating: URL(fileURLWithPath: "/dev/null"))
        defer { try? null.close() }
        var arguments = ["-c", configuration, "-a", "127.0.0.1", "-p", "\(port)", "-s", "testing123", "-t", "60", "-r\(again)"]
        if let framedMTU { arguments.append("-N12:d:\(framedMTU)") }
        let child = try ChildProcess(
            path, arguments, input: null.fileDescriptor, output: output.fileDescriptor, errors: output.fileDescriptor)
        let status = child.wait()
        return Finished(status: status, output: String(decoding: try Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self))
    }
}

@Suite(.enabled(if: EAPOLTest.isHere, "eapol_test (eapoltest) is not installed"), .serialized)
struct TunnelInteropTests {
    private let certificates: TunnelCertificates

    init() throws {
        certificates = try TunnelCertificates()
    }

    private static func phase1(_ version: TLSSettings.Version, _ more: String = "") -> String {
        "phase1=\"tls_disable_tlsv1_3=\(version == .tls12 ? 1 : 0)\(more)\""
    }

    private static let user = ["identity=\"alice\"", "anonymous_identity=\"anonymous\"", "password=\"correct horse\""]

    private static func inner() -> [any EAPMethod] {
        let challenge = (0..<16).map { _ in UInt8.random(in: 0...255) }
        return [MSCHAPv2Method(challenge: challenge, server: "sallyport"), GTCMethod(), MD5Method(challenge: challenge)]
    }

    private func ttls(_ context: TLSContext, _ judge: Judge = Judge()) throws -> TunnelServer {
        try TunnelServer(judge: judge) { try TTLSMethod(context: context, inner: Self.inner(), framedMTU: $0, now: 0) }
    }

    private func peap(_ context: TLSContext, _ binding: PEAPMethod.Binding, _ judge: Judge = Judge()) throws -> TunnelServer {
        try TunnelServer(judge: judge) {
            let nonce = (0..<32).map { _ in UInt8.random(in: 0...255) }
            return try PEAPMethod(
                context: context, inner: Array(Self.inner().prefix(2)), nonce: nonce, binding: binding, framedMTU: $0, now: 0)
        }
    }

    private func expectSuccess(_ end: EAPOLTest.Finished, logins: Int = 1) {
        #expect(end.isSuccess, "\(end.output.suffix(6_000))")
        #expect(end.output.contains("MPPE keys OK: \(logins)  mismatch: 0"), "\(end.output.suffix(600))")
    }

    @Test(arguments: ["PAP", "CHAP", "MSCHAP", "MSCHAPV2", "eap:MSCHAPV2", "eap:GTC", "eap:MD5"], [TLSSettings.Version.tls12, .tls13])
    func ttls(_ phase2: String, _ version: TLSSettings.Version) throws {
        let server = try ttls(try certificates.serverContext())
        defer { server.stop() }
        let auth = phase2.hasPrefix("eap:") ? "autheap=\(phase2.dropFirst(4))" : "auth=\(phase2)"
        let end = try EAPOLTest.run(
            ["eap=TTLS", "phase2=\"\(auth)\"", Self.phase1(version)] + Self.user, port: server.port, in: certificates.folder)
        expectSuccess(end)
        #expect(server.questions.map(\.name) == [Array("alice".utf8)])
        #expect(end.output.contains(version == .tls12 ? "Using TLS version TLSv1.2" : "Using TLS version TLSv1.3"))
    }

    @Test(arguments: ["MSCHAPV2", "GTC"], [TLSSettings.Version.tls12, .tls13])
    func peap(_ phase2: String, _ version: TLSSettings.Version) throws {
        for (binding, word) in [(PEAPMethod.Binding.required, " crypto_binding=2"), (.offered, " crypto_binding=0"), (.offered, "")] {
            let server = try peap(try certificates.serverContext(), binding)
            defer { server.stop() }
            let end = try EAPOLTest.run(
                ["eap=PEAP", "phase2=\"auth=\(phase2)\"", Self.phase1(version, " peapver=0\(word)")] + Self.user, port: server.port,
                in: certificates.folder)
            expectSuccess(end)
            #expect(server.questions.map(\.name) == [Array("alice".utf8)])
        }
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13], [500, 800, 1400]) func tls(_ version: TLSSettings.Version, _ size: Int) throws {
        let context = try certificates.serverContext(wantsCertificate: true)
        let server = try TunnelServer { try TLSMethod(context: context, framedMTU: $0, now: 0) }
        defer { server.stop() }
        let end = try EAPOLTest.run(
            [
                "eap=TLS", "identity=\"alice\"", "client_cert=\"\(certificates.alice.certificate)\"",
                "private_key=\"\(certificates.alice.key)\"", "fragment_size=\(size)", Self.phase1(version),
            ], port: server.port, in: certificates.folder, framedMTU: size)
        expectSuccess(end)
        #expect(server.questions.count == 1)
        #expect(server.sessionIDs.first?.count == 65)
    }

    @Test(arguments: [TLSSettings.Version.tls12, .tls13]) func sessionsAreTakenUp(_ version: TLSSettings.Version) throws {
        var judge = Judge()
        judge.takesSessions = true
        let folder = certificates.folder
        let outer = try ttls(try certificates.serverContext(sessions: SessionCache()), judge)
        defer { outer.stop() }
        var lines = ["eap=TTLS", "phase2=\"auth=PAP\"", Self.phase1(version)] + Self.user
        expectSuccess(try EAPOLTest.run(lines, port: outer.port, in: folder, again: 1), logins: 2)
        #expect(outer.questions.map(\.proof).last == .session(since: 0))
        let inner = try peap(try certificates.serverContext(sessions: SessionCache()), .required, judge)
        defer { inner.stop() }
        lines = ["eap=PEAP", "phase2=\"auth=MSCHAPV2\"", Self.phase1(version, " crypto_binding=2")] + Self.user
        expectSuccess(try EAPOLTest.run(lines, port: inner.port, in: folder, again: 1), logins: 2)
        #expect(inner.questions.map(\.proof).last == .session(since: 0))

        let context = try certificates.serverContext(wantsCertificate: true, sessions: SessionCache())
        let server = try TunnelServer { try TLSMethod(context: context, framedMTU: $0, now: 0) }
        defer { server.stop() }
        let end = try EAPOLTest.run(
            [
                "eap=TLS", "identity=\"alice\"", "client_cert=\"\(certificates.alice.certificate)\"",
                "private_key=\"\(certificates.alice.key)\"", Self.phase1(version),
            ], port: server.port, in: folder, again: 1)
        expectSuccess(end, logins: 2)
        let shown = server.questions.compactMap {
            if case .certificate(let certificate) = $0.proof { certificate.shownBefore } else { nil }
        }
        #expect(shown == [0], "the second one was taken up")
    }

    @Test(arguments: ["TTLS", "PEAP"]) func wrongPasswordIsTold(_ method: String) throws {
        var judge = Judge()
        judge.password = "another"
        let context = try certificates.serverContext()
        let server = method == "TTLS" ? try ttls(context, judge) : try peap(context, .offered, judge)
        defer { server.stop() }
        let end = try EAPOLTest.run(
            ["eap=\(method)", "phase2=\"auth=\(method == "TTLS" ? "PAP" : "MSCHAPV2")\""] + Self.user, port: server.port,
            in: certificates.folder)
        #expect(!end.isSuccess && end.output.contains("CTRL-EVENT-EAP-FAILURE"))
        #expect(server.reasons == [.rejected])
    }

    @Test func wrongAuthorityIsTold() throws {
        let elsewhere = try TestAuthority("elsewhere", in: certificates.folder)
        let server = try ttls(try certificates.serverContext())
        defer { server.stop() }
        let end = try EAPOLTest.run(
            ["eap=TTLS", "phase2=\"auth=PAP\"", "ca_cert=\"\(elsewhere.certificate)\""] + Self.user, port: server.port,
            in: certificates.folder)
        #expect(!end.isSuccess)
        #expect(try #require(server.reasons.first).description.contains("unknown ca"))
        #expect(server.questions.isEmpty)
    }
}
