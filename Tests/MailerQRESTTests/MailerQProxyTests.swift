// The proxy against a MailerQ in this process: what it sends, what it lets through, and what it makes of trouble.

import JSON
import Logging
import Model
import Sealing
import Synchronization
import Testing
import WebClient
import WebTestSupport

@testable import MailerQREST

@Suite("The MailerQ proxy")
struct MailerQProxyTests {
    private let ids = IdentifierGenerator(process: 3, clock: ManualClock())
    private let clock = ManualClock()

    private var caller: Caller {
        Caller(vault: ids.next(), identity: .key(ids.next()), label: "robot", scopes: .mailerq)
    }

    private func operation(_ text: String) throws -> MailerQOperation {
        try #require(MailerQOperation.all.first { $0.description == text })
    }

    private func request(_ text: String, query: String = "", body: String? = nil) throws -> MailerQProxy.Request {
        MailerQProxy.Request(
            try operation(text), query: query, body: body.map { Array($0.utf8) }, caller: caller, requestID: "req_7")
    }

    @Test("an operation goes out with our credentials, its own path and the request's id")
    func passing() async throws {
        try await with({ _ in .json("[]") }) { proxy, server, _ async throws in
            let answer = try await proxy.perform(try request("GET /v1/poolips", query: "name=main"))
            #expect((answer.status, answer.contentType) == (200, "application/json"))
            #expect(answer.body == Array("[]".utf8))
            _ = try await proxy.perform(try request("DELETE /v1/pauses", body: #"{"domain":"a.org"}"#))
            #expect(server.requests.map(\.line) == ["GET /mq/v1/poolips?name=main", "DELETE /mq/v1/pauses"])
            #expect(server.requests.map { $0.field("authorization") } == ["Bearer t0ken", "Bearer t0ken"])
            #expect(server.requests.map { $0.field("x-request-id") } == ["req_7", "req_7"])
            #expect(server.requests[1].text == #"{"domain":"a.org"}"#)
        }
    }

    @Test("MailerQ's refusals of the request are the caller's to read", arguments: [400, 404, 409, 422])
    func clientErrors(status: Int) async throws {
        try await with({ _ in .answer(status: status, fields: [("Content-Type", "text/plain")], body: [0x78]) }) {
            proxy, _, _ async throws in
            let answer = try await proxy.perform(try request("GET /v1/pauses"))
            #expect((answer.status, answer.contentType) == (status, "text/plain; charset=utf-8"))
            #expect(proxy.summary.errors == 0)
        }
    }

    @Test(
        "trouble between us and MailerQ has a code of its own, and counts as an error",
        arguments: [
            (WebServerReply.json("{}", status: 401), ErrorCode.mailerqUnauthorized),
            (.json("{}", status: 403), .mailerqUnauthorized), (.json("{}", status: 407), .mailerqUnauthorized),
            (.json("{}", status: 500), .mailerqUnavailable), (.json("{}", status: 503), .mailerqUnavailable),
            (.answer(status: 302, fields: [("Location", "http://127.0.0.1:1/")]), .mailerqUnavailable),
            (.hangUp, .mailerqUnavailable), (.torn, .mailerqUnavailable), (.silence, .mailerqTimeout),
            (.drip, .mailerqTimeout),
            (.answer(status: 200, body: Array(repeating: 0, count: 5000)), .mailerqUnavailable),
        ])
    func trouble(reply: WebServerReply, code: ErrorCode) async throws {
        // Only who has nothing to say is given little time: the machine may be busy.
        try await with(timeout: code == .mailerqTimeout ? 0.3 : 30, { _ in reply }) { proxy, _, _ async throws in
            let error = await #expect(throws: PosternError.self) {
                try await proxy.perform(try request("GET /v1/pauses"))
            }
            #expect(error?.code == code)
            #expect(error?.description.contains("t0ken") == false)
            #expect(error?.description.contains("127.0.0.1") == false)
            #expect(proxy.summary == OperationMeter.Summary(inFlight: 0, requests: 1, errors: 1))
        }
    }

    @Test("after a change without an answer it is said that nobody knows")
    func unsure() async throws {
        try await with(timeout: 0.3, { _ in .silence }) { proxy, _, _ async throws in
            let error = await #expect(throws: PosternError.self) {
                try await proxy.perform(try request("POST /v1/pauses", body: "{}"))
            }
            #expect(error?.detail.contains("whether MailerQ did what was asked is not known") == true)
        }
    }

