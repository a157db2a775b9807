// SPDX-License-Identifier: Apache-2.0
// sallyport policy: who must prove what.

import Administration
import ArgumentParser

struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Ordered rules: who must prove what, where.",
        discussion: """
            The first policy that matches decides. Where none does, the client's own --require does.

            Examples:
              sallyport policy add admins --group admins --require password+factor --factors totp
              sallyport policy explain alice --client office
              sallyport policy move admins --first
            """,
        subcommands: [
            Add.self, List.self, Show.self, Set.self, Move.self, Remove.self, Diff.self, Explain.self,
            Test.self, Report.self,
        ])
}

/// Every field of a policy, for `add` and `set`.
struct PolicyFlags: ParsableArguments {
    @Option(
        name: .customLong("client"),
        help: ArgumentHelp("Only at this client; can be repeated, and one of them is enough.", valueName: "client"))
    var clients: [String] = []
    @Option(name: .customLong("client-tag"), help: ArgumentHelp("Only at clients with this tag; can be repeated.", valueName: "tag"))
    var clientTags: [String] = []
    @Option(
        name: .customLong("group"), help: ArgumentHelp("Only for members, also of groups within it; can be repeated.", valueName: "group"))
    var groups: [String] = []
    @Option(
        name: .customLong("method"),
        help: ArgumentHelp("Only for logins by this protocol: pap, eap, eap-gtc, eap-mschapv2, …; can be repeated.", valueName: "method"))
    var methods: [String] = []
    @Option(
        name: .customLong("realm"),
        help: ArgumentHelp("Only for names that end with @ and this; can be repeated.", valueName: "realm"))
    var realms: [String] = []
    @OptionGroup var place: PolicyPlaceConditions
    @Option(
        name: .customLong("require"),
        help: ArgumentHelp("deny, password, factor, password+factor, certificate or certificate+factor.", valueName: "what"))
    var require: String?
    @Option(help: ArgumentHelp("Kinds that count, the preferred first: totp,hotp,recovery; or any.", valueName: "kinds")) var factors:
        String?
    @Option(help: ArgumentHelp("deny: who has no factor is refused.", valueName: "what")) var unenrolled: String?
    @Option(help: ArgumentHelp("Who has no factor gets in with the password until then: 2027-02-01 (UTC).", valueName: "date"))
    var graceUntil: String?
    @Option(help: ArgumentHelp("… or for so many days after the first login.", valueName: "days")) var graceDays: Int?
    @Option(help: ArgumentHelp("never: this version remembers no device.", valueName: "what")) var remember: String?
    @Option(help: ArgumentHelp("on or off: decide as if it were absent, and write what it would have done.", valueName: "switch"))
    var reportOnly: Switch?
    @Option(
        help: ArgumentHelp(
            "How many sessions a user may have open, where neither user nor group says otherwise; or any.", valueName: "count"))
    var sessions: SessionCount?
    @OptionGroup var reply: ReplyFlags
    @Flag(help: "Say what it would mean, and write nothing.") var dryRun = false

    var choices: PolicyChoices {
        get throws { try chosen() }
    }

    private func chosen() throws -> PolicyChoices {
        var choices = PolicyChoices()
        choices.clients = clients.isEmpty ? nil : clients
        choices.clientTags = clientTags.isEmpty ? nil : clientTags
        choices.groups = groups.isEmpty ? nil : groups
        choices.methods = methods.isEmpty ? nil : methods
        choices.realms = realms.isEmpty ? nil : realms
        place.fill(&choices)
        choices.require = require
        choices.factors = factors.map { $0 == "any" ? [] : $0.split(separator: ",").map { String($0) } }
        choices.unenrolled = unenrolled
        choices.graceUntil = graceUntil
        choices.graceDays = graceDays
        choices.remember = remember
        choices.isReportOnly = reportOnly?.isOn
        choices.reply = try reply.settings
        choices.sessions = sessions?.most
        return choices
    }
}

/// Where in the list.
struct PolicyPlaceFlags: ParsableArguments {
    @Flag(help: "Before all others.") var first = false
    @Flag(help: "Behind all others.") var last = false
    @Option(help: ArgumentHelp("Before this one.", valueName: "policy")) var before: String?
    @Option(help: ArgumentHelp("Behind this one.", valueName: "policy")) var after: String?

    func validate() throws {
        let given = [first, last, before != nil, after != nil].count { $0 }
        if given > 1 { throw ValidationError("Use one of --first, --last, --before and --after.") }
    }

    var place: PolicyPlace? {
        if first { return .first }
        if last { return .last }
        if let before { return .before(before) }
        return after.map { .after($0) }
    }
}

