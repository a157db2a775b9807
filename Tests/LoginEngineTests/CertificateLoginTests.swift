// SPDX-License-Identifier: Apache-2.0
// Certificates as the first factor: whose they are, where they count, and what comes behind them.

import Synchronization
import TestSupport
import Testing

@testable import LoginEngine

@Suite struct CertificateLoginTests {
    private let station = "198.51.100.7"

    private func certificate(
        _ mails: [String] = ["alice@corp.example"], print: UInt8 = 1, expires: Timestamp? = nil, others: [CertificateName: [String]] = [:],
        shownBefore: Timestamp? = nil
    ) -> CertificateProof {
        CertificateProof(
            fingerprint: [UInt8](repeating: print, count: 32), subject: "CN=phone", issuer: "CN=authority",
            names: others.merging([.mail: mails]) { $1 }, expires: expires ?? Timestamp(seconds: 9_000_000_000), shownBefore: shownBefore)
    }

    private func bench(_ registered: [UInt8: RegisteredCertificate] = [:], names: [CertificateName]? = nil, hasPhone: Bool = false)
        -> LoginBench
    {
        var rules = LoginRules()
        if let names { rules.certificates.names = names }
        rules.certificates.registered = { certificate throws(NoAnswer) in registered[certificate.fingerprint[0]] }
        let bench = LoginBench(hasPhone: hasPhone, rules: rules)
        bench.records.change { tables in
            let alice = tables.users["alice"]
            tables.users["alice@corp.example"] = alice
            tables.users["bob"] = User(id: 2, name: "bob", status: .active, passwordHash: nil)
            tables.users["bob@corp.example"] = tables.users["bob"]
        }
        return bench
    }

    private func client(_ requirement: Requirement = .certificate, _ change: (inout ClientSettings) -> Void = { _ in }) -> Client {
        LoginBench.client { settings in
            settings.requirement = requirement
            change(&settings)
        }
    }

    private func request(
        _ bench: LoginBench, _ certificate: CertificateProof, name: String = "alice", client: Client, packet: UInt64? = nil
    ) -> LoginRequest {
        var request = bench.request("", name: name, client: client, station: station, packet: packet)
        request.proof = .certificate(certificate)
        request.method = "EAP-TLS"
        request.carriesQuestions = false
        return request
    }

    private func steps(_ bench: LoginBench) -> String { bench.records.events.last?["steps"] ?? "" }

    // MARK: Whose it is

    @Test func certificateOfTheUserIsEnoughWhereItIsAllThatIsAsked() {
        let bench = bench()
        #expect(bench.ask(request(bench, certificate(), client: client()))?.isAccept == true)
        let event = bench.records.events.first { $0.kind == .loginAccepted }
        #expect(event?["bound-by"] == "email" && event?["issuer"] == "CN=authority" && event?["protocol"] == "EAP-TLS")
        // What names a person can be erased.
        #expect(event?.subject["certificate"]?.hasPrefix("CN=phone sha256:01:01") == true)
        #expect(event?.details.contains { $0.value.contains("phone") } == false)
        #expect(bench.passwords.checks.isEmpty)
    }

    @Test(
        arguments: [
            (["bob@corp.example"], "certificate-of-another"), (["nobody@corp.example"], "certificate-of-nobody"),
            ([], "certificate-of-nobody"), (["alice@corp.example", "bob@corp.example"], "certificate-of-several"),
            (["alice"], nil), (["ALICE@corp.example", "alice"], nil), (["alice@corp.example", "nobody@corp.example"], nil),
        ] as [([String], String?)])
    func itIsTheUsersOrNobodys(_ mails: [String], _ problem: String?) {
        let bench = bench()
        let answer = bench.ask(request(bench, certificate(mails), client: client()))
        #expect(answer?.isAccept == (problem == nil))
        guard let problem else { return }
        #expect(bench.rejections == ["certificate-not-of-user"] && steps(bench).contains(problem))
    }

    @Test func namesAreWholeWhateverTheClientStrips() {
        let bench = bench()
        let client = client { $0.nameStripping = .both }
        // The name that is typed loses its realm, the one in the certificate does not.
        #expect(bench.ask(request(bench, certificate(), name: "CORP\\alice@anything", client: client))?.isAccept == true)
        #expect(bench.ask(request(bench, certificate(["alice@partner.example"]), client: client))?.isReject == true)
        #expect(bench.ask(request(bench, certificate(["PARTNER\\alice"]), client: client))?.isReject == true)
        #expect(bench.rejections == ["certificate-not-of-user", "certificate-not-of-user"])
    }

