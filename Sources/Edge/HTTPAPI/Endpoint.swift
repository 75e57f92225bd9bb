// A path with what it takes to use it. The gate's action is part of it: a path without one cannot be written down.

import HTTPTypes
import Hummingbird
import Model
import Store

struct Endpoint: Sendable {
    /// How a caller may show who it is.
    enum Credentials: Sendable {
        /// An API key, or the session of a member.
        case key
        /// Also an SMTP user by HTTP Basic, where the vault's `auth_mode` allows it.
        case keyOrLogin
    }

    /// What it is about, and so who it can be for.
    enum Subject: Sendable {
        /// The vault of the caller: the key's own, or the one that a member names in `X-Postern-Vault`.
        case vault(@Sendable (Call) async throws -> Response)
        /// The vault that `{id}` names, by id or slug; for people.
        case namedVault(@Sendable (PersonCall, Vault) async throws -> Response)
        /// The instance; for people.
        case instance(@Sendable (PersonCall) async throws -> Response)
        /// The asking person's own account.
        case account(@Sendable (PersonCall) async throws -> Response)
        /// Nothing that needs protection, or the way in.
        case open(@Sendable (OpenCall) async throws -> Response)
    }

    let method: HTTPRequest.Method
    /// As in OpenAPI: `/v1/messages/{id}`.
    let path: String
    /// Whether the last parameter stands for whatever follows, slashes included. Such a path has no other methods: what it
    /// does not take is not found.
    let isRest: Bool
    let action: Action
    let credentials: Credentials
    /// Whether it is there only while the email gateway is switched on.
    let isGateway: Bool
    let subject: Subject

    /// In a vault.
    init(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ action: Action,
        credentials: Credentials = .key,
        isGateway: Bool = true,
        isRest: Bool = false,
        _ handle: @escaping @Sendable (Call) async throws -> Response
    ) {
        self.init(
            method, path, action, credentials: credentials, isGateway: isGateway, isRest: isRest,
            subject: .vault(handle))
    }

    private init(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ action: Action,
        credentials: Credentials = .key,
        isGateway: Bool = false,
        isRest: Bool = false,
        subject: Subject
    ) {
        self.method = method
        self.path = path
        self.action = action
        self.credentials = credentials
        self.isGateway = isGateway
        self.isRest = isRest
        self.subject = subject
    }

    static func ofVault(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ action: Action,
        _ handle: @escaping @Sendable (PersonCall, Vault) async throws -> Response
    ) -> Endpoint {
        Endpoint(method, path, action, subject: .namedVault(handle))
    }

    static func instance(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ action: Action,
        _ handle: @escaping @Sendable (PersonCall) async throws -> Response
    ) -> Endpoint {
        Endpoint(method, path, action, subject: .instance(handle))
    }

    static func account(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ action: Action,
        _ handle: @escaping @Sendable (PersonCall) async throws -> Response
    ) -> Endpoint {
        Endpoint(method, path, action, subject: .account(handle))
    }

    static func open(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ action: Action,
        _ handle: @escaping @Sendable (OpenCall) async throws -> Response
    ) -> Endpoint {
        Endpoint(method, path, action, subject: .open(handle))
    }

    /// The path as the router takes it.
    var routerPath: String {
        guard isRest, let slash = path.lastIndex(of: "/") else { return path }
        return "\(path[...slash])**"
    }

    /// Where it answers: what is under `/api` answers under `/api/engine` as well (seed 004).
    var routerPaths: [String] {
        guard path.hasPrefix("/api/") else { return [routerPath] }
        return [routerPath, "/api/engine/" + routerPath.dropFirst("/api/".count)]
    }
}
