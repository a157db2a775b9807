// SPDX-License-Identifier: Apache-2.0
// The directory that holds database and key: made private, owned by whoever works on it, and held by one process at a time.

internal import Foundation
internal import Synchronization

package final class DataDirectory: Sendable {
    package let path: String
    private let lock: Mutex<Int32>

    /// Makes the directory when it is not there (mode 0700) and takes its lock. One that is there must be empty, and is made private, or a
    /// node's and private already: its mode is not ours to change then, nor are others' files ours to live among.
    package static func open(_ path: String, creating: Bool = true) throws(StoreError) -> DataDirectory {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        let isMade = creating ? try make(path) : false
        var status = stat()
        guard stat(path, &status) == 0 else { throw unusable(path, "cannot be read") }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw StoreError(.directoryUnusable, "is not a directory", at: path, remedy: "Name another data directory.")
        }
        guard status.st_uid == geteuid() else {
            throw StoreError(
                .wrongOwner, "belongs to user \(name(of: status.st_uid)), and this is user \(name(of: geteuid()))", at: path,
                remedy: "Run the command as its owner: sudo -u \(name(of: status.st_uid)) sallyport …")
        }
        if !isMade { try refuseForeign(path) }
        // Nobody misses the way into an empty directory that was made for the data a moment ago.
        if status.st_mode & 0o022 == 0, status.st_mode & 0o077 != 0, isWithoutFiles(path), chmod(path, 0o700) == 0 {
            _ = stat(path, &status)
        }
        // Whoever could write here could have put anything here: that is not mended by closing the door now.
        guard status.st_mode & 0o022 == 0 else {
            throw StoreError(
                .directoryUnusable, "group or others can write to it (mode \(String(status.st_mode & 0o777, radix: 8)))", at: path,
                remedy: "See that nobody put anything there, then: chmod 700 \(path)")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw StoreError(
                .directoryUnusable, "others can look into it (mode \(String(status.st_mode & 0o777, radix: 8)))", at: path,
                remedy: "Sallyport changes no directory that it did not make. If it is for the data alone: chmod 700 \(path)")
        }
        let descriptor = Glibc.open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw unusable(path + "/lock", "cannot be opened") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = readHolder(descriptor)
            Glibc.close(descriptor)
            throw StoreError(
                .locked, "another process\(holder.map { " (pid \($0))" } ?? "") works on this data directory", at: path,
                remedy: "A node starts or stops there, or another command is at work: try again in a moment.")
        }
        let holder = Array("\(getpid())\n".utf8)
        _ = ftruncate(descriptor, 0)
        _ = holder.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        return DataDirectory(path, lock: descriptor)
    }

    private init(_ path: String, lock descriptor: Int32) {
        self.path = path
        lock = Mutex(descriptor)
    }

    deinit { close() }

    /// Gives the lock back.
    package func close() {
        lock.withLock { descriptor in
            guard descriptor >= 0 else { return }
            _ = ftruncate(descriptor, 0)
            // A child between its fork and its exec still has the file open, and would go on holding what is only closed.
            flock(descriptor, LOCK_UN)
            Glibc.close(descriptor)
            descriptor = -1
        }
    }

    package var databasePath: String { path + "/sallyport.sqlite" }
    package var keyPath: String { path + "/master.key" }

    /// Where backups go that are made without being asked for: before an upgrade.
    package var backupsPath: String { path + "/backups" }

    /// Whether no node has worked here yet.
    package var isEmpty: Bool { access(databasePath, F_OK) != 0 && access(keyPath, F_OK) != 0 }

    /// A database that is gone, or an empty file, would pass for a new one, and everybody who was in it would be gone without a word.
    func requireContents() throws(StoreError) {
        var status = stat()
        let isThere = stat(databasePath, &status) == 0
        let left = ["master.key", "reserve"].filter { access("\(path)/\($0)", F_OK) == 0 }
        guard isThere || left.isEmpty else {
            throw StoreError(
                .databaseUnusable, "the database is gone, and what belongs to it is still there: \(left.joined(separator: " and "))",
                at: databasePath,
                remedy: "Put it back, or restore a backup (sallyport restore FILE). To begin anew, without anybody who was in it, "
                    + "move \(left.joined(separator: " and ")) away first.")
        }
        guard isThere, status.st_size == 0, access(keyPath, F_OK) == 0, access(databasePath + "-wal", F_OK) != 0
        else { return }
        throw StoreError(
            .damaged, "the database is empty, although a master key is here", at: databasePath,
            remedy: "Restore a backup. If this is a new node, remove the empty file and the key.")
    }

    /// Whether `serve --demo` made it; a plain `serve` then refuses it.
    package var isDemo: Bool { access(path + "/demo", F_OK) == 0 }

    package func markAsDemo() throws(StoreError) {
        let descriptor = Glibc.open(path + "/demo", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.unusable(path + "/demo", "cannot be written") }
        Glibc.close(descriptor)
        Self.synchronise(directory: path)
    }

    /// What only a node leaves behind.
    private static let marks = ["sallyport.sqlite", "master.key", "reserve"]
    /// What may be there before a first start.
    private static let known: Set = ["lock", "control.sock", "demo", "demo.json", "backups", "dictionaries", "lost+found"]

    private static func refuseForeign(_ path: String) throws(StoreError) {
        guard !marks.contains(where: { access("\(path)/\($0)", F_OK) == 0 }),
            let names = try? FileManager.default.contentsOfDirectory(atPath: path),
            let foreign = names.filter({ !known.contains($0) && !$0.hasPrefix("sallyport.") }).min()
        else { return }
        throw StoreError(
            .directoryUnusable, "holds files that are not Sallyport's (\(foreign)), and no data of a node", at: path,
            remedy: "Name an empty directory with --data-dir, or one that is not there yet.")
    }

    private static func isWithoutFiles(_ path: String) -> Bool {
        (try? FileManager.default.contentsOfDirectory(atPath: path).isEmpty) ?? false
    }

    /// - Returns: whether the directory itself is new.
    private static func make(_ path: String) throws(StoreError) -> Bool {
        var prefix = ""
        var isMade = false
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        for (index, part) in parts.enumerated() {
            prefix += (index == 0 && !path.hasPrefix("/") ? "" : "/") + part
            // Parents as the umask says, the directory itself private.
            isMade = mkdir(prefix, index == parts.count - 1 ? 0o700 : 0o755) == 0
            if !isMade, errno != EEXIST, errno != EISDIR { throw unusable(prefix, "cannot be made") }
        }
        return isMade
    }

    private static func unusable(_ path: String, _ what: String) -> StoreError {
        StoreError(
            .directoryUnusable, "\(what): \(String(cString: strerror(errno)))", at: path,
            remedy: "Give this user the right to it, or name another directory with --data-dir.")
    }

    private static func readHolder(_ descriptor: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0 else { return nil }
        return Int32(String(decoding: bytes.prefix(count), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
    }

    private static func name(of user: uid_t) -> String {
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return "\(user)" }
        return String(cString: name)
    }

    /// A new file is there after a power cut only when its directory was written too.
    static func synchronise(directory path: String) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        Glibc.close(descriptor)
    }
}
