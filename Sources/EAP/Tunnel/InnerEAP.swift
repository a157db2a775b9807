// SPDX-License-Identifier: Apache-2.0
// A whole EAP conversation inside a tunnel.

/// The methods that may be spoken inside, and who was asked for.
struct InnerEAP {
    enum Step {
        /// A whole packet for the peer.
        case send([UInt8])
        case ask(EAPQuestion)
        case success(EAPKeys?)
        case failure(EAPFailureReason)
    }

    private var authenticator: EAPAuthenticator
    /// What stands in front of a method's name.
    private let tunnel: String

    /// A tunnel inside a tunnel would only cost: none is offered.
    init(_ methods: [any EAPMethod], tunnel: String) {
        authenticator = EAPAuthenticator(methods: methods.filter { ![.tls, .ttls, .peap].contains($0.type) })
        self.tunnel = tunnel
    }

    var identity: [UInt8] { authenticator.identity }
    var keptBytes: Int { authenticator.keptBytes }
    /// Of the last request.
    var identifier: UInt8 { authenticator.lastRequest.dropFirst().first ?? 0 }

    mutating func start() -> Step { step(authenticator.start(identifier: 0)) }

    mutating func take(_ packet: [UInt8]) -> Step { step(authenticator.take(packet[...])) }

    mutating func take(verdict: EAPVerdict) -> Step { step(authenticator.take(verdict: verdict)) }

    private func step(_ step: EAPAuthenticator.Step) -> Step {
        switch step {
        case .send(let packet): return .send(packet)
        case .ask(var question):
            question.method = "\(tunnel)/\(question.method)"
            question.name = question.name ?? identity
            return .ask(question)
        case .success(_, let keys): return .success(keys)
        case .failure(_, let reason): return .failure(reason)
        // TLS loses nothing and repeats nothing, so whatever is to be passed over was never an honest peer's.
        case .discard: return .failure(.malformed("EAP packet inside \(tunnel)"))
        }
    }
}
