// What this instance looks after by itself, and whom it tells.

import AMQP
import Alerts
import Delivery
import Environment
import Logging
import MIME
import Model
import Outbox
import SQL
import Store
import Vaults
import WebClient

struct AlertWiring {
    private let configuration: InstanceConfiguration
    private let routes: [RouteName: any Route]
    private let broker: BrokerConnections?
    private let instance: String
    private let channels: @Sendable (any WallClock) throws -> [any AlertChannel]

    init(
        _ configuration: InstanceConfiguration,
        routes: [RouteName: any Route],
        broker: BrokerConnections?,
        web: WebClient,
        pipeline: SendPipeline,
        vaults: VaultDirectory,
        instance: String
    ) {
        self.configuration = configuration
        self.routes = routes
        self.broker = broker
        self.instance = instance
        let alerts = configuration.alerts
        channels = { clock in
            var channels: [any AlertChannel] = []
            if let url = alerts.webhookURL {
                channels.append(
                    WebhookAlertChannel(
                        try WebClientWebhook(url, client: web), secret: alerts.webhookSecret, clock: clock))
            }
            if let mail = alerts.mail {
                channels.append(
                    MailAlertChannel(
                        PipelineAlertMail(
                            pipeline: pipeline, vaults: vaults, vault: mail.vault, sender: mail.from.description,
                            recipient: mail.to.description)))
            }
            return channels
        }
    }

    func monitor(
        database: any SQLDatabase,
        duty: StandingDuty,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger
    ) throws -> AlertMonitor {
        AlertMonitor(
            configuration: .init(instance: instance), probes: probes(database, clock), channels: try channels(clock),
            database: database, clock: clock, ids: ids, logger: logger, isOnDuty: { duty.isHeld })
    }

    private func probes(_ database: any SQLDatabase, _ clock: any WallClock) -> [AlertProbe] {
        let repository = AlertRepository(database: database)
        let alerts = configuration.alerts
        let handingOver = Set(routes.filter { $0.value.kind == .handsOver }.keys)
        let delivering = Set(routes.filter { $0.value.kind == .delivers }.keys)
        var probes: [AlertProbe] = [
            .database(database), .failureBacklog(repository, over: alerts.failureBacklog),
            .runaway(RunawayRepository(database: database), clock: clock),
            .publishStalled(
                repository, after: alerts.publishStalled, handingOver: handingOver, delivering: delivering,
                clock: clock),
        ]
        guard let broker, let endpoint = broker.configuration.endpoints.first else { return probes }
        probes.append(
            .broker(endpoint.address) { [publisher = broker.publisher] in
                switch publisher.state {
                case .connected: .connected
                case .connecting(let lastError): .unreachable(lastError)
                case .blocked(let reason): .blocked(reason: reason)
                case .closed: .unknown
                }
            })
        probes.append(
            .queueBacklog(broker.configuration.queues.failure, over: alerts.failureBacklog) {
                await broker.failureQueueDepth()
            })
        return probes
    }
}
