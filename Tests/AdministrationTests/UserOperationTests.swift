// SPDX-License-Identifier: Apache-2.0
// Users: what is written, what is refused, and in which words.

import Administration
import LoginEngine
import Store
import Testing

@Suite struct UserOperationTests {
    @Test func userIsAddedWithEverything() async throws {
        let office = try Office()
        try await office.perform(AddGroup(name: "staff"))
        let done = try await office.perform(
            AddUser(
                name: "Alice", email: "alice@example.org", phone: "+49 (30) 123-4567", timeZone: "Europe/Berlin", groups: ["Staff"],
                aliases: ["alice@example.org", "CORP\\alice"], password: SecretText("correct horse battery")))
        #expect(done == Done("Added user Alice."))
        let view = try await office.perform(ShowUser(name: "ALICE@example.org"))
        #expect(view.name == "Alice")
        #expect(view.status == "active")
        #expect(view.phone == "+49301234567")
        #expect(view.groups == ["staff"])
        #expect(view.aliases == ["alice@example.org", "CORP\\alice"])
        #expect(view.hasPassword)
        #expect(view.warnings == ["No second factor: `sallyport factor add Alice totp` enrols one."])
        let event = try office.newest()
        #expect(event.kind == .userAdded)
        #expect(event.actor["actor"] == "cli:anna@vpn1")
        #expect(event.subject["name"] == "Alice")
        #expect(event["password"] == "set")
        #expect(event.user != nil)
    }

