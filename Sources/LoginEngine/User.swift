// SPDX-License-Identifier: Apache-2.0
// A person who logs in, and what she can prove herself with.

internal import Synchronization

package enum UserStatus: String, Sendable, CaseIterable {
    case pending, active, disabled
}

/// A user as one login judges by it.
package struct User: Sendable, Equatable {
    package var id: Int64
    /// The login name as it was given; the names it is found by are normalised (`UserName`).
    package var name: String
    package var status: UserStatus
    /// The PHC string of argon2id (`$argon2id$v=19$…`); nil when no password was set.
    package var passwordHash: Secret?
    /// What is kept beside it for CHAP and MS-CHAP; nil unless an administrator has enabled that.
    package var kept: KeptPassword?
    /// The password opens nothing until it is changed.
    package var mustChangePassword = false
    /// Rises whenever the password is set, or has to be changed.
    package var passwordRevision: Int64 = 0
    /// What is said of this user: where the password lives. Nil: groups and client say.
    package var home: PasswordHome?
    /// The row of the directory where it lives at this login (`HomeTable`); nil: here.
    package var directory: Int64?
    /// How many sessions may be open at once; nil: what groups and policies say.
    package var mostSessions: Int?
    /// Such as `Europe/Berlin`; nil where none is kept.
    package var timeZone: String?

    package init(id: Int64, name: String, status: UserStatus, passwordHash: Secret?) {
        self.id = id
        self.name = name
        self.status = status
        self.passwordHash = passwordHash
    }
}

/// What a proof that shows no password can be compared with. An object, because hardly any user has one.
package final class KeptPassword: Sendable, Equatable {
    /// 16 bytes, for MS-CHAP (RFC 2759 §8.3); as good as the password there.
    package let ntHash: Secret?
    /// The password itself, for CHAP.
    package let text: Secret?

    package init(ntHash: Secret?, text: Secret?) {
        self.ntHash = ntHash
        self.text = text
    }

    /// Nil when nothing is kept for this scheme.
    package func candidate(for scheme: ProofScheme) -> PasswordCandidate? {
        switch scheme {
        case .pap: nil
        case .chap: text.map { .text($0) }
        case .msCHAP, .msCHAPv2: ntHash.map { .ntHash($0) } ?? text.map { .text($0) }
        }
    }

    package static func == (left: KeptPassword, right: KeptPassword) -> Bool { left.ntHash == right.ntHash && left.text == right.text }
}

package enum FactorKind: String, Sendable, CaseIterable {
    case totp, hotp, recovery, push
}

package enum FactorState: String, Sendable, CaseIterable {
    case pending, active, disabled
}

package enum CodeAlgorithm: String, Sendable, CaseIterable {
    case sha1, sha256, sha512
}

/// One enrolled second factor of a user.
package struct Factor: Sendable, Equatable {
    package var id: Int64
    package var kind: FactorKind
    package var label: String
    package var state: FactorState
    /// The shared key of TOTP and HOTP; empty for kinds that have none.
    package var secret: Secret
    package var algorithm: CodeAlgorithm = .sha1
    /// 6…8
    package var digits = 6
    /// TOTP: seconds a step lasts.
    package var period = 30
    /// The highest TOTP step or HOTP counter that was used, folded row and live marks together; −1 when none was.
    package var highestUsed: Int64 = -1
    /// Its row alone: every step up to it was used, or is too old to be.
    package var folded: Int64 = -1
    /// HOTP behind a restore: while no higher counter was used, one code is not enough, since it may have been used before.
    package var unproven: Int64?
    /// TOTP: how many steps the token's clock was seen to be ahead of ours (negative: behind).
    package var drift = 0
    /// HOTP: the counter of a right code beyond the window, waiting for its successor, and when it stops waiting.
    package var resynchronisation: Resynchronisation?

    /// What its kind made of the secret, kept as long as the facts are.
    package let derived = Derived()

    package struct Resynchronisation: Sendable, Equatable {
        package var counter: Int64
        package var expires: Timestamp

        package init(counter: Int64, expires: Timestamp) {
            self.counter = counter
            self.expires = expires
        }
    }

    package init(id: Int64, kind: FactorKind, label: String, state: FactorState, secret: Secret) {
        self.id = id
        self.kind = kind
        self.label = label
        self.state = state
        self.secret = secret
    }
}

/// A value that is made of a factor's secret once and used at every login: keying a hash costs as much as a code.
///
/// Copies of the factor share it; no two factors are told apart by it.
package final class Derived: Sendable, Equatable {
    private let value = Mutex<(any AnyObject & Sendable)?>(nil)

    package init() {}

    /// - Parameter make: nil is not kept.
    package func value<Value: AnyObject & Sendable>(_ make: () -> Value?) -> Value? {
        if let known = value.withLock({ $0 }) as? Value { return known }
        guard let made = make() else { return nil }
        value.withLock { $0 = made }
        return made
    }

    package static func == (left: Derived, right: Derived) -> Bool { true }
}
