// SPDX-License-Identifier: Apache-2.0
// The peer (RFC 4137 §4) with one method that it wants: for tests of servers, ours and others'.

public struct EAPPeer {
    public enum Step: Sendable, Equatable {
        /// Goes to the server.
        case send([UInt8])
        /// `take(answer:)` goes on.
        case ask(PeerQuestion)
        /// EAP-Success, and it may be believed.
        case success(EAPKeys?)
        case failure(PeerFault)
        /// Was nothing for a peer.
        case ignore
    }

    public let identity: [UInt8]
    private var method: any EAPPeerMethod
    private let limits: EAPLimits
    private var rounds = 0
    private var hasBegun = false
    private var identifier: UInt8 = 0
    private var ended: PeerFault?

    /// - Parameter method: a fresh one; every other that the server proposes is refused in favour of it.
    public init(identity: [UInt8], method: any EAPPeerMethod, limits: EAPLimits = EAPLimits()) {
        self.identity = identity
        self.method = method
        self.limits = limits
    }

    public var outcome: PeerOutcome { method.outcome }

    /// What TLS agreed on; nil for a method without.
    package var tunnel: PeerTunnel? { (method as? any TunnelledPeer)?.tunnel }

    /// PEAP: whether the server bound the tunnel to what was spoken inside.
    package var isBound: Bool? { (method as? PEAPPeer)?.isBound }

    /// Says who it is without being asked, as a gateway has it that asked by itself (RFC 3579 §2.1), and a device inside of TTLS.
    public func introduction(identifier: UInt8) -> [UInt8] {
        EAPPacket(.response, identifier: identifier, type: .identity, data: identity).bytes
    }

    /// - Parameter bytes: a whole packet.
    public mutating func take(_ bytes: ArraySlice<UInt8>) -> Step {
        if let ended { return .failure(ended) }
        rounds += 1
        guard rounds <= limits.rounds else { return end(.tooManyRounds) }
        guard let packet = try? EAPPacket(bytes) else { return .ignore }
        switch packet.code {
        case .response:
            return .ignore
        case .success:
            guard hasBegun, case .done(let keys) = method.outcome else { return end(.successTooEarly) }
            return .success(keys)
        case .failure:
            if case .refused(let fault) = method.outcome { return end(fault) }
            return end(.refused)
        case .request:
            identifier = packet.identifier
            return request(packet)
        }
    }

    private mutating func request(_ packet: EAPPacket) -> Step {
        switch packet.type {
        case .identity?: return .send(introduction(identifier: identifier))
        // RFC 3748 §5.2: to be shown, and answered with nothing.
        case .notification?: return .send(EAPPacket(.response, identifier: identifier, type: .notification).bytes)
        case method.type?:
            hasBegun = true
            return step(method.take(request: packet.data[...], identifier: identifier))
        case let other?:
            guard !hasBegun else { return end(.unexpectedType(other)) }
            return .send(EAPPacket(.response, identifier: identifier, type: .nak, data: [method.type.rawValue]).bytes)
        case nil:
            return .ignore
        }
    }

    public mutating func take(answer: PeerAnswer) -> Step {
        if let ended { return .failure(ended) }
        return step(method.take(answer: answer))
    }

    private mutating func step(_ step: PeerStep) -> Step {
        switch step {
        case .response(let data):
            .send(EAPPacket(.response, identifier: identifier, type: method.type, data: data).bytes)
        case .ask(let question):
            .ask(question)
        case .failure(let fault):
            end(fault)
        }
    }

    private mutating func end(_ fault: PeerFault) -> Step {
        ended = fault
        return .failure(fault)
    }
}
