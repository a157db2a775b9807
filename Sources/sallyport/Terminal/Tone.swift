// SPDX-License-Identifier: Apache-2.0
// Colours by meaning. A word stands beside each, so that nothing is told by colour alone.

enum Tone: Sendable, Equatable {
    case plain, strong, soft, good, warn, bad, accent

    /// The sixteen colours that every terminal lets its user choose, so that they fit light and dark.
    private var code: String? {
        switch self {
        case .plain: nil
        case .strong: "1"
        case .soft: "2"
        case .good: "32"
        case .warn: "33"
        case .bad: "31"
        case .accent: "36"
        }
    }

    func paint(_ text: String, _ hasColor: Bool) -> String {
        guard hasColor, let code, !text.isEmpty else { return text }
        return "\u{1B}[\(code)m\(text)\u{1B}[0m"
    }
}

/// A piece of text with what it means.
struct Span: Sendable, Equatable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    /// Safe to print.
    var text: String
    var tone: Tone

    init(_ text: String, _ tone: Tone = .plain) {
        self.text = SafeText.line(text)
        self.tone = tone
    }

    init(stringLiteral value: String) {
        self.init(value)
    }

    var width: Int { SafeText.width(text) }
}

extension Span {
    static let none = Span("–", .soft)

    static func status(_ status: String) -> Span {
        switch status {
        case "active", "accepted", "on": Span(status, .good)
        case "disabled", "refused": Span(status, .bad)
        case "pending", "open": Span(status, .warn)
        default: Span(status)
        }
    }
}

/// Names come from gateways, that is from anybody: nothing in them may steer the terminal.
enum SafeText {
    /// Control characters, line breaks and marks that reverse the direction become a dot.
    static func line(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { !isHarmless($0) }) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { isHarmless($0) ? $0 : "·" }))
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value != 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return false
        default: return true
        }
    }

    /// Columns on a terminal.
    static func width(_ text: String) -> Int {
        text.reduce(0) { $0 + width($1) }
    }

    static func width(_ character: Character) -> Int {
        guard let first = character.unicodeScalars.first else { return 0 }
        if first.isASCII { return 1 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return 0
        default: break
        }
        if first.properties.isEmojiPresentation || character.unicodeScalars.contains("\u{FE0F}") { return 2 }
        switch first.value {
        // East Asian wide and fullwidth blocks (UAX #11).
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }

    /// At most this many columns, the last an ellipsis when something was cut.
    static func cut(_ text: String, to columns: Int) -> String {
        guard width(text) > columns else { return text }
        var kept = ""
        var used = 0
        for character in text {
            let next = width(character)
            if used + next > columns - 1 { break }
            kept.append(character)
            used += next
        }
        return kept + "…"
    }

    /// Lines of at most this many columns, broken at blanks.
    static func wrapped(_ text: String, to columns: Int?, indent: String = "") -> String {
        guard let columns, columns > indent.count + 20 else { return text }
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            if !line.isEmpty, width(line) + 1 + width(String(word)) > columns - (lines.isEmpty ? 0 : indent.count) {
                lines.append(line)
                line = String(word)
            } else {
                line += (line.isEmpty && lines.isEmpty && word.isEmpty) || line.isEmpty ? String(word) : " " + word
            }
        }
        lines.append(line)
        return lines.joined(separator: "\n" + indent)
    }
}
