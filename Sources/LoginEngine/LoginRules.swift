// SPDX-License-Identifier: Apache-2.0
// What holds for all logins of a node: limits, factors, and whose certificates are whose.

/// What logins are judged by besides their own facts.
package struct LoginRules: Sendable {
    package var lockout = LockoutRules()
    /// How each kind of factor begins, and the word that asks for it.
    package var offers: [FactorKind: Offer] = [:]
    /// Whether a wrong password also counts against the user at a directory that is not ours.
    package var bindCountsElsewhere = false
    /// How it is told whose a certificate is.
    package var certificates = CertificateRules()
    /// How temporary codes are told.
    package var grants = GrantRules()
    /// Factors started for one user in a minute; more are refused.
    package var startsPerMinute = 5
    /// Challenges of one user in a minute that no accept came of, from one source and from all; more are refused.
    package var challengesFromSource = 20
    package var challengesPerMinute = 100
    /// Challenges by directories of all names that nobody has here, at one client in a minute.
    package var strangersChallengesPerMinute = 100
    /// Nil: a reject leaves when it is decided.
    package var rejectRelease: RejectRelease?

    package struct Offer: Sendable, Equatable {
        package var beginning: FactorBeginning
        package var keyword: String?

        package init(beginning: FactorBeginning, keyword: String?) {
            self.beginning = beginning
            self.keyword = keyword
        }
    }

    package init() {}
}
