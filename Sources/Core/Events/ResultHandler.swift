// What MailerQ's result queues bring: read, matched to messages, written down, and only then acknowledged.

package import AMQP
package import Logging
package import MailerQ
import Metrics
package import Model
package import SQL
import Store

package struct ResultHandler: Sendable {
    /// Seconds that results wait in our hands for a database that is down.
    private static let patience = 1_200.0

    private let processor: EventProcessor
    private let orphans: OrphanRepository
    private let queue: MailerQResultQueue
    private let clock: any WallClock
    private let ids: IdentifierGenerator
    private let logger: Logger

    package init(
        queue: MailerQResultQueue,
        database: any SQLDatabase,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger
    ) {
        processor = EventProcessor(database: database, clock: clock, ids: ids)
        orphans = OrphanRepository(database: database)
        self.queue = queue
        self.clock = clock
        self.ids = ids
        self.logger = logger
    }

    /// Returns one disposition a delivery: `.ack` after the commit, `.reject` for what nobody can read, `.requeue` where the
    /// database did not take it.
    package func handle(_ deliveries: [AMQPDelivery]) async -> [AMQPDisposition] {
        var dispositions = [AMQPDisposition](repeating: .ack, count: deliveries.count)
        var reports: [(place: Int, report: DeliveryReport, result: MailerQResult)] = []
        var strays: [(place: Int, orphan: Orphan)] = []
        for (place, delivery) in deliveries.enumerated() {
            guard let result = read(delivery) else {
                dispositions[place] = .reject
                continue
            }
            switch MailerQReport(result) {
            case .report(let report): reports.append((place, report, result))
            case .orphan(let reason): strays.append((place, orphan(delivery, result, reason)))
            }
        }
        let places = reports.map(\.place) + strays.map(\.place)
        let isWritten = await persist {
            let outcomes = try await processor.process(reports.map(\.report))
            var all = strays
            for (entry, outcome) in zip(reports, outcomes) where outcome == .unknown {
                let reason = "there is no such message here"
                all.append((entry.place, orphan(deliveries[entry.place], entry.result, reason)))
            }
            if !all.isEmpty {
                try await orphans.insert(all.map(\.orphan))
                logger.warning(
                    "results without a message", metadata: ["queue": "\(queue.rawValue)", "count": "\(all.count)"])
            }
            for outcome in outcomes { count(outcome.name) }
        }
        if !isWritten { for place in places { dispositions[place] = .requeue } }
        return dispositions
    }

    /// Tries until the database has it. Giving results back at once would make the broker count deliveries, and RabbitMQ 4 drops
    /// a message after 20 of them; keeping them for over half an hour would make it close the channel.
    private func persist(_ write: () async throws -> Void) async -> Bool {
        let end = ContinuousClock.now + .seconds(Self.patience)
        var pause = 0.2
        while !Task.isCancelled {
            do {
                try await write()
                return true
            } catch {
                logger.error(
                    "results wait: they could not be written down",
                    metadata: ["queue": "\(queue.rawValue)", "error": "\(error)"])
            }
            guard ContinuousClock.now < end else { break }
            try? await Task.sleep(for: .seconds(pause))
            pause = min(pause * 2, 5)
        }
        return false
    }

    private func read(_ delivery: AMQPDelivery) -> MailerQResult? {
        var reason = "its gzip encoding is broken, or it is too large"
        if !delivery.isDamaged {
            do throws(MailerQError) {
                return try MailerQResult.parse(delivery.body, from: queue)
            } catch {
                reason = error.description
            }
        }
        count("unreadable")
        logger.error(
            "a result that nobody can read goes to the dead letters",
            metadata: ["queue": "\(queue.rawValue)", "bytes": "\(delivery.body.count)", "reason": "\(reason)"])
        return nil
    }

    private func orphan(_ delivery: AMQPDelivery, _ result: MailerQResult, _ reason: String) -> Orphan {
        Orphan(
            id: ids.next(), queue: queue.rawValue, reason: reason, reference: result.reference?.message,
            recipientDomain: result.recipient.flatMap(AddressText.domain(of:)), code: result.attempts.last?.code,
            body: delivery.body, receivedAt: clock.now())
    }

    private func count(_ outcome: String) {
        Counter(label: "postern_results_total", dimensions: [("queue", queue.rawValue), ("outcome", outcome)])
            .increment()
    }
}

extension ReportOutcome {
    fileprivate var name: String {
        switch self {
        case .recorded: "recorded"
        case .repeated: "repeated"
        case .unknown: "orphan"
        }
    }
}
