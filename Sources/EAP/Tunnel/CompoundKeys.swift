// SPDX-License-Identifier: Apache-2.0
// PEAP's cryptobinding: keys of the tunnel and of the method inside it, mixed ([MS-PEAP] §3.1.5.5, §3.1.5.7).

internal import Crypto

/// Whoever has them spoke both the tunnel and what was inside it.
struct CompoundKeys {
    /// Of the tunnel's key, what goes in.
    static let tunnelKeyLength = 60
    private static let innerKeyLength = 32
    private static let ipmkLength = 40

    private let ipmk: EAPSecret
    private let cmk: EAPSecret

    init(ipmk: [UInt8], cmk: [UInt8]) {
        (self.ipmk, self.cmk) = (EAPSecret(ipmk), EAPSecret(cmk))
    }

    /// - Parameters:
    ///   - tunnel: the tunnel's key material.
    ///   - inner: the server's receive key, then its send key, of the inner method; empty where it makes none.
    ///   - isResumed: then nothing was spoken inside, and the tunnel's key is all there is.
    init(tunnel: [UInt8], inner: [UInt8], isResumed: Bool) {
        let tunnel = Array(tunnel.prefix(Self.tunnelKeyLength))
        var mixed = tunnel
        if !isResumed {
            let isk = inner.prefix(Self.innerKeyLength) + Array(repeating: 0, count: max(0, Self.innerKeyLength - inner.count))
            mixed = Self.expand(
                Array(tunnel.prefix(Self.ipmkLength)), Array("Inner Methods Compound Keys".utf8) + isk, count: Self.tunnelKeyLength)
        }
        self.init(ipmk: Array(mixed.prefix(Self.ipmkLength)), cmk: Array(mixed.dropFirst(Self.ipmkLength)))
    }

    /// Over the TLV without its MAC, and the type of PEAP ([MS-PEAP] §3.1.5.5.1).
    func compoundMAC(_ binding: [UInt8]) -> [UInt8] {
        Self.hmac(cmk.bytes, binding + [EAPType.peap.rawValue])
    }

    /// CSK: its first half takes the place of the tunnel's own keys. The label has a zero at its end here, and only here.
    var sessionKey: [UInt8] {
        Self.expand(ipmk.bytes, Array("Session Key Generating Function".utf8) + [0], count: TunnelKeys.length)
    }

    /// PRF+ of [MS-PEAP] §3.1.5.5.2.2: that of RFC 4306 §2.13 with two zeros behind the counter.
    static func expand(_ key: [UInt8], _ seed: [UInt8], count: Int) -> [UInt8] {
        var result: [UInt8] = []
        var last: [UInt8] = []
        var counter: UInt8 = 1
        while result.count < count {
            last = hmac(key, last + seed + [counter, 0, 0])
            result += last
            counter &+= 1
        }
        return Array(result.prefix(count))
    }

    private static func hmac(_ key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
        Array(HMAC<Insecure.SHA1>.authenticationCode(for: bytes, using: SymmetricKey(data: key)))
    }
}
