// SPDX-License-Identifier: Apache-2.0
// CHAP-Password: an MD5 over the password and a challenge (RFC 2865 §5.3, RFC 1994 §4.1).

/// What a CHAP user sent. Shows no password; tells whether a candidate is the one.
public struct CHAPResponse: Sendable, Hashable {
    /// Length of CHAP-Password: the identifier and 16 bytes (RFC 2865 §5.3).
    public static let length = 17

    /// The CHAP identifier, which is mixed into the response.
    public let identifier: UInt8
    public let challenge: [UInt8]
    public let response: MD5.Digest

    public init(identifier: UInt8, challenge: [UInt8], response: MD5.Digest) {
        self.identifier = identifier
        self.challenge = challenge
        self.response = response
    }

    /// Answers a challenge, as a client does.
    public init(identifier: UInt8, challenge: [UInt8], password: [UInt8]) {
        self.init(identifier: identifier, challenge: challenge, response: Self.digest(identifier, password, challenge))
    }

    /// Whether this password makes this response; the time does not depend on where the two part.
    public func matches(password: [UInt8]) -> Bool {
        Self.digest(identifier, password, challenge).isEqual(to: response)
    }

    /// The value of CHAP-Password.
    public var bytes: [UInt8] { [identifier] + response.bytes }

    /// RFC 1994 §4.1: MD5 over the identifier, the secret, the challenge.
    private static func digest(_ identifier: UInt8, _ password: [UInt8], _ challenge: [UInt8]) -> MD5.Digest {
        var md5 = MD5()
        md5.update([identifier])
        md5.update(password)
        md5.update(challenge)
        return md5.finish()
    }
}
