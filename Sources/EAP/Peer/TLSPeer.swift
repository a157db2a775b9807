// SPDX-License-Identifier: Apache-2.0
// EAP-TLS on the device's side (RFC 5216, RFC 9190).

package import TLS

package struct TLSPeer: EAPPeerMethod, TunnelledPeer {
    package let type = EAPType.tls
    package private(set) var tunnel: PeerTunnel
    private var isDone = false

    /// - Parameters:
    ///   - context: a client's, with the device's certificate.
    ///   - earlier: whose session is offered to the server; of the same context.
    package init(context: TLSContext, serverName: String? = nil, packet: Int? = nil, earlier: TLSSession? = nil) throws(TLSError) {
        tunnel = try PeerTunnel(context: context, serverName: serverName, packet: packet)
        if let earlier { tunnel.session.takeUp(earlier) }
    }

    package var outcome: PeerOutcome { tunnel.outcome(isDone: isDone, type) }

    package mutating func take(request: ArraySlice<UInt8>, identifier: UInt8) -> PeerStep {
        switch tunnel.take(request) {
        case .response(let data):
            // RFC 5216 §2.1.2: of a session that is taken up again the device's Finished is the last word before Success. TLS 1.3 has one more.
            isDone = isDone || tunnel.session.isResumed && !tunnel.session.isTLS13
            return .response(data)
        case .failed(let fault): return .failure(fault)
        case .established:
            isDone = true
            return .response(PeerTunnel.acknowledgement)
        case .received(let plain):
            // RFC 9190 §2.1.1: one zero says that nothing more will come. Before it there may be tickets, which are no data.
            guard plain.isEmpty || plain == [0] else { return .failure(.malformed("data inside EAP-TLS")) }
            isDone = isDone || plain == [0]
            return .response(PeerTunnel.acknowledgement)
        }
    }

    package mutating func take(answer: PeerAnswer) -> PeerStep { .failure(.malformed("answer")) }
}

extension PeerTunnel {
    func outcome(isDone: Bool, _ type: EAPType) -> PeerOutcome {
        if let fault { return .refused(fault) }
        guard isDone else { return .unfinished }
        do throws(TLSError) {
            return .done(try TunnelKeys(session, type).keys)
        } catch {
            return .refused(Self.fault(error))
        }
    }
}
