// The breaker's life as transcripts: what happened, and what it said.

import Delivery
import Model
import Testing

@Suite("Circuit breaker")
struct CircuitBreakerTests {
    /// A breaker, its clock, and the permits that are out.
    private struct Bench {
        var breaker: CircuitBreaker
        var now = Timestamp(milliseconds: 0)
        var permits: [CircuitBreaker.Permit] = []
        var lines: [String] = []

        init(failures: Int = 3, first: Double = 1, longest: Double = 5) {
            var configuration = CircuitBreaker.Configuration()
            configuration.failures = failures
            configuration.firstPause = first
            configuration.longestPause = longest
            breaker = CircuitBreaker(configuration)
        }

        /// "ask" lets a request in; "ok", "bad", "lasting", "gone" answer the oldest one under way; "+2" waits 2 seconds.
        mutating func play(_ script: String) -> [String] {
            for word in script.split(separator: " ") {
                switch word {
                case "ask":
                    switch breaker.admit(at: now) {
                    case .allowed(let permit):
                        permits.append(permit)
                        lines.append("go")
                    case .refused(let until):
                        lines.append(until.map { "wait \($0.milliseconds)" } ?? "wait")
                    }
                case "ok": breaker.succeeded(permits.removeFirst())
                case "bad": breaker.failed(permits.removeFirst(), at: now)
                case "lasting": breaker.failed(permits.removeFirst(), at: now, isLasting: true)
                case "gone": breaker.abandoned(permits.removeFirst(), at: now)
                default: now = now.adding(seconds: Double(word.dropFirst()) ?? 0)
                }
            }
            return lines
        }
    }

    @Test(
        "each story goes as written",
        arguments: [
            // Closed: failures in a row count, a success forgets them.
            ("ask bad ask bad ask ok ask bad ask bad ask", ["go", "go", "go", "go", "go", "go"]),
            // The third one opens; at the end of the pause one may try.
            (
                "ask bad ask bad ask bad ask +0.5 ask +0.5 ask ask",
                ["go", "go", "go", "wait 1000", "wait 1000", "go", "wait"]
            ),
            // The probe succeeds: closed, with nothing remembered.
            ("ask bad ask bad ask bad +1 ask ok ask bad ask bad ask", ["go", "go", "go", "go", "go", "go", "go"]),
            // The probe fails: the pause doubles, up to the longest.
            (
                "ask lasting +1 ask bad ask +2 ask bad ask +4 ask bad ask +5 ask bad ask",
                ["go", "go", "wait 3000", "go", "wait 7000", "go", "wait 12000", "go", "wait 17000"]
            ),
            // After a success the pauses start small again.
            ("ask lasting +1 ask bad +2 ask ok ask lasting ask", ["go", "go", "go", "go", "wait 4000"]),
            // A lasting failure opens at once.
            ("ask lasting ask", ["go", "wait 1000"]),
            // Requests that were under way when it opened say nothing any more: no second opening, no closing.
            ("ask ask ask ask ask bad bad bad bad ok ask", ["go", "go", "go", "go", "go", "wait 1000"]),
            // Nor do they stand for the probe.
            ("ask ask ask ask bad bad bad +1 ask ok ask bad ask", ["go", "go", "go", "go", "go", "wait", "wait 3000"]),
            // A probe that came to nothing leaves room for the next after the same pause.
            ("ask lasting +1 ask gone ask +1 ask", ["go", "go", "wait 2000", "go"]),
            ("ask gone ask", ["go", "go"]),
        ])
    func stories(_ script: String, _ expected: [String]) {
        var bench = Bench()
        #expect(bench.play(script) == expected)
    }

    @Test("what it is shows")
    func condition() {
        var bench = Bench(failures: 1)
        #expect(bench.breaker.condition == .closed)
        _ = bench.play("ask bad")
        #expect(bench.breaker.condition == .open(until: Timestamp(milliseconds: 1000)))
        _ = bench.play("+1 ask")
        #expect(bench.breaker.condition == .probing)
        _ = bench.play("ok")
        #expect(bench.breaker.condition == .closed)
    }
}
