// SPDX-License-Identifier: Apache-2.0
// How a name that a gateway sends becomes a user, as an administrator is told.

import Administration
import LoginEngine
import Testing

@Suite struct NameExplanationTests {
    private func office(_ change: (inout ClientChoices) -> Void = { _ in }) async throws -> Office {
        let office = try Office()
        try await office.perform(office.client { change(&$0) })
        try await office.perform(AddUser(name: "alice", aliases: ["alice@corp.example"], password: SecretText("a long password")))
        return office
    }

    private func explain(_ name: String, in office: Office) async throws -> ExplainName.Answer {
        try await office.perform(ExplainName(name: name, client: "office"))
    }

    @Test func everyStepFromBytesToPolicyIsTold() async throws {
        let office = try await office { $0.nameStripping = "both" }
        let answer = try await explain("CORP\\Alice@corp.example", in: office)
        #expect(answer.steps.map(\.step) == ["domain", "realm", "case", "lookup", "policy"])
        #expect(answer.steps.map(\.rest) == ["Alice@corp.example", "Alice", "alice", nil, nil])
        #expect(answer.steps[0].text == "The domain `CORP\\` is dropped (strip: both).")
        #expect(answer.steps[4].text == "No policy decides; the client's own rule does: password+factor.")
        #expect(answer.key == "alice" && answer.user == "alice" && answer.foundBy == "name" && answer.status == "active")
        #expect(answer.policy == nil && answer.require == "password+factor")
        #expect(answer.outcome.contains { $0.hasPrefix("alice has no second factor") })
    }

    @Test func anAliasAndADeciderAreNamed() async throws {
        let office = try await office()
        var change = SetUser(user: "alice")
        change.status = "disabled"
        try await office.perform(change)
        var choices = PolicyChoices()
        choices.require = "password"
        try await office.perform(AddPolicy(name: "all", choices: choices))
        let answer = try await explain("ALICE@corp.example", in: office)
        #expect(answer.steps.map(\.step) == ["realm", "case", "lookup", "status", "policy"])
        #expect(answer.steps[2].text == "Found: user alice, by the alias `alice@corp.example`.")
        #expect(answer.foundBy == "alias" && answer.policy == "all@1" && answer.status == "disabled")
        #expect(answer.outcome.last == "But alice is disabled, and is refused whatever is typed.")
    }

    @Test func whoWouldBeFoundUnderAnotherRuleIsNamed() async throws {
        let office = try await office()
        let answer = try await explain("CORP\\alice", in: office)
        #expect(answer.user == nil && answer.key == "corp\\alice")
        #expect(answer.steps[0].text == "The domain before `\\` is part of the name (strip: none).")
        #expect(answer.outcome[0] == "The login is refused (unknown-user), like a wrong password.")
        #expect(answer.outcome[1].hasPrefix("User alice would be found as `alice`: `sallyport client set office --strip domain`"))
        #expect(answer.outcome[1].hasSuffix("`sallyport user set alice --alias 'corp\\alice'`."))
        // What it says is what helps.
        var change = SetUser(user: "alice")
        change.addAliases = ["corp\\alice"]
        try await office.perform(change)
        #expect(try await explain("CORP\\alice", in: office).foundBy == "alias")
        #expect(try await explain("alcie", in: office).outcome[1].contains("alice"))
    }

    @Test func stripThatLosesAnAliasIsToldToo() async throws {
        let office = try await office { $0.nameStripping = "realm" }
        try await office.perform(AddUser(name: "bob@corp.example", password: SecretText("a long password")))
        let answer = try await explain("bob@corp.example", in: office)
        #expect(answer.user == nil && answer.key == "bob")
        #expect(
            answer.outcome[1].hasPrefix(
                "User bob@corp.example would be found as `bob@corp.example`: `sallyport client set office --strip none`"))
    }

    @Test(
        arguments: [
            ("utf-8", "müller", "From a gateway that sends Latin-1 this one is refused"), ("latin-1", "müller", "Sent as UTF-8"),
            ("latin-1", "żółw", "lacks a character"), ("auto", "müller", "else as Latin-1"),
        ])
    func theCharacterSetIsToldWhereItMatters(charset: String, name: String, words: String) async throws {
        let office = try await office { $0.charset = charset }
        let step = try #require(try await explain(name, in: office).steps.first)
        #expect(step.step == "charset" && step.text.contains(words), "\(step)")
        #expect(try await explain("alice", in: office).steps.first?.step == "lookup")
    }

    @Test(arguments: [
        ("", "nothing is left of it"), ("a\nb", "control character"), (String(repeating: "x", count: 300), "longer than 253"),
    ])
    func whatIsNoNameIsSaidToBeNone(name: String, why: String) async throws {
        let answer = try await explain(name, in: try await office())
        #expect(answer.key == nil && answer.user == nil)
        #expect(answer.outcome.first?.contains(why) == true)
    }

    @Test func theProbeIsNobody() async throws {
        let office = try await office { $0.probeUser = "fakeusername" }
        let answer = try await explain("FakeUserName", in: office)
        #expect(answer.steps.last?.step == "probe" && answer.user == nil)
        // Asking leaves nothing in the trail.
        #expect(try office.newest().kind == .userAdded)
    }
}
