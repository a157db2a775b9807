// SPDX-License-Identifier: Apache-2.0
// CHAP and MS-CHAP: the code as the password, what is kept as the password, and the accept that is held.

import LoginEngine
import Synchronization
import TestSupport
import Testing

@Suite struct HashedProofTests {
    /// What a device typed, seen only through a test; `challenge` makes two proofs of one password differ.
    private func proof(_ typed: String, challenge: UInt8 = 1, _ scheme: ProofScheme = .msCHAPv2) -> HashedProof {
        HashedProof(scheme, identity: [challenge] + Array(typed.utf8.map { $0 ^ challenge })) { $0 == .text(Secret(utf8: typed)) }
    }

    private func client(_ requirement: Requirement, _ change: (inout ClientSettings) -> Void = { _ in }) -> Client {
        LoginBench.client { settings in
            settings.requirement = requirement
            settings.schemes = .all
            change(&settings)
        }
    }

    private func request(
        _ bench: LoginBench, _ proof: HashedProof, name: String = "alice", client: Client, handle: String? = nil, station: String? = nil,
        packet: UInt64? = nil
    ) -> LoginRequest {
        var request = bench.request("", name: name, client: client, handle: handle, station: station, packet: packet)
        request.proof = .hashed(proof)
        return request
    }

    private func proven(_ answer: LoginAnswer?) -> ProvenPassword? {
        if case .accept(_, let proven, _) = answer { proven } else { nil }
    }

    // MARK: The code is the password

    @Test(arguments: [ProofScheme.chap, .msCHAP, .msCHAPv2]) func theCodeIsThePasswordWhereTheCodeIsAllThatIsAsked(_ scheme: ProofScheme) {
        let bench = LoginBench()
        let client = client(.factor)
        let answer = bench.ask(request(bench, proof("222222", scheme), client: client))
        #expect(proven(answer) == ProvenPassword(.text(Secret(utf8: "222222")), isCode: true))
        #expect(bench.passwords.checks.isEmpty)
        let event = bench.records.events.first { $0.kind == .loginAccepted }
        #expect(event?["protocol"] == scheme.title)
        #expect(event?["factor"] == "totp")
    }

    @Test func aCodeIsUsedOnceWhateverProvesIt() {
        let bench = LoginBench()
        let client = client(.factor)
        #expect(bench.ask(request(bench, proof("222222"), client: client))?.isAccept == true)
        // Another challenge, another protocol, the code in plain: all are the same code.
        #expect(bench.ask(request(bench, proof("222222", challenge: 9), client: client))?.isReject == true)
        #expect(bench.ask(request(bench, proof("222222", .chap), client: client))?.isReject == true)
        #expect(bench.ask(bench.request("222222", client: client))?.isReject == true)
        #expect(bench.rejections == ["code-already-used", "code-already-used", "code-already-used"])
    }

    @Test func aCodeThatWasTypedInPlainIsUsedUpToo() {
        let bench = LoginBench()
        let client = client(.factor)
        #expect(bench.ask(bench.request("222222", client: client))?.isAccept == true)
        #expect(bench.ask(request(bench, proof("222222"), client: client))?.isReject == true)
    }

    @Test func theSameRequestAgainHearsTheSameDecisionWithItsProof() {
        let bench = LoginBench()
        let client = client(.factor)
        let first = bench.ask(request(bench, proof("222222"), client: client, packet: 77))
        bench.advance(by: .seconds(3))
        let again = bench.ask(request(bench, proof("222222"), client: client, packet: 77))
        #expect(first == again)
        #expect(proven(again) != nil)
        #expect(bench.accepts == 1)
    }

