// SPDX-License-Identifier: Apache-2.0
// Lockout cannot be used by a stranger against a user, and cannot be walked around.

import LoginEngine
import TestSupport
import Testing

@Suite struct LockoutTests {
    let client = LoginBench.client()
    let factorOnly = LoginBench.client { $0.requirement = .factor }

    @Test func tenWrongPasswordsLockOneSourceAndNoOther() {
        let bench = LoginBench()
        for guess in 0..<10 { _ = bench.ask(bench.request("guess \(guess)", client: client)) }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.rejections.last == "password-locked")
        #expect(bench.passwords.checks.count == 10, "a locked source causes no bind")
        #expect(bench.ask(bench.request(LoginBench.password, client: client, source: 0x0A00_0002))?.challenge != nil)
    }

    @Test func fiftyWrongPasswordsFromAnywhereLockTheUser() {
        let bench = LoginBench()
        for guess in 0..<50 { _ = bench.ask(bench.request("guess \(guess)", client: client, source: UInt32(guess / 9))) }
        #expect(bench.ask(bench.request(LoginBench.password, client: client, source: 99))?.isReject == true)
        #expect(bench.rejections.last == "password-locked")
    }

    @Test func guessesThatAreUnderWayAtOnceCountAlready() {
        let bench = LoginBench()
        bench.passwords.holdBack(true)
        for guess in 0..<30 { _ = bench.send(bench.request("guess \(guess)", client: client)) }
        #expect(bench.passwords.checks.count == 10)
        let mine = bench.send(bench.request(LoginBench.password, client: client, source: 0x0A00_0002))
        bench.passwords.holdBack(false)
        #expect(bench.answer(to: mine)?.challenge != nil, "another source is not held up")
    }

    @Test func codesThatWaitBehindTheirPasswordsCannotAllBeGuessedAtOnce() {
        let bench = LoginBench()
        let append = LoginBench.client { $0.asking = .append }
        bench.passwords.holdBack(true)
        for guess in 0..<9 { _ = bench.send(bench.request("\(LoginBench.password),90000\(guess)", client: append, source: UInt32(guess))) }
        let right = bench.send(bench.request("\(LoginBench.password),111111", client: append, source: 77))
        bench.passwords.holdBack(false)
        #expect(bench.answer(to: right)?.isReject == true)
        #expect(bench.rejections.count { $0 == "wrong-code" } == 5)
        #expect(bench.rejections.last == "factor-locked")
    }

    @Test func theDeviceIsTheSourceWhereTheGatewayNamesIt() {
        let bench = LoginBench()
        for guess in 0..<10 { _ = bench.ask(bench.request("guess \(guess)", client: client, station: "203.0.113.9")) }
        _ = bench.ask(bench.request(LoginBench.password, client: client, station: "203.0.113.9"))
        #expect(bench.rejections.last == "password-locked")
        #expect(bench.ask(bench.request(LoginBench.password, client: client, station: "198.51.100.7"))?.challenge != nil)
    }

    @Test func manySourcesDoNotPushOutTheCodeLock() {
        var known = SubjectFailures(records: [])
        let now = TestClock.start.wall
        var code = known.record(.code, at: now)
        for _ in 0..<5 { code = code.counting(at: now, rules: LockoutRules()) }
        var failures = Failures(capacity: 4)
        failures.update(.user(1), stored: [code]) { _ in }
        for number in 0..<500 {
            failures.update(.user(1), stored: []) { known in
                known.count(.passwordFromSource, source: "s\(number)", at: now + .seconds(1), rules: LockoutRules())
            }
        }
        known = failures.known(.user(1), stored: [])
        #expect(known.isLocked(.code, at: now, rules: LockoutRules()))
        #expect(known.records.count <= 64)
    }

    @Test func strangersDoNotPushOutUsers() {
        let bench = LoginBench()
        for guess in 0..<5 { _ = bench.ask(bench.request("90000\(guess)", client: factorOnly)) }
        bench.records.change { $0.failures = [:] }
        for number in 0..<5_000 { _ = bench.ask(bench.request("123123", name: "stranger\(number)", client: factorOnly)) }
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isReject == true)
    }

    @Test func theLockEndsByItselfAndDoubles() {
        let bench = LoginBench()
        for guess in 0..<10 { _ = bench.ask(bench.request("guess \(guess)", client: client)) }
        bench.advance(by: .seconds(61))
        for guess in 0..<10 { _ = bench.ask(bench.request("guess again \(guess)", client: client)) }
        #expect(bench.rejections.last == "wrong-password", "after a served lock there are ten tries again")
        bench.advance(by: .seconds(61))
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.rejections.last == "password-locked", "the second lock lasts two minutes")
        bench.advance(by: .seconds(60))
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.challenge != nil)
    }

    @Test func aRightLoginForgives() {
        let bench = LoginBench()
        for guess in 0..<9 { _ = bench.ask(bench.request("guess \(guess)", client: client)) }
        let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
        #expect(bench.ask(bench.request("111111", client: client, handle: handle))?.isAccept == true)
        for guess in 0..<9 { _ = bench.ask(bench.request("more \(guess)", client: client)) }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.challenge != nil)
    }

    @Test func fiveGuessesInFifteenMinutesWhereTheCodeIsTheOnlyProof() {
        let bench = LoginBench()
        for guess in 0..<5 { _ = bench.ask(bench.request("90000\(guess)", client: factorOnly, source: UInt32(guess))) }
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isReject == true, "the right code is not evaluated")
        #expect(bench.rejections.last == "factor-locked")
        bench.advance(by: .minutes(14))
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isReject == true)
        bench.advance(by: .seconds(61))
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isAccept == true)
    }

    @Test func noFifteenMinutesHoldMoreThanFiveGuesses() {
        let bench = LoginBench()
        var evaluated: [Int64] = []
        for minute in 0..<120 {
            for guess in 0..<3 {
                _ = bench.ask(bench.request(String(900_000 + minute * 3 + guess), client: factorOnly))
                if bench.rejections.last == "wrong-code" { evaluated.append(Int64(minute)) }
            }
            bench.advance(by: .minutes(1))
        }
        for minute in evaluated {
            #expect(evaluated.count { (minute..<(minute + 15)).contains($0) } <= 5)
        }
        #expect(evaluated.count >= 30, "it is a limit, not an end")
    }

    @Test func theSameWrongProofAgainCountsOnceAndBindsOnce() {
        let bench = LoginBench()
        for _ in 0..<20 { _ = bench.ask(bench.request("old password", client: client)) }
        #expect(bench.passwords.checks.count == 1)
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.challenge != nil)
        for _ in 0..<20 { _ = bench.ask(bench.request("900000", client: factorOnly)) }
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isAccept == true)
    }

    @Test func aRightLoginForgetsWhatWasWrongAMomentAgo() {
        let bench = LoginBench()
        _ = bench.ask(bench.request("900000", client: factorOnly))
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isAccept == true)
        _ = bench.ask(bench.request("900000", client: factorOnly))
        #expect(bench.rejections == ["wrong-code", "wrong-code"])
    }

    @Test func afterTheRetryTimeItIsAGuessAgain() {
        let bench = LoginBench()
        _ = bench.ask(bench.request("old password", client: client))
        bench.advance(by: .seconds(16))
        _ = bench.ask(bench.request("old password", client: client))
        #expect(bench.passwords.checks.count == 2)
    }

    @Test func aStrangerWithoutThePasswordCannotLockTheFactor() {
        let bench = LoginBench()
        let append = LoginBench.client { $0.asking = .append }
        for guess in 0..<9 { _ = bench.ask(bench.request("wrong \(guess),90000\(guess)", client: append)) }
        #expect(bench.ask(bench.request("\(LoginBench.password),111111", client: append))?.isAccept == true)
    }

    @Test func aRecoveryCodeLiftsTheFactorLockAndOnlyThat() {
        let recovery = ScriptedRecovery()
        let bench = LoginBench(extraFactors: [recovery])
        bench.records.change { tables in
            tables.factors[1]?.append(Factor(id: 12, kind: .recovery, label: "", state: .active, secret: Secret([])))
            tables.recoveryHashes = [Array("sp-right".utf8)]
        }
        for guess in 0..<5 {
            let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
            _ = bench.ask(bench.request("90000\(guess)", client: client, handle: handle))
        }
        let locked = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
        #expect(bench.ask(bench.request("111111", client: client, handle: locked))?.isReject == true)
        #expect(bench.rejections.last == "factor-locked")
        let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
        #expect(bench.ask(bench.request("sp-right", client: client, handle: handle))?.isAccept == true)
        let again = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
        #expect(bench.ask(bench.request("222222", client: client, handle: again))?.isAccept == true, "the lock is gone")
        let spent = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
        #expect(bench.ask(bench.request("sp-right", client: client, handle: spent))?.isReject == true, "a recovery code works once")
    }

    @Test func recoveryCodesAreTriedFiveTimesAnHour() {
        let bench = LoginBench(extraFactors: [ScriptedRecovery()])
        bench.records.change { tables in
            tables.factors[1]?.append(Factor(id: 12, kind: .recovery, label: "", state: .active, secret: Secret([])))
            tables.recoveryHashes = [Array("sp-right".utf8)]
        }
        for guess in 0..<5 {
            let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
            _ = bench.ask(bench.request("sp-wrong\(guess)", client: client, handle: handle))
        }
        let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
        #expect(bench.ask(bench.request("sp-right", client: client, handle: handle))?.isReject == true)
        #expect(bench.rejections.last == "factor-locked")
    }

    @Test func anotherProofBuysNoNewGuesses() {
        let bench = LoginBench()
        let passwordOnly = LoginBench.client(id: 2) { $0.requirement = .password }
        for guess in 0..<4 {
            let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
            _ = bench.ask(bench.request("90000\(guess)", client: client, handle: handle))
        }
        #expect(bench.ask(bench.request(LoginBench.password, client: passwordOnly))?.isAccept == true)
        for guess in 4..<6 {
            let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
            _ = bench.ask(bench.request("90000\(guess)", client: client, handle: handle))
        }
        #expect(bench.rejections == Array(repeating: "wrong-code", count: 5) + ["factor-locked"])
    }

    @Test func aCodeThatIsTheOnlyProofForgivesNothing() {
        let bench = LoginBench()
        for guess in 0..<4 { _ = bench.ask(bench.request("90000\(guess)", client: factorOnly)) }
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isAccept == true)
        _ = bench.ask(bench.request("900009", client: factorOnly))
        #expect(bench.ask(bench.request("222222", client: factorOnly))?.isReject == true, "five guesses in fifteen minutes, no more")
    }

    @Test func aBurstOfWrongPasswordsIsOneLock() {
        let bench = LoginBench()
        for guess in 0..<10 { _ = bench.ask(bench.request("guess \(guess)", client: client)) }
        bench.advance(by: .seconds(61))
        bench.passwords.holdBack(true)
        for guess in 0..<40 { _ = bench.send(bench.request("burst \(guess)", client: client)) }
        bench.passwords.holdBack(false)
        let level = bench.records.change { $0.failures[1]?.first { $0.kind == .passwordFromSource }?.level }
        #expect(level == 2)
    }

    @Test func aLoginForgivesItsOwnSourceAlone() {
        let bench = LoginBench()
        for guess in 0..<9 { _ = bench.ask(bench.request("guess \(guess)", client: client, station: "203.0.113.9")) }
        let handle = bench.ask(bench.request(LoginBench.password, client: client, station: "198.51.100.7"))?.challenge?.handle
        #expect(bench.ask(bench.request("111111", client: client, handle: handle, station: "198.51.100.7"))?.isAccept == true)
        _ = bench.ask(bench.request("guess 10", client: client, station: "203.0.113.9"))
        _ = bench.ask(bench.request("guess 11", client: client, station: "203.0.113.9"))
        #expect(bench.rejections.last == "password-locked")
    }

    @Test func recoveryCodesNeedARightPasswordFirst() {
        let bench = LoginBench(extraFactors: [ScriptedRecovery()])
        bench.records.change { tables in
            tables.factors[1]?.append(Factor(id: 12, kind: .recovery, label: "", state: .active, secret: Secret([])))
            tables.recoveryHashes = [Array("sp-right".utf8)]
        }
        #expect(bench.ask(bench.request("sp-right", client: factorOnly))?.isReject == true)
        #expect(bench.records.change { $0.recoveryHashes.count } == 1)
    }

    @Test func unknownNamesAreLockedLikeKnownOnes() {
        let bench = LoginBench()
        for guess in 0..<11 { _ = bench.ask(bench.request("guess \(guess)", name: "mallory", client: client)) }
        #expect(bench.passwords.checks.count == 10)
    }

    @Test func failuresSurviveARestart() {
        let bench = LoginBench()
        for guess in 0..<5 { _ = bench.ask(bench.request("90000\(guess)", client: factorOnly)) }
        bench.logins.forgetMemoryOfFailures()
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isReject == true)
    }

    @Test func theHelpDeskUnlocks() {
        let bench = LoginBench()
        for guess in 0..<5 { _ = bench.ask(bench.request("90000\(guess)", client: factorOnly)) }
        bench.records.change { $0.failures = [:] }
        bench.logins.forgetFailures(ofUser: 1)
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isAccept == true)
    }

    @Test func aClockThatIsSetBackDoesNotLengthenALock() {
        let rules = LockoutRules()
        let now = TestClock.start.wall
        var record = FailureRecord(kind: .code, source: "", count: 0, since: now, level: 0, lockedUntil: nil)
        for _ in 0..<5 { record = record.counting(at: now, rules: rules) }
        let back = now - .minutes(60)
        #expect(record.rebased(at: back, rules: rules).lockEnd(at: back, rules: rules) == back + .minutes(15))
        var open = FailureRecord(kind: .code, source: "", count: 4, since: now, level: 0, lockedUntil: nil)
        open = open.counting(at: back, rules: rules)
        #expect(open.lockedUntil != nil, "and gives no fresh guesses")
    }

    @Test func aHundredThousandNamesAreRememberedOnlySoFar() {
        var failures = Failures(capacity: 1_000)
        for number in 0..<100_000 {
            failures.update(.nobody("name\(number)"), stored: []) { $0.records = [] }
        }
        #expect(failures.count <= 1_000)
        #expect(failures.count >= 999, "the newest are still known")
    }
}

/// Recovery codes without a key: the text is its own hash.
struct ScriptedRecovery: SecondFactor {
    var kind: FactorKind { .recovery }
    var beginning: FactorBeginning { .typed }
    var keyword: String? { nil }
    func isWellFormed(_ text: String, for factor: Factor) -> Bool { text.hasPrefix("sp-") }
    func verify(_ text: String, for factor: Factor, at now: Moment) -> CodeVerdict {
        .right(.recovery(factor: factor.id, hash: Array(text.utf8)))
    }
    func start(_ start: FactorStart, answer: @escaping @Sendable (FactorAnswer) -> Void) {}
    func cancel(_ login: LoginID) {}
}
