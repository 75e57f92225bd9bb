// Writes the text format 0.0.4: HELP and TYPE of each family, then its samples, one a line.

struct ExpositionWriter {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(16 * 1024) }

    mutating func write(_ state: PrometheusRegistry.State) {
        for (name, family) in state.families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
            header(name, family.kind.word, help: state.help(for: name))
            for (labels, series) in family.series.sorted(by: { $0.key.text < $1.key.text }) {
                switch series {
                case .counter(let series): sample(name, labels, series.value)
                case .gauge(let series): sample(name, labels, series.value)
                case .histogram(let series): histogram(name, labels, series)
                }
            }
        }
        let refused = "postern_metrics_series_refused_total"
        header(refused, "counter", help: "Series that got no line of their own: too many, or a name of two kinds.")
        sample(refused, .none, Double(state.refused))
    }

    mutating func write(_ process: ProcessSample) {
        gauge("process_open_fds", "Open file descriptors.", process.openDescriptors.map(Double.init))
        gauge(
            "process_max_fds",
            "The most file descriptors that may be open.",
            process.maximumDescriptors.map(Double.init)
        )
        gauge("process_resident_memory_bytes", "Resident memory.", process.residentBytes.map(Double.init))
        gauge("process_virtual_memory_bytes", "Virtual memory.", process.virtualBytes.map(Double.init))
        gauge("process_start_time_seconds", "Start of the process in seconds since 1970.", process.startTime)
        if let seconds = process.processorSeconds {
            header("process_cpu_seconds_total", "counter", help: "User and system time.")
            sample("process_cpu_seconds_total", .none, seconds)
        }
    }

    private mutating func gauge(_ name: String, _ help: String, _ value: Double?) {
        guard let value else { return }
        header(name, "gauge", help: help)
        sample(name, .none, value)
    }

    private mutating func header(_ name: String, _ type: String, help: String?) {
        if let help { append("# HELP ", name, " ", Self.escaped(help), "\n") }
        append("# TYPE ", name, " ", type, "\n")
    }

    private mutating func histogram(_ name: String, _ labels: PrometheusLabels, _ series: HistogramSeries) {
        let snapshot = series.snapshot
        var cumulative: UInt64 = 0
        for (index, count) in snapshot.counts.enumerated() {
            cumulative += count
            let bound = index < series.bounds.count ? Self.text(series.bounds[index]) : "+Inf"
            append(name, "_bucket{", labels.text, labels.text.isEmpty ? "" : ",")
            append("le=\"", bound, "\"} ", String(cumulative), "\n")
        }
        sample(name + "_sum", labels, snapshot.sum)
        sample(name + "_count", labels, Double(cumulative))
    }

    private mutating func sample(_ name: String, _ labels: PrometheusLabels, _ value: Double) {
        if labels.text.isEmpty {
            append(name, " ", Self.text(value), "\n")
        } else {
            append(name, "{", labels.text, "} ", Self.text(value), "\n")
        }
    }

    private mutating func append(_ parts: String...) {
        for part in parts { bytes.append(contentsOf: part.utf8) }
    }

    /// In a HELP line only the backslash and the line feed are escaped.
    private static func escaped(_ help: String) -> String {
        var text = ""
        for scalar in help.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// As Go's ParseFloat reads it.
    private static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return String(whole) }
        return value.description
    }
}

extension PrometheusRegistry.State {
    /// Help given under the full name, or under the name without what the kind added.
    fileprivate func help(for familyName: String) -> String? {
        if let text = help[familyName] { return text }
        for suffix in ["_total", "_seconds"] where familyName.hasSuffix(suffix) {
            if let text = help[String(familyName.dropLast(suffix.count))] { return text }
        }
        return nil
    }
}
