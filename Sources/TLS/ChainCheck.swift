// SPDX-License-Identifier: Apache-2.0
// Whether a peer's chain is good: what a context says of one certificate during a handshake, and of a whole chain that was shown before.

internal import COpenSSL

extension TLSContext {
    enum ChainVerdict {
        case fine
        /// Of a certificate that is registered by itself, whoever signed it.
        case pinned
        case refused(PeerRefusal)
    }

    /// What is made of OpenSSL's word on one certificate of a chain.
    ///
    /// - Parameter now: in seconds since 1970; 0: nobody says what time it is.
    func judge(_ chain: OpaquePointer, isFine: Bool, at now: Int64) -> ChainVerdict {
        if isFine { return .fine }
        let code = X509_STORE_CTX_get_error(chain)
        // What it has revoked is looked up all the same.
        if code == X509_V_ERR_CRL_HAS_EXPIRED, let list = X509_STORE_CTX_get0_current_crl(chain), settings.revocationGrace > 0,
            believes(listUntil: openssl_list_end(list), at: now)
        {
            return .fine
        }
        if Self.isOfTrust(code), let own = X509_STORE_CTX_get0_cert(chain), let peer = PeerCertificate(own),
            settings.isPinned(peer.fingerprint)
        {
            return .pinned
        }
        let at = X509_STORE_CTX_get_current_cert(chain) ?? X509_STORE_CTX_get0_cert(chain)
        let certificate = at.flatMap { PeerCertificate($0) }
        return .refused(
            PeerRefusal(
                cause: Self.cause(code), reason: String(cString: X509_verify_cert_error_string(Int(code))),
                subject: certificate?.subject ?? "", issuer: certificate?.issuer ?? "", depth: Int(X509_STORE_CTX_get_error_depth(chain)),
                expected: settings.expectedPeer
                    ?? (settings.peerAuthorities.isEmpty
                        ? "one whose fingerprint is registered; no authorities are configured"
                        : "one signed by an authority of the configured file, or a registered fingerprint"),
                fingerprint: PeerCertificate.text(ofFingerprint: certificate?.fingerprint ?? [])))
    }

    /// Who signed it is not known, but all else may be right.
    private static func isOfTrust(_ code: CInt) -> Bool {
        switch code {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED:
            true
        default: false
        }
    }

    private static func cause(_ code: CInt) -> PeerRefusal.Cause {
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED: .expired
        case X509_V_ERR_CERT_NOT_YET_VALID: .notYetValid
        case X509_V_ERR_CERT_REVOKED: .revoked
        case X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_UNABLE_TO_GET_CRL: .revocationUnknown
        case X509_V_ERR_INVALID_PURPOSE: .purpose
        case let code where isOfTrust(code): .untrusted
        default: .other
        }
    }

    /// Judges a chain that a client showed in a handshake of another context, or some time ago, by what this one trusts now.
    ///
    /// - Parameters:
    ///   - chain: DER, the client's own first.
    ///   - now: in seconds since 1970; certificates and lists are compared with the system's clock all the same.
    /// - Returns: nil where it is good.
    package func refusal(ofClient chain: [[UInt8]], at now: Int64) -> PeerRefusal? {
        guard let loaded = LoadedChain(chain) else {
            return PeerRefusal(
                cause: .other, reason: "no certificate", subject: "", issuer: "", depth: 0,
                expected: settings.expectedPeer ?? "a certificate", fingerprint: "")
        }
        let check = ChainCheck(self, now: now)
        defer { withExtendedLifetime((loaded, check)) {} }
        var others: [OpaquePointer?] = loaded.certificates.dropFirst().map { $0 }
        let isGood = openssl_verify_client(
            pointer, loaded.certificates[0], &others, CInt(others.count), Callbacks.verifyAgain, Unmanaged.passUnretained(check).toOpaque())
        // What is left in the queue of this thread would be taken for the next one's.
        ERR_clear_error()
        if isGood { return nil }
        return check.refusal
            ?? PeerRefusal(
                cause: .other, reason: "it cannot be verified", subject: "", issuer: "", depth: 0,
                expected: settings.expectedPeer ?? "a certificate", fingerprint: "")
    }
}

/// What OpenSSL calls back with while it verifies a chain outside of a handshake.
final class ChainCheck {
    private let context: TLSContext
    private let now: Int64
    private(set) var refusal: PeerRefusal?

    init(_ context: TLSContext, now: Int64) { (self.context, self.now) = (context, now) }

    func judge(_ chain: OpaquePointer, isFine: Bool) -> Bool {
        guard case .refused(let why) = context.judge(chain, isFine: isFine, at: now) else { return true }
        refusal = why
        return false
    }
}

/// Certificates as OpenSSL has them.
final class LoadedChain {
    let certificates: [OpaquePointer]

    /// - Parameter chain: DER. Nil where one is no certificate, or there is none.
    init?(_ chain: [[UInt8]]) {
        var loaded: [OpaquePointer] = []
        for bytes in chain {
            guard let found = IssuedCertificate.read(bytes, { d2i_X509_bio($0, nil) }) else { break }
            loaded.append(found)
        }
        certificates = loaded
        guard !chain.isEmpty, loaded.count == chain.count else {
            ERR_clear_error()
            return nil
        }
    }

    /// - Parameter pem: at least one certificate.
    init(pem: [UInt8], _ what: String) throws(TLSError) { certificates = try TLSContext.certificates(pem, what) }

    deinit { for certificate in certificates { X509_free(certificate) } }

    static func bytes(of certificate: OpaquePointer) throws(TLSError) -> [UInt8] {
        try IssuedCertificate.write { i2d_X509_bio($0, certificate) }
    }
}
