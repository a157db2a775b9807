// SPDX-License-Identifier: Apache-2.0
// Factor-only, challenge and append clients on a running engine.

import LoginEngine
import TestSupport
import Testing

@Suite struct CodeLoginTests {
    // MARK: Factor only

    @Test func aRightCodeIsAcceptedOnce() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.requirement = .factor }
        #expect(bench.ask(bench.request("111111", client: client))?.isAccept == true)
        #expect(bench.ask(bench.request("111111", client: client))?.isReject == true)
        #expect(bench.rejections == ["code-already-used"])
        #expect(bench.accepts == 1)
    }

    @Test func wrongReusedUnknownAndLockedAreRejectedAlike() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.requirement = .factor }
        _ = bench.ask(bench.request("111111", client: client))
        var answers = [
            bench.ask(bench.request("999999", client: client)), bench.ask(bench.request("111111", client: client)),
            bench.ask(bench.request("123123", name: "mallory", client: client)),
        ]
        for code in 900_000..<900_010 { answers.append(bench.ask(bench.request("\(code)", client: client))) }
        #expect(Set(answers.compactMap { $0?.message }) == [Prompt.rejected])
        #expect(bench.rejections.contains("wrong-code"))
        #expect(bench.rejections.contains("code-already-used"))
        #expect(bench.rejections.contains("unknown-user"))
        #expect(bench.rejections.contains("factor-locked"))
    }

    @Test func anEmptyFieldIsAskedInTheSameWordsForEveryName() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.requirement = .factor }
        let known = bench.ask(bench.request("", client: client))?.challenge
        let unknown = bench.ask(bench.request("", name: "mallory", client: client))?.challenge
        #expect(known != nil)
        #expect(known?.prompt == unknown?.prompt)
        #expect(known?.lifetime == unknown?.lifetime)
        let accepted = bench.ask(bench.request("111111", client: client, handle: known?.handle))
        #expect(accepted?.isAccept == true)
        let refused = bench.ask(bench.request("222222", name: "mallory", client: client, handle: unknown?.handle))
        #expect(refused?.isReject == true)
    }

    @Test func keywordsAreOffWhereTheCodeIsTheOnlyProof() {
        let bench = LoginBench(hasPhone: true)
        let client = LoginBench.client { $0.requirement = .factor }
        #expect(bench.ask(bench.request("push", client: client))?.isReject == true)
        #expect(bench.rejections == ["keyword-not-allowed"])
        #expect(bench.phone.startCount == 0)
    }

    @Test func helpfulMessagesTellNobodyWhoExists() {
        let bench = LoginBench()
        bench.records.change { tables in
            tables.users["carol"] = User(id: 3, name: "carol", status: .disabled, passwordHash: nil)
        }
        let client = LoginBench.client { settings in
            settings.requirement = .factor
            settings.helpfulMessages = true
        }
        let messages = ["alice", "carol", "mallory"].flatMap { name in
            ["900000", "1", "push"].map { bench.ask(bench.request($0, name: name, client: client))?.message }
        }
        #expect(Set(messages) == [Prompt.wrongNameOrCode])
    }

    @Test func inventedNamesWriteNoRowsWithoutEnd() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.requirement = .factor }
        let challenges = (0..<2_000).compactMap { bench.ask(bench.request("", name: "stranger\($0)", client: client))?.challenge }
        #expect(challenges.count == 2_000, "everybody is asked alike")
        #expect(bench.records.change { $0.handles.count } <= 20)
        #expect(bench.records.events.count <= 20)
        bench.advance(by: .seconds(61))
        let counted = bench.records.events.filter { $0.kind == .loginsRejected }.compactMap { $0["count"].flatMap { Int($0) } }.reduce(0, +)
        #expect(counted + bench.records.change { $0.handles.count } == 2_000)
    }

    // MARK: Challenge

    @Test func passwordThenCodeIsAccepted() {
        let bench = LoginBench()
        let client = LoginBench.client()
        let challenge = bench.ask(bench.request(LoginBench.password, client: client))?.challenge
        let login = bench.records.events.last?.login
        let answer = bench.ask(bench.request("111111", client: client, handle: challenge?.handle))
        #expect(answer?.isAccept == true)
        #expect(answer?.login == login, "one login keeps its id over both packets")
    }

    @Test func nothingIsAskedAfterAWrongPassword() {
        let bench = LoginBench(hasPhone: true)
        let client = LoginBench.client { $0.automaticPush = true }
        #expect(bench.ask(bench.request("wrong", client: client))?.isReject == true)
        #expect(bench.phone.startCount == 0)
    }

    @Test func aUserWithoutAFactorIsDenied() {
        let bench = LoginBench()
        bench.records.change { $0.factors = [:] }
        #expect(bench.ask(bench.request(LoginBench.password, client: LoginBench.client()))?.isReject == true)
        #expect(bench.rejections == ["no-factor-enrolled"])
    }

    @Test func thePasswordAloneIsEnoughWhereTheClientSaysSo() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.requirement = .password }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isAccept == true)
        #expect(bench.ask(bench.request("wrong", client: client))?.isReject == true)
    }

    @Test func theReasonIsShownOnlyWhereTheClientIsSetTo() {
        let bench = LoginBench()
        let silent = bench.ask(bench.request("wrong", client: LoginBench.client()))
        #expect(silent?.message == Prompt.rejected)
        let helpful = LoginBench.client { $0.helpfulMessages = true }
        #expect(bench.ask(bench.request("wrong too", client: helpful))?.message == RejectReason.wrongPassword.userSentence)
        #expect(RejectReason.unknownUser.userSentence == RejectReason.wrongPassword.userSentence)
    }

    // MARK: Append

    private let append = LoginBench.client { $0.asking = .append }

    @Test func passwordAndCodeInOneFieldAreAccepted() {
        let bench = LoginBench()
        #expect(bench.ask(bench.request("\(LoginBench.password),111111", client: append))?.isAccept == true)
        #expect(bench.passwords.checks == ["alice"])
    }

    @Test func anAttemptMakesExactlyOneBind() {
        for field in ["a,b,c,111111", "x,222222,111111", "no separator", "\(LoginBench.password),999999"] {
            let bench = LoginBench()
            _ = bench.ask(bench.request(field, client: append))
            #expect(bench.passwords.checks.count == 1, "\(field)")
        }
    }

    @Test func aCodeIsConsumedOnlyAfterItsPrefixWasTheRightPassword() {
        let bench = LoginBench()
        #expect(bench.ask(bench.request("wrong,111111", client: append))?.isReject == true)
        #expect(bench.records.change { $0.marks.isEmpty })
        #expect(bench.rejections == ["wrong-password"])
        #expect(bench.ask(bench.request("\(LoginBench.password),111111", client: append))?.isAccept == true)
    }

    @Test func aWrongCodeIsCountedOnlyAfterTheRightPassword() {
        let bench = LoginBench()
        _ = bench.ask(bench.request("wrong,999999", client: append))
        #expect(bench.records.change { $0.failures[1]?.contains { $0.kind == .code } } == false)
        _ = bench.ask(bench.request("\(LoginBench.password),999999", client: append))
        #expect(bench.records.change { $0.failures[1]?.first { $0.kind == .code }?.count } == 1)
    }

    @Test func theSplitWhoseCodeVerifiesIsChosenEvenWhenThePasswordHoldsTheSeparator() {
        let bench = LoginBench()
        bench.records.change { $0.users["bob"] = User(id: 2, name: "bob", status: .active, passwordHash: nil) }
        let client = LoginBench.client { settings in
            settings.asking = .append
            settings.separator = " "
        }
        #expect(bench.ask(bench.request("\(LoginBench.password) 111111", client: client))?.isAccept == true)
    }

    @Test func aFixedTailIsReadOnlyWhereItIsEnabled() {
        let bench = LoginBench()
        #expect(bench.ask(bench.request("\(LoginBench.password)111111", client: append))?.isReject == true)
        let tail = LoginBench.client { settings in
            settings.asking = .append
            settings.fixedLengthTail = true
        }
        #expect(bench.ask(bench.request("\(LoginBench.password)222222", client: tail))?.isAccept == true)
    }

    @Test func anAppendClientIsNeverChallenged() {
        let bench = LoginBench()
        #expect(bench.ask(bench.request(LoginBench.password, client: append))?.isReject == true)
        #expect(bench.rejections == ["code-missing"])
    }

    @Test func whoOnlyKnowsANameIsAskedSoOftenAMinute() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.requirement = .factor }
        for name in ["alice", "nobody"] {
            let first = (0..<25).map { _ in bench.ask(bench.request("", name: name, client: client, station: "a"))?.challenge != nil }
            #expect(first == Array(repeating: true, count: 20) + Array(repeating: false, count: 5), "\(name)")
            // Another device is still asked; a gateway that makes devices up is not for ever.
            let more = (0..<100).count { index in
                bench.ask(bench.request("", name: name, client: client, station: "b\(index / 10)"))?.challenge != nil
            }
            #expect(more == 80, "\(name)")
        }
        #expect(bench.rejections.filter { $0 == "too-many-challenges" }.count == 10, "of each, those beyond five are counted")
        #expect(bench.records.events.count { $0.kind == .loginChallenged && $0.user != nil } == 100)
        bench.advance(by: .seconds(60))
        let challenge = bench.ask(bench.request("", client: client, station: "a"))?.challenge
        #expect(bench.ask(bench.request("111111", client: client, handle: challenge?.handle, station: "a"))?.isAccept == true)
    }

    @Test func whatIsAnsweredDoesNotCountAsAskedTooOften() {
        let code = { (number: Int) in String(repeating: "0", count: number < 10 ? 5 : 4) + "\(number)" }
        let codes = Dictionary(uniqueKeysWithValues: (1...30).map { (code($0), Int64($0)) })
        let bench = LoginBench(codes: codes)
        let client = LoginBench.client { $0.requirement = .factor }
        for index in 1...30 {
            let challenge = bench.ask(bench.request("", client: client))?.challenge
            #expect(challenge != nil, "\(index)")
            #expect(bench.ask(bench.request(code(index), client: client, handle: challenge?.handle))?.isAccept == true, "\(index)")
        }
    }

    @Test func appendOrChallengeAsksForWhatIsMissing() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.asking = .appendOrChallenge }
        #expect(bench.ask(bench.request("\(LoginBench.password),111111", client: client))?.isAccept == true)
        let challenge = bench.ask(bench.request(LoginBench.password, client: client))?.challenge
        #expect(bench.ask(bench.request("222222", client: client, handle: challenge?.handle))?.isAccept == true)
    }

    @Test func aDirectoryIsNotAskedBeforeTheTailIsACode() {
        let bench = LoginBench(countsElsewhere: true)
        #expect(bench.ask(bench.request("guess,999999", client: append))?.isReject == true)
        #expect(bench.ask(bench.request("guess", client: append))?.isReject == true)
        #expect(bench.passwords.checks.isEmpty)
        #expect(bench.records.change { $0.failures[1]?.first { $0.kind == .passwordFromSource }?.count } == 2)
        #expect(bench.ask(bench.request("\(LoginBench.password),111111", client: append))?.isAccept == true)
        let turned = LoginBench.client { settings in
            settings.asking = .append
            settings.bindBeforeCode = true
        }
        _ = bench.ask(bench.request("guess,999998", client: turned))
        #expect(bench.passwords.checks.count == 2)
    }

    @Test func aKeywordThatTheUserCannotUseIsNoWrongPassword() {
        let bench = LoginBench()
        #expect(bench.ask(bench.request("\(LoginBench.password),push", client: append))?.isReject == true)
        #expect(bench.rejections == ["keyword-not-allowed"])
        #expect(bench.records.change { $0.failures.isEmpty })
    }

    @Test func aPhoneIsAskedByTheKeywordBehindThePassword() {
        let bench = LoginBench(hasPhone: true)
        let waiter = bench.send(bench.request("\(LoginBench.password),push", client: append, station: "198.51.100.7"))
        #expect(bench.answer(to: waiter) == nil)
        bench.phone.answer(.approved)
        #expect(bench.answer(to: waiter)?.isAccept == true)
    }
}
