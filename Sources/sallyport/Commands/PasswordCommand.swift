// SPDX-License-Identifier: Apache-2.0
// sallyport password: what is kept of passwords beside their hash, for gateways that speak CHAP or MS-CHAP.

import Administration
import ArgumentParser

struct PasswordCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "password", abstract: "What is kept of passwords for CHAP and MS-CHAP.",
        discussion: """
            Passwords are kept as argon2id hashes, which PAP alone can be checked against. Where a gateway can do nothing
            but CHAP or MS-CHAP, more can be kept, sealed: see docs/gateways/password-protocols.md. A code as the only
            proof needs none of this.

            Examples:
              sallyport password show
              sallyport password keep nt-hash
              sallyport password drop nt-hash --yes
            """,
        subcommands: [Show.self, Keep.self, Drop.self])
}

extension PasswordCommand {
    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "What is kept, of how many users.",
            discussion: """
                Example:
                  sallyport password show --json
                """)

        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(ShowPasswordKeeping())
            try output.show(answer, warnings: answer.warnings) { answer in
                var table = Table([.init("PART"), .init("KEPT"), .init("USERS"), .init("GOOD FOR", isFlexible: true)])
                for part in answer.parts {
                    table.rows.append([
                        Span(part.name, .strong), part.isKept ? Span("on", .warn) : Span("off", .soft), Span("\(part.users)"),
                        output.list(part.protocols),
                    ])
                }
                output.lines(table.lines(output.terminal))
            }
        }
    }

    struct Keep: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Keep more than a hash, from the next password on that is set.",
            discussion: """
                nt-hash is what MS-CHAP and MS-CHAPv2 need, clear-password what CHAP needs. Both are sealed with the
                master key, and both are worth as much as the password to whoever has that key.

                Example:
                  sallyport password keep nt-hash
                """)

        @Argument(help: "nt-hash or clear-password.") var part: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(KeepPasswords(part: part)))
        }
    }

    struct Drop: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Keep it no longer, and erase what was kept.",
            discussion: """
                Example:
                  sallyport password drop nt-hash --yes
                """)

        @Argument(help: "nt-hash or clear-password.") var part: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let kept = try await node.perform(ShowPasswordKeeping())
            let users = kept.parts.first { $0.name == part }?.users ?? 0
            try options.prompts.confirm(
                "Erase it for \(Words.count(users, "user"))? They can log in by that protocol again only with a new password.",
                isYes: confirmation.isYes)
            try output.show(try await node.perform(DropPasswords(part: part)))
        }
    }
}
