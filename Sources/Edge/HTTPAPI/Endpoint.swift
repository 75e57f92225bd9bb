// A path with what it takes to use it. The gate's action is part of it: a path without one cannot be written down.

import Gate
import HTTPTypes
import Hummingbird
import Model

struct Endpoint: Sendable {
    /// How a caller may show who it is.
    enum Credentials: Sendable {
        case key
        /// Also an SMTP user by HTTP Basic, where the vault's `auth_mode` allows it.
        case keyOrLogin
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
    let handle: @Sendable (Call) async throws -> Response

    init(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ action: Action,
        credentials: Credentials = .key,
        isGateway: Bool = true,
        isRest: Bool = false,
        _ handle: @escaping @Sendable (Call) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.action = action
        self.credentials = credentials
        self.isGateway = isGateway
        self.isRest = isRest
        self.handle = handle
    }

    /// The path as the router takes it.
    var routerPath: String {
        guard isRest, let slash = path.lastIndex(of: "/") else { return path }
        return "\(path[...slash])**"
    }
}
