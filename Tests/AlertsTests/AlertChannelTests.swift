// What a webhook and a letter say, byte for byte where a program reads it.

import CoreTestSupport
import Crypto
import JSON
import Model
import Sealing
import Store
import Synchronization
import TestSupport
import Testing
import WebClient
import WebTestSupport

@testable import Alerts

private final class RecordingWebhook: AlertWebhook {
    private let requests = Mutex<[(body: [UInt8], headers: [String: String])]>([])
    private let status: Int

    init(status: Int = 200) { self.status = status }

    var last: (body: [UInt8], headers: [String: String])? { requests.withLock { $0.last } }

    func post(_ body: [UInt8], headers: [(name: String, value: String)]) async throws -> Int {
        requests.withLock { $0.append((body, Dictionary(uniqueKeysWithValues: headers.map { ($0.name, $0.value) }))) }
        return status
    }
}

private func notice(_ state: AlertNotice.State, vault: VaultID? = nil) -> AlertNotice {
    var alert = Alert(
        id: AlertID(high: 0, low: 7), vault: vault, condition: .brokerBlocked, subject: "rabbit:5672",
        detail: "the message broker takes nothing more: low on memory", beganAt: .at(0), openedAt: .at(30))
    if state == .closed { alert.closedAt = .at(630) }
    return AlertNotice(alert, state, instance: "mail.example.org")
}

