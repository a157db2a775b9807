// SPDX-License-Identifier: Apache-2.0
// One connection's TLS: bytes from the peer in, bytes for the peer out. No socket; used by one thread at a time.

internal import COpenSSL

package final class TLSSession {
    let context: TLSContext
    let pointer: OpaquePointer
    /// Owned by `pointer`.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private var refusal: PeerRefusal?
    /// The pre-shared key that was found; the handshake's end proves that the peer has it.
    var presented: (identity: String, key: [UInt8])?
    /// What the peer called its key, known or not.
    var askedIdentity: String?
    package private(set) var isEstablished = false
    /// Whether the chain leads to a trusted root; false for one that was taken by its fingerprint alone.
    package private(set) var isChainTrusted = true

    /// What a kept session may be taken up for.
    let purpose: [UInt8]
    /// When the connection began, in seconds since 1970; the age of kept sessions is told by it.
    let now: Int64
    /// The kept session that the peer named.
    var offered: (id: [UInt8], owner: SessionCache.Owner)?

    /// - Parameter purpose: at most 32 bytes; of use where the context keeps sessions.
    package init(_ context: TLSContext, purpose: [UInt8] = [], now: Int64 = 0) throws(TLSError) {
        precondition(purpose.count <= 32)
        guard let pointer = SSL_new(context.pointer) else { throw .broken("no memory for a connection") }
        guard let incoming = openssl_memory() else {
            SSL_free(pointer)
            throw .broken("no memory for a connection")
        }
        guard let outgoing = openssl_memory() else {
            BIO_free(incoming)
            SSL_free(pointer)
            throw .broken("no memory for a connection")
        }
        self.context = context
        self.purpose = purpose
        self.now = now
        self.pointer = pointer
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(pointer, incoming, outgoing)
        SSL_set_ex_data(pointer, 0, Unmanaged.passUnretained(self).toOpaque())
        if !purpose.isEmpty { SSL_set_session_id_context(pointer, purpose, UInt32(purpose.count)) }
        if context.side == .server { SSL_set_accept_state(pointer) } else { SSL_set_connect_state(pointer) }
    }

    /// Others may take this session up again.
    var isKept = false

    deinit {
        // Without a goodbye OpenSSL lets nobody take the session up; in EAP nobody says one.
        if isKept { SSL_set_shutdown(pointer, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN) }
        SSL_free(pointer)
    }

    // MARK: Bytes

    /// Takes what the peer sent.
    package func put(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        guard BIO_write(incoming, base, CInt(clamping: bytes.count)) == bytes.count else { throw .broken("no memory for what came") }
    }

    /// What is to be sent to the peer.
    package var pendingOutput: Int { Int(openssl_pending(outgoing)) }

    /// Appends what is to be sent to the peer.
    package func takeOutput(into buffer: inout [UInt8]) {
        let count = pendingOutput
        guard count > 0 else { return }
        let start = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: count))
        let taken = buffer.withUnsafeMutableBytes { BIO_read(outgoing, $0.baseAddress.map { $0 + start }, CInt(clamping: count)) }
        buffer.removeLast(count - max(0, Int(taken)))
    }

    /// Goes on with the handshake as far as what came allows.
    ///
    /// - Returns: whether it is at its end.
    package func handshake() throws(TLSError) -> Bool {
        guard !isEstablished else { return true }
        ERR_clear_error()
        let result = SSL_do_handshake(pointer)
        if result == 1 {
            isEstablished = true
            return true
        }
        switch SSL_get_error(pointer, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return false
        default:
            let error = OpenSSLError.take()
            if let refusal { throw .refused(refusal) }
            // With a key that is not known OpenSSL goes on as if none had been named: then a certificate is missing, or this side's is refused.
            switch error?.failure {
            case .handshake(.noCertificate, _), .handshake(.peerRefused, _): if let unknownKey { throw unknownKey }
            default: break
            }
            throw error?.failure ?? .handshake(.other, words: "the peer closed the connection during the handshake")
        }
    }

    /// Decrypts into `buffer`.
    ///
    /// - Returns: how many bytes; 0: nothing more for now; nil: the peer has ended the connection.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(TLSError) -> Int? {
        ERR_clear_error()
        let count = SSL_read(pointer, buffer.baseAddress, CInt(clamping: buffer.count))
        if count > 0 { return Int(count) }
        switch SSL_get_error(pointer, count) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return 0
        case SSL_ERROR_ZERO_RETURN: return nil
        default: throw broken("the peer's bytes are no TLS")
        }
    }

    /// Encrypts; `takeOutput` has the result.
    package func write(_ bytes: [UInt8]) throws(TLSError) {
        guard !bytes.isEmpty else { return }
        ERR_clear_error()
        guard SSL_write(pointer, bytes, CInt(clamping: bytes.count)) == bytes.count else { throw broken("nothing can be sent any more") }
    }

    /// Says goodbye (RFC 8446 §6.1); `takeOutput` has the bytes.
    package func close() {
        guard isEstablished else { return }
        ERR_clear_error()
        SSL_shutdown(pointer)
        ERR_clear_error()
    }

    func broken(_ words: String) -> TLSError {
        let error = OpenSSLError.take()
        return .broken(error.map { "\(words): \($0.words)" } ?? words)
    }

    // MARK: The peer

    /// Nil where a pre-shared key stood for it.
    package var peer: PeerCertificate? {
        guard let certificate = SSL_get1_peer_certificate(pointer) else { return nil }
        defer { X509_free(certificate) }
        return PeerCertificate(certificate)
    }

    /// The pre-shared key by which the peer proved itself.
    package var peerKey: (identity: String, key: [UInt8])? { isEstablished && peer == nil ? presented : nil }

    /// Where the peer named a pre-shared key that nobody has; what then went wrong is no other cause.
    package var unknownKey: TLSError? {
        guard let askedIdentity, presented == nil, !isEstablished else { return nil }
        return .handshake(.unknownKey, words: "nobody is registered by the pre-shared key \"\(Self.shown(askedIdentity))\"")
    }

    /// Of the peer's making: cut, and without what would change how a line looks.
    private static func shown(_ identity: String) -> String {
        String(
            identity.unicodeScalars.prefix(128).map { scalar -> Character in
                scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? "?" : Character(scalar)
            })
    }

    /// `TLSv1.3`
    package var version: String { String(cString: SSL_get_version(pointer)) }

    package var cipher: String {
        guard let cipher = SSL_get_current_cipher(pointer), let name = SSL_CIPHER_get_name(cipher) else { return "" }
        return String(cString: name)
    }

    /// As agreed on by ALPN (RFC 7301).
    package var applicationProtocol: String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(pointer, &name, &count)
        guard let name, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    /// DER: the peer's own first, then who vouches for it, as the handshake found it good; behind a session that was taken up, as it was
    /// shown then.
    package var peerChain: [[UInt8]] {
        guard let own = SSL_get1_peer_certificate(pointer) else { return [] }
        defer { X509_free(own) }
        let others = (0..<min(openssl_chain_count(pointer), Self.longestChain)).compactMap { openssl_chain_certificate(pointer, $0) }
        let shown = ([own] + others).compactMap { try? LoadedChain.bytes(of: $0) }
        // The chain that was found good begins with it too.
        return Array(shown.prefix(1) + shown.dropFirst().filter { $0 != shown.first })
    }

    /// Of the context that it was made from.
    package var contextNumber: UInt64 { context.number }

    /// OpenSSL verifies none that is longer (`SSL_CTX_set_verify_depth(3)` leaves it at 100; nobody has more than a few).
    private static let longestChain: CInt = 10

    /// Judges one certificate of the peer's chain, after OpenSSL has.
    func verify(_ chain: OpaquePointer, isFine: Bool) -> Bool {
        switch context.judge(chain, isFine: isFine, at: now) {
        case .fine: return true
        case .pinned:
            isChainTrusted = false
            return true
        case .refused(let why):
            refusal = why
            return false
        }
    }
}
