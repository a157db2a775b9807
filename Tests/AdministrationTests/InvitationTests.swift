// SPDX-License-Identifier: Apache-2.0

import Administration
import Foundation
import LoginEngine
import Store
import Synchronization
import Testing

@Suite struct InvitationTests {
    private static let base = "https://vpn.example.org"

    private func office(hasPages: Bool = true) throws -> Office {
        // Every invitation has a token of its own.
        let office = try Office(random: { SystemRandomNumberGenerator() }, publicURL: hasPages ? Self.base : nil)
        return office
    }

    private func channel(_ change: (inout ChannelChoices) -> Void = { _ in }) -> AddChannel {
        var choices = ChannelChoices()
        choices.server = "smtp.corp.example"
        choices.from = "vpn@corp.example"
        change(&choices)
        return AddChannel(name: "mail", choices: choices)
    }

    /// The token of a link that was handed over.
    private func token(_ answer: InviteUser.Answer) throws -> String {
        let link = try #require(answer.link).text
        #expect(link.hasPrefix("\(Self.base)/activate/"))
        return String(link.dropFirst("\(Self.base)/activate/".count))
    }

    @Test func linkIsHandedOverWithoutChannelAndWorksOnce() async throws {
        let office = try office()
        try await office.perform(AddUser(name: "alice", email: "alice@corp.example", awaitsInvitation: true))
        #expect(try office.records.user(key: "alice")?.status == .pending)
        let answer = try await office.perform(InviteUser(user: "alice"))
        #expect(answer.recipient == nil && answer.warnings.count == 1)
        #expect(answer.expires.timestamp == Office.start + .minutes(72 * 60))
        let token = try token(answer)
        #expect(token.utf8.count == 32)
        // Encoded for the door alone; nothing prints it.
        #expect(!"\(answer)".contains(token))
        for _ in 0..<2 { #expect(try await office.operations.invitee(token: token, from: "192.0.2.9")?.user == "alice") }
        let refused = try await office.operations.activate(token: token, password: Secret(utf8: "short"), from: "192.0.2.9")
        #expect(refused == .refused("The password is shorter than 8 characters. Choose a longer one."))
        let done = try await office.operations.activate(token: token, password: Secret(utf8: "long enough"), from: "192.0.2.9")
        #expect(done == .done(user: "alice"))
        let user = try #require(try office.records.user(key: "alice"))
        #expect(user.status == .active && user.hasPassword)
        #expect(try await office.operations.activate(token: token, password: Secret(utf8: "another one"), from: "192.0.2.9") == .void)
        #expect(try await office.operations.invitee(token: token, from: "192.0.2.9") == nil)
        let kinds = try office.records.events(EventFilter(limit: 10)).map(\.event.kind)
        #expect(kinds == [.userActivated, .invitationOpened, .userInvited, .userAdded])
    }

    @Test func newLinkVoidsTheOneBefore() async throws {
        let office = try office()
        try await office.perform(AddUser(name: "alice", awaitsInvitation: true))
        let first = try token(try await office.perform(InviteUser(user: "alice")))
        let second = try token(try await office.perform(InviteUser(user: "alice")))
        #expect(first != second)
        #expect(try await office.operations.invitee(token: first, from: "x") == nil)
        #expect(try await office.operations.invitee(token: second, from: "x") != nil)
    }

    @Test func linkEnds() async throws {
        let office = try office()
        try await office.perform(AddUser(name: "alice", awaitsInvitation: true))
        let token = try token(try await office.perform(InviteUser(user: "alice", validity: "2h")))
        office.clock.value.withLock { $0 = $0 + .minutes(120) - .seconds(1) }
        #expect(try await office.operations.invitee(token: token, from: "x") != nil)
        office.clock.value.withLock { $0 = $0 + .seconds(1) }
        #expect(try await office.operations.invitee(token: token, from: "x") == nil)
        #expect(try await office.operations.activate(token: token, password: Secret(utf8: "long enough"), from: "x") == .void)
        #expect(try await office.perform(ListOnboarding()).users.map(\.state) == [.linkExpired])
    }

    @Test func whatAnAdministratorDoesVoidsTheLink() async throws {
        let office = try office()
        func invited(_ name: String) async throws -> String {
            try await office.perform(AddUser(name: name, email: "\(name)@corp.example", awaitsInvitation: true))
            return try token(try await office.perform(InviteUser(user: name, isPrinted: true)))
        }
        func isVoid(_ token: String) async throws -> Bool {
            let activation = try await office.operations.activate(token: token, password: Secret(utf8: "long enough"), from: "x")
            return try await office.operations.invitee(token: token, from: "x") == nil && activation == .void
        }
        let disabled = try await invited("dora")
        var request = SetUser(user: "dora")
        request.status = "disabled"
        try await office.perform(request)
        #expect(try await isVoid(disabled))
        let known = try await invited("kim")
        request = SetUser(user: "kim")
        request.password = SecretText("set by an administrator")
        try await office.perform(request)
        #expect(try await isVoid(known))
        #expect(try office.records.user(key: "kim")?.status == .active)
        // The old address may have been a stranger's.
        let moved = try await invited("mia")
        request = SetUser(user: "mia")
        request.email = "mia@new.example"
        let done = try await office.perform(request)
        #expect(try await isVoid(moved))
        #expect(done.warnings.contains { $0.contains("sallyport user invite mia") })
        let gone = try await invited("rob")
        try await office.perform(RemoveUser(name: "rob"))
        #expect(try await isVoid(gone))
    }

    @Test(arguments: ["", "x", String(repeating: "A", count: 31), String(repeating: "=", count: 32), String(repeating: "A", count: 33)])
    func whatIsNoTokenOpensNothing(_ text: String) async throws {
        let office = try office()
        #expect(try await office.operations.invitee(token: text, from: "x") == nil)
        #expect(try await office.operations.activate(token: text, password: Secret(utf8: "long enough"), from: "x") == .void)
    }

    @Test func mailWaitsSealedWithTheLinkInIt() async throws {
        let office = try office()
        try await office.perform(channel())
        try await office.perform(AddUser(name: "alice", email: "alice@corp.example", awaitsInvitation: true))
        let answer = try await office.perform(InviteUser(user: "alice"))
        #expect(answer.link == nil && answer.recipient == "alice@corp.example")
        #expect(office.changes.current.contains(.mail))
        #expect(try await office.perform(ListOnboarding()).users.map(\.state) == [.mailWaiting])
        let bytes =
            try Data(contentsOf: URL(fileURLWithPath: office.path + "/sallyport.sqlite"))
            + ((try? Data(contentsOf: URL(fileURLWithPath: office.path + "/sallyport.sqlite-wal"))) ?? Data())
        #expect(bytes.range(of: Data("alice@corp.example".utf8)) != nil)
        #expect(bytes.range(of: Data("/activate/".utf8)) == nil)
        let claimed = try #require(try await office.records.claimMail(at: Office.start, lease: .minutes(5)))
        let body = try #require(claimed.content?.body.revealText())
        let link = try #require(body.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("https://") })
        #expect(try await office.operations.invitee(token: String(link.suffix(32)), from: "x")?.user == "alice")
        #expect(body.contains("The link works once, until"))
    }

    @Test func aMailIsOneSendersAtATime() async throws {
        let office = try office()
        try await office.perform(channel { $0.perMinute = 2 })
        for name in ["a", "b", "c"] {
            try await office.perform(AddUser(name: name, email: "\(name)@corp.example", awaitsInvitation: true))
            try await office.perform(InviteUser(user: name))
        }
        let records = office.records
        let first = try #require(try await records.claimMail(at: Office.start, lease: .minutes(5)))
        let second = try #require(try await records.claimMail(at: Office.start, lease: .minutes(5)))
        #expect(first.id != second.id)
        // The third waits for its turn, though it is due.
        #expect(try !records.isMailDue(at: Office.start))
        #expect(try await records.claimMail(at: Office.start, lease: .minutes(5)) == nil)
        let later = Office.start + .minutes(2)
        let third = try #require(try await records.claimMail(at: later, lease: .minutes(5)))
        #expect(Set([first.id, second.id, third.id]).count == 3)
        try await records.end(third, .sent, at: later, event: nil)
        // Whoever had the first is gone: another takes it, and what the first one says afterwards counts for nothing.
        let again = try #require(try await records.claimMail(at: Office.start + .minutes(6), lease: .minutes(5)))
        #expect(again.id == first.id && again.tries == 2 && again.messageID == first.messageID)
        await #expect(throws: StoreError.self) { try await records.end(first, .sent, at: later, event: nil) }
        try await records.end(again, .failed(why: "no"), at: later, event: nil)
        #expect(try records.mails(limit: 9).map(\.state) == [.sent, .waiting, .failed])
        // What is over says nothing any more.
        #expect(try records.outboxFigures().waiting == 1)
        let expired = try await records.expireMails(at: Office.start + .minutes(73 * 60)) { purpose, user in
            Event(.mailFailed, at: Office.start, user: user, details: [Event.Detail("purpose", purpose)])
        }
        #expect(expired == 1)
        #expect(try records.mails(.failed, limit: 9).count == 2)
    }

    @Test func refusalsSayWhatToDo() async throws {
        let office = try office()
        #expect(await office.refusal(of: InviteUser(user: "nobody")).contains("No user `nobody`."))
        try await office.perform(AddUser(name: "alice", password: SecretText("long enough")))
        #expect(await office.refusal(of: InviteUser(user: "alice")).contains("has a password already"))
        try await office.perform(AddUser(name: "bob", awaitsInvitation: true))
        #expect(await office.refusal(of: InviteUser(user: "bob", channel: "mail")).contains("has no e-mail address"))
        for validity in ["0h", "31d", "721h", "x", "", "-1h", "9999999999999999999d"] {
            #expect(await office.refusal(of: InviteUser(user: "bob", validity: validity)).hasPrefix("valid-for: "), "\(validity)")
        }
        let without = try self.office(hasPages: false)
        #expect(await without.refusal(of: AddUser(name: "eve", awaitsInvitation: true)).contains("web.public-url"))
        #expect(try without.records.user(key: "eve") == nil)
        try await office.perform(channel())
        try await office.perform(AddUser(name: "mia", email: "mia@corp.example", awaitsInvitation: true))
        for _ in 0..<5 { try await office.perform(InviteUser(user: "mia")) }
        // What was withdrawn unsent fills nobody's mailbox; what went out does.
        while let mail = try await office.records.claimMail(at: Office.start, lease: .minutes(5)) {
            try await office.records.end(mail, .sent, at: Office.start, event: nil)
        }
        for _ in 0..<4 {
            try await office.perform(InviteUser(user: "mia"))
            let mail = try #require(try await office.records.claimMail(at: Office.start, lease: .minutes(5)))
            try await office.records.end(mail, .sent, at: Office.start, event: nil)
        }
        #expect(await office.refusal(of: InviteUser(user: "mia")).contains("5 mails were sent to mia@corp.example within an hour."))
    }

    @Test func restoredDataSendNothingAndOpenNothing() async throws {
        let office = try office()
        try await office.perform(channel())
        try await office.perform(AddUser(name: "alice", email: "alice@corp.example", awaitsInvitation: true))
        try await office.perform(InviteUser(user: "alice"))
        _ = try await office.records.openEpoch(made: Office.start, from: nil, keepsRecoveryCodes: false, at: Office.start) { details in
            Event(.restored, at: Office.start, details: details)
        }
        #expect(try office.records.mails(limit: 9).map(\.state) == [.failed])
        #expect(try await office.perform(ListOnboarding()).users.isEmpty)
    }
}

@Suite struct ChannelOperationTests {
    private func choices(_ change: (inout ChannelChoices) -> Void = { _ in }) -> ChannelChoices {
        var choices = ChannelChoices()
        choices.server = "smtp.corp.example:587"
        choices.from = "vpn@corp.example"
        change(&choices)
        return choices
    }

