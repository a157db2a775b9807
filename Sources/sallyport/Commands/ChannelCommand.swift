// SPDX-License-Identifier: Apache-2.0
// sallyport channel: ways to reach people.

import Administration
import ArgumentParser
import LoginEngine

struct ChannelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "channel", abstract: "Ways to reach people: the mail server that invitations go by.",
        discussion: """
            Examples:
              sallyport channel add mail --server smtp.corp.example:587 --from vpn@corp.example --user vpn --password-stdin
              sallyport channel test mail --to me@corp.example
              sallyport user invite alice
            """,
        subcommands: [Add.self, List.self, Show.self, Set.self, Test.self, Remove.self])

    static let largestFile = 1 << 20
}

/// Every field of a channel, for `add` and `set`.
struct ChannelFlags: ParsableArguments {
    @Option(help: ArgumentHelp("Host name or address of the mail server, with a port where it is not the usual one.", valueName: "server"))
    var server: String?
    @Option(
        help: ArgumentHelp("starttls (as a rule; port 587), tls (port 465), or none, for a server on this host.", valueName: "how"))
    var tls: String?
    @Option(
        help: ArgumentHelp(
            "PEM file of who may have signed the server's certificate, in place of the system's; or none.", valueName: "file"),
        completion: .file())
    var ca: String?
    @Option(help: ArgumentHelp("Whose mail it is: vpn@corp.example.", valueName: "address")) var from: String?
    @Option(help: ArgumentHelp("What people see beside that address; empty for nothing.", valueName: "name")) var fromName: String?
    @Option(help: ArgumentHelp("Who logs in at the server; empty for nobody.", valueName: "name")) var user: String?
    @Flag(help: "Read that user's password, one line, from standard input.") var passwordStdin = false
    @Option(help: ArgumentHelp("How long one mail may take, 1s to 120s, as a rule 30s.", valueName: "time")) var timeout: String?
    @Option(help: ArgumentHelp("How many mails go out in a minute at most, as a rule 60.", valueName: "count")) var perMinute: Int?

    func choices(_ prompts: Prompts) throws -> ChannelChoices {
        var choices = ChannelChoices()
        choices.server = server
        choices.tls = tls
        if let ca { choices.authorities = ca == "none" ? "" : try Self.authorities(ca) }
        choices.from = from
        choices.fromName = fromName
        choices.user = user
        if passwordStdin { choices.password = try prompts.secret("Password") }
        choices.timeout = timeout
        choices.perMinute = perMinute
        return choices
    }

    static func authorities(_ path: String) throws -> String {
        guard let text = String(validating: try TextFile.read(path, limit: ChannelCommand.largestFile), as: UTF8.self), !text.isEmpty else {
            throw Refusal(.invalid, "This is no file of certificates in PEM.", remedy: "Name another one.", place: path)
        }
        return text
    }
}

