// SPDX-License-Identifier: Apache-2.0
// The one place where a node reads its clocks and its random numbers.

import Dispatch
import Foundation
import Glibc
import LoginEngine

enum NodeClock {
    static let now: @Sendable () -> Moment = {
        Moment(
            wall: Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)),
            uptime: Timestamp(microseconds: Int64(DispatchTime.now().uptimeNanoseconds / 1_000)))
    }
}

/// The kernel's random numbers, fetched 4 KiB at a time: a system call for every word would cost more than a login.
struct BufferedRandom: RandomNumberGenerator, Sendable {
    private var words: [UInt64] = []

    mutating func next() -> UInt64 {
        if let word = words.popLast() { return word }
        words = [UInt64](repeating: 0, count: 512)
        words.withUnsafeMutableBytes { bytes in
            // At most 256 bytes a call (getentropy(3)).
            for offset in stride(from: 0, to: bytes.count, by: 256) {
                let failure = getentropy(bytes.baseAddress.map { $0 + offset }, min(256, bytes.count - offset))
                // Without random numbers there is no safe way on.
                precondition(failure == 0, "the kernel gives no random numbers")
            }
        }
        return words.removeLast()
    }

    static func bytes(_ count: Int) -> [UInt8] {
        var random = BufferedRandom()
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
}
