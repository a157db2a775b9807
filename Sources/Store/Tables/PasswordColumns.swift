// SPDX-License-Identifier: Apache-2.0
// The password of a user and what is kept beside it; and a new one that waits in a login's row until the login is accepted.

internal import LoginEngine

extension Records {
    static func setPassword(_ hash: Secret?, _ kept: KeptPassword?, ofUser user: Int64, _ sealing: Sealing) -> Statement {
        Statement(.setPassword, passwordValues(hash, kept, ofUser: user, sealing))
    }

    private static func passwordValues(_ hash: Secret?, _ kept: KeptPassword?, ofUser user: Int64, _ sealing: Sealing) -> [SQLValue] {
        [
            .integer(user), .blob(hash.map { sealing.seal($0, at: .passwordHash(user)) }),
            .blob(kept?.ntHash.map { sealing.seal($0, at: .ntHash(user)) }),
            .blob(kept?.text.map { sealing.seal($0, at: .clearPassword(user)) }),
        ]
    }

    /// Hashing takes a while: what an administrator has dropped since it began is not kept again.
    static func dropUnkept(ofUser user: Int64, _ kept: KeptPassword?) -> [Statement] {
        var statements: [Statement] = []
        if kept?.ntHash != nil {
            statements.append(Statement(.dropUnkeptNTHash, [.integer(user), .text(PasswordKeeping.Part.ntHash.setting)]))
        }
        if kept?.text != nil {
            statements.append(Statement(.dropUnkeptClearPassword, [.integer(user), .text(PasswordKeeping.Part.clearPassword.setting)]))
        }
        return statements
    }

    /// What a settlement writes of its new password; nil where it has none.
    func renewal(of settlement: Settlement) -> SettledRenewal? {
        guard let renewal = settlement.renewal, let user = settlement.user, settlement.decision.isAccept else { return nil }
        let values = Self.passwordValues(renewal.hash, renewal.kept, ofUser: user, sealing) + [.integer(renewal.replaces)]
        return SettledRenewal(
            set: Unit.Guard(Statement(.renewPassword, values)),
            then: Self.dropUnkept(ofUser: user, renewal.kept) + [
                Self.dropOpenHandles(ofUser: user, at: settlement.decision.at), Statement(.raiseRevision),
            ])
    }
}

/// Written with the settlement it belongs to.
struct SettledRenewal: Sendable {
    /// Refused when the password that was proved is another by now. It writes, so it comes after all others.
    var set: Unit.Guard
    var then: [Statement]
}

extension PasswordRenewal {
    func sealed(_ handle: HandleID, ofUser user: Int64, _ sealing: Sealing) -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(1)
        writer.signed(replaces)
        hash.reveal { writer.blob($0) }
        for part in [kept?.ntHash, kept?.text] {
            writer.byte(part == nil ? 0 : 1)
            part?.reveal { writer.blob($0) }
        }
        return sealing.seal(Secret(writer.bytes), at: .renewal(handle, ofUser: user))
    }

    /// - Returns: nil when it does not open or cannot be read: the login it belongs to must not be accepted without it.
    static func opened(_ sealed: [UInt8], _ handle: HandleID, ofUser user: Int64, _ sealing: Sealing) -> PasswordRenewal? {
        do {
            return try sealing.open(sealed, at: .renewal(handle, ofUser: user)).reveal { bytes throws(DecodingError) in
                var reader = ByteReader(bytes[...])
                let version = try reader.byte()
                guard version == 1 else { throw .unknownVersion(version) }
                let replaces = try reader.signed()
                let hash = Secret(Array(try reader.blob()))
                let ntHash = try reader.byte() == 1 ? Secret(Array(try reader.blob())) : nil
                let text = try reader.byte() == 1 ? Secret(Array(try reader.blob())) : nil
                let kept = ntHash == nil && text == nil ? nil : KeptPassword(ntHash: ntHash, text: text)
                return PasswordRenewal(hash: hash, kept: kept, replaces: replaces)
            }
        } catch {
            return nil
        }
    }
}

extension SealedPlace {
    static func passwordHash(_ user: Int64) -> SealedPlace { SealedPlace(table: "user", row: user, column: "password_hash") }
    static func ntHash(_ user: Int64) -> SealedPlace { SealedPlace(table: "user", row: user, column: "nt_hash") }
    static func clearPassword(_ user: Int64) -> SealedPlace { SealedPlace(table: "user", row: user, column: "clear_password") }
    static func renewal(_ handle: HandleID, ofUser user: Int64) -> SealedPlace {
        SealedPlace(table: "login_handle", row: Int64(bitPattern: handle.bits.low), column: "renewal", owner: user)
    }
}

extension SQL {
    fileprivate static let setPassword = SQL(
        """
        UPDATE "user" SET password_hash = ?2, nt_hash = ?3, clear_password = ?4, must_change = 0,
            password_revision = password_revision + 1
        WHERE id = ?1
        """)
    /// ?5 the revision of the password that was proved
    fileprivate static let renewPassword = SQL(
        """
        UPDATE "user" SET password_hash = ?2, nt_hash = ?3, clear_password = ?4, must_change = 0,
            password_revision = password_revision + 1
        WHERE id = ?1 AND password_revision = ?5
        """)
    fileprivate static let dropUnkeptNTHash = SQL(
        "UPDATE \"user\" SET nt_hash = NULL WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM setting WHERE name = ?2 AND value = 'on')")
    fileprivate static let dropUnkeptClearPassword = SQL(
        "UPDATE \"user\" SET clear_password = NULL WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM setting WHERE name = ?2 AND value = 'on')")
    /// New passwords that wait: their logins begin anew.
    static let dropRenewals = SQL("DELETE FROM login_handle WHERE renewal IS NOT NULL AND decided_at IS NULL")
}
