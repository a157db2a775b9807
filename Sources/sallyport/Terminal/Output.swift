// SPDX-License-Identifier: Apache-2.0
// What a command prints: answers to standard output, warnings and refusals to standard error.

import Administration
import Foundation
import Glibc

struct Output: Sendable {
    var terminal: Terminal
    var isJSON: Bool

    func line(_ text: String = "") {
        Self.write(text + "\n", STDOUT_FILENO)
    }

    func lines(_ lines: [String]) {
        guard !lines.isEmpty else { return }
        line(lines.joined(separator: "\n"))
    }

    func line(_ spans: Span...) {
        line(spans.map { $0.tone.paint($0.text, terminal.hasColor) }.joined())
    }

    /// What was done: a sentence for people, nothing where JSON is read.
    func done(_ message: String) {
        line(Span(terminal.isUTF8 && terminal.isOutput ? "✓ " : "", .good), Span(message))
    }

    func warn(_ message: String) {
        let mark = Tone.warn.paint("Note:", terminal.hasErrorColor)
        Self.write(
            mark + " "
                + SafeText.wrapped(SafeText.line(message), to: terminal.isError ? terminal.width.map { $0 - 6 } : nil, indent: "      ")
                + "\n", STDERR_FILENO)
    }

    func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            terminal.isOutput ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        Self.write(String(decoding: try encoder.encode(value), as: UTF8.self) + "\n", STDOUT_FILENO)
    }

    /// The answer as JSON, or as the text that `text` prints, with its warnings behind.
    func show<Answer: Encodable>(_ answer: Answer, warnings: [String] = [], _ text: (Answer) -> Void) throws {
        if isJSON {
            try json(answer)
        } else {
            text(answer)
            for warning in warnings { warn(warning) }
        }
    }

    static func write(_ text: String, _ file: CInt) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno != EINTR {
                // Nobody reads any more, as behind `| head`: that is no failure of the command.
                if errno == EPIPE { exit(0) }
                return
            }
        }
    }
}

extension Refusal {
    /// `behaviour.md`, exit codes.
    var exitCode: Int32 {
        switch kind {
        case .missing, .conflict, .failed: 1
        case .invalid: 64
        case .unavailable: 69
        case .configuration: 78
        }
    }

    /// Two lines: what was wrong and where; what to do.
    func text(_ terminal: Terminal) -> String {
        let start = place.map { "\($0): \(message)" } ?? message
        let mark = Tone.bad.paint("Error:", terminal.hasErrorColor)
        let width = terminal.isError ? terminal.width.map { $0 - 7 } : nil
        var text = mark + " " + SafeText.wrapped(SafeText.line(start), to: width, indent: "       ") + "\n"
        if let remedy { text += "       " + SafeText.wrapped(SafeText.line(remedy), to: width, indent: "       ") + "\n" }
        return text
    }
}
