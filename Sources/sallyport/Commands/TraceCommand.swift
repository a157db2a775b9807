// SPDX-License-Identifier: Apache-2.0
// sallyport trace: one login, step by step, in plain words.

import Administration
import ArgumentParser
import Foundation

struct TraceCommand: NodeCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "One login, step by step, in plain words.",
        discussion: """
            The id stands in the node's log and in `sallyport audit list`; any beginning that only one login has is enough.

            Example:
              sallyport trace 7k2m9
            """)

    @Argument(help: ArgumentHelp("The login's id, or the beginning of it.", valueName: "login-id")) var login: String
    @OptionGroup var options: GlobalOptions

    func run(_ node: NodeConnection, _ output: Output) async throws {
        let story = try await node.perform(TraceLogin(login: login, timeZone: TimeZone.current.identifier))
        try output.show(story) { story in
            let when = story.lines.first.map { String(TimeText.full($0.at, output.terminal).prefix(10)) } ?? ""
            output.line(Span("Login \(story.login)", .strong), Span("  \(when)  ", .soft), .status(story.outcome))
            output.line()
            for line in story.lines {
                let indent = String(repeating: " ", count: 16)
                let width = output.terminal.width.map { $0 - 16 }
                let text = SafeText.wrapped(SafeText.line(line.text), to: width, indent: indent)
                output.line("  " + Tone.soft.paint(line.clock, output.terminal.hasColor) + "  " + text)
            }
            output.line()
            let text = SafeText.wrapped(SafeText.line(story.next), to: output.terminal.width.map { $0 - 12 }, indent: "            ")
            output.line(Tone.accent.paint("What to do: ", output.terminal.hasColor) + text)
        }
    }
}
