// SPDX-License-Identifier: Apache-2.0
// Why an operation was not done: what was wrong, where, and what to do.

/// The words never hold a secret: they name the field, not its value.
package struct Refusal: Error, Codable, Sendable, Equatable {
    package enum Kind: String, Codable, Sendable {
        /// A value that can never be right.
        case invalid
        /// It names something that is not there.
        case missing
        /// It clashes with something that is there.
        case conflict
        /// Right, but the node or its database cannot do it now.
        case unavailable
        /// A setting of the node stands in the way.
        case configuration
        /// It broke, or a check found damage.
        case failed
    }

    package var kind: Kind
    package var message: String
    package var remedy: String?
    /// Where it is in what was given: `address`, `line 7`.
    package var place: String?

    package init(_ kind: Kind, _ message: String, remedy: String? = nil, place: String? = nil) {
        self.kind = kind
        self.message = message
        self.remedy = remedy
        self.place = place
    }
}

extension Refusal: CustomStringConvertible {
    package var description: String {
        let start = place.map { "\($0): \(message)" } ?? message
        return remedy.map { "\(start) \($0)" } ?? start
    }

    /// The same refusal at a place.
    package func at(_ place: String) -> Refusal {
        var copy = self
        copy.place = place
        return copy
    }
}

extension Refusal {
    /// `No user `alcie`. Did you mean `alice`?`
    static func missing(_ what: String, _ name: String, among names: [String], otherwise remedy: String) -> Refusal {
        let near = NearNames.nearest(to: name, among: names)
        return Refusal(.missing, "No \(what) `\(name)`.", remedy: near.isEmpty ? remedy : NearNames.question(near))
    }
}
