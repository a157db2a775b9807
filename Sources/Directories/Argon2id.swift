// SPDX-License-Identifier: Apache-2.0
// Password hashes of local users: argon2id (RFC 9106) by the reference library.

internal import CArgon2
internal import Foundation
package import LoginEngine

/// What one hash costs. The defaults are OWASP's: 19 MiB, two passes, one lane, about 25 ms.
package struct Argon2id: Sendable, Equatable {
    package var memoryKiB: UInt32 = 19 * 1_024
    package var passes: UInt32 = 2
    package var lanes: UInt32 = 1

    package static let saltLength = 16
    package static let hashLength = 32

    package init() {}

    package init(memoryKiB: UInt32, passes: UInt32, lanes: UInt32) {
        self.memoryKiB = memoryKiB
        self.passes = passes
        self.lanes = lanes
    }

    /// Blocks for the time one hash takes.
    ///
    /// - Parameter salt: `saltLength` random bytes.
    /// - Returns: the PHC string `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    package func hash(_ password: Secret, salt: [UInt8]) throws(Argon2Error) -> Secret {
        let length = argon2_encodedlen(passes, memoryKiB, lanes, UInt32(salt.count), UInt32(Self.hashLength), Argon2_id)
        var encoded = [CChar](repeating: 0, count: length)
        let code = password.reveal { bytes in
            argon2id_hash_encoded(passes, memoryKiB, lanes, bytes, bytes.count, salt, salt.count, Self.hashLength, &encoded, length)
        }
        guard code == ARGON2_OK.rawValue else { throw Argon2Error(code: code) }
        return Secret(encoded.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) })
    }

    /// A key of 32 bytes from a passphrase. Blocks for the time one hash takes.
    package func key(from passphrase: Secret, salt: [UInt8]) throws(Argon2Error) -> Secret {
        var key = [UInt8](repeating: 0, count: Self.hashLength)
        let code = passphrase.reveal { bytes in
            argon2id_hash_raw(passes, memoryKiB, lanes, bytes, bytes.count, salt, salt.count, &key, key.count)
        }
        guard code == ARGON2_OK.rawValue else { throw Argon2Error(code: code) }
        return Secret(key)
    }

    /// Gives back the memory that was kept for the next hash.
    package static let releaseMemory: @Sendable () -> Void = { HashMemory.release() }

    /// Blocks for the time one hash takes; compares in constant time. Its memory is kept for the next (`HashMemory`).
    ///
    /// - Parameter phc: a PHC string of argon2id with any parameters.
    package static func verify(_ password: Secret, against phc: Secret) throws(Argon2Error) -> Bool {
        guard let text = phc.revealText(), let parts = PHCString(text) else { throw Argon2Error(code: ARGON2_DECODING_FAIL.rawValue) }
        let code = password.reveal { bytes in parts.compare(bytes) }
        switch code {
        case ARGON2_OK.rawValue: return true
        case ARGON2_VERIFY_MISMATCH.rawValue: return false
        default: throw Argon2Error(code: code)
        }
    }
}

/// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`, taken apart; salt and hash are base64 without padding (the PHC string format).
struct PHCString: Sendable {
    let cost: Argon2id
    let version: UInt32
    let salt: [UInt8]
    let hash: [UInt8]

    /// Nil: not such a string.
    init?(_ text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].isEmpty, parts[1] == "argon2id", let version = Self.number(parts[2], after: "v=") else {
            return nil
        }
        let costs = parts[3].split(separator: ",", omittingEmptySubsequences: false)
        guard costs.count == 3, let memory = Self.number(costs[0], after: "m="), let passes = Self.number(costs[1], after: "t="),
            let lanes = Self.number(costs[2], after: "p="), let salt = Self.bytes(parts[4]), let hash = Self.bytes(parts[5])
        else { return nil }
        cost = Argon2id(memoryKiB: memory, passes: passes, lanes: lanes)
        self.version = version
        self.salt = salt
        self.hash = hash
    }

    private static func number(_ part: Substring, after prefix: String) -> UInt32? {
        guard part.hasPrefix(prefix) else { return nil }
        let digits = part.dropFirst(prefix.count)
        return digits.allSatisfy { $0.isASCII && $0.isNumber } ? UInt32(digits) : nil
    }

    private static func bytes(_ part: Substring) -> [UInt8]? {
        guard !part.isEmpty, part.utf8.count <= 512, !part.contains("=") else { return nil }
        let padding = String(repeating: "=", count: (4 - part.utf8.count % 4) % 4)
        return Data(base64Encoded: part + padding).map { Array($0) }
    }

    /// - Returns: a code of the library.
    func compare(_ password: [UInt8]) -> Int32 {
        // The library takes what it only reads by pointers that may be written to.
        var (password, salt) = (password, salt)
        var computed = [UInt8](repeating: 0, count: hash.count)
        let lengths = (password: UInt32(clamping: password.count), salt: UInt32(salt.count), hash: UInt32(hash.count))
        let code = password.withUnsafeMutableBufferPointer { password in
            salt.withUnsafeMutableBufferPointer { salt in
                computed.withUnsafeMutableBufferPointer { computed in
                    var context = argon2_context()
                    context.out = computed.baseAddress
                    context.outlen = lengths.hash
                    context.pwd = password.baseAddress
                    context.pwdlen = lengths.password
                    context.salt = salt.baseAddress
                    context.saltlen = lengths.salt
                    context.t_cost = cost.passes
                    context.m_cost = cost.memoryKiB
                    context.lanes = cost.lanes
                    context.threads = cost.lanes
                    context.version = version
                    context.allocate_cbk = HashMemory.allocate
                    context.free_cbk = HashMemory.free
                    return hash.withUnsafeBytes { hash in
                        argon2_verify_ctx(&context, hash.bindMemory(to: CChar.self).baseAddress, Argon2_id)
                    }
                }
            }
        }
        password.withUnsafeMutableBytes { bytes in
            // A copy of the password: gone before the memory is used again.
            if let start = bytes.baseAddress { explicit_bzero(start, bytes.count) }
        }
        return code
    }
}

package struct Argon2Error: Error, Equatable, CustomStringConvertible {
    package let code: Int32

    package var description: String {
        "argon2id failed: \(String(cString: argon2_error_message(code)))"
    }
}
