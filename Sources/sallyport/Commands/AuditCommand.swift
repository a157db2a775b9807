// SPDX-License-Identifier: Apache-2.0
// sallyport audit: the trail.

import Administration
import ArgumentParser
import Foundation

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "The trail: what happened, and the proof that nobody edited it.",
        discussion: """
            Examples:
              sallyport audit list --user alice --since 2h
              sallyport audit verify
            """,
        subcommands: [List.self, Verify.self, Export.self, Anchor.self, Key.self])

    static func table(_ events: [EventView], _ output: Output, hasUser: Bool = true) {
        var table = Table([
            .init("TIME"), .init("USER", isFlexible: true), .init("WHAT", isFlexible: true), .init("CLIENT"), .init("FROM"), .init("BY"),
            .init("LOGIN"),
        ])
        for event in events {
            let from = event.station ?? event.source
            table.rows.append([
                Span(TimeText.full(event.at, output.terminal), .soft),
                hasUser ? event.user.map { Span($0, .strong) } ?? (event.isErased ? Span("erased", .soft) : .none) : .none,
                Span(event.text, tone(event.kind)), event.client.map { Span($0) } ?? .none, from.map { Span($0) } ?? .none,
                event.actor.map { Span($0) } ?? .none,
                event.login.map { Span(output.terminal.isOutput ? String($0.prefix(10)) : $0, .accent) } ?? .none,
            ])
        }
        output.lines(table.lines(output.terminal))
    }

    private static func tone(_ kind: String) -> Tone {
        switch kind {
        case "login-accepted": .good
        case "login-rejected", "logins-rejected": .bad
        default: .plain
        }
    }
}

/// Which events.
struct EventFlags: ParsableArguments {
    @Option(help: ArgumentHelp("About this user.", valueName: "user")) var user: String?
    @Option(help: ArgumentHelp("At this client.", valueName: "client")) var client: String?
    @Option(help: ArgumentHelp("From then on: 2h, 7d, today, 2026-11-21, '2026-11-21 14:00'.", valueName: "time")) var since: String?
    @Option(help: ArgumentHelp("Up to then.", valueName: "time")) var until: String?
    @Option(
        name: .customLong("kind"),
        help: ArgumentHelp("Such as login-rejected, or a family such as login; can be repeated.", valueName: "kind"))
    var kinds: [String] = []

    func request(limit: Int) throws -> ListEvents {
        ListEvents(
            user: user, client: client, since: try since.map { try Self.time($0, "since") },
            until: try until.map { try Self.time($0, "until") },
            kinds: kinds, limit: limit)
    }

    private static func time(_ text: String, _ field: String) throws -> Instant {
        if let instant = TimeText.parse(text) { return instant }
        throw Refusal(
            .invalid, "`\(text.prefix(40))` is no time.",
            remedy: "Write it as 30m, 2h, 7d, today, yesterday, 2026-11-21 or '2026-11-21 14:00'.", place: field)
    }
}

extension AuditCommand {
    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List events, newest first.",
            discussion: """
                With --json, one object per line.

                Examples:
                  sallyport audit list --user alice --since 2h
                  sallyport audit list --kind login-rejected --client office
                  sallyport audit list --kind factor --json
                """)

        @OptionGroup var flags: EventFlags
        @Option(help: ArgumentHelp("At most this many.", valueName: "count")) var limit = 50
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(try flags.request(limit: limit))
            if output.isJSON {
                for event in answer.events { try AuditCommand.jsonLine(event) }
                return
            }
            guard !answer.events.isEmpty else { return output.line("No events.") }
            AuditCommand.table(answer.events, output)
            if answer.next != nil, output.terminal.isOutput { output.warn("There are more: use a larger --limit, or --until.") }
        }
    }

    static func jsonLine(_ event: EventView) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        Output.write(String(decoding: try encoder.encode(event), as: UTF8.self) + "\n", STDOUT_FILENO)
    }
}
