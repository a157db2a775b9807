// SPDX-License-Identifier: Apache-2.0
// Channels: ways to reach people.

internal import Channels
internal import Dispatch
internal import LoginEngine
internal import Store

extension AddChannel {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let name = try Valid.channelName(name)
        try operations.free(channel: name)
        let settings = try choices.apply(to: nil, name: name)
        _ = try await operations.records.addChannel(
            settings,
            event: operations.event(
                .channelAdded, by: actor, ["channel": name, "server": settings.server.description, "type": settings.kind.rawValue]))
        try await operations.ports.changed(.mail)
        return Done(
            "Added channel \(name): mail from \(settings.sender) by \(settings.server).",
            warnings: settings.warnings + ["`sallyport channel test \(name) --to ADDRESS` sends one, and shows each step."])
    }
}

extension ListChannels {
    package func perform(in operations: Operations, by actor: Actor) async throws -> ChannelList {
        ChannelList(channels: try operations.records.channels().map { ChannelView($0.settings) })
    }
}

extension ShowChannel {
    package func perform(in operations: Operations, by actor: Actor) async throws -> ChannelView {
        ChannelView(try operations.channel(name).settings)
    }
}

extension SetChannel {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let old = try operations.channel(channel)
        guard name != nil || choices != ChannelChoices() else {
            throw Refusal(.invalid, "Nothing to change was given.", remedy: "`sallyport channel set --help` lists what can be changed.")
        }
        let newName = try name.map { try Valid.channelName($0) } ?? old.name
        try operations.free(channel: newName, but: old.id)
        let settings = try choices.apply(to: old.settings, name: newName)
        let changes = settings.changes(since: old.settings)
        guard !changes.isEmpty else { return Done("Nothing to change: channel \(old.name) is like that already.") }
        try await operations.records.updateChannel(
            old.id, settings,
            event: operations.event(.channelChanged, by: actor, ["channel": settings.name, "change": changes.joined(separator: "; ")]))
        try await operations.ports.changed(.mail)
        return Done("Changed channel \(settings.name): \(changes.joined(separator: "; ")).", warnings: settings.warnings)
    }
}

extension RemoveChannel {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let channel = try operations.channel(name)
        let waiting = try operations.records.mails(.waiting, limit: ListMails.most).count { $0.channel == channel.name }
        try await operations.records.removeChannel(
            channel.id, event: operations.event(.channelRemoved, by: actor, ["channel": channel.name]))
        return Done(
            "Removed channel \(channel.name).",
            warnings: waiting == 0
                ? [] : ["\(Words.count(waiting, "mail")) that waited for it \(waiting == 1 ? "is" : "are") gone: invite these users again."]
        )
    }
}

extension TestChannel {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let settings = try operations.channel(name).settings
        let recipient = try ChannelChoices.mailAddress(recipient, place: "to")
        let sender = try ChannelChoices.mailAddress(settings.sender, place: "from")
        guard !settings.isMute else {
            throw Refusal(
                .failed, "The password of channel \(settings.name) does not open.",
                remedy: "Set it anew: `sallyport channel set \(settings.name) --password-stdin`.")
        }
        var random = operations.ports.random()
        let message = MailMessage(
            from: sender, fromName: settings.senderName, to: recipient, subject: "Test of \(operations.issuer)",
            body: Secret(
                utf8: """
                    This is a test of the channel "\(settings.name)" of \(operations.issuer) on \(operations.ports.nodeName).
                    It arrived, so nothing needs to be done.

                    """), messageID: MailMessage.messageID((random.next(), random.next()), at: sender.domain), date: operations.now())
        let transfer = SMTPTransfer(settings, hostName: operations.ports.nodeName)
        let report = await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async { continuation.resume(returning: transfer.send(message)) }
        }
        return Answer(report, settings)
    }
}

extension TestChannel.Answer {
    fileprivate init(_ report: SMTPTransfer.Report, _ settings: ChannelSettings) {
        channel = settings.name
        milliseconds = report.milliseconds
        let isAccepted: Bool
        switch report.verdict {
        case .accepted(let reply): (isAccepted, outcome, message) = (true, "accepted", "The server has it: \(reply)")
        case .refused(let why): (isAccepted, outcome, message) = (false, "refused", "The server will not have it. \(why)")
        case .deferred(let why): (isAccepted, outcome, message) = (false, "failed", "It was not sent. \(why)")
        }
        let entries = report.conversation.entries
        steps = entries.enumerated().map { index, entry in
            let isLast = index == entries.count - 1
            return Step(
                step: entry.step.rawValue, isDone: entry.code < 400 && (!isLast || isAccepted), reply: entry.words, milliseconds: entry.at)
        }
        if settings.userName != nil, isAccepted, !entries.contains(where: { $0.step == .login }) {
            message += " It let nobody log in: it offers no login that this side knows."
        }
    }
}

