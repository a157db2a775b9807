// SPDX-License-Identifier: Apache-2.0
// The grammar of FreeRADIUS' configuration files: sections in braces, and items with a value.

/// A section, or the file itself.
struct FreeRADIUSSection {
    struct Item {
        var key: String
        /// Nil for a word that stands alone, such as `$INCLUDE` with what it names in `key`.
        var value: String?
        var isQuoted: Bool
        var line: Int
    }

    var name: String
    var arguments: [String]
    var line: Int
    var items: [Item] = []
    var sections: [FreeRADIUSSection] = []

    /// Deeper than any configuration that was meant.
    static let deepestNesting = 32

    init(name: String, arguments: [String], line: Int) {
        (self.name, self.arguments, self.line) = (name, arguments, line)
    }

    /// - Throws: for braces that do not fit, quotes that never close, and what is nested too deeply.
    init(_ text: ForeignText) throws(MigrationError) {
        var scanner = Scanner(text: text)
        var open = [FreeRADIUSSection(name: "", arguments: [], line: 1)]
        var words: [Scanner.Word] = []
        func ended(_ words: inout [Scanner.Word], in section: inout FreeRADIUSSection) {
            if let first = words.first {
                let key = words.count > 1 && first.text.hasPrefix("$") ? "\(first.text) \(words[1].text)" : first.text
                section.items.append(Item(key: key, value: nil, isQuoted: first.isQuoted, line: first.line))
            }
            words = []
        }
        while let token = try scanner.next() {
            switch token {
            case .word(let word): words.append(word)
            case .separator: ended(&words, in: &open[open.count - 1])
            case .assignment(let line):
                // With more words before it, it is a condition and no item.
                guard words.count == 1, let value = try scanner.value() else { continue }
                open[open.count - 1].items.append(Item(key: words[0].text, value: value.text, isQuoted: value.isQuoted, line: line))
                words = []
            case .open(let line):
                guard let first = words.first else { throw MigrationError(text.place(line), "A brace opens a section without a name.") }
                guard open.count <= Self.deepestNesting else {
                    throw MigrationError(text.place(line), "Sections are nested more than \(Self.deepestNesting) deep.")
                }
                open.append(FreeRADIUSSection(name: first.text, arguments: words.dropFirst().map(\.text), line: first.line))
                words = []
            case .close(let line):
                ended(&words, in: &open[open.count - 1])
                guard open.count > 1, let section = open.popLast() else {
                    throw MigrationError(text.place(line), "A brace closes what was never opened.")
                }
                open[open.count - 1].sections.append(section)
            }
        }
        ended(&words, in: &open[open.count - 1])
        guard open.count == 1 else {
            let last = open[open.count - 1]
            throw MigrationError(
                text.place(last.line), "The section that begins here is never closed.", remedy: "Is the file whole? Copy it again.")
        }
        self = open[0]
    }

    func values(_ key: String) -> [Item] { items.filter { $0.key.lowercased() == key && $0.value != nil } }
}

/// Words, braces and signs of the file.
private struct Scanner {
    struct Word {
        var text: String
        var isQuoted: Bool
        var line: Int
    }

    enum Token {
        case word(Word)
        case assignment(line: Int)
        case open(line: Int)
        case close(line: Int)
        case separator
    }

    let text: ForeignText
    private var index = 0
    private var line = 1

    init(text: ForeignText) {
        self.text = text
    }

