// Sends calls to a running server, and sorts what comes back into answers, refusals and silence.

import AsyncHTTPClient
import Glibc
import JSON
import NIOCore
import NIOHTTP1
import NIOPosix
import Sealing

struct APIResponse: Sendable {
    let body: [UInt8]
    /// The server had seen the idempotency key before, and gives its first answer again.
    let isReplay: Bool
}

struct APIClient: Sendable {
    /// Seconds for a whole call.
    private static let timeout: Int64 = 30
    /// Bytes of one answer; the largest is a raw message.
    private static let answerLimit = 256 << 20

    let access: ServerAccess
    let bearer: Bearer
    private let http: HTTPClient

    /// Runs `body` with a client that is gone afterwards.
    static func withClient(_ access: ServerAccess, _ body: (APIClient) async throws -> Void) async throws {
        var configuration = HTTPClient.Configuration()
        // A redirect would carry the key to wherever it points.
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(10)
        // Long answers have no other end than this.
        configuration.timeout.read = .seconds(60)
        // A command that is typed wants to hear "refused" at once, not after half a minute of trying.
        configuration.connectionPool.retryConnectionEstablishment = false
        try await HTTPClient.withHTTPClient(configuration: configuration) { http in
            let stranger = APIClient(access: access, bearer: .nobody, http: http)
            switch access.identity {
            case .nobody: try await body(stranger)
            case .token(let token): try await body(stranger.showing(.fixed(Secret(token))))
            case .login:
                guard let file = LoginFile(Terminal.current) else { throw CommandFailure.noHome }
                try await body(stranger.showing(.login(file)))
            case .owner(let email, let password):
                try await stranger.visit(as: email, password, body)
            }
        }
    }

    /// The same server, asked with something else to show.
    func showing(_ bearer: Bearer) -> APIClient { APIClient(access: access, bearer: bearer, http: http) }

    /// - Throws: `refused` for any status but 2xx, `unreachable` when there is no answer.
    func send(_ request: APIRequest) async throws(CommandFailure) -> APIResponse {
        try await renewing(request) { token async throws(CommandFailure) in try await exchange(request, token: token) }
    }

    /// As `send`, for answers of any size: `take` gets the body of a 2xx in pieces, for as long as some come.
    func download(
        _ request: APIRequest,
        _ take: ([UInt8]) throws -> Void
    ) async throws(CommandFailure) {
        let response = try await renewing(request) { token async throws(CommandFailure) in
            try await begin(request, token: token, deadline: .distantFuture)
        }
        do {
            for try await piece in response.body { try take(Array(piece.readableBytesView)) }
        } catch {
            switch error {
            case let error as CommandFailure: throw error
            case let error as FileFailure: throw .failed(error.description)
            default: throw .unreachable(server: access.url, reason: Self.reason(error, request.method))
            }
        }
    }

    /// Makes a call again with another token, where the server did not want the first one any more.
    private func renewing<Answer>(
        _ request: APIRequest,
        _ call: (Secret<String>?) async throws(CommandFailure) -> Answer
    ) async throws(CommandFailure) -> Answer {
        let token = try await token()
        do throws(CommandFailure) {
            return try await call(token)
        } catch {
            // A call that was refused like this was not carried out, so that it can be made again.
            guard case .refused(let problem) = error, problem.status == 401, problem.code == "unauthorized", let token,
                await !isAboutSomethingElse(request, token), let next = try await self.token(after: token)
            else { throw error }
            return try await call(next)
        }
    }

    /// A password or a code that is wrong is refused like a token that is over. Trying it twice would count twice.
    private func isAboutSomethingElse(_ request: APIRequest, _ token: Secret<String>) async -> Bool {
        guard request.root == .auth, request.method == .post else { return false }
        do throws(CommandFailure) {
            _ = try await exchange(APIRequest(.get, in: .auth, "me"), token: token)
            return true
        } catch {
            guard case .refused(let problem) = error, problem.status == 401 else { return true }
            return false
        }
    }

