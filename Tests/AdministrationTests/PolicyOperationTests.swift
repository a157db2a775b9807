// SPDX-License-Identifier: Apache-2.0
// Policies as administrators change, read and explain them.

import LoginEngine
import Store
import Synchronization
import Testing

@testable import Administration

@Suite struct PolicyOperationTests {
    private func add(
        _ name: String, _ require: String = "password+factor", place: PolicyPlace = .last, isDryRun: Bool = false,
        _ change: (inout PolicyChoices) -> Void = { _ in }
    ) -> AddPolicy {
        var choices = PolicyChoices()
        choices.require = require
        change(&choices)
        return AddPolicy(name: name, choices: choices, place: place, isDryRun: isDryRun)
    }

    private func set(_ name: String, isDryRun: Bool = false, _ change: (inout PolicyChoices) -> Void) -> SetPolicy {
        var choices = PolicyChoices()
        change(&choices)
        return SetPolicy(policy: name, choices: choices, isDryRun: isDryRun)
    }

    private func company() async throws -> Office {
        let office = try Office()
        try await office.perform(office.client("office") { $0.tags = ["vpn", "ikev2"] })
        try await office.perform(office.client("branch", address: "192.0.2.8"))
        for name in ["alice", "bob", "carol"] { try await office.perform(AddUser(name: name, password: SecretText("a long password"))) }
        try await office.perform(AddGroup(name: "staff", users: ["alice", "bob"]))
        try await office.perform(AddGroup(name: "everybody", groups: ["staff"]))
        try await office.perform(AddFactor(user: "alice", kind: "totp"))
        return office
    }

    private func names(_ office: Office) async throws -> [String] { try await office.perform(ListPolicies()).policies.map(\.name) }

    @Test func aPolicyIsAddedShownChangedMovedAndRemovedWithItsEvents() async throws {
        let office = try await company()
        let answer = try await office.perform(
            add("staff") { choices in
                choices.groups = ["Everybody"]
                choices.clientTags = ["vpn"]
                choices.factors = ["totp", "recovery"]
            })
        #expect(answer.policy.groups == ["everybody"] && answer.policy.factors == ["totp", "recovery"])
        #expect(answer.message.contains("Members of everybody at clients tagged vpn: password and factor (totp or recovery)."))
        #expect(office.changes.current.contains(.policies))
        var event = try office.newest()
        #expect(event.kind == .policyAdded && event["policy"] == "staff@1" && event.actor["actor"] == "cli:anna@vpn1")

        office.clock.value.withLock { $0 = $0 + .minutes(10) }
        let before = Instant(office.clock.current - .minutes(1))
        let changed = try await office.perform(
            set("staff") { choices in
                choices.factors = []
                choices.graceDays = 14
            })
        #expect(
            changed.message
                == "Changed policy staff: factors: totp, recovery → any; unenrolled: refused → grace for 14 days after the first login.")
        event = try office.newest()
        #expect(event.kind == .policyChanged && event["policy"] == "staff@2" && event["change"]?.hasPrefix("factors: ") == true)
        #expect(try await office.perform(set("staff") { $0.graceDays = 14 }).message.hasPrefix("Nothing to change"))

        try await office.perform(add("rest", "deny"))
        #expect(try await office.perform(MovePolicy(name: "rest", place: .first)).message == "Moved policy rest from place 2 to 1.")
        #expect(try await names(office) == ["rest", "staff"])
        #expect(try office.newest()["change"] == "moved from place 2 to 1")
        try await office.perform(MovePolicy(name: "rest", place: .after("staff")))
        #expect(try await names(office) == ["staff", "rest"])

        #expect(try await office.perform(ShowPolicy(name: "staff", at: before)).policy.factors == ["totp", "recovery"])
        let shown = try await office.perform(ShowPolicy(name: "staff"))
        #expect(shown.policy.revision == 2 && shown.position == 1 && shown.revisions.map(\.number) == [2, 1])
        #expect(try await office.perform(ListPolicies(at: before)).policies.map(\.name) == ["staff"])
        let diff = try await office.perform(DiffPolicy(name: "staff"))
        #expect(diff.from == 1 && diff.to == 2 && diff.differences.count == 2)
        #expect(try await office.perform(DiffPolicy(name: "staff", from: 2, to: 1)).differences.first == "factors: any → totp, recovery")

