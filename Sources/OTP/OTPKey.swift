// SPDX-License-Identifier: Apache-2.0
// The key a token and the server share. Cannot be printed.

public import Crypto

/// The hash of the HMAC (RFC 6238 §1.2). Raw values as otpauth URIs write them.
public enum OTPAlgorithm: String, Sendable, Hashable, CaseIterable {
    case sha1 = "SHA1"
    case sha256 = "SHA256"
    case sha512 = "SHA512"

    /// The key length in bytes that fits the hash (RFC 6238 §5.1): 20, 32 or 64.
    public var keyLength: Int {
        switch self {
        case .sha1: 20
        case .sha256: 32
        case .sha512: 64
        }
    }
}

/// A shared key.
public struct OTPKey: Sendable {
    /// RFC 4226 §4 R6 asks for 16 bytes at least; 10 are taken because widely used services hand out 80-bit keys.
    /// The upper end is the longest block of a hash in use.
    public static let lengths = 10...128

    public let symmetricKey: SymmetricKey

    /// - Throws: `keyLength`.
    public init(_ bytes: [UInt8]) throws(OTPError) {
        guard Self.lengths.contains(bytes.count) else { throw .keyLength(bytes.count) }
        symmetricKey = SymmetricKey(data: bytes)
    }

    /// Takes Base32 as people type it.
    ///
    /// - Throws: `base32Character`, `base32Length`, `keyLength`.
    public init(base32: String) throws(OTPError) {
        try self.init(Base32.decode(base32))
    }

    /// The key itself, for storing it sealed; never log it.
    public var bytes: [UInt8] {
        // Safe: the buffer is copied before the closure returns.
        unsafe symmetricKey.withUnsafeBytes { unsafe Array($0) }
    }
}

extension OTPKey: Equatable {
    /// Takes the same time wherever two keys of one length differ.
    public static func == (left: OTPKey, right: OTPKey) -> Bool { left.symmetricKey == right.symmetricKey }
}

extension OTPKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "OTPKey(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
