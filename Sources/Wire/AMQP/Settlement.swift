// One acknowledgement on the wire, and how a batch becomes few of them.

struct Settlement: Equatable {
    var tag: UInt64
    /// All unsettled up to `tag`.
    var multiple: Bool
    var disposition: AMQPDisposition

    /// For a batch with everything before it on its channel settled: one for each run of equal dispositions.
    static func plan(_ tags: [UInt64], _ dispositions: [AMQPDisposition]) -> [Settlement] {
        precondition(tags.count == dispositions.count, "one disposition a delivery")
        var plan: [Settlement] = []
        for (tag, disposition) in zip(tags, dispositions) {
            if plan.last?.disposition == disposition {
                plan[plan.count - 1].tag = tag
                plan[plan.count - 1].multiple = true
            } else {
                plan.append(Settlement(tag: tag, multiple: false, disposition: disposition))
            }
        }
        return plan
    }
}
