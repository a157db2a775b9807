// SPDX-License-Identifier: Apache-2.0
// Policies by user, network, country and hours: which decides, and what is not known.

import LoginEngine
import TestSupport
import Testing

@Suite struct PolicyPlaceTests {
    let client = LoginBench.client { $0.tags = ["vpn"] }

    private func policy(
        _ id: Int64, _ requirement: Requirement, _ change: (inout PolicyRule) -> Void = { _ in }
    ) -> Policy {
        var rule = PolicyRule(name: "p\(id)", requirement: requirement)
        change(&rule)
        return Policy(id: id, revision: 1, rule: rule)
    }

    private func ranges(_ texts: String...) -> [AddressRange] { texts.compactMap { AddressRange($0) } }
    private func country(_ text: String) -> CountryCode { CountryCode(text)! }

    private func place(_ address: String?, _ code: String? = nil, user: Int64 = 1) -> LoginPlace {
        LoginPlace(
            user: user, address: address.flatMap { NetworkAddress($0) }, country: code.flatMap { CountryCode($0) },
            time: Timestamp(seconds: 0))
    }

    private func decides(_ policies: Policy..., at place: LoginPlace, client: Client? = nil) -> Ruling {
        PolicyTable(policies).ruling(for: client ?? self.client, groups: [], place: place)
    }

    // MARK: Where the device is

