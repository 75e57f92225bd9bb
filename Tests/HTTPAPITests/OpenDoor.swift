// The HTTP door over a test's vault, without a socket: requests go through the router as a server would send them.

import Broker
import CoreTestSupport
import Gate
import HTTPTypes
import Hummingbird
import JSON
import Logging
import MIME
import MailerQREST
import Model
import NIOCore
import NIOEmbedded
import Outbox
import Rates
import SQL
import Sealing
import Store
import Testing

@testable import HTTPAPI

struct OpenDoor {
    let house: TestHouse
    let api: HTTPAPI
    /// A key with every scope.
    let key: String
    let signal = OutboxSignal()
    private let responder: RouterResponder<APIContext>

    init(
        _ house: TestHouse,
        isGatewayEnabled: Bool = true,
        broker: QueueHealth? = nil,
        mailerq: MailerQProxy? = nil
    ) async throws {
        let outbox = OutboxRepository(database: house.database, owner: "tests")
        let disk = DiskSpace(path: "/tmp", minimum: 0, clock: house.clock)
        self.house = house
        api = HTTPAPI(
            configuration: HTTPAPI.Configuration(
                host: "127.0.0.1", port: 0, publicURL: "https://postern.example.com",
                isGatewayEnabled: isGatewayEnabled, idleTimeout: 60, connections: 16),
            services: HTTPAPI.Services(
                pipeline: house.pipeline(), database: house.database, vaults: house.vaults, callers: house.callers,
                authenticator: house.authenticator, gate: Gate(),
                limiter: RateLimiter(
                    database: house.database, isShared: false, clock: house.clock, logger: Logger(label: "tests")),
                readiness: Readiness(database: house.database, outbox: outbox, disk: disk, broker: broker),
                signal: signal, clock: house.clock, ids: house.ids, metrics: { Array("up 1\n".utf8) }, broker: broker,
                mailerq: mailerq))
        let request = CallerDirectory.KeyRequest(label: "tests", kind: .tool, scopes: .all)
        key = try await house.callers.issueKey(request, in: house.vault.id).text.reveal()
        responder = api.router().buildResponder()
    }

    /// - Parameters:
    ///   - authorization: the field's value; `nil` sends none. Default: the key.
    ///   - type: the Content-Type; `nil` sends none.
    func call(
        _ method: HTTPRequest.Method,
        _ path: String,
        authorization: Authorization = .key,
        type: String? = "application/json",
        headers: [HTTPField.Name: String] = [:],
        _ body: String = ""
    ) async throws -> Answer {
        var fields = HTTPFields()
        switch authorization {
        case .key: fields[.authorization] = "Bearer \(key)"
        case .field(let value): fields[.authorization] = value
        case .none: break
        }
        if !body.isEmpty { fields[.contentType] = type }
        for (name, value) in headers { fields[name] = value }
        let head = HTTPRequest(method: method, scheme: "http", authority: "localhost", path: path, headerFields: fields)
        let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(string: body)))
        let source = ApplicationRequestContextSource(
            channel: NIOAsyncTestingChannel(), logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() })
        return try await Answer(try await responder.respond(to: request, context: APIContext(source: source)))
    }

    enum Authorization {
        case key
        case field(String)
        case none

        static func basic(_ text: String) -> Authorization { .field("Basic \(text.base64)") }
    }
}

struct Answer {
    let status: Int
    let headers: HTTPFields
    let text: String

    init(_ response: Response) async throws {
        status = response.status.code
        headers = response.headers
        let writer = Collector()
        try await response.body.write(writer)
        text = String(buffer: writer.bytes)
    }

    /// The answer as a JSON object.
    var object: JSONObject {
        get throws { try #require(try JSONParser.parse(text).objectValue) }
    }

    func string(_ name: String) throws -> String { try #require(try object[name]?.stringValue) }

    /// The code of a problem document.
    var code: String? { (try? object)?["code"]?.stringValue }
}

private final class Collector: ResponseBodyWriter {
    private(set) var bytes = ByteBuffer()

    func write(_ buffer: ByteBuffer) { bytes.writeImmutableBuffer(buffer) }
    func finish(_ trailingHeaders: HTTPFields?) {}
}

/// A door over a house of its own.
func withDoor(
    isGatewayEnabled: Bool = true,
    settings: JSONObject = TestHouse.settings,
    broker: QueueHealth? = nil,
    mailerq: MailerQProxy? = nil,
    _ body: (OpenDoor) async throws -> Void
) async throws {
    try await withHouse(settings: settings) { house in
        try await body(OpenDoor(house, isGatewayEnabled: isGatewayEnabled, broker: broker, mailerq: mailerq))
    }
}

extension String {
    var base64: String { String(decoding: Base64.encode(Array(utf8)), as: UTF8.self) }
}
