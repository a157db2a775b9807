// SPDX-License-Identifier: Apache-2.0
// PEAPv0 on the device's side ([MS-PEAP]): an EAP without its header, and a result with cryptobinding.

package import TLS

package struct PEAPPeer: EAPPeerMethod, TunnelledPeer {
    private enum Phase {
        case inner
        case agreed(EAPKeys)
        case refused(PeerFault)
    }

    package let type = EAPType.peap
    package private(set) var tunnel: PeerTunnel
    /// Whether the server bound the tunnel to what was spoken inside.
    package private(set) var isBound = false
    private var inner: EAPPeer
    private let nonce: [UInt8]
    private var phase = Phase.inner

    /// - Parameters:
    ///   - name: told inside of the tunnel.
    ///   - nonce: 32 random bytes.
    package init(
        context: TLSContext, name: [UInt8], inner: any EAPPeerMethod, nonce: [UInt8], serverName: String? = nil, packet: Int? = nil
    ) throws(TLSError) {
        precondition(nonce.count == PEAPExtensions.Binding.nonceLength)
        tunnel = try PeerTunnel(context: context, serverName: serverName, packet: packet)
        self.inner = EAPPeer(identity: name, method: inner)
        self.nonce = nonce
    }

    package var outcome: PeerOutcome {
        if let fault = tunnel.fault { return .refused(fault) }
        return switch phase {
        case .inner: .unfinished
        case .agreed(let keys): .done(keys)
        case .refused(let fault): .refused(fault)
        }
    }

    package mutating func take(request: ArraySlice<UInt8>, identifier: UInt8) -> PeerStep {
        switch tunnel.take(request) {
        case .response(let data): .response(data)
        case .failed(let fault): .failure(fault)
        case .established: .response(PeerTunnel.acknowledgement)
        case .received(let plain): plain.isEmpty ? .response(PeerTunnel.acknowledgement) : heard(plain)
        }
    }

    package mutating func take(answer: PeerAnswer) -> PeerStep { step(inner.take(answer: answer)) }

    private mutating func heard(_ plain: [UInt8]) -> PeerStep {
        guard case .inner = phase else { return .failure(.malformed("order of PEAP packets")) }
        // The one inner packet that has its header ([MS-PEAP] §2.2.8.1).
        if let packet = try? EAPPacket(plain[...]), packet.code == .request, packet.type == .extensions, packet.bytes.count == plain.count {
            return result(packet)
        }
        let length = EAPPacket.headerLength + plain.count
        let header = [EAPPacket.Code.request.rawValue, 0, UInt8(length >> 8), UInt8(truncatingIfNeeded: length)]
        return step(inner.take((header + plain)[...]))
    }

    private mutating func step(_ step: EAPPeer.Step) -> PeerStep {
        switch step {
        case .send(let packet): tunnel.say(Array(packet.dropFirst(EAPPacket.headerLength)))
        case .ask(let question): .ask(question)
        case .failure(let fault): .failure(fault)
        case .success, .ignore: .failure(.malformed("EAP packet inside PEAP"))
        }
    }

    private mutating func result(_ packet: EAPPacket) -> PeerStep {
        let told: PEAPExtensions
        do throws(PEAPExtensionsError) {
            told = try PEAPExtensions(packet.data[...])
        } catch {
            return .failure(.malformed(error.words))
        }
        guard told.outcome == .success else {
            if case .refused(let fault) = inner.outcome { phase = .refused(fault) } else { phase = .refused(.refused) }
            return answer(packet, PEAPExtensions(outcome: .failure))
        }
        guard case .done(let keys) = inner.outcome else {
            phase = .refused(.successTooEarly)
            return answer(packet, PEAPExtensions(outcome: .failure))
        }
        do throws(TLSError) {
            let material = try TunnelKeys(tunnel.session, type)
            guard let request = told.binding else {
                phase = .agreed(material.keys)
                return answer(packet, PEAPExtensions(outcome: .success))
            }
            let compound = CompoundKeys(
                tunnel: material.material.bytes, inner: (keys?.receive.bytes ?? []) + (keys?.send.bytes ?? []), isResumed: false)
            guard request.subtype == .request, EAPSecret(compound.compoundMAC(request.bytesWithoutMAC)) == EAPSecret(request.mac) else {
                phase = .refused(.notProven("cryptobinding: tunnel and inner method do not have the same ends"))
                return answer(packet, PEAPExtensions(outcome: .failure))
            }
            var response = PEAPExtensions.Binding(subtype: .response, nonce: nonce)
            response.mac = compound.compoundMAC(response.bytesWithoutMAC)
            isBound = true
            phase = .agreed(TunnelKeys.keys(compound.sessionKey, material.sessionID))
            return answer(packet, PEAPExtensions(outcome: .success, binding: response))
        } catch {
            return .failure(PeerTunnel.fault(error))
        }
    }

    private mutating func answer(_ request: EAPPacket, _ extensions: PEAPExtensions) -> PeerStep {
        tunnel.say(EAPPacket(.response, identifier: request.identifier, type: .extensions, data: extensions.bytes).bytes)
    }
}
