// SPDX-License-Identifier: Apache-2.0
// What a sync takes over, what it leaves alone and tells, and what it refuses to do unasked.

import Administration
import Directories
import LoginEngine
import Store
import Testing

@Suite struct SyncDirectoryTests {
    private typealias Pages = ScriptedPages

    @Test func usersAndGroupsComeWithTheirNamesAndMembersAndASecondSyncFindsNothing() async throws {
        let corp = try await SyncOffice()
        corp.pages.change {
            $0.users = [
                Pages.user("alice") {
                    $0.aliases = ["alice@corp.example", "CORP\\alice"]
                    $0.email = "alice@corp.example"
                    $0.phone = "+49 30 1234567"
                },
                Pages.user("bob") { $0.groups = ["cn=staff,dc=corp"] },
                Pages.user("gone") { $0.isEnabled = false },
            ]
            $0.groups = [Pages.group("staff", ["alice", "elsewhere"]), Pages.group("everybody", ["gone"], groups: ["staff"])]
        }
        let dry = try await corp.sync(dry: true)
        #expect(dry.counts.added == 2 && dry.counts.passedOver == 1 && dry.counts.groupsAdded == 2)
        #expect(try corp.user("alice") == nil, "a dry run does nothing")
        let answer = try await corp.sync()
        #expect(answer.counts == dry.counts && answer.faults.isEmpty)
        #expect(answer.steps.first { $0.name == "alice" }?.differences.contains("groups: corp/staff") == true)
        let alice = try #require(try corp.user("corp\\alice"))
        #expect(alice.name == "alice" && alice.home == .directory(corp.directory) && alice.phone == "+49301234567")
        #expect(try await corp.members("staff").users == ["alice", "bob"])
        #expect(try await corp.members("everybody").groups == ["corp/staff"])
        #expect(try corp.office.records.groups(ofUser: alice.id).map(\.name) == ["corp/everybody", "corp/staff"])
        let again = try await corp.sync()
        #expect(again.counts.isNothing && again.counts.unchanged == 2)
        let events = try await corp.office.perform(ListEvents(kinds: ["user-added", "directory-synced"])).events
        #expect(events.count(where: { $0.kind == "user-added" }) == 2)
        #expect(events.count(where: { $0.kind == "directory-synced" }) == 2)
    }

