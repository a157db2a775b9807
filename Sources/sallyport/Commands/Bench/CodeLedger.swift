// SPDX-License-Identifier: Apache-2.0
// Who has proved himself with which code: a client that keeps at it, across lost packets and ended servers, and notices every answer
// that no server may give.

import RADIUS

/// One entry for each user; a code is followed by the next once it is known to be used up.
struct CodeLedger {
    enum Finding: Equatable {
        /// Used up now, and known to be.
        case accepted
        /// An accept of a code that was accepted before.
        case acceptedTwice
        /// Refused, although an earlier try went unanswered: that one may have been accepted unheard.
        case usedUpUnheard
        /// Refused at the only try.
        case wronglyRefused
        /// Refused after its accept was heard, as it should be.
        case refusedAgain
        /// To no request that is remembered.
        case stale
    }

    /// A request as far as its answer can still be told.
    struct Try: Equatable {
        var serial: UInt32
        var counter: UInt32
        var authenticator: Authenticator
        var sent: UInt64
    }

    private struct Entry {
        var counter: UInt32 = 0
        /// Tries of the code that have had no answer.
        var tries: UInt32 = 0
        var serial: UInt32 = 0
        var latest: Try?
        var before: Try?
        var isWaiting = false
    }

    private var entries: [Entry]
    /// Where a code may be used again and again: a password.
    private let staysGood: Bool

    init(users: Int, staysGood: Bool) {
        entries = [Entry](repeating: Entry(), count: users)
        self.staysGood = staysGood
    }

    func counter(of user: Int) -> UInt32 { entries[user].counter }
    func isWaiting(_ user: Int) -> Bool { entries[user].isWaiting }
    /// Whether a try went unanswered, so that nobody knows whether its code is used up.
    func isUnresolved(_ user: Int) -> Bool { entries[user].tries > 0 }

    /// - Parameter isReplay: sends the code before again, which must be refused.
    mutating func send(_ user: Int, authenticator: Authenticator, isReplay: Bool = false, at now: UInt64) -> Try {
        entries[user].serial &+= 1
        let counter = entries[user].counter - (isReplay ? 1 : 0)
        let request = Try(serial: entries[user].serial, counter: counter, authenticator: authenticator, sent: now)
        entries[user].before = entries[user].latest
        entries[user].latest = request
        entries[user].isWaiting = true
        if !isReplay { entries[user].tries += 1 }
        return request
    }

    /// The try that an answer belongs to.
    func find(_ user: Int, serial: UInt32) -> Try? {
        guard entries.indices.contains(user) else { return nil }
        if let latest = entries[user].latest, latest.serial == serial { return latest }
        if let before = entries[user].before, before.serial == serial { return before }
        return nil
    }

    /// No answer came in time; the same code is tried again.
    /// - Returns: false when the try was answered, or followed by another.
    mutating func giveUp(_ user: Int, serial: UInt32) -> Bool {
        guard entries[user].isWaiting, entries[user].latest?.serial == serial else { return false }
        entries[user].isWaiting = false
        return true
    }

    mutating func answer(_ user: Int, to request: Try, isAccept: Bool) -> Finding {
        if entries[user].latest?.serial == request.serial {
            entries[user].latest = nil
            entries[user].isWaiting = false
        } else if entries[user].before?.serial == request.serial {
            entries[user].before = nil
        } else {
            return .stale
        }
        if staysGood {
            entries[user].tries = 0
            return isAccept ? .accepted : .wronglyRefused
        }
        // Its fate was known already.
        guard request.counter == entries[user].counter else { return isAccept ? .acceptedTwice : .refusedAgain }
        let wasTriedBefore = entries[user].tries > 1
        // While a later try is under way a refusal of an earlier one leaves open what becomes of that.
        if !isAccept, wasTriedBefore, entries[user].isWaiting {
            entries[user].tries -= 1
            return .refusedAgain
        }
        entries[user].counter += 1
        entries[user].tries = 0
        if isAccept { return .accepted }
        return wasTriedBefore ? .usedUpUnheard : .wronglyRefused
    }
}
