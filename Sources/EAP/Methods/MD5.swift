// SPDX-License-Identifier: Apache-2.0
// EAP-MD5 (RFC 3748 §5.4): CHAP. Proves nothing of the server, makes no keys, and whoever listens can guess the password at leisure.

public struct MD5Method: EAPMethod {
    /// RFC 1994 §4.1: what MD5 makes.
    public static let responseLength = 16

    public let type = EAPType.md5Challenge
    private let challenge: [UInt8]
    private let name: String
    private var identifier: UInt8 = 0

    /// - Parameters:
    ///   - challenge: 1 to 255 random bytes that were never used before.
    ///   - name: as it stands in the trail.
    public init(challenge: [UInt8], name: String = "EAP-MD5") {
        precondition((1...255).contains(challenge.count))
        self.challenge = challenge
        self.name = name
    }

    public var keptBytes: Int { 64 + challenge.count }

    public mutating func begin(identifier: UInt8) -> MethodStep {
        self.identifier = identifier
        return .request([UInt8(challenge.count)] + challenge)
    }

    public mutating func take(response: ArraySlice<UInt8>) -> MethodStep {
        guard let size = response.first, Int(size) == Self.responseLength, response.count > Int(size) else {
            return .failure(.malformed("EAP-MD5 response"))
        }
        let value = Array(response.dropFirst().prefix(Self.responseLength))
        return .ask(EAPQuestion(method: name, proof: .chap(identifier: identifier, challenge: challenge, response: value)))
    }

    public mutating func take(verdict: EAPVerdict) -> MethodStep {
        switch verdict {
        case .accept: .success(nil)
        case .challenge: .failure(.unsupported("EAP-MD5 that cannot ask for a code"))
        case .expired, .reject: .failure(.rejected)
        }
    }
}
