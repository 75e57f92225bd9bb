// SMTP users over HTTP: their bounds, their passwords, and who may see them.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import SQL
import Store
import Testing

@testable import HTTPAPI

@Suite("SMTP users over HTTP")
struct SMTPUserControllerTests {
    private func pointers(_ answer: Answer) throws -> [String] {
        try (answer.object["errors"]?.arrayValue ?? []).compactMap { $0.objectValue?["pointer"]?.stringValue }
    }

    @Test("a login is made with its bounds, changed field by field, and shown without its password")
    func bounds() async throws {
        try await withDoor { door in
            let made = try await door.call(
                .post, "/v1/smtp-users",
                #"{"username":"printer","sender_domains":["acme.com"],"allowed_ips":["192.0.2.0/24"],"ip_pool":"warm"}"#
            )
            #expect(made.status == 201)
            let path = "/v1/smtp-users/\(try made.string("id"))"
            let changed = try await door.call(
                .patch, path, #"{"label":"hall","allowed_ips":["192.0.2.7"],"sender_domains":null}"#)
            #expect(changed.status == 200)
            for answer in [changed, try await door.call(.get, path)] {
                let user = try answer.object
                #expect(user["label"] == .string("hall") && user["username"] == .string("printer"))
                #expect(user["allowed_ips"] == .array([.string("192.0.2.7")]) && user["sender_domains"] == .null)
                #expect(user["ip_pool"] == .string("warm") && user["password"] == nil)
            }
            #expect(try await door.call(.patch, path, "{}").status == 200)
            for (body, pointer) in [
                (#"{"allowed_ips":[]}"#, "/allowed_ips"), (#"{"sender_domains":["x y"]}"#, "/sender_domains/0"),
                (#"{"label":null}"#, "/label"), (#"{"username":"other"}"#, "/username"),
                (#"{"password":"mine"}"#, "/password"),
            ] {
                #expect(try await pointers(door.call(.patch, path, body)) == [pointer])
            }
        }
    }

    @Test("a new password is shown once, and the old one works no more")
    func rotation() async throws {
        try await withDoor { door in
            let made = try await door.call(.post, "/v1/smtp-users", #"{"username":"printer"}"#)
            let rotated = try await door.call(.post, "/v1/smtp-users/\(made.string("id"))/rotate")
            #expect(try rotated.string("id") == made.string("id"))
            for (answer, status) in [(made, 401), (rotated, 422)] {
                let sent = try await door.call(
                    .post, "/v1/messages", authorization: .basic("printer:\(answer.string("password"))"), "{}")
                #expect(sent.status == status)
            }
            let unknown = try await door.call(.post, "/v1/smtp-users/smtp_0000000000000000/rotate")
            #expect(unknown.status == 404)
        }
    }

    @Test("changes are in the audit log, and no password or hash is")
    func audit() async throws {
        try await withDoor { door in
            let made = try await door.call(.post, "/v1/smtp-users", #"{"username":"printer"}"#)
            let path = "/v1/smtp-users/\(try made.string("id"))"
            let rotated = try await door.call(.post, "\(path)/rotate")
            #expect(try await door.call(.patch, path, #"{"label":"hall"}"#).status == 200)
            #expect(try await door.call(.delete, path).status == 204)
            let records = try await door.house.database.read { connection in
                try connection.rows(
                    "SELECT action, resource, before_value, after_value FROM audit_records WHERE resource LIKE 'smtp_%'"
                ).map { "\($0.values)" }
            }
            #expect(records.count == 4 && records.allSatisfy { $0.contains("smtp_user.write") })
            for secret in [try made.string("password"), try rotated.string("password"), "scrypt"] {
                #expect(!records.joined().contains(secret))
            }
        }
    }
}
