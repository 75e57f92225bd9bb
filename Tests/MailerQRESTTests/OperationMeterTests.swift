// The last hour, minute by minute, with time as a parameter.

import Model
import Testing

@testable import MailerQREST

@Suite("The operation meter")
struct OperationMeterTests {
    private let start = Timestamp(milliseconds: 1_800_000_000_000)

    private func at(_ seconds: Double) -> Timestamp { start.adding(seconds: seconds) }

    @Test("nothing is no error rate")
    func empty() {
        let summary = OperationMeter().summary(at: start)
        #expect((summary.inFlight, summary.requests, summary.errors, summary.errorRate) == (0, 0, 0, 0))
    }

    @Test("what runs is in flight until it ends, and counts then")
    func inFlight() {
        var meter = OperationMeter()
        meter.begin()
        meter.begin()
        #expect(meter.summary(at: start).inFlight == 2)
        #expect(meter.summary(at: start).requests == 0)
        meter.end(at: at(1), failed: true)
        let summary = meter.summary(at: at(1))
        #expect((summary.inFlight, summary.requests, summary.errors) == (1, 1, 1))
    }

    @Test("the error rate is errors by requests")
    func rate() {
        var meter = OperationMeter()
        for number in 0..<250 {
            meter.begin()
            meter.end(at: at(Double(number)), failed: number == 7)
        }
        #expect(meter.summary(at: at(250)).errorRate == 0.004)
    }

    @Test("after an hour it is forgotten, and not before")
    func forgetting() {
        var meter = OperationMeter()
        meter.begin()
        meter.end(at: at(0), failed: true)
        #expect(meter.summary(at: at(59 * 60)).requests == 1)
        #expect(meter.summary(at: at(61 * 60)).requests == 0)
        // The same place in the ring, another hour.
        meter.begin()
        meter.end(at: at(3600), failed: false)
        let summary = meter.summary(at: at(3600))
        #expect((summary.requests, summary.errors) == (1, 0))
    }

    @Test("a clock that is set back loses nothing and counts nothing twice")
    func setBack() {
        var meter = OperationMeter()
        for time in [0.0, -7200, -30, 0] {
            meter.begin()
            meter.end(at: at(time), failed: false)
        }
        #expect(meter.summary(at: at(0)).requests >= 3)
        #expect(meter.summary(at: at(0)).inFlight == 0)
    }
}
