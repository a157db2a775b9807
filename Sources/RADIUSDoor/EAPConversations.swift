// SPDX-License-Identifier: Apache-2.0
// The EAP conversations that are under way: State ↔ machine, bounded in number, bytes and time.

package import LoginEngine
internal import Synchronization

package struct EAPConversationLimits: Sendable {
    /// Kept in all; one more pushes out the one that was quiet the longest.
    package var count = 20_000
    /// Kept in all, over all of them: 40 KB each.
    package var bytes = 20_000 * 40_960
    /// Forgotten when nothing came for so long: as long as somebody may look for a code.
    package var quiet = Timestamp.Span.minutes(2)
    /// Forgotten in any case: rounds that never end.
    package var life = Timestamp.Span.minutes(15)

    package init() {}
}

/// One for all listeners: a gateway may go on over another of them. In the order in which something last came of them.
final class EAPConversations: Sendable {
    struct Figures: Equatable {
        var open = 0
        var bytes = 0
    }

    private struct Slot {
        var conversation: EAPConversation?
        var state: Bits128
        var bytes = 0
        var began: Timestamp
        var touched: Timestamp
        /// Neighbours in the order of touching; `newer` also chains the free ones.
        var older: Int32 = -1
        var newer: Int32 = -1
    }

    private struct Kept {
        var places: [Bits128: Int32] = [:]
        var slots: [Slot] = []
        var oldest: Int32 = -1
        var newest: Int32 = -1
        var free: Int32 = -1
        var bytes = 0
        var random: any RandomNumberGenerator & Sendable
    }

    private let limits: EAPConversationLimits
    private let kept: Mutex<Kept>
    private let counters: EAPCounters

    init(limits: EAPConversationLimits, random: any RandomNumberGenerator & Sendable, counters: EAPCounters) {
        self.limits = limits
        self.counters = counters
        kept = Mutex(Kept(random: random))
    }

    var figures: Figures { kept.withLock { Figures(open: $0.places.count, bytes: $0.bytes) } }

    /// Random bytes for challenges.
    func challenge() -> [UInt8] {
        kept.withLock { Bits128(random: &$0.random) }.bytes
    }

    /// Begins one.
    func open(_ make: (_ state: Bits128) -> EAPConversation, at now: Timestamp) -> EAPConversation {
        counters.begun.add()
        let state = kept.withLock { Bits128(random: &$0.random) }
        let conversation = make(state)
        let bytes = conversation.keptBytes
        let dropped = kept.withLock { kept in
            var dropped = expire(&kept, at: now)
            while kept.places.count >= limits.count || kept.bytes + bytes > limits.bytes, kept.oldest >= 0 {
                release(&kept, kept.oldest)
                dropped.pushedOut += 1
            }
            let place = takeFree(&kept, now)
            kept.slots[Int(place)].conversation = conversation
            kept.slots[Int(place)].state = state
            kept.slots[Int(place)].began = now
            kept.slots[Int(place)].bytes = bytes
            kept.bytes += bytes
            kept.places[state] = place
            link(&kept, place, at: now)
            return dropped
        }
        count(dropped)
        return conversation
    }

    /// The one of this State, if it is this client's and came from there.
    func find(_ state: [UInt8], client: Int64, source: NetworkAddress, at now: Timestamp) -> EAPConversation? {
        guard let state = Bits128(state) else { return nil }
        let (found, dropped) = kept.withLock { kept in
            var dropped = expire(&kept, at: now)
            guard let place = kept.places[state], let found = kept.slots[Int(place)].conversation, found.client == client,
                found.source == source
            else { return (nil as EAPConversation?, dropped) }
            if now - kept.slots[Int(place)].began > limits.life {
                release(&kept, place)
                dropped.expired += 1
                return (nil, dropped)
            }
            unlink(&kept, place)
            link(&kept, place, at: now)
            return (found, dropped)
        }
        count(dropped)
        return found
    }

