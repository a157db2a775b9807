// SPDX-License-Identifier: Apache-2.0
// What connections are made from: certificates, keys, trust, and the rules. Immutable; to change it, make another.

internal import COpenSSL
internal import Synchronization

package struct TLSSettings: Sendable {
    /// PEM: this side's certificate first, then those that lead to its root. Empty: none is shown.
    package var certificates: [UInt8] = []
    /// PEM, without a passphrase.
    package var key: [UInt8] = []
    /// PEM: who may have signed the peer's certificate. Empty: nobody.
    package var peerAuthorities: [UInt8] = []
    /// PEM: what was revoked. Empty: nothing is looked up, unless `checksRevocation` says so.
    package var revocations: [UInt8] = []
    /// Every certificate of a peer needs a list of who signed it, also where none is known yet.
    package var checksRevocation = false
    /// For how many seconds a revocation list is believed beyond the time at which its next one was due.
    package var revocationGrace: Int64 = 0
    /// What a peer should have shown, as it is told of one that was refused; nil: by what is set here.
    package var expectedPeer: String?
    /// Whether a certificate is taken by its SHA-256 alone, whoever signed it.
    package var isPinned: @Sendable ([UInt8]) -> Bool = { _ in false }
    /// The pre-shared key of an identity; nil: unknown. Only over TLS 1.3: one key is not for two versions (RFC 9813 §4.1.1).
    package var preSharedKey: (@Sendable (String) -> [UInt8]?)?
    /// Of these the first that the peer offers too; a peer that offers none of them is refused, one that offers nothing at all is not.
    package var applicationProtocols: [String] = []
    /// Those that are chosen only over TLS 1.3.
    package var needsTLS13: Set<String> = []

    /// What a client without a certificate gets.
    package var peerCertificate = CertificateRule.required
    /// What the responder of this side's authority says of its certificate (RFC 6066 §8), asked for in each handshake whose client wants
    /// to know; nil: nothing that holds is at hand.
    package var staple: (@Sendable () -> [UInt8]?)?
    /// Where a server keeps sessions for peers to take up again; nil: every handshake is a full one.
    package var sessions: SessionCache?
    package var newestVersion = Version.tls13
    /// What keys are agreed on in, the best first: each takes a fraction of a millisecond, and nobody can ask for more.
    package var groups = "X25519:P-256:P-384"

    package enum CertificateRule: Sendable {
        /// No handshake.
        case required
        /// A handshake all the same: it is not asked for one.
        case none
    }

    package enum Version: Sendable {
        case tls12, tls13
    }

    package init() {}
}

/// Who may have signed a peer's certificate.
package struct TrustedAuthority: Sendable, Equatable {
    /// As RFC 2253 writes it.
    package var subject: String
    /// Seconds since 1970.
    package var expires: Int64

    package init(subject: String, expires: Int64) {
        (self.subject, self.expires) = (subject, expires)
    }
}

/// What an authority has revoked.
package struct TrustedList: Sendable, Equatable {
    package var issuer: String
    /// When its next one is due, in seconds since 1970; the greatest number where it does not say.
    package var ends: Int64

    package init(issuer: String, ends: Int64) {
        (self.issuer, self.ends) = (issuer, ends)
    }
}

extension Int64 {
    fileprivate mutating func raise(to other: Int64) { self = Swift.max(self, other) }
}