    @Test func channelIsAddedChangedAndRemoved() async throws {
        let office = try Office()
        try await office.perform(
            AddChannel(
                name: "mail",
                choices: choices {
                    $0.user = "vpn"
                    $0.password = SecretText("the password")
                }))
        let stored = try #require(try office.records.channels().first)
        #expect(
            stored.settings.secret == Secret(utf8: "the password") && stored.settings.security == .starttls && stored.settings.port == 587)
        let view = try await office.perform(ShowChannel(name: "mail"))
        #expect(view.user == "vpn" && view.warnings.isEmpty && !"\(view)".contains("the password"))
        var change = ChannelChoices()
        change.timeout = "5s"
        change.fromName = "VPN"
        let done = try await office.perform(SetChannel(channel: "mail", choices: change))
        #expect(done.message == "Changed channel mail: from-name: none → VPN; timeout: 30s → 5s.")
        #expect(try office.records.channels().first?.settings.secret == Secret(utf8: "the password"))
        try await office.perform(RemoveChannel(name: "mail"))
        #expect(try office.records.channels().isEmpty)
        #expect(try office.newest().kind == .channelRemoved)
    }

    @Test func passwordIsShownToNoOtherServerAndNeverInTheOpen() async throws {
        let office = try Office()
        let open = AddChannel(
            name: "mail",
            choices: choices {
                $0.tls = "none"
                $0.user = "vpn"
                $0.password = SecretText("the password")
            })
        #expect(await office.refusal(of: open).contains("in the open"))
        var own = open
        own.choices.server = "127.0.0.1:25"
        try await office.perform(own)
        var other = ChannelChoices()
        other.server = "smtp.evil.example"
        other.tls = "tls"
        #expect(await office.refusal(of: SetChannel(channel: "mail", choices: other)).contains("Give it anew"))
        other.password = SecretText("another password")
        try await office.perform(SetChannel(channel: "mail", choices: other))
        var port = ChannelChoices()
        port.server = "smtp.evil.example:2525"
        try await office.perform(SetChannel(channel: "mail", choices: port))
    }

