// SPDX-License-Identifier: Apache-2.0
// One login, one push; nobody rides on another's approval.

import LoginEngine
import TestSupport
import Testing

@Suite struct JoiningTests {
    let client = LoginBench.client { $0.automaticPush = true }
    let station = "198.51.100.7"

    private func bench() -> LoginBench { LoginBench(hasPhone: true) }

    @Test func tenRetriesAreOnePushAndAllAreAnsweredAlike() {
        let bench = bench()
        let waiters = (0..<10).map { _ in bench.send(bench.request(LoginBench.password, client: client, station: station, session: "1")) }
        #expect(bench.phone.startCount == 1)
        #expect(bench.passwords.checks.count == 1, "an equal proof needs no second bind")
        bench.phone.answer(.approved)
        #expect(waiters.allSatisfy { bench.answer(to: $0)?.isAccept == true })
        #expect(Set(waiters.map { bench.answer(to: $0)?.login }).count == 1)
        #expect(bench.accepts == 1)
    }

    @Test(arguments: [
        [LoginBench.password, "198.51.100.8", "1"], [LoginBench.password, "198.51.100.7", "2"], ["wrong", "198.51.100.7", "1"],
        [LoginBench.password, "", "1"],
    ])
    func anybodyElseStartsNothingAndIsToldSo(said: [String]) {
        let (field, station, session) = (said[0], said[1].isEmpty ? nil : said[1], said[2])
        let bench = bench()
        let mine = bench.send(bench.request(LoginBench.password, client: client, station: self.station, session: "1"))
        let other = bench.ask(bench.request(field, client: client, station: station, session: session))
        #expect(other?.message == Prompt.rejected)
        #expect(bench.rejections == ["another-login-is-waiting"])
        #expect(bench.phone.startCount == 1)
        #expect(bench.passwords.checks.count == 1)
        bench.phone.answer(.approved)
        #expect(bench.answer(to: mine)?.isAccept == true)
    }

    @Test func anotherClientNeverJoins() {
        let bench = bench()
        _ = bench.send(bench.request(LoginBench.password, client: client, station: station))
        let other = LoginBench.client(id: 2) { $0.automaticPush = true }
        #expect(bench.ask(bench.request(LoginBench.password, client: other, station: station))?.isReject == true)
        #expect(bench.phone.startCount == 1)
    }

    @Test func withoutAStationOnlyARetransmissionJoins() {
        let bench = bench()
        let first = bench.send(bench.request(LoginBench.password, client: client, packet: 5))
        let again = bench.send(bench.request(LoginBench.password, client: client, packet: 5))
        let stranger = bench.ask(bench.request(LoginBench.password, client: client))
        #expect(stranger?.isReject == true)
        bench.phone.answer(.approved)
        #expect(bench.answer(to: first)?.isAccept == true)
        #expect(bench.answer(to: again)?.isAccept == true)
    }

    @Test func withoutAStationTheClientMayAllowRejoiningWithinItsRetryTime() {
        let bench = bench()
        let rejoining = LoginBench.client { settings in
            settings.automaticPush = true
            settings.rejoin = true
        }
        let first = bench.send(bench.request(LoginBench.password, client: rejoining))
        let again = bench.send(bench.request(LoginBench.password, client: rejoining))
        #expect(bench.answer(to: again) == nil)
        bench.advance(by: .seconds(16))
        #expect(bench.ask(bench.request(LoginBench.password, client: rejoining))?.isReject == true)
        #expect(bench.phone.startCount == 1)
        #expect(bench.answer(to: first)?.isReject == true, "the hold ended before the gateway gave up")
    }

    @Test func retriesDuringThePasswordCheckShareIt() {
        let bench = bench()
        bench.passwords.holdBack(true)
        let waiters = (0..<5).map { _ in bench.send(bench.request(LoginBench.password, client: client, station: station)) }
        let stranger = bench.send(bench.request("wrong", client: client, station: "203.0.113.9"))
        #expect(bench.passwords.checks.count == 2, "a stranger's guess is judged by itself and holds up nobody")
        bench.passwords.holdBack(false)
        bench.phone.answer(.approved)
        #expect(waiters.allSatisfy { bench.answer(to: $0)?.isAccept == true })
        #expect(bench.answer(to: stranger)?.isReject == true)
    }

    @Test func twoRightPasswordsAtTheSameMomentAreStillOnePush() {
        let bench = bench()
        bench.passwords.holdBack(true)
        let mine = bench.send(bench.request(LoginBench.password, client: client, station: station))
        let other = bench.send(bench.request(LoginBench.password, client: client, station: "203.0.113.9"))
        bench.passwords.holdBack(false)
        #expect(bench.phone.startCount == 1)
        bench.phone.answer(.approved)
        let answers = [bench.answer(to: mine), bench.answer(to: other)]
        #expect(answers.count { $0?.isAccept == true } == 1)
        #expect(answers.count { $0?.isReject == true } == 1)
    }

    @Test func aDenialEndsItAndRetriesHearItWithoutAnotherPush() {
        let bench = bench()
        let waiter = bench.send(bench.request(LoginBench.password, client: client, station: station))
        bench.phone.answer(.denied(notMe: true))
        #expect(bench.answer(to: waiter)?.isReject == true)
        bench.advance(by: .seconds(30))
        #expect(bench.ask(bench.request(LoginBench.password, client: client, station: station))?.isReject == true)
        #expect(bench.phone.startCount == 1)
        bench.advance(by: .seconds(31))
        _ = bench.send(bench.request(LoginBench.password, client: client, station: station))
        #expect(bench.phone.startCount == 2)
        #expect(bench.records.events.contains { $0["steps"]?.contains("denied-not-me") == true })
    }

