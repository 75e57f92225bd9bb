// Sends calls to a running server, and sorts what comes back into answers, refusals and silence.

import AsyncHTTPClient
import Glibc
import JSON
import NIOCore
import NIOHTTP1
import NIOPosix

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
    private let http: HTTPClient

    /// Runs `body` with a client that is gone afterwards.
    static func withClient(_ access: ServerAccess, _ body: (APIClient) async throws -> Void) async throws {
        var configuration = HTTPClient.Configuration()
        // A redirect would carry the key to wherever it points.
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(10)
        // A command that is typed wants to hear "refused" at once, not after half a minute of trying.
        configuration.connectionPool.retryConnectionEstablishment = false
        try await HTTPClient.withHTTPClient(configuration: configuration) { http in
            try await body(APIClient(access: access, http: http))
        }
    }

    /// - Throws: `refused` for any status but 2xx, `unreachable` when there is no answer.
    func send(_ request: APIRequest) async throws(CommandFailure) -> APIResponse {
        var message = HTTPClientRequest(url: access.url + request.target)
        message.method = HTTPMethod(rawValue: request.method.rawValue)
        message.headers.add(name: "User-Agent", value: "postern-cli")
        message.headers.add(name: "Accept", value: "application/json, message/rfc822")
        if let token = access.token { message.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let type = request.contentType { message.headers.add(name: "Content-Type", value: type) }
        for header in request.headers { message.headers.add(name: header.name, value: header.value) }
        if let bytes = request.bodyBytes { message.body = .bytes(bytes, length: .known(Int64(bytes.count))) }

        let response: HTTPClientResponse
        let body: ByteBuffer
        do {
            response = try await http.execute(message, deadline: .now() + .seconds(Self.timeout))
            body = try await response.body.collect(upTo: Self.answerLimit)
        } catch {
            throw .unreachable(server: access.url, reason: Self.reason(error, request.method))
        }
        let bytes = Array(body.readableBytesView)
        guard (200..<300).contains(response.status.code) else {
            throw .refused(
                Problem(
                    status: Int(response.status.code), body: bytes,
                    location: response.headers.first(name: "Location")))
        }
        return APIResponse(body: bytes, isReplay: response.headers.contains(name: "Idempotency-Replayed"))
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
    static let notPostern = CommandFailure.failed("the answer is not one that Postern gives; is --url right?")
}

extension IOError {
    /// `Connection refused`, without the system call's name.
    fileprivate var words: String { String(cString: strerror(errnoCode)) }
}
