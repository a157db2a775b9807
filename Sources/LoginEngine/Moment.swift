// SPDX-License-Identifier: Apache-2.0
// Time as a value: decisions are handed a moment, they never read a clock.

internal import Foundation

/// A wall-clock time in microseconds since 1970-01-01T00:00:00Z.
package struct Timestamp: Hashable, Comparable, Sendable {
    package var microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    package init(seconds: Int64) {
        microseconds = seconds &* 1_000_000
    }

    /// Whole seconds since 1970, rounded towards the past.
    package var seconds: Int64 {
        microseconds >= 0 ? microseconds / 1_000_000 : (microseconds - 999_999) / 1_000_000
    }

    /// `2026-01-01T00:00:00Z`
    package var iso8601: String {
        Date(timeIntervalSince1970: TimeInterval(seconds)).ISO8601Format()
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    package static func + (time: Timestamp, span: Span) -> Timestamp {
        Timestamp(microseconds: time.microseconds &+ span.microseconds)
    }

    package static func - (time: Timestamp, span: Span) -> Timestamp {
        Timestamp(microseconds: time.microseconds &- span.microseconds)
    }

    package static func - (left: Timestamp, right: Timestamp) -> Span {
        Span(microseconds: left.microseconds &- right.microseconds)
    }
}

extension Timestamp {
    /// A length of time in microseconds.
    package struct Span: Hashable, Comparable, Sendable {
        package var microseconds: Int64

        package init(microseconds: Int64) {
            self.microseconds = microseconds
        }

        package static func seconds(_ count: Int64) -> Span { Span(microseconds: count * 1_000_000) }
        package static func milliseconds(_ count: Int64) -> Span { Span(microseconds: count * 1_000) }
        package static func minutes(_ count: Int64) -> Span { .seconds(count * 60) }

        package static func < (left: Span, right: Span) -> Bool {
            left.microseconds < right.microseconds
        }
    }
}

/// One reading of both clocks.
package struct Moment: Hashable, Sendable {
    /// What calendars and one-time codes go by; it can jump.
    package var wall: Timestamp
    /// Time since some fixed start that only moves forward; deadlines, retries and holds go by it.
    package var uptime: Timestamp

    package init(wall: Timestamp, uptime: Timestamp) {
        self.wall = wall
        self.uptime = uptime
    }
}
