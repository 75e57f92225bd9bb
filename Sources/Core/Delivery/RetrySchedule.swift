// When to try again: later each time, and never everybody at once.

package struct RetrySchedule: Sendable {
    /// Seconds before the second attempt. RFC 5321 §4.5.4.1 lets the first tries come sooner than its 30 minutes.
    package var initial: Double
    /// Seconds between attempts at most.
    package var maximum: Double

    package init(initial: Double, maximum: Double) {
        self.initial = initial
        self.maximum = maximum
    }

    /// Doubles from attempt to attempt, with a tenth up or down.
    /// - Parameters:
    ///   - attempt: the attempt that failed, from 1.
    ///   - random: from 0 up to 1.
    package func delay(after attempt: Int, random: Double) -> Double {
        let doubled = initial * Double(1 << min(max(attempt - 1, 0), 30))
        return min(doubled, maximum) * (0.9 + 0.2 * random)
    }
}
