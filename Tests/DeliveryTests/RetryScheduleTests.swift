// When the next attempt is: later each time, up to a limit, and never at the same moment for everybody.

import Delivery
import Testing

@Suite("Retry schedule")
struct RetryScheduleTests {
    private let schedule = RetrySchedule(initial: 60, maximum: 3600)

    @Test(
        "the delay doubles up to its maximum",
        arguments: [
            (1, 60.0), (2, 120), (3, 240), (4, 480), (5, 960), (6, 1920), (7, 3600), (8, 3600), (40, 3600),
            (1_000, 3600), (Int.max, 3600), (0, 60), (-5, 60),
        ] as [(Int, Double)])
    func doubling(_ attempt: Int, _ expected: Double) {
        #expect(abs(schedule.delay(after: attempt, random: 0.5) - expected) < 0.001)
    }

    @Test("chance moves it a tenth at most, either way", arguments: [1, 3, 9])
    func jitter(_ attempt: Int) {
        let middle = schedule.delay(after: attempt, random: 0.5)
        #expect(abs(schedule.delay(after: attempt, random: 0) - 0.9 * middle) < 0.001)
        #expect(schedule.delay(after: attempt, random: 0.999_999) < 1.1 * middle)
        var last = 0.0
        for step in 0..<100 {
            let delay = schedule.delay(after: attempt, random: Double(step) / 100)
            #expect(delay > last)
            last = delay
        }
    }
}
