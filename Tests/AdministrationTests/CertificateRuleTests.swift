// SPDX-License-Identifier: Apache-2.0
// Where certificates of devices may be asked for: at clients, by policies, and in what words.

import LoginEngine
import Testing

@testable import Administration

@Suite struct CertificateRuleTests {
    private func office(_ requirement: String, _ methods: [String], push: Bool = false) async throws -> Office {
        let office = try Office()
        try await office.perform(
            office.client("office") {
                $0.requirement = requirement
                $0.eap = methods
                $0.automaticPush = push
            })
        return office
    }

    @Test(
        arguments: [
            ("certificate", ["tls"], false, true), ("certificate", ["ttls", "tls"], false, true), ("deny", ["tls"], false, true),
            ("certificate+factor", ["tls"], true, true), ("certificate+factor", ["tls"], false, false),
            ("certificate", ["ttls"], false, false),
            ("password+factor", ["tls"], true, false), ("password", ["tls"], false, false), ("factor", ["tls"], false, false),
            ("password+factor", ["tls", "gtc"], false, true),
        ])
    func whatNobodyCouldProveIsRefused(_ requirement: String, _ methods: [String], _ push: Bool, _ isTaken: Bool) async throws {
        guard isTaken else {
            await #expect(throws: Refusal.self) { _ = try await office(requirement, methods, push: push) }
            return
        }
        let view = try await office(requirement, methods, push: push).perform(ShowClient(name: "office"))
        #expect(view.requirement == requirement && view.eap == methods)
    }

    @Test func certificateAloneIsWarnedOfAndFound() async throws {
        let office = try await office("certificate", ["tls"])
        let view = try await office.perform(ShowClient(name: "office", withHowto: true))
        #expect(view.warnings.contains { $0.contains("The certificate alone is enough here") })
        #expect(view.howto?.contains("Users type nothing") == true)
        #expect(try await office.perform(ExamineNode()).findings.contains { $0.kind == .certificateAlone && $0.subject == "office" })
    }

    @Test func policyIsExplainedAndWarnsWhereNobodyCouldFulfilIt() async throws {
        let office = try await office("deny", ["gtc"])
        try await office.perform(AddUser(name: "alice", password: SecretText("a long password")))
        try await office.perform(AddFactor(user: "alice", kind: "totp"))
        var choices = PolicyChoices()
        choices.require = "certificate+factor"
        choices.factors = ["totp"]
        let added = try await office.perform(AddPolicy(name: "laptops", choices: choices, place: .last, isDryRun: false))
        #expect(added.message.contains("a certificate of the device and factor (totp)"))
        #expect(added.warnings.contains { $0.contains("does not offer EAP-TLS") })
        var said = try await office.perform(ExplainPolicy(user: "alice", client: "office", at: nil)).outcome.joined(separator: " ")
        #expect(said.contains("no code can be asked for: refused") && said.contains("--eap tls"))
        var change = PolicyChoices()
        change.require = "certificate"
        let changed = try await office.perform(SetPolicy(policy: "laptops", choices: change, isDryRun: false))
        #expect(changed.policy.factors == nil)
        said = try await office.perform(ExplainPolicy(user: "alice", client: "office", at: nil)).outcome.joined(separator: " ")
        #expect(said.contains("alice is let in with a certificate of the device alone"))
        choices = PolicyChoices()
        choices.require = "certificate"
        choices.factors = ["totp"]
        await #expect(throws: Refusal.self) {
            _ = try await office.perform(AddPolicy(name: "other", choices: choices, place: .last, isDryRun: false))
        }
    }
}