    @Test func onlyNamesThatAreSetCount() {
        let names: [CertificateName: [String]] = [.common: ["alice"], .host: ["alice"], .principal: ["alice"]]
        for kind in CertificateName.allCases where kind != .mail {
            let bench = bench(names: [kind])
            #expect(bench.ask(request(bench, certificate([], others: names), client: client()))?.isAccept == true)
            #expect(bench.ask(request(bench, certificate(["alice"]), client: client()))?.isReject == true)
        }
        let standard = bench()
        #expect(
            standard.ask(request(standard, certificate([], others: [.common: ["alice"], .host: ["alice"]]), client: client()))?.isReject
                == true)
    }

    @Test func soManyNamesAreLookedUpAndNoMore() {
        let bench = bench()
        func names(_ count: Int) -> [String] { (1..<count).map { "x\($0)@corp.example" } + ["alice@corp.example"] }
        #expect(bench.ask(request(bench, certificate(names(CertificateProof.mostNames)), client: client()))?.isAccept == true)
        #expect(bench.ask(request(bench, certificate(names(CertificateProof.mostNames + 1)), client: client()))?.isReject == true)
    }

    @Test func whatIsRegisteredWinsOverNames() {
        let bench = bench([
            1: RegisteredCertificate(user: LoginBench.aliceID, name: "alice"), 2: RegisteredCertificate(user: 2, name: "bob"),
            3: RegisteredCertificate(user: LoginBench.aliceID, name: "alice", isRevoked: true),
        ])
        #expect(bench.ask(request(bench, certificate([], print: 1), client: client()))?.isAccept == true)
        #expect(bench.records.events.last { $0.kind == .loginAccepted }?["bound-by"] == "fingerprint")
        #expect(bench.ask(request(bench, certificate(print: 2), client: client()))?.isReject == true)
        #expect(bench.ask(request(bench, certificate(print: 3), client: client()))?.isReject == true)
        #expect(bench.rejections == ["certificate-not-of-user", "certificate-revoked"])
    }

    @Test func whatIsRegisteredNamesADeviceThatNamesNobody() throws {
        var rules = CertificateRules()
        #expect(try rules.name(of: certificate()) == "alice@corp.example")
        #expect(try rules.name(of: certificate([], others: [.common: ["alice"]])) == nil)
        rules.registered = { _ throws(NoAnswer) in RegisteredCertificate(user: 2, name: "bob") }
        #expect(try rules.name(of: certificate()) == "bob")
    }

    @Test func userIsJudgedAtEveryLogin() {
        let bench = bench()
        let before = certificate(shownBefore: bench.clock.now.wall)
        #expect(bench.ask(request(bench, before, client: client()))?.isAccept == true)
        #expect(steps(bench).contains("session-resumed"))
        #expect(bench.ask(request(bench, certificate(expires: bench.clock.now.wall), client: client()))?.isReject == true)
        bench.records.change { $0.users["alice"]?.status = .disabled }
        #expect(bench.ask(request(bench, before, client: client()))?.isReject == true)
        #expect(bench.ask(request(bench, before, name: "carol", client: client()))?.isReject == true)
        #expect(bench.rejections == ["certificate-refused", "user-disabled", "unknown-user"])
    }

    @Test func recordsThatCannotBeReadLetNobodyIn() {
        let broken = LoginBench(
            rules: {
                var rules = LoginRules()
                rules.certificates.registered = { _ throws(NoAnswer) in throw .databaseUnavailable }
                return rules
            }())
        #expect(broken.ask(request(broken, certificate(), client: client())) == LoginAnswer.none(.databaseUnavailable))
        for call in 1...2 {
            let bench = bench()
            bench.records.change { $0.failsAt = $0.calls + call }
            #expect(bench.ask(request(bench, certificate(), client: client())) == LoginAnswer.none(.databaseUnavailable))
            #expect(bench.accepts == 0)
        }
    }

    // MARK: Where it counts

    @Test(arguments: [Requirement.password, .factor, .passwordAndFactor, .deny])
    func itCountsWhereAPolicySaysSo(_ requirement: Requirement) {
        let bench = bench(hasPhone: true)
        let client = client(requirement) { $0.automaticPush = true }
        #expect(bench.ask(request(bench, certificate(), client: client))?.isReject == true)
        #expect(bench.rejections == [requirement == .deny ? "denied-by-policy" : "certificate-not-asked-for"])
        #expect(bench.phone.startCount == 0)
        let rule = PolicyRule(name: "devices", requirement: .certificate)
        bench.logins.rulebook = Rulebook(policies: PolicyTable([Policy(id: 1, revision: 1, rule: rule)]))
        #expect(bench.ask(request(bench, certificate(), client: client))?.isAccept == true)
        #expect(bench.records.events.last { $0.kind == .loginAccepted }?["requirement"] == "certificate")
    }

    @Test(arguments: [Requirement.certificate, .certificateAndFactor])
    func whatIsTypedIsNoCertificate(_ requirement: Requirement) {
        for asking in Asking.allCases {
            let bench = bench(hasPhone: true)
            let client = client(requirement) {
                $0.asking = asking
                $0.automaticPush = true
            }
            for field in [LoginBench.password, LoginBench.password + ",111111", LoginBench.password + ",push"] {
                #expect(bench.ask(bench.request(field, client: client))?.isReject == true)
            }
            #expect(bench.ask(bench.request("wrong", client: client))?.isReject == true)
            #expect(bench.phone.startCount == 0 && bench.accepts == 0)
            #expect(bench.rejections.last == "wrong-password" || bench.rejections.last == "code-missing")
            #expect(bench.rejections.contains("certificate-missing"))
        }
    }

    @Test func whatIsTypedIsReadAsTheClientReadsIt() {
        let bench = bench()
        let client = client(.factor)
        let rule = PolicyRule(name: "devices", requirement: .certificate)
        bench.logins.rulebook = Rulebook(policies: PolicyTable([Policy(id: 1, revision: 1, rule: rule)]))
        #expect(bench.ask(bench.request("111111", client: client))?.message == bench.ask(bench.request("000000", client: client))?.message)
        #expect(bench.rejections == ["certificate-missing", "wrong-code"])
        // A strange name is passed on to no other server either.
        let passing = self.client { $0.passThrough = [PassThroughRule(.any, directory: 1)] }
        #expect(bench.ask(bench.request("anything", name: "stranger", client: passing))?.isReject == true)
        #expect(bench.rejections.last == "unknown-user")
    }

    @Test func certificateThatTheDoorRefusedHasAReasonOfItsOwn() {
        let bench = bench()
        var refused = request(bench, certificate(), client: client())
        refused.proof = .refusedCertificate("certificate has expired")
        #expect(bench.ask(refused)?.isReject == true)
        #expect(bench.rejections == ["certificate-refused"] && steps(bench).contains("certificate has expired"))
    }

    // MARK: A factor behind it

    private func pushing(_ change: (inout ClientSettings) -> Void = { _ in }) -> Client {
        client(.certificateAndFactor) {
            $0.automaticPush = true
            change(&$0)
        }
    }

    @Test func factorThatComesByItselfIsHeld() {
        let bench = bench(hasPhone: true)
        let waiter = bench.send(request(bench, certificate(), client: pushing()))
        #expect(bench.answer(to: waiter) == nil && bench.phone.startCount == 1)
        bench.phone.answer(.approved)
        #expect(bench.answer(to: waiter)?.isAccept == true)
        let event = bench.records.events.last { $0.kind == .loginAccepted }
        #expect(event?["factor"] == "push" && event?["bound-by"] == "email")
        let denied = bench.send(request(bench, certificate(), client: pushing()))
        bench.phone.answer(.denied(notMe: false))
        #expect(bench.answer(to: denied)?.isReject == true)
        #expect(bench.rejections == ["factor-denied"])
    }

    @Test func factorThatWouldHaveToBeAskedForIsNone() {
        for (hasPhone, pushes) in [(false, true), (true, false)] {
            let bench = bench(hasPhone: hasPhone)
            let client = pushing { $0.automaticPush = pushes }
            #expect(bench.ask(request(bench, certificate(), client: client))?.isReject == true)
            #expect(bench.rejections == ["cannot-ask"] && bench.phone.startCount == 0)
        }
        let bench = bench()
        bench.records.change { $0.factors = [:] }
        #expect(bench.ask(request(bench, certificate(), client: pushing()))?.isReject == true)
        #expect(bench.rejections == ["no-factor-enrolled"])
    }

    @Test func retriesOfOneDeviceAreOnePushAndNoOtherCertificateJoins() {
        let bench = bench([9: RegisteredCertificate(user: LoginBench.aliceID, name: "alice", isRevoked: true)], hasPhone: true)
        let first = bench.send(request(bench, certificate(), client: pushing()))
        // Another handshake with the same certificate.
        let again = bench.send(request(bench, certificate(), client: pushing()))
        #expect(bench.phone.startCount == 1)
        #expect(bench.ask(request(bench, certificate(print: 2), client: pushing()))?.isReject == true)
        #expect(bench.ask(request(bench, certificate(["bob@corp.example"]), client: pushing()))?.isReject == true)
        #expect(bench.ask(request(bench, certificate(print: 9), client: pushing()))?.isReject == true)
        #expect(bench.rejections == ["another-login-is-waiting", "certificate-not-of-user", "certificate-revoked"])
        bench.phone.answer(.approved)
        #expect(bench.answer(to: first)?.isAccept == true && bench.answer(to: again)?.isAccept == true)
        #expect(bench.accepts == 1)
    }

    @Test func approvalThatComesLateIsForTheSameCertificateAlone() {
        let bench = bench(hasPhone: true)
        let waiter = bench.send(request(bench, certificate(), client: pushing()))
        bench.advance(by: pushing().settings.holdTime)
        #expect(bench.answer(to: waiter)?.isReject == true)
        bench.phone.answer(.approved)
        let other = bench.send(request(bench, certificate(print: 2), client: pushing()))
        #expect(bench.answer(to: other)?.isAccept != true)
        #expect(bench.ask(request(bench, certificate(), client: pushing()))?.isAccept == true)
        #expect(bench.accepts == 1)
    }

    /// What the door and the records say of a certificate, changed while a telephone rings.
    private final class World: Sendable {
        let registered = Mutex<RegisteredCertificate?>(nil)
        let problem = Mutex<String?>(nil)
        let fails = Mutex(false)
    }

    @Test(arguments: ["certificate-revoked", "certificate-refused", "certificate-not-of-user", "unread", nil])
    func certificateIsJudgedAgainWhenTheFactorIsApproved(_ expected: String?) {
        let world = World()
        var rules = LoginRules()
        rules.certificates.registered = { _ throws(NoAnswer) in
            if world.fails.withLock({ $0 }) { throw .databaseUnavailable }
            return world.registered.withLock { $0 }
        }
        let own = RegisteredCertificate(user: LoginBench.aliceID, name: "alice")
        world.registered.withLock { $0 = own }
        let bench = LoginBench(hasPhone: true, rules: rules)
        let certificate = CertificateProof(
            fingerprint: [UInt8](repeating: 1, count: 32), subject: "CN=phone", issuer: "CN=authority", names: [:],
            expires: Timestamp(seconds: 9_000_000_000), standing: { world.problem.withLock { $0 } })
        let waiter = bench.send(request(bench, certificate, client: pushing()))
        #expect(bench.answer(to: waiter) == nil && bench.phone.startCount == 1)
        switch expected {
        case "certificate-revoked": world.registered.withLock { $0?.isRevoked = true }
        case "certificate-refused": world.problem.withLock { $0 = "revoked by a newer list" }
        case "certificate-not-of-user": world.registered.withLock { $0 = nil }
        case "unread": world.fails.withLock { $0 = true }
        default: break
        }
        bench.phone.answer(.approved)
        guard let expected else {
            #expect(bench.answer(to: waiter)?.isAccept == true)
            return
        }
        #expect(bench.accepts == 0)
        if expected == "unread" {
            #expect(bench.answer(to: waiter) == LoginAnswer.none(.databaseUnavailable))
        } else {
            #expect(bench.answer(to: waiter)?.isReject == true && bench.rejections == [expected])
            if expected == "certificate-refused" { #expect(steps(bench).contains("revoked by a newer list")) }
        }
    }
}
