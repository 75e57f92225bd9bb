// Hands messages to MailerQ through the broker. They are on their way when the broker has confirmed them; what becomes of
// them comes back through the result queues.

import AMQP
import JSON
package import Model
package import SQL
package import Store
import Synchronization

package final class MailerQRoute: Route {
    package struct Configuration: Sendable {
        /// Empty for the default exchange, whose routing keys are queue names.
        package var exchange: String
        package var routingKey: String
        /// Bytes of a document at most. Default 128 MiB, RabbitMQ 3's `max_message_size`; from version 4 it is 16 MiB.
        package var maximumBytes = 128 << 20

        package init(exchange: String, routingKey: String) {
            self.exchange = exchange
            self.routingKey = routingKey
        }

        fileprivate var place: String {
            exchange.isEmpty ? "the queue \"\(routingKey)\"" : "the exchange \"\(exchange)\" by key \"\(routingKey)\""
        }
    }

    package let grouping = RouteGrouping.any(maximum: 256)
    package let kind = RouteKind.handsOver
    /// An exchange or a queue that is not there, or that we may not use, is so for all messages: they wait in the outbox, and
    /// one batch now and then finds out whether it has been mended.
    package var isAvailable: Bool { publisher.isAvailable && breaker.withLock { $0.wouldAdmit(at: clock.now()) } }
    private let configuration: Configuration
    private let publisher: any MailerQPublishing
    private let handOvers: MailerQHandOvers
    private let clock: any WallClock
    private let breaker: Mutex<CircuitBreaker>

    package init(
        configuration: Configuration,
        publisher: any MailerQPublishing,
        database: any SQLDatabase,
        mapping: MailerQMapping,
        clock: any WallClock
    ) {
        var patience = CircuitBreaker.Configuration()
        patience.longestPause = 10
        breaker = Mutex(CircuitBreaker(patience))
        self.clock = clock
        self.configuration = configuration
        self.publisher = publisher
        handOvers = MailerQHandOvers(database: database, mapping: mapping, maximumBytes: configuration.maximumBytes)
    }

    package func deliver(_ messages: [ClaimedMessage]) async -> [RouteOutcome] {
        await handOvers.forEachBatch(of: messages, publish)
    }

    private func publish(_ items: [MailerQHandOvers.Item]) async -> [RouteOutcome] {
        let outgoing = items.compactMap { item in
            if case .ready(_, let document) = item { message(document) } else { nil }
        }
        guard case .allowed(let permit) = breaker.withLock({ $0.admit(at: clock.now()) }) else {
            return items.map { item in
                switch item {
                case .settled(let outcome): outcome
                case .ready(let message, _): RouteOutcome(message: message, result: .notTried)
                }
            }
        }
        var answers = (outgoing.isEmpty ? [] : await publisher.publish(outgoing))[...]
        judge(answers, permit)
        return items.map { item in
            switch item {
            case .settled(let outcome): outcome
            case .ready(let message, _):
                outcome(message, answers.popFirst() ?? .inDoubt("the publisher gave no answer"))
            }
        }
    }

    private func judge(_ answers: ArraySlice<AMQPPublishOutcome>, _ permit: CircuitBreaker.Permit) {
        var isRefused = false
        for answer in answers {
            switch answer {
            case .confirmed: return breaker.withLock { $0.succeeded(permit) }
            case .returned, .refused: isRefused = true
            case .unavailable, .inDoubt: break
            }
        }
        let now = clock.now()
        breaker.withLock { isRefused ? $0.failed(permit, at: now) : $0.abandoned(permit, at: now) }
    }

    private func message(_ document: MailerQDocument) -> AMQPMessage {
        var message = AMQPMessage(
            exchange: configuration.exchange, routingKey: configuration.routingKey, body: document.json)
        message.messageID = document.message.text
        message.correlationID = document.correlation.text
        message.priority = document.priority
        return message
    }

    private func outcome(_ message: ClaimedMessage, _ answer: AMQPPublishOutcome) -> RouteOutcome {
        switch answer {
        case .confirmed:
            return RouteOutcome(message: message, result: .handedOver, detail: detail(nil))
        case .returned(let code, let text):
            return deferred(message, "no queue takes messages for \(configuration.place) (\(code) \(text))")
        case .refused(let text): return deferred(message, "the broker refused it for \(configuration.place): \(text)")
        case .unavailable: return RouteOutcome(message: message, result: .notTried)
        case .inDoubt(let text):
            return deferred(message, "the broker did not confirm it, and may have it: \(text)", isAmbiguous: true)
        }
    }

    private func deferred(_ message: ClaimedMessage, _ reason: String, isAmbiguous: Bool = false) -> RouteOutcome {
        RouteOutcome(
            message: message, result: .deferred, reply: Foreign(reason),
            detail: detail(reason, isAmbiguous: isAmbiguous))
    }

    private func detail(_ reason: String?, isAmbiguous: Bool = false) -> Foreign<String> {
        var writer = JSONWriter()
        writer.object { writer in
            if let reason { writer.member("reason", reason) }
            writer.member("exchange", configuration.exchange)
            writer.member("routing_key", configuration.routingKey)
            if isAmbiguous { writer.member("ambiguous", true) }
        }
        return Foreign(writer.text)
    }
}
