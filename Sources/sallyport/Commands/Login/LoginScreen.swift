// SPDX-License-Identifier: Apache-2.0
// What `login` prints: each packet on a line, then the outcome in a sentence; or all of it as one JSON object.

import Administration
import Directories
import EAP
import LoginEngine
import RADIUS

/// The whole login, for `--json`.
struct LoginReport: Encodable {
    enum Outcome: String, Encodable {
        case accepted, rejected
    }

    struct Exchange: Encodable {
        var identifier: Int
        var requestBytes: Int
        var sendings: Int
        var reply: String
        var replyBytes: Int
        var milliseconds: Double
        var message: String?
        var chapError: String?
    }

    var user: String
    var server: String
    var outcome: Outcome?
    /// MS-CHAP: whether the server knew the password too.
    var serverProof: String?
    var eap: EAPReport?
    var exchanges: [Exchange] = []

    mutating func add(_ answer: RADIUSExchange.Answer) {
        exchanges.append(
            Exchange(
                identifier: Int(answer.request.identifier), requestBytes: answer.request.bytes.count, sendings: answer.sendings,
                reply: answer.reply.code.name, replyBytes: answer.reply.bytes.count,
                milliseconds: Double(answer.duration.microseconds) / 1_000, message: Challenge.message(of: answer.reply),
                chapError: LoginScreen.chapError(answer.reply)?.text))
    }
}

struct LoginScreen {
    var output: Output
    var showsPackets: Bool

    private var arrows: (out: String, back: String) { output.terminal.isUTF8 ? ("→", "←") : ("->", "<-") }

    func show(_ step: RADIUSExchange.Step, to server: ServerAddress) {
        guard !output.isJSON else { return }
        switch step {
        case .sent(let packet, 1):
            output.line(
                Span(arrows.out, .accent), Span(" \(packet.code.name) id \(packet.identifier) to \(server), \(packet.bytes.count) bytes"))
            attributes(of: packet)
        case .sent(let packet, let attempt):
            output.line(Span(arrows.out, .accent), Span(" id \(packet.identifier) again, sending \(attempt): no answer so far", .warn))
        case .ignored(let verdict):
            output.line(Span(arrows.back, .bad), Span(" ignored a reply: \(Self.words(verdict))", .warn))
        case .ignoredMalformed(let error):
            output.line(Span(arrows.back, .bad), Span(" ignored a malformed reply: \(error)", .warn))
        }
    }

    func show(_ answer: RADIUSExchange.Answer) {
        guard !output.isJSON else { return }
        let tone: Tone =
            switch answer.reply.code {
            case .accessAccept: .good
            case .accessReject: .bad
            default: .accent
            }
        let message = Challenge.message(of: answer.reply).map { ": \"\($0)\"" } ?? ""
        output.line(
            Span(arrows.back, .accent), Span(" "), Span(answer.reply.code.name, tone),
            Span(" in \(Self.time(answer.duration)), \(answer.reply.bytes.count) bytes\(message)"))
        if let error = Self.chapError(answer.reply) { output.line(Span("    MS-CHAP-Error \(SafeText.line(error.text))", .soft)) }
        attributes(of: answer.reply)
    }

    /// A line below the packet that carries it; nothing of what is inside.
    func show(eap bytes: [UInt8]) {
        guard !output.isJSON else { return }
        guard let packet = try? EAPPacket(bytes[...]) else { return output.line(Span("    EAP that cannot be read", .warn)) }
        let code = "EAP-\(String(describing: packet.code).prefix(1).uppercased())\(String(describing: packet.code).dropFirst())"
        let type = packet.type.map { " \($0)" } ?? ""
        let flags = packet.type.flatMap { [.tls, .ttls, .peap].contains($0) ? packet.data.first : nil } ?? 0
        let note = flags & 0x20 != 0 ? ", start" : flags & 0x40 != 0 ? ", more follows" : ""
        output.line(Span("    \(code) id \(packet.identifier)\(type), \(Words.count(bytes.count, "byte"))\(note)", .soft))
    }

    func show(_ tls: EAPReport.TLS) {
        guard !output.isJSON else { return }
        output.line(Span("    \(tls.version), \(tls.cipher), certificate \"\(SafeText.line(tls.certificate))\"", .soft))
        if tls.isVerified {
            output.line(Span("    The certificate is signed by \"\(SafeText.line(tls.issuer))\", as it should be.", .good))
        } else {
            output.warn("The server's certificate was NOT verified (no --ca): whoever sits in between hears what you type.")
        }
    }