    /// It has grown or shrunk, or something else came of it than a packet.
    func note(_ conversation: EAPConversation, at now: Timestamp) {
        let bytes = conversation.keptBytes
        let dropped = kept.withLock { kept in
            guard let place = kept.places[conversation.state] else { return Dropped() }
            kept.bytes += bytes - kept.slots[Int(place)].bytes
            kept.slots[Int(place)].bytes = bytes
            unlink(&kept, place)
            link(&kept, place, at: now)
            var dropped = Dropped()
            while kept.bytes > limits.bytes, kept.oldest >= 0 {
                release(&kept, kept.oldest)
                dropped.pushedOut += 1
            }
            return dropped
        }
        count(dropped)
    }

    func close(_ conversation: EAPConversation) {
        kept.withLock { kept in
            if let place = kept.places[conversation.state] { release(&kept, place) }
        }
    }

    // MARK: The list

    private struct Dropped {
        var pushedOut = 0
        var expired = 0
    }

    private func count(_ dropped: Dropped) {
        if dropped.pushedOut > 0 { counters.pushedOut.add(dropped.pushedOut) }
        if dropped.expired > 0 { counters.expired.add(dropped.expired) }
    }

    private func expire(_ kept: inout Kept, at now: Timestamp) -> Dropped {
        var dropped = Dropped()
        while kept.oldest >= 0, now - kept.slots[Int(kept.oldest)].touched > limits.quiet {
            let place = kept.oldest
            if kept.slots[Int(place)].conversation?.isBeingJudged == true {
                // A phone may be looked at for longer; the gateway is still there.
                unlink(&kept, place)
                link(&kept, place, at: now)
                continue
            }
            release(&kept, place)
            dropped.expired += 1
        }
        return dropped
    }

    private func takeFree(_ kept: inout Kept, _ now: Timestamp) -> Int32 {
        if kept.free >= 0 {
            let place = kept.free
            kept.free = kept.slots[Int(place)].newer
            return place
        }
        kept.slots.append(Slot(state: Bits128(high: 0, low: 0), began: now, touched: now))
        return Int32(kept.slots.count - 1)
    }

    private func link(_ kept: inout Kept, _ place: Int32, at now: Timestamp) {
        kept.slots[Int(place)].touched = now
        kept.slots[Int(place)].older = kept.newest
        kept.slots[Int(place)].newer = -1
        if kept.newest >= 0 { kept.slots[Int(kept.newest)].newer = place } else { kept.oldest = place }
        kept.newest = place
    }

    private func unlink(_ kept: inout Kept, _ place: Int32) {
        let (older, newer) = (kept.slots[Int(place)].older, kept.slots[Int(place)].newer)
        if older >= 0 { kept.slots[Int(older)].newer = newer } else { kept.oldest = newer }
        if newer >= 0 { kept.slots[Int(newer)].older = older } else { kept.newest = older }
    }

    private func release(_ kept: inout Kept, _ place: Int32) {
        unlink(&kept, place)
        kept.places[kept.slots[Int(place)].state] = nil
        kept.bytes -= kept.slots[Int(place)].bytes
        kept.slots[Int(place)].conversation = nil
        kept.slots[Int(place)].bytes = 0
        kept.slots[Int(place)].newer = kept.free
        kept.free = place
    }
}

/// What is counted of them.
final class EAPCounters: Sendable {
    let begun = Tally("sallyport_eap_conversations_total", [("event", "begun")])
    let accepted = Tally("sallyport_eap_conversations_total", [("event", "accepted")])
    let failed = Tally("sallyport_eap_conversations_total", [("event", "failed")])
    /// Nothing came any more.
    let expired = Tally("sallyport_eap_conversations_total", [("event", "expired")])
    /// Newer ones took the room.
    let pushedOut = Tally("sallyport_eap_conversations_total", [("event", "pushed_out")])
    /// Packets whose State nobody has.
    let unknown = Tally("sallyport_eap_conversations_total", [("event", "unknown_state")])
}
