// SPDX-License-Identifier: Apache-2.0
// Message-Authenticator (RFC 3579 §3.2), Response Authenticator, and what is dropped since CVE-2024-3596.

/// Computes Message-Authenticator: HMAC-MD5 over the packet with the attribute's value zeroed (RFC 3579 §3.2).
enum MessageAuthenticator {
    /// Length of the value (RFC 3579 §3.2).
    static let length = 16

    /// - Parameters:
    ///   - offset: where the value lies in `bytes`, below the header's end never.
    ///   - authenticator: stands at bytes 4–19 while computing: the Request Authenticator, or zeros.
    static func code(
        _ bytes: borrowing Span<UInt8>, zeroingAt offset: Int, authenticator: Authenticator, key: HMACMD5Key
    ) -> Authenticator {
        var digest = key.inner
        digest.update(bytes, from: 0, to: 4)
        digest.update(authenticator)
        digest.update(bytes, from: Packet.minimumLength, to: offset)
        digest.update(.zero)
        digest.update(bytes, from: offset + length, to: bytes.count)
        return key.finish(digest)
    }
}

extension Packet {
    /// Whether the Message-Authenticator of a request is there and right (RFC 3579 §3.2).
    ///
    /// In Access-Request and Status-Server the packet's own authenticator is covered; in CoA-, Disconnect- and
    /// Accounting-Request zeros are (RFC 5176 §3.4).
    public func hasValidMessageAuthenticator(secret: SharedSecret) -> Bool {
        hasValidMessageAuthenticator(covering: code.hasComputedRequestAuthenticator ? .zero : authenticator, secret: secret)
    }

    /// Whether a request whose authenticator is computed (RFC 2866 §3, RFC 5176 §2.3) was made with this secret.
    ///
    /// Always false for other codes: their authenticator is a random value.
    public func hasValidRequestAuthenticator(secret: SharedSecret) -> Bool {
        code.hasComputedRequestAuthenticator
            && Self.responseAuthenticator(bytes.span, requestAuthenticator: .zero, secret: secret).isEqual(to: authenticator)
    }

    /// Judges a reply by the request's authenticator: identifier, Response Authenticator (RFC 2865 §3) and Message-Authenticator.
    ///
    /// - Parameter requiringMessageAuthenticator: whether a reply without one is refused; against CVE-2024-3596 it should be.
    public func verifyReply(
        to request: Packet, secret: SharedSecret, requiringMessageAuthenticator: Bool = true
    ) -> ReplyVerdict {
        guard version == request.version else { return .wrongIdentifier }
        // RFC 9765 §4.2: TLS says who wrote it, the token for what.
        guard version == .historic else { return token == request.token ? .genuine : .wrongIdentifier }
        guard identifier == request.identifier else { return .wrongIdentifier }
        let expected = request.authenticator
        guard
            Self.responseAuthenticator(bytes.span, requestAuthenticator: expected, secret: secret).isEqual(to: authenticator)
        else { return .wrongResponseAuthenticator }
        if messageAuthenticatorOffset == 0 {
            return requiringMessageAuthenticator || contains(.eapMessage) ? .missingMessageAuthenticator : .genuine
        }
        return hasValidMessageAuthenticator(covering: expected, secret: secret) ? .genuine : .wrongMessageAuthenticator
    }

    /// MD5(code + identifier + length + authenticator + attributes + secret): RFC 2865 §3, RFC 2866 §3.
    static func responseAuthenticator(
        _ bytes: borrowing Span<UInt8>, requestAuthenticator: Authenticator, secret: SharedSecret
    ) -> Authenticator {
        var digest = MD5()
        digest.update(bytes, from: 0, to: 4)
        digest.update(requestAuthenticator)
        digest.update(bytes, from: minimumLength, to: bytes.count)
        digest.update(secret.bytes)
        return digest.finish()
    }

    private func hasValidMessageAuthenticator(covering authenticator: Authenticator, secret: SharedSecret) -> Bool {
        let offset = messageAuthenticatorOffset
        guard offset != 0 else { return false }
        return MessageAuthenticator.code(
            bytes.span, zeroingAt: offset, authenticator: authenticator, key: secret.hmacKey
        ).isEqual(to: Authenticator(bytes.span, at: offset))
    }
}

/// Whether a reply belongs to its request and comes from someone who knows the secret.
public enum ReplyVerdict: String, Sendable, Hashable {
    case genuine
    case wrongIdentifier
    case wrongResponseAuthenticator
    case missingMessageAuthenticator
    case wrongMessageAuthenticator
}

extension Authenticator {
    /// Two words are compared at once, so the time does not depend on where they differ.
    func isEqual(to other: Authenticator) -> Bool {
        (high ^ other.high) | (low ^ other.low) == 0
    }
}
