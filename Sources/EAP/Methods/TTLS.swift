// SPDX-License-Identifier: Apache-2.0
// EAP-TTLS (RFC 5281): a password of any kind, or an EAP of its own, under the protection of TLS.

package import TLS

public struct TTLSMethod: EAPMethod {
    /// What may be said without EAP (RFC 5281 §11.2.2–11.2.5).
    public enum Password: Sendable, CaseIterable {
        case pap, chap, msCHAP, msCHAPv2
    }

    private enum Phase {
        case handshake
        /// The peer may go on without proving itself inside.
        case judgingSession
        /// It begins to speak. Once it may say nothing at all: to hear whether there is more.
        case opened(mayBeSilent: Bool)
        case innerEAP
        case judging(Password)
        /// The user was shown a text and types what it asks for.
        case prompted
        /// The server has proven itself, or told a peer of TLS 1.3 that nothing more comes.
        case accepted
    }

    /// RFC 1334 §2.2.1 has one byte of length.
    public static let longestPassword = 255
    static let longestName = 253

    public let type = EAPType.ttls
    private var conversation: TLSConversation
    private var phase = Phase.handshake
    private let passwords: Set<Password>
    private var inner: InnerEAP
    /// As the peer gave it inside the tunnel.
    private var name: [UInt8] = []
    /// Of MS-CHAPv2, for the answer.
    private var identifier: UInt8 = 0

    /// - Parameters:
    ///   - context: a server's; whether certificates are demanded is its matter.
    ///   - passwords: what is taken beside `inner`.
    ///   - inner: fresh methods, the best first; none that is a tunnel itself.
    ///   - framedMTU: what the gateway says of the way to the peer (RFC 3579 §2.4).
    ///   - now: in seconds since 1970, for sessions that are taken up again.
    /// - Throws: `broken`
    package init(
        context: TLSContext, passwords: Set<Password> = Set(Password.allCases), inner: [any EAPMethod] = [], framedMTU: Int? = nil,
        now: Int64
    ) throws(TLSError) {
        let session = try TLSSession(context, purpose: [EAPType.ttls.rawValue], now: now)
        conversation = TLSConversation(session, packet: FragmentQueue.packet(framedMTU: framedMTU))
        self.passwords = passwords
        self.inner = InnerEAP(inner, tunnel: "EAP-TTLS")
    }

    public var keptBytes: Int { conversation.keptBytes + inner.keptBytes }

    public mutating func begin(identifier: UInt8) -> MethodStep { .request(conversation.start) }

    public mutating func take(response: ArraySlice<UInt8>) -> MethodStep {
        switch conversation.take(response) {
        case .request(let data): return .request(data)
        case .failed(let reason): return .failure(reason)
        case .established(let plain): return opened(plain)
        case .received(let plain): return received(plain)
        }
    }

    private mutating func opened(_ plain: [UInt8]) -> MethodStep {
        if plain.isEmpty, let owner = conversation.session.resumed {
            (phase, name) = (.judgingSession, owner.identity)
            return .ask(EAPQuestion(method: "EAP-TTLS", name: name, proof: .session(since: owner.since)))
        }
        return plain.isEmpty ? listen() : opening(plain)
    }

    /// The first word is the peer's (RFC 5281 §7.3): what is left of the handshake goes out, or nothing.
    private mutating func listen() -> MethodStep {
        phase = .opened(mayBeSilent: true)
        return .request(conversation.flush())
    }

    private mutating func received(_ plain: [UInt8]) -> MethodStep {
        switch phase {
        case .opened(let mayBeSilent):
            guard plain.isEmpty else { return opening(plain) }
            guard mayBeSilent else { return .failure(.malformed("silence inside EAP-TTLS")) }
            phase = .opened(mayBeSilent: false)
            return .request(conversation.flush())
        case .innerEAP:
            return pairs(plain) { method, pairs in method.takeEAP(pairs) }
        case .prompted:
            return pairs(plain) { method, pairs in method.takePassword(pairs) }
        case .accepted:
            return plain.isEmpty ? finish() : .failure(.refusedByPeer("the server's proof"))
        case .handshake, .judgingSession, .judging:
            return .failure(.malformed("order of EAP-TTLS packets"))
        }
    }

