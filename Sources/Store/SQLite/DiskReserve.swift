// SPDX-License-Identifier: Apache-2.0
// Space that nobody else can take: a file beside the database that is shortened, piece by piece, when the disk is full, so that accepts
// can still be written.

internal import Foundation
internal import Synchronization

package final class DiskReserve: Sendable {
    /// What there is of the file system's space.
    package struct Space: Sendable, Equatable {
        package var free: Int64
        package var total: Int64

        package init(free: Int64, total: Int64) {
            self.free = free
            self.total = total
        }

        /// Below it the detail of rejects stops: 5 % or 1 GiB, but never more than a quarter of a small disk.
        package var low: Int64 { max(total / 20, min(1 << 30, total / 4)) }
        /// What is kept for accepts.
        package var reserve: Int64 { min(64 << 20, max(1 << 20, total / 32)) }
    }

    private static let pieces: Int64 = 8

    package let path: String
    private let folder: String
    /// Bytes that are kept now.
    private let kept: Mutex<Int64>

    package init(in folder: String) {
        self.folder = folder
        path = folder + "/reserve"
        var status = stat()
        kept = Mutex(stat(path, &status) == 0 ? Int64(status.st_size) : 0)
    }

    package var bytes: Int64 { kept.withLock { $0 } }

    /// Nil when the file system does not say.
    package func space() -> Space? {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return nil }
        return Space(
            free: Int64(clamping: UInt64(status.f_bavail) &* UInt64(status.f_frsize)),
            total: Int64(clamping: UInt64(status.f_blocks) &* UInt64(status.f_frsize)))
    }

    /// Takes the whole reserve, where there is room for it and as much again.
    /// - Returns: whether it is whole.
    @discardableResult
    package func fill() -> Bool {
        guard let space = space() else { return false }
        return kept.withLock { kept in
            let wanted = space.reserve
            if kept >= wanted { return true }
            guard space.free > 2 * wanted - kept else { return false }
            let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else { return false }
            defer { Glibc.close(descriptor) }
            // Real blocks: a file with a hole would be promised and not there.
            guard posix_fallocate(descriptor, 0, off_t(wanted)) == 0 else {
                ftruncate(descriptor, off_t(kept))
                return false
            }
            kept = wanted
            return true
        }
    }

    /// Gives up a piece.
    /// - Returns: whether there was one.
    package func release() -> Bool {
        let space = space()
        return kept.withLock { kept in
            guard kept > 0 else { return false }
            let piece = max(256 << 10, (space?.reserve ?? kept) / Self.pieces)
            let left = max(0, kept - piece)
            guard truncate(path, off_t(left)) == 0 else {
                kept = 0
                return false
            }
            kept = left
            return true
        }
    }
}
