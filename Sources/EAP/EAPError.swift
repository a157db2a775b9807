// SPDX-License-Identifier: Apache-2.0
// Why bytes are no EAP, and why a conversation came to nothing.

/// Why a packet cannot be read. Holds lengths and numbers, never contents.
public enum EAPError: Error, Sendable, Hashable {
    /// Shorter than its header, or than the length that its header names (RFC 3748 §4.1).
    case truncated(Int)
    /// The header names a length that has no room for the header, or for the type of a Request or Response.
    case length(Int)
    /// Neither Request, Response, Success nor Failure; RFC 3748 §4 has them discarded.
    case code(UInt8)
    /// Success or Failure with something behind the header (RFC 3748 §4.2).
    case trailing(Int)
}

extension EAPError: CustomStringConvertible {
    /// A few words for the trail.
    public var description: String {
        switch self {
        case .truncated(let length): "EAP packet cut after \(length) bytes"
        case .length(let length): "EAP packet that says it has \(length) bytes"
        case .code(let code): "EAP packet of code \(code)"
        case .trailing(let length): "EAP result with \(length) bytes behind it"
        }
    }
}

/// Why a conversation ended in EAP-Failure.
public enum EAPFailureReason: Sendable, Hashable {
    /// The application judged so.
    case rejected
    /// The peer wants none of the methods that are offered (RFC 3748 §5.3.1); what it asked for.
    case noCommonMethod(wanted: [EAPType])
    /// The peer began with something else than an Identity, or went on with another method than it had agreed to.
    case unexpectedType(EAPType)
    /// Of a method's own layout; names the part that is wrong, never its contents.
    case malformed(String)
    /// The peer gave up, or did not believe the server.
    case refusedByPeer(String)
    /// `EAPLimits`
    case tooManyRounds
    /// TLS came to nothing, in OpenSSL's words.
    case tls(String)
    /// The peer showed a certificate that was not taken.
    case certificate(EAPCertificateRefusal)
    /// What was to be judged cannot be, by what is configured.
    case unsupported(String)
}

/// A certificate that was not taken, and what would have been.
public struct EAPCertificateRefusal: Sendable, Hashable {
    /// A stable word, for counters: `untrusted_certificate`, `expired_certificate`, `revoked_certificate`, …
    public var cause: String
    /// OpenSSL's sentence.
    public var reason: String
    public var subject: String
    public var issuer: String
    public var expected: String
    /// SHA-256, in hexadecimal digits with colons.
    public var fingerprint: String

    public init(cause: String, reason: String, subject: String, issuer: String, expected: String, fingerprint: String) {
        (self.cause, self.reason, self.subject, self.issuer) = (cause, reason, subject, issuer)
        (self.expected, self.fingerprint) = (expected, fingerprint)
    }
}

extension EAPCertificateRefusal: CustomStringConvertible {
    /// Without whose it is.
    public var description: String { "certificate of the device that was not taken: \(reason)" }
}

extension EAPFailureReason: CustomStringConvertible {
    /// A few words for the trail.
    public var description: String {
        switch self {
        case .rejected: "refused"
        case .noCommonMethod(let wanted) where wanted.isEmpty: "device that wants no method at all"
        case .noCommonMethod(let wanted): "device that wants \(wanted.map(\.description).joined(separator: ", "))"
        case .unexpectedType(let type): "unexpected \(type)"
        case .malformed(let part): "malformed \(part)"
        case .refusedByPeer(let what): "device that refused: \(what)"
        case .tooManyRounds: "too many rounds"
        case .tls(let words): "TLS: \(words)"
        case .certificate(let refusal): refusal.description
        case .unsupported(let what): what
        }
    }
}
