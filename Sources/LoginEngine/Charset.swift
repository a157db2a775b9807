// SPDX-License-Identifier: Apache-2.0
// In which bytes a gateway writes names and passwords. RFC 2865 §5 says UTF-8; some products pass on what the user's device typed.

package enum Charset: String, Sendable, CaseIterable {
    case utf8 = "utf-8"
    /// One byte a character: ISO 8859-1, and where that has control characters, what Windows (code page 1252) has there.
    case latin1 = "latin-1"
    /// UTF-8 where the bytes are UTF-8, else Latin-1.
    case auto

    /// - Returns: nil for bytes that are no text of this character set; they are never repaired into a name that somebody could have.
    package func text(_ bytes: ArraySlice<UInt8>) -> String? {
        // Nearly everything, and the same in each.
        if bytes.allSatisfy({ $0 < 0x80 }) { return String(decoding: bytes, as: UTF8.self) }
        if self != .latin1, let text = String(validating: bytes, as: UTF8.self) { return text }
        return self == .utf8 ? nil : Self.fromLatin1(bytes)
    }

    /// The same as UTF-8, which passwords are hashed as; bytes that are no text stay as they are.
    package func utf8(_ bytes: [UInt8]) -> [UInt8] {
        guard self != .utf8, bytes.contains(where: { $0 >= 0x80 }) else { return bytes }
        return text(bytes[...]).map { Array($0.utf8) } ?? bytes
    }

    /// What a device that writes Latin-1 would have sent for this text in UTF-8; nil where Latin-1 lacks a character of it.
    package static func latin1(_ utf8: [UInt8]) -> [UInt8]? {
        guard let text = String(validating: utf8, as: UTF8.self) else { return nil }
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            if scalar.value < 0x80 || (0xA0...0xFF).contains(scalar.value) {
                bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            } else if let index = windows.firstIndex(where: { $0 != 0 && UInt32($0) == scalar.value }) {
                bytes.append(UInt8(0x80 + index))
            } else {
                return nil
            }
        }
        return bytes
    }

    private static func fromLatin1(_ bytes: ArraySlice<UInt8>) -> String? {
        var text = String.UnicodeScalarView()
        for byte in bytes {
            guard (0x80...0x9F).contains(byte) else {
                text.append(Unicode.Scalar(byte))
                continue
            }
            let code = windows[Int(byte) - 0x80]
            guard code != 0, let scalar = Unicode.Scalar(code) else { return nil }
            text.append(scalar)
        }
        return String(text)
    }

    /// 0x80…0x9F of code page 1252; 0: no character.
    private static let windows: [UInt16] = [
        0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
        0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
    ]
}
