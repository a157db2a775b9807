// SPDX-License-Identifier: Apache-2.0
// TOTP, HOTP and recovery codes as the engine sees them.

import Factors
import LoginEngine
import OTP
import TestSupport
import Testing

@Suite struct TOTPFactorTests {
    let now = TestClock.start
    let key = Array("12345678901234567890".utf8)

    func factor(digits: Int = 6, algorithm: CodeAlgorithm = .sha1, period: Int = 30, drift: Int = 0) -> Factor {
        var factor = Factor(id: 7, kind: .totp, label: "app", state: .active, secret: Secret(key))
        factor.digits = digits
        factor.algorithm = algorithm
        factor.period = period
        factor.drift = drift
        return factor
    }

    func code(_ factor: Factor, ahead steps: Int64) throws -> String {
        let algorithm: OTPAlgorithm = factor.algorithm == .sha1 ? .sha1 : factor.algorithm == .sha256 ? .sha256 : .sha512
        let totp = try TOTP(key: OTPKey(key), algorithm: algorithm, digits: factor.digits, period: factor.period)
        return try #require(totp.code(step: now.wall.seconds / Int64(factor.period) + steps))
    }

    @Test(arguments: [6, 7, 8], CodeAlgorithm.allCases)
    func oneStepToEitherSideIsTaken(digits: Int, algorithm: CodeAlgorithm) throws {
        let factor = factor(digits: digits, algorithm: algorithm)
        let step = now.wall.seconds / 30
        for ahead in -1...1 as ClosedRange<Int64> {
            let verdict = TOTPFactor().verify(try code(factor, ahead: ahead), for: factor, at: now)
            #expect(verdict == .right(.totp(factor: 7, step: step + ahead)))
        }
        #expect(TOTPFactor().verify(try code(factor, ahead: 2), for: factor, at: now) == .wrong)
        #expect(TOTPFactor().verify(try code(factor, ahead: -2), for: factor, at: now) == .wrong)
    }

    @Test func aLearntClockMovesTheWindow() throws {
        let factor = factor(drift: 3)
        #expect(
            TOTPFactor().verify(try code(factor, ahead: 4), for: factor, at: now)
                == .right(.totp(factor: 7, step: now.wall.seconds / 30 + 4)))
        #expect(TOTPFactor().verify(try code(factor, ahead: 0), for: factor, at: now) == .wrong)
    }

    /// Two steps of this key in a row have the same code.
    @Test func aUsedCodeIsNotTakenForThatOfTheNextStep() throws {
        let step = now.wall.seconds / 30
        let later = Moment(wall: now.wall + .seconds(30), uptime: now.uptime)
        var twin = factor()
        twin.secret = Secret(Array("collision-0000872727".utf8))
        #expect(TOTPFactor().verify("784083", for: twin, at: now) == .right(.totp(factor: 7, step: step)))
        #expect(TOTPFactor().verify("784083", for: twin, at: later) == .right(.totp(factor: 7, step: step + 1)))
        for used in [step, step + 1] {
            twin.highestUsed = used
            for moment in [now, later] {
                #expect(TOTPFactor().verify("784083", for: twin, at: moment) == .right(.totp(factor: 7, step: used)))
                let marks = TOTPFactor().codes(for: twin, at: moment).filter { $0.text == "784083" }.map(\.mark)
                #expect(marks.allSatisfy { $0 == .totp(factor: 7, step: used) } && marks.count == 2)
            }
        }
        for extreme in [Int64.min, -1, .max] {
            twin.highestUsed = extreme
            #expect(TOTPFactor().verify("784083", for: twin, at: now) == .right(.totp(factor: 7, step: step)))
        }
    }

    @Test(arguments: ["", "12345", "1234567", "12345a", "١٢٣٤٥٦"])
    func whatHasNotItsShapeIsNoGuess(text: String) {
        #expect(TOTPFactor().verify(text, for: factor(), at: now) == .malformed)
        #expect(!TOTPFactor().isWellFormed(text, for: factor()))
    }
}

@Suite struct HOTPFactorTests {
    let now = TestClock.start
    let key = Array("12345678901234567890".utf8)

    func factor(highestUsed: Int64 = -1) -> Factor {
        var factor = Factor(id: 8, kind: .hotp, label: "token", state: .active, secret: Secret(key))
        factor.highestUsed = highestUsed
        return factor
    }

    func code(_ counter: UInt64) throws -> String { try HOTP(key: OTPKey(key)).code(counter: counter) }

