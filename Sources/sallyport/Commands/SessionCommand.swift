// SPDX-License-Identifier: Apache-2.0
// sallyport session: who is connected, as the gateways report it.

import Administration
import ArgumentParser

struct SessionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session", abstract: "Who is connected, as the gateways report it.",
        discussion: """
            Gateways report sessions by RADIUS accounting, UDP port 1813.

            Examples:
              sallyport session list --open
              sallyport session disconnect 17
              sallyport session update --group staff
            """,
        subcommands: [List.self, Show.self, Traffic.self, Disconnect.self, Update.self, End.self])

    static func time(_ text: String?) throws -> Instant? {
        guard let text else { return nil }
        if let instant = TimeText.parse(text) { return instant }
        throw Refusal(
            .invalid, "`\(text.prefix(40))` is no time.",
            remedy: "Write it as 30m, 2h, 7d, today, yesterday, 2026-11-21 or '2026-11-21 14:00'.", place: "since")
    }

    static func user(_ name: String, isKnown: Bool) -> Span {
        name.isEmpty ? Span("no name", .soft) : Span(name, isKnown ? .strong : .soft)
    }
}

extension SessionCommand {
    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List sessions, newest first.",
            discussion: """
                Examples:
                  sallyport session list --open
                  sallyport session list --user alice --since 7d
                """)

        @Flag(help: "Those that last.") var open = false
        @Option(help: ArgumentHelp("Of this user.", valueName: "user")) var user: String?
        @Option(help: ArgumentHelp("At this client.", valueName: "client")) var client: String?
        @Option(help: ArgumentHelp("Open then, or later: 2h, 7d, today, 2026-11-21.", valueName: "time")) var since: String?
        @Option(help: ArgumentHelp("Older than the session of this number.", valueName: "id")) var before: Int64?
        @Option(help: ArgumentHelp("How many at most.", valueName: "count")) var limit = 50
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let request = ListSessions(
                user: user, client: client, isOpen: open ? true : nil, since: try SessionCommand.time(since), before: before, limit: limit)
            try output.show(try await node.perform(request)) { list in
                guard !list.sessions.isEmpty else {
                    return output.line(open ? "No open sessions." : "No sessions: no gateway has sent accounting for them.")
                }
                var table = Table([
                    .init("ID", isRight: true), .init("USER", isFlexible: true), .init("CLIENT"), .init("FROM"),
                    .init("ADDRESS", isFlexible: true), .init("SINCE"), .init("LASTS", isRight: true), .init("IN", isRight: true),
                    .init("OUT", isRight: true), .init("STATE"),
                ])
                for session in list.sessions {
                    table.rows.append([
                        Span("\(session.id)", .accent), SessionCommand.user(session.user, isKnown: session.isKnown), Span(session.client),
                        session.station.map { Span($0) } ?? .none, session.addresses.first.map { Span($0) } ?? .none,
                        Span(TimeText.full(session.started, output.terminal), .soft), Span(QuantityText.length(session.seconds)),
                        Span(QuantityText.octets(session.input)), Span(QuantityText.octets(session.output)), Self.state(session),
                    ])
                }
                output.lines(table.lines(output.terminal))
                if let next = list.next {
                    output.line(Span("More: --before \(next)", .soft))
                }
            }
        }

        private static func state(_ session: SessionView) -> Span {
            session.isOpen ? Span("open", .good) : Span(session.cause ?? session.ending ?? "over", .soft)
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one session.",
            discussion: """
                Example:
                  sallyport session show 17
                """)

        @Argument(help: ArgumentHelp("The session's number.", valueName: "id")) var id: Int64
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ShowSession(id: id))) { session in
                var sheet = Sheet()
                sheet.add("Session", Span("\(session.id)", .accent))
                sheet.add("User", SessionCommand.user(session.user, isKnown: session.isKnown))
                if !session.isKnown { sheet.add("", Span("nobody has this name here", .soft)) }
                sheet.add("Client", Span(session.client))
                sheet.add("Gateway", Span("\(session.gateway), from \(session.source)"))
                sheet.add("Its session", Span(session.sessionID))
                sheet.add("From", session.station.map { Span($0) })
                sheet.add("Addresses", session.addresses.map { Span($0) })
                if let port = session.port { sheet.add("Port", Span("\(port)")) }
                if let groupClass = session.groupClass { sheet.add("Class", Span(groupClass)) }
                sheet.add("Login", session.login.map { Span($0, .accent) })
                sheet.add("Started", output.time(session.started))
                if !session.hasStart { sheet.add("", Span("worked out: its start was not reported", .soft)) }
                sheet.add("Last news", output.ago(session.heard))
                sheet.add("Lasts", Span(QuantityText.length(session.seconds)))
                sheet.add("In, out", Span("\(QuantityText.octets(session.input)), \(QuantityText.octets(session.output))"))
                sheet.add("Packets", Span("\(session.inputPackets), \(session.outputPackets)"))
                if let ended = session.ended {
                    let why = [session.ending, session.cause].compactMap(\.self).joined(separator: ": ")
                    sheet.add("Ended", [output.time(ended), Span(why)])
                } else {
                    sheet.add("State", Span("open", .good))
                }
                output.lines(sheet.lines(output.terminal))
            }
        }
    }

    struct Traffic: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sum up sessions by user and client; who carried most comes first.",
            discussion: """
                Examples:
                  sallyport session traffic --since 2026-11-01
                  sallyport session traffic --user alice --json
                """)

        @Option(help: ArgumentHelp("Of this user.", valueName: "user")) var user: String?
        @Option(help: ArgumentHelp("At this client.", valueName: "client")) var client: String?
        @Option(help: ArgumentHelp("Sessions that were open then, or later.", valueName: "time")) var since: String?
        @Option(help: ArgumentHelp("How many lines at most.", valueName: "count")) var limit = 50
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let request = SumTraffic(user: user, client: client, since: try SessionCommand.time(since), limit: limit)
            try output.show(try await node.perform(request)) { answer in
                guard !answer.rows.isEmpty else { return output.line("No sessions.") }
                var table = Table([
                    .init("USER", isFlexible: true), .init("CLIENT"), .init("SESSIONS", isRight: true), .init("OPEN", isRight: true),
                    .init("TIME", isRight: true), .init("IN", isRight: true), .init("OUT", isRight: true),
                ])
                for row in answer.rows {
                    table.rows.append([
                        SessionCommand.user(row.user, isKnown: row.isKnown), Span(row.client), Span("\(row.sessions)"),
                        Span("\(row.open)"), Span(QuantityText.length(row.seconds)), Span(QuantityText.octets(row.input)),
                        Span(QuantityText.octets(row.output)),
                    ])
                }
                output.lines(table.lines(output.terminal))
            }
        }
    }

    struct Disconnect: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Have the gateway end a session, or all of a user's (RFC 5176).",
            discussion: """
                The gateway is asked on UDP port 3799, or where `client set --disconnect-port` says, and has ten seconds to answer.

                Examples:
                  sallyport session disconnect 17
                  sallyport session disconnect --user alice
                """)

        @Argument(help: ArgumentHelp("The session's number.", valueName: "id")) var id: Int64?
        @Option(help: ArgumentHelp("Every open session of this user.", valueName: "user")) var user: String?
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if (id == nil) == (user == nil) { throw ValidationError("Give the number of a session, or --user.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(DisconnectSessions(id: id, user: user))
            try output.show(answer) { answer in
                guard !answer.results.isEmpty else { return output.done("No open sessions.") }
                for result in answer.results {
                    output.line(Span(result.isDone ? "ended  " : "failed ", result.isDone ? .good : .bad), Span(result.message))
                }
            }
            if answer.results.contains(where: { !$0.isDone }) { throw ExitCode(1) }
        }
    }

    struct End: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Count a session as lost, when its gateway will never report its end.",
            discussion: """
                Example:
                  sallyport session end 17 --yes
                """)

        @Argument(help: ArgumentHelp("The session's number.", valueName: "id")) var id: Int64
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let session = try await node.perform(ShowSession(id: id))
            try options.prompts.confirm(
                "Count session \(id) of \(session.user.isEmpty ? "no name" : session.user) as lost? The gateway is not told.",
                isYes: confirmation.isYes)
            try output.show(try await node.perform(EndSession(id: id)))
        }
    }
}
