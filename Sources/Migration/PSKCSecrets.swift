// SPDX-License-Identifier: Apache-2.0
// How keys are wrapped in a key container: AES in CBC mode, with a MAC over what is encrypted (RFC 6030 §6).

internal import Crypto
internal import CryptoExtras
internal import Foundation
internal import LoginEngine

struct PSKCSecrets {
    enum Value {
        /// - isProven: a MAC fits, or the value was in the clear.
        case value([UInt8], isProven: Bool)
        case missing(String)
        /// The whole file is in doubt.
        case wrong(String)
    }

    /// RFC 2898 §4.2 asks for 1,000 at least; more than this is made to keep somebody busy.
    static let mostIterations = 2_000_000

    private let key: SymmetricKey?
    /// Nil where the file names no method.
    private let macKey: SymmetricKey?
    private let macMethod: MACMethod?

    private enum MACMethod {
        case sha1, sha256, sha384, sha512

        init?(_ uri: String) {
            switch uri.split(whereSeparator: { "#/:".contains($0) }).last?.lowercased() {
            case "hmac-sha1": self = .sha1
            case "hmac-sha256": self = .sha256
            case "hmac-sha384": self = .sha384
            case "hmac-sha512": self = .sha512
            default: return nil
            }
        }
    }

    init(_ container: XMLElement, isLenient: Bool, key given: Secret?, _ text: ForeignText) throws(MigrationError) {
        let place = text.place(container.first("encryptionkey")?.line ?? container.line)
        if let derived = container.descend("encryptionkey", "derivedkey") {
            key = try given.map { given throws(MigrationError) in try Self.derive(from: given, derived, place) }
        } else if container.first("encryptionkey") != nil, let given {
            guard let bytes = given.revealText().flatMap(Characters.hexadecimal), [16, 24, 32].contains(bytes.count) else {
                throw MigrationError(
                    place, "The file is encrypted by a key, and what was given is none.", remedy: "Give 32, 48 or 64 hexadecimal digits.")
            }
            key = SymmetricKey(data: bytes)
        } else {
            key = nil
        }
        guard let method = container.first("macmethod") else {
            (macKey, macMethod) = (nil, nil)
            return
        }
        guard let known = MACMethod(method.attributes["algorithm"] ?? "") else {
            throw MigrationError(
                text.place(method.line), "The keys are protected by a method that is not known here.",
                remedy: "HMAC with SHA-1 or SHA-2 is.")
        }
        macMethod = known
        guard let wrapped = method.first("mackey") else {
            // RFC 6030 §6.1.1: without a key of its own, it is the encryption key.
            macKey = key
            return
        }
        guard let key else {
            macKey = nil
            return
        }
        guard let bytes = Self.decrypted(wrapped, key) else {
            throw MigrationError(
                text.place(wrapped.line), "The key of the MAC cannot be decrypted.", remedy: "Is it the right key or passphrase?")
        }
        macKey = SymmetricKey(data: bytes)
    }

    private static func derive(from passphrase: Secret, _ derived: XMLElement, _ place: Place) throws(MigrationError) -> SymmetricKey {
        guard let method = derived.first("keyderivationmethod"),
            method.attributes["algorithm"]?.lowercased().hasSuffix("pbkdf2") == true, let parameters = method.first("pbkdf2-params"),
            let salt = parameters.descend("salt", "specified").flatMap({ base64($0.text) }),
            let rounds = parameters.first("iterationcount").flatMap({ Characters.number($0.text) }),
            let length = parameters.first("keylength").map({ Characters.number($0.text) }) ?? 16, [16, 24, 32].contains(length)
        else {
            throw MigrationError(place, "How the key is derived from the passphrase is not known here.", remedy: "PBKDF2 with AES is.")
        }
        guard (1...mostIterations).contains(rounds) else {
            throw MigrationError(place, "The passphrase would have to be hashed \(rounds) times; \(mostIterations) is the most.")
        }
        let name = parameters.first("prf")?.attributes["algorithm"]?.lowercased() ?? "hmac-sha1"
        let hash: KDF.Insecure.PBKDF2.HashFunction =
            name.hasSuffix("sha256") ? .sha256 : name.hasSuffix("sha384") ? .sha384 : name.hasSuffix("sha512") ? .sha512 : .insecureSHA1
        let key = passphrase.reveal { bytes in
            try? KDF.Insecure.PBKDF2.deriveKey(
                from: bytes, salt: salt, using: hash, outputByteCount: length, unsafeUncheckedRounds: rounds)
        }
        guard let key else { throw MigrationError(place, "The passphrase cannot be made into a key.") }
        return key
    }

