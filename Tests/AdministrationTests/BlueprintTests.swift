// SPDX-License-Identifier: Apache-2.0
// What an apply file does to clients, groups and policies: differences first, then all of it or nothing.

import LoginEngine
import Store
import Testing

@testable import Administration

extension Blueprint {
    fileprivate init(clients: [Client]? = nil, groups: [Group]? = nil) {
        self.init()
        self.clients = clients
        self.groups = groups
    }
}

@Suite struct BlueprintTests {
    private func client(
        _ name: String, _ addresses: [String], secret: String? = nil, _ change: (inout ClientChoices) -> Void = { _ in }
    ) -> Blueprint.Client {
        var choices = ClientChoices()
        choices.addresses = addresses
        choices.secret = secret.map { SecretText($0) }
        choices.tags = []
        change(&choices)
        return Blueprint.Client(name: name, place: "f:\(name)", choices: choices)
    }

    private func group(_ name: String, _ users: [String]? = nil, _ groups: [String]? = nil) -> Blueprint.Group {
        func members(_ names: [String]?) -> [Blueprint.Member]? { names?.map { Blueprint.Member($0, place: "f:\(name):\($0)") } }
        return Blueprint.Group(name: name, place: "f:\(name)", users: members(users), groups: members(groups))
    }

    private func policy(_ name: String, _ require: String = "password+factor", _ change: (inout PolicyChoices) -> Void = { _ in })
        -> Blueprint.Policy
    {
        var choices = PolicyChoices()
        choices.require = require
        choices.unenrolled = "deny"
        change(&choices)
        return Blueprint.Policy(name: name, place: "f:\(name)", choices: choices)
    }

    private func company() -> Blueprint {
        var blueprint = Blueprint()
        blueprint.clients = [
            client("hq", ["10.0.0.5", "10.0.0.6"], secret: "secret of the hq client") { $0.tags = ["vpn"] },
            client("branch", ["192.0.2.10"], secret: "secret of the branch client"),
        ]
        blueprint.groups = [group("staff", ["alice", "bob"]), group("all", [], ["staff"])]
        blueprint.policies = [
            policy("pilot") { choices in
                choices.groups = ["all"]
                choices.clientTags = ["vpn"]
                choices.factors = ["totp", "recovery"]
                choices.unenrolled = "grace"
                choices.graceDays = 14
            },
            policy("branch") { $0.clients = ["branch"] }, policy("rest", "deny"),
        ]
        return blueprint
    }

    private func office(_ users: [String] = ["alice", "bob", "carol"]) async throws -> Office {
        let office = try Office()
        for name in users { try await office.perform(AddUser(name: name)) }
        return office
    }

    private func summary(_ answer: ApplyBlueprint.Answer) -> [String] {
        answer.differences.map { "\($0.action.rawValue) \($0.kind) \($0.name)" }
    }

