// Who may come in by the HTTP door, and with what.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import Sealing
import Store
import Testing

@testable import HTTPAPI

@Suite("Credentials")
struct CredentialsTests {
    private static let message = #"{"from":"a@example.com","to":"b@example.org","text":"Hi"}"#

    @Test("no Authorization field is 401 with a challenge")
    func none() async throws {
        try await withDoor { door in
            let answer = try await door.call(.get, "/v1/me", authorization: .none)
            #expect((answer.status, answer.code) == (401, "unauthorized"))
            #expect(answer.headers[.wwwAuthenticate] == "Bearer realm=\"postern\"")
        }
    }

    @Test("the scheme's name is read without case, and spaces behind it do not matter")
    func scheme() async throws {
        try await withDoor { door in
            for scheme in ["bearer ", "BEARER  "] {
                let answer = try await door.call(.get, "/v1/me", authorization: .field(scheme + door.key))
                #expect(answer.status == 200)
                #expect(try answer.string("label") == "tests")
            }
        }
    }

    @Test("what is no key of ours is 401, however it looks")
    func hostile() async throws {
        let fields = [
            "", " ", "Bearer", "Bearer ", "Bearer\tx", "Bearer ak_", "Bearer ak_00000000_", "Digest username=x",
            "Bearer ak_00000000_0000000000000000000000000000000000000000000", "ak_00000000_x", "Basic", "Basic ",
            "Bearer é", "\u{0}",
        ]
        try await withDoor { door in
            for field in fields {
                for path in ["/v1/me", "/v1/messages"] {
                    let answer = try await door.call(.get, path, authorization: .field(field))
                    #expect((answer.status, answer.code) == (401, "unauthorized"), "\(field)")
                }
            }
        }
    }

    @Test("a key that was revoked ends at once")
    func revoked() async throws {
        try await withDoor { door in
            let made = try await door.call(.post, "/v1/keys", #"{"label":"short-lived","scopes":["read"]}"#)
            let (id, key) = (try made.string("id"), try made.string("key"))
            #expect(try await door.call(.get, "/v1/me", authorization: .field("Bearer \(key)")).status == 200)
            #expect(try await door.call(.delete, "/v1/keys/\(id)").status == 204)
            #expect(try await door.call(.get, "/v1/me", authorization: .field("Bearer \(key)")).status == 401)
        }
    }

    @Test("an SMTP user may send and map by HTTP Basic, and nothing else")
    func basic() async throws {
        try await withDoor { door in
            let (user, password) = try await door.house.callers.addUser(
                username: "printer", label: nil, in: door.house.vault.id)
            let login = OpenDoor.Authorization.basic("\(user.username):\(password.reveal())")
            #expect(try await door.call(.post, "/v1/messages", authorization: login, Self.message).status == 202)
            #expect(try await door.call(.post, "/v1/map/simple", authorization: login, Self.message).status == 200)
            for path in ["/v1/me", "/v1/messages", "/v1/settings", "/v1/keys"] {
                #expect(try await door.call(.get, path, authorization: login).status == 401, "\(path)")
            }
        }
    }

    @Test("Basic credentials that are broken or wrong are 401")
    func brokenBasic() async throws {
        try await withDoor { door in
            _ = try await door.house.callers.addUser(username: "printer", label: nil, in: door.house.vault.id)
            // Not base64, not UTF-8, nothing, no colon, no password, neither name nor password.
            for encoded in ["%%%", "/zp4", "", "cHJpbnRlcg==", "cHJpbnRlcjo=", "Og=="] {
                let login = OpenDoor.Authorization.field("Basic \(encoded)")
                let answer = try await door.call(.post, "/v1/messages", authorization: login, Self.message)
                #expect((answer.status, answer.code) == (401, "unauthorized"), "\(encoded)")
            }
            #expect(try await door.house.database.count("smtp_relay_logs") == 0)
        }
    }

    @Test(
        "auth_mode decides which credentials send, and a key still administers", arguments: ["api_key", "smtp", "both"])
    func authMode(mode: String) async throws {
        try await withDoor(settings: TestHouse.settings.changing(["auth_mode": .string(mode)])) { door in
            let (user, password) = try await door.house.callers.addUser(
                username: "printer", label: nil, in: door.house.vault.id)
            let login = OpenDoor.Authorization.basic("\(user.username):\(password.reveal())")
            let byKey = try await door.call(.post, "/v1/messages", Self.message)
            let byLogin = try await door.call(.post, "/v1/messages", authorization: login, Self.message)
            #expect(byKey.status == (mode == "smtp" ? 403 : 202))
            #expect(byLogin.status == (mode == "api_key" ? 403 : 202))
            #expect(try await door.call(.get, "/v1/settings").status == 200)
        }
    }
}
