// SPDX-License-Identifier: Apache-2.0
// PEAPv0 ([MS-PEAP], draft-kamath-pppext-peapv0): an EAP without its header inside TLS, and a result that both sides agree on.

package import TLS

public struct PEAPMethod: EAPMethod {
    /// Whether the peer has to prove that tunnel and inner method had the same two ends.
    public enum Binding: Sendable {
        /// Where it can; devices of some makers cannot.
        case offered
        case required
    }

    private enum Phase {
        case handshake
        /// The last flight of TLS 1.2 is out.
        case opening
        /// The peer may go on without proving itself inside.
        case judgingSession
        case inner
        /// The result is out; the peer has to agree.
        case accepted
        case refused(EAPFailureReason)
    }

    public let type = EAPType.peap
    private var conversation: TLSConversation
    private var phase = Phase.handshake
    private let binding: Binding
    private let nonce: [UInt8]
    private var inner: InnerEAP
    private var compound: CompoundKeys?
    private var tunnel: TunnelKeys?
    /// Whose session is taken up.
    private var name: [UInt8] = []

    /// - Parameters:
    ///   - context: a server's; whether certificates are demanded is its matter.
    ///   - inner: fresh methods, the best first; none that is a tunnel itself.
    ///   - nonce: 32 random bytes that were never used before.
    ///   - framedMTU: what the gateway says of the way to the peer (RFC 3579 §2.4).
    ///   - now: in seconds since 1970, for sessions that are taken up again.
    /// - Throws: `broken`
    package init(
        context: TLSContext, inner: [any EAPMethod], nonce: [UInt8], binding: Binding = .offered, framedMTU: Int? = nil, now: Int64
    ) throws(TLSError) {
        precondition(nonce.count == PEAPExtensions.Binding.nonceLength)
        let session = try TLSSession(context, purpose: [EAPType.peap.rawValue], now: now)
        conversation = TLSConversation(session, packet: FragmentQueue.packet(framedMTU: framedMTU))
        self.binding = binding
        self.nonce = nonce
        self.inner = InnerEAP(inner, tunnel: "PEAP")
    }

    public var keptBytes: Int { conversation.keptBytes + inner.keptBytes }

    public mutating func begin(identifier: UInt8) -> MethodStep { .request(conversation.start) }

    public mutating func take(response: ArraySlice<UInt8>) -> MethodStep {
        // Version 0 is the only one that is offered, and a peer must not choose a higher one.
        if let flags = response.first, FragmentFlags(byte: flags).version != 0 {
            return .failure(.malformed("PEAP version \(FragmentFlags(byte: flags).version)"))
        }
        switch conversation.take(response) {
        case .request(let data): return .request(data)
        case .failed(let reason): return .failure(reason)
        case .established(let plain): return plain.isEmpty ? opened() : .failure(.malformed("order of PEAP packets"))
        case .received(let plain): return received(plain)
        }
    }

    private mutating func opened() -> MethodStep {
        if let owner = conversation.session.resumed {
            (phase, name) = (.judgingSession, owner.identity)
            return .ask(EAPQuestion(method: "PEAP", name: name, proof: .session(since: owner.since)))
        }
        // In TLS 1.2 the last word of the handshake is the server's, and wants an answer of its own.
        guard !conversation.session.isTLS13 else { return begin() }
        phase = .opening
        return .request(conversation.flush())
    }

    private mutating func begin() -> MethodStep {
        phase = .inner
        return step(inner.start())
    }

    private mutating func received(_ plain: [UInt8]) -> MethodStep {
        switch phase {
        case .opening:
            return plain.isEmpty ? begin() : .failure(.malformed("order of PEAP packets"))
        case .inner:
            guard !plain.isEmpty else { return .failure(.malformed("silence inside PEAP")) }
            // What was left away stands in the packet around it.
            let length = EAPPacket.headerLength + plain.count
            let header = [EAPPacket.Code.response.rawValue, inner.identifier, UInt8(length >> 8), UInt8(length & 0xff)]
            return step(inner.take(header + plain))
        case .accepted:
            return agreed(plain)
        case .refused(let reason):
            // Whatever it says of that.
            return .failure(reason)
        case .handshake, .judgingSession:
            return .failure(.malformed("order of PEAP packets"))
        }
    }

