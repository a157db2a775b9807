// SPDX-License-Identifier: Apache-2.0
// When a source has shown that it always sends Message-Authenticator, so that a request without one is suspect (CVE-2024-3596).

import LoginEngine

/// Counts Access-Requests by source. Pure: the time comes in.
///
/// What never counts is left out by the caller: EAP, which must carry one anyway, Status-Server, and the built-in test client.
struct PinRule {
    /// Access-Requests that must have carried a right one.
    static let requests = 20
    /// One in so many may come without: whoever can forge a packet must not keep a source from being pinned by a single one.
    static let oneUnsignedIn = 20
    /// The time they must span.
    static let span = Timestamp.Span.minutes(60)
    /// A source not heard of for so long makes room when the table is full.
    static let idle = Timestamp.Span.minutes(24 * 60)
    /// Sweeps cost time, so a full table is not swept for each newcomer.
    static let betweenSweeps = Timestamp.Span.minutes(1)

    private struct Seen {
        var signed = 0
        var unsigned = 0
        var first: Timestamp
        var last: Timestamp
    }

    /// A client's range may hold millions of addresses.
    let capacity: Int
    private var sources: [ClientPin: Seen] = [:]
    private var lastSweep: Timestamp?

    init(capacity: Int = 4096) {
        self.capacity = capacity
    }

    var count: Int { sources.count }

    /// Takes note of one Access-Request.
    ///
    /// - Returns: whether the source is to be pinned now. Counting starts anew then, so that a pin that could not be stored
    ///   is reported again after another round.
    mutating func note(_ source: ClientPin, hasMessageAuthenticator: Bool, at now: Timestamp) -> Bool {
        guard var seen = sources[source] else {
            if hasMessageAuthenticator, hasRoom(at: now) { sources[source] = Seen(signed: 1, first: now, last: now) }
            return false
        }
        seen.last = now
        if hasMessageAuthenticator { seen.signed += 1 } else { seen.unsigned += 1 }
        // A forged packet pins nothing, and the verdict falls on a signed one.
        let isOver = hasMessageAuthenticator && seen.signed >= Self.requests && now - seen.first >= Self.span
        let isPinned = isOver && seen.unsigned * Self.oneUnsignedIn <= seen.signed + seen.unsigned
        if isOver { seen = Seen(first: now, last: now) }
        sources[source] = seen
        return isPinned
    }

    private mutating func hasRoom(at now: Timestamp) -> Bool {
        if sources.count < capacity { return true }
        if let lastSweep, now - lastSweep < Self.betweenSweeps { return false }
        lastSweep = now
        sources = sources.filter { now - $0.value.last < Self.idle }
        return sources.count < capacity
    }
}
