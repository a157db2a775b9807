// SPDX-License-Identifier: Apache-2.0
// Codes by counter: RFC 4226.

internal import Crypto

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

    /// Dynamic truncation (RFC 4226 §5.3): 31 bits from where the last four bits point.
    private func value(counter: UInt64) -> UInt32 {
        let code = hmac.code(for: counter)
        let offset = Int(code[code.count - 1] & 15)
        let word = code[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return (word & 0x7fff_ffff) % modulus
    }
}

extension HOTP: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "HOTP(\(algorithm.rawValue), \(digits) digits, key redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["digits": digits, "key": key]) }
}

/// An HMAC that has taken its key: continuing a copy costs half of starting anew, and a window is several codes.
private enum KeyedHMAC: Sendable {
    case sha1(HMAC<Insecure.SHA1>)
    case sha256(HMAC<SHA256>)
    case sha512(HMAC<SHA512>)

    init(_ key: OTPKey, _ algorithm: OTPAlgorithm) {
        switch algorithm {
        case .sha1: self = .sha1(HMAC(key: key.symmetricKey))
        case .sha256: self = .sha256(HMAC(key: key.symmetricKey))
        case .sha512: self = .sha512(HMAC(key: key.symmetricKey))
        }
    }

    /// The HMAC of a counter as eight bytes, first byte most significant (RFC 4226 §5.1).
    func code(for counter: UInt64) -> [UInt8] {
        let message = (0..<8).map { UInt8(truncatingIfNeeded: counter >> UInt64(56 - 8 * $0)) }
        switch self {
        case .sha1(let hmac): return finish(hmac, message)
        case .sha256(let hmac): return finish(hmac, message)
        case .sha512(let hmac): return finish(hmac, message)
        }
    }

    private func finish(_ hmac: HMAC<some HashFunction>, _ message: [UInt8]) -> [UInt8] {
        var hmac = hmac
        hmac.update(data: message)
        return Array(hmac.finalize())
    }
}
