// SPDX-License-Identifier: Apache-2.0
// One login by EAP: the device and the gateway in front of it, as one program that shows each round.

import Administration
import Directories
import EAP
import LoginEngine
import RADIUS
import TLS

struct EAPDialogue {
    /// How it came out, in words that stand alone.
    enum End {
        case accepted(EAPReport)
        /// By the server, or by this side.
        case refused(EAPReport, String)
    }

    /// RFC 2865 §5.12: packets of EAP that fit an Ethernet frame with the attributes of RADIUS around them.
    static let framedMTU = 1_400
    /// As strongSwan says: a tunnel (RFC 2865 §5.41).
    private static let virtualPort: UInt32 = 5

    let exchange: RADIUSExchange
    let request: RADIUSExchange.Request
    let method: PeerMethodName
    /// The name that the gateway knows.
    let outer: String
    let screen: LoginScreen
    /// A file of authorities was given.
    let isVerifying: Bool

    private var peer: EAPPeer
    private var report: EAPReport
    private var hasToldOfTLS = false
    private var hasAsked = false

    init(
        _ exchange: RADIUSExchange, _ request: RADIUSExchange.Request, _ flags: LoginEAPFlags, _ method: PeerMethodName,
        _ screen: LoginScreen
    ) throws {
        (self.exchange, self.request, self.method, self.screen) = (exchange, request, method, screen)
        outer = flags.outer ?? request.userName
        isVerifying = flags.ca != nil
        let context = method.isTunnel ? try flags.context() : nil
        let made = try method.peer(
            name: Array(request.userName.utf8), context: context, serverName: flags.serverName, packet: Self.framedMTU,
            nonce: BufferedRandom.bytes(32))
        peer = EAPPeer(identity: Array(outer.utf8), method: made)
        report = EAPReport(method: method.rawValue)
    }

    /// - Parameter show: told of each answer.
    mutating func run(_ proofs: inout Proofs, show: (RADIUSExchange.Answer) -> Void) throws -> End {
        var random = BufferedRandom()
        var packet = peer.introduction(identifier: 1)
        var state: [UInt8]?
        while true {
            screen.show(eap: packet)
            let answer = try send(packet, state, &random)
            show(answer)
            report.rounds += 1
            guard let message = answer.reply.joined(.eapMessage) else { return .refused(report, "The server's reply has no EAP-Message.") }
            screen.show(eap: message)
            let step = try take(message, &proofs)
            tellOfTLS()
            switch (step, answer.reply.code) {
            case (.send(let next), .accessChallenge):
                packet = next
                state = answer.reply.octets(.state)
            case (.success(let keys), .accessAccept):
                return end(answer, keys)
            case (.failure(let fault), _):
                return .refused(report, "\(Self.sentence(fault)).")
            case (.ignore, _):
                return .refused(report, "The server's EAP-Message is no packet for a device.")
            default:
                return .refused(report, "\(answer.reply.code.name) and what EAP says do not fit together.")
            }
        }
    }

    private func send(_ packet: [UInt8], _ state: [UInt8]?, _ random: inout BufferedRandom) throws -> RADIUSExchange.Answer {
        var writer = PacketWriter(
            request: .accessRequest, identifier: UInt8.random(in: 0...255, using: &random), authenticator: Authenticator(using: &random))
        writer.addText(.userName, outer)
        writer.addText(.nasIdentifier, request.nasIdentifier)
        writer.addInteger(.nasPortType, Self.virtualPort)
        writer.addInteger(.framedMTU, UInt32(Self.framedMTU))
        if let port = request.nasPort { writer.addInteger(.nasPort, port) }
        if let station = request.callingStation { writer.addText(.callingStationID, station) }
        if let session = request.sessionID { writer.addText(.acctSessionID, session) }
        writer.addSplit(.eapMessage, packet)
        if let state { writer.add(.state, state) }
        let signed: Packet
        do throws(PacketError) {
            signed = try Packet(decoding: try writer.sign(with: exchange.secret))
        } catch {
            throw Refusal(RADIUSExchangeError.notSendable(error))
        }
        do throws(RADIUSExchangeError) {
            // What carries EAP has to be signed, and its answer too (RFC 3579 §3.2).
            return try exchange.exchange(signed) { screen.show($0, to: exchange.server) }
        } catch {
            throw Refusal(error)
        }
    }

    private mutating func take(_ message: [UInt8], _ proofs: inout Proofs) throws -> EAPPeer.Step {
        var step = peer.take(message[...])
        while case .ask(let question) = step {
            // Whom the answer goes to is told before it is typed.
            tellOfTLS()
            step = peer.take(answer: try answer(question, &proofs))
        }
        return step
    }

