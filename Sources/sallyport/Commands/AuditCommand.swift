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
        subcommands: [List.self, Verify.self, Export.self])

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

    struct Verify: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prove that no event was changed, removed or reordered.",
            discussion: """
                Exits 1 when one was, and says which.

                Example:
                  sallyport audit verify
                """)

        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(VerifyTrail())
            try output.show(answer) { answer in
                let erased = answer.erased == 0 ? "" : ", \(answer.erased) with erased personal fields"
                if answer.isIntact {
                    return output.done("The trail is intact: \(Words.count(answer.events, "event"))\(erased).")
                }
                var table = Table([.init("EVENT", isRight: true), .init("FINDING"), .init("WHAT", isFlexible: true)])
                for finding in answer.findings {
                    table.rows.append([Span("\(finding.sequence)"), Span(finding.kind, .bad), Span(finding.text)])
                }
                output.lines(table.lines(output.terminal))
            }
            guard answer.isIntact else {
                throw Refusal(
                    .failed,
                    "The trail was edited: \(Words.count(answer.findings.count, "finding")) in \(Words.count(answer.events, "event")).",
                    remedy: "Keep a copy of the data directory as it is, and compare with a backup.")
            }
        }
    }

    struct Export: NodeCommand {
        enum Format: String, ExpressibleByArgument, CaseIterable {
            case json, csv
        }

        static let configuration = CommandConfiguration(
            abstract: "Print events as JSON lines or CSV, newest first.",
            discussion: """
                Examples:
                  sallyport audit export --since 30d > trail.jsonl
                  sallyport audit export --format csv --kind login --user alice > alice.csv
                """)

        @OptionGroup var flags: EventFlags
        @Option(help: ArgumentHelp("json or csv.", valueName: "format")) var format: Format = .json
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var request = try flags.request(limit: 1000)
            if format == .csv { output.line(EventCSV.header) }
            while true {
                let answer = try await node.perform(request)
                for event in answer.events {
                    if format == .csv { output.line(EventCSV.line(event)) } else { try AuditCommand.jsonLine(event) }
                }
                guard let next = answer.next else { return }
                request.before = next
            }
        }
    }

    static func jsonLine(_ event: EventView) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        Output.write(String(decoding: try encoder.encode(event), as: UTF8.self) + "\n", STDOUT_FILENO)
    }
}

/// RFC 4180, and safe to open in a spreadsheet.
enum EventCSV {
    static let header = "sequence,at,kind,user,client,source,station,reason,actor,login,text,details"

    static func line(_ event: EventView) -> String {
        let details = event.details.map { "\($0.name)=\($0.value)" }.joined(separator: "; ")
        let fields = [
            "\(event.sequence)", event.at.description, event.kind, event.user, event.client, event.source, event.station, event.reason,
            event.actor,
            event.login, event.text, details,
        ]
        return fields.map { quoted($0 ?? "") }.joined(separator: ",")
    }

    /// A name that begins like a formula would be run by the spreadsheet of whoever opens the file.
    static func quoted(_ text: String) -> String {
        let isFormula = text.first.map { "=+-@\t\r".contains($0) } ?? false
        let safe = isFormula ? "'" + text : text
        guard safe.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return safe }
        return "\"" + safe.replacing("\"", with: "\"\"") + "\""
    }
}