@Suite("The webhook of alerts")
struct WebhookAlertChannelTests {
    @Test("an opening is posted as JSON with all that a program asks for")
    func opened() async throws {
        let webhook = RecordingWebhook(status: 204)
        let channel = WebhookAlertChannel(webhook, secret: nil, clock: ManualClock(.at(31)))
        try await channel.deliver(AlertMessage([notice(.opened)]))
        let request = try #require(webhook.last)
        #expect(
            request.headers == ["Content-Type": "application/json", "Idempotency-Key": "alr_0000000000000007-opened"])
        let object = try #require(try JSONParser.parse(request.body).objectValue)
        #expect(
            object.members.map(\.name) == [
                "id", "kind", "subject", "state", "severity", "detail", "at", "instance", "vault", "rule", "since",
                "is_open", "times", "resolved_by", "fix", "docs",
            ])
        #expect(object["id"] == .string("alr_0000000000000007"))
        #expect(object["kind"] == .string("broker_blocked"))
        #expect(object["state"] == .string("opened"))
        #expect(object["at"] == .string(Timestamp.at(30).description))
        #expect(object["since"] == .string(Timestamp.at(0).description))
        #expect(object["instance"] == .string("mail.example.org"))
        #expect(object["vault"] == .null)
        #expect(object["docs"] == .string("docs/alerts.md#broker_blocked"))
    }

    @Test("a closing has its own key and its own time")
    func closed() async throws {
        let webhook = RecordingWebhook()
        let vault = VaultID(high: 0, low: 1)
        try await WebhookAlertChannel(webhook, secret: nil, clock: ManualClock()).deliver(
            AlertMessage([notice(.closed, vault: vault)]))
        let request = try #require(webhook.last)
        #expect(request.headers["Idempotency-Key"] == "alr_0000000000000007-closed")
        let object = try #require(try JSONParser.parse(request.body).objectValue)
        #expect(object["state"] == .string("closed"))
        #expect(object["at"] == .string(Timestamp.at(630).description))
        #expect(object["vault"] == .string(vault.text))
    }

    @Test("with a secret the time and the body are signed, as a receiver can check")
    func signed() async throws {
        let webhook = RecordingWebhook()
        let secret = Secret("s3cret")
        let channel = WebhookAlertChannel(webhook, secret: secret, clock: ManualClock(.at(31)))
        try await channel.deliver(AlertMessage([notice(.opened)]))
        let request = try #require(webhook.last)
        let seconds = Timestamp.at(31).seconds
        let code = HMAC<SHA256>.authenticationCode(
            for: Array("\(seconds).".utf8) + request.body, using: SymmetricKey(data: Array("s3cret".utf8)))
        let signature = "t=\(seconds),v1=\(Digest.hexadecimal(Array(code)))"
        #expect(request.headers["Postern-Signature"] == signature)
        // printf '0.{}' | openssl dgst -sha256 -hmac key
        #expect(
            WebhookAlertChannel.signature(of: Array("{}".utf8), at: 0, secret: Secret("key"))
                == "t=0,v1=7314351dd949aa7ec06f50fc2c96e618291447672c9b7f10b49d1ce46dad00b3")
    }

    @Test("any answer but 2xx is no yes", arguments: [199, 301, 400, 401, 404, 429, 500, 503])
    func refused(status: Int) async throws {
        let channel = WebhookAlertChannel(RecordingWebhook(status: status), secret: nil, clock: ManualClock())
        let error = await #expect(throws: AlertChannelError.self) {
            try await channel.deliver(AlertMessage([notice(.opened)]))
        }
        #expect(error?.description == "the webhook answered \(status)")
    }

    @Test(
        "a notice arrives where the address points, query included and nothing added",
        arguments: ["/T0/B1/x?token=s3cret&b=%20", "/T0/B1", "/", "", "?token=s3cret"])
    func arrives(path: String) async throws {
        try await ScriptedWebServer.with({ _ in .json("{}", status: 202) }) { server in
            let client = try WebClient()
            let webhook = try WebClientWebhook(server.url + path, client: client)
            let channel = WebhookAlertChannel(webhook, secret: Secret("k"), clock: ManualClock())
            try await channel.deliver(AlertMessage([notice(.opened)]))
            await client.shutdown()
            let request = try #require(server.requests.first)
            #expect(request.line == "POST " + (path.hasPrefix("/") ? path : "/" + path))
            #expect(request.body == notice(.opened).json)
            #expect(request.field("Content-Type") == "application/json")
            #expect(request.field("Idempotency-Key") == "alr_0000000000000007-opened")
            #expect(request.field("Postern-Signature")?.hasPrefix("t=1800000000,v1=") == true)
            #expect(server.requests.count == 1)
        }
    }

    @Test("a redirect is not followed, and no failure names the address")
    func failures() async throws {
        let away: ScriptedWebServer.Script = { _ in
            .answer(status: 307, fields: [("Location", "http://127.0.0.1:1/s3cret")])
        }
        try await ScriptedWebServer.with(away) { server in
            let client = try WebClient()
            let webhook = try WebClientWebhook(server.url + "/s3cret", client: client)
            let redirected = await #expect(throws: WebError.self) { try await webhook.post([], headers: []) }
            #expect(redirected?.code == .redirected)
            let closed = try WebClientWebhook("http://127.0.0.1:1/s3cret", client: client)
            let unreachable = await #expect(throws: WebError.self) { try await closed.post([], headers: []) }
            #expect(unreachable?.code == .unreachable)
            for error in [redirected, unreachable] { #expect(error.map { "\($0)".contains("s3cret") } == false) }
            await client.shutdown()
            #expect(server.requests.count == 1)
        }
    }

    @Test("of an address only scheme, host and port are ever shown")
    func address() async throws {
        let client = try WebClient()
        let webhook = try WebClientWebhook("https://u:p@hooks.example.com:8443/T0/s3cret?token=s3cret", client: client)
        #expect("\(webhook)" == "https://hooks.example.com:8443")
        #expect(!String(reflecting: webhook).contains("s3cret"))
        for bad in [
            "", "hooks.example.com/x", "ftp://example.com", "https://", "https:///x", "https://example.com/a b",
            "https://example.com/\u{7}", "https://example.com/x#y", "https://exa mple.com", "https://example.com\\x",
            "https://example.com:99999/x", "https://example.com/\r\nX-Evil: 1",
        ] {
            let error = #expect(throws: WebError.self, "\(bad)") { try WebClientWebhook(bad, client: client) }
            #expect(error?.code == .invalidURL)
        }
        await client.shutdown()
    }
}

@Suite("Digests")
struct AlertDigestTests {
    private var notices: [AlertNotice] {
        let vault = VaultID(high: 0, low: 1)
        return [notice(.opened), notice(.closed), notice(.opened, vault: vault)]
    }

