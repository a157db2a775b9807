// SPDX-License-Identifier: Apache-2.0
// Channels, what waits to be sent, and invitations, on every database.

import LoginEngine
import Testing

@testable import Store

@Suite struct OutboxTableTests {
    private static let minute = Timestamp.Span.minutes(1)

    private static func channel() throws -> ChannelSettings {
        var settings = ChannelSettings(name: "mail", server: try #require(MailServer("smtp.corp.example:2525")), sender: "vpn@corp.example")
        settings.security = .tls
        settings.authorities = "PEM"
        settings.userName = "vpn"
        settings.secret = Secret(utf8: "the-mail-password")
        settings.senderName = "Zugang für Corp"
        settings.timeout = .seconds(5)
        settings.perMinute = 2
        settings.isEnabled = false
        return settings
    }

    private static func mail(_ number: Int, channel: Int64, user: Int64, lives: Timestamp.Span = .minutes(60)) -> NewMail {
        NewMail(
            channel: channel, user: user, purpose: "invitation", recipient: "alice@corp.example", messageID: "\(number)@corp.example",
            subject: "Subject \(number)", body: Secret(utf8: "body-with-a-token"), created: start, expires: start + lives)
    }

    private static func invitation(_ number: UInt8, _ user: Int64, _ mail: NewMail? = nil) -> NewInvitation {
        NewInvitation(
            user: user, token: [UInt8](repeating: number, count: 32), created: start, expires: start + .minutes(60), mail: mail)
    }

    /// The user of a fixture has a password; this one has none.
    private func newcomer(_ fixture: Fixture) async throws -> Int64 {
        var user = NewUser(name: "newcomer", key: "newcomer", created: start)
        user.status = .pending
        let made = user
        return try await fixture.change { try await $0.addUser(made, event: Event(.userAdded, at: start)) }
    }

    @Test(arguments: TestDatabases.all) func everyFieldOfAChannelComesBack(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let settings = try Self.channel()
        let id = try await fixture.change { try await $0.addChannel(settings, event: Event(.channelAdded, at: start)) }
        #expect(try fixture.records.channels() == [Channel(id: id, settings: settings)])
        let stored = try fixture.query("SELECT secret FROM channel")[0].blob(0)
        #expect(!stored.contains(Array("the-mail".utf8)), "it is sealed")
        var changed = ChannelSettings(name: "other", server: try #require(MailServer("[2001:db8::25]")), sender: "a@b.example")
        changed.secret = Secret([])
        let wanted = changed
        try await fixture.change { try await $0.updateChannel(id, wanted, event: Event(.channelChanged, at: start)) }
        #expect(try fixture.records.channels() == [Channel(id: id, settings: wanted)])
        try await fixture.change { try await $0.removeChannel(id, event: Event(.channelRemoved, at: start)) }
        #expect(try fixture.records.channels().isEmpty)
    }

    @Test(arguments: TestDatabases.all) func mailGoesFromOneHandToTheNextAndEnds(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        var settings = try Self.channel()
        settings.isEnabled = true
        let open = settings
        let channel = try await fixture.change { try await $0.addChannel(open, event: Event(.channelAdded, at: start)) }
        let user = try await newcomer(fixture)
        let invitation = Self.invitation(1, user, Self.mail(1, channel: channel, user: user))
        try await fixture.change { try await $0.invite(invitation, event: Event(.userInvited, at: start)) }
        let sealed = try fixture.query("SELECT content FROM outbox")[0].blob(0)
        #expect(!sealed.contains(Array("body-with".utf8)), "it is sealed")
        #expect(try fixture.records.isMailDue(at: start) && fixture.records.nextMailDue() == start)

        let first = try #require(try await fixture.change { try await $0.claimMail(at: start, lease: Self.minute) })
        #expect(first.content?.subject == "Subject 1" && first.content?.body == Secret(utf8: "body-with-a-token") && first.tries == 1)
        #expect(try await fixture.change { try await $0.claimMail(at: start, lease: Self.minute) } == nil)
        let due = start + .minutes(2)
        try await fixture.change { try await $0.end(first, .later(due, why: "451 later"), at: start, event: nil) }
        #expect(try fixture.records.mails(limit: 9).map(\.problem) == ["451 later"] && fixture.records.nextMailDue() == due)
        #expect(try !fixture.records.isMailDue(at: due - .seconds(1)))
        let second = try #require(try await fixture.change { try await $0.claimMail(at: due, lease: Self.minute) })
        #expect(second.tries == 2 && second.messageID == first.messageID)
        try await fixture.change { try await $0.end(second, .sent, at: due, event: Event(.mailSent, at: due, user: user)) }
        #expect(try fixture.query("SELECT content FROM outbox")[0].isNull(0))
        #expect(try fixture.records.invitation(ofUser: user)?.mail == .sent)
        #expect(try fixture.records.outboxFigures() == OutboxFigures())
        #expect(try fixture.records.mailCount(to: "alice@corp.example", since: start) == 1)
    }

    @Test(arguments: TestDatabases.all) func invitationIsUsedOnceAndTheNewestCounts(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let user = try await newcomer(fixture)
        let (first, second) = (Self.invitation(1, user), Self.invitation(2, user))
        for invitation in [first, second] {
            try await fixture.change { try await $0.invite(invitation, event: Event(.userInvited, at: start)) }
        }
        #expect(try fixture.records.invitation(token: first.token) == nil)
        let found = try #require(try fixture.records.invitation(token: second.token))
        #expect(found.status == .pending && !found.hasPassword && found.opened == nil)
        let opened = start + .minutes(1)
        for _ in 0..<2 {
            try await fixture.change {
                try await $0.noteOpened(found, token: second.token, at: opened, event: Event(.invitationOpened, at: opened))
            }
        }
        let activate: @Sendable (Records, [UInt8], Timestamp) async throws -> Void = { records, token, at in
            try await records.activate(
                user, token: token, password: Secret(utf8: "hash"), keeping: nil, at: at, event: Event(.userActivated, at: at))
        }
        await #expect(throws: StoreError.self) { try await fixture.change { try await activate($0, first.token, opened) } }
        await #expect(throws: StoreError.self) { try await fixture.change { try await activate($0, second.token, start + .minutes(60)) } }
        try await fixture.change { try await activate($0, second.token, opened) }
        await #expect(throws: StoreError.self) { try await fixture.change { try await activate($0, second.token, opened) } }
        let record = try #require(try fixture.records.user(id: user))
        #expect(record.status == .active && record.hasPassword)
        #expect(try fixture.records.invitation(ofUser: user)?.used == opened)
        #expect(try fixture.records.invitations(limit: 9).map(\.userName) == ["newcomer"])
        // Whoever has a password is invited no more.
        let again = Self.invitation(3, user)
        await #expect(throws: StoreError.self) {
            try await fixture.change { try await $0.invite(again, event: Event(.userInvited, at: start)) }
        }
        try await fixture.change { try await $0.removeUser(user, event: Event(.userRemoved, at: start)) }
        #expect(try fixture.records.invitations(limit: 9).isEmpty)
    }

    @Test(arguments: TestDatabases.all) func whatIsTooOldIsGivenUpAndForgotten(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        var settings = try Self.channel()
        settings.isEnabled = true
        let open = settings
        let channel = try await fixture.change { try await $0.addChannel(open, event: Event(.channelAdded, at: start)) }
        let user = try await newcomer(fixture)
        let invitation = Self.invitation(1, user, Self.mail(1, channel: channel, user: user, lives: Self.minute))
        try await fixture.change { try await $0.invite(invitation, event: Event(.userInvited, at: start)) }
        let end = start + Self.minute
        #expect(try !fixture.records.isMailDue(at: end))
        let expired = try await fixture.change {
            try await $0.expireMails(at: end) { purpose, user in
                Event(.mailFailed, at: end, user: user, details: [Event.Detail("purpose", purpose)])
            }
        }
        #expect(expired == 1)
        let failed = try #require(try fixture.records.mails(.failed, limit: 9).first)
        #expect(failed.problem == "expired before it could be sent" && failed.ended == end)
        #expect(try fixture.records.events(EventFilter(limit: 1)).first?.event.kind == .mailFailed)
        await #expect(throws: StoreError.self) { try await fixture.change { try await $0.hurryMail(failed.id, at: end) } }
        try await fixture.change { try await $0.housekeeping(at: end + Records.mailKept) }
        #expect(try fixture.records.mails(limit: 9).count == 1)
        try await fixture.change { try await $0.housekeeping(at: end + Records.mailKept + .seconds(1)) }
        #expect(try fixture.records.mails(limit: 9).isEmpty)
        #expect(try fixture.records.invitation(ofUser: user) != nil, "what was never used stays to be told of")
    }
}
