// SPDX-License-Identifier: Apache-2.0
// sallyport directory: where passwords live that are not kept here.

import Administration
import ArgumentParser
import LoginEngine

struct DirectoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "directory", abstract: "Other servers that know passwords: Active Directory, LDAP, NPS, FreeRADIUS.",
        discussion: """
            Examples:
              sallyport directory add corp --type active-directory --server ldaps://dc1.corp.example --base dc=corp,dc=example
              sallyport directory add nps --server 192.0.2.10 --server 192.0.2.11 --secret-stdin
              sallyport directory test nps
              sallyport group set staff --directory nps
            """,
        subcommands: [Add.self, List.self, Show.self, Set.self, DirectoryServerCommand.self, Test.self, Sync.self, Remove.self])
}

/// Every field of a directory, for `add` and `set`.
struct DirectoryFlags: ParsableArguments {
    @Option(
        name: .customLong("server"),
        help: ArgumentHelp(
            "Address or host name of a RADIUS server, or ldaps://, starttls:// or ldap:// and the name of an LDAP server; asked in this order, can be repeated, replaces all.",
            valueName: "address"))
    var servers: [String] = []
    @Flag(help: "Read the secret that its servers share with this one, one line, from standard input.") var secretStdin = false
    @Option(help: ArgumentHelp("How long each sending waits, as a rule 3s.", valueName: "time")) var timeout: String?
    @Option(help: ArgumentHelp("How often one server is asked before the next, 1 to 5, as a rule 2.", valueName: "count")) var tries: Int?
    @Option(
        name: .customLong("message-authenticator"),
        help: ArgumentHelp("require or allow: replies that come without it (BlastRADIUS).", valueName: "rule"))
    var messageAuthenticator: String?
    @Option(
        name: .customLong("send-name"),
        help: ArgumentHelp("own or typed: the user's login name, or what the gateway sent, realm and all.", valueName: "which"))
    var sends: String?
    @Option(
        name: .customLong("take"),
        help: ArgumentHelp(
            "An attribute that is taken over from its accepts, such as Class; can be repeated, replaces all.", valueName: "attribute"))
    var takes: [String] = []

    func choices(_ prompts: Prompts) throws -> DirectoryChoices {
        var choices = DirectoryChoices()
        choices.servers = servers.isEmpty ? nil : servers
        if secretStdin { choices.secret = try prompts.secret("Shared secret") }
        choices.timeout = timeout
        choices.tries = tries
        choices.messageAuthenticator = messageAuthenticator
        choices.sends = sends
        choices.takes = takes.isEmpty ? nil : takes
        return choices
    }
}

