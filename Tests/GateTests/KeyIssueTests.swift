// Keys that issue keys: the child can do no more than its parent, in no field and by no trick.

import CoreTestSupport
import Gate
import JSON
import Model
import SQL
import Sealing
import Store
import Testing

@Suite("Keys that issue keys")
struct KeyIssueTests {
    typealias Request = CallerDirectory.KeyRequest

    private func networks(_ texts: String...) -> [IPNetwork] { texts.compactMap { try? IPNetwork(parsing: $0) } }
    private func domains(_ texts: String...) -> [DomainPattern] { texts.compactMap(DomainPattern.init) }

    private func request(
        _ label: String = "bill-x",
        _ scopes: Scopes = [.send, .admin],
        _ change: (inout Request) -> Void = { _ in }
    ) -> Request {
        var request = Request(label: label, kind: .tool, scopes: scopes)
        change(&request)
        return request
    }

    /// A key that is bound in every way.
    private func bound(_ house: TestHouse) async throws -> APIKey {
        try await house.callers.issueKey(
            request("bill-parent", [.send, .read, .admin]) {
                $0.labelPrefix = "bill-"
                $0.senderDomains = domains("acme.com", "*.acme.com")
                $0.allowedIPs = networks("192.0.2.0/24", "2001:db8::/32")
                $0.limit = RateLimit(perHour: 10, burst: 5)
                $0.ipPool = "warm"
                $0.expiresAt = house.clock.now().adding(seconds: 1000)
            }, in: house.vault.id
        ).key
    }

    private func issue(_ request: Request, by parent: APIKey, _ house: TestHouse) async throws -> APIKey {
        try await house.callers.issueKey(request, by: parent.caller, in: parent.vault, audit: house.audit()).key
    }

    private func refusal(_ request: Request, by parent: APIKey, _ house: TestHouse) async throws -> PosternError? {
        let before = try await house.database.count("smtp_relay_api_keys")
        do {
            _ = try await issue(request, by: parent, house)
            return nil
        } catch let error as PosternError {
            #expect(try await house.database.count("smtp_relay_api_keys") == before)
            return error
        }
    }

    @Test("what a request leaves open is the parent's, in every field")
    func inheritance() async throws {
        try await withHouse { house in
            let parent = try await bound(house)
            let child = try await issue(request(), by: parent, house)
            #expect(child.parent == parent.id && child.senderDomains == parent.senderDomains)
            #expect(child.allowedIPs == parent.allowedIPs && child.labelPrefix == "bill-" && child.ipPool == "warm")
            #expect(child.expiresAt == parent.expiresAt && child.limits == parent.limits && child.ownLimit == nil)
            #expect(child.scopes == [.send, .admin] && child.agent == nil && !child.isTemporary)
            #expect(child.caller.limits == parent.caller.limits && child.caller.labelPrefix == "bill-")
            let stored = try #require(try await house.callers.keys.find(child.id, in: house.vault.id))
            #expect(stored.document(at: house.clock.now()) == child.document(at: house.clock.now()))
        }
    }

    @Test("a child that narrows every field is made, and its own limit stands beside its parent's")
    func narrowing() async throws {
        try await withHouse { house in
            let parent = try await bound(house)
            let child = try await issue(
                request("bill-eu-1", .send) {
                    $0.labelPrefix = "bill-eu-"
                    $0.senderDomains = domains("acme.com", "a.acme.com", "*.b.acme.com")
                    $0.allowedIPs = networks("192.0.2.7", "::ffff:192.0.2.128/121", "2001:db8:1::/48")
                    $0.limit = RateLimit(perHour: 100, burst: 100)
                    $0.ipPool = "warm"
                    $0.isReadOnly = true
                    $0.expiresAt = house.clock.now().adding(seconds: 1000)
                }, by: parent, house)
            #expect(child.limits.map(\.key) == [parent.id, child.id] && child.ownLimit?.perHour == 100)
            #expect(child.isReadOnly && child.labelPrefix == "bill-eu-")
        }
    }