    @Test func anApprovalThatNobodyWaitedForAnswersTheNextTryOnce() {
        let bench = bench()
        let waiter = bench.send(bench.request(LoginBench.password, client: client, station: station))
        bench.advance(by: .seconds(14))
        #expect(bench.answer(to: waiter)?.isReject == true, "one second before the gateway gives up")
        bench.phone.answer(.approved)
        #expect(bench.accepts == 0)
        #expect(bench.ask(bench.request(LoginBench.password, client: client, station: "203.0.113.9"))?.isAccept != true)
        #expect(bench.ask(bench.request(LoginBench.password, client: client, station: station))?.isAccept == true)
        #expect(bench.accepts == 1)
        bench.advance(by: .seconds(1))
        let next = bench.send(bench.request(LoginBench.password, client: client, station: station))
        #expect(bench.answer(to: next)?.isAccept != true, "it answers one try")
    }

    @Test func aLateApprovalIsJudgedAgain() {
        let bench = bench()
        _ = bench.send(bench.request(LoginBench.password, client: client, station: station))
        bench.advance(by: .seconds(14))
        bench.phone.answer(.approved)
        bench.records.change { $0.users["alice"]?.status = .disabled }
        #expect(bench.ask(bench.request(LoginBench.password, client: client, station: station))?.isReject == true)
        #expect(bench.accepts == 0)
    }

    @Test func aLateApprovalIsKeptForThirtySeconds() {
        let bench = bench()
        _ = bench.send(bench.request(LoginBench.password, client: client, station: station))
        bench.advance(by: .seconds(14))
        bench.phone.answer(.approved)
        bench.advance(by: .seconds(31))
        let waiter = bench.send(bench.request(LoginBench.password, client: client, station: station))
        #expect(bench.answer(to: waiter) == nil)
        #expect(bench.phone.startCount == 2)
        #expect(bench.rejections.contains("factor-timed-out"))
    }

    @Test func aPushThatNobodyAnswersEnds() {
        let bench = bench()
        _ = bench.send(bench.request(LoginBench.password, client: client, station: station))
        bench.advance(by: .seconds(61))
        #expect(bench.rejections == ["factor-timed-out"])
        #expect(bench.phone.cancelled.count == 1)
        bench.phone.answer(.approved)
        #expect(bench.accepts == 0, "an approval after the end is nobody's")
        #expect(bench.logins.waitingCount == 0)
    }

    @Test func givingUpOneWaiterLeavesTheLoginAlone() {
        let bench = bench()
        let first = bench.send(bench.request(LoginBench.password, client: client, station: station))
        let second = bench.send(bench.request(LoginBench.password, client: client, station: station))
        bench.logins.abandon(waiter: first)
        #expect(bench.answer(to: first) == LoginAnswer.none(.abandoned))
        bench.phone.answer(.approved)
        #expect(bench.answer(to: second)?.isAccept == true)
    }

    @Test func startsOfOneUserAreBounded() {
        let bench = bench()
        for number in 0..<5 {
            _ = bench.send(bench.request(LoginBench.password, client: client, station: "198.51.100.\(number)"))
            bench.phone.answer(.denied(notMe: false))
        }
        #expect(bench.ask(bench.request(LoginBench.password, client: client, station: "198.51.100.99"))?.isReject == true)
        #expect(bench.rejections.last == "too-many-pushes")
        #expect(bench.phone.startCount == 5)
    }

    // MARK: approve, then press OK

    private let confirm = LoginBench.client { settings in
        settings.automaticPush = true
        settings.waitingShape = .confirm
    }

    @Test func approveThenPressOK() {
        let bench = bench()
        let challenge = bench.ask(bench.request(LoginBench.password, client: confirm, station: station))?.challenge
        #expect(challenge?.prompt == Prompt.confirm)
        bench.phone.answer(.approved)
        #expect(bench.ask(bench.request("", client: confirm, handle: challenge?.handle, station: station))?.isAccept == true)
        #expect(bench.ask(bench.request("", client: confirm, handle: challenge?.handle, station: station))?.isReject == true)
        #expect(bench.accepts == 1)
    }

    @Test func pressOKThenApprove() {
        let bench = bench()
        let challenge = bench.ask(bench.request(LoginBench.password, client: confirm, station: station))?.challenge
        let waiter = bench.send(bench.request("", client: confirm, handle: challenge?.handle, station: station))
        #expect(bench.answer(to: waiter) == nil)
        bench.phone.answer(.approved)
        #expect(bench.answer(to: waiter)?.isAccept == true)
    }

    @Test func aCodeTypedWhileThePhoneIsAskedWins() {
        let bench = bench()
        let challenge = bench.ask(bench.request(LoginBench.password, client: confirm, station: station))?.challenge
        #expect(bench.ask(bench.request("111111", client: confirm, handle: challenge?.handle, station: station))?.isAccept == true)
        #expect(bench.phone.cancelled.count == 1)
        bench.phone.answer(.approved)
        #expect(bench.accepts == 1)
    }

    @Test func pressingOKAfterADenialIsRefused() {
        let bench = bench()
        let challenge = bench.ask(bench.request(LoginBench.password, client: confirm, station: station))?.challenge
        bench.phone.answer(.denied(notMe: false))
        #expect(bench.ask(bench.request("", client: confirm, handle: challenge?.handle, station: station))?.isReject == true)
        #expect(bench.accepts == 0)
    }

    @Test func anothersHandleDoesNotTakeTheApproval() {
        let bench = bench()
        let challenge = bench.ask(bench.request(LoginBench.password, client: confirm, station: station))?.challenge
        bench.phone.answer(.approved)
        let stolen = bench.ask(bench.request("", client: confirm, handle: challenge?.handle, station: "203.0.113.9"))
        #expect(stolen?.isReject == true)
        #expect(bench.accepts == 0)
    }
}
