// The door as a whole: what every request goes through, and what no request gets past.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import Sealing
import Store
import Testing

@testable import HTTPAPI

@Suite("The HTTP door")
struct DoorTests {
    private static let message = #"{"from":"a@example.com","to":"b@example.org","subject":"Hi","text":"Hi"}"#

    @Test("a path that is not there is a problem document like any other error")
    func unknownPath() async throws {
        try await withDoor { door in
            let answer = try await door.call(.get, "/v1/nothing")
            #expect((answer.status, answer.code) == (404, "not_found"))
            #expect(try answer.string("docs") == "https://postern.example.com/docs/errors#not_found")
            #expect(answer.headers[.contentType]?.hasPrefix("application/problem+json") == true)
        }
    }

    @Test("a known path with another method is 405 and says which methods there are (RFC 9110 §15.5.6)")
    func otherMethod() async throws {
        try await withDoor { door in
            let answer = try await door.call(.delete, "/v1/messages")
            #expect((answer.status, answer.code) == (405, "method_not_allowed"))
            #expect(answer.headers[.allow] == "GET, HEAD, POST")
        }
    }

    @Test("HEAD answers wherever GET does, without a body")
    func head() async throws {
        try await withDoor { door in
            let answer = try await door.call(.head, "/healthz", authorization: .none)
            #expect((answer.status, answer.text) == (200, ""))
        }
    }

    @Test("a request's own id comes back, in the field and in the problem")
    func requestID() async throws {
        try await withDoor { door in
            let answer = try await door.call(.get, "/v1/nothing", headers: [.requestID: "trace-7"])
            #expect(answer.headers[.requestID] == "trace-7")
            #expect(try answer.string("request_id") == "trace-7")
        }
    }

    @Test("a request's id that is empty, endless or not a word is replaced")
    func hostileRequestID() async throws {
        try await withDoor { door in
            for id in ["", "two words", "é", String(repeating: "x", count: 129)] {
                let answer = try await door.call(.get, "/healthz", headers: [.requestID: id])
                #expect(answer.headers[.requestID]?.hasPrefix("req_") == true, "\(id)")
            }
        }
    }

    @Test("with the gateway off its paths are not there, and the others are")
    func gatewayOff() async throws {
        try await withDoor(isGatewayEnabled: false) { door async throws in
            for endpoint in door.api.endpoints where endpoint.isGateway {
                let path = endpoint.path.replacing("{id}", with: "msg_0000000000000000")
                #expect(try await door.call(endpoint.method, path).status == 404, "\(endpoint.method) \(path)")
            }
            for path in ["/v1/me", "/v1/keys", "/v1/settings", "/healthz", "/readyz", "/metrics"] {
                #expect(try await door.call(.get, path).status == 200, "\(path)")
            }
        }
    }

    @Test("every endpoint refuses a caller without credentials, and a key without the scope")
    func gate() async throws {
        try await withDoor { door in
            let scopeless = try await door.house.callers.issueKey(
                .init(label: "scopeless", kind: .tool, scopes: []), in: door.house.vault.id
            ).text.reveal()
            for endpoint in door.api.endpoints {
                guard case .vault = endpoint.subject else { continue }
                let path = endpoint.path.replacing("{id}", with: "msg_0000000000000000")
                let stranger = try await door.call(endpoint.method, path, authorization: .none, "{}")
                #expect(stranger.status == 401, "\(endpoint.method) \(path)")
                guard endpoint.action.rule.scopes?.isEmpty == false else { continue }
                let denied = try await door.call(
                    endpoint.method, path, authorization: .field("Bearer \(scopeless)"), "{}")
                #expect((denied.status, denied.code) == (403, "forbidden"), "\(endpoint.method) \(path)")
            }
        }
    }

