// SPDX-License-Identifier: Apache-2.0
// How many sessions users, groups and policies allow, by command and by file.

import LoginEngine
import Testing

@testable import Administration

@Suite struct SessionLimitOperationTests {
    @Test func aNumberIsSetTakenAwayAndToldInTheTrail() async throws {
        let office = try Office()
        _ = try await office.perform(AddUser(name: "alice", sessions: 2))
        #expect(try await office.perform(ShowUser(name: "alice")).sessions?.own == 2)
        var set = SetUser(user: "alice")
        set.sessions = 0
        #expect(try await office.perform(set).message == "Changed user alice: sessions: 2 → any.")
        #expect(try await office.perform(ShowUser(name: "alice")).sessions?.most == nil)
        _ = try await office.perform(AddGroup(name: "inner", users: ["alice"]))
        _ = try await office.perform(AddGroup(name: "outer", groups: ["inner"], sessions: 3))
        let sessions = try #require(try await office.perform(ShowUser(name: "alice")).sessions)
        #expect(sessions.most == 3 && sessions.by == "group outer" && sessions.own == nil && sessions.open == 0)
        #expect(office.changes.current.contains(.replies))
        let changes = try await office.perform(ListEvents(kinds: ["group-changed"], limit: 50)).events.flatMap(\.details).map(\.value)
        #expect(changes.contains("sessions: any → 3"))
    }

    @Test(arguments: [-1, 1001]) func numbersHaveBounds(most: Int) async throws {
        let office = try Office()
        await #expect(throws: Refusal.self) { try await office.perform(AddUser(name: "alice", sessions: most)) }
        await #expect(throws: Refusal.self) { try await office.perform(AddGroup(name: "staff", sessions: most)) }
        _ = try await office.perform(AddUser(name: "bob", sessions: SessionLimit.range.upperBound))
        _ = try await office.perform(AddUser(name: "carol", sessions: SessionLimit.range.lowerBound))
    }

    @Test func aFileSetsThemAndExportWritesTheSame() async throws {
        let office = try Office()
        var choices = ClientChoices()
        choices.addresses = ["192.0.2.7"]
        choices.secret = SecretText("secret of the hq client")
        _ = try await office.perform(AddClient(name: "hq", choices: choices))
        var blueprint = Blueprint()
        var staff = Blueprint.Group(name: "staff", place: "f:1")
        staff.sessions = 2
        blueprint.groups = [staff]
        var rule = PolicyChoices()
        rule.require = "password"
        rule.sessions = 5
        blueprint.policies = [Blueprint.Policy(name: "days", place: "f:2", choices: rule)]
        let first = try await office.perform(ApplyBlueprint(blueprint: blueprint))
        #expect(first.differences.first { $0.name == "staff" }?.fields.map(\.after) == ["2"])
        #expect(first.warnings.filter { $0.contains("hq has reported no session yet") }.count == 1, "\(first.warnings)")
        #expect(office.changes.current.contains(.replies))
        #expect(try await office.perform(ApplyBlueprint(blueprint: blueprint)).changes == false)
        #expect(try await office.perform(ShowPolicy(name: "days")).meaning.contains("5 sessions open at most"))
        let exported = try await office.perform(ExportBlueprint()).blueprint
        #expect(exported.groups?.first?.sessions == 2 && exported.policies?.first?.choices.sessions == 5)
        #expect(try await office.perform(ApplyBlueprint(blueprint: exported)).changes == false)
        // What a file does not say any more is taken away.
        blueprint.groups = [Blueprint.Group(name: "staff", place: "f:1")]
        #expect(try await office.perform(ApplyBlueprint(blueprint: blueprint)).changes)
        #expect(try await office.perform(ShowGroup(name: "staff")).sessions == nil)
        staff.sessions = 4000
        blueprint.groups = [staff]
        do {
            _ = try await office.perform(ApplyBlueprint(blueprint: blueprint))
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains("out of range") && "\(error)".contains("f:1"))
        }
    }
}
