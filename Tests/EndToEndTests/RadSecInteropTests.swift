// SPDX-License-Identifier: Apache-2.0
// RADIUS over TLS against a node, with foreign peers: radsecproxy as the gateway's side, and OpenSSL's own client.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUS
import RADIUSDoor
import TLS
import TestSupport
import Testing

@testable import sallyport

/// A node that answers over TLS, its authority, and certificates of a gateway.
struct RadSecNode: Sendable {
    let node: TestNode
    let authority: TestAuthority
    let gateway: TestAuthority.Issued

    var port: UInt16 { node.node.radius.boundTLSAddresses[0].port }
    var refusals: [String: Int] { node.node.radius.refusedConnections }

    static func with(_ more: [String: String] = [:], _ body: (RadSecNode) async throws -> Void) async throws {
        let files = try TemporaryFolder()
        let authority = try TestAuthority(in: files.path)
        let own = try authority.issue("server", names: ["localhost", "radius.example.org"], for: "serverAuth")
        let gateway = try authority.issue("gw1", names: ["gw1.example.org"])
        let flags = [
            "radsec.listen": "127.0.0.1:0,[::1]:0", "radsec.certificate": own.certificate, "radsec.key": own.key,
            "radsec.client-ca": authority.certificate,
        ]
        let node = try await TestNode.start(flags: flags.merging(more) { $1 })
        do {
            try await body(RadSecNode(node: node, authority: authority, gateway: gateway))
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
        withExtendedLifetime(files) {}
    }

    func addClient(_ rules: [String] = ["name:gw1.example.org"], _ choose: (inout ClientChoices) -> Void = { _ in }) async throws {
        var choices = ClientChoices()
        choices.certificates = rules
        choose(&choices)
        try await node.perform(AddClient(name: "branch", choices: choices))
    }

    func connect(_ issued: TestAuthority.Issued? = nil, protocols: [String] = []) async throws -> TLSGateway {
        let (port, gateway, authority) = (port, issued ?? gateway, authority)
        return try await onThread {
            try TLSGateway(port: port, try .gateway(gateway, trusting: authority, protocols: protocols), patience: 15_000)
        }
    }
}

extension TLSGateway {
    private static let secret = RADIUS.SharedSecret("radsec")

    func ask(
        _ identifier: UInt8, _ name: String, _ field: String, state: [UInt8]? = nil, add: (inout PacketWriter) -> Void = { _ in }
    ) async throws -> Packet? {
        let secret = try #require(Self.secret)
        var random = SystemRandomNumberGenerator()
        var writer = PacketWriter(request: .accessRequest, identifier: identifier, authenticator: Authenticator(using: &random))
        writer.addText(.userName, name)
        writer.addPassword(Array(field.utf8), secret: secret)
        if let state { writer.add(.state, state) }
        add(&writer)
        return try await exchange(try writer.sign(with: secret), requiringMessageAuthenticator: true)
    }

