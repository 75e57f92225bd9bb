// The numbers behind the metrics. They are touched on hot paths, so each is one or two atomics, or a short lock for a
// histogram.

import CoreMetrics
import Synchronization

/// A number that only goes up. Whole and fractional increments are kept apart, so that the usual one is one
/// instruction.
final class CounterSeries: CounterHandler, FloatingPointCounterHandler, Sendable {
    private let whole = Atomic<Int64>(0)
    private let fraction = Atomic<Double>(0)

    var value: Double { Double(whole.load(ordering: .relaxed)) + fraction.load(ordering: .relaxed) }

    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        whole.wrappingAdd(amount, ordering: .relaxed)
    }

    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        fraction.add(amount)
    }

    func reset() {
        whole.store(0, ordering: .relaxed)
        fraction.store(0, ordering: .relaxed)
    }
}

/// A number that goes up and down.
final class GaugeSeries: MeterHandler, RecorderHandler, Sendable {
    private let current = Atomic<Double>(0)

    var value: Double { current.load(ordering: .relaxed) }

    func set(_ value: Int64) { current.store(Double(value), ordering: .relaxed) }
    func set(_ value: Double) { current.store(value, ordering: .relaxed) }
    func increment(by amount: Double) { current.add(amount) }
    func decrement(by amount: Double) { current.add(-amount) }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }
}

/// How often something was within which bounds.
final class HistogramSeries: TimerHandler, RecorderHandler, Sendable {
    struct Snapshot: Sendable {
        /// One count a bound and one for what is above all of them; not yet cumulative.
        var counts: [UInt64]
        var sum: Double = 0
    }

    /// Upper bounds, ascending.
    let bounds: [Double]
    private let state: Mutex<Snapshot>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    var snapshot: Snapshot { state.withLock { $0 } }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += value
        }
    }
}

extension Atomic<Double> {
    fileprivate borrowing func add(_ amount: Double) {
        var current = load(ordering: .relaxed)
        while true {
            let (exchanged, original) = weakCompareExchange(
                expected: current,
                desired: current + amount,
                ordering: .relaxed
            )
            if exchanged { return }
            current = original
        }
    }
}