    @Test func wrongCodesAreCountedAndLock() {
        let bench = LoginBench()
        let client = client(.factor)
        for number in 0..<5 { #expect(bench.ask(request(bench, proof("00000\(number)"), client: client))?.isReject == true) }
        #expect(bench.rejections == [String](repeating: "wrong-code", count: 5))
        #expect(bench.ask(request(bench, proof("111111"), client: client))?.isReject == true)
        #expect(bench.rejections.last == "factor-locked")
    }

    @Test func unknownNamesAndWrongCodesAreAnsweredAlike() {
        let bench = LoginBench()
        let client = client(.factor)
        let known = bench.ask(request(bench, proof("000000"), client: client))
        let unknown = bench.ask(request(bench, proof("000000"), name: "nobody", client: client))
        #expect(known?.message == unknown?.message)
        #expect(known?.isReject == true && unknown?.isReject == true)
        #expect(bench.rejections == ["wrong-code", "unknown-user"])
    }

    @Test func whatIsTriedIsBounded() {
        let codes = Dictionary(uniqueKeysWithValues: (0..<100).map { ("\(100_000 + $0)", Int64($0)) })
        let bench = LoginBench(codes: codes)
        let client = client(.factor)
        #expect(bench.ask(request(bench, proof("\(100_000 + Logins.mostCandidates)"), client: client))?.isReject == true)
        #expect(bench.ask(request(bench, proof("\(100_000 + Logins.mostCandidates - 1)"), client: client))?.isAccept == true)
    }

    // MARK: What is kept is the password

    @Test func aKeptPasswordThenACode() {
        let bench = LoginBench()
        let client = client(.passwordAndFactor)
        let asked = bench.ask(request(bench, proof(LoginBench.password), client: client))
        let handle = asked?.challenge?.handle
        #expect(handle != nil)
        // The code comes by the same protocol, or in plain.
        let answer = bench.ask(request(bench, proof("222222"), client: client, handle: handle))
        #expect(proven(answer)?.isCode == true)
        let plain = bench.ask(request(bench, proof(LoginBench.password, challenge: 2), client: client))?.challenge?.handle
        #expect(proven(bench.ask(bench.request("333333", client: client, handle: plain))) == nil)
        #expect(bench.accepts == 2)
    }

    @Test func aKeptPasswordAlone() {
        let bench = LoginBench()
        let client = client(.password)
        let answer = bench.ask(request(bench, proof(LoginBench.password), client: client))
        #expect(proven(answer) == ProvenPassword(.text(Secret(utf8: LoginBench.password)), isCode: false))
        #expect(bench.ask(request(bench, proof("wrong"), client: client))?.isReject == true)
        #expect(bench.ask(request(bench, proof("wrong"), name: "nobody", client: client))?.isReject == true)
        #expect(bench.rejections == ["wrong-password", "unknown-user"])
    }

    @Test func aCodeIsNoPassword() {
        let bench = LoginBench()
        #expect(bench.ask(request(bench, proof("222222"), client: client(.password)))?.isReject == true)
        #expect(bench.ask(request(bench, proof("222222"), client: client(.passwordAndFactor)))?.isReject == true)
        #expect(bench.ask(request(bench, proof(LoginBench.password), client: client(.factor)))?.isReject == true)
        #expect(bench.accepts == 0)
    }

    @Test func whatIsNotKeptIsNoGuess() {
        let bench = LoginBench()
        bench.records.change { $0.users["bob"] = User(id: 2, name: "bob", status: .active, passwordHash: Secret(utf8: "x")) }
        for number in 0..<12 {
            #expect(bench.ask(request(bench, proof("x\(number)"), name: "bob", client: client(.password)))?.message == Prompt.rejected)
        }
        #expect(bench.rejections.allSatisfy { $0 == "password-not-kept-for-protocol" })
    }

    @Test func aDisabledUserHearsItByTheProtocolsOwnWordWhereReasonsAreShown() {
        let bench = LoginBench()
        bench.records.change { $0.users["alice"]?.status = .disabled }
        func refusal(_ client: Client) -> ProofRefusal? {
            if case .reject(_, _, let refusal) = bench.ask(request(bench, proof(LoginBench.password), client: client)) {
                refusal
            } else {
                nil
            }
        }
        #expect(refusal(client(.password)) == .uniform)
        #expect(refusal(client(.password) { $0.helpfulMessages = true }) == .accountDisabled)
        #expect(refusal(client(.factor) { $0.helpfulMessages = true }) == .uniform)
    }

    // MARK: A new password

    /// A bench where alice's password opens nothing until it is changed; `checks` collects what was to be set.
    private func expiredBench(
        hasPhone: Bool = false, _ verdict: NewPasswordVerdict = .ready(hash: Secret(utf8: "new hash"), nil)
    ) -> (bench: LoginBench, checks: Noted) {
        let bench = LoginBench(hasPhone: hasPhone)
        let checks = Noted()
        bench.records.change { $0.users["alice"]?.mustChangePassword = true }
        bench.logins.checkNewPassword = { new, completion in
            checks.add(new)
            completion(verdict)
        }
        return (bench, checks)
    }

    private func isChanged(_ bench: LoginBench) -> Bool {
        let events = bench.records.events.filter { $0.kind == .userChanged }
        let user = bench.records.change { $0.users["alice"] }
        #expect((user?.passwordHash == Secret(utf8: "new hash")) == !events.isEmpty && events.count < 2)
        #expect(user?.mustChangePassword == events.isEmpty)
        return !events.isEmpty
    }

    private func change(to new: String, old: String = LoginBench.password) -> HashedProof {
        let isOld: @Sendable (PasswordCandidate) -> Bool = { $0 == .text(Secret(utf8: old)) }
        return HashedProof(.msCHAPv2, identity: Array(new.utf8), change: { isOld($0) ? Secret(utf8: new) : nil }, test: isOld)
    }

    private func refusal(_ answer: LoginAnswer?) -> ProofRefusal? {
        if case .reject(_, _, let refusal) = answer { refusal } else { nil }
    }

    @Test func aPasswordThatMustBeChangedIsToldToWhoKnowsItAlone() {
        let (bench, _) = expiredBench()
        let client = client(.password)
        #expect(refusal(bench.ask(request(bench, proof(LoginBench.password), client: client))) == .passwordExpired)
        #expect(refusal(bench.ask(request(bench, proof("wrong"), client: client))) == .uniform)
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.message == Prompt.rejected)
        #expect(bench.rejections == ["password-must-be-changed", "wrong-password", "password-must-be-changed"])
        // Where the code is all that is asked, nobody's password matters.
        #expect(bench.ask(request(bench, proof("111111"), client: self.client(.factor)))?.isAccept == true)
    }

