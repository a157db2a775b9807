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

    /// Whether a node writes its keys there itself.
    package var isWritable: Bool { if case .file = self { true } else { false } }

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

    /// Tells keys apart without revealing one: kept in the database, where it shows a wrong key before anything is opened with it.
    var check: String {
        let mac = HMAC<SHA256>.authenticationCode(for: Foundation.Data("sallyport".utf8), using: subkey("key check"))
        return Foundation.Data(mac).base64EncodedString()
    }

    /// For people to compare: `3f9c-02b1-77de-a410`.
    package var fingerprint: String { Self.fingerprint(ofCheck: check) }

    static func fingerprint(ofCheck check: String) -> String {
        let digits = SHA256.hash(data: Foundation.Data(check.utf8)).prefix(8).map {
            String($0 >> 4, radix: 16) + String($0 & 15, radix: 16)
        }
        return stride(from: 0, to: 8, by: 2).map { digits[$0] + digits[$0 + 1] }.joined(separator: "-")
    }

    /// As it stands in a key file.
    package var text: Secret {
        Secret(key.withUnsafeBytes { Array($0.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined().utf8) })
    }

    package static func random() -> MasterKey {
        guard let key = MasterKey(Secret(RandomBytes.make(size))) else { preconditionFailure("it has the size of a key") }
        return key
    }

    /// Keys that a source may hold at once: the one in use, the one that takes its place, and one that was left behind.
    static let mostKeys = 4
    private static let longestSource = 512

    /// Reads the keys, one a line: two while one takes the place of the other. Nil when their file is not there.
    package static func load(_ source: MasterKeySource) throws(StoreError) -> [MasterKey]? {
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
            var bytes = [UInt8](repeating: 0, count: longestSource + 1)
            let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 else {
                throw StoreError(.keyMissing, "the master key cannot be read: \(String(cString: strerror(errno)))", at: path)
            }
            return try parse(Array(bytes.prefix(count)), at: path)
        }
    }

    /// Makes a key and its file; fails when there is one.
    package static func make(at path: String) throws(StoreError) -> MasterKey {
        let key = random()
        try write([key], at: path, mustBeNew: true)
        DataDirectory.synchronise(directory: (path as NSString).deletingLastPathComponent)
        return key
    }

    /// Puts these keys in the place of the file's, the first one first; whoever reads it sees the older ones or these, never a part.
    package static func replace(_ path: String, with keys: [MasterKey]) throws(StoreError) {
        let new = path + ".new"
        // Left behind by one that was killed here.
        unlink(new)
        try write(keys, at: new, mustBeNew: true)
        guard rename(new, path) == 0 else {
            let error = unwritable(path)
            unlink(new)
            throw error
        }
        DataDirectory.synchronise(directory: (path as NSString).deletingLastPathComponent)
    }

    private static func write(_ keys: [MasterKey], at path: String, mustBeNew: Bool) throws(StoreError) {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (mustBeNew ? O_EXCL : O_NOFOLLOW), 0o600)
        guard descriptor >= 0 else { throw unwritable(path) }
        defer { Glibc.close(descriptor) }
        let text = keys.flatMap { $0.text.reveal { $0 } + [UInt8(ascii: "\n")] }
        let written = text.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard written == text.count, fsync(descriptor) == 0 else {
            let error = unwritable(path)
            unlink(path)
            throw error
        }
    }

    private static func unwritable(_ path: String) -> StoreError {
        StoreError(
            .directoryUnusable, "the master key cannot be written: \(String(cString: strerror(errno)))", at: path,
            remedy: "Give this user the right to write there.")
    }

    /// 32 bytes as they are, or keys as 64 hexadecimal digits or base64, between blanks or line ends.
    private static func parse(_ bytes: [UInt8], at place: String) throws(StoreError) -> [MasterKey] {
        if bytes.count == size, let key = MasterKey(Secret(bytes)) { return [key] }
        let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        let keys = words.compactMap { key(String($0)) }
        guard keys.count == words.count, (1...mostKeys).contains(keys.count), bytes.count <= longestSource else {
            throw StoreError(
                .keyUnsafe, "the master key has the wrong size: \(size) bytes are needed, as 64 hexadecimal digits or base64", at: place,
                remedy: "Put the right key back; a new one does not open the data that is there.")
        }
        return keys
    }

    private static func key(_ text: String) -> MasterKey? {
        if text.utf8.count == 2 * size {
            let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
            guard digits.count == 2 * size else { return nil }
            return MasterKey(Secret(stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }))
        }
        return Foundation.Data(base64Encoded: text).flatMap { MasterKey(Secret(Array($0))) }
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