    @Test("a message of another vault is not found, like one that never was")
    func otherVault() async throws {
        try await withDoor { door in
            let id = try await door.call(.post, "/v1/messages", Self.message).string("id")
            let neighbour = try await door.house.neighbour().vault.id
            let key = try await door.house.callers.issueKey(.init(label: "n", kind: .tool, scopes: .all), in: neighbour)
            let authorization = OpenDoor.Authorization.field("Bearer \(key.text.reveal())")
            #expect(try await door.call(.get, "/v1/messages/\(id)").status == 200)
            for (method, rest) in [(HTTPRequest.Method.get, ""), (.get, "/events"), (.get, "/raw"), (.post, "/cancel")]
            {
                let theirs = try await door.call(method, "/v1/messages/\(id)\(rest)", authorization: authorization)
                let nobodys = try await door.call(method, "/v1/messages/msg_0000000000000000\(rest)")
                #expect((theirs.status, theirs.code) == (404, "not_found"))
                #expect(try theirs.string("detail") == nobodys.string("detail"))
            }
        }
    }

    @Test("an id that is malformed names nothing")
    func malformedID() async throws {
        try await withDoor { door async throws in
            for id in [
                "x", "msg_", "key_0000000000000000", "msg_000000000000000", "MSG_0000000000000000", "%00", "..%2F",
            ] {
                #expect(try await door.call(.get, "/v1/messages/\(id)").code == "not_found", "\(id)")
            }
        }
    }

