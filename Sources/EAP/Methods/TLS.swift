// SPDX-License-Identifier: Apache-2.0
// EAP-TLS (RFC 5216, RFC 9190): the user's device shows a certificate.

package import TLS

public struct TLSMethod: EAPMethod {
    private enum Phase {
        case handshake
        case judging
        /// The last flight is out; the peer has to acknowledge it.
        case accepted
    }

    public let type = EAPType.tls
    private var conversation: TLSConversation
    private var phase = Phase.handshake

    /// - Parameters:
    ///   - context: a server's that demands certificates.
    ///   - framedMTU: what the gateway says of the way to the peer (RFC 3579 §2.4).
    ///   - now: in seconds since 1970, for sessions that are taken up again.
    /// - Throws: `broken`
    package init(context: TLSContext, framedMTU: Int? = nil, now: Int64) throws(TLSError) {
        let session = try TLSSession(context, purpose: [EAPType.tls.rawValue], now: now)
        conversation = TLSConversation(session, packet: FragmentQueue.packet(framedMTU: framedMTU))
    }

    public var keptBytes: Int { conversation.keptBytes }
    public var pendingFailure: EAPFailureReason? { conversation.failure }

    public mutating func begin(identifier: UInt8) -> MethodStep { .request(conversation.start) }

    public mutating func take(response: ArraySlice<UInt8>) -> MethodStep {
        switch conversation.take(response) {
        case .request(let data): return .request(data)
        case .failed(let reason): return .failure(reason)
        case .established(let plain): return plain.isEmpty ? ask() : .failure(.malformed("data inside EAP-TLS"))
        case .received(let plain):
            guard plain.isEmpty, phase == .accepted else { return .failure(.malformed("data inside EAP-TLS")) }
            return finish()
        }
    }

    /// The certificate is judged before the peer has heard that the handshake is done: so a refusal is the first thing that it hears,
    /// and what is waited for is waited for here.
    private mutating func ask() -> MethodStep {
        guard let peer = conversation.session.peer else { return .failure(.tls("no certificate")) }
        phase = .judging
        var certificate = EAPCertificate(peer, resumed: conversation.session.resumed)
        (certificate.chain, certificate.context) = (conversation.session.peerChain, conversation.session.contextNumber)
        return .ask(EAPQuestion(method: "EAP-TLS", proof: .certificate(certificate)))
    }

    public mutating func take(verdict: EAPVerdict) -> MethodStep {
        guard phase == .judging else { return .failure(.rejected) }
        switch verdict {
        case .accept:
            phase = .accepted
            // RFC 9190 §2.1.1: in TLS 1.3 one zero says that nothing more will come.
            if conversation.session.isTLS13, let reason = conversation.write([0]) { return .failure(reason) }
            // A session of TLS 1.2 that is taken up ends with the client's part.
            return conversation.session.pendingOutput > 0 ? .request(conversation.flush()) : finish()
        case .challenge:
            return .failure(.unsupported("EAP-TLS that cannot ask for a code"))
        case .expired, .reject:
            conversation.session.forget()
            return .failure(.rejected)
        }
    }

    private func finish() -> MethodStep {
        do throws(TLSError) {
            let keys = try TunnelKeys(conversation.session, type).keys
            conversation.session.keep(identity: [])
            return .success(keys)
        } catch {
            return .failure(.tls(error.description))
        }
    }
}

extension EAPCertificate {
    init(_ peer: PeerCertificate, resumed: SessionCache.Owner?) {
        self.init(
            subject: peer.subject, issuer: peer.issuer, commonNames: peer.commonNames, fingerprint: peer.fingerprint, expires: peer.expires)
        (mails, principals, hosts) = (peer.mails, peer.principals, peer.hosts)
        shownBefore = resumed?.since
    }
}
