// SPDX-License-Identifier: Apache-2.0
// What is asked of whoever sits at the terminal: secrets without echo, and whether a destruction is meant.

import Administration
import Foundation
import Glibc
import LoginEngine
import Synchronization

struct Prompts: Sendable {
    var terminal: Terminal

    static let longestLine = 4096

    /// One line of standard input without its end; on a terminal it is asked for twice and not shown.
    func secret(_ what: String, isRepeated: Bool = true) throws -> SecretText {
        guard terminal.isInput else { return try piped(what) }
        let first = try hidden("\(what): ")
        guard !first.isEmpty else {
            throw Refusal(.invalid, "The \(what.lowercased()) is empty.", remedy: "Nothing was changed.")
        }
        if isRepeated, try hidden("\(what) again: ") != first {
            throw Refusal(.invalid, "The two differ.", remedy: "Nothing was changed; try again.")
        }
        return SecretText(first)
    }

    private func piped(_ what: String) throws -> SecretText {
        guard var text = String(validating: try Self.readAll(limit: Self.longestLine), as: UTF8.self) else {
            throw Refusal(.invalid, "The \(what.lowercased()) is not UTF-8 text.", place: "standard input")
        }
        if text.last?.isNewline == true { text.removeLast() }
        guard !text.contains(where: \.isNewline) else {
            throw Refusal(
                .invalid, "There is more than one line.", remedy: "Give the \(what.lowercased()) alone, on one line.",
                place: "standard input")
        }
        guard !text.isEmpty else {
            throw Refusal(
                .invalid, "There is no \(what.lowercased()).", remedy: "Pipe it in on one line, as in `pass show vpn | sallyport …`.",
                place: "standard input")
        }
        return SecretText(text)
    }

    static func readAll(limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw Refusal(.failed, "Standard input cannot be read: \(String(cString: strerror(errno))).")
            }
            bytes += buffer[..<count]
            guard bytes.count <= limit else {
                throw Refusal(
                    .invalid, "Standard input holds more than \(limit) bytes.", remedy: "Is the right file piped in?",
                    place: "standard input")
            }
        }
    }

    private func hidden(_ prompt: String) throws -> String {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { throw Refusal(.failed, "The terminal cannot be set to hide what is typed.") }
        var quiet = before
        quiet.c_lflag &= ~tcflag_t(ECHO)
        quiet.c_lflag |= tcflag_t(ECHONL)
        // Ctrl-C must not leave a terminal that shows nothing.
        let restore = before
        Self.hiddenTerminal.withLock { $0 = restore }
        signal(SIGINT) { _ in
            Prompts.showAgain()
            _exit(130)
        }
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet)
        defer {
            Self.showAgain()
            signal(SIGINT, SIG_DFL)
        }
        Output.write(prompt, STDERR_FILENO)
        guard let line = readLine(strippingNewline: true) else {
            throw Refusal(.failed, "Nothing was typed.", remedy: "Nothing was changed.")
        }
        return line
    }

    private static let hiddenTerminal = Mutex<termios?>(nil)

    private static func showAgain() {
        hiddenTerminal.withLockIfAvailable { saved in
            guard var before = saved else { return }
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            saved = nil
        }
    }

    /// Asks on a terminal; in a pipe only `--yes` will do.
    func confirm(_ question: String, isYes: Bool) throws {
        if isYes { return }
        guard terminal.isInput, terminal.isError else {
            throw Refusal(.invalid, "This cannot be undone, and nobody is there to ask.", remedy: "Add --yes if it is meant.")
        }
        Output.write("\(SafeText.line(question)) [y/N] ", STDERR_FILENO)
        let answer = readLine()?.lowercased() ?? ""
        guard answer == "y" || answer == "yes" else { throw Refusal(.failed, "Nothing was changed.") }
    }
}
