// How the server is reached, and when to try again: one memory for all connections, so that a server that is away is asked
// now and then, and not by everyone at once.

import Logging
import SQL
import Synchronization

final class Dial: Sendable {
    private struct State {
        var failures = 0
        var notBefore = ContinuousClock.now
        var lastError: SQLError?
        /// Connections of each kind that are open.
        var open: [Role: Int] = [:]
    }

    let configuration: PostgreSQLConfiguration
    private let logger: Logger
    private let state = Mutex(State())

    init(_ configuration: PostgreSQLConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Connects, unless the last try has failed just now.
    func connect(_ role: Role) throws(Refusal) -> Link {
        if let error = state.withLock({ $0.notBefore > .now ? $0.lastError : nil }) {
            throw Refusal(error: SQLError(.unavailable, error.message), isFinal: false)
        }
        do throws(Refusal) {
            let link = try Link.connect(configuration, as: role)
            let failures = state.withLock { state in
                defer { state.failures = 0 }
                state.notBefore = .now
                state.open[role, default: 0] += 1
                return state.failures
            }
            if failures > 0 {
                logger.notice("the database answers again", metadata: ["tries": "\(failures + 1)"])
            }
            return link
        } catch {
            note(error)
            throw error
        }
    }

    /// Says that a connection has ended.
    func closed(_ role: Role) { state.withLock { $0.open[role, default: 1] -= 1 } }

    /// Open connections of a kind.
    func open(_ role: Role) -> Int { state.withLock { $0.open[role, default: 0] } }

    /// Seconds until the next try makes sense.
    var pause: Double { state.withLock { max(ContinuousClock.now.duration(to: $0.notBefore) / .seconds(1), 0) } }

    private func note(_ refusal: Refusal) {
        let failures = state.withLock { state in
            state.failures += 1
            // Doubled from try to try, and never in step with other processes.
            let pause = min(0.1 * Double(1 << min(state.failures - 1, 10)), configuration.limits.longestPause)
            state.notBefore = .now.advanced(by: .seconds(pause * .random(in: 0.5...1)))
            state.lastError = refusal.error
            return state.failures
        }
        // The first failure says what is wrong; later ones that it still is, ever more seldom.
        guard failures & (failures - 1) == 0 else { return }
        logger.warning(
            "the database cannot be reached",
            metadata: ["database": "\(configuration)", "error": "\(refusal.error)", "tries": "\(failures)"])
    }
}

/// A thread's connection: made when it is needed, looked at before it is used.
final class Line {
    private let dial: Dial
    private let role: Role
    private var current: Link?

    init(_ dial: Dial, _ role: Role) {
        self.dial = dial
        self.role = role
    }

    /// - Throws: `Refusal` when there is no connection, and none can be had now.
    func link() throws(Refusal) -> Link {
        if let current, current.isUsable() { return current }
        hangUp()
        let link = try dial.connect(role)
        current = link
        return link
    }

    func hangUp() {
        guard current != nil else { return }
        current = nil
        dial.closed(role)
    }

    /// Lets go of a connection that has been lost meanwhile.
    func tidy() {
        if current?.isLost == true { hangUp() }
    }

    /// Others of this kind are connected, so that work need not wait for this one.
    var othersAreOpen: Bool { dial.open(role) > (current == nil ? 0 : 1) }
}
