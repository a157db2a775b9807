// SPDX-License-Identifier: Apache-2.0
// The table of EAP conversations: what is kept, what is pushed out, and what is forgotten.

import EAP
import LoginEngine
import Testing

@testable import RADIUSDoor

struct EAPConversationsTests {
    private let counters = EAPCounters()

    private func conversations(_ change: (inout EAPConversationLimits) -> Void = { _ in }) -> EAPConversations {
        var limits = EAPConversationLimits()
        change(&limits)
        return EAPConversations(limits: limits, random: SystemRandomNumberGenerator(), counters: counters)
    }

    private func open(_ all: EAPConversations, of client: Int64 = 1, at now: Timestamp) throws -> EAPConversation {
        let made = all.open(
            { EAPConversation(state: $0, client: client, source: address("192.0.2.1"), methods: [GTCMethod()]) }, client: client, at: now)
        return try #require(made)
    }

    private func isThere(_ one: EAPConversation, in all: EAPConversations, at now: Timestamp) -> Bool {
        all.find(one.state.bytes, client: one.client, source: address("192.0.2.1"), at: now) === one
    }

    /// One whose question the engine has.
    private func openJudged(_ all: EAPConversations, at now: Timestamp) throws -> EAPConversation {
        let one = try open(all, at: now)
        _ = one.take(EAPPacket(.response, identifier: 1, type: .identity, data: [65]).bytes, at: now) { _ in }
        let typed = EAPPacket(.response, identifier: 2, type: .genericTokenCard, data: [65]).bytes
        guard case .judge = one.take(typed, at: now, other: { _ in }) else { throw NothingIsAsked() }
        return one
    }

    private struct NothingIsAsked: Error {}

    @Test func twentyThousandAreKeptAndTheQuietestGoFirst() throws {
        let all = conversations()
        let first = try open(all, at: uptime(0))
        let second = try open(all, at: uptime(0))
        for number in 2..<20_000 { _ = try open(all, of: Int64(number % 5), at: uptime(1)) }
        #expect(isThere(first, in: all, at: uptime(2)))
        #expect(all.figures.open == 20_000)
        // Well under forty kilobytes each.
        #expect(all.figures.bytes < 20_000 * 2_048)
        _ = try open(all, of: 7, at: uptime(3))
        #expect(all.figures.open == 20_000)
        #expect(!isThere(second, in: all, at: uptime(3)))
        #expect(isThere(first, in: all, at: uptime(3)))
        #expect(counters.pushedOut.count == 1)
    }

    @Test func bytesAreBounded() throws {
        let all = conversations { ($0.bytes, $0.parts) = (10_000, 1) }
        for _ in 0..<100 { _ = try open(all, at: uptime(0)) }
        #expect(all.figures.bytes <= 10_000)
        #expect(all.figures.open > 5 && counters.pushedOut.count == 100 - all.figures.open)
        // One that grows pushes others out too.
        let one = try open(all, at: uptime(0))
        let before = all.figures
        let identity = EAPPacket(.response, identifier: 1, type: .identity, data: [UInt8](repeating: 65, count: 250)).bytes
        _ = one.take(identity, at: uptime(0)) { _ in }
        all.note(one, at: uptime(0))
        #expect(all.figures.bytes <= 10_000 && all.figures.open < before.open)
        #expect(isThere(one, in: all, at: uptime(0)))
    }

    @Test func quietOnesAreForgotten() throws {
        let all = conversations()
        let one = try open(all, at: uptime(0))
        #expect(isThere(one, in: all, at: uptime(120)))
        #expect(isThere(one, in: all, at: uptime(240)))
        #expect(!isThere(one, in: all, at: uptime(361)))
        #expect(counters.expired.count == 1 && all.figures == EAPConversations.Figures())
    }