    public mutating func take(verdict: EAPVerdict) -> MethodStep {
        switch (phase, verdict) {
        case (.innerEAP, _):
            return step(inner.take(verdict: verdict))
        case (.judgingSession, .accept):
            phase = .accepted
            guard conversation.session.isTLS13 else { return finish() }
            // RFC 9427 §4: in TLS 1.3 one zero says that nothing more will come.
            return say([0])
        case (.judgingSession, _):
            conversation.session.forget()
            return listen()
        case (.judging(.msCHAPv2), .accept(let grant)):
            guard let grant else { return .failure(.unsupported("MS-CHAPv2 without what the server proves itself by")) }
            phase = .accepted
            return say([TunnelAVP(name: .msCHAP2Success, value: [identifier] + grant.success)])
        case (.judging(.pap), .challenge(let prompt)):
            phase = .prompted
            return say([TunnelAVP(name: .replyMessage, value: Array(prompt.utf8))])
        case (.judging, .accept):
            return finish()
        case (.judging, .challenge):
            return .failure(.unsupported("EAP-TTLS that cannot ask for a code"))
        case (.judging, .expired), (.judging, .reject), (.handshake, _), (.opened, _), (.prompted, _), (.accepted, _):
            return .failure(.rejected)
        }
    }

    private mutating func say(_ pairs: [TunnelAVP]) -> MethodStep { say(TunnelAVP.encode(pairs)) }

    private mutating func say(_ bytes: [UInt8]) -> MethodStep {
        if let reason = conversation.write(bytes) { return .failure(reason) }
        return .request(conversation.flush())
    }

    private func finish() -> MethodStep {
        do throws(TLSError) {
            let keys = try TunnelKeys(conversation.session, type).keys
            conversation.session.keep(identity: name)
            return .success(keys)
        } catch {
            return .failure(.tls(error.description))
        }
    }
}

// MARK: What is said inside

extension TTLSMethod {
    private typealias Pairs = [TunnelAVP.Name: [UInt8]]

    private static let known: Set<TunnelAVP.Name> = [
        .userName, .userPassword, .chapPassword, .chapChallenge, .eapMessage, .msCHAPResponse, .msCHAPChallenge, .msCHAP2Response,
    ]

    private mutating func opening(_ plain: [UInt8]) -> MethodStep {
        pairs(plain) { method, pairs in
            let proofs: [TunnelAVP.Name] = [.eapMessage, .userPassword, .chapPassword, .msCHAPResponse, .msCHAP2Response]
            let found = proofs.filter { pairs[$0] != nil }
            guard found.count == 1 else { return .failure(.malformed("\(found.count) kinds of password inside EAP-TTLS")) }
            guard found[0] != .eapMessage else {
                method.phase = .innerEAP
                return method.takeEAP(pairs)
            }
            guard let name = pairs[.userName], !name.isEmpty, name.count <= Self.longestName else {
                return .failure(.malformed("User-Name inside EAP-TTLS"))
            }
            method.name = name
            return switch found[0] {
            case .userPassword: method.takePassword(pairs)
            case .chapPassword: method.takeCHAP(pairs)
            case .msCHAPResponse: method.takeMSCHAP(pairs, .msCHAPResponse, .msCHAP)
            default: method.takeMSCHAP(pairs, .msCHAP2Response, .msCHAPv2)
            }
        }
    }

