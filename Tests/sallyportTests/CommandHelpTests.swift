// SPDX-License-Identifier: Apache-2.0
// The help of every command, as it was read and agreed to; and the commands in docs are ones that exist.

import ArgumentParser
import Foundation
import Testing

@testable import sallyport

@Suite struct CommandHelpTests {
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/help")

    /// Every command of this file's owner, with its words: `user add`.
    static let commands: [(words: [String], type: any ParsableCommand.Type)] =
        [([], Sallyport.self)]
        + ([UserCommand.self, GroupCommand.self, ClientCommand.self, FactorCommand.self, TraceCommand.self, AuditCommand.self]
        as [any ParsableCommand.Type]).flatMap { command in
            let name = command.configuration.commandName ?? ""
            return [([name], command)]
                + command.configuration.subcommands.map { ([name, $0._commandName], $0) }
        }

    @Test(arguments: commands.indices) func helpIsAsAgreed(index: Int) throws {
        let (words, type) = Self.commands[index]
        let file = Self.golden.appendingPathComponent((["sallyport"] + words).joined(separator: "-") + ".txt")
        let text = Sallyport.helpMessage(for: type, columns: 100) + "\n"
        if ProcessInfo.processInfo.environment["GOLDEN"] == "rewrite" {
            try FileManager.default.createDirectory(at: Self.golden, withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == text, "run with GOLDEN=rewrite, and read the difference")
    }

    @Test func everyLeafHasAnExample() {
        for (words, type) in Self.commands {
            #expect(type.configuration.discussion.contains("  sallyport "), "\(words.joined(separator: " ")) shows no example")
        }
    }
}
