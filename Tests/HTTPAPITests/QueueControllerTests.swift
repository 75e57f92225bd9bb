// Queues over HTTP: the picture, the backlog, and repairs that are done once and in their own vault only.

import Broker
import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Logging
import Model
import Outbox
import Sealing
import Store
import Testing

@testable import HTTPAPI

@Suite("Queues over HTTP")
struct QueueControllerTests {
    private static func broker(
        _ readings: [String: PassiveReading?],
        connections: [BrokerConnection] = []
    ) async -> QueueHealth {
        let health = QueueHealth(
            configuration: .init(queues: [.outbox: "out", .failure: "bad"]), management: nil,
            inspect: { _ in readings },
            connections: { connections }, clock: ManualClock(),
            logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() })
        await health.look()
        return health
    }

    /// Lets a message end as bounced.
    @discardableResult
    private func fail(
        _ house: TestHouse,
        to recipient: String = "ann@example.net",
        code: Int? = 550,
        by caller: Caller? = nil
    ) async throws -> MessageID {
        let id = try await house.accept(by: caller) { $0.recipients = [recipient] }[0]
        let move = MessageMove(
            message: id, vault: (caller ?? house.caller).vault, status: .bounced,
            event: house.event(.bounced, attempt: 1), outbox: .remove, reply: Foreign("no such user"), code: code,
            enhancedCode: "5.1.1")
        try await MessageRepository(database: house.database).move([move])
        return id
    }

    @Test("without a broker the list says so, and the backlog is counted all the same")
    func off() async throws {
        try await withDoor { door async throws in
            try await fail(door.house)
            let answer = try await door.call(.get, "/v1/queues")
            #expect(answer.status == 200)
            #expect(try answer.string("status") == "off")
            #expect(try answer.object["queues"]?.arrayValue == [])
            #expect(try answer.object["failures_waiting"] == .integer(1))
        }
    }

    @Test("the picture has each queue with what is known of it, and null for the rest")
    func picture() async throws {
        let broker = await Self.broker(
            ["out": PassiveReading(ready: 14, consumers: 1), "bad": nil],
            connections: [BrokerConnection(name: "publisher", state: .connected, detail: "RabbitMQ 3.10.8")])
        try await withDoor(broker: broker) { door async throws in
            let answer = try await door.call(.get, "/v1/queues").object
            #expect(answer["status"] == .string("ok"))
            #expect(answer["checked_at"]?.stringValue != nil)
            let queues = try #require(answer["queues"]?.arrayValue).compactMap(\.objectValue)
            #expect(
                queues.first
                    == JSONObject([
                        "role": .string("outbox"), "name": .string("out"), "type": .null, "ready": .integer(14),
                        "unacknowledged": .null, "consumers": .integer(1), "publish_rate": .null,
                        "consume_rate": .null, "health": .string("healthy"), "detail": .string("14 are ready"),
                        "source": .string("passive"),
                    ]))
            #expect(queues.last?["health"] == .string("missing"))
            #expect(answer["connections"]?.arrayValue?.first?.objectValue?["state"] == .string("connected"))
        }
    }

    @Test("readiness shows the broker to strangers, without names or reasons, and does not depend on it")
    func readiness() async throws {
        let connections = [BrokerConnection(name: "publisher", state: .connecting, detail: "no route to secret-host")]
        let broker = await Self.broker(
            ["out": PassiveReading(ready: 2, consumers: 0), "bad": nil], connections: connections)
        try await withDoor(broker: broker) { door async throws in
            let answer = try await door.call(.get, "/readyz", authorization: .none)
            #expect(answer.status == 200)
            #expect(try answer.string("status") == "ready")
            let state = try #require(answer.object["checks"]?.objectValue?["broker"]?.objectValue)
            #expect(state["status"] == .string("down"))
            #expect(
                state["outbox"]
                    == .object(
                        JSONObject(["health": .string("backlog"), "ready": .integer(2), "unacknowledged": .null])))
            for word in ["secret-host", "\"out\"", "\"bad\"", "publisher"] { #expect(!answer.text.contains(word)) }
        }
        try await withDoor { door async throws in
            let checks = try await door.call(.get, "/readyz", authorization: .none).object["checks"]?.objectValue
            #expect(checks?["broker"] == .object(JSONObject(["status": .string("off")])))
        }
    }

    @Test("the backlog is listed page by page, with the filters of a repair")
    func list() async throws {
        try await withDoor { door async throws in
            var expected: [String] = []
            for number in 0..<5 {
                expected.append(try await fail(door.house, code: number == 4 ? 451 : 550).text)
                door.house.clock.advance(seconds: 10)
            }
            var (seen, cursor): ([String], String) = ([], "")
            repeat {
                let page = try await door.call(.get, "/v1/queues/failure?limit=2\(cursor)").object
                seen += try #require(page["data"]?.arrayValue).compactMap { $0.objectValue?["message"]?.stringValue }
                cursor = page["next_cursor"]?.stringValue.map { "&cursor=\($0)" } ?? ""
            } while !cursor.isEmpty
            #expect(seen == expected)
            func count(_ query: String) async throws -> Int? {
                try await door.call(.get, "/v1/queues/failure?\(query)").object["data"]?.arrayValue?.count
            }
            #expect(try await count("code=4xx") == 1)
            #expect(try await count("code=550&domain=EXAMPLE.net") == 4)
            #expect(try await count("older_than=45") == 1)
            #expect(try await count("older_than=1h") == 0)
            let failure = try #require(
                try await door.call(.get, "/v1/queues/failure?code=451").object["data"]?.arrayValue?.first?.objectValue)
            #expect(failure["code"] == .integer(451))
            #expect(failure["reason"] == .string("no such user"))
            // Whom it was for stands in the message log, which takes another scope.
            #expect(!failure.members.contains { $0.value.stringValue?.contains("ann@") == true })
        }
    }

    @Test(
        "a filter that is none is refused",
        arguments: [
            "code=6xx", "code=5x", "domain=a..b", "older_than=-1", "older_than=1w", "cursor=x", "limit=0", "x=1",
        ])
    func badFilter(query: String) async throws {
        try await withDoor { door async throws in
            let answer = try await door.call(.get, "/v1/queues/failure?\(query)")
            #expect((answer.status, answer.code) == (422, "validation_failed"))
        }
    }

    @Test("a dry run counts by kind and does nothing")
    func dryRun() async throws {
        try await withDoor { door async throws in
            for domain in ["a.example", "a.example", "b.example"] { try await fail(door.house, to: "x@\(domain)") }
            for action in ["drain", "requeue"] {
                let answer = try await door.call(.post, "/v1/queues/failure/\(action)", #"{"dry_run":true,"limit":1}"#)
                let kind = { (domain: String, count: Int64) in
                    JSONValue.object(
                        JSONObject(["code": .integer(550), "domain": .string(domain), "count": .integer(count)]))
                }
                #expect(
                    try answer.object
                        == JSONObject([
                            "action": .string(action), "dry_run": .bool(true), "matched": .integer(3),
                            "done": .integer(0), "skipped": .integer(0), "remaining": .integer(3),
                            "kinds": .array([kind("a.example", 2), kind("b.example", 1)]),
                        ]))
            }
            #expect(try await door.house.database.count("failures") == 3)
            #expect(try await door.house.database.count("outbox") == 0)
        }
    }

    @Test("draining takes what matches up to the limit, and the story says who did it")
    func drain() async throws {
        try await withDoor { door async throws in
            let ids = [try await fail(door.house), try await fail(door.house), try await fail(door.house, code: 451)]
            let answer = try await door.call(.post, "/v1/queues/failure/drain", #"{"code":550,"limit":1}"#)
            #expect(try answer.object["done"] == .integer(1))
            #expect(try answer.object["remaining"] == .integer(1))
            let story = try await door.call(.get, "/v1/messages/\(ids[0])/events").object["data"]?.arrayValue
            let last = try #require(story?.last?.objectValue)
            #expect(last["type"] == .string("drained"))
            #expect(last["detail"]?.objectValue?["by"] == .string("tests"))
            #expect(last["attempt"] == .integer(0))
            #expect(try await door.house.database.count("failures") == 2)
        }
    }

    @Test("requeueing puts back into the outbox, wakes the dispatcher, and a second time finds nothing")
    func requeue() async throws {
        try await withDoor { door async throws in
            let id = try await fail(door.house)
            let first = try await door.call(.post, "/v1/queues/failure/requeue", #"{"older_than":"0s"}"#)
            #expect(try first.object["done"] == .integer(1))
            #expect(try await door.call(.get, "/v1/messages/\(id)").string("status") == "queued")
            var signals = door.signal.signals.makeAsyncIterator()
            #expect(await signals.next() != nil)
            let second = try await door.call(.post, "/v1/queues/failure/requeue", "{}")
            #expect(try second.object["matched"] == .integer(0))
            #expect(try await door.house.database.count("outbox") == 1)
        }
    }

    @Test("the same key and body is answered once more without doing anything, another body is a conflict")
    func idempotency() async throws {
        try await withDoor { door async throws in
            let key = [HTTPField.Name.idempotencyKey: "night-shift"]
            let path = "/v1/queues/failure/drain"
            try await fail(door.house)
            let first = try await door.call(.post, path, headers: key, "{}")
            try await fail(door.house)
            let again = try await door.call(.post, path, headers: key, "{}")
            #expect(first.headers[.idempotencyReplayed] == nil)
            #expect(again.headers[.idempotencyReplayed] == "true")
            #expect(again.text == first.text)
            #expect(try await door.house.database.count("failures") == 1)
            let other = try await door.call(.post, path, headers: key, #"{"limit":5}"#)
            #expect((other.status, other.code) == (409, "idempotency_conflict"))
            // The same body for another action is another call.
            let action = try await door.call(.post, "/v1/queues/failure/requeue", headers: key, "{}")
            #expect((action.status, action.code) == (409, "idempotency_conflict"))
            #expect(try await door.house.database.count("failures") == 1)
        }
    }

    @Test("more than one chunk is one call")
    func chunks() async throws {
        try await withDoor { door async throws in
            let caller = door.house.caller
            for _ in 0..<3 {
                let recipients = (0..<200).map { "r\($0)@example.net" }
                let ids = try await door.house.accept(by: caller) { $0.recipients = recipients }
                try await MessageRepository(database: door.house.database).move(
                    ids.map { id in
                        MessageMove(
                            message: id, vault: caller.vault, status: .bounced, event: door.house.event(.bounced),
                            outbox: .remove, code: 550)
                    })
            }
            let key = [HTTPField.Name.idempotencyKey: "k"]
            let answer = try await door.call(.post, "/v1/queues/failure/requeue", headers: key, "{}")
            #expect(try answer.object["done"] == .integer(600))
            #expect(try answer.object["remaining"] == .integer(0))
            #expect(try await door.call(.post, "/v1/queues/failure/requeue", headers: key, "{}").text == answer.text)
            #expect(try await door.house.database.count("outbox") == 600)
        }
    }

    @Test(
        "a body that says something else is refused, and nothing is done",
        arguments: [
            "[]", #"{"code":"abc"}"#, #"{"code":5}"#, #"{"code":true}"#, #"{"domain":"a b"}"#, #"{"older_than":"x"}"#,
            #"{"older_than":-1}"#, #"{"older_than":99999999999}"#, #"{"limit":0}"#, #"{"limit":10001}"#,
            #"{"limit":"5"}"#, #"{"dry_run":"yes"}"#, #"{"codes":550}"#, #"{"all":true}"#,
        ])
    func badBody(body: String) async throws {
        try await withDoor { door async throws in
            try await fail(door.house)
            let answer = try await door.call(.post, "/v1/queues/failure/drain", body)
            #expect((answer.status, answer.code) == (422, "validation_failed"))
            #expect(try await door.call(.post, "/v1/queues/failure/drain?dry_run=1", "{}").status == 422)
            #expect(try await door.house.database.count("failures") == 1)
        }
    }

    @Test(
        "ages are seconds, or a number with a unit",
        arguments: [
            ("0", 0.0), ("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800), ("3650d", 315_360_000),
            ("3651d", nil), ("", nil), ("s", nil), ("-1", nil), ("1.5h", nil), ("1w", nil), ("٣", nil), ("1 h", nil),
        ])
    func ages(text: String, seconds: Double?) { #expect(RepairRequest.seconds(text) == seconds) }

    @Test("owners repair, others look: the scopes decide, and a read-only key changes nothing")
    func scopes() async throws {
        try await withDoor { door async throws in
            func status(_ scopes: Scopes, _ method: HTTPRequest.Method, _ path: String, isReadOnly: Bool = false)
                async throws -> Int
            {
                let request = CallerDirectory.KeyRequest(
                    label: "k", kind: .tool, scopes: scopes, isReadOnly: isReadOnly)
                let key = try await door.house.callers.issueKey(request, in: door.house.vault.id).text.reveal()
                return try await door.call(
                    method, path, authorization: .field("Bearer \(key)"), method == .post ? "{}" : ""
                ).status
            }
            for path in ["/v1/queues", "/v1/queues/failure"] {
                #expect(try await status(.amqp, .get, path) == 200)
                #expect(try await status(.admin, .get, path) == 200)
                #expect(try await status([.send, .read, .mailerq], .get, path) == 403)
            }
            #expect(try await status(.admin, .get, "/api/queues/orphans") == 403)
            for path in ["/v1/queues/failure/drain", "/v1/queues/failure/requeue"] {
                #expect(try await status([.amqp, .send, .read, .mailerq], .post, path) == 403)
                #expect(try await status(.admin, .post, path, isReadOnly: true) == 403)
                #expect(try await status(.admin, .post, path) == 200)
            }
        }
    }

    @Test("another vault's backlog is not there")
    func vaults() async throws {
        try await withDoor { door async throws in
            let neighbour = try await door.house.neighbour()
            try await fail(door.house, by: neighbour.caller)
            #expect(try await door.call(.get, "/v1/queues/failure").object["data"]?.arrayValue == [])
            #expect(try await door.call(.get, "/v1/queues").object["failures_waiting"] == .integer(0))
            let drained = try await door.call(.post, "/v1/queues/failure/drain", "{}")
            #expect(try drained.object["matched"] == .integer(0))
            #expect(try await door.house.database.count("failures") == 1)
        }
    }

    @Test("orphans are listed without the recipient and without the body")
    func orphans() async throws {
        try await withDoor { door async throws in
            let orphans = (0..<3).map { _ in
                Orphan(
                    id: door.house.ids.next(), queue: "success", reason: "no such message", reference: "msg_x",
                    recipientDomain: "example.net", code: 250, body: Array("ann@example.net".utf8),
                    receivedAt: door.house.clock.now())
            }
            try await OrphanRepository(database: door.house.database).insert(orphans)
            let admin = OpenDoor.Authorization.field("Bearer \(try await door.signIn(.admin, in: [:]).token)")
            let page = try await door.call(.get, "/api/queues/orphans?limit=2", authorization: admin)
            #expect(!page.text.contains("ann@"))
            let data = try #require(try page.object["data"]?.arrayValue).compactMap(\.objectValue)
            #expect(data.map { $0["id"]?.stringValue } == orphans.reversed().prefix(2).map(\.id.text))
            #expect(data.first?["recipient_domain"] == .string("example.net"))
            let cursor = try page.string("next_cursor")
            let rest = try await door.call(
                .get, "/api/queues/orphans?limit=2&cursor=\(cursor)", authorization: admin
            ).object["data"]?
            .arrayValue
            #expect(rest?.count == 1)
            #expect(try await door.call(.get, "/api/queues/orphans?cursor=x", authorization: admin).status == 422)
        }
    }
}