    public mutating func take(verdict: EAPVerdict) -> MethodStep {
        switch (phase, verdict) {
        case (.inner, _):
            return step(inner.take(verdict: verdict))
        case (.judgingSession, .accept):
            // RFC 9427 §4 has a zero here in TLS 1.3; PEAP has this result, which peers wait for.
            return accept(keys: nil, isResumed: true)
        case (.judgingSession, _):
            conversation.session.forget()
            return begin()
        case (.handshake, _), (.opening, _), (.accepted, _), (.refused, _):
            return .failure(.rejected)
        }
    }

    private mutating func step(_ step: InnerEAP.Step) -> MethodStep {
        switch step {
        case .send(let packet):
            return say(Array(packet.dropFirst(EAPPacket.headerLength)))
        case .ask(let question):
            return .ask(question)
        case .success(let keys):
            name = inner.identity
            return accept(keys: keys, isResumed: false)
        case .failure(let reason):
            phase = .refused(reason)
            return say(result(PEAPExtensions(outcome: .failure)))
        }
    }

    private mutating func accept(keys: EAPKeys?, isResumed: Bool) -> MethodStep {
        do throws(TLSError) {
            let tunnel = try TunnelKeys(conversation.session, type)
            let inner = (keys?.receive.bytes ?? []) + (keys?.send.bytes ?? [])
            let compound = CompoundKeys(tunnel: tunnel.material.bytes, inner: inner, isResumed: isResumed)
            var request = PEAPExtensions.Binding(subtype: .request, nonce: nonce)
            request.mac = compound.compoundMAC(request.bytesWithoutMAC)
            (self.tunnel, self.compound) = (tunnel, compound)
            phase = .accepted
            return say(result(PEAPExtensions(outcome: .success, binding: request)))
        } catch {
            return .failure(.tls(error.description))
        }
    }

    /// The one inner packet that has its header ([MS-PEAP] §2.2.8.1).
    private func result(_ extensions: PEAPExtensions) -> [UInt8] {
        EAPPacket(.request, identifier: inner.identifier &+ 1, type: .extensions, data: extensions.bytes).bytes
    }

    private mutating func agreed(_ plain: [UInt8]) -> MethodStep {
        guard let packet = try? EAPPacket(plain[...]), packet.code == .response, packet.identifier == inner.identifier &+ 1,
            packet.type == .extensions, packet.bytes.count == plain.count
        else { return .failure(.malformed("answer to PEAP's result")) }
        let answer: PEAPExtensions
        do throws(PEAPExtensionsError) {
            answer = try PEAPExtensions(packet.data[...])
        } catch {
            return .failure(.malformed(error.words))
        }
        guard answer.outcome == .success else { return .failure(.refusedByPeer("PEAP's result")) }
        guard let tunnel, let compound else { return .failure(.rejected) }
        guard let bound = answer.binding else {
            guard binding == .offered else { return .failure(.refusedByPeer("cryptobinding, which is required")) }
            return finish(tunnel.keys)
        }
        guard bound.subtype == .response, EAPSecret(compound.compoundMAC(bound.bytesWithoutMAC)) == EAPSecret(bound.mac) else {
            return .failure(.malformed("cryptobinding: tunnel and inner method do not have the same ends"))
        }
        return finish(TunnelKeys.keys(compound.sessionKey, tunnel.sessionID))
    }

    private func finish(_ keys: EAPKeys) -> MethodStep {
        conversation.session.keep(identity: name)
        return .success(keys)
    }

    private mutating func say(_ bytes: [UInt8]) -> MethodStep {
        if let reason = conversation.write(bytes) { return .failure(reason) }
        return .request(conversation.flush())
    }
}
