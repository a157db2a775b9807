// SPDX-License-Identifier: Apache-2.0

import EAP
import Testing

struct EAPSecretTests {
    /// Every byte counts, wherever it stands, and no difference takes another one back.
    @Test func secretsDifferByAnyByte() {
        let bytes = (0..<20).map { UInt8($0) &* 37 }
        #expect(EAPSecret(bytes) == EAPSecret(bytes))
        for place in bytes.indices {
            for bit in 0..<8 {
                var other = bytes
                other[place] ^= 1 << bit
                #expect(EAPSecret(bytes) != EAPSecret(other) && EAPSecret(other) != EAPSecret(bytes), "bit \(bit) of byte \(place)")
            }
        }
        #expect(EAPSecret([1, 0]) != EAPSecret([0, 1]))
        #expect(EAPSecret([1]) != EAPSecret([1, 0]) && EAPSecret([]) == EAPSecret([]))
    }

    @Test func secretsAreNotPrinted() {
        #expect("\(EAPSecret([1, 2]))" == "<secret>" && String(reflecting: EAPSecret([1, 2])) == "<secret>")
    }
}
