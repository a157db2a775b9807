// SPDX-License-Identifier: Apache-2.0
// EAP-TTLS on the device's side (RFC 5281): PAP, MS-CHAPv2, or an EAP of its own.

package import TLS

package struct TTLSPeer: EAPPeerMethod, TunnelledPeer {
    package enum Inner {
        case pap
        case msCHAPv2
        case eap(any EAPPeerMethod)
    }

    private enum Phase {
        case handshake
        /// Of MS-CHAPv2, what the tunnel itself made (RFC 5281 §11.1).
        case asking(challenge: [UInt8])
        /// The server has shown a text.
        case prompted
        case spoken(MSCHAPv2Proof?)
        case inside
        case done
        case refused(PeerFault)
    }

    package let type = EAPType.ttls
    package private(set) var tunnel: PeerTunnel
    private let name: [UInt8]
    private let isPAP: Bool
    private var inner: EAPPeer?
    private var phase = Phase.handshake

    /// - Parameter name: told inside of the tunnel.
    package init(
        context: TLSContext, name: [UInt8], inner: Inner, serverName: String? = nil, packet: Int? = nil
    ) throws(TLSError) {
        tunnel = try PeerTunnel(context: context, serverName: serverName, packet: packet)
        self.name = name
        switch inner {
        case .pap: isPAP = true
        case .msCHAPv2: isPAP = false
        case .eap(let method): (isPAP, self.inner) = (false, EAPPeer(identity: name, method: method))
        }
    }

    package var outcome: PeerOutcome {
        switch phase {
        case .done: tunnel.outcome(isDone: true, type)
        case .refused(let fault): .refused(fault)
        // PAP has no answer but the result.
        case .spoken(nil): tunnel.outcome(isDone: true, type)
        case .inside:
            if case .refused(let fault)? = inner?.outcome {
                .refused(fault)
            } else {
                tunnel.outcome(isDone: inner?.outcome.isDone ?? false, type)
            }
        case .handshake, .asking, .prompted, .spoken: tunnel.outcome(isDone: false, type)
        }
    }

    package mutating func take(request: ArraySlice<UInt8>, identifier: UInt8) -> PeerStep {
        switch tunnel.take(request) {
        case .response(let data): return .response(data)
        case .failed(let fault): return .failure(fault)
        case .established: return speak()
        case .received(let plain):
            if case .handshake = phase { return plain.isEmpty ? speak() : .failure(.malformed("order of EAP-TTLS packets")) }
            return plain.isEmpty ? .response(PeerTunnel.acknowledgement) : heard(plain)
        }
    }

    /// The first word is this side's (RFC 5281 §7.3).
    private mutating func speak() -> PeerStep {
        if let inner {
            phase = .inside
            return say([TunnelAVP(name: .eapMessage, value: inner.introduction(identifier: 0))])
        }
        guard !isPAP else {
            phase = .asking(challenge: [])
            return .ask(.password)
        }
        do throws(TLSError) {
            let made = try TunnelKeys.challenge(tunnel.session, count: MSCHAPv2Method.challengeLength + 1)
            phase = .asking(challenge: made)
            return .ask(
                .msCHAPv2(
                    identifier: made[MSCHAPv2Method.challengeLength], challenge: Array(made.prefix(MSCHAPv2Method.challengeLength))))
        } catch {
            return .failure(PeerTunnel.fault(error))
        }
    }

    package mutating func take(answer: PeerAnswer) -> PeerStep {
        switch (phase, answer) {
        case (.inside, _):
            guard let step = inner?.take(answer: answer) else { return .failure(.malformed("answer")) }
            return inside(step)
        case (.asking, .text(let password)) where isPAP:
            phase = .spoken(nil)
            return say([TunnelAVP(name: .userName, value: name), TunnelAVP(name: .userPassword, value: Self.padded(password.bytes))])
        case (.prompted, .text(let text)):
            phase = .spoken(nil)
            return say([TunnelAVP(name: .userPassword, value: Self.padded(text.bytes))])
        case (.asking(let challenge), .msCHAPv2(let proof)) where !isPAP:
            phase = .spoken(proof)
            let identifier = challenge[MSCHAPv2Method.challengeLength]
            return say([
                TunnelAVP(name: .userName, value: name),
                TunnelAVP(name: .msCHAPChallenge, value: Array(challenge.prefix(MSCHAPv2Method.challengeLength))),
                TunnelAVP(name: .msCHAP2Response, value: [identifier, 0] + proof.value),
            ])
        default:
            return .failure(.malformed("answer"))
        }
    }

    /// RFC 5281 §11.2.5: zeros hide the length.
    private static func padded(_ password: [UInt8]) -> [UInt8] {
        password + Array(repeating: 0, count: max(1, (password.count + 15) / 16) * 16 - password.count)
    }

    private mutating func say(_ pairs: [TunnelAVP]) -> PeerStep { tunnel.say(TunnelAVP.encode(pairs)) }

    private static let known: Set<TunnelAVP.Name> = [.eapMessage, .replyMessage, .msCHAP2Success, .msCHAPError]

    private mutating func heard(_ plain: [UInt8]) -> PeerStep {
        let pairs: [TunnelAVP]
        do throws(TunnelAVPError) {
            pairs = try TunnelAVP.decode(plain[...])
        } catch {
            return .failure(.malformed(error.words))
        }
        // RFC 5281 §10.1
        if let unknown = pairs.first(where: { $0.isMandatory && !Self.known.contains($0.name) }) {
            return .failure(.malformed("AVP \(unknown.name.code) of vendor \(unknown.name.vendor), which is unknown here"))
        }
        func value(_ name: TunnelAVP.Name) -> [UInt8]? {
            let found = pairs.filter { $0.name == name }
            return found.isEmpty ? nil : found.flatMap(\.value)
        }
        switch phase {
        case .inside:
            guard let packet = value(.eapMessage), let step = inner?.take(packet[...]) else {
                return .failure(.malformed("answer without EAP inside EAP-TTLS"))
            }
            return inside(step)
        case .spoken(nil):
            guard let text = value(.replyMessage) else { return .failure(.malformed("answer to a password inside EAP-TTLS")) }
            phase = .prompted
            return .ask(.text(prompt: String(decoding: text, as: UTF8.self)))
        case .spoken(let proof?):
            if let error = value(.msCHAPError) {
                phase = .refused(.refusedWith(String(decoding: error.dropFirst(), as: UTF8.self)))
                return .response(PeerTunnel.acknowledgement)
            }
            guard let success = value(.msCHAP2Success), proof.isProven(by: success.dropFirst()) else {
                return .failure(.notProven("its answer was made with another password"))
            }
            phase = .done
            return .response(PeerTunnel.acknowledgement)
        case .handshake, .asking, .prompted, .done, .refused:
            return .failure(.malformed("order of EAP-TTLS packets"))
        }
    }

    private mutating func inside(_ step: EAPPeer.Step) -> PeerStep {
        switch step {
        case .send(let packet): return say([TunnelAVP(name: .eapMessage, value: packet)])
        case .ask(let question): return .ask(question)
        case .failure(let fault): return .failure(fault)
        // The result is told outside; some servers tell it inside as well.
        case .success: return .response(PeerTunnel.acknowledgement)
        case .ignore: return .failure(.malformed("EAP packet inside EAP-TTLS"))
        }
    }
}

extension PeerOutcome {
    var isDone: Bool { if case .done = self { true } else { false } }
}
