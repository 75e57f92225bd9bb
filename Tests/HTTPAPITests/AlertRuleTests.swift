// Alert rules over HTTP: made, read, changed and deleted, strictly, each vault for itself.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import Sealing
import Store
import Testing

@testable import HTTPAPI

@Suite("Alert rules over HTTP")
struct AlertRuleTests {
    private static let mail = #""from":"alerts@example.com","recipients":["ops@example.net"]"#

    @Test("a rule's whole life, with an entry in the audit log for each step")
    func wholeLife() async throws {
        try await withDoor { door in
            let made = try await door.call(
                .post, "/v1/alert-rules", #"{"condition":"bounce_rate","threshold":5,\#(Self.mail)}"#)
            #expect(made.status == 201, "\(made.text)")
            let id = try made.string("id")
            let description = try await door.call(.get, "/openapi.json", authorization: .none).object
            let schema = description["components"]?.objectValue?["schemas"]?.objectValue?["AlertRule"]?.objectValue
            let promised = try #require(schema?["properties"]?.objectValue).members.map(\.name)
            #expect(try made.object.members.map(\.name) == promised)
            #expect(try made.object["threshold"] == .integer(5) && made.object["minimum"] == .integer(50))
            #expect(try made.object["channels"] == .array([.string("email")]))
            #expect(try await door.call(.get, "/v1/alert-rules/\(id)").object == made.object)
            let changed = try await door.call(
                .patch, "/v1/alert-rules/\(id)", #"{"threshold":null,"is_enabled":false}"#)
            #expect(changed.status == 200)
            #expect(try changed.object["threshold"] == .integer(10) && changed.object["is_enabled"] == .bool(false))
            #expect(try await door.call(.delete, "/v1/alert-rules/\(id)").status == 204)
            #expect(try await door.call(.delete, "/v1/alert-rules/\(id)").status == 404)
            #expect(try await door.call(.get, "/v1/alert-rules/\(id)").status == 404)
            #expect(try await door.call(.patch, "/v1/alert-rules/\(id)", #"{"threshold":3}"#).status == 404)
            let audits = try await door.house.database.count(
                "audit_records", where: "action = 'alert_rule.write' AND resource = '\(id)'")
            #expect(audits == 3)
        }
    }

    @Test("the list has the rules, and what holds where there is none")
    func list() async throws {
        try await withDoor { door in
            _ = try await door.call(.post, "/v1/alert-rules", #"{"condition":"refusals"}"#)
            let mine = try await door.call(.get, "/v1/alert-rules").object
            let own = try #require(mine["data"]?.arrayValue).compactMap { $0.objectValue?["condition"]?.stringValue }
            #expect(own == ["refusals"])
            func inherited(_ list: JSONObject) throws -> [String: Bool] {
                try #require(list["inherited"]?.arrayValue).compactMap(\.objectValue).reduce(into: [:]) { all, rule in
                    all[rule["condition"]?.stringValue ?? ""] = rule["is_in_force"]?.boolValue
                }
            }
            #expect(
                try inherited(mine) == [
                    "failure_backlog": true, "publish_stalled": true, "runaway_cut_off": true, "bounce_rate": true,
                    "refusals": false,
                ])
            // What the operator tells whom is not shown to vaults.
            #expect(!text(mine).contains("webhook"))
            let token = try await door.signIn(.owner, in: [:]).token
            let owner = OpenDoor.Authorization.field("Bearer \(token)")
            let off = #"{"condition":"bounce_rate","is_enabled":false}"#
            #expect(try await door.call(.post, "/api/alert-rules", authorization: owner, off).status == 201)
            let instance = try await door.call(.get, "/api/alert-rules", authorization: owner).object
            #expect(try inherited(instance).count == AlertCondition.allCases.count)
            #expect(try inherited(instance)["bounce_rate"] == false)
            // A vault without a rule of its own has what the instance says.
            #expect(try inherited(await door.call(.get, "/v1/alert-rules").object)["bounce_rate"] == nil)
            #expect(try await door.call(.get, "/v1/alert-rules?limit=1").status == 422)
        }
    }

    @Test(
        "what a rule cannot say is refused, with the place",
        arguments: [
            (#"{}"#, "/condition"), (#"{"condition":"broker_unreachable"}"#, "/condition"),
            (#"{"condition":"refusals","channels":["webhook"]}"#, "/channels"),
            (#"{"condition":"refusals","url":"http://169.254.169.254/"}"#, "/url"),
            (#"{"condition":"refusals","webhook":"http://10.0.0.1/"}"#, "/webhook"),
            (#"{"condition":"refusals","vault":"vlt_0000000000000001"}"#, "/vault"),
            (#"{"condition":"refusals","id":"rul_0000000000000001"}"#, "/id"),
            (#"{"condition":"refusals","from":"alerts@elsewhere.example","recipients":["ops@example.net"]}"#, "/from"),
            (#"{"condition":"refusals","threshold":0}"#, "/threshold"),
        ])
    func refused(body: String, pointer: String) async throws {
        try await withDoor { door in
            let answer = try await door.call(.post, "/v1/alert-rules", body)
            #expect(answer.status == 422 && answer.code == "validation_failed", "\(answer.text)")
            let errors = try #require(try answer.object["errors"]?.arrayValue).compactMap(\.objectValue)
            #expect(errors.map { $0["pointer"]?.stringValue } == [pointer])
            #expect(try await door.house.database.count("alert_rules") == 0)
        }
    }

    @Test("nobody reaches another's rules, and who may read may not write")
    func others() async throws {
        try await withDoor { door in
            let house = door.house
            let other = try await house.neighbour().vault.id
            let now = house.clock.now()
            let rules = AlertRuleRepository(database: house.database)
            let scopes: [AlertScope] = [.vault(other), .instance]
            var ids: [String] = []
            for scope in scopes {
                let rule = AlertRule(
                    id: house.ids.next(), vault: scope.vault, condition: .refusals, createdAt: now, updatedAt: now)
                try await rules.insert(rule, in: scope, audit: house.audit(.alertRuleWrite))
                ids.append(rule.id.text)
            }
            for id in ids {
                #expect(try await door.call(.get, "/v1/alert-rules/\(id)").status == 404)
                #expect(try await door.call(.patch, "/v1/alert-rules/\(id)", #"{"is_enabled":false}"#).status == 404)
                #expect(try await door.call(.delete, "/v1/alert-rules/\(id)").status == 404)
            }
            #expect(try await rules.all().rules.count { $0.isEnabled } == 2)
            let request = CallerDirectory.KeyRequest(label: "k", kind: .tool, scopes: .read)
            let text = try await house.callers.issueKey(request, in: house.vault.id).text.reveal()
            let reader = OpenDoor.Authorization.field("Bearer \(text)")
            #expect(try await door.call(.get, "/v1/alert-rules", authorization: reader).status == 200)
            let written = try await door.call(
                .post, "/v1/alert-rules", authorization: reader, #"{"condition":"refusals"}"#)
            #expect(written.status == 403)
            // The instance's rules are its owners' to write; its admins read them; no key does either.
            let token = try await door.signIn(.admin, in: [:]).token
            let admin = OpenDoor.Authorization.field("Bearer \(token)")
            #expect(try await door.call(.get, "/api/alert-rules", authorization: admin).status == 200)
            let tried = try await door.call(
                .post, "/api/alert-rules", authorization: admin, #"{"condition":"refusals"}"#)
            #expect(tried.status == 403)
            #expect(try await door.call(.get, "/api/alert-rules").status == 403)
        }
    }

    private func text(_ object: JSONObject) -> String {
        String(decoding: JSONWriter.write(.object(object)), as: UTF8.self)
    }
}
