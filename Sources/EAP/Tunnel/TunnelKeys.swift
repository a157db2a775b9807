// SPDX-License-Identifier: Apache-2.0
// What both sides know after a handshake (RFC 5216 §2.3, RFC 5281 §8, RFC 9190 §2.3, RFC 9427 §2).

internal import TLS

/// 128 bytes and a name, of the session and the method's type.
struct TunnelKeys {
    static let length = 128
    /// Of the part that is given out, and of each of its halves.
    static let mskLength = 64

    /// MSK, then EMSK.
    let material: EAPSecret
    /// RFC 5247 §1.4
    let sessionID: [UInt8]

    init(_ session: TLSSession, _ type: EAPType) throws(TLSError) {
        if session.isTLS13 {
            // RFC 9190 §2.3, and RFC 9427 §2.1 for all the others.
            let context = [type.rawValue]
            material = EAPSecret(try session.export("EXPORTER_EAP_TLS_Key_Material", context: context, count: Self.length))
            sessionID = context + (try session.export("EXPORTER_EAP_TLS_Method-Id", context: context, count: Self.mskLength))
        } else {
            // RFC 5281 §8 has a label of its own; PEAP has the one of RFC 5216 §2.3.
            let label = type == .ttls ? "ttls keying material" : "client EAP encryption"
            material = EAPSecret(try session.export(label, count: Self.length))
            sessionID = [type.rawValue] + session.randoms
        }
    }

    var keys: EAPKeys { Self.keys(material.bytes, sessionID) }

    /// RFC 5216 §2.3: what the peer sends with comes first.
    static func keys(_ msk: [UInt8], _ sessionID: [UInt8]) -> EAPKeys {
        EAPKeys(
            receive: EAPSecret(Array(msk[..<(mskLength / 2)])), send: EAPSecret(Array(msk[(mskLength / 2)..<mskLength])),
            sessionID: sessionID)
    }

    /// What a client of TTLS answers instead of a challenge of the server's (RFC 5281 §11.1, RFC 9427 §2.2).
    static func challenge(_ session: TLSSession, count: Int) throws(TLSError) -> [UInt8] {
        try session.export("ttls challenge", count: count)
    }
}
