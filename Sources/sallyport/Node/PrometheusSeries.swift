// SPDX-License-Identifier: Apache-2.0
// What one series counts, on atomics: the hot path adds, only a scrape reads.

import CoreMetrics
import Synchronization

final class CounterSeries: CounterHandler, Sendable {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        value.wrappingAdd(amount, ordering: .relaxed)
    }

    func reset() { value.store(0, ordering: .relaxed) }

    var current: Int64 { value.load(ordering: .relaxed) }
}

/// A sum of seconds or bytes that are no whole numbers.
final class FloatingPointCounterSeries: FloatingPointCounterHandler, Sendable {
    private let value = AtomicDouble()

    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        value.add(amount)
    }

    func reset() { value.current = 0 }

    var current: Double { value.current }
}

/// A gauge: also what a recorder without aggregation is.
final class GaugeSeries: MeterHandler, RecorderHandler, Sendable {
    private let value = AtomicDouble()

    func set(_ value: Int64) { self.value.current = Double(value) }
    func set(_ value: Double) { self.value.current = value }
    func increment(by amount: Double) { value.add(amount) }
    func decrement(by amount: Double) { value.add(-amount) }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }

    var current: Double { value.current }
}

final class HistogramSeries: TimerHandler, RecorderHandler, Sendable {
    /// A RADIUS answer takes some 100 µs from memory and up to a minute with a phone.
    static let seconds: [Double] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60]
    /// Lengths, sizes of groups, counts.
    static let amounts: [Double] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16_384, 65_536, 1_048_576]

    let bounds: [Double]
    private let buckets = InlineArray<17, Atomic<UInt64>> { _ in Atomic(0) }
    private let sum = AtomicDouble()

    /// - Parameter bounds: 16, ascending.
    init(bounds: [Double]) {
        precondition(bounds.count == 16)
        self.bounds = bounds
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        buckets[bounds.firstIndex { value <= $0 } ?? bounds.count].wrappingAdd(1, ordering: .relaxed)
        sum.add(value)
    }

    /// Counts up to and including each bound; the last is all.
    var current: (cumulative: [UInt64], sum: Double) {
        var total: UInt64 = 0
        var cumulative: [UInt64] = []
        for index in 0..<17 {
            total += buckets[index].load(ordering: .relaxed)
            cumulative.append(total)
        }
        return (cumulative, sum.current)
    }
}

private struct AtomicDouble: ~Copyable, Sendable {
    private let bits = Atomic<UInt64>(0)

    var current: Double {
        get { Double(bitPattern: bits.load(ordering: .relaxed)) }
        nonmutating set { bits.store(newValue.bitPattern, ordering: .relaxed) }
    }

    func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if exchanged { return }
            old = original
        }
    }
}
