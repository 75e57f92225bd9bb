// The one HTTP client for what the operator configured: MailerQ, RabbitMQ's management, the alert webhook. It follows no
// redirect, reads no more than its limit, waits no longer than its time, and keeps credentials to itself.

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
package import NIOPosix
import NIOSSL
import Sealing

package final class WebClient: Sendable {
    private let configuration: WebClientConfiguration
    private let http: HTTPClient

    /// - Throws: `tls` when the trust roots are not certificates in PEM.
    package init(
        configuration: WebClientConfiguration = .init(),
        eventLoopGroup: MultiThreadedEventLoopGroup = .singleton
    ) throws(WebError) {
        self.configuration = configuration
        var settings = HTTPClient.Configuration()
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if let pem = configuration.trustRootsPEM {
            guard let roots = try? NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)), !roots.isEmpty else {
                throw WebError(.tls, "the trust roots are not certificates in PEM")
            }
            tls.additionalTrustRoots = [.certificates(roots)]
        }
        settings.tlsConfiguration = tls
        settings.redirectConfiguration = .disallow
        settings.timeout.connect = .milliseconds(Int64(configuration.connectTimeout * 1000))
        settings.timeout.read = .milliseconds(Int64(configuration.readTimeout * 1000))
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = configuration.connectionsPerHost
        settings.connectionPool.idleTimeout = .seconds(30)
        // A closed port is news at once, not after a time-out's worth of trying.
        settings.connectionPool.retryConnectionEstablishment = false
        settings.decompression = .disabled
        http = HTTPClient(eventLoopGroupProvider: .shared(eventLoopGroup), configuration: settings)
    }

    /// One exchange with an operator's service. Any status but a redirect is an answer.
    package func send(_ request: WebRequest, to endpoint: WebEndpoint) async throws(WebError) -> WebResponse {
        var message = HTTPClientRequest(url: endpoint.base + request.target)
        message.method = HTTPMethod(rawValue: request.method.rawValue)
        message.headers.add(name: "User-Agent", value: "postern")
        message.headers.add(name: "Accept", value: "application/json, */*;q=0.1")
        if let authorization = endpoint.authorization {
            message.headers.add(name: "Authorization", value: authorization.reveal())
        }
        if let id = request.requestID { message.headers.add(name: "X-Request-Id", value: id) }
        for field in request.fields { message.headers.add(name: field.name, value: field.value) }
        if let body = request.body {
            if let type = request.contentType { message.headers.add(name: "Content-Type", value: type) }
            message.body = .bytes(body, length: .known(Int64(body.count)))
        }
        let seconds = request.timeout ?? configuration.totalTimeout
        do {
            return try await exchange(message, within: seconds)
        } catch let error as WebError {
            throw error
        } catch {
            throw WebError(error, after: seconds)
        }
    }

    /// Ends what still runs, and closes all connections. To be called once, at the end.
    package func shutdown() async {
        // Fails only when it was called before.
        try? await http.shutdown()
    }

    /// The library's own deadline ends with the answer's head; a body that drips has to end as well.
    private func exchange(_ message: HTTPClientRequest, within seconds: Double) async throws -> WebResponse {
        let (http, limit) = (http, configuration.responseLimit)
        return try await withThrowingTaskGroup(of: WebResponse?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await Self.exchange(message, http, limit) }
            group.addTask {
                try await Task.sleep(for: .seconds(seconds))
                return nil
            }
            guard let first = try await group.next(), let response = first else {
                throw WebError(.timedOut, "no complete answer within \(seconds) s")
            }
            return response
        }
    }

    private static func exchange(_ message: HTTPClientRequest, _ http: HTTPClient, _ limit: Int) async throws
        -> WebResponse
    {
        let response = try await http.execute(message, deadline: .distantFuture)
        let status = Int(response.status.code)
        guard !(300..<400).contains(status) || status == 304 else {
            throw WebError(.redirected, "the answer is a redirect (\(status)), which is not followed")
        }
        let tooLarge = WebError(.tooLarge, "the answer is larger than \(limit) bytes")
        if let announced = response.headers.first(name: "Content-Length").flatMap(Int.init), announced > limit {
            throw tooLarge
        }
        let body: ByteBuffer
        do {
            body = try await response.body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
        return WebResponse(
            status: status, contentType: response.headers.first(name: "Content-Type"),
            retryAfter: response.headers.first(name: "Retry-After").flatMap { Int($0) },
            body: Array(body.readableBytesView))
    }
}
