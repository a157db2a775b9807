// SPDX-License-Identifier: Apache-2.0
// MS-CHAP, the second version (RFC 2759), as RADIUS carries it (RFC 2548 §2.3).

/// What an MS-CHAPv2 user sent, with what the server proves itself by in return.
public struct MSCHAPv2Response: Sendable, Hashable {
    /// Length of MS-CHAP2-Response: identifier, flags, the peer's challenge, eight zeros, the response (RFC 2548 §2.3.2).
    public static let length = 50
    /// Of both challenges (RFC 2759 §3, §4).
    public static let challengeLength = 16

    public let identifier: UInt8
    /// Of the gateway.
    public let challenge: Authenticator
    /// Of the user's device.
    public let peerChallenge: Authenticator
    public let response: NTResponse
    /// RFC 2759 §8.2: the challenge that the response is made of.
    let challengeHash: UInt64

    /// - Parameter userName: as the user's device sent it; a domain in front is no part of the hash.
    /// - Throws: `challengeLength`, `responseLength`.
    public init(challenge: ArraySlice<UInt8>, value: ArraySlice<UInt8>, userName: ArraySlice<UInt8>) throws(PasswordProofError) {
        guard let authenticator = Authenticator(Array(challenge)) else {
            throw .challengeLength(.msCHAPv2, challenge.count, expected: Self.challengeLength)
        }
        guard value.count == Self.length, let response = NTResponse(value.suffix(NTResponse.length)),
            let peer = Authenticator(Array(value.dropFirst(2).prefix(Self.challengeLength)))
        else {
            throw .responseLength(.msCHAPv2, value.count, expected: Self.length)
        }
        // RFC 2759 §4: reserved, zero. Some clients set it as in the first version, so nothing is made of it.
        self.init(
            identifier: value[value.startIndex], challenge: authenticator, peerChallenge: peer, response: response, userName: userName)
    }

    /// Answers a challenge, as a client does.
    public init(
        identifier: UInt8, challenge: Authenticator, peerChallenge: Authenticator, userName: [UInt8], hash: NTHash
    ) {
        let mixed = Self.hash(challenge, peerChallenge, userName[...])
        self.init(
            identifier: identifier, challenge: challenge, peerChallenge: peerChallenge, response: NTResponse(challenge: mixed, hash: hash),
            userName: userName[...])
    }

    init(
        identifier: UInt8, challenge: Authenticator, peerChallenge: Authenticator, response: NTResponse, userName: ArraySlice<UInt8>
    ) {
        self.identifier = identifier
        self.challenge = challenge
        self.peerChallenge = peerChallenge
        self.response = response
        challengeHash = Self.hash(challenge, peerChallenge, userName)
    }

    public func matches(_ hash: NTHash) -> Bool {
        response.isMade(of: hash, challenge: challengeHash)
    }

    /// The value of MS-CHAP2-Response.
    public var bytes: [UInt8] {
        [identifier, 0] + peerChallenge.bytes + [UInt8](repeating: 0, count: 8) + response.bytes
    }

    /// ChallengeHash (RFC 2759 §8.2): the first 8 bytes of SHA-1 over both challenges and the name without a domain.
    private static func hash(_ challenge: Authenticator, _ peerChallenge: Authenticator, _ userName: ArraySlice<UInt8>) -> UInt64 {
        SHA1.digest(peerChallenge.bytes + challenge.bytes + withoutDomain(userName))[...].word(at: 0)
    }

    /// RFC 2759 §4: the name has no part in the hash up to a backslash. `alice@corp.example` stays whole.
    static func withoutDomain(_ name: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        name.lastIndex(of: UInt8(ascii: "\\")).map { name[($0 + 1)...] } ?? name
    }
}

// MARK: The server's own proof

extension MSCHAPv2Response {
    /// `S=` and forty digits: GenerateAuthenticatorResponse (RFC 2759 §8.7). Without it in the accept the user's device hangs up.
    public func success(_ hash: NTHash) -> String { String(decoding: successValue(hash).dropFirst(), as: UTF8.self) }

    /// The value of MS-CHAP2-Success (RFC 2548 §2.3.3).
    public func successValue(_ hash: NTHash) -> [UInt8] {
        let first = SHA1.digest(hash.hashed.bytes + response.bytes + Self.magic1)
        let digest = SHA1.digest(first + challengeHash.bytes + Self.magic2)
        var value = [identifier, UInt8(ascii: "S"), UInt8(ascii: "=")]
        value.reserveCapacity(value.count + 2 * digest.count)
        for byte in digest {
            value.append(Self.hexadecimal(byte >> 4))
            value.append(Self.hexadecimal(byte & 15))
        }
        return value
    }

    /// Whether a server that answered so knows the password; what a client checks.
    public func isSuccess(_ value: ArraySlice<UInt8>, _ hash: NTHash) -> Bool {
        let expected = successValue(hash)
        // RFC 2759 §5: `M=` may follow behind a blank.
        guard value.count >= expected.count, value.dropFirst(expected.count).first ?? 0x20 == 0x20 else { return false }
        return constantTimeEquals(Array(value.prefix(expected.count)), expected)
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x41 + digit - 10 }

    private static let magic1 = Array("Magic server to client signing constant".utf8)
    private static let magic2 = Array("Pad to make it do more than one iteration".utf8)
}
