// SPDX-License-Identifier: Apache-2.0
// SHA-1 (RFC 3174), of which MS-CHAPv2 and its keys are made. Our own, so that this library needs no other.

/// SHA-1 is broken as a hash of documents; here it is what RFC 2759 and RFC 3079 prescribe, and nothing else uses it.
enum SHA1 {
    static let digestLength = 20
    static let blockLength = 64

    /// The digest of `bytes`. Which memory is read depends on the length alone.
    static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
        var words = [UInt32](repeating: 0, count: 80)
        // RFC 3174 §4: one bit, zeros, 64 bits of length.
        let blocks = (bytes.count + 8) / blockLength + 1
        let bits = UInt64(bytes.count) &* 8
        for index in 0..<blocks {
            for word in 0..<16 {
                var value: UInt32 = 0
                for byte in 0..<4 {
                    let place = index * blockLength + word * 4 + byte
                    value = value << 8 | UInt32(place < bytes.count ? bytes[place] : place == bytes.count ? 0x80 : 0)
                }
                words[word] = value
            }
            if index == blocks - 1 {
                words[14] = UInt32(truncatingIfNeeded: bits >> 32)
                words[15] = UInt32(truncatingIfNeeded: bits)
            }
            compress(&words, &state)
        }
        return state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * $0)) } }
    }

    /// RFC 3174 §6.1.
    private static func compress(_ w: inout [UInt32], _ state: inout [UInt32]) {
        func rotate(_ value: UInt32, _ shift: UInt32) -> UInt32 { value &<< shift | value &>> (32 &- shift) }
        for t in 16..<80 { w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1) }
        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
        for t in 0..<80 {
            let (mixed, constant): (UInt32, UInt32) =
                switch t / 20 {
                case 0: (d ^ (b & (c ^ d)), 0x5a82_7999)
                case 1: (b ^ c ^ d, 0x6ed9_eba1)
                case 2: (b & c | b & d | c & d, 0x8f1b_bcdc)
                default: (b ^ c ^ d, 0xca62_c1d6)
                }
            let sum = rotate(a, 5) &+ mixed &+ e &+ w[t] &+ constant
            (e, d, c, b, a) = (d, c, rotate(b, 30), a, sum)
        }
        state[0] &+= a
        state[1] &+= b
        state[2] &+= c
        state[3] &+= d
        state[4] &+= e
    }
}
