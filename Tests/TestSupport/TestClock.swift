// SPDX-License-Identifier: Apache-2.0
// A clock that moves only when a test moves it.

package import LoginEngine
internal import Synchronization

package final class TestClock: Sendable {
    private let moment: Mutex<Moment>

    /// 2026-01-01T00:00:00Z, a whole number of 30-second steps.
    package static let start = Moment(wall: Timestamp(seconds: 1_767_225_600), uptime: Timestamp(seconds: 1_000))

    package init(_ start: Moment = TestClock.start) {
        moment = Mutex(start)
    }

    package var now: Moment { moment.withLock { $0 } }

    package func advance(by span: Timestamp.Span) {
        moment.withLock { moment in
            moment.wall = moment.wall + span
            moment.uptime = moment.uptime + span
        }
    }

    /// The wall clock alone jumps, as when somebody sets it.
    package func setWall(_ wall: Timestamp) {
        moment.withLock { $0.wall = wall }
    }
}

/// SplitMix64: the same seed, the same numbers.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
