// SPDX-License-Identifier: Apache-2.0
// Failures → refusals until a time. Values only: who keeps them, and where, is the business of `Failures` and `Store`.

/// The numbers of behaviour: how many failures in what time, and what they cost.
package struct LockoutRules: Sendable, Equatable {
    /// Wrong passwords of one user from one source, and from all sources together.
    package var passwordFromSource = 10
    package var password = 50
    /// Evaluated wrong codes of one user over all sources.
    package var code = 5
    package var recovery = 5
    package var window: Timestamp.Span = .minutes(15)
    package var recoveryWindow: Timestamp.Span = .minutes(60)
    /// Password locks double from one minute; this is where they stop.
    package var longestPasswordLock: Timestamp.Span = .minutes(64)

    package init() {}

    package func limit(_ kind: FailureRecord.Kind) -> Int {
        switch kind {
        case .passwordFromSource: passwordFromSource
        case .password: password
        case .code: code
        case .recovery: recovery
        }
    }

    package func window(_ kind: FailureRecord.Kind) -> Timestamp.Span {
        kind == .recovery ? recoveryWindow : window
    }

    /// How long the lock of this level lasts, level 1 being the first.
    package func lock(_ kind: FailureRecord.Kind, level: Int) -> Timestamp.Span {
        switch kind {
        case .passwordFromSource, .password:
            let doubled = Timestamp.Span.minutes(Int64(1) << Int64(min(max(level, 1), 20) - 1))
            return min(doubled, longestPasswordLock)
        case .code, .recovery:
            // As long as the window, so that no span of that length ever holds more guesses than the limit.
            return window(kind)
        }
    }
}

extension FailureRecord {
    /// Until when nothing is evaluated; nil when it may be.
    package func lockEnd(at now: Timestamp, rules: LockoutRules) -> Timestamp? {
        guard let lockedUntil, now < lockedUntil else { return nil }
        return lockedUntil
    }

    /// Failures that still count; 0 once the window is over or a lock was served.
    func live(at now: Timestamp, rules: LockoutRules) -> Int {
        let age = now - (lockedUntil ?? since)
        return age > rules.window(kind) || lockedUntil != nil ? 0 : count
    }

    /// This counter after one more failure. What comes while it is locked changes nothing, so that a burst is one lock.
    package func counting(at now: Timestamp, rules: LockoutRules) -> FailureRecord {
        var next = rebased(at: now, rules: rules)
        if next.lockEnd(at: now, rules: rules) != nil { return next }
        if now - (next.lockedUntil ?? next.since) > rules.window(kind) {
            next = FailureRecord(kind: kind, source: source, count: 0, since: now, level: 0, lockedUntil: nil)
        } else if next.lockedUntil != nil {
            // The lock was served: as many failures as before for the next one, which lasts longer.
            next.count = 0
            next.since = now
            next.lockedUntil = nil
        }
        next.count += 1
        if next.count >= rules.limit(kind) {
            next.level += 1
            next.lockedUntil = now + rules.lock(kind, level: next.level)
        }
        return next
    }

    /// The same counter on a clock that was set back: it keeps its count, and a lock lasts no longer than a fresh one would.
    package func rebased(at now: Timestamp, rules: LockoutRules) -> FailureRecord {
        var same = self
        if same.since > now { same.since = now }
        let longest = rules.lock(kind, level: max(level, 1))
        if let lockedUntil, lockedUntil - now > longest { same.lockedUntil = now + longest }
        return same
    }
}
