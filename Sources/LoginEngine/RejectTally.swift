// SPDX-License-Identifier: Apache-2.0
// Equal rejects beyond the first few of a minute become one event with a count, so that spraying cannot fill the disk.

/// Counts equal rejects of one minute. Bounded: what finds no room is counted together.
package struct RejectTally: Sendable {
    package struct Key: Hashable, Sendable {
        var source: NetworkAddress?
        var subject: FailureSubject
        var reason: String?
    }

    private var counts: [Key: (count: Int, last: Event)] = [:]
    private var overflow: (count: Int, last: Event)?
    /// Events of a kind that are written one by one in a minute.
    package static let writtenEach = 5
    package let capacity: Int

    package init(capacity: Int) {
        self.capacity = capacity
    }

    package var isEmpty: Bool { counts.isEmpty && overflow == nil }

    /// - Returns: whether this event is to be written by itself.
    package mutating func count(_ event: Event, subject: FailureSubject) -> Bool {
        let key = Key(source: event.source, subject: subject, reason: event.reason)
        if let known = counts[key] {
            counts[key] = (known.count + 1, event)
            return known.count < Self.writtenEach
        }
        guard counts.count < capacity else {
            overflow = ((overflow?.count ?? 0) + 1, event)
            return false
        }
        counts[key] = (1, event)
        return true
    }

    /// The minute is over: one event for each kind that had more than were written.
    package mutating func flush(at now: Timestamp) -> [Event] {
        var events: [Event] = []
        for (count, last) in counts.values where count > Self.writtenEach {
            events.append(Self.summary(of: count - Self.writtenEach, like: last, at: now))
        }
        if let overflow {
            var event = Event(.loginsRejected, at: now, details: [Event.Detail("count", String(overflow.count))])
            event.reason = "many-different"
            events.append(event)
        }
        counts.removeAll(keepingCapacity: counts.count < 64)
        overflow = nil
        return events
    }

    private static func summary(of count: Int, like last: Event, at now: Timestamp) -> Event {
        var event = last
        event.kind = .loginsRejected
        event.at = now
        event.login = nil
        event.details = last.details.filter { $0.name == "client" } + [Event.Detail("count", String(count))]
        return event
    }
}
