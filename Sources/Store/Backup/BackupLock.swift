// SPDX-License-Identifier: Apache-2.0
// What a backup is locked with: a passphrase, the public key of a recipient, or the master key itself (before an upgrade).

internal import Crypto
internal import Foundation
package import LoginEngine

/// What argon2id costs whoever tries a passphrase.
package struct PassphraseCost: Sendable, Equatable {
    package var memoryKiB: UInt32
    package var passes: UInt32
    package var lanes: UInt32

    /// RFC 9106 §4, for when memory is scarce: 64 MiB, three passes.
    package static let standard = PassphraseCost(memoryKiB: 64 * 1024, passes: 3, lanes: 1)

    /// A file says what it costs to open, and it may come from anybody.
    var isBearable: Bool { (8...1024 * 1024).contains(memoryKiB) && (1...64).contains(passes) && (1...16).contains(lanes) }
}

package struct BackupPassphrase: Sendable {
    let secret: Secret
    /// argon2id: passphrase, salt, cost → 32 bytes. Blocks for as long as it takes.
    let stretch: @Sendable (Secret, [UInt8], PassphraseCost) throws(StoreError) -> Secret

    package static let shortest = 8

    package init(_ secret: Secret, stretch: @escaping @Sendable (Secret, [UInt8], PassphraseCost) throws(StoreError) -> Secret) {
        self.secret = secret
        self.stretch = stretch
    }
}

/// Whom a backup is for: `spb-…`, an X25519 public key. Who has it can make backups and open none.
package struct BackupRecipient: Sendable, CustomStringConvertible {
    static let prefix = "spb-"
    let key: Curve25519.KeyAgreement.PublicKey

    package init?(_ text: String) {
        guard text.hasPrefix(Self.prefix), let bytes = Foundation.Data(base64URL: String(text.dropFirst(Self.prefix.count))),
            let key = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: bytes)
        else { return nil }
        self.key = key
    }

    init(_ key: Curve25519.KeyAgreement.PublicKey) {
        self.key = key
    }

    package var description: String { Self.prefix + key.rawRepresentation.base64URL }
}

/// The other half of a recipient: opens the backups made for it.
package struct BackupIdentity: Sendable {
    private static let prefix = "SPB-SECRET-"
    let key: Curve25519.KeyAgreement.PrivateKey

    package init() {
        key = Curve25519.KeyAgreement.PrivateKey()
    }

    package init?(_ text: Secret) {
        let line = text.revealText()?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
        guard line.hasPrefix(Self.prefix), let bytes = Foundation.Data(base64URL: String(line.dropFirst(Self.prefix.count))),
            let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: bytes)
        else { return nil }
        self.key = key
    }

    package var recipient: BackupRecipient { BackupRecipient(key.publicKey) }
    package var text: Secret { Secret(utf8: Self.prefix + key.rawRepresentation.base64URL + "\n") }

    /// Writes a new file, mode 0600.
    package func write(to path: String) throws(StoreError) {
        let file = try NewFile(path, replacing: false)
        try text.reveal { bytes throws(StoreError) in try file.write(bytes) }
        try file.finish()
    }
}

/// What a backup is made with.
package enum BackupLock: Sendable {
    case passphrase(BackupPassphrase)
    case recipient(BackupRecipient)
    case masterKey(MasterKey)

    /// For the trail: `a passphrase`, `spb-…`.
    package var words: String {
        switch self {
        case .passphrase: "a passphrase"
        case .recipient(let recipient): "recipient \(recipient)"
        case .masterKey(let key): "master key \(key.fingerprint)"
        }
    }
}

/// What a backup is opened with.
package enum BackupUnlock: Sendable {
    case passphrase(BackupPassphrase)
    case identity(BackupIdentity)
    case masterKeys([MasterKey])
}

/// The open part of a backup: how to get from the lock to the key. Everything behind it is sealed under a key bound to these bytes.
///
///     "SALLYPORT BACKUP\n" ‖ version 0x01 ‖ kind ‖ length (2) ‖ parameters ‖ check (16)
struct BackupHeader: Sendable {
    static let magic = Array("SALLYPORT BACKUP\n".utf8)
    static let version: UInt8 = 1
    static let fixedSize = magic.count + 4
    static let checkSize = 16
    static let saltSize = 16
    /// Of all kinds; a longer one is none of ours.
    static let mostParameters = 128

    enum Kind: UInt8, Sendable {
        case passphrase = 1
        case recipient = 2
        case masterKey = 3
    }

    let kind: Kind
    let parameters: [UInt8]

    /// Without the check.
    var bytes: [UInt8] {
        Self.magic + [Self.version, kind.rawValue, UInt8(parameters.count >> 8), UInt8(parameters.count & 255)] + parameters
    }

    /// - Returns: header and check to be written, and the key for what follows.
    static func make(_ lock: BackupLock) throws(StoreError) -> (bytes: [UInt8], key: SymmetricKey) {
        let header: BackupHeader
        let shared: SymmetricKey
        switch lock {
        case .passphrase(let passphrase):
            let (cost, salt) = (PassphraseCost.standard, RandomBytes.make(saltSize))
            header = BackupHeader(kind: .passphrase, parameters: words([cost.memoryKiB, cost.passes, cost.lanes]) + salt)
            shared = try passphrase.stretch(passphrase.secret, salt, cost).reveal { SymmetricKey(data: $0) }
        case .recipient(let recipient):
            do {
                let sender = try HPKE.Sender(recipientKey: recipient.key, ciphersuite: suite, info: info)
                header = BackupHeader(kind: .recipient, parameters: Array(sender.encapsulatedKey) + Array(recipient.key.rawRepresentation))
                shared = try sender.exportSecret(context: Foundation.Data("backup".utf8), outputByteCount: 32)
            } catch {
                throw StoreError(
                    .invalid, "the recipient's key cannot be used", at: "\(recipient)", remedy: "Use one made by `sallyport key make`.")
            }
        case .masterKey(let key):
            header = BackupHeader(kind: .masterKey, parameters: RandomBytes.make(saltSize) + Array(key.fingerprint.utf8))
            shared = key.subkey("backup")
        }
        return (header.bytes + header.check(shared), header.streamKey(shared))
    }

