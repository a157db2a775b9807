// SPDX-License-Identifier: Apache-2.0
// Which requests are being decided or were just answered, so that a retransmission is not a second login (RFC 5080 §2.2.2).

package import LoginEngine
import RADIUS

package struct DuplicateLimits: Sendable {
    /// Kept in all, per listener. A source port has 256 identifiers.
    package var entries = 65_536
    /// Still being decided; more are shed.
    package var pending = 32_768
    /// Bytes of answers kept; a chain of proxies makes them large.
    package var replyBytes = 64 << 20
    /// How long an answer is kept; RFC 5080 §2.2.2 wants 5 to 30 seconds.
    package var keep = Timestamp.Span.seconds(10)

    package init() {}
}

/// What makes two requests of one listener the same, together with the Request Authenticator.
struct RequestKey: Hashable {
    var address: NetworkAddress
    var port: UInt16
    var identifier: UInt8

    static func == (left: RequestKey, right: RequestKey) -> Bool {
        left.address.bits == right.address.bits && left.tail == right.tail
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(UInt64(truncatingIfNeeded: address.bits))
        hasher.combine(UInt64(truncatingIfNeeded: address.bits >> 64) ^ UInt64(tail) << 40)
    }

    private var tail: UInt32 { UInt32(port) << 8 | UInt32(identifier) }
}

/// The cache of one listener. Never allocates for a packet but to grow up to its limits.
struct DuplicateCache {
    /// Names an entry to the one who will answer it.
    struct Ticket: Equatable {
        let slot: Int32
        let waiter: UInt64
    }

    enum Admission: Equatable {
        /// To be decided; `abandoned` waited for the request that this one replaces.
        case fresh(Ticket, abandoned: UInt64?)
        /// The answer will come once.
        case inProgress
        /// The same bytes again.
        case answered([UInt8])
        case overloaded
        /// It has the identifier of a signed request that is being decided, and is not signed itself: anybody may have sent it.
        case outranked
    }

    private enum Standing { case free, pending, answered }

    private struct Slot {
        var key: RequestKey
        var authenticator: Authenticator
        var waiter: UInt64
        /// Whether a right Message-Authenticator proves who sent it.
        var isSigned = false
        var history: RequestHistory
        var reply: [UInt8] = []
        var expires = Timestamp(microseconds: 0)
        var standing = Standing.pending
        /// Neighbours in the order of answering, which is the order of expiry; `newer` also chains the free ones.
        var older: Int32 = -1
        var newer: Int32 = -1
    }

    let limits: DuplicateLimits
    private var places: [RequestKey: Int32] = [:]
    private var slots: [Slot] = []
    private var oldest: Int32 = -1
    private var newest: Int32 = -1
    private var free: Int32 = -1
    private var lastWaiter: UInt64
    private(set) var pendingCount = 0
    private(set) var replyBytes = 0

    /// - Parameter firstWaiter: waiters are numbered from here, so that listeners never share a number.
    init(limits: DuplicateLimits = DuplicateLimits(), firstWaiter: UInt64 = 0) {
        self.limits = limits
        lastWaiter = firstWaiter
    }

    var count: Int { places.count }

    mutating func admit(_ key: RequestKey, _ authenticator: Authenticator, isSigned: Bool = false, at now: Timestamp) -> Admission {
        expire(at: now)
        let place = places[key]
        if let place, slots[Int(place)].authenticator == authenticator {
            guard slots[Int(place)].standing == .pending else { return .answered(slots[Int(place)].reply) }
            slots[Int(place)].history.came(again: now)
            return .inProgress
        }
        if let place, slots[Int(place)].standing == .pending {
            guard isSigned || !slots[Int(place)].isSigned else { return .outranked }
            // The identifier was reused: the gateway has given up on the request before.
            let abandoned = slots[Int(place)].waiter
            return .fresh(occupy(place, key, authenticator, isSigned, now), abandoned: abandoned)
        }
        guard pendingCount < limits.pending else { return .overloaded }
        if let place {
            unlink(place)
            pendingCount += 1
            return .fresh(occupy(place, key, authenticator, isSigned, now), abandoned: nil)
        }
        guard let place = takeFree() else { return .overloaded }
        places[key] = place
        pendingCount += 1
        return .fresh(occupy(place, key, authenticator, isSigned, now), abandoned: nil)
    }

