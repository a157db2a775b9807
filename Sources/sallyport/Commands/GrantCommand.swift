// SPDX-License-Identifier: Apache-2.0
// sallyport grant: what the help desk gives to who has lost a phone.

import Administration
import ArgumentParser

struct GrantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant", abstract: "Bypasses and temporary codes for users who have no second factor at hand.",
        discussion: """
            A grant is one user's, for minutes to hours, and every login by it stands in the trail with its reason.

            Examples:
              sallyport grant add alice --code --reason 'lost phone, ticket 4711'
              sallyport grant list
              sallyport grant revoke 12
            """,
        subcommands: [Add.self, List.self, Show.self, Revoke.self])

    static func table(_ grants: [GrantView], _ output: Output, hasUser: Bool = true) {
        var columns: [Table.Column] = [.init("ID", isRight: true)]
        if hasUser { columns.append(.init("USER", isFlexible: true)) }
        columns += [
            .init("KIND"), .init("STATE"), .init("UNTIL"), .init("USED", isRight: true), .init("AT", isFlexible: true),
            .init("REASON", isFlexible: true), .init("BY", isFlexible: true),
        ]
        var table = Table(columns)
        for grant in grants {
            var row = [Span("\(grant.id)", .accent)]
            if hasUser { row.append(Span(grant.user, .strong)) }
            row += [
                Span(grant.kind), state(grant), Span(TimeText.full(grant.until, output.terminal)), Span(used(grant)),
                Span(grant.placesInWords), Span(grant.reason), Span(grant.issuer, .soft),
            ]
            table.rows.append(row)
        }
        output.lines(table.lines(output.terminal))
    }

    static func state(_ grant: GrantView) -> Span { Span(grant.state, grant.isOpen ? .warn : .soft) }

    /// `1 of 3`, `7`
    static func used(_ grant: GrantView) -> String { grant.uses.map { "\(grant.used) of \($0)" } ?? "\(grant.used)" }
}

/// How often a grant may be used, as it is typed: a number, or any.
struct GrantUses: ExpressibleByArgument {
    /// 0 for any number.
    let most: Int

    init?(argument: String) {
        if argument == "any" {
            most = 0
        } else if let number = Int(argument), number > 0 {
            most = number
        } else {
            return nil
        }
    }
}

/// How long a grant lasts, as it is typed: 45m, 8h.
struct GrantTime: ExpressibleByArgument {
    let minutes: Int

    init?(argument: String) {
        guard let match = argument.wholeMatch(of: /(\d{1,4})([mh])/)?.output, let count = Int(match.1), count > 0 else { return nil }
        minutes = match.2 == "h" ? count * 60 : count
    }

    init(minutes: Int) {
        self.minutes = minutes
    }
}

