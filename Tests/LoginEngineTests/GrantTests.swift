// SPDX-License-Identifier: Apache-2.0
// What a bypass and a temporary code open, and everything that they do not.

import LoginEngine
import TestSupport
import Testing

@Suite struct GrantTests {
    private let code = LoginBench.temporaryCode

    /// Password, then what is typed where something is asked.
    private func login(_ bench: LoginBench, _ typed: String = "", at client: Client) -> LoginAnswer? {
        let first = bench.ask(bench.request(LoginBench.password, client: client))
        guard let challenge = first?.challenge else { return first }
        return bench.ask(bench.request(typed, client: client, handle: challenge.handle))
    }

    private func accept(_ bench: LoginBench) -> Event? { bench.records.events.last { $0.kind == .loginAccepted } }

    private func reject(_ bench: LoginBench) -> Event? { bench.records.events.last { $0.kind == .loginRejected } }

    private func used(_ bench: LoginBench) -> Int { bench.records.change { $0.grantUses.count } }

    // MARK: Its terms

    @Test func aGrantIsWorthSomethingOnlyWithinItsTerms() {
        let start = TestClock.start.wall
        var grant = Grant(id: 12, kind: .bypass, issued: start, until: start + .minutes(60), uses: 2, reason: "lost phone")
        #expect(grant.standing(at: start) == .open && grant.label == "12 bypass")
        #expect(grant.standing(at: start + .minutes(60)) == .expired)
        #expect(grant.standing(at: start + .minutes(60) - .milliseconds(1)) == .open)
        // Another node's clock may be a little behind; one that was set back opens nothing.
        #expect(grant.standing(at: start - .seconds(60)) == .open && grant.standing(at: start - .seconds(61)) == .early)
        grant.used = 2
        #expect(grant.standing(at: start) == .usedUp)
        grant.uses = nil
        #expect(grant.standing(at: start) == .open)
        grant.isVoid = true
        #expect(grant.standing(at: start) == .void)
        grant.isRevoked = true
        #expect(grant.standing(at: start) == .revoked)
    }

    @Test func itsScopeIsAnyOfItsClientsAndTags() {
        let tagged = LoginBench.client(id: 3) { $0.tags = ["vpn"] }
        #expect(Grant.Scope().fits(LoginBench.client(id: 9)))
        let scope = Grant.Scope(clients: [1, 2], tags: ["vpn", "lab"])
        #expect(scope.fits(LoginBench.client(id: 2)) && scope.fits(tagged) && !scope.fits(LoginBench.client(id: 4)))
        #expect(!Grant.Scope(tags: ["lab"]).fits(tagged))
    }

    @Test(arguments: [
        ("40718293", true), ("4071 8293", true), (" 4071-8293 ", true), ("4071829", false), ("407182933", false), ("4071829a", false),
    ])
    func digitsAreReadAsTheyAreSaid(text: String, isCode: Bool) {
        var grant = Grant(id: 1, kind: .code, issued: TestClock.start.wall, until: TestClock.start.wall, uses: 1, reason: "")
        grant.digits = 8
        #expect((grant.digits(in: text) == Array("40718293".utf8)) == isCode)
        grant.kind = .bypass
        #expect(grant.digits(in: text) == nil)
    }

    // MARK: Bypass