extension ListMails {
    package func perform(in operations: Operations, by actor: Actor) async throws -> MailList {
        let limit = try Valid.number(limit, in: 1...Self.most, "limit")
        var wanted: MailState?
        if let state {
            guard let known = MailState(rawValue: state) else {
                throw Refusal(
                    .invalid, "No state `\(Valid.shown(state))`.", remedy: "Use \(Words.list(MailState.allCases.map(\.rawValue), "or")).",
                    place: "state")
            }
            wanted = known
        }
        let figures = try operations.records.outboxFigures()
        return MailList(
            mails: try operations.records.mails(wanted, limit: limit).map { MailView($0) }, waiting: figures.waiting, failed: figures.failed
        )
    }
}

extension RetryMail {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let mail = try operations.mail(number)
        guard mail.state == .waiting else {
            throw Refusal(
                .conflict, "Mail \(number) is \(mail.state.rawValue), and what it said is not kept.",
                remedy: mail.user.map { "Send another one: `sallyport user invite \(Words.argument($0))`." })
        }
        try await operations.records.hurryMail(mail.id, at: operations.now())
        try await operations.ports.changed(.mail)
        return Done(
            operations.ports.isServing ? "Mail \(number) is tried at once." : "Mail \(number) is tried as soon as a node runs.")
    }
}

extension DropMail {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let mail = try operations.mail(number)
        let user = try mail.user.flatMap { UserName.key(of: $0) }.flatMap { try operations.records.user(key: $0) }
        try await operations.records.dropMail(
            mail.id, at: operations.now(),
            event: operations.event(
                .mailDropped, by: actor, user: user?.id, subject: user.map { [PersonalFields.Field("name", $0.name)] } ?? [],
                ["purpose": mail.purpose, "state": mail.state.rawValue]))
        return Done("Dropped mail \(number)\(mail.state == .waiting ? ", which was not sent" : "").")
    }
}

extension Operations {
    func channel(_ name: String) throws -> Channel {
        let wanted = Valid.trimmed(name)
        let all = try records.channels()
        if let channel = all.first(where: { $0.name == wanted.lowercased() }) { return channel }
        throw Refusal.missing("channel", Valid.shown(wanted), among: all.map(\.name), otherwise: "`sallyport channel list` shows all.")
    }

    func free(channel name: String, but own: Int64? = nil) throws {
        guard let other = try records.channels().first(where: { $0.name == name }), other.id != own else { return }
        throw Refusal(
            .conflict, "There is a channel `\(name)` already.",
            remedy: "Change it with `sallyport channel set \(name)`, or choose another name.", place: "name")
    }

    fileprivate func mail(_ number: Int64) throws -> MailRecord {
        guard let mail = try records.mails(id: number, limit: 1).first else {
            throw Refusal(.missing, "There is no mail \(number).", remedy: "`sallyport outbox list` shows all.")
        }
        return mail
    }
}

extension ChannelView {
    init(_ settings: ChannelSettings) {
        self.init(
            name: settings.name, type: settings.kind.rawValue, server: settings.server.description, tls: settings.security.rawValue,
            hasOwnAuthorities: settings.authorities != nil, user: settings.userName, from: settings.sender, fromName: settings.senderName,
            timeout: Int(settings.timeout.microseconds / 1_000_000), perMinute: settings.perMinute, isEnabled: settings.isEnabled,
            warnings: settings.warnings)
    }
}

extension MailView {
    init(_ mail: MailRecord) {
        self.init(
            number: mail.id, channel: mail.channel, user: mail.user, purpose: mail.purpose, recipient: mail.recipient,
            messageID: mail.messageID, state: mail.state.rawValue, created: Instant(mail.created),
            due: mail.state == .waiting ? Instant(mail.due) : nil, expires: Instant(mail.expires), tries: mail.tries,
            ended: mail.ended.map { Instant($0) }, problem: mail.problem)
    }
}
