// Writes down what became of attempts: the message's new state, its event and its outbox entry in one commit.

import JSON
package import Logging
package import Model
package import SQL
import Store

package struct OutcomeLedger: Sendable {
    /// Seconds before a message that could not be tried is looked at again.
    private static let untriedPause = 1.0

    private let messages: MessageRepository
    private let outbox: OutboxRepository
    private let retry: RetrySchedule
    private let clock: any WallClock
    private let ids: IdentifierGenerator
    private let logger: Logger

    package init(
        database: any SQLDatabase,
        owner: String,
        retry: RetrySchedule,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger
    ) {
        messages = MessageRepository(database: database)
        outbox = OutboxRepository(database: database, owner: owner)
        self.retry = retry
        self.clock = clock
        self.ids = ids
        self.logger = logger
    }

    /// Returns when the outcomes are on disk. A database that fails is asked again: what was delivered must not be forgotten,
    /// or it would be sent twice.
    package func record(_ outcomes: [RouteOutcome]) async {
        let moves = outcomes.compactMap { move(for: $0) }
        let handOvers = outcomes.filter { $0.result == .handedOver }.map { outcome in
            HandOver(message: outcome.message, event: event(outcome, .relayed, nextAttempt: nil))
        }
        let untried = outcomes.filter { $0.result == .notTried }.map(\.message.id)
        var pause = 0.1
        while true {
            do {
                if !handOvers.isEmpty { try await outbox.handedOver(handOvers) }
                if !untried.isEmpty {
                    try await outbox.giveBack(untried, until: clock.now().adding(seconds: Self.untriedPause))
                }
                if !moves.isEmpty { try await messages.move(moves) }
                return
            } catch {
                logger.error(
                    "outcomes could not be written down", metadata: ["error": "\(error)", "count": "\(outcomes.count)"])
                // At a shutdown the lease runs out by itself, and the message is tried again.
                if Task.isCancelled { return }
            }
            try? await Task.sleep(for: .seconds(pause))
            pause = min(pause * 2, 5)
        }
    }

    /// - Returns: `nil` for a message that was handed over, or not even tried: it has not moved on.
    private func move(for outcome: RouteOutcome) -> MessageMove? {
        switch outcome.result {
        case .handedOver, .notTried: return nil
        case .delivered: return end(outcome, .delivered, .delivered)
        case .bounced: return end(outcome, .bounced, .bounced)
        case .failed: return end(outcome, .failed, .failed)
        case .deferred:
            let delay = retry.delay(after: outcome.message.attempt, random: Double.random(in: 0..<1))
            let next = clock.now().adding(seconds: delay)
            guard next < outcome.message.deadline else { return end(outcome, .expired, .expired) }
            return MessageMove(
                message: outcome.message.id, vault: outcome.message.vault, status: .queued,
                event: event(outcome, .deferred, nextAttempt: next),
                outbox: .retry(at: next, after: outcome.message.attempt),
                reply: outcome.reply)
        }
    }

    private func end(_ outcome: RouteOutcome, _ status: MessageStatus, _ type: EventType) -> MessageMove {
        MessageMove(
            message: outcome.message.id, vault: outcome.message.vault, status: status,
            event: event(outcome, type, nextAttempt: nil), outbox: .remove, reply: outcome.reply,
            code: outcome.code, enhancedCode: outcome.enhancedCode)
    }

    private func event(_ outcome: RouteOutcome, _ type: EventType, nextAttempt: Timestamp?) -> MessageEvent {
        MessageEvent(
            id: ids.next(), type: type, at: clock.now(), attempt: outcome.message.attempt,
            route: outcome.message.route,
            detail: detail(outcome, nextAttempt: nextAttempt))
    }

    /// The route's own detail, with the reply and the time of the next attempt where it did not say them.
    private func detail(_ outcome: RouteOutcome, nextAttempt: Timestamp?) -> Foreign<String>? {
        var object = outcome.detail.flatMap { (try? JSONParser.parse($0.asData()))?.objectValue } ?? JSONObject()
        if object.members.isEmpty, let reply = outcome.reply { object["reason"] = .string(reply.asData()) }
        if let nextAttempt { object["next_attempt_at"] = .string(nextAttempt.description) }
        guard !object.members.isEmpty else { return nil }
        return Foreign(String(decoding: JSONWriter.write(.object(object)), as: UTF8.self))
    }
}