    @Test(
        "a page cannot come back as one",
        arguments: [
            ("text/html", "application/octet-stream"), ("application/xhtml+xml", "application/octet-stream"),
            ("image/svg+xml", "application/octet-stream"), ("Application/JSON; charset=x", "application/json"),
            ("text/plain;x", "text/plain; charset=utf-8"), ("", "application/octet-stream"),
            ("application/json, text/html", "application/octet-stream"),
        ])
    func contentType(type: String, expected: String) async throws {
        try await with({ _ in .answer(status: 200, fields: [("Content-Type", type)]) }) { proxy, _, _ async throws in
            #expect(try await proxy.perform(try request("GET /v1/pauses")).contentType == expected)
        }
    }

    @Test("what changes something is logged with its caller, and what only reads is not")
    func log() async throws {
        try await with({ _ in .json("{}") }) { proxy, _, log async throws in
            _ = try await proxy.perform(try request("GET /v1/pauses"))
            #expect(log.lines.isEmpty)
            _ = try await proxy.perform(try request("POST /v1/pauses", body: "{}"))
            #expect(log.lines.count == 1)
            for part in ["POST /v1/pauses", "robot", "req_7", "200"] { #expect(log.lines[0].contains(part)) }
            #expect(!log.lines[0].contains("t0ken"))
        }
    }

    @Test("only so many wait for MailerQ at once")
    func crowd() async throws {
        try await with({ _ in .silence }) { proxy, _, _ async throws in
            let codes = await withTaskGroup(of: ErrorCode?.self) { group in
                for _ in 0..<40 {
                    group.addTask {
                        do throws(PosternError) {
                            guard let request = try? request("GET /v1/pauses") else { return nil }
                            _ = try await proxy.perform(request)
                            return nil
                        } catch { return error.code }
                    }
                }
                // Nobody is answered: whoever comes back at once had no room, and the others wait until they are told.
                var codes: [ErrorCode?] = []
                while codes.count < 8, let code = await group.next() { codes.append(code) }
                group.cancelAll()
                for await code in group { codes.append(code) }
                return codes
            }
            #expect(codes.prefix(8).allSatisfy { $0 == .overloaded })
            #expect(codes.dropFirst(8).allSatisfy { $0 == .mailerqUnavailable })
            #expect(codes.count == 40)
            #expect(proxy.summary.inFlight == 0)
        }
    }

    private final class Log: Sendable {
        private let written = Mutex<[String]>([])
        var lines: [String] { written.withLock { $0 } }

        func write(_ line: String) { written.withLock { $0.append(line) } }
    }

    private struct LogRecorder: LogHandler {
        let lines: Log
        var metadata = Logger.Metadata()
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { lines.write("\(event.level) \(event.message) \(event.metadata ?? [:])") }
    }

    private func with(
        timeout: Double = 30,
        _ script: @escaping ScriptedWebServer.Script,
        _ body: (MailerQProxy, ScriptedWebServer, Log) async throws -> Void
    ) async throws {
        try await ScriptedWebServer.with(script) { server in
            var configuration = WebClientConfiguration()
            configuration.responseLimit = 4096
            configuration.connectionsPerHost = 64
            let client = try WebClient(configuration: configuration)
            let log = Log()
            let proxy = MailerQProxy(
                operations: try .parse("GET /v1/pauses, POST /v1/pauses"), client: client,
                endpoint: try WebEndpoint.parse(server.url + "/mq").authorized(token: Secret("t0ken")),
                timeout: timeout, clock: clock, logger: Logger(label: "tests") { _ in LogRecorder(lines: log) })
            do {
                try await body(proxy, server, log)
                await client.shutdown()
            } catch {
                await client.shutdown()
                throw error
            }
        }
    }
}