extension ChannelCommand {
    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register a mail server.",
            discussion: """
                Nothing is sent before TLS is agreed on and the server's certificate is found right, unless --tls none says otherwise.

                Examples:
                  pass show smtp/vpn | sallyport channel add mail --server smtp.corp.example --from vpn@corp.example --user vpn --password-stdin
                  sallyport channel add mail --server localhost:25 --tls none --from vpn@corp.example --from-name 'VPN of Corp'
                  sallyport channel add mail --server 192.0.2.25:465 --tls tls --ca corp-ca.pem --from vpn@corp.example
                """)

        @Argument(help: "Its name: lower case letters, digits, -, _ and dots.") var name: String
        @Option(help: ArgumentHelp("smtp: what it speaks.", valueName: "type")) var type = "smtp"
        @OptionGroup(title: "Channel options") var flags: ChannelFlags
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var choices = try flags.choices(options.prompts)
            choices.type = type
            try output.show(try await node.perform(AddChannel(name: name, choices: choices)))
        }
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List channels.",
            discussion: """
                Example:
                  sallyport channel list
                """)

        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ListChannels())) { list in
                guard !list.channels.isEmpty else { return output.line("No channels.") }
                var table = Table([
                    .init("NAME", isFlexible: true), .init("TYPE"), .init("SERVER", isFlexible: true), .init("TLS"),
                    .init("FROM", isFlexible: true), .init("STATE"),
                ])
                for channel in list.channels {
                    table.rows.append([
                        Span(channel.name, .strong), Span(channel.type), Span(channel.server),
                        channel.tls == "none" ? Span("none", .warn) : Span(channel.tls), Span(channel.from),
                        channel.isEnabled ? Span("enabled", .good) : Span("disabled", .warn),
                    ])
                }
                output.lines(table.lines(output.terminal))
            }
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a channel.",
            discussion: """
                Example:
                  sallyport channel show mail
                """)

        @Argument(help: "The channel's name.") var name: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let view = try await node.perform(ShowChannel(name: name))
            try output.show(view, warnings: view.warnings) { view in
                var sheet = Sheet()
                sheet.add("Name", Span(view.name, .strong))
                sheet.add("Type", Span(view.type))
                sheet.add("Server", Span(view.server))
                sheet.add("TLS", view.tls == "none" ? Span("none", .warn) : Span(view.tls))
                sheet.add("Authorities", Span(view.hasOwnAuthorities ? "its own" : "the system's"))
                sheet.add("From", Span(view.from))
                if let name = view.fromName { sheet.add("From name", Span(name)) }
                sheet.add("Logs in as", view.user.map { Span($0) } ?? Span.none)
                sheet.add("Time for a mail", Span("\(view.timeout)s"))
                sheet.add("At most", Span("\(Words.count(view.perMinute, "mail")) a minute"))
                sheet.add("State", view.isEnabled ? Span("enabled", .good) : Span("disabled", .warn))
                output.lines(sheet.lines(output.terminal))
            }
        }
    }

    struct Set: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a channel.",
            discussion: """
                What waited because it could not be sent is tried again at once. A password that is kept is shown to no other server: with another
                one it is given anew.

                Examples:
                  sallyport channel set mail --from-name 'VPN of Corp'
                  sallyport channel set mail --password-stdin
                  sallyport channel set mail --disable
                """)

        @Argument(help: "The channel's name.") var channel: String
        @Option(name: .customLong("name"), help: ArgumentHelp("A new name.", valueName: "name")) var newName: String?
        @OptionGroup(title: "Channel options") var flags: ChannelFlags
        @Flag(help: "Send by it again.") var enable = false
        @Flag(help: "Send nothing: what is to go by it waits.") var disable = false
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if enable, disable { throw ValidationError("Use one of --enable and --disable.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var choices = try flags.choices(options.prompts)
            if enable || disable { choices.isEnabled = enable }
            try output.show(try await node.perform(SetChannel(channel: channel, name: newName, choices: choices)))
        }
    }

    struct Test: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send a mail, and show what the server answers at each step.",
            discussion: """
                It goes out at once, from the node or, where none runs, from here.

                Example:
                  sallyport channel test mail --to me@corp.example
                """)

        @Argument(help: "The channel's name.") var name: String
        @Option(name: .customLong("to"), help: ArgumentHelp("Who gets it.", valueName: "address")) var recipient: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(TestChannel(name: name, recipient: recipient))
            try output.show(answer) { answer in
                var table = Table([.init("STEP"), .init("MS", isRight: true), .init("ANSWER", isFlexible: true)])
                for step in answer.steps {
                    table.rows.append([
                        Span(step.step, step.isDone ? .good : .bad), Span("\(step.milliseconds)", .soft), Span(step.reply),
                    ])
                }
                if !table.rows.isEmpty { output.lines(table.lines(output.terminal)) }
                if answer.outcome == "accepted" {
                    output.done(answer.message)
                } else {
                    output.line(Span(answer.message, .bad))
                }
            }
            if answer.outcome != "accepted" { throw ExitCode(answer.outcome == "refused" ? 1 : 69) }
        }
    }

    struct Remove: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a channel, with what waits to go by it.",
            discussion: """
                Example:
                  sallyport channel remove mail --yes
                """)

        @Argument(help: "The channel's name.") var name: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let channel = try await node.perform(ShowChannel(name: name))
            try options.prompts.confirm("Remove channel \(channel.name)?", isYes: confirmation.isYes)
            try output.show(try await node.perform(RemoveChannel(name: name)))
        }
    }
}
