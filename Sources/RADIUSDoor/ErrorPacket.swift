// SPDX-License-Identifier: Apache-2.0
// Protocol-Error (RFC 7930 §4, RFC 9765 §3.4): what over TCP is said where UDP is silent.

import RADIUS

enum ErrorPacket {
    /// RFC 5176 §3.5
    private static let unsupportedExtension: UInt32 = 406
    /// RFC 7930 §7
    private static let responseTooBig: UInt32 = 601
    /// Original-Packet-Code, 241.4 (RFC 7930 §6).
    private static let originalCode = (outer: AttributeType(rawValue: 241), inner: UInt8(4))

    /// To a peer that named no version in its handshake, where one is required. It replies to nothing, so its authenticator is zero.
    static let versionRequired: [UInt8] = {
        var writer = PacketWriter(request: .protocolError, identifier: 0, authenticator: .zero, messageAuthenticator: false)
        writer.addText(.replyMessage, "This server speaks RADIUS/1.1 alone (RFC 9765): offer radius/1.1 by ALPN.")
        writer.addInteger(.errorCause, unsupportedExtension)
        return TLSPeers.secret.flatMap { try? writer.sign(with: $0) } ?? []
    }()

    /// In the place of an answer that has no room.
    ///
    /// - Returns: nil where even this has none.
    static func replyTooLong(to request: Packet, secret: SharedSecret) -> [UInt8]? {
        var writer = PacketWriter(reply: .protocolError, to: request)
        writer.addInteger(.errorCause, responseTooBig)
        // RFC 9765 §5.5: its token says enough.
        if request.version == .historic { writer.add(originalCode.outer, [originalCode.inner, 0, 0, 0, request.code.rawValue]) }
        writer.copyProxyState(from: request)
        return try? writer.sign(with: secret)
    }
}
