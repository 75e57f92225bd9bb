// What a scrape reads: the text format 0.0.4, line by line.

import CoreMetrics
import Testing

@testable import Prometheus

@Suite("Prometheus exposition")
struct ExpositionTests {
    private let registry = PrometheusRegistry()

    /// The lines of the families whose name starts with `prefix`, so that the process' own metrics stay out of it.
    private func lines(_ prefix: String, of registry: PrometheusRegistry? = nil) -> [String] {
        String(decoding: (registry ?? self.registry).exposition(), as: UTF8.self).split(separator: "\n").map(
            String.init
        )
        .filter { $0.hasPrefix(prefix) || $0.hasPrefix("# HELP \(prefix)") || $0.hasPrefix("# TYPE \(prefix)") }
    }

    @Test("a counter shows HELP, TYPE and one line a label set, with _total once")
    func counter() {
        registry.help("postern_accepted", "Messages that were \\ accepted,\ndurably.")
        Counter(label: "postern_accepted", dimensions: [("door", "smtp")], factory: registry).increment(by: 2)
        Counter(label: "postern_accepted_total", dimensions: [("door", "http")], factory: registry).increment()
        Counter(label: "postern_accepted", dimensions: [("door", "smtp")], factory: registry).increment()
        #expect(
            lines("postern_accepted") == [
                #"# HELP postern_accepted_total Messages that were \\ accepted,\ndurably."#,
                "# TYPE postern_accepted_total counter",
                #"postern_accepted_total{door="http"} 1"#,
                #"postern_accepted_total{door="smtp"} 3"#,
            ]
        )
    }

    @Test("a counter takes fractions, and never goes down")
    func fractionalCounter() {
        let counter = registry.makeFloatingPointCounter(label: "c", dimensions: [])
        counter.increment(by: 1.5)
        counter.increment(by: -4)
        counter.increment(by: .infinity)
        registry.makeCounter(label: "c", dimensions: []).increment(by: 2)
        registry.makeCounter(label: "c", dimensions: []).increment(by: -1)
        #expect(lines("c_") == ["# TYPE c_total counter", "c_total 3.5"])
        counter.reset()
        #expect(lines("c_") == ["# TYPE c_total counter", "c_total 0"])
    }

    @Test("meters and non-aggregating recorders are gauges")
    func gauges() {
        let meter = Meter(label: "queue.depth", dimensions: [], factory: registry)
        meter.set(10)
        meter.increment(by: 2.5)
        meter.decrement()
        Recorder(label: "odd", dimensions: [], aggregate: false, factory: registry).record(-Double.infinity)
        Recorder(label: "none", dimensions: [], aggregate: false, factory: registry).record(Double.nan)
        #expect(lines("queue") == ["# TYPE queue_depth gauge", "queue_depth 11.5"])
        #expect(lines("odd") == ["# TYPE odd gauge", "odd -Inf"])
        #expect(lines("none") == ["# TYPE none gauge", "none NaN"])
    }

    @Test("a timer is a cumulative histogram in seconds whose count is its +Inf bucket")
    func timer() {
        let timer = Timer(label: "postern_accept", dimensions: [("door", "http")], factory: registry)
        timer.recordMilliseconds(1)
        timer.recordMilliseconds(40)
        timer.recordSeconds(7_000)
        let lines = lines("postern_accept")
        #expect(lines.first == "# TYPE postern_accept_seconds histogram")
        #expect(lines.contains(#"postern_accept_seconds_bucket{door="http",le="0.0005"} 0"#))
        #expect(lines.contains(#"postern_accept_seconds_bucket{door="http",le="0.001"} 1"#))
        #expect(lines.contains(#"postern_accept_seconds_bucket{door="http",le="0.05"} 2"#))
        #expect(lines.contains(#"postern_accept_seconds_bucket{door="http",le="300"} 2"#))
        #expect(
            Array(lines.suffix(3)) == [
                #"postern_accept_seconds_bucket{door="http",le="+Inf"} 3"#,
                #"postern_accept_seconds_sum{door="http"} 7000.041"#,
                #"postern_accept_seconds_count{door="http"} 3"#,
            ]
        )
    }

    @Test("an aggregating recorder is a histogram of amounts, and infinity does not spoil its sum")
    func recorder() {
        let recorder = Recorder(label: "message_bytes", dimensions: [], factory: registry)
        recorder.record(1)
        recorder.record(5)
        recorder.record(Double.infinity)
        let lines = lines("message_bytes")
        #expect(lines.contains(#"message_bytes_bucket{le="1"} 1"#))
        #expect(lines.contains(#"message_bytes_bucket{le="16"} 2"#))
        #expect(Array(lines.suffix(2)) == ["message_bytes_sum 6", "message_bytes_count 2"])
    }

    @Test("names that do not fit are made to fit, in metrics and labels")
    func names() {
        Counter(
            label: "9 lives-é.x",
            dimensions: [("a.b", "1"), ("a-b", "2"), ("__name__", "3"), ("le", "4")],
            factory: registry
        )
        .increment()
        #expect(lines("_9").last == #"_9_lives___x_total{_name__="3",a_b="1",a_b_="2",le_="4"} 1"#)
        #expect(PrometheusName.metric("") == "_")
        #expect(PrometheusName.label("quantile") == "quantile_")
    }

    @Test("label values are escaped, and can neither end a line nor the text")
    func values() {
        Counter(label: "x", dimensions: [("v", "a\"b\\c\nd\u{0}e\rf\u{7F}é")], factory: registry).increment()
        #expect(lines("x_").last == "x_total{v=\"a\\\"b\\\\c\\nd\u{FFFD}e\u{FFFD}f\u{FFFD}é\"} 1")
    }

    @Test("the order of dimensions makes no difference")
    func order() {
        Counter(label: "y", dimensions: [("a", "1"), ("b", "2")], factory: registry).increment()
        Counter(label: "y", dimensions: [("b", "2"), ("a", "1")], factory: registry).increment()
        #expect(lines("y_").last == #"y_total{a="1",b="2"} 2"#)
    }

    @Test("a destroyed metric is gone, and starts at zero when it comes back")
    func destroy() {
        let counter = Counter(label: "z", dimensions: [], factory: registry)
        counter.increment()
        counter.destroy()
        #expect(lines("z_").isEmpty)
        _ = Counter(label: "z", dimensions: [], factory: registry)
        #expect(lines("z_").last == "z_total 0")
    }

    @Test("increments from many threads all count")
    func concurrency() async {
        let registry = registry
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for _ in 0..<1_000 {
                        Counter(label: "n", dimensions: [("k", "\(task % 2)")], factory: registry).increment()
                        registry.makeMeter(label: "m", dimensions: []).increment(by: 0.5)
                        registry.makeTimer(label: "t", dimensions: []).recordNanoseconds(1_000_000)
                    }
                }
            }
        }
        #expect(lines("n_").suffix(2) == [#"n_total{k="0"} 4000"#, #"n_total{k="1"} 4000"#])
        #expect(lines("m").last == "m 4000")
        #expect(lines("t_").last == "t_seconds_count 8000")
    }
}

