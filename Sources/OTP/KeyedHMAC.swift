// SPDX-License-Identifier: Apache-2.0
// HMAC of counters with the key taken in beforehand, RFC 2104 over the library's hashes.

internal import Crypto
internal import FoundationEssentials

/// Both hashes of an HMAC after their first block: keying `HMAC` anew costs as much as the code itself, and a window is several codes.
enum KeyedHMAC: Sendable {
    case sha1(KeyedHash<Insecure.SHA1>)
    case sha256(KeyedHash<SHA256>)
    case sha512(KeyedHash<SHA512>)

    init(_ key: OTPKey, _ algorithm: OTPAlgorithm) {
        switch algorithm {
        case .sha1: self = .sha1(KeyedHash(key.bytes))
        case .sha256: self = .sha256(KeyedHash(key.bytes))
        case .sha512: self = .sha512(KeyedHash(key.bytes))
        }
    }

    /// The four bytes of the HMAC of a counter to which its last four bits point (RFC 4226 §5.3).
    func truncated(_ counter: UInt64) -> UInt32 {
        switch self {
        case .sha1(let hash): hash.truncated(counter)
        case .sha256(let hash): hash.truncated(counter)
        case .sha512(let hash): hash.truncated(counter)
        }
    }
}

struct KeyedHash<Hash: HashFunction>: Sendable {
    private let inner: Hash
    private let outer: Hash

    init(_ key: [UInt8]) {
        // RFC 2104 §2: a key longer than a block is hashed first.
        let short = key.count > Hash.blockByteCount ? Array(Hash.hash(data: key)) : key
        func begun(_ pad: UInt8) -> Hash {
            var block = [UInt8](repeating: pad, count: Hash.blockByteCount)
            for (index, byte) in short.enumerated() { block[index] ^= byte }
            var hash = Hash()
            hash.update(data: block)
            return hash
        }
        inner = begun(0x36)
        outer = begun(0x5C)
    }

    func truncated(_ counter: UInt64) -> UInt32 {
        // The counter as eight bytes, first byte most significant (RFC 4226 §5.1).
        let message = counter.bigEndian
        var inner = inner
        // Safe: each buffer is read before its closure returns.
        unsafe withUnsafeBytes(of: message) { unsafe inner.update(bufferPointer: $0) }
        var outer = outer
        unsafe inner.finalize().withUnsafeBytes { unsafe outer.update(bufferPointer: $0) }
        return unsafe outer.finalize().withUnsafeBytes { code in
            let offset = Int(unsafe code[code.count - 1] & 15)
            return (0..<4).reduce(UInt32(0)) { unsafe $0 << 8 | UInt32(code[offset + $1]) }
        }
    }
}