    private mutating func answer(_ question: PeerQuestion, _ proofs: inout Proofs) throws -> PeerAnswer {
        defer { hasAsked = true }
        switch question {
        case .password:
            return .text(try proofs.first().reveal { EAPSecret($0) })
        case .text(let prompt):
            // The first is the password's, whatever words the server has for it.
            let challenge = Challenge(text: prompt, isHidden: !hasAsked)
            return .text(try (hasAsked ? proofs.answer(to: challenge) : proofs.first(challenge)).reveal { EAPSecret($0) })
        case .chap(let identifier, let challenge):
            return .chap(
                try proofs.first().reveal { CHAPResponse(identifier: identifier, challenge: challenge, password: $0).response.bytes })
        case .msCHAPv2(let identifier, let challenge):
            let proof = try proofs.first().reveal { MSCHAPv2Proof($0, identifier, challenge, name: Array(request.userName.utf8)) }
            guard let proof else { throw Refusal(RADIUSExchangeError.notHashable) }
            return .msCHAPv2(proof)
        }
    }

    /// Once the handshake is done.
    private mutating func tellOfTLS() {
        guard !hasToldOfTLS, let tunnel = peer.tunnel, tunnel.session.isEstablished else { return }
        hasToldOfTLS = true
        let session = tunnel.session
        report.tls = EAPReport.TLS(
            version: session.version, cipher: session.cipher, certificate: session.peer?.subject ?? "", issuer: session.peer?.issuer ?? "",
            isVerified: isVerifying && session.isChainTrusted)
        if let tls = report.tls { screen.show(tls) }
    }

    /// What the accept brings is held against what this side made.
    private mutating func end(_ answer: RADIUSExchange.Answer, _ keys: EAPKeys?) -> End {
        if let peap = peer.isBound { report.isBound = peap }
        func key(_ type: UInt8) -> [UInt8]? {
            answer.reply.first(vendor: MicrosoftAttribute.vendor, type: type)
                .flatMap {
                    SaltedKey.reveal(answer.reply.value(of: $0), authenticator: answer.request.authenticator, secret: exchange.secret)
                }
        }
        let (receive, send) = (key(MicrosoftAttribute.mppeReceiveKey), key(MicrosoftAttribute.mppeSendKey))
        switch (keys, receive, send) {
        case (nil, nil, nil): report.keys = nil
        case (nil, _, _):
            report.keys = .wrong
            return .refused(report, "The accept carries keys, and \(method.rawValue) makes none.")
        case (_?, nil, nil): report.keys = .missing
        case (let own?, let receive?, let send?) where own.receive == EAPSecret(receive) && own.send == EAPSecret(send):
            report.keys = .right
        case (_?, _, _):
            report.keys = .wrong
            return .refused(report, "The accept's MPPE keys are not those of the device: no encrypted packet would get through.")
        }
        return .accepted(report)
    }

    private static func sentence(_ fault: PeerFault) -> String {
        let words = "\(fault)"
        return words.prefix(1).uppercased() + words.dropFirst()
    }
}

/// What was seen of EAP, for `--json`.
struct EAPReport: Encodable {
    struct TLS: Encodable {
        var version: String
        var cipher: String
        var certificate: String
        var issuer: String
        /// By the authorities that were given.
        var isVerified: Bool
    }

    enum Keys: String, Encodable {
        case right, missing, wrong
    }

    var method: String
    var rounds = 0
    var tls: TLS?
    /// PEAP: whether tunnel and password are bound to each other.
    var isBound: Bool?
    /// Nil where the method makes none.
    var keys: Keys?
    /// Why it came to nothing.
    var fault: String?
}

extension MSCHAPv2Proof {
    /// - Returns: nil for a password that MS-CHAP cannot carry.
    init?(_ password: [UInt8], _ identifier: UInt8, _ challenge: [UInt8], name: [UInt8]) {
        guard let hash = NTHash(password: password), let challenge = Authenticator(challenge),
            let own = Authenticator(BufferedRandom.bytes(Self.challengeLength))
        else { return nil }
        self.init(hash, identifier, challenge, own: own, name: name)
    }

    init(_ hash: NTHash, _ identifier: UInt8, _ challenge: Authenticator, own: Authenticator, name: [UInt8]) {
        let made = MSCHAPv2Response(identifier: identifier, challenge: challenge, peerChallenge: own, userName: name, hash: hash)
        let keys = MPPEKeys(made, hash)
        self.init(
            challenge: own.bytes, response: Array(made.bytes.suffix(Self.responseLength)),
            expected: MSCHAPv2Grant(
                success: Array(made.success(hash).utf8), receive: EAPSecret(keys.receive), send: EAPSecret(keys.send)))
    }

    private static let challengeLength = 16
}
