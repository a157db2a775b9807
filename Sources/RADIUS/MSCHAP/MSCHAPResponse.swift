// SPDX-License-Identifier: Apache-2.0
// MS-CHAP, the first version (RFC 2433), as RADIUS carries it (RFC 2548 §2.1).

/// What an MS-CHAP user sent: the NT response. The LAN Manager response beside it is never looked at: it can be searched in hours.
public struct MSCHAPResponse: Sendable, Hashable {
    /// Length of MS-CHAP-Response: identifier, flags, two responses (RFC 2548 §2.1.3).
    public static let length = 50
    /// RFC 2548 §2.1.2
    public static let challengeLength = 8

    public let identifier: UInt8
    public let challenge: [UInt8]
    public let response: NTResponse

    /// - Throws: `challengeLength`, `responseLength`, `lanManagerOnly`.
    public init(challenge: ArraySlice<UInt8>, value: ArraySlice<UInt8>) throws(PasswordProofError) {
        guard challenge.count == Self.challengeLength else {
            throw .challengeLength(.msCHAP, challenge.count, expected: Self.challengeLength)
        }
        guard value.count == Self.length, let response = NTResponse(value.suffix(NTResponse.length)) else {
            throw .responseLength(.msCHAP, value.count, expected: Self.length)
        }
        // RFC 2433 §6: the flag says whether the NT response is to be used.
        guard value[value.startIndex + 1] & 1 == 1 else { throw .lanManagerOnly }
        identifier = value[value.startIndex]
        self.challenge = Array(challenge)
        self.response = response
    }

    /// Answers a challenge, as a client does; nil unless it has 8 bytes.
    public init?(identifier: UInt8, challenge: [UInt8], hash: NTHash) {
        guard challenge.count == Self.challengeLength else { return nil }
        self.identifier = identifier
        self.challenge = challenge
        response = NTResponse(challenge: challenge[...].word(at: 0), hash: hash)
    }

    public func matches(_ hash: NTHash) -> Bool {
        response.isMade(of: hash, challenge: challenge[...].word(at: 0))
    }

    /// The value of MS-CHAP-Response, with no LAN Manager response in it.
    public var bytes: [UInt8] {
        [identifier, 1] + [UInt8](repeating: 0, count: NTResponse.length) + response.bytes
    }
}
