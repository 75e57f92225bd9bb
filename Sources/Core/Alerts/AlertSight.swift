// What a probe last said, and whether it is asked at this moment.

import Model

struct AlertSight: Sendable {
    var signs: [AlertSign]?
    var seenAt: Timestamp?
    var askedAt: Timestamp?

    /// Whether it is time to ask again.
    func isDue(_ probe: AlertProbe, at now: Timestamp) -> Bool {
        guard probe.pause > 0, let seenAt else { return true }
        // What cannot be told is asked for again at once, and a clock that was set back keeps nobody from asking.
        return signs == nil || now >= seenAt.adding(seconds: probe.pause) || now < seenAt
    }

    /// What the probe sees now; `nil` when it cannot be told.
    func signs(of probe: AlertProbe, at now: Timestamp, patience: Double) -> [AlertSign]? {
        if let seenAt, seenAt >= now.adding(seconds: -probe.pause - patience) { return signs }
        if let askedAt, askedAt < now.adding(seconds: -patience) { return probe.silence }
        return nil
    }
}
