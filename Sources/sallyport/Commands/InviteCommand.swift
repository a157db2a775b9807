// SPDX-License-Identifier: Apache-2.0
// sallyport user invite: a one-time link to set the first password.

import Administration
import ArgumentParser

struct InviteFlags: ParsableArguments {
    @Option(help: ArgumentHelp("The channel that the mail goes by; as a rule the first.", valueName: "channel")) var channel: String?
    @Flag(name: .customLong("print"), help: "Show the link, and send nothing.") var isPrinted = false
    @Option(help: ArgumentHelp("How long the link opens something: 72h (as a rule), 7d.", valueName: "time")) var validFor: String?

    var isGiven: Bool { channel != nil || isPrinted || validFor != nil }

    func perform(_ user: String, _ node: NodeConnection) async throws -> InviteUser.Answer {
        try await node.perform(InviteUser(user: user, channel: channel, isPrinted: isPrinted, validity: validFor))
    }

    static func show(_ answer: InviteUser.Answer, _ output: Output) throws {
        try output.show(answer, warnings: answer.warnings) { answer in
            output.done(answer.message)
            if let link = answer.link { output.line(link.text) }
            output.line(Span("The link works once, until \(TimeText.full(answer.expires, output.terminal)).", .soft))
        }
    }
}

struct InviteCommand: NodeCommand {
    static let configuration = CommandConfiguration(
        commandName: "invite", abstract: "Give a user without a password a one-time link to set one.",
        discussion: """
            It goes by mail where there is a channel and the user has an address; else it is shown, to be handed over. A link of before opens
            nothing any more.

            Examples:
              sallyport user invite alice
              sallyport user invite alice --print --valid-for 24h
            """)

    @Argument(help: "Login name or alias.") var name: String
    @OptionGroup var flags: InviteFlags
    @OptionGroup var options: GlobalOptions

    func run(_ node: NodeConnection, _ output: Output) async throws {
        try InviteFlags.show(try await flags.perform(name, node), output)
    }
}

struct OnboardingList {
    static func show(_ answer: ListOnboarding.Answer, _ output: Output) throws {
        try output.show(answer) { answer in
            guard !answer.users.isEmpty else { return output.line("Nobody was invited.") }
            var table = Table([
                .init("NAME", isFlexible: true), .init("STATE"), .init("INVITED"), .init("E-MAIL", isFlexible: true),
                .init("WHAT", isFlexible: true),
            ])
            for user in answer.users {
                table.rows.append([
                    Span(user.name, .strong), Span(words(user.state), tone(user.state)), output.ago(user.invited),
                    user.email.map { Span($0) } ?? .none, what(user, output),
                ])
            }
            output.lines(table.lines(output.terminal))
            if let next = answer.next { output.warn("There are more: add --after \(Words.argument(next)), or a larger --limit.") }
        }
    }

    static func words(_ state: Onboarding.State) -> String { state.rawValue.replacing("-", with: " ") }

    static func tone(_ state: Onboarding.State) -> Tone {
        switch state {
        case .active: .good
        case .mailFailed, .linkExpired, .disabled: .bad
        case .mailWaiting, .mailSent, .linkHandedOut, .linkOpened: .plain
        }
    }

    static func what(_ user: Onboarding, _ output: Output) -> Span {
        let again = "sallyport user invite \(Words.argument(user.name))"
        switch user.state {
        case .active: return user.activated.map { Span("password set \(TimeText.ago($0, output.terminal))") } ?? Span("has a password")
        case .mailFailed: return Span("\(user.problem.map { "\($0); " } ?? "")again: \(again)", .bad)
        case .linkExpired: return Span("again: \(again)", .bad)
        case .mailWaiting: return user.problem.map { Span($0, .warn) } ?? .none
        case .disabled: return .none
        case .mailSent, .linkHandedOut, .linkOpened:
            return user.expires.map { Span("until \(TimeText.full($0, output.terminal))") } ?? .none
        }
    }
}
