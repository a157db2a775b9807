// SPDX-License-Identifier: Apache-2.0
// Policies on a running engine: what each rule lets in, asks and refuses.

import LoginEngine
import TestSupport
import Testing

@Suite struct PolicyLoginTests {
    static let staff: Int64 = 7
    let client = LoginBench.client { $0.tags = ["vpn"] }

    func policy(
        _ requirement: Requirement, name: String = "staff", id: Int64 = 1, revision: Int = 3,
        _ change: (inout PolicyRule) -> Void = { _ in }
    ) -> Policy {
        var rule = PolicyRule(name: name, requirement: requirement)
        change(&rule)
        return Policy(id: id, revision: revision, rule: rule)
    }

    func bench(_ policies: Policy..., hasFactor: Bool = true, groups: [Int64] = []) -> LoginBench {
        let bench = LoginBench()
        bench.logins.rulebook.policies = PolicyTable(policies)
        bench.records.change { tables in
            if !hasFactor { tables.factors = [:] }
            tables.groups[LoginBench.aliceID] = groups
        }
        return bench
    }

    /// Password, then the code where one is asked for.
    func login(_ bench: LoginBench, _ code: String = "111111", at client: Client) -> LoginAnswer? {
        let first = bench.ask(bench.request(LoginBench.password, client: client))
        guard let challenge = first?.challenge else { return first }
        return bench.ask(bench.request(code, client: client, handle: challenge.handle))
    }

    @Test func withoutPoliciesTheClientsOwnRuleDecidesAndTheTrailNamesNone() {
        let bench = bench()
        #expect(login(bench, at: client)?.isAccept == true)
        #expect(bench.records.events.allSatisfy { $0["policy"] == nil && $0["requirement"] == nil })
        #expect(bench.records.change { $0.lookedUpGroups } == 0)
    }