    /// The key behind a header that was read.
    func open(_ unlock: BackupUnlock, check: [UInt8]) throws(StoreError) -> SymmetricKey {
        let shared = try shared(unlock)
        guard Secret(self.check(shared)) == Secret(check) else {
            let what =
                kind == .passphrase ? "the passphrase is wrong, or the head of the file was changed" : "the head of the file was changed"
            throw StoreError(
                .cannotOpen, what, remedy: kind == .passphrase ? "Try again; without the passphrase nothing opens it." : "Use another copy."
            )
        }
        return streamKey(shared)
    }

    private func shared(_ unlock: BackupUnlock) throws(StoreError) -> SymmetricKey {
        switch (kind, unlock) {
        case (.passphrase, .passphrase(let passphrase)):
            guard parameters.count == 12 + Self.saltSize else { throw Self.damaged }
            let cost = PassphraseCost(memoryKiB: word(0), passes: word(4), lanes: word(8))
            guard cost.isBearable else { throw Self.damaged }
            return try passphrase.stretch(passphrase.secret, Array(parameters[12...]), cost).reveal { SymmetricKey(data: $0) }
        case (.recipient, .identity(let identity)):
            guard parameters.count == 64 else { throw Self.damaged }
            guard Array(identity.recipient.key.rawRepresentation) == Array(parameters[32...]) else {
                throw StoreError(.cannotOpen, "it was made for \(recipientText)", remedy: "Open it with that one's identity file.")
            }
            do {
                let recipient = try HPKE.Recipient(
                    privateKey: identity.key, ciphersuite: Self.suite, info: Self.info, encapsulatedKey: Foundation.Data(parameters[..<32]))
                return try recipient.exportSecret(context: Foundation.Data("backup".utf8), outputByteCount: 32)
            } catch {
                throw Self.damaged
            }
        case (.masterKey, .masterKeys(let keys)):
            guard parameters.count > Self.saltSize else { throw Self.damaged }
            let wanted = String(decoding: parameters[Self.saltSize...], as: UTF8.self)
            guard let key = keys.first(where: { $0.fingerprint == wanted }) else {
                throw StoreError(.cannotOpen, "it opens with master key \(wanted) alone", remedy: "Name that key with --key-file.")
            }
            return key.subkey("backup")
        default:
            throw StoreError(.cannotOpen, "it is locked with \(lockWords)", remedy: remedy)
        }
    }

    var lockWords: String {
        switch kind {
        case .passphrase: "a passphrase"
        case .recipient: "the key of \(recipientText)"
        case .masterKey: "the master key of its node"
        }
    }

    private var remedy: String {
        switch kind {
        case .passphrase: "Give the passphrase: on standard input, or with --passphrase-file."
        case .recipient: "Name the identity with --identity."
        case .masterKey: "Name the key with --key-file."
        }
    }

    private var recipientText: String {
        let bytes = Foundation.Data(parameters.dropFirst(32).prefix(32))
        return (try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: bytes)).map { "\(BackupRecipient($0))" } ?? "a recipient"
    }

    private func check(_ shared: SymmetricKey) -> [UInt8] {
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: shared, info: Foundation.Data("sallyport backup check".utf8), outputByteCount: 32)
        return Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key).prefix(Self.checkSize))
    }

    /// Bound to the whole header: salt and encapsulated key make it another one for every file.
    private func streamKey(_ shared: SymmetricKey) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: shared, salt: Foundation.Data(SHA256.hash(data: bytes)),
            info: Foundation.Data("sallyport backup stream".utf8),
            outputByteCount: 32)
    }

    /// - Parameter fixed: the first `fixedSize` bytes of a file.
    /// - Returns: the kind, and how many bytes of parameters follow.
    static func begin(_ fixed: [UInt8]) throws(StoreError) -> (Kind, Int) {
        guard fixed.count == fixedSize, Array(fixed[..<magic.count]) == magic else {
            throw StoreError(.cannotOpen, "it is no backup of Sallyport", remedy: "Name a file made by `sallyport backup`.")
        }
        guard fixed[magic.count] == version, let kind = Kind(rawValue: fixed[magic.count + 1]) else {
            throw StoreError(
                .cannotOpen, "its format is newer than this program", remedy: "Use the version of Sallyport that made it, or a newer one.")
        }
        let count = Int(fixed[magic.count + 2]) << 8 | Int(fixed[magic.count + 3])
        guard count <= mostParameters else { throw damaged }
        return (kind, count)
    }

    static let damaged = StoreError(.cannotOpen, "the head of the file is damaged", remedy: "Use another copy.")

    private static let suite = HPKE.Ciphersuite.Curve25519_SHA256_ChachaPoly
    private static let info = Foundation.Data("sallyport backup 1".utf8)

    private static func words(_ numbers: [UInt32]) -> [UInt8] { numbers.flatMap { Sealing.bytes($0) } }

    private func word(_ offset: Int) -> UInt32 {
        parameters[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
}

extension Foundation.Data {
    fileprivate var base64URL: String {
        base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    fileprivate init?(base64URL text: String) {
        let standard = text.replacing("-", with: "+").replacing("_", with: "/")
        self.init(base64Encoded: standard + String(repeating: "=", count: (4 - standard.count % 4) % 4))
    }
}
