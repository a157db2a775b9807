// SPDX-License-Identifier: Apache-2.0
// DES (FIPS 46-3) for single blocks, as MS-CHAP makes its responses. Our own for the reason that MD4 is: no legacy provider needed.

/// Up to four keyed DES at once, since every response of MS-CHAP is one block under three keys. Broken as a cipher; here it is what
/// RFC 2433 §A.5 and RFC 2759 §8.6 prescribe, and nothing else uses it.
///
/// No memory is read at an index that a key decides, so no cache line tells of a password's hash: the eight S-boxes are sums of products,
/// computed side by side in one word of eight nibbles.
struct DES: Sendable {
    typealias Lanes = SIMD4<UInt32>

    /// Sixteen round keys: what meets the first four bits that enter each S-box, and what meets the other two.
    private var outer = InlineArray<16, Lanes>(repeating: Lanes())
    private var inner = InlineArray<16, Lanes>(repeating: Lanes())

    /// - Parameter keys: 56 bits each, the last ones of the word; parity bits are not among them (RFC 2759 §8.6).
    init(_ keys: SIMD4<UInt64>) {
        // FIPS 46-3's PC-1 for a key without its parity bits: bit n of the 64 is bit n − n/8 of the 56.
        var c = Lanes()
        var d = Lanes()
        for place in 0..<28 {
            c = c &<< 1 | Self.bit(keys, 56 - Self.choice1[place])
            d = d &<< 1 | Self.bit(keys, 56 - Self.choice1[28 + place])
        }
        for round in 0..<16 {
            let shift: UInt32 = round == 0 || round == 1 || round == 8 || round == 15 ? 1 : 2
            c = (c &<< shift | c &>> (28 &- shift)) & 0xfff_ffff
            d = (d &<< shift | d &>> (28 &- shift)) & 0xfff_ffff
            (outer[round], inner[round]) = Self.choose(c, d)
        }
    }

    /// One key in the first lane.
    init(key: UInt64) { self.init(SIMD4(key, 0, 0, 0)) }

    /// Each block under the key of its lane.
    func encrypt(_ blocks: SIMD4<UInt64>) -> SIMD4<UInt64> { run(blocks, from: 0, by: 1) }

    func decrypt(_ blocks: SIMD4<UInt64>) -> SIMD4<UInt64> { run(blocks, from: 15, by: -1) }

    private func run(_ blocks: SIMD4<UInt64>, from first: Int, by step: Int) -> SIMD4<UInt64> {
        var left = Lanes(truncatingIfNeeded: blocks &>> 32)
        var right = Lanes(truncatingIfNeeded: blocks)
        // The initial permutation, as five exchanges.
        Self.exchange(&right, &left, 4, 0x0f0f_0f0f)
        Self.exchange(&right, &left, 16, 0x0000_ffff)
        Self.exchange(&left, &right, 2, 0x3333_3333)
        Self.exchange(&left, &right, 8, 0x00ff_00ff)
        Self.exchange(&right, &left, 1, 0x5555_5555)
        var round = first
        for _ in 0..<16 {
            (left, right) = (right, left ^ Self.mix(right, outer[round], inner[round]))
            round += step
        }
        // The halves change places once more, then the inverse of the first permutation.
        (left, right) = (right, left)
        Self.exchange(&right, &left, 1, 0x5555_5555)
        Self.exchange(&left, &right, 8, 0x00ff_00ff)
        Self.exchange(&left, &right, 2, 0x3333_3333)
        Self.exchange(&right, &left, 16, 0x0000_ffff)
        Self.exchange(&right, &left, 4, 0x0f0f_0f0f)
        return SIMD4<UInt64>(truncatingIfNeeded: left) &<< 32 | SIMD4<UInt64>(truncatingIfNeeded: right)
    }