    @Test func theFirstThatMatchesDecides() {
        let bench = bench(policy(.password, name: "first"), policy(.deny, name: "second", id: 2))
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isAccept == true)
        #expect(bench.records.events.last?["policy"] == "first@3")
        #expect(bench.records.events.last?["requirement"] == "password")
    }

    @Test func whereNoneMatchesTheClientsOwnRuleDecides() {
        let bench = bench(policy(.deny) { $0.when.clients = [99] })
        #expect(login(bench, at: client)?.isAccept == true)
        let closed = LoginBench.client { $0.requirement = .deny }
        #expect(bench.ask(bench.request(LoginBench.password, client: closed))?.isReject == true)
        #expect(bench.rejections == ["denied-by-policy"])
    }

    @Test func aDenyIsSpokenAfterThePassword() {
        let bench = bench(policy(.deny))
        #expect(bench.ask(bench.request("wrong", client: client))?.isReject == true)
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.passwords.checks == ["alice", "alice"])
        #expect(bench.rejections == ["wrong-password", "denied-by-policy"])
        #expect(bench.records.events.last?["policy"] == "staff@3")
    }

    @Test func aDenyUsesUpNoCodeAndCountsNone() {
        let bench = bench(policy(.deny))
        let append = LoginBench.client { $0.asking = .append }
        #expect(bench.ask(bench.request("\(LoginBench.password),111111", client: append))?.isReject == true)
        #expect(bench.ask(bench.request("\(LoginBench.password),999999", client: append))?.isReject == true)
        #expect(bench.rejections == ["denied-by-policy", "denied-by-policy"])
        #expect(bench.records.change { $0.marks.isEmpty && $0.failures.isEmpty })
    }

    @Test func aDenyWhereTheCodeIsTheOnlyProofIsSpokenAfterTheCode() {
        let bench = bench(policy(.deny))
        let codes = LoginBench.client { $0.requirement = .factor }
        #expect(bench.ask(bench.request("999999", client: codes))?.isReject == true)
        #expect(bench.ask(bench.request("111111", client: codes))?.isReject == true)
        #expect(bench.rejections == ["wrong-code", "denied-by-policy"])
        #expect(bench.records.change { $0.marks.isEmpty })
    }

    @Test func aDenyAtAConcealingClientAsksLikeAlways() {
        let bench = bench(policy(.deny))
        let concealing = LoginBench.client { $0.concealFactor = true }
        let right = bench.ask(bench.request(LoginBench.password, client: concealing))?.challenge
        let wrong = bench.ask(bench.request("wrong", client: concealing))?.challenge
        #expect(right != nil && right?.prompt == wrong?.prompt)
        #expect(bench.ask(bench.request("111111", client: concealing, handle: right?.handle))?.isReject == true)
        #expect(bench.rejections == ["denied-by-policy"])
    }

    @Test func conditionsAreClientTagAndGroup() {
        let byClient = policy(.deny) { $0.when.clients = [1] }
        let byTag = policy(.deny) { $0.when.tags = ["vpn", "other"] }
        let byGroup = policy(.deny) { $0.when.groups = [Self.staff, 8] }
        let all = policy(.deny) { rule in
            rule.when.clients = [1]
            rule.when.tags = ["vpn"]
            rule.when.groups = [Self.staff]
        }
        for (policy, groups, isDenied) in [
            (byClient, [], true), (byTag, [], true), (byGroup, [], false), (byGroup, [Self.staff], true), (all, [], false),
            (all, [Self.staff, 5], true),
        ] as [(Policy, [Int64], Bool)] {
            let bench = bench(policy, groups: groups)
            #expect(login(bench, at: client)?.isReject == isDenied)
        }
        let bench = bench(byTag)
        #expect(login(bench, at: LoginBench.client(id: 2))?.isAccept == true)
    }

    @Test func mannerIsTheProtocolAndTheRealmOfTheName() {
        func manner(_ name: String, _ method: String?) -> LoginManner {
            var request = LoginRequest(
                door: .radius, client: client, name: name, proof: .plaintext(Secret(utf8: "x")), source: NetworkAddress("192.0.2.1")!,
                fingerprint: Fingerprint(Bits128(high: 1, low: 2)))
            request.method = method
            return LoginManner(request)
        }
        #expect(manner("alice", nil) == LoginManner(method: "pap"))
        #expect(manner("alice@b@OTP", "EAP-TTLS/PAP") == LoginManner(method: "eap-ttls/pap", realm: "otp"))
        var when = PolicyRule.Conditions()
        #expect(when.fits(.unknown))
        when.methods = ["eap-ttls", "chap"]
        for (method, fits) in [
            ("eap-ttls", true), ("eap-ttls/eap-gtc", true), ("eap-tls", false), ("eap-ttlsx", false), ("chap", true), ("pap", false),
        ] { #expect(when.fits(LoginManner(method: method)) == fits, "\(method)") }
        func misfits(_ manner: LoginManner) -> [PolicyRule.Condition] {
            when.verdicts(client, groups: [], manner, .unknown).filter { $0.fit == .no }.map(\.condition)
        }
        #expect(!when.fits(.unknown) && misfits(.unknown) == [.method])
        when.methods = ["eap"]
        for (method, fits) in [("eap-gtc", true), ("peap/eap-mschapv2", true), ("pap", false), ("ms-chap-v2", false)] {
            #expect(when.fits(LoginManner(method: method)) == fits, "\(method)")
        }
        when.realms = ["otp"]
        #expect(when.fits(LoginManner(method: "eap-gtc", realm: "otp")) && !when.fits(LoginManner(method: "eap-gtc", realm: "corp")))
        #expect(misfits(LoginManner(method: "eap-gtc")) == [.realm])
    }

    /// RFC 4739: two rounds of one tunnel are two logins, which differ in method or name alone.
    @Test func roundsAreToldApartByRealm() {
        let rounds = LoginBench.client {
            $0.nameStripping = .realm
            $0.requirement = .deny
        }
        let bench = bench(
            policy(.factor, name: "second") { $0.when.realms = ["otp"] },
            policy(.password, name: "first", id: 2) { $0.when.methods = ["pap"] })
        func ask(_ text: String, as name: String) -> LoginAnswer? { bench.ask(bench.request(text, name: name, client: rounds)) }
        #expect(ask(LoginBench.password, as: "alice@otp")?.isReject == true)
        #expect(ask("111111", as: "alice")?.isReject == true)
        #expect(ask(LoginBench.password, as: "alice")?.isAccept == true)
        #expect(bench.records.events.last?["policy"] == "first@3")
        #expect(ask("111111", as: "alice@OTP")?.isAccept == true)
        #expect(bench.records.events.last?["policy"] == "second@3")
    }

    /// A gateway that lets the name change between question and answer turns no code into a password.
    @Test func codeOfOneRoundIsNoPasswordOfAnother() {
        let rounds = LoginBench.client {
            $0.nameStripping = .realm
            $0.requirement = .deny
        }
        let bench = bench(
            policy(.factor, name: "second") { $0.when.realms = ["otp"] },
            policy(.password, name: "first", id: 2) { $0.when.methods = ["pap"] })
        let asked = bench.ask(bench.request("", name: "alice@otp", client: rounds))?.challenge
        #expect(asked != nil)
        let answer = bench.ask(bench.request("111111", name: "alice", client: rounds, handle: asked?.handle))
        #expect(answer?.isReject == true)
        #expect(bench.rejections.last == "changed-meanwhile")
    }

    @Test func groupsAreLookedUpOnlyWhereAPolicyLooksAtThem() {
        let bench = bench(
            policy(.password) { $0.when.clients = [2] },
            policy(.deny, id: 2) { rule in
                rule.when.clients = [2]
                rule.when.groups = [Self.staff]
            })
        _ = login(bench, at: client)
        #expect(bench.records.change { $0.lookedUpGroups } == 0)
        _ = login(bench, at: LoginBench.client(id: 2))
        #expect(bench.records.change { $0.lookedUpGroups } > 0)
    }

    @Test func aPolicyMayAskForMoreThanTheClientAndForLess() {
        let more = bench(policy(.passwordAndFactor))
        let lax = LoginBench.client { $0.requirement = .password }
        #expect(more.ask(more.request(LoginBench.password, client: lax))?.challenge != nil)
        let less = bench(policy(.factor))
        #expect(less.ask(less.request("111111", client: client))?.isAccept == true)
    }

    @Test func onlyListedFactorsCount() {
        let bench = bench(policy(.passwordAndFactor) { $0.factors = [.hotp, .recovery] })
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.rejections == ["no-allowed-factor"])
        bench.records.change { tables in
            tables.factors[1]?.append(Factor(id: 12, kind: .hotp, label: "token", state: .active, secret: Secret([1])))
        }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.challenge != nil)
    }

    @Test func factorsStandInTheOrderOfPreference() {
        let factors = [FactorKind.totp, .recovery, .hotp].enumerated().map {
            Factor(id: Int64($0), kind: $1, label: "", state: .active, secret: Secret([1]))
        }
        let ruling = Ruling(requirement: .passwordAndFactor, policy: policy(.passwordAndFactor) { $0.factors = [.hotp, .totp] })
        #expect(ruling.usable(factors).factors.map(\.kind) == [.hotp, .totp])
        #expect(!ruling.usable(factors).hasOthers, "recovery codes are no factor that somebody could have been enrolled with")
        let all = Ruling(requirement: .passwordAndFactor, policy: policy(.passwordAndFactor))
        #expect(all.usable(factors).factors.map(\.kind) == [.totp, .recovery, .hotp])
    }

    // MARK: Un-enrolled users

    @Test func anUnenrolledUserIsDeniedUnlessThereIsGrace() {
        let bench = bench(policy(.passwordAndFactor), hasFactor: false)
        #expect(login(bench, at: client)?.isReject == true)
        #expect(bench.rejections == ["no-factor-enrolled"])
    }

    @Test func graceUntilADateLetsARightPasswordIn() {
        let end = TestClock.start.wall + .minutes(60)
        let bench = bench(policy(.passwordAndFactor) { $0.unenrolled = .graceUntil(end) }, hasFactor: false)
        #expect(bench.ask(bench.request("wrong", client: client))?.isReject == true)
        #expect(login(bench, at: client)?.isAccept == true)
        #expect(bench.records.events.last?["grace-until"] == end.iso8601)
        bench.advance(by: .minutes(60))
        #expect(login(bench, at: client)?.isReject == true)
        #expect(bench.rejections == ["wrong-password", "no-factor-enrolled"])
        #expect(bench.records.events.last?["steps"]?.contains("grace-over") == true)
    }

    @Test func graceForDaysBeginsWithTheFirstLoginUnderThePolicy() {
        let bench = bench(policy(.passwordAndFactor) { $0.unenrolled = .graceDays(2) }, hasFactor: false)
        bench.advance(by: .minutes(30))
        #expect(login(bench, at: client)?.isAccept == true)
        let end = TestClock.start.wall + .minutes(30 + 2 * 24 * 60)
        #expect(bench.records.events.last?["grace-until"] == end.iso8601)
        bench.advance(by: .minutes(2 * 24 * 60 - 1))
        #expect(login(bench, at: client)?.isAccept == true)
        #expect(bench.records.events.last?["grace-until"] == end.iso8601, "it does not begin anew")
        bench.advance(by: .minutes(1))
        #expect(login(bench, at: client)?.isReject == true)
    }

    @Test func graceIsForAppendClientsTooAndNotForCodesThatNobodyHas() {
        let bench = bench(policy(.passwordAndFactor) { $0.unenrolled = .graceDays(2) }, hasFactor: false)
        let append = LoginBench.client { $0.asking = .append }
        #expect(bench.ask(bench.request(LoginBench.password, client: append))?.isAccept == true)
        #expect(bench.ask(bench.request("\(LoginBench.password),123456", client: append))?.isReject == true)
    }

    @Test func graceAtAConcealingClientIsGivenAtTheEnd() {
        let bench = bench(policy(.passwordAndFactor) { $0.unenrolled = .graceDays(2) }, hasFactor: false)
        let concealing = LoginBench.client { $0.concealFactor = true }
        let wrong = bench.ask(bench.request("wrong", client: concealing))?.challenge
        #expect(bench.ask(bench.request("", client: concealing, handle: wrong?.handle))?.isReject == true)
        let right = bench.ask(bench.request(LoginBench.password, client: concealing))?.challenge
        #expect(bench.ask(bench.request("", client: concealing, handle: right?.handle))?.isAccept == true)
    }

    @Test func whoHadAFactorGetsNoGrace() {
        let bench = bench(policy(.passwordAndFactor) { $0.unenrolled = .graceDays(2) }, hasFactor: false)
        bench.records.change { $0.grace[1] = GraceFacts(isOver: true) }
        #expect(login(bench, at: client)?.isReject == true)
        let other = self.bench(
            policy(.passwordAndFactor) { rule in
                rule.factors = [.hotp]
                rule.unenrolled = .graceDays(2)
            })
        #expect(login(other, at: client)?.isReject == true, "a factor of another kind is no reason to ask for less")
        #expect(other.rejections == ["no-allowed-factor"])
    }

    @Test func disabledUsersAndStrangersGetNoGrace() {
        let bench = bench(policy(.passwordAndFactor) { $0.unenrolled = .graceDays(2) }, hasFactor: false)
        #expect(bench.ask(bench.request(LoginBench.password, name: "mallory", client: client))?.isReject == true)
        bench.records.change { $0.users["alice"]?.status = .disabled }
        #expect(login(bench, at: client)?.isReject == true)
        #expect(bench.accepts == 0)
    }

    // MARK: Report only

    @Test func aReportOnlyPolicyDecidesAsIfItWereAbsentAndSaysWhatItWouldHaveDone() {
        let reporting = policy(.deny, name: "trial") { $0.isReportOnly = true }
        let bench = bench(reporting, policy(.password, id: 2))
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isAccept == true)
        #expect(bench.records.events.last?["report-only"] == "trial@3 deny")
        #expect(bench.records.events.last?["policy"] == "staff@3")
        let alone = self.bench(policy(.passwordAndFactor, name: "trial") { $0.isReportOnly = true }, hasFactor: false)
        let lax = LoginBench.client { $0.requirement = .password }
        #expect(alone.ask(alone.request(LoginBench.password, client: lax))?.isAccept == true)
        #expect(alone.records.events.last?["report-only"] == "trial@3 password+factor, and there is none: refused")
        #expect(alone.records.events.last?["policy"] == nil)
    }

    @Test func aReportOnlyPolicyBehindTheDecidingOneSaysNothing() {
        let bench = bench(policy(.password), policy(.deny, name: "trial", id: 2) { $0.isReportOnly = true })
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isAccept == true)
        #expect(bench.records.events.last?["report-only"] == nil)
    }

    // MARK: Changes on the way

    @Test func aPolicyThatChangedBetweenTwoPacketsIsJudgedAsItIsAtTheSecond() {
        let bench = bench()
        let challenge = bench.ask(bench.request(LoginBench.password, client: client))?.challenge
        bench.logins.rulebook.policies = PolicyTable([policy(.deny)])
        #expect(bench.ask(bench.request("111111", client: client, handle: challenge?.handle))?.isReject == true)
        #expect(bench.rejections == ["denied-by-policy"])
        #expect(bench.records.change { $0.marks.isEmpty })
    }

    @Test func aLoginUnderAPasswordCheckKeepsTheRulesItBeganWith() {
        let bench = bench(policy(.password))
        bench.passwords.holdBack(true)
        let waiter = bench.send(bench.request(LoginBench.password, client: client))
        bench.logins.rulebook.policies = PolicyTable([policy(.deny, name: "late", id: 2)])
        bench.passwords.holdBack(false)
        #expect(bench.answer(to: waiter)?.isAccept == true)
        #expect(bench.records.events.last?["policy"] == "staff@3")
    }

    @Test func aLateApprovalIsJudgedByThePoliciesOfNow() {
        let client = LoginBench.client { $0.automaticPush = true }
        for isDenied in [false, true] {
            let bench = LoginBench(hasPhone: true)
            _ = bench.send(bench.request(LoginBench.password, client: client, station: "198.51.100.7"))
            bench.advance(by: client.settings.holdTime)
            bench.phone.answer(.approved)
            if isDenied { bench.logins.rulebook.policies = PolicyTable([policy(.deny)]) }
            let again = bench.ask(bench.request(LoginBench.password, client: client, station: "198.51.100.7"))
            #expect(again?.isAccept == !isDenied)
        }
    }

    @Test func strangersAreJudgedLikeEverybodyWithoutAGroup() {
        let bench = bench(policy(.password) { $0.when.groups = [Self.staff] }, policy(.deny, name: "rest", id: 2), groups: [Self.staff])
        let answers = ["alice", "mallory"].map { bench.ask(bench.request("wrong", name: $0, client: client)) }
        #expect(answers.allSatisfy { $0?.message == Prompt.rejected })
        #expect(bench.passwords.checks == ["alice", "nobody"])
    }
}
