// SPDX-License-Identifier: Apache-2.0
// What a client and the server both know, with the digest states that every packet needs kept ready.

/// HMAC-MD5 (RFC 2104) with the inner and the outer state computed once: a message then costs its own blocks and two more.
public struct HMACMD5Key: Sendable {
    let inner: MD5
    let outer: MD5

    /// Takes a key of any length; one longer than 64 bytes is hashed first (RFC 2104 §2).
    public init(_ key: [UInt8]) {
        let key = key.count > MD5.blockLength ? MD5.digest(key).bytes : key
        let padded = key + [UInt8](repeating: 0, count: MD5.blockLength - key.count)
        var inner = MD5()
        inner.update(padded.map { $0 ^ 0x36 })
        var outer = MD5()
        outer.update(padded.map { $0 ^ 0x5c })
        self.inner = inner
        self.outer = outer
    }

    /// The code for a whole message.
    public func code(for message: [UInt8]) -> MD5.Digest {
        var digest = inner
        digest.update(message)
        return finish(digest)
    }

    /// Ends a message that was added to a copy of `inner`.
    func finish(_ digest: MD5) -> MD5.Digest {
        var result = outer
        result.update(digest.finish())
        return result.finish()
    }
}

extension HMACMD5Key: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "HMACMD5Key(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The secret shared with one client (RFC 2865 §3). Cannot be printed.
public struct SharedSecret: Sendable {
    /// The secret itself, for storing it sealed; never log it.
    public let bytes: [UInt8]
    /// For Message-Authenticator (RFC 3579 §3.2).
    public let hmacKey: HMACMD5Key
    /// MD5 over the secret, not finished: User-Password hiding goes on from here (RFC 2865 §5.2).
    let prefix: MD5

    /// Takes at least one byte: RFC 2865 §3 forbids an empty secret. An empty array gives nil.
    public init?(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return nil }
        self.bytes = bytes
        hmacKey = HMACMD5Key(bytes)
        var prefix = MD5()
        prefix.update(bytes)
        self.prefix = prefix
    }

    /// The UTF-8 bytes of `text`; empty text gives nil.
    public init?(_ text: String) {
        self.init(Array(text.utf8))
    }
}

extension SharedSecret: Equatable {
    /// Takes the same time wherever two secrets of one length differ.
    public static func == (left: SharedSecret, right: SharedSecret) -> Bool {
        constantTimeEquals(left.bytes, right.bytes)
    }
}

extension SharedSecret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "SharedSecret(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
