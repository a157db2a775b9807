// SPDX-License-Identifier: Apache-2.0
// Text in the head of a mail: nothing in it can begin a new line (RFC 5322 §2.2), and what is not ASCII is an encoded word (RFC 2047).

enum HeaderText {
    /// RFC 5322 §2.1.1: what a line should not be longer than, without its end.
    static let longestLine = 78
    /// `Subject: ` and what is no longer.
    private static let longestName = 12
    /// RFC 2047 §2
    static let longestWord = 75

    /// `Name: text`, folded, with its end.
    static func line(_ name: String, unstructured text: String) -> String {
        let text = harmless(text)
        let words = isPlain(text) ? text.split(separator: " ").map(String.init) : encodedWords(text)
        return folded(name, words)
    }

    /// `Name: "Their name" <address>`
    static func line(_ name: String, _ address: MailAddress, named displayName: String? = nil) -> String {
        let display = displayName.map(harmless) ?? ""
        var words: [String] = []
        if !display.isEmpty { words = isPlain(display) ? [quoted(display)] : encodedWords(display) }
        return folded(name, words + ["<\(address)>"])
    }

    /// Without what ends a line, is not shown, or turns what follows round.
    static func harmless(_ text: String) -> String {
        var clean = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: clean.append(" ")
            default: clean.append(scalar)
            }
        }
        return String(clean).split(separator: " ").joined(separator: " ")
    }

    /// A word that would not fit on a line by itself is encoded too, since that can be cut.
    private static func isPlain(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x20...0x7E).contains($0) } && !text.contains("=?")
            && text.split(separator: " ").allSatisfy { $0.utf8.count <= longestWord }
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    /// Each holds whole characters, since each is decoded by itself (RFC 2047 §5).
    private static func encodedWords(_ text: String) -> [String] {
        let (start, end) = ("=?UTF-8?B?", "?=")
        // Room is left for the field's name, so that the first one fits on its line.
        let room = (longestLine - longestName - start.utf8.count - end.utf8.count) / 4 * 3
        var words: [String] = []
        var bytes: [UInt8] = []
        func close() {
            if !bytes.isEmpty { words.append(start + Base64.text(bytes) + end) }
            bytes = []
        }
        for scalar in text.unicodeScalars {
            let next = Array(String(scalar).utf8)
            if bytes.count + next.count > room { close() }
            bytes += next
        }
        close()
        return words
    }

    private static func folded(_ name: String, _ words: [String]) -> String {
        var lines = "\(name):"
        var length = lines.utf8.count
        for (index, word) in words.enumerated() {
            if index > 0, length + 1 + word.utf8.count > longestLine {
                lines += "\r\n"
                length = 0
            }
            lines += " " + word
            length += 1 + word.utf8.count
        }
        return lines + "\r\n"
    }
}

enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func text(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            word <<= UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                out.append(place <= group.count ? letters[Int(word >> UInt32(18 - 6 * place) & 0x3F)] : 0x3D)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
