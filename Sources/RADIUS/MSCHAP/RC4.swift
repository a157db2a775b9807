// SPDX-License-Identifier: Apache-2.0
// RC4, which MS-CHAP hides a new password with (RFC 2759 §8.10). Our own: swift-crypto has none, and the system's OpenSSL only
// with its legacy provider. Reads memory by its state: it runs once for a change of password, never on what a stranger repeats.

enum RC4 {
    /// Hides and reveals: the same operation. An empty key changes nothing.
    static func apply(key: [UInt8], to bytes: [UInt8]) -> [UInt8] {
        guard !key.isEmpty else { return bytes }
        var state = (0...255).map { UInt8($0) }
        var j = 0
        for i in 0..<256 {
            j = (j + Int(state[i]) + Int(key[i % key.count])) & 255
            state.swapAt(i, j)
        }
        var i = 0
        j = 0
        return bytes.map { byte in
            i = (i + 1) & 255
            j = (j + Int(state[i])) & 255
            state.swapAt(i, j)
            return byte ^ state[Int(state[i] &+ state[j])]
        }
    }
}
