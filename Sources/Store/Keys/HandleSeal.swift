// SPDX-License-Identifier: Apache-2.0
// The text of login handles, and keyed fingerprints. Forged handles cost one MAC and no query.

internal import Crypto
package import LoginEngine

package struct KeyedHandles: HandleSeal, Sendable {
    /// 24 bytes are 32 characters without padding.
    package static let textLength = 32
    private static let randomSize = 16
    private static let macSize = 8

    /// Keyed once; copying one is cheaper than keying anew.
    private let handle: HMAC<SHA256>
    private let fingerprint: HMAC<SHA256>
    /// Of older keys, the newest first: their handles still open.
    private let older: [HMAC<SHA256>]

    /// Handles live for minutes: those of the keys before these are long gone.
    private static let mostOlder = 2

    package init(keys: [UInt32: MasterKey], current id: UInt32) {
        guard let key = keys[id] else { preconditionFailure("the current key is one of the keys") }
        let older = keys.sorted { $0.key > $1.key }.filter { $0.key != id }
        self.init(id, key, older: older.map { ($0.key, $0.value.subkey("handle")) })
    }

    init(_ ring: KeyRing) {
        self.init(ring.currentID, ring.current, older: ring.older.suffix(Self.mostOlder).reversed().map { ($0.id, $0.subkeys.handle) })
    }

    private init(_ id: UInt32, _ key: MasterKey, older: [(id: UInt32, key: SymmetricKey)]) {
        handle = Self.keyed(id, key.subkey("handle"))
        fingerprint = HMAC<SHA256>(key: key.subkey("fingerprint"))
        self.older = older.map { Self.keyed($0.id, $0.key) }
    }

    private static func keyed(_ id: UInt32, _ key: SymmetricKey) -> HMAC<SHA256> {
        var mac = HMAC<SHA256>(key: key)
        mac.update(data: Sealing.bytes(id))
        return mac
    }

    package func text(of handle: HandleID) -> String {
        let random = handle.bits.bytes
        return Self.encode(random + Self.mac(of: random, self.handle))
    }

    package func open(_ text: String) -> HandleID? {
        guard let bytes = Self.decode(text) else { return nil }
        let random = Array(bytes[..<Self.randomSize])
        for keyed in [self.handle] + older {
            let mac = Self.mac(of: random, keyed)
            var difference: UInt8 = 0
            for index in 0..<Self.macSize { difference |= mac[index] ^ bytes[Self.randomSize + index] }
            if difference == 0 { return Bits128(random).map { HandleID($0) } }
        }
        return nil
    }

    package func digest(_ parts: [[UInt8]]) -> Fingerprint {
        var message: [UInt8] = []
        message.reserveCapacity(parts.reduce(0) { $0 + $1.count + 4 })
        for part in parts {
            let count = UInt32(part.count)
            message.append(UInt8(truncatingIfNeeded: count >> 24))
            message.append(UInt8(truncatingIfNeeded: count >> 16))
            message.append(UInt8(truncatingIfNeeded: count >> 8))
            message.append(UInt8(truncatingIfNeeded: count))
            message.append(contentsOf: part)
        }
        var mac = fingerprint
        mac.update(data: message)
        guard let bits = Bits128(mac.finalize().prefix(16)) else { preconditionFailure("SHA-256 has 32 bytes") }
        return Fingerprint(bits)
    }

    private static func mac(of random: [UInt8], _ keyed: HMAC<SHA256>) -> [UInt8] {
        var mac = keyed
        mac.update(data: random)
        return Array(mac.finalize().prefix(macSize))
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    /// 24 bytes are eight groups of three, so every text of 32 characters is canonical.
    private static func encode(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: textLength) { text in
            var position = 0
            for index in stride(from: 0, to: bytes.count, by: 3) {
                let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
                for shift in [18, 12, 6, 0] {
                    text[position] = alphabet[Int(group >> UInt32(shift) & 63)]
                    position += 1
                }
            }
            return position
        }
    }

    private static func decode(_ text: String) -> [UInt8]? {
        guard text.utf8.count == textLength else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(randomSize + macSize)
        var group: UInt32 = 0
        for (index, character) in text.utf8.enumerated() {
            let value = values[Int(character)]
            guard value < 64 else { return nil }
            group = group << 6 | UInt32(value)
            if index % 4 == 3 {
                bytes.append(UInt8(truncatingIfNeeded: group >> 16))
                bytes.append(UInt8(truncatingIfNeeded: group >> 8))
                bytes.append(UInt8(truncatingIfNeeded: group))
                group = 0
            }
        }
        return bytes
    }
}