        try await office.perform(RemovePolicy(name: "staff"))
        #expect(try office.newest().kind == .policyRemoved)
        #expect(await office.refusal(of: ShowPolicy(name: "staff")).contains("There is no policy `staff` any more."))
        #expect(try await office.perform(ShowPolicy(name: "staff", at: before)).policy.revision == 1)
        #expect(try office.records.verifyChain().findings == [])
    }

    @Test func whatDoesNotFitIsRefusedByName() async throws {
        let office = try await company()
        let refusals: [(AddPolicy, String)] = [
            (add("Staff"), "name: `Staff` cannot be a policy's name."),
            (add("p", "passwort"), "Did you mean `password`?"),
            (add("p") { $0.groups = ["staf"] }, "group: No group `staf`. Did you mean `staff`?"),
            (add("p") { $0.clients = ["ofice"] }, "client: No client `ofice`. Did you mean `office`?"),
            (add("p") { $0.factors = ["totop"] }, "factors: No factor `totop`. Did you mean `totp`?"),
            (add("p") { $0.factors = ["push"] }, "This version has no factor `push` yet."),
            (add("p") { $0.factors = ["totp", "totp"] }, "listed twice"),
            (add("p") { $0.factors = ["recovery"] }, "they cannot be the only one"),
            (add("p", "deny") { $0.factors = ["totp"] }, "no factor is asked for"),
            (add("p", "factor") { $0.graceDays = 3 }, "Grace lets a right password do"),
            (add("p") { $0.unenrolled = "inline" }, "needs the portal, which this version does not have"),
            (add("p") { $0.unenrolled = "grace" }, "Grace needs an end."),
            (add("p") { $0.graceUntil = "soon" }, "`soon` is not a date."),
            (add("p") { $0.graceDays = 0 }, "It must be 1 to 366 days."),
            (add("p") { $0.remember = "12h" }, "this version remembers no device"),
            (add("p") { $0.clientTags = ["VPN"] }, "cannot be a tag"),
            (add("p") { $0.methods = ["eap-gtk"] }, "Did you mean `eap-gtc`?"),
            (add("p") { $0.realms = ["a b"] }, "`a b` is no realm."),
            (add("p", place: .before("q")), "No policy `q`."),
        ]
        for (request, words) in refusals {
            let refusal = await office.refusal(of: request)
            #expect(refusal.contains(words), "\(refusal)")
        }
        try await office.perform(add("p"))
        #expect(await office.kind(of: add("p")) == .conflict)
        #expect(await office.refusal(of: SetPolicy(policy: "pp", choices: PolicyChoices())).contains("Nothing to change was given."))
        #expect(await office.refusal(of: MovePolicy(name: "p", place: .before("p"))).contains("beside itself"))
        #expect(try await names(office) == ["p"])
    }

    @Test func howALoginCameIsACondition() async throws {
        let office = try await company()
        let answer = try await office.perform(
            add("second-round", "factor") { choices in
                choices.clients = ["branch"]
                choices.methods = ["EAP-GTC", "eap-gtc"]
                choices.realms = ["@OTP"]
            })
        #expect(answer.policy.methods == ["eap-gtc"] && answer.policy.realms == ["otp"])
        #expect(answer.message.contains("Everybody at branch by eap-gtc as NAME@otp: the code alone is enough."))
        // It decides about some logins only, so what stands behind is reached.
        let rest = try await office.perform(add("rest", "password") { $0.clients = ["branch"] })
        #expect(!rest.warnings.contains { $0.contains("never reached") } && rest.concerned == 3)
        func explain(_ method: String?, _ realm: String?) async throws -> ExplainPolicy.Answer {
            try await office.perform(ExplainPolicy(user: "alice", client: "branch", method: method, realm: realm))
        }
        #expect(try await explain("eap-gtc", "otp").policy == "second-round@1")
        let other = try await explain("eap-mschapv2", nil)
        #expect(other.policy == "rest@1" && other.steps[0].mismatches == ["method", "realm"])
        #expect(other.steps[0].text.contains("it is for logins by eap-gtc, and this comes by eap-mschapv2"))
        let preview = try await office.perform(PreviewReply(client: "branch", user: "alice"))
        #expect(preview.policy == "rest@1" && preview.warnings.first?.contains("second-round comes first for logins by eap-gtc") == true)
    }

    @Test func groupsAndClientsThatPoliciesNameStay() async throws {
        let office = try await company()
        try await office.perform(
            add("p") { choices in
                choices.groups = ["staff"]
                choices.clients = ["branch"]
            })
        #expect(await office.refusal(of: RemoveGroup(name: "staff")).contains("Group `staff` is named by policy `p`."))
        #expect(await office.refusal(of: RemoveClient(name: "branch")).contains("Client `branch` is named by policy `p`."))
    }

    @Test func aChangeNamesTheUsersWhomItLocksOut() async throws {
        let office = try await company()
        let all = try await office.perform(add("all", isDryRun: true))
        #expect(all.concerned == 3 && all.lockedOut == 2 && all.message.hasPrefix("Would add policy all. "))
        #expect(all.message.hasSuffix(". Nothing was written.") && !all.message.contains("Added"))
        #expect(try await names(office) == [])
        #expect(
            all.warnings.first == "It decides about 3 active users; 2 of them have no factor that counts and would be locked out now."
                + " Enrol them, or give them grace: `sallyport policy set all --grace-days 14`.")
        #expect(try await office.perform(add("hotp", isDryRun: true) { $0.factors = ["hotp"] }).lockedOut == 3)
        #expect(try await office.perform(add("grace", isDryRun: true) { $0.graceDays = 3 }).lockedOut == 0)
        try await office.perform(add("staff") { $0.groups = ["everybody"] })
        let rest = try await office.perform(add("rest", "deny"))
        #expect(rest.concerned == 1 && rest.lockedOut == 1, "the others are decided about before")
        #expect(try await office.perform(set("rest", isDryRun: true) { $0.require = "password" }).lockedOut == 0)
        // At a client that the first does not name everybody comes to the second.
        try await office.perform(set("staff") { $0.clients = ["office"] })
        #expect(
            try await office.perform(ShowPolicy(name: "rest")).warnings.first == "It decides about 3 active users, and refuses them all.")
    }

    @Test func policiesThatAreNeverReachedAreNamed() async throws {
        let office = try await company()
        try await office.perform(add("rest", "deny"))
        let late = try await office.perform(add("staff") { $0.groups = ["staff"] })
        #expect(late.concerned == 0 && late.warnings.contains { $0.hasPrefix("Policy staff is never reached: rest decides before.") })
        #expect(
            try await office.perform(ListPolicies()).warnings.filter { $0.contains("never") } == [
                "Policy staff is never reached: rest decides before. `sallyport policy move staff --before rest` changes that."
            ])
        try await office.perform(MovePolicy(name: "staff", place: .first))
        #expect(try await office.perform(ListPolicies()).warnings == [])
        let tagged = try await office.perform(add("t", place: .first) { $0.clientTags = ["vnp"] })
        #expect(tagged.warnings.contains("No client has the tag vnp. Did you mean `vpn`?"))
    }

    @Test func clientsThatAreAddedWhenThereArePoliciesLetInByThemAlone() async throws {
        let office = try await company()
        try await office.perform(add("p") { $0.isReportOnly = true })
        try await office.perform(office.client("one", address: "10.0.0.1"))
        #expect(try await office.perform(ShowClient(name: "one")).requirement == "password+factor")
        try await office.perform(set("p") { $0.isReportOnly = false })
        let answer = try await office.perform(office.client("two", address: "10.0.0.2"))
        #expect(try await office.perform(ShowClient(name: "two")).requirement == "deny")
        #expect(answer.warnings.contains { $0.hasPrefix("Only a policy lets anybody in here") })
        try await office.perform(office.client("three", address: "10.0.0.3") { $0.requirement = "password+factor" })
        #expect(try await office.perform(ShowClient(name: "three")).requirement == "password+factor")
    }

    @Test func anExplanationTellsWhoDecidesAndWhyTheOthersDoNot() async throws {
        let office = try await company()
        let none = try await office.perform(ExplainPolicy(user: "alice", client: "office"))
        #expect(none.policy == nil && none.require == "password+factor" && none.steps.isEmpty)
        #expect(
            none.outcome == [
                "No policy decides, so the client's own rule does: office requires password+factor.",
                "alice types the password, and is then asked for a code (totp).",
            ])
        try await office.perform(add("branch") { $0.clients = ["branch"] })
        try await office.perform(add("trial", "deny") { $0.isReportOnly = true })
        try await office.perform(
            add("ext") { choices in
                choices.groups = ["staff"]
                choices.clientTags = ["wifi"]
            })
        try await office.perform(add("staff") { $0.groups = ["everybody"] })
        try await office.perform(add("rest", "deny"))
        let alice = try await office.perform(ExplainPolicy(user: "alice", client: "office"))
        #expect(alice.policy == "staff@1")
        #expect(alice.steps.map(\.verdict) == ["no-match", "reports", "no-match", "decides", "later"])
        #expect(alice.steps[0].text == "does not match: it is for branch, and this is office.")
        #expect(alice.steps[2].text == "does not match: it is for clients tagged wifi, and office has ikev2 and vpn.")
        #expect(alice.steps[4].text == "would match, but staff comes first.")
        let bob = try await office.perform(ExplainPolicy(user: "bob", client: "office"))
        #expect(
            bob.outcome == ["bob has no second factor: refused, after the password was right. `sallyport factor add bob totp` enrols one."])
        let carol = try await office.perform(ExplainPolicy(user: "carol", client: "office"))
        #expect(carol.policy == "rest@1" && carol.outcome == ["carol is refused, after the password was right."])
        #expect(carol.steps[3].text == "does not match: it is for members of everybody, and carol is in no group.")
        try await office.perform(set("staff") { $0.graceUntil = "2030-01-01" })
        let graced = try await office.perform(ExplainPolicy(user: "bob", client: "office"))
        #expect(graced.outcome == ["bob has no second factor. Grace lets the password alone do until 2030-01-01T00:00:00.000Z."])
        try await office.perform(set("staff") { $0.factors = ["hotp"] })
        let other = try await office.perform(ExplainPolicy(user: "alice", client: "office"))
        #expect(other.outcome == ["alice has no second factor that the policy counts: refused, after the password was right."])
        let past = try await office.perform(ExplainPolicy(user: "alice", client: "office", at: Instant(Office.start - .seconds(1))))
        #expect(past.policy == nil && past.warnings.count == 1)
        #expect(await office.kind(of: ExplainPolicy(user: "mallory", client: "office")) == .missing)
    }

    @Test func theStoryOfALoginTellsThePolicy() throws {
        let login = LoginID(Bits128(high: 1, low: 2))
        var event = Event(
            .loginAccepted, at: Office.start, login: login, user: 1,
            details: [
                .init("client", "office"), .init("policy", "staff@3"), .init("requirement", "password+factor"),
                .init("report-only", "trial@1 deny"), .init("grace-until", "2030-01-01T00:00:00Z"), .init("steps", "+5 password-right"),
            ], subject: PersonalFields([.init("name", "bob")]))
        let graced = try #require(LoginStory.tell([event])).lines.map(\.text)
        #expect(
            graced == [
                "bob asks to log in at office, where policy staff@3 asks for password and factor.", "The password was right.",
                "Policy trial@1 only reports; it would have said: deny.",
                "Accepted for the password alone: the user has no factor yet, and policy staff@3 gives grace until 2030-01-01T00:00:00Z.",
            ])
        event.kind = .loginRejected
        event.reason = "denied-by-policy"
        let denied = try #require(LoginStory.tell([event]))
        #expect(denied.next.contains("sallyport policy explain bob --client office"))
    }
}