extension DirectoryCommand {
    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register Active Directory, an LDAP directory or another RADIUS server as the place where passwords live.",
            discussion: """
                Of RADIUS, Message-Authenticator is always sent, and asked back. Groups named directory/group are filled at each login.

                Examples:
                  pass show radius/nps | sallyport directory add nps --server 192.0.2.10 --server 192.0.2.11 --secret-stdin
                  sallyport directory add corp --type active-directory --server ldaps://dc1.corp.example --server ldaps://dc2.corp.example --base dc=corp,dc=example --ca /etc/sallyport/corp-ca.pem --domain corp.example --domain CORP
                  pass show ldap/reader | sallyport directory add ldap --type ldap --server starttls://ldap.example --base dc=example --account cn=reader,dc=example --password-stdin
                  sallyport directory add old --server 192.0.2.20:1645 --timeout 5s --take Class --take Filter-Id --secret-stdin
                """)

        @Argument(help: "Its name: lower case letters, digits, -, _ and dots.") var name: String
        @Option(help: ArgumentHelp("radius, ldap or active-directory: what it is asked by.", valueName: "type")) var type = "radius"
        @OptionGroup(title: "Directory options") var flags: DirectoryFlags
        @OptionGroup(title: "LDAP options") var ldap: LDAPFlags
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var choices = try flags.choices(options.prompts)
            choices.type = type
            try ldap.choose(&choices, options.prompts)
            try output.show(try await node.perform(AddDirectory(name: name, choices: choices)))
        }
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List directories and which of their servers answer.",
            discussion: """
                Example:
                  sallyport directory list
                """)

        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ListDirectories())) { list in
                guard !list.directories.isEmpty else { return output.line("No directories.") }
                var table = Table([
                    .init("NAME", isFlexible: true), .init("TYPE"), .init("USERS", isRight: true), .init("GROUPS", isFlexible: true),
                    .init("CLIENTS", isFlexible: true), .init("SERVERS", isFlexible: true), .init("STATE", isFlexible: true),
                ])
                for directory in list.directories {
                    table.rows.append([
                        Span(directory.name, .strong), Span(directory.type), Span("\(directory.users)"),
                        output.list(directory.groups), output.list(directory.clients),
                        Span(directory.servers.map(\.address).joined(separator: ", ")), DirectoryCommand.state(directory),
                    ])
                }
                output.lines(table.lines(output.terminal))
            }
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a directory.",
            discussion: """
                Example:
                  sallyport directory show nps
                """)

        @Argument(help: "The directory's name.") var name: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let view = try await node.perform(ShowDirectory(name: name))
            try output.show(view, warnings: view.warnings) { view in
                var sheet = Sheet()
                sheet.add("Name", Span(view.name, .strong))
                sheet.add("Type", Span(view.type))
                sheet.add(
                    "Servers",
                    view.servers.map { server in
                        let own = server.hasOwnSecret ? ", with a secret of its own" : ""
                        guard let state = server.state else { return Span(server.address + own) }
                        return Span("\(server.address)\(server.place): \(state.words)\(own)", state.tone)
                    })
                if let ldap = view.ldap { return output.lines(DirectoryCommand.sheet(sheet, view, ldap, output).lines(output.terminal)) }
                let timeout = view.timeout % 1_000 == 0 ? "\(view.timeout / 1_000)s" : "\(view.timeout)ms"
                sheet.add("Asks", Span("each server \(Words.count(view.tries, "time")), \(timeout) each"))
                sheet.add("Message-Authenticator", Span(view.messageAuthenticator))
                sheet.add("Sends name", Span(view.sends))
                sheet.add("Takes over", view.takes.isEmpty ? .none : Span(view.takes.joined(separator: ", ")))
                sheet.add("Users", Span("\(view.users)"))
                if !view.groups.isEmpty { sheet.add("Groups", output.list(view.groups)) }
                if !view.clients.isEmpty { sheet.add("Clients", output.list(view.clients)) }
                sheet.add("State", view.isEnabled ? Span("enabled", .good) : Span("disabled", .warn))
                output.lines(sheet.lines(output.terminal))
            }
        }
    }

    struct Set: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a directory.",
            discussion: """
                Examples:
                  sallyport directory set nps --server 192.0.2.10 --server 192.0.2.12
                  sallyport directory set nps --secret-stdin
                  sallyport directory set nps --take none
                """)

        @Argument(help: "The directory's name.") var directory: String
        @Option(name: .customLong("name"), help: ArgumentHelp("A new name.", valueName: "name")) var newName: String?
        @OptionGroup(title: "Directory options") var flags: DirectoryFlags
        @OptionGroup(title: "LDAP options") var ldap: LDAPFlags
        @Flag(help: "Ask it again.") var enable = false
        @Flag(help: "Ask it nothing: its users are not let in.") var disable = false
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if enable, disable { throw ValidationError("Use one of --enable and --disable.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var choices = try flags.choices(options.prompts)
            if choices.takes == ["none"] { choices.takes = [] }
            try ldap.choose(&choices, options.prompts)
            if enable || disable { choices.isEnabled = enable }
            try output.show(try await node.perform(SetDirectory(directory: directory, name: newName, choices: choices)))
        }
    }

    struct Test: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ask every server of a directory whether it is there, or about one user's password.",
            discussion: """
                Without a user each RADIUS server is sent Status-Server (RFC 5997), which NPS does not know. Of LDAP each step is shown with its
                time: name, connection, TLS, account, search, mapping, groups, password. A wrong password counts there.

                Examples:
                  sallyport directory test nps
                  pass show alice | sallyport directory test nps --user alice --password-stdin
                  sallyport directory test ldap --user alice
                """)

        @Argument(help: "The directory's name.") var name: String
        @Option(help: ArgumentHelp("Whose password is asked about, as the servers know the name.", valueName: "user")) var user: String?
        @Flag(help: "Read the password, one line, from standard input.") var passwordStdin = false
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if user == nil, passwordStdin { throw ValidationError("--password-stdin is the password of --user.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var request = TestDirectory(name: name, user: user)
            if passwordStdin { request.password = try options.prompts.secret("Password", isRepeated: false) }
            let answer = try await node.perform(request)
            try output.show(answer) { answer in
                for result in answer.results {
                    let time = result.milliseconds.map { " (\($0) ms)" } ?? ""
                    let step = result.step.map { ", \($0)" } ?? ""
                    let isGood = result.isDone && result.outcome != "rejected"
                    output.line(
                        Span("\(result.outcome)  ", (result.step == nil ? result.isDone : isGood) ? .good : .bad),
                        Span("\(result.server)\(step)\(time): \(result.message)"))
                    for value in result.values ?? [] { output.line(Span("          \(value)")) }
                    if let remedy = result.remedy { output.line(Span("          \(remedy)", .warn)) }
                }
            }
            if answer.results.contains(where: { !$0.isDone }) { throw ExitCode(69) }
            if answer.results.contains(where: { $0.outcome == "rejected" }) { throw ExitCode(2) }
        }
    }

    struct Remove: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a directory where nobody's password lives.",
            discussion: """
                Example:
                  sallyport directory remove nps --yes
                """)

        @Argument(help: "The directory's name.") var name: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let directory = try await node.perform(ShowDirectory(name: name))
            try options.prompts.confirm("Remove directory \(directory.name)?", isYes: confirmation.isYes)
            try output.show(try await node.perform(RemoveDirectory(name: name)))
        }
    }

    static func state(_ directory: DirectorySummary) -> Span {
        guard directory.isEnabled else { return Span("disabled", .warn) }
        let states = directory.servers.compactMap { server in server.state.map { (server, $0) } }
        guard let first = states.first else { return .none }
        let bad = states.filter { $0.1.tone == .bad }
        if !bad.isEmpty { return Span(bad.map { "\($0.0.address): \($0.1.words)" }.joined(separator: "; "), .bad) }
        let heard = states.filter { $0.1.tone == .good }
        return heard.isEmpty ? Span(first.1.words, first.1.tone) : Span("answers", .good)
    }
}

