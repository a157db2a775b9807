// SPDX-License-Identifier: Apache-2.0
// sallyport factor import: tokens of many users from the table that `sallyport import` wrote.

import Administration
import ArgumentParser
import LoginEngine

extension FactorCommand {
    struct Import: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Enrol tokens of many users from a CSV file.",
            discussion: """
                The first line names the columns: user, kind (totp or hotp), label, secret (Base32), algorithm, digits, period, counter;
                user, kind and secret are needed. `sallyport import` writes such files from those of other products. A token that its
                user has already is left as it is, so the file can be imported again. Every line is checked before the first is written;
                a dry run names all faults.

                Examples:
                  sallyport factor import factors.csv --dry-run
                  sallyport factor import factors.csv --skip-unknown-users
                """)

        @Argument(help: ArgumentHelp("The file; - is standard input.", valueName: "file"), completion: .file(extensions: ["csv"])) var file:
            String
        @Flag(help: "Only print the plan.") var dryRun = false
        @Flag(help: "Leave lines out whose user is not here; else they are an error.") var skipUnknownUsers = false
        @OptionGroup var options: GlobalOptions

        static let largestFile = 8 << 20

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let bytes = file == "-" ? try Prompts.readAll(limit: Self.largestFile) : try TextFile.read(file, limit: Self.largestFile)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Refusal(.invalid, "The file is not UTF-8 text.", remedy: "Save it as \"CSV UTF-8\".", place: file)
            }
            let answer: ImportFactors.Answer
            do throws(Refusal) {
                answer = try await node.perform(
                    ImportFactors(csv: SecretText(text), isDryRun: dryRun, skipsUnknownUsers: skipUnknownUsers))
            } catch {
                throw error.place.map { error.at("\(file == "-" ? "standard input" : file), \($0)") } ?? error
            }
            try output.show(answer, warnings: answer.warnings) { Self.plan($0, output) }
            let faults = answer.steps.count { $0.action == "refuse" }
            guard faults == 0 else {
                throw Refusal(
                    .invalid, "\(Words.count(faults, "line")) cannot be imported.",
                    remedy: "Correct what the plan says of them; nothing was written.")
            }
        }

        private static func plan(_ answer: ImportFactors.Answer, _ output: Output) {
            var table = Table([.init("LINE", isRight: true), .init(""), .init("USER", isFlexible: true), .init("WHAT", isFlexible: true)])
            for step in answer.steps where step.action != "keep" {
                let sign: Span =
                    switch step.action {
                    case "add": Span("+ add", .good)
                    case "skip": Span("? skip", .soft)
                    default: Span("! refuse", .bad)
                    }
                table.rows.append([Span("\(step.line)", .soft), sign, Span(step.user, .strong), Span(step.what)])
            }
            if !table.rows.isEmpty { output.lines(table.lines(output.terminal)) }
            func count(_ action: String) -> Int { answer.steps.count { $0.action == action } }
            let tally = "\(count("add")) added, \(count("keep")) there already, \(count("skip")) left out"
            output.done(answer.isDryRun ? "Plan: \(tally). Nothing was written." : "Imported: \(tally).")
        }
    }
}
