// SPDX-License-Identifier: Apache-2.0
// What goes wrong with TLS: the files it is set up from, the peer, the connection. Never repeats a key.

internal import COpenSSL

package enum TLSError: Error, Equatable, Sendable {
    /// A file of certificates, keys or revocations does not hold what it should.
    case unusable(String)
    /// The peer's certificate was not taken.
    case refused(PeerRefusal)
    /// The handshake did not come to its end.
    case handshake(HandshakeFailure, words: String)
    /// The connection broke after its handshake.
    case broken(String)
}

extension TLSError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unusable(let words), .broken(let words), .handshake(_, let words): words
        case .refused(let refusal): refusal.description
        }
    }
}

/// Why a handshake ended, as a stable word.
package enum HandshakeFailure: String, Sendable, CaseIterable {
    case notTLS = "not_tls"
    case version = "protocol_version"
    case ciphers = "no_shared_cipher"
    case applicationProtocol = "application_protocol"
    case noCertificate = "no_certificate"
    case unknownKey = "unknown_psk"
    /// The peer said no: most often it does not trust this side's certificate.
    case peerRefused = "peer_refused"
    case other
}

/// A certificate that was not taken, and what would have been.
package struct PeerRefusal: Error, Equatable, Sendable {
    package enum Cause: String, Sendable, CaseIterable {
        case untrusted = "untrusted_certificate"
        case expired = "expired_certificate"
        case notYetValid = "certificate_not_yet_valid"
        case revoked = "revoked_certificate"
        /// There is no list of its authority, or an old one.
        case revocationUnknown = "revocation_unknown"
        case purpose = "certificate_purpose"
        case other = "certificate"
    }

    package var cause: Cause
    /// OpenSSL's sentence.
    package var reason: String
    package var subject: String
    package var issuer: String
    /// How deep in the chain: 0 is the peer's own.
    package var depth: Int
    package var expected: String
    package var fingerprint: String

    package init(cause: Cause, reason: String, subject: String, issuer: String, depth: Int, expected: String, fingerprint: String) {
        (self.cause, self.reason, self.subject, self.issuer) = (cause, reason, subject, issuer)
        (self.depth, self.expected, self.fingerprint) = (depth, expected, fingerprint)
    }
}

extension PeerRefusal: CustomStringConvertible {
    package var description: String {
        let whose = depth == 0 ? "certificate" : "certificate in the chain"
        return "\(whose) \"\(subject)\", issued by \"\(issuer)\", was refused: \(reason), expected \(expected)"
    }
}

/// The newest error of this thread's queue, which is emptied.
struct OpenSSLError {
    let library: CInt
    let reason: CInt
    let words: String

    static func take() -> OpenSSLError? {
        var last: UInt = 0
        while true {
            let next = ERR_get_error()
            if next == 0 { break }
            // The first is the cause; what follows are the layers above it.
            if last == 0 { last = next }
        }
        guard last != 0 else { return nil }
        let words = ERR_reason_error_string(last).map { String(cString: $0) } ?? "error \(last)"
        return OpenSSLError(library: openssl_error_library(last), reason: openssl_error_reason(last), words: words)
    }

    var failure: TLSError {
        guard library == ERR_LIB_SSL else { return .handshake(.other, words: words) }
        switch reason {
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_WRONG_VERSION_NUMBER, SSL_R_BAD_PACKET_LENGTH,
            SSL_R_RECORD_LENGTH_MISMATCH,
            SSL_R_PACKET_LENGTH_TOO_LONG:
            return .handshake(.notTLS, words: "what came is no TLS; does the peer speak RADIUS over TCP without TLS?")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_NO_PROTOCOLS_AVAILABLE:
            return .handshake(.version, words: "the peer offers no TLS 1.2 or newer")
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
            return .handshake(.ciphers, words: "the peer offers no cipher that is taken here: \(words)")
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return .handshake(.applicationProtocol, words: "the peer speaks neither radius/1.0 nor radius/1.1")
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return .handshake(.noCertificate, words: "the peer showed no certificate")
        case SSL_R_PSK_IDENTITY_NOT_FOUND, SSL_R_BINDER_DOES_NOT_VERIFY, SSL_R_BAD_PSK:
            return .handshake(.unknownKey, words: "the peer's pre-shared key is another than the one that is registered by its identity")
        case openssl_alert_offset()...:
            return .handshake(.peerRefused, words: "the peer ended the handshake: \(words)")
        default:
            return .handshake(.other, words: words)
        }
    }
}
