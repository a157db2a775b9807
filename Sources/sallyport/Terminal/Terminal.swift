// SPDX-License-Identifier: Apache-2.0
// What is known of the terminal at either end: whether there is one, how wide, and whether it shows colours and UTF-8.

import ArgumentParser
import Foundation
import Glibc

enum ColorChoice: String, ExpressibleByArgument, CaseIterable {
    case auto, always, never
}

struct Terminal: Sendable, Equatable {
    var isInput: Bool
    var isOutput: Bool
    var isError: Bool
    var hasColor: Bool
    var hasErrorColor: Bool
    /// Columns; nil where nothing wraps, as in a pipe.
    var width: Int?
    var isUTF8: Bool

    /// A pipe: plain text that another program reads.
    static let pipe = Terminal(
        isInput: false, isOutput: false, isError: false, hasColor: false, hasErrorColor: false, width: nil, isUTF8: true)

    static func current(_ choice: ColorChoice = .auto, environment: [String: String] = ProcessInfo.processInfo.environment) -> Terminal {
        let isOutput = isatty(STDOUT_FILENO) == 1
        let isError = isatty(STDERR_FILENO) == 1
        return Terminal(
            isInput: isatty(STDIN_FILENO) == 1, isOutput: isOutput, isError: isError,
            hasColor: color(choice, isTerminal: isOutput, environment), hasErrorColor: color(choice, isTerminal: isError, environment),
            width: isOutput ? columns() : nil, isUTF8: isUTF8(environment))
    }

    static func color(_ choice: ColorChoice, isTerminal: Bool, _ environment: [String: String]) -> Bool {
        switch choice {
        case .always: true
        case .never: false
        // no-color.org: set and not empty.
        case .auto: isTerminal && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
        }
    }

    private static func isUTF8(_ environment: [String: String]) -> Bool {
        // The first of these that is set decides (locale(7)).
        let names = ["LC_ALL", "LC_CTYPE", "LANG"]
        guard let locale = names.lazy.compactMap({ environment[$0] }).first(where: { !$0.isEmpty }) else { return false }
        return locale.lowercased().replacing("-", with: "").contains("utf8")
    }

    private static func columns() -> Int? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}
