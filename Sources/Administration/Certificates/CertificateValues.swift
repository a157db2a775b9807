// SPDX-License-Identifier: Apache-2.0
// The authority and its certificates as the administrator sees them, and what can be asked about them.

package struct AuthorityView: Codable, Sendable, Equatable {
    package var id: Int64
    package var name: String
    /// Names of servers that it can vouch for; empty: every one.
    package var domains: [String]
    /// `p256` or `rsa3072`.
    package var key: String
    /// SHA-256 of the certificate, which two people compare.
    package var fingerprint: String
    package var begins: Instant
    package var ends: Instant
    package var isInForce: Bool
    /// Certificates of it that hold.
    package var certificates: Int
}

package struct CertificateView: Codable, Sendable, Equatable {
    /// Hexadecimal; `ca revoke` takes its beginning.
    package var serial: String
    package var authority: Int64
    /// `server`, `client` or `device`.
    package var usage: String
    /// Of a device: the user's.
    package var name: String
    /// Of a device: how it is called.
    package var device: String?
    /// `valid`, `revoked`, `held` (its user is disabled) or `ended`.
    package var state: String
    package var begins: Instant
    package var ends: Instant
    package var fingerprint: String
    package var issuedBy: String
    package var revoked: Instant?
    package var reason: String?
}

package struct InitAuthority: AdminOperation {
    package static let verb = "ca.init"
    package var name: String?
    package var domains: [String]
    /// `p256` or `rsa3072`.
    package var key: String?
    package var days: Int?
    /// That a new one takes the place of the one in force, which devices go on to believe until it is removed.
    package var isReplacement: Bool

    package init(
        name: String? = nil, domains: [String] = [], key: String? = nil, days: Int? = nil, isReplacement: Bool = false
    ) {
        (self.name, self.domains, self.key, self.days, self.isReplacement) = (name, domains, key, days, isReplacement)
    }

    package struct Answer: Codable, Sendable {
        package var message: String
        package var authority: AuthorityView
        package var warnings: [String]
    }
}

package struct ShowAuthority: AdminOperation {
    package static let verb = "ca.show"

    package init() {}

    package struct Answer: Codable, Sendable {
        /// The one in force first.
        package var authorities: [AuthorityView]
        /// Certificates of all, in PEM, in their order: what devices and gateways have to believe.
        package var pem: String
        package var warnings: [String]
    }
}

package struct RemoveAuthority: AdminOperation {
    package static let verb = "ca.remove"
    package var authority: Int64

    package init(authority: Int64) {
        self.authority = authority
    }
}

package struct IssueCertificate: AdminOperation {
    package static let verb = "ca.issue"
    package var name: String
    /// `server` or `client`.
    package var usage: String
    /// Of a server; its own name stands first in any case.
    package var dnsNames: [String]
    package var key: String?
    package var days: Int?

    package init(name: String, usage: String, dnsNames: [String] = [], key: String? = nil, days: Int? = nil) {
        (self.name, self.usage, self.dnsNames, self.key, self.days) = (name, usage, dnsNames, key, days)
    }

    package struct Answer: Codable, Sendable {
        package var message: String
        package var certificate: CertificateView
        package var pem: String
        /// Shown once: it is kept nowhere else.
        package var key: SecretText
        package var authority: String
        package var warnings: [String]
    }
}

package struct RevokeCertificate: AdminOperation {
    package static let verb = "ca.revoke"
    /// The serial number, or a beginning of it that no other has.
    package var serial: String
    package var reason: String?

    package init(serial: String, reason: String? = nil) {
        (self.serial, self.reason) = (serial, reason)
    }
}

package struct ListCertificates: AdminOperation {
    package static let verb = "ca.list"
    /// Those that hold and end within so many days.
    package var endingDays: Int?
    /// `server`, `client` or `device`.
    package var usage: String?
    /// Those that were revoked, and nothing else.
    package var isRevoked: Bool

    package init(endingDays: Int? = nil, usage: String? = nil, isRevoked: Bool = false) {
        (self.endingDays, self.usage, self.isRevoked) = (endingDays, usage, isRevoked)
    }

    package struct Answer: Codable, Sendable {
        package var certificates: [CertificateView]
    }
}

package struct SignRevocationList: AdminOperation {
    package static let verb = "ca.crl"
    /// Nil: the one in force.
    package var authority: Int64?
    /// Until the next one at the latest.
    package var days: Int?

    package init(authority: Int64? = nil, days: Int? = nil) {
        (self.authority, self.days) = (authority, days)
    }

    package struct Answer: Codable, Sendable {
        package var authority: AuthorityView
        package var pem: String
        /// DER in base 64.
        package var der: String
        package var signed: Instant
        package var next: Instant
        package var certificates: Int
    }
}