    @Test func theNewPasswordIsSetWithTheAccept() {
        let (bench, checks) = expiredBench()
        bench.records.change { $0.holdsBack = true }
        let waiter = bench.send(request(bench, change(to: "a new password"), client: client(.password)))
        #expect(bench.answer(to: waiter) == nil)
        for go in bench.records.change({ $0.heldBack }) { go() }
        #expect(proven(bench.answer(to: waiter)) == ProvenPassword(.text(Secret(utf8: "a new password")), isCode: false))
        #expect(checks.all == [Secret(utf8: "a new password")])
        #expect(isChanged(bench))
        #expect(bench.records.events.last { $0.kind == .loginAccepted }?["steps"]?.contains("password-changed") == true)
        // The trail tells who it was by the subject alone, which can be erased.
        let event = bench.records.events.first { $0.kind == .userChanged }
        #expect(event?.actor["actor"] == "user@gw1" && event?.subject["name"] == "alice" && event?.user == LoginBench.aliceID)
    }

    @Test func aPasswordAloneChangesNothingWhereAFactorIsOwed() {
        let (bench, checks) = expiredBench()
        let client = client(.passwordAndFactor)
        let first = bench.ask(request(bench, change(to: "a new password"), client: client))?.challenge?.handle
        #expect(first != nil && checks.all.count == 1 && !isChanged(bench))
        #expect(bench.ask(bench.request("000000", client: client, handle: first))?.isReject == true)
        #expect(!isChanged(bench))
        // What was refused is over: the handle opens nothing, and sets nothing.
        #expect(bench.ask(bench.request("222222", client: client, handle: first))?.isReject == true)
        #expect(!isChanged(bench))
        let next = bench.ask(request(bench, change(to: "another password"), client: client))?.challenge?.handle
        #expect(bench.ask(bench.request("333333", client: client, handle: next))?.isAccept == true)
        #expect(isChanged(bench))
        #expect(bench.records.events.last { $0.kind == .loginAccepted }?["steps"]?.contains("password-changed") == true)
    }

