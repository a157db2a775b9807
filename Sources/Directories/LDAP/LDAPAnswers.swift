// SPDX-License-Identifier: Apache-2.0
// What comes of a question to an LDAP server: an entry, what it says to a bind, or why there is nothing.

/// One entry as it came: values are bytes, and need not be text.
package struct LDAPEntry: Sendable, Equatable {
    package var dn: String
    /// By name in lower case.
    package var values: [String: [[UInt8]]]

    package init(dn: String, values: [String: [[UInt8]]]) {
        self.dn = dn
        self.values = values
    }

    package func bytes(_ attribute: String) -> [[UInt8]] { values[attribute.lowercased()] ?? [] }

    /// Those values that are UTF-8.
    package func texts(_ attribute: String) -> [String] { bytes(attribute).compactMap { String(validating: $0, as: UTF8.self) } }

    package func text(_ attribute: String) -> String? { texts(attribute).first }
}

/// What a server said to a bind.
package struct LDAPBindAnswer: Sendable, Equatable {
    /// RFC 4511 §4.1.9
    package var code: Int
    package var diagnostic: String
    /// Of the password policy control (draft-behera-ldap-password-policy §6.2); nil: nothing was said.
    package var policyError: Int?

    package init(code: Int, diagnostic: String = "", policyError: Int? = nil) {
        self.code = code
        self.diagnostic = diagnostic
        self.policyError = policyError
    }

    package var isSuccess: Bool { code == 0 }
}

/// Why there was no answer.
package struct LDAPFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// Nobody listens, or the connection broke.
        case unreachable
        case timeout
        /// No TLS, or a certificate that does not fit.
        case tls
        /// The server answered, and refuses; RFC 4511's code.
        case refused(Int)
        /// More entries than were asked for.
        case tooMany
        /// The request cannot be written: a filter or a name that is none.
        case malformed
    }

    package var kind: Kind
    package var text: String
    /// A password may have reached the server, which counts the wrong ones.
    package var isBehindBind = false

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    package var description: String { text }

    /// Whether the server itself is at fault, so that another one is asked.
    package var isOfServer: Bool {
        switch kind {
        case .unreachable, .timeout, .tls: true
        // busy, unavailable: RFC 4511 §A.2
        case .refused(let code): code == 51 || code == 52
        case .tooMany, .malformed: false
        }
    }
}
