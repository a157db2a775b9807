// SPDX-License-Identifier: Apache-2.0
// Guesses that are judged at the same moment count against each other before any of them is known to be wrong.

import TestSupport
import Testing

@testable import LoginEngine

@Suite struct JudgingTests {
    private func client(_ requirement: Requirement) -> Client {
        LoginBench.client { settings in
            settings.requirement = requirement
            settings.schemes = .all
        }
    }

    private func right(_ bench: LoginBench, _ text: String, _ client: Client) -> LoginRequest {
        var request = bench.request("", client: client)
        request.proof = .hashed(HashedProof(.chap, identity: Array("right \(text)".utf8)) { $0 == .text(Secret(utf8: text)) })
        return request
    }

    private func other(_ bench: LoginBench, _ client: Client) -> OpenLogin {
        let request = bench.request("another guess", client: client)
        let facts = LoginFacts(user: User(id: LoginBench.aliceID, name: "alice", status: .active, passwordHash: nil))
        let login = Login(
            id: LoginID(Bits128(high: 1, low: 1)), request: request, nameKey: "alice", facts: facts, failures: SubjectFailures(records: []),
            rules: LoginRules(), retry: nil, wasWrongJustNow: false, began: bench.clock.now)
        let waiter = OpenLogin.Waiter(id: 1, fingerprint: request.fingerprint, arrived: bench.clock.now.uptime) { _ in }
        return OpenLogin(login, waiter: waiter, subject: .user(LoginBench.aliceID))
    }

    @Test(arguments: [Requirement.password, .factor]) func guessThatIsBeingJudgedCountsAlready(_ requirement: Requirement) {
        let bench = LoginBench()
        let client = client(requirement)
        // One less than lock: ten passwords of one source, five codes.
        let guesses = requirement == .password ? 9 : 4
        for number in 0..<guesses {
            _ = bench.ask(bench.request(requirement == .password ? "guess \(number)" : "00000\(number)", client: client))
        }
        let rival = other(bench, client)
        _ = bench.logins.beginJudging(rival)
        let text = requirement == .password ? LoginBench.password : "111111"
        #expect(bench.ask(right(bench, text, client))?.isReject == true, "it would be one guess more than may be")
        #expect(bench.rejections.last == (requirement == .password ? "password-locked" : "factor-locked"))
        bench.logins.endJudging(rival)
        #expect(bench.ask(right(bench, text, client))?.isAccept == true, "the rival was no guess after all")
    }

    @Test func loginIsNoRivalOfItsOwn() {
        let bench = LoginBench()
        let client = client(.factor)
        for number in 0..<4 { _ = bench.ask(bench.request("00000\(number)", client: client)) }
        let one = other(bench, client)
        let first = bench.logins.beginJudging(one)
        let again = bench.logins.beginJudging(one)
        #expect(first.underWay.codes == 0 && again.underWay.codes == 0 && again.underWay.passwords == 0)
        bench.logins.endJudging(one)
        let outer = bench.logins.beginJudging(other(bench, client))
        #expect(outer.underWay.codes == 1)
        bench.logins.endJudging(one)
    }
}
