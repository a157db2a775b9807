// SPDX-License-Identifier: Apache-2.0
// The n-th call of any port fails, n = 1, 2, … until a run gets through: no prefix ends in an accept without its mark and its event.

import LoginEngine
import TestSupport
import Testing

@Suite struct AnomalyTests {
    /// Ways to be let in, one for each road through the engine.
    enum Road: CaseIterable {
        case code, passwordThenCode, appended, passwordAlone, heldPush, confirmedPush, codeWhilePushWaits, lateApproval
        case bypass, temporaryCode
    }

    /// Ways that end outside.
    enum DeadEnd: CaseIterable {
        case wrongCode, wrongPassword, wrongCodeAfterPassword, usedCode, unknownName, deniedPush, anothersHandle
    }

    private static let station = "198.51.100.7"
    private static let password = LoginBench.password

    private func bench(_ failures: PortFailures, hasPhone: Bool) -> LoginBench { LoginBench(hasPhone: hasPhone, failures: failures) }

    /// - Returns: every answer that a gateway got.
    private func go(_ road: Road, _ bench: LoginBench) -> [LoginAnswer] {
        var waiters: [UInt64] = []
        func send(_ request: LoginRequest) -> LoginAnswer? {
            waiters.append(bench.send(request))
            return bench.answer(to: waiters[waiters.count - 1])
        }
        switch road {
        case .code:
            _ = send(bench.request("111111", client: LoginBench.client { $0.requirement = .factor }))
        case .passwordThenCode:
            let client = LoginBench.client()
            if let handle = send(bench.request(Self.password, client: client))?.challenge?.handle {
                _ = send(bench.request("111111", client: client, handle: handle))
            }
        case .appended:
            _ = send(bench.request(Self.password + ",111111", client: LoginBench.client { $0.asking = .append }))
        case .passwordAlone:
            _ = send(bench.request(Self.password, client: LoginBench.client { $0.requirement = .password }))
        case .heldPush:
            let client = LoginBench.client { $0.automaticPush = true }
            _ = send(bench.request(Self.password, client: client, station: Self.station))
            bench.phone.answer(.approved)
        case .confirmedPush:
            let client = LoginBench.client { settings in
                settings.automaticPush = true
                settings.waitingShape = .confirm
            }
            let handle = send(bench.request(Self.password, client: client))?.challenge?.handle
            bench.phone.answer(.approved)
            if let handle { _ = send(bench.request("", client: client, handle: handle)) }
        case .codeWhilePushWaits:
            let client = LoginBench.client { settings in
                settings.automaticPush = true
                settings.waitingShape = .confirm
            }
            if let handle = send(bench.request(Self.password, client: client))?.challenge?.handle {
                _ = send(bench.request("111111", client: client, handle: handle))
            }
            bench.phone.answer(.approved)
        case .bypass:
            bench.grant(.bypass)
            _ = send(bench.request(Self.password, client: LoginBench.client()))
        case .temporaryCode:
            bench.grant(.code)
            let client = LoginBench.client()
            if let handle = send(bench.request(Self.password, client: client))?.challenge?.handle {
                _ = send(bench.request(LoginBench.temporaryCode, client: client, handle: handle))
            }
        case .lateApproval:
            let client = LoginBench.client { $0.automaticPush = true }
            _ = send(bench.request(Self.password, client: client, station: Self.station))
            bench.advance(by: .seconds(16))
            bench.phone.answer(.approved)
            _ = send(bench.request(Self.password, client: client, station: Self.station))
        }
        bench.advance(by: .minutes(3))
        return waiters.compactMap { bench.answer(to: $0) }
    }