    @Test(arguments: [
        ("192.0.2.7", "192.0.2.7"), (" 192.0.2.7 ", "192.0.2.7"), ("192.0.2.7:4500", "192.0.2.7"), ("192.0.2.7[4500]", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"), ("[2001:db8::7]", "2001:db8::7"), ("[2001:db8::7]:4500", "2001:db8::7"),
        ("2001:db8::7[4500]", "2001:db8::7"), ("::ffff:192.0.2.7", "192.0.2.7"),
    ])
    func anAddressIsFoundInAStation(text: String, address: String) {
        #expect(NetworkAddress(station: text) == NetworkAddress(address))
    }

    @Test(arguments: [
        "", " ", "00-10-A4-23-19-C0", "00:10:a4:23:19:c0", "+49 30 1234567", "192.0.2", "192.0.2.7:", "192.0.2.7:65536", "192.0.2.7:x",
        "192.0.2.7[", "192.0.2.7[]", "192.0.2.7[1][2]", "[192.0.2.7]", "[192.0.2.7]:80", "[2001:db8::7", "2001:db8::7]", "[]:80",
        "192.0.2.7 192.0.2.8", "192.0.2.7/32", "192.0.2.007", "localhost", "ip=192.0.2.7", "fe80::1%eth0", "192.0.2.7:80:80",
        "1922222222222222222222222222222222222222222222222222222222222222222222",
    ])
    func whatIsNoAddressIsNone(text: String) {
        #expect(NetworkAddress(station: text) == nil)
    }

    @Test func networksHoldTheirAddressesAndNoOthers() {
        let office = policy(1, .password) { $0.when.networks = ranges("203.0.113.0/24", "2001:db8::/32") }
        for (address, matches) in [
            ("203.0.113.0", true), ("203.0.113.255", true), ("203.0.112.255", false), ("203.0.114.0", false), ("2001:db8::1", true),
            ("2001:db9::1", false), ("::ffff:203.0.113.9", true),
        ] { #expect((decides(office, at: place(address)).policy != nil) == matches, "\(address)") }
    }

    @Test func allOfIPv6IsNothingOfIPv4() {
        let six = policy(1, .password) { $0.when.networks = ranges("::/0") }
        #expect(decides(six, at: place("2001:db8::1")).policy != nil && decides(six, at: place("192.0.2.1")).policy == nil)
        let four = policy(1, .password) { $0.when.networks = ranges("0.0.0.0/0") }
        #expect(decides(four, at: place("2001:db8::1")).policy == nil && decides(four, at: place("192.0.2.1")).policy != nil)
    }

    @Test func networksThatAreLeftOutRuleThePolicyOut() {
        let elsewhere = policy(1, .deny) { $0.when.otherNetworks = ranges("203.0.113.0/24") }
        #expect(decides(elsewhere, at: place("203.0.113.9")).policy == nil && decides(elsewhere, at: place("192.0.2.1")).policy != nil)
        let both = policy(1, .password) { rule in
            rule.when.networks = ranges("10.0.0.0/8")
            rule.when.otherNetworks = ranges("10.9.0.0/16")
        }
        #expect(decides(both, at: place("10.8.0.1")).policy != nil && decides(both, at: place("10.9.0.1")).policy == nil)
    }

    @Test func countriesAreNamedOrLeftOut() {
        let home = policy(1, .password) { $0.when.countries = [country("DE"), country("at")] }
        #expect(decides(home, at: place(nil, "AT")).policy != nil && decides(home, at: place(nil, "FR")).policy == nil)
        let abroad = policy(1, .deny) { $0.when.otherCountries = [country("DE")] }
        #expect(decides(abroad, at: place(nil, "DE")).policy == nil && decides(abroad, at: place(nil, "FR")).policy != nil)
    }

    @Test func usersAreRows() {
        let alone = policy(1, .password) { $0.when.users = [7, 8] }
        #expect(decides(alone, at: place(nil, user: 8)).policy != nil && decides(alone, at: place(nil, user: 9)).policy == nil)
        #expect(decides(alone, at: LoginPlace()).policy == nil)
    }

    @Test func oneOfTheHoursHasToBeOpen() throws {
        let policy = policy(1, .password) { rule in
            rule.when.hours = ["thu 00:00-01:00 UTC", "thu 05:00-06:00 UTC"].compactMap { try? PolicyHours($0) }
        }
        // 1970 began on a Thursday.
        for (hour, matches) in [(0, true), (1, false), (5, true), (6, false)] as [(Int64, Bool)] {
            #expect((decides(policy, at: LoginPlace(time: Timestamp(seconds: hour * 3_600))).policy != nil) == matches, "\(hour)")
        }
    }

    // MARK: What is not known

    @Test func whatIsNotKnownNeverMakesALoginEasier() {
        let office = policy(1, .password) { $0.when.networks = ranges("203.0.113.0/24") }
        let rest = policy(2, .passwordAndFactor)
        #expect(decides(office, rest, at: place("203.0.113.9")).requirement == .password)
        #expect(decides(office, rest, at: place(nil)).requirement == .passwordAndFactor)
        #expect(decides(office, rest, at: place(nil)).doubts.isEmpty)
        // Where nothing else matches, the client's own rule does.
        #expect(decides(office, at: place(nil)).policy == nil)
        let home = policy(1, .password) { $0.when.countries = [country("DE")] }
        #expect(decides(home, rest, at: place("203.0.113.9")).requirement == .passwordAndFactor)
        let elsewhere = policy(1, .password) { $0.when.otherNetworks = ranges("203.0.113.0/24") }
        #expect(decides(elsewhere, rest, at: place(nil)).requirement == .passwordAndFactor)
        let day = policy(1, .password) { $0.when.hours = [PolicyHours(days: PolicyHours.everyDay, from: 0, to: 1_440, clock: nil)] }
        #expect(decides(day, rest, at: place(nil)).requirement == .passwordAndFactor)
    }

    @Test func whatAsksForMoreDecidesAlsoWhereItIsNotKnownWhetherItMatches() {
        let abroad = policy(1, .deny) { $0.when.otherCountries = [country("DE")] }
        let rest = policy(2, .password)
        let unknown = decides(abroad, rest, at: place("10.0.0.1"))
        #expect(unknown.requirement == .deny && unknown.policy?.id == 1 && unknown.doubts == [.country])
        #expect(decides(abroad, rest, at: place("10.0.0.1", "DE")).requirement == .password)
        // Of several the strictest, whichever comes first.
        let risky = policy(3, .passwordAndFactor) { $0.when.networks = ranges("198.51.100.0/24") }
        #expect(decides(risky, abroad, rest, at: place(nil)).policy?.id == 1)
        #expect(decides(risky, rest, at: place(nil)).policy?.id == 3)
        // A grace asks for less than none, and any factor for less than a certain one.
        let graced = policy(4, .passwordAndFactor) { $0.unenrolled = .graceDays(3) }
        #expect(decides(risky, graced, at: place(nil)).policy?.id == 3)
        let certain = policy(5, .passwordAndFactor) { rule in
            rule.factors = [.totp]
            rule.when.networks = ranges("198.51.100.0/24")
        }
        #expect(decides(certain, policy(6, .passwordAndFactor), at: place(nil)).policy?.id == 5)
    }

    /// Of a password with a code and a certificate neither is more than the other: whoever hides where he is does not choose.
    @Test func whatCannotBeComparedIsAskedForTogether() {
        let home = policy(1, .passwordAndFactor) { rule in
            rule.when.countries = [country("DE")]
            rule.unenrolled = .graceDays(7)
        }
        let rest = policy(2, .certificate)
        let ruling = decides(home, rest, at: place("10.0.0.1"))
        #expect(ruling.requirement == .certificateAndFactor && ruling.policy?.id == 1 && ruling.doubts == [.country])
        #expect(ruling.deniesGrace && ruling.giving?.id == 2)
        #expect(decides(home, rest, at: place("10.0.0.1", "FR")).requirement == .certificate)
        #expect(decides(home, rest, at: place("10.0.0.1", "DE")).requirement == .passwordAndFactor)
        // A password alone would be enough, and so it is while the grace lasts.
        #expect(!decides(home, policy(2, .password), at: place("10.0.0.1")).deniesGrace)
        // The one that is sure gives grace, and the one in doubt none.
        let code = policy(1, .factor) { $0.when.countries = [country("DE")] }
        let graced = decides(code, policy(2, .passwordAndFactor) { $0.unenrolled = .graceDays(7) }, at: place("10.0.0.1"))
        #expect(graced.requirement == .passwordAndFactor && graced.policy?.id == 1 && graced.deniesGrace && graced.doubts == [.country])
        // A factor has to count for both.
        let any = policy(1, .passwordAndFactor) { $0.when.countries = [country("DE")] }
        let listed = decides(any, policy(2, .factor) { $0.factors = [.hotp, .totp] }, at: place("10.0.0.1"))
        #expect(listed.requirement == .passwordAndFactor && listed.policy?.id == 1 && listed.factors == [.hotp, .totp])
        let other = policy(1, .factor) { rule in
            rule.factors = [.totp, .recovery]
            rule.when.countries = [country("DE")]
        }
        #expect(decides(other, policy(2, .factor) { $0.factors = [.hotp, .totp] }, at: place("10.0.0.1")).factors == [.totp])
        #expect(decides(other, policy(2, .factor) { $0.factors = [.hotp] }, at: place("10.0.0.1")).factors == [])
    }

    @Test(arguments: Requirement.allCases, Requirement.allCases)
    func whatIsAskedTogetherIsNoLessThanEither(_ one: Requirement, _ other: Requirement) {
        let both = one.joined(with: other)
        #expect(both == other.joined(with: one) && one.joined(with: one) == one)
        #expect(both.joined(with: one) == both && both.joined(with: other) == both)
        #expect(both.strictness >= one.strictness && both.strictness >= other.strictness)
    }

    @Test func anAcceptCarriesOnlyWhatIsOfAPolicyThatMatches() {
        let office = policy(1, .passwordAndFactor) { $0.when.networks = ranges("203.0.113.0/24") }
        let rest = policy(2, .password)
        let ruling = decides(office, rest, at: place(nil))
        #expect(ruling.policy?.id == 1 && ruling.giving?.id == 2)
        #expect(decides(office, at: place(nil), client: LoginBench.client { $0.requirement = .password }).giving == nil)
        #expect(decides(office, rest, at: place("203.0.113.1")).giving?.id == 1)
    }

    @Test func whatIsRuledOutByAnotherConditionIsNoDoubt() {
        let abroad = policy(1, .deny) { rule in
            rule.when.otherCountries = [country("DE")]
            rule.when.networks = ranges("198.51.100.0/24")
        }
        #expect(decides(abroad, at: place("10.0.0.1")).policy == nil)
        let certain = decides(abroad, at: place("198.51.100.1"))
        #expect(certain.policy?.id == 1 && certain.doubts == [.country])
    }

    @Test func aReportOnlyPolicyIsJudgedTheSameWay() {
        let trial = policy(1, .deny) { rule in
            rule.isReportOnly = true
            rule.when.otherCountries = [country("DE")]
        }
        let rest = policy(2, .password)
        #expect(
            decides(trial, rest, at: place("10.0.0.1")).reported?.id == 1 && decides(trial, rest, at: place("10.0.0.1")).policy?.id == 2)
        #expect(decides(trial, rest, at: place("10.0.0.1", "DE")).reported == nil)
        let easy = policy(3, .password) { rule in
            rule.isReportOnly = true
            rule.when.countries = [country("DE")]
        }
        #expect(decides(easy, policy(4, .passwordAndFactor), at: place(nil)).reported == nil)
    }

    // MARK: The index

    /// The table and a list that is gone through from the front decide alike.
    @Test func theIndexDecidesAsALookAtEveryPolicyDoes() {
        var dice = SeededRandom(seed: 7)
        func some<Value>(_ values: [Value]) -> [Value] {
            guard Int.random(in: 0..<3, using: &dice) == 0 else { return [] }
            return values.shuffled(using: &dice).prefix(Int.random(in: 1...2, using: &dice)).map { $0 }
        }
        for round in 0..<60 {
            let policies = (1...Int64.random(in: 1...140, using: &dice)).map { id in
                policy(id, Requirement.allCases.randomElement(using: &dice) ?? .deny) { rule in
                    rule.isReportOnly = Int.random(in: 0..<5, using: &dice) == 0
                    rule.when.users = some([1, 2, 3, 4])
                    rule.when.groups = some([1, 2, 3, 4, 5])
                    rule.when.clients = some([1, 2, 3])
                    rule.when.tags = some(["vpn", "wifi", "core"])
                    rule.when.networks = some(ranges("10.0.0.0/8", "203.0.113.0/24", "::/0"))
                    rule.when.otherNetworks = some(ranges("10.1.0.0/16", "192.0.2.0/24"))
                    rule.when.countries = some(["DE", "AT", "FR"].compactMap { CountryCode($0) })
                    rule.when.otherCountries = some(["DE", "CH"].compactMap { CountryCode($0) })
                    rule.when.hours = some(
                        ["thu UTC", "mon-fri 08:00-12:00 user", "daily 22:00-06:00 Asia/Tokyo"].compactMap { try? PolicyHours($0) })
                }
            }
            let table = PolicyTable(policies)
            for _ in 0..<20 {
                let client = LoginBench.client(id: Int64.random(in: 1...3, using: &dice)) { $0.tags = some(["vpn", "wifi"]) }
                let groups = some([Int64(1), 2, 3, 4, 5])
                let place = LoginPlace(
                    user: Int64.random(in: 1...5, using: &dice),
                    address: ["10.1.1.1", "10.2.1.1", nil, "192.0.2.1", "2001:db8::1"].randomElement(using: &dice)?.flatMap {
                        NetworkAddress($0)
                    },
                    country: ["DE", "CH", "PL", nil].randomElement(using: &dice)?.flatMap { CountryCode($0) },
                    time: Bool.random(using: &dice) ? Timestamp(seconds: Int64.random(in: 0...2_000_000_000, using: &dice)) : nil,
                    clock: Bool.random(using: &dice) ? ZoneClock.named("America/St_Johns") : nil)
                let trace = table.trace(for: client, groups: groups, place: place)
                let sure = trace.first { entry in !entry.policy.rule.isReportOnly && entry.verdicts.allSatisfy { $0.fit == .yes } }
                let ruling = table.ruling(for: client, groups: groups, place: place)
                #expect(ruling.giving == sure?.policy, "round \(round)")
                if ruling.doubts.isEmpty { #expect(ruling.policy == sure?.policy, "round \(round)") }
                #expect(table.looksUpGroups(for: client) == policies.contains { !$0.rule.when.groups.isEmpty && $0.rule.when.fits(client) })
            }
        }
    }

    // MARK: On a running engine

    @Test func aLoginIsJudgedByWhereItsDeviceIsAndTheTrailSaysSo() {
        let bench = LoginBench()
        bench.logins.rulebook.policies = PolicyTable([
            policy(1, .password) { $0.when.networks = ranges("203.0.113.0/24") },
            policy(2, .deny) { $0.when.otherCountries = [country("DE")] },
            policy(3, .passwordAndFactor),
        ])
        bench.logins.rulebook.countries = CountryLookup {
            $0 == NetworkAddress("192.0.2.1") ? CountryCode("DE") : $0.isIPv4 ? CountryCode("FR") : nil
        }
        func ask(_ station: String?) -> LoginAnswer? { bench.ask(bench.request(LoginBench.password, client: client, station: station)) }
        #expect(ask("203.0.113.9")?.isAccept == true)
        #expect(bench.records.events.last?.subject["country"] == "FR")
        #expect(ask("192.0.2.1")?.challenge != nil)
        #expect(bench.records.events.last?["policy"] == "p3@1" && bench.records.events.last?["not-known"] == nil)
        #expect(ask("198.51.100.1")?.isReject == true)
        for station in [nil, "00-10-A4-23-19-C0", "2001:db8::1"] as [String?] {
            #expect(ask(station)?.isReject == true)
            #expect(bench.records.events.last?["policy"] == "p2@1" && bench.records.events.last?.subject["country"] == nil)
            #expect(bench.records.events.last?["not-known"] == "country")
        }
        #expect(bench.rejections.allSatisfy { $0 == "denied-by-policy" })
    }

    @Test func aLoginIsJudgedByTheUsersClock() {
        let bench = LoginBench()
        let day = PolicyHours(days: PolicyHours.everyDay, from: 0, to: 1_440, clock: nil)
        bench.logins.rulebook.policies = PolicyTable([policy(1, .password) { $0.when.hours = [day] }, policy(2, .deny)])
        func ask() -> LoginAnswer? { bench.ask(bench.request(LoginBench.password, client: client)) }
        #expect(ask()?.isReject == true)
        bench.records.change { $0.users["alice"]?.timeZone = "Europe/Berlin" }
        #expect(ask()?.isAccept == true)
        bench.records.change { $0.users["alice"]?.timeZone = "Mars/Olympus" }
        #expect(ask()?.isReject == true)
    }
}
