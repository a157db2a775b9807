// SPDX-License-Identifier: Apache-2.0
// A mistyped command is answered with the one that was probably meant; the parser only says that it did not expect the word.

import Administration
import ArgumentParser

enum UnknownCommand {
    /// - Throws: a `Refusal` for a word that stands where a command is due and is none.
    static func check(_ arguments: [String], of root: any ParsableCommand.Type) throws(Refusal) {
        var command = root
        var path = root._commandName
        for argument in arguments {
            let below = command.configuration.subcommands
            // Options stand behind the command; before it there are only --help and --version, which the parser knows.
            guard !below.isEmpty, !argument.hasPrefix("-"), !(command == root && argument == "help") else { return }
            if let next = below.first(where: { names(of: $0).contains(argument) }) {
                command = next
                path += " " + argument
                continue
            }
            let near = NearNames.nearest(to: argument, among: below.flatMap(names))
            throw Refusal(
                .invalid, "There is no command `\(path) \(SafeText.line(argument))`.",
                remedy: near.isEmpty ? "`\(path) --help` lists them." : NearNames.question(near))
        }
    }

    private static func names(of command: any ParsableCommand.Type) -> [String] {
        [command._commandName] + command.configuration.aliases
    }
}
