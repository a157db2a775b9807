// SPDX-License-Identifier: Apache-2.0
// A secret on its way to or from the node: it prints as nothing, and is encoded as what it is.

package import LoginEngine

/// Goes over the control socket only; nothing that is shown or stored may hold one, but for what is shown once.
package struct SecretText: Codable, Sendable, Equatable {
    package let secret: Secret

    package init(_ secret: Secret) {
        self.secret = secret
    }

    package init(_ text: String) {
        secret = Secret(utf8: text)
    }

    /// Always text: it was made from text, or decoded from it.
    package var text: String { secret.revealText() ?? "" }

    package init(from decoder: any Decoder) throws {
        secret = Secret(utf8: try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

extension SecretText: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<secret>" }
    package var debugDescription: String { "<secret>" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
