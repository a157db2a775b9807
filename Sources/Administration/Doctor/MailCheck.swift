// SPDX-License-Identifier: Apache-2.0
// Whether mail goes out, and whether the links in it lead anywhere.

internal import LoginEngine
internal import Store

enum MailCheck {
    /// A server that takes mail at the second try is none that is broken.
    static let patience = Timestamp.Span.minutes(15)

    static func findings(_ channels: [Channel], _ outbox: OutboxFigures, hasPages: Bool, now: Timestamp) -> [Finding] {
        guard !channels.isEmpty || outbox.waiting > 0 else { return [] }
        var findings: [Finding] = []
        for channel in channels {
            let (name, settings) = (channel.name, channel.settings)
            if settings.isMute {
                findings.append(
                    Finding(
                        .channelClosed, name, "Channel \(name) sends nothing: its password does not open.",
                        remedy: "sallyport channel set \(name) --password-stdin"))
            }
            if settings.security == .none, !settings.server.isLoopback {
                findings.append(
                    Finding(
                        .channelOpen, name,
                        "Channel \(name) hands mail to \(settings.server) in the open: whoever is on the way reads the links in it.",
                        remedy: "sallyport channel set \(name) --tls starttls"))
            }
        }
        if let oldest = outbox.oldest, now - oldest > patience {
            let minutes = Int((now - oldest).microseconds / 60_000_000)
            findings.append(
                Finding(
                    .mailStuck, nil,
                    "\(Words.count(outbox.waiting, "mail")) \(outbox.waiting == 1 ? "waits" : "wait") to be sent, the oldest for "
                        + "\(Words.count(minutes, "minute"))\(outbox.problem.map { ": \($0)" } ?? "").",
                    remedy: "See `sallyport outbox list`, and try it: sallyport channel test NAME --to ADDRESS"))
        }
        if outbox.failed > 0 {
            findings.append(
                Finding(
                    .mailFailed, nil,
                    "\(Words.count(outbox.failed, "mail")) of the last 30 days did not go out, and \(outbox.failed == 1 ? "is" : "are") not "
                        + "tried again.",
                    remedy: "See `sallyport outbox list --state failed`; mend the address and invite again, or drop it there."))
        }
        if !hasPages {
            findings.append(
                Finding(
                    .pageMissing, nil, "There is a channel, and no page that the links of invitations could lead to.",
                    remedy: "Set web.public and web.public-url, so that users can be invited."))
        }
        return findings.orElse(
            Finding(.channelsRight, nil, "\(Words.count(channels.count, "channel")); nothing waits for longer than it should."))
    }
}
