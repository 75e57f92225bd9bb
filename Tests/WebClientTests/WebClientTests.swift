// The client against servers in this process: what it sends, and that nothing makes it wait, follow or swallow too much.

import NIOCore
import NIOPosix
import Sealing
import Testing
import WebTestSupport

@testable import WebClient

@Suite("The HTTP client")
struct WebClientTests {
    @Test("a request carries the credentials, the id and the body, and the answer comes back")
    func exchange() async throws {
        try await ScriptedWebServer.with({ _ in
            .answer(
                status: 201, fields: [("Content-Type", "application/json"), ("Retry-After", "7")],
                body: Array("{}".utf8))
        }) { server async throws in
            try await withClient { client async throws in
                var request = WebRequest.json(.post, "/v1/x?y=1", Array(#"{"a":1}"#.utf8))
                request.requestID = "req_1"
                request.fields = [("X-Sign", "s")]
                let endpoint = try WebEndpoint.parse(server.url + "/base").authorized(token: Secret("t0ken"))
                let response = try await client.send(request, to: endpoint)
                #expect(response.status == 201 && response.isSuccess)
                #expect(response.contentType == "application/json")
                #expect(response.retryAfter == 7)
                #expect(response.body == Array("{}".utf8))
            }
            let request = try #require(server.requests.first)
            #expect(request.line == "POST /base/v1/x?y=1")
            #expect(request.text == #"{"a":1}"#)
            #expect(request.field("Authorization") == "Bearer t0ken")
            #expect(request.field("X-Request-Id") == "req_1")
            #expect(request.field("X-Sign") == "s")
            #expect(request.field("Content-Type") == "application/json")
            #expect(request.field("User-Agent") == "postern")
        }
    }

    @Test("DELETE takes a body along; GET has none")
    func methods() async throws {
        try await ScriptedWebServer.with({ _ in .answer(status: 204) }) { server async throws in
            try await withClient { client async throws in
                let endpoint = try WebEndpoint.parse(server.url)
                #expect(try await client.send(.json(.delete, "/a", Array("{}".utf8)), to: endpoint).status == 204)
                #expect(try await client.send(WebRequest(.get, "/b"), to: endpoint).body == [])
            }
            #expect(server.requests.map(\.line) == ["DELETE /a", "GET /b"])
            #expect(server.requests.map(\.text) == ["{}", ""])
            #expect(server.requests[1].field("Authorization") == nil)
            // The connection is kept for the next request.
            #expect(server.connections == 1)
        }
    }

    @Test("an error status is an answer like any other", arguments: [400, 401, 404, 418, 500, 503])
    func errorStatus(status: Int) async throws {
        try await ScriptedWebServer.with({ _ in .json("{}", status: status) }) { server async throws in
            try await withClient { client async throws in
                let response = try await client.send(WebRequest(.get, "/"), to: try WebEndpoint.parse(server.url))
                #expect(response.status == status && !response.isSuccess)
            }
        }
    }

    @Test("a redirect is an error and goes nowhere", arguments: [301, 302, 303, 307, 308, 399])
    func redirect(status: Int) async throws {
        try await ScriptedWebServer.with({ _ in .json("{}") }) { other in
            let location = [("Location", other.url)]
            try await ScriptedWebServer.with({ _ in .answer(status: status, fields: location) }) {
                server async throws in
                let error = try await failure(server)
                #expect(error.code == .redirected)
                #expect(error.description == "the answer is a redirect (\(status)), which is not followed")
                #expect(other.requests.isEmpty)
            }
        }
    }

    @Test("an answer over the limit is cut off, announced or not")
    func limit() async throws {
        let settings = WebClientConfiguration().with { $0.responseLimit = 1000 }
        for body in [1000, 1001, 1_000_000] {
            try await ScriptedWebServer.with({ _ in
                .answer(status: 200, body: [UInt8](repeating: 0x61, count: body))
            }) { server async throws in
                try await withClient(settings) { client async throws in
                    let endpoint = try WebEndpoint.parse(server.url)
                    if body == 1000 {
                        #expect(try await client.send(WebRequest(.get, "/"), to: endpoint).body.count == 1000)
                    } else {
                        let error = await #expect(throws: WebError.self) {
                            try await client.send(WebRequest(.get, "/"), to: endpoint)
                        }
                        #expect(error?.code == .tooLarge)
                    }
                }
            }
        }
        let unannounced = WebClientConfiguration().with { ($0.responseLimit, $0.totalTimeout) = (5, 30) }
        try await ScriptedWebServer.with({ _ in .drip }) { server async throws in
            #expect(try await failure(server, unannounced).code == .tooLarge)
        }
    }

    @Test("an answer that drips without end is given up in time")
    func drip() async throws {
        try await ScriptedWebServer.with({ _ in .drip }) { server async throws in
            let settings = WebClientConfiguration().with { ($0.totalTimeout, $0.readTimeout) = (0.3, 90) }
            let (error, seconds) = try await timed { try await failure(server, settings) }
            #expect(error.code == .timedOut)
            #expect(error.mayHaveArrived)
            #expect(seconds < 60)
        }
    }

    @Test("a server that says nothing is given up in time, by the client's limit and by the request's own")
    func silence() async throws {
        try await ScriptedWebServer.with({ _ in .silence }) { server async throws in
            let short = WebClientConfiguration().with { ($0.totalTimeout, $0.readTimeout) = (0.2, 90) }
            #expect(try await failure(server, short).code == .timedOut)
            let reading = WebClientConfiguration().with { ($0.totalTimeout, $0.readTimeout) = (90, 0.2) }
            #expect(try await failure(server, reading).code == .timedOut)
            let (error, seconds) = try await timed {
                try await failure(server, reading.with { $0.readTimeout = 90 }, WebRequest(.get, "/", timeout: 0.2))
            }
            #expect(error.code == .timedOut)
            #expect(seconds < 60)
        }
    }

    @Test("a port where nobody listens is unreachable at once, and nothing has arrived")
    func refused() async throws {
        // A port that was just given back may be another test's by now; nobody listens on port 1.
        try await withClient { client async throws in
            let endpoint = try WebEndpoint.parse("http://127.0.0.1:1")
            let error = await #expect(throws: WebError.self) {
                try await client.send(WebRequest(.get, "/"), to: endpoint)
            }
            #expect(error?.code == .unreachable)
            #expect(error?.mayHaveArrived == false)
            #expect(error?.message == "no connection: Connection refused")
        }
    }

