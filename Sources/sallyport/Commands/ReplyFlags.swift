// SPDX-License-Identifier: Apache-2.0
// --reply and --no-reply of clients, groups and policies, and how their attributes are shown.

import Administration
import ArgumentParser
import LoginEngine

struct ReplyFlags: ParsableArguments {
    @Option(
        name: .customLong("reply"),
        help: ArgumentHelp(
            "An attribute of the accept, such as Session-Timeout=28800 or group=staff; can be repeated, replaces all.",
            valueName: "name=value"))
    var reply: [String] = []

    /// Nil where none was given.
    var settings: [ReplySetting]? {
        get throws { reply.isEmpty ? nil : try reply.map(Self.setting) }
    }

    func validate() throws { _ = try settings }

    private static func setting(_ text: String) throws -> ReplySetting {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else {
            throw ValidationError("--reply takes a name and a value, such as Session-Timeout=28800.")
        }
        return ReplySetting(String(parts[0]), String(parts[1]))
    }

    static func spans(_ settings: [ReplySetting]) -> [Span] { settings.map { Span("\($0.name) = \($0.value)") } }
}

extension PreviewReply.Answer {
    func show(_ output: Output) {
        output.line(
            Span("\(user) at \(client)", .strong),
            Span(policy.map { ": policy \($0) decides" } ?? ": no policy decides", .soft))
        guard !attributes.isEmpty else { return output.line("The accept carries no attributes.") }
        var table = Table([.init("ATTRIBUTE"), .init("VALUE", isFlexible: true), .init("FROM", isFlexible: true)])
        for attribute in attributes {
            let value = attribute.value.map { Span($0) } ?? Span(attribute.problem ?? "", .bad)
            table.rows.append([Span(attribute.name, .strong), value, Span(attribute.origin, .soft)])
        }
        output.lines(table.lines(output.terminal))
    }
}