    private func go(_ end: DeadEnd, _ bench: LoginBench) -> [LoginAnswer] {
        var answers: [LoginAnswer?] = []
        let codes = LoginBench.client { $0.requirement = .factor }
        let client = LoginBench.client()
        switch end {
        case .wrongCode: answers.append(bench.ask(bench.request("999999", client: codes)))
        case .wrongPassword: answers.append(bench.ask(bench.request("not it,111111", client: LoginBench.client { $0.asking = .append })))
        case .wrongCodeAfterPassword:
            let handle = bench.ask(bench.request(Self.password, client: client))?.challenge?.handle
            if let handle { answers.append(bench.ask(bench.request("999999", client: client, handle: handle))) }
        case .usedCode:
            bench.records.change { tables in
                tables.marks[.totp(factor: 10, step: 1)] = RecordedDecision(
                    login: LoginID(Bits128(high: 1, low: 1)), isAccept: true, at: bench.clock.now.wall,
                    request: Fingerprint(Bits128(high: 1, low: 1)), retry: nil)
            }
            for _ in 0..<2 { answers.append(bench.ask(bench.request("111111", client: codes))) }
        case .unknownName: answers.append(bench.ask(bench.request("111111", name: "mallory", client: codes)))
        case .deniedPush:
            let pushes = LoginBench.client { $0.automaticPush = true }
            let waiter = bench.send(bench.request(Self.password, client: pushes, station: Self.station))
            bench.phone.answer(.denied(notMe: true))
            answers.append(bench.answer(to: waiter))
            answers.append(bench.ask(bench.request(Self.password, client: pushes, station: Self.station)))
        case .anothersHandle:
            let handle = bench.ask(bench.request(Self.password, client: client))?.challenge?.handle
            answers.append(bench.ask(bench.request("111111", name: "mallory", client: client, handle: handle)))
        }
        bench.advance(by: .minutes(3))
        return answers.compactMap { $0 }
    }

    @Test(arguments: Road.allCases, PortFailures.Manner.allCases)
    func noPrefixEndsInAnAcceptWithoutItsMarkAndEvent(_ road: Road, _ manner: PortFailures.Manner) throws {
        var reached: Set<String> = []
        var failing = 1
        while true {
            let failures = PortFailures(at: failing, manner)
            let bench = bench(failures, hasPhone: [.heldPush, .confirmedPush, .codeWhilePushWaits, .lateApproval].contains(road))
            let answers = go(road, bench)
            let place = "\(road), call \(failing): \(failures.failed ?? "none")"
            let accepted = Set(answers.compactMap { $0.isAccept ? $0.login : nil })
            let written = Set(bench.records.events.filter { $0.kind == .loginAccepted }.compactMap(\.login))
            #expect(accepted.isSubset(of: written), "an accept without its event: \(place)")
            #expect(accepted.count <= 1 && bench.accepts <= 1, "\(place)")
            let usesCode = [.code, .passwordThenCode, .appended].contains(road)
            if usesCode, let login = accepted.first {
                let marked = bench.records.change { $0.marks[.totp(factor: 10, step: 1)] }
                #expect(marked?.login == login && marked?.isAccept == true, "an accept without its mark: \(place)")
            }
            if [.bypass, .temporaryCode].contains(road) {
                let uses = bench.records.change { $0.grantUses.map(\.decision.login) }
                #expect(uses == Array(accepted) || accepted.isEmpty && uses.count <= 1, "an accept without its use: \(place)")
            }
            // What was refused or left open did not use up the code, or else says so in the trail.
            if usesCode, bench.records.change({ $0.marks.count }) > 0 { #expect(bench.accepts == 1, "\(place)") }
            guard let failed = failures.failed else {
                #expect(accepted.count == 1, "the run in which nothing fails ends in an accept: \(place)")
                break
            }
            if ["load", "settle", "suspend", "check", "start"].contains(failed), accepted.count == 1, manner == .fails {
                // Let in all the same: by what did not need the call that failed.
                #expect([.codeWhilePushWaits, .lateApproval].contains(road), "\(place)")
            }
            reached.insert(failed)
            failing += 1
            try #require(failing < 60)
        }
        #expect(reached.isSuperset(of: ["load", "settle"]))
    }

    @Test(arguments: DeadEnd.allCases, PortFailures.Manner.allCases)
    func noFailureTurnsARefusalIntoAnAccept(_ end: DeadEnd, _ manner: PortFailures.Manner) throws {
        var failing = 1
        while true {
            let failures = PortFailures(at: failing, manner)
            let bench = bench(failures, hasPhone: end == .deniedPush)
            let answers = go(end, bench)
            #expect(!answers.contains { $0.isAccept }, "\(end), call \(failing): \(failures.failed ?? "none")")
            #expect(bench.accepts == 0, "\(end), call \(failing): \(failures.failed ?? "none")")
            if failures.failed == nil { break }
            failing += 1
            try #require(failing < 60)
        }
        #expect(failing > 1)
    }
}
