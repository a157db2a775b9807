// SPDX-License-Identifier: Apache-2.0
// What the user reads when something is still owed.

package enum Prompt {
    /// Names only what this user can use: `Enter your code:`, `Enter your code, or type push:`.
    package static func text(offering kinds: [FactorKind], keywords: [String], temporaryCode: Bool = false) -> String {
        let hasCode = temporaryCode || kinds.contains { $0 == .totp || $0 == .hotp || $0 == .recovery }
        let words = list(keywords)
        switch (hasCode, words.isEmpty) {
        case (true, true): return "Enter your code:"
        case (true, false): return "Enter your code, or type \(words):"
        case (false, false): return "Type \(words):"
        case (false, true): return uniform
        }
    }

    /// The same text for every name, where a difference would tell one from another.
    package static let uniform = "Enter your code:"

    /// While a phone is asked (`WaitingShape.confirm`).
    package static let confirm = "Approve on your phone, then press OK, or enter a code:"

    /// Where a directory asks something and does not say what.
    package static let foreign = "Enter your answer:"

    /// For every reason that a factor-only client could tell names apart by.
    package static let wrongNameOrCode = "The user name or code is wrong, or too many were tried. Wait for the next code."

    /// The one sentence for every rejection.
    package static let rejected = "Login refused."

    private static func list(_ words: [String]) -> String {
        words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
    }
}
