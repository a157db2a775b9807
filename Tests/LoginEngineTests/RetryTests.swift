// SPDX-License-Identifier: Apache-2.0
// Retry or replay: what gets a recorded decision again, and what is refused.

import LoginEngine
import TestSupport
import Testing

@Suite struct RetryTests {
    let factorOnly = LoginBench.client { $0.requirement = .factor }
    let rejoining = LoginBench.client { settings in
        settings.requirement = .factor
        settings.rejoin = true
    }

    @Test func aByteIdenticalRequestGetsTheRecordedDecisionForTenSeconds() {
        let bench = LoginBench()
        let first = bench.ask(bench.request("111111", client: factorOnly, packet: 5))
        bench.advance(by: .seconds(10))
        let again = bench.ask(bench.request("111111", client: factorOnly, packet: 5))
        #expect(first?.isAccept == true)
        #expect(again == first, "the same login, not another one")
        #expect(bench.accepts == 1)
        bench.advance(by: .milliseconds(1))
        #expect(bench.ask(bench.request("111111", client: factorOnly, packet: 5))?.isReject == true)
    }

    @Test func aNewPacketWithAUsedCodeIsAReplay() {
        let bench = LoginBench()
        _ = bench.ask(bench.request("111111", client: factorOnly, station: "198.51.100.7", session: "1"))
        #expect(bench.ask(bench.request("111111", client: factorOnly, station: "198.51.100.7", session: "1"))?.isReject == true)
    }

    @Test func aNewPacketOfTheSameLoginIsARetryWhereTheClientMayRejoin() {
        let bench = LoginBench()
        let first = bench.ask(bench.request("111111", client: rejoining, station: "198.51.100.7", session: "1"))
        let again = bench.ask(bench.request("111111", client: rejoining, station: "198.51.100.7", session: "1"))
        #expect(again == first)
        #expect(first?.isAccept == true)
    }

    @Test(arguments: [["198.51.100.8", "1"], ["198.51.100.7", "2"], ["", "1"], ["198.51.100.7", ""]])
    func anythingThatDiffersOrIsMissingMakesItAReplay(said: [String]) {
        let (station, session) = (said[0].isEmpty ? nil : said[0], said[1].isEmpty ? nil : said[1])
        let bench = LoginBench()
        _ = bench.ask(bench.request("111111", client: rejoining, station: "198.51.100.7", session: "1"))
        #expect(bench.ask(bench.request("111111", client: rejoining, station: station, session: session))?.isReject == true)
        #expect(bench.accepts == 1)
    }

    @Test func aRequestThatSaysNothingOfItselfIsNeverRejoined() {
        let bench = LoginBench()
        _ = bench.ask(bench.request("111111", client: rejoining))
        #expect(bench.ask(bench.request("111111", client: rejoining))?.isReject == true)
    }

    @Test func aUsedStateIsAReplayAndItsOwnRetryIsNot() {
        let bench = LoginBench()
        let client = LoginBench.client()
        let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
        let first = bench.ask(bench.request("111111", client: client, handle: handle, packet: 70))
        #expect(first?.isAccept == true)
        #expect(bench.ask(bench.request("111111", client: client, handle: handle, packet: 70)) == first)
        #expect(bench.ask(bench.request("222222", client: client, handle: handle))?.isReject == true)
        #expect(bench.rejections == ["handle-already-used"])
    }

    @Test func aRejectedStateIsRejectedAgainWithoutAnotherLook() {
        let bench = LoginBench()
        let client = LoginBench.client()
        let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
        let first = bench.ask(bench.request("999999", client: client, handle: handle, packet: 70))
        #expect(bench.ask(bench.request("999999", client: client, handle: handle, packet: 70)) == first)
        #expect(bench.records.change { $0.failures[1]?.first { $0.kind == .code }?.count } == 1)
    }

    @Test func anotherRetryOfAClockThatJumpedIsNoWayIn() {
        let bench = LoginBench()
        _ = bench.ask(bench.request("111111", client: factorOnly, packet: 5))
        bench.clock.setWall(TestClock.start.wall - .minutes(60))
        #expect(bench.ask(bench.request("111111", client: factorOnly, packet: 5))?.isReject == true)
    }

    @Test func noFailureOfADatabaseEndsInAnAcceptWithoutItsMark() {
        // The n-th call of the database fails, n = 1, 2, …: nothing is accepted that was not written.
        for failing in 1...8 {
            let bench = LoginBench()
            bench.records.change { $0.failsAt = failing }
            let client = LoginBench.client()
            let handle = bench.ask(bench.request(LoginBench.password, client: client))?.challenge?.handle
            let answer = handle.flatMap { bench.ask(bench.request("111111", client: client, handle: $0)) }
            if answer?.isAccept == true {
                #expect(bench.records.change { $0.marks.count } == 1)
                #expect(bench.accepts == 1)
                #expect(failing > 4)
            } else {
                #expect(bench.accepts == 0)
                #expect(failing <= 4, "load, suspend, load, settle: the first four calls")
            }
        }
    }

    @Test func whileTheDatabaseIsDownNobodyIsAnswered() {
        let bench = LoginBench()
        bench.records.change { $0.isDown = true }
        #expect(bench.ask(bench.request("111111", client: factorOnly)) == LoginAnswer.none(.databaseUnavailable))
        bench.records.change { $0.isDown = false }
        #expect(bench.ask(bench.request("111111", client: factorOnly))?.isAccept == true)
    }

    @Test func theAnswerWaitsForTheWriter() {
        let bench = LoginBench()
        bench.records.change { $0.holdsBack = true }
        let waiter = bench.send(bench.request("111111", client: factorOnly))
        #expect(bench.answer(to: waiter) == nil)
        for go in bench.records.change({ $0.heldBack }) { go() }
        #expect(bench.answer(to: waiter)?.isAccept == true)
    }
}
