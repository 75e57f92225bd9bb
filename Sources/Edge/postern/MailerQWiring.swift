// MailerQ as this instance is set up for it: its routes, its REST API, and what shadow mode says of it.

import AMQP
import Delivery
import Environment
import JSON
import Logging
import MailerQ
import MailerQREST
import Model
import Outbox
import SQL
import Store
import Vaults
import WebClient

struct MailerQWiring: Sendable {
    /// `nil` where the REST API is not set up.
    let proxy: MailerQProxy?
    let preview: MailerQPreview
    private let mapping: MailerQMapping
    private let broker: BrokerConfiguration?
    private let http: MailerQWebClient?
    private let database: any SQLDatabase
    private let clock: any WallClock

    init(
        _ configuration: InstanceConfiguration,
        web: WebClient,
        database: any SQLDatabase,
        clock: any WallClock,
        logger: Logger
    ) {
        self.database = database
        self.clock = clock
        broker = configuration.broker
        let mode = MailerQMIMEMode(rawValue: configuration.mailerQ.content.rawValue) ?? .canonical
        mapping = MailerQMapping(mode: mode, queues: configuration.broker?.queues.named ?? .init())
        preview = MailerQPreview(database: database, mapping: mapping)
        http = configuration.mailerQ.endpoint.map { MailerQWebClient(client: web, endpoint: $0) }
        proxy = configuration.mailerQ.endpoint.map {
            MailerQProxy(
                operations: configuration.mailerQ.operations, client: web, endpoint: $0, clock: clock, logger: logger)
        }
    }

    /// What each route lacks.
    var missing: [RouteName: String] {
        var missing: [RouteName: String] = [:]
        if broker == nil { missing[.mailerq] = "POSTERN_AMQP_URL and the queues POSTERN_QUEUE_…" }
        if http == nil { missing[.mailerqHTTP] = "POSTERN_MAILERQ_URL" }
        return missing
    }

    func routes(publisher: AMQPPublisher?) -> [RouteName: any Route] {
        var routes: [RouteName: any Route] = [:]
        if let broker, let publisher {
            var configuration = MailerQRoute.Configuration(exchange: broker.exchange, routingKey: broker.routingKey)
            configuration.maximumBytes = broker.maximumBytes
            routes[.mailerq] = MailerQRoute(
                configuration: configuration, publisher: publisher,
                database: database, mapping: mapping, clock: clock)
        }
        if let http {
            routes[.mailerqHTTP] = MailerQHTTPRoute(
                http: http, database: database, mapping: mapping, hasResults: broker != nil, clock: clock)
        }
        return routes
    }

    /// Where a message that shadow mode keeps would have been published. The document itself is made again whenever somebody
    /// asks for it.
    func capture(_ vaults: VaultDirectory) -> @Sendable (ReadyMessage) -> Foreign<String>? {
        { [broker] message in
            var route = message.route
            if route == .shadow, let set = vaults.cachedSnapshot(of: message.vault)?.settings.value(Settings.route) {
                route = set
            }
            guard route != .shadow else { return nil }
            var writer = JSONWriter()
            writer.object { writer in
                writer.member("would_send_by", route.rawValue)
                if route == .mailerq, let broker {
                    writer.member("exchange", broker.exchange)
                    writer.member("routing_key", broker.routingKey)
                }
                if route == .mailerq || route == .mailerqHTTP {
                    writer.member("document", "/v1/messages/\(message.id)/mailerq")
                }
            }
            return Foreign(writer.text)
        }
    }
}

extension BrokerConfiguration.Queues {
    /// The names that go along with every message, so that its results come to this instance.
    fileprivate var named: MailerQMessage.Queues {
        .init(success: .named(success), failure: .named(failure), retry: retry.map { .named($0) } ?? .configured)
    }
}