    private var bytes: [UInt8] { text.bytes }
    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    private func isNewline(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

    private mutating func skipBlanks() {
        while let byte = current {
            if Characters.isBlank(byte) {
                index += 1
            } else if byte == UInt8(ascii: "\\"), index + 1 < bytes.count, isNewline(bytes[index + 1]) {
                // A line goes on behind a backslash.
                index += 1
                newline()
            } else {
                return
            }
        }
    }

    private mutating func newline() {
        if index + 1 < bytes.count, bytes[index] == 0x0D, bytes[index + 1] == 0x0A { index += 1 }
        index += 1
        line += 1
    }

    private mutating func skipComment() {
        while let byte = current, !isNewline(byte) { index += 1 }
    }

    mutating func next() throws(MigrationError) -> Token? {
        skipBlanks()
        guard let byte = current else { return nil }
        switch byte {
        case UInt8(ascii: "#"):
            skipComment()
            return .separator
        case 0x0A, 0x0D:
            newline()
            return .separator
        case UInt8(ascii: ","), UInt8(ascii: ";"):
            index += 1
            return .separator
        case UInt8(ascii: "{"):
            index += 1
            return .open(line: line)
        case UInt8(ascii: "}"):
            index += 1
            return .close(line: line)
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .word(try quoted())
        default: break
        }
        if let length = assignmentLength {
            index += length
            return .assignment(line: line)
        }
        let start = index
        while let byte = current, !Characters.isBlank(byte), !isNewline(byte), byte != UInt8(ascii: "{"), byte != UInt8(ascii: "}"),
            byte != UInt8(ascii: ","), byte != UInt8(ascii: ";"), byte != UInt8(ascii: "#"), assignmentLength == nil
        {
            // ${name} is one word.
            if byte == UInt8(ascii: "$"), index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "{") {
                while let byte = current, byte != UInt8(ascii: "}"), !isNewline(byte) { index += 1 }
                if current == UInt8(ascii: "}") { index += 1 }
            } else {
                index += 1
            }
        }
        return .word(Word(text: Characters.text(bytes[start..<index]), isQuoted: false, line: line))
    }

    /// `=`, `:=`, `+=`, `==`.
    private var assignmentLength: Int? {
        guard let byte = current else { return nil }
        let follows = index + 1 < bytes.count && bytes[index + 1] == UInt8(ascii: "=")
        if byte == UInt8(ascii: "=") { return follows ? 2 : 1 }
        return follows && (byte == UInt8(ascii: ":") || byte == UInt8(ascii: "+")) ? 2 : nil
    }

    /// What stands behind the sign: a quoted text, or everything to the next blank.
    mutating func value() throws(MigrationError) -> Word? {
        skipBlanks()
        guard let byte = current, !isNewline(byte), byte != UInt8(ascii: "#") else { return nil }
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { return try quoted() }
        let start = index
        while let byte = current, !Characters.isBlank(byte), !isNewline(byte) { index += 1 }
        return Word(text: Characters.text(bytes[start..<index]), isQuoted: false, line: line)
    }

    private mutating func quoted() throws(MigrationError) -> Word {
        let (word, end) = try FreeRADIUSQuote.read(bytes, from: index, until: bytes.count, at: text.place(line))
        index = end
        return Word(text: word, isQuoted: true, line: line)
    }
}

enum FreeRADIUSQuote {
    /// A text between quotes of one kind; it ends on its own line.
    ///
    /// - Returns: what it means, and where it goes on behind it.
    static func read(_ bytes: [UInt8], from start: Int, until limit: Int, at place: Place) throws(MigrationError) -> (String, Int) {
        let quote = bytes[start]
        var result: [UInt8] = []
        var index = start + 1
        while index < limit, bytes[index] != 0x0A, bytes[index] != 0x0D {
            let byte = bytes[index]
            if byte == quote { return (String(decoding: result, as: UTF8.self), index + 1) }
            guard byte == UInt8(ascii: "\\"), index + 1 < limit else {
                result.append(byte)
                index += 1
                continue
            }
            let next = bytes[index + 1]
            index += 2
            // Between single quotes a backslash hides a quote or itself alone.
            guard quote == UInt8(ascii: "\"") else {
                result += next == quote || next == byte ? [next] : [byte, next]
                continue
            }
            switch next {
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "t"): result.append(0x09)
            case 0x30...0x37:
                var value = Int(next - 0x30)
                var digits = 1
                while digits < 3, index < limit, (0x30...0x37).contains(bytes[index]) {
                    value = value << 3 | Int(bytes[index] - 0x30)
                    digits += 1
                    index += 1
                }
                result.append(UInt8(truncatingIfNeeded: value))
            default: result.append(next)
            }
        }
        throw MigrationError(place, "A quote is opened and never closed.", remedy: "Close it on the same line.")
    }
}
