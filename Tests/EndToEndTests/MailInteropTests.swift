// SPDX-License-Identifier: Apache-2.0
// Mail that really goes out: a node, a mail server of another make, and what happens when that server will not have it.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUS
import Store
import TLS
import TestSupport
import Testing
import WebDoor

@testable import sallyport

@Suite(.enabled(if: SMTPServer.isHere && Foreign.isHere("curl", "openssl"), "no aiosmtpd, curl or openssl")) struct MailInteropTests {
    private static let pages = ["web.public": "127.0.0.1:0", "web.public-url": "https://vpn.example.test"]

    private func withNode(in folder: TemporaryFolder? = nil, _ body: (TestNode) async throws -> Void) async throws {
        let node = try await TestNode.start(in: folder, flags: Self.pages)
        do {
            try await body(node)
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    private func client(_ node: TestNode) async throws -> PageClient {
        PageClient(
            port: try #require(try await node.node.web.bound(.pages).first).port, authority: node.folder.path + "/web/server.pem")
    }

    private func choices(_ server: String, _ change: (inout ChannelChoices) -> Void = { _ in }) -> ChannelChoices {
        var choices = ChannelChoices()
        choices.server = server
        choices.tls = "none"
        choices.from = "vpn@corp.example"
        choices.timeout = "10s"
        change(&choices)
        return choices
    }

    private func mails(_ node: TestNode) async throws -> [MailView] { try await node.perform(ListMails()).mails }

    /// Looks until the outbox is so.
    private func wait(_ node: TestNode, _ isSo: ([MailView]) -> Bool) async throws -> [MailView] {
        let end = ContinuousClock.now + .seconds(10)
        while true {
            let found = try await mails(node)
            if isSo(found) || ContinuousClock.now > end { return found }
            try await onThread { _ = poll(nil, 0, 10) }
        }
    }

    private func state(_ node: TestNode, of user: String) async throws -> Onboarding.State? {
        try await node.perform(ListOnboarding()).users.first { $0.name == user }?.state
    }

    @Test func whoIsInvitedSetsAPasswordByTheMailOnceAndLogsIn() async throws {
        let folder = try TemporaryFolder()
        let authority = try TestAuthority(in: folder.path)
        let server = try await SMTPServer.start(
            .auth, certificate: try authority.issue("mail", names: ["localhost"], alternatives: ["IP:127.0.0.1"], for: "serverAuth"))
        try await withNode { node in
            var choices = choices(server.address) {
                $0.tls = "starttls"
                $0.user = "vpn"
                $0.password = SecretText("right-password")
                $0.fromName = "Zugang für Corp"
            }
            choices.authorities = String(decoding: authority.pem, as: UTF8.self)
            try await node.perform(AddChannel(name: "mail", choices: choices))
            try await node.perform(AddUser(name: "alice", email: "alice@corp.example", awaitsInvitation: true))
            let invited = try await node.perform(InviteUser(user: "alice"))
            #expect(invited.link == nil && invited.recipient == "alice@corp.example")

            let mail = try #require(try await server.waitForMails(1).first)
            #expect(mail.field("X-Login") == "True" && mail.field("X-TLS") == "yes")
            #expect(mail.field("X-From") == "vpn@corp.example" && mail.field("X-To") == "alice@corp.example")
            #expect(mail.field("From")?.hasSuffix("<vpn@corp.example>") == true && mail.field("Auto-Submitted") == "auto-generated")
            #expect(mail.body.contains("    alice"))
            let link = try #require(mail.link)
            let sent = try await wait(node) { $0.first?.state == "sent" }
            #expect(sent.map(\.state) == ["sent"] && sent[0].tries == 1 && mail.field("Message-ID") == "<\(sent[0].messageID)>")
            #expect(try await state(node, of: "alice") == .mailSent)

            let browser = try await client(node)
            // What looks at links before people do uses nothing up.
            for _ in 0..<3 {
                let page = try await browser.get(link)
                #expect(page.status == 200 && page.body.contains("value=\"alice\"") && !page.body.contains("<script"))
                #expect(
                    page.head.contains("content-security-policy: default-src 'none'") && page.head.contains("referrer-policy: no-referrer"))
            }
            #expect(try await state(node, of: "alice") == .linkOpened)
            #expect(try await browser.post(link, password: "correct horse", again: "other horse").status == 422)
            #expect(try await browser.post(link, password: "short").body.contains("shorter than 8 characters"))
            #expect(try await browser.post(link, password: "correct horse", ["--header", "Origin: https://evil.example"]).status == 404)
            let set = try await browser.post(link, password: "correct horse", ["--header", "Origin: null"])
            #expect(set.status == 303 && set.head.contains("location: /activate/done"))
            #expect(try await browser.post(link, password: "another horse").status == 404)
            let void = try await browser.get(link)
            let unknown = try await browser.get("https://vpn.example.test/activate/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
            #expect(void.status == 404 && void.body == unknown.body && void.body.contains("This link opens nothing"))
            #expect(try await state(node, of: "alice") == .active)

            try await node.addClient { $0.requirement = "password" }
            let gateway = try GatewayClient(node.endpoint)
            #expect(try await gateway.login("alice", "correct horse")?.code == .accessAccept)
            let events = try await node.perform(ListEvents(limit: 100)).events.map(\.kind)
            for kind in ["user-invited", "mail-sent", "invitation-opened", "user-activated"] {
                #expect(events.count { $0 == kind } == 1, "\(kind)")
            }
        }
        try await server.stop()
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var mode: SMTPServer.Mode
        var tls = "none"
        var isTrusted = true
        var password: String?
        var outcome: String
        var step: String
        var words: String

        var testDescription: String { "\(mode) \(tls) \(words)" }
    }

    @Test(arguments: [
        Case(mode: .accept, outcome: "accepted", step: "content", words: "2.0.0 taken"),
        Case(mode: .accept, tls: "starttls", outcome: "accepted", step: "content", words: "2.0.0 taken"),
        Case(mode: .accept, tls: "tls", outcome: "accepted", step: "content", words: "2.0.0 taken"),
        Case(mode: .accept, tls: "starttls", isTrusted: false, outcome: "failed", step: "starttls", words: "certificate"),
        Case(mode: .auth, tls: "starttls", password: "wrong", outcome: "failed", step: "login", words: "535"),
        Case(mode: .auth, tls: "starttls", password: "right-password", outcome: "accepted", step: "content", words: "2.0.0 taken"),
        Case(mode: .refuse, outcome: "refused", step: "recipient", words: "550 5.1.1"),
        Case(mode: .grey, outcome: "failed", step: "recipient", words: "451 4.7.1"),
        Case(mode: .wrongSender, outcome: "failed", step: "sender", words: "451 4.7.1"),
        Case(mode: .full, outcome: "refused", step: "content", words: "552 5.2.2"),
        Case(mode: .drop, outcome: "failed", step: "content", words: "content"),
        Case(mode: .silent, outcome: "failed", step: "connect", words: "timed out"),
    ]) func testSaysWhatTheServerAnsweredAtWhichStep(_ test: Case) async throws {
        let folder = try TemporaryFolder()
        let authority = try TestAuthority(in: folder.path)
        let other = try TestAuthority("other", in: folder.path)
        let certificate =
            test.tls == "none"
            ? nil : try authority.issue("mail", names: ["localhost"], alternatives: ["IP:127.0.0.1"], for: "serverAuth")
        let server = try await SMTPServer.start(test.mode, isTLS: test.tls == "tls", certificate: certificate)
        try await withNode { node in
            let choices = choices(server.address) {
                $0.tls = test.tls
                $0.authorities = String(decoding: (test.isTrusted ? authority : other).pem, as: UTF8.self)
                if let password = test.password {
                    $0.user = "vpn"
                    $0.password = SecretText(password)
                }
                if test.mode == .silent { $0.timeout = "1s" }
            }
            try await node.perform(AddChannel(name: "mail", choices: choices))
            let answer = try await node.perform(TestChannel(name: "mail", recipient: "me@corp.example"))
            #expect(answer.outcome == test.outcome, "\(answer)")
            #expect(answer.message.contains(test.words), "\(answer)")
            let last = try #require(answer.steps.last, "\(answer)")
            #expect(last.step == test.step && last.isDone == (test.outcome == "accepted"), "\(answer)")
            #expect(!"\(answer)".contains("wrong\"") && !"\(answer)".contains("right-password"))
        }
        try await server.stop()
    }

    @Test func whatWasPutOffIsSentLaterUnderTheSameName() async throws {
        let server = try await SMTPServer.start(.grey)
        try await withNode { node in
            try await node.perform(AddChannel(name: "mail", choices: choices(server.address)))
            try await node.perform(AddUser(name: "alice", email: "alice@corp.example", awaitsInvitation: true))
            try await node.perform(InviteUser(user: "alice"))
            let waiting = try #require(try await wait(node) { $0.first?.problem != nil }.first)
            #expect(waiting.state == "waiting" && waiting.problem == "recipient: 451 4.7.1 greylisted, come again")
            #expect(try #require(waiting.due) > waiting.created)
            #expect(try await state(node, of: "alice") == .mailWaiting)
            try await node.perform(RetryMail(number: waiting.number))
            let sent = try #require(try await wait(node) { $0.first?.state == "sent" }.first)
            #expect(sent.tries == 2 && sent.messageID == waiting.messageID)
            #expect(server.mails.map { $0.field("Message-ID") } == ["<\(sent.messageID)>"])
        }
        try await server.stop()
    }

    @Test func whatTheServerWillNotHaveIsGivenUpAndInvitedAnew() async throws {
        let server = try await SMTPServer.start(.refuse)
        let better = try await SMTPServer.start()
        try await withNode { node in
            try await node.perform(AddChannel(name: "mail", choices: choices(server.address)))
            try await node.perform(AddUser(name: "bob", email: "bob@corp.example", awaitsInvitation: true))
            try await node.perform(InviteUser(user: "bob"))
            let failed = try #require(try await wait(node) { $0.first?.state == "failed" }.first)
            #expect(failed.problem == "recipient: 550 5.1.1 <bob@corp.example> no such user here" && failed.tries == 1)
            #expect(try await state(node, of: "bob") == .mailFailed)
            // Of the server's words the trail has the numbers alone: the rest names the person.
            let told = try await node.perform(ListEvents(kinds: ["mail-failed"], limit: 10)).events
            #expect(told.map(\.text) == ["mail not sent (invitation): recipient: 550 5.1.1"])
            let findings = try await node.perform(ExamineNode(seconds: 1)).findings.map(\.kind)
            #expect(findings.contains(.mailFailed) && findings.contains(.pageUntrusted))
            await #expect(throws: Refusal.self) { try await node.perform(RetryMail(number: failed.number)) }

            var other = ChannelChoices()
            other.server = better.address
            try await node.perform(SetChannel(channel: "mail", choices: other))
            try await node.perform(InviteUser(user: "bob"))
            let mail = try #require(try await better.waitForMails(1).first)
            #expect(try await client(node).get(try #require(mail.link)).status == 200)
        }
        try await server.stop()
        try await better.stop()
    }

    /// Whether the server has a mail whose taking it never confirmed is not to be known: it comes again, under the same Message-ID.
    @Test func whatBreaksOffBehindTheContentComesAgainUnderTheSameName() async throws {
        let server = try await SMTPServer.start(.drop)
        try await withNode { node in
            try await node.perform(AddChannel(name: "mail", choices: choices(server.address)))
            try await node.perform(AddUser(name: "alice", email: "alice@corp.example", awaitsInvitation: true))
            try await node.perform(InviteUser(user: "alice"))
            let waiting = try #require(try await wait(node) { $0.first?.problem != nil }.first)
            try await node.perform(RetryMail(number: waiting.number))
            _ = try await wait(node) { $0.first?.state == "sent" }
            #expect(server.mails.map { $0.field("Message-ID") } == ["<\(waiting.messageID)>", "<\(waiting.messageID)>"])
        }
        try await server.stop()
    }

    @Test func whatWaitsSurvivesARestartAndGoesOutOnce() async throws {
        let server = try await SMTPServer.start()
        let gone = try await SMTPServer.start()
        try await gone.stop()
        let folder = try TemporaryFolder()
        try await withNode(in: folder) { node in
            try await node.perform(AddChannel(name: "mail", choices: choices(gone.address)))
            for name in ["alice", "bob"] {
                try await node.perform(AddUser(name: name, email: "\(name)@corp.example", awaitsInvitation: true))
                try await node.perform(InviteUser(user: name))
            }
            let waiting = try await wait(node) { $0.allSatisfy { $0.problem != nil } }
            #expect(waiting.count == 2 && waiting.allSatisfy { $0.problem?.hasPrefix("connect: ") == true }, "\(waiting)")
        }
        try await withNode(in: folder) { node in
            #expect(try await mails(node).map(\.state) == ["waiting", "waiting"])
            var other = ChannelChoices()
            other.server = server.address
            try await node.perform(SetChannel(channel: "mail", choices: other))
            let sent = try await wait(node) { $0.allSatisfy { $0.state == "sent" } }
            #expect(sent.map(\.state) == ["sent", "sent"])
        }
        try await withNode(in: folder) { node in
            _ = try await wait(node) { _ in true }
            #expect(Set(server.mails.compactMap { $0.field("X-To") }) == ["alice@corp.example", "bob@corp.example"])
            #expect(server.mails.count == 2)
        }
        try await server.stop()
    }
}
