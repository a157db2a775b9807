// SPDX-License-Identifier: Apache-2.0
// Why a login by MS-CHAP was refused, as the user's device reads it (RFC 2433 §9, RFC 2759 §6).

public struct MSCHAPError: Sendable, Hashable {
    /// RFC 2759 §6. The numbers are those of Windows.
    public enum Code: Int, Sendable, CaseIterable {
        case outsideOfHours = 646
        case accountDisabled = 647
        case passwordExpired = 648
        case noDialIn = 649
        case authenticationFailure = 691
        case changeFailed = 709
    }

    public var code: Code
    /// Whether the device may answer `challenge` without dialling anew.
    public var allowsRetry: Bool
    /// The challenge of that answer: 16 bytes, for the first version 8.
    public var challenge: [UInt8]
    /// What a person reads.
    public var message: String

    public init(_ code: Code, allowsRetry: Bool, challenge: [UInt8], message: String = "") {
        self.code = code
        self.allowsRetry = allowsRetry
        self.challenge = challenge
        self.message = message
    }

    /// `E=691 R=1 C=… V=3 M=Login refused.`: V is the version of the packet that changes a password.
    public var text: String {
        let digits = Array("0123456789ABCDEF")
        let hexadecimal = String(challenge.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
        let version = challenge.count == MSCHAPResponse.challengeLength ? 2 : 3
        let end = message.isEmpty ? "" : " M=\(message)"
        return "E=\(code.rawValue) R=\(allowsRetry ? 1 : 0) C=\(hexadecimal) V=\(version)\(end)"
    }

    /// The value of MS-CHAP-Error (RFC 2548 §2.1.5); a message that has no room is cut, no scalar is.
    public func value(identifier: UInt8) -> [UInt8] {
        var text = text
        while text.utf8.count + 1 > VendorAttribute.maximumLength { text.unicodeScalars.removeLast() }
        return [identifier] + Array(text.utf8)
    }

    /// Reads what a server sent; nil when it has no known error in it.
    public init?(_ value: ArraySlice<UInt8>) {
        guard let text = String(validating: value.dropFirst(), as: UTF8.self) else { return nil }
        // M= comes last and may hold blanks.
        let parts = text.split(separator: " M=", maxSplits: 1)
        var fields: [Substring: Substring] = [:]
        for field in (parts.first ?? "").split(separator: " ") where field.dropFirst().first == "=" {
            fields[field.prefix(1)] = field.dropFirst(2)
        }
        guard let number = fields["E"].flatMap({ Int($0) }), let code = Code(rawValue: number) else { return nil }
        self.code = code
        allowsRetry = fields["R"] == "1"
        let nibbles = (fields["C"] ?? "").compactMap(\.hexDigitValue)
        challenge = stride(from: 0, to: nibbles.count - nibbles.count % 2, by: 2).map { UInt8(nibbles[$0] << 4 | nibbles[$0 + 1]) }
        message = parts.count > 1 ? String(parts[1]) : ""
    }
}
