// SPDX-License-Identifier: Apache-2.0
// Base32 (RFC 4648 §6): how keys are typed and put into otpauth URIs.

public enum Base32 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    /// Encodes bytes in upper case, by default without `=` as authenticator apps expect.
    public static func encode(_ bytes: [UInt8], padded: Bool = false) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 4) / 5 * 8)
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                text.append(alphabet[Int(buffer >> UInt32(bits)) & 31])
            }
            buffer &= 31
        }
        if bits > 0 { text.append(alphabet[Int(buffer << UInt32(5 - bits)) & 31]) }
        while padded && text.count % 8 != 0 { text.append(UInt8(ascii: "=")) }
        return String(decoding: text, as: UTF8.self)
    }

    /// Decodes what people type: any case, blanks and hyphens between groups, padding or none.
    ///
    /// - Throws: `base32Character`; `base32Length` for a count of 1, 3 or 6 characters beyond whole groups of 8, for padding
    ///   that does not fill a group, or for left-over bits that are not zero (RFC 4648 §3.5).
    public static func decode(_ text: String) throws(OTPError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer: UInt32 = 0
        var bits = 0
        var count = 0
        var padding = 0
        var position = 0
        for byte in text.utf8 {
            defer { position += 1 }
            let value: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - UInt8(ascii: "a")
            case UInt8(ascii: "2")...UInt8(ascii: "7"): value = byte - UInt8(ascii: "2") + 26
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"), UInt8(ascii: "-"): continue
            case UInt8(ascii: "="):
                padding += 1
                continue
            default: throw .base32Character(position: position)
            }
            guard padding == 0 else { throw .base32Character(position: position) }
            count += 1
            buffer = buffer << 5 | UInt32(value)
            bits += 5
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
            buffer &= 255
        }
        guard ![1, 3, 6].contains(count % 8), buffer & ((1 << UInt32(bits)) - 1) == 0 else { throw .base32Length }
        guard padding == 0 || (padding < 8 && (count + padding) % 8 == 0) else { throw .base32Length }
        return bytes
    }
}