    @Test func theWindowLooksAheadAndNotFurther() throws {
        let fresh = factor()
        #expect(HOTPFactor().verify(try code(0), for: fresh, at: now) == .right(.hotp(factor: 8, counter: 0)))
        #expect(HOTPFactor().verify(try code(9), for: fresh, at: now) == .right(.hotp(factor: 8, counter: 9)))
        guard case .beyondWindow(let wait) = HOTPFactor().verify(try code(10), for: fresh, at: now) else {
            Issue.record("ten ahead asks for the next code")
            return
        }
        #expect(wait.counter == 10)
        #expect(HOTPFactor().verify(try code(50), for: fresh, at: now) == .wrong)
    }

    @Test func twoCodesInARowResynchronise() throws {
        var ahead = factor(highestUsed: 5)
        guard case .beyondWindow(let wait) = HOTPFactor().verify(try code(40), for: ahead, at: now) else {
            Issue.record("no resynchronisation")
            return
        }
        ahead.resynchronisation = wait
        #expect(HOTPFactor().verify(try code(41), for: ahead, at: now) == .right(.hotp(factor: 8, counter: 41)))
        #expect(HOTPFactor().verify(try code(42), for: ahead, at: now) != .right(.hotp(factor: 8, counter: 42)))
        let later = Moment(wall: wait.expires + .seconds(1), uptime: now.uptime)
        #expect(HOTPFactor().verify(try code(41), for: ahead, at: later) != .right(.hotp(factor: 8, counter: 41)))
    }

    @Test func aUsedCodeIsRecognisedForTheDatabaseToRefuse() throws {
        #expect(HOTPFactor().verify(try code(5), for: factor(highestUsed: 5), at: now) == .right(.hotp(factor: 8, counter: 5)))
        #expect(HOTPFactor().verify(try code(3), for: factor(highestUsed: 5), at: now) == .wrong)
    }

    /// Counters 3 and 7 of this key have the same code: whoever overheard it at 3 is not let in by it as 7.
    @Test func aUsedCodeIsNotTakenForThatOfALaterCounter() throws {
        var twin = factor(highestUsed: 2)
        twin.secret = Secret([
            0x5a, 0xaf, 0xc4, 0x9e, 0x82, 0x91, 0x9a, 0xff, 0x36, 0x92, 0x97, 0x16, 0x6c, 0x96, 0xd3, 0x1e, 0x59, 0x7b, 0xb4, 0x36,
        ])
        #expect(HOTPFactor().verify("220005", for: twin, at: now) == .right(.hotp(factor: 8, counter: 3)))
        for used in [3, 4] as [Int64] {
            twin.highestUsed = used
            #expect(HOTPFactor().verify("220005", for: twin, at: now) == .right(.hotp(factor: 8, counter: 3)))
            #expect(HOTPFactor().codes(for: twin, at: now).filter { $0.text == "220005" }.map(\.mark) == [.hotp(factor: 8, counter: 3)])
        }
        twin.highestUsed = 5
        #expect(HOTPFactor().verify("220005", for: twin, at: now) == .right(.hotp(factor: 8, counter: 7)))
    }
}

@Suite struct RecoveryCodeTests {
    let codes = RecoveryCodes { symbols, factor in symbols.reversed() + [UInt8(truncatingIfNeeded: factor)] }

    @Test func tenCodesOfEightyBitsAreMadeAndReadBack() {
        var random = SeededRandom(seed: 5)
        let set = RecoveryCodes.make(random: &random)
        #expect(set.count == 10)
        #expect(Set(set).count == 10)
        for code in set {
            #expect(code.wholeMatch(of: /sp(-[0-9a-hjkmnp-tv-z]{4}){4}/) != nil, "\(code)")
            let sloppy = code.uppercased().replacing("-", with: " ").replacing("0", with: "O").replacing("1", with: "l")
            #expect(RecoveryCodes.symbols(in: sloppy) == RecoveryCodes.symbols(in: code))
            #expect(codes.hash(code, factor: 9)?.count == 17)
        }
    }

    @Test(arguments: [
        "", "sp-", "sp-0000-0000-0000-000", "sp-0000-0000-0000-00000", "0000-0000-0000-0000", "sp-uuuu-0000-0000-0000", "123456",
    ])
    func whatIsNoRecoveryCodeIsNone(text: String) {
        #expect(RecoveryCodes.symbols(in: text) == nil)
        let factor = Factor(id: 9, kind: .recovery, label: "", state: .active, secret: Secret([]))
        #expect(codes.verify(text, for: factor, at: TestClock.start) == .malformed)
    }
}
