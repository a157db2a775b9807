// SPDX-License-Identifier: Apache-2.0
// What is wrong with a key, a parameter or an otpauth URI.

/// Why a value cannot be used. Names places and lengths, never contents: most inputs here are secrets.
public enum OTPError: Error, Sendable, Hashable {
    /// A key is outside of `OTPKey.lengths` bytes.
    case keyLength(Int)
    /// A number of digits outside of `HOTP.digitCounts` (RFC 4226 §5.3).
    case digits(Int)
    /// A period outside of `TOTP.periods` seconds (RFC 6238 §4.1).
    case period(Int)
    /// A character that is not in the Base32 alphabet (RFC 4648 §6), by its place.
    case base32Character(position: Int)
    /// A count of Base32 characters that no bytes encode to, or bits left over that are not zero (RFC 4648 §3.5, §6).
    case base32Length
    /// An issuer or account that is empty or has a colon, which parts the two in a label.
    case name
    /// Not an `otpauth:` URI.
    case uriScheme
    /// Neither `totp` nor `hotp`.
    case uriKind
    /// The label has no account, or more than one colon.
    case uriLabel
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8 (RFC 3986 §2.1).
    case uriPercentEncoding
    /// A parameter that must be there is not: `secret`, or `counter` for HOTP.
    case uriParameterMissing(String)
    /// A parameter with a value that cannot be read: `algorithm`, `digits`, `period`, `counter`.
    case uriParameterInvalid(String)
    /// A known parameter that occurs twice.
    case uriParameterRepeated(String)
}

extension OTPError: CustomStringConvertible {
    /// One sentence for people.
    public var description: String {
        switch self {
        case .keyLength(let length):
            "The key has \(length) bytes; it must have \(OTPKey.lengths.lowerBound) to \(OTPKey.lengths.upperBound)."
        case .digits(let digits):
            "A code of \(digits) digits is not possible; 6, 7 or 8 are."
        case .period(let period):
            "A period of \(period) seconds is not possible; \(TOTP.periods.lowerBound) to \(TOTP.periods.upperBound) are."
        case .base32Character(let position):
            "Character \(position + 1) of the secret is not Base32."
        case .base32Length:
            "The secret is not complete Base32."
        case .name:
            "Issuer and account must not be empty or contain a colon."
        case .uriScheme:
            "The text is not an otpauth URI."
        case .uriKind:
            "The otpauth URI is neither totp nor hotp."
        case .uriLabel:
            "The otpauth URI has no usable account label."
        case .uriPercentEncoding:
            "The otpauth URI has a broken percent encoding."
        case .uriParameterMissing(let name):
            "The otpauth URI lacks \(name)."
        case .uriParameterInvalid(let name):
            "The otpauth URI has a \(name) that cannot be read."
        case .uriParameterRepeated(let name):
            "The otpauth URI has \(name) twice."
        }
    }
}