    @Test func anEmptyDatabaseBecomesWhatTheFileSaysAndASecondTimeNothingDiffers() async throws {
        let office = try await office()
        let before = try office.records.events(EventFilter(limit: 99)).count
        let dry = try await office.perform(ApplyBlueprint(blueprint: company(), isDryRun: true))
        #expect(
            dry.isDryRun
                && summary(dry) == [
                    "add client hq", "add client branch", "add group staff", "add group all", "add policy pilot", "add policy branch",
                    "add policy rest",
                ])
        #expect(try office.records.clients().isEmpty && office.records.events(EventFilter(limit: 99)).count == before)
        let answer = try await office.perform(ApplyBlueprint(blueprint: company()))
        #expect(summary(answer) == summary(dry))
        #expect(Set(office.changes.current) == [.policies, .clients, .replies])
        #expect(try await office.perform(ShowClient(name: "hq")).requirement == "deny", "there are policies, so they decide")
        #expect(try await office.perform(ShowClient(name: "hq")).tags == ["vpn"])
        #expect(try await office.perform(ShowGroup(name: "staff")).users == ["alice", "bob"])
        #expect(try await office.perform(ShowGroup(name: "all")).groups == ["staff"])
        let list = try await office.perform(ListPolicies())
        #expect(list.policies.map(\.name) == ["pilot", "branch", "rest"] && list.policies[1].clients == ["branch"])
        #expect(try await office.perform(ExplainPolicy(user: "alice", client: "hq")).policy == "pilot@1")
        let kinds = try office.records.events(EventFilter(limit: 10)).map(\.event.kind)
        #expect(Set(kinds) == [.clientAdded, .groupAdded, .groupChanged, .policyAdded])
        #expect(try office.records.events(EventFilter(limit: 99)).allSatisfy { !"\($0)".contains("secret of") })
        var again = try await office.perform(ApplyBlueprint(blueprint: company()))
        #expect(again.differences == [] && !again.changes)
        // Round trip: what is exported changes nothing, and is exported again.
        let export = try await office.perform(ExportBlueprint()).blueprint
        #expect(export.clients?.allSatisfy { $0.choices.secret == nil } == true)
        again = try await office.perform(ApplyBlueprint(blueprint: export, prunes: true))
        #expect(again.differences == [])
        #expect(try office.records.verifyChain().findings == [])
        // The same on an empty database, but for the secrets.
        let other = try await self.office()
        var withSecrets = export
        for index in withSecrets.clients?.indices ?? 0..<0 {
            withSecrets.clients?[index].choices.secret = SecretText("a new secret, long enough")
        }
        try await other.perform(ApplyBlueprint(blueprint: withSecrets))
        #expect(try await other.perform(ExportBlueprint()).blueprint == export)
        #expect(
            await other.refusal(
                of: ApplyBlueprint(
                    blueprint: Blueprint(clients: [client("x", ["10.9.9.9"])]))
            )
            .contains("f:x: Client `x` is new, so there is no secret to keep."))
    }

    @Test func differencesHaveTheirFieldsWithBeforeAndAfter() async throws {
        let office = try await office()
        try await office.perform(ApplyBlueprint(blueprint: company()))
        var changed = company()
        changed.clients?[0].choices.rejoin = true
        changed.clients?[1].choices.secret = SecretText("another secret, longer")
        changed.groups?[0] = group("staff", ["bob", "carol"])
        changed.policies = [changed.policies![1], changed.policies![0], policy("rest", "password")]
        let answer = try await office.perform(ApplyBlueprint(blueprint: changed))
        #expect(
            summary(answer) == [
                "change client hq", "change client branch", "change group staff", "change policy pilot", "change policy rest",
            ])
        func fields(_ index: Int) -> [String] {
            answer.differences[index].fields.map { "\($0.name): \($0.before ?? "-") → \($0.after ?? "-")" }
        }
        #expect(fields(0) == ["rejoin: off → on"])
        #expect(fields(1) == ["secret: - → -"])
        #expect(fields(2) == ["members: - → carol", "members: alice → -"])
        #expect(fields(3) == ["place: 1 → 2"] && fields(4) == ["require: deny → password"])
        #expect(try await office.perform(ListPolicies()).policies.map(\.name) == ["branch", "pilot", "rest"])
        #expect(try await office.perform(ListPolicies()).policies.map(\.revision) == [1, 1, 2])
        #expect(!"\(answer)".contains("another secret"))
    }

    @Test func nothingIsRemovedWithoutPruneAndAbsentSectionsStay() async throws {
        let office = try await office()
        try await office.perform(ApplyBlueprint(blueprint: company()))
        var less = Blueprint()
        less.clients = [client("hq", ["10.0.0.5", "10.0.0.6"]) { $0.tags = ["vpn"] }]
        less.policies = [policy("rest", "deny")]
        let answer = try await office.perform(ApplyBlueprint(blueprint: less))
        #expect(summary(answer) == ["missing client branch", "missing policy pilot", "missing policy branch", "change policy rest"])
        #expect(try await office.perform(ListPolicies()).policies.map(\.name) == ["rest", "pilot", "branch"])
        #expect(
            answer.warnings == [
                Operations.closedSentence,
                "Policies that are not in the file stay, behind those of the file.",
                "Policy rest: It decides about 3 active users, and refuses them all.",
                "Policy pilot is never reached: rest decides before. `sallyport policy move pilot --before rest` changes that.",
                "Policy branch is never reached: rest decides before. `sallyport policy move branch --before rest` changes that.",
            ])
        let pruned = try await office.perform(ApplyBlueprint(blueprint: less, prunes: true))
        #expect(summary(pruned) == ["remove client branch", "remove policy pilot", "remove policy branch"])
        #expect(try office.records.clients().map(\.name) == ["hq"] && office.records.groups().count == 2)
        #expect(try await office.perform(ListPolicies()).policies.map(\.name) == ["rest"])
        #expect(try office.records.verifyChain().findings == [])
    }

    @Test func whoWouldBeLockedOutIsCountedBeforeAnythingIsWritten() async throws {
        let office = try await office()
        var blueprint = Blueprint(clients: [client("hq", ["10.0.0.5"], secret: "secret of the hq client")])
        try await office.perform(ApplyBlueprint(blueprint: blueprint))
        var absent = SetUser(user: "carol")
        absent.status = "disabled"
        try await office.perform(absent)
        blueprint.policies = [policy("rest")]
        let dry = try await office.perform(ApplyBlueprint(blueprint: blueprint, isDryRun: true))
        #expect(dry.warnings.count == 1)
        #expect(
            dry.warnings.first?.hasPrefix(
                "Policy rest: It decides about 2 active users; 2 of them have no factor that counts and would be locked out now.") == true)
        #expect(try await office.perform(ListPolicies()).policies.isEmpty)
        try await office.perform(ApplyBlueprint(blueprint: blueprint))
        // As many as before are no news.
        blueprint.policies = [policy("rest"), policy("behind", "deny")]
        #expect(
            try await office.perform(ApplyBlueprint(blueprint: blueprint)).warnings == [
                "Policy behind is never reached: rest decides before. `sallyport policy move behind --before rest` changes that."
            ])
    }

    @Test func whatAPolicyNamesIsNotPruned() async throws {
        let office = try await office()
        try await office.perform(ApplyBlueprint(blueprint: company()))
        var less = Blueprint()
        less.groups = []
        let head = try office.newest()
        #expect(
            await office.refusal(of: ApplyBlueprint(blueprint: less, prunes: true)).contains(
                "Policy `pilot` names a group that --prune would remove."))
        less.policies = []
        try await office.perform(ApplyBlueprint(blueprint: less, prunes: true))
        #expect(try office.records.groups().isEmpty && office.newest() != head)
    }

    @Test func whatIsWrongIsNamedWithItsPlaceAndNothingIsWritten() async throws {
        let office = try await office()
        try await office.perform(office.client("old", address: "10.0.0.9"))
        let head = try office.newest()
        func refusal(_ change: (inout Blueprint) -> Void) async -> String {
            var blueprint = company()
            change(&blueprint)
            return await office.refusal(of: ApplyBlueprint(blueprint: blueprint))
        }
        let cases: [(String, String)] = [
            (
                await refusal { $0.groups?[0] = group("staff", ["alice", "mallory"]) },
                "f:staff:mallory: No user `mallory`, who is to be in group `staff`."
            ),
            (await refusal { $0.groups?[0] = group("staff", nil, ["all"]) }, "f:staff: Group `staff` would hold itself"),
            (await refusal { $0.groups?[1] = group("all", [], ["stuff"]) }, "f:all:stuff: No group `stuff`. Did you mean `staff`?"),
            (
                await refusal { $0.clients?[1] = client("branch", ["10.0.0.9"], secret: "secret of the branch client") },
                "f:branch: address: 10.0.0.9 belongs to client `old` already."
            ),
            (
                await refusal { $0.clients?[1] = client("branch", ["10.0.0.5"], secret: "secret of the branch client") },
                "belongs to client `"
            ),
            (
                await refusal { $0.clients?[1] = client("branch", ["10.0.0.300"], secret: "secret of the branch client") },
                "f:branch: address: `10.0.0.300`"
            ),
            (
                await refusal { $0.clients?[1] = client("branch", [], secret: "secret of the branch client") },
                "f:branch: address: A client needs an address."
            ),
            (
                await refusal { $0.clients?[1] = client("branch", ["192.0.2.10"], secret: "short") },
                "f:branch: secret: The shared secret has only 5 bytes."
            ),
            (await refusal { $0.policies?.append(policy("rest", "deny")) }, "f:rest: Policy `rest` is there twice."),
            (await refusal { $0.policies?[0].choices.groups = ["al"] }, "f:pilot: group: No group `al`. Did you mean `all`?"),
            (
                await refusal { $0.policies?[0].choices.unenrolled = "inline" },
                "f:pilot: unenrolled: Enrolling while logging in needs the portal"
            ),
        ]
        for (refusal, words) in cases { #expect(refusal.contains(words), "\(refusal)") }
        #expect(try office.newest() == head && office.records.groups().isEmpty && office.records.policySet().records.isEmpty)
        let skipped = try await office.perform(
            ApplyBlueprint(
                blueprint: Blueprint(groups: [group("staff", ["alice", "mallory"])]), skipsUnknownMembers: true))
        #expect(skipped.warnings == ["f:staff:mallory: no user mallory: left out of group staff."])
        #expect(try await office.perform(ShowGroup(name: "staff")).users == ["alice"])
    }

    @Test func anAddressMayGoFromOneClientToAnother() async throws {
        let office = try await office()
        try await office.perform(ApplyBlueprint(blueprint: company()))
        var swapped = Blueprint()
        swapped.clients = [
            client("hq", ["192.0.2.10"]) { $0.tags = ["vpn"] }, client("branch", ["10.0.0.5", "10.0.0.6"]),
        ]
        try await office.perform(ApplyBlueprint(blueprint: swapped))
        #expect(try office.records.client(name: "hq")?.settings.addresses.map(\.description) == ["192.0.2.10"])
        #expect(try office.records.client(name: "hq")?.settings.secret == Secret(utf8: "secret of the hq client"), "kept")
    }

    @Test func manyMembersAreOneTransaction() async throws {
        let names = (0..<300).map { "user\($0)" }
        let office = try await office(names)
        var blueprint = Blueprint()
        blueprint.groups = [group("many", names)]
        let groups = office.records.writer.statistics.groups
        try await office.perform(ApplyBlueprint(blueprint: blueprint))
        #expect(office.records.writer.statistics.groups == groups + 1)
        #expect(try await office.perform(ShowGroup(name: "many")).users.count == 300)
    }

    /// What is wrong with the value of a key is said of its line, under whatever name the option goes.
    @Test func whatIsRefusedIsNamedWithTheLineOfItsKey() async throws {
        let office = try Office()
        func refusal(_ change: (inout Blueprint) -> Void) async -> String {
            var blueprint = Blueprint()
            change(&blueprint)
            return await office.refusal(of: ApplyBlueprint(blueprint: blueprint))
        }
        var choices = ClientChoices()
        (choices.addresses, choices.secret, choices.asking) = (["192.0.2.7"], SecretText("a-long-and-odd-secret"), "sometimes")
        var client = Blueprint.Client(name: "office", place: "a.yaml:3:3", choices: choices)
        #expect(await refusal { $0.clients = [client] }.hasPrefix("a.yaml:3:3: ask: "))
        client.places = ["ask": "a.yaml:6:5", "address": "a.yaml:4:5", "protocols": "a.yaml:7:5"]
        #expect(await refusal { $0.clients = [client] }.hasPrefix("a.yaml:6:5: ask: "))
        (client.choices.asking, client.choices.protocols) = (nil, ["smoke"])
        #expect(await refusal { $0.clients = [client] }.hasPrefix("a.yaml:7:5: protocol: "))
        (client.choices.protocols, client.choices.addresses) = (nil, ["192.0.2.700"])
        #expect(await refusal { $0.clients = [client] }.hasPrefix("a.yaml:4:5: address: "))
        var directory = DirectoryChoices()
        (directory.servers, directory.secret, directory.timeout) = (["192.0.2.9"], SecretText("a-long-and-odd-secret"), "soon")
        var nps = Blueprint.Directory(name: "nps", place: "a.yaml:9:3", choices: directory)
        nps.places = ["servers": "a.yaml:10:5", "timeout": "a.yaml:12:5"]
        #expect(await refusal { $0.directories = [nps] }.hasPrefix("a.yaml:12:5: timeout: "))
        (nps.choices.timeout, nps.choices.servers) = (nil, ["192.0.2"])
        #expect(await refusal { $0.directories = [nps] }.hasPrefix("a.yaml:10:5: server: "))
    }
}