    @Test func aPhoneThatSaysNoChangesNothing() {
        let client = client(.passwordAndFactor) { $0.automaticPush = true }
        for answer in [FactorAnswer.denied(notMe: true), .failed("no way"), .approved] {
            let (bench, _) = expiredBench(hasPhone: true)
            let waiter = bench.send(request(bench, change(to: "a new password"), client: client))
            #expect(bench.answer(to: waiter) == nil && !isChanged(bench))
            bench.phone.answer(answer)
            #expect(isChanged(bench) == (answer == .approved))
            guard answer == .approved else { continue }
            #expect(proven(bench.answer(to: waiter))?.candidate == .text(Secret(utf8: "a new password")))
        }
    }

    /// `confirm` keeps a row and the open login: whichever takes the next packet, the new password goes with its accept.
    @Test func theNewPasswordGoesWithTheHandleOfAPhoneThatIsAsked() {
        let (bench, _) = expiredBench(hasPhone: true)
        let client = client(.passwordAndFactor) { settings in
            settings.automaticPush = true
            settings.waitingShape = .confirm
        }
        let handle = bench.ask(request(bench, change(to: "a new password"), client: client))?.challenge?.handle
        #expect(bench.records.change { $0.handles.values.allSatisfy { $0.renewal != nil } } && !isChanged(bench))
        #expect(bench.ask(bench.request("222222", client: client, handle: handle))?.isAccept == true)
        #expect(isChanged(bench))
    }

    @Test(arguments: [Requirement.password, .passwordAndFactor])
    func whatAnAdministratorSetsMeanwhileStays(_ requirement: Requirement) {
        let (bench, _) = expiredBench()
        let client = client(requirement)
        let records = bench.records
        @Sendable func reset() {
            records.change { tables in
                tables.users["alice"]?.passwordHash = Secret(utf8: "the administrator's")
                tables.users["alice"]?.passwordRevision += 1
            }
        }
        bench.logins.checkNewPassword = { _, completion in
            // While it is being hashed.
            if requirement == .password { reset() }
            completion(.ready(hash: Secret(utf8: "new hash"), nil))
        }
        var answer = bench.ask(request(bench, change(to: "a new password"), client: client))
        if requirement == .passwordAndFactor {
            reset()
            answer = bench.ask(bench.request("222222", client: client, handle: answer?.challenge?.handle))
        }
        #expect(refusal(answer) == .changeFailed)
        #expect(bench.rejections == ["changed-meanwhile"])
        #expect(records.change { $0.users["alice"]?.passwordHash } == Secret(utf8: "the administrator's"))
        #expect(records.events.allSatisfy { $0.kind != .userChanged && $0["steps"]?.contains("password-changed") != true })
    }

    /// A handle that was given out for a password which has to be changed since opens nothing.
    @Test func whatHasToBeChangedSinceTheChallengeOpensNothing() {
        let bench = LoginBench()
        let client = client(.passwordAndFactor)
        let handle = bench.ask(request(bench, proof(LoginBench.password), client: client))?.challenge?.handle
        bench.records.change { $0.users["alice"]?.mustChangePassword = true }
        #expect(bench.ask(bench.request("222222", client: client, handle: handle))?.isReject == true)
        #expect(bench.rejections == ["password-must-be-changed"])
    }

    /// RFC 2759 §7: a change is the answer to error 648.
    @Test func aNewPasswordThatNobodyAskedForIsNotTaken() {
        let (bench, checks) = expiredBench()
        bench.records.change { $0.users["alice"]?.mustChangePassword = false }
        for client in [client(.password), client(.passwordAndFactor)] {
            #expect(refusal(bench.ask(request(bench, change(to: "a new password"), client: client))) == .changeFailed)
        }
        #expect(bench.rejections == ["new-password-refused", "new-password-refused"])
        #expect(checks.all.isEmpty && bench.accepts == 0)
    }

    @Test func whoDoesNotKnowTheOldPasswordChangesNothing() {
        let (bench, checks) = expiredBench()
        #expect(refusal(bench.ask(request(bench, change(to: "mine", old: "guess"), client: client(.password)))) == .uniform)
        #expect(bench.rejections == ["wrong-password"])
        bench.records.change { $0.users["alice"]?.status = .disabled }
        #expect(bench.ask(request(bench, change(to: "another"), client: client(.password)))?.isReject == true)
        #expect(bench.rejections.last == "user-disabled")
        for client in [client(.factor), client(.passwordAndFactor) { $0.concealFactor = true }] {
            #expect(bench.ask(request(bench, change(to: "mine"), client: client))?.isReject == true)
        }
        #expect(checks.all.isEmpty && !isChanged(bench))
    }