    /// The bits of `low` under the mask change places with those of `high` that stand `shift` places higher.
    @inline(__always)
    private static func exchange(_ low: inout Lanes, _ high: inout Lanes, _ shift: UInt32, _ mask: UInt32) {
        let difference = (high &>> shift ^ low) & mask
        low ^= difference
        high ^= difference &<< shift
    }

    @inline(__always)
    private static func turn(_ value: Lanes, _ mask: UInt32, _ places: UInt32) -> Lanes {
        (value & mask) &<< places | (value & mask) &>> (32 &- places)
    }

    /// The function f: expansion, round key, S-boxes, P.
    @inline(__always)
    private static func mix(_ right: Lanes, _ outer: Lanes, _ inner: Lanes) -> Lanes {
        let (a, b) = (right ^ outer, right ^ inner)
        // The bit of each S-box, four times in its nibble.
        @inline(__always) func spread(_ bits: Lanes) -> Lanes { (bits & 0x1111_1111) &<< 4 &- (bits & 0x1111_1111) }
        let inputs = Inputs(
            first: spread(a &>> 4 | a &<< 28), second: spread(a &>> 3 | a &<< 29), third: spread(a &>> 2 | a &<< 30),
            fourth: spread(a &>> 1 | a &<< 31), fifth: spread(b), sixth: spread(b &<< 1 | b &>> 31))
        let sums = inputs.sixLevels(0)
        // P, by how far its bits move.
        var result = turn(sums, 0x2040_0202, 4)
        result |= turn(sums, 0x0101_1010, 6)
        result |= turn(sums, 0x4200_2401, 11)
        result |= turn(sums, 0x0012_8048, 14)
        result |= turn(sums, 0x1020_0000, 19)
        result |= turn(sums, 0x0404_0120, 20)
        result |= turn(sums, 0x8800_0800, 24)
        result |= turn(sums, 0x0088_4084, 25)
        return result
    }

    /// PC-2, by how far its bits move.
    @inline(__always)
    private static func choose(_ c: Lanes, _ d: Lanes) -> (outer: Lanes, inner: Lanes) {
        var outer = turn(c, 0x0240_0000, 3)
        outer |= turn(c, 0x0001_0000, 6)
        outer |= turn(c, 0x0000_1000, 8)
        outer |= turn(c, 0x0000_0100, 9)
        outer |= turn(c, 0x0002_2000, 13)
        outer |= turn(c, 0x0000_0200, 14)
        outer |= turn(c, 0x0000_0002, 17)
        outer |= turn(c, 0x0000_4000, 18)
        outer |= turn(c, 0x0000_0020, 19)
        outer |= turn(c, 0x0000_0800, 20)
        outer |= turn(c, 0x0000_0010, 25)
        outer |= turn(c, 0x0000_0001, 27)
        outer |= turn(c, 0x0100_0000, 29)
        outer |= turn(c, 0x0020_0000, 30)
        outer |= d & 0x0000_0080
        outer |= turn(d, 0x0000_8000, 1)
        outer |= turn(d, 0x0000_0021, 5)
        outer |= turn(d, 0x0000_0010, 11)
        outer |= turn(d, 0x0010_0000, 13)
        outer |= turn(d, 0x0400_0000, 18)
        outer |= turn(d, 0x0202_4000, 21)
        outer |= turn(d, 0x0008_0400, 26)
        outer |= turn(d, 0x0001_0000, 27)
        outer |= turn(d, 0x0000_1040, 28)
        outer |= turn(d, 0x0000_0800, 30)
        var inner = turn(c, 0x0800_8000, 1)
        inner |= turn(c, 0x0080_0000, 4)
        inner |= turn(c, 0x0004_0000, 5)
        inner |= turn(c, 0x0000_0080, 17)
        inner |= turn(c, 0x0000_0004, 18)
        inner |= turn(c, 0x0400_0000, 21)
        inner |= turn(c, 0x0010_0000, 31)
        inner |= d & 0x0000_0008
        inner |= turn(d, 0x0000_0200, 3)
        inner |= turn(d, 0x0800_0000, 5)
        inner |= turn(d, 0x0100_0000, 7)
        inner |= turn(d, 0x0000_0002, 10)
        inner |= turn(d, 0x0040_0000, 14)
        inner |= turn(d, 0x0080_0000, 17)
        inner |= turn(d, 0x0000_0100, 31)
        return (outer, inner)
    }

