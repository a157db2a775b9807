// SPDX-License-Identifier: Apache-2.0
// sallyport policy explain, test and report: what policies decide, would decide, and would have decided.

import Administration
import ArgumentParser
import LoginEngine

extension PolicyCommand {
    struct Explain: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say which policy decides about a user at a client, and why.",
            discussion: """
                Examples:
                  sallyport policy explain alice --client office
                  sallyport policy explain alice --client office --at 2026-11-01
                  sallyport policy explain alice --client office --from 203.0.113.7
                """)

        @Argument(help: "Login name or alias.") var user: String
        @Option(help: ArgumentHelp("The gateway that asks.", valueName: "client")) var client: String
        @Option(help: ArgumentHelp("At this time instead of now.", valueName: "time")) var at: String?
        @Option(help: ArgumentHelp("A login by this protocol, where a policy asks for it: eap-gtc.", valueName: "method")) var method:
            String?
        @Option(help: ArgumentHelp("A name that ends with @ and this, where a policy asks for it.", valueName: "realm")) var realm: String?
        @Option(help: ArgumentHelp("From this address of the user's device, where a policy asks for it.", valueName: "address")) var from:
            String?
        @Option(help: ArgumentHelp("From this country, whatever the database says: DE.", valueName: "country")) var country: String?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let request = ExplainPolicy(
                user: user, client: client, at: try PolicyCommand.time(at), method: method, realm: realm, from: from, country: country)
            let answer = try await node.perform(request)
            try output.show(answer, warnings: answer.warnings) { answer in
                output.line(Span("\(answer.user) at \(answer.client)", .strong))
                for (index, step) in answer.steps.enumerated() {
                    let name = step.policy.split(separator: "@").first.map(String.init) ?? step.policy
                    let text = SafeText.wrapped(
                        SafeText.line("\(name) \(step.text)"), to: output.terminal.width.map { $0 - 5 }, indent: "     ")
                    let tone: Tone = step.verdict == "decides" ? .good : step.verdict == "reports" ? .warn : .soft
                    output.line("  \(index + 1). " + tone.paint(text, output.terminal.hasColor))
                    let fitting = step.conditions.filter { $0.fits == "yes" }
                    guard !fitting.isEmpty else { continue }
                    let fits = "It fits by \(Words.list(fitting.map { "\($0.condition) (\($0.text))" }))."
                    let lines = SafeText.wrapped(SafeText.line(fits), to: output.terminal.width.map { $0 - 5 }, indent: "     ")
                    output.line("     " + Tone.soft.paint(lines, output.terminal.hasColor))
                }
                for sentence in answer.outcome { output.line(SafeText.wrapped(SafeText.line(sentence), to: output.terminal.width)) }
            }
        }
    }

    struct Test: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Hold the policies against cases that say how each is to be decided.",
            discussion: """
                Ends with 1 when a case is decided otherwise. Nobody logs in, and nothing is written.

                Example:
                  sallyport policy test -f cases.yaml
                """)

        @Option(name: [.customShort("f"), .customLong("file")], help: ArgumentHelp("The cases; - for standard input.", valueName: "file"))
        var file: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let bytes =
                file == "-" ? try Prompts.readAll(limit: YAMLBounds.mostBytes) : try TextFile.read(file, limit: YAMLBounds.mostBytes)
            let cases = try PolicyCasesFile(fileName: file == "-" ? "standard input" : file).read(bytes)
            let answer = try await node.perform(TestPolicies(cases: cases))
            try output.show(answer) { answer in
                for result in answer.results {
                    let tone: Tone = result.isRight ? .good : .bad
                    let decided = "\(result.policy == "none" ? "the client's own rule" : result.policy): \(result.require)"
                    output.line(
                        tone.paint(result.isRight ? "ok   " : "wrong", output.terminal.hasColor) + "  " + SafeText.line(result.name)
                            + Tone.soft.paint("  \(result.place)  \(decided)", output.terminal.hasColor))
                    for difference in result.differences {
                        let text = SafeText.wrapped(SafeText.line(difference), to: output.terminal.width.map { $0 - 7 }, indent: "       ")
                        output.line("       " + text)
                    }
                }
                let wrong = answer.results.count { !$0.isRight }
                if !answer.untested.isEmpty { output.line("No case was decided by \(Words.list(answer.untested)).") }
                output.done("\(Words.count(answer.results.count, "case")), \(wrong == 0 ? "all right" : "\(wrong) wrong").")
            }
            if answer.results.contains(where: { !$0.isRight }) { throw ExitCode(1) }
        }
    }

    struct Report: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List whom a report-only policy would have refused, by the trail.",
            discussion: """
                Examples:
                  sallyport policy report pilot
                  sallyport policy report pilot --since 2w
                """)

        @Argument(help: "The policy's name.") var name: String
        @Option(help: ArgumentHelp("Logins from then on: 2h, 7d, 2026-11-21.", valueName: "time")) var since = "7d"
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(ReportPolicy(name: name, since: try PolicyCommand.time(since)))
            try output.show(answer, warnings: answer.warnings) { answer in
                output.line(
                    "\(answer.name) would have decided about \(Words.count(answer.logins, "login")) that \(answer.logins == 1 ? "was" : "were") let in: "
                        + "\(answer.letIn) let in too, \(answer.logins - answer.letIn) refused."
                        + (answer.refusedAnyway > 0 ? " \(answer.refusedAnyway) more were refused anyway." : ""))
                guard !answer.refused.isEmpty else { return }
                output.line()
                var table = Table([
                    .init("USER", isFlexible: true), .init("LOGINS", isRight: true), .init("LAST"), .init("AT", isFlexible: true),
                    .init("WHY", isFlexible: true), .init("LOGIN"),
                ])
                for person in answer.refused {
                    table.rows.append([
                        person.user.map { Span($0, .strong) } ?? Span("erased", .soft), Span("\(person.logins)"),
                        Span(TimeText.full(person.last, output.terminal), .soft), Span(person.clients.joined(separator: ", ")),
                        Span(person.why.joined(separator: "; ")), person.login.map { Span(String($0.prefix(10)), .accent) } ?? .none,
                    ])
                }
                output.lines(table.lines(output.terminal))
            }
        }
    }
}
