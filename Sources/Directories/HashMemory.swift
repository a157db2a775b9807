// SPDX-License-Identifier: Apache-2.0
// The memory that one hash fills, kept for the next: mapping 19 MiB anew costs thousands of page faults, and every other thread waits for some.

internal import CArgon2
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Blocks that no hash uses now. Only threads that hash come here.
enum HashMemory {
    /// Unchecked: a block that lies here belongs to no thread, and the lock hands it to one at a time.
    private struct Block: @unchecked Sendable {
        let start: UnsafeMutableRawPointer
        let length: Int
    }

    private static let blocks = Mutex<[Block]>([])
    /// A page of the larger kind: a hash reads all over its memory.
    private static let largePage = 2 << 20
    /// More threads than this do not hash at a time on machines of the size that this is for.
    private static let mostKept = 64

    /// For `argon2_context.allocate_cbk`.
    static let allocate: allocate_fptr = { memory, count in
        guard let memory, let block = HashMemory.take(count) else { return Int32(ARGON2_MEMORY_ALLOCATION_ERROR.rawValue) }
        memory.pointee = block.assumingMemoryBound(to: UInt8.self)
        return Int32(ARGON2_OK.rawValue)
    }

    /// For `argon2_context.free_cbk`. The library has overwritten the block before.
    static let free: deallocate_fptr = { memory, count in
        guard let memory else { return }
        HashMemory.giveBack(UnsafeMutableRawPointer(memory), count)
    }

    /// Unmaps what is kept.
    static func release() {
        let unused = blocks.withLock { blocks in
            defer { blocks = [] }
            return blocks
        }
        for block in unused { munmap(block.start, block.length) }
    }

    private static func rounded(_ count: Int) -> Int {
        let page = count < largePage ? 4_096 : largePage
        return (count + page - 1) / page * page
    }

    private static func take(_ count: Int) -> UnsafeMutableRawPointer? {
        guard count > 0, count < Int.max / 2 else { return nil }
        let length = rounded(count)
        let kept = blocks.withLock { blocks in
            blocks.lastIndex { $0.length == length }.map { blocks.remove(at: $0) }
        }
        if let kept { return kept.start }
        guard let mapped = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), mapped != MAP_FAILED else {
            return nil
        }
        // Both are wishes: fewer page faults, and nothing of it in a core dump.
        madvise(mapped, length, MADV_HUGEPAGE)
        madvise(mapped, length, MADV_DONTDUMP)
        return mapped
    }

    private static func giveBack(_ start: UnsafeMutableRawPointer, _ count: Int) {
        let length = rounded(count)
        let isKept = blocks.withLock { blocks in
            guard blocks.count < mostKept else { return false }
            blocks.append(Block(start: start, length: length))
            return true
        }
        if !isKept { munmap(start, length) }
    }
}
