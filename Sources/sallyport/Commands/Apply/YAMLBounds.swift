// SPDX-License-Identifier: Apache-2.0
// What is refused of a YAML text before a parser sees it: whatever makes a small file cost much.

import Administration

/// An apply file needs no anchors, no deep nesting and no megabytes; each of them can make a parser work for hours.
struct YAMLBounds {
    static let mostBytes = 4 << 20
    static let deepestNesting = 16
    /// Columns of indentation; a level takes two.
    static let deepestIndent = 64

    /// One pass over the bytes: quotes and comments are known, anything else at the start of a word counts as what it looks like.
    static func check(_ bytes: [UInt8], fileName: String) throws {
        guard bytes.count <= mostBytes else {
            throw Refusal(
                .invalid, "The file is larger than \(mostBytes >> 20) MiB.", remedy: "Split it: absent sections stay untouched.",
                place: fileName)
        }
        var scan = Scan(fileName: fileName)
        for byte in bytes { try scan.take(byte) }
    }

    private struct Scan {
        enum State { case plain, single, double, escaped, comment }

        let fileName: String
        var state = State.plain
        var line = 1
        var column = 0
        var nesting = 0
        var dashes = 0
        /// Only blanks and dashes so far on this line.
        var isIndent = true
        /// A blank, a line's start or an opening mark came before.
        var isAtWord = true

        init(fileName: String) {
            self.fileName = fileName
        }

        var place: String { "\(fileName):\(line):\(column)" }

        mutating func take(_ byte: UInt8) throws {
            column += 1
            if byte == UInt8(ascii: "\n") {
                if state == .comment { state = .plain }
                (line, column, dashes, isIndent, isAtWord) = (line + 1, 0, 0, true, true)
                return
            }
            switch state {
            case .comment: return
            case .single: if byte == UInt8(ascii: "'") { state = .plain }
            case .double:
                if byte == UInt8(ascii: "\\") { state = .escaped } else if byte == UInt8(ascii: "\"") { state = .plain }
            case .escaped: state = .double
            case .plain: try takePlain(byte)
            }
        }

        private mutating func takePlain(_ byte: UInt8) throws {
            let wasAtWord = isAtWord
            isAtWord = " \t[]{},:-?".utf8.contains(byte)
            switch byte {
            case UInt8(ascii: " "): if isIndent { try deepen(column > deepestIndent + 1) }
            case UInt8(ascii: "-") where isIndent:
                dashes += 1
                try deepen(dashes > deepestNesting)
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                isIndent = false
                if wasAtWord { nesting += 1 }
                try deepen(nesting > deepestNesting)
            case UInt8(ascii: "]"), UInt8(ascii: "}"): nesting = max(0, nesting - 1)
            case UInt8(ascii: "?") where wasAtWord:
                throw Refusal(.invalid, "A key that begins with `?` is not taken.", remedy: "Write `key: value`.", place: place)
            case UInt8(ascii: "&") where wasAtWord, UInt8(ascii: "*") where wasAtWord:
                throw Refusal(
                    .invalid, "Anchors and aliases (`&name`, `*name`) are not taken.", remedy: "Write the value out, or quote the text.",
                    place: place)
            case UInt8(ascii: "!") where wasAtWord:
                throw Refusal(
                    .invalid, "Type marks (`!name`) are not taken.", remedy: "Each value is read by its key; quote the text.", place: place)
            case UInt8(ascii: "'") where wasAtWord: state = .single
            case UInt8(ascii: "\"") where wasAtWord: state = .double
            case UInt8(ascii: "#") where wasAtWord: state = .comment
            default: break
            }
            if byte != UInt8(ascii: " "), byte != UInt8(ascii: "-") { isIndent = false }
        }

        private func deepen(_ isTooDeep: Bool) throws {
            guard isTooDeep else { return }
            throw Refusal(.invalid, "This is nested too deeply.", remedy: "An apply file has six levels at most.", place: place)
        }

        private var deepestNesting: Int { YAMLBounds.deepestNesting }
        private var deepestIndent: Int { YAMLBounds.deepestIndent }
    }
}