    /// Waits for a Disconnect-Request or CoA-Request, and acknowledges it where there is no cause not to.
    func answerDisconnect(_ cause: UInt32?) async throws -> Packet {
        let secret = try #require(Self.secret)
        let bytes = try await onThread { try self.receive() }
        let asked = try Packet(decoding: try #require(bytes, "nothing was asked"))
        #expect(asked.hasValidRequestAuthenticator(secret: secret))
        let (yes, no): (Code, Code) = asked.code == .coaRequest ? (.coaACK, .coaNAK) : (.disconnectACK, .disconnectNAK)
        var writer = PacketWriter(reply: cause == nil ? yes : no, to: asked)
        if let cause { writer.addInteger(.errorCause, cause) }
        let reply = try writer.sign(with: secret)
        try await onThread { try self.send(reply) }
        return asked
    }

    /// By RADIUS/1.1.
    func askByToken(_ token: UInt32, _ name: String, _ field: String) async throws -> Packet? {
        let secret = try #require(Self.secret)
        var writer = PacketWriter(request: .accessRequest, token: token)
        writer.addText(.userName, name)
        writer.addPassword(Array(field.utf8), secret: secret)
        let bytes = try writer.sign(with: secret)
        let reply = try await onThread {
            try self.send(bytes)
            return try self.receive()
        }
        let packet = try reply.map { try Packet(decoding: $0, version: .tokens) }
        #expect(packet?.token == token)
        return packet
    }

    /// Accounting: 1 begins a session, 2 ends it.
    func report(_ kind: UInt32, of session: String, _ name: String, identifier: UInt8) async throws -> Packet? {
        var writer = PacketWriter(request: .accountingRequest, identifier: identifier, authenticator: .zero)
        writer.addInteger(.acctStatusType, kind)
        writer.addText(.acctSessionID, session)
        writer.addText(.userName, name)
        return try await exchange(try writer.sign(with: try #require(Self.secret)), requiringMessageAuthenticator: false)
    }

    private func exchange(_ bytes: [UInt8], requiringMessageAuthenticator: Bool) async throws -> Packet? {
        let reply = try await onThread {
            try self.send(bytes)
            return try self.receive()
        }
        guard let reply = try reply.map({ try Packet(decoding: $0) }) else { return nil }
        let verdict = reply.verifyReply(
            to: try Packet(decoding: bytes), secret: try #require(Self.secret), requiringMessageAuthenticator: requiringMessageAuthenticator
        )
        #expect(verdict == .genuine)
        return reply
    }
}

struct RadSecTests {
    @Test func aUserLogsInOverTLSAndTheTrailKnowsTheClient() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            let token = try await radsec.node.addUser()
            let gateway = try await radsec.connect()
            let question = try #require(try await gateway.ask(1, "alice", TestNode.password))
            #expect(question.code == .accessChallenge)
            let answer = try await gateway.ask(2, "alice", try token.code(), state: question.octets(.state))
            #expect(answer?.code == .accessAccept)
            let events = try await radsec.node.logins("login-accepted", count: 1)
            #expect(events.first?.client == "branch")
        }
    }

    @Test func aSessionIsReportedByTheSameConnection() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            let token = try await radsec.node.addUser()
            let gateway = try await radsec.connect()
            let question = try #require(try await gateway.ask(1, "alice", TestNode.password) { $0.addText(.acctSessionID, "4f2a") })
            let answer = try await gateway.ask(2, "alice", try token.code(), state: question.octets(.state)) {
                $0.addText(.acctSessionID, "4f2a")
            }
            #expect(answer?.code == .accessAccept)
            #expect(try await gateway.report(1, of: "4f2a", "alice", identifier: 2)?.code == .accountingResponse)
            let session = try #require(try await radsec.node.perform(ListSessions(isOpen: true)).sessions.first)
            #expect(session.user == "alice" && session.isKnown && session.client == "branch" && session.source == "127.0.0.1")
            #expect(session.login != nil)
            #expect(try await gateway.report(2, of: "4f2a", "alice", identifier: 3)?.code == .accountingResponse)
            #expect(try await radsec.node.perform(ListSessions(isOpen: true)).sessions.isEmpty)
        }
    }

