// Alerts as keys, members and the people of the instance see them, and what each of them may say about one.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import Sealing
import Store
import Testing

@testable import HTTPAPI

@Suite("Alerts over HTTP")
struct AlertListTests {
    private func key(_ scopes: Scopes, _ door: OpenDoor) async throws -> OpenDoor.Authorization {
        let request = CallerDirectory.KeyRequest(label: "k", kind: .tool, scopes: scopes)
        return .field("Bearer \(try await door.house.callers.issueKey(request, in: door.house.vault.id).text.reveal())")
    }

    private func person(_ role: InstanceRole, _ door: OpenDoor) async throws -> OpenDoor.Authorization {
        .field("Bearer \(try await door.signIn(role, in: [:]).token)")
    }

    private func id(_ number: UInt64) -> String { AlertID(high: 0, low: number).text }

    /// One of the instance, one of the vault, one of its neighbour, a closed one of the vault, one of the vault's own rule.
    private func fill(_ house: TestHouse) async throws {
        let alerts = AlertRepository(database: house.database)
        let other = try await house.neighbour().vault.id
        let now = house.clock.now()
        let rows: [(vault: VaultID?, audience: AlertAudience, closedAt: Timestamp?)] = [
            (nil, .instance, nil), (house.vault.id, .instance, nil), (other, .instance, nil),
            (house.vault.id, .instance, now), (house.vault.id, .vault, nil),
        ]
        for (number, row) in rows.enumerated() {
            try await alerts.record(
                Alert(
                    id: AlertID(high: 0, low: UInt64(number)), vault: row.vault, audience: row.audience,
                    condition: number == 0 ? .brokerUnreachable : .runaway,
                    severity: number == 1 ? .warning : .critical, subject: "s\(number)", detail: "d\(number)",
                    beganAt: now, openedAt: now.adding(seconds: 30), closedAt: row.closedAt))
        }
    }

    private func subjects(_ answer: Answer) throws -> [String] {
        try #require(try answer.object["data"]?.arrayValue).compactMap { $0.objectValue?["subject"]?.stringValue }
    }

    @Test("keys see what is about their vault and never the instance's, whatever their scopes; its people see those")
    func visibility() async throws {
        try await withDoor { door in
            try await fill(door.house)
            let (reader, admin) = (try await key(.read, door), try await key(.admin, door))
            for (who, query, expected) in [
                (reader, "", ["s4", "s1"]), (reader, "?state=resolved", ["s3"]),
                (reader, "?state=all", ["s4", "s3", "s1"]), (admin, "", ["s4", "s1"]),
                (admin, "?state=open&severity=warning", ["s1"]), (admin, "?kind=broker_unreachable&state=all", []),
                (.key, "?state=all&limit=200", ["s4", "s3", "s1"]), (.key, "?state=acknowledged", []),
            ] {
                let answer = try await door.call(.get, "/v1/alerts\(query)", authorization: who)
                #expect(answer.status == 200, "\(query): \(answer.text)")
                #expect(try subjects(answer) == expected, "\(query): \(answer.text)")
            }
            let people = try await person(.admin, door)
            for path in ["/api/alerts", "/api/engine/alerts"] {
                #expect(try subjects(await door.call(.get, path, authorization: people)) == ["s2", "s1", "s0"])
            }
            let sender = try await door.call(.get, "/v1/alerts", authorization: try await key([.send, .amqp], door))
            #expect(sender.status == 403 && sender.code == "forbidden")
            #expect(try await door.call(.get, "/v1/alerts", authorization: .none).status == 401)
            #expect(try await door.call(.post, "/v1/alerts", "{}").status == 405)
            #expect(try await door.call(.get, "/api/alerts").status == 403)
            let member = try await person(.member, door)
            #expect(try await door.call(.get, "/api/alerts", authorization: member).status == 403)
        }
    }

    @Test("an alert has the members that the description promises, and says what to do")
    func members() async throws {
        try await withDoor { door in
            try await fill(door.house)
            let answer = try await door.call(.get, "/v1/alerts?state=all")
            let alerts = try #require(try answer.object["data"]?.arrayValue).compactMap(\.objectValue)
            let description = try await door.call(.get, "/openapi.json", authorization: .none).object
            let schema = description["components"]?.objectValue?["schemas"]?.objectValue?["Alert"]?.objectValue
            let promised = try #require(schema?["properties"]?.objectValue).members.map(\.name)
            #expect(alerts.count == 3 && alerts.allSatisfy { $0.members.map(\.name) == promised })
            let kinds = description["components"]?.objectValue?["schemas"]?.objectValue?["AlertKind"]?.objectValue
            #expect(kinds?["enum"]?.arrayValue == AlertCondition.allCases.map { .string($0.rawValue) })
            let now = door.house.clock.now()
            #expect(alerts.map { $0["state"]?.stringValue } == ["open", "resolved", "open"])
            #expect(alerts.map { $0["closed_at"] } == [.null, .string(now.description), .null])
            #expect(alerts.map { $0["audience"]?.stringValue } == ["vault", "instance", "instance"])
            #expect(alerts[0]["began_at"] == .string(now.description))
            #expect(alerts[0]["fix"]?.stringValue?.isEmpty == false)
            #expect(alerts[0]["docs"] == .string("docs/alerts.md#runaway_cut_off"))
            let one = try await door.call(.get, "/v1/alerts/\(id(1))")
            #expect(try one.object == alerts[2])
        }
    }

