// The composition root: builds everything from the configuration and hands out the services in the order of dependence.
// `serve`, `quickstart` and integration tests call it.

import Audit
import Delivery
import Environment
import FoundationEssentials
import Gate
import Glibc
import HTTPAPI
import Hummingbird
import Logging
import Mapping
import Model
import NIOCore
import NIOPosix
import Outbox
import People
import Policy
import Prometheus
import Rates
import Runaway
import SMTP
import SMTPClient
import SMTPDoor
import SMTPServer
import SQL
import Sealing
import ServiceLifecycle
import Store
import Synchronization
import Vaults
import WebClient

struct Instance: Sendable {
    let configuration: InstanceConfiguration
    let database: any SQLDatabase
    let vaults: VaultDirectory
    let callers: CallerDirectory
    let authenticator: Authenticator
    let people: HTTPAPI.PeopleServices
    let clock: SystemClock
    let ids: IdentifierGenerator
    let addresses = Addresses()
    /// In the order of dependence; they stop in reverse.
    let services: [any Service]

    /// Where the doors are, known once they are open.
    final class Addresses: Sendable {
        private let ports = Mutex<(http: Int?, smtp: Int?, smtpTLS: Int?)>((nil, nil, nil))

        var http: Int? { ports.withLock { $0.http } }
        var smtp: Int? { ports.withLock { $0.smtp } }
        var smtpTLS: Int? { ports.withLock { $0.smtpTLS } }

        func setHTTP(_ port: Int) { ports.withLock { $0.http = port } }
        func setSMTP(_ port: Int) { ports.withLock { $0.smtp = port } }
        func setSMTPTLS(_ port: Int) { ports.withLock { $0.smtpTLS = port } }
    }

    /// Opens the database, brings its schema up to date, and builds the instance. Nothing listens yet.
    /// - Parameters:
    ///   - directory: holds the lock on the data directory.
    ///   - certificate: `nil` leaves the SMTP doors without TLS.
    /// - Throws: `StartError`, `SQLError`, `SealingError`.
    static func open(
        _ configuration: InstanceConfiguration,
        masterKey: MasterKey,
        directory: DataDirectory,
        certificate: CertificateStore?,
        metrics: PrometheusRegistry,
        logger: Logger
    ) async throws -> Instance {
        let roots = configuration.delivery.trustRootsFile
        let database = try await Databases.open(configuration.database, rootCertificates: roots, logger: logger)
        for step in try await Migrator(database: database).migrate() {
            logger.info("schema step \(step.number): \(step.name)")
        }
        let clock = SystemClock()
        let process = try await ProcessLease(
            database: database, duration: configuration.processLease, clock: clock, logger: logger)
        return try await Instance(
            configuration, database, process, masterKey, directory, certificate, metrics, clock, logger)
    }

