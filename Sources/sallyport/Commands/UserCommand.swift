// SPDX-License-Identifier: Apache-2.0
// sallyport user: who may log in.

import Administration
import ArgumentParser

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "People who log in.",
        discussion: """
            Examples:
              sallyport user add alice --email alice@example.org --group staff --password-stdin
              sallyport user list --without-factor
              sallyport user unlock alice
              sallyport user explain 'CORP\\alice' --client office
            """,
        subcommands: [
            Add.self, List.self, Show.self, Explain.self, Set.self, Disable.self, Enable.self, Unlock.self, Remove.self, Erase.self,
            InviteCommand.self, DeviceCommand.self, Import.self,
        ])
}

extension UserCommand {
    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a user.",
            discussion: """
                The password is read from standard input, on a terminal twice and hidden; without one nobody can log in as this user yet. With
                --invite the user sets it: a one-time link goes out by mail, or is shown where there is no channel for it.

                Examples:
                  sallyport user add alice --email alice@example.org --group staff --invite
                  sallyport user add alice --email alice@example.org --group staff --password-stdin
                  sallyport user add bob --alias bob@example.org --alias 'CORP\\bob'
                """)

        @Argument(help: "The login name.") var name: String
        @Option(help: ArgumentHelp("E-mail address.", valueName: "address")) var email: String?
        @Option(help: ArgumentHelp("Phone number with its country, +49 30 1234567.", valueName: "number")) var phone: String?
        @Option(help: ArgumentHelp("Such as Europe/Berlin.", valueName: "zone")) var timeZone: String?
        @Option(name: .customLong("group"), help: ArgumentHelp("A group to join; can be repeated.", valueName: "group")) var groups:
            [String] = []
        @Option(name: .customLong("alias"), help: ArgumentHelp("Another name to log in with; can be repeated.", valueName: "name"))
        var aliases: [String] = []
        @Flag(help: "Read the password, one line, from standard input.") var passwordStdin = false
        @Option(help: ArgumentHelp("The directory where the password lives.", valueName: "directory")) var directory: String?
        @Option(help: ArgumentHelp("How many sessions may be open at once, or any.", valueName: "count")) var sessions: SessionCount?
        @Flag(help: "Have the user set the password by a one-time link.") var invite = false
        @OptionGroup(title: "Invitation") var invitation: InviteFlags
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if invite, passwordStdin { throw ValidationError("Use one of --invite and --password-stdin.") }
            if invitation.isGiven, !invite { throw ValidationError("--channel, --print and --valid-for go with --invite.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let password = passwordStdin ? try options.prompts.secret("Password") : nil
            // Whoever was added could not be added again by the same command.
            if let channel = invitation.channel { _ = try await node.perform(ShowChannel(name: channel)) }
            let done = try await node.perform(
                AddUser(
                    name: name, email: email, phone: phone, timeZone: timeZone, groups: groups, aliases: aliases, password: password,
                    directory: directory, sessions: sessions?.most, awaitsInvitation: invite ? true : nil))
            guard invite else { return try output.show(done) }
            if !output.isJSON { try output.show(done) }
            try InviteFlags.show(try await invitation.perform(name, node), output)
        }
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List users.",
            discussion: """
                Examples:
                  sallyport user list --search ali
                  sallyport user list --group staff --without-factor --json
                  sallyport user list --onboarding
                """)

        @Option(help: ArgumentHelp("Part of a name, alias or e-mail address.", valueName: "text")) var search: String?
        @Option(help: ArgumentHelp("Members of this group.", valueName: "group")) var group: String?
        @Option(help: ArgumentHelp("active, disabled or pending.", valueName: "status")) var status: String?
        @Flag(help: "Only users who have no active second factor.") var withoutFactor = false
        @Option(help: ArgumentHelp("Whose passwords live at this directory.", valueName: "directory")) var directory: String?
        @Flag(help: "Users who were invited, and how far they are.") var onboarding = false
        @Option(help: ArgumentHelp("At most this many.", valueName: "count")) var limit = 100
        @Option(help: ArgumentHelp("Begin behind this name.", valueName: "name")) var after: String?
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            guard onboarding, search != nil || group != nil || status != nil || withoutFactor || directory != nil else { return }
            throw ValidationError("--onboarding goes with --limit and --after alone.")
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            if onboarding {
                return try OnboardingList.show(try await node.perform(ListOnboarding(after: after, limit: limit)), output)
            }
            let list = try await node.perform(
                ListUsers(
                    text: search, status: status, group: group, withoutFactor: withoutFactor, directory: directory, after: after,
                    limit: limit))
            try output.show(list) { list in
                guard !list.users.isEmpty else { return output.line("No users.") }
                var table = Table([
                    .init("NAME", isFlexible: true), .init("STATUS"), .init("FACTORS"), .init("GROUPS", isFlexible: true),
                    .init("E-MAIL", isFlexible: true),
                    .init("TO DO", isFlexible: true),
                ])
                for user in list.users {
                    table.rows.append([
                        Span(user.name, .strong), user.isLocked ? Span("\(user.status), locked", .warn) : .status(user.status),
                        output.list(user.factors), output.list(user.groups), user.email.map { Span($0) } ?? .none, Self.toDo(user),
                    ])
                }
                output.lines(table.lines(output.terminal))
                if let next = list.next { output.warn("There are more: add --after \(Words.argument(next)), or a larger --limit.") }
            }
        }

        private static func toDo(_ user: UserSummary) -> Span {
            var missing: [String] = []
            if !user.hasPassword, user.directory == nil { missing.append("no password") }
            if !user.factors.contains(where: { $0 != "recovery" }) { missing.append("no factor") }
            return missing.isEmpty ? .none : Span(missing.joined(separator: ", "), .warn)
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a user with factors, locks and latest logins.",
            discussion: """
                Example:
                  sallyport user show alice
                """)

        @Argument(help: "Login name or alias.") var name: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let user = try await node.perform(ShowUser(name: name))
            try output.show(user, warnings: user.warnings) { Self.sheet($0, output) }
        }

        static func sheet(_ user: UserView, _ output: Output) {
            var sheet = Sheet()
            sheet.add("Name", Span(user.name, .strong))
            sheet.add("Status", .status(user.status))
            if !user.locks.isEmpty { sheet.add("Locked", user.locks.map { Span(Self.lock($0, output), .warn) }) }
            if !user.aliases.isEmpty { sheet.add("Also known as", user.aliases.map { Span($0) }) }
            sheet.add("E-mail", user.email.map { Span($0) })
            sheet.add("Phone", user.phone.map { Span($0) })
            if let zone = user.timeZone { sheet.add("Time zone", Span(zone)) }
            sheet.add("Groups", output.list(user.groups))
            sheet.add("Password", password(user))
            if let onboarding = user.onboarding, onboarding.state != .active {
                sheet.add(
                    "Invitation", Span(OnboardingList.words(onboarding.state), OnboardingList.tone(onboarding.state)))
            }
            if let sessions = user.sessions { sheet.add("Sessions", Span(Self.sessions(sessions))) }
            sheet.add("Last accepted", output.ago(user.lastAccept))
            sheet.add("Added", output.time(user.created))
            output.lines(sheet.lines(output.terminal))
            if !user.factors.isEmpty {
                output.heading("Factors")
                FactorCommand.table(user.factors, output)
            }
            if let grants = user.grants, !grants.isEmpty {
                output.heading("Grants of the help desk")
                GrantCommand.table(grants, output, hasUser: false)
            }
            if !user.logins.isEmpty {
                output.heading("Latest logins")
                AuditCommand.table(user.logins, output, hasUser: false)
            }
            output.line()
        }

        private static func sessions(_ sessions: UserView.Sessions) -> String {
            let most = sessions.most.map { ", \($0) at most (\(sessions.by ?? "?"))" } ?? ""
            return "\(sessions.open) open\(most)"
        }

        private static func password(_ user: UserView) -> Span {
            let by = user.directoryBy.map { $0 == "user" ? "" : ", as \($0) says" } ?? ""
            if let directory = user.directory { return Span("at directory \(directory)\(by)") }
            let local = user.directoryBy.map { $0 == "user" ? ", here wherever it is asked for" : by } ?? ""
            return user.hasPassword ? Span("set\(local)") : Span("not set", .warn)
        }

        private static func lock(_ lock: LockView, _ output: Output) -> String {
            let source = lock.source.map { " from \($0)" } ?? ""
            return "\(lock.of)s\(source) until \(TimeText.full(lock.until, output.terminal))"
        }
    }

    struct Set: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a user.",
            discussion: """
                An empty text clears a field.

                Examples:
                  sallyport user set alice --phone '+49 30 1234567' --group vpn
                  sallyport user set alice --email '' --remove-alias alice@old.example
                  pass show alice | sallyport user set alice --password-stdin
                  sallyport user set alice --directory nps
                  sallyport user set alice --sessions 1
                """)

        @Argument(help: "Login name or alias.") var name: String
        @Option(name: .customLong("name"), help: ArgumentHelp("A new login name.", valueName: "name")) var newName: String?
        @Option(help: ArgumentHelp("E-mail address.", valueName: "address")) var email: String?
        @Option(help: ArgumentHelp("Phone number with its country.", valueName: "number")) var phone: String?
        @Option(help: ArgumentHelp("Such as Europe/Berlin.", valueName: "zone")) var timeZone: String?
        @Option(name: .customLong("alias"), help: ArgumentHelp("Add another name to log in with.", valueName: "name")) var aliases:
            [String] = []
        @Option(name: .customLong("remove-alias"), help: ArgumentHelp("Take one away.", valueName: "name")) var removeAliases: [String] = []
        @Option(name: .customLong("group"), help: ArgumentHelp("Join a group.", valueName: "group")) var groups: [String] = []
        @Option(name: .customLong("remove-group"), help: ArgumentHelp("Leave a group.", valueName: "group")) var removeGroups: [String] = []
        @Flag(help: "Read a new password, one line, from standard input.") var passwordStdin = false
        @Option(help: ArgumentHelp("The directory where the password lives, local, or none: group and client say.", valueName: "directory"))
        var directory: String?
        @Option(help: ArgumentHelp("How many sessions may be open at once; any: what groups and policies say.", valueName: "count"))
        var sessions: SessionCount?
        @Flag(help: "The password opens nothing until the user has changed it, by a device that speaks MS-CHAPv2.") var expirePassword =
            false
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var request = SetUser(user: name)
            request.expiresPassword = expirePassword ? true : nil
            request.name = newName
            request.email = email
            request.phone = phone
            request.timeZone = timeZone
            request.addAliases = aliases
            request.removeAliases = removeAliases
            request.addGroups = groups
            request.removeGroups = removeGroups
            request.directory = directory
            request.sessions = sessions?.most
            if passwordStdin { request.password = try options.prompts.secret("New password") }
            try output.show(try await node.perform(request))
        }
    }

    struct Disable: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Refuse every login of a user.",
            discussion: """
                Factors, password and devices are kept; the revocation list holds the devices back. Gateways are asked to end the user's open sessions (RFC 5176).

                Example:
                  sallyport user disable alice
                """)

        @Argument(help: "Login name or alias.") var name: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var request = SetUser(user: name)
            request.status = "disabled"
            try output.show(try await node.perform(request))
        }
    }

    struct Enable: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a disabled user log in again.",
            discussion: """
                Example:
                  sallyport user enable alice
                """)

        @Argument(help: "Login name or alias.") var name: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var request = SetUser(user: name)
            request.status = "active"
            try output.show(try await node.perform(request))
        }
    }

    struct Unlock: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "End the lock of a user, and forget counted failures.",
            discussion: """
                Example:
                  sallyport user unlock alice
                """)

        @Argument(help: "Login name or alias.") var name: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(UnlockUser(name: name)))
        }
    }

    struct Remove: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a user with all factors and devices.",
            discussion: """
                The trail keeps what happened. To keep a user out for a while, disable it.

                Example:
                  sallyport user remove alice --yes
                """)

        @Argument(help: "Login name or alias.") var name: String
        @Flag(help: "Also erase the person from the trail, as `user erase` does.") var erase = false
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            if erase { return try await Erase.perform(name, confirmation, options, node, output) }
            let user = try await node.perform(ShowUser(name: name))
            let factors = user.factors.isEmpty ? "" : " with \(Words.count(user.factors.count, "factor"))"
            try options.prompts.confirm("Remove user \(user.name)\(factors)?", isYes: confirmation.isYes)
            try output.show(try await node.perform(RemoveUser(name: name)))
        }
    }

    struct Erase: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a user, and erase the person from the trail.",
            discussion: """
                Names, addresses and what else belongs to the person go from every event, for good; what happened stays, and the trail still
                verifies. A node that is killed meanwhile goes on when it starts.

                Example:
                  sallyport user erase alice --yes
                """)

        @Argument(help: "Login name or alias.") var name: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try await Self.perform(name, confirmation, options, node, output)
        }

        static func perform(
            _ name: String, _ confirmation: Confirmation, _ options: GlobalOptions, _ node: NodeConnection, _ output: Output
        ) async throws {
            let user = try await node.perform(ShowUser(name: name))
            try options.prompts.confirm("Erase user \(user.name), and the person from the trail, for good?", isYes: confirmation.isYes)
            try output.show(try await node.perform(EraseUser(name: name)))
        }
    }

    struct Import: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add and change users from a CSV file.",
            discussion: """
                The first line names the columns: name, email, phone, groups, aliases, password; only name is needed. Several groups or aliases
                in one field stand between semicolons. Users that are there already are changed where the file differs; empty fields change
                nothing, and nobody leaves a group. Every line is checked before the first is written.

                Examples:
                  sallyport user import staff.csv --dry-run
                  sallyport user import - < staff.csv
                """)

        @Argument(help: ArgumentHelp("The file; - is standard input.", valueName: "file"), completion: .file(extensions: ["csv"])) var file:
            String
        @Flag(help: "Only print the plan.") var dryRun = false
        @OptionGroup var options: GlobalOptions

        static let largestFile = 8 << 20

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let bytes = file == "-" ? try Prompts.readAll(limit: Self.largestFile) : try TextFile.read(file, limit: Self.largestFile)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Refusal(.invalid, "The file is not UTF-8 text.", remedy: "Save it as \"CSV UTF-8\".", place: file)
            }
            let answer: ImportUsers.Answer
            do throws(Refusal) {
                answer = try await node.perform(ImportUsers(csv: SecretText(text), isDryRun: dryRun))
            } catch {
                throw error.place.map { error.at("\(file == "-" ? "standard input" : file), \($0)") } ?? error
            }
            try output.show(answer, warnings: answer.warnings) { Self.plan($0, output) }
        }

        private static func plan(_ answer: ImportUsers.Answer, _ output: Output) {
            var table = Table([.init("LINE", isRight: true), .init(""), .init("USER", isFlexible: true), .init("WHAT", isFlexible: true)])
            for step in answer.steps where step.action != "keep" {
                let sign: Span = step.action == "add" ? Span("+ add", .good) : Span("~ change", .warn)
                table.rows.append([Span("\(step.line)", .soft), sign, Span(step.user, .strong), output.list(step.differences)])
            }
            if !table.rows.isEmpty { output.lines(table.lines(output.terminal)) }
            func count(_ action: String) -> Int { answer.steps.count { $0.action == action } }
            let tally = "\(count("add")) added, \(count("change")) changed, \(count("keep")) the same already"
            output.done(answer.isDryRun ? "Plan: \(tally). Nothing was written." : "Imported: \(tally).")
        }
    }
}
