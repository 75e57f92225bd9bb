// All series of one metric name.

struct PrometheusFamily: Sendable {
    enum Kind: Sendable {
        case counter
        case gauge
        /// Durations in seconds.
        case timer
        /// Sizes and numbers of things.
        case recorder

        /// The word in the TYPE line.
        var word: String {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .timer, .recorder: "histogram"
            }
        }

        /// What a name of this kind ends in, after Prometheus' naming rules.
        private var suffix: String {
            switch self {
            case .counter: "_total"
            case .timer: "_seconds"
            case .gauge, .recorder: ""
            }
        }

        func familyName(_ name: String) -> String { name.hasSuffix(suffix) ? name : name + suffix }

        /// Every name under which samples of the family are shown.
        func sampleNames(_ familyName: String) -> [String] {
            switch self {
            case .counter, .gauge: [familyName]
            case .timer, .recorder: [familyName, familyName + "_bucket", familyName + "_sum", familyName + "_count"]
            }
        }

        func makeSeries() -> Series {
            switch self {
            case .counter: .counter(CounterSeries())
            case .gauge: .gauge(GaugeSeries())
            case .timer: .histogram(HistogramSeries(bounds: PrometheusBuckets.seconds))
            case .recorder: .histogram(HistogramSeries(bounds: PrometheusBuckets.amounts))
            }
        }
    }

    enum Series: Sendable {
        case counter(CounterSeries)
        case gauge(GaugeSeries)
        case histogram(HistogramSeries)

        var object: AnyObject {
            switch self {
            case .counter(let series): series
            case .gauge(let series): series
            case .histogram(let series): series
            }
        }
    }

    let kind: Kind
    var series: [PrometheusLabels: Series] = [:]
}

enum PrometheusBuckets {
    /// From a commit to a slow peer.
    static let seconds = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
    ]
    /// From one recipient to a message of a gigabyte, each bound four times the last.
    static let amounts = (0...15).map { Double(1 << (2 * $0)) }
}
