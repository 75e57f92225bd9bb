// Whether the servers that the configuration names are there, let us in, and have what a start needs.

import AMQP
import Alerts
import Environment
import Logging
import Model
import OpenID
import RabbitMQManagement
import SQL
import Store
import WebClient

struct ConnectionChecks {
    private let configuration: InstanceConfiguration

    init(_ configuration: InstanceConfiguration) { self.configuration = configuration }

    var all: [Check] {
        var checks = [Check("database") { [configuration] in try await Self.database(configuration) }]
        if let broker = configuration.broker {
            let caFile = configuration.delivery.trustRootsFile
            checks.append(Check("broker") { try await Self.broker(broker, caFile: caFile) })
            if broker.managementURL != nil {
                checks.append(
                    Check("broker's management") { try await withWebClient { try await management(broker, $0) } })
            }
        }
        if let endpoint = configuration.mailerQ.endpoint {
            checks.append(Check("MailerQ") { try await withWebClient { try await Self.mailerQ(endpoint, $0) } })
        }
        if let openID = configuration.openID {
            checks.append(
                Check("single sign-on") {
                    try await withWebClient { web in
                        try await openID.provider(web, SystemClock()).check()
                        return "\(openID.issuer) answers as who it should be"
                    }
                })
        }
        if configuration.alerts.webhookURL != nil || configuration.alerts.mail != nil {
            checks.append(Check("alerts") { try await withWebClient { try alerts($0) } })
        }
        return checks
    }

    private static func database(_ configuration: InstanceConfiguration) async throws -> String {
        if let path = configuration.database.missingFile { return "\(path) will be made at the first start" }
        let database = try await Databases.open(
            configuration.database, rootCertificates: configuration.delivery.trustRootsFile, patience: 8,
            logger: Logger(label: "postern") { _ in SwiftLogNoOpLogHandler() })
        do {
            let due = try await Migrator(database: database).pending()
            let server = try await Databases.server(database)
            await database.close()
            if !due.isEmpty, server?.mayMakeTables == false {
                throw StartError(
                    description: "reachable, but \(due.count) schema steps are due, and the role may not make tables: "
                        + "GRANT CREATE ON SCHEMA")
            }
            return "reachable\(server.map { " (\($0.description))" } ?? ""), "
                + (due.isEmpty ? "schema up to date" : "\(due.count) schema steps due at the next start")
        } catch {
            await database.close()
            throw error
        }
    }

    private static func broker(_ broker: BrokerConfiguration, caFile: String?) async throws -> String {
        var configuration = AMQPConfiguration(
            endpoints: broker.endpoints, caFile: caFile, connectionName: "postern check")
        // Shorter than a check's patience, so that what is wrong is said in the broker's words.
        configuration.connectTimeout = .seconds(4)
        configuration.rpcTimeout = .seconds(4)
        configuration.stopTimeout = .seconds(1)
        let administration = AMQPAdministration(
            configuration: configuration, logger: Logger(label: "postern") { _ in SwiftLogNoOpLogHandler() })
        administration.start()
        do throws(AMQPError) {
            let queues = broker.queues
            let names = [queues.outbox, queues.success, queues.failure] + (queues.retry.map { [$0] } ?? [])
            let depths = try await administration.inspect(names)
            let server = administration.state.server
            await administration.stop()
            return try found(names, depths, server, broker)
        } catch {
            await administration.stop()
            throw StartError(description: error.message)
        }
    }

    private static func found(
        _ names: [String],
        _ depths: [String: AMQPQueueDepth?],
        _ server: String?,
        _ broker: BrokerConfiguration
    ) throws(AMQPError) -> String {
        let missing = names.filter { depths[$0].flatMap(\.self) == nil }
        guard missing.isEmpty || broker.declare != .none else {
            throw AMQPError(
                .notFound,
                "there is no queue \(missing.joined(separator: ", no queue ")): make it, or set POSTERN_AMQP_DECLARE")
        }
        let there = names.compactMap { name in
            depths[name].flatMap(\.self).map { "\(name) is there (\($0.ready) ready, \($0.consumers) consumers)" }
        }
        let parts =
            [server.map { "connected to \($0)" } ?? "connected"] + there
            + missing.map { "\($0) will be made (\(broker.declare.rawValue))" }
        return parts.joined(separator: ", ")
    }

    private func management(_ broker: BrokerConfiguration, _ web: WebClient) async throws -> String {
        guard let management = try BrokerConnections.management(broker, web) else { return "not set up" }
        _ = try await management.queue(broker.queues.outbox)
        return "answers"
    }

    /// A question that changes nothing and needs the credentials.
    private static func mailerQ(_ endpoint: WebEndpoint, _ web: WebClient) async throws -> String {
        let answer = try await web.send(WebRequest(.get, "/v1/pauses", timeout: 8), to: endpoint)
        switch answer.status {
        case 200..<300: return "\(endpoint) answers"
        case 401, 403: throw StartError(description: "\(endpoint) refuses the credentials (\(answer.status))")
        default:
            throw StartError(
                description: "\(endpoint) answers \(answer.status) to GET /v1/pauses: is this MailerQ's REST API?")
        }
    }

    private func alerts(_ web: WebClient) throws -> String {
        var ways: [String] = []
        if let url = configuration.alerts.webhookURL {
            do throws(WebError) {
                ways.append("posted to \(try WebClientWebhook(url, client: web))")
            } catch {
                throw StartError(description: "POSTERN_ALERT_WEBHOOK_URL: \(error.message)")
            }
        }
        if let mail = configuration.alerts.mail { ways.append("mailed to \(mail.to)") }
        return ways.joined(separator: ", ")
    }

    private func withWebClient(_ body: (WebClient) async throws -> String) async throws -> String {
        // What cannot be read is a problem of its own check.
        let roots = configuration.delivery.trustRootsFile.flatMap(ConfigurationOptions.text)
        let web = try WebClient(configuration: WebClientConfiguration(trustRootsPEM: roots))
        do {
            let words = try await body(web)
            await web.shutdown()
            return words
        } catch {
            await web.shutdown()
            throw error
        }
    }
}

extension AMQPConnectionState {
    fileprivate var server: String? {
        switch self {
        case .connected(let server): server
        case .connecting, .blocked, .closed: nil
        }
    }
}
