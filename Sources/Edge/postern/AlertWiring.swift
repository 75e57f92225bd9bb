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
    private let disk: DiskSpace
    private let diskPath: String
    private let auditIsIntact: @Sendable () async -> Bool?
    private let channels: @Sendable (any WallClock) throws -> [AlertWay: any AlertChannel]
    private let vaultChannel: @Sendable (AlertTarget.Mail) -> any AlertChannel

    /// - Parameters:
    ///   - diskPath: what `disk` looks at, in the words that the operator knows it by.
    ///   - auditIsIntact: what the newest part of the audit log says of itself; `nil` where it cannot be told.
    init(
        _ configuration: InstanceConfiguration,
        routes: [RouteName: any Route],
        broker: BrokerConnections?,
        web: WebClient,
        pipeline: SendPipeline,
        vaults: VaultDirectory,
        instance: String,
        disk: DiskSpace,
        diskPath: String,
        auditIsIntact: @escaping @Sendable () async -> Bool?
    ) {
        self.configuration = configuration
        self.routes = routes
        self.broker = broker
        self.instance = instance
        self.disk = disk
        self.diskPath = diskPath
        self.auditIsIntact = auditIsIntact
        let alerts = configuration.alerts
        channels = { clock in
            var channels: [AlertWay: any AlertChannel] = [:]
            if let url = alerts.webhookURL {
                channels[.webhook] = WebhookAlertChannel(
                    try WebClientWebhook(url, client: web), secret: alerts.webhookSecret, clock: clock)
            }
            if let mail = alerts.mail {
                channels[.email] = MailAlertChannel(
                    PipelineAlertMail(
                        pipeline: pipeline, vaults: vaults, vault: mail.vault, sender: mail.from.description,
                        recipient: mail.to.description))
            }
            return channels
        }
        vaultChannel = { mail in
            MailAlertChannel(PipelineAlertMail(pipeline: pipeline, vaults: vaults, mail: mail), name: "vault_email")
        }
    }

    /// What stands where nobody wrote a rule.
    static func defaults(_ configuration: AlertConfiguration) -> AlertDefaults {
        var defaults = AlertDefaults()
        defaults.failureBacklog = configuration.failureBacklog
        defaults.publishStalled = max(Int(configuration.publishStalled.rounded(.up)), 1)
        return defaults
    }

    func monitor(
        database: any SQLDatabase,
        duty: StandingDuty,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger
    ) throws -> AlertMonitor {
        var monitor = AlertMonitor.Configuration(instance: instance)
        monitor.defaults = Self.defaults(configuration.alerts)
        return AlertMonitor(
            configuration: monitor, probes: probes(database, clock), channels: try channels(clock),
            vaultChannel: vaultChannel, database: database, clock: clock, ids: ids, logger: logger,
            isOnDuty: { duty.isHeld })
    }

    private func probes(_ database: any SQLDatabase, _ clock: any WallClock) -> [AlertProbe] {
        let repository = AlertRepository(database: database)
        let handingOver = Set(routes.filter { $0.value.kind == .handsOver }.keys)
        let delivering = Set(routes.filter { $0.value.kind == .delivers }.keys)
        var probes: [AlertProbe] = [
            .database(database), .disk(diskPath) { [disk] in disk.isEnough }, .failureBacklog(repository),
            .runaway(RunawayRepository(database: database), clock: clock),
            .publishStalled(repository, handingOver: handingOver, delivering: delivering, clock: clock),
            .bounceRate(repository, clock: clock), .refusals(repository, clock: clock),
            .signInFailures(repository, clock: clock), .auditChain(isIntact: auditIsIntact),
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
        probes.append(.queueBacklog(broker.configuration.queues.failure) { await broker.failureQueueDepth() })
        return probes
    }
}
