// SPDX-License-Identifier: Apache-2.0
// The help of every command, as it was read and agreed to; and the commands in docs are ones that exist.

import Administration
import ArgumentParser
import Foundation
import Testing

@testable import sallyport

@Suite struct CommandHelpTests {
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/help")

    /// Every command of this file's owner, with its words: `user add`.
    static let commands: [(words: [String], type: any ParsableCommand.Type)] =
        [([], Sallyport.self)]
        + ([
            UserCommand.self, GroupCommand.self, ClientCommand.self, FactorCommand.self, PolicyCommand.self, TraceCommand.self,
            SessionCommand.self, GrantCommand.self, AuditCommand.self, KeyCommand.self, ApplyCommand.self, ExportCommand.self,
            DoctorCommand.self,
            BackupCommand.self, RestoreCommand.self, AuthorityCommand.self, ImportCommand.self,
        ]
        as [any ParsableCommand.Type]).flatMap { all($0, behind: []) }

    private static func all(_ command: any ParsableCommand.Type, behind words: [String]) -> [(
        words: [String], type: any ParsableCommand.Type
    )] {
        let words = words + [command._commandName]
        return [(words, command)] + command.configuration.subcommands.flatMap { all($0, behind: words) }
    }

    @Test(arguments: commands.indices) func helpIsAsAgreed(index: Int) throws {
        let (words, type) = Self.commands[index]
        let file = Self.golden.appendingPathComponent((["sallyport"] + words).joined(separator: "-") + ".txt")
        let text = Sallyport.helpMessage(for: type, columns: 100) + "\n"
        if ProcessInfo.processInfo.environment["SALLYPORT_GOLDEN"] == "write" {
            try FileManager.default.createDirectory(at: Self.golden, withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == text, "run `make golden`, and read the difference")
    }

    @Test func everyLeafHasAnExample() {
        for (words, type) in Self.commands {
            #expect(type.configuration.discussion.contains("  sallyport "), "\(words.joined(separator: " ")) shows no example")
        }
    }

    @Test func aMistypedCommandIsAnsweredWithTheNearestOne() {
        func refusal(_ words: String...) -> String? {
            do { try UnknownCommand.check(words, of: Sallyport.self) } catch { return error.description }
            return nil
        }
        #expect(refusal("usr", "list") == "There is no command `sallyport usr`. Did you mean `user`?")
        #expect(refusal("user", "lst") == "There is no command `sallyport user lst`. Did you mean `list`?")
        #expect(refusal("quux") == "There is no command `sallyport quux`. `sallyport --help` lists them.")
        for words in [["user", "list", "x"], ["gateway", "show", "office"], ["help", "user"], ["--version"], ["trace", "7k2m9"], []] {
            #expect(throws: Never.self) { try UnknownCommand.check(words, of: Sallyport.self) }
        }
    }
}
