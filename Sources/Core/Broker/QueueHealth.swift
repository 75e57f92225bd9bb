// Looks at the broker's queues every few seconds and keeps the picture. Whoever asks gets what is there: no request from
// outside makes us ask the broker, and none waits for it.

package import Logging
import Metrics
package import Model
package import RabbitMQManagement
import ServiceLifecycle
import Synchronization

package final class QueueHealth: Service {
    package struct Configuration: Sendable {
        /// The queues that are configured.
        package var queues: [QueueRole: String]
        package var thresholds = BacklogThresholds()
        /// Seconds between rounds. Default 2.
        package var interval = 2.0
        /// Seconds that the management API is left alone after it did not answer. Default 15.
        package var managementPause = 15.0

        package init(queues: [QueueRole: String]) { self.queues = queues }
    }

    /// Passive declarations over AMQP; `nil` for a queue that is not there.
    package typealias Inspect = @Sendable (_ queues: [String]) async throws -> [String: PassiveReading?]

    private struct State {
        var sample: QueueSample?
        var checkedAt: Timestamp?
        var managementFailedAt: Timestamp?
        /// What the log was told last, so that it is told once.
        var noted: String?
    }

    private let configuration: Configuration
    private let management: RabbitMQManagement?
    private let inspect: Inspect?
    private let connections: @Sendable () -> [BrokerConnection]
    private let clock: any WallClock
    private let logger: Logger
    private let state = Mutex(State())
    private let gauges: QueueGauges

    /// - Parameters:
    ///   - management: asked first where there is one.
    ///   - inspect: asked where management is not there or does not answer; must come back by itself in bounded time.
    ///   - connections: this process' own, as they are at the moment of the call.
    package init(
        configuration: Configuration,
        management: RabbitMQManagement?,
        inspect: Inspect?,
        connections: @escaping @Sendable () -> [BrokerConnection],
        clock: any WallClock,
        logger: Logger
    ) {
        self.configuration = configuration
        self.management = management
        self.inspect = inspect
        self.connections = connections
        self.clock = clock
        self.logger = logger
        gauges = QueueGauges()
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                await look()
                try? await Task.sleep(for: .seconds(configuration.interval))
            }
        }
    }

    /// One round of questions.
    package func look() async {
        let sample = await ask()
        // What is broken off by a shutdown says nothing about the broker.
        if Task.isCancelled { return }
        let now = clock.now()
        let news: String? = state.withLock { state in
            state.sample = sample
            state.checkedAt = now
            let word = if case .none(let reason) = sample { reason } else { sample.alarm }
            guard state.noted != word else { return nil }
            defer { state.noted = word }
            return word ?? "the broker answers"
        }
        if let news { logger.notice("broker", metadata: ["state": "\(news)"]) }
        gauges.record(report())
    }

    /// The picture as it stands. Connections are looked at now, queues were looked at `checkedAt`.
    package func report() -> BrokerReport {
        let (sample, checkedAt) = state.withLock { ($0.sample, $0.checkedAt) }
        let connections = connections()
        let publishers = connections.filter { $0.state == .blocked }
        let block =
            sample?.alarm ?? publishers.first.map { "the broker blocks \($0.name): \($0.detail ?? "no reason")" }
        let fresh = sample.map { isStale(checkedAt) ? .none("the last answer is \(age(checkedAt)) s old") : $0 }
        let current = fresh ?? QueueSample.none("not asked yet")
        let queues = QueueRole.allCases.compactMap { role in
            configuration.queues[role].map { current.status(role, $0, block: block, configuration.thresholds) }
        }
        var report = BrokerReport(status: .ok, queues: queues, connections: connections, checkedAt: checkedAt)
        let lost = connections.first { $0.state == .connecting && $0.detail != nil }
        switch (current, block, lost) {
        case (.none(let reason), _, _): (report.status, report.detail) = (.down, reason)
        case (_, .some(let block), _): (report.status, report.detail) = (.blocked, block)
        case (_, _, .some(let lost)):
            (report.status, report.detail) = (.down, "\(lost.name) is not connected: \(lost.detail ?? "")")
        default: break
        }
        return report
    }

    private func ask() async -> QueueSample {
        let names = Array(configuration.queues.values)
        var reasons: [String] = []
        if let management, mayAskManagement() {
            do throws(RabbitMQManagementError) {
                let sample = try await Self.sample(management, names)
                state.withLock { $0.managementFailedAt = nil }
                return sample
            } catch {
                reasons.append(error.description)
                let now = clock.now()
                state.withLock { $0.managementFailedAt = now }
            }
        }
        guard let inspect else { return .none(reasons.first ?? "the management API did not answer; asked again soon") }
        do {
            return .passive(try await inspect(names))
        } catch {
            return .none((["\(error)"] + reasons).joined(separator: "; "))
        }
    }

    private static func sample(
        _ management: RabbitMQManagement,
        _ names: [String]
    ) async throws(RabbitMQManagementError) -> QueueSample {
        let alarms = try await management.alarms() ?? []
        var readings: [String: QueueReading?] = [:]
        for name in names { readings.updateValue(try await management.queue(name), forKey: name) }
        return .management(queues: readings, alarms: alarms)
    }

    private func mayAskManagement() -> Bool {
        guard let failed = state.withLock({ $0.managementFailedAt }) else { return true }
        return failed.adding(seconds: configuration.managementPause) <= clock.now()
    }

    /// A round that hangs must not leave an old picture standing as if it were today's.
    private func isStale(_ checkedAt: Timestamp?) -> Bool {
        age(checkedAt) > Int64(max(30, 5 * configuration.interval))
    }

    private func age(_ checkedAt: Timestamp?) -> Int64 {
        checkedAt.map { (clock.now().milliseconds - $0.milliseconds) / 1000 } ?? 0
    }
}