    @Test("a body has to be JSON by type and by content")
    func bodies() async throws {
        try await withDoor { door async throws in
            let path = "/v1/messages"
            #expect(try await door.call(.post, path, type: nil, Self.message).status == 202)
            #expect(
                try await door.call(.post, path, type: "Application/JSON; charset=utf-8", Self.message).status == 202)
            #expect(try await door.call(.post, path, type: "text/plain", Self.message).code == "unsupported_media_type")
            #expect(try await door.call(.post, path, #"{"from":"#).code == "malformed_json")
            #expect(try await door.call(.post, path, #"{"a":1,"a":2}"#).code == "malformed_json")
            #expect(try await door.call(.post, path, "[]").code == "validation_failed")
            #expect(try await door.call(.post, "/v1/send/mime", Self.message).code == "unsupported_media_type")
            #expect(try await door.call(.patch, "/v1/settings", "[]").code == "validation_failed")
        }
    }

    @Test("a form of more than 256 KiB is refused before it is read as JSON")
    func largeForm() async throws {
        try await withDoor { door in
            let answer = try await door.call(.post, "/v1/keys", String(repeating: "[", count: 256 * 1024 + 1))
            #expect((answer.status, answer.code) == (413, "message_too_large"))
        }
    }

    @Test("an unknown field is refused by its pointer, and nothing is written")
    func unknownField() async throws {
        try await withDoor { door in
            let answer = try await door.call(
                .post, "/v1/messages", #"{"from":"a@example.com","to":"b@example.org","text":"Hi","c/o":1}"#)
            #expect((answer.status, answer.code) == (422, "validation_failed"))
            let errors = try answer.object["errors"]?.arrayValue?.compactMap(\.objectValue)
            #expect(errors?.map { $0["pointer"]?.stringValue } == ["/c~1o"])
            #expect(try await door.house.database.count("smtp_relay_logs") == 0)
        }
    }

    @Test("a query parameter that a send path does not know is refused: whoever wrote it meant something")
    func unknownParameter() async throws {
        try await withDoor { door in
            for path in ["/v1/messages?dry_run=1", "/v1/send?to=x@example.org", "/v1/map?x"] {
                let answer = try await door.call(.post, path, Self.message)
                #expect((answer.status, answer.code) == (422, "validation_failed"), "\(path)")
            }
            #expect(try await door.house.database.count("smtp_relay_logs") == 0)
        }
    }

    @Test("the same key and body is answered once more, and another body is a conflict")
    func idempotency() async throws {
        try await withDoor { door in
            let key = [HTTPField.Name.idempotencyKey: "invoice-4711"]
            let first = try await door.call(.post, "/v1/messages", headers: key, Self.message)
            let again = try await door.call(.post, "/v1/messages", headers: key, Self.message)
            #expect((first.status, first.headers[.idempotencyReplayed]) == (202, nil))
            #expect((again.status, again.headers[.idempotencyReplayed]) == (202, "true"))
            #expect(again.text == first.text)
            let other = try await door.call(.post, "/v1/messages", headers: key, Self.message + " ")
            #expect((other.status, other.code) == (409, "idempotency_conflict"))
            // The same bytes in another dialect are another submission.
            let dialect = try await door.call(.post, "/v1/send", headers: key, Self.message)
            #expect(dialect.status == 409 || dialect.status == 422)
            #expect(try await door.house.database.count("smtp_relay_logs") == 1)
        }
    }

    @Test("a key can make none that may do more than itself")
    func narrowerKeys() async throws {
        try await withDoor { door in
            let admin = try await door.house.callers.issueKey(
                .init(
                    label: "admin", kind: .tool, scopes: [.admin, .read],
                    senderDomains: [try #require(DomainPattern("example.com"))]),
                in: door.house.vault.id)
            let authorization = OpenDoor.Authorization.field("Bearer \(admin.text.reveal())")
            func make(_ body: String) async throws -> Answer {
                try await door.call(.post, "/v1/keys", authorization: authorization, body)
            }
            #expect(try await make(#"{"label":"x","scopes":["send"]}"#).code == "forbidden")
            #expect(try await make(#"{"label":"x","scopes":["read"],"sender_domains":["a.org"]}"#).code == "forbidden")
            let child = try await make(#"{"label":"x","scopes":["read"]}"#)
            #expect(try child.object["sender_domains"]?.arrayValue == [.string("example.com")])
        }
    }

    @Test("a key and a password are shown once, and a secret setting never")
    func secrets() async throws {
        try await withDoor { door in
            let key = try await door.call(.post, "/v1/keys", #"{"label":"x","scopes":["read"]}"#).string("key")
            let password = try await door.call(.post, "/v1/smtp-users", #"{"username":"printer"}"#).string("password")
            let set = try await door.call(.patch, "/v1/settings", #"{"smarthost_password":"correct horse"}"#)
            #expect(set.status == 200)
            for answer in [
                set, try await door.call(.get, "/v1/keys"), try await door.call(.get, "/v1/smtp-users"),
                try await door.call(.get, "/v1/settings"),
            ] {
                #expect(!answer.text.contains(key.suffix(43)))
                #expect(!answer.text.contains(password))
                #expect(!answer.text.contains("correct horse"))
            }
            let shown = try set.object["settings"]?.objectValue?["smarthost_password"]?.objectValue
            #expect(shown?["value"] == .object(JSONObject(["set": .bool(true)])))
            #expect(shown?["source"] == .string("vault"))
        }
    }

    @Test("settings change all or none")
    func settingsTogether() async throws {
        try await withDoor { door in
            let answer = try await door.call(.patch, "/v1/settings", #"{"default_priority":7,"route":"pigeon"}"#)
            #expect((answer.status, answer.code) == (422, "validation_failed"))
            let priority = try await door.call(.get, "/v1/settings").object["settings"]?.objectValue?[
                "default_priority"]
            #expect(priority?.objectValue?["value"] == .integer(5))
        }
    }

    @Test("a domain has one pool, and the second is a conflict")
    func twinPools() async throws {
        try await withDoor { door in
            let body = #"{"domain":"Example.COM","pool":"m","ips":["192.0.2.1","2001:db8::1"]}"#
            let first = try await door.call(.post, "/v1/ip-pools", body)
            #expect(first.status == 201)
            #expect(try first.string("domain") == "example.com")
            #expect(try await door.call(.post, "/v1/ip-pools", body).code == "conflict")
            #expect(try await door.call(.put, "/v1/ip-pools/\(try first.string("id"))", body).status == 200)
        }
    }

    @Test("the log's pages follow each other without a gap and without a repeat")
    func pages() async throws {
        try await withDoor { door in
            var sent: [String] = []
            for _ in 0..<5 { sent.append(try await door.call(.post, "/v1/messages", Self.message).string("id")) }
            var (seen, cursor): ([String], String) = ([], "")
            repeat {
                let page = try await door.call(.get, "/v1/messages?limit=2\(cursor)").object
                seen += try #require(page["data"]?.arrayValue).compactMap { $0.objectValue?["id"]?.stringValue }
                cursor = page["next_cursor"]?.stringValue.map { "&cursor=\($0)" } ?? ""
            } while !cursor.isEmpty
            #expect(seen == sent.reversed())
        }
    }
}
