// SPDX-License-Identifier: Apache-2.0
// Password hashes of local users: argon2id (RFC 9106) by the reference library.

internal import CArgon2
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

    /// Blocks for the time one hash takes; compares in constant time.
    ///
    /// - Parameter phc: a PHC string of argon2id with any parameters.
    package static func verify(_ password: Secret, against phc: Secret) throws(Argon2Error) -> Bool {
        let code = phc.reveal { encoded in
            password.reveal { bytes in
                argon2id_verify(encoded.map { CChar(bitPattern: $0) } + [0], bytes, bytes.count)
            }
        }
        switch code {
        case ARGON2_OK.rawValue: return true
        case ARGON2_VERIFY_MISMATCH.rawValue: return false
        default: throw Argon2Error(code: code)
        }
    }
}

package struct Argon2Error: Error, Equatable, CustomStringConvertible {
    package let code: Int32

    package var description: String {
        "argon2id failed: \(String(cString: argon2_error_message(code)))"
    }
}