extension GrantCommand {
    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a user a bypass of the second factor, or a temporary code.",
            discussion: """
                Without --code no second factor is asked for. The password is needed all the same, a certificate
                where one is required, and what a policy denies stays denied. A code is shown once; it is typed
                wherever a code is, with PAP, EAP-GTC and EAP-TTLS/PAP.

                Examples:
                  sallyport grant add alice --code --reason 'lost phone, ticket 4711'
                  sallyport grant add alice --reason 'new phone arrives at noon' --for 4h --uses 10 --client office
                """)

        @Argument(help: "Login name or alias.") var user: String
        @Option(help: ArgumentHelp("Why; it stands in the trail at every use.", valueName: "text")) var reason: String
        @Option(name: .customLong("for"), help: ArgumentHelp("How long: 45m, 4h (default: 60m).", valueName: "time")) var time: GrantTime?
        @Option(help: ArgumentHelp("How often, 1 to 50; a bypass also any (default: 1).", valueName: "count")) var uses: GrantUses?
        @Option(
            name: .customLong("client"),
            help: ArgumentHelp("Only at this client; can be repeated, and one of them is enough.", valueName: "client"))
        var clients: [String] = []
        @Option(
            name: .customLong("client-tag"), help: ArgumentHelp("Only at clients with this tag; can be repeated.", valueName: "tag"))
        var clientTags: [String] = []
        @Flag(help: "A temporary code in place of a bypass.") var code = false
        @Option(help: ArgumentHelp("Digits of the code, 8 to 12.", valueName: "count")) var digits: Int?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(
                AddGrant(
                    user: user, isCode: code, reason: reason, minutes: time?.minutes ?? 60, uses: uses?.most ?? 1, clients: clients,
                    clientTags: clientTags, digits: digits))
            try output.show(answer, warnings: answer.warnings) { answer in
                output.done(answer.message)
                guard let code = answer.code else { return }
                output.line()
                output.line("  ", Span(Self.grouped(code.text), .strong))
                output.line()
                output.line("Say it to nobody but \(answer.grant.user), by a way that you trust. It is not shown again.")
            }
        }

        /// In fours, as it is read out.
        private static func grouped(_ code: String) -> String {
            stride(from: 0, to: code.count, by: 4).map { String(code.dropFirst($0).prefix(4)) }.joined(separator: " ")
        }
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List grants that are open, newest first.",
            discussion: """
                Examples:
                  sallyport grant list
                  sallyport grant list --all --user alice
                """)

        @Flag(help: "Those that are over too; they are kept for 90 days.") var all = false
        @Option(help: ArgumentHelp("Of this user.", valueName: "user")) var user: String?
        @Option(help: ArgumentHelp("Older than the grant of this number.", valueName: "id")) var before: Int64?
        @Option(help: ArgumentHelp("How many at most.", valueName: "count")) var limit = 50
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ListGrants(user: user, isAll: all, before: before, limit: limit))) { list in
                guard !list.grants.isEmpty else { return output.line(all ? "No grants." : "No open grants.") }
                GrantCommand.table(list.grants, output)
                if let next = list.next { output.line(Span("More: --before \(next)", .soft)) }
            }
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a grant and where it was used.",
            discussion: """
                Example:
                  sallyport grant show 12
                """)

        @Argument(help: ArgumentHelp("The grant's number.", valueName: "id")) var id: Int64
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ShowGrant(id: id))) { grant in
                var sheet = Sheet()
                sheet.add("Grant", Span("\(grant.id)", .accent))
                sheet.add("User", Span(grant.user, .strong))
                sheet.add("Kind", Span(grant.kind == "code" ? "temporary code" : "bypass of the second factor"))
                sheet.add("State", GrantCommand.state(grant))
                sheet.add("Reason", Span(grant.reason))
                sheet.add("Given by", [Span(grant.issuer), output.time(grant.issued)])
                sheet.add("Until", output.time(grant.until))
                sheet.add("At", Span(grant.placesInWords))
                sheet.add("Used", Span(GrantCommand.used(grant)))
                if let digits = grant.digits { sheet.add("Digits", Span("\(digits)")) }
                if let revoked = grant.revoked { sheet.add("Revoked", [output.time(revoked), Span("by \(grant.revoker ?? "?")")]) }
                output.lines(sheet.lines(output.terminal))
                guard let uses = grant.latestUses, !uses.isEmpty else { return }
                output.heading("Logins by it")
                var table = Table([.init("TIME"), .init("CLIENT"), .init("LOGIN")])
                for use in uses {
                    table.rows.append([output.time(use.at), Span(use.client), Span(use.login, .accent)])
                }
                output.lines(table.lines(output.terminal))
            }
        }
    }

    struct Revoke: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a grant back; logins that are under way by it are refused.",
            discussion: """
                Example:
                  sallyport grant revoke 12
                """)

        @Argument(help: ArgumentHelp("The grant's number.", valueName: "id")) var id: Int64
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(RevokeGrant(id: id)))
        }
    }
}
