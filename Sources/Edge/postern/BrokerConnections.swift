// This process's side of RabbitMQ: one connection that publishes, one for each result queue, one that looks after the queues.

import AMQP
import Broker
import Environment
import Events
import Logging
import MailerQ
import Model
import RabbitMQManagement
import SQL
import Sealing
import ServiceLifecycle
import WebClient

struct BrokerConnections: Sendable {
    let configuration: BrokerConfiguration
    let publisher: AMQPPublisher
    let health: QueueHealth
    private let consumers: [(queue: MailerQResultQueue, consumer: AMQPConsumer)]
    private let administration: AMQPAdministration
    private let logger: Logger

    init(
        _ configuration: BrokerConfiguration,
        caFile: String?,
        web: WebClient,
        database: any SQLDatabase,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger
    ) throws {
        self.configuration = configuration
        self.logger = logger
        func connection(_ purpose: String, stopsWithin seconds: Int) -> AMQPConfiguration {
            var connection = AMQPConfiguration(
                endpoints: configuration.endpoints, caFile: caFile, connectionName: "postern \(purpose)")
            connection.stopTimeout = .seconds(seconds)
            return connection
        }
        let publisher = AMQPPublisher(configuration: connection("publisher", stopsWithin: 2), logger: logger)
        let administration = AMQPAdministration(
            configuration: connection("administration", stopsWithin: 1), logger: logger)
        let consumers = configuration.queues.results.map { role, name in
            let handler = ResultHandler(queue: role, database: database, clock: clock, ids: ids, logger: logger)
            let consumer = AMQPConsumer(
                configuration: connection(role.rawValue, stopsWithin: 3), queue: name,
                prefetch: configuration.prefetch, logger: logger, handler: handler.handle)
            return (role, consumer)
        }
        self.publisher = publisher
        self.administration = administration
        self.consumers = consumers
        health = QueueHealth(
            configuration: QueueHealth.Configuration(queues: configuration.queues.byRole),
            management: try Self.management(configuration, web),
            inspect: { names in
                try await administration.inspect(names).mapValues { depth in
                    depth.map { PassiveReading(ready: $0.ready, consumers: $0.consumers) }
                }
            },
            connections: {
                [BrokerConnection("publisher", publisher.state)]
                    + consumers.map { BrokerConnection($0.0.rawValue, $0.1.state) }
            },
            clock: clock, logger: logger)
    }

    /// In the order of dependence.
    var services: [any Service] {
        [
            Connection(start: administration.start, stop: administration.stop),
            Connection(start: publisher.start, stop: publisher.stop),
            QueueDeclaration(configuration: configuration, administration: administration, logger: logger), health,
            Connection(
                start: { [consumers] in for (_, consumer) in consumers { consumer.start() } },
                stop: { [consumers] in
                    // Together: a shutdown has no time for one after the other.
                    await withDiscardingTaskGroup { group in
                        for (_, consumer) in consumers { group.addTask { await consumer.stop() } }
                    }
                }),
        ]
    }

    /// Messages that wait in the failure queue; `nil` where nobody can tell.
    func failureQueueDepth() async -> Int? {
        let name = configuration.queues.failure
        return (try? await administration.inspect([name]))?[name]??.ready
    }

    static func management(
        _ configuration: BrokerConfiguration,
        _ web: WebClient
    ) throws -> RabbitMQManagement? {
        guard let url = configuration.managementURL, let broker = configuration.endpoints.first else { return nil }
        var endpoint = try WebEndpoint.parse(url.reveal())
        if endpoint.authorization == nil {
            endpoint = try endpoint.authorized(username: broker.username, password: Secret(broker.password.reveal()))
        }
        return RabbitMQManagement(client: web, endpoint: endpoint, virtualHost: broker.virtualHost)
    }
}

/// A connection as a service: it connects by itself again and again, and ends with the process.
private struct Connection: Service {
    let start: @Sendable () -> Void
    let stop: @Sendable () async -> Void

    func run() async throws {
        start()
        try? await gracefulShutdown()
        await stop()
    }
}

/// Makes the queues where the configuration asks for it, as soon as the broker answers.
private struct QueueDeclaration: Service {
    let configuration: BrokerConfiguration
    let administration: AMQPAdministration
    let logger: Logger

    func run() async throws {
        guard let declarations = configuration.declarations else {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            var lastProblem = ""
            while !Task.isCancelled {
                do throws(AMQPError) {
                    try await administration.declare(declarations)
                    logger.info("the queues are declared", metadata: ["count": "\(declarations.count)"])
                    break
                } catch {
                    if error.description != lastProblem {
                        logger.warning("the queues cannot be declared", metadata: ["error": "\(error)"])
                    }
                    lastProblem = error.description
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
        try? await gracefulShutdown()
    }
}

extension BrokerConfiguration {
    /// `nil` where nothing is to be declared. What nobody can read goes to `<queue>.dead`.
    fileprivate var declarations: [AMQPQueueDeclaration]? {
        let kind: AMQPQueueDeclaration.Kind
        switch declare {
        case .none: return nil
        case .quorum: kind = .quorum
        case .classic: kind = .classic
        }
        return [AMQPQueueDeclaration(name: queues.outbox, kind: kind)]
            + queues.results.flatMap { _, name in
                let dead = "\(name).dead"
                return [
                    AMQPQueueDeclaration(name: dead, kind: kind),
                    AMQPQueueDeclaration(
                        name: name, kind: kind, deadLetter: AMQPQueueDeclaration.DeadLetter(routingKey: dead)),
                ]
            }
    }
}

extension BrokerConfiguration.Queues {
    fileprivate var results: [(MailerQResultQueue, String)] {
        [(.success, success), (.failure, failure)] + (retry.map { [(.retry, $0)] } ?? [])
    }

    fileprivate var byRole: [QueueRole: String] {
        var roles: [QueueRole: String] = [.outbox: outbox, .success: success, .failure: failure]
        if let retry { roles[.retry] = retry }
        return roles
    }
}

extension BrokerConnection {
    fileprivate init(_ name: String, _ state: AMQPConnectionState) {
        switch state {
        case .connecting(let error): self.init(name: name, state: .connecting, detail: error)
        case .connected(let server): self.init(name: name, state: .connected, detail: server)
        case .blocked(let reason): self.init(name: name, state: .blocked, detail: reason)
        case .closed: self.init(name: name, state: .closed)
        }
    }
}
