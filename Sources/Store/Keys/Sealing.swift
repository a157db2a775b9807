// SPDX-License-Identifier: Apache-2.0
// Secrets at rest: AES-256-GCM under a key derived from the master key, bound to the place where they are kept.

internal import Crypto
internal import Foundation
package import LoginEngine
internal import Synchronization

/// Where a sealed value stands; a value that was moved does not open.
package struct SealedPlace: Sendable {
    var table: StaticString
    var row: Int64
    var column: StaticString
    /// Whose row it is, where that stands in the row and could be changed.
    var owner: Int64?

    package init(table: StaticString, row: Int64, column: StaticString, owner: Int64? = nil) {
        self.owner = owner
        self.table = table
        self.row = row
        self.column = column
    }
}

package enum SealingError: Error, Sendable, Equatable {
    case malformed
    /// Sealed under a key that is not here.
    case unknownKey(UInt32)
    /// Changed, moved, or sealed under another key of the same number.
    case notAuthentic
}

/// Version (1 byte) ‖ key id (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
package final class Sealing: Sendable {
    private static let version: UInt8 = 1
    private static let headSize = 1 + 4
    private static let nonceSize = 12
    private static let tagSize = 16
    package static let overhead = headSize + nonceSize + tagSize

    private struct Live {
        var current: UInt32
        var keys: [UInt32: SymmetricKey]
    }

    private let live: Mutex<Live>

    /// - Parameter keys: every live master key by its id; `current` seals, all open.
    package init(keys: [UInt32: MasterKey], current: UInt32) {
        precondition(keys[current] != nil, "the current key is one of the keys")
        live = Mutex(Live(current: current, keys: keys.mapValues { $0.subkey("sealing") }))
    }

    package var currentKey: UInt32 { live.withLock { $0.current } }

    /// From now on this key seals; those before it still open.
    func adopt(_ key: MasterKey, _ id: UInt32) {
        let subkey = key.subkey("sealing")
        live.withLock { live in
            live.keys[id] = subkey
            live.current = id
        }
    }

    /// Nothing is sealed under this key any more.
    func forget(_ id: UInt32) {
        live.withLock { live in
            guard live.current != id else { return }
            live.keys[id] = nil
        }
    }

    /// The id of the key that a value is sealed under; nil where it is no sealed value.
    static func key(of sealed: [UInt8]) -> UInt32? {
        guard sealed.count >= overhead, sealed[0] == version else { return nil }
        return sealed[1...4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }

    package func seal(_ secret: Secret, at place: SealedPlace) -> [UInt8] {
        let (current, key) = live.withLock { ($0.current, $0.keys[$0.current]) }
        guard let key else { preconditionFailure("the current key is one of the keys") }
        return secret.reveal { bytes in
            do {
                let box = try AES.GCM.seal(bytes, using: key, authenticating: Self.associated(place, key: current))
                return Self.head(current) + Array(box.nonce) + Array(box.ciphertext) + Array(box.tag)
            } catch {
                preconditionFailure("AES-GCM with a 256-bit key and a fresh nonce does not fail")
            }
        }
    }

    package func open(_ sealed: [UInt8], at place: SealedPlace) throws(SealingError) -> Secret {
        guard let id = Self.key(of: sealed) else { throw .malformed }
        guard let key = live.withLock({ $0.keys[id] }) else { throw .unknownKey(id) }
        do {
            // Nonce, ciphertext and tag stand in the order of a box that is whole: one copy in place of three.
            let box = try AES.GCM.SealedBox(combined: sealed[Self.headSize...])
            return Secret(Array(try AES.GCM.open(box, using: key, authenticating: Self.associated(place, key: id))))
        } catch {
            throw .notAuthentic
        }
    }

    /// What a value that is sealed under this key begins with.
    static func head(_ key: UInt32) -> [UInt8] { [version] + bytes(key) }

    static func bytes(_ key: UInt32) -> [UInt8] {
        stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: key >> UInt32($0)) }
    }

    /// Table and column are our own words without NUL, so the parts cannot run into one another.
    private static func associated(_ place: SealedPlace, key: UInt32) -> [UInt8] {
        var bytes = head(key)
        bytes.reserveCapacity(64)
        place.table.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(0)
        place.column.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(0)
        for number in [place.row, place.owner].compactMap(\.self) {
            for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: number >> Int64(shift))) }
        }
        return bytes
    }
}