    @Test("a connection that ends, or speaks something else, is broken")
    func broken() async throws {
        for reply in [WebServerReply.hangUp, .torn, .raw("SSH-2.0-OpenSSH_9.2\r\n\r\n")] {
            try await ScriptedWebServer.with({ _ in reply }) { server async throws in
                let error = try await failure(server)
                #expect(error.code == .broken, "\(reply): \(error)")
                #expect(error.mayHaveArrived)
            }
        }
    }

    @Test(
        "hostile heads do not get through",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n",
        ])
    func hostileHead(text: String) async throws {
        try await ScriptedWebServer.with({ _ in .raw(text) }) { server async throws in
            let settings = WebClientConfiguration().with { $0.totalTimeout = 2 }
            let error = try await failure(server, settings)
            #expect([.broken, .timedOut].contains(error.code), "\(error.code)")
        }
    }

    @Test("a certificate that nobody trusts is refused, and one in the trust roots is taken")
    func tls() async throws {
        let context = try WebTestCertificate.serverContext()
        try await ScriptedWebServer.with(tls: context, { _ in .json("{}") }) { server async throws in
            let error = try await failure(server)
            #expect(error.code == .tls, "\(error)")
            #expect(error.message.contains("POSTERN_TLS_CA_FILE"))
            #expect(!error.mayHaveArrived)
            try await withClient(WebClientConfiguration(trustRootsPEM: WebTestCertificate.pem)) { client async throws in
                let endpoint = try WebEndpoint.parse(server.url)
                #expect(try await client.send(WebRequest(.get, "/"), to: endpoint).status == 200)
            }
            #expect(server.requests.count == 1)
        }
    }

    @Test("TLS with a server that speaks none fails as TLS")
    func noTLS() async throws {
        try await ScriptedWebServer.with({ _ in .json("{}") }) { server async throws in
            try await withClient { client async throws in
                let endpoint = try WebEndpoint.parse("https://127.0.0.1:\(server.port)")
                let error = await #expect(throws: WebError.self) {
                    try await client.send(WebRequest(.get, "/"), to: endpoint)
                }
                #expect(error?.mayHaveArrived == false, "\(String(describing: error?.code))")
            }
        }
    }

    @Test("trust roots that are none are refused at the start")
    func badRoots() {
        for text in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"] {
            let error = #expect(throws: WebError.self) { try WebClient(configuration: .init(trustRootsPEM: text)) }
            #expect(error?.code == .tls)
        }
    }

    @Test("a client that was shut down says so")
    func shutdown() async throws {
        let client = try WebClient()
        await client.shutdown()
        let endpoint = try WebEndpoint.parse("http://127.0.0.1:1")
        let error = await #expect(throws: WebError.self) { try await client.send(WebRequest(.get, "/"), to: endpoint) }
        #expect(error?.code == .cancelled)
    }

    @Test("no error repeats the address or the credentials")
    func quietErrors() async throws {
        let replies: [WebServerReply] = [.hangUp, .torn, .raw("x\r\n\r\n"), .answer(status: 302)]
        for reply in replies {
            try await ScriptedWebServer.with({ _ in reply }) { server async throws in
                try await withClient { client async throws in
                    let endpoint = try WebEndpoint.parse(server.url).authorized(token: Secret("s3cret"))
                    let error = await #expect(throws: WebError.self) {
                        try await client.send(WebRequest(.get, "/s3cret"), to: endpoint)
                    }
                    #expect(error?.description.contains("s3cret") == false)
                    #expect(error?.description.contains("127.0.0.1") == false)
                }
            }
        }
    }

    // MARK: Support

    private func withClient<Result>(
        _ configuration: WebClientConfiguration = .init(),
        _ body: (WebClient) async throws -> Result
    ) async throws -> Result {
        let client = try WebClient(configuration: configuration)
        do {
            let result = try await body(client)
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            throw error
        }
    }

    private func failure(
        _ server: ScriptedWebServer,
        _ configuration: WebClientConfiguration = .init(),
        _ request: WebRequest = WebRequest(.get, "/")
    ) async throws -> WebError {
        try await withClient(configuration) { client async throws in
            let endpoint = try WebEndpoint.parse(server.url)
            return try #require(
                await #expect(throws: WebError.self) { try await client.send(request, to: endpoint) })
        }
    }

    private func timed<Result>(_ work: () async throws -> Result) async throws -> (Result, seconds: Double) {
        let start = ContinuousClock.now
        let result = try await work()
        return (result, start.duration(to: .now) / .seconds(1))
    }
}

extension WebClientConfiguration {
    fileprivate func with(_ change: (inout WebClientConfiguration) -> Void) -> WebClientConfiguration {
        var copy = self
        change(&copy)
        return copy
    }
}
