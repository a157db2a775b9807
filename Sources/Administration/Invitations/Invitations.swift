// SPDX-License-Identifier: Apache-2.0
// Inviting a user: a one-time link to set the first password, by mail or handed over.

internal import Channels
internal import Crypto
internal import LoginEngine
internal import Store

package struct InviteUser: AdminOperation {
    package static let verb = "user.invite"
    package var user: String
    /// Nil: the first that is enabled, by name.
    package var channel: String?
    /// Whether the link is shown and nothing is sent.
    package var isPrinted: Bool
    /// How long the link opens something: `72h`, `7d`; nil: 72 hours.
    package var validity: String?

    package init(user: String, channel: String? = nil, isPrinted: Bool = false, validity: String? = nil) {
        (self.user, self.channel, self.isPrinted, self.validity) = (user, channel, isPrinted, validity)
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var message: String
        /// Shown once, where no mail carries it.
        package var link: SecretText?
        package var expires: Instant
        package var recipient: String?
        package var warnings: [String]
    }

    package static let standardHours = 72
    static let hours = 1...720
    /// Mails to one address in an hour: nobody's mailbox is filled from here.
    static let mostMails = 5
}

/// A user who was invited, and how far.
package struct Onboarding: Codable, Sendable, Equatable {
    package enum State: String, Codable, Sendable, CaseIterable {
        case mailWaiting = "mail-waiting"
        case mailSent = "mail-sent"
        case mailFailed = "mail-failed"
        case linkHandedOut = "link-handed-out"
        case linkOpened = "link-opened"
        case linkExpired = "link-expired"
        case active, disabled
    }

    package var name: String
    package var email: String?
    package var state: State
    package var invited: Instant
    /// When the link ends; nil where it was used.
    package var expires: Instant?
    package var opened: Instant?
    package var activated: Instant?
    /// Why the mail has not arrived.
    package var problem: String?
}

package struct ListOnboarding: AdminOperation {
    package static let verb = "user.onboarding"
    package var after: String?
    package var limit: Int
    /// Of one state alone.
    package var state: String?

    package init(after: String? = nil, limit: Int = 1_000, state: String? = nil) {
        (self.after, self.limit, self.state) = (after, limit, state)
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var users: [Onboarding]
        /// Give it as `after` to go on; nil at the end.
        package var next: String?
    }
}

extension InviteUser {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let user = try operations.user(user)
        let base = try operations.pageAddress()
        let expires = operations.now() + .minutes(Int64(try Self.hours(validity)) * 60)
        guard user.status != .disabled else {
            throw Refusal(
                .conflict, "\(user.name) is disabled, and no link would let in.",
                remedy: "First: `sallyport user enable \(Words.argument(user.name))`.")
        }
        guard !user.hasPassword else {
            throw Refusal(
                .conflict, "\(user.name) has a password already; a link sets a first one alone.",
                remedy: "Set another one: `sallyport user set \(Words.argument(user.name)) --password-stdin`.")
        }
        if let directory = try operations.home(of: user, at: nil).directory { throw Operations.passwordElsewhere(directory) }
        let (channel, why) = try channel(for: user, in: operations)
        var random = operations.ports.random()
        let token = InvitationToken(&random)
        var new = NewInvitation(user: user.id, token: token.hash, created: operations.now(), expires: expires)
        if let channel, let email = user.email {
            let recipient = try ChannelChoices.mailAddress(email, place: "email")
            try refuseFlood(email, in: operations)
            let text = InvitationMail(
                issuer: operations.issuer, user: user.name, link: token.link(base), expires: expires, zone: user.timeZone)
            new.mail = NewMail(
                channel: channel.id, user: user.id, purpose: "invitation", recipient: recipient.description,
                messageID: MailMessage.messageID(
                    (random.next(), random.next()), at: MailAddress(channel.settings.sender)?.domain ?? "localhost"),
                subject: text.subject, body: text.body, created: operations.now(), expires: expires)
        }
        var details = [Event.Detail("until", "\(Instant(expires))")]
        if let channel { details.append(Event.Detail("channel", channel.name)) }
        var event = operations.event(.userInvited, by: actor, subject: [PersonalFields.Field("name", user.name)])
        event.details = details
        try await operations.records.invite(new, event: event)
        guard let mail = new.mail, let channel else {
            return Answer(
                message: "Invited \(user.name): hand this link over; it opens once.", link: token.secretLink(base),
                expires: Instant(expires),
                recipient: nil, warnings: why.map { [$0] } ?? [])
        }
        try await operations.ports.changed(.mail)
        var warnings = channel.settings.warnings
        if !operations.ports.isServing { warnings.append("No node runs: the mail goes out as soon as one does.") }
        return Answer(
            message: "Invited \(user.name): a mail with a one-time link goes to \(mail.recipient) by channel \(channel.name).", link: nil,
            expires: Instant(expires), recipient: mail.recipient, warnings: warnings)
    }

    /// Nil where the link is to be handed over, with the reason where nobody asked for that.
    private func channel(for user: UserRecord, in operations: Operations) throws -> (Channel?, String?) {
        if isPrinted {
            guard channel == nil else {
                throw Refusal(.invalid, "A link is printed or sent, not both.", remedy: "Leave --print or --channel away.")
            }
            return (nil, nil)
        }
        guard let email = user.email else {
            guard channel == nil else {
                throw Refusal(
                    .conflict, "\(user.name) has no e-mail address.",
                    remedy: "Set one: `sallyport user set \(Words.argument(user.name)) --email ADDRESS`.", place: "email")
            }
            return (nil, "\(user.name) has no e-mail address, so nothing was sent.")
        }
        _ = try ChannelChoices.mailAddress(email, place: "email")
        if let channel { return (try operations.channel(channel), nil) }
        guard let found = try operations.records.channels().first(where: { $0.settings.isEnabled }) else {
            return (nil, "No channel is there to send mail by, so nothing was sent: `sallyport channel add mail --server …`.")
        }
        return (found, nil)
    }

    private func refuseFlood(_ email: String, in operations: Operations) throws {
        let count = try operations.records.mailCount(to: email, since: operations.now() - .minutes(60))
        guard count >= Self.mostMails else { return }
        throw Refusal(
            .conflict, "\(count) mails were sent to \(Valid.shown(email)) within an hour.",
            remedy: "See `sallyport outbox list`, wait, or print the link with --print.")
    }

    private static func hours(_ text: String?) throws(Refusal) -> Int {
        guard let text = text.map(Valid.trimmed) else { return standardHours }
        let unit = text.hasSuffix("d") ? 24 : 1
        guard let last = text.last, "hd".contains(last), let number = Int(text.dropLast()), number > 0, number <= hours.upperBound,
            hours.contains(number * unit)
        else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is no time for a link.", remedy: "Write it as 72h or 7d; it must be 1h to 30d.",
                place: "valid-for")
        }
        return number * unit
    }
}

