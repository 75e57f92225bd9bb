// A provider in this process that answers as a test says, on the wire as a real one.

import JSON
package import OpenID
import Sealing
import Synchronization
import WebClient
package import WebTestSupport

package final class TestProvider: Sendable {
    package struct State: Sendable {
        /// The discovery document; `nil` is a right one.
        package var discovery: WebServerReply?
        package var keys: WebServerReply = .json(#"{"keys":[]}"#)
        package var token: WebServerReply = .json("{}")
        package var userInfo: WebServerReply = .json(#"{"sub":"248289761001"}"#)
        /// Members of the discovery document beside the usual ones.
        package var extra = ""
        package var now: Int64 = 1_800_000_000
    }

    package static let accessToken = "at-2YotnFZFEjr1zCsicMWpAA"
    package static let nonce = "n-0S6_WzA2Mj"
    package static let verifier = String(repeating: "v", count: 43)
    package static let clientID = "postern"

    /// What the server's script and the test both see.
    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let server: ScriptedWebServer
    private let shared: Shared
    private let clock: (@Sendable () -> Int64)?
    package let provider: OpenIDProvider

    private init(
        _ server: ScriptedWebServer, _ shared: Shared, _ provider: OpenIDProvider, _ clock: (@Sendable () -> Int64)?
    ) {
        self.clock = clock
        self.server = server
        self.shared = shared
        self.provider = provider
    }

    package var issuer: String { server.url }
    package var now: Int64 { clock?() ?? shared.state.withLock { $0.now } }
    package var requests: [WebServerRequest] { server.requests }

    package func count(_ path: String) -> Int { requests.count { $0.target == path } }
    package func change(_ edit: (inout State) -> Void) { shared.state.withLock { edit(&$0) } }

    /// - Parameter now: seconds since 1970; by default what the test sets.
    package static func with<Result>(
        secret: String? = "s3cret/+ :",
        limits: OpenIDLimits = .init(),
        now: (@Sendable () -> Int64)? = nil,
        _ body: (TestProvider) async throws -> Result
    ) async throws -> Result {
        let shared = Shared()
        return try await ScriptedWebServer.with { request in
            let state = shared.state.withLock { $0 }
            let issuer = "http://\(request.field("host") ?? "")"
            switch request.target {
            case "/.well-known/openid-configuration": return state.discovery ?? .json(discovery(issuer, state.extra))
            case "/keys": return state.keys
            case "/token": return state.token
            case "/userinfo": return state.userInfo
            default: return .json("{}", status: 404)
            }
        } _: { server in
            let web = try WebClient()
            let provider = OpenIDProvider(
                issuer: server.url, clientID: clientID, clientSecret: secret.map(Secret.init), web: web, limits: limits,
                now: now ?? { shared.state.withLock { $0.now } })
            do {
                let result = try await body(TestProvider(server, shared, provider, now))
                await web.shutdown()
                return result
            } catch {
                await web.shutdown()
                throw error
            }
        }
    }

    package static func discovery(_ issuer: String, _ extra: String = "") -> String {
        """
        {"issuer":"\(issuer)","authorization_endpoint":"\(issuer)/authorize","token_endpoint":"\(issuer)/token",
        "jwks_uri":"\(issuer)/keys","userinfo_endpoint":"\(issuer)/userinfo","response_types_supported":["code"],
        "id_token_signing_alg_values_supported":["RS256","none","HS256"],
        "token_endpoint_auth_methods_supported":["client_secret_basic","none"]\(extra)}
        """
    }

    /// The claims of a right token, changed: a value of `nil` takes the claim away, else it is JSON.
    package func claims(_ changes: KeyValuePairs<String, String?> = [:], nonce: String = TestProvider.nonce) -> String {
        var members = [
            ("iss", #""\#(issuer)""#), ("sub", #""248289761001""#), ("aud", #""postern""#),
            ("exp", "\(now + 300)"), ("iat", "\(now)"), ("nonce", #""\#(nonce)""#),
            ("email", #""ada@example.com""#), ("email_verified", "true"),
        ]
        for (name, value) in changes {
            members.removeAll { $0.0 == name }
            if let value { members.append((name, value)) }
        }
        return "{\(members.map { #""\#($0)":\#($1)"# }.joined(separator: ","))}"
    }

    package func publish(_ signers: TestSigner...) throws {
        let keys = try signers.map { try $0.published() }.joined(separator: ",")
        change { $0.keys = .json(#"{"keys":[\#(keys)]}"#) }
    }

    package func answer(_ token: String, accessToken: String = TestProvider.accessToken) {
        change {
            $0.token = .json(
                #"{"access_token":"\#(accessToken)","token_type":"Bearer","expires_in":300,"id_token":"\#(token)"}"#)
        }
    }

    package func exchange(since: Int64? = nil, claims: [String] = []) async throws(OpenIDError) -> IDToken {
        try await provider.exchange(
            code: Secret("c0de"), verifier: Secret(Self.verifier), redirect: "https://gate.example/auth/oidc/callback",
            nonce: Self.nonce, authenticatedSince: since
        ) { token in
            claims.allSatisfy { token[$0] != nil }
        }
    }

    /// The error that an exchange ends in; `nil` where it succeeds.
    package func failure(since: Int64? = nil, claims: [String] = []) async -> OpenIDError? {
        do throws(OpenIDError) {
            _ = try await exchange(since: since, claims: claims)
            return nil
        } catch {
            return error
        }
    }

    /// The error that asking the provider who it is ends in; `nil` where it is right.
    package func checkFailure() async -> OpenIDError? {
        do throws(OpenIDError) {
            try await provider.check()
            return nil
        } catch {
            return error
        }
    }
}
