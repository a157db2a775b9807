// SPDX-License-Identifier: Apache-2.0
// How much each source may ask: a bucket for each, filled again by the second. Decides by the time that it is told.

import LoginEngine

struct RequestBudget {
    /// What a source may ask at once, and in a minute.
    var burst: Double
    var perMinute: Double

    /// More are not remembered: then the one that was silent for longest is forgotten, which is full again by then or soon.
    static let mostSources = 4_096

    private struct Bucket {
        var left: Double
        var at: Timestamp
    }

    private var buckets: [NetworkAddress: Bucket] = [:]

    init(burst: Double, perMinute: Double) {
        (self.burst, self.perMinute) = (burst, perMinute)
    }

    var count: Int { buckets.count }

    /// - Parameters:
    ///   - source: of IPv6 its network counts, since one house has all of it.
    ///   - now: uptime.
    mutating func admits(_ source: NetworkAddress, at now: Timestamp) -> Bool {
        let source = source.house
        var bucket = buckets[source] ?? Bucket(left: burst, at: now)
        let seconds = Double((now - bucket.at).microseconds) / 1_000_000
        bucket.left = min(burst, bucket.left + max(0, seconds) * perMinute / 60)
        bucket.at = max(bucket.at, now)
        let isAdmitted = bucket.left >= 1
        if isAdmitted { bucket.left -= 1 }
        if buckets[source] == nil, buckets.count >= Self.mostSources, let oldest = buckets.min(by: { $0.value.at < $1.value.at })?.key {
            buckets[oldest] = nil
        }
        buckets[source] = bucket
        return isAdmitted
    }
}

extension NetworkAddress {
    /// Whom an address belongs to: of IPv6 the network of 64 bits, all of which one house has.
    var house: NetworkAddress { isIPv4 ? self : NetworkAddress(bits: bits & (UInt128.max << 64)) }
}
