// SPDX-License-Identifier: Apache-2.0
// Whether one upstream server is worth asking: what its answers and its silence say. Pure.

package import LoginEngine

package struct ServerHealth: Sendable, Equatable {
    /// Between two Status-Server to one that is silent (RFC 5997 §4.2; RFC 3539 §3.4.1 asks for no less than 6 s, with one server to a
    /// peer; a login waits for this one).
    package static let probeEvery: Timestamp.Span = .seconds(5)
    /// One that knows no Status-Server is tried with a login this often.
    package static let trialEvery: Timestamp.Span = .seconds(60)

    /// Nil: it answers.
    package private(set) var downSince: Timestamp?
    package private(set) var lastHeard: Timestamp?
    /// The oldest request since then that it has not answered; nil: none was sent.
    package private(set) var askedSince: Timestamp?
    /// It answers Status-Server, so no login has to find out.
    package private(set) var knowsProbes = false
    private var nextTrial: Timestamp?

    package init() {}

    package var isUp: Bool { downSince == nil }

    package mutating func asked(at now: Timestamp) {
        askedSince = askedSince ?? now
    }

    /// - Returns: whether it was down before.
    package mutating func heard(at now: Timestamp, isProbe: Bool = false) -> Bool {
        lastHeard = now
        askedSince = nil
        if isProbe { knowsProbes = true }
        defer { (downSince, nextTrial) = (nil, nil) }
        return downSince != nil
    }

    /// Every sending of a request, the first at `since`, was for nothing.
    ///
    /// - Returns: whether it is down from now on.
    package mutating func silent(since: Timestamp, at now: Timestamp) -> Bool {
        // It answered others meanwhile: it lives, and this one request is lost.
        if let lastHeard, lastHeard >= since { return false }
        return down(at: now)
    }

    /// Nothing listens there, or nothing can be sent.
    package mutating func refused(at now: Timestamp) -> Bool { down(at: now) }

    private mutating func down(at now: Timestamp) -> Bool {
        nextTrial = now + Self.trialEvery
        guard downSince == nil else { return false }
        downSince = now
        return true
    }

    /// Whether a login may find out whether it is back; asked once, it is the next one's turn only after a while.
    package mutating func takeTrial(at now: Timestamp) -> Bool {
        guard !isUp, !knowsProbes, let nextTrial, now >= nextTrial else { return false }
        self.nextTrial = now + Self.trialEvery
        return true
    }
}
