// The HTTP door, put together: every endpoint passes the guard, the credentials and the gate on its way in.

import HTTPTypes
package import Hummingbird
import HummingbirdCore
import JSON
package import Logging
package import Model
import NIOCore
import Outbox
package import People
import Providers
import Store

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
        /// Proxies whose word on where a request comes from is believed.
        package var trustedProxies: [IPNetwork]
        package var people: PeopleConfiguration
        /// What the provider of single sign-on is called; `nil` without one.
        package var singleSignOn: String?
        package var switches: Switches

        package init(
            host: String, port: Int, publicURL: String, isGatewayEnabled: Bool, idleTimeout: Int, connections: Int,
            trustedProxies: [IPNetwork] = [], people: PeopleConfiguration, singleSignOn: String? = nil,
            switches: Switches
        ) {
            self.host = host
            self.port = port
            self.publicURL = publicURL
            self.isGatewayEnabled = isGatewayEnabled
            self.idleTimeout = idleTimeout
            self.connections = connections
            self.trustedProxies = trustedProxies
            self.people = people
            self.singleSignOn = singleSignOn
            self.switches = switches
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
                documentation: "\(configuration.publicURL)/docs/errors", ids: services.ids, providers: providers,
                addresses: ClientAddress(trusting: configuration.trustedProxies)))
        var methods: [String: [HTTPRequest.Method]] = [:]
        let clock = services.clock
        let admission = Admission(
            credentials: credentials, gate: services.gate, vaults: services.vaults, calls: services.calls,
            refusals: services.refusals, clock: clock,
            ids: services.ids)
        for endpoint in endpoints where configuration.isGatewayEnabled || !endpoint.isGateway {
            for path in endpoint.routerPaths {
                if !endpoint.isRest { methods[path, default: []].append(endpoint.method) }
                router.on(RouterPath(path), method: endpoint.method) { request, context in
                    try await admission.answer(request, context, endpoint)
                }
            }
        }
        let door = ProviderDoor(admission: admission) { [services] in
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
        [mailEndpoints, vaultEndpoints, watchEndpoints, peopleEndpoints, openPaths].flatMap { $0 }
    }

    private var mailEndpoints: [Endpoint] {
        let groups: [[Endpoint]] = [
            SendController(pipeline: services.pipeline).endpoints,
            MessageController(
                messages: MessageRepository(database: services.database),
                payloads: Payloads(database: services.database), preview: services.preview,
                pipeline: services.pipeline, clock: services.clock, ids: services.ids
            ).endpoints,
        ]
        return groups.flatMap { $0 }
    }

    /// How a vault is set up, and who calls in it.
    private var vaultEndpoints: [Endpoint] {
        let (clock, ids) = (services.clock, services.ids)
        let groups: [[Endpoint]] = [
            KeyController(callers: services.callers, vaults: services.vaults, clock: clock).endpoints,
            SMTPUserController(callers: services.callers, vaults: services.vaults).endpoints,
            SettingsController(vaults: services.vaults).endpoints,
            PoolController(
                pools: IPPoolRepository(database: services.database), vaults: services.vaults, clock: clock, ids: ids
            ).endpoints,
            SecretController(vaults: services.vaults).endpoints,
            MeController(limiter: services.limiter, vaults: services.vaults, callers: services.callers).endpoints,
            AccessController(
                gate: services.gate, callers: services.callers, users: UserRepository(database: services.database),
                vaults: services.vaults, clock: clock
            ).endpoints,
        ]
        return groups.flatMap { $0 }
    }

    /// What is to be seen of how it goes.
    private var watchEndpoints: [Endpoint] {
        let (clock, ids) = (services.clock, services.ids)
        let groups: [[Endpoint]] = [
            QueueController(
                broker: services.broker, failures: FailureRepository(database: services.database),
                orphans: OrphanRepository(database: services.database), signal: services.signal, clock: clock,
                ids: ids, lifetime: services.pipeline.configuration.lifetime
            ).endpoints,
            MailerQController(
                proxy: services.mailerq, audit: AuditRepository(database: services.database)
            ).endpoints,
            AlertController(alerts: AlertRepository(database: services.database)).endpoints,
            AlertRuleController(
                rules: AlertRuleRepository(database: services.database), vaults: services.vaults,
                defaults: services.alerts
            ).endpoints,
            AuditController(database: services.database, verifier: services.auditVerifier).endpoints,
        ]
        return groups.flatMap { $0 }
    }

    /// People: their ways in, their accounts, and those who look after them and their vaults.
    private var peopleEndpoints: [Endpoint] {
        let people = services.people
        let publicURL = configuration.publicURL
        let ways = AuthController.Ways(
            password: configuration.people.passwordSignIn, openID: configuration.singleSignOn)
        let groups: [[Endpoint]] = [
            AuthController(
                desk: people.signIn, sessions: people.sessions, vaults: services.vaults, ways: ways,
                publicURL: publicURL
            ).endpoints,
            AccountController(accounts: people.accounts).endpoints,
            OpenIDController(
                signOn: people.singleSignOn, sessions: people.sessions, publicURL: publicURL
            ).endpoints,
            UserController(people: people.directory).endpoints,
            MemberController(people: people.directory).endpoints,
            InvitationController(
                people: people.directory, vaults: services.vaults, credentials: credentials, publicURL: publicURL
            ).endpoints,
            VaultController(vaults: services.vaults, sessions: people.sessions, signal: services.signal).endpoints,
            PlanController(vaults: services.vaults).endpoints,
            UsageController(vaults: services.vaults).endpoints,
            InstanceController(switches: configuration.switches, publicURL: publicURL).endpoints,
        ]
        return groups.flatMap { $0 }
    }

    private var credentials: CredentialReader {
        CredentialReader(
            authenticator: services.authenticator, sessions: services.people.sessions, vaults: services.vaults,
            publicURL: configuration.publicURL)
    }

    /// Paths that need no credentials: they show nothing of any vault.
    private var openPaths: [Endpoint] {
        [
            .open(.get, "/healthz", .statusRead) { _ in
                Response.json { writer in writer.object { $0.member("status", "ok") } }
            },
            .open(.get, "/readyz", .statusRead) { [readiness = services.readiness] _ in await readiness.response() },
            .open(.get, "/metrics", .statusRead) { [metrics = services.metrics] _ in
                Response(
                    status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                    body: ResponseBody(byteBuffer: ByteBuffer(bytes: metrics())))
            },
            .open(.get, "/openapi.json", .statusRead) { _ in Response.json(PackageResources.openapi_json) },
            .open(.get, "/docs/errors", .statusRead) { _ in ErrorPage.response },
        ]
    }
}
