// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import Testing

@testable import Channels

@Suite struct MailMessageTests {
    private func message(subject: String = "Test", body: String = "Hello\n", fromName: String? = nil) throws -> [String] {
        let message = MailMessage(
            from: try #require(MailAddress("vpn@corp.example")), fromName: fromName, to: try #require(MailAddress("alice@example.org")),
            subject: subject, body: Secret(utf8: body), messageID: MailMessage.messageID((1, 2), at: "corp.example"),
            date: Timestamp(seconds: 1_796_097_019))
        let text = try #require(message.bytes.revealText())
        return text.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test func headHasWhatServersAskFor() throws {
        let lines = try message(fromName: "VPN \"of\" Corp")
        #expect(
            lines == [
                "Date: Tue, 01 Dec 2026 03:50:19 +0000", "From: \"VPN \\\"of\\\" Corp\" <vpn@corp.example>", "To: <alice@example.org>",
                "Subject: Test", "Message-ID: <00000000000000010000000000000002@corp.example>", "MIME-Version: 1.0",
                "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "Auto-Submitted: auto-generated",
                "X-Auto-Response-Suppress: All", "", "Hello", "",
            ])
    }

    @Test(arguments: ["a\r\nBcc: eve@example.org", "a\nBcc: eve@example.org", "a\u{2028}Bcc: x", "a\u{0}\u{85}b", "\r\n\r\nbody"])
    func nothingInTheHeadBeginsANewLine(_ text: String) throws {
        let lines = try message(subject: text, fromName: text)
        let head = lines.prefix { !$0.isEmpty }
        #expect(head.count { !$0.hasPrefix(" ") } == 10)
        #expect(!head.contains { $0.hasPrefix("Bcc") })
        #expect(head.allSatisfy { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } })
    }

    @Test func textOfOtherScriptsIsEncodedInWholeCharacters() throws {
        let subject = String(repeating: "Zugang für Ömer 日本 ", count: 8)
        let lines = HeaderText.line("Subject", unstructured: subject).split(separator: "\r\n").map(String.init)
        #expect(lines.allSatisfy { $0.utf8.count <= HeaderText.longestLine })
        let words = lines.joined().replacing("Subject:", with: "").split(separator: " ")
        #expect(words.allSatisfy { $0.utf8.count <= HeaderText.longestWord && $0.hasPrefix("=?UTF-8?B?") && $0.hasSuffix("?=") })
        let decoded = try words.map { word in
            let bytes = try #require(Self.decoded(word.dropFirst(10).dropLast(2)))
            return try #require(String(validating: bytes, as: UTF8.self))
        }
        #expect(decoded.joined() == HeaderText.harmless(subject))
    }

    private static func decoded(_ text: Substring) -> [UInt8]? {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var bytes: [UInt8] = []
        var (word, count): (UInt32, Int) = (0, 0)
        for letter in text.utf8 where letter != 0x3D {
            guard let value = letters.firstIndex(of: letter) else { return nil }
            (word, count) = (word << 6 | UInt32(value), count + 6)
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(count)))
            }
        }
        return bytes
    }

    @Test func longLinesAreFoldedAndLongWordsEncoded() {
        let folded = HeaderText.line("Subject", unstructured: String(repeating: "word ", count: 40))
        #expect(folded.split(separator: "\r\n").allSatisfy { $0.utf8.count <= HeaderText.longestLine })
        #expect(HeaderText.line("Subject", unstructured: String(repeating: "x", count: 400)).contains("=?UTF-8?B?"))
        #expect(HeaderText.line("Subject", unstructured: "=?UTF-8?Q?fake?=").hasPrefix("Subject: =?UTF-8?B?"))
    }

    @Test func bodyIsQuotedPrintable() throws {
        func text(_ body: String) -> String { String(decoding: QuotedPrintable.bytes(Array(body.utf8)), as: UTF8.self) }
        #expect(text("ä=b") == "=C3=A4=3Db\r\n")
        #expect(text("end \r\nnext\n") == "end=20\r\nnext\r\n")
        #expect(text(".dot\nFrom me\n") == "=2Edot\r\n=46rom me\r\n")
        #expect(text("a\rb") == "a=0Db\r\n")
        let long = text(String(repeating: "x", count: 300))
        #expect(long.split(separator: "\r\n").allSatisfy { $0.utf8.count <= QuotedPrintable.longestLine })
        #expect(long.replacing("=\r\n", with: "") == String(repeating: "x", count: 300) + "\r\n")
    }

    @Test(arguments: [
        "alice@example.org", "a.b+c@sub.example.org", "o'hara@x-y.example", String(repeating: "a", count: 64) + "@example.org",
    ])
    func addressIsTaken(_ text: String) {
        #expect(MailAddress(text)?.description == text)
    }

    @Test(arguments: [
        "", "alice", "@example.org", "alice@", "alice@localhost", "a b@example.org", "alice@example.org\r\nX: y", "alice@example.org>",
        "<alice@example.org", "\"a\"@example.org", "a..b@example.org", ".a@example.org", "alice@-x.example", "alice@[192.0.2.1]",
        "älice@example.org", "alice@exämple.org", "a,b@example.org", String(repeating: "a", count: 65) + "@example.org",
        "alice@example..org",
    ])
    func addressThatIsNoneIsRefused(_ text: String) {
        #expect(MailAddress(text) == nil)
    }

    @Test func dateIsRightOverLeapYears() {
        #expect(MailMessage.dateTime(Timestamp(seconds: 0)) == "Thu, 01 Jan 1970 00:00:00 +0000")
        #expect(MailMessage.dateTime(Timestamp(seconds: 1_709_164_800)) == "Thu, 29 Feb 2024 00:00:00 +0000")
        #expect(MailMessage.dateTime(Timestamp(seconds: 4_102_444_799)) == "Thu, 31 Dec 2099 23:59:59 +0000")
    }

    @Test func pausesGrowToAnHour() {
        let minutes = (1...10).map { RetryRule.pause(afterTries: $0).microseconds / 60_000_000 }
        #expect(minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60])
        #expect(RetryRule.pause(afterTries: 0) == .minutes(1))
        #expect(RetryRule.pause(afterTries: .max) == RetryRule.longest)
    }
}

