// SPDX-License-Identifier: Apache-2.0
// The hash that an exported file is signed by: it can be gone on with piece by piece, and checked line by line.

internal import Crypto

/// Over the lines of a file: `hash(n) = SHA-256(hash(n−1) ‖ line n without its end)`.
package struct ExportHash: Sendable, Equatable {
    private(set) var bytes: [UInt8]

    package init() {
        bytes = [UInt8](repeating: 0, count: 32)
    }

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// - Parameter text: whole lines.
    package mutating func take(_ text: [UInt8]) {
        for line in text.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast() { take(line: line) }
    }

    package mutating func take(line: some Sequence<UInt8>) {
        var hash = SHA256()
        hash.update(data: bytes)
        hash.update(data: Array(line))
        bytes = Array(hash.finalize())
    }

    package var text: String { bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
