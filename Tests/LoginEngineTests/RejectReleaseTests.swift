// SPDX-License-Identifier: Apache-2.0
// The time of a reject: from the arrival, in whole steps, whatever the decision took.

import Synchronization
import TestSupport
import Testing

@testable import LoginEngine

@Suite struct RejectReleaseTests {
    let rule = RejectRelease()

    private static var released: LoginRules {
        var rules = LoginRules()
        rules.rejectRelease = RejectRelease()
        return rules
    }

    private func microseconds(_ count: Int64) -> Timestamp { Timestamp(microseconds: count) }

    /// Arrival, what the decision took, and the cell of two milliseconds that it falls in, at steps of twenty.
    private static let rows: [[Int64]] = [
        [1_000_000, 0, 510], [1_000_000, 70, 510], [1_000_000, 300, 510], [1_000_000, 19_999, 510], [1_000_000, 20_000, 510],
        [1_000_000, 20_001, 520], [1_000_000, 40_000, 520], [1_000_000, 40_001, 530],
        // The same cell up to its end, the next one from then on.
        [998_001, 0, 510], [998_000, 0, 509], [1_000_001, 0, 511],
        // A clock that is read a moment earlier on another core.
        [1_000_000, -5, 510],
    ]

    @Test(arguments: rows)
    func cellIsCountedFromTheArrival(row: [Int64]) {
        #expect(rule.cell(arrived: microseconds(row[0]), decided: microseconds(row[0] + row[1]), step: .milliseconds(20)) == row[2])
    }

    @Test func groupLeavesBehindItsCellAndBeforeTheNextOneEnds() {
        var random = SeededRandom(seed: 5)
        let moments = (0..<1_000).map { _ in rule.departure(of: 510, random: &random) }
        #expect(moments.allSatisfy { microseconds(1_020_000) <= $0 && $0 < microseconds(1_022_000) })
        #expect(Set(moments).count > 500, "at a moment that nobody knows before")
    }

    @Test func stepIsTheClientsAndNotTheUsers() {
        let codes = LoginBench.client { $0.requirement = .factor }
        let passwords = LoginBench.client { $0.requirement = .passwordAndFactor }
        var forStaff = PolicyRule(name: "staff", requirement: .passwordAndFactor)
        forStaff.when.groups = [7]
        var elsewhere = forStaff
        elsewhere.when.clients = [99]
        var reported = forStaff
        reported.isReportOnly = true
        let table = { (rule: PolicyRule) in PolicyTable([Policy(id: 1, revision: 1, rule: rule)]) }
        #expect(rule.step(at: codes, under: .empty) == rule.codeStep)
        #expect(rule.step(at: passwords, under: .empty) == rule.passwordStep)
        #expect(rule.step(at: LoginBench.client { $0.requirement = .deny }, under: .empty) == rule.passwordStep)
        #expect(rule.step(at: codes, under: table(forStaff)) == rule.passwordStep)
        #expect(rule.step(at: codes, under: table(elsewhere)) == rule.codeStep)
        #expect(rule.step(at: codes, under: table(reported)) == rule.codeStep)
        #expect(rule.step(at: codes, under: table(PolicyRule(name: "none", requirement: .deny))) == rule.codeStep)
    }

    @Test func whatADecisionTookIsNotInTheTimeOfItsReject() {
        let took = [Int64(0), 70, 300, 30_000, 99_999].map { microseconds -> Timestamp.Span in
            let bench = LoginBench(rules: Self.released)
            bench.passwords.holdBack(true)
            let began = bench.clock.now.uptime
            let waiter = bench.send(bench.request("not it", client: LoginBench.client { $0.requirement = .password }))
            bench.advance(by: Timestamp.Span(microseconds: microseconds))
            bench.passwords.holdBack(false)
            #expect(bench.answer(to: waiter) == nil, "decided, and kept back")
            while bench.answer(to: waiter) == nil { bench.advance(by: Timestamp.Span(microseconds: 1)) }
            #expect(bench.answer(to: waiter)?.isReject == true)
            return bench.clock.now.uptime - began
        }
        #expect(Set(took).count == 1, "\(took)")
        #expect(took[0] >= .milliseconds(100) && took[0] < .milliseconds(104))
    }

