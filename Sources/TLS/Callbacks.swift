// SPDX-License-Identifier: Apache-2.0
// What OpenSSL asks during a handshake.

internal import COpenSSL

enum Callbacks {
    private static func context(of connection: OpaquePointer?) -> TLSContext? {
        guard let connection, let context = SSL_get_SSL_CTX(connection), let kept = SSL_CTX_get_ex_data(context, 0) else { return nil }
        return Unmanaged<TLSContext>.fromOpaque(kept).takeUnretainedValue()
    }

    private static func session(of connection: OpaquePointer?) -> TLSSession? {
        guard let connection, let kept = SSL_get_ex_data(connection, 0) else { return nil }
        return Unmanaged<TLSSession>.fromOpaque(kept).takeUnretainedValue()
    }

    /// Nobody is there to type one.
    static let noPassphrase: @convention(c) (UnsafeMutablePointer<CChar>?, CInt, CInt, UnsafeMutableRawPointer?) -> CInt = { _, _, _, _ in
        -1
    }

    static let verify: @convention(c) (CInt, OpaquePointer?) -> CInt = { isFine, chain in
        guard let chain else { return 0 }
        let connection = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()).map { OpaquePointer($0) }
        guard let session = session(of: connection) else { return 0 }
        return session.verify(chain, isFine: isFine == 1) ? 1 : 0
    }

    /// As `verify`, of a chain that was shown before.
    static let verifyAgain: @convention(c) (CInt, OpaquePointer?) -> CInt = { isFine, chain in
        guard let chain, let kept = X509_STORE_CTX_get_ex_data(chain, 0) else { return 0 }
        return Unmanaged<ChainCheck>.fromOpaque(kept).takeUnretainedValue().judge(chain, isFine: isFine == 1) ? 1 : 0
    }

    /// SSL_CTX_set_tlsext_status_cb(3): a server's part.
    static let staple: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> CInt = { connection, _ in
        guard let connection, let bytes = context(of: connection)?.settings.staple?(), !bytes.isEmpty else {
            return SSL_TLSEXT_ERR_NOACK
        }
        return openssl_set_staple(connection, bytes, bytes.count) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK
    }

    /// RFC 7301 §3.2, by this side's preference.
    static let selectProtocol:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<UInt8>?, UnsafePointer<UInt8>?, UInt32,
            UnsafeMutableRawPointer?
        ) -> CInt = { connection, chosen, chosenLength, offered, offeredLength, _ in
            guard let context = context(of: connection), let connection, let offered, let chosen, let chosenLength else {
                return SSL_TLSEXT_ERR_ALERT_FATAL
            }
            let isNew = SSL_version(connection) >= TLS1_3_VERSION
            for wanted in context.settings.applicationProtocols where isNew || !context.settings.needsTLS13.contains(wanted) {
                var place = 0
                while place < Int(offeredLength) {
                    let length = Int(offered[place])
                    guard place + 1 + length <= Int(offeredLength) else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                    if UnsafeBufferPointer(start: offered + place + 1, count: length).elementsEqual(wanted.utf8) {
                        chosen.pointee = offered + place + 1
                        chosenLength.pointee = UInt8(length)
                        return SSL_TLSEXT_ERR_OK
                    }
                    place += 1 + length
                }
            }
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }

    /// SSL_CTX_set_psk_server_callback(3). No cipher of TLS 1.2 here takes a pre-shared key, so it is asked in TLS 1.3 alone.
    static let preSharedKey: @convention(c) (OpaquePointer?, UnsafePointer<CChar>?, UnsafeMutablePointer<UInt8>?, UInt32) -> UInt32 = {
        connection, identity, room, capacity in
        guard let context = context(of: connection), let session = session(of: connection), let identity, let room else { return 0 }
        // What is no text nobody is registered by; of a session that was to be resumed, it is a ticket.
        guard let name = String(validatingCString: identity) else { return 0 }
        session.askedIdentity = name
        guard let key = context.settings.preSharedKey?(name), !key.isEmpty, key.count <= Int(capacity) else { return 0 }
        room.update(from: key, count: key.count)
        session.presented = (name, key)
        return UInt32(key.count)
    }

    /// SSL_CTX_sess_set_get_cb(3). The reference that it hands over is the caller's: another thread may drop the kept one at any time.
    static let keptSession: @convention(c) (OpaquePointer?, UnsafePointer<UInt8>?, CInt, UnsafeMutablePointer<CInt>?) -> OpaquePointer? = {
        connection, bytes, count, isCopied in
        isCopied?.pointee = 0
        guard let session = session(of: connection), let bytes, count > 0 else { return nil }
        return session.findKept(Array(UnsafeBufferPointer(start: bytes, count: Int(count))))
    }

    static let ownKey:
        @convention(c) (
            OpaquePointer?, UnsafePointer<CChar>?, UnsafeMutablePointer<CChar>?, UInt32, UnsafeMutablePointer<UInt8>?, UInt32
        ) -> UInt32 = { connection, _, nameRoom, nameCapacity, room, capacity in
            guard let context = context(of: connection), case .client(let identity, let key) = context.side, let nameRoom, let room,
                identity.utf8.count < Int(nameCapacity), key.count <= Int(capacity)
            else { return 0 }
            for (place, byte) in (Array(identity.utf8) + [0]).enumerated() { nameRoom[place] = CChar(bitPattern: byte) }
            room.update(from: key, count: key.count)
            return UInt32(key.count)
        }
}
