// SPDX-License-Identifier: Apache-2.0
// Codes as people type them: ASCII digits, perhaps in groups.

/// Reads and writes codes as text.
public enum OTPCode {
    /// Takes blanks out of "123 456"; nil when anything but ASCII digits is left, or nothing is.
    public static func normalized(_ text: String) -> String? {
        // The common case costs no Unicode tables.
        if !text.isEmpty, text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) { return text }
        // U+00A0 and U+202F are the blanks that phones put between groups.
        let scalars = text.unicodeScalars.filter { !" \t\u{a0}\u{202f}".unicodeScalars.contains($0) }
        guard !scalars.isEmpty, scalars.allSatisfy({ $0 >= "0" && $0 <= "9" }) else { return nil }
        return String(String.UnicodeScalarView(scalars))
    }

    /// The number that `digits` ASCII digits write; nil for any other text. Other scripts' digits are refused.
    package static func value(_ text: String, digits: Int) -> UInt32? {
        guard text.utf8.count == digits else { return nil }
        var value: UInt32 = 0
        for byte in text.utf8 {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + UInt32(byte - UInt8(ascii: "0"))
        }
        return value
    }

    static func text(_ value: UInt32, digits: Int) -> String {
        let plain = String(value)
        return String(repeating: "0", count: digits - plain.utf8.count) + plain
    }
}
