// SPDX-License-Identifier: Apache-2.0
// What protocols above TLS make of a finished handshake: exported keys, and sessions that are taken up again.

internal import COpenSSL

extension TLSSession {
    /// RFC 5705, RFC 8446 §7.5. In TLS 1.2, no context is another thing than an empty one.
    package func export(_ label: String, context: [UInt8]? = nil, count: Int) throws(TLSError) -> [UInt8] {
        guard isEstablished else { throw .broken("there are no keys before the handshake's end") }
        var key = [UInt8](repeating: 0, count: count)
        ERR_clear_error()
        let isMade =
            SSL_export_keying_material(
                pointer, &key, count, label, label.utf8.count, context ?? [], context?.count ?? 0, context == nil ? 0 : 1) == 1
        guard isMade else { throw broken("keys cannot be exported") }
        return key
    }

    /// The client's random bytes, then the server's (RFC 5246 §7.4.1.2): how EAP methods name a session of TLS 1.2.
    package var randoms: [UInt8] {
        var client = [UInt8](repeating: 0, count: 32)
        var server = client
        guard SSL_get_client_random(pointer, &client, 32) == 32, SSL_get_server_random(pointer, &server, 32) == 32 else { return [] }
        return client + server
    }

    package var isTLS13: Bool { SSL_version(pointer) >= TLS1_3_VERSION }

    /// Whose session was taken up again; nil after a full handshake.
    package var resumed: SessionCache.Owner? {
        guard isEstablished, openssl_is_resumed(pointer) else { return nil }
        return offered?.owner
    }

    /// Whether an earlier session was taken up; of either side.
    package var isResumed: Bool { isEstablished && openssl_is_resumed(pointer) }

    /// Lets the peer take this session up again, for `lifetime` from its full handshake on and not beyond its certificate's end.
    /// To be called once the peer is accepted: what it holds is worth nothing before.
    package func keep(identity: [UInt8]) {
        guard let cache = context.settings.sessions, context.side == .server, isEstablished, let session = SSL_get1_session(pointer) else {
            return
        }
        var count: UInt32 = 0
        // RFC 7627 §5.3: else a stranger between both sides could have them take up one session with each other.
        guard let bytes = SSL_SESSION_get_id(session, &count), count > 0, SSL_SESSION_is_resumable(session) == 1,
            isTLS13 || openssl_has_bound_keys(pointer)
        else {
            SSL_SESSION_free(session)
            return
        }
        let id = Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
        let owner = SessionCache.Owner(purpose: purpose, identity: identity, since: resumed?.since ?? now)
        // RFC 8446 §C.4: a ticket that is used twice lets others see that both are one peer.
        if resumed != nil, let old = offered?.id, old != id { cache.drop(old) }
        cache.keep(id, session, owner, notAfter: peer?.expires)
        isKept = true
    }

    /// Forgets the session that was taken up: who holds it has to prove itself anew.
    package func forget() {
        guard let cache = context.settings.sessions, let id = offered?.id else { return }
        cache.drop(id)
    }

    /// Offers the session of an earlier connection of this client's.
    package func takeUp(_ earlier: TLSSession) {
        guard case .client = context.side, let session = SSL_get1_session(earlier.pointer) else { return }
        SSL_set_session(pointer, session)
        // Else the session would be worth nothing from the moment in which the earlier connection is freed.
        earlier.isKept = true
        SSL_SESSION_free(session)
    }

    /// What OpenSSL asks a server that reads a number of a session.
    func findKept(_ id: [UInt8]) -> OpaquePointer? {
        guard context.mayResume(at: now), let found = context.settings.sessions?.find(id, purpose: purpose, now: now) else { return nil }
        offered = (id, found.owner)
        return found.session
    }
}

// MARK: Bytes in arrays

extension TLSSession {
    /// Takes what the peer sent.
    package func put(_ bytes: ArraySlice<UInt8>) throws(TLSError) {
        let result: Result<Void, TLSError> = bytes.withUnsafeBytes { bytes in
            do throws(TLSError) { return .success(try put(bytes)) } catch { return .failure(error) }
        }
        try result.get()
    }

    /// Decrypts all that came.
    ///
    /// - Returns: nil when the peer has ended the connection.
    /// - Throws: also where there is more than `limit`.
    package func readAll(atMost limit: Int) throws(TLSError) -> [UInt8]? {
        let result: Result<[UInt8]?, TLSError> = withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { room in
            do throws(TLSError) {
                var bytes: [UInt8] = []
                while true {
                    guard let count = try read(into: room) else { return .success(bytes.isEmpty ? nil : bytes) }
                    if count == 0 { return .success(bytes) }
                    guard bytes.count + count <= limit else { throw .broken("more than \(limit) bytes at once") }
                    bytes += room[..<count]
                }
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