extension PolicyCommand {
    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a policy, behind all others unless told where.",
            discussion: """
                Examples:
                  sallyport policy add staff --group staff --require password+factor --grace-days 14
                  sallyport policy add contractors --group contractors --client-tag vpn --require deny --first
                  sallyport policy add everybody-else --require deny --dry-run
                """)

        @Argument(help: "Its name: lower case letters, digits, -, _ and dots.") var name: String
        @OptionGroup(title: "Policy options") var flags: PolicyFlags
        @OptionGroup(title: "Place") var place: PolicyPlaceFlags
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let request = AddPolicy(name: name, choices: try flags.choices, place: place.place ?? .last, isDryRun: flags.dryRun)
            try PolicyCommand.show(try await node.perform(request), output)
        }
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List policies in the order in which they are asked.",
            discussion: """
                Examples:
                  sallyport policy list
                  sallyport policy list --at 2026-11-01
                """)

        @Option(help: ArgumentHelp("As they were in force then.", valueName: "time")) var at: String?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let list = try await node.perform(ListPolicies(at: try PolicyCommand.time(at)))
            try output.show(list, warnings: list.warnings) { list in
                if list.policies.isEmpty {
                    output.line(at == nil ? "No policies: each client's own rule decides." : "There were no policies then.")
                } else {
                    var table = Table([
                        .init("#", isRight: true), .init("NAME"), .init("FOR", isFlexible: true), .init("REQUIRES", isFlexible: true),
                        .init("UN-ENROLLED", isFlexible: true), .init("MODE"),
                    ])
                    for (index, policy) in list.policies.enumerated() {
                        table.rows.append([
                            Span("\(index + 1)"), Span(policy.name, .strong), Span(policy.who), PolicyCommand.requirement(policy),
                            policy.require.hasSuffix("factor") ? Span(policy.unenrolledText) : .none,
                            policy.isReportOnly ? Span("report-only", .warn) : .none,
                        ])
                    }
                    output.lines(table.lines(output.terminal))
                }
                guard !list.otherwise.isEmpty else { return }
                output.heading("Where none matches, the client's own rule decides")
                var table = Table([.init("CLIENT", isFlexible: true), .init("REQUIRES")])
                for client in list.otherwise { table.rows.append([Span(client.client), Span(client.require)]) }
                output.lines(table.lines(output.terminal))
            }
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a policy, as it is or as it was.",
            discussion: """
                Examples:
                  sallyport policy show staff
                  sallyport policy show staff --at '2026-11-01 12:00'
                """)

        @Argument(help: "The policy's name.") var name: String
        @Option(help: ArgumentHelp("As it was in force then.", valueName: "time")) var at: String?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(ShowPolicy(name: name, at: try PolicyCommand.time(at)))
            try output.show(answer, warnings: answer.warnings) { answer in
                PolicyCommand.sheet(answer.policy, output, position: answer.position)
                output.line()
                output.line(SafeText.wrapped(SafeText.line(answer.meaning), to: output.terminal.width))
                guard answer.revisions.count > 1 else { return }
                output.heading("Revisions")
                for revision in answer.revisions {
                    output.line("\(revision.name)@\(revision.number)  \(TimeText.full(revision.at, output.terminal))")
                }
            }
        }
    }

    struct Set: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a policy; says whom the change would lock out.",
            discussion: """
                A condition that is given replaces what was there: name all of its values again.

                Examples:
                  sallyport policy set staff --require password+factor --dry-run
                  sallyport policy set staff --factors totp,recovery --grace-until 2027-02-01
                  sallyport policy set staff --report-only off
                """)

        @Argument(help: "The policy's name.") var policy: String
        @Option(help: ArgumentHelp("A new name.", valueName: "name")) var name: String?
        @Flag(help: "At every client again.") var anyClient = false
        @Flag(help: "Whatever the client's tags.") var anyClientTag = false
        @Flag(help: "For everybody again.") var anyGroup = false
        @Flag(help: "By whatever protocol again.") var anyMethod = false
        @Flag(help: "Whatever the name ends with.") var anyRealm = false
        @Flag(help: "For every user again.") var anyUser = false
        @Flag(help: "From anywhere again; takes --not-network away too.") var anyNetwork = false
        @Flag(help: "In every country again; takes --not-country away too.") var anyCountry = false
        @Flag(help: "At any time again.") var anyHours = false
        @Flag(help: "Take all reply attributes away.") var noReply = false
        @OptionGroup(title: "Policy options") var flags: PolicyFlags
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            let both = [
                (anyClient, flags.clients, "client"), (anyClientTag, flags.clientTags, "client-tag"), (anyGroup, flags.groups, "group"),
                (anyMethod, flags.methods, "method"), (anyRealm, flags.realms, "realm"), (anyUser, flags.place.users, "user"),
                (anyNetwork, flags.place.networks, "network"), (anyCountry, flags.place.countries, "country"),
                (anyHours, flags.place.hours, "hours"),
            ]
            if noReply, !flags.reply.reply.isEmpty { throw ValidationError("Use one of --reply and --no-reply.") }
            for (any, named, flag) in both where any && !named.isEmpty { throw ValidationError("Use one of --\(flag) and --any-\(flag).") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var choices = try flags.choices
            if anyClient { choices.clients = [] }
            if anyClientTag { choices.clientTags = [] }
            if anyGroup { choices.groups = [] }
            if anyMethod { choices.methods = [] }
            if anyRealm { choices.realms = [] }
            if anyUser { choices.users = [] }
            if anyNetwork { (choices.networks, choices.otherNetworks) = ([], choices.otherNetworks ?? []) }
            if anyCountry { (choices.countries, choices.otherCountries) = ([], choices.otherCountries ?? []) }
            if anyHours { choices.hours = [] }
            if noReply { choices.reply = [] }
            let request = SetPolicy(policy: policy, name: name, choices: choices, isDryRun: flags.dryRun)
            try PolicyCommand.show(try await node.perform(request), output)
        }
    }

    struct Move: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change the order: the first that matches decides.",
            discussion: """
                Examples:
                  sallyport policy move admins --first
                  sallyport policy move contractors --before staff
                """)

        @Argument(help: "The policy's name.") var name: String
        @OptionGroup(title: "Place") var place: PolicyPlaceFlags
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if place.place == nil { throw ValidationError("Give --first, --last, --before POLICY or --after POLICY.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(MovePolicy(name: name, place: place.place ?? .last)))
        }
    }

    struct Remove: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a policy; its revisions are kept.",
            discussion: """
                Example:
                  sallyport policy remove contractors --yes
                """)

        @Argument(help: "The policy's name.") var name: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(ShowPolicy(name: name))
            try options.prompts.confirm("Remove policy \(answer.policy.name)? \(answer.meaning)", isYes: confirmation.isYes)
            try output.show(try await node.perform(RemovePolicy(name: name)))
        }
    }

    struct Diff: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare two revisions of a policy.",
            discussion: """
                Without numbers: the newest with the one before it.

                Examples:
                  sallyport policy diff staff
                  sallyport policy diff staff --from 1 --to 3
                """)

        @Argument(help: "The policy's name.") var name: String
        @Option(help: ArgumentHelp("The older revision.", valueName: "number")) var from: Int?
        @Option(help: ArgumentHelp("The newer one.", valueName: "number")) var to: Int?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(DiffPolicy(name: name, from: from, to: to))) { answer in
                output.line("\(answer.name)@\(answer.from) → \(answer.name)@\(answer.to)")
                output.lines(answer.differences.isEmpty ? ["  no difference"] : answer.differences.map { "  " + SafeText.line($0) })
            }
        }
    }
}

