// The reverse proxy at the door: what is open gets through, and everything else is a path that never was.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Logging
import MailerQREST
import Model
import Sealing
import Store
import Testing
import WebClient
import WebTestSupport

@testable import HTTPAPI

@Suite("MailerQ over HTTP")
struct MailerQControllerTests {
    private func with(
        open: String = "GET /v1/pauses, POST /v1/pauses, DELETE /v1/pauses, GET /v1/poolips, GET /api/jobs",
        timeout: Double = 30,
        script: @escaping ScriptedWebServer.Script = { _ in .json("[]") },
        _ body: (OpenDoor, ScriptedWebServer) async throws -> Void
    ) async throws {
        try await ScriptedWebServer.with(script) { server in
            let client = try WebClient()
            let proxy = MailerQProxy(
                operations: try .parse(open), client: client,
                endpoint: try WebEndpoint.parse(server.url).authorized(token: Secret("t0ken")), timeout: timeout,
                clock: ManualClock(), logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() })
            do {
                try await withDoor(mailerq: proxy) { try await body($0, server) }
                await client.shutdown()
            } catch {
                await client.shutdown()
                throw error
            }
        }
    }

    @Test("an open operation gets through, with our credentials and not the caller's")
    func open() async throws {
        try await with { door, server async throws in
            let answer = try await door.call(
                .get, "/v1/mailerq/v1/pauses",
                headers: [
                    .cookie: "session=1", HTTPField.Name("X-Forwarded-For")!: "192.0.2.1", .requestID: "req_a",
                    HTTPField.Name("X-Secret")!: "1",
                ])
            #expect((answer.status, answer.text) == (200, "[]"))
            #expect(answer.headers[.contentType] == "application/json")
            #expect(answer.headers[.cacheControl] == "no-store")
            #expect(answer.headers[.requestID] == "req_a")
            let request = try #require(server.requests.first)
            #expect(request.line == "GET /v1/pauses")
            #expect(request.fields["authorization"] == ["Bearer t0ken"])
            #expect(request.field("x-request-id") == "req_a")
            for name in ["cookie", "x-forwarded-for", "x-secret"] { #expect(request.field(name) == nil) }
        }
    }

    @Test("of MailerQ's answer only status, type and body come back")
    func answerFields() async throws {
        try await with(script: { _ in
            .answer(
                status: 400,
                fields: [
                    ("Content-Type", "text/html"), ("Set-Cookie", "a=b"), ("Server", "MailerQ"),
                    ("WWW-Authenticate", "Bearer"), ("X-Internal", "10.0.0.1"),
                ], body: Array("<script>".utf8))
        }) { door, _ async throws in
            let answer = try await door.call(.get, "/v1/mailerq/v1/pauses")
            #expect((answer.status, answer.text) == (400, "<script>"))
            #expect(answer.headers[.contentType] == "application/octet-stream")
            #expect(answer.headers[.xContentTypeOptions] == "nosniff")
            #expect(answer.headers[.setCookie] == nil)
            #expect(answer.headers[.wwwAuthenticate] == nil)
            #expect(answer.headers[.server] == nil)
        }
    }

    @Test(
        "whatever is not open is word for word a path that never was",
        arguments: [
            (HTTPRequest.Method.get, "v1/errors"), (.post, "v1/inject"), (.get, "v1/inject"), (.post, "v1/pools"),
            (.delete, "v1/pools"), (.get, "v1/pauses/"), (.get, "v1/pauses/1"), (.get, "v1//pauses"),
            (.get, "/v1/pauses"), (.get, "v1/../v1/pauses"), (.get, "./v1/pauses"), (.get, "v1%2Fpauses"),
            (.get, "v1/pause%73"), (.get, "V1/pauses"), (.get, "%2e%2e/api"), (.get, "v1/pauses%00"),
            (.get, "v1/pauses%3Fx=1"), (.get, "v1/pauses;x=1"), (.get, "api"), (.get, "nothing"), (.put, "v1/pauses"),
            (.patch, "v1/pauses"), (.get, "http://evil/v1/pauses"), (.get, "v1\\pauses"),
        ])
    func closed(method: HTTPRequest.Method, path: String) async throws {
        try await with { door, server async throws in
            let id = [HTTPField.Name.requestID: "req_b"]
            let body = method == .get ? "" : "{}"
            let answer = try await door.call(method, "/v1/mailerq/\(path)", headers: id, body)
            let never = try await door.call(method, "/v1/nothing/of/the/kind", headers: id, body)
            #expect(answer.status == 404)
            #expect(answer.text == never.text)
            #expect(answer.headers == never.headers)
            #expect(server.requests.isEmpty)
        }
    }

    @Test("HEAD asks as GET does and shows no body")
    func head() async throws {
        try await with { door, server async throws in
            let answer = try await door.call(.head, "/v1/mailerq/v1/pauses")
            #expect((answer.status, answer.text) == (200, ""))
            #expect(server.requests.map(\.line) == ["GET /v1/pauses"])
        }
    }

    @Test("a declared parameter is passed on, escaped anew; anything else in the query is refused")
    func query() async throws {
        try await with { door, server async throws in
            let path = "/v1/mailerq/v1/poolips"
            #expect(try await door.call(.get, "\(path)?name=main%20%26x=1%0d%0aA:b").status == 200)
            #expect(server.requests.first?.target == "/v1/poolips?name=main%20%26x%3D1%0D%0AA%3Ab")
            for query in ["name=a&name=b", "name=a&x=1", "x", "name=a&__proto__=1"] {
                let answer = try await door.call(.get, "\(path)?\(query)")
                #expect((answer.status, answer.code) == (422, "validation_failed"), "\(query)")
            }
            #expect(try await door.call(.get, "/v1/mailerq/v1/pauses?pool=x").status == 422)
            #expect(try await door.call(.post, "/v1/mailerq/v1/pauses?pool=x", "{}").status == 422)
            #expect(server.requests.count == 1)
        }
    }

    @Test("a body is taken apart and put together again: only declared members, as JSON")
    func bodies() async throws {
        try await with { door, server async throws in
            let path = "/v1/mailerq/v1/pauses"
            let posted = try await door.call(.post, path, #"{ "tag":"t\u00e9", "cluster": true, "domain":"a.org" }"#)
            #expect(posted.status == 200)
            #expect(server.requests.first?.text == #"{"domain":"a.org","tag":"té","cluster":true}"#)
            #expect(server.requests.first?.field("content-type") == "application/json")
            #expect(try await door.call(.delete, path, #"{"domain":"a.org"}"#).status == 200)
            #expect(server.requests.map(\.line) == ["POST /v1/pauses", "DELETE /v1/pauses"])
            for body in [#"{"mime":"x"}"#, #"{"domain":1}"#, "[]", #"{"domain":{"a":1}}"#] {
                #expect(try await door.call(.post, path, body).code == "validation_failed", "\(body)")
            }
            #expect(try await door.call(.post, path, #"{"a":1,"a":2}"#).code == "malformed_json")
            #expect(try await door.call(.post, path, "").status == 400)
            #expect(try await door.call(.post, path, type: "text/plain", "{}").status == 415)
            let large = #"{"domain":"\#(String(repeating: "a", count: 256 * 1024))"}"#
            #expect(try await door.call(.post, path, large).status == 413)
            #expect(server.requests.count == 2)
        }
    }

    @Test(
        "MailerQ's trouble is never shown as the caller's",
        arguments: [
            (WebServerReply.json("{}", status: 401), 502, "mailerq_unauthorized"),
            (.json("{}", status: 403), 502, "mailerq_unauthorized"),
            (.answer(status: 302, fields: [("Location", "http://10.0.0.1/")]), 502, "mailerq_unavailable"),
            (.json("{}", status: 500), 502, "mailerq_unavailable"), (.hangUp, 502, "mailerq_unavailable"),
            (.silence, 504, "mailerq_timeout"),
        ])
    func trouble(reply: WebServerReply, status: Int, code: String) async throws {
        try await with(timeout: code == "mailerq_timeout" ? 0.3 : 30, script: { _ in reply }) { door, _ async throws in
            let answer = try await door.call(.get, "/v1/mailerq/v1/pauses")
            #expect((answer.status, answer.code) == (status, code))
            #expect(answer.headers[.wwwAuthenticate] == nil)
            #expect(!answer.text.contains("10.0.0.1") && !answer.text.contains("t0ken"))
        }
    }

    @Test("the list has every operation, which are open, and how the last hour went")
    func list() async throws {
        try await with(script: { request in request.target == "/api/jobs" ? .hangUp : .json("[]") }) {
            door, _ async throws in
            _ = try await door.call(.get, "/v1/mailerq/v1/pauses")
            _ = try await door.call(.get, "/v1/mailerq/api/jobs")
            let answer = try await door.call(.get, "/v1/mailerq").object
            #expect(answer["configured"] == .bool(true))
            let operations = try #require(answer["operations"]?.arrayValue).compactMap(\.objectValue)
            #expect(operations.count == MailerQOperation.all.count)
            #expect(operations.count { $0["open"] == .bool(true) } == 5)
            #expect(
                operations.first
                    == JSONObject(["method": .string("GET"), "path": .string("/api/jobs"), "open": .bool(true)]))
            #expect(answer["in_flight"] == .integer(0))
            #expect(
                answer["last_hour"]
                    == .object(
                        JSONObject(["requests": .integer(2), "errors": .integer(1), "error_rate": .number(0.5)])))
        }
    }

    @Test("without MailerQ's REST API nothing is there, and the list says why")
    func unconfigured() async throws {
        try await withDoor { door async throws in
            #expect(try await door.call(.get, "/v1/mailerq/v1/pauses").code == "not_found")
            let answer = try await door.call(.get, "/v1/mailerq").object
            #expect(answer["configured"] == .bool(false))
            #expect(answer["operations"]?.arrayValue?.contains { $0.objectValue?["open"] == .bool(true) } == false)
        }
    }

    @Test("it takes the scope mailerq, and a read-only key cannot change anything")
    func scopes() async throws {
        try await with { door, server async throws in
            func call(_ scopes: Scopes, _ method: HTTPRequest.Method, isReadOnly: Bool = false) async throws -> Int {
                let request = CallerDirectory.KeyRequest(
                    label: "k", kind: .agent, scopes: scopes, isReadOnly: isReadOnly)
                let key = try await door.house.callers.issueKey(request, in: door.house.vault.id).text.reveal()
                return try await door.call(
                    method, "/v1/mailerq/v1/pauses", authorization: .field("Bearer \(key)"),
                    method == .get ? "" : "{}"
                ).status
            }
            #expect(try await call([.send, .amqp, .read, .admin], .get) == 403)
            #expect(try await call(.mailerq, .get) == 200)
            #expect(try await call(.mailerq, .post) == 200)
            #expect(try await call(.mailerq, .get, isReadOnly: true) == 200)
            #expect(try await call(.mailerq, .post, isReadOnly: true) == 403)
            #expect(server.requests.map(\.line) == ["GET /v1/pauses", "POST /v1/pauses", "GET /v1/pauses"])
            let stranger = try await door.call(.get, "/v1/mailerq/v1/inject", authorization: .none)
            #expect(stranger.status == 401)
        }
    }
}