    @Test("no field of a child reaches further, and the refusal names the field")
    func widening() async throws {
        try await withHouse { house in
            let parent = try await bound(house)
            let later = house.clock.now().adding(seconds: 1000.001)
            let cases: [(field: String, Request)] = [
                ("scopes", request("bill-x", [.send, .mailerq])), ("scopes", request("bill-x", .all)),
                ("sender_domains", request { $0.senderDomains = domains("evil.example") }),
                ("sender_domains", request { $0.senderDomains = domains("acme.com", "acme.org") }),
                ("sender_domains", request { $0.senderDomains = domains("*.com") }),
                ("allowed_ips", request { $0.allowedIPs = networks("192.0.2.0/23") }),
                ("allowed_ips", request { $0.allowedIPs = networks("0.0.0.0/0") }),
                ("allowed_ips", request { $0.allowedIPs = networks("::/0") }),
                ("allowed_ips", request { $0.allowedIPs = networks("192.0.2.7", "198.51.100.1") }),
                ("allowed_ips", request { $0.allowedIPs = networks("::ffff:0:0/96") }),
                ("label_prefix", request { $0.labelPrefix = "b" }),
                ("label_prefix", request { $0.labelPrefix = "Bill-" }),
                ("label_prefix", request { $0.labelPrefix = "bil\u{6C}\u{301}-" }),
                ("label_prefix", request { $0.labelPrefix = " bill-" }),
                ("label", request("other")), ("label", request("BILL-x")), ("label", request("xbill-")),
                ("expires_at", request { $0.expiresAt = later }), ("ip_pool", request { $0.ipPool = "cold" }),
            ]
            for (field, request) in cases {
                let error = try await refusal(request, by: parent, house)
                #expect(error?.code == .forbidden, "\(request)")
                #expect(error?.problems.map(\.pointer) == ["/\(field)"], "\(request)")
            }
            let everything = try await refusal(
                request("bill-x", .all) {
                    $0.senderDomains = domains("evil.example")
                    $0.allowedIPs = networks("198.51.100.1")
                    $0.expiresAt = later
                }, by: parent, house)
            #expect(
                everything?.problems.map(\.pointer) == ["/scopes", "/sender_domains", "/allowed_ips", "/expires_at"])
        }
    }

    @Test("a label outside the key's own prefix is no valid request")
    func labelOutsideOwnPrefix() async throws {
        try await withHouse { house in
            let parent = try await bound(house)
            for (label, prefix) in [("bill-x", "bill-eu-"), ("bill-", "bill-\u{301}")] {
                let error = try await refusal(request(label) { $0.labelPrefix = prefix }, by: parent, house)
                #expect(error?.code == .validationFailed && error?.problems.map(\.pointer) == ["/label"])
            }
        }
    }

    @Test("what is read-only stays so in every generation")
    func readOnly() async throws {
        try await withHouse { house in
            let parent = try await house.callers.issueKey(
                request { $0.isReadOnly = true }, in: house.vault.id
            ).key
            #expect(try await issue(request(), by: parent, house).isReadOnly)
        }
    }

    @Test("an agent issues keys for itself only, and all of them are that agent's")
    func agents() async throws {
        try await withHouse { house in
            let tool = try await house.callers.issueKey(request(), in: house.vault.id).key
            let agent = try await issue(request { $0.kind = .agent }, by: tool, house)
            #expect(agent.agent == agent.id && agent.caller.agent == agent.id && tool.caller.agent == nil)
            let child = try await issue(request { $0.kind = .agent }, by: agent, house)
            let grandchild = try await issue(request { $0.kind = .agent }, by: child, house)
            #expect(child.agent == agent.id && grandchild.agent == agent.id)
            let error = try await refusal(request(), by: child, house)
            #expect(error?.code == .forbidden && error?.problems.map(\.pointer) == ["/kind"])
        }
    }

    @Test("keys come from keys over five generations, and no more")
    func generations() async throws {
        try await withHouse { house in
            var last = try await house.callers.issueKey(request(), in: house.vault.id).key
            for _ in 2...5 { last = try await issue(request(), by: last, house) }
            let error = try await refusal(request(), by: last, house)
            #expect(error?.code == .forbidden && error?.detail.contains("5 generations") == true)
        }
    }

    @Test("a temporary key issues nothing, renews nothing and is not renewed")
    func temporary() async throws {
        try await withHouse { house in
            let (key, _) = try await house.callers.issueKey(
                request {
                    $0.isTemporary = true
                    $0.expiresAt = house.clock.now().adding(seconds: 300)
                }, in: house.vault.id)
            let other = try await house.callers.issueKey(request("bill-y", .send), in: house.vault.id).key
            #expect(try await refusal(request(), by: key, house)?.code == .forbidden)
            for (id, code) in [(key.id, ErrorCode.conflict), (other.id, .forbidden)] {
                let error = await #expect(throws: PosternError.self) {
                    try await house.callers.rotateKey(id, by: key.caller, in: house.vault.id, audit: house.audit())
                }
                #expect(error?.code == code)
            }
            let login = await #expect(throws: PosternError.self) {
                try await house.callers.addUser(.init(), by: key.caller, in: house.vault.id, audit: house.audit())
            }
            #expect(login?.code == .forbidden)
        }
    }

    @Test("a key that ended a moment ago issues nothing, though its caller was let in before")
    func endedParent() async throws {
        try await withHouse { house in
            let revoked = try await house.callers.issueKey(request(), in: house.vault.id).key
            try await house.callers.revokeKey(revoked.id, in: house.vault.id)
            #expect(try await refusal(request(), by: revoked, house)?.code == .forbidden)
            let expiring = try await house.callers.issueKey(
                request { $0.expiresAt = house.clock.now().adding(seconds: 1) }, in: house.vault.id
            ).key
            house.clock.advance(seconds: 1)
            #expect(try await refusal(request(), by: expiring, house)?.code == .forbidden)
            let invented = Caller(vault: house.vault.id, identity: .key(house.ids.next()), label: "x", scopes: .all)
            let error = await #expect(throws: PosternError.self) {
                try await house.callers.issueKey(request(), by: invented, in: house.vault.id, audit: house.audit())
            }
            #expect(error?.code == .forbidden)
        }
    }

    @Test("a key of another vault is no parent, and its keys are not there")
    func otherVault() async throws {
        try await withHouse { house in
            let other = try await house.neighbour()
            let stranger = try await house.callers.issueKey(request(), in: other.vault.id).key
            let own = try await house.callers.issueKey(request(), in: house.vault.id).key
            let error = await #expect(throws: PosternError.self) {
                try await house.callers.issueKey(
                    request(), by: stranger.caller, in: house.vault.id, audit: house.audit())
            }
            #expect(error?.code == .forbidden)
            for attempt in [
                { _ = try await house.callers.key(own.id, for: stranger.caller) },
                {
                    _ = try await house.callers.rotateKey(
                        own.id, by: stranger.caller, in: other.vault.id, audit: house.audit())
                },
                {
                    try await house.callers.revokeKey(
                        own.id, by: stranger.caller, in: other.vault.id, audit: house.audit())
                },
                {
                    _ = try await house.callers.relabelKey(
                        own.id, as: "x", by: stranger.caller, in: other.vault.id, audit: house.audit())
                },
            ] as [() async throws -> Void] {
                let error = await #expect(throws: PosternError.self) { try await attempt() }
                #expect(error?.code == .notFound)
            }
        }
    }

    @Test("a caller with a label prefix sees, renews, relabels and ends only what is within it")
    func sight() async throws {
        try await withHouse { house in
            let asker = try await house.callers.issueKey(
                request("bill-admin", .all) { $0.labelPrefix = "bill-" }, in: house.vault.id
            ).key
            let (inside, outside) = (
                try await house.callers.issueKey(request("bill-1") { $0.labelPrefix = "bill-" }, in: house.vault.id)
                    .key,
                try await house.callers.issueKey(request("other-1"), in: house.vault.id).key
            )
            let caller = asker.caller
            #expect(try await house.callers.keys(for: caller, page: Page()).map(\.id) == [asker.id, inside.id])
            #expect(try await house.callers.key(inside.id, for: caller).id == inside.id)
            for attempt in [
                { _ = try await house.callers.key(outside.id, for: caller) },
                {
                    _ = try await house.callers.rotateKey(
                        outside.id, by: caller, in: house.vault.id, audit: house.audit())
                },
                { try await house.callers.revokeKey(outside.id, by: caller, in: house.vault.id, audit: house.audit()) },
                {
                    _ = try await house.callers.relabelKey(
                        outside.id, as: "bill-2", by: caller, in: house.vault.id, audit: house.audit())
                },
            ] as [() async throws -> Void] {
                let error = await #expect(throws: PosternError.self) { try await attempt() }
                #expect(error?.code == .notFound)
            }
            // Nothing is moved out of sight, of this caller or of the key itself.
            let moved = await #expect(throws: PosternError.self) {
                try await house.callers.relabelKey(
                    inside.id, as: "other-2", by: caller, in: house.vault.id, audit: house.audit())
            }
            #expect(moved?.code == .forbidden)
            let hidden = await #expect(throws: PosternError.self) {
                try await house.callers.relabelKey(
                    inside.id, as: "other-2", by: nil, in: house.vault.id, audit: house.audit())
            }
            #expect(hidden?.code == .validationFailed)
            let named = try await house.callers.relabelKey(
                inside.id, as: "bill-2", by: caller, in: house.vault.id, audit: house.audit())
            #expect(named.label == "bill-2")
            try await house.callers.revokeKey(inside.id, by: caller, in: house.vault.id, audit: house.audit())
        }
    }

    @Test("nobody gets hold of a stronger key by renewing it")
    func rotatingUp() async throws {
        try await withHouse { house in
            let parent = try await house.callers.issueKey(request("root", .all), in: house.vault.id).key
            let cases: [(inout Request) -> Void] = [
                { $0.scopes = .admin }, { $0.senderDomains = domains("acme.com") },
                { $0.allowedIPs = networks("192.0.2.7") }, { $0.expiresAt = house.clock.now().adding(seconds: 900) },
                { $0.limit = RateLimit(perHour: 1, burst: 1) }, { $0.kind = .agent }, { $0.ipPool = "warm" },
            ]
            for change in cases {
                let child = try await issue(request("child", .all, change), by: parent, house)
                let error = await #expect(throws: PosternError.self) {
                    try await house.callers.rotateKey(
                        parent.id, by: child.caller, in: house.vault.id, audit: house.audit())
                }
                #expect(error?.code == .forbidden, "\(child.document(at: house.clock.now()))")
                // Its own text it may renew.
                let (own, _) = try await house.callers.rotateKey(
                    child.id, by: child.caller, in: house.vault.id, audit: house.audit())
                #expect(own.id == child.id)
            }
            let equal = try await issue(request("equal", .all), by: parent, house)
            _ = try await house.callers.rotateKey(parent.id, by: equal.caller, in: house.vault.id, audit: house.audit())
        }
    }
}
