// The metrics of this process, and their text for Prometheus to fetch: no Prometheus package for Swift can be had here.
// https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)

package import CoreMetrics
import Synchronization

/// A backend for swift-metrics that answers a scrape.
///
/// Names are made to fit: other characters than letters, digits and underscores become underscores, a counter ends in
/// `_total`, a timer in `_seconds`. Timers and aggregating recorders become histograms, meters and other recorders
/// gauges. Making the same metric again gives the same series, so a handler may make its metrics anew for each request.
package final class PrometheusRegistry: MetricsFactory, Sendable {
    /// The `Content-Type` of `exposition()`.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    struct State: Sendable {
        var families: [String: PrometheusFamily] = [:]
        /// By sanitised name, with or without the suffix that the metric's kind adds.
        var help: [String: String] = [:]
        /// Every sample name in use, so that no two families write the same line.
        var sampleNames: Set<String> = []
        /// Series that were asked for and not given a line of their own.
        var refused: UInt64 = 0
    }

    private let limits: PrometheusLimits
    private let state = Mutex(State())

    package init(limits: PrometheusLimits = .init()) { self.limits = limits }

    /// What the metric `name` counts, in a sentence; `name` as its maker gives it. Before or after the metric is made.
    package func help(_ name: String, _ text: String) {
        state.withLock { $0.help[PrometheusName.metric(name)] = text }
    }

    /// Every metric of the registry and of the process, sorted by name: the body of `GET /metrics`.
    package func exposition() -> [UInt8] {
        // The lock is held for a copy of references only; a scrape never holds up a request.
        let state = state.withLock { $0 }
        var writer = ExpositionWriter()
        writer.write(state)
        writer.write(ProcessSample.current())
        return writer.bytes
    }
}

extension PrometheusRegistry {
    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counter(label, dimensions)
    }

    package func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        counter(label, dimensions)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions)
    }

    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        aggregate ? histogram(.recorder, label, dimensions) : gauge(label, dimensions)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(.timer, label, dimensions)
    }

    package func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    package func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    package func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    package func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}

extension PrometheusRegistry {
    private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterSeries {
        if case .counter(let series) = series(.counter, label, dimensions) { series } else { CounterSeries() }
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeSeries {
        if case .gauge(let series) = series(.gauge, label, dimensions) { series } else { GaugeSeries() }
    }

    private func histogram(
        _ kind: PrometheusFamily.Kind,
        _ label: String,
        _ dimensions: [(String, String)]
    ) -> HistogramSeries {
        if case .histogram(let series) = series(kind, label, dimensions) { series } else { HistogramSeries(bounds: []) }
    }

    /// The series of a name and labels. One that has no room, or whose name is taken by a metric of another kind, works
    /// but is not shown: a metric is never a reason to stop the mail.
    private func series(
        _ kind: PrometheusFamily.Kind,
        _ label: String,
        _ dimensions: [(String, String)]
    ) -> PrometheusFamily.Series {
        let name = kind.familyName(PrometheusName.metric(label))
        let labels = PrometheusLabels(dimensions, limits: limits)
        return state.withLock { state in
            guard state.makeFamily(name, kind, limit: limits.families) else {
                state.refused += 1
                return kind.makeSeries()
            }
            return state.series(in: name, labels, limit: limits.labelSets)
        }
    }

    private func remove(_ handler: AnyObject) {
        state.withLock { $0.remove(handler) }
    }
}

extension PrometheusRegistry.State {
    /// Whether the name is, or now has become, a family of this kind.
    fileprivate mutating func makeFamily(_ name: String, _ kind: PrometheusFamily.Kind, limit: Int) -> Bool {
        if let family = families[name] { return family.kind == kind }
        let names = kind.sampleNames(name)
        guard families.count < limit, sampleNames.isDisjoint(with: names) else { return false }
        sampleNames.formUnion(names)
        families[name] = PrometheusFamily(kind: kind)
        return true
    }

    fileprivate mutating func series(
        in name: String,
        _ labels: PrometheusLabels,
        limit: Int
    ) -> PrometheusFamily.Series {
        guard let family = families[name] else { preconditionFailure("made by the caller, under the same lock") }
        if let series = family.series[labels] { return series }
        let series = family.kind.makeSeries()
        var labels = labels
        if family.series.count >= limit {
            refused += 1
            // The sum over all label sets stays right. A gauge has no sum: its last value would only mislead.
            guard family.kind != .gauge else { return series }
            labels = .overflow
            if let series = family.series[labels] { return series }
        }
        families[name]?.series[labels] = series
        return series
    }

    fileprivate mutating func remove(_ handler: AnyObject) {
        for (name, family) in families {
            guard let labels = family.series.first(where: { $0.value.object === handler })?.key else { continue }
            families[name]?.series[labels] = nil
            return
        }
    }
}
