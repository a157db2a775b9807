// SPDX-License-Identifier: Apache-2.0
// Latencies in buckets that grow with their value: 32 to each doubling, so a percentile is at most 3% off.

struct LatencyHistogram: Sendable {
    private static let perDoubling = 32
    private static let shift = 5

    private(set) var count = 0
    private var buckets = [Int](repeating: 0, count: 64 * perDoubling)

    mutating func add(nanoseconds: UInt64) {
        buckets[Self.index(nanoseconds)] += 1
        count += 1
    }

    /// The upper end of the bucket that holds this share of the values; nil without values.
    func microseconds(at share: Double) -> Double? {
        guard count > 0 else { return nil }
        let wanted = max(1, Int((Double(count) * share).rounded(.up)))
        var seen = 0
        for (index, bucket) in buckets.enumerated() {
            seen += bucket
            if seen >= wanted { return Double(Self.upperBound(index)) / 1_000 }
        }
        return nil
    }

    static func index(_ value: UInt64) -> Int {
        let width = UInt64.bitWidth - value.leadingZeroBitCount
        guard width > shift + 1 else { return Int(value) }
        let exponent = width - shift - 1
        return exponent * perDoubling + Int(value >> UInt64(exponent))
    }

    static func upperBound(_ index: Int) -> UInt64 {
        guard index >= 2 * perDoubling else { return UInt64(index) }
        let exponent = index / perDoubling - 1
        return (UInt64(index - exponent * perDoubling + 1) << UInt64(exponent)) &- 1
    }
}
