// The list of alerts as callers see it: their vault's, and for administrators the instance's.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import Sealing
import Store
import Testing

@testable import HTTPAPI

@Suite("GET /v1/alerts")
struct AlertListTests {
    private func key(_ scopes: Scopes, _ door: OpenDoor) async throws -> OpenDoor.Authorization {
        let request = CallerDirectory.KeyRequest(label: "k", kind: .tool, scopes: scopes)
        return .field("Bearer \(try await door.house.callers.issueKey(request, in: door.house.vault.id).text.reveal())")
    }

    /// One of the instance, one of the vault, one of its neighbour, and a closed one of the vault.
    private func fill(_ house: TestHouse) async throws {
        let alerts = AlertRepository(database: house.database)
        let other = try await house.neighbour().vault.id
        let now = house.clock.now()
        let rows: [(vault: VaultID?, closedAt: Timestamp?)] = [
            (nil, nil), (house.vault.id, nil), (other, nil), (house.vault.id, now),
        ]
        for (number, row) in rows.enumerated() {
            try await alerts.record(
                Alert(
                    id: AlertID(high: 0, low: UInt64(number)), vault: row.vault, condition: .failureBacklog,
                    subject: "s\(number)", detail: "d\(number)", beganAt: now, openedAt: now.adding(seconds: 30),
                    closedAt: row.closedAt))
        }
    }

    private func subjects(_ answer: Answer) throws -> [String] {
        try #require(try answer.object["data"]?.arrayValue).compactMap { $0.objectValue?["subject"]?.stringValue }
    }

    @Test("open ones of the vault by default; the instance's for the scope admin; a neighbour's for nobody")
    func visibility() async throws {
        try await withDoor { door in
            try await fill(door.house)
            let (reader, admin) = (try await key(.read, door), try await key(.admin, door))
            for (who, query, expected) in [
                (reader, "", ["s1"]), (reader, "?state=closed", ["s3"]), (reader, "?state=all", ["s3", "s1"]),
                (admin, "", ["s1", "s0"]), (admin, "?state=open", ["s1", "s0"]),
                (admin, "?state=all", ["s3", "s1", "s0"]), (.key, "?state=all&limit=200", ["s3", "s1", "s0"]),
            ] {
                let answer = try await door.call(.get, "/v1/alerts\(query)", authorization: who)
                #expect(answer.status == 200, "\(query): \(answer.text)")
                #expect(try subjects(answer) == expected, "\(query): \(answer.text)")
            }
            let sender = try await door.call(.get, "/v1/alerts", authorization: try await key([.send, .amqp], door))
            #expect(sender.status == 403 && sender.code == "forbidden")
            #expect(try await door.call(.get, "/v1/alerts", authorization: .none).status == 401)
            #expect(try await door.call(.post, "/v1/alerts", "{}").status == 405)
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
            #expect(alerts.map { $0["state"]?.stringValue } == ["closed", "open", "open"])
            #expect(alerts.map { $0["closed_at"] } == [.string(now.description), .null, .null])
            #expect(alerts.map { $0["vault"] }.last == .null)
            #expect(alerts[0]["began_at"] == .string(now.description))
            #expect(alerts[0]["fix"]?.stringValue?.isEmpty == false)
            #expect(alerts[0]["docs"] == .string("docs/alerts.md#failure_backlog"))
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
            #expect(seen == ["s3", "s1", "s0"])
        }
    }

    @Test(
        "a query that says something else is refused",
        arguments: [
            "state=opened", "state=OPEN", "cursor=msg_0000000000000000", "cursor=x", "kind=broker_blocked", "limit=0",
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
        }
    }
}