    func value(_ element: XMLElement?, isLenient: Bool) -> Value {
        guard let element else { return .missing("it has no secret") }
        if let plain = element.first("plainvalue") {
            return Self.base64(plain.text).map { .value($0, isProven: true) } ?? .missing("its secret is no Base64")
        }
        guard let encrypted = element.first("encryptedvalue") else { return .missing("it has no secret") }
        guard let key else { return .missing("its secret is encrypted: give the key or the passphrase by --key-stdin") }
        let method = encrypted.first("encryptionmethod")?.attributes["algorithm"]?.lowercased() ?? ""
        guard Self.isKnown(method) else {
            return .missing("its secret is encrypted by \(Characters.shown(method, most: 100)), which is not known here")
        }
        guard let cipher = encrypted.descend("cipherdata", "ciphervalue").flatMap({ Self.base64($0.text) }) else {
            return .missing("its encrypted secret is no Base64")
        }
        var isProven = false
        if macMethod != nil {
            if let mac = element.first("valuemac") {
                guard let mac = Self.base64(mac.text), isValid(mac, of: cipher) else {
                    return .wrong("The MAC of an encrypted key does not fit: the key or passphrase is wrong, or the file was changed.")
                }
                isProven = true
            } else if !isLenient {
                return .wrong("An encrypted key has no MAC, although the file names a method.")
            }
        }
        guard let bytes = Self.decrypted(encrypted, key) else {
            return .wrong("A key cannot be decrypted.")
        }
        return .value(bytes, isProven: isProven)
    }

    private func isValid(_ mac: [UInt8], of cipher: [UInt8]) -> Bool {
        guard let macKey else { return false }
        return switch macMethod {
        case .sha1: HMAC<Insecure.SHA1>.isValidAuthenticationCode(mac, authenticating: cipher, using: macKey)
        case .sha256: HMAC<SHA256>.isValidAuthenticationCode(mac, authenticating: cipher, using: macKey)
        case .sha384: HMAC<SHA384>.isValidAuthenticationCode(mac, authenticating: cipher, using: macKey)
        case .sha512: HMAC<SHA512>.isValidAuthenticationCode(mac, authenticating: cipher, using: macKey)
        case nil: false
        }
    }

    private static func isKnown(_ method: String) -> Bool {
        method.hasSuffix("aes128-cbc") || method.hasSuffix("aes192-cbc") || method.hasSuffix("aes256-cbc")
    }

    /// What an element with `EncryptionMethod` and `CipherData` holds; the vector comes first (XML Encryption §5.2).
    private static func decrypted(_ element: XMLElement, _ key: SymmetricKey) -> [UInt8]? {
        let method = element.first("encryptionmethod")?.attributes["algorithm"]?.lowercased() ?? ""
        guard isKnown(method), let bytes = element.descend("cipherdata", "ciphervalue").flatMap({ base64($0.text) }),
            bytes.count >= 32, bytes.count % 16 == 0, method.hasSuffix("aes\(key.bitCount)-cbc"),
            let vector = try? AES._CBC.IV(ivBytes: bytes.prefix(16)),
            let plain = try? AES._CBC.decrypt(bytes.dropFirst(16), using: key, iv: vector, noPadding: true), let last = plain.last,
            (1...16).contains(last)
        else { return nil }
        return Array(plain.dropLast(Int(last)))
    }

    private static func base64(_ text: String) -> [UInt8]? {
        let bare = text.filter { !$0.isWhitespace }
        guard !bare.isEmpty, bare.utf8.count % 4 == 0, let data = Data(base64Encoded: bare) else { return nil }
        return Array(data)
    }
}
