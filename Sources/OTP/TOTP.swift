// SPDX-License-Identifier: Apache-2.0
// Codes by time: RFC 6238, with T0 = 0.

/// A clock token. Pure: the time is an argument, and which steps are used up is the caller's to keep.
public struct TOTP: Sendable {
    /// Seconds a step may last (RFC 6238 §4.1); tokens in use have 30 or 60, none more than a day.
    public static let periods = 1...86_400
    /// The most steps `match` tries to either side.
    public static let maximumWindow = 200

    public let period: Int
    private let hotp: HOTP

    /// - Parameters:
    ///   - digits: 6, 7 or 8.
    ///   - period: seconds, 1–86,400.
    /// - Throws: `digits`, `period`.
    public init(key: OTPKey, algorithm: OTPAlgorithm = .sha1, digits: Int = 6, period: Int = 30) throws(OTPError) {
        guard Self.periods.contains(period) else { throw .period(period) }
        hotp = try HOTP(key: key, algorithm: algorithm, digits: digits)
        self.period = period
    }

    public var key: OTPKey { hotp.key }
    public var algorithm: OTPAlgorithm { hotp.algorithm }
    public var digits: Int { hotp.digits }

    /// The step a time lies in (RFC 6238 §4.2); below zero before 1970.
    ///
    /// - Parameter seconds: since 1970-01-01 00:00 UTC.
    public func step(at seconds: Int64) -> Int64 {
        let (quotient, remainder) = seconds.quotientAndRemainder(dividingBy: Int64(period))
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// The code of a step, 0 or more; nil for steps before 1970.
    public func code(step: Int64) -> String? {
        UInt64(exactly: step).map { hotp.code(counter: $0) }
    }

    /// The code at a time; nil before 1970.
    public func code(at seconds: Int64) -> String? {
        code(step: step(at: seconds))
    }

    /// Looks for a code around a time, nearest step first and the earlier of two equally near ones first.
    ///
    /// - Parameters:
    ///   - code: exactly `digits` ASCII digits; anything else matches nothing. See `OTPCode.normalized`.
    ///   - seconds: since 1970-01-01 00:00 UTC.
    ///   - window: how many steps to try to either side, 0–`maximumWindow` (RFC 6238 §5.2 recommends 1).
    ///   - drift: how many steps this token's clock is ahead, as learnt before (RFC 6238 §6).
    /// - Returns: the step whose code it is; `step - step(at: seconds)` is the drift seen now.
    public func match(_ code: String, at seconds: Int64, window: Int = 1, drift: Int = 0) -> Int64? {
        guard let wanted = OTPCode.value(code, digits: digits) else { return nil }
        let (centre, overflow) = step(at: seconds).addingReportingOverflow(Int64(drift))
        if overflow { return nil }
        for distance in 0...Int64(max(0, min(window, Self.maximumWindow))) {
            for candidate in distance == 0 ? [centre] : [centre &- distance, centre &+ distance] {
                guard let counter = UInt64(exactly: candidate) else { continue }
                if hotp.matches(wanted, counter: counter) { return candidate }
            }
        }
        return nil
    }
}
