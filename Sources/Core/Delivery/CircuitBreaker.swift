// Leaves a server alone that has failed again and again, and asks it now and then whether it is back.

package import Model

package struct CircuitBreaker: Sendable {
    package struct Configuration: Sendable {
        /// Failures in a row before it opens. Default 5.
        package var failures = 5
        /// Seconds before the first probe. Doubles with each probe that fails. Default 1.
        package var firstPause: Double = 1
        /// Seconds before a probe at most. Default 60.
        package var longestPause: Double = 60

        package init() {}
    }

    package enum Condition: Hashable, Sendable {
        case closed
        /// Nobody passes before this moment.
        case open(until: Timestamp)
        /// One request is on its way to find out.
        case probing
    }

    /// Goes with a request, and comes back with its answer.
    package struct Permit: Hashable, Sendable {
        fileprivate let generation: Int
    }

    package enum Admission: Hashable, Sendable {
        case allowed(Permit)
        /// Not before this moment; `nil` while a probe is on its way.
        case refused(until: Timestamp?)
    }

    private enum State {
        case closed(failures: Int)
        case open(until: Timestamp, pause: Double)
        case probing(pause: Double)
    }

    private let configuration: Configuration
    private var state = State.closed(failures: 0)
    /// Counted up whenever the state changes its kind: answers to requests from before say nothing about now.
    private var generation = 0

    package init(_ configuration: Configuration = .init()) { self.configuration = configuration }

    package var condition: Condition {
        switch state {
        case .closed: .closed
        case .open(let until, _): .open(until: until)
        case .probing: .probing
        }
    }

    /// Whether `admit` would let a request pass.
    package func wouldAdmit(at now: Timestamp) -> Bool {
        switch state {
        case .closed: true
        case .open(let until, _): now >= until
        case .probing: false
        }
    }

    package mutating func admit(at now: Timestamp) -> Admission {
        switch state {
        case .closed: return .allowed(Permit(generation: generation))
        case .probing: return .refused(until: nil)
        case .open(let until, let pause):
            guard now >= until else { return .refused(until: until) }
            become(.probing(pause: pause))
            return .allowed(Permit(generation: generation))
        }
    }

    /// The server answered as a server does that works.
    package mutating func succeeded(_ permit: Permit) {
        guard permit.generation == generation else { return }
        switch state {
        case .closed: state = .closed(failures: 0)
        case .probing: become(.closed(failures: 0))
        case .open: preconditionFailure("nobody holds a permit of an open breaker")
        }
    }

    /// The server did not answer, or as one does that is in trouble.
    /// - Parameter isLasting: more of the same would fail as well, such as with wrong credentials: opens at once.
    package mutating func failed(_ permit: Permit, at now: Timestamp, isLasting: Bool = false) {
        guard permit.generation == generation else { return }
        switch state {
        case .closed(let failures):
            guard isLasting || failures + 1 >= configuration.failures else {
                state = .closed(failures: failures + 1)
                return
            }
            open(for: configuration.firstPause, now)
        case .probing(let pause): open(for: min(pause * 2, configuration.longestPause), now)
        case .open: preconditionFailure("nobody holds a permit of an open breaker")
        }
    }

    /// The request was given up before anything was learned.
    package mutating func abandoned(_ permit: Permit, at now: Timestamp) {
        guard permit.generation == generation, case .probing(let pause) = state else { return }
        open(for: pause, now)
    }

    private mutating func open(for pause: Double, _ now: Timestamp) {
        become(.open(until: now.adding(seconds: pause), pause: pause))
    }

    private mutating func become(_ next: State) {
        state = next
        generation += 1
    }
}
