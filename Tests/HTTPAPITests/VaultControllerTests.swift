// Vaults, plans and usage over HTTP: who may do what with which vault, and what a body may say.

import CoreTestSupport
import HTTPTypes
import JSON
import Model
import Outbox
import SQL
import Store
import Testing
import Vaults

@testable import HTTPAPI

@Suite("Vaults over HTTP")
struct VaultControllerTests {
    private struct Desk {
        let door: OpenDoor
        let token: String

        func callAsFunction(
            _ method: HTTPRequest.Method,
            _ path: String,
            _ body: String = ""
        ) async throws -> Answer {
            try await door.call(method, path, authorization: .field("Bearer \(token)"), body)
        }
    }

    private func desk(
        _ door: OpenDoor,
        _ role: InstanceRole,
        in vaults: [VaultID: VaultRole] = [:]
    ) async throws -> Desk {
        let (_, token) = try await door.signIn(role, in: vaults)
        return Desk(door: door, token: token)
    }

    private func slugs(_ answer: Answer) throws -> [String] {
        try (answer.object["data"]?.arrayValue ?? []).compactMap { $0.objectValue?["slug"]?.stringValue }
    }

    @Test("an admin makes a vault and owns it; its life is told step by step")
    func life() async throws {
        try await withDoor { door in
            let (admin, token) = try await door.signIn(.admin, in: [:])
            let call = Desk(door: door, token: token)
            let made = try await call(.post, "/api/vaults", #"{"slug":"shop","name":"The shop","plan":"team"}"#)
            #expect(try made.status == 201 && made.string("role") == "owner" && made.string("plan") == "team")
            let id = try #require(VaultID(try made.string("id")))
            let member = try await MembershipRepository(database: door.house.database).find(admin.id, in: id)
            #expect(member?.membership.role == .owner)
            #expect(try await slugs(call(.get, "/api/vaults")) == ["default", "shop"])
            #expect(try await call(.get, "/api/engine/vaults/shop").string("role") == "owner")
            let renamed = try await call(.patch, "/api/vaults/shop", #"{"slug":"store","name":"The store"}"#)
            #expect(try renamed.status == 200 && renamed.string("slug") == "store")
            #expect(try await call(.get, "/api/vaults/shop").status == 404)
            let suspended = try await call(.post, "/api/vaults/store/suspend", #"{"reason":"unpaid"}"#)
            #expect(try suspended.string("state") == "suspended" && suspended.string("reason") == "unpaid")
            #expect(try await call(.post, "/api/vaults/store/resume").string("state") == "active")
            #expect(try await call(.post, "/api/vaults/store/archive").string("state") == "archived")
            let changed = try await call(.patch, "/api/vaults/store", #"{"name":"x"}"#)
            #expect(changed.status == 403 && changed.code == "vault_archived")
            #expect(try await call(.post, "/api/vaults/store/restore").string("state") == "active")
            // The end is for owners of the instance.
            let body = #"{"confirm":"store"}"#
            #expect(try await call(.delete, "/api/vaults/store", body).status == 403)
            let owner = try await desk(door, .owner)
            #expect(try await owner(.delete, "/api/vaults/store", #"{"confirm":"shop"}"#).status == 422)
            #expect(try await owner(.delete, "/api/vaults/store").status == 422)
            #expect(try await owner(.delete, "/api/vaults/store", body).status == 202)
            for caller in [owner, call] {
                #expect(try await caller(.get, "/api/vaults/store").status == 404)
                #expect(try await caller(.get, "/api/vaults/\(id.text)").status == 404)
                #expect(try await slugs(caller(.get, "/api/vaults")) == ["default"])
            }
            #expect(try await owner(.delete, "/api/vaults/default", #"{"confirm":"default"}"#).status == 409)
        }
    }

    @Test("whoever made a vault is in it with the next request, and out of it when it is deleted")
    func atOnce() async throws {
        try await withDoor { door in
            let owner = try await desk(door, .owner, in: [door.house.vault.id: .owner])
            #expect(try await owner(.get, "/v1/settings").status == 200)
            #expect(try await owner(.post, "/api/vaults", #"{"slug":"shop"}"#).status == 201)
            #expect(try await owner(.get, "/v1/settings").code == "vault_required", "of two vaults one has to be named")
            let inside = try await door.call(
                .get, "/v1/usage", authorization: .field("Bearer \(owner.token)"), headers: [.vault: "shop"])
            #expect(inside.status == 200)
            #expect(try await owner(.delete, "/api/vaults/shop", #"{"confirm":"shop"}"#).status == 202)
            let gone = try await door.call(
                .get, "/v1/usage", authorization: .field("Bearer \(owner.token)"), headers: [.vault: "shop"])
            #expect(gone.status == 404)
            #expect(try await owner(.get, "/v1/settings").status == 200)
        }
    }

    @Test("a resumption wakes the dispatcher", .timeLimit(.minutes(5)))
    func wakes() async throws {
        try await withDoor { door in
            let admin = try await desk(door, .admin)
            _ = try await admin(.post, "/api/vaults/default/suspend", #"{"reason":"x"}"#)
            #expect(try await admin(.post, "/api/vaults/default/resume").status == 200)
            for await _ in door.signal.signals { break }
        }
    }

    @Test("members see their vaults and no others, and everybody gets them by pages")
    func lists() async throws {
        try await withDoor { door in
            let mine = try await door.house.neighbour("mine").vault
            for slug in ["a", "b", "c"] { _ = try await door.house.neighbour(slug) }
            let member = try await desk(door, .member, in: [mine.id: .viewer])
            #expect(try await slugs(member(.get, "/api/vaults")) == ["mine"])
            #expect(try await member(.get, "/api/vaults/mine").string("role") == "viewer")
            let nobody = try await desk(door, .viewer)
            #expect(try await slugs(nobody(.get, "/api/vaults")) == [])
            let admin = try await desk(door, .admin)
            let first = try await admin(.get, "/api/vaults?limit=3")
            #expect(try slugs(first) == ["a", "b", "c"])
            let cursor = try first.string("next_cursor")
            #expect(try await slugs(admin(.get, "/api/vaults?limit=3&cursor=\(cursor)")) == ["default", "mine"])
        }
    }

    @Test("a vault of others is not there, whatever is asked of it; and no member looks after vaults")
    func strangers() async throws {
        try await withDoor { door in
            let other = try await door.house.neighbour().vault
            let stranger = try await desk(door, .member, in: [other.id: .owner])
            let calls: [(HTTPRequest.Method, String, String)] = [
                (.get, "", ""), (.patch, "", #"{"name":"x"}"#), (.delete, "", #"{"confirm":"default"}"#),
                (.post, "/suspend", #"{"reason":"x"}"#), (.post, "/resume", ""), (.post, "/archive", ""),
                (.post, "/restore", ""), (.put, "/plan", #"{"plan":"free"}"#), (.get, "/usage", ""),
            ]
            for (method, path, body) in calls {
                for name in ["default", door.house.vault.id.text, "nowhere", "vlt_0000000000000000"] {
                    let answer = try await stranger(method, "/api/vaults/\(name)\(path)", body)
                    #expect(answer.status == 404 && answer.code == "not_found", "\(method) \(name)\(path)")
                }
            }
            // In one's own vault, an owner of it: its name, and no more.
            #expect(try await stranger(.patch, "/api/vaults/other", #"{"name":"Mine"}"#).status == 200)
            for (method, path, body) in calls where ![.get, .patch].contains(method) {
                let answer = try await stranger(method, "/api/vaults/other\(path)", body)
                #expect(answer.status == 403, "\(method) \(path)")
            }
            #expect(try await stranger(.post, "/api/vaults", #"{"slug":"more"}"#).status == 403)
            #expect(try await stranger(.get, "/api/plans").status == 403)
            let records = try await door.house.database.count(
                "audit_records", where: "action LIKE 'vault.%' AND outcome = 'done'")
            #expect(records == 2, "the renaming, in two chains")
        }
    }

    @Test("a body says what it may say, and nothing else")
    func bodies() async throws {
        try await withDoor { door in
            let owner = try await desk(door, .owner)
            let bad: [(HTTPRequest.Method, String, String)] = [
                (.post, "/api/vaults", "{}"), (.post, "/api/vaults", #"{"slug":"Shop"}"#),
                (.post, "/api/vaults", #"{"slug":"shop","state":"archived"}"#),
                (.post, "/api/vaults", #"{"slug":"shop","id":"vlt_0000000000000000"}"#),
                (.post, "/api/vaults", #"{"slug":"shop","limits":{}}"#),
                (.post, "/api/vaults", #"{"slug":"shop","plan":"gold"}"#),
                (.post, "/api/vaults", #"{"slug":"shop","owner":"ann@example.com"}"#),
                (.patch, "/api/vaults/default", "{}"), (.patch, "/api/vaults/default", #"{"slug":null}"#),
                (.patch, "/api/vaults/default", #"{"plan":"free"}"#),
                (.patch, "/api/vaults/default", #"{"state":"deleted"}"#),
                (.post, "/api/vaults/default/suspend", #"{"reason":""}"#),
                (.post, "/api/vaults/default/suspend", #"{"reason":"a\nb"}"#),
                (.post, "/api/vaults/default/archive", #"{"cancel_waiting":"yes"}"#),
                (.put, "/api/vaults/default/plan", #"{"plan":"gold"}"#),
                (.put, "/api/vaults/default/plan", #"{"plan":"free","limits":{"users":-1}}"#),
                (.put, "/api/vaults/default/plan", #"{"plan":"free","limits":{"users":1e300}}"#),
                (.put, "/api/vaults/default/plan", #"{"plan":"free","limits":{"usres":1}}"#),
                (.put, "/api/plans/free", "{}"), (.put, "/api/plans/free", #"{"limits":{}}"#),
                (.put, "/api/plans/Free", #"{"limits":{},"features":[]}"#),
                (.put, "/api/plans/free", #"{"limits":{},"features":["root"]}"#),
                (.put, "/api/plans/free", #"{"limits":{},"features":[],"deploy_targets":[""]}"#),
                (.put, "/api/plans/free", #"{"limits":{},"features":[],"name":"team"}"#),
            ]
            for (method, path, body) in bad {
                let answer = try await owner(method, path, body)
                #expect(answer.status == 422, "\(method) \(path) \(body): \(answer.text)")
            }
            let unknown = try await owner(.post, "/api/vaults", #"{"slug":"shop","owner":"usr_0000000000000000"}"#)
            #expect(unknown.status == 404)
            #expect(try await door.house.vaults.all().map(\.slug) == ["default"])
            #expect(try await door.house.vaults.standing(of: door.house.vault.id) == .unlimited)
        }
    }

    @Test("plans are edited by owners, hold at once, and are taken back; a vault has limits of its own beside them")
    func plans() async throws {
        try await withDoor { door in
            let (owner, admin) = (try await desk(door, .owner), try await desk(door, .admin))
            #expect(try await admin(.put, "/api/vaults/default/plan", #"{"plan":"free"}"#).status == 403)
            let put = try await owner(
                .put, "/api/vaults/default/plan", #"{"plan":"free","limits":{"users":80,"agents":null}}"#)
            #expect(try put.status == 200 && put.string("plan") == "free")
            let edit =
                #"{"limits":{"api_calls_per_minute":null,"agents":1},"features":["sso"],"deploy_targets":["local"]}"#
            #expect(try await admin(.put, "/api/plans/free", edit).status == 403)
            #expect(try await owner(.put, "/api/plans/free", edit).status == 200)
            let usage = try await owner(.get, "/api/vaults/default/usage")
            let limits = try #require(try usage.object["limits"]?.objectValue)
            #expect(limits["users"] == .integer(80) && limits["agents"] == .null)
            #expect(limits["storage_bytes"] == .null, "a limit that is not named is none")
            #expect(try usage.object["features"] == .array([.string("sso")]))
            // Without limits the vault's own stay; with none they go.
            _ = try await owner(.put, "/api/vaults/default/plan", #"{"plan":"team"}"#)
            #expect(try await door.house.vaults.limits(of: door.house.vault.id)[.users] == 80)
            _ = try await owner(.put, "/api/vaults/default/plan", #"{"plan":"team","limits":{}}"#)
            #expect(try await door.house.vaults.limits(of: door.house.vault.id)[.users] == 50)
            #expect(try await owner(.put, "/api/plans/small", #"{"limits":{},"features":[]}"#).status == 201)
            let list = try await admin(.get, "/api/plans")
            let names = try (list.object["data"]?.arrayValue ?? []).map { $0.objectValue?["name"]?.stringValue }
            #expect(names == ["free", "team", "enterprise", "self_hosted", "small"])
            #expect(try await owner(.delete, "/api/plans/small").status == 204)
            #expect(try await owner(.delete, "/api/plans/small").status == 404)
            #expect(try await owner(.delete, "/api/plans/free").status == 204)
            #expect(try await door.house.vaults.plan("free") == ShippedPlans.plan("free"))
        }
    }

    @Test("a key sees what its own vault uses")
    func usage() async throws {
        try await withDoor { door in
            let answer = try await door.call(.get, "/v1/usage")
            #expect(answer.status == 200)
            #expect(try answer.string("vault") == door.house.vault.id.text)
            #expect(try answer.object["used"]?.objectValue?["agents"] == .integer(0))
            #expect(try answer.object["months"]?.arrayValue?.count == 1)
        }
    }
}