    private init(
        _ configuration: InstanceConfiguration,
        _ database: any SQLDatabase,
        _ process: ProcessLease,
        _ masterKey: MasterKey,
        _ directory: DataDirectory,
        _ certificate: CertificateStore?,
        _ metrics: PrometheusRegistry,
        _ clock: SystemClock,
        _ logger: Logger
    ) async throws {
        let ids = IdentifierGenerator(process: process.number, clock: clock)
        let hostname = configuration.hostname ?? ProcessInfo.processInfo.hostName
        let vaults = VaultDirectory(
            database: database, masterKey: masterKey.key, instanceDefaults: configuration.settingDefaults, clock: clock,
            ids: ids)
        try await masterKey.check(vaults)
        let outbox = OutboxRepository(database: database, owner: process.owner)
        // The lock on the data directory says that whoever held a lease before is gone. Others may work on a shared database:
        // there leases decide.
        if !database.isShared { try await outbox.releaseOthers() }
        let instanceKey = try await InstanceKey.open(database: database, masterKey: masterKey.key, clock: clock)
        let authenticator = Authenticator(database: database, clock: clock)
        let callers = CallerDirectory(database: database, authenticator: authenticator, clock: clock, ids: ids)
        let limiter = RateLimiter(database: database, isShared: database.isShared, clock: clock, logger: logger)
        let usage = UsageRecorder(database: database, clock: clock, logger: logger)
        let calls = CallMeter(vaults: vaults, limiter: limiter, usage: usage)
        let runaway = RunawayGuard(database: database, clock: clock, hostname: hostname)
        let gate = Gate(clock: clock, requiresSecondFactor: configuration.people.requiresSecondFactor)
        let signal = OutboxSignal { if database.isShared { database.announce(Announcement.outbox) } }
        // Mail is kept by the database: the disk under the data directory matters where that one is there as well.
        let disk = DiskSpace(
            path: directory.path, minimum: database.isShared ? 0 : UInt64(configuration.minFreeDiskBytes), clock: clock)
        let trustRoots = try Self.trustRoots(configuration.delivery)
        let web = try WebClient(configuration: WebClientConfiguration(trustRootsPEM: trustRoots))
        let broker = try configuration.broker.map { broker in
            try BrokerConnections(
                broker, caFile: configuration.delivery.trustRootsFile, web: web, database: database, clock: clock,
                ids: ids, logger: logger)
        }
        let mailerQ = MailerQWiring(configuration, web: web, database: database, clock: clock, logger: logger)
        let pipeline = SendPipeline(
            configuration: SendPipeline.Configuration(
                limits: MappingLimits(
                    messageBytes: configuration.maxMessageBytes, recipients: configuration.maxRecipients),
                hostname: hostname, lifetime: configuration.delivery.deadline,
                isLiveSendEnabled: configuration.isLiveSendEnabled, missing: mailerQ.missing),
            database: database, vaults: vaults, gate: gate, policy: .standard, limiter: limiter, runaway: runaway,
            usage: usage,
            disk: disk, signal: signal, clock: clock, ids: ids)
        let people = try await PeopleWiring(
            configuration, publicURL: Self.publicURL(configuration), database: database, vaults: vaults,
            instanceKey: instanceKey, pipeline: pipeline, web: web, clock: clock, ids: ids, logger: logger)
        let audit = AuditWiring(
            configuration, database: database, vaults: vaults, instanceKey: instanceKey, owner: process.owner,
            clock: clock,
            ids: ids, logger: logger)
        let client = SMTPClientPool(
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            configuration: Self.client(configuration.delivery), logger: logger)
        let smarthost = SmarthostRoute(
            client: client, vaults: vaults, database: database, hostname: hostname,
            trustRootsPEM: trustRoots)
        let routes = mailerQ.routes(publisher: broker?.publisher).merging([.smarthost: smarthost]) { route, _ in route }
        let dispatcher = Dispatcher(
            configuration: DispatcherConfiguration(
                retry: RetrySchedule(
                    initial: configuration.delivery.retryInitial, maximum: configuration.delivery.retryMaximum),
                isLiveSendEnabled: configuration.isLiveSendEnabled),
            routes: routes, capture: mailerQ.capture(vaults), database: database, owner: process.owner, signal: signal,
            clock: clock, ids: ids, logger: logger)
        let watchdog = Watchdog(
            database: database, interval: 5,
            duty: Duty("watchdog", owner: process.owner, database: database, clock: clock), clock: clock, ids: ids,
            logger: logger)
        let retention = Retention(
            database: database, vaults: vaults, interval: 60,
            duty: Duty("retention", owner: process.owner, database: database, clock: clock), clock: clock,
            logger: logger)
        let alertDuty = StandingDuty(
            Duty("alerts", owner: process.owner, database: database, clock: clock), isSole: !database.isShared)
        let purge = Purge(
            database: database, vaults: vaults, interval: 5,
            duty: Duty("purge", owner: process.owner, database: database, clock: clock), clock: clock, ids: ids,
            logger: logger)
        let recount = UsageRecount(
            database: database, vaults: vaults,
            duty: Duty("usage", owner: process.owner, database: database, clock: clock), clock: clock, logger: logger)
        let alerts = try AlertWiring(
            configuration, routes: routes, broker: broker, web: web, pipeline: pipeline, vaults: vaults,
            instance: hostname, disk: disk, diskPath: directory.path,
            auditIsIntact: { [sealer = audit.sealer] in await sealer.isIntact() }
        ).monitor(database: database, duty: alertDuty, clock: clock, ids: ids, logger: logger)

        var services: [any Service] = [
            DatabaseService(database: database), process, SMTPClientService(pool: client),
            WebClientService(client: web),
            UseRecorder(authenticator: authenticator, sessions: people.services.sessions, logger: logger), limiter,
            runaway,
            usage,
        ]
        services += audit.services + people.background
        if let broker { services += broker.services }
        services += [dispatcher, watchdog, retention, purge, recount, alertDuty, alerts]
        if database.isShared {
            services.append(
                ChangeWatcher(
                    database: database, authenticator: authenticator, sessions: people.services.sessions,
                    vaults: vaults,
                    signal: signal, logger: logger))
        }
        if let certificate { services.append(certificate) }
        if configuration.isGatewayEnabled, configuration.isInboundSMTPEnabled {
            let door = SMTPDoor(
                pipeline: pipeline, authenticator: authenticator, vaults: vaults, gate: gate, refusals: audit.refusals,
                logger: logger)
            services.append(Self.smtpDoors(configuration, door, certificate, hostname, addresses, logger))
        }
        let api = HTTPAPI(
            configuration: HTTPAPI.Configuration(
                host: configuration.http.host, port: configuration.http.port,
                publicURL: Self.publicURL(configuration), isGatewayEnabled: configuration.isGatewayEnabled,
                idleTimeout: configuration.http.idleTimeout, connections: configuration.http.connections,
                trustedProxies: configuration.people.trustedProxies, people: people.configuration,
                singleSignOn: configuration.openID?.name,
                switches: HTTPAPI.Switches(
                    version: Version.text, isShared: database.isShared,
                    isGatewayEnabled: configuration.isGatewayEnabled,
                    isInboundSMTPEnabled: configuration.isInboundSMTPEnabled,
                    isLiveSendEnabled: configuration.isLiveSendEnabled,
                    requiresSecondFactor: configuration.people.requiresSecondFactor)),
            services: HTTPAPI.Services(
                pipeline: pipeline, database: database, vaults: vaults, calls: calls, callers: callers,
                authenticator: authenticator, people: people.services, gate: gate, refusals: audit.refusals,
                auditVerifier: audit.verifier, alerts: AlertWiring.defaults(configuration.alerts), limiter: limiter,
                readiness: Readiness(database: database, outbox: outbox, disk: disk, broker: broker?.health),
                signal: signal, clock: clock, ids: ids, metrics: { metrics.exposition() }, broker: broker?.health,
                mailerq: mailerQ.proxy, preview: mailerQ.preview))
        services.append(
            Listener(
                name: "POSTERN_HTTP_PORT", port: configuration.http.port,
                service: api.application(logger: logger) { [addresses] port in addresses.setHTTP(port) }))

        self.configuration = configuration
        self.database = database
        self.vaults = vaults
        self.callers = callers
        self.authenticator = authenticator
        self.people = people.services
        self.clock = clock
        self.ids = ids
        self.services = services
    }

