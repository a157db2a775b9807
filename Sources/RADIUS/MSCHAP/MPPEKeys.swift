// SPDX-License-Identifier: Apache-2.0
// The keys that a gateway and the user's device share after MS-CHAP: RFC 3079 §3 makes them, RFC 2548 §2.4 carries them.

/// Keys of one direction each, as the gateway uses them.
public struct MPPEKeys: Sendable, Equatable {
    /// RFC 3079 §3.4: 128 bits.
    public static let length = 16

    /// From the gateway to the user.
    public let send: [UInt8]
    /// From the user to the gateway.
    public let receive: [UInt8]

    /// RFC 3079 §3.3 and §3.4, for the side that was logged in to.
    public init(_ response: MSCHAPv2Response, _ hash: NTHash) {
        let master = Array(SHA1.digest(hash.hashed.bytes + response.response.bytes + Self.magic1).prefix(Self.length))
        func start(_ magic: [UInt8]) -> [UInt8] {
            Array(SHA1.digest(master + Self.pad1 + magic + Self.pad2).prefix(Self.length))
        }
        send = start(Self.magic3)
        receive = start(Self.magic2)
    }

    /// The value of MS-CHAP-MPPE-Keys in plain, for the first version: eight bytes of a LAN Manager hash, which nobody keeps any more,
    /// and the hashed NT hash (RFC 2548 §2.4.1). It goes out hidden as User-Password is.
    public static func firstVersion(_ hash: NTHash) -> [UInt8] {
        [UInt8](repeating: 0, count: 8) + hash.hashed.bytes
    }

    /// RFC 3079 §3.4
    private static let pad1 = [UInt8](repeating: 0, count: 40)
    private static let pad2 = [UInt8](repeating: 0xf2, count: 40)
    private static let magic1 = Array("This is the MPPE Master Key".utf8)
    /// RFC 3079 §3.4: what the client sends with is what the server receives with.
    private static let magic2 = Array("On the client side, this is the send key; on the server side, it is the receive key.".utf8)
    private static let magic3 = Array("On the client side, this is the receive key; on the server side, it is the send key.".utf8)
}

extension MPPEKeys: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "MPPEKeys(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A key in a reply, hidden behind a salt (RFC 2548 §2.4.2, the same as RFC 2868 §3.5).
public enum SaltedKey {
    /// Of salt and text together, so that the attribute holds them.
    public static let maximumLength = 239

    /// - Parameters:
    ///   - salt: two bytes that no other key of the packet has; the first bit is set here (RFC 2548 §2.4.2).
    ///   - authenticator: of the request.
    public static func hide(_ key: [UInt8], salt: UInt16, authenticator: Authenticator, secret: SharedSecret) -> [UInt8] {
        precondition(key.count <= maximumLength)
        let salt = salt | 0x8000
        var result = [UInt8(truncatingIfNeeded: salt >> 8), UInt8(truncatingIfNeeded: salt)]
        // The length, the key, zeros up to a whole block.
        var plain = [UInt8(key.count)] + key
        while plain.count % 16 != 0 { plain.append(0) }
        var stream = secret.prefix
        stream.update(authenticator)
        stream.update(result)
        for offset in stride(from: 0, to: plain.count, by: 16) {
            let block = stream.finish().xor(Authenticator(plain.span, at: offset))
            result += block.bytes
            stream = secret.prefix
            stream.update(block)
        }
        return result
    }

    /// - Returns: nil when the value is no hidden key, or the secret another one: then the length seldom fits.
    public static func reveal(_ value: ArraySlice<UInt8>, authenticator: Authenticator, secret: SharedSecret) -> [UInt8]? {
        guard value.count >= 18, value.count % 16 == 2, value[value.startIndex] & 0x80 != 0 else { return nil }
        let hidden = Array(value.dropFirst(2))
        var plain: [UInt8] = []
        var stream = secret.prefix
        stream.update(authenticator)
        stream.update(Array(value.prefix(2)))
        for offset in stride(from: 0, to: hidden.count, by: 16) {
            let block = Authenticator(hidden.span, at: offset)
            plain += stream.finish().xor(block).bytes
            stream = secret.prefix
            stream.update(block)
        }
        let length = Int(plain[0])
        guard length < plain.count else { return nil }
        return Array(plain.dropFirst().prefix(length))
    }
}
