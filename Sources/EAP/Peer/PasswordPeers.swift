// SPDX-License-Identifier: Apache-2.0
// EAP-GTC, EAP-MD5 and EAP-MSCHAPv2 on the device's side.

/// RFC 3748 §5.6: shows what comes, sends what is typed.
public struct GTCPeer: EAPPeerMethod {
    public let type = EAPType.genericTokenCard
    private var hasAnswered = false

    public init() {}

    public var outcome: PeerOutcome { hasAnswered ? .done(nil) : .unfinished }

    public mutating func take(request: ArraySlice<UInt8>, identifier: UInt8) -> PeerStep {
        .ask(.text(prompt: String(decoding: request, as: UTF8.self)))
    }

    public mutating func take(answer: PeerAnswer) -> PeerStep {
        guard case .text(let text) = answer else { return .failure(.malformed("answer")) }
        hasAnswered = true
        return .response(text.bytes)
    }
}

/// RFC 3748 §5.4
public struct MD5Peer: EAPPeerMethod {
    public let type = EAPType.md5Challenge
    private let name: [UInt8]
    private var hasAnswered = false

    public init(name: [UInt8]) {
        self.name = name
    }

    public var outcome: PeerOutcome { hasAnswered ? .done(nil) : .unfinished }

    public mutating func take(request: ArraySlice<UInt8>, identifier: UInt8) -> PeerStep {
        guard let size = request.first, size > 0, request.count > Int(size) else { return .failure(.malformed("EAP-MD5 challenge")) }
        return .ask(.chap(identifier: identifier, challenge: Array(request.dropFirst().prefix(Int(size)))))
    }

    public mutating func take(answer: PeerAnswer) -> PeerStep {
        guard case .chap(let value) = answer, value.count == MD5Method.responseLength else { return .failure(.malformed("answer")) }
        hasAnswered = true
        return .response([UInt8(value.count)] + value + name)
    }
}

/// draft-kamath-pppext-eap-mschapv2-02
public struct MSCHAPv2Peer: EAPPeerMethod {
    private enum Phase {
        case waiting
        /// The challenge's identifier.
        case asking(UInt8)
        case answered(MSCHAPv2Proof)
        case proven(EAPKeys)
        case refused(PeerFault)
    }

    public let type = EAPType.msCHAPv2
    private let name: [UInt8]
    private var phase = Phase.waiting

    /// - Parameter name: as it went into the hash.
    public init(name: [UInt8]) {
        self.name = name
    }

    public var outcome: PeerOutcome {
        switch phase {
        case .waiting, .asking, .answered: .unfinished
        case .proven(let keys): .done(keys)
        case .refused(let fault): .refused(fault)
        }
    }

    public mutating func take(request: ArraySlice<UInt8>, identifier: UInt8) -> PeerStep {
        let start = request.startIndex
        guard request.count >= MSCHAPv2Method.headerLength, let code = MSCHAPv2Method.OpCode(rawValue: request[start]) else {
            return .failure(.malformed("EAP-MSCHAPv2 packet"))
        }
        let length = Int(request[start + 2]) << 8 | Int(request[start + 3])
        guard (MSCHAPv2Method.headerLength...request.count).contains(length) else { return .failure(.malformed("EAP-MSCHAPv2 length")) }
        let body = request.prefix(length).dropFirst(MSCHAPv2Method.headerLength)
        switch (phase, code) {
        case (.waiting, .challenge):
            guard let size = body.first, Int(size) == MSCHAPv2Method.challengeLength, body.count > Int(size) else {
                return .failure(.malformed("EAP-MSCHAPv2 challenge"))
            }
            // draft-kamath §2.1: a number of its own.
            let own = request[start + 1]
            phase = .asking(own)
            return .ask(.msCHAPv2(identifier: own, challenge: Array(body.dropFirst().prefix(MSCHAPv2Method.challengeLength))))
        case (.answered(let proof), .success):
            guard proof.isProven(by: body) else {
                phase = .refused(.notProven("its answer was made with another password"))
                return .response([MSCHAPv2Method.OpCode.failure.rawValue])
            }
            phase = .proven(EAPKeys(receive: proof.expected.receive, send: proof.expected.send))
            return .response([MSCHAPv2Method.OpCode.success.rawValue])
        case (.answered, .failure):
            phase = .refused(.refusedWith(String(decoding: body, as: UTF8.self)))
            return .response([MSCHAPv2Method.OpCode.failure.rawValue])
        default:
            return .failure(.malformed("order of EAP-MSCHAPv2 packets"))
        }
    }

    public mutating func take(answer: PeerAnswer) -> PeerStep {
        guard case .asking(let identifier) = phase, case .msCHAPv2(let proof) = answer else { return .failure(.malformed("answer")) }
        phase = .answered(proof)
        let body = [UInt8(MSCHAPv2Method.responseLength)] + proof.value + [0] + name
        let length = MSCHAPv2Method.headerLength + body.count
        let header = [MSCHAPv2Method.OpCode.response.rawValue, identifier, UInt8(length >> 8), UInt8(truncatingIfNeeded: length)]
        return .response(header + body)
    }
}
