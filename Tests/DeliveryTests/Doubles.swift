// A route that answers as a test says, a barrier that holds it, and a dispatcher that runs for the length of a test.

import CoreTestSupport
import Delivery
import Logging
import Model
import Outbox
import SQL
import ServiceLifecycleTestKit
import Store
import Synchronization

final class ScriptedRoute: Route {
    private let answer: @Sendable (ClaimedMessage) async -> RouteOutcome.Result
    private let recorded = Mutex<[[ClaimedMessage]]>([])

    init(_ answer: @escaping @Sendable (ClaimedMessage) async -> RouteOutcome.Result) { self.answer = answer }

    /// What each call was given.
    var calls: [[ClaimedMessage]] { recorded.withLock { $0 } }

    func deliver(_ messages: [ClaimedMessage]) async -> [RouteOutcome] {
        recorded.withLock { $0.append(messages) }
        var outcomes: [RouteOutcome] = []
        for message in messages {
            let result = await answer(message)
            outcomes.append(
                RouteOutcome(
                    message: message, result: result, reply: Foreign("\(result) in attempt \(message.attempt)")))
        }
        return outcomes
    }
}

/// Closed until it is opened, or until the waiting task is cancelled.
final class Barrier: Sendable {
    private let isOpen = Mutex(false)

    func open() { isOpen.withLock { $0 = true } }

    func pass() async {
        while !isOpen.withLock({ $0 }), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(3)) }
    }
}

let silent = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }

extension TestHouse {
    func dispatcher(
        _ route: any Route,
        isLive: Bool = true,
        owner: String = "dispatcher",
        signal: OutboxSignal = OutboxSignal(),
        on database: (any SQLDatabase)? = nil,
        _ change: (inout DispatcherConfiguration) -> Void = { _ in }
    ) -> Dispatcher {
        var configuration = DispatcherConfiguration(
            retry: RetrySchedule(initial: 10, maximum: 100), isLiveSendEnabled: isLive)
        configuration.pollInterval = 0.01
        change(&configuration)
        return Dispatcher(
            configuration: configuration, routes: [.smarthost: route],
            database: database ?? self.database, owner: owner, signal: signal, clock: clock, ids: ids, logger: silent)
    }

    /// Runs a dispatcher while the body runs, and then shuts it down as the instance would.
    func running(_ dispatcher: Dispatcher, _ body: () async throws -> Void) async throws {
        try await testGracefulShutdown { trigger in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await dispatcher.run() }
                try await body()
                trigger.triggerGracefulShutdown()
                try await group.waitForAll()
            }
        }
    }

    func status(_ id: MessageID) async throws -> MessageStatus? {
        try await MessageRepository(database: database).find(id, in: vault.id)?.status
    }

    func events(_ id: MessageID) async throws -> [MessageEvent] {
        try await MessageRepository(database: database).events(of: id, in: vault.id)
    }

    /// Claims everything that is ready, as a process that may die would.
    func claimAll(owner: String = "test", lease: Double = 300) async throws -> [ClaimedMessage] {
        let now = clock.now()
        return try await OutboxRepository(database: database, owner: owner).claim(
            at: now, lease: now.adding(seconds: lease), limit: 1_000, share: 1_000, inHand: [:]
        ) { [ids] ready in
            .attempt(
                MessageEvent(
                    id: ids.next(), type: .attempted, at: now, attempt: ready.attempts + 1, route: ready.route))
        }.leased
    }
}
