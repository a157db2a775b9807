// SPDX-License-Identifier: Apache-2.0
// What is kept of passwords beside their hash, for CHAP and MS-CHAP: off until an administrator enables it.

package import LoginEngine

/// In force from the next password on that is set.
package struct PasswordKeeping: Sendable, Equatable {
    package enum Part: String, Sendable, CaseIterable {
        case ntHash = "nt-hash"
        case clearPassword = "clear-password"
    }

    package var parts: Set<Part>

    package init(_ parts: Set<Part> = []) {
        self.parts = parts
    }

    /// Schemes that a password can be checked by.
    package var schemes: ProofSchemes {
        var schemes = ProofSchemes.pap
        if parts.contains(.ntHash) { schemes.formUnion(.needNTHash) }
        if parts.contains(.clearPassword) { schemes.formUnion(.needText) }
        return schemes
    }
}

extension Records {
    package func passwordKeeping() throws(StoreError) -> PasswordKeeping {
        var parts: Set<PasswordKeeping.Part> = []
        for part in PasswordKeeping.Part.allCases where try setting(part.setting) == "on" { parts.insert(part) }
        return PasswordKeeping(parts)
    }

    package func keep(_ part: PasswordKeeping.Part, event: Event) async throws(StoreError) {
        try await setSetting(part.setting, to: "on", event: event)
    }

    /// Whatever was kept goes in the same transaction, and what waits to be.
    package func drop(_ part: PasswordKeeping.Part, event: Event) async throws(StoreError) {
        let erase: SQL =
            switch part {
            case .ntHash: .dropNTHashes
            case .clearPassword: .dropClearPasswords
            }
        let unit = Unit([
            Statement(.dropSetting, [.text(part.setting)]), Statement(erase), Statement(.dropRenewals), Statement(.raiseRevision),
        ])
        try await change(unit) { _ in [event] }
    }

    /// Users of whom it is kept.
    package func keptCount(_ part: PasswordKeeping.Part) throws(StoreError) -> Int {
        let count: SQL =
            switch part {
            case .ntHash: .countNTHashes
            case .clearPassword: .countClearPasswords
            }
        return try read([Statement(count)]) { results throws(DatabaseError) in Int(try results[0][0].integer(0)) }
    }
}

extension PasswordKeeping.Part {
    var setting: String { "password.keep-" + rawValue }
}

extension SQL {
    fileprivate static let dropNTHashes = SQL("UPDATE \"user\" SET nt_hash = NULL WHERE nt_hash IS NOT NULL")
    fileprivate static let dropClearPasswords = SQL("UPDATE \"user\" SET clear_password = NULL WHERE clear_password IS NOT NULL")
    fileprivate static let countNTHashes = SQL("SELECT count(*) FROM \"user\" WHERE nt_hash IS NOT NULL")
    fileprivate static let countClearPasswords = SQL("SELECT count(*) FROM \"user\" WHERE clear_password IS NOT NULL")
}
