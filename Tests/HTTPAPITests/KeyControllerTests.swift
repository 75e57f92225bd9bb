// Keys over HTTP: what a request may ask for, what is shown, and that a key cannot make a stronger one.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import SQL
import Store
import Testing

@testable import HTTPAPI

@Suite("Keys over HTTP")
struct KeyControllerTests {
    private func issue(_ door: OpenDoor, _ body: String, by key: String? = nil) async throws -> Answer {
        try await door.call(
            .post, "/v1/keys", authorization: key.map { .field("Bearer \($0)") } ?? .key, body)
    }

    private func pointers(_ answer: Answer) throws -> [String] {
        try (answer.object["errors"]?.arrayValue ?? []).compactMap { $0.objectValue?["pointer"]?.stringValue }
    }

    @Test("a key with every field is shown with every field, and its text this once")
    func everyField() async throws {
        try await withDoor { door in
            let made = try await issue(
                door,
                #"{"label":"bill-1","kind":"agent","scopes":["send","read"],"label_prefix":"bill-","read_only":true,"#
                    + #""sender_domains":["acme.com","*.acme.com"],"allowed_ips":["::ffff:192.0.2.7","2001:db8::/32"],"#
                    + #""send_rate_limit":10,"ip_pool":"warm","expires_at":"2999-01-01T00:00:00Z"}"#)
            #expect(made.status == 201)
            let shown = try await door.call(.get, "/v1/keys/\(made.string("id"))")
            for answer in [made, shown] {
                let key = try answer.object
                #expect(key["allowed_ips"] == .array([.string("192.0.2.7"), .string("2001:db8::/32")]))
                #expect(key["send_rate_limit"] == .integer(10) && key["burst_ceiling"] == .integer(10))
                #expect(key["temporary"] == .bool(false) && key["retiring_until"] == .null)
                #expect(key["label_prefix"] == .string("bill-") && key["ip_pool"] == .string("warm"))
                #expect(key["agent"] == key["id"] && key["kind"] == .string("agent"))
                #expect(key["parent"]?.stringValue?.hasPrefix("key_") == true)
            }
            #expect(try made.string("key").hasPrefix("ak_") && shown.object["key"] == nil)
        }
    }

    @Test(
        "a request that contradicts itself or the rules is refused, with the field",
        arguments: [
            (#""label":"x","scopes":[]"#, "/scopes"), (#""label":"x","scopes":["send","root"]"#, "/scopes/1"),
            (#""label":"x""#, "/scopes"), (#""scopes":["send"]"#, "/label"),
            (#""label":"","scopes":["send"]"#, "/label"),
            (#""label":"a\u0000b","scopes":["send"]"#, "/label"), (#""label":"a\u202eb","scopes":["send"]"#, "/label"),
            (#""label":"a\u2028b","scopes":["send"]"#, "/label"),
            (#""label":"x","scopes":["send"],"sender_domains":[]"#, "/sender_domains"),
            (#""label":"x","scopes":["send"],"sender_domains":["a.example","no domain"]"#, "/sender_domains/1"),
            (#""label":"x","scopes":["send"],"allowed_ips":[]"#, "/allowed_ips"),
            (#""label":"x","scopes":["send"],"allowed_ips":"192.0.2.1""#, "/allowed_ips"),
            (#""label":"x","scopes":["send"],"allowed_ips":["192.0.2.1/24"]"#, "/allowed_ips/0"),
            (#""label":"x","scopes":["send"],"label_prefix":"""#, "/label_prefix"),
            (#""label":"x","scopes":["send"],"label_prefix":"y""#, "/label"),
            (#""label":"x","scopes":["send"],"send_rate_limit":0"#, "/send_rate_limit"),
            (#""label":"x","scopes":["send"],"send_rate_limit":1000000001"#, "/send_rate_limit"),
            (#""label":"x","scopes":["send"],"burst_ceiling":5"#, "/burst_ceiling"),
            (#""label":"x","scopes":["send"],"expires_in":299"#, "/expires_in"),
            (#""label":"x","scopes":["send"],"expires_in":604801"#, "/expires_in"),
            (#""label":"x","scopes":["send"],"expires_in":300,"expires_at":"2999-01-01T00:00:00Z""#, "/expires_in"),
            (#""label":"x","scopes":["send"],"expires_at":"1999-01-01T00:00:00Z""#, "/expires_at"),
            (#""label":"x","scopes":["send"],"kind":"root""#, "/kind"),
            (#""label":"x","scopes":["send"],"temporary":true"#, "/temporary"),
            (#""label":"x","scopes":["send"],"parent":null"#, "/parent"),
            (#""label":"x","scopes":["send"],"agent":"key_0000000000000000""#, "/agent"),
        ])
    func invalid(_ members: String, _ pointer: String) async throws {
        try await withDoor { door in
            let answer = try await issue(door, "{\(members)}")
            #expect(answer.status == 422)
            #expect(try pointers(answer) == [pointer])
        }
    }

    @Test("a list of a hundred networks is taken, and one more is not; what is named twice is kept once")
    func longLists() async throws {
        try await withDoor { door in
            func body(_ count: Int) -> String {
                let list = (0..<count).map { "\"10.0.0.\($0)\"" }.joined(separator: ",")
                return "{\"label\":\"x\",\"scopes\":[\"send\"],\"allowed_ips\":[\(list)]}"
            }
            #expect(try await issue(door, body(100)).status == 201)
            #expect(try await pointers(issue(door, body(101))) == ["/allowed_ips"])
            let twice = try await issue(
                door, #"{"label":"x","scopes":["send"],"allowed_ips":["10.0.0.1","::ffff:10.0.0.1","10.0.0.1/32"]}"#)
            #expect(try twice.object["allowed_ips"] == .array([.string("10.0.0.1")]))
        }
    }

    @Test("a child's fields that reach further are refused by name, all at once")
    func widening() async throws {
        try await withDoor { door in
            let parent = try await issue(
                door,
                #"{"label":"bill-0","scopes":["send","read","admin"],"label_prefix":"bill-","#
                    + #""sender_domains":["acme.com"],"send_rate_limit":5}"#
            )
            let key = try parent.string("key")
            let refused = try await issue(
                door, #"{"label":"bill-1","scopes":["amqp"],"sender_domains":["*.acme.com"],"label_prefix":"bil"}"#,
                by: key)
            #expect(refused.status == 403 && refused.code == "forbidden")
            #expect(try pointers(refused) == ["/scopes", "/sender_domains", "/label_prefix"])
            let child = try await issue(door, #"{"label":"bill-1","scopes":["send"]}"#, by: key)
            #expect(child.status == 201)
            #expect(try child.object["parent"] == parent.object["id"])
            #expect(try child.object["sender_domains"] == parent.object["sender_domains"])
            #expect(try child.object["send_rate_limit"] == .null, "its own; the parent's holds as well")
        }
    }

    @Test("what an agent's key issues is the agent's, also where the kind is not said")
    func agents() async throws {
        try await withDoor { door in
            let agent = try await issue(door, #"{"label":"a","kind":"agent","scopes":["admin","send"]}"#)
            let child = try await issue(door, #"{"label":"b","scopes":["send"]}"#, by: agent.string("key"))
            #expect(try child.string("kind") == "agent" && child.string("agent") == agent.string("id"))
            let tool = try await issue(
                door, #"{"label":"b","kind":"tool","scopes":["send"]}"#, by: agent.string("key"))
            #expect(tool.status == 403)
            #expect(try pointers(tool) == ["/kind"])
        }
    }

    @Test("a temporary key says so, and can neither issue keys nor be rotated")
    func temporary() async throws {
        try await withDoor { door in
            let made = try await issue(door, #"{"label":"t","scopes":["admin","send"],"expires_in":300}"#)
            #expect(try made.object["temporary"] == .bool(true))
            #expect(try made.string("expires_at") == door.house.clock.now().adding(seconds: 300).description)
            #expect(try await issue(door, #"{"label":"c","scopes":["send"]}"#, by: made.string("key")).status == 403)
            let rotated = try await door.call(.post, "/v1/keys/\(made.string("id"))/rotate")
            #expect(rotated.status == 409 && rotated.code == "conflict")
            door.house.clock.advance(seconds: 300)
            let late = try await door.call(
                .get, "/v1/me", authorization: .field("Bearer \(made.string("key"))"))
            #expect(late.status == 401)
        }
    }

    @Test("a rotation with overlap shows until when the old text goes on")
    func rotation() async throws {
        try await withDoor { door in
            let made = try await issue(door, #"{"label":"r","scopes":["read"]}"#)
            let path = "/v1/keys/\(try made.string("id"))/rotate"
            for body in [#"{"overlap_seconds":-1}"#, #"{"overlap_seconds":604801}"#, #"{"overlap_seconds":"1"}"#] {
                #expect(try await pointers(door.call(.post, path, body)) == ["/overlap_seconds"])
            }
            #expect(try await door.call(.post, path, #"{"overlap":1}"#).status == 422)
            let rotated = try await door.call(.post, path, #"{"overlap_seconds":60}"#)
            let until = door.house.clock.now().adding(seconds: 60).description
            #expect(try rotated.string("retiring_until") == until)
            for key in [try made.string("key"), try rotated.string("key")] {
                #expect(try await door.call(.get, "/v1/me", authorization: .field("Bearer \(key)")).status == 200)
            }
            #expect(try await door.call(.get, "/v1/keys/\(made.string("id"))").string("retiring_until") == until)
            #expect(try await door.call(.post, path, "{}").object["retiring_until"] == .null)
            #expect(try await door.call(.post, path).status == 200)
            #expect(
                try await door.call(.get, "/v1/me", authorization: .field("Bearer \(made.string("key"))")).status == 401
            )
        }
    }

    @Test("only the label of a key can change, and a request for more says so")
    func relabelling() async throws {
        try await withDoor { door in
            let made = try await issue(door, #"{"label":"old","scopes":["read"]}"#)
            let path = "/v1/keys/\(try made.string("id"))"
            let changed = try await door.call(.patch, path, #"{"label":"new"}"#)
            #expect(try changed.status == 200 && changed.string("label") == "new" && changed.object["key"] == nil)
            for body in [#"{"label":"x","scopes":["send"]}"#, #"{"read_only":false}"#, "{}", #"{"label":null}"#] {
                let refused = try await door.call(.patch, path, body)
                #expect(refused.status == 422)
                #expect(try refused.string("fix").contains("Only the label"))
            }
            #expect(try await door.call(.get, path).string("label") == "new")
            let unknown = try await door.call(.patch, "/v1/keys/key_0000000000000000", #"{"label":"x"}"#)
            #expect(unknown.status == 404)
        }
    }

    @Test("revoking ends the children, and each change is in the audit log with who and how")
    func revoking() async throws {
        try await withDoor { door in
            let parent = try await issue(door, #"{"label":"p","scopes":["admin","send"]}"#)
            let child = try await issue(door, #"{"label":"c","scopes":["send"]}"#, by: parent.string("key"))
            let before = try await door.house.database.count("audit_records")
            #expect(try await door.call(.delete, "/v1/keys/\(parent.string("id"))").status == 204)
            let dead = try await door.call(.get, "/v1/me", authorization: .field("Bearer \(child.string("key"))"))
            #expect(dead.status == 401)
            #expect(try await door.house.database.count("audit_records") == before + 2)
            let records = try await door.house.database.read { connection in
                try connection.rows(
                    "SELECT action, actor_label, resource, before_value, after_value FROM audit_records ORDER BY id"
                ).map { "\($0.values)" }
            }.suffix(3)
            #expect(records.allSatisfy { $0.contains("key.write") })
            #expect(records.first?.contains(#""p""#) == true, "the child was made by its parent")
            for key in [parent, child] {
                let secret = String(try key.string("key").suffix(43))
                #expect(!records.joined().contains(secret))
                #expect(try records.joined().contains(key.string("id")))
            }
        }
    }

    @Test("a key that works from elsewhere only is refused as a wrong one is")
    func allowlist() async throws {
        try await withDoor { door in
            let made = try await issue(door, #"{"label":"r","scopes":["read"],"allowed_ips":["192.0.2.1"]}"#)
            let elsewhere = try await door.call(
                .get, "/v1/me", authorization: .field("Bearer \(made.string("key"))"))
            let wrong = try await door.call(
                .get, "/v1/me",
                authorization: .field("Bearer \(made.string("key").dropLast(3))xyz"))
            #expect(elsewhere.status == 401)
            #expect(try elsewhere.string("detail") == wrong.string("detail"))
        }
    }
}