    @Test(arguments: [Asking.challenge, .append, .appendOrChallenge])
    func withABypassThePasswordIsEnoughHoweverAClientAsks(asking: Asking) {
        let bench = LoginBench()
        let client = LoginBench.client { $0.asking = asking }
        bench.grant(.bypass)
        #expect(bench.ask(bench.request("wrong", client: client))?.isReject == true)
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isAccept == true)
        #expect(accept(bench)?["grant"] == "1 bypass" && accept(bench)?["factor"] == nil)
        #expect(accept(bench)?.subject["grant-reason"] == "lost phone", "what may name people can be erased")
        #expect(used(bench) == 1)
        // Once is once.
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isAccept != true)
    }

    @Test func aBypassWorksWithoutAnyFactorAndWhereAPolicyCountsNone() {
        let bench = LoginBench()
        bench.records.change { $0.factors = [:] }
        bench.grant(.bypass, uses: nil)
        #expect(login(bench, at: LoginBench.client())?.isAccept == true)
        var rule = PolicyRule(name: "phones", requirement: .passwordAndFactor)
        rule.factors = [.push]
        bench.logins.rulebook.policies = PolicyTable([Policy(id: 1, revision: 1, rule: rule)])
        bench.records.change { $0.factors[1] = [Factor(id: 10, kind: .totp, label: "", state: .active, secret: Secret([1]))] }
        #expect(login(bench, at: LoginBench.client())?.isAccept == true)
        #expect(used(bench) == 2)
    }

    @Test func graceComesFirstAndUsesNothing() {
        var rule = PolicyRule(name: "new", requirement: .passwordAndFactor)
        rule.unenrolled = .graceDays(3)
        let bench = LoginBench()
        bench.logins.rulebook.policies = PolicyTable([Policy(id: 1, revision: 1, rule: rule)])
        bench.records.change { $0.factors = [:] }
        bench.grant(.bypass)
        #expect(login(bench, at: LoginBench.client())?.isAccept == true)
        #expect(used(bench) == 0 && accept(bench)?["grant"] == nil)
        bench.advance(by: .minutes(4 * 24 * 60))
        bench.grant(.bypass)
        #expect(login(bench, at: LoginBench.client())?.isAccept == true)
        #expect(used(bench) == 1 && accept(bench)?["grant"] == "2 bypass")
    }

    @Test func whatIsDeniedStaysDeniedAndADisabledUserStaysOutside() {
        let bench = LoginBench()
        bench.grant(.bypass, uses: nil)
        bench.grant(.code, uses: 50)
        #expect(bench.ask(bench.request(LoginBench.password, client: LoginBench.client { $0.requirement = .deny }))?.isReject == true)
        #expect(
            bench.ask(
                bench.request(
                    LoginBench.password + "," + code,
                    client: LoginBench.client {
                        $0.requirement = .deny
                        $0.asking = .append
                    }))?.isReject == true)
        #expect(bench.rejections == ["denied-by-policy", "denied-by-policy"])
        bench.records.change { $0.users["alice"]?.status = .disabled }
        #expect(login(bench, at: LoginBench.client())?.isReject == true)
        #expect(bench.ask(bench.request(code, client: LoginBench.client { $0.requirement = .factor }))?.isReject == true)
        #expect(used(bench) == 0 && bench.accepts == 0)
    }

    /// A first factor is needed all the same.
    @Test func whereTheCodeIsTheOnlyProofABypassOpensNothing() {
        let bench = LoginBench()
        bench.grant(.bypass)
        let client = LoginBench.client { $0.requirement = .factor }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.ask(bench.request("999999", client: client))?.isReject == true)
        #expect(bench.ask(bench.request("", client: client))?.challenge != nil)
        #expect(bench.accepts == 0)
    }

    @Test func atAnotherClientItOpensNothingAndTheTrailSaysSo() {
        let bench = LoginBench()
        bench.grant(.bypass) { $0.scope = Grant.Scope(clients: [2]) }
        #expect(login(bench, "999999", at: LoginBench.client(id: 1))?.isReject == true)
        #expect(reject(bench)?["grants-closed"] == "1 bypass: not for this client")
        #expect(login(bench, at: LoginBench.client(id: 2))?.isAccept == true)
    }

    @Test(arguments: Grant.Standing.allCases.filter { $0 != .open && $0 != .elsewhere })
    func aClosedGrantOpensNothing(standing: Grant.Standing) {
        for kind in Grant.Kind.allCases {
            let bench = LoginBench()
            bench.grant(kind) { grant in
                switch standing {
                case .revoked: grant.isRevoked = true
                case .void: grant.isVoid = true
                case .early: (grant.issued, grant.until) = (grant.issued + .minutes(30), grant.until + .minutes(30))
                case .expired: (grant.issued, grant.until) = (grant.issued - .minutes(60), grant.issued)
                case .usedUp: grant.used = 1
                case .open, .elsewhere: break
                }
            }
            #expect(login(bench, code, at: LoginBench.client())?.isReject == true, "\(kind)")
            #expect(bench.ask(bench.request(code, client: LoginBench.client { $0.requirement = .factor }))?.isReject == true, "\(kind)")
            #expect(bench.accepts == 0 && used(bench) == 0)
            #expect(reject(bench)?["grants-closed"] == "1 \(kind.rawValue): \(standing.rawValue)")
        }
    }

    @Test func aRightCodeBehindThePasswordIsTakenAndNoUseGoes() {
        let bench = LoginBench()
        bench.grant(.bypass)
        let client = LoginBench.client { $0.asking = .append }
        #expect(bench.ask(bench.request(LoginBench.password + ",111111", client: client))?.isAccept == true)
        #expect(used(bench) == 0 && accept(bench)?["factor"] == "totp")
        // Whoever is asked for no code may have a password that ends like one.
        #expect(bench.ask(bench.request(LoginBench.password + ",999999", client: client))?.isReject == true)
        #expect(bench.rejections == ["wrong-password"] && bench.passwords.checks.count == 2)
    }

    @Test func aDirectoryIsAskedWithoutACodeOnlyWhileABypassIsOpen() {
        let bench = LoginBench(countsElsewhere: true)
        let client = LoginBench.client { $0.asking = .append }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.passwords.checks.isEmpty)
        bench.grant(.bypass) { $0.until = $0.issued + .minutes(1) }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isAccept == true)
        bench.advance(by: .minutes(1))
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.passwords.checks.count == 1)
    }

    @Test func concealedEverybodyIsAskedAndABypassTakesAnyAnswer() {
        let bench = LoginBench()
        bench.grant(.bypass, uses: 2)
        let client = LoginBench.client { $0.concealFactor = true }
        let wrong = bench.ask(bench.request("wrong", client: client))?.challenge
        let right = bench.ask(bench.request(LoginBench.password, client: client))?.challenge
        #expect(wrong?.prompt == right?.prompt && wrong != nil)
        #expect(bench.ask(bench.request("999999", client: client, handle: wrong?.handle))?.isReject == true)
        #expect(bench.ask(bench.request("999999", client: client, handle: right?.handle))?.isAccept == true)
        #expect(used(bench) == 1)
    }

    @Test func aLockOfCodesDoesNotMatterToABypassAndALockOfPasswordsDoes() {
        let bench = LoginBench()
        let client = LoginBench.client()
        for guess in 0..<5 { _ = login(bench, "99999\(guess)", at: client) }
        bench.grant(.bypass, uses: nil)
        #expect(login(bench, at: client)?.isAccept == true)
        for guess in 0..<12 { _ = bench.ask(bench.request("wrong \(guess)", client: client)) }
        #expect(login(bench, at: client)?.isReject == true)
        #expect(bench.rejections.last == "password-locked")
    }

    @Test func aProofThatShowsNoPasswordIsLetInByABypass() {
        let bench = LoginBench()
        bench.grant(.bypass, uses: nil)
        for asking in [Asking.challenge, .append] {
            let client = LoginBench.client { settings in
                settings.schemes = .one(.chap)
                settings.asking = asking
            }
            var request = bench.request("", client: client)
            request.proof = .hashed(HashedProof(.chap, identity: [UInt8(bench.accepts)]) { $0 == .text(Secret(utf8: LoginBench.password)) })
            #expect(bench.ask(request)?.isAccept == true)
        }
    }

    @Test func behindACertificateABypassStandsInForTheFactorAndNeverForTheCertificate() {
        var rules = LoginRules()
        rules.certificates.registered = { _ throws(NoAnswer) in nil }
        let bench = LoginBench(rules: rules)
        bench.records.change { $0.users["alice@corp.example"] = $0.users["alice"] }
        bench.grant(.bypass, uses: nil)
        let client = LoginBench.client { $0.requirement = .certificateAndFactor }
        func ask(_ mail: String) -> LoginAnswer? {
            var request = bench.request("", client: client, station: "198.51.100.7")
            request.proof = .certificate(
                CertificateProof(
                    fingerprint: [UInt8](repeating: 1, count: 32), subject: "CN=phone", issuer: "CN=authority", names: [.mail: [mail]],
                    expires: Timestamp(seconds: 9_000_000_000)))
            request.method = "EAP-TLS"
            request.carriesQuestions = false
            return bench.ask(request)
        }
        #expect(ask("mallory@corp.example")?.isReject == true)
        #expect(ask("alice@corp.example")?.isAccept == true)
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.rejections.last == "certificate-missing" && used(bench) == 1)
    }

    // MARK: Temporary codes

    @Test func aTemporaryCodeIsTakenByChallengeAppendedAndAlone() {
        let bench = LoginBench()
        bench.grant(.code, uses: 3)
        #expect(login(bench, code, at: LoginBench.client())?.isAccept == true)
        #expect(accept(bench)?["grant"] == "1 code")
        #expect(
            bench.ask(bench.request(LoginBench.password + "," + code, client: LoginBench.client { $0.asking = .append }))?.isAccept == true)
        #expect(bench.ask(bench.request("4071 8293", client: LoginBench.client { $0.requirement = .factor }))?.isAccept == true)
        #expect(used(bench) == 3)
        #expect(login(bench, code, at: LoginBench.client())?.isReject == true)
        #expect(reject(bench)?["grants-closed"] == "1 code: used up")
    }

    @Test func aFixedLengthTailTakesItToo() {
        let bench = LoginBench()
        bench.grant(.code)
        let client = LoginBench.client { settings in
            settings.asking = .append
            settings.separator = nil
            settings.fixedLengthTail = true
        }
        #expect(bench.ask(bench.request(LoginBench.password + code, client: client))?.isAccept == true)
        #expect(bench.passwords.checks.count == 1)
    }

    @Test func whoHasNoFactorIsAskedForTheCode() {
        let bench = LoginBench()
        bench.records.change { $0.factors = [:] }
        let client = LoginBench.client()
        #expect(login(bench, at: client)?.isReject == true)
        #expect(bench.rejections == ["no-factor-enrolled"])
        bench.grant(.code)
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.prompt == "Enter your code:")
        #expect(login(bench, "00000000", at: client)?.isReject == true)
        #expect(bench.rejections.last == "wrong-code")
        #expect(login(bench, code, at: client)?.isAccept == true)
    }

    @Test func whoWasGivenACodeIsNotAskedOnThePhone() {
        let bench = LoginBench(hasPhone: true)
        let client = LoginBench.client { $0.automaticPush = true }
        bench.grant(.code)
        #expect(login(bench, code, at: client)?.isAccept == true)
        #expect(bench.phone.startCount == 0)
    }

    @Test func wrongOnesAreCountedLikeAnyCodeAndTheLockHoldsForTheRightOneToo() {
        for client in [LoginBench.client { $0.requirement = .factor }, LoginBench.client()] {
            let bench = LoginBench()
            bench.records.change { $0.factors = [:] }
            bench.grant(.code)
            for guess in 0..<5 {
                let typed = "1111111\(guess)"
                _ =
                    client.settings.requirement == .factor
                    ? bench.ask(bench.request(typed, client: client)) : login(bench, typed, at: client)
            }
            #expect(bench.records.change { $0.failures[1]?.first { $0.kind == .code }?.count } == 5)
            let last =
                client.settings.requirement == .factor ? bench.ask(bench.request(code, client: client)) : login(bench, code, at: client)
            #expect(last?.isReject == true && bench.rejections.last == "factor-locked" && bench.accepts == 0)
        }
    }

    @Test func aCodeOfAnotherUserOrAnotherGrantIsWrong() {
        let bench = LoginBench()
        bench.grant(.code)
        bench.records.change { tables in
            tables.users["bob"] = User(id: 2, name: "bob", status: .active, passwordHash: nil)
            tables.factors[2] = [Factor(id: 20, kind: .totp, label: "", state: .active, secret: Secret([1]))]
            // The same hash in another row is worth nothing.
            var moved = tables.grants[1]?[0]
            moved?.id = 77
            tables.grants[2] = moved.map { [$0] }
        }
        let client = LoginBench.client { $0.requirement = .factor }
        #expect(bench.ask(bench.request(code, name: "bob", client: client))?.isReject == true)
        #expect(bench.ask(bench.request(code, name: "mallory", client: client))?.isReject == true)
        #expect(bench.accepts == 0)
    }

    // MARK: What happens meanwhile

    @Test func revokedWhileAChallengeIsOpenItOpensNothing() {
        let bench = LoginBench()
        let client = LoginBench.client()
        bench.grant(.code)
        let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
        bench.records.change { $0.grants[1]?[0].isRevoked = true }
        #expect(bench.ask(bench.request(code, client: client, handle: handle))?.isReject == true)
        #expect(reject(bench)?["grants-closed"] == "1 code: revoked" && bench.accepts == 0)
    }

    /// Read as open, and gone when the accept is written.
    @Test(arguments: Grant.Kind.allCases) func theSettlementLooksAgain(kind: Grant.Kind) {
        let bench = LoginBench()
        bench.grant(kind)
        let client = LoginBench.client { $0.asking = .append }
        bench.passwords.holdBack(true)
        let waiter = bench.send(bench.request(LoginBench.password + (kind == .code ? "," + code : ""), client: client))
        bench.records.change { $0.grants[1]?[0].used = 1 }
        bench.passwords.holdBack(false)
        #expect(bench.answer(to: waiter)?.isReject == true)
        #expect(bench.rejections == ["grant-not-valid"] && reject(bench)?["steps"]?.contains("grant used up") == true)
        #expect(bench.accepts == 0)
    }

    @Test func ofManyLoginsAtOnceSoManyGetInAsItAllows() {
        let bench = LoginBench()
        bench.grant(.bypass, uses: 3)
        let client = LoginBench.client()
        bench.passwords.holdBack(true)
        let waiters = (0..<8).map { bench.send(bench.request(LoginBench.password, client: client, station: "198.51.100.\($0)")) }
        bench.passwords.holdBack(false)
        let answers = waiters.map { bench.answer(to: $0) }
        #expect(answers.count { $0?.isAccept == true } == 3 && used(bench) == 3)
    }

    @Test func theSameRequestAgainHearsTheSameAndUsesNothing() {
        let bench = LoginBench()
        bench.grant(.bypass, uses: 2)
        let client = LoginBench.client()
        let first = bench.ask(bench.request(LoginBench.password, client: client, packet: 500))
        // As at another node, which has not seen the answer.
        let again = bench.ask(bench.request(LoginBench.password, client: client, packet: 500))
        #expect(first?.isAccept == true && again?.isAccept == true && first?.login == again?.login && used(bench) == 1)
        bench.advance(by: .seconds(11))
        #expect(bench.ask(bench.request(LoginBench.password, client: client, packet: 500))?.login != first?.login)
        #expect(used(bench) == 2)
    }

    @Test func withoutAGrantNothingOfItStandsInTheTrail() {
        let bench = LoginBench()
        #expect(login(bench, "111111", at: LoginBench.client())?.isAccept == true)
        #expect(login(bench, "999999", at: LoginBench.client())?.isReject == true)
        #expect(bench.records.events.allSatisfy { $0["grant"] == nil && $0["grants-closed"] == nil && $0.subject["grant-reason"] == nil })
    }
}
