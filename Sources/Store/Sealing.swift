// SPDX-License-Identifier: Apache-2.0
// Secrets at rest: AES-256-GCM under a key derived from the master key, bound to the place where they are kept.

internal import Crypto
internal import Foundation
package import LoginEngine

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
package struct Sealing: Sendable {
    private static let version: UInt8 = 1
    private static let headSize = 1 + 4
    private static let nonceSize = 12
    private static let tagSize = 16
    package static let overhead = headSize + nonceSize + tagSize

    private let current: UInt32
    private let keys: [UInt32: SymmetricKey]

    /// - Parameter keys: every live master key by its id; `current` seals, all open.
    package init(keys: [UInt32: MasterKey], current: UInt32) {
        precondition(keys[current] != nil, "the current key is one of the keys")
        self.current = current
        self.keys = keys.mapValues { $0.subkey("sealing") }
    }

    package func seal(_ secret: Secret, at place: SealedPlace) -> [UInt8] {
        guard let key = keys[current] else { preconditionFailure("the current key is one of the keys") }
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
        guard sealed.count >= Self.overhead, sealed[0] == Self.version else { throw .malformed }
        let id = sealed[1...4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard let key = keys[id] else { throw .unknownKey(id) }
        let nonceEnd = Self.headSize + Self.nonceSize
        let tagStart = sealed.count - Self.tagSize
        do {
            let box = try AES.GCM.SealedBox(
                nonce: AES.GCM.Nonce(data: sealed[Self.headSize..<nonceEnd]), ciphertext: sealed[nonceEnd..<tagStart],
                tag: sealed[tagStart...])
            return Secret(Array(try AES.GCM.open(box, using: key, authenticating: Self.associated(place, key: id))))
        } catch {
            throw .notAuthentic
        }
    }

    private static func head(_ key: UInt32) -> [UInt8] {
        [
            version, UInt8(truncatingIfNeeded: key >> 24), UInt8(truncatingIfNeeded: key >> 16), UInt8(truncatingIfNeeded: key >> 8),
            UInt8(truncatingIfNeeded: key),
        ]
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
