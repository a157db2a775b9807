// SPDX-License-Identifier: Apache-2.0
// DES (FIPS 46-3) for single blocks, as MS-CHAP makes its responses. Our own for the reason that MD4 is: no legacy provider needed.

/// One keyed DES. Broken as a cipher; here it is what RFC 2433 §A.5 and RFC 2759 §8.6 prescribe, and nothing else uses it.
///
/// The S-boxes are read by masks and shifts, never at an index that a key decides, so no cache line tells of a password's hash.
struct DES: Sendable {
    /// Sixteen round keys of 48 bits.
    private let rounds: [UInt64]

    /// - Parameter key: 56 bits, the last ones of the word; parity bits are not among them (RFC 2759 §8.6).
    init(key: UInt64) {
        // FIPS 46-3's PC-1 for a key without its parity bits: bit n of the 64 is bit n − n/8 of the 56.
        var c: UInt64 = 0
        var d: UInt64 = 0
        for place in 0..<28 {
            c = c << 1 | Self.bit(key, Self.choice1[place], of: 56)
            d = d << 1 | Self.bit(key, Self.choice1[28 + place], of: 56)
        }
        var rounds: [UInt64] = []
        rounds.reserveCapacity(16)
        for round in 0..<16 {
            let shift: UInt64 = round == 0 || round == 1 || round == 8 || round == 15 ? 1 : 2
            c = (c << shift | c >> (28 - shift)) & 0xfff_ffff
            d = (d << shift | d >> (28 - shift)) & 0xfff_ffff
            rounds.append(Self.permute(c << 28 | d, of: 56, by: Self.choice2))
        }
        self.rounds = rounds
    }

    func encrypt(_ block: UInt64) -> UInt64 { run(block, rounds) }

    func decrypt(_ block: UInt64) -> UInt64 { run(block, rounds.reversed()) }

    private func run(_ block: UInt64, _ keys: [UInt64]) -> UInt64 {
        let start = Self.permute(block, of: 64, by: Self.initial)
        var left = UInt32(truncatingIfNeeded: start >> 32)
        var right = UInt32(truncatingIfNeeded: start)
        for key in keys { (left, right) = (right, left ^ Self.mix(right, key)) }
        // The halves change places once more, then the inverse of the first permutation.
        let end = UInt64(right) << 32 | UInt64(left)
        var result: UInt64 = 0
        for (place, source) in Self.initial.enumerated() {
            result |= (end >> UInt64(63 - place) & 1) << UInt64(64 - Int(source))
        }
        return result
    }

    /// The function f: expansion, round key, S-boxes, P.
    private static func mix(_ right: UInt32, _ key: UInt64) -> UInt32 {
        // Six bits each, which overlap by two: bits 32 1 2 3 4 5, 4 5 6 7 8 9, …
        let wide = UInt64(right &<< 31 | right &>> 1) << 32 | UInt64(right &<< 31 | right &>> 1)
        var out: UInt32 = 0
        for box in 0..<8 {
            let six = (wide >> UInt64(58 - 4 * box) ^ key >> UInt64(42 - 6 * box)) & 63
            // The outer bits choose the row, the inner ones the column.
            let row = six >> 4 & 2 | six & 1
            var word: UInt64 = 0
            for candidate in 0..<4 {
                let differs = UInt64(candidate) ^ row
                word |= boxes[4 * box + candidate] & ((differs | differs >> 1) & 1 &- 1)
            }
            out = out << 4 | UInt32(truncatingIfNeeded: word >> (60 &- (six >> 1 & 15) &* 4) & 15)
        }
        return UInt32(truncatingIfNeeded: permute(UInt64(out), of: 32, by: choiceP))
    }

    /// Bits counted from 1 at the most significant one, as FIPS 46-3 counts them.
    private static func bit(_ value: UInt64, _ place: UInt8, of width: Int) -> UInt64 { value >> UInt64(width - Int(place)) & 1 }

    private static func permute(_ value: UInt64, of width: Int, by table: [UInt8]) -> UInt64 {
        var result: UInt64 = 0
        for place in table { result = result << 1 | bit(value, place, of: width) }
        return result
    }

    private static let initial: [UInt8] = [
        58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
        57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
    ]
    /// PC-1 in the numbers of a key without parity bits.
    private static let choice1: [UInt8] =
        ([
            57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
            63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
        ] as [UInt8]).map { $0 - $0 / 8 }
    private static let choice2: [UInt8] = [
        14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
        41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
    ]
    private static let choiceP: [UInt8] = [
        16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
    ]
    /// Four rows a box, sixteen digits a row: the table of FIPS 46-3 in hexadecimal.
    private static let boxes: [UInt64] = [
        0xe4d1_2fb8_3a6c_5907, 0x0f74_e2d1_a6cb_9538, 0x41e8_d62b_fc97_3a50, 0xfc82_4917_5b3e_a06d,
        0xf18e_6b34_972d_c05a, 0x3d47_f28e_c01a_69b5, 0x0e7b_a4d1_58c6_932f, 0xd8a1_3f42_b67c_05e9,
        0xa09e_63f5_1dc7_b428, 0xd709_346a_285e_cbf1, 0xd649_8f30_b12c_5ae7, 0x1ad0_6987_4fe3_b52c,
        0x7de3_069a_1285_bc4f, 0xd8b5_6f03_472c_1ae9, 0xa690_cb7d_f13e_5284, 0x3f06_a1d8_945b_c72e,
        0x2c41_7ab6_853f_d0e9, 0xeb2c_47d1_50fa_3986, 0x421b_ad78_f9c5_630e, 0xb8c7_1e2d_6f09_a453,
        0xc1af_9268_0d34_e75b, 0xaf42_7c95_61de_0b38, 0x9ef5_28c3_704a_1db6, 0x432c_95fa_be17_608d,
        0x4b2e_f08d_3c97_5a61, 0xd0b7_491a_e35c_2f86, 0x14bd_c37e_af68_0592, 0x6bd8_14a7_950f_e23c,
        0xd284_6fb1_a93e_50c7, 0x1fd8_a374_c56b_0e92, 0x7b41_9ce2_06ad_f358, 0x21e7_4a8d_fc90_356b,
    ]
}
