// SPDX-License-Identifier: Apache-2.0
// A new password over MS-CHAPv2 (RFC 2759 §7), as RADIUS carries it (RFC 2548 §2.3.4, §2.1.6).

/// A change of password: the new one hidden with the old one's hash, and a proof that the new one is known.
public struct MSCHAPPasswordChange: Sendable, Hashable {
    /// Length of MS-CHAP2-CPW: code, identifier, hash, the peer's challenge, eight zeros, response, flags.
    public static let length = 68
    /// 512 bytes of text and four of its length (RFC 2759 §8.9).
    public static let blockLength = 516
    /// Code, identifier and sequence number in front of each piece of the block (RFC 2548 §2.1.6).
    static let pieceHeader = 4
    /// RFC 2759 §7
    static let code: UInt8 = 7
    /// RFC 2548 §2.1.6
    static let pieceCode: UInt8 = 6

    /// Made with the new password.
    public let response: MSCHAPv2Response
    let encryptedHash: Authenticator
    let encryptedPassword: [UInt8]

    /// - Parameters:
    ///   - value: of MS-CHAP2-CPW.
    ///   - pieces: the values of MS-CHAP-NT-Enc-PW, in any order.
    /// - Throws: `challengeLength`, `changeMalformed`.
    public init(
        challenge: ArraySlice<UInt8>, value: ArraySlice<UInt8>, pieces: [ArraySlice<UInt8>], userName: ArraySlice<UInt8>
    ) throws(PasswordProofError) {
        // Without an identifier there is nothing to join; what is wrong is said below.
        let block = try value.dropFirst().first.map { identifier throws(PasswordProofError) in
            try Self.join(pieces, identifier: identifier)
        }
        try self.init(challenge: challenge, value: value, block: (block ?? [])[...], userName: userName)
    }

    /// As EAP-MSCHAPv2 carries it, in one piece.
    ///
    /// - Parameters:
    ///   - value: of MS-CHAP2-CPW.
    ///   - block: 516 bytes.
    /// - Throws: `challengeLength`, `changeMalformed`.
    public init(
        challenge: ArraySlice<UInt8>, value: ArraySlice<UInt8>, block: ArraySlice<UInt8>, userName: ArraySlice<UInt8>
    ) throws(PasswordProofError) {
        guard let authenticator = Authenticator(Array(challenge)) else {
            throw .challengeLength(.msCHAPv2, challenge.count, expected: MSCHAPv2Response.challengeLength)
        }
        let bytes = Array(value)
        guard bytes.count == Self.length, block.count == Self.blockLength, bytes[0] == Self.code,
            let hash = Authenticator(Array(bytes[2..<18])),
            let peer = Authenticator(Array(bytes[18..<34])), let response = NTResponse(bytes[42..<66])
        else {
            throw .changeMalformed
        }
        encryptedHash = hash
        self.response = MSCHAPv2Response(
            identifier: bytes[1], challenge: authenticator, peerChallenge: peer, response: response, userName: userName)
        encryptedPassword = Array(block)
    }

    /// Asks for a change, as a client does; nil when a password cannot be hashed.
    ///
    /// - Parameter padding: 512 random bytes at least, which hide the new password's length.
    public init?(
        identifier: UInt8, challenge: Authenticator, peerChallenge: Authenticator, userName: [UInt8], old: NTHash, new: [UInt8],
        padding: [UInt8]
    ) {
        guard let newHash = NTHash(password: new), let text = String(validating: new, as: UTF8.self), padding.count >= 512 else {
            return nil
        }
        let units = text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        let length = UInt32(units.count)
        let plain = padding.prefix(512 - units.count) + units + (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(8 * $0)) }
        encryptedPassword = RC4.apply(key: old.bytes, to: Array(plain))
        encryptedHash = old.hidden(with: newHash)
        response = MSCHAPv2Response(
            identifier: identifier, challenge: challenge, peerChallenge: peerChallenge, userName: userName, hash: newHash)
    }

    /// The new password in UTF-8 (RFC 2759 §8.9 and §8.11 the other way round), with its hash.
    ///
    /// - Returns: nil unless the old hash is right, the new password is text of at most 256 UTF-16 units, and the response proves it.
    public func newPassword(old: NTHash) -> (password: [UInt8], hash: NTHash)? {
        let plain = RC4.apply(key: old.bytes, to: encryptedPassword)
        let length = plain[512..<516].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= 512, length.isMultiple(of: 2) else { return nil }
        let units = stride(from: 512 - length, to: 512, by: 2).map { UInt16(plain[$0]) | UInt16(plain[$0 + 1]) << 8 }
        guard let text = String(validating: units, as: UTF16.self) else { return nil }
        let password = Array(text.utf8)
        guard let hash = NTHash(password: password), old.hidden(with: hash).isEqual(to: encryptedHash), response.matches(hash) else {
            return nil
        }
        return (password, hash)
    }

    /// The value of MS-CHAP2-CPW.
    public var bytes: [UInt8] {
        [Self.code, response.identifier] + encryptedHash.bytes + response.peerChallenge.bytes + [UInt8](repeating: 0, count: 8)
            + response.response.bytes + [0, 0]
    }

    /// The values of MS-CHAP-NT-Enc-PW.
    public var pieces: [[UInt8]] {
        let room = VendorAttribute.maximumLength - Self.pieceHeader
        return stride(from: 0, to: encryptedPassword.count, by: room).enumerated().map { number, start in
            [Self.pieceCode, response.identifier, 0, UInt8(number + 1)]
                + encryptedPassword[start..<min(start + room, encryptedPassword.count)]
        }
    }

    private static func join(_ pieces: [ArraySlice<UInt8>], identifier: UInt8) throws(PasswordProofError) -> [UInt8] {
        let sorted = pieces.map { Array($0) }.sorted { left, right in
            guard left.count >= pieceHeader, right.count >= pieceHeader else { return left.count > right.count }
            return (left[2], left[3]) < (right[2], right[3])
        }
        var joined: [UInt8] = []
        for (number, piece) in sorted.enumerated() {
            // Sequence numbers begin at 1; some clients begin at 0.
            guard piece.count > pieceHeader, piece[0] == pieceCode, piece[1] == identifier, piece[2] == 0,
                piece[3] == UInt8(truncatingIfNeeded: number) + sorted[0][3], sorted[0][3] <= 1, joined.count <= blockLength
            else { throw .changeMalformed }
            joined += piece[pieceHeader...]
        }
        guard joined.count == blockLength else { throw .changeMalformed }
        return joined
    }
}