@Suite struct SMTPConversationTests {
    private func conversation(_ lines: [String], problem: String? = "failed") -> (SMTPConversation, SMTPVerdict) {
        var conversation = SMTPConversation()
        for line in lines {
            let rest = String(line.dropFirst(2))
            switch line.first {
            case "*": conversation.note(information: rest, at: 1)
            case ">": conversation.note(sent: rest, at: 2)
            default: conversation.note(received: rest, at: 3)
            }
        }
        return (conversation, conversation.verdict(problem: problem))
    }

    private static let start = [
        "* Connected to mail (127.0.0.1) port 25 (#0)", "< 220 mail ESMTP", "> EHLO vpn", "< 250-mail", "< 250 AUTH",
    ]

    @Test func refusalOfARecipientIsForGood() {
        let (said, verdict) = conversation(
            Self.start + ["> MAIL FROM:<a@b.c>", "< 250 ok", "> RCPT TO:<x@y.z>", "< 550-5.1.1 no", "< 550 such user"])
        #expect(verdict == .refused(why: "recipient: 550-5.1.1 no such user"))
        #expect(said.entries.map(\.step) == [.connect, .greeting, .hello, .sender, .recipient])
        #expect(said.entries[2].words == "250-mail")
    }

    @Test func greylistingIsForNow() {
        let (_, verdict) = conversation(Self.start + ["> MAIL FROM:<a@b.c>", "< 250 ok", "> RCPT TO:<x@y.z>", "< 451 4.7.1 later"])
        #expect(verdict == .deferred(why: "recipient: 451 4.7.1 later"))
    }

    @Test func whatIsWrongWithTheLoginIsNotAboutTheMail() {
        let (_, refused) = conversation(Self.start + ["> AUTH PLAIN", "< 535 5.7.8 wrong"])
        #expect(refused == .deferred(why: "login: 535 5.7.8 wrong"))
        let (_, needed) = conversation(Self.start + ["> MAIL FROM:<a@b.c>", "< 530 5.7.0 log in first"])
        #expect(needed == .deferred(why: "sender: 530 5.7.0 log in first"))
    }

    @Test func silenceBehindTheContentIsNoAccept() {
        let (said, verdict) = conversation(
            Self.start + ["> MAIL FROM:<a@b.c>", "< 250 ok", "> RCPT TO:<x@y.z>", "< 250 ok", "> DATA", "< 354 go on"], problem: "gone")
        #expect(said.isAtContent)
        #expect(verdict == .deferred(why: "content: gone"))
    }

    @Test func credentialsAreNeverKept() {
        let (said, _) = conversation(Self.start + ["> AUTH PLAIN AGFsaWNlAHNlY3JldA==", "< 334 ", "> AGFsaWNlAHNlY3JldA==", "< 535 no"])
        #expect(!"\(said)".contains("AGFsaWNl"))
    }

    @Test func hostileWordsAreCutAndShownHarmless() {
        let (said, verdict) = conversation(
            Self.start + ["> RCPT TO:<x@y.z>", "< 550 \u{1B}[2J\r\n" + String(repeating: "x", count: 5_000)])
        #expect(said.entries.allSatisfy { $0.words.utf8.count <= SMTPConversation.longestWords })
        guard case .refused(let why) = verdict else { return #expect(Bool(false)) }
        #expect(why.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        let (odd, _) = conversation(["< ", "< 99 x", "< 99999 y", "< abc"])
        #expect(odd.entries.allSatisfy { $0.code == 0 })
    }
}
