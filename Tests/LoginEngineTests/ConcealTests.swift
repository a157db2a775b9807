// SPDX-License-Identifier: Apache-2.0
// `concealFactor`: both are always asked for and judged together, so that nobody learns that the password was right.

import LoginEngine
import TestSupport
import Testing

@Suite struct ConcealTests {
    let client = LoginBench.client { $0.concealFactor = true }

    @Test func everyFirstPacketIsAnsweredAlike() {
        let bench = LoginBench()
        bench.records.change { tables in
            tables.users["carol"] = User(id: 3, name: "carol", status: .disabled, passwordHash: nil)
        }
        let answers = [
            bench.ask(bench.request(LoginBench.password, client: client)), bench.ask(bench.request("wrong", client: client)),
            bench.ask(bench.request("wrong", name: "mallory", client: client)),
            bench.ask(bench.request("x", name: "carol", client: client)),
        ].map { $0?.challenge }
        #expect(Set(answers.map { $0?.prompt }) == [Prompt.uniform])
        #expect(Set(answers.map { $0?.lifetime }) == [120])
        #expect(Set(answers.map { $0?.handle }).count == 4)
    }

    @Test func aRightCodeDoesNotHealAWrongPassword() {
        let bench = LoginBench()
        let challenge = bench.ask(bench.request("wrong", client: client))?.challenge
        #expect(bench.ask(bench.request("111111", client: client, handle: challenge?.handle))?.isReject == true)
        #expect(bench.rejections == ["wrong-password"])
        #expect(bench.records.change { $0.marks.isEmpty }, "the code is not consumed")
        #expect(bench.records.change { $0.failures[1]?.contains { $0.kind == .code } } == false)
    }

    @Test func bothRightIsAccepted() {
        let bench = LoginBench()
        let challenge = bench.ask(bench.request(LoginBench.password, client: client))?.challenge
        #expect(bench.ask(bench.request("111111", client: client, handle: challenge?.handle))?.isAccept == true)
    }

    @Test func aLockCannotBeToldFromAWrongPassword() {
        let bench = LoginBench()
        for guess in 0..<12 { _ = bench.ask(bench.request("guess \(guess)", client: client)) }
        let locked = bench.ask(bench.request(LoginBench.password, client: client))?.challenge
        #expect(locked?.prompt == Prompt.uniform)
        #expect(bench.passwords.checks.count == 13, "the clock tells nothing either")
        #expect(bench.ask(bench.request("111111", client: client, handle: locked?.handle))?.isReject == true)
    }

    @Test(arguments: ["x,123456", "x,12345678", "x,push", "x,sp-0000-0000-0000-0000", "xxxxxx123456", "plain", ""])
    func howAFieldIsReadTellsNothing(field: String) {
        let both = LoginBench.client { settings in
            settings.concealFactor = true
            settings.asking = .appendOrChallenge
            settings.fixedLengthTail = true
        }
        let bench = LoginBench(hasPhone: true, extraFactors: [ScriptedRecovery()])
        bench.records.change { tables in
            tables.factors[1]?.append(Factor(id: 12, kind: .recovery, label: "", state: .active, secret: Secret([])))
            tables.users["bare"] = User(id: 5, name: "bare", status: .active, passwordHash: nil)
        }
        let shapes = ["alice", "bare", "mallory"].map { name -> String in
            let answer = bench.ask(bench.request(field, name: name, client: both))
            return answer?.challenge?.prompt ?? answer?.message ?? "none"
        }
        #expect(Set(shapes).count == 1, "\(shapes)")
    }

    @Test func reasonsAreNeverShownWhereTheFactorIsConcealed() {
        let bench = LoginBench()
        let helpful = LoginBench.client { settings in
            settings.concealFactor = true
            settings.helpfulMessages = true
        }
        let handle = bench.ask(bench.request("wrong", client: helpful))?.challenge?.handle
        #expect(bench.ask(bench.request("111111", client: helpful, handle: handle))?.message == Prompt.rejected)
    }

    @Test func aKeywordBehindAWrongPasswordSendsNothing() {
        let bench = LoginBench(hasPhone: true)
        let challenge = bench.ask(bench.request("wrong", client: client))?.challenge
        _ = bench.ask(bench.request("push", client: client, handle: challenge?.handle))
        #expect(bench.phone.startCount == 0)
    }
}
