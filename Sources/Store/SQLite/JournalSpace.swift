// SPDX-License-Identifier: Apache-2.0
// Blocks of SQLite's journal that are on the disk before a commit needs them.

internal import Foundation

/// A commit that makes the journal longer waits for the file system's own journal too and, on ext4, for a thread of the kernel that marks
/// new blocks as written; threads that compute can keep that one from its core for a quarter of a second. A commit over blocks that were
/// written before waits for the disk alone: 0.1 ms where it was 0.2 ms.
///
/// SQLite reads the journal up to the first frame whose salts or checksum are wrong, so zeros behind its end are none
/// (<https://sqlite.org/fileformat2.html#walformat>). It begins the file anew without shortening it.
struct JournalSpace {
    /// A little more than the journal's length when it is moved, which is `Checkpointer.due` pages.
    static let bytes: Int64 = 10 << 20

    let path: String

    /// - Parameter database: path of the file beside which the journal lies.
    init(of database: String) {
        path = database + "-wal"
    }

    /// Writes zeros behind the end of the journal, which nobody may write to meanwhile. Changes nothing where there is no journal, or no
    /// ample space for it; then commits are slower.
    ///
    /// - Returns: whether there is something for `sync` to do.
    func take() -> Bool {
        guard let space = DiskReserve(in: URL(fileURLWithPath: path).deletingLastPathComponent().path).space() else { return false }
        let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        let end = Int64(status.st_size)
        guard end < Self.bytes, space.free - (Self.bytes - end) > space.low + 2 * space.reserve else { return false }
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        var offset = end
        while offset < Self.bytes {
            let count = Glibc.pwrite(descriptor, zeros, min(zeros.count, Int(Self.bytes - offset)), off_t(offset))
            guard count > 0 else {
                ftruncate(descriptor, off_t(end))
                return false
            }
            offset += Int64(count)
        }
        return true
    }

    /// Waits until the zeros are on the disk. Others may write meanwhile.
    func sync() {
        let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        Glibc.close(descriptor)
    }
}
