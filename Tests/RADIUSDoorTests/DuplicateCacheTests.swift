// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

@Suite struct DuplicateCacheTests {
    private static func key(_ port: UInt16 = 1000, _ identifier: UInt8 = 1, from source: UInt32 = 1) -> RequestKey {
        RequestKey(address: NetworkAddress(v4: source), port: port, identifier: identifier)
    }

    private let first = Authenticator(high: 1, low: 1)
    private let second = Authenticator(high: 2, low: 2)
    private let reply: [UInt8] = [2, 1, 0, 20]

    private static func ticket(_ admission: DuplicateCache.Admission) throws -> DuplicateCache.Ticket {
        guard case .fresh(let ticket, _) = admission else {
            Issue.record("\(admission)")
            throw DuplicateCacheTestsError()
        }
        return ticket
    }

    @Test func retransmissionIsSwallowedWhileTheFirstIsDecidedAndAnsweredAlikeAfterwards() throws {
        let cache = Cache()
        let ticket = try Self.ticket(cache.admit(Self.key(), first, at: uptime(0)))
        #expect(cache.admit(Self.key(), first, at: uptime(1)) == .inProgress)
        // As long as it takes: a push may wait for a minute.
        #expect(cache.admit(Self.key(), first, at: uptime(60)) == .inProgress)
        #expect(cache.answer(ticket, with: reply, at: uptime(60)))
        #expect(cache.admit(Self.key(), first, at: uptime(61)) == .answered(reply))
        #expect(cache.admit(Self.key(), first, at: uptime(69)) == .answered(reply))
    }

    @Test func answerExpiresTenSecondsLater() throws {
        let cache = Cache()
        let ticket = try Self.ticket(cache.admit(Self.key(), first, at: uptime(0)))
        #expect(cache.answer(ticket, with: reply, at: uptime(5)))
        _ = try Self.ticket(cache.admit(Self.key(), first, at: uptime(15)))
        #expect(cache.count == 1)
    }

    @Test(arguments: [Self.key(1001, 1), Self.key(1000, 2), Self.key(1000, 1, from: 2)])
    func otherSourcePortOrIdentifierIsAnotherRequest(other: RequestKey) throws {
        let cache = Cache()
        _ = try Self.ticket(cache.admit(Self.key(), first, at: uptime(0)))
        _ = try Self.ticket(cache.admit(other, first, at: uptime(0)))
        #expect(cache.pendingCount == 2)
    }

    @Test func reusedIdentifierAbandonsTheOldWaiter() throws {
        let cache = Cache()
        let old = try Self.ticket(cache.admit(Self.key(), first, at: uptime(0)))
        guard case .fresh(let new, let abandoned) = cache.admit(Self.key(), second, at: uptime(1)) else {
            Issue.record("not fresh")
            return
        }
        #expect(abandoned == old.waiter)
        #expect(cache.pendingCount == 1)
        #expect(!cache.answer(old, with: reply, at: uptime(2)))
        #expect(!cache.forget(old))
        #expect(cache.answer(new, with: reply, at: uptime(2)))
        #expect(cache.pendingCount == 0)
    }

    @Test func reusedIdentifierOfAnAnsweredRequestAbandonsNobody() throws {
        let cache = Cache()
        let old = try Self.ticket(cache.admit(Self.key(), first, at: uptime(0)))
        #expect(cache.answer(old, with: reply, at: uptime(0)))
        guard case .fresh(_, nil) = cache.admit(Self.key(), second, at: uptime(1)) else {
            Issue.record("not fresh, or abandoned")
            return
        }
        #expect(cache.count == 1)
        #expect(cache.pendingCount == 1)
        cache.expire(at: uptime(100))
        #expect(cache.admit(Self.key(), second, at: uptime(100)) == .inProgress)
    }