    private mutating func pairs(_ plain: [UInt8], _ body: (inout TTLSMethod, Pairs) -> MethodStep) -> MethodStep {
        let pairs: [TunnelAVP]
        do throws(TunnelAVPError) {
            pairs = try TunnelAVP.decode(plain[...])
        } catch {
            return .failure(.malformed(error.words))
        }
        var found: Pairs = [:]
        for pair in pairs {
            guard Self.known.contains(pair.name) else {
                // RFC 5281 §10.1
                guard pair.isMandatory else { continue }
                return .failure(.malformed("AVP \(pair.name.code) of vendor \(pair.name.vendor), which is unknown here"))
            }
            // An inner packet may come in several, all else once.
            guard pair.name == .eapMessage || found[pair.name] == nil else {
                return .failure(.malformed("AVP \(pair.name.code) that comes twice"))
            }
            found[pair.name, default: []] += pair.value
        }
        return body(&self, found)
    }

    private mutating func ask(_ kind: Password, _ word: String, _ proof: EAPQuestion.Proof) -> MethodStep {
        guard passwords.contains(kind) else { return .failure(.unsupported("EAP-TTLS/\(word) is off")) }
        phase = .judging(kind)
        return .ask(EAPQuestion(method: "EAP-TTLS/\(word)", name: name, proof: proof))
    }

    /// RFC 5281 §11.2.5
    private mutating func takePassword(_ pairs: Pairs) -> MethodStep {
        guard var password = pairs[.userPassword] else { return .failure(.malformed("answer without a password inside EAP-TTLS")) }
        // Zeros up to a multiple of 16 hide the length.
        while password.last == 0 { password.removeLast() }
        guard password.count <= Self.longestPassword else { return .failure(.malformed("password of \(password.count) bytes")) }
        return ask(.pap, "PAP", .password(EAPSecret(password)))
    }

    /// RFC 5281 §11.2.2
    private mutating func takeCHAP(_ pairs: Pairs) -> MethodStep {
        guard let value = pairs[.chapPassword], value.count == 17, let challenge = pairs[.chapChallenge] else {
            return .failure(.malformed("CHAP inside EAP-TTLS"))
        }
        guard isOwn(challenge, identifier: value[0], count: 16) else { return .failure(.malformed("challenge inside EAP-TTLS")) }
        return ask(.chap, "CHAP", .chap(identifier: value[0], challenge: challenge, response: Array(value.dropFirst())))
    }

    /// RFC 5281 §11.2.3, §11.2.4
    private mutating func takeMSCHAP(_ pairs: Pairs, _ response: TunnelAVP.Name, _ kind: Password) -> MethodStep {
        guard let value = pairs[response], value.count == 50, let challenge = pairs[.msCHAPChallenge] else {
            return .failure(.malformed("MS-CHAP inside EAP-TTLS"))
        }
        guard isOwn(challenge, identifier: value[0], count: kind == .msCHAP ? 8 : 16) else {
            return .failure(.malformed("challenge inside EAP-TTLS"))
        }
        guard kind == .msCHAPv2 else { return ask(.msCHAP, "MS-CHAP", .msCHAP(challenge: challenge, value: value)) }
        identifier = value[0]
        return ask(.msCHAPv2, "MS-CHAPv2", .msCHAPv2(challenge: challenge, value: value, name: name))
    }

    /// RFC 5281 §11.1: the tunnel itself makes the challenge. Who answers another one has it from another tunnel.
    private func isOwn(_ challenge: [UInt8], identifier: UInt8, count: Int) -> Bool {
        guard let expected = try? TunnelKeys.challenge(conversation.session, count: count + 1) else { return false }
        return EAPSecret(expected) == EAPSecret(challenge + [identifier])
    }

    /// RFC 5281 §11.2.1
    private mutating func takeEAP(_ pairs: Pairs) -> MethodStep {
        guard let packet = pairs[.eapMessage] else { return .failure(.malformed("answer without EAP inside EAP-TTLS")) }
        return step(inner.take(packet))
    }

    private mutating func step(_ step: InnerEAP.Step) -> MethodStep {
        switch step {
        case .send(let packet): return say([TunnelAVP(name: .eapMessage, value: packet)])
        case .ask(let question): return .ask(question)
        case .failure(let reason): return .failure(reason)
        // The outer result is the only one.
        case .success:
            name = inner.identity
            return finish()
        }
    }
}