    /// RFC 5176 by the gateway's own connection: the client has no shared secret, and nothing listens on UDP.
    @Test func aSessionIsEndedByTheConnectionOfItsGateway() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            try await radsec.node.addUser()
            let gateway = try await radsec.connect()
            #expect(try await gateway.report(1, of: "4f2a", "alice", identifier: 2)?.code == .accountingResponse)
            let session = try #require(try await radsec.node.perform(ListSessions(isOpen: true)).sessions.first)
            let (node, id) = (radsec.node, session.id)
            try await node.setClient("branch") { $0.reply = [ReplySetting("Filter-Id", "staff")] }
            let update = Task { try await node.perform(UpdateSessions(id: id)) }
            let told = try await gateway.answerDisconnect(nil)
            #expect(told.code == .coaRequest && told.octets(.filterID) == Array("staff".utf8))
            #expect(try await update.value.results.map(\.answer) == ["acknowledged"])
            for (cause, word) in [(nil, "acknowledged"), (503, "Session-Context-Not-Found")] as [(UInt32?, String)] {
                let command = Task { try await node.perform(DisconnectSessions(id: id)) }
                let asked = try await gateway.answerDisconnect(cause)
                #expect(asked.code == .disconnectRequest && asked.octets(.acctSessionID) == Array("4f2a".utf8))
                #expect(asked.contains(.eventTimestamp) && asked.octets(.userName) == Array("alice".utf8))
                let result = try #require(try await command.value.results.first)
                #expect(result.isDone && result.answer == word, "\(result.message)")
            }
            #expect(try await radsec.node.perform(ListSessions(isOpen: true)).sessions.isEmpty)
            #expect(try await gateway.report(1, of: "5f2a", "alice", identifier: 3)?.code == .accountingResponse)
            let other = try #require(try await radsec.node.perform(ListSessions(isOpen: true)).sessions.first)
            gateway.close()
            #expect(try await eventually { radsec.node.node.radius.openConnections == 0 })
            let result = try #require(try await radsec.node.perform(DisconnectSessions(id: other.id)).results.first)
            #expect(!result.isDone && result.message.contains("is not connected by TLS from 127.0.0.1"), "\(result.message)")
        }
    }

    /// RFC 9765, with a whole node behind it; a connection that begins with the same token brings no used code back.
    @Test func aUserLogsInByRADIUS11() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient { $0.asking = "append" }
            let token = try await radsec.node.addUser()
            let field = "\(TestNode.password),\(try token.code())"
            #expect(try await radsec.connect(protocols: ["radius/1.1"]).askByToken(0, "alice", field)?.code == .accessAccept)
            #expect(try await radsec.connect(protocols: ["radius/1.1"]).askByToken(0, "alice", field)?.code == .accessReject)
        }
    }

    @Test func aClientWithoutAddressesHasNoSecretAndIsNotAnsweredOverUDP() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            try await radsec.node.addUser()
            let view = try await radsec.node.perform(ShowClient(name: "branch", withHowto: true))
            #expect(view.addresses.isEmpty)
            #expect(view.certificates == ["name:gw1.example.org"])
            #expect(view.howto?.contains("Shared secret             radsec") == true)
            #expect(!view.warnings.contains { $0.contains("secret") })
            let udp = try GatewayClient(radsec.node, patience: 300)
            #expect(try await udp.login("alice", TestNode.password) == nil)
        }
    }

    @Test func whatCannotBeACertificateIsRefusedWhenItIsSet() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            for wrong in ["gw1.example.org", "name:", "name:*.example.org", "sha256:12", "sha1:00"] {
                await #expect(throws: Refusal.self) { try await radsec.node.setClient("branch") { $0.certificates = [wrong] } }
            }
            var choices = ClientChoices()
            choices.certificates = ["name:GW1.example.org"]
            await #expect(throws: Refusal.self) { try await radsec.node.perform(AddClient(name: "other", choices: choices)) }
            await #expect(throws: Refusal.self) { try await radsec.node.setClient("branch") { $0.certificates = [] } }
        }
    }

    @Test func certificatesAreReadAgainWithoutARestart() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            let before = try await radsec.connect()
            let keeper = try #require(radsec.node.node.radsec)
            let fresh = try radsec.authority.issue("fresh", names: ["radius.example.org"], for: "serverAuth")
            try put(fresh.certificate, at: try #require(keeper.files.certificate))
            // The key does not fit yet: nothing changes.
            keeper.reload(isAsked: false, at: NodeClock.now().wall)
            #expect(keeper.inForce?.problem?.contains("the key does not belong") == true)
            #expect(try await radsec.connect().session.peer?.subject == "CN=server,O=Test")
            try put(fresh.key, at: try #require(keeper.files.key))
            keeper.reload(isAsked: false, at: NodeClock.now().wall)
            #expect(keeper.inForce?.problem == nil)
            #expect(try await radsec.connect().session.peer?.subject == "CN=fresh,O=Test")
            #expect(try await before.ask(1, "nobody", "at all") != nil)
        }
    }

    private func put(_ source: String, at place: String) throws {
        try Data(contentsOf: URL(fileURLWithPath: source)).write(to: URL(fileURLWithPath: place))
    }

    @Test func aRevokedGatewayIsRefused() async throws {
        let files = try TemporaryFolder()
        let authority = try TestAuthority(in: files.path)
        let own = try authority.issue("server", for: "serverAuth")
        let (lost, kept) = (
            try authority.issue("lost", names: ["gw1.example.org"]), try authority.issue("kept", names: ["gw1.example.org"])
        )
        let flags = [
            "radsec.certificate": own.certificate, "radsec.key": own.key, "radsec.client-ca": authority.certificate,
            "radsec.revoked": try authority.revoke(lost),
        ]
        try await RadSecNode.with(flags) { radsec in
            try await radsec.addClient()
            let here = RadSecNode(node: radsec.node, authority: authority, gateway: kept)
            #expect(try await here.connect().ask(1, "nobody", "at all") != nil)
            let refused = try? await here.connect(lost)
            if let refused { #expect(try await onThread { refused.isEnded() }) }
            #expect(try await eventually { here.refusals["revoked_certificate"] == 1 })
        }
    }

    @Test func doctorTellsOfTheCertificate() async throws {
        try await RadSecNode.with { radsec in
            let findings = RadSecCheck.findings(radsec.node.node.radsec, now: NodeClock.now().wall)
            // It is made for thirty days.
            #expect(findings.map(\.kind) == [.certificateEnding])
            let later = RadSecCheck.findings(radsec.node.node.radsec, now: NodeClock.now().wall + .minutes(60 * 24 * 31))
            #expect(later.map(\.kind) == [.certificateEnded])
        }
    }

    @Test(arguments: [
        ("radsec.certificate", "/nonexistent/cert.pem", "radsec.certificate: /nonexistent/cert.pem does not exist"),
        ("radsec.key", "none", "radsec.listen: needs radsec.certificate and radsec.key"),
        ("radsec.client-ca", "/etc/hostname", "radsec: the file of certificate authorities holds no certificate in PEM"),
    ])
    func filesThatCannotBeUsedEndTheStartWithOneLine(_ key: String, _ value: String, _ words: String) async throws {
        do {
            try await RadSecNode.with([key: value]) { _ in Issue.record("it started") }
        } catch let error as SettingsError {
            #expect(error.description.hasPrefix(words), "\(error)")
        }
    }
}