extension DirectorySummary.ServerView {
    /// A request is on its way at any moment; one that waits for so long is one that nobody answers.
    private static let patience: Timestamp.Span = .seconds(10)

    /// What is known of it; nil where no node runs that would know.
    var state: (words: String, tone: Tone)? {
        guard let isUp else { return nil }
        if let name, name.addresses.isEmpty { return (name.problem.map { "is not found: \($0)" } ?? "is being looked up", .bad) }
        if !isUp {
            let before = lastHeard.map { ", answered last \($0)" } ?? ", never answered"
            return ("silent" + (downSince.map { " since \($0)" } ?? "") + before + (problem.map { " (\($0))" } ?? ""), .bad)
        }
        let last = lastHeard.map { "answered last \($0)" }
        if let askedSince, askedSince.timestamp + Self.patience < NodeClock.now().wall {
            return ("no answer to what was asked since \(askedSince)" + (last.map { ", \($0)" } ?? ""), .bad)
        }
        return last.map { ("answers, " + $0.replacing("answered ", with: ""), .good) } ?? ("not asked yet", .plain)
    }

    /// What its name stands for: ` (192.0.2.10:1812, found 2026-11-21T12:03:11.482Z)`.
    var place: String {
        guard let name, !name.addresses.isEmpty else { return "" }
        let now = name.problem.map { "; not found now: \($0)" } ?? ""
        return " (\(name.addresses.joined(separator: ", "))" + (name.found.map { ", found \($0)" } ?? "") + now + ")"
    }
}
