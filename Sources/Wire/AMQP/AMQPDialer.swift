// Which broker to try, and how long to pause before: doubled with jitter, begun anew after a connection that held.

struct AMQPDialer {
    private let configuration: AMQPConfiguration
    private var next = 0
    private var failures = 0

    init(_ configuration: AMQPConfiguration) { self.configuration = configuration }

    /// Tries all endpoints once, beginning with the one that worked last.
    mutating func dial(_ control: AMQPControl) throws(AMQPError) -> AMQPLink {
        var problems: [AMQPError] = []
        for _ in configuration.endpoints {
            guard !control.isStopping else { throw AMQPError(.stopped, "shutting down") }
            let endpoint = configuration.endpoints[next % configuration.endpoints.count]
            do throws(AMQPError) {
                return try AMQPLink(endpoint, configuration, opened: control.opened)
            } catch {
                control.closed()
                problems.append(error)
                next += 1
            }
        }
        guard let first = problems.first else { throw AMQPError(.unreachable, "no broker is configured") }
        // In words of all, so that one wrong name in a list is seen as such.
        throw AMQPError(first.code, problems.map(\.message).joined(separator: "; "))
    }

    /// The pause after a failed try, or after a connection that was lost.
    mutating func pause(lasted: Duration?) -> Duration {
        if let lasted, lasted >= .seconds(5) { failures = 0 }
        failures += 1
        let doubled = configuration.firstPause * (1 << min(failures - 1, 16))
        return min(doubled, configuration.lastPause) * Double.random(in: 0.5...1)
    }

    /// The broker that was in use has gone: the next one first.
    mutating func lost() { next += 1 }
}