    @Test func forgottenRequestIsDecidedAnew() throws {
        let cache = Cache()
        let ticket = try Self.ticket(cache.admit(Self.key(), first, at: uptime(0)))
        #expect(cache.forget(ticket))
        #expect(cache.count == 0)
        let again = try Self.ticket(cache.admit(Self.key(), first, at: uptime(0)))
        #expect(again.waiter != ticket.waiter)
        #expect(!cache.answer(ticket, with: reply, at: uptime(0)))
    }

    @Test func fullCacheGivesUpTheOldestAnswer() throws {
        var limits = DuplicateLimits()
        limits.entries = 4
        let cache = Cache(limits: limits)
        for identifier in UInt8(0)..<4 {
            let ticket = try Self.ticket(cache.admit(Self.key(1, identifier), first, at: uptime(0)))
            if identifier > 0 { #expect(cache.answer(ticket, with: [identifier], at: uptime(Int64(identifier)))) }
        }
        _ = try Self.ticket(cache.admit(Self.key(1, 9), first, at: uptime(5)))
        #expect(cache.count == 4)
        // 0 is being decided, so 1 had to go.
        #expect(cache.admit(Self.key(1, 0), first, at: uptime(5)) == .inProgress)
        #expect(cache.admit(Self.key(1, 2), first, at: uptime(5)) == .answered([2]))
        #expect(cache.admit(Self.key(1, 3), first, at: uptime(5)) == .answered([3]))
    }

    @Test func tooManyPendingAreShed() throws {
        var limits = DuplicateLimits()
        limits.pending = 2
        let cache = Cache(limits: limits)
        let ticket = try Self.ticket(cache.admit(Self.key(1), first, at: uptime(0)))
        _ = try Self.ticket(cache.admit(Self.key(2), first, at: uptime(0)))
        #expect(cache.admit(Self.key(3), first, at: uptime(0)) == .overloaded)
        // A retransmission and a reuse need no more room.
        #expect(cache.admit(Self.key(2), first, at: uptime(0)) == .inProgress)
        _ = try Self.ticket(cache.admit(Self.key(2), second, at: uptime(0)))
        #expect(cache.answer(ticket, with: reply, at: uptime(0)))
        _ = try Self.ticket(cache.admit(Self.key(3), first, at: uptime(0)))
    }

    @Test func nothingPendingIsGivenUpForANewcomer() throws {
        var limits = DuplicateLimits()
        limits.entries = 2
        let cache = Cache(limits: limits)
        _ = try Self.ticket(cache.admit(Self.key(1), first, at: uptime(0)))
        _ = try Self.ticket(cache.admit(Self.key(2), first, at: uptime(0)))
        #expect(cache.admit(Self.key(3), first, at: uptime(0)) == .overloaded)
    }

    @Test func hundredThousandSourcePortsStayWithinTheLimit() throws {
        var limits = DuplicateLimits()
        limits.entries = 1000
        limits.pending = 500
        let cache = Cache(limits: limits)
        var shed = 0
        for number in 0..<100_000 {
            let key = Self.key(UInt16(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 16), from: UInt32(number / 7))
            switch cache.admit(key, first, at: uptime(Int64(number / 10_000))) {
            case .fresh(let ticket, _):
                if number % 3 > 0, !cache.answer(ticket, with: reply, at: uptime(Int64(number / 10_000))) { Issue.record("not kept") }
            case .overloaded: shed += 1
            default: Issue.record("a duplicate")
            }
            if cache.count > 1000 { Issue.record("\(cache.count) entries") }
        }
        #expect(cache.pendingCount == 500)
        #expect(shed > 90_000)
    }

    /// Every order of arrival, answer, loss and expiry leaves the books in order.
    @Test func countsAgreeAfterRandomUse() {
        var limits = DuplicateLimits()
        limits.entries = 40
        limits.pending = 25
        let cache = Cache(limits: limits)
        var generator = SystemRandomNumberGenerator()
        var open: [DuplicateCache.Ticket] = []
        var pending = 0
        for step in 0..<50_000 {
            let now = uptime(Int64(step / 100))
            switch Int.random(in: 0..<4, using: &generator) {
            case 0, 1:
                let key = Self.key(1, UInt8.random(in: 0..<60, using: &generator))
                let authenticator = Authenticator(high: UInt64.random(in: 0..<3, using: &generator), low: 0)
                if case .fresh(let ticket, let abandoned) = cache.admit(key, authenticator, at: now) {
                    open.append(ticket)
                    if abandoned == nil { pending += 1 }
                }
            case 2:
                guard let ticket = open.randomElement(using: &generator) else { continue }
                if cache.answer(ticket, with: reply, at: now) { pending -= 1 }
            default:
                guard let ticket = open.randomElement(using: &generator) else { continue }
                if cache.forget(ticket) { pending -= 1 }
            }
            if open.count > 200 { open.removeFirst(100) }
            if cache.pendingCount != pending || cache.count > 40 { Issue.record("step \(step): \(cache.pendingCount) of \(cache.count)") }
        }
        cache.expire(at: uptime(10_000))
        #expect(cache.count == pending)
        #expect(cache.replyBytes == 0)
    }

    @Test func anUnsignedRequestNeverTakesThePlaceOfASignedOneThatWaits() throws {
        let cache = Cache()
        let ticket = try Self.ticket(cache.admit(Self.key(), first, at: uptime(0)))
        #expect(cache.admit(Self.key(), second, isSigned: false, at: uptime(1)) == .outranked)
        #expect(cache.answer(ticket, with: reply, at: uptime(2)))
        // Once it is answered nobody waits for it any more.
        _ = try Self.ticket(cache.admit(Self.key(), second, isSigned: false, at: uptime(3)))
        // Between two unsigned ones, and for a signed one, the later request counts.
        _ = try Self.ticket(cache.admit(Self.key(), first, isSigned: false, at: uptime(4)))
        _ = try Self.ticket(cache.admit(Self.key(), second, at: uptime(5)))
        #expect(cache.pendingCount == 1)
    }

    @Test func largeAnswersPushOutTheOldest() throws {
        var limits = DuplicateLimits()
        limits.replyBytes = 10_000
        let cache = Cache(limits: limits)
        for identifier in UInt8(0)..<10 {
            let ticket = try Self.ticket(cache.admit(Self.key(1, identifier), first, at: uptime(0)))
            #expect(cache.answer(ticket, with: [UInt8](repeating: identifier, count: 4_000), at: uptime(0)))
            #expect(cache.replyBytes <= 10_000)
        }
        #expect(cache.count == 2)
        #expect(cache.admit(Self.key(1, 9), first, at: uptime(0)) == .answered([UInt8](repeating: 9, count: 4_000)))
        _ = try Self.ticket(cache.admit(Self.key(1, 7), first, at: uptime(0)))
        // Another request in an answered place gives its bytes back.
        _ = try Self.ticket(cache.admit(Self.key(1, 8), second, at: uptime(0)))
        #expect(cache.replyBytes == 4_000)
    }
}

private struct DuplicateCacheTestsError: Error {}

/// `#expect` cannot call what mutates a value.
private final class Cache {
    private var cache: DuplicateCache

    init(limits: DuplicateLimits = DuplicateLimits()) {
        cache = DuplicateCache(limits: limits)
    }

    var count: Int { cache.count }
    var pendingCount: Int { cache.pendingCount }

    var replyBytes: Int { cache.replyBytes }

    func admit(
        _ key: RequestKey, _ authenticator: Authenticator, isSigned: Bool = true, at now: Timestamp
    ) -> DuplicateCache.Admission {
        cache.admit(key, authenticator, isSigned: isSigned, at: now)
    }

    func answer(_ ticket: DuplicateCache.Ticket, with reply: [UInt8], at now: Timestamp) -> Bool {
        cache.answer(ticket, with: reply, at: now) != nil
    }

    func forget(_ ticket: DuplicateCache.Ticket) -> Bool { cache.forget(ticket) }

    func expire(at now: Timestamp) {
        cache.expire(at: now)
    }
}
