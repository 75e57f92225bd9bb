// Members of a vault over HTTP, and the way in by an invitation.

import CoreTestSupport
import HTTPTypes
import JSON
import Model
import People
import SQL
import Store
import Testing

@testable import HTTPAPI

@Suite("Members and invitations over HTTP")
struct MemberControllerTests {
    private func data(_ answer: Answer) throws -> [JSONObject] {
        try (answer.object["data"]?.arrayValue ?? []).compactMap(\.objectValue)
    }

    @Test("members are set, changed, listed and taken out, by id or address, the vault by id or slug")
    func members() async throws {
        try await withDoor { door in
            let vault = door.house.vault
            let (_, token) = try await door.signIn(.owner, in: [:])
            let (member, memberToken) = try await door.signIn(.member, in: [:])
            let path = "/api/vaults/\(vault.slug)/members"
            func call(_ method: HTTPRequest.Method, _ path: String, _ body: String = "") async throws -> Answer {
                try await door.call(method, path, authorization: .field("Bearer \(token)"), body)
            }
            let set = try await call(.put, "\(path)/\(member.id.text)", #"{"role":"viewer"}"#)
            #expect(try set.status == 201 && set.string("role") == "viewer" && set.string("source") == "people")
            let encoded = member.email.split(separator: "@").joined(separator: "%40")
            let changed = try await call(
                .put, "/api/engine/vaults/\(vault.id.text)/members/\(encoded)", #"{"role":"operator"}"#)
            #expect(try changed.status == 200 && changed.string("role") == "operator")
            let list = try await door.call(.get, path, authorization: .field("Bearer \(memberToken)"))
            #expect(try data(list).map { $0["email"] } == [.string(member.email)])
            for body in [
                "{}", #"{"role":"admin"}"#, #"{"role":"viewer","vault":"x"}"#, #"{"role":"viewer","source":"groups"}"#,
                #"{"role":["owner"]}"#,
            ] {
                #expect(try await call(.put, "\(path)/\(member.id.text)", body).status == 422, "\(body)")
            }
            #expect(try await call(.delete, "\(path)/\(member.id.text)").status == 204)
            #expect(try await call(.delete, "\(path)/\(member.id.text)").status == 404)
            #expect(
                try await door.call(.get, path, authorization: .field("Bearer \(memberToken)")).status == 404,
                "not even that there is such a vault")
        }
    }

    @Test("people of another vault get 404 for each of these, as for a vault that is not there")
    func strangers() async throws {
        try await withDoor { door in
            let other = try await door.house.neighbour().vault
            let (stranger, token) = try await door.signIn(.member, in: [other.id: .owner])
            let (victim, _) = try await door.signIn(.member, in: [door.house.vault.id: .owner])
            for name in [door.house.vault.slug, door.house.vault.id.text, "nowhere", "vlt_0000000000000000"] {
                for (method, path, body) in [
                    (HTTPRequest.Method.get, "members", ""),
                    (.put, "members/\(stranger.id.text)", #"{"role":"owner"}"#),
                    (.delete, "members/\(victim.id.text)", ""), (.get, "invitations", ""),
                    (.post, "invitations", #"{"email":"x@example.org","role":"owner"}"#),
                    (.delete, "invitations/inv_0000000000000000", ""),
                    (.post, "invitations/inv_0000000000000000/resend", ""),
                ] {
                    let answer = try await door.call(
                        method, "/api/vaults/\(name)/\(path)", authorization: .field("Bearer \(token)"), body)
                    #expect(answer.status == 404 && answer.code == "not_found", "\(method) \(path) \(name)")
                    #expect(!answer.text.contains(victim.email))
                }
            }
            #expect(
                try await door.house.database.count("memberships", where: "vault_id = '\(door.house.vault.id.text)'")
                    == 1)
        }
    }

    @Test("an owner invites an operator, who accepts, is signed in and is just that")
    func theWayIn() async throws {
        try await withDoor { door in
            let (_, token) = try await door.signIn(.owner, in: [:])
            let invited = try await door.call(
                .post, "/api/invitations", authorization: .field("Bearer \(token)"),
                #"{"email":"nina@example.org","vaults":[{"vault":"default","role":"operator"}]}"#)
            #expect(try invited.status == 201 && invited.string("state") == "pending")
            #expect(try invited.object["sent"] == .bool(false))
            let text = try invited.string("token")
            let shown = try await door.call(
                .post, "/auth/invitations/show", authorization: .none, #"{"token":"\#(text)"}"#)
            #expect(try shown.status == 200 && shown.string("email") == "nina@example.org")
            #expect(try shown.object["has_account"] == .bool(false) && !shown.text.contains(text))
            let accepted = try await door.call(
                .post, "/auth/invitations/accept", authorization: .none,
                #"{"token":"\#(text)","name":"Nina","password":"four unrelated words, horse"}"#)
            #expect(accepted.status == 201 && !accepted.headers[values: .setCookie].isEmpty)
            let access = try accepted.string("token")
            func status(_ path: String) async throws -> Int {
                try await door.call(.get, path, authorization: .field("Bearer \(access)")).status
            }
            #expect(try await status("/v1/keys") == 200)
            #expect(try await status("/api/vaults/default/members") == 200)
            #expect(try await status("/api/users") == 403)
            #expect(try await status("/api/vaults/default/invitations") == 403)
            let again = try await door.call(
                .post, "/auth/invitations/accept", authorization: .none,
                #"{"token":"\#(text)","name":"Nina","password":"four unrelated words, horse"}"#)
            #expect(again.status == 404 && again.code == "invitation_invalid")
            let list = try await door.call(
                .get, "/api/invitations?state=accepted", authorization: .field("Bearer \(token)"))
            #expect(try data(list).count == 1 && !list.text.contains(text))
        }
    }

    @Test("an account that is there accepts by its own session, and not without one")
    func existing() async throws {
        try await withDoor { door in
            let (_, token) = try await door.signIn(.owner, in: [:])
            let (member, memberToken) = try await door.signIn(.member, in: [:])
            let (_, otherToken) = try await door.signIn(.member, in: [:])
            let invited = try await door.call(
                .post, "/api/invitations", authorization: .field("Bearer \(token)"),
                #"{"email":"\#(member.email)","vaults":[{"vault":"default","role":"viewer"}]}"#)
            let body = #"{"token":"\#(try invited.string("token"))"}"#
            func accept(_ authorization: OpenDoor.Authorization) async throws -> Answer {
                try await door.call(.post, "/auth/invitations/accept", authorization: authorization, body)
            }
            #expect(try await accept(.none).status == 401)
            #expect(try await accept(.field("Bearer \(otherToken)")).status == 403)
            #expect(try await accept(.key).status == 401, "a key is nobody")
            let joined = try await accept(.field("Bearer \(memberToken)"))
            #expect(joined.status == 200 && joined.headers[values: .setCookie].isEmpty)
            #expect(
                try await door.call(.get, "/v1/keys", authorization: .field("Bearer \(memberToken)")).status == 200)
        }
    }

    @Test("a page of another site accepts nothing for its visitor")
    func forged() async throws {
        try await withDoor { door in
            let (_, token) = try await door.signIn(.owner, in: [:])
            let invited = try await door.call(
                .post, "/api/invitations", authorization: .field("Bearer \(token)"), #"{"email":"nina@example.org"}"#)
            let answer = try await door.call(
                .post, "/auth/invitations/accept", authorization: .none, headers: [.origin: "https://evil.example"],
                #"{"token":"\#(try invited.string("token"))","name":"x","password":"four unrelated words, horse"}"#)
            #expect(answer.status == 403 && answer.code == "csrf_refused")
            #expect(try await door.house.database.count("users") == 1)
        }
    }

    @Test(
        "an invitation that says something odd is refused, with the place",
        arguments: [
            (#"{}"#, "/email"), (#"{"email":"nobody"}"#, "/email"),
            (#"{"email":"x@example.org","role":"root"}"#, "/role"),
            (#"{"email":"x@example.org","vaults":"default"}"#, "/vaults"),
            (#"{"email":"x@example.org","vaults":["default"]}"#, "/vaults/0"),
            (#"{"email":"x@example.org","vaults":[{"vault":"default"}]}"#, "/vaults/0/role"),
            (#"{"email":"x@example.org","vaults":[{"vault":"nowhere","role":"viewer"}]}"#, "/vaults/0/vault"),
            (
                #"{"email":"x@example.org","vaults":[{"vault":"default","role":"viewer","source":"groups"}]}"#,
                "/vaults/0/source"
            ),
            (
                #"{"email":"x@example.org","vaults":[{"vault":"default","role":"viewer"},{"vault":"default","role":"owner"}]}"#,
                "/vaults/1/vault"
            ),
            (#"{"email":"x@example.org","expires_at":"2999-01-01T00:00:00Z"}"#, "/expires_at"),
            (#"{"email":"x@example.org","invited_by":"usr_0000000000000000"}"#, "/invited_by"),
        ])
    func odd(_ body: String, _ pointer: String) async throws {
        try await withDoor { door in
            let (_, token) = try await door.signIn(.owner, in: [:])
            let answer = try await door.call(
                .post, "/api/invitations", authorization: .field("Bearer \(token)"), body)
            #expect(answer.status == 422)
            let errors = try answer.object["errors"]?.arrayValue ?? []
            let pointers = errors.compactMap { $0.objectValue?["pointer"]?.stringValue }
            #expect(Set(pointers).contains(pointer))
            #expect(try await door.house.database.count("invitations") == 0)
        }
    }

    @Test("an owner of a vault invites to it, sees and ends what is of it, and nothing of the instance's")
    func byVault() async throws {
        try await withDoor { door in
            let (_, owner) = try await door.signIn(.owner, in: [:])
            let (_, token) = try await door.signIn(.member, in: [door.house.vault.id: .owner])
            let ofInstance = try await door.call(
                .post, "/api/invitations", authorization: .field("Bearer \(owner)"), #"{"email":"a@example.org"}"#)
            func call(_ method: HTTPRequest.Method, _ path: String, _ body: String = "") async throws -> Answer {
                try await door.call(
                    method, "/api/vaults/default/invitations\(path)", authorization: .field("Bearer \(token)"), body)
            }
            let made = try await call(.post, "", #"{"email":"b@example.org","role":"viewer"}"#)
            #expect(try made.status == 201 && made.string("role") == "member")
            #expect(
                try await call(.post, "", #"{"email":"c@example.org","role":"viewer","instance_role":"admin"}"#).status
                    == 403)
            #expect(try data(await call(.get, "")).map { $0["id"] } == [try made.object["id"]])
            #expect(try await call(.post, "/\(made.string("id"))/resend").status == 200)
            #expect(try await call(.delete, "/\(ofInstance.string("id"))").status == 404)
            #expect(try await call(.post, "/\(ofInstance.string("id"))/resend").status == 404)
            #expect(try await call(.delete, "/\(made.string("id"))").status == 204)
            #expect(
                try await door.call(.get, "/api/invitations", authorization: .field("Bearer \(token)")).status == 403)
        }
    }
}