    static func chapError(_ reply: Packet) -> MSCHAPError? {
        reply.first(vendor: MicrosoftAttribute.vendor, type: MicrosoftAttribute.chapError).flatMap { MSCHAPError(reply.value(of: $0)) }
    }

    /// The outcome, in words that stand alone.
    ///
    /// - Parameter isServers: whether the server refused, and not this side.
    func end(_ report: LoginReport, _ outcome: LoginReport.Outcome, note: String? = nil, by isServers: Bool = true) throws {
        var report = report
        report.outcome = outcome
        guard !output.isJSON else { return try output.json(report) }
        let requests = Words.count(report.exchanges.count, "request")
        switch outcome {
        case .accepted:
            output.done("\(report.user) is logged in (\(requests)).")
            if let proof = report.serverProof { output.line("The server knew the password too: \(proof).") }
            if let eap = report.eap { show(eap) }
        case .rejected:
            let who = isServers ? "the server refused" : "the server was not taken"
            output.line(Span("\(report.user) is not logged in: \(who) (\(requests)).", .bad))
            output.warn(note ?? "The reason is in the server's trail alone.")
        }
    }

    private func show(_ eap: EAPReport) {
        output.line("Message-Authenticator was right in \(eap.rounds == 1 ? "the reply" : "all \(eap.rounds) replies").")
        switch eap.keys {
        case .right?: output.line("The accept's MPPE keys are those of the device.")
        case .missing?: output.warn("The accept carries no MPPE keys: enough for nobody who encrypts with them.")
        case .wrong?, nil: break
        }
        if let isBound = eap.isBound {
            output.line(isBound ? "Cryptobinding was right." : "The server offered no cryptobinding.")
        }
    }

    private func attributes(of packet: Packet) {
        guard showsPackets else { return }
        let dictionary = AttributeDictionary.builtIn
        for attribute in dictionary.decode(packet) {
            let tag = attribute.tag.map { ":\($0)" } ?? ""
            let name = dictionary[attribute.oid]?.name ?? "Attribute-\(attribute.oid)"
            output.line(Span("    \(name)\(tag) = ", .soft), Span(Self.shown(attribute, dictionary)))
        }
    }

    /// A State stands for a half-done login, so it is hidden as a password is.
    static func shown(_ attribute: DecodedAttribute, _ dictionary: AttributeDictionary = .builtIn) -> String {
        let type = attribute.oid.numbers.count == 1 ? UInt8(exactly: attribute.oid.numbers[0]).map(AttributeType.init(rawValue:)) : nil
        if case .octets(let bytes) = attribute.value {
            if type == .messageAuthenticator { return "<signature>" }
            if attribute.form == .hidden || type == .userPassword || type == .chapPassword || type == .state || type == .eapMessage
                || holdsProof(attribute.oid)
            {
                return "<hidden, \(Words.count(bytes.count, "byte"))>"
            }
        }
        let text = dictionary.text(of: attribute)
        if case .text = attribute.value { return "\"\(text)\"" }
        return text
    }

    /// A response can be searched offline for its password.
    private static func holdsProof(_ oid: AttributeOID) -> Bool {
        let proofs = [
            MicrosoftAttribute.chapResponse, MicrosoftAttribute.chap2Response, MicrosoftAttribute.chap2CPW, MicrosoftAttribute.chapNTEncPW,
        ]
        return proofs.contains { oid.numbers == [26, MicrosoftAttribute.vendor, UInt32($0)] }
    }

    private static func time(_ span: Timestamp.Span) -> String {
        span.microseconds < 10_000
            ? "\(Double(span.microseconds / 100) / 10) ms" : "\((span.microseconds + 500) / 1_000) ms"
    }

    private static func words(_ verdict: ReplyVerdict) -> String {
        switch verdict {
        case .wrongIdentifier: "it answers another request"
        case .wrongResponseAuthenticator: "its signature is wrong (the shared secret differs, or somebody forges)"
        case .missingMessageAuthenticator: "it has no Message-Authenticator"
        case .wrongMessageAuthenticator: "its Message-Authenticator is wrong"
        case .genuine: "nothing is wrong with it"
        }
    }
}