extension Operations {
    /// What links begin with, without a slash at its end.
    func pageAddress() throws(Refusal) -> String {
        if let address = ports.publicURL() { return address }
        throw Refusal(
            .configuration, "No page is there for a link to lead to.",
            remedy: "Set web.public and web.public-url in sallyport.yaml, and start the node again (docs/run/mail.md).")
    }
}

/// What a link carries: 192 random bits, of which only the hash is kept.
struct InvitationToken {
    static let length = 24

    private let secret: [UInt8]

    init(_ random: inout any RandomNumberGenerator) {
        secret = (0..<Self.length).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    /// Nil for what no link of ours has.
    init?(_ text: some StringProtocol) {
        guard text.utf8.count == Self.length / 3 * 4 else { return nil }
        var bytes: [UInt8] = []
        var word: UInt32 = 0
        for (index, letter) in text.utf8.enumerated() {
            guard let value = Self.letters.firstIndex(of: letter) else { return nil }
            word = word << 6 | UInt32(value)
            if index % 4 == 3 {
                for shift in [16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(shift))) }
                word = 0
            }
        }
        secret = bytes
    }

    var hash: [UInt8] { Array(SHA256.hash(data: secret)) }

    func link(_ base: String) -> Secret { Secret(utf8: "\(base)/activate/\(text)") }

    func secretLink(_ base: String) -> SecretText { SecretText(link(base)) }

    /// RFC 4648 §5
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    private var text: String {
        var out: [UInt8] = []
        for start in stride(from: 0, to: secret.count, by: 3) {
            let word = UInt32(secret[start]) << 16 | UInt32(secret[start + 1]) << 8 | UInt32(secret[start + 2])
            for shift in [18, 12, 6, 0] { out.append(Self.letters[Int(word >> UInt32(shift) & 0x3F)]) }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

extension ListOnboarding {
    static let most = 10_000

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let limit = try Valid.number(limit, in: 1...Self.most, "limit")
        var wanted: Onboarding.State?
        if let state {
            guard let known = Onboarding.State(rawValue: state) else {
                throw Refusal(
                    .invalid, "No state `\(Valid.shown(state))`.",
                    remedy: "Use \(Words.list(Onboarding.State.allCases.map(\.rawValue), "or")).", place: "state")
            }
            wanted = known
        }
        let key = try after.map { try Valid.userName($0, field: "after").key }
        var records = try operations.records.invitations(after: key, limit: limit + 1)
        let isMore = records.count > limit
        if isMore { records.removeLast() }
        let now = operations.now()
        let all = records.map { Onboarding($0, at: now) }
        return Answer(users: all.filter { wanted == nil || $0.state == wanted }, next: isMore ? all.last?.name : nil)
    }
}

extension Onboarding {
    init(_ record: InvitationRecord, at now: Timestamp) {
        name = record.userName
        email = record.email
        state = Self.state(of: record, at: now)
        invited = Instant(record.created)
        expires = record.used == nil ? Instant(record.expires) : nil
        opened = record.opened.map { Instant($0) }
        activated = record.used.map { Instant($0) }
        problem = state == .mailWaiting || state == .mailFailed ? record.mailProblem : nil
    }

    static func state(of record: InvitationRecord, at now: Timestamp) -> State {
        if record.status == .disabled { return .disabled }
        if record.used != nil || record.hasPassword { return .active }
        if now >= record.expires { return .linkExpired }
        if record.opened != nil { return .linkOpened }
        return switch record.mail {
        case .waiting?: .mailWaiting
        case .sent?: .mailSent
        case .failed?: .mailFailed
        case nil: .linkHandedOut
        }
    }
}