    @Test(arguments: [
        ("server", "smtp corp"), ("server", "smtp:0"), ("server", ""), ("server", "a\r\nb"), ("from", "vpn"), ("from", "a b@c.de"),
        ("from", "vpn@corp.example\r\nBcc: x@y.z"), ("tls", "ssl"), ("timeout", "0s"), ("timeout", "121s"), ("timeout", "soon"),
        ("from-name", "a\nb"), ("user", "a\nb"), ("ca", "no certificate"), ("per-minute", "0"),
    ]) func whatCannotBeIsRefusedAtItsPlace(_ field: String, _ value: String) async throws {
        let office = try Office()
        let request = AddChannel(
            name: "mail",
            choices: choices {
                switch field {
                case "server": $0.server = value
                case "from": $0.from = value
                case "tls": $0.tls = value
                case "timeout": $0.timeout = value
                case "from-name": $0.fromName = value
                case "user": ($0.user, $0.password) = (value, SecretText("x"))
                case "per-minute": $0.perMinute = Int(value)
                default: $0.authorities = value
                }
            })
        #expect(await office.refusal(of: request).hasPrefix("\(field): "))
        #expect(try office.records.channels().isEmpty)
    }

    @Test func fileSaysHowChannelsAreToBe() async throws {
        let office = try Office()
        var blueprint = Blueprint()
        blueprint.channels = [
            Blueprint.Channel(
                name: "mail", place: "f:1",
                choices: choices {
                    $0.user = "vpn"
                    $0.password = SecretText("the password")
                })
        ]
        let added = try await office.perform(ApplyBlueprint(blueprint: blueprint))
        #expect(added.differences.map(\.name) == ["mail"] && added.differences[0].action == .add)
        let exported = try await office.perform(ExportBlueprint()).blueprint
        #expect(exported.channels?.first?.choices.password == nil && exported.channels?.first?.choices.user == "vpn")
        var same = Blueprint()
        same.channels = exported.channels
        #expect(try await office.perform(ApplyBlueprint(blueprint: same)).differences.isEmpty)
        same.channels?[0].choices.perMinute = 5
        let changed = try await office.perform(ApplyBlueprint(blueprint: same))
        let field = try #require(changed.differences.first?.fields.first)
        #expect(changed.differences.count == 1 && field.name == "per-minute" && field.before == "60" && field.after == "5")
        #expect(try office.records.channels().first?.settings.secret == Secret(utf8: "the password"))
        same.channels = []
        #expect(try await office.perform(ApplyBlueprint(blueprint: same)).differences.map(\.action) == [.missing])
        try await office.perform(ApplyBlueprint(blueprint: same, prunes: true))
        #expect(try office.records.channels().isEmpty)
    }

