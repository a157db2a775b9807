// SPDX-License-Identifier: Apache-2.0
// A backup as a file: written aside and put in its place when it is whole; read chunk by chunk, and trusted in nothing.

internal import Foundation

/// A file that is there when it is whole, durable and private, or not at all.
final class NewFile {
    let path: String
    private let part: String
    private var descriptor: Int32

    init(_ path: String, replacing: Bool) throws(StoreError) {
        self.path = path
        part = path + ".part"
        if !replacing, access(path, F_OK) == 0 {
            throw StoreError(.notAllowed, "the file is there already", at: path, remedy: "Name another, or add --force.")
        }
        unlink(part)
        descriptor = Glibc.open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.failed(path) }
    }

    deinit {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        unlink(part)
    }

    func write(_ bytes: [UInt8]) throws(StoreError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done) }
            if count > 0 { done += count } else if errno != EINTR { throw Self.failed(path) }
        }
    }

    func finish() throws(StoreError) {
        guard fsync(descriptor) == 0, rename(part, path) == 0 else { throw Self.failed(path) }
        Glibc.close(descriptor)
        descriptor = -1
        let folder = (path as NSString).deletingLastPathComponent
        DataDirectory.synchronise(directory: folder.isEmpty ? "." : folder)
    }

    private static func failed(_ path: String) -> StoreError {
        StoreError(
            .unavailable, "the file cannot be written: \(String(cString: strerror(errno)))", at: path,
            remedy: "Nothing is left of it. See that there is room and that this user may write there.")
    }
}

/// Takes items, gives chunks to the file.
struct BackupWriter {
    private let file: NewFile
    private var chunks: BackupChunks
    private var waiting: [UInt8] = []
    private(set) var size: Int

    init(_ file: NewFile, _ lock: BackupLock) throws(StoreError) {
        self.file = file
        let (header, key) = try BackupHeader.make(lock)
        try file.write(header)
        chunks = BackupChunks(key)
        size = header.count
        waiting.reserveCapacity(2 * BackupChunks.size)
    }

    mutating func add(_ item: BackupItem) throws(StoreError) {
        let bytes = item.bytes
        waiting += stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bytes.count >> $0) }
        waiting += bytes
        var start = 0
        // One byte at least is left for the chunk that is marked as the last.
        while waiting.count - start > BackupChunks.size {
            try write(waiting[start..<start + BackupChunks.size], isLast: false)
            start += BackupChunks.size
        }
        waiting.removeFirst(start)
    }

    mutating func finish() throws(StoreError) {
        try write(waiting[...], isLast: true)
        try file.finish()
    }

    private mutating func write(_ chunk: ArraySlice<UInt8>, isLast: Bool) throws(StoreError) {
        let sealed = chunks.seal(chunk, isLast: isLast)
        try file.write(sealed)
        size += sealed.count
    }
}

/// Gives the items of a backup one after the other. Whatever is wrong with the file is thrown before anything of that place is given.
package final class BackupReader {
    let path: String
    private let descriptor: Int32
    private let header: BackupHeader
    private let check: [UInt8]
    private var chunks: BackupChunks?
    private var ahead: [UInt8]
    private var opened: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    /// Of the file, for whoever shows how far it is.
    package let size: Int
    package private(set) var read = 0

    package init(_ path: String) throws(StoreError) {
        self.path = path
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw StoreError(.notFound, "the file cannot be read: \(String(cString: strerror(errno)))", at: path, remedy: "Check its name.")
        }
        var status = stat()
        size = fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
        (header, check, ahead) = try Self.begin(descriptor, path)
    }

    /// What was sealed, without its seal: behind that, too, nothing is trusted, and a fuzzer cannot make one.
    package init(unsealed bytes: [UInt8]) {
        path = "unsealed"
        descriptor = -1
        (header, check, ahead) = (BackupHeader(kind: .masterKey, parameters: []), [], [])
        (opened, size, isAtEnd) = (bytes, bytes.count, true)
    }

    private static func begin(_ descriptor: Int32, _ path: String) throws(StoreError) -> (BackupHeader, [UInt8], [UInt8]) {
        do throws(StoreError) {
            let (kind, count) = try BackupHeader.begin(try bytes(descriptor, BackupHeader.fixedSize))
            let rest = try bytes(descriptor, count + BackupHeader.checkSize)
            guard rest.count == count + BackupHeader.checkSize else { throw BackupHeader.damaged }
            let header = BackupHeader(kind: kind, parameters: Array(rest[..<count]))
            return (header, Array(rest[count...]), try bytes(descriptor, BackupChunks.sealedSize))
        } catch {
            Glibc.close(descriptor)
            throw error.at(path)
        }
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
    }

    package var isForPassphrase: Bool { header.kind == .passphrase }
    package var isForRecipient: Bool { header.kind == .recipient }
    package var lockWords: String { header.lockWords }

    package func unlock(_ unlock: BackupUnlock) throws(StoreError) {
        do throws(StoreError) { chunks = BackupChunks(try header.open(unlock, check: check)) } catch { throw error.at(path) }
    }

    /// - Returns: nil behind the last one.
    func next() throws(StoreError) -> BackupItem? {
        do throws(StoreError) {
            guard let head = try take(4, mayEnd: true) else { return nil }
            let count = head.reduce(0) { $0 << 8 | Int($1) }
            guard count <= BackupItem.longest, let bytes = try take(count, mayEnd: false) else { throw Self.malformed }
            do throws(DecodingError) { return try BackupItem(bytes[...]) } catch { throw Self.malformed }
        } catch {
            throw error.at(path)
        }
    }

    /// What was sealed by somebody who has the key and is no backup of ours all the same.
    var isNotOurs: StoreError { Self.malformed.at(path) }

    static let malformed = StoreError(.cannotOpen, "what is in it is not what Sallyport writes", remedy: "Use another copy.")

    private func take(_ count: Int, mayEnd: Bool) throws(StoreError) -> [UInt8]? {
        while opened.count - position < count {
            guard try openOne() else {
                guard mayEnd, opened.count == position else { throw Self.malformed }
                return nil
            }
        }
        defer { position += count }
        return Array(opened[position..<position + count])
    }

    private func openOne() throws(StoreError) -> Bool {
        guard !isAtEnd, var chunks else { return false }
        let sealed = ahead
        ahead = sealed.count == BackupChunks.sealedSize ? try Self.bytes(descriptor, BackupChunks.sealedSize) : []
        isAtEnd = ahead.isEmpty
        read += sealed.count
        let chunk = try chunks.open(sealed, isLast: isAtEnd)
        self.chunks = chunks
        opened.removeFirst(position)
        position = 0
        opened += chunk
        return true
    }

    /// As many as there are, up to `count`.
    private static func bytes(_ descriptor: Int32, _ count: Int) throws(StoreError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress.map { $0 + done }, count - done) }
            if got == 0 { break }
            if got > 0 {
                done += got
            } else if errno != EINTR {
                throw StoreError(.unavailable, "the file cannot be read: \(String(cString: strerror(errno)))")
            }
        }
        return Array(bytes.prefix(done))
    }
}

extension StoreError {
    /// The same at a place, where none is named yet.
    func at(_ place: String) -> StoreError {
        var copy = self
        if copy.place.isEmpty { copy.place = place }
        return copy
    }
}
