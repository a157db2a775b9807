// SPDX-License-Identifier: Apache-2.0
// sallyport group: named sets of users.

import Administration
import ArgumentParser

struct GroupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group", abstract: "Named sets of users.",
        discussion: """
            Examples:
              sallyport group add staff --user alice --user bob
              sallyport group add everybody --group staff --group contractors
            """,
        subcommands: [Add.self, List.self, Show.self, Set.self, Remove.self])
}

extension GroupCommand {
    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a group.",
            discussion: """
                Example:
                  sallyport group add staff --user alice
                """)

        @Argument(help: "The group's name.") var name: String
        @Option(name: .customLong("user"), help: ArgumentHelp("A member; can be repeated.", valueName: "user")) var users: [String] = []
        @Option(name: .customLong("group"), help: ArgumentHelp("A group whose users are members too; can be repeated.", valueName: "group"))
        var groups: [String] = []
        @Option(help: ArgumentHelp("How many sessions each member may have open, or any.", valueName: "count")) var sessions: SessionCount?
        @Option(help: ArgumentHelp("The directory where its members' passwords live.", valueName: "directory")) var directory: String?
        @OptionGroup var reply: ReplyFlags
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(
                try await node.perform(
                    AddGroup(
                        name: name, users: users, groups: groups, reply: try reply.settings ?? [], sessions: sessions?.most,
                        directory: directory)))
        }
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List groups.",
            discussion: """
                Example:
                  sallyport group list
                """)

        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ListGroups())) { list in
                guard !list.groups.isEmpty else { return output.line("No groups.") }
                var table = Table([.init("NAME", isFlexible: true), .init("USERS", isRight: true), .init("GROUPS", isRight: true)])
                for group in list.groups {
                    table.rows.append([Span(group.name, .strong), Span("\(group.users)"), Span("\(group.groups)")])
                }
                output.lines(table.lines(output.terminal))
            }
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the members of a group.",
            discussion: """
                Example:
                  sallyport group show staff
                """)

        @Argument(help: "The group's name.") var name: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ShowGroup(name: name))) { group in
                var sheet = Sheet()
                sheet.add("Name", Span(group.name, .strong))
                sheet.add("Users", group.users.map { Span($0) })
                sheet.add("Groups", group.groups.map { Span($0) })
                if let most = group.sessions { sheet.add("Sessions", Span("\(most) at most, for each member")) }
                if let directory = group.directory {
                    sheet.add("Passwords", directory == "local" ? "here" : Span("at directory \(directory)"))
                }
                if !group.reply.isEmpty { sheet.add("Accept carries", ReplyFlags.spans(group.reply)) }
                output.lines(sheet.lines(output.terminal))
            }
        }
    }

    struct Set: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Rename a group, change its members, what their accepts carry, or how many sessions they may have.",
            discussion: """
                Examples:
                  sallyport group set staff --add-user carol --remove-user bob
                  sallyport group set everybody --add-group contractors
                  sallyport group set staff --reply group=vpn-staff --sessions 2
                  sallyport group set staff --directory nps
                """)

        @Argument(help: "The group's name.") var group: String
        @Option(help: ArgumentHelp("A new name.", valueName: "name")) var name: String?
        @Option(help: ArgumentHelp("A user who joins; can be repeated.", valueName: "user")) var addUser: [String] = []
        @Option(help: ArgumentHelp("A user who leaves.", valueName: "user")) var removeUser: [String] = []
        @Option(help: ArgumentHelp("A group that joins.", valueName: "group")) var addGroup: [String] = []
        @Option(help: ArgumentHelp("A group that leaves.", valueName: "group")) var removeGroup: [String] = []
        @Option(help: ArgumentHelp("How many sessions each member may have open, or any.", valueName: "count")) var sessions: SessionCount?
        @Option(
            help: ArgumentHelp(
                "The directory where passwords of members live whose own is not set; local; or none: the client says.",
                valueName: "directory"))
        var directory: String?
        @OptionGroup var reply: ReplyFlags
        @Flag(help: "Take all reply attributes away.") var noReply = false
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if noReply, !reply.reply.isEmpty { throw ValidationError("Use one of --reply and --no-reply.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var request = SetGroup(group: group)
            request.reply = noReply ? [] : try reply.settings
            request.name = name
            request.directory = directory
            request.addUsers = addUser
            request.removeUsers = removeUser
            request.addGroups = addGroup
            request.removeGroups = removeGroup
            request.sessions = sessions?.most
            try output.show(try await node.perform(request))
        }
    }

    struct Remove: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a group; its members are kept.",
            discussion: """
                Example:
                  sallyport group remove staff --yes
                """)

        @Argument(help: "The group's name.") var name: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let group = try await node.perform(ShowGroup(name: name))
            try options.prompts.confirm(
                "Remove group \(group.name)? Its \(Words.count(group.users.count, "user")) stay.", isYes: confirmation.isYes)
            try output.show(try await node.perform(RemoveGroup(name: name)))
        }
    }
}