    @Test func whoIsRenamedStaysTheSameAndNamesMayGoRound() async throws {
        let corp = try await SyncOffice()
        corp.pages.change {
            $0.users = [
                Pages.user("alice", id: "1") { $0.aliases = ["alice@corp.example"] }, Pages.user("bob", id: "2"),
                Pages.user("carol", id: "3"),
            ]
            $0.groups = [Pages.group("a", id: "g1", ["alice"]), Pages.group("b", id: "g2", ["bob"])]
        }
        try await corp.sync()
        let before = try ["alice", "bob", "carol"].map { try #require(try corp.user($0)).id }
        let groups = try corp.office.records.groups()
        // A circle of three, and two groups that change names; an alias goes with its user.
        corp.pages.change {
            $0.users = [
                Pages.user("bob", id: "1") { $0.aliases = ["bob@corp.example"] }, Pages.user("carol", id: "2"),
                Pages.user("Alice", id: "3"),
            ]
            $0.groups = [Pages.group("b", id: "g1", ["bob"]), Pages.group("a", id: "g2", ["carol"])]
        }
        let answer = try await corp.sync()
        #expect(answer.faults.isEmpty && answer.counts.changed == 3 && answer.counts.groupsChanged == 2)
        #expect(try ["bob", "carol", "alice"].map { try #require(try corp.user($0)).id } == before)
        #expect(try corp.user("alice")?.name == "Alice" && corp.user("alice@corp.example") == nil)
        #expect(try corp.user("bob@corp.example")?.id == before[0])
        let renamed = try corp.office.records.groups()
        #expect(renamed.first { $0.name == "corp/b" }?.id == groups.first { $0.name == "corp/a" }?.id)
        #expect(try await corp.sync().counts.isNothing)
    }

    @Test func whoIsGoneIsDisabledAndComesBackButNotWhomAnAdministratorDisabled() async throws {
        let corp = try await SyncOffice()
        let everybody = ["alice", "bob", "carol"].map { Pages.user($0) }
        corp.pages.change {
            $0.users = everybody
            $0.groups = [Pages.group("staff", ["alice", "bob"])]
        }
        try await corp.sync()
        var byHand = SetUser(user: "bob")
        byHand.status = "disabled"
        try await corp.office.perform(byHand)
        corp.pages.change {
            $0.users = [everybody[1]]
            $0.groups = []
        }
        let answer = try await corp.sync()
        #expect(answer.counts.disabled == 2 && answer.counts.groupsEmptied == 1)
        #expect(try corp.user("alice")?.status == .disabled && corp.user("carol")?.status == .disabled)
        #expect(try await corp.members("staff").users.isEmpty, "the group stays for the policies that name it")
        corp.pages.change {
            $0.users = everybody.map { entry in
                var entry = entry
                entry.isEnabled = entry.name != "carol"
                return entry
            }
        }
        let back = try await corp.sync()
        #expect(back.counts.enabled == 1)
        #expect(try corp.user("alice")?.status == .active)
        #expect(try corp.user("bob")?.status == .disabled && corp.user("carol")?.status == .disabled)
        // What an administrator said last holds.
        var on = SetUser(user: "carol")
        on.status = "active"
        try await corp.office.perform(on)
        #expect(try await corp.sync().counts.disabled == 1)
    }

    @Test func nobodyIsTakenOverUnasked() async throws {
        let corp = try await SyncOffice()
        try await corp.office.perform(AddUser(name: "Alice", aliases: ["bob"], password: SecretText("correct horse battery")))
        corp.pages.change { $0.users = [Pages.user("alice"), Pages.user("bob"), Pages.user("carol") { $0.aliases = ["alice", "bob"] }] }
        let answer = try await corp.sync()
        #expect(answer.counts.added == 1 && answer.counts.faults == 4)
        #expect(answer.faults.contains { $0.entry == "uid=alice,dc=corp" && $0.message.contains("--adopt alice") })
        #expect(answer.faults.contains { $0.entry == "uid=bob,dc=corp" })
        #expect(try corp.user("carol")?.aliases.isEmpty == true)
        #expect(try corp.user("alice")?.home == nil)
        let adopted = try await corp.sync(adopt: ["alice"])
        #expect(adopted.counts.changed == 1)
        #expect(try corp.user("alice")?.home == .directory(corp.directory))
        #expect(try corp.user("alice")?.aliases.map(\.key) == ["bob"], "what was given here stays")
        #expect(await corp.office.refusal(of: SyncDirectory(name: "corp", adopting: ["nobody"])).contains("No user `nobody`"))
    }

    @Test func entriesThatClashAreLeftAloneAndEverythingElseGoesOn() async throws {
        let corp = try await SyncOffice()
        corp.pages.change { $0.users = [Pages.user("alice", id: "1"), Pages.user("bob", id: "2")] }
        try await corp.sync()
        corp.pages.change {
            $0.users = [
                // Alice's entry has Bob's name now, Bob's too: neither is touched, nor disabled.
                Pages.user("bob", id: "1"), Pages.user("BOB", id: "2"),
                // Has the name that the first one keeps.
                Pages.user("alice", id: "3"),
                Pages.user("dora") { $0.aliases = ["boss"] }, Pages.user("emil") { $0.aliases = ["boss", "dora", "ok"] },
                Pages.user("bad\u{7}name", id: "6"), Pages.user("", id: "7"), Pages.user("noid", id: ""),
                Pages.user("raw", id: "8") { $0.faults = ["Its uid is no text in UTF-8."] },
                Pages.user(String(repeating: "x", count: 254), id: "9"), Pages.user("same", id: "10"), Pages.user("other", id: "10"),
            ]
            $0.groups = [
                Pages.group("one", id: "g1"), Pages.group("ONE", id: "g2"), Pages.group(String(repeating: "g", count: 129), id: "g3"),
                Pages.group("fine", id: "g4", ["dora"]),
            ]
        }
        let answer = try await corp.sync()
        #expect(answer.counts.added == 2 && answer.counts.disabled == 0 && answer.counts.groupsAdded == 1)
        #expect(try corp.user("alice")?.status == .active && corp.user("bob")?.status == .active)
        #expect(try corp.user("boss") == nil && corp.user("ok")?.name == "emil" && corp.user("dora")?.name == "dora")
        for place in ["uid=bob,dc=corp", "uid=BOB,dc=corp", "uid=alice,dc=corp", "uid=raw,dc=corp", "uid=noid,dc=corp", "cn=ONE,dc=corp"] {
            #expect(answer.faults.contains { $0.entry == place }, "\(place)")
        }
    }

    @Test func groupsThatHoldEachOtherAreGivenAllTheirMembers() async throws {
        let corp = try await SyncOffice()
        corp.pages.change {
            $0.users = ["alice", "bob", "carol"].map { Pages.user($0) }
            $0.groups = [
                Pages.group("a", ["alice"], groups: ["b"]), Pages.group("b", ["bob"], groups: ["c"]),
                Pages.group("c", groups: ["a", "inner", "c"]), Pages.group("inner", ["carol"]), Pages.group("outer", groups: ["a"]),
            ]
        }
        let answer = try await corp.sync()
        #expect(answer.counts.faults == 3 && answer.faults.allSatisfy { $0.message.contains("hold each other") })
        for group in ["a", "b", "c"] {
            let view = try await corp.members(group)
            #expect(view.users == ["alice", "bob"] && view.groups == ["corp/inner"], "\(group)")
        }
        #expect(try await corp.members("outer").groups == ["corp/a"])
        #expect(try await corp.sync().counts.isNothing)
        corp.pages.change { $0.groups[1].members = ["uid=bob,dc=corp"] }
        try await corp.sync()
        #expect(try await corp.members("a").groups == ["corp/b"])
        #expect(try await corp.members("c").users.isEmpty)
    }

    @Test(arguments: [(60, 6, true), (60, 7, false), (10, 5, true), (10, 6, false), (3, 3, false)])
    func moreThanATenthAreNotDisabledUnasked(total: Int, gone: Int, isDone: Bool) async throws {
        let corp = try await SyncOffice()
        corp.pages.change { $0.users = (0..<total).map { Pages.user("u\($0)") } }
        try await corp.sync()
        corp.pages.change { $0.users.removeLast(gone) }
        let dry = try await corp.sync(dry: true)
        #expect((dry.objection == nil) == isDone && dry.counts.disabled == gone)
        let refusal = await corp.office.refusal(of: SyncDirectory(name: "corp"))
        #expect(refusal.contains("not refused") == isDone, "\(refusal)")
        guard !isDone else { return }
        #expect(refusal.contains("--yes"))
        #expect(try corp.user("u\(total - 1)")?.status == .active)
        let record = try #require(try corp.office.records.syncRecords().first)
        #expect(record.failures == 1 && record.problem != nil && record.claimedBy == nil)
        #expect(try await corp.sync(yes: true).counts.disabled == gone)
        #expect(try corp.office.records.syncRecords().first?.failures == 0)
    }

    @Test func aDirectoryThatEndsInTheMiddleChangesNothing() async throws {
        let corp = try await SyncOffice()
        corp.pages.change { $0.users = [Pages.user("alice"), Pages.user("bob")] }
        try await corp.sync()
        corp.pages.change {
            $0.users = [Pages.user("carol"), Pages.user("dora")]
            $0.failure = "the connection broke"
        }
        #expect(await corp.office.refusal(of: SyncDirectory(name: "corp", isConfirmed: true)).contains("the connection broke"))
        #expect(try corp.user("alice")?.status == .active && corp.user("carol") == nil)
        let view = try await corp.office.perform(ShowDirectory(name: "corp"))
        #expect(view.sync?.failures == 1 && view.sync?.problem?.contains("broke") == true && view.sync?.counts?.added == 2)
    }

    @Test func whoIsKnownByNameAloneBecomesTheEntryAndAMadeGroupIsFilled() async throws {
        let corp = try await SyncOffice()
        try await corp.office.perform(AddUser(name: "alice", directory: "corp"))
        try await corp.office.perform(AddUser(name: "bert", directory: "corp"))
        try await corp.office.perform(AddGroup(name: "corp/Staff"))
        corp.pages.change {
            $0.users = [Pages.user("alice")]
            $0.groups = [Pages.group("staff", ["alice"])]
        }
        let answer = try await corp.sync()
        #expect(answer.counts.changed == 1 && answer.counts.added == 0 && answer.counts.disabled == 0 && answer.counts.groupsChanged == 1)
        #expect(try corp.user("bert")?.status == .active, "of whom the directory has never said anything")
        #expect(try await corp.members("staff").users == ["alice"])
        // Another entry of that name is another person.
        corp.pages.change { $0.users = [Pages.user("alice", id: "another")] }
        let other = try await corp.sync(yes: true)
        #expect(other.counts.added == 0 && other.faults.first?.message.contains("user remove alice") == true)
        #expect(try corp.user("alice")?.status == .disabled)
        var set = SetGroup(group: "corp/staff")
        set.addUsers = ["bert"]
        #expect(await corp.office.refusal(of: set).contains("directory `corp`"))
        var joining = SetUser(user: "bert")
        joining.addGroups = ["corp/staff"]
        #expect(await corp.office.refusal(of: joining).contains("directory `corp`"))
        #expect(await corp.office.refusal(of: AddUser(name: "carl", groups: ["corp/staff"])).contains("directory `corp`"))
        let csv = SecretText("name,groups\nbert,corp/staff\n")
        #expect(await corp.office.refusal(of: ImportUsers(csv: csv, isDryRun: true)).contains("directory `corp`"))
        try await corp.office.perform(AddGroup(name: "all", groups: ["corp/staff"]))
    }

    @Test func manyAreWrittenInStepsAndManyMembersAreToldTogether() async throws {
        let corp = try await SyncOffice()
        corp.pages.change {
            $0.users = (0..<300).map { Pages.user("u\($0)") }
            $0.groups = [Pages.group("all")]
        }
        try await corp.sync()
        corp.pages.change { $0.groups = [Pages.group("all", (0..<300).map { "u\($0)" })] }
        #expect(try await corp.sync().counts.joined == 300)
        #expect(try await corp.members("all").users.count == 300)
        let events = try await corp.office.perform(ListEvents(kinds: ["group-changed"])).events
        #expect(events.count == 2 && events.allSatisfy { $0.text.contains("users joined") })
    }

    @Test func radiusListsNobody() async throws {
        let corp = try await SyncOffice()
        var choices = DirectoryChoices()
        choices.servers = ["192.0.2.7"]
        choices.secret = SecretText("a-shared-secret-of-two")
        try await corp.office.perform(AddDirectory(name: "nps", choices: choices))
        #expect(await corp.office.refusal(of: SyncDirectory(name: "nps")).contains("RADIUS has no such request"))
        choices.syncEvery = "1h"
        #expect(await corp.office.refusal(of: AddDirectory(name: "nps2", choices: choices)).contains("RADIUS has no request"))
        #expect(await corp.office.refusal(of: SyncDirectory(name: "nobody")).contains("No directory"))
    }
}

@Suite struct SyncScheduleTests {
    private let start = Timestamp(seconds: 1_000_000)

