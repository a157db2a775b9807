// SPDX-License-Identifier: Apache-2.0
// What an invitation says. Plain text: no picture, no tracking, nothing that a mail program has to hide.

internal import Foundation
internal import LoginEngine

struct InvitationMail {
    var issuer: String
    var user: String
    /// It opens what it is for, so it is a secret until it was used.
    var link: Secret
    var expires: Timestamp
    /// The user's; nil: UTC.
    var zone: String?

    var subject: String { "Set your VPN password (\(issuer))" }

    var body: Secret {
        let text = """
            Hello,

            an account for the VPN was made for you. Your login name is

                \(user)

            Set your password on this page:

            \(link.revealText() ?? "")

            The link works once, until \(end).
            If it has ended, ask your administrator for another one.

            Nobody will ever ask you for this link or for your password.
            If you do not expect this mail, do nothing, and tell your administrator.

            """
        return Secret(utf8: text)
    }

    /// `Friday, 4 December 2026, 09:41 (Europe/Berlin)`
    private var end: String {
        let zone = self.zone.flatMap { TimeZone(identifier: $0) } ?? .gmt
        let date = Date(timeIntervalSince1970: TimeInterval(expires.seconds))
        let style = Date.FormatStyle(locale: Locale(identifier: "en_GB"), timeZone: zone)
        let text = date.formatted(style.weekday(.wide).day().month(.wide).year().hour(.twoDigits(amPM: .omitted)).minute(.twoDigits))
        return "\(text) (\(self.zone ?? "UTC"))"
    }
}
