// SPDX-License-Identifier: Apache-2.0
// sallyport session update: what accepts carry now, to sessions that are open.

import Administration
import ArgumentParser

extension SessionCommand {
    struct Update: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send gateways what the accept of a session would carry now (CoA, RFC 5176).",
            discussion: """
                Session-Timeout is what remains of it. The gateway is asked where `session disconnect` asks it.

                Examples:
                  sallyport session update 17
                  sallyport session update --group staff --dry-run
                  sallyport session update --all --end-denied
                """)

        @Argument(help: ArgumentHelp("The session's number.", valueName: "id")) var id: Int64?
        @Option(help: ArgumentHelp("Open sessions of this user.", valueName: "user")) var user: String?
        @Option(help: ArgumentHelp("Open sessions of the members of this group.", valueName: "group")) var group: String?
        @Option(help: ArgumentHelp("Open sessions at this client.", valueName: "client")) var client: String?
        @Flag(help: "All open sessions.") var all = false
        @Flag(help: "Have those end that would be let in no more, or whose time is over.") var endDenied = false
        @Flag(help: "Say what would be sent, and send nothing.") var dryRun = false
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            let hasChoice = user != nil || group != nil || client != nil
            guard [id != nil, hasChoice, all].count(where: { $0 }) == 1 else {
                throw ValidationError("Give the number of a session, or one or more of --user, --group and --client, or --all.")
            }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let request = UpdateSessions(id: id, user: user, group: group, client: client, endsDenied: endDenied, isDryRun: dryRun)
            let answer = try await node.perform(request)
            try output.show(answer, warnings: answer.warnings) { answer in
                guard !answer.results.isEmpty else { return output.done("No open sessions.") }
                for result in answer.results {
                    output.line(Span(result.isDone ? "ok     " : "failed ", result.isDone ? .good : .bad), Span(result.message))
                    for attribute in result.attributes { output.line(Span("       \(attribute)", .soft)) }
                }
            }
            if answer.results.contains(where: { !$0.isDone }) { throw ExitCode(1) }
        }
    }
}