    @Test func aNewPasswordThatIsRefusedOpensNothing() {
        let (bench, _) = expiredBench(.refused("too short"))
        #expect(refusal(bench.ask(request(bench, change(to: "x"), client: client(.password)))) == .changeFailed)
        #expect(bench.rejections == ["new-password-refused"])
        let (broken, _) = expiredBench(.failed)
        #expect(
            broken.ask(request(broken, change(to: "a new password"), client: client(.password))) == LoginAnswer.none(.databaseUnavailable))
        let bare = LoginBench()
        #expect(refusal(bare.ask(request(bare, change(to: "a new password"), client: client(.password)))) == .changeFailed)
        #expect(bench.accepts + broken.accepts + bare.accepts == 0)
    }

    // MARK: What is refused

    @Test func aProtocolThatIsNotAllowedIsRefused() {
        let bench = LoginBench()
        #expect(bench.ask(request(bench, proof("222222"), client: client(.factor) { $0.schemes = .pap }))?.isReject == true)
        #expect(bench.ask(bench.request("222222", client: client(.factor) { $0.schemes = .one(.chap) }))?.isReject == true)
        #expect(bench.rejections == ["protocol-not-allowed", "protocol-not-allowed"])
        #expect(bench.ask(bench.request("222222", client: client(.factor)))?.isAccept == true)
    }

    @Test func nothingIsCutFromWhatIsNotShown() {
        let bench = LoginBench()
        let append = client(.passwordAndFactor) { $0.asking = .append }
        #expect(bench.ask(request(bench, proof(LoginBench.password + ",222222"), client: append))?.isReject == true)
        #expect(bench.rejections == ["append-needs-pap"])
        #expect(bench.passwords.checks.isEmpty)
    }

    // MARK: The accept is held

    @Test func retriesWithNewChallengesShareOnePushAndEachProofIsProven() {
        let bench = LoginBench(hasPhone: true)
        let client = client(.passwordAndFactor) { $0.automaticPush = true }
        let waiters = (1...5).map { number in
            bench.send(request(bench, proof(LoginBench.password, challenge: UInt8(number)), client: client, station: "198.51.100.7"))
        }
        #expect(bench.phone.startCount == 1)
        #expect(waiters.allSatisfy { bench.answer(to: $0) == nil })
        bench.phone.answer(.approved)
        let answers = waiters.map { bench.answer(to: $0) }
        #expect(answers.allSatisfy { proven($0) == ProvenPassword(.text(Secret(utf8: LoginBench.password)), isCode: false) })
        #expect(Set(answers.map { $0?.login }).count == 1)
        #expect(bench.accepts == 1)
    }

    @Test func anotherPasswordDoesNotRideOnThePush() {
        let bench = LoginBench(hasPhone: true)
        let client = client(.passwordAndFactor) { $0.automaticPush = true }
        let mine = bench.send(request(bench, proof(LoginBench.password), client: client, station: "198.51.100.7"))
        let other = bench.ask(request(bench, proof("guess", challenge: 2), client: client, station: "198.51.100.7"))
        #expect(other?.isReject == true)
        #expect(bench.rejections == ["another-login-is-waiting"])
        bench.phone.answer(.approved)
        #expect(bench.answer(to: mine)?.isAccept == true)
    }

    @Test func aLateApprovalAnswersTheNextTryWithItsProof() {
        let bench = LoginBench(hasPhone: true)
        let client = client(.passwordAndFactor) { $0.automaticPush = true }
        let first = bench.send(request(bench, proof(LoginBench.password), client: client, station: "198.51.100.7"))
        bench.advance(by: client.settings.holdTime)
        #expect(bench.answer(to: first)?.isReject == true)
        bench.phone.answer(.approved)
        let next = bench.ask(request(bench, proof(LoginBench.password, challenge: 7), client: client, station: "198.51.100.7"))
        #expect(proven(next)?.isCode == false)
        #expect(bench.accepts == 1)
    }

    @Test func okIsPressedByAnEmptyPasswordAndACodeWins() {
        for typed in ["", "222222", "000000"] {
            let bench = LoginBench(hasPhone: true)
            let client = client(.passwordAndFactor) { settings in
                settings.automaticPush = true
                settings.waitingShape = .confirm
            }
            let handle = bench.ask(request(bench, proof(LoginBench.password), client: client))?.challenge?.handle
            let waiter = bench.send(request(bench, proof(typed, challenge: 3), client: client, handle: handle))
            if typed.isEmpty { bench.phone.answer(.approved) }
            #expect(bench.answer(to: waiter)?.isAccept == (typed != "000000"), "\(typed)")
            #expect(bench.phone.cancelled.isEmpty == typed.isEmpty, "\(typed)")
        }
    }

    // MARK: By EAP, where nothing can be asked

    private func overEAP(
        _ bench: LoginBench, _ proof: HashedProof, client: Client, station: String? = nil, packet: UInt64? = nil
    ) -> LoginRequest {
        var request = request(bench, proof, client: client, station: station, packet: packet)
        request.method = "EAP-MSCHAPv2"
        request.carriesQuestions = false
        return request
    }

    @Test func aFactorThatComesByItselfIsHeldThoughOthersAreAskedToConfirm() {
        let bench = LoginBench(hasPhone: true)
        let client = client(.passwordAndFactor) { settings in
            // What a client's plain requests may use is another question, and appending does not matter.
            settings.schemes = .pap
            settings.asking = .append
            settings.automaticPush = true
            settings.waitingShape = .confirm
        }
        let waiter = bench.send(overEAP(bench, proof(LoginBench.password), client: client))
        #expect(bench.phone.startCount == 1 && bench.answer(to: waiter) == nil)
        bench.phone.answer(.approved)
        #expect(proven(bench.answer(to: waiter)) == ProvenPassword(.text(Secret(utf8: LoginBench.password)), isCode: false))
        #expect(bench.records.events.first { $0.kind == .loginAccepted }?["protocol"] == "EAP-MSCHAPv2")
    }

    @Test func aFactorThatWouldHaveToBeAskedForIsRefusedBehindTheRightPassword() {
        for asking in Asking.allCases {
            let bench = LoginBench()
            let client = client(.passwordAndFactor) { $0.asking = asking }
            #expect(bench.ask(overEAP(bench, proof(LoginBench.password), client: client))?.isReject == true)
            #expect(bench.ask(overEAP(bench, proof("guess"), client: client))?.isReject == true)
            #expect(bench.rejections == ["cannot-ask", "wrong-password"])
        }
    }

    @Test func aConcealedFactorIsNeverAskedForWhereNothingCanBeAsked() {
        let bench = LoginBench(hasPhone: true)
        let client = client(.passwordAndFactor) { settings in
            settings.concealFactor = true
            settings.automaticPush = true
        }
        #expect(bench.ask(overEAP(bench, proof(LoginBench.password), client: client))?.isReject == true)
        #expect(bench.ask(overEAP(bench, proof("guess"), client: client))?.isReject == true)
        #expect(bench.rejections == ["cannot-ask", "cannot-ask"])
        #expect(bench.passwords.checks.isEmpty && bench.phone.startCount == 0)
    }

    @Test func theCodeIsThePasswordByEAPToo() {
        let bench = LoginBench()
        let client = client(.factor) { $0.schemes = .pap }
        #expect(proven(bench.ask(overEAP(bench, proof("222222"), client: client)))?.isCode == true)
        var typed = bench.request("000000", client: client)
        typed.method = "EAP-GTC"
        #expect(bench.ask(typed)?.isReject == true)
        #expect(bench.rejections == ["wrong-code"])
    }

    @Test func anExchangeThatCameToNothingIsWrittenDown() {
        let bench = LoginBench()
        var request = bench.request("", client: client(.passwordAndFactor))
        request.proof = .failed("unexpected EAP-Nak")
        #expect(bench.ask(request)?.isReject == true)
        #expect(bench.rejections == ["eap-failed"])
        #expect(bench.records.events.last?["steps"]?.hasSuffix("unexpected EAP-Nak") == true)
    }
}

private final class Noted: Sendable {
    private let secrets = Mutex<[Secret]>([])

    func add(_ secret: Secret) { secrets.withLock { $0.append(secret) } }
    var all: [Secret] { secrets.withLock { $0 } }
}
