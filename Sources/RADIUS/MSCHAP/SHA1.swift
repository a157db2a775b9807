// SPDX-License-Identifier: Apache-2.0
// SHA-1 (RFC 3174), of which MS-CHAPv2 and its keys are made. Our own, so that this library needs no other.

/// SHA-1 is broken as a hash of documents; here it is what RFC 2759 and RFC 3079 prescribe, and nothing else uses it.
enum SHA1 {
    static let digestLength = 20
    static let blockLength = 64

    /// The digest of `bytes`. Which memory is read depends on the length alone.
    static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var state = SHA1State()
        let whole = bytes.count / blockLength
        for index in 0..<whole { state.compress(SHA1Block(bytes.span, at: index * blockLength)) }
        // RFC 3174 §4: one bit, zeros, 64 bits of length.
        var rest = InlineArray<64, UInt8>(repeating: 0)
        let left = bytes.count - whole * blockLength
        for place in 0..<left { rest[place] = bytes[whole * blockLength + place] }
        rest[left] = 0x80
        var last = SHA1Block(rest.span, at: 0)
        if left >= blockLength - 8 {
            state.compress(last)
            last = SHA1Block()
        }
        let bits = UInt64(bytes.count) &* 8
        last.words[14] = UInt32(truncatingIfNeeded: bits >> 32)
        last.words[15] = UInt32(truncatingIfNeeded: bits)
        state.compress(last)
        return state.digest
    }
}

/// The 16 words of one block, big-endian (RFC 3174 §2).
private struct SHA1Block {
    var words = InlineArray<16, UInt32>(repeating: 0)

    init() {}

    init(_ bytes: borrowing Span<UInt8>, at offset: Int) {
        for word in 0..<16 {
            let place = offset + 4 * word
            words[word] =
                UInt32(bytes[place]) << 24 | UInt32(bytes[place + 1]) << 16 | UInt32(bytes[place + 2]) << 8 | UInt32(bytes[place + 3])
        }
    }
}

/// The five chaining words (RFC 3174 §6.1).
private struct SHA1State {
    var a: UInt32 = 0x6745_2301
    var b: UInt32 = 0xefcd_ab89
    var c: UInt32 = 0x98ba_dcfe
    var d: UInt32 = 0x1032_5476
    var e: UInt32 = 0xc3d2_e1f0

    var digest: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(SHA1.digestLength)
        for word in [a, b, c, d, e] { for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: word &>> shift)) } }
        return bytes
    }

    /// RFC 3174 §6.2, the second method: sixteen words that are renewed as they are used.
    mutating func compress(_ block: SHA1Block) {
        var w = block.words
        var next = self
        for t in 0..<16 { next.step(w[t], next.d ^ (next.b & (next.c ^ next.d)), 0x5a82_7999) }
        for t in 16..<20 { next.step(Self.renew(&w, t), next.d ^ (next.b & (next.c ^ next.d)), 0x5a82_7999) }
        for t in 20..<40 { next.step(Self.renew(&w, t), next.b ^ next.c ^ next.d, 0x6ed9_eba1) }
        for t in 40..<60 { next.step(Self.renew(&w, t), (next.b & next.c) | (next.d & (next.b | next.c)), 0x8f1b_bcdc) }
        for t in 60..<80 { next.step(Self.renew(&w, t), next.b ^ next.c ^ next.d, 0xca62_c1d6) }
        a &+= next.a
        b &+= next.b
        c &+= next.c
        d &+= next.d
        e &+= next.e
    }

    @inline(__always)
    private static func renew(_ w: inout InlineArray<16, UInt32>, _ t: Int) -> UInt32 {
        let word = w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15]
        w[t & 15] = word &<< 1 | word &>> 31
        return w[t & 15]
    }

    @inline(__always)
    private mutating func step(_ word: UInt32, _ mixed: UInt32, _ constant: UInt32) {
        let sum = (a &<< 5 | a &>> 27) &+ mixed &+ e &+ word &+ constant
        (e, d, c, b, a) = (d, c, b &<< 30 | b &>> 2, a, sum)
    }
}
