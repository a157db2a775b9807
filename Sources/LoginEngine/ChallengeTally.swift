// SPDX-License-Identifier: Apache-2.0
// How often each user was asked within the minute without a login that came of it.

/// Bounded: names that nobody has find no place beyond the capacity, and what is asked of them costs nothing anyway.
struct ChallengeTally: Sendable {
    private struct Asked {
        var count = 0
        var bySource: [String: Int] = [:]
    }

    private var minute: Int64 = 0
    private var asked: [FailureSubject: Asked] = [:]
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// Counts one challenge, unless there were too many.
    mutating func mayAsk(_ subject: FailureSubject, from source: String, at uptime: Timestamp, rules: LoginRules) -> Bool {
        let now = uptime.microseconds / 60_000_000
        if now != minute {
            minute = now
            asked.removeAll(keepingCapacity: asked.count < 64)
        }
        if case .nobody = subject, asked[subject] == nil, asked.count >= capacity { return true }
        var known = asked[subject] ?? Asked()
        let ofSource = known.bySource[source] ?? 0
        guard known.count < rules.challengesPerMinute, ofSource < rules.challengesFromSource else { return false }
        known.count += 1
        known.bySource[source] = ofSource + 1
        asked[subject] = known
        return true
    }

    /// One of them was answered rightly.
    mutating func forget(_ subject: FailureSubject) {
        if !asked.isEmpty { asked[subject] = nil }
    }
}

/// What directories asked names that nobody has here, within the minute, of each client. Every one of them is a row and an event, whatever
/// name was invented for it.
struct StrangersChallenges: Sendable {
    private var minute: Int64 = 0
    private var asked: [Int64: Int] = [:]

    mutating func mayAsk(at client: Int64, _ uptime: Timestamp, rules: LoginRules) -> Bool {
        let now = uptime.microseconds / 60_000_000
        if now != minute {
            minute = now
            asked = [:]
        }
        guard asked[client, default: 0] < rules.strangersChallengesPerMinute else { return false }
        asked[client, default: 0] += 1
        return true
    }

    /// One of them was answered rightly.
    mutating func giveBack(at client: Int64) {
        if let count = asked[client], count > 0 { asked[client] = count - 1 }
    }
}
