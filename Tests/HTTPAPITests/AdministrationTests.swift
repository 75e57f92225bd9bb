// Settings, pools and the audit log through the door: what is shown, what is refused by name, and who did it.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import SQL
import Sealing
import Store
import Testing

@testable import HTTPAPI

@Suite("Administration through the HTTP door")
struct AdministrationTests {
    private func pointers(_ answer: Answer) throws -> [String?] {
        try (answer.object["errors"]?.arrayValue ?? []).map { $0.objectValue?["pointer"]?.stringValue }
    }

    @Test("every setting shows its value, its source and what it is")
    func settings() async throws {
        try await withDoor { door in
            let shown = try #require(try await door.call(.get, "/v1/settings").object["settings"]?.objectValue)
            #expect(shown.members.map(\.name) == Settings.all.map(\.key))
            for declaration in Settings.all {
                let setting = try #require(shown[declaration.key]?.objectValue)
                #expect(
                    setting.members.map(\.name) == ["value", "source", "environment", "type", "summary", "optional"])
                #expect(setting["type"] == .string(declaration.typeName))
                #expect(setting["optional"] == .bool(declaration.isOptional))
                #expect(
                    setting["environment"] == (declaration.isSecret ? .null : .string(declaration.environmentKey)))
            }
        }
    }

    @Test("a stored value that cannot be read is shown, refuses mail by its name, and can be replaced")
    func unreadable() async throws {
        try await withDoor { door in
            let vault = door.house.vault.id
            try await door.house.database.write { connection in
                try connection.execute(
                    """
                    INSERT INTO vault_settings (vault_id, key, value, updated_at)
                    VALUES (\(vault.text), 'send_rate_limit', '"ten"', 1)
                    """)
            }
            let message = #"{"from":"a@example.com","to":"b@example.net","subject":"s","text":"t"}"#
            let refused = try await door.call(.post, "/v1/messages", message)
            #expect((refused.status, refused.code) == (422, "setting_unset"))
            #expect(refused.text.contains("send_rate_limit") && refused.text.contains("cannot read"))
            let shown = try #require(try await door.call(.get, "/v1/settings").object["settings"]?.objectValue)
            let setting = try #require(shown["send_rate_limit"]?.objectValue)
            #expect(setting["value"] == .null && setting["source"] == .string("vault"))
            #expect(setting["unreadable"] == .string("ten"))
            #expect(shown["default_priority"]?.objectValue?["unreadable"] == nil)
            let explained = try await door.call(.get, "/v1/settings/send_rate_limit").object
            #expect(explained["unreadable"] == .string("ten") && explained["vault_value"] == .null)
            let mended = try await door.call(.patch, "/v1/settings", #"{"send_rate_limit":10}"#).object["settings"]
            #expect(mended?.objectValue?["send_rate_limit"]?.objectValue?["unreadable"] == nil)
            #expect(try await door.call(.post, "/v1/messages", message).status == 202)
        }
    }

    @Test("one setting shows both places where a value can stand, and since when the vault has its own")
    func explained() async throws {
        try await withDatabase { database in
            let house = try await TestHouse(
                database: database, instanceDefaults: ["default_priority": 9, "retention_days": 30])
            let door = try await OpenDoor(house)
            let own = try await door.call(.get, "/v1/settings/default_priority").object
            #expect(
                own.members.map(\.name) == [
                    "key", "value", "source", "vault_value", "instance_value", "environment", "type", "summary",
                    "optional",
                    "updated_at",
                ])
            #expect(own["value"] == .integer(5) && own["source"] == .string("vault"))
            #expect(own["vault_value"] == .integer(5) && own["instance_value"] == .integer(9))
            #expect(own["updated_at"] == .string(house.clock.now().description))
            let shared = try await door.call(.get, "/v1/settings/retention_days").object
            #expect(shared["value"] == .integer(30) && shared["source"] == .string("instance"))
            #expect(shared["vault_value"] == .null && shared["updated_at"] == .null)
            #expect(shared["environment"] == .string("POSTERN_DEFAULT_RETENTION_DAYS"))
            let secret = try await door.call(.get, "/v1/settings/smarthost_password").object
            #expect(secret["value"] == .object(JSONObject(["set": .bool(false)])) && secret["environment"] == .null)
            #expect(secret["vault_value"] == secret["value"] && secret["instance_value"] == .null)
            for name in ["default_priorit", "%00", "DEFAULT_PRIORITY"] {
                #expect(try await door.call(.get, "/v1/settings/\(name)").code == "not_found")
            }
        }
    }

    @Test("a change that does not go with the others is refused by name, and changes nothing")
    func wholeSettings() async throws {
        try await withDoor { door in
            let refused = [
                (#"{"burst_ceiling":5}"#, ["/burst_ceiling"]),
                (#"{"default_envelope_strategy":"fixed"}"#, ["/default_envelope_strategy"]),
                (#"{"ip_pool_strategy":"fixed:none"}"#, ["/ip_pool_strategy"]),
                (#"{"no_such":1,"retention_days":0,"default_priority":1}"#, ["/no_such", "/retention_days"]),
                (#"{"auth_mode":{"default":"both","/v1/keys":"smtp"}}"#, ["/auth_mode"]),
            ]
            for (body, expected) in refused {
                let answer = try await door.call(.patch, "/v1/settings", body)
                #expect((answer.status, answer.code) == (422, "validation_failed"))
                #expect(try pointers(answer) == expected)
            }
            #expect(try await door.call(.get, "/v1/settings/default_priority").object["value"] == .integer(5))
            let modes = #"{"auth_mode":{"default":"both","/v1/send":"api_key"}}"#
            #expect(try await door.call(.patch, "/v1/settings", modes).status == 200)
        }
    }

    @Test("addresses of a pool are written in one way, each once, and can be given another order")
    func poolAddresses() async throws {
        try await withDoor { door in
            func ips(_ answer: Answer) throws -> JSONValue? { try answer.object["ips"] }
            let body = #"{"domain":"BÜCHER.example","pool":"warm","ips":["2001:DB8:0:0::1","192.0.2.1"]}"#
            let made = try await door.call(.post, "/v1/ip-pools", body)
            #expect(made.status == 201)
            #expect(try made.string("domain") == "xn--bcher-kva.example")
            #expect(try ips(made) == ["2001:db8::1", "192.0.2.1"].json)
            let path = "/v1/ip-pools/\(try made.string("id"))"
            let turned = try await door.call(.patch, path, #"{"ips":["192.0.2.1","2001:db8::1"]}"#)
            #expect(try ips(turned) == ["192.0.2.1", "2001:db8::1"].json)
            #expect(try turned.string("pool") == "warm")
            #expect(try await door.call(.patch, path, #"{"pool":"cold"}"#).string("pool") == "cold")
            let put = #"{"domain":"example.org","pool":"new","ips":["192.0.2.9"]}"#
            #expect(try await door.call(.put, path, put).string("domain") == "example.org")
            let refused: [(String, [String])] = [
                (#"{"ips":["192.0.2.1","2001:db8::1","2001:DB8::0:1"]}"#, ["/ips/2"]),
                (#"{"ips":["x","192.0.2.1","192.0.2.1","192.0.2.01"]}"#, ["/ips/0", "/ips/2", "/ips/3"]),
                (#"{"ips":["192.0.2.1\u0000"]}"#, ["/ips/0"]), (#"{"ips":[]}"#, ["/ips"]),
                (#"{"ips":[1]}"#, ["/ips/0"]),
                (#"{"ips":null}"#, ["/ips"]), (#"{"pool":" a"}"#, ["/pool"]), (#"{"domain":"-"}"#, ["/domain"]),
                (#"{}"#, [""]), (#"{"order":[2,1]}"#, ["/order"]),
            ]
            for (body, expected) in refused {
                let answer = try await door.call(.patch, path, body)
                #expect((answer.status, answer.code) == (422, "validation_failed"), "\(body)")
                #expect(try pointers(answer) == expected, "\(body)")
            }
            #expect(try await door.call(.put, path, #"{"pool":"x"}"#).code == "validation_failed")
            #expect(try await door.call(.get, path).string("pool") == "new")
            let stranger = "/v1/ip-pools/pool_0000000000000000"
            #expect(try await door.call(.patch, stranger, #"{"pool":"x"}"#).code == "not_found")
        }
    }

    @Test("the pool that all mail leaves from cannot be deleted or renamed")
    func fixedPool() async throws {
        try await withDoor { door in
            let body = #"{"domain":"example.com","pool":"warm","ips":["192.0.2.1"]}"#
            let path = "/v1/ip-pools/\(try await door.call(.post, "/v1/ip-pools", body).string("id"))"
            #expect(try await door.call(.patch, "/v1/settings", #"{"ip_pool_strategy":"fixed:warm"}"#).status == 200)
            #expect(try await door.call(.delete, path).code == "conflict")
            #expect(try await door.call(.patch, path, #"{"pool":"cold"}"#).code == "conflict")
            #expect(try await door.call(.patch, path, #"{"ips":["192.0.2.2"]}"#).status == 200)
            #expect(try await door.call(.patch, "/v1/settings", #"{"ip_pool_strategy":"none"}"#).status == 200)
            #expect(try await door.call(.delete, path).status == 204)
        }
    }

    @Test("the audit log says who changed what, by which request, newest first")
    func audit() async throws {
        try await withDoor { door in
            let patch = try await door.call(
                .patch, "/v1/settings", #"{"default_priority":7,"smarthost_password":"hunter2 x"}"#)
            let pool = #"{"domain":"example.com","pool":"warm","ips":["192.0.2.1"]}"#
            let id = try await door.call(.post, "/v1/ip-pools", pool).string("id")
            let listed = try await door.call(.get, "/v1/audit?limit=2")
            let entries = try #require(try listed.object["data"]?.arrayValue).compactMap(\.objectValue)
            #expect(entries.map { $0["action"] } == [.string("pool.write"), .string("settings.write")])
            #expect(entries[0]["resource"] == .string(id) && entries[0]["before"] == .null)
            #expect(entries[0]["after"]?.objectValue?["ips"] == ["192.0.2.1"].json)
            let set = entries[1]["after"]?.objectValue
            #expect(set?["default_priority"] == .integer(7))
            #expect(set?["smarthost_password"] == .object(JSONObject(["set": .bool(true)])))
            #expect(entries[1]["before"]?.objectValue?["default_priority"] == .integer(5))
            #expect(!listed.text.contains("hunter2"))
            #expect(entries[1]["actor_label"] == .string("tests") && entries[1]["door"] == .string("http"))
            #expect(entries[1]["actor"]?.stringValue?.hasPrefix("key_") == true)
            let request = patch.headers[HTTPField.Name("X-Request-Id")!]
            #expect(request != nil && entries[1]["request_id"]?.stringValue == request)
            let narrowed = try await door.call(.get, "/v1/audit?action=pool.write&resource=\(id)&actor=tests").object
            #expect(narrowed["data"]?.arrayValue?.count == 1)
            let next = try #require(try listed.object["next_cursor"]?.stringValue)
            let rest = try await door.call(.get, "/v1/audit?limit=200&cursor=\(next)").text
            #expect(!rest.contains(id) && !rest.contains("\"default_priority\":7"))
        }
    }

    @Test(
        "a filter that means nothing is refused, not passed over",
        arguments: [
            "action=settings", "cursor=msg_0000000000000000", "cursor=x", "since=yesterday", "limit=0", "actr=x",
            "actor=%00", "resource=a%00b",
        ])
    func strictAudit(_ query: String) async throws {
        try await withDoor { door in
            let answer = try await door.call(.get, "/v1/audit?\(query)")
            if query.contains("%00") {
                // No actor is called so: nothing is found, on both engines.
                let found = answer.status == 422 ? [] : try answer.object["data"]?.arrayValue
                #expect(found == [], "\(answer.text)")
            } else {
                #expect(answer.code == "validation_failed", "\(answer.text)")
            }
        }
    }

    @Test("reading the audit log takes the scope admin, and reading settings does not")
    func scopes() async throws {
        try await withDoor { door in
            let request = CallerDirectory.KeyRequest(label: "reader", kind: .tool, scopes: [.read, .send])
            let key = try await door.house.callers.issueKey(request, in: door.house.vault.id).text.reveal()
            let reader = OpenDoor.Authorization.field("Bearer \(key)")
            #expect(try await door.call(.get, "/v1/audit", authorization: reader).code == "forbidden")
            #expect(try await door.call(.get, "/v1/settings/route", authorization: reader).status == 200)
            #expect(try await door.call(.patch, "/v1/settings", authorization: reader, "{}").code == "forbidden")
        }
    }
}
