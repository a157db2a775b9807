// SPDX-License-Identifier: Apache-2.0
// Conditions by user, network, country and hours, as administrators set, read, explain and test them.

import LoginEngine
import Store
import Synchronization
import Testing

@testable import Administration

@Suite struct PolicyConditionTests {
    private func add(
        _ name: String, _ require: String = "password+factor", place: PolicyPlace = .last,
        _ change: (inout PolicyChoices) -> Void = { _ in }
    ) -> AddPolicy {
        var choices = PolicyChoices()
        choices.require = require
        change(&choices)
        return AddPolicy(name: name, choices: choices, place: place)
    }

    private func company() async throws -> Office {
        let office = try Office()
        try await office.perform(office.client("office") { $0.tags = ["vpn"] })
        for name in ["alice", "bob"] { try await office.perform(AddUser(name: name, password: SecretText("a long password"))) }
        try await office.perform(AddGroup(name: "staff", users: ["alice"]))
        try await office.perform(AddFactor(user: "alice", kind: "totp"))
        return office
    }

    @Test func everyConditionIsKeptShownAndCompared() async throws {
        let office = try await company()
        let answer = try await office.perform(
            add("day") { choices in
                choices.users = ["alice", "Alice"]
                choices.networks = ["203.0.113.0/24,2001:db8::/32", "192.0.2.7"]
                choices.otherNetworks = ["203.0.113.128/25"]
                choices.countries = ["de,AT"]
                choices.otherCountries = ["CH"]
                choices.hours = ["mon-fri 7:00-20:00 Europe/Berlin"]
            })
        let view = answer.policy
        #expect(view.users == ["alice"] && view.networks == ["203.0.113.0/24", "2001:db8::/32", "192.0.2.7"])
        #expect(view.otherNetworks == ["203.0.113.128/25"] && view.countries == ["DE", "AT"] && view.otherCountries == ["CH"])
        #expect(view.hours == ["mon-fri 07:00-20:00 Europe/Berlin"])
        #expect(
            view.who
                == "alice from 203.0.113.0/24, 2001:db8::/32 or 192.0.2.7 from elsewhere than 203.0.113.128/25 in DE or AT not in CH at mon-fri "
                + "07:00-20:00 Europe/Berlin")
        #expect(answer.concerned == 1 && answer.lockedOut == 0)
        #expect(try await office.perform(ShowPolicy(name: "day")).policy == view)
        // The trail holds no name that could not be erased.
        let event = try office.newest()
        #expect(event["meaning"]?.contains("alice") == false && event["meaning"]?.hasPrefix("User ") == true)
        var choices = PolicyChoices()
        (choices.networks, choices.otherNetworks, choices.hours) = ([], [], ["daily user"])
        let changed = try await office.perform(SetPolicy(policy: "day", choices: choices))
        #expect(changed.message.contains("not-network: 203.0.113.128/25 → none") && changed.message.contains("hours: mon-fri"))
        #expect(try await office.perform(DiffPolicy(name: "day")).differences.count == 3)
    }

    @Test(arguments: [
        ("network", "203.0.113.7/24", "`203.0.113.7/24` has bits set behind its prefix. Did you mean `203.0.113.0/24`?"),
        ("network", "2001:db8::1/32", "Did you mean `2001:db8::/32`?"), ("not-network", "10.0.0.0/33", "`10.0.0.0/33` is no network."),
        ("network", "office", "`office` is no network."), ("country", "Germany", "`Germany` is no country."),
        ("not-country", "D1", "`D1` is no country."), ("country", "uk", "Did you mean GB?"), ("country", "QQ", "`QQ` is no country."),
        ("hours", "mon-fri 07:00-20:00 Europe/Berlni", "No time zone `Europe/Berlni`. Did you mean `Europe/Berlin`?"),
        ("hours", "holiday", "These hours never come"), ("hours", "workdays", "`workdays` are no days."),
        ("hours", "mon 9-17", "`9-17` are no times."), ("hours", "mon UTC x", "Nothing may stand where `x` does."),
        ("user", "alcie", "alice"),
        ("many", "", "A policy names 1024 networks at most."),
    ])
    func whatDoesNotFitIsRefusedByName(field: String, value: String, words: String) async throws {
        let office = try await company()
        let refusal = await office.refusal(
            of: add("p") { choices in
                switch field {
                case "network": choices.networks = [value]
                case "not-network": choices.otherNetworks = [value]
                case "country": choices.countries = [value]
                case "not-country": choices.otherCountries = [value]
                case "hours": choices.hours = [value]
                case "user": choices.users = [value]
                default: choices.networks = (0..<1_100).map { "10.0.\($0 / 256).\($0 % 256)" }
                }
            })
        #expect(refusal.contains(words), "\(refusal)")
    }

    @Test func anExplanationTellsOfEveryCondition() async throws {
        let office = try await company()
        try await office.perform(add("office-hours", "password") { $0.hours = ["mon-fri 07:00-20:00 Europe/Berlin"] })
        try await office.perform(
            add("inside", "password") { choices in
                choices.groups = ["staff"]
                choices.networks = ["203.0.113.0/24"]
            })
        try await office.perform(add("abroad", "deny") { $0.otherCountries = ["DE"] })
        try await office.perform(add("rest"))
        // A Saturday.
        let saturday = Instant(Timestamp(seconds: 1_796_468_400))
        let inside = try await office.perform(ExplainPolicy(user: "alice", client: "office", at: nil, from: "203.0.113.9", country: "DE"))
        #expect(inside.steps[1].conditions.map(\.fits) == ["yes", "yes"])
        #expect(inside.steps[1].conditions.map(\.text) == ["alice is in staff", "this comes from 203.0.113.9"])
        #expect(inside.steps[2].text == "does not match: it is for logins from elsewhere than DE, and this comes from DE.")
        office.clock.value.withLock { $0 = saturday.timestamp }
        let outside = try await office.perform(ExplainPolicy(user: "alice", client: "office", from: "198.51.100.1", country: "DE"))
        #expect(outside.policy == "rest@1")
        #expect(
            outside.steps[0].text
                == "does not match: it is for mon-fri 07:00-20:00 Europe/Berlin, and it is sat 2026-12-05 12:00 in Europe/Berlin.")
        #expect(outside.steps[1].text == "does not match: it is for logins from 203.0.113.0/24, and this comes from 198.51.100.1.")
        let nowhere = try await office.perform(ExplainPolicy(user: "alice", client: "office"))
        #expect(nowhere.policy == "abroad@1" && nowhere.require == "deny")
        #expect(nowhere.steps.map(\.verdict) == ["no-match", "unknown", "decides", "later"])
        #expect(
            nowhere.steps[2].text
                == "decides: it is not known whether it matches: nothing says from where this comes (--from), and what it asks for is asked in addition to "
                + "what would decide without it: nobody is let in.")
        #expect(nowhere.steps[1].text.hasPrefix("does not decide: it is not known whether it matches: nothing says from where"))
        let mac = try await office.perform(ExplainPolicy(user: "alice", client: "office", from: "00-10-A4-23-19-C0"))
        #expect(mac.policy == "abroad@1" && mac.warnings.contains { $0.contains("is no address") })
    }

    @Test func whatCanNeverMatchIsNamed() async throws {
        let office = try await company()
        let lost = try await office.perform(
            add("lost") { choices in
                choices.countries = ["DE"]
                choices.otherCountries = ["DE"]
            })
        #expect(lost.warnings.contains("Policy lost can never match: it leaves out every country that it names."))
        let tag = try await office.perform(
            add("tag") { choices in
                choices.clients = ["office"]
                choices.clientTags = ["wifi"]
            })
        #expect(tag.warnings.contains("Policy tag can never match: no client that it names has the tag wifi."))
        try await office.perform(add("alone") { $0.users = ["bob"] })
        try await office.perform(RemoveUser(name: "bob"))
        let warnings = try await office.perform(ListPolicies()).warnings
        #expect(warnings.contains("Policy alone can never match: the user whom it names is not here any more."))
        // A name that is given again is another user's.
        try await office.perform(AddUser(name: "bob", password: SecretText("a long password")))
        #expect(try await office.perform(ExplainPolicy(user: "bob", client: "office")).steps[2].mismatches == ["user"])
        let findings = try await office.perform(ExamineNode(seconds: 0)).findings
        #expect(Set(findings.filter { $0.kind == .policyUnreachable }.compactMap(\.subject)) == ["lost", "tag", "alone"])
        #expect(findings.contains { $0.kind == .countriesUnknown })
    }

    @Test func severalTogetherHideWhatComesBehind() async throws {
        let office = try await company()
        try await office.perform(AddGroup(name: "admins"))
        try await office.perform(add("a") { $0.groups = ["staff"] })
        try await office.perform(add("b") { $0.groups = ["admins"] })
        let both = try await office.perform(add("both", "deny") { $0.groups = ["admins", "staff"] })
        #expect(both.warnings.contains { $0.hasPrefix("Policy both is never reached: b and a decide before.") })
        let first = try await office.perform(add("wide", place: .first))
        #expect(first.warnings.contains("Policy a behind it is never reached any more."))
        #expect(!first.warnings.contains("Policy both behind it is never reached any more."), "it was not reached before either")
    }

    @Test(arguments: [
        ("mon-fri 07:00-20:00 UTC", "mon-fri 08:00-12:00 UTC", true), ("mon-fri 07:00-20:00 UTC", "mon-sat 08:00-12:00 UTC", false),
        ("daily UTC", "sat 22:00-06:00 UTC", false), ("mon 22:00-06:00 UTC", "mon 00:00-06:00 UTC", false),
        ("mon 22:00-06:00 UTC", "mon 23:00-05:00 UTC", true), ("mon-fri 07:00-20:00 UTC", "mon-fri 08:00-12:00 user", false),
    ])
    func hoursCoverOthers(mine: String, theirs: String, covers: Bool) throws {
        var (one, other) = (PolicyRule.Conditions(), PolicyRule.Conditions())
        (one.hours, other.hours) = ([try PolicyHours(mine)], [try PolicyHours(theirs)])
        #expect(one.covers(other) == covers)
        #expect(PolicyRule.Conditions().covers(other) && !other.covers(PolicyRule.Conditions()))
    }

    @Test func networksAndCountriesCoverOthers() {
        func conditions(_ change: (inout PolicyRule.Conditions) -> Void) -> PolicyRule.Conditions {
            var conditions = PolicyRule.Conditions()
            change(&conditions)
            return conditions
        }
        let ten = conditions { $0.networks = [AddressRange("10.0.0.0/8")!] }
        let part = conditions { $0.networks = [AddressRange("10.1.0.0/16")!] }
        #expect(ten.covers(part) && !part.covers(ten))
        let without = conditions { $0.otherNetworks = [AddressRange("10.1.2.0/24")!] }
        #expect(!without.covers(part) && !without.covers(ten))
        #expect(without.covers(conditions { $0.networks = [AddressRange("10.2.0.0/16")!] }))
        #expect(conditions { $0.otherCountries = [CountryCode("DE")!] }.covers(conditions { $0.countries = [CountryCode("FR")!] }))
        #expect(!conditions { $0.otherCountries = [CountryCode("DE")!] }.covers(conditions { $0.countries = [CountryCode("DE")!] }))
    }

    @Test func whoeverShutsEverybodyOutIsTold() async throws {
        let office = try await company()
        let sentence = "Nobody can log in anywhere after this"
        #expect(
            try await office.perform(add("night", "deny") { $0.hours = ["daily 22:00-06:00 UTC"] }).warnings.allSatisfy {
                !$0.contains(sentence)
            })
        #expect(try await office.perform(add("shut", "deny")).warnings.contains { $0.hasPrefix(sentence) })
        #expect(try await office.perform(ListPolicies()).warnings.first?.hasPrefix("Nobody can log in anywhere") == true)
        #expect(try await office.perform(ExamineNode(seconds: 0)).findings.contains { $0.kind == .everybodyLockedOut })
        try await office.perform(add("staff", place: .before("shut")) { $0.groups = ["staff"] })
        #expect(try await office.perform(RemovePolicy(name: "staff")).warnings.contains { $0.hasPrefix(sentence) })
        try await office.perform(RemovePolicy(name: "shut"))
        #expect(try await !office.perform(ExamineNode(seconds: 0)).findings.contains { $0.kind == .everybodyLockedOut })
    }

    // MARK: Cases

    private func policyCase(_ name: String, policy: String? = nil, require: String? = nil, _ change: (inout PolicyCase) -> Void = { _ in })
        -> PolicyCase
    {
        var made = PolicyCase(name: name, place: "cases.yaml:1:1")
        made.client = "office"
        (made.policy, made.require) = (policy, require)
        change(&made)
        return made
    }

    @Test func casesAreDecidedAsLoginsAre() async throws {
        let office = try await company()
        try await office.perform(AddGroup(name: "all", groups: ["staff"]))
        try await office.perform(
            add("inside", "password") { choices in
                choices.groups = ["all"]
                choices.networks = ["203.0.113.0/24"]
            })
        try await office.perform(add("abroad", "deny") { $0.otherCountries = ["DE"] })
        try await office.perform(add("day") { $0.hours = ["mon-fri 07:00-20:00 user"] })
        try await office.perform(add("vpn", "password") { $0.clientTags = ["vpn"] })
        let monday = Instant(Timestamp(seconds: 1_796_032_800))
        let answer = try await office.perform(
            TestPolicies(cases: [
                policyCase("inside", policy: "inside", require: "password") { made in
                    (made.user, made.from) = ("alice", "203.0.113.9")
                },
                policyCase("a member of an inner group", policy: "inside") { made in
                    (made.groups, made.from, made.country) = (["staff"], "203.0.113.9", "DE")
                },
                policyCase("from nowhere", policy: "abroad", require: "deny") { $0.user = "alice" },
                policyCase("by day in Tokyo", policy: "day") { made in
                    (made.user, made.country, made.at, made.zone) = ("bob", "DE", monday, "Asia/Tokyo")
                },
                policyCase("wrong", policy: "inside", require: "deny") { made in
                    (made.user, made.from, made.country, made.at, made.zone) = ("bob", "198.51.100.1", "DE", monday, "Europe/Berlin")
                },
                policyCase("a made-up client", policy: "vpn") { made in
                    (made.client, made.clientTags, made.country) = (nil, ["vpn"], "DE")
                    (made.at, made.zone) = (Instant(Timestamp(seconds: 1_796_468_400)), "UTC")
                },
            ]))
        #expect(answer.results.map(\.isRight) == [true, true, true, true, false, true], "\(answer.results)")
        let wrong = answer.results[4]
        #expect(wrong.policy == "day" && wrong.require == "password+factor")
        #expect(
            wrong.differences == [
                "expected policy inside, but policy day decides",
                "inside does not match: it is for members of all, and bob is in no group and it is for logins from 203.0.113.0/24, and this comes from "
                    + "198.51.100.1",
                "expected deny, but password+factor is required",
            ], "\(wrong.differences)")
        #expect(answer.untested == [])
    }

    @Test func aCaseThatCannotBeReadIsRefusedWithItsPlace() async throws {
        let office = try await company()
        for (made, words) in [
            (policyCase("c"), "It expects nothing."), (policyCase("c", policy: "stuff"), "stuff"),
            (policyCase("c", require: "pasword"), "pasword"),
            (policyCase("c", policy: "none") { $0.client = nil }, "It names no client."),
            (policyCase("c", policy: "none") { $0.user = "mallory" }, "mallory"),
            (policyCase("c", policy: "none") { $0.groups = ["x"] }, "group"),
            (policyCase("c", policy: "none") { $0.country = "X" }, "`X` is no country."),
            (policyCase("c", policy: "none") { $0.zone = "X" }, "time zone"),
        ] {
            let refusal = await office.refusal(of: TestPolicies(cases: [made]))
            #expect(refusal.contains(words) && refusal.contains("cases.yaml:1:1"), "\(refusal)")
        }
    }

    // MARK: The report

    @Test func aReportNamesWhomThePolicyWouldHaveRefused() async throws {
        let office = try await company()
        try await office.perform(add("pilot") { $0.isReportOnly = true })
        let rows = try office.records.users(UserFilter(), limit: 10)
        func event(_ kind: EventKind, _ name: String, _ words: String, hour: Int64) -> Event {
            Event(
                kind, at: Office.start + .minutes(60 * hour), login: LoginID(Bits128(high: 1, low: UInt64(hour))),
                user: rows.first { $0.name == name }?.id,
                details: [.init("client", "office"), .init("report-only", words)],
                subject: PersonalFields([.init("name", name.uppercased())]))
        }
        for event in [
            event(.loginAccepted, "alice", "pilot@1 password+factor", hour: 1),
            event(.loginAccepted, "bob", "pilot@1 password+factor, and there is none: refused", hour: 2),
            event(.loginAccepted, "bob", "pilot@1 password+factor, and there is none: refused", hour: 3),
            event(.loginAccepted, "alice", "pilot@1 deny", hour: 4), event(.loginRejected, "bob", "pilot@1 deny", hour: 5),
            event(.loginAccepted, "bob", "pilot@1 password+factor, grace until 2030-01-01T00:00:00Z", hour: 6),
            event(.loginAccepted, "bob", "pilots@1 deny", hour: 7),
        ] { try await office.records.append(event) }
        let report = try await office.perform(ReportPolicy(name: "pilot"))
        #expect(report.logins == 5 && report.letIn == 2 && report.refusedAnyway == 1)
        #expect(report.refused.map(\.user) == ["bob", "alice"] && report.refused.map(\.logins) == [2, 1])
        #expect(report.refused[0].why == ["it requires password+factor, and the user has no factor that counts"])
        #expect(report.refused[1].why == ["it denies"] && report.refused[0].last == Instant(Office.start + .minutes(180)))
        let late = try await office.perform(ReportPolicy(name: "pilot", since: Instant(Office.start + .minutes(150))))
        #expect(late.logins == 3 && late.refused.map(\.logins) == [1, 1])
        #expect(await office.kind(of: ReportPolicy(name: "pilto")) == .missing)
    }
}
