// SPDX-License-Identifier: Apache-2.0
// Sends what waits in the outbox, one mail after the other, and tries again what did not go out.

import Administration
import Channels
import Dispatch
import Logging
import LoginEngine
import Metrics
import Store
import Synchronization

final class OutboxKeeper: Sendable {
    /// Beyond a channel's timeout: whoever has the lease has ended by then, or is gone.
    static let lease = Timestamp.Span.minutes(5)
    /// A mail that waits for its channel's turn, or for another node's lease, is looked for so often.
    private static let shortest = Timestamp.Span.seconds(1)
    /// What another node wrote, or put off, is found by looking.
    private static let longest = Timestamp.Span.seconds(60)

    private struct State {
        var work: Task<Void, Never>?
        /// Something was written while it worked.
        var isWanted = false
        var isStopped = false
        /// Uptime at which it is woken by itself.
        var next: Timestamp?
        var isBroken = false
    }

    private let records: Records
    private let deadlines: Deadlines
    private let hostName: String
    private let logger: Logger
    private let brake = SMTPTransfer.Brake()
    private let state = Mutex(State())
    private let sent = Counter(label: "sallyport_mails_total", dimensions: [("result", "sent")])
    private let deferred = Counter(label: "sallyport_mails_total", dimensions: [("result", "deferred")])
    private let failed = Counter(label: "sallyport_mails_total", dimensions: [("result", "failed")])

    init(records: Records, deadlines: Deadlines, hostName: String, logger: Logger) {
        (self.records, self.deadlines, self.hostName, self.logger) = (records, deadlines, hostName, logger)
    }

    /// Something may be to be sent. Returns at once.
    func wake() {
        state.withLock { state in
            guard !state.isStopped else { return }
            guard state.work == nil else {
                state.isWanted = true
                return
            }
            state.work = Task { await self.work() }
        }
    }

    /// Returns when nothing is under way any more. A mail whose content the server is reading is waited for.
    func stop() async {
        brake.pull()
        let work = state.withLock { state in
            state.isStopped = true
            return state.work
        }
        await work?.value
    }

    private func work() async {
        repeat {
            state.withLock { $0.isWanted = false }
            do {
                while !state.withLock({ $0.isStopped }), try await sendOne() {}
                if state.withLock({ state in
                    defer { state.isBroken = false }
                    return state.isBroken
                }) {
                    logger.notice("the outbox can be read again")
                }
            } catch {
                // Told once, not every minute.
                let isNew = state.withLock { state in
                    defer { state.isBroken = true }
                    return !state.isBroken
                }
                if isNew { logger.error("the outbox cannot be worked on; it is tried again", metadata: ["error": "\(error)"]) }
            }
        } while state.withLock { state in
            if state.isWanted, !state.isStopped { return true }
            state.work = nil
            return false
        }
        scheduleNext()
    }

    private func scheduleNext() {
        let now = NodeClock.now()
        guard let due = try? records.nextMailDue() else { return }
        let pause = min(max(due - now.wall, Self.shortest), Self.longest)
        let at = now.uptime + pause
        let isNew = state.withLock { state in
            guard !state.isStopped, state.next.map({ $0 > at || $0 <= now.uptime }) ?? true else { return false }
            state.next = at
            return true
        }
        guard isNew else { return }
        deadlines.schedule(at: at) { [weak self] _ in self?.wake() }
    }

    /// - Returns: whether there may be another.
    private func sendOne() async throws -> Bool {
        let now = NodeClock.now().wall
        let expired = try await records.expireMails(at: now) { purpose, user in
            Event(
                .mailFailed, at: now, user: user, details: [Event.Detail("purpose", purpose), Event.Detail("why", "expired")])
        }
        if expired > 0 { failed.increment(by: expired) }
        guard try records.isMailDue(at: now), let mail = try await records.claimMail(at: now, lease: Self.lease) else { return false }
        guard let channel = try records.channels().first(where: { $0.id == mail.channel }) else { return true }
        let ending = await ending(of: mail, by: channel.settings)
        let ended = NodeClock.now().wall
        var details = [Event.Detail("purpose", mail.purpose), Event.Detail("channel", channel.name)]
        let subject = PersonalFields([PersonalFields.Field("email", mail.recipient)])
        var event: Event?
        switch ending {
        case .sent:
            sent.increment()
            event = Event(.mailSent, at: ended, user: mail.user, details: details, subject: subject)
            logger.info("mail sent", metadata: ["mail": "\(mail.id)", "channel": "\(channel.name)", "tries": "\(mail.tries)"])
        case .failed(let why):
            failed.increment()
            details.append(Event.Detail("why", Self.untold(why)))
            event = Event(.mailFailed, at: ended, user: mail.user, details: details, subject: subject)
            logger.warning(
                "mail was not sent, and is not tried again",
                metadata: ["mail": "\(mail.id)", "channel": "\(channel.name)", "why": "\(Self.untold(why))"])
        case .later(let due, let why):
            deferred.increment()
            logger.info(
                "mail was not sent, and is tried again",
                metadata: [
                    "mail": "\(mail.id)", "channel": "\(channel.name)", "tries": "\(mail.tries)", "next": "\(Instant(due))",
                    "why": "\(Self.untold(why))",
                ])
        }
        do throws(StoreError) {
            try await records.end(mail, ending, at: ended, event: event)
        } catch {
            // Dropped, erased or taken over meanwhile: somebody else says what becomes of it.
            guard error.code == .notAllowed else { throw error }
        }
        return true
    }

    /// Of what a server says the numbers alone (RFC 5321 §4.2, RFC 3463): its words may name the person. `outbox list` has them.
    static func untold(_ why: String) -> String {
        guard let match = why.prefixMatch(of: /[A-Za-z]+: \d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3})?/) else { return why }
        return String(match.output)
    }

    private func ending(of mail: ClaimedMail, by settings: ChannelSettings) async -> MailEnding {
        guard let content = mail.content else { return .failed(why: "what it says does not open under this master key") }
        guard let from = MailAddress(settings.sender), let to = MailAddress(mail.recipient) else {
            return .failed(why: "no mail can be sent to this address")
        }
        func later(_ why: String) -> MailEnding {
            .later(NodeClock.now().wall + RetryRule.pause(afterTries: mail.tries), why: why)
        }
        guard settings.userName == nil || !settings.secret.isEmpty else { return later("the password of the channel does not open") }
        let message = MailMessage(
            from: from, fromName: settings.senderName, to: to, subject: content.subject, body: content.body, messageID: mail.messageID,
            date: mail.created)
        let transfer = SMTPTransfer(settings, hostName: hostName, brake: brake)
        let report = await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async { continuation.resume(returning: transfer.send(message)) }
        }
        switch report.verdict {
        case .accepted: return .sent
        case .refused(let why): return .failed(why: why)
        case .deferred(let why): return later(why)
        }
    }
}
