// SPDX-License-Identifier: Apache-2.0
// How long a gateway waits for an answer and how often it asks: learnt from requests that had to wait.

import LoginEngine
import RADIUS

/// How one request came, until it was answered.
struct RequestHistory: Equatable {
    var arrived: Timestamp
    var answered: Timestamp
    /// Packets, the first among them.
    var copies = 1
    /// When the second came; `arrived` where there was none.
    var second: Timestamp
    var latest: Timestamp

    var waited: Timestamp.Span { answered - arrived }

    init(at now: Timestamp) {
        (arrived, answered, second, latest) = (now, now, now, now)
    }

    mutating func came(again now: Timestamp) {
        if copies == 1 { second = now }
        latest = now
        // Nobody asks so often; a flood of copies must not make it wrap.
        copies = min(copies + 1, 1_000)
    }
}

/// Looks only at answers that were slow, or were asked for again. Pure and of fixed size: the time comes in.
struct RetryHabit {
    /// Of each kind.
    static let kept = 16
    /// A faster answer is there before any gateway asks again.
    static let slow = Timestamp.Span.milliseconds(500)
    /// Within this time two packets are what a gateway sends at once, not a retry.
    static let atOnce = Timestamp.Span.milliseconds(200)
    /// What is older tells how the gateway was set once.
    static let memory = Timestamp.Span.minutes(24 * 60)
    /// So many requests have to have waited as long without a second packet.
    static let quietOnes = 3

    private struct Repeated {
        var at: Timestamp
        var interval: Timestamp.Span
        var copies: Int
        /// It had stopped asking before the answer came.
        var isWhole: Bool
    }

    /// A request that waited, and what tells it from another user's.
    private struct Waited {
        var subject: Int
        var authenticator: Authenticator
        var source: NetworkAddress
        var history: RequestHistory
    }

    private struct Renewed {
        var at: Timestamp
        var hasMoved: Bool
    }

    private var repeated = Ring<Repeated>(capacity: kept)
    private var quiet = Ring<RequestHistory>(capacity: kept)
    private var waited = Ring<Waited>(capacity: kept)
    private var renewed = Ring<Renewed>(capacity: kept)

    /// Takes note of one answered request.
    ///
    /// - Parameter subject: of user, device and session, equal in a retry; nil where the request says too little to tell.
    /// - Returns: whether it is a retry of one that was still waiting, under a new identifier.
    mutating func note(_ history: RequestHistory, subject: Int?, authenticator: Authenticator, source: NetworkAddress) -> Bool {
        if history.copies > 1 {
            // A copy that the network doubled is none of the gateway's.
            let interval = history.second - history.arrived
            if interval >= Self.atOnce {
                let stoppedFor = history.answered - history.latest
                let isWhole = stoppedFor.microseconds > Self.lastInterval(history).microseconds * 3 / 2
                repeated.add(Repeated(at: history.answered, interval: interval, copies: history.copies, isWhole: isWhole))
            }
        } else if history.waited >= Self.slow {
            quiet.add(history)
        }
        guard let subject, history.waited >= Self.slow else { return false }
        let other = waited.elements.first { other in
            other.subject == subject && other.authenticator != authenticator && other.history.answered > history.arrived
                && history.answered > other.history.arrived && Self.distance(other.history.arrived, history.arrived) >= Self.atOnce
        }
        waited.add(Waited(subject: subject, authenticator: authenticator, source: source, history: history))
        guard let other else { return false }
        renewed.add(Renewed(at: history.answered, hasMoved: other.source != source))
        return true
    }

    func reading(at now: Timestamp) -> GatewayHabits.Retries {
        var reading = GatewayHabits.Retries()
        let recent = repeated.elements.filter { now - $0.at <= Self.memory }
        reading.repeated = recent.count
        reading.interval = Self.middle(recent.map(\.interval))
        reading.tries = Self.middle(recent.filter(\.isWhole).map(\.copies))
        reading.most = recent.map(\.copies).max() ?? 0
        let silences = quiet.elements.filter { now - $0.answered <= Self.memory }.map(\.waited).sorted()
        if silences.count >= Self.quietOnes { reading.patience = silences[silences.count - Self.quietOnes] }
        let retries = renewed.elements.filter { now - $0.at <= Self.memory }
        reading.renewed = retries.count
        reading.moved = retries.count { $0.hasMoved }
        return reading
    }

    /// The mean of all but the first, which may be the shortest: many gateways wait longer each time.
    private static func lastInterval(_ history: RequestHistory) -> Timestamp.Span {
        guard history.copies > 2 else { return history.second - history.arrived }
        return Timestamp.Span(microseconds: (history.latest - history.second).microseconds / Int64(history.copies - 2))
    }

    private static func distance(_ left: Timestamp, _ right: Timestamp) -> Timestamp.Span {
        left < right ? right - left : left - right
    }

    private static func middle<Value: Comparable>(_ values: [Value]) -> Value? {
        values.isEmpty ? nil : values.sorted()[values.count / 2]
    }
}

/// The newest elements, in no order.
private struct Ring<Element> {
    let capacity: Int
    private(set) var elements: [Element] = []
    private var next = 0

    init(capacity: Int) {
        self.capacity = capacity
    }

    mutating func add(_ element: Element) {
        if elements.count < capacity {
            elements.append(element)
        } else {
            elements[next] = element
        }
        next = (next + 1) % capacity
    }
}