    @Test func roundsThatNeverEndAreForgotten() throws {
        let all = conversations()
        let one = try open(all, at: uptime(0))
        for second in stride(from: 60, through: 900, by: 60) { #expect(isThere(one, in: all, at: uptime(Int64(second)))) }
        #expect(!isThere(one, in: all, at: uptime(901)))
    }

    @Test func oneThatIsBeingJudgedIsKept() throws {
        let all = conversations()
        let one = try openJudged(all, at: uptime(0))
        _ = try open(all, at: uptime(300))
        #expect(isThere(one, in: all, at: uptime(301)))
    }

    @Test func noClientPushesOutAnothers() throws {
        let all = conversations { $0.count = 40 }
        let honest = try (0..<10).map { _ in try open(all, at: uptime(0)) }
        let first = try open(all, of: 2, at: uptime(1))
        for _ in 0..<100 { _ = try open(all, of: 2, at: uptime(1)) }
        #expect(all.figures.open == 20 && counters.pushedOut.count == 91)
        #expect(honest.allSatisfy { isThere($0, in: all, at: uptime(2)) })
        #expect(!isThere(first, in: all, at: uptime(2)))
        // The same by bytes, as they grow.
        let narrow = conversations { $0.bytes = 40_000 }
        let quiet = try open(narrow, at: uptime(0))
        let identity = EAPPacket(.response, identifier: 1, type: .identity, data: [UInt8](repeating: 65, count: 250)).bytes
        for _ in 0..<100 {
            let one = try open(narrow, of: 2, at: uptime(1))
            _ = one.take(identity, at: uptime(1)) { _ in }
            narrow.note(one, at: uptime(1))
        }
        #expect(narrow.figures.bytes <= 10_000 + quiet.keptBytes)
        #expect(isThere(quiet, in: narrow, at: uptime(2)))
    }

    @Test func whatIsBeingJudgedIsNotPushedOut() throws {
        let all = conversations { ($0.count, $0.parts) = (4, 1) }
        let judged = try openJudged(all, at: uptime(0))
        let others = try (0..<3).map { _ in try open(all, at: uptime(1)) }
        for _ in 0..<10 { _ = try open(all, at: uptime(2)) }
        #expect(isThere(judged, in: all, at: uptime(3)))
        #expect(others.allSatisfy { !isThere($0, in: all, at: uptime(3)) })
        #expect(all.figures.open == 4)
        // Where all are, none gives way to a newcomer.
        let full = conversations { ($0.count, $0.parts) = (2, 1) }
        let both = [try openJudged(full, at: uptime(0)), try openJudged(full, at: uptime(0))]
        let more = full.open(
            { EAPConversation(state: $0, client: 1, source: address("192.0.2.1"), methods: [GTCMethod()]) }, client: 1, at: uptime(1))
        #expect(more == nil && both.allSatisfy { isThere($0, in: full, at: uptime(1)) })
    }

    @Test func theBoundOfBytesIsAQuarterOfAGigabyte() {
        #expect(EAPConversationLimits().bytes == 268_435_456 && EAPConversationLimits().parts == 4)
    }

    @Test func aFewMayWaitForOneAnswer() throws {
        let all = conversations()
        let one = try open(all, at: uptime(0))
        let typed = EAPPacket(.response, identifier: 2, type: .genericTokenCard, data: [65]).bytes
        _ = one.take(EAPPacket(.response, identifier: 1, type: .identity, data: [65]).bytes, at: uptime(0)) { _ in }
        guard case .judge = one.take(typed, at: uptime(0), other: { _ in }) else {
            Issue.record("nothing is asked")
            return
        }
        for _ in 0..<EAPConversation.mostOthers {
            guard case .joined = one.take(typed, at: uptime(0), other: { _ in }) else {
                Issue.record("nobody may wait")
                return
            }
        }
        guard case .busy = one.take(typed, at: uptime(0), other: { _ in }) else {
            Issue.record("one more may wait")
            return
        }
        #expect(one.judged(.reject(loginID, message: "no"), at: uptime(0)).others.count == EAPConversation.mostOthers)
    }

    @Test func closedOnesLeaveTheirRoom() throws {
        let all = conversations()
        let some = try (0..<10).map { _ in try open(all, at: uptime(0)) }
        for one in some { all.close(one) }
        for one in some { all.close(one) }
        #expect(all.figures == EAPConversations.Figures())
        #expect(!isThere(some[3], in: all, at: uptime(0)))
        let another = try open(all, at: uptime(0))
        #expect(isThere(another, in: all, at: uptime(0)))
    }
}
