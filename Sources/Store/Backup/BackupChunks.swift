// SPDX-License-Identifier: Apache-2.0
// The sealed part of a backup: chunks of 64 KiB, each numbered and the last one marked, so that no part can be cut, moved or doubled
// (Hoang, Reyhanitabar, Rogaway, Vizár: STREAM).

internal import Crypto
internal import Foundation

struct BackupChunks: Sendable {
    static let size = 65_536
    static let tagSize = 16
    /// What a full chunk takes in the file.
    static let sealedSize = size + tagSize

    private let key: SymmetricKey
    private var next: UInt64 = 0

    init(_ key: SymmetricKey) {
        self.key = key
    }

    /// The key is of this file alone, so that a counter is nonce enough: three zeros ‖ number (8) ‖ 1 in the last chunk.
    private static func nonce(_ number: UInt64, isLast: Bool) -> [UInt8] {
        [0, 0, 0] + stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> UInt64($0)) } + [isLast ? 1 : 0]
    }

    mutating func seal(_ chunk: some Collection<UInt8>, isLast: Bool) -> [UInt8] {
        defer { next += 1 }
        do {
            let nonce = try AES.GCM.Nonce(data: Self.nonce(next, isLast: isLast))
            let box = try AES.GCM.seal(Array(chunk), using: key, nonce: nonce)
            return Array(box.ciphertext) + Array(box.tag)
        } catch {
            preconditionFailure("AES-GCM with a 256-bit key and a nonce of 12 bytes does not fail")
        }
    }

    mutating func open(_ sealed: [UInt8], isLast: Bool) throws(StoreError) -> [UInt8] {
        defer { next += 1 }
        if let chunk = open(sealed, next, isLast: isLast) { return chunk }
        if isLast, open(sealed, next, isLast: false) != nil || sealed.isEmpty {
            throw StoreError(.cannotOpen, "the file was cut off: its end is missing", remedy: "Use another copy.")
        }
        if !isLast, open(sealed, next, isLast: true) != nil {
            throw StoreError(.cannotOpen, "something was put behind the end of the file", remedy: "Use another copy.")
        }
        throw StoreError(
            .cannotOpen, "the file was changed or damaged, at byte \(Int(next) * Self.sealedSize) of its sealed part",
            remedy: "Use another copy.")
    }

    private func open(_ sealed: [UInt8], _ number: UInt64, isLast: Bool) -> [UInt8]? {
        guard sealed.count >= Self.tagSize else { return nil }
        let end = sealed.count - Self.tagSize
        guard let nonce = try? AES.GCM.Nonce(data: Self.nonce(number, isLast: isLast)),
            let box = try? AES.GCM.SealedBox(nonce: nonce, ciphertext: sealed[..<end], tag: sealed[end...])
        else { return nil }
        return (try? AES.GCM.open(box, using: key)).map { Array($0) }
    }
}