    /// One call, with nothing but this token.
    func exchange(_ request: APIRequest, token: Secret<String>?) async throws(CommandFailure) -> APIResponse {
        let response = try await begin(request, token: token, deadline: .now() + .seconds(Self.timeout))
        let body = try await body(of: response, request.method)
        return APIResponse(body: body, isReplay: response.headers.contains(name: "Idempotency-Replayed"))
    }

    /// - Throws: `refused`, with what the body says, for any status but 2xx.
    private func begin(
        _ request: APIRequest,
        token: Secret<String>?,
        deadline: NIODeadline
    ) async throws(CommandFailure) -> HTTPClientResponse {
        let response: HTTPClientResponse
        do {
            response = try await http.execute(message(request, token), deadline: deadline)
        } catch {
            throw .unreachable(server: access.url, reason: Self.reason(error, request.method))
        }
        guard (200..<300).contains(response.status.code) else {
            var problem = Problem(
                status: Int(response.status.code), body: try await body(of: response, request.method),
                location: response.headers.first(name: "Location"))
            problem.isOfNobody = token == nil && !(request.root == .auth && request.method == .post)
            throw .refused(problem)
        }
        return response
    }

    private func body(of response: HTTPClientResponse, _ method: APIRequest.Method) async throws(CommandFailure)
        -> [UInt8]
    {
        do {
            return Array(try await response.body.collect(upTo: Self.answerLimit).readableBytesView)
        } catch {
            throw .unreachable(server: access.url, reason: Self.reason(error, method))
        }
    }

    private func message(_ request: APIRequest, _ token: Secret<String>?) -> HTTPClientRequest {
        var message = HTTPClientRequest(url: access.url + request.target)
        message.method = HTTPMethod(rawValue: request.method.rawValue)
        message.headers.add(name: "User-Agent", value: "postern-cli")
        message.headers.add(name: "Accept", value: "application/json, message/rfc822")
        if let token { message.headers.add(name: "Authorization", value: "Bearer \(token.reveal())") }
        if request.root == .v1, let vault = access.vault { message.headers.add(name: "X-Postern-Vault", value: vault) }
        if let type = request.contentType { message.headers.add(name: "Content-Type", value: type) }
        for header in request.headers { message.headers.add(name: header.name, value: header.value) }
        if let bytes = request.bodyBytes { message.body = .bytes(bytes, length: .known(Int64(bytes.count))) }
        return message
    }

    /// The answer as JSON.
    func json(_ request: APIRequest) async throws(CommandFailure) -> JSONValue {
        try Self.json(try await send(request))
    }

    /// The answer as a JSON object, which every single thing is.
    func object(_ request: APIRequest) async throws(CommandFailure) -> JSONObject {
        guard let object = try await json(request).objectValue else { throw .notPostern }
        return object
    }

    static func json(_ response: APIResponse) throws(CommandFailure) -> JSONValue {
        do throws(JSONError) {
            return try JSONParser.parse(response.body)
        } catch {
            throw .notPostern
        }
    }

    private static func reason(_ error: any Error, _ method: APIRequest.Method) -> String {
        let unknown = method == .get ? "" : "; whether it did what was asked is not known"
        switch error {
        case let error as NIOConnectionError:
            let causes = error.connectionErrors.map { ($0.error as? IOError)?.words ?? "\($0.error)" }
            if let cause = causes.first { return cause }
            return error.dnsAError == nil && error.dnsAAAAError == nil ? "\(error)" : "the host name is not known"
        case let error as IOError: return error.words
        case let error as HTTPClientError where error == .connectTimeout: return "no connection in time"
        case let error as HTTPClientError where error == .deadlineExceeded:
            return "no answer within \(timeout) s\(unknown)"
        case let error as HTTPClientError where error == .remoteConnectionClosed:
            return "the connection was closed before the answer\(unknown)"
        default: return "\(error)\(unknown)"
        }
    }
}

extension CommandFailure {
    static let noHome = CommandFailure.failed(
        "there is no place to keep a login: set HOME or XDG_CONFIG_HOME to an absolute path")
    static let notPostern = CommandFailure.failed("the answer is not one that Postern gives; is --url right?")
}

extension IOError {
    /// `Connection refused`, without the system call's name.
    fileprivate var words: String { String(cString: strerror(errnoCode)) }
}