    @Test("acknowledging says who, when and what; the second one hears of the first")
    func acknowledges() async throws {
        try await withDoor { door in
            try await fill(door.house)
            let (ada, token) = try await door.signIn(.admin, in: [:])
            let people = OpenDoor.Authorization.field("Bearer \(token)")
            let path = "/api/alerts/\(id(1))/acknowledge"
            let first = try await door.call(.post, path, authorization: people, #"{"note":"on it"}"#)
            #expect(first.status == 200, "\(first.text)")
            #expect(try first.string("state") == "acknowledged" && first.string("note") == "on it")
            let hand = JSONObject(["id": .string(ada.id.text), "label": .string(ada.email)])
            #expect(try first.object["acknowledged_by"] == .object(hand))
            let second = try await door.call(.post, path, authorization: people)
            #expect(second.status == 200)
            #expect(try second.object == first.object)
            // The vault that it is about sees who it was, and has no say.
            #expect(try await door.call(.get, "/v1/alerts/\(id(1))").object == first.object)
            let tenant = try await door.call(.post, "/v1/alerts/\(id(1))/acknowledge")
            #expect(tenant.status == 403 && tenant.code == "forbidden")
            let audits = try await door.house.database.count(
                "audit_records",
                where:
                    "action = 'alert.acknowledge' AND outcome = 'done' AND vault_id IS NULL AND actor_id = '\(ada.id)'")
            #expect(audits == 1)
        }
    }

    @Test("what lingers can be resolved; what is over when its cause is cannot, and says what to do instead")
    func resolves() async throws {
        try await withDoor { door in
            try await fill(door.house)
            let done = try await door.call(.post, "/v1/alerts/\(id(4))/resolve", #"{"note":"key revoked"}"#)
            #expect(done.status == 200, "\(done.text)")
            #expect(try done.string("state") == "resolved" && done.string("note") == "key revoked")
            #expect(try done.object["resolved_by"]?.objectValue?["label"] == .string("tests"))
            #expect(try await door.call(.post, "/v1/alerts/\(id(4))/resolve").status == 200)
            let late = try await door.call(.post, "/v1/alerts/\(id(4))/acknowledge")
            #expect(late.status == 409 && late.code == "conflict")
            let people = try await person(.owner, door)
            let broker = try await door.call(.post, "/api/alerts/\(id(0))/resolve", authorization: people)
            #expect(broker.status == 409 && broker.text.contains("acknowledge"))
            let over = try await door.call(.post, "/api/alerts/\(id(3))/resolve", authorization: people)
            #expect(over.status == 409)
            #expect(try await door.call(.post, "/v1/alerts/\(id(1))/resolve").status == 403)
        }
    }

    @Test("what belongs to others is not there, and reading is not deciding")
    func others() async throws {
        try await withDoor { door in
            try await fill(door.house)
            let reader = try await key(.read, door)
            let people = try await person(.admin, door)
            for verb in ["", "/acknowledge", "/resolve"] {
                let method: HTTPRequest.Method = verb.isEmpty ? .get : .post
                for number: UInt64 in [0, 2, 99] {
                    let answer = try await door.call(method, "/v1/alerts/\(id(number))\(verb)")
                    #expect(answer.status == 404 && answer.code == "not_found", "\(number)\(verb)")
                }
                #expect(try await door.call(method, "/v1/alerts/msg_1\(verb)").status == 404)
                // A vault's own rule is the vault's own business.
                #expect(try await door.call(method, "/api/alerts/\(id(4))\(verb)", authorization: people).status == 404)
                guard !verb.isEmpty else { continue }
                #expect(try await door.call(method, "/v1/alerts/\(id(1))\(verb)", authorization: reader).status == 403)
                #expect(try await door.call(method, "/api/alerts/\(id(1))\(verb)").status == 403)
            }
        }
    }

    @Test(
        "a decision with something else in its body is refused",
        arguments: [#"{"note":""}"#, #"{"note":7}"#, #"{"by":"root"}"#, #"{"note":"x","state":"open"}"#, "[]", "7"])
    func strictBody(body: String) async throws {
        try await withDoor { door in
            try await fill(door.house)
            let answer = try await door.call(.post, "/v1/alerts/\(id(1))/acknowledge", body)
            #expect(answer.status == 422 && answer.code == "validation_failed")
            let long = #"{"note":"\#(String(repeating: "x", count: 1_001))"}"#
            #expect(try await door.call(.post, "/v1/alerts/\(id(1))/acknowledge", long).status == 422)
        }
    }

    @Test("pages follow each other")
    func pages() async throws {
        try await withDoor { door in
            try await fill(door.house)
            var seen: [String] = []
            var path = "/v1/alerts?state=all&limit=2"
            while true {
                let answer = try await door.call(.get, path)
                seen += try subjects(answer)
                guard let cursor = try answer.object["next_cursor"]?.stringValue else { break }
                path = "/v1/alerts?state=all&limit=2&cursor=\(cursor)"
            }
            #expect(seen == ["s4", "s3", "s1"])
        }
    }

    @Test(
        "a query that says something else is refused",
        arguments: [
            "state=opened", "state=closed", "state=OPEN", "cursor=msg_0000000000000000", "cursor=x", "kind=weather",
            "severity=fatal", "vault=x", "limit=0",
        ])
    func refused(query: String) async throws {
        try await withDoor { door in
            let answer = try await door.call(.get, "/v1/alerts?\(query)")
            #expect(answer.status == 422 && answer.code == "validation_failed")
        }
    }

    @Test("alerts are there while the gateway is switched off")
    func gatewayOff() async throws {
        try await withDoor(isGatewayEnabled: false) { door async throws in
            #expect(try await door.call(.get, "/v1/alerts").status == 200)
            #expect(try await door.call(.get, "/v1/alert-rules").status == 200)
        }
    }
}
