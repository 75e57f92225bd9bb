// Counts operations over the last hour, minute by minute, and those that run now. Time comes in as a parameter.

package import Model

package struct OperationMeter: Sendable {
    package struct Summary: Sendable, Hashable {
        package let inFlight: Int
        /// Operations that ended within the last hour.
        package let requests: Int
        /// Those of them without a usable answer.
        package let errors: Int

        /// 0 to 1; 0 where there was nothing.
        package var errorRate: Double { requests == 0 ? 0 : Double(errors) / Double(requests) }
    }

    private struct Minute: Sendable {
        var number: Int64 = -1
        var requests = 0
        var errors = 0
    }

    private static let minutes = 60

    private var ring = [Minute](repeating: Minute(), count: minutes)
    private var inFlight = 0

    package init() {}

    package mutating func begin() { inFlight += 1 }

    package mutating func end(at time: Timestamp, failed: Bool) {
        precondition(inFlight > 0, "an operation ends once, after it began")
        inFlight -= 1
        let number = Self.number(time)
        let index = Int(number % Int64(Self.minutes))
        // A clock that was set back counts into the newer minute rather than throwing an hour away.
        if ring[index].number < number { ring[index] = Minute(number: number) }
        ring[index].requests += 1
        if failed { ring[index].errors += 1 }
    }

    package func summary(at time: Timestamp) -> Summary {
        let oldest = Self.number(time) - Int64(Self.minutes) + 1
        let recent = ring.filter { $0.number >= oldest }
        return Summary(
            inFlight: inFlight, requests: recent.reduce(0) { $0 + $1.requests },
            errors: recent.reduce(0) { $0 + $1.errors })
    }

    private static func number(_ time: Timestamp) -> Int64 { max(time.milliseconds, 0) / 60_000 }
}
