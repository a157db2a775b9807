// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import LoginEngine
import Metrics
import Testing

@testable import sallyport

@Suite struct PrometheusRegistryTests {
    @Test func countersGaugesAndSumsAreRendered() {
        let registry = PrometheusRegistry(help: ["sallyport_radius_packets_total": "Packets, by \\ or \n."])
        Counter(label: "sallyport.radius-packets", dimensions: [("code", "accept")], factory: registry).increment(by: 3)
        Counter(label: "sallyport_radius_packets_total", dimensions: [("code", "accept")], factory: registry).increment()
        Counter(label: "sallyport_radius_packets", factory: registry).increment(by: 2)
        FloatingPointCounter(label: "sallyport_work", factory: registry).increment(by: 0.5)
        let meter = Meter(label: "sallyport_waiting", factory: registry)
        meter.set(7)
        meter.decrement(by: 1.5)
        Gauge(label: "sallyport_depth", factory: registry).record(4)
        #expect(
            registry.render() == """
                # HELP sallyport_depth sallyport depth
                # TYPE sallyport_depth gauge
                sallyport_depth 4
                # HELP sallyport_radius_packets_total Packets, by \\\\ or \\n.
                # TYPE sallyport_radius_packets_total counter
                sallyport_radius_packets_total 2
                sallyport_radius_packets_total{code="accept"} 4
                # HELP sallyport_waiting sallyport waiting
                # TYPE sallyport_waiting gauge
                sallyport_waiting 5.5
                # HELP sallyport_work_total sallyport work total
                # TYPE sallyport_work_total counter
                sallyport_work_total 0.5

                """)
    }

    @Test func decisionsOfPoliciesAreCountedByNameAndBounded() {
        let registry = PrometheusRegistry()
        let counters = PolicyCounters(factory: registry)
        counters.count("staff@1", .loginAccepted)
        counters.count("staff@2", .loginAccepted)
        counters.count("staff@2", .loginRejected)
        counters.count("staff@2", .loginChallenged)
        for number in 0..<300 { counters.count("p\(number)@1", .loginAccepted) }
        let page = registry.render()
        #expect(page.contains("sallyport_policy_decisions_total{policy=\"staff\",result=\"accepted\"} 2\n"))
        #expect(page.contains("sallyport_policy_decisions_total{policy=\"staff\",result=\"rejected\"} 1\n"))
        #expect(page.contains("sallyport_policy_decisions_total{policy=\"other\",result=\"accepted\"} 261\n"))
    }

    @Test func timersAreHistogramsInSeconds() {
        let registry = PrometheusRegistry()
        let timer = Timer(label: "sallyport_answer", dimensions: [("door", "radius")], factory: registry)
        timer.recordMicroseconds(100)
        timer.recordMilliseconds(3)
        timer.recordSeconds(100)
        let lines = registry.render().split(separator: "\n").map(String.init)
        #expect(lines.contains("# TYPE sallyport_answer_seconds histogram"))
        #expect(lines.contains(#"sallyport_answer_seconds_bucket{door="radius",le="0.0001"} 1"#))
        #expect(lines.contains(#"sallyport_answer_seconds_bucket{door="radius",le="0.0025"} 1"#))
        #expect(lines.contains(#"sallyport_answer_seconds_bucket{door="radius",le="0.005"} 2"#))
        #expect(lines.contains(#"sallyport_answer_seconds_bucket{door="radius",le="60"} 2"#))
        #expect(lines.contains(#"sallyport_answer_seconds_bucket{door="radius",le="+Inf"} 3"#))
        #expect(lines.contains(#"sallyport_answer_seconds_count{door="radius"} 3"#))
        #expect(lines.contains { $0.hasPrefix(#"sallyport_answer_seconds_sum{door="radius"} 100.0031"#) })
    }

    @Test func recordersAreHistogramsOfAmounts() {
        let registry = PrometheusRegistry()
        let recorder = Recorder(label: "sallyport_group", factory: registry)
        recorder.record(64)
        recorder.record(65)
        #expect(registry.render().contains("sallyport_group_bucket{le=\"64\"} 1\nsallyport_group_bucket{le=\"128\"} 2\n"))
    }

    @Test func labelsAreEscapedAndSorted() {
        let registry = PrometheusRegistry()
        Counter(label: "c", dimensions: [("z", "a\"b\\c\nd"), ("bad-name", ""), ("le", "1"), ("9x", "y")], factory: registry).increment()
        Counter(label: "c", dimensions: [("9x", "y"), ("le", "1"), ("bad-name", ""), ("z", "a\"b\\c\nd")], factory: registry).increment()
        #expect(registry.render().hasSuffix("c_total{_9x=\"y\",bad_name=\"\",label_le=\"1\",z=\"a\\\"b\\\\c\\nd\"} 2\n"))
    }

    @Test(arguments: [("a.b-c", "a_b_c"), ("9a", "_9a"), ("", "_"), ("ä:b", "_:b")])
    func namesAreMadeValid(label: String, name: String) {
        #expect(PrometheusRegistry.name(label) == name)
    }

    @Test func moreLabelSetsThanAllowedBecomeOther() {
        let registry = PrometheusRegistry(labelSetLimit: 3)
        for user in 0..<1000 {
            Counter(label: "c", dimensions: [("user", "\(user)")], factory: registry).increment()
        }
        let lines = registry.render().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines == [#"c_total{user="0"} 1"#, #"c_total{user="1"} 1"#, #"c_total{user="2"} 1"#, #"c_total{user="other"} 997"#])
    }

    @Test func moreNamesThanAllowedAreLeftOut() {
        let registry = PrometheusRegistry()
        for name in 0..<(PrometheusRegistry.familyLimit + 50) {
            Counter(label: "c\(name)", factory: registry).increment()
        }
        #expect(registry.render().split(separator: "\n").filter { $0.hasPrefix("# TYPE") }.count == PrometheusRegistry.familyLimit)
    }

    @Test func varyingTheNamesOfLabelsDoesNotGrowIt() {
        let registry = PrometheusRegistry(labelSetLimit: 3)
        for name in 0..<100 { Counter(label: "c", dimensions: [("l\(name)", "x")], factory: registry).increment() }
        #expect(registry.render().split(separator: "\n").count == 2 + 4)
    }

    @Test func aNameKeepsItsFirstKind() {
        let registry = PrometheusRegistry()
        Meter(label: "x_total", factory: registry).set(1)
        Counter(label: "x", factory: registry).increment(by: 5)
        #expect(registry.render() == "# HELP x_total x total\n# TYPE x_total gauge\nx_total 1\n")
    }

    @Test func countingFromManyTasksLosesNothing() async {
        let registry = PrometheusRegistry()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let counter = Counter(label: "c", factory: registry)
                    let sum = FloatingPointCounter(label: "f", factory: registry)
                    let recorder = Recorder(label: "r", factory: registry)
                    for _ in 0..<1000 {
                        counter.increment()
                        sum.increment(by: 0.5)
                        recorder.record(2)
                    }
                }
            }
        }
        let page = registry.render()
        #expect(page.contains("c_total 8000\n"))
        #expect(page.contains("f_total 4000\n"))
        #expect(page.contains("r_sum 16000\nr_count 8000\n"))
    }

    @Test func valuesThatAreNoNumbersDoNotSpoilASum() {
        let registry = PrometheusRegistry()
        let recorder = Recorder(label: "r", factory: registry)
        recorder.record(Double.nan)
        recorder.record(Double.infinity)
        FloatingPointCounter(label: "f", factory: registry).increment(by: -1)
        #expect(registry.render().contains("r_count 0\n"))
        #expect(registry.render().contains("f_total 0\n"))
    }
}

@Suite struct ProcessFiguresTests {
    @Test func theFieldsAreFoundBehindAnyName() {
        let numbers = (4...52).map(String.init).joined(separator: " ")
        let reading = ProcessFigures.reading(
            stat: "1 (a) b (c)) S \(numbers)\n", system: "cpu 1\nbtime 1000\n", ticks: 100, pageSize: 4096)
        #expect(reading == .init(processorSeconds: 0.29, residentBytes: 24 * 4096, startSeconds: 1000.22))
        #expect(ProcessFigures.reading(stat: "1 (a) S 1", system: "btime 1\n", ticks: 100, pageSize: 4096) == nil)
    }

    @Test func thisProcessHasFigures() {
        let page = ProcessFigures.page(version: "1.0")
        #expect(page.contains("sallyport_build_info{version=\"1.0\"} 1\n"))
        #expect(page.contains("\nprocess_resident_memory_bytes "))
        #expect(page.contains("\nprocess_open_fds "))
    }
}
