// SPDX-License-Identifier: Apache-2.0
// EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2-02). Carries challenge and response; whoever judges them makes proof and keys.

public struct MSCHAPv2Method: EAPMethod {
    /// draft-kamath §2: the first byte of each packet.
    enum OpCode: UInt8 {
        case challenge = 1
        case response = 2
        case success = 3
        case failure = 4
        case changePassword = 7
    }

    /// RFC 2759 §3
    public static let challengeLength = 16
    /// draft-kamath §2.2: the peer's challenge, eight zeros, the NT response, flags.
    static let responseLength = 49
    /// draft-kamath §2.7: block and hash of the new password, the peer's challenge, eight zeros, the NT response, flags.
    static let changeLength = 516 + 16 + 16 + 8 + 24 + 2
    /// OpCode, MS-CHAPv2-ID, MS-Length (draft-kamath §2.1).
    static let headerLength = 4

    private enum Phase: Equatable {
        case new
        case challenged
        case judging
        /// The Success Request is out; the keys are given when the peer has believed it.
        case proven(EAPKeys)
        case refused
        /// The old password was right; a new one may come, made with the other challenge.
        case expired
    }

    public let type = EAPType.msCHAPv2
    private let challenge: [UInt8]
    private let renewal: [UInt8]?
    private let server: [UInt8]
    private let name: String
    /// draft-kamath §2.1: the same in Challenge, Response, and what follows.
    private var identifier: UInt8 = 0
    private var phase = Phase.new
    /// What the response was salted with; a new password is too.
    private var user: [UInt8] = []
    /// A new password is asked for once.
    private var hasAsked = false

    /// - Parameters:
    ///   - challenge: 16 random bytes that were never used before.
    ///   - renewal: 16 others, for a new password in place of one that has expired; nil: none is taken.
    ///   - server: how the server calls itself; some devices show it.
    ///   - name: as it stands in the trail.
    public init(challenge: [UInt8], renewal: [UInt8]? = nil, server: String, name: String = "EAP-MSCHAPv2") {
        precondition(challenge.count == Self.challengeLength && (renewal ?? challenge).count == Self.challengeLength)
        self.challenge = challenge
        self.renewal = renewal
        self.server = Array(server.utf8.prefix(64))
        self.name = name
    }

    public var keptBytes: Int { 256 + 2 * challenge.count + server.count + user.count }

    public mutating func begin(identifier: UInt8) -> MethodStep {
        self.identifier = identifier
        phase = .challenged
        return .request(packet(.challenge, [UInt8(challenge.count)] + challenge + server))
    }

    public mutating func take(response: ArraySlice<UInt8>) -> MethodStep {
        guard let first = response.first, let code = OpCode(rawValue: first) else {
            return .failure(.malformed("EAP-MSCHAPv2 packet"))
        }
        switch (phase, code) {
        case (.challenged, .response):
            return takeProof(response)
        case (.proven(let keys), .success):
            return .success(keys)
        case (.proven, .failure):
            return .failure(.refusedByPeer("the server's proof"))
        case (.expired, .changePassword):
            return takeChange(response)
        // It was asked for another password, and has none.
        case (.expired, .failure):
            return .failure(.rejected)
        case (.refused, .failure), (.refused, .response), (.refused, .changePassword):
            // Whatever it answers, it was told that nothing more would be judged.
            return .failure(.rejected)
        default:
            return .failure(.malformed("order of EAP-MSCHAPv2 packets"))
        }
    }

    /// draft-kamath §2.2
    private mutating func takeProof(_ packet: ArraySlice<UInt8>) -> MethodStep {
        let start = packet.startIndex
        guard packet.count > Self.headerLength + Self.responseLength else { return .failure(.malformed("EAP-MSCHAPv2 response")) }
        let length = Int(packet[start + 2]) << 8 | Int(packet[start + 3])
        guard (Self.headerLength + 1 + Self.responseLength...packet.count).contains(length),
            Int(packet[start + Self.headerLength]) == Self.responseLength
        else { return .failure(.malformed("EAP-MSCHAPv2 response")) }
        // An answer to another challenge.
        guard packet[start + 1] == identifier else { return .ignore }
        let value = packet[(start + Self.headerLength + 1)...].prefix(Self.responseLength)
        user = Array(packet[(start + Self.headerLength + 1 + Self.responseLength)..<(start + length)])
        phase = .judging
        // RFC 2548 §2.3.2 has the same parts, with the flags in front.
        return .ask(
            EAPQuestion(
                method: name, proof: .msCHAPv2(challenge: challenge, value: [identifier, 0] + value.dropLast(), name: user)))
    }

    /// draft-kamath §2.7. The new password stands hidden with the old one's hash, so only who judges can read it.
    private mutating func takeChange(_ packet: ArraySlice<UInt8>) -> MethodStep {
        let start = packet.startIndex
        guard let renewal, packet.count >= Self.headerLength + Self.changeLength,
            Int(packet[start + 2]) << 8 | Int(packet[start + 3]) == Self.headerLength + Self.changeLength
        else { return .failure(.malformed("EAP-MSCHAPv2 change of password")) }
        // RFC 2759 §7 has it counted on.
        guard packet[start + 1] == identifier || packet[start + 1] == identifier &+ 1 else { return .ignore }
        identifier = packet[start + 1]
        let block = packet[(start + Self.headerLength)...].prefix(516)
        let rest = packet[(start + Self.headerLength + 516)...].prefix(Self.changeLength - 516)
        phase = .judging
        // RFC 2548 §2.3.4 has the same parts behind code and identifier.
        return .ask(
            EAPQuestion(
                method: name,
                proof: .newPassword(
                    challenge: renewal, value: [OpCode.changePassword.rawValue, identifier] + rest, block: Array(block), name: user)))
    }

    public mutating func take(verdict: EAPVerdict) -> MethodStep {
        switch verdict {
        case .accept(let grant?):
            phase = .proven(EAPKeys(receive: grant.receive, send: grant.send))
            return .request(packet(.success, grant.success))
        case .accept(nil):
            return .failure(.unsupported("EAP-MSCHAPv2 without what the server proves itself by"))
        case .challenge:
            phase = .refused
            return .failure(.unsupported("EAP-MSCHAPv2 that cannot ask for a code"))
        case .expired(let message):
            guard let renewal, case .judging = phase, !hasAsked else { return refuse(with: nil) }
            hasAsked = true
            phase = .expired
            let digits = renewal.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined()
            return .request(packet(.failure, Array("E=648 R=1 C=\(digits) V=3 M=\(message)".utf8)))
        case .reject(let message):
            return refuse(with: message)
        }
    }

    private mutating func refuse(with message: String?) -> MethodStep {
        phase = .refused
        return .request(packet(.failure, Array((message ?? plainRefusal).utf8)))
    }

    /// RFC 2759 §6: no other try, which would need another challenge.
    private var plainRefusal: String { "E=691 R=0 C=\(String(repeating: "0", count: 32)) V=3 M=Login refused." }

    private func packet(_ code: OpCode, _ body: [UInt8]) -> [UInt8] {
        let length = Self.headerLength + body.count
        return [code.rawValue, identifier, UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)] + body
    }
}