    @Test func refusalsNameFieldAndRemedy() async throws {
        let office = try Office()
        try await office.perform(AddUser(name: "alice", aliases: ["ally"]))
        let expected: [(AddUser, String)] = [
            (AddUser(name: "ALICE"), "name: There is a user `alice` already. Choose another name, or see `sallyport user show alice`."),
            (
                AddUser(name: "ally"),
                "name: `ally` is an alias of user `alice` already. Choose another name, or see `sallyport user show alice`."
            ),
            (AddUser(name: "  "), "name: The name is empty. Use 1 to 253 bytes without control characters."),
            (AddUser(name: "a\u{7}b"), "name: `a·b` cannot be a login name. Use 1 to 253 bytes without control characters."),
            (AddUser(name: "bob", email: "bob"), "email: `bob` is not an e-mail address. Write it as alice@example.org."),
            (
                AddUser(name: "bob", phone: "030 1234567"),
                "phone: `030 1234567` is not a phone number with its country. Write it as +49 30 1234567."
            ),
            (AddUser(name: "bob", timeZone: "Europe/Berlim"), "time-zone: No time zone `Europe/Berlim`. Did you mean `Europe/Berlin`?"),
            (AddUser(name: "bob", groups: ["staff"]), "No group `staff`. `sallyport group add staff` makes it."),
            (
                AddUser(name: "bob", aliases: ["Alice"]),
                "alias: There is a user `alice` already. Choose another name, or see `sallyport user show alice`."
            ),
            (
                AddUser(name: "bob", password: SecretText("short")),
                "password: The password is shorter than 8 characters. Choose a longer one."
            ),
            (
                AddUser(name: "bob", password: SecretText(String(repeating: "x", count: 129))),
                "password: The password is longer than 128 bytes. RADIUS carries no more; choose a shorter one."
            ),
            (
                AddUser(name: "bob", password: SecretText("tab\there-it-is")),
                "password: The password holds a control character. Gateways cannot send it; choose another."
            ),
        ]
        for (request, text) in expected { #expect(await office.refusal(of: request) == text) }
        #expect(try office.records.userCount() == 1)
    }

    @Test func nearNameIsSuggested() async throws {
        let office = try Office()
        try await office.perform(AddUser(name: "alice"))
        #expect(await office.refusal(of: ShowUser(name: "alcie")) == "No user `alcie`. Did you mean `alice`?")
        #expect(await office.refusal(of: ShowUser(name: "zebedee")) == "No user `zebedee`. `sallyport user list` shows all.")
        #expect(await office.kind(of: ShowUser(name: "zebedee")) == .missing)
    }

    @Test func passwordWhoseEndReadsAsCodeIsRefusedBesideAnAppendClient() async throws {
        let office = try Office()
        let password = SecretText("horse,battery,123456")
        #expect(try await office.perform(AddUser(name: "early", password: password)).message == "Added user early.")
        try await office.perform(office.client { $0.asking = "append" })
        #expect(
            await office.refusal(of: AddUser(name: "bob", password: password))
                == "password: The end of this password would be read as a code on client `office`. Choose one in which no code and no keyword follows `,`."
        )
        #expect(await office.kind(of: AddUser(name: "bob", password: SecretText("horse,battery,push"))) == .conflict)
        try await office.perform(AddUser(name: "bob", password: SecretText("horse,battery,12345")))
        var choices = ClientChoices()
        choices.fixedLengthTail = true
        try await office.perform(SetClient(client: "office", choices: choices))
        var change = SetUser(user: "bob")
        change.password = SecretText("Sommer20261234")
        #expect(
            await office.refusal(of: change)
                == "password: The end of this password would be read as a code on client `office`. Choose one that does not end in 6 to 8 digits."
        )
    }

    @Test func userIsChangedFieldByField() async throws {
        let office = try Office()
        try await office.perform(AddUser(name: "alice", email: "a@example.org", aliases: ["ally"]))
        try await office.perform(AddGroup(name: "staff"))
        var change = SetUser(user: "ally")
        change.name = "alice.smith"
        change.email = ""
        change.addAliases = ["alice"]
        change.removeAliases = ["ALLY"]
        change.addGroups = ["staff"]
        change.password = SecretText("a new password")
        #expect(try await office.perform(change).message == "Changed user alice.smith: name, email, aliases, joined staff, password.")
        let view = try await office.perform(ShowUser(name: "alice"))
        #expect(view.name == "alice.smith")
        #expect(view.email == nil)
        #expect(view.aliases == ["alice"])
        #expect(view.groups == ["staff"])

        var leave = SetUser(user: "alice")
        leave.removeGroups = ["staff"]
        #expect(try await office.perform(leave).message == "Changed user alice.smith: left staff.")
        #expect(await office.refusal(of: leave) == "alice.smith is not in group `staff`. See `sallyport user show alice.smith`.")
        #expect(
            await office.refusal(of: SetUser(user: "alice"))
                == "Nothing to change was given. `sallyport user set --help` lists what can be changed.")
    }

    @Test func disablingTwiceIsNoFailure() async throws {
        let office = try Office()
        try await office.perform(AddUser(name: "alice"))
        var disable = SetUser(user: "alice")
        disable.status = "disabled"
        #expect(try await office.perform(disable).message == "Changed user alice: disabled.")
        #expect(try await office.perform(disable).message == "Nothing to change: user alice is like that already.")
        #expect(try office.newest()["change"] == "disabled")
        #expect(try await office.perform(ListUsers(status: "disabled")).users.map(\.name) == ["alice"])
        #expect(await office.refusal(of: ListUsers(status: "locked")) == "status: No status `locked`. Use pending, active or disabled.")
    }

    @Test func unlockTellsTheEngineToForget() async throws {
        let office = try Office()
        try await office.perform(AddUser(name: "alice"))
        let id = try #require(try office.records.user(key: "alice")).id
        let lock = FailureRecord(
            kind: .code, source: "", count: 5, since: Office.start, level: 1, lockedUntil: Office.start + .minutes(15))
        office.records.remember(.failure(user: id, lock))
        // Returns when the writer wrote what came before.
        try await office.records.housekeeping(at: Office.start)
        let before = try await office.perform(ShowUser(name: "alice"))
        #expect(before.locks.map(\.of) == ["code"])
        #expect(before.locks.first?.until == Instant(Office.start + .minutes(15)))
        #expect(try await office.perform(ListUsers()).users[0].isLocked)
        #expect(try await office.perform(UnlockUser(name: "alice")).message == "Unlocked alice: codes can be tried again at once.")
        #expect(office.changes.current == [.failures(user: id)])
        #expect(try await office.perform(ShowUser(name: "alice")).locks.isEmpty)
        #expect(try office.newest().kind == .userUnlocked)
    }

    @Test func listGoesOnBehindAName() async throws {
        let office = try Office()
        for name in ["carol", "alice", "bob"] { try await office.perform(AddUser(name: name)) }
        let first = try await office.perform(ListUsers(limit: 2))
        #expect(first.users.map(\.name) == ["alice", "bob"])
        #expect(first.next == "bob")
        let second = try await office.perform(ListUsers(after: first.next, limit: 2))
        #expect(second.users.map(\.name) == ["carol"])
        #expect(second.next == nil)
        #expect(await office.refusal(of: ListUsers(limit: 0)) == "limit: 0 is out of range. It must be 1 to 10000.")
    }

    @Test func removedUserIsGoneWithFactors() async throws {
        let office = try Office()
        try await office.perform(AddUser(name: "alice"))
        _ = try await office.perform(AddFactor(user: "alice", kind: "totp"))
        try await office.perform(RemoveUser(name: "alice"))
        #expect(await office.kind(of: ShowUser(name: "alice")) == .missing)
        #expect(try office.newest().kind == .userRemoved)
    }
}
