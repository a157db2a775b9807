// SPDX-License-Identifier: Apache-2.0
// What Windows keeps of a password, and the response that MS-CHAP makes of it (RFC 2433 §A, RFC 2759 §8.3–8.6).

/// MD4 over a password in UTF-16. As good as the password wherever MS-CHAP is spoken, so it cannot be printed.
public struct NTHash: Sendable {
    public static let length = 16
    /// RFC 2759 §8.1: 0 to 256 Unicode characters.
    public static let longestPassword = 256

    let value: Authenticator

    /// - Parameter password: UTF-8; nil when it is not, or when it has more than 256 UTF-16 units.
    public init?(password: [UInt8]) {
        var units: [UInt8] = []
        if password.allSatisfy({ $0 < 0x80 }) {
            guard password.count <= Self.longestPassword else { return nil }
            units.reserveCapacity(2 * password.count)
            for byte in password {
                units.append(byte)
                units.append(0)
            }
        } else {
            guard let text = String(validating: password, as: UTF8.self) else { return nil }
            for unit in text.utf16 {
                units.append(UInt8(truncatingIfNeeded: unit))
                units.append(UInt8(truncatingIfNeeded: unit >> 8))
            }
            guard units.count <= 2 * Self.longestPassword else { return nil }
        }
        value = MD4.digest(units)
    }

    /// Takes the 16 bytes of a hash; any other count gives nil.
    public init?(_ bytes: [UInt8]) {
        guard let value = Authenticator(bytes) else { return nil }
        self.value = value
    }

    init(_ value: Authenticator) {
        self.value = value
    }

    /// The hash itself, for storing it sealed; never log it.
    public var bytes: [UInt8] { value.bytes }

    /// PasswordHashHash (RFC 2759 §8.4), which the server proves itself with and keys are made of.
    var hashed: NTHash { NTHash(MD4.digest(value.bytes)) }

    /// Three keys of 56 bits: the hash, padded with five zeros (RFC 2759 §8.5).
    fileprivate var keys: SIMD4<UInt64> {
        SIMD4(value.high >> 8, (value.high & 0xff) << 48 | value.low >> 16, (value.low & 0xffff) << 40, 0)
    }
}

extension NTHash: Equatable {
    /// Takes the same time wherever two hashes differ.
    public static func == (left: NTHash, right: NTHash) -> Bool { left.value.isEqual(to: right.value) }
}

extension NTHash: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "NTHash(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension NTHash {
    /// A hash hidden with another one: NtPasswordHashEncryptedWithBlock (RFC 2759 §8.12).
    func hidden(with key: NTHash) -> Authenticator {
        let blocks = DES(key.keys).encrypt(SIMD4(value.high, value.low, 0, 0))
        return Authenticator(high: blocks[0], low: blocks[1])
    }
}

/// The 24 bytes that prove that the user knows the password: the challenge under three keys of the hash (RFC 2759 §8.5).
public struct NTResponse: Sendable, Hashable {
    public static let length = 24

    let first: UInt64
    let second: UInt64
    let third: UInt64

    init(challenge: UInt64, hash: NTHash) {
        let blocks = DES(hash.keys).encrypt(SIMD4(repeating: challenge))
        (first, second, third) = (blocks[0], blocks[1], blocks[2])
    }

    /// Takes exactly 24 bytes; any other count gives nil.
    public init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        (first, second, third) = (bytes.word(at: 0), bytes.word(at: 8), bytes.word(at: 16))
    }

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.length)
        for word in [first, second, third] {
            for place in 0..<8 as Range<UInt64> { bytes.append(UInt8(truncatingIfNeeded: word >> (56 - 8 * place))) }
        }
        return bytes
    }

    /// Whether this hash makes this response; the time does not depend on where the two part.
    func isMade(of hash: NTHash, challenge: UInt64) -> Bool {
        let made = NTResponse(challenge: challenge, hash: hash)
        return (made.first ^ first) | (made.second ^ second) | (made.third ^ third) == 0
    }
}

extension ArraySlice<UInt8> {
    /// Eight bytes, the first most significant.
    func word(at offset: Int) -> UInt64 {
        self[startIndex + offset..<startIndex + offset + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension UInt64 {
    /// Eight bytes, the first most significant.
    var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> UInt64(56 - 8 * $0)) } }
}