@Suite("Prometheus limits")
struct PrometheusLimitTests {
    private func text(_ registry: PrometheusRegistry) -> String {
        String(decoding: registry.exposition(), as: UTF8.self)
    }

    private func limits(_ change: (inout PrometheusLimits) -> Void) -> PrometheusLimits {
        var limits = PrometheusLimits()
        change(&limits)
        return limits
    }

    @Test("label sets over the limit are counted together, so that the sum stays right")
    func labelSets() {
        let registry = PrometheusRegistry(limits: limits { $0.labelSets = 3 })
        for index in 0..<10_000 {
            Counter(label: "by_domain", dimensions: [("domain", "d\(index).example")], factory: registry).increment()
        }
        Counter(label: "by_domain", dimensions: [("domain", "d0.example")], factory: registry).increment()
        let lines = text(registry).split(separator: "\n").filter { $0.hasPrefix("by_domain") }
        #expect(
            lines == [
                #"by_domain_total{domain="d0.example"} 2"#, #"by_domain_total{domain="d1.example"} 1"#,
                #"by_domain_total{domain="d2.example"} 1"#, #"by_domain_total{overflow="true"} 9997"#,
            ]
        )
        #expect(text(registry).contains("\npostern_metrics_series_refused_total 9997\n"))
    }

    @Test("a gauge over the limit is not shown, because a sum of gauges says nothing")
    func gauges() {
        let registry = PrometheusRegistry(limits: limits { $0.labelSets = 1 })
        Meter(label: "g", dimensions: [("v", "1")], factory: registry).set(1)
        Meter(label: "g", dimensions: [("v", "2")], factory: registry).set(2)
        #expect(text(registry).split(separator: "\n").filter { $0.hasPrefix("g") } == [#"g{v="1"} 1"#])
    }

    @Test("names over the limit work and are not shown")
    func families() {
        let registry = PrometheusRegistry(limits: limits { $0.families = 2 })
        for index in 0..<5 { Counter(label: "f\(index)", dimensions: [], factory: registry).increment() }
        #expect(text(registry).contains("f1_total 1\n"))
        #expect(!text(registry).contains("f2_total"))
    }

    @Test("a name cannot be of two kinds, nor write another metric's lines")
    func conflicts() {
        let registry = PrometheusRegistry()
        Recorder(label: "size", dimensions: [], factory: registry).record(1)
        Meter(label: "size", dimensions: [], factory: registry).set(7)
        Meter(label: "size_count", dimensions: [], factory: registry).set(7)
        let lines = text(registry).split(separator: "\n").filter { $0.hasPrefix("size_count") || $0.hasPrefix("size ") }
        #expect(lines == ["size_count 1"])
        #expect(text(registry).contains("\npostern_metrics_series_refused_total 2\n"))
    }

    @Test("long values are cut between characters, and labels over the limit left out")
    func values() {
        let registry = PrometheusRegistry(
            limits: limits {
                $0.labelValueBytes = 4
                $0.labels = 1
            }
        )
        Counter(label: "c", dimensions: [("a", "éé€"), ("b", "x")], factory: registry).increment()
        #expect(text(registry).contains("c_total{a=\"éé\"} 1\n"))
    }
}
