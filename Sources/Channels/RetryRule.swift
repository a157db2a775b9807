// SPDX-License-Identifier: Apache-2.0
// When a mail that did not go out is tried again (RFC 5321 §4.5.4.1).

package import LoginEngine

package enum RetryRule {
    static let first = Timestamp.Span.minutes(1)
    package static let longest = Timestamp.Span.minutes(60)

    /// 1, 2, 4, 8, 16, 32, 60, 60 … minutes.
    /// - Parameter tries: how many there were, at least 1.
    package static func pause(afterTries tries: Int) -> Timestamp.Span {
        let shift = min(max(tries, 1) - 1, 16)
        return min(longest, Timestamp.Span(microseconds: first.microseconds << Int64(shift)))
    }
}
