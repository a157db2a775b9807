// SPDX-License-Identifier: Apache-2.0
// The otpauth URI that authenticator apps read from a QR code ("Key Uri Format").

/// What an otpauth URI says about a token.
public struct OTPAuthURI: Sendable, Equatable {
    public enum Kind: Sendable, Hashable {
        /// Seconds per step.
        case totp(period: Int)
        /// The counter to start from.
        case hotp(counter: UInt64)
    }

    public let kind: Kind
    public let issuer: String?
    public let account: String
    public let key: OTPKey
    public let algorithm: OTPAlgorithm
    public let digits: Int

    /// - Throws: `name` for an empty name or one with a colon; `digits`; `period`.
    public init(
        _ kind: Kind = .totp(period: 30), issuer: String?, account: String, key: OTPKey, algorithm: OTPAlgorithm = .sha1,
        digits: Int = 6
    ) throws(OTPError) {
        for name in [issuer, account].compactMap(\.self) where name.isEmpty || name.unicodeScalars.contains(":") { throw .name }
        guard HOTP.digitCounts.contains(digits) else { throw .digits(digits) }
        if case .totp(let period) = kind, !TOTP.periods.contains(period) { throw .period(period) }
        self.kind = kind
        self.issuer = issuer
        self.account = account
        self.key = key
        self.algorithm = algorithm
        self.digits = digits
    }

    /// The URI. It contains the key: show it to its owner only, never log it.
    public var text: String {
        let account = PercentEncoding.encode(account)
        let issuer = issuer.map(PercentEncoding.encode)
        let label = issuer.map { "\($0):\(account)" } ?? account
        var parameters = ["secret=\(Base32.encode(key.bytes))"]
        if let issuer { parameters.append("issuer=\(issuer)") }
        parameters += ["algorithm=\(algorithm.rawValue)", "digits=\(digits)"]
        switch kind {
        case .totp(let period):
            parameters.append("period=\(period)")
            return "otpauth://totp/\(label)?\(parameters.joined(separator: "&"))"
        case .hotp(let counter):
            parameters.append("counter=\(counter)")
            return "otpauth://hotp/\(label)?\(parameters.joined(separator: "&"))"
        }
    }
}

extension OTPAuthURI {
    /// Reads a URI. Parameters it does not know are passed over; the `issuer` parameter wins over the label's prefix.
    ///
    /// - Throws: any `uri…` case, and what the secret, digits and period are refused for.
    public init(parsing text: String) throws(OTPError) {
        let (kind, rest) = try Self.splitScheme(text)
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let label = try PercentEncoding.decode(parts[0], plusIsBlank: false)
        // A fragment is no part of the format, and '#' must be encoded inside a value (RFC 3986 §3.5).
        let query = parts.count > 1 ? parts[1].prefix { $0 != "#" } : ""
        let values = try Self.parameters(query)

        let names = label.split(separator: ":", omittingEmptySubsequences: false)
        guard names.count <= 2, let last = names.last else { throw .uriLabel }
        let account = String(last.drop { $0 == " " })
        guard !account.isEmpty else { throw .uriLabel }
        let prefix = names.count == 2 && !names[0].isEmpty ? String(names[0]) : nil
        let issuer = values["issuer"].flatMap { $0.isEmpty ? nil : $0 } ?? prefix

        guard let secret = values["secret"] else { throw .uriParameterMissing("secret") }
        guard let algorithm = OTPAlgorithm(rawValue: (values["algorithm"] ?? "SHA1").uppercased()) else {
            throw .uriParameterInvalid("algorithm")
        }
        let digits = try Self.number(values["digits"], "digits") ?? 6
        let fullKind: Kind
        if kind == "totp" {
            fullKind = .totp(period: try Self.number(values["period"], "period") ?? 30)
        } else {
            guard let counter: UInt64 = try Self.number(values["counter"], "counter") else { throw .uriParameterMissing("counter") }
            fullKind = .hotp(counter: counter)
        }
        try self.init(
            fullKind, issuer: issuer, account: account, key: OTPKey(base32: secret), algorithm: algorithm, digits: digits)
    }

    private static func splitScheme(_ text: String) throws(OTPError) -> (kind: String, rest: Substring) {
        let scheme = "otpauth://"
        guard text.utf8.count >= scheme.utf8.count, text.prefix(scheme.count).lowercased() == scheme else { throw .uriScheme }
        let rest = text.dropFirst(scheme.count)
        guard let slash = rest.firstIndex(of: "/") else { throw .uriKind }
        let kind = rest[..<slash].lowercased()
        guard kind == "totp" || kind == "hotp" else { throw .uriKind }
        return (kind, rest[rest.index(after: slash)...])
    }

    private static func parameters(_ query: Substring) throws(OTPError) -> [String: String] {
        var values: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0]).lowercased()
            guard ["secret", "issuer", "algorithm", "digits", "period", "counter"].contains(name) else { continue }
            guard values[name] == nil else { throw .uriParameterRepeated(name) }
            values[name] = parts.count > 1 ? try PercentEncoding.decode(parts[1], plusIsBlank: true) : ""
        }
        return values
    }

    private static func number<Value: FixedWidthInteger>(_ text: String?, _ name: String) throws(OTPError) -> Value? {
        guard let text else { return nil }
        guard text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let value = Value(text) else { throw .uriParameterInvalid(name) }
        return value
    }
}

extension OTPAuthURI: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "OTPAuthURI(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// RFC 3986 §2.1.
enum PercentEncoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Everything but unreserved characters (RFC 3986 §2.3) is encoded, blanks as `%20`: apps do not agree on `+`.
    static func encode(_ text: String) -> String {
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.append(byte)
            default:
                result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    static func decode(_ text: Substring, plusIsBlank: Bool) throws(OTPError) -> String {
        let source = Array(text.utf8)
        var bytes: [UInt8] = []
        var index = 0
        while index < source.count {
            switch source[index] {
            case UInt8(ascii: "%"):
                guard index + 2 < source.count, let high = hexValue(source[index + 1]), let low = hexValue(source[index + 2]) else {
                    throw .uriPercentEncoding
                }
                bytes.append(high << 4 | low)
                index += 3
            case UInt8(ascii: "+") where plusIsBlank:
                bytes.append(UInt8(ascii: " "))
                index += 1
            default:
                bytes.append(source[index])
                index += 1
            }
        }
        guard let result = String(validating: bytes, as: UTF8.self) else { throw .uriPercentEncoding }
        return result
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
