// SPDX-License-Identifier: Apache-2.0
// swift-metrics kept in memory and written in Prometheus' text format 0.0.4. Bounded: no name and no label can grow it without end.

import CoreMetrics
import Synchronization

final class PrometheusRegistry: MetricsFactory, Sendable {
    /// Label sets per metric; one more goes into the series whose labels all say `other`.
    static let labelSetLimit = 200
    /// Names; one more is counted, but not shown.
    static let familyLimit = 500

    private enum Kind: String {
        case counter, gauge, histogram
    }

    private enum Series {
        case counter(CounterSeries)
        case floatingPointCounter(FloatingPointCounterSeries)
        case gauge(GaugeSeries)
        case histogram(HistogramSeries)
    }

    private struct Family {
        var kind: Kind
        /// By rendered labels, `client="vpn",reason="…"`.
        var series: [String: Series] = [:]
    }

    private let families = Mutex<[String: Family]>([:])
    private let help: [String: String]
    private let limit: Int

    /// - Parameter help: by the name as it is shown, with `_total` or `_seconds`.
    init(help: [String: String] = [:], labelSetLimit: Int = PrometheusRegistry.labelSetLimit) {
        self.help = help
        limit = labelSetLimit
    }

    // MARK: MetricsFactory

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let made = CounterSeries()
        let kept = keep(.counter(made), name: Self.name(label, suffix: "_total"), kind: .counter, dimensions: dimensions)
        return if case .counter(let counter) = kept { counter } else { made }
    }

    func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        let made = FloatingPointCounterSeries()
        let kept = keep(.floatingPointCounter(made), name: Self.name(label, suffix: "_total"), kind: .counter, dimensions: dimensions)
        return if case .floatingPointCounter(let counter) = kept { counter } else { made }
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions)
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        aggregate ? histogram(Self.name(label), dimensions, bounds: HistogramSeries.amounts) : gauge(label, dimensions)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(Self.name(label, suffix: "_seconds"), dimensions, bounds: HistogramSeries.seconds)
    }

    // A series is shared by all who asked for it and stays until the end: a counter that vanished would read as a restart.
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeSeries {
        let made = GaugeSeries()
        let kept = keep(.gauge(made), name: Self.name(label), kind: .gauge, dimensions: dimensions)
        return if case .gauge(let gauge) = kept { gauge } else { made }
    }

    private func histogram(_ name: String, _ dimensions: [(String, String)], bounds: [Double]) -> HistogramSeries {
        let made = HistogramSeries(bounds: bounds)
        let kept = keep(.histogram(made), name: name, kind: .histogram, dimensions: dimensions)
        return if case .histogram(let histogram) = kept { histogram } else { made }
    }

    /// The series to count in: the one there is, the given one, or the one for `other`. A name of another kind keeps what it was.
    private func keep(_ new: Series, name: String, kind: Kind, dimensions: [(String, String)]) -> Series {
        families.withLock { families in
            if families[name] == nil {
                guard families.count < Self.familyLimit else { return new }
                families[name] = Family(kind: kind)
            }
            guard families[name]?.kind == kind else { return new }
            let labels = Self.labels(dimensions)
            if let there = families[name]?.series[labels] { return there }
            if let count = families[name]?.series.count, count < limit {
                families[name]?.series[labels] = new
                return new
            }
            let others = Self.labels(dimensions.map { ($0.0, "other") })
            if let there = families[name]?.series[others] { return there }
            // One place above the limit, unless somebody also varies the names of the labels.
            guard let count = families[name]?.series.count, count <= limit else { return new }
            families[name]?.series[others] = new
            return new
        }
    }
}

// MARK: - The text format

extension PrometheusRegistry {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    func render() -> String {
        let snapshot = families.withLock { $0 }
        var page = ""
        for (name, family) in snapshot.sorted(by: { $0.key < $1.key }) {
            page += "# HELP \(name) \(Self.escapedHelp(help[name] ?? name.replacing("_", with: " ")))\n"
            page += "# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                let braced = labels.isEmpty ? "" : "{\(labels)}"
                switch series {
                case .counter(let counter): page += "\(name)\(braced) \(counter.current)\n"
                case .floatingPointCounter(let counter): page += "\(name)\(braced) \(Self.number(counter.current))\n"
                case .gauge(let gauge): page += "\(name)\(braced) \(Self.number(gauge.current))\n"
                case .histogram(let histogram):
                    let (cumulative, sum) = histogram.current
                    let before = labels.isEmpty ? "" : labels + ","
                    for (bound, count) in zip(histogram.bounds.map(Self.number) + ["+Inf"], cumulative) {
                        page += "\(name)_bucket{\(before)le=\"\(bound)\"} \(count)\n"
                    }
                    page += "\(name)_sum\(braced) \(Self.number(sum))\n"
                    page += "\(name)_count\(braced) \(cumulative.last ?? 0)\n"
                }
            }
        }
        return page
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
    static func name(_ label: String, suffix: String = "") -> String {
        var name = String(label.unicodeScalars.map { allowed($0) || $0 == ":" ? Character($0) : "_" })
        if name.isEmpty || name.first?.isNumber == true { name = "_" + name }
        return name.hasSuffix(suffix) ? name : name + suffix
    }

    /// Sorted by name, so that two orders of the same labels are one series.
    private static func labels(_ dimensions: [(String, String)]) -> String {
        dimensions.map { key, value in
            var name = String(key.unicodeScalars.map { allowed($0) ? Character($0) : "_" })
            if name.isEmpty || name.first?.isNumber == true { name = "_" + name }
            // `le` belongs to the buckets, a leading `__` to Prometheus itself.
            if name == "le" || name.hasPrefix("__") { name = "label_" + name }
            return (name, value)
        }
        .sorted { $0.0 < $1.0 }
        .map { name, value in "\(name)=\"\(escapedValue(value))\"" }
        .joined(separator: ",")
    }

    private static func allowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }

    private static func escapedValue(_ text: String) -> String {
        escapedHelp(text).replacing("\"", with: "\\\"")
    }

    private static func escapedHelp(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if let whole = Int64(exactly: value) { return String(whole) }
        return String(value)
    }
}
