// SPDX-License-Identifier: Apache-2.0
// A factor as the administrator sees one, and what can be asked about factors.

package struct FactorView: Codable, Sendable, Equatable {
    package var id: Int64
    package var kind: String
    package var label: String
    package var state: String
    /// TOTP and HOTP only.
    package var algorithm: String?
    package var digits: Int?
    package var period: Int?
    package var created: Instant
    package var lastUsed: Instant?
    /// Recovery codes only.
    package var codesLeft: Int?
}

package struct FactorList: Codable, Sendable, Equatable {
    package var user: String
    package var factors: [FactorView]
    package var warnings: [String] = []
}

package struct AddFactor: AdminOperation {
    package static let verb = "factor.add"
    package var user: String
    /// `totp` or `hotp`.
    package var kind: String
    package var label: String?
    /// Base32 or hexadecimal; nil: the node makes one.
    package var secret: SecretText?
    package var algorithm: String?
    package var digits: Int?
    package var period: Int?
    package var counter: Int64?

    package init(
        user: String, kind: String, label: String? = nil, secret: SecretText? = nil, algorithm: String? = nil, digits: Int? = nil,
        period: Int? = nil, counter: Int64? = nil
    ) {
        self.user = user
        self.kind = kind
        self.label = label
        self.secret = secret
        self.algorithm = algorithm
        self.digits = digits
        self.period = period
        self.counter = counter
    }

    package struct Answer: Codable, Sendable {
        package var message: String
        package var factor: FactorView
        /// Shown once, as text and as a QR code.
        package var uri: SecretText
        /// The key as it is typed into an app, Base32.
        package var key: SecretText
        package var warnings: [String]
    }
}

package struct AddRecoveryCodes: AdminOperation {
    package static let verb = "factor.recovery"
    package var user: String

    package init(user: String) {
        self.user = user
    }

    package struct Answer: Codable, Sendable {
        package var message: String
        /// Shown once.
        package var codes: [SecretText]
        package var warnings: [String]
    }
}

package struct ListFactors: AdminOperation {
    package static let verb = "factor.list"
    package var user: String

    package init(user: String) {
        self.user = user
    }
}

/// A factor is named by its label, its number, or its kind where the user has one of that kind.
package struct ShowFactor: AdminOperation {
    package static let verb = "factor.show"
    package var user: String
    package var factor: String

    package init(user: String, factor: String) {
        self.user = user
        self.factor = factor
    }
}

package struct SetFactor: AdminOperation {
    package static let verb = "factor.set"
    package var user: String
    package var factor: String
    package var label: String?
    /// `active` or `disabled`.
    package var state: String?

    package init(user: String, factor: String, label: String? = nil, state: String? = nil) {
        self.user = user
        self.factor = factor
        self.label = label
        self.state = state
    }
}

package struct RemoveFactor: AdminOperation {
    package static let verb = "factor.remove"
    package var user: String
    package var factor: String

    package init(user: String, factor: String) {
        self.user = user
        self.factor = factor
    }
}