package final class TLSContext: Sendable {
    package enum Side: Sendable, Equatable {
        case server
        /// `identity` and `key` of a pre-shared key, where it is used instead of certificates.
        case client(identity: String = "", key: [UInt8] = [])
    }

    /// No other context of this process has the same.
    package let number = TLSContext.made.add(1, ordering: .relaxed).newValue
    private static let made = Atomic<UInt64>(0)

    /// Unsafe to say and safe to do: all is set before `init` ends, and of a finished SSL_CTX threads may make sessions at once (OpenSSL
    /// counts references to it atomically).
    nonisolated(unsafe) let pointer: OpaquePointer
    let settings: TLSSettings
    package let side: Side
    /// When the first of this side's certificates expires, in seconds since 1970; nil without certificates.
    package let expires: Int64?
    package let subject: String?
    /// Who may have signed the peer's certificate.
    package let authorities: [TrustedAuthority]
    /// The newest of each authority.
    package let revocationLists: [TrustedList]

    /// - Throws: `unusable`, with what does not fit.
    package init(_ side: Side, _ settings: TLSSettings) throws(TLSError) {
        let method = side == .server ? TLS_server_method() : TLS_client_method()
        guard let pointer = SSL_CTX_new(method) else { throw .unusable("no memory for TLS") }
        // Nothing is kept before it is certain: what is thrown once all is would free it a second time.
        let own: PeerCertificate?
        let trusted: (authorities: [TrustedAuthority], lists: [TrustedList])
        do throws(TLSError) {
            guard openssl_set_rules(pointer), SSL_CTX_set_cipher_list(pointer, Self.ciphers) == 1 else {
                throw .unusable("OpenSSL does not know the ciphers that are asked of it")
            }
            guard openssl_set_groups(pointer, settings.groups) else { throw Self.unusable("OpenSSL does not know \(settings.groups)") }
            if settings.newestVersion == .tls12, !openssl_set_newest_version(pointer, TLS1_2_VERSION) {
                throw .unusable("OpenSSL has no TLS 1.2")
            }
            own = try Self.show(settings, by: pointer)
            trusted = try Self.trust(settings, by: pointer, isServer: side == .server)
        } catch {
            SSL_CTX_free(pointer)
            throw error
        }
        self.pointer = pointer
        self.side = side
        var kept = settings
        // What is loaded need not lie around.
        kept.key = []
        self.settings = kept
        (expires, subject, authorities, revocationLists) = (own?.expires, own?.subject, trusted.authorities, trusted.lists)
        SSL_CTX_set_ex_data(pointer, 0, Unmanaged.passUnretained(self).toOpaque())
        if side == .server {
            if !settings.applicationProtocols.isEmpty { SSL_CTX_set_alpn_select_cb(pointer, Callbacks.selectProtocol, nil) }
            if settings.staple != nil { openssl_staple(pointer, Callbacks.staple) }
            if let sessions = settings.sessions {
                openssl_keep_sessions(pointer, Int(sessions.lifetime))
                SSL_CTX_sess_set_get_cb(pointer, Callbacks.keptSession)
            }
            if settings.preSharedKey != nil {
                SSL_CTX_set_psk_server_callback(pointer, Callbacks.preSharedKey)
                // A pre-shared key counts as a resumed session, which has to say what it is for; none is kept.
                SSL_CTX_set_session_id_context(pointer, Array("radius".utf8), 6)
                // A key that comes by this callback is one for SHA-256 (RFC 8446 §4.2.11), and no other suite would take it.
                SSL_CTX_set_ciphersuites(pointer, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384")
            }
        } else {
            if !settings.applicationProtocols.isEmpty {
                let offered = settings.applicationProtocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
                SSL_CTX_set_alpn_protos(pointer, offered, UInt32(offered.count))
            }
            if case .client(let identity, _) = side, !identity.isEmpty {
                SSL_CTX_set_psk_client_callback(pointer, Callbacks.ownKey)
            }
        }
    }

    deinit {
        SSL_CTX_free(pointer)
    }

    /// For TLS 1.2; forward secrecy and authenticated encryption alone, and no DHE, whose groups are not bounded by `groups`.
    private static let ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20"

    // MARK: Files

    private static func show(_ settings: TLSSettings, by context: OpaquePointer) throws(TLSError) -> PeerCertificate? {
        guard !settings.certificates.isEmpty else { return nil }
        let chain = try certificates(settings.certificates, "the certificate file")
        defer { for certificate in chain { X509_free(certificate) } }
        guard SSL_CTX_use_certificate(context, chain[0]) == 1 else { throw unusable("the certificate cannot be used") }
        for certificate in chain.dropFirst() where !openssl_add_chain(context, certificate) {
            throw unusable("a certificate of the chain cannot be used")
        }
        let key = try privateKey(settings.key)
        defer { EVP_PKEY_free(key) }
        guard SSL_CTX_use_PrivateKey(context, key) == 1, SSL_CTX_check_private_key(context) == 1 else {
            _ = OpenSSLError.take()
            throw .unusable("the key does not belong to the first certificate of the certificate file")
        }
        return PeerCertificate(chain[0])
    }

    private static func trust(
        _ settings: TLSSettings, by context: OpaquePointer, isServer: Bool
    ) throws(TLSError) -> (authorities: [TrustedAuthority], lists: [TrustedList]) {
        var trusted: [TrustedAuthority] = []
        var lists: [String: Int64] = [:]
        guard let store = SSL_CTX_get_cert_store(context) else { throw .unusable("no memory for TLS") }
        if !settings.peerAuthorities.isEmpty {
            let authorities = try certificates(settings.peerAuthorities, "the file of certificate authorities")
            defer { for certificate in authorities { X509_free(certificate) } }
            for certificate in authorities {
                guard X509_STORE_add_cert(store, certificate) == 1 else { throw unusable("a certificate authority cannot be used") }
                if let found = PeerCertificate(certificate) {
                    trusted.append(TrustedAuthority(subject: found.subject, expires: found.expires))
                }
                // So that the peer knows which of its certificates to show.
                if isServer { SSL_CTX_add_client_CA(context, certificate) }
            }
        }
        if !settings.revocations.isEmpty {
            for list in try revocations(settings.revocations) {
                defer { X509_CRL_free(list) }
                guard X509_STORE_add_crl(store, list) == 1 else { throw unusable("a revocation list cannot be used") }
                lists[PeerCertificate.text(X509_CRL_get_issuer(list)), default: .min].raise(to: openssl_list_end(list))
            }
        }
        if settings.checksRevocation || !settings.revocations.isEmpty {
            guard openssl_check_revocation(store) else { throw unusable("revocation cannot be checked") }
        }
        switch settings.peerCertificate {
        case .none where isServer: SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        // A server without a certificate is nobody.
        case .none, .required: SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, Callbacks.verify)
        }
        return (trusted, lists.map { TrustedList(issuer: $0.key, ends: $0.value) }.sorted { $0.issuer < $1.issuer })
    }

    /// Whether a list that was to be replaced at `end` is believed. Not where nobody says what time it is.
    func believes(listUntil end: Int64, at now: Int64) -> Bool {
        guard now > 0, now > end else { return now > 0 }
        return now - end <= settings.revocationGrace
    }

    /// Whether a session of before may stand for a handshake in which revocation would be looked up.
    func mayResume(at now: Int64) -> Bool { revocationLists.allSatisfy { believes(listUntil: $0.ends, at: now) } }

    private static func unusable(_ words: String) -> TLSError {
        .unusable(OpenSSLError.take().map { "\(words): \($0.words)" } ?? words)
    }

    /// At least one; freed by the caller.
    static func certificates(_ pem: [UInt8], _ what: String) throws(TLSError) -> [OpaquePointer] {
        // The array has to live as long as the memory that looks at it.
        try pem.withUnsafeBufferPointerTyped { bytes throws(TLSError) in
            guard let memory = BIO_new_mem_buf(bytes.baseAddress, CInt(clamping: bytes.count)) else { throw .unusable("no memory for TLS") }
            defer { BIO_free(memory) }
            var found: [OpaquePointer] = []
            while let certificate = PEM_read_bio_X509(memory, nil, Callbacks.noPassphrase, nil) { found.append(certificate) }
            guard let end = OpenSSLError.take(), !(end.library == ERR_LIB_PEM && end.reason == PEM_R_NO_START_LINE) else {
                guard !found.isEmpty else { throw .unusable("\(what) holds no certificate in PEM (-----BEGIN CERTIFICATE-----)") }
                return found
            }
            for certificate in found { X509_free(certificate) }
            throw .unusable("certificate \(found.count + 1) of \(what) cannot be read: \(end.words)")
        }
    }

    private static func revocations(_ pem: [UInt8]) throws(TLSError) -> [OpaquePointer] {
        try pem.withUnsafeBufferPointerTyped { bytes throws(TLSError) in
            guard let memory = BIO_new_mem_buf(bytes.baseAddress, CInt(clamping: bytes.count)) else { throw .unusable("no memory for TLS") }
            defer { BIO_free(memory) }
            var found: [OpaquePointer] = []
            while let list = PEM_read_bio_X509_CRL(memory, nil, Callbacks.noPassphrase, nil) { found.append(list) }
            guard let end = OpenSSLError.take(), !(end.library == ERR_LIB_PEM && end.reason == PEM_R_NO_START_LINE) else {
                guard !found.isEmpty else { throw .unusable("the revocation file holds no list in PEM (-----BEGIN X509 CRL-----)") }
                return found
            }
            for list in found { X509_CRL_free(list) }
            throw .unusable("list \(found.count + 1) of the revocation file cannot be read: \(end.words)")
        }
    }

    private static func privateKey(_ pem: [UInt8]) throws(TLSError) -> OpaquePointer {
        guard !pem.isEmpty else { throw .unusable("there is a certificate and no key") }
        return try pem.withUnsafeBufferPointerTyped { bytes throws(TLSError) in
            guard let memory = BIO_new_mem_buf(bytes.baseAddress, CInt(clamping: bytes.count)) else { throw .unusable("no memory for TLS") }
            defer { BIO_free(memory) }
            if let key = PEM_read_bio_PrivateKey(memory, nil, Callbacks.noPassphrase, nil) { return key }
            _ = OpenSSLError.take()
            let text = String(decoding: bytes, as: UTF8.self)
            if text.contains("ENCRYPTED") {
                throw .unusable("the key file is protected by a passphrase; write it without one: openssl pkey -in FILE -out FILE")
            }
            throw .unusable("the key file holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")
        }
    }
}

extension [UInt8] {
    /// With the error's type, which the standard library's own forgets.
    fileprivate func withUnsafeBufferPointerTyped<Result>(
        _ body: (UnsafeBufferPointer<UInt8>) throws(TLSError) -> Result
    ) throws(TLSError) -> Result {
        let result: Swift.Result<Result, TLSError> = withUnsafeBufferPointer { bytes in
            do throws(TLSError) { return .success(try body(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
