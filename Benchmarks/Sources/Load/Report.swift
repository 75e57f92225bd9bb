// What a run found, as one line of JSON for the driver script.

import Glibc

/// Monotonic time.
enum Clock {
    struct Instant {
        var nanoseconds: UInt64 = 0

        static var now: Instant {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
        }
    }

    /// Processor time of this process so far, in seconds.
    static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

package struct Report {
    package private(set) var accepted = 0
    package private(set) var refused = 0
    /// The first refusal, in the peer's words.
    package private(set) var problem: String?
    /// Messages that were answered, or died with their connection.
    private(set) var finished = 0
    /// Microseconds from the first octet of each accepted message's exchange to its last reply.
    private var latencies: [UInt32] = []
    private var started = Clock.Instant()
    private var startedProcessorSeconds = 0.0
    private var seconds = 0.0
    private var processorSeconds = 0.0

    init(expecting count: Int) { latencies.reserveCapacity(count) }

    var secondsSoFar: Double { Double(Clock.Instant.now.nanoseconds - started.nanoseconds) / 1e9 }

    mutating func start() {
        started = .now
        startedProcessorSeconds = Clock.processorSeconds
    }

    mutating func stop() {
        seconds = secondsSoFar
        processorSeconds = Clock.processorSeconds - startedProcessorSeconds
    }

    mutating func accept(since began: Clock.Instant) {
        accepted += 1
        finished += 1
        latencies.append(UInt32(clamping: (Clock.Instant.now.nanoseconds - began.nanoseconds) / 1_000))
    }

    mutating func refuse(_ text: String, wasMessage: Bool) {
        refused += 1
        if wasMessage { finished += 1 }
        if problem == nil { problem = text }
    }

    /// One line; times in milliseconds.
    package var json: String {
        let sorted = latencies.sorted()
        let fields: [(String, String)] = [
            ("accepted", "\(accepted)"),
            ("refused", "\(refused)"),
            ("seconds", decimals(seconds)),
            ("per_second", decimals(seconds > 0 ? Double(accepted) / seconds : 0)),
            ("p50_ms", decimals(percentile(sorted, 0.50))),
            ("p99_ms", decimals(percentile(sorted, 0.99))),
            ("max_ms", decimals(percentile(sorted, 1))),
            ("client_cpu_seconds", decimals(processorSeconds)),
            ("problem", problem.map(quoted) ?? "null"),
        ]
        return "{" + fields.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    /// The value that `share` of all lie at or below (nearest rank), in milliseconds.
    private func percentile(_ sorted: [UInt32], _ share: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return Double(sorted[max(rank, 1) - 1]) / 1_000
    }

    private func decimals(_ value: Double) -> String { "\((value * 1_000).rounded() / 1_000)" }

    private func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"": "\\\""
            case "\\": "\\\\"
            case "\u{0}"..<" ": " "
            default: String(scalar)
            }
        }
        return "\"" + escaped.joined() + "\""
    }
}