    @Test func doctorTellsWhatIsStuckAndWhatIsOpen() async throws {
        let office = try Office(random: { SystemRandomNumberGenerator() }, publicURL: "https://vpn.example.org")
        #expect(try await office.perform(ExamineNode(seconds: 0)).findings.allSatisfy { $0.kind != .channelsRight })
        try await office.perform(AddChannel(name: "mail", choices: choices()))
        #expect(try await office.perform(ExamineNode(seconds: 0)).findings.contains { $0.kind == .channelsRight })
        var open = ChannelChoices()
        open.tls = "none"
        try await office.perform(SetChannel(channel: "mail", choices: open))
        try await office.perform(AddUser(name: "alice", email: "alice@corp.example", awaitsInvitation: true))
        try await office.perform(InviteUser(user: "alice"))
        office.clock.value.withLock { $0 = $0 + .minutes(15) }
        var kinds = try await office.perform(ExamineNode(seconds: 0)).findings.map(\.kind)
        #expect(kinds.contains(.channelOpen) && !kinds.contains(.mailStuck))
        office.clock.value.withLock { $0 = $0 + .seconds(61) }
        kinds = try await office.perform(ExamineNode(seconds: 0)).findings.map(\.kind)
        #expect(kinds.contains(.mailStuck))
    }
}
