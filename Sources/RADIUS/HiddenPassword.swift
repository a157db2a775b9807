// SPDX-License-Identifier: Apache-2.0
// User-Password on the wire: RFC 2865 §5.2.

/// Hides and reveals User-Password (RFC 2865 §5.2): each block of 16 bytes is XORed with MD5(secret + block before).
public enum HiddenPassword {
    /// The greatest length, hidden or plain (RFC 2865 §5.2).
    public static let maximumLength = 128
    static let blockLength = 16

    static func isValidLength(_ length: Int) -> Bool {
        length >= blockLength && length <= maximumLength && length % blockLength == 0
    }

    /// Hides a password of 0–128 bytes; the result has 16, 32, … 128.
    ///
    /// - Throws: `passwordTooLong`.
    public static func hide(
        _ password: [UInt8], authenticator: Authenticator, secret: SharedSecret
    ) throws(PacketError) -> [UInt8] {
        guard password.count <= maximumLength else { throw .passwordTooLong(length: password.count) }
        let length = max(blockLength, (password.count + blockLength - 1) / blockLength * blockLength)
        var bytes = password + [UInt8](repeating: 0, count: length - password.count)
        var previous = authenticator
        for offset in stride(from: 0, to: length, by: blockLength) {
            previous = keyStream(after: previous, secret).xor(Authenticator(bytes.span, at: offset))
            previous.write(to: &bytes, at: offset)
        }
        return bytes
    }

    /// Reveals a password; NULs at the end are its padding, others are kept.
    ///
    /// A wrong secret gives wrong bytes, not an error: only a Message-Authenticator can tell.
    /// - Throws: `userPasswordLength`.
    public static func unhide(
        _ hidden: [UInt8], authenticator: Authenticator, secret: SharedSecret
    ) throws(PacketError) -> [UInt8] {
        try unhide(hidden.span, 0..<hidden.count, authenticator, secret)
    }

    static func unhide(
        _ bytes: borrowing Span<UInt8>, _ range: Range<Int>, _ authenticator: Authenticator, _ secret: SharedSecret
    ) throws(PacketError) -> [UInt8] {
        guard isValidLength(range.count) else { throw .userPasswordLength(range.count) }
        var password = [UInt8](repeating: 0, count: range.count)
        var previous = authenticator
        for offset in stride(from: 0, to: range.count, by: blockLength) {
            let block = Authenticator(bytes, at: range.lowerBound + offset)
            keyStream(after: previous, secret).xor(block).write(to: &password, at: offset)
            previous = block
        }
        while password.last == 0 { password.removeLast() }
        return password
    }

    private static func keyStream(after previous: Authenticator, _ secret: SharedSecret) -> Authenticator {
        var md5 = secret.prefix
        md5.update(previous)
        return md5.finish()
    }
}

extension Packet {
    /// The User-Password of a request in plain; nil when there is none.
    ///
    /// - Throws: nothing for a decoded packet, whose length was checked; the type keeps the contract of `HiddenPassword`.
    public func password(secret: SharedSecret) throws(PacketError) -> [UInt8]? {
        guard let attribute = first(.userPassword) else { return nil }
        // RFC 9765 §5.1.1: not hidden, so that a NUL at the end is no padding.
        if attribute.range.isEmpty || version == .tokens { return Array(value(of: attribute)) }
        return try HiddenPassword.unhide(bytes.span, attribute.range, authenticator, secret)
    }
}

extension Authenticator {
    func xor(_ other: Authenticator) -> Authenticator {
        Authenticator(high: high ^ other.high, low: low ^ other.low)
    }
}
