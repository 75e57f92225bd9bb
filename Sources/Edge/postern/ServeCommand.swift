// Runs a server from its configuration.

import ArgumentParser
import CGlibcShims
import Environment
import Glibc
import Logging
import Metrics
import Model
import Prometheus
import ServiceLifecycle
import Store
import UnixSignals
import Vaults

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run the server.",
        discussion: """
            Reads the environment, then --config FILE or postern.env. Anything wrong or unknown stops the start, with one \
            message that lists all of it. SIGTERM drains and ends within 30 seconds.

            Example:  postern serve --config /etc/postern/postern.env
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let configuration = try options.load()
        try configuration.checkExposure()
        let logger = Startup.begin(configuration)
        let metrics = Startup.metrics()
        let directory = try DataDirectory(
            path: configuration.dataDirectory, isShared: configuration.database.isShared)
        let key = try MasterKey(configuration)
        var certificate: CertificateStore?
        if let certificatePath = configuration.tlsCertificate, let keyPath = configuration.tlsKey {
            certificate = try CertificateStore(certificatePath: certificatePath, keyPath: keyPath, logger: logger)
        }
        let instance = try await Instance.open(
            configuration, masterKey: key, directory: directory, certificate: certificate, metrics: metrics,
            logger: logger)
        Startup.lookAtDefaults(configuration, logger)
        Startup.lookAtSignIn(configuration, logger)
        if try await UserRepository(database: instance.database).count() == 0 {
            logger.error("there are no people yet, so nobody can sign in: run `postern setup` with this configuration")
        }
        try await Startup.run(instance.services, logger)
        withExtendedLifetime(directory) {}
    }
}

enum Startup {
    /// Prepares the process, before anything is opened: its memory, its files' modes, its log.
    ///
    /// Logs go to standard error: standard output belongs to the card and to what commands answer.
    static func begin(_ configuration: InstanceConfiguration) -> Logger {
        postern_tune_allocator(4)
        // Databases, keys and cards are for this user only, wherever they are.
        umask(0o077)
        forbidCoreFiles()
        raiseFileLimit()
        let level = Logger.Level(rawValue: configuration.logLevel) ?? .info
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        return Logger(label: "postern")
    }

    /// The memory of this process holds the master key and callers' passwords: a crash must not write it to a file.
    private static func forbidCoreFiles() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    }

    /// A connection is a file. The usual soft limit of 1,024 is for programs that use select(2).
    private static func raiseFileLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Variables of settings that every vault would have to set for itself; its sender domains it sets in any case.
    static func missingDefaults(_ configuration: InstanceConfiguration) -> [String] {
        SettingRules.missing(fromInstance: configuration.settingDefaults)
            .filter { $0.key != Settings.allowedSenderDomains.key }.map(\.environmentKey)
    }

    /// A vault that has no value of its own refuses mail where the instance has none either.
    static func lookAtDefaults(_ configuration: InstanceConfiguration, _ logger: Logger) {
        let missing = missingDefaults(configuration)
        guard !missing.isEmpty else { return }
        logger.warning(
            "the instance has no value for settings that mail needs; vaults without values of their own refuse it",
            metadata: ["unset": "\(missing.joined(separator: ", "))"])
    }

    /// HTTP has no TLS of its own, and people send passwords.
    static func lookAtSignIn(_ configuration: InstanceConfiguration, _ logger: Logger) {
        let (host, url) = (configuration.http.host, configuration.http.publicURL)
        let isLoopback = ["localhost", "::1"].contains(host) || host.hasPrefix("127.")
        if !isLoopback, url?.hasPrefix("https://") != true {
            logger.warning(
                """
                others can reach HTTP in clear: put TLS in front, and set POSTERN_PUBLIC_URL to its https address, so that \
                cookies are sent by TLS only
                """, metadata: ["POSTERN_HTTP_HOST": "\(host)"])
        }
    }

    static func metrics() -> PrometheusRegistry {
        let registry = PrometheusRegistry()
        for (name, text) in [
            ("postern_submissions_total", "Submissions by door and outcome."),
            ("postern_http_requests_total", "HTTP requests by method, route and status."),
            ("postern_smtp_connections", "SMTP connections open now."),
            ("postern_results_total", "Results from MailerQ's queues, by queue and outcome."),
            ("postern_broker_up", "Whether the message broker answers."),
            ("postern_broker_blocked", "Whether the message broker takes nothing from publishers."),
            ("postern_queue_ready", "Messages that wait in a queue."),
            ("postern_queue_unacknowledged", "Messages of a queue that a consumer has in hand."),
            ("postern_queue_consumers", "Consumers of a queue."),
            ("postern_queue_publish_rate", "Messages a second into a queue."),
            ("postern_queue_consume_rate", "Messages a second out of a queue."),
            ("postern_queue_healthy", "Whether a queue is as it should be."),
            ("postern_mailerq_operations_total", "Operations of MailerQ's REST API that were passed on, by outcome."),
            ("postern_retention_deleted_total", "Ended messages that were deleted after their vault's retention_days."),
            ("postern_alerts_open", "Alerts that are open now, by kind."),
            ("postern_alert_notifications_total", "Notices of alerts, by channel and outcome."),
        ] {
            registry.help(name, text)
        }
        MetricsSystem.bootstrap(registry)
        return registry
    }

    /// Runs until SIGTERM or SIGINT, then lets what is in flight finish, within 30 seconds.
    static func run(_ services: [any Service], _ logger: Logger) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(27)
        configuration.maximumCancellationDuration = .seconds(2)
        try await ServiceGroup(configuration: configuration).run()
    }
}
