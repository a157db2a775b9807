// SPDX-License-Identifier: Apache-2.0
// sallyport outbox: mails that wait, went out, or did not.

import Administration
import ArgumentParser

struct OutboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outbox", abstract: "Mails that wait to be sent, went out, or did not.",
        discussion: """
            Examples:
              sallyport outbox list --state waiting
              sallyport outbox retry 12
            """,
        subcommands: [List.self, Retry.self, Drop.self])
}

extension OutboxCommand {
    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List mails, the newest first.",
            discussion: """
                What was sent or given up is listed for 30 days.

                Examples:
                  sallyport outbox list
                  sallyport outbox list --state failed --json
                """)

        @Option(help: ArgumentHelp("waiting, sent or failed.", valueName: "state")) var state: String?
        @Option(help: ArgumentHelp("At most this many.", valueName: "count")) var limit = 100
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ListMails(state: state, limit: limit))) { list in
                guard !list.mails.isEmpty else { return output.line("No mails.") }
                var table = Table([
                    .init("MAIL", isRight: true), .init("STATE"), .init("FOR"), .init("TO", isFlexible: true), .init("WRITTEN"),
                    .init("TRIES", isRight: true), .init("WHAT", isFlexible: true),
                ])
                for mail in list.mails {
                    let tone: Tone = mail.state == "sent" ? .good : mail.state == "failed" ? .bad : .plain
                    let next = mail.due.map { "next try \(TimeText.full($0, output.terminal))" }
                    let what = [mail.problem, mail.tries > 0 ? next : nil].compactMap(\.self).joined(separator: "; ")
                    table.rows.append([
                        Span("\(mail.number)"), Span(mail.state, tone), Span(mail.purpose), Span(mail.recipient), output.ago(mail.created),
                        Span("\(mail.tries)"), what.isEmpty ? .none : Span(what),
                    ])
                }
                output.lines(table.lines(output.terminal))
            }
        }
    }

    struct Retry: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Try at once to send a mail that waits.",
            discussion: """
                Example:
                  sallyport outbox retry 12
                """)

        @Argument(help: "The mail's number, as in the list.") var number: Int64
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(RetryMail(number: number)))
        }
    }

    struct Drop: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a mail out of the outbox.",
            discussion: """
                One that waits is not sent; the link that it carries stays good until it ends.

                Example:
                  sallyport outbox drop 12 --yes
                """)

        @Argument(help: "The mail's number, as in the list.") var number: Int64
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try options.prompts.confirm("Drop mail \(number)?", isYes: confirmation.isYes)
            try output.show(try await node.perform(DropMail(number: number)))
        }
    }
}
