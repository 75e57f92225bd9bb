// The HTTP door over a test's vault, without a socket: requests go through the router as a server would send them.

import Alerts
import Audit
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
import People
import Rates
import SQL
import Sealing
import Store
import Testing
import Vaults

@testable import HTTPAPI

struct OpenDoor {
    let house: TestHouse
    let api: HTTPAPI
    /// A key with every scope.
    let key: String
    let signal = OutboxSignal()
    let people: HTTPAPI.PeopleServices
    let refusals: RefusalRecorder
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
        let logger = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
        let limiter = RateLimiter(database: house.database, isShared: false, clock: house.clock, logger: logger)
        let usage = UsageRecorder(database: house.database, clock: house.clock, logger: logger)
        let key = try await InstanceKey.open(
            database: house.database, masterKey: house.masterKey, clock: house.clock)
        let configuration = PeopleConfiguration(publicURL: "https://postern.example.com")
        let sessions = await SessionKeeper(
            database: house.database, instanceKey: key, configuration: configuration, clock: house.clock,
            ids: house.ids,
            logger: logger)
        let (desk, accounts) = (SignInDesk(sessions: sessions), AccountKeeper(sessions: sessions, mail: nil))
        people = HTTPAPI.PeopleServices(
            signIn: desk, sessions: sessions, accounts: accounts,
            directory: PeopleDirectory(
                database: house.database, vaults: house.vaults, sessions: sessions, accounts: accounts, desk: desk,
                mail: nil, configuration: configuration, clock: house.clock, ids: house.ids, logger: logger),
            singleSignOn: nil)
        refusals = RefusalRecorder(database: house.database, ids: house.ids, clock: house.clock, logger: logger)
        let verifier = AuditVerifier(
            database: house.database, key: AuditSealKey(key.derived(AuditSealKey.purpose)), clock: house.clock)
        api = HTTPAPI(
            configuration: HTTPAPI.Configuration(
                host: "127.0.0.1", port: 0, publicURL: "https://postern.example.com",
                isGatewayEnabled: isGatewayEnabled, idleTimeout: 60, connections: 16, people: configuration,
                switches: HTTPAPI.Switches(
                    version: "test", isShared: false, isGatewayEnabled: isGatewayEnabled, isInboundSMTPEnabled: true,
                    isLiveSendEnabled: true, requiresSecondFactor: false)),
            services: HTTPAPI.Services(
                pipeline: house.pipeline(), database: house.database, vaults: house.vaults,
                calls: CallMeter(vaults: house.vaults, limiter: limiter, usage: usage), callers: house.callers,
                authenticator: house.authenticator, people: people, gate: Gate(clock: house.clock), refusals: refusals,
                auditVerifier: verifier, alerts: AlertDefaults(), limiter: limiter,
                readiness: Readiness(database: house.database, outbox: outbox, disk: disk, broker: broker),
                signal: signal, clock: house.clock, ids: house.ids, metrics: { Array("up 1\n".utf8) }, broker: broker,
                mailerq: mailerq))
        let request = CallerDirectory.KeyRequest(label: "tests", kind: .tool, scopes: .all)
        self.key = try await house.callers.issueKey(request, in: house.vault.id).text.reveal()
        responder = api.router().buildResponder()
    }

    /// A person who has just signed in.
    func signIn(
        _ role: InstanceRole,
        in memberships: [VaultID: VaultRole],
        method: Person.Method = .secondFactor
    ) async throws -> (person: Person, token: String) {
        let now = house.clock.now()
        let id: UserID = house.ids.next()
        let email = "\(id)@example.com"
        try await house.database.write { connection in
            try connection.execute(
                """
                INSERT INTO users (id, email, email_key, name, role, is_active, created_at, updated_at)
                VALUES (\(id.text), \(email), \(email), 'Somebody', \(role.rawValue), 1, \(now.milliseconds),
                    \(now.milliseconds))
                """)
            for (vault, role) in memberships {
                try connection.execute(
                    """
                    INSERT INTO memberships (vault_id, user_id, role, source, created_at, updated_at)
                    VALUES (\(vault.text), \(id.text), \(role.rawValue), 'people', \(now.milliseconds),
                        \(now.milliseconds))
                    """)
            }
        }
        let user = try #require(try await UserRepository(database: house.database).find(id))
        let signedIn = try await people.signIn.begin(user, method: method, visit: Visit(), detail: nil)
        return (signedIn.person, signedIn.accessToken.reveal())
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
