// SPDX-License-Identifier: Apache-2.0
// Codes by counter: RFC 4226.

/// A counter token. Pure: which counters are used up is the caller's to keep.
public struct HOTP: Sendable {
    /// RFC 4226 §5.3: 6, and possibly 7 or 8.
    public static let digitCounts = 6...8
    /// The most counters one `search` will try: RFC 4226 §7.4 asks for a bound, this one keeps a search below a millisecond.
    public static let maximumWindow = 500

    public let key: OTPKey
    public let algorithm: OTPAlgorithm
    public let digits: Int
    private let modulus: UInt32
    private let hmac: KeyedHMAC

    /// - Parameter digits: 6, 7 or 8.
    /// - Throws: `digits`.
    public init(key: OTPKey, algorithm: OTPAlgorithm = .sha1, digits: Int = 6) throws(OTPError) {
        guard Self.digitCounts.contains(digits) else { throw .digits(digits) }
        self.key = key
        self.algorithm = algorithm
        self.digits = digits
        hmac = KeyedHMAC(key, algorithm)
        modulus = [1_000_000, 10_000_000, 100_000_000][digits - Self.digitCounts.lowerBound]
    }

    /// The code for a counter: `digits` ASCII digits (RFC 4226 §5.3).
    public func code(counter: UInt64) -> String {
        OTPCode.text(value(counter: counter), digits: digits)
    }

    /// Looks for a code from `counter` upwards (RFC 4226 §7.4).
    ///
    /// - Parameters:
    ///   - code: exactly `digits` ASCII digits; anything else matches nothing. See `OTPCode.normalized`.
    ///   - window: how many counters to try, `counter` included; at most `maximumWindow` are.
    /// - Returns: the lowest counter whose code it is.
    public func search(_ code: String, from counter: UInt64, window: Int) -> UInt64? {
        guard let wanted = OTPCode.value(code, digits: digits) else { return nil }
        for distance in 0..<UInt64(max(0, min(window, Self.maximumWindow))) {
            let (candidate, overflow) = counter.addingReportingOverflow(distance)
            if overflow { return nil }
            if matches(wanted, counter: candidate) { return candidate }
        }
        return nil
    }

    /// Two words are compared at once, so the time does not depend on how many digits are right.
    func matches(_ wanted: UInt32, counter: UInt64) -> Bool {
        value(counter: counter) ^ wanted == 0
    }

    /// The code as a number. RFC 4226 §5.3: 31 bits, so that no sign is in the way.
    package func value(counter: UInt64) -> UInt32 {
        (hmac.truncated(counter) & 0x7fff_ffff) % modulus
    }
}

extension HOTP: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "HOTP(\(algorithm.rawValue), \(digits) digits, key redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["digits": digits, "key": key]) }
}
