// SPDX-License-Identifier: Apache-2.0
// Ten retries, two answers and a deadline at once.

import LoginEngine
import TestSupport
import Testing

@Suite struct RaceTests {
    @Test func retriesAnswersAndDeadlinesAtOnceAreOneDecision() async {
        for seed in 0..<300 as Range<UInt64> {
            let bench = LoginBench(hasPhone: true, seed: seed)
            let client = LoginBench.client { $0.automaticPush = true }
            let first = bench.send(bench.request(LoginBench.password, client: client, station: "198.51.100.7"))
            let waiters = await withTaskGroup(of: UInt64?.self) { group in
                for _ in 0..<10 {
                    group.addTask { bench.send(bench.request(LoginBench.password, client: client, station: "198.51.100.7")) }
                }
                group.addTask {
                    bench.phone.answer(seed % 2 == 0 ? .approved : .denied(notMe: false))
                    return nil
                }
                group.addTask {
                    bench.advance(by: .seconds(14))
                    return nil
                }
                return await group.reduce(into: [first]) { if let waiter = $1 { $0.append(waiter) } }
            }
            bench.advance(by: .minutes(2))
            let answers = waiters.map { bench.answer(to: $0) }
            #expect(answers.allSatisfy { $0 != nil }, "everybody was answered, seed \(seed)")
            let logins = Set(answers.compactMap { $0.flatMap { $0.isAccept ? $0.login : nil } })
            #expect(bench.accepts == logins.count, "seed \(seed)")
            if seed % 2 == 1 { #expect(logins.isEmpty, "a denial never ends in an accept, seed \(seed)") }
            #expect(logins.count <= 1, "seed \(seed)")
        }
    }

    @Test func oneCodeSentManyTimesAtOnceIsOneAccept() async {
        for seed in 0..<200 as Range<UInt64> {
            let bench = LoginBench(seed: seed)
            let client = LoginBench.client { $0.requirement = .factor }
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<16 {
                    group.addTask { _ = bench.send(bench.request("111111", client: client)) }
                }
            }
            #expect(bench.accepts == 1, "seed \(seed)")
        }
    }
}
