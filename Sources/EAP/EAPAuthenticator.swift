// SPDX-License-Identifier: Apache-2.0
// The standalone authenticator (RFC 4137 §5), with its names. Retransmission is left to who sends: a gateway, or TLS around an inner EAP.

/// One conversation. Takes packets and verdicts, gives packets and questions; pure but for what its methods hold.
public struct EAPAuthenticator {
    /// What it rests in between two inputs. The states of RFC 4137 that are passed through without waiting are the methods below.
    public enum State: Sendable, Equatable {
        case initialize
        case idle
        /// METHOD_RESPONSE, while the application judges.
        case methodResponse
        case success
        case failure
    }

    public enum Step: Sendable, Equatable {
        /// Goes to the peer.
        case send([UInt8])
        /// `take(verdict:)` goes on.
        case ask(EAPQuestion)
        /// EAP-Success, and what the method made.
        case success([UInt8], EAPKeys?)
        /// EAP-Failure, and why.
        case failure([UInt8], EAPFailureReason)
        /// Nothing came of it; `lastRequest` is still to be answered.
        case discard
    }

    /// `methodState` of RFC 4137 §5.1.1.
    private enum MethodState { case identity, proposed, continued }

    public private(set) var state = State.initialize
    /// As the peer gave it; empty before it did.
    public private(set) var identity: [UInt8] = []
    /// The whole packet.
    public private(set) var lastRequest: [UInt8] = []
    /// Of these the peer may still have one, in this order.
    private var offers: [any EAPMethod]
    private var method: (any EAPMethod)?
    private var methodState = MethodState.identity
    private var currentIdentifier: UInt8 = 0
    private let limits: EAPLimits
    private var rounds = 0
    private var discarded = 0

    /// - Parameter methods: fresh ones, the best first; the peer takes one by refusing those before it.
    public init(methods: [any EAPMethod], limits: EAPLimits = EAPLimits()) {
        offers = methods
        self.limits = limits
    }

    /// The method that is spoken, or was last.
    public var methodType: EAPType? { method?.type }

    /// What the conversation has come to, while the peer is still being told.
    public var pendingFailure: EAPFailureReason? { method?.pendingFailure }

    /// Whether the peer has agreed to the method.
    public var hasMethod: Bool { methodState == .continued }

    public var keptBytes: Int {
        identity.count + lastRequest.count + (method?.keptBytes ?? 0) + offers.reduce(0) { $0 + $1.keptBytes }
    }

    /// Asks who it is: for a peer that did not say so by itself.
    public mutating func start(identifier: UInt8) -> Step {
        guard state == .initialize else { return .discard }
        currentIdentifier = identifier
        state = .idle
        return sendRequest(.identity, [])
    }

    /// RECEIVED
    public mutating func take(_ bytes: ArraySlice<UInt8>) -> Step {
        guard state == .initialize || state == .idle else { return .discard }
        rounds += 1
        guard rounds <= limits.rounds else { return failure(.tooManyRounds) }
        guard let packet = try? EAPPacket(bytes), packet.code == .response, let type = packet.type else { return discard() }
        if state == .initialize { return pickUp(packet, type) }
        guard packet.identifier == currentIdentifier else { return discard() }
        switch methodState {
        case .identity:
            return type == .identity ? identified(packet.data) : discard()
        case .proposed where type == .nak:
            return nak(packet.data)
        case .proposed, .continued:
            guard type == method?.type else { return discard() }
            return methodResponse { $0.take(response: packet.data[...]) }
        }
    }

    public mutating func take(verdict: EAPVerdict) -> Step {
        guard state == .methodResponse else { return .discard }
        return methodResponse { $0.take(verdict: verdict) }
    }

    // MARK: The states that do not wait

    /// A gateway has asked for the identity by itself (RFC 3579 §2.1); its identifier counts on.
    private mutating func pickUp(_ packet: EAPPacket, _ type: EAPType) -> Step {
        currentIdentifier = packet.identifier
        guard type == .identity else { return failure(.unexpectedType(type)) }
        return identified(packet.data)
    }

    private mutating func identified(_ name: [UInt8]) -> Step {
        guard name.count <= limits.identityLength else { return failure(.malformed("identity of \(name.count) bytes")) }
        identity = name
        return proposeMethod(wanted: nil)
    }

    /// PROPOSE_METHOD, METHOD_REQUEST
    private mutating func proposeMethod(wanted: [EAPType]?) -> Step {
        if let wanted { offers.removeAll { !wanted.contains($0.type) } }
        guard !offers.isEmpty else { return failure(.noCommonMethod(wanted: wanted ?? [])) }
        var method = offers.removeFirst()
        methodState = .proposed
        let step = method.begin(identifier: currentIdentifier &+ 1)
        self.method = method
        return selectAction(step)
    }

    /// NAK: what the peer wants instead (RFC 3748 §5.3.1). Zero alone: nothing.
    private mutating func nak(_ data: [UInt8]) -> Step {
        proposeMethod(wanted: data.filter { $0 != 0 }.map(EAPType.init(rawValue:)))
    }

    /// METHOD_RESPONSE: with this the peer has agreed to the method.
    private mutating func methodResponse(_ take: (inout any EAPMethod) -> MethodStep) -> Step {
        // Taken out, or what TLS holds would be copied before each change.
        guard var method = self.method.take() else { return failure(.unexpectedType(.identity)) }
        let step = take(&method)
        self.method = method
        if step != .ignore {
            methodState = .continued
            offers = []
        }
        return selectAction(step)
    }

    /// SELECT_ACTION
    private mutating func selectAction(_ step: MethodStep) -> Step {
        switch step {
        case .request(let data):
            guard let type = method?.type else { return failure(.unexpectedType(.identity)) }
            currentIdentifier &+= 1
            state = .idle
            return sendRequest(type, data)
        case .ask(let question):
            state = .methodResponse
            return .ask(question)
        case .success(let keys):
            state = .success
            return .success(EAPPacket(.success, identifier: currentIdentifier).bytes, keys)
        case .failure(let reason):
            return failure(reason)
        case .ignore:
            return discard()
        }
    }

    /// SEND_REQUEST
    private mutating func sendRequest(_ type: EAPType, _ data: [UInt8]) -> Step {
        lastRequest = EAPPacket(.request, identifier: currentIdentifier, type: type, data: data).bytes
        return .send(lastRequest)
    }

    /// DISCARD
    private mutating func discard() -> Step {
        // There is no request yet that could be sent again.
        guard state != .initialize else { return failure(.malformed("EAP packet")) }
        discarded += 1
        return discarded <= limits.discarded ? .discard : failure(.tooManyRounds)
    }

    /// FAILURE
    private mutating func failure(_ reason: EAPFailureReason) -> Step {
        state = .failure
        offers = []
        return .failure(EAPPacket(.failure, identifier: currentIdentifier).bytes, reason)
    }
}
