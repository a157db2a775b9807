// SPDX-License-Identifier: Apache-2.0
// The EAP conversations that are under way: State ↔ machine, bounded in number, bytes and time.

internal import EAP
package import LoginEngine
internal import Synchronization
internal import TLS

package struct EAPConversationLimits: Sendable {
    /// Kept in all; one more pushes out the one that was quiet the longest.
    package var count = 20_000
    /// Kept in all, over all of them.
    package var bytes = 256 << 20
    /// One client has at most one part in so many of both, so that none has the others' devices pushed out.
    package var parts = 4
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
        var client: Int64 = 0
        var bytes = 0
        var began: Timestamp
        var touched: Timestamp
        /// `newer` also chains the free ones.
        var order = Neighbours()
        /// Among those of the same client.
        var own = Neighbours()
    }

    /// In the order of touching.
    private struct Neighbours {
        var older: Int32 = -1
        var newer: Int32 = -1
    }

    private struct Ends {
        var oldest: Int32 = -1
        var newest: Int32 = -1
    }

    /// What one client has.
    private struct Share {
        var ends = Ends()
        var count = 0
        var bytes = 0
    }

    private struct Kept {
        var places: [Bits128: Int32] = [:]
        var slots: [Slot] = []
        var ends = Ends()
        /// One for each client that ever had a conversation.
        var shares: [Int64: Share] = [:]
        var free: Int32 = -1
        var bytes = 0
        var random: any RandomNumberGenerator & Sendable
    }

    /// Those that are being judged are passed by, but not all of them for one newcomer.
    private static let mostPassedBy = 64

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
    ///
    /// - Returns: nil when all that the client has are being judged.
    func open(_ make: (_ state: Bits128) -> EAPConversation, client: Int64, at now: Timestamp) -> EAPConversation? {
        let conversation = make(kept.withLock { Bits128(random: &$0.random) })
        let bytes = conversation.keptBytes
        let (isKept, dropped) = kept.withLock { kept in
            var dropped = expire(&kept, at: now)
            guard makeRoom(&kept, for: client, count: 1, bytes: bytes, &dropped, at: now) else { return (false, dropped) }
            let place = takeFree(&kept, now)
            kept.slots[Int(place)].conversation = conversation
            kept.slots[Int(place)].state = conversation.state
            kept.slots[Int(place)].client = client
            kept.slots[Int(place)].began = now
            kept.places[conversation.state] = place
            kept.shares[client, default: Share()].count += 1
            grow(&kept, place, to: bytes)
            link(&kept, place, at: now)
            return (true, dropped)
        }
        count(dropped)
        guard isKept else { return nil }
        counters.begun.add()
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
                dropped.conversations.append(release(&kept, place))
                dropped.expired += 1
                return (nil, dropped)
            }
            touch(&kept, place, at: now)
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
            grow(&kept, place, to: bytes)
            touch(&kept, place, at: now)
            var dropped = Dropped()
            _ = makeRoom(&kept, for: conversation.client, count: 0, bytes: 0, &dropped, at: now)
            return dropped
        }
        count(dropped)
    }

    func close(_ conversation: EAPConversation) {
        _ = kept.withLock { kept in kept.places[conversation.state].flatMap { release(&kept, $0) } }
    }

    // MARK: The list

    private struct Dropped {
        var pushedOut = 0
        var expired = 0
        /// Freed outside of the lock: a session of TLS takes a while, and logins wait for the lock.
        var conversations: [EAPConversation?] = []
    }

    private func count(_ dropped: Dropped) {
        if dropped.pushedOut > 0 { counters.pushedOut.add(dropped.pushedOut) }
        if dropped.expired > 0 { counters.expired.add(dropped.expired) }
    }

    private func expire(_ kept: inout Kept, at now: Timestamp) -> Dropped {
        var dropped = Dropped()
        while kept.ends.oldest >= 0, now - kept.slots[Int(kept.ends.oldest)].touched > limits.quiet {
            let place = kept.ends.oldest
            if kept.slots[Int(place)].conversation?.isBeingJudged == true {
                // A phone may be looked at for longer; the gateway is still there.
                touch(&kept, place, at: now)
                continue
            }
            dropped.conversations.append(release(&kept, place))
            dropped.expired += 1
        }
        return dropped
    }

    /// Pushes out what is quiet until so much more fits: of the client's own where it has its part, else of all.
    private func makeRoom(
        _ kept: inout Kept, for client: Int64, count: Int, bytes: Int, _ dropped: inout Dropped, at now: Timestamp
    ) -> Bool {
        while true {
            let own = kept.shares[client] ?? Share()
            let isOver = own.count + count > limits.count / limits.parts || own.bytes + bytes > limits.bytes / limits.parts
            guard isOver || kept.places.count + count > limits.count || kept.bytes + bytes > limits.bytes else { return true }
            guard let quietest = pushOut(&kept, of: isOver ? client : nil, at: now) else { return false }
            dropped.conversations.append(quietest)
            dropped.pushedOut += 1
        }
    }

    private func pushOut(_ kept: inout Kept, of client: Int64?, at now: Timestamp) -> EAPConversation? {
        for _ in 0..<Self.mostPassedBy {
            let ends = client.map { kept.shares[$0]?.ends ?? Ends() } ?? kept.ends
            guard ends.oldest >= 0 else { return nil }
            guard kept.slots[Int(ends.oldest)].conversation?.isBeingJudged == true else { return release(&kept, ends.oldest) }
            // The engine has spent a hash or a push on it, and somebody waits.
            touch(&kept, ends.oldest, at: now)
        }
        return nil
    }

    private func takeFree(_ kept: inout Kept, _ now: Timestamp) -> Int32 {
        if kept.free >= 0 {
            let place = kept.free
            kept.free = kept.slots[Int(place)].order.newer
            return place
        }
        kept.slots.append(Slot(state: Bits128(high: 0, low: 0), began: now, touched: now))
        return Int32(kept.slots.count - 1)
    }

    private func grow(_ kept: inout Kept, _ place: Int32, to bytes: Int) {
        let more = bytes - kept.slots[Int(place)].bytes
        kept.slots[Int(place)].bytes = bytes
        kept.bytes += more
        kept.shares[kept.slots[Int(place)].client, default: Share()].bytes += more
    }

    private func touch(_ kept: inout Kept, _ place: Int32, at now: Timestamp) {
        unlink(&kept, place)
        link(&kept, place, at: now)
    }

    private func link(_ kept: inout Kept, _ place: Int32, at now: Timestamp) {
        kept.slots[Int(place)].touched = now
        Self.append(place, to: &kept.ends, of: &kept.slots, \.order)
        Self.append(place, to: &kept.shares[kept.slots[Int(place)].client, default: Share()].ends, of: &kept.slots, \.own)
    }

    private func unlink(_ kept: inout Kept, _ place: Int32) {
        Self.remove(place, from: &kept.ends, of: &kept.slots, \.order)
        Self.remove(place, from: &kept.shares[kept.slots[Int(place)].client, default: Share()].ends, of: &kept.slots, \.own)
    }

    private static func append(_ place: Int32, to ends: inout Ends, of slots: inout [Slot], _ chain: WritableKeyPath<Slot, Neighbours>) {
        slots[Int(place)][keyPath: chain] = Neighbours(older: ends.newest, newer: -1)
        if ends.newest >= 0 { slots[Int(ends.newest)][keyPath: chain].newer = place } else { ends.oldest = place }
        ends.newest = place
    }

    private static func remove(_ place: Int32, from ends: inout Ends, of slots: inout [Slot], _ chain: WritableKeyPath<Slot, Neighbours>) {
        let own = slots[Int(place)][keyPath: chain]
        if own.older >= 0 { slots[Int(own.older)][keyPath: chain].newer = own.newer } else { ends.oldest = own.newer }
        if own.newer >= 0 { slots[Int(own.newer)][keyPath: chain].older = own.older } else { ends.newest = own.older }
    }

    private func release(_ kept: inout Kept, _ place: Int32) -> EAPConversation? {
        unlink(&kept, place)
        grow(&kept, place, to: 0)
        kept.shares[kept.slots[Int(place)].client]?.count -= 1
        kept.places[kept.slots[Int(place)].state] = nil
        kept.slots[Int(place)].order.newer = kept.free
        kept.free = place
        return kept.slots[Int(place)].conversation.take()
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
    /// Certificates of devices whose chain was found good, in this handshake or in that of a session that was taken up again.
    private let shown = Tally("sallyport_eap_certificates_total", [("outcome", "shown")])
    private let resumed = Tally("sallyport_eap_certificates_total", [("outcome", "resumed")])
    private let refused = Dictionary(
        uniqueKeysWithValues: PeerRefusal.Cause.allCases.map {
            ($0.rawValue, Tally("sallyport_eap_certificates_total", [("outcome", $0.rawValue)]))
        })

    func show(_ certificate: EAPCertificate) { (certificate.shownBefore == nil ? shown : resumed).add() }

    /// - Parameter cause: that of a `PeerRefusal`.
    func refuse(_ cause: String) { refused[cause]?.add() }

    var refusals: [String: Int] { refused.compactMapValues { $0.count > 0 ? $0.count : nil } }
}