    var accounts: AccountKeeper { people.accounts }

    static func publicURL(_ configuration: InstanceConfiguration) -> String {
        configuration.http.publicURL ?? "http://\(configuration.http.host):\(configuration.http.port)"
    }

    private static func smtpDoors(
        _ configuration: InstanceConfiguration,
        _ door: SMTPDoor,
        _ certificate: CertificateStore?,
        _ hostname: String,
        _ addresses: Addresses,
        _ logger: Logger
    ) -> some Service {
        var limits = SMTPServerLimits()
        limits.messageSize = configuration.maxMessageBytes
        limits.discardedOctets = configuration.maxMessageBytes
        limits.recipients = configuration.maxRecipients
        limits.connections = configuration.smtp.connections
        limits.connectionsPerAddress = configuration.smtp.connectionsPerAddress
        limits.commandTimeout = .seconds(Int64(configuration.smtp.idleTimeout))
        limits.dataTimeout = min(limits.dataTimeout, limits.commandTimeout)
        let limiter = SMTPConnectionLimiter(limits)
        func server(_ mode: SMTPServerConfiguration.Mode, _ port: Int) -> SMTPServer {
            var server = SMTPServerConfiguration(
                host: configuration.smtp.host, port: port, mode: mode, hostname: hostname
            ) { certificate?.context }
            server.greeting = "ESMTP Postern"
            server.allowCleartextAuthOnLoopback = true
            server.limits = limits
            server.shutdownDeadline = .seconds(10)
            return SMTPServer(configuration: server, delegate: door, limiter: limiter, logger: logger)
        }
        var doors: [any Service] = [
            Listener(
                name: "POSTERN_SMTP_PORT", port: configuration.smtp.port,
                service: SMTPListener(
                    server: server(certificate == nil ? .plain : .startTLS, configuration.smtp.port),
                    onBound: addresses.setSMTP))
        ]
        if certificate != nil {
            doors.append(
                Listener(
                    name: "POSTERN_SMTP_TLS_PORT", port: configuration.smtp.tlsPort,
                    service: SMTPListener(
                        server: server(.implicitTLS, configuration.smtp.tlsPort), onBound: addresses.setSMTPTLS)))
        }
        return SideBySide(services: doors)
    }

    private static func client(_ delivery: InstanceConfiguration.Delivery) -> SMTPClientConfiguration {
        var client = SMTPClientConfiguration()
        if let cap = delivery.clientTimeout { client.timeouts = client.timeouts.capped(at: .seconds(cap)) }
        return client
    }

    private static func trustRoots(_ delivery: InstanceConfiguration.Delivery) throws -> String? {
        guard let path = delivery.trustRootsFile else { return nil }
        guard let text = ConfigurationOptions.text(at: path) else {
            throw StartError(description: "POSTERN_TLS_CA_FILE: \(path) cannot be read")
        }
        return text
    }
}

extension SMTPClientTimeouts {
    fileprivate func capped(at cap: Duration) -> SMTPClientTimeouts {
        var timeouts = self
        for path in [
            \SMTPClientTimeouts.connect, \.greeting, \.command, \.handshake, \.mail, \.rcpt, \.dataInitiation,
            \.dataBlock,
            \.finalDot,
        ] {
            timeouts[keyPath: path] = min(timeouts[keyPath: path], cap)
        }
        return timeouts
    }
}
