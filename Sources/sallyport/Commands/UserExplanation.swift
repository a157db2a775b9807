// SPDX-License-Identifier: Apache-2.0
// sallyport user explain: how a name that comes from a gateway becomes a user.

import Administration
import ArgumentParser

extension UserCommand {
    struct Explain: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say how a name that a gateway sends becomes a user, and what decides then.",
            discussion: """
                Nothing is written and nobody is asked. The name is typed as the gateway sends it, with its domain or realm.

                Examples:
                  sallyport user explain alice --client office
                  sallyport user explain 'CORP\\alice' --client office --json
                """)

        @Argument(help: "The name as the gateway sends it.") var name: String
        @Option(help: ArgumentHelp("The gateway that asks.", valueName: "client")) var client: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ExplainName(name: name, client: client))) { answer in
                output.line(Span("\(answer.name) at \(answer.client)", .strong))
                for (index, step) in answer.steps.enumerated() {
                    let rest = step.rest.map { " Left: \($0)" } ?? ""
                    let text = SafeText.wrapped(
                        SafeText.line(step.text + rest), to: output.terminal.width.map { $0 - 5 }, indent: "     ")
                    output.line("  \(index + 1). \(text)")
                }
                for sentence in answer.outcome { output.line(SafeText.wrapped(SafeText.line(sentence), to: output.terminal.width)) }
            }
        }
    }
}
