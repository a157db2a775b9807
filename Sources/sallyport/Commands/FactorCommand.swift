// SPDX-License-Identifier: Apache-2.0
// sallyport factor: the second factors of users.

import Administration
import ArgumentParser

struct FactorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "factor", abstract: "Second factors of users.",
        discussion: """
            Examples:
              sallyport factor add alice totp
              sallyport factor add alice recovery
              sallyport factor list alice
            """,
        subcommands: [Add.self, List.self, Show.self, Set.self, Remove.self, Import.self])

    static func table(_ factors: [FactorView], _ output: Output) {
        var table = Table([
            .init("#", isRight: true), .init("LABEL", isFlexible: true), .init("KIND"), .init("STATE"), .init("DETAILS"),
            .init("LAST USED"), .init("ADDED"),
        ])
        for factor in factors {
            table.rows.append([
                Span("\(factor.id)", .soft), Span(factor.label, .strong), Span(factor.kind), .status(factor.state), details(factor),
                output.time(factor.lastUsed), output.time(factor.created),
            ])
        }
        output.lines(table.lines(output.terminal))
    }

    static func details(_ factor: FactorView) -> Span {
        if let left = factor.codesLeft { return Span("\(Words.count(left, "code")) left", left <= 3 ? .warn : .plain) }
        guard let algorithm = factor.algorithm, let digits = factor.digits else { return .none }
        return Span("\(algorithm), \(digits) digits" + (factor.period.map { ", \($0) s" } ?? ""))
    }
}

extension FactorCommand {
    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Enrol a token or an authenticator app, or make recovery codes.",
            discussion: """
                A totp or hotp factor counts at once. What is printed is shown once: the QR code, the key and the recovery codes cannot be
                shown again. New recovery codes replace the older ones.

                Examples:
                  sallyport factor add alice totp
                  sallyport factor add alice totp --digits 8 --algorithm sha256 --label 'work phone'
                  sallyport factor add bob hotp --secret-stdin --counter 120 < token-seed
                  sallyport factor add alice recovery
                """)

        @Argument(help: "Login name or alias.") var user: String
        @Argument(help: "totp, hotp or recovery.") var kind: String
        @Option(help: ArgumentHelp("How the factor is called.", valueName: "label")) var label: String?
        @Flag(help: "Read the key, Base32 or hexadecimal, from standard input.") var secretStdin = false
        @Option(help: ArgumentHelp("sha1, sha256 or sha512.", valueName: "algorithm")) var algorithm: String?
        @Option(help: ArgumentHelp("Digits of a code, 6 to 8.", valueName: "count")) var digits: Int?
        @Option(help: ArgumentHelp("totp: seconds a code lasts.", valueName: "seconds")) var period: Int?
        @Option(help: ArgumentHelp("hotp: the next counter of the token.", valueName: "number")) var counter: Int64?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            if kind == "recovery" {
                guard label == nil, !secretStdin, algorithm == nil, digits == nil, period == nil, counter == nil else {
                    throw Refusal(
                        .invalid, "Recovery codes take no options.",
                        remedy: "Leave them out: `sallyport factor add \(Words.argument(user)) recovery`.")
                }
                return try recovery(try await node.perform(AddRecoveryCodes(user: user)), output)
            }
            let secret = secretStdin ? try options.prompts.secret("Key", isRepeated: false) : nil
            let answer = try await node.perform(
                AddFactor(
                    user: user, kind: kind, label: label, secret: secret, algorithm: algorithm, digits: digits, period: period,
                    counter: counter))
            try output.show(answer, warnings: answer.warnings) { answer in
                output.done(answer.message)
                FactorCommand.drawing(uri: answer.uri.text, key: answer.key.text, output)
            }
        }

        private func recovery(_ answer: AddRecoveryCodes.Answer, _ output: Output) throws {
            try output.show(answer, warnings: answer.warnings) { answer in
                output.done(answer.message)
                output.line()
                for code in answer.codes { output.line("  ", Span(code.text, .strong)) }
                output.line()
                output.line("Print them or write them down now: they are not shown again.")
            }
        }
    }

    /// What the user scans, and what to type where nothing can be scanned.
    static func drawing(uri: String, key: String, _ output: Output) {
        output.line()
        if output.terminal.isOutput, let code = QRCode(uri) {
            if let width = output.terminal.width, width < code.width(output.terminal) {
                output.warn(
                    "The window is too narrow for the QR code: it needs \(code.width(output.terminal)) columns. The key below does the same."
                )
            } else {
                output.lines(code.lines(output.terminal))
                output.line()
                output.line("Scan it with an authenticator app, or type the key. Neither is shown again.")
                output.line()
            }
        }
        var sheet = Sheet()
        sheet.add("Key", Span(grouped(key), .strong))
        sheet.add("URI", Span(uri))
        output.lines(sheet.lines(output.terminal))
    }

    /// In fours, as authenticator apps take them and eyes keep them.
    private static func grouped(_ key: String) -> String {
        stride(from: 0, to: key.count, by: 4).map { String(key.dropFirst($0).prefix(4)) }.joined(separator: " ")
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the factors of a user.",
            discussion: """
                Example:
                  sallyport factor list alice
                """)

        @Argument(help: "Login name or alias.") var user: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let list = try await node.perform(ListFactors(user: user))
            try output.show(list, warnings: list.warnings) { list in
                if !list.factors.isEmpty { FactorCommand.table(list.factors, output) }
            }
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one factor.",
            discussion: """
                Example:
                  sallyport factor show alice totp
                """)

        @Argument(help: "Login name or alias.") var user: String
        @Argument(help: "The factor's label, number, or kind where there is one of it.") var factor: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ShowFactor(user: user, factor: factor))) { factor in
                var sheet = Sheet()
                sheet.add("Label", Span(factor.label, .strong))
                sheet.add("Number", Span("\(factor.id)"))
                sheet.add("Kind", Span(factor.kind))
                sheet.add("State", .status(factor.state))
                sheet.add("Details", FactorCommand.details(factor))
                sheet.add("Last used", output.ago(factor.lastUsed))
                sheet.add("Added", output.ago(factor.created))
                output.lines(sheet.lines(output.terminal))
            }
        }
    }

    struct Set: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Rename, disable or enable a factor.",
            discussion: """
                Examples:
                  sallyport factor set alice totp --label 'work phone'
                  sallyport factor set alice 'work phone' --disable
                """)

        @Argument(help: "Login name or alias.") var user: String
        @Argument(help: "The factor's label, number, or kind where there is one of it.") var factor: String
        @Option(help: ArgumentHelp("A new label.", valueName: "label")) var label: String?
        @Flag(help: "Refuse its codes for now.") var disable = false
        @Flag(help: "Take its codes again.") var enable = false
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if enable, disable { throw ValidationError("Use one of --enable and --disable.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let state = disable ? "disabled" : enable ? "active" : nil
            try output.show(try await node.perform(SetFactor(user: user, factor: factor, label: label, state: state)))
        }
    }

    struct Remove: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a factor of a user.",
            discussion: """
                Example:
                  sallyport factor remove alice 'work phone' --yes
                """)

        @Argument(help: "Login name or alias.") var user: String
        @Argument(help: "The factor's label, number, or kind where there is one of it.") var factor: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let view = try await node.perform(ShowFactor(user: user, factor: factor))
            try options.prompts.confirm("Remove \(view.kind) \"\(view.label)\" of \(user)?", isYes: confirmation.isYes)
            try output.show(try await node.perform(RemoveFactor(user: user, factor: "#\(view.id)")))
        }
    }
}
