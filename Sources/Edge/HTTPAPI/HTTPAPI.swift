// The HTTP door, put together: every endpoint passes the guard, the credentials and the gate on its way in.

package import Broker
package import Delivery
package import Gate
import HTTPTypes
package import Hummingbird
import HummingbirdCore
import JSON
package import Logging
package import MailerQREST
package import Model
import NIOCore
package import Outbox
import Providers
package import Rates
package import SQL
import Store
package import Vaults

package struct HTTPAPI: Sendable {
    package struct Configuration: Sendable {
        package var host: String
        package var port: Int
        /// What links begin with: `https://postern.example.com`.
        package var publicURL: String
        /// Off: the gateway's paths are not there.
        package var isGatewayEnabled: Bool
        /// Seconds after which a silent connection is closed.
        package var idleTimeout: Int
        /// Connections at once.
        package var connections: Int

        package init(
            host: String, port: Int, publicURL: String, isGatewayEnabled: Bool, idleTimeout: Int, connections: Int
        ) {
            self.host = host
            self.port = port
            self.publicURL = publicURL
            self.isGatewayEnabled = isGatewayEnabled
            self.idleTimeout = idleTimeout
            self.connections = connections
        }
    }

    /// What the endpoints work on.
    package struct Services: Sendable {
        package let pipeline: SendPipeline
        package let database: any SQLDatabase
        package let vaults: VaultDirectory
        package let callers: CallerDirectory
        package let authenticator: Authenticator
        package let gate: Gate
        package let limiter: RateLimiter
        package let readiness: Readiness
        package let signal: OutboxSignal
        package let clock: any WallClock
        package let ids: IdentifierGenerator
        /// The metrics page.
        package let metrics: @Sendable () -> [UInt8]
        /// `nil` without a broker.
        package let broker: QueueHealth?
        /// `nil` without MailerQ's REST API.
        package let mailerq: MailerQProxy?
        package let preview: MailerQPreview?

        package init(
            pipeline: SendPipeline, database: any SQLDatabase, vaults: VaultDirectory, callers: CallerDirectory,
            authenticator: Authenticator, gate: Gate, limiter: RateLimiter, readiness: Readiness, signal: OutboxSignal,
            clock: any WallClock, ids: IdentifierGenerator, metrics: @escaping @Sendable () -> [UInt8],
            broker: QueueHealth? = nil, mailerq: MailerQProxy? = nil,
            preview: MailerQPreview? = nil
        ) {
            self.pipeline = pipeline
            self.database = database
            self.vaults = vaults
            self.callers = callers
            self.authenticator = authenticator
            self.gate = gate
            self.limiter = limiter
            self.readiness = readiness
            self.signal = signal
            self.clock = clock
            self.ids = ids
            self.metrics = metrics
            self.broker = broker
            self.mailerq = mailerq
            self.preview = preview
        }
    }

    private let configuration: Configuration
    private let services: Services

    package init(configuration: Configuration, services: Services) {
        self.configuration = configuration
        self.services = services
    }

    /// The HTTP server as a service.
    /// - Parameter onRunning: called with the port once the server listens.
    package func application(
        logger: Logger,
        onRunning: @escaping @Sendable (Int) async -> Void
    ) -> some ApplicationProtocol {
        Application(
            router: router(),
            server: .http1(
                configuration: HTTP1Channel.Configuration(idleTimeout: .seconds(Int64(configuration.idleTimeout)))),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: nil, backlog: 1024,
                availableConnectionsDelegate: .maximum(configuration.connections, logger: logger)),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? 0) },
            logger: logger)
    }

    package func router() -> Router<APIContext> {
        let router = Router(context: APIContext.self, options: .autoGenerateHeadEndpoints)
        let providers = configuration.isGatewayEnabled ? ProviderDoor.apis : []
        router.middlewares.add(
            RequestGuard(
                documentation: "\(configuration.publicURL)/docs/errors", ids: services.ids, providers: providers))
        var methods: [String: [HTTPRequest.Method]] = [:]
        for open in openPaths {
            methods[open.path] = [.get]
            router.get(RouterPath(open.path)) { _, _ in await open.handle() }
        }
        let credentials = CredentialReader(authenticator: services.authenticator, vaults: services.vaults)
        let gate = services.gate
        let clock = services.clock
        let ids = services.ids
        for endpoint in endpoints where configuration.isGatewayEnabled || !endpoint.isGateway {
            if !endpoint.isRest { methods[endpoint.path, default: []].append(endpoint.method) }
            router.on(RouterPath(endpoint.routerPath), method: endpoint.method) { request, context in
                let caller = try await credentials.caller(
                    of: request, from: context.remoteAddress, accepting: endpoint.credentials, at: endpoint.path)
                try gate.authorize(caller, endpoint.action, in: caller.vault)
                return try await endpoint.handle(
                    Call(request: request, context: context, caller: caller, clock: clock, ids: ids))
            }
        }
        let door = ProviderDoor(credentials: credentials, gate: gate) { [services] in
            ProviderServices(
                pipeline: services.pipeline, messages: MessageRepository(database: services.database),
                vaults: services.vaults, limiter: services.limiter, clock: clock)
        }
        for api in providers {
            for operation in api.operations {
                let path = api.base + operation.path
                let method = HTTPRequest.Method(rawValue: operation.method) ?? .post
                methods[path, default: []].append(method)
                router.on(RouterPath(path), method: method) { request, context in
                    try await door.answer(request, context, api, operation)
                }
            }
        }
        for (path, known) in methods { Self.refuseOtherMethods(than: known, at: path, in: router) }
        return router
    }

    /// A path that is there with another method is no 404 (RFC 9110 §15.5.6).
    private static func refuseOtherMethods(
        than methods: [HTTPRequest.Method],
        at path: String,
        in router: Router<APIContext>
    ) {
        let allowed = methods.contains(.get) ? methods + [.head] : methods
        let allow = allowed.map(\.rawValue).sorted().joined(separator: ", ")
        for method in [HTTPRequest.Method.get, .head, .post, .put, .patch, .delete] where !allowed.contains(method) {
            router.on(RouterPath(path), method: method) { _, _ -> Response in
                throw HTTPError(.methodNotAllowed, headers: [.allow: allow])
            }
        }
    }

    var endpoints: [Endpoint] {
        let clock = services.clock
        let ids = services.ids
        return SendController(pipeline: services.pipeline).endpoints
            + MessageController(
                messages: MessageRepository(database: services.database),
                payloads: Payloads(database: services.database), preview: services.preview,
                pipeline: services.pipeline, clock: clock, ids: ids
            ).endpoints
            + KeyController(callers: services.callers, clock: clock).endpoints
            + SMTPUserController(callers: services.callers).endpoints
            + SettingsController(vaults: services.vaults).endpoints
            + PoolController(
                pools: IPPoolRepository(database: services.database), vaults: services.vaults, clock: clock, ids: ids
            ).endpoints
            + QueueController(
                broker: services.broker, failures: FailureRepository(database: services.database),
                orphans: OrphanRepository(database: services.database), signal: services.signal, clock: clock,
                ids: ids, lifetime: services.pipeline.configuration.lifetime
            ).endpoints
            + MailerQController(proxy: services.mailerq).endpoints
            + AlertController(alerts: AlertRepository(database: services.database)).endpoints
            + AuditController(audit: AuditRepository(database: services.database)).endpoints
            + SecretController(vaults: services.vaults).endpoints
            + MeController(limiter: services.limiter, vaults: services.vaults, callers: services.callers).endpoints
    }

    /// Paths that need no credentials: they show nothing of any vault.
    private var openPaths: [(path: String, handle: @Sendable () async -> Response)] {
        [
            ("/healthz", { Response.json { writer in writer.object { $0.member("status", "ok") } } }),
            ("/readyz", { [readiness = services.readiness] in await readiness.response() }),
            (
                "/metrics",
                { [metrics = services.metrics] in
                    Response(
                        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                        body: ResponseBody(byteBuffer: ByteBuffer(bytes: metrics())))
                }
            ),
            ("/openapi.json", { Response.json(PackageResources.openapi_json) }),
            ("/docs/errors", { ErrorPage.response }),
        ]
    }
}