    private func record(failures: Int = 0) -> SyncRecord {
        var record = SyncRecord(directory: 1)
        record.started = start
        record.failures = failures
        return record
    }

    @Test(arguments: [(0, 3_600), (1, 60), (2, 120), (3, 240), (7, 3_600), (60, 3_600)])
    func afterFailuresItIsTriedSoonThenLessAndLessOften(failures: Int, seconds: Int64) {
        let next = SyncSchedule.next(after: record(failures: failures), every: .seconds(3_600), jitter: 0)
        #expect(next == start + .seconds(seconds))
    }

    @Test func itIsDueAtFirstAndAfterItsTimeWithJitter() {
        let every = Timestamp.Span.seconds(1_000)
        #expect(SyncSchedule.isDue(nil, every: every, jitter: 0.5, at: start))
        #expect(!SyncSchedule.isDue(record(), every: every, jitter: 0.5, at: start + .seconds(1_049)))
        #expect(SyncSchedule.isDue(record(), every: every, jitter: 0.5, at: start + .seconds(1_050)))
        #expect(SyncSchedule.isDue(record(), every: every, jitter: 0, at: Timestamp(seconds: 5)), "the clock was set back")
    }

    @Test(arguments: [("15m", "15m"), ("60m", "1h"), ("2d", "2d"), ("5m", "5m"), ("168h", "7d")])
    func howOftenIsSaidInMinutesHoursOrDays(text: String, shown: String) async throws {
        let corp = try await SyncOffice()
        var choices = DirectoryChoices()
        choices.syncEvery = text
        choices.servers = ["ldap://192.0.2.7"]
        choices.ldap = DirectoryChoices.LDAP()
        choices.ldap?.base = "dc=corp"
        choices.ldap?.account = "cn=reader,dc=corp"
        choices.secret = SecretText("password")
        _ = try await corp.office.perform(SetDirectory(directory: "corp", choices: choices))
        #expect(try await corp.office.perform(ShowDirectory(name: "corp")).sync?.every == shown)
        #expect(try corp.office.operations.dueSyncs(jitter: 0) == ["corp"])
        try await corp.sync()
        #expect(try corp.office.operations.dueSyncs(jitter: 0).isEmpty)
        for wrong in ["4m", "8d", "1", "h", "-1h", "1w", ""] {
            choices.syncEvery = wrong
            #expect(await corp.office.refusal(of: SetDirectory(directory: "corp", choices: choices)).contains("5m to 7d"), "\(wrong)")
        }
    }
}
