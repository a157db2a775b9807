// SPDX-License-Identifier: Apache-2.0
// The one key that everything sealed, signed or keyed derives from, and where it comes from.

internal import Crypto
internal import Foundation
package import LoginEngine

package enum MasterKeySource: Sendable {
    /// Made at first start.
    case file(String)
    /// A file that is never made: systemd's credential, a mounted secret.
    case credential(String)
    /// From the environment: 64 hexadecimal digits, or base64.
    case text(Secret)

    package static let variable = "SALLYPORT_MASTER_KEY"

    var place: String {
        switch self {
        case .file(let path), .credential(let path): path
        case .text: Self.variable
        }
    }
}

package struct MasterKey: Sendable {
    static let size = 32

    private let key: SymmetricKey

    /// - Parameter bytes: exactly 32.
    package init?(_ bytes: Secret) {
        guard bytes.count == Self.size else { return nil }
        key = bytes.reveal { SymmetricKey(data: $0) }
    }

    /// A key for one purpose (RFC 5869).
    func subkey(_ label: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(inputKeyMaterial: key, info: Data("sallyport 1 \(label)".utf8), outputByteCount: 32)
    }

    /// Reads the key; nil when its file is not there.
    package static func load(_ source: MasterKeySource) throws(StoreError) -> MasterKey? {
        switch source {
        case .text(let text):
            return try parse(text.reveal { $0 }, at: source.place)
        case .file(let path), .credential(let path):
            // A mounted secret is often a link, the file in the data directory never.
            let isOurs = if case .file = source { true } else { false }
            let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (isOurs ? O_NOFOLLOW : 0))
            if descriptor < 0 {
                if errno == ELOOP, isOurs {
                    throw StoreError(
                        .keyUnsafe, "the master key is a symbolic link", at: path,
                        remedy: "Put the key itself there, or name the file that it points to: master-key.source file:PATH.")
                }
                if errno == ENOENT, case .file = source { return nil }
                throw StoreError(
                    .keyMissing, "the master key cannot be read: \(String(cString: strerror(errno)))", at: path,
                    remedy: "Put the key there, readable by the user that runs the node.")
            }
            defer { Glibc.close(descriptor) }
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                throw StoreError(.keyUnsafe, "the master key is not a file", at: path)
            }
            guard !isOurs || status.st_uid == geteuid() || status.st_uid == 0 else {
                throw StoreError(
                    .keyUnsafe, "the master key belongs to user \(status.st_uid), who can read and replace it", at: path,
                    remedy: "chown \(geteuid()) \(path), and treat the key as known if that user is not trusted.")
            }
            // systemd gives credentials the mode 0440 in a directory that is private.
            if case .file = source, status.st_mode & 0o077 != 0 {
                throw StoreError(
                    .keyUnsafe, "others can read the master key (mode \(String(status.st_mode & 0o777, radix: 8)))", at: path,
                    remedy: "chmod 600 \(path), and treat the key as known if others were on this machine.")
            }
            var bytes = [UInt8](repeating: 0, count: 256)
            let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 else {
                throw StoreError(.keyMissing, "the master key cannot be read: \(String(cString: strerror(errno)))", at: path)
            }
            return try parse(Array(bytes.prefix(count)), at: path)
        }
    }

    /// Makes a key and its file; fails when there is one.
    package static func make(at path: String) throws(StoreError) -> MasterKey {
        let bytes = RandomBytes.make(size)
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw unwritable(path) }
        defer { Glibc.close(descriptor) }
        let text = Array((bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() + "\n").utf8)
        let written = text.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard written == text.count, fsync(descriptor) == 0 else {
            let error = unwritable(path)
            unlink(path)
            throw error
        }
        DataDirectory.synchronise(directory: (path as NSString).deletingLastPathComponent)
        guard let key = MasterKey(Secret(bytes)) else { throw unwritable(path) }
        return key
    }

    private static func unwritable(_ path: String) -> StoreError {
        StoreError(.directoryUnusable, "the master key cannot be written: \(String(cString: strerror(errno)))", at: path)
    }

    /// 32 bytes as they are, as 64 hexadecimal digits, or as base64.
    private static func parse(_ bytes: [UInt8], at place: String) throws(StoreError) -> MasterKey {
        if bytes.count == size, let key = MasterKey(Secret(bytes)) { return key }
        let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        if text.utf8.count == 2 * size {
            let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
            if digits.count == 2 * size {
                let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
                if let key = MasterKey(Secret(bytes)) { return key }
            }
        }
        if let decoded = Foundation.Data(base64Encoded: text), let key = MasterKey(Secret(Array(decoded))) { return key }
        throw StoreError(
            .keyUnsafe, "the master key has the wrong size: \(size) bytes are needed, as 64 hexadecimal digits or base64", at: place,
            remedy: "Put the right key back; a new one does not open the data that is there.")
    }
}

/// Random bytes for salts, nonces and names; one call of the kernel's generator for many.
enum RandomBytes {
    static func make(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
            var done = 0
            while done < count {
                // At most 256 bytes at once (getentropy(3)).
                let step = min(256, count - done)
                guard getentropy(buffer.baseAddress.map { UnsafeMutableRawPointer($0 + done) }, step) == 0 else {
                    fatalError("the kernel gives no random bytes")
                }
                done += step
            }
            initialised = count
        }
    }
}