extension PolicyCommand {
    static func time(_ text: String?) throws -> Instant? {
        guard let text else { return nil }
        if let time = TimeText.parse(text) { return time }
        throw Refusal(
            .invalid, "`\(SafeText.line(text))` is not a time.", remedy: "Write it as 2h, today, 2026-11-21 or '2026-11-21 14:00'.",
            place: "--at")
    }

    fileprivate static func show(_ answer: AddPolicy.Answer, _ output: Output) throws {
        try output.show(answer, warnings: answer.warnings) { output.done($0.message) }
    }

    fileprivate static func requirement(_ policy: PolicyView) -> Span {
        let text = policy.require + (policy.factors.map { ": \($0.joined(separator: ", "))" } ?? "")
        return Span(text, policy.require == "password" ? .warn : .plain)
    }

    fileprivate static func sheet(_ policy: PolicyView, _ output: Output, position: Int?) {
        func any(_ items: [String]) -> Span { items.isEmpty ? Span("any", .soft) : output.list(items) }
        var sheet = Sheet()
        sheet.add("Name", Span(policy.name, .strong))
        sheet.add("Place", position.map { Span("\($0)") })
        sheet.add("Revision", Span("\(policy.revision), since \(TimeText.full(policy.since, output.terminal))"))
        sheet.add("Groups", any(policy.groups))
        sheet.add("Clients", any(policy.clients))
        sheet.add("Client tags", any(policy.clientTags))
        if !policy.methods.isEmpty { sheet.add("Methods", any(policy.methods)) }
        if !policy.realms.isEmpty { sheet.add("Realms", any(policy.realms)) }
        if !policy.users.isEmpty { sheet.add("Users", any(policy.users)) }
        if !policy.networks.isEmpty { sheet.add("Networks", any(policy.networks)) }
        if !policy.otherNetworks.isEmpty { sheet.add("Not networks", any(policy.otherNetworks)) }
        if !policy.countries.isEmpty { sheet.add("Countries", any(policy.countries)) }
        if !policy.otherCountries.isEmpty { sheet.add("Not countries", any(policy.otherCountries)) }
        if !policy.hours.isEmpty { sheet.add("Hours", any(policy.hours)) }
        sheet.add("Requires", Span(policy.require))
        if policy.require.hasSuffix("factor") {
            sheet.add("Factors", any(policy.factors ?? []))
            sheet.add("Un-enrolled", Span(policy.unenrolledText))
        }
        sheet.add("Remembers", Span(policy.remember))
        if let most = policy.sessions { sheet.add("Sessions", Span("\(most) at most")) }
        if !policy.reply.isEmpty { sheet.add("Accept carries", ReplyFlags.spans(policy.reply)) }
        sheet.add("Mode", policy.isReportOnly ? Span("report-only", .warn) : Span("decides"))
        output.lines(sheet.lines(output.terminal))
    }
}