    @inline(__always)
    private static func bit(_ values: SIMD4<UInt64>, _ place: UInt64) -> Lanes { Lanes(truncatingIfNeeded: values &>> place & 1) }

    /// PC-1 in the numbers of a key without parity bits.
    private static let choice1: [UInt64] =
        ([
            57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
            63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
        ] as [UInt64]).map { $0 - $0 / 8 }
}

/// The six bits that enter the S-boxes; of each box a nibble of ones or of zeros.
private struct Inputs {
    let first: DES.Lanes
    let second: DES.Lanes
    let third: DES.Lanes
    let fourth: DES.Lanes
    let fifth: DES.Lanes
    let sixth: DES.Lanes

    // Horner's scheme over the bits, from the last to the first.
    @inline(__always) private func oneLevel(_ n: Int) -> DES.Lanes { sixth & Self.products[n + 1] ^ Self.products[n] }
    @inline(__always) private func twoLevels(_ n: Int) -> DES.Lanes { oneLevel(n) ^ fifth & oneLevel(n + 2) }
    @inline(__always) private func threeLevels(_ n: Int) -> DES.Lanes { twoLevels(n) ^ fourth & twoLevels(n + 4) }
    @inline(__always) private func fourLevels(_ n: Int) -> DES.Lanes { threeLevels(n) ^ third & threeLevels(n + 8) }
    @inline(__always) private func fiveLevels(_ n: Int) -> DES.Lanes { fourLevels(n) ^ second & fourLevels(n + 16) }
    @inline(__always) func sixLevels(_ n: Int) -> DES.Lanes { fiveLevels(n) ^ first & fiveLevels(n + 32) }

    /// The S-boxes of FIPS 46-3 in algebraic normal form: the place says of which inputs a product is made, the first input being the
    /// highest bit; a nibble says to which outputs of its box it is added. The outputs are in that order in which P moves most of them
    /// by the same number of places.
    private static let products: InlineArray<64, UInt32> = [
        0xdf3b_4947, 0xdad5_3ca6, 0xcb35_7bff, 0x300f_e111, 0x6756_5c53, 0x10bf_6105, 0x58eb_e139, 0xc6bc_0714,
        0x9cab_9abd, 0x461c_f110, 0x75fc_cc0a, 0x1010_9101, 0xc130_6324, 0xd110_f315, 0x8111_eba0, 0x1233_f3d1,
        0xb379_697b, 0x7c8f_804c, 0x6096_c006, 0x019f_c40d, 0x5ab0_bac6, 0x7380_e02c, 0x3c36_6417, 0x452f_8a78,
        0xca9e_07e2, 0x7993_3089, 0x44a4_c400, 0x24ac_6000, 0xc0b9_4284, 0x401f_539c, 0x0000_0000, 0x0000_0000,
        0xcfde_5a6c, 0x3473_c7d5, 0xf049_2599, 0x6d0f_719e, 0xa035_c0ca, 0xa07f_212a, 0x3971_da0c, 0x0cb3_1fad,
        0x3562_ed53, 0x0403_ed84, 0xa55b_479f, 0x1c3c_2d13, 0xf124_4206, 0xa11c_c237, 0xa105_fac0, 0x70bf_c2b0,
        0x55e3_84c0, 0x59d0_d200, 0x35d7_c00a, 0xecdc_a021, 0xc1bf_e093, 0xc510_3365, 0xea2f_ac93, 0x5b30_674c,
        0xf9e2_dc93, 0x5cc3_bbf4, 0x53c5_8899, 0xf78f_cd1d, 0xf1bf_f0c6, 0xf050_5997, 0x0000_0000, 0x0000_0000,
    ]
}
