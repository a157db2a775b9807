// SPDX-License-Identifier: Apache-2.0
// MD4 (RFC 1320), which MS-CHAP hashes passwords with. Our own: swift-crypto has none, and the system's OpenSSL only with its
// legacy provider, which hardened machines leave away.

/// MD4 is broken as a hash of documents; here it is what RFC 2433 and RFC 2759 prescribe, and nothing else uses it.
enum MD4 {
    static let blockLength = 64

    /// The digest of `bytes`. Which memory is read depends on the length alone.
    static func digest(_ bytes: [UInt8]) -> Authenticator {
        var state = MD4State()
        var block = InlineArray<16, UInt32>(repeating: 0)
        // RFC 1320 §3.1: one bit, zeros, 64 bits of length.
        let blocks = (bytes.count + 8) / blockLength + 1
        let bits = UInt64(bytes.count) &* 8
        for index in 0..<blocks {
            for word in 0..<16 {
                var value: UInt32 = 0
                for byte in 0..<4 {
                    let place = index * blockLength + word * 4 + byte
                    let octet: UInt8 = place < bytes.count ? bytes[place] : place == bytes.count ? 0x80 : 0
                    value |= UInt32(octet) << UInt32(8 * byte)
                }
                block[word] = value
            }
            if index == blocks - 1 {
                block[14] = UInt32(truncatingIfNeeded: bits)
                block[15] = UInt32(truncatingIfNeeded: bits >> 32)
            }
            state.compress(block)
        }
        return state.digest
    }
}

/// The four chaining words (RFC 1320 §3.3).
private struct MD4State {
    var a: UInt32 = 0x6745_2301
    var b: UInt32 = 0xefcd_ab89
    var c: UInt32 = 0x98ba_dcfe
    var d: UInt32 = 0x1032_5476

    var digest: Authenticator {
        Authenticator(
            high: UInt64(a.byteSwapped) << 32 | UInt64(b.byteSwapped), low: UInt64(c.byteSwapped) << 32 | UInt64(d.byteSwapped))
    }

    /// RFC 1320 §3.4: three rounds of sixteen steps; the words change places after each.
    mutating func compress(_ m: InlineArray<16, UInt32>) {
        var (a, b, c, d) = (self.a, self.b, self.c, self.d)
        func rotate(_ value: UInt32, _ shift: UInt32) -> UInt32 { value &<< shift | value &>> (32 &- shift) }
        for step in 0..<16 {
            let sum = a &+ (d ^ (b & (c ^ d))) &+ m[step]
            (a, d, c, b) = (d, c, b, rotate(sum, Self.shift(0x130b_0703, step)))
        }
        for step in 0..<16 {
            let sum = a &+ (b & c | b & d | c & d) &+ m[step >> 2 | (step & 3) << 2] &+ 0x5a82_7999
            (a, d, c, b) = (d, c, b, rotate(sum, Self.shift(0x0d09_0503, step)))
        }
        for step in 0..<16 {
            let sum = a &+ (b ^ c ^ d) &+ m[Self.thirdRound[step]] &+ 0x6ed9_eba1
            (a, d, c, b) = (d, c, b, rotate(sum, Self.shift(0x0f0b_0903, step)))
        }
        self.a &+= a
        self.b &+= b
        self.c &+= c
        self.d &+= d
    }

    /// The four shifts of a round take turns; the first is the lowest byte.
    private static func shift(_ shifts: UInt32, _ step: Int) -> UInt32 { shifts >> UInt32(8 * (step & 3)) & 0xff }

    private static let thirdRound: InlineArray<16, Int> = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15]
}