@Suite(.enabled(if: Foreign.isHere("radsecproxy", "radclient"), "radsecproxy and radclient (freeradius-utils) are not installed"))
struct RadSecProxyInteropTests {
    @Test func radsecproxyCarriesAGatewaysLogins() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            let token = try await radsec.node.addUser()
            let proxy = try await RadSecProxy(radsec)
            let question = try await proxy.ask(["User-Name": "alice", "User-Password": TestNode.password])
            #expect(question.output.contains("Received Access-Challenge"), "\(question.everything) \(proxy.log)")
            let received = try #require(question.output.range(of: "Received Access-Challenge"))
            let state = try #require(question.output[received.upperBound...].firstMatch(of: /State = (0x[0-9a-f]+)/)).1
            let answer = try await proxy.ask(["User-Name": "alice", "User-Password": try token.code(), "State": String(state)])
            #expect(answer.output.contains("Received Access-Accept"), "\(answer.everything) \(proxy.log)")
            let wrong = try await proxy.ask(["User-Name": "alice", "User-Password": "wrong"])
            #expect(wrong.output.contains("Received Access-Reject"), "\(wrong.everything) \(proxy.log)")
            #expect(radsec.node.node.radius.openConnections == 1)
        }
    }

    @Test func radsecproxyWithAStrangersCertificateGetsNoAnswerAndALine() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            let strangers = try TestAuthority("stranger", in: radsec.authority.folder)
            let proxy = try await RadSecProxy(radsec, showing: try strangers.issue("thief", names: ["gw1.example.org"]))
            let answer = try await proxy.ask(["User-Name": "alice", "User-Password": TestNode.password], seconds: 1)
            #expect(!answer.output.contains("Received Access-"), "\(answer.everything)")
            #expect(try await eventually { (radsec.refusals["untrusted_certificate"] ?? 0) > 0 })
        }
    }
}

@Suite(.enabled(if: Foreign.isHere("openssl"), "openssl is not installed"))
struct OpenSSLInteropTests {
    @Test func opensslIsToldWhyItIsRefused() async throws {
        try await RadSecNode.with { radsec in
            try await radsec.addClient()
            try await refuse(radsec, [], "no_certificate")
            let own = try TestAuthority.selfSigned("own", in: radsec.authority.folder)
            try await refuse(radsec, ["-cert", own.certificate, "-key", own.key], "untrusted_certificate")
            let old = try radsec.authority.issueExpired("old")
            try await refuse(radsec, ["-cert", old.certificate, "-key", old.key], "expired_certificate")
            let other = try radsec.authority.issue("other", names: ["other.example.org"])
            try await refuse(radsec, ["-cert", other.certificate, "-key", other.key], "unknown_client")
            let right = ["-cert", radsec.gateway.certificate, "-key", radsec.gateway.key]
            try await refuse(radsec, right + ["-tls1_1", "-cipher", "ALL@SECLEVEL=0"], "protocol_version")
        }
    }