    @Test("a digest is one JSON document with every notice in it, under a key that a repetition has as well")
    func json() async throws {
        let webhook = RecordingWebhook()
        let channel = WebhookAlertChannel(webhook, secret: Secret("k"), clock: ManualClock(.at(31)))
        try await channel.deliver(AlertMessage(notices))
        let request = try #require(webhook.last)
        let object = try #require(try JSONParser.parse(request.body).objectValue)
        #expect(object.members.map(\.name) == ["kind", "instance", "at", "count", "alerts"])
        #expect(object["kind"] == .string("digest") && object["count"] == .integer(3))
        #expect(object["at"] == .string(Timestamp.at(630).description))
        let alerts = try #require(object["alerts"]?.arrayValue)
        #expect(alerts == (try notices.map { try JSONParser.parse($0.json) }))
        let key = try #require(request.headers["Idempotency-Key"])
        #expect(key.hasPrefix("digest-") && key == AlertMessage(notices).key)
        #expect(key != AlertMessage(notices.dropLast()).key)
        #expect(request.headers["Postern-Signature"]?.hasPrefix("t=") == true)
    }

    @Test("a digest of one is the notice itself")
    func single() {
        let message = AlertMessage([notice(.opened)])
        #expect(message.key == notice(.opened).key && message.json == notice(.opened).json)
        #expect(message.heading == notice(.opened).heading && message.text == notice(.opened).text)
    }

    @Test("as a letter it counts what is open and what is over, and lists each")
    func letter() {
        let message = AlertMessage(notices)
        #expect(message.heading == "Postern mail.example.org: 3 notices of alerts (1 open, 1 over)")
        for notice in notices { #expect(message.text.contains(notice.alert.detail)) }
        #expect(message.text.contains("over: the message broker takes nothing more"))
    }
}

@Suite("The text of alerts")
struct AlertTextTests {
    @Test("a letter says what is wrong, since when, and what to do", arguments: AlertCondition.allCases)
    func opened(condition: AlertCondition) {
        let alert = Alert(
            id: AlertID(high: 0, low: 7), vault: nil, condition: condition, subject: "x", detail: "some detail",
            beganAt: .at(0), openedAt: .at(30))
        let notice = AlertNotice(alert, .opened, instance: "mail.example.org")
        #expect(notice.heading.hasPrefix("Postern mail.example.org: "))
        for part in [
            condition.title, "some detail", "since      \(Timestamp.at(0))", condition.fix,
            "docs/alerts.md#\(condition.rawValue)", "alr_0000000000000007",
        ] {
            #expect(notice.text.contains(part))
        }
    }

    @Test("a letter of an end says from when to when, and asks for nothing")
    func closed() {
        let notice = notice(.closed)
        #expect(notice.heading.contains("over"))
        #expect(notice.text.contains("since      \(Timestamp.at(0))"))
        #expect(notice.text.contains("until      \(Timestamp.at(630))"))
        #expect(!notice.text.contains("What to do"))
    }

    @Test("a summary says how often it came, how it stands, and what to do", arguments: [true, false])
    func summary(isOpen: Bool) {
        var alert = notice(isOpen ? .opened : .closed).alert
        (alert.times, alert.toldTimes) = (7, 7)
        let notice = AlertNotice(alert, .summary, instance: "mail.example.org")
        #expect(notice.key == "alr_0000000000000007-summary-7")
        #expect(notice.text.contains("7 times") && notice.text.contains(isOpen ? "It is open now" : "It is over now"))
        #expect(notice.text.contains(AlertCondition.brokerBlocked.fix))
        #expect(notice.heading.contains(isOpen ? ": again: " : "over now"))
    }

    @Test("who resolved it stands in the letter, on one line whatever the label is")
    func byHand() {
        var alert = notice(.closed).alert
        alert.resolvedBy = AlertHand(id: "key_1", label: "ada\r\n\r\nPay to: x\u{202E}")
        let text = AlertNotice(alert, .closed, instance: "mail.example.org").text
        #expect(text.contains("ada    Pay to: x  says that it is over."))
    }

    @Test("a peer's words are one line, of a bounded length, and turn nothing around")
    func hostile() {
        let words =
            "a\r\nBcc: evil@example.com\u{0}\u{1B}[2J\u{202E}\u{2028}\u{FEFF}b" + String(repeating: "x", count: 9_999)
        let finding = AlertFinding(.brokerBlocked, subject: words, detail: words)
        for text in [finding.subject, finding.detail] {
            #expect(text.hasPrefix("a  Bcc: evil@example.com  [2J   b"))
            #expect(!text.unicodeScalars.contains { $0.value < 0x20 || $0.properties.generalCategory == .format })
        }
        #expect(finding.subject.unicodeScalars.count == 200 && finding.detail.unicodeScalars.count == 1_000)
    }
}
