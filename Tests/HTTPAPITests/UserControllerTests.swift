// Users, members and invitations over HTTP: what a body may say, what an answer shows, and what the way from an owner to an
// operator looks like.

import CoreTestSupport
import HTTPTypes
import JSON
import Model
import People
import SQL
import Sealing
import Store
import Testing

@testable import HTTPAPI

@Suite("People over HTTP")
struct UserControllerTests {
    private func pointers(_ answer: Answer) throws -> [String] {
        try (answer.object["errors"]?.arrayValue ?? []).compactMap { $0.objectValue?["pointer"]?.stringValue }
    }

    private func data(_ answer: Answer) throws -> [JSONObject] {
        try (answer.object["data"]?.arrayValue ?? []).compactMap(\.objectValue)
    }

    @Test("a user is shown with vaults and state, and with nothing of what they sign in with")
    func shown() async throws {
        try await withDoor { door in
            let (owner, token) = try await door.signIn(.owner, in: [door.house.vault.id: .operator])
            for path in ["/api/users/\(owner.id.text)", "/api/engine/users/\(owner.id.text)"] {
                let answer = try await door.call(.get, path, authorization: .field("Bearer \(token)"))
                let user = try answer.object
                #expect(answer.status == 200 && user["role"] == .string("owner") && user["state"] == .string("active"))
                #expect(
                    Set(user.members.map(\.name)) == [
                        "id", "email", "name", "role", "state", "has_password", "second_factor", "memberships",
                        "created_at", "updated_at", "last_sign_in_at",
                    ])
                let vault = try #require(user["memberships"]?.arrayValue?.first?.objectValue)
                #expect(vault["slug"] == .string("default") && vault["role"] == .string("operator"))
                #expect(vault["id"] == .string(door.house.vault.id.text))
                #expect(!answer.text.contains("scrypt") && !answer.text.contains("hash"))
            }
        }
    }

    @Test("the list is filtered, paged, and strict about its parameters")
    func listed() async throws {
        try await withDoor { door in
            let (_, token) = try await door.signIn(.owner, in: [:])
            for role in [InstanceRole.admin, .member, .viewer] { _ = try await door.signIn(role, in: [:]) }
            func list(_ query: String) async throws -> Answer {
                try await door.call(.get, "/api/users\(query)", authorization: .field("Bearer \(token)"))
            }
            #expect(try await data(list("")).count == 4)
            #expect(try await data(list("?role=admin")).map { $0["role"] } == [.string("admin")])
            #expect(try await data(list("?state=disabled")).isEmpty)
            let first = try await list("?limit=3")
            let cursor = try first.string("next_cursor")
            #expect(try await data(list("?limit=3&cursor=\(cursor)")).count == 1)
            for query in ["?role=root", "?state=asleep", "?limit=0", "?is_active=1", "?Role=admin"] {
                #expect(try await list(query).status == 422, "\(query)")
            }
        }
    }

    @Test(
        "nothing of a user can be set that is not there to be set",
        arguments: [
            (#"{"role":"root"}"#, "/role"), (#"{"role":1}"#, "/role"), (#"{"state":"deleted"}"#, "/state"),
            (#"{"name":""}"#, "/name"), (#"{"name":"a\u0000b"}"#, "/name"), (#"{"name":"a\u202eb"}"#, "/name"),
            (#"{"name":"x","is_active":true}"#, "/is_active"), (#"{"name":"x","email":"x@example.org"}"#, "/email"),
            (#"{"name":"x","password_hash":"scrypt$"}"#, "/password_hash"),
            (#"{"name":"x","password":"four unrelated words"}"#, "/password"),
            (#"{"name":"x","memberships":[]}"#, "/memberships"), (#"{"name":"x","id":"usr_1"}"#, "/id"),
            (#"{"name":"x","second_factor":false}"#, "/second_factor"), (#"{"name":"x","Role":"owner"}"#, "/Role"),
            ("{}", ""), (#"{"role":null}"#, ""),
        ])
    func massAssignment(_ body: String, _ pointer: String) async throws {
        try await withDoor { door in
            let (_, token) = try await door.signIn(.owner, in: [:])
            let (member, _) = try await door.signIn(.member, in: [:])
            let path = "/api/users/\(member.id.text)"
            let before = try await door.call(.get, path, authorization: .field("Bearer \(token)"))
            let answer = try await door.call(.patch, path, authorization: .field("Bearer \(token)"), body)
            #expect(answer.status == 422)
            #expect(try pointers(answer) == [pointer])
            let after = try await door.call(.get, path, authorization: .field("Bearer \(token)"))
            #expect(after.text == before.text)
        }
    }

    @Test("an admin makes no owner of anybody, themselves included, and touches none")
    func raising() async throws {
        try await withDoor { door in
            let (owner, _) = try await door.signIn(.owner, in: [:])
            let (admin, token) = try await door.signIn(.admin, in: [:])
            let (member, memberToken) = try await door.signIn(.member, in: [:])
            func patch(_ person: Person, _ body: String, _ token: String) async throws -> Int {
                try await door.call(
                    .patch, "/api/users/\(person.id.text)", authorization: .field("Bearer \(token)"), body
                ).status
            }
            #expect(try await patch(member, #"{"role":"owner"}"#, token) == 403)
            #expect(try await patch(admin, #"{"role":"owner"}"#, token) == 403)
            #expect(try await patch(owner, #"{"role":"viewer"}"#, token) == 403)
            #expect(try await patch(owner, #"{"state":"disabled"}"#, token) == 403)
            #expect(try await patch(member, #"{"role":"admin"}"#, memberToken) == 403)
            #expect(try await patch(member, #"{"role":"admin"}"#, token) == 200)
            // At the next request, with the sign-in that there is.
            #expect(
                try await door.call(.get, "/api/users", authorization: .field("Bearer \(memberToken)")).status == 200)
            #expect(try await patch(member, #"{"state":"disabled"}"#, token) == 200)
            #expect(
                try await door.call(.get, "/api/users", authorization: .field("Bearer \(memberToken)")).status == 401)
        }
    }

    @Test("the last owner cannot be talked out of it")
    func lastOwner() async throws {
        try await withDoor { door in
            let (owner, token) = try await door.signIn(.owner, in: [:])
            let path = "/api/users/\(owner.id.text)"
            for body in [#"{"role":"admin"}"#, #"{"state":"disabled"}"#] {
                let answer = try await door.call(.patch, path, authorization: .field("Bearer \(token)"), body)
                #expect(answer.status == 409 && answer.code == "last_owner")
            }
            let answer = try await door.call(.delete, path, authorization: .field("Bearer \(token)"))
            #expect(answer.status == 409 && answer.code == "last_owner")
            #expect(try await door.call(.get, path, authorization: .field("Bearer \(token)")).status == 200)
        }
    }

    @Test("a dangerous act wants a sign-in that is not old, and what looks only does not")
    func freshness() async throws {
        try await withDoor { door in
            let (owner, _) = try await door.signIn(.owner, in: [:])
            let (member, _) = try await door.signIn(.member, in: [:])
            let user = try #require(try await UserRepository(database: door.house.database).find(owner.id))
            let session = try await door.people.signIn.begin(
                user, method: .secondFactor, visit: Visit(), detail: nil)
            func call(_ method: HTTPRequest.Method, _ path: String, _ body: String = "") async throws -> Answer {
                try await door.call(
                    method, path, authorization: .none,
                    headers: [
                        .cookie: "\(SessionCookies.session)=\(session.cookie.reveal())",
                        .csrfToken: SessionCookies.csrf(for: session.cookie),
                    ], body)
            }
            let path = "/api/users/\(member.id.text)"
            door.house.clock.advance(seconds: 900)
            #expect(try await call(.patch, path, #"{"name":"Mia"}"#).status == 200)
            door.house.clock.advance(seconds: 1)
            for (method, path, body) in [
                (HTTPRequest.Method.patch, path, #"{"name":"Moe"}"#), (.delete, path, ""),
                (.post, "\(path)/reset-password", ""), (.delete, "\(path)/sessions", ""),
                (.post, "/api/users", #"{"email":"x@example.org","name":"x"}"#),
                (.put, "/api/vaults/default/members/\(member.id.text)", #"{"role":"viewer"}"#),
            ] {
                let late = try await call(method, path, body)
                #expect(late.status == 403 && late.code == "reauthentication_required", "\(method) \(path)")
            }
            #expect(try await call(.get, path).string("name") == "Mia")
        }
    }

    @Test("an id that is malformed, unknown or of something else names no user")
    func unknown() async throws {
        try await withDoor { door in
            let (_, token) = try await door.signIn(.owner, in: [:])
            for id in ["usr_0000000000000000", "usr_", "x", door.house.vault.id.text, "%00", "..%2fusers"] {
                for (method, body) in [
                    (HTTPRequest.Method.get, ""), (.patch, #"{"name":"x"}"#), (.delete, ""),
                ] {
                    let answer = try await door.call(
                        method, "/api/users/\(id)", authorization: .field("Bearer \(token)"), body)
                    #expect(answer.status == 404, "\(method) \(id)")
                }
            }
        }
    }

    @Test("an account that is made has a link and no password; sessions can be listed and ended by an admin")
    func made() async throws {
        try await withDoor { door in
            let (_, token) = try await door.signIn(.owner, in: [:])
            let made = try await door.call(
                .post, "/api/users", authorization: .field("Bearer \(token)"),
                #"{"email":"nina@example.org","name":"Nina"}"#)
            #expect(try made.status == 201 && made.string("role") == "member")
            #expect(try made.object["has_password"] == .bool(false) && made.object["sent"] == .bool(false))
            let secret = try made.string("token")
            #expect(try made.string("url").hasSuffix("#token=\(secret)"))
            let again = try await door.call(
                .post, "/api/users", authorization: .field("Bearer \(token)"),
                #"{"email":"NINA@example.org","name":"Nina"}"#)
            #expect(again.status == 409 && again.code == "conflict")
            for body in [
                #"{"email":"nina","name":"x"}"#, #"{"email":"a@b.example"}"#,
                #"{"email":"a@b.example","name":"x","id":"y"}"#,
                #"{"email":"a@b.example\r\nBcc: c@d.example","name":"x"}"#, #"{"email":"A <a@b.example>","name":"x"}"#,
            ] {
                #expect(
                    try await door.call(.post, "/api/users", authorization: .field("Bearer \(token)"), body).status
                        == 422)
            }

            let (member, memberToken) = try await door.signIn(.member, in: [:])
            let sessions = "/api/users/\(member.id.text)/sessions"
            let list = try await door.call(.get, sessions, authorization: .field("Bearer \(token)"))
            #expect(try data(list).map { $0["user"] } == [.string(member.id.text)])
            let ended = try await door.call(.delete, sessions, authorization: .field("Bearer \(token)"))
            #expect(try ended.object["ended"] == .integer(1))
            #expect(
                try await door.call(.get, "/auth/me", authorization: .field("Bearer \(memberToken)")).status == 401)
        }
    }
}