    /// OpenSSL's own client, with a key that the node made (RFC 9813); once it is taken away, its connection ends.
    @Test func opensslConnectsByAPreSharedKey() async throws {
        try await RadSecNode.with { radsec in
            let answer = try await radsec.node.perform(AddClient(name: "kiosk", choices: ClientChoices(), generatePSK: true))
            let key = try #require(answer.generatedPSK?.text.dropFirst("hex:".count))
            let program = try #require(Program(installed: "openssl"))
            let arguments = ["s_client", "-connect", "127.0.0.1:\(radsec.port)", "-psk_identity", "kiosk"]
            // Without -quiet and at the end of its input it says goodbye by itself.
            let end = try await program.run(arguments + ["-psk", String(key), "-tls1_3", "-alpn", "radius/1.1"])
            #expect(end.output.contains("ALPN protocol: radius/1.1") && end.output.contains("TLSv1.3"), "\(end.everything)")
            #expect(radsec.refusals.isEmpty)
            _ = try await program.run(arguments + ["-psk", String(repeating: "00", count: 32), "-tls1_3"])
            #expect(try await eventually { radsec.refusals["unknown_psk"] == 1 }, "\(radsec.refusals)")
            _ = try await program.run(arguments + ["-psk", String(key), "-tls1_2", "-cipher", "PSK"])
            #expect(try await eventually { radsec.refusals["no_shared_cipher"] == 1 }, "\(radsec.refusals)")
        }
    }

    private func refuse(_ radsec: RadSecNode, _ arguments: [String], _ word: String) async throws {
        let program = try #require(Program(installed: "openssl"))
        _ = try await program.run(
            ["s_client", "-connect", "127.0.0.1:\(radsec.port)", "-CAfile", radsec.authority.certificate] + arguments)
        #expect(try await eventually { radsec.refusals[word] == 1 }, "\(word): \(radsec.refusals)")
    }
}

/// Debian's radsecproxy: UDP on one side, TLS on the other.
final class RadSecProxy: Sendable {
    private let running: RunningProgram
    private let folder: TemporaryFolder
    private let port: UInt16
    private static let secret = "between-radclient-and-radsecproxy"

    init(_ radsec: RadSecNode, showing issued: TestAuthority.Issued? = nil) async throws {
        folder = try TemporaryFolder()
        port = try Self.freePort()
        let shown = issued ?? radsec.gateway
        let file = try folder.file(
            "radsecproxy.conf",
            """
            ListenUDP 127.0.0.1:\(port)
            LogLevel 2
            tls default {
                CACertificateFile \(radsec.authority.certificate)
                CertificateFile \(shown.certificate)
                CertificateKeyFile \(shown.key)
            }
            client radclient {
                host 127.0.0.1
                type udp
                secret \(Self.secret)
            }
            server sallyport {
                host localhost
                port \(radsec.port)
                type tls
                secret radsec
                StatusServer on
            }
            realm * {
                server sallyport
            }

            """)
        let program = try #require(Program(installed: "radsecproxy"), "radsecproxy is required and not installed")
        running = try await program.start(["-f", "-c", file, "-i", folder.path + "/pid"])
        let running = running
        _ = try await eventually { running.hasEnded || running.errors.contains("listening for udp") }
        try #require(!running.hasEnded, "\(running.errors)")
    }

    deinit {
        running.signal(SIGKILL)
    }

    var log: String { running.errors }

    /// Proxies do not say which port the kernel would have chosen.
    static func freePort() throws -> UInt16 {
        let probe = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        defer { close(probe) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(probe, $0, length) | getsockname(probe, $0, &length) }
        }
        try #require(result == 0)
        return UInt16(bigEndian: name.sin_port)
    }

    func ask(_ attributes: KeyValuePairs<String, String>, seconds: Int = 15) async throws -> Finished {
        let program = try #require(Program(installed: "radclient"), "radclient is required and not installed")
        let lines = attributes.map { "\($0) = \($1.hasPrefix("0x") ? $1 : "\"\($1)\"")" }
        return try await program.run(
            ["-x", "-r", "1", "-t", "\(seconds)", "127.0.0.1:\(port)", "auth", Self.secret],
            input: (lines + ["Message-Authenticator = 0x00"]).joined(separator: "\n") + "\n")
    }
}