    /// Keeps the answer for retransmissions.
    ///
    /// - Returns: how the request came; nil when nobody waits any more: the answer must not be sent.
    mutating func answer(_ ticket: Ticket, with reply: [UInt8], at now: Timestamp) -> RequestHistory? {
        guard isPending(ticket) else { return nil }
        let index = Int(ticket.slot)
        while oldest >= 0, replyBytes + reply.count > limits.replyBytes { evictOldest() }
        replyBytes += reply.count
        slots[index].reply = reply
        slots[index].standing = .answered
        slots[index].expires = now + limits.keep
        slots[index].older = newest
        slots[index].newer = -1
        if newest >= 0 { slots[Int(newest)].newer = ticket.slot } else { oldest = ticket.slot }
        newest = ticket.slot
        pendingCount -= 1
        slots[index].history.answered = now
        return slots[index].history
    }

    /// No answer was given: a retransmission is decided anew. False when nobody waited any more.
    @discardableResult
    mutating func forget(_ ticket: Ticket) -> Bool {
        guard isPending(ticket) else { return false }
        pendingCount -= 1
        release(ticket.slot)
        return true
    }

    /// Forgets what is being decided for some keys: nobody can be answered there any more. Looks at every entry.
    ///
    /// - Returns: their waiters.
    mutating func forgetPending(where isGone: (RequestKey) -> Bool) -> [UInt64] {
        var waiters: [UInt64] = []
        for place in slots.indices where slots[place].standing == .pending && isGone(slots[place].key) {
            waiters.append(slots[place].waiter)
            pendingCount -= 1
            release(Int32(place))
        }
        return waiters
    }

    /// Drops the answers whose time is over.
    mutating func expire(at now: Timestamp) {
        while oldest >= 0, slots[Int(oldest)].expires <= now { evictOldest() }
    }

    private func isPending(_ ticket: Ticket) -> Bool {
        slots[Int(ticket.slot)].standing == .pending && slots[Int(ticket.slot)].waiter == ticket.waiter
    }

    private mutating func occupy(
        _ place: Int32, _ key: RequestKey, _ authenticator: Authenticator, _ isSigned: Bool, _ now: Timestamp
    ) -> Ticket {
        lastWaiter += 1
        slots[Int(place)] = Slot(
            key: key, authenticator: authenticator, waiter: lastWaiter, isSigned: isSigned, history: RequestHistory(at: now))
        return Ticket(slot: place, waiter: lastWaiter)
    }

    private mutating func takeFree() -> Int32? {
        if free < 0, slots.count >= limits.entries {
            guard oldest >= 0 else { return nil }
            evictOldest()
        }
        if free >= 0 {
            let place = free
            free = slots[Int(place)].newer
            return place
        }
        let blank = RequestKey(address: NetworkAddress(bits: 0), port: 0, identifier: 0)
        let never = RequestHistory(at: Timestamp(microseconds: 0))
        slots.append(Slot(key: blank, authenticator: Authenticator(high: 0, low: 0), waiter: 0, history: never))
        return Int32(slots.count - 1)
    }

    private mutating func evictOldest() {
        let place = oldest
        unlink(place)
        release(place)
    }

    private mutating func unlink(_ place: Int32) {
        replyBytes -= slots[Int(place)].reply.count
        let (older, newer) = (slots[Int(place)].older, slots[Int(place)].newer)
        if older >= 0 { slots[Int(older)].newer = newer } else { oldest = newer }
        if newer >= 0 { slots[Int(newer)].older = older } else { newest = older }
    }

    private mutating func release(_ place: Int32) {
        places[slots[Int(place)].key] = nil
        slots[Int(place)].reply = []
        slots[Int(place)].standing = .free
        slots[Int(place)].newer = free
        free = place
    }
}
