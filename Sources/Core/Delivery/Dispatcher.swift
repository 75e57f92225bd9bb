// Takes what is due from the outbox, hands it to its route, and writes down what came of it.

package import Logging
package import Model
package import Outbox
package import SQL
import ServiceLifecycle
package import Store

package struct DispatcherConfiguration: Sendable {
    package var retry: RetrySchedule
    /// The instance's switch: off, what still waits is captured instead of sent.
    package var isLiveSendEnabled: Bool
    /// Seconds that a claim lasts before others may take the message; renewed while the attempt runs. Default 300.
    package var lease: Double = 300
    /// Messages in hand at once; an eighth of them of one vault. Default 8,000: a vault's mail then goes to MailerQ in four batches
    /// at a time.
    package var inHand = 8_000
    /// Seconds between looks at the outbox when nothing gives a sign. Default 0.5.
    package var pollInterval: Double = 0.5
    /// Seconds that running attempts get at a shutdown. Default 10: the SMTP doors may take 10 before, the broker's
    /// connections 6 after, of 27 in all.
    package var drain: Double = 10

    package init(retry: RetrySchedule, isLiveSendEnabled: Bool) {
        self.retry = retry
        self.isLiveSendEnabled = isLiveSendEnabled
    }
}

package final class Dispatcher: Service {
    private let configuration: DispatcherConfiguration
    private let routes: [RouteName: any Route]
    private let capture: @Sendable (ReadyMessage) -> Foreign<String>?
    private let outbox: OutboxRepository
    private let ledger: OutcomeLedger
    private let signal: OutboxSignal
    private let clock: any WallClock
    private let ids: IdentifierGenerator
    private let inHand = InHand()
    private let logger: Logger

    /// - Parameters:
    ///   - routes: the live ways out; shadow mode needs none, it is settled here.
    ///   - capture: what the timeline says of a message that shadow mode keeps: where it would have gone.
    ///   - owner: what this process's leases are known by.
    package init(
        configuration: DispatcherConfiguration,
        routes: [RouteName: any Route],
        capture: @escaping @Sendable (ReadyMessage) -> Foreign<String>? = { _ in nil },
        database: any SQLDatabase,
        owner: String,
        signal: OutboxSignal,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger
    ) {
        self.configuration = configuration
        self.routes = routes
        self.capture = capture
        outbox = OutboxRepository(database: database, owner: owner)
        ledger = OutcomeLedger(
            database: database, owner: owner, retry: configuration.retry, clock: clock, ids: ids, logger: logger)
        self.signal = signal
        self.clock = clock
        self.ids = ids
        self.logger = logger
    }

    package func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.tick() }
            group.addTask { await self.renewLeases() }
            await dispatch()
            group.cancelAll()
        }
    }

    /// Claims and starts attempts until the shutdown, then lets the running ones finish.
    private func dispatch() async {
        await withDiscardingTaskGroup { attempts in
            for await _ in signal.signals.cancelOnGracefulShutdown() {
                while !Task.isShuttingDownGracefully, await claim(into: &attempts) {}
            }
            let deadline = ContinuousClock.now + .seconds(configuration.drain)
            // A look now and then: at a shutdown nothing is gained by waking a moment sooner.
            while inHand.count > 0, ContinuousClock.now < deadline, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(20))
            }
            // An attempt that is cancelled ends its connection and writes down that it has to be tried again.
            attempts.cancelAll()
        }
    }

    /// - Returns: whether there may be more to claim at once.
    private func claim(into attempts: inout DiscardingTaskGroup) async -> Bool {
        let room = configuration.inHand - inHand.count
        guard room > 0 else { return false }
        let now = clock.now()
        // A vault whose route is slow may hold an eighth of all places, so that seven like it still leave room for others.
        let share = max(1, configuration.inHand / 8)
        // Where nothing is sent at all, what waits for a route is captured, whatever the route can do.
        let unavailable =
            configuration.isLiveSendEnabled ? Set(routes.filter { !$0.value.isAvailable }.keys) : []
        do {
            let (leased, count) = try await outbox.claim(
                at: now, lease: now.adding(seconds: configuration.lease), limit: room, share: share,
                inHand: inHand.byVault, unavailable: unavailable,
                except: inHand.messages
            ) { [ids, configuration, routes, capture] message in
                guard configuration.isLiveSendEnabled, message.route != .shadow else {
                    let event = MessageEvent(
                        id: ids.next(), type: .captured, at: now, attempt: message.attempts, route: .shadow,
                        detail: capture(message))
                    return .settle(
                        MessageMove(
                            message: message.id, vault: message.vault, status: .captured, event: event,
                            outbox: .remove))
                }
                if routes[message.route]?.kind == .handsOver { return .handOver }
                return .attempt(
                    MessageEvent(
                        id: ids.next(), type: .attempted, at: now, attempt: message.attempts + 1,
                        route: message.route))
            }
            inHand.take(leased)
            for (route, messages) in batches(of: leased) {
                attempts.addTask { await self.attempt(messages, by: route) }
            }
            return count > 0
        } catch {
            logger.error("the outbox cannot be read", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func attempt(_ messages: [ClaimedMessage], by route: any Route) async {
        let outcomes = await route.deliver(messages)
        await ledger.record(outcomes)
        inHand.release(messages)
        signal.notify()
    }

    /// Messages that can go in one call, as their routes group them.
    private func batches(of leased: [ClaimedMessage]) -> [(route: any Route, messages: [ClaimedMessage])] {
        Dictionary(grouping: leased, by: \.route).flatMap { name, messages in
            let route = routes[name] ?? MissingRoute()
            let groups: [[ClaimedMessage]] =
                switch route.grouping {
                case .payload: Array(Dictionary(grouping: messages, by: \.payload).values)
                case .any(let maximum):
                    stride(from: 0, to: messages.count, by: maximum).map {
                        Array(messages[$0..<min($0 + maximum, messages.count)])
                    }
                }
            return groups.map { (route, $0) }
        }
    }

    /// Looks into the outbox now and then: for retries, schedules, and signals of other processes.
    private func tick() async {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                signal.notify()
                try? await Task.sleep(for: .seconds(configuration.pollInterval))
            }
        }
    }

    private func renewLeases() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(configuration.lease / 3))
            let messages = Array(inHand.messages)
            guard !messages.isEmpty else { continue }
            do {
                try await outbox.renew(messages, until: clock.now().adding(seconds: configuration.lease))
            } catch {
                logger.error("leases could not be renewed", metadata: ["error": "\(error)"])
            }
        }
    }
}

/// Stands in for a route that this instance is not set up for: its messages wait.
private struct MissingRoute: Route {
    func deliver(_ messages: [ClaimedMessage]) async -> [RouteOutcome] {
        messages.map {
            RouteOutcome(
                message: $0, result: .deferred, reply: Foreign("the route \($0.route.rawValue) is not set up here"))
        }
    }
}