    @Test(arguments: ["alice", "mallory"])
    func aNameThatNobodyHasWaitsAsLong(name: String) {
        let bench = LoginBench(rules: Self.released)
        let waiter = bench.send(bench.request("999999", name: name, client: LoginBench.client { $0.requirement = .factor }))
        bench.advance(by: .milliseconds(19))
        #expect(bench.answer(to: waiter) == nil)
        #expect(bench.logins.keptAnswerCount == 1)
        bench.advance(by: .milliseconds(5))
        #expect(bench.answer(to: waiter)?.isReject == true)
        #expect(bench.logins.keptAnswerCount == 0)
        #expect(bench.deadlines.count == 1, "the tally's")
    }

    @Test(arguments: ["alice", "mallory"])
    func aQuestionThatEverybodyGetsWaitsToo(name: String) {
        let bench = LoginBench(rules: Self.released)
        let conceals = LoginBench.client(id: 2) { $0.concealFactor = true }
        for (field, client, step) in [("", LoginBench.client { $0.requirement = .factor }, 20), ("guess", conceals, 100)] {
            let waiter = bench.send(bench.request(field, name: name, client: client))
            bench.advance(by: .milliseconds(Int64(step - 1)))
            #expect(bench.answer(to: waiter) == nil)
            bench.advance(by: .milliseconds(5))
            #expect(bench.answer(to: waiter)?.challenge != nil)
        }
    }

    @Test func acceptsAndChallengesLeaveAtOnce() {
        let bench = LoginBench(rules: Self.released)
        let challenge = bench.ask(bench.request(LoginBench.password, client: LoginBench.client()))?.challenge
        #expect(challenge != nil)
        #expect(bench.ask(bench.request("111111", client: LoginBench.client(), handle: challenge?.handle))?.isAccept == true)
    }

    @Test func whoIsHeldForAPhoneHearsItsNoAtOnce() {
        let bench = LoginBench(hasPhone: true, rules: Self.released)
        let client = LoginBench.client { settings in
            settings.asking = .append
            settings.waitingShape = .hold
        }
        let waiter = bench.send(bench.request(LoginBench.password + ",push", client: client))
        #expect(bench.phone.startCount == 1)
        bench.phone.answer(.denied(notMe: false))
        #expect(bench.answer(to: waiter)?.isReject == true)
    }

    @Test func aGroupLeavesInTheOrderInWhichItCame() {
        var kept = KeptAnswers()
        let order = Mutex<[UInt64]>([])
        for (arrived, waiter) in [(3, 1), (1, 9), (2, 4), (2, 3)] as [(Int64, UInt64)] {
            let reject = KeptAnswers.Answer(
                arrived: microseconds(arrived), waiter: waiter, answer: .none(.abandoned),
                completion: { _ in order.withLock { $0.append(waiter) } })
            #expect(kept.add(reject, to: 510) == (arrived == 3 ? .first : .another))
        }
        for reject in kept.take(510) { reject.completion(reject.answer) }
        #expect(order.withLock { $0 } == [9, 3, 4, 1])
        #expect(kept.count == 0)
        #expect(kept.take(510).isEmpty)
    }

    @Test func moreThanItsBoundIsShed() {
        var kept = KeptAnswers()
        let reject = KeptAnswers.Answer(arrived: microseconds(1), waiter: 1, answer: .none(.abandoned), completion: { _ in })
        for number in 0..<KeptAnswers.most { #expect(kept.add(reject, to: Int64(number % 50)) != .full) }
        #expect(kept.add(reject, to: 7) == .full)
        _ = kept.take(7)
        #expect(kept.add(reject, to: 7) == .first)
    }
}
