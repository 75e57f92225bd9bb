// The audit log: newest first, each filter, only the vault's own, and never an entry of a change that did not happen.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("Audit repository")
struct AuditTests {
    private static let actor = Actor(
        id: "key_0000000000000001", label: "ops-1", door: "http", address: "192.0.2.7", requestID: "req_1")

    /// Writes an entry the way every repository does: with a change.
    @discardableResult
    private func change(
        _ house: TestHouse,
        _ settings: [String: (any SettingValue)?] = ["default_priority": 1],
        in vault: VaultID? = nil,
        by actor: Actor = Self.actor,
        as action: String = "settings.write",
        of resource: String? = nil
    ) async throws -> AuditID {
        let id: AuditID = house.ids.next()
        let now = house.clock.now()
        try await SettingsRepository(database: house.database).change(
            SettingsChange(values: settings), in: vault ?? house.vault.id, at: now
        ) { name, before, after in
            AuditEntry(
                id: id, at: now, actor: actor, action: action, resource: resource ?? name, before: before, after: after)
        }
        return id
    }

    private func list(_ house: TestHouse, in vault: VaultID? = nil, _ ask: (inout AuditQuery) -> Void = { _ in })
        async throws -> [AuditEntry]
    {
        var query = AuditQuery(limit: 200)
        ask(&query)
        return try await AuditRepository(database: house.database).list(query, in: vault ?? house.vault.id).records.map
        {
            try $0.fields.entry()
        }
    }

    @Test("an entry comes back whole", arguments: TestEngine.all)
    func whole(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject()) { house in
            try await change(house, ["default_priority": 4])
            house.clock.advance(seconds: 1)
            let id = try await change(house, ["default_priority": nil, "default_tags": ["a", "ü\"\\"]])
            let entry = try #require(try await list(house).first)
            #expect(entry.id == id && entry.at == house.clock.now() && entry.actor == Self.actor)
            #expect(entry.action == "settings.write" && entry.resource == "settings")
            #expect(
                entry.before
                    == .object(JSONObject(["default_priority": .integer(4), "default_tags": .null])))
            #expect(
                entry.after
                    == .object(JSONObject(["default_priority": .null, "default_tags": ["a", "ü\"\\"].json])))
        }
    }

    @Test(
        "each filter narrows, filters narrow together, and another vault's entries are not there",
        arguments: TestEngine.all)
    func filters(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject()) { house in
            let other = try await house.neighbour().vault.id
            let person = Actor(id: "key_0000000000000002", label: "ops-2", door: "cli")
            let odd = Actor(id: "key_0000000000000003", label: "ops%_é", door: "http")
            let first = try await change(house)
            house.clock.advance(seconds: 10)
            let middle = house.clock.now()
            let second = try await change(house, by: person, as: "pool.write", of: "pool_1")
            house.clock.advance(seconds: 10)
            let third = try await change(house, by: odd, as: "pool.write", of: "pool_2")
            let foreign = try await change(house, in: other)
            #expect(try await list(house).map(\.id) == [third, second, first])
            #expect(try await list(house, in: other).map(\.id) == [foreign])
            func ids(_ ask: (inout AuditQuery) -> Void) async throws -> [AuditID] {
                try await list(house, ask).map(\.id)
            }
            #expect(try await ids { $0.actor = person.id } == [second])
            #expect(try await ids { $0.actor = "ops-2" } == [second])
            #expect(try await ids { $0.actor = "ops-" }.isEmpty)
            #expect(try await ids { $0.action = "pool.write" } == [third, second])
            #expect(try await ids { $0.resource = "pool_1" } == [second])
            #expect(try await ids { $0.since = middle } == [third, second])
            #expect(try await ids { $0.until = middle } == [first])
            #expect(try await ids { $0.before = third } == [second, first])
            #expect(try await ids { $0.limit = 1 } == [third])
            let both = try await ids {
                $0.action = "pool.write"
                $0.actor = "ops-2"
                $0.since = middle
            }
            #expect(both == [second])
        }
    }

    @Test("pages follow each other without gaps or repeats", arguments: TestEngine.all)
    func pages(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject()) { house in
            var expected: [AuditID] = []
            for index in 0..<11 { expected.append(try await change(house, ["default_priority": index])) }
            var seen: [AuditID] = []
            while true {
                let page = try await list(house) {
                    $0.before = seen.last
                    $0.limit = 4
                }
                seen += page.map(\.id)
                guard page.count == 4 else { break }
            }
            #expect(seen == expected.reversed())
        }
    }

    @Test("a change that fails leaves no entry, and an entry that fails leaves no change", arguments: TestEngine.all)
    func together(_ engine: TestEngine) async throws {
        struct Refused: Error {}
        try await withHouse(engine, settings: JSONObject()) { house in
            let settings = SettingsRepository(database: house.database)
            let change = SettingsChange(values: ["default_priority": 9])
            await #expect(throws: Refused.self) {
                try await settings.change(
                    change, in: house.vault.id, at: house.clock.now(), rule: { _, _ in throw Refused() },
                    audit: house.audit(as: "settings.write"))
            }
            #expect(try await list(house).isEmpty)
            #expect(try await settings.read(in: house.vault.id).own.values.isEmpty)
            let taken = try await self.change(house)
            await #expect(throws: SQLError.self) {
                try await settings.change(change, in: house.vault.id, at: house.clock.now()) {
                    resource, before, after in
                    AuditEntry(
                        id: taken, at: house.clock.now(), actor: Self.actor, action: "settings.write",
                        resource: resource, before: before, after: after)
                }
            }
            let own = try await settings.read(in: house.vault.id).own
            #expect(own.values["default_priority"]?.json == .integer(1))
            #expect(try await list(house).map(\.id) == [taken])
        }
    }

    @Test("the rule of a change sees the values and the pools as they are after it", arguments: TestEngine.all)
    func rule(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject()) { house in
            let settings = SettingsRepository(database: house.database)
            let pool = IPPool(
                id: house.ids.next(), vault: house.vault.id, domain: "example.com", pool: "warm", ips: ["192.0.2.1"],
                createdAt: house.clock.now(), updatedAt: house.clock.now())
            try await IPPoolRepository(database: house.database).insert(
                pool, in: house.vault.id, audit: house.audit(as: "pool.write"))
            try await change(house, ["default_priority": 4, "default_campaign_id": "a"])
            let next = SettingsChange(values: ["default_priority": 5, "default_campaign_id": nil])
            try await settings.change(
                next, in: house.vault.id, at: house.clock.now(),
                rule: { own, pools in
                    #expect(own.values.mapValues(\.json) == ["default_priority": .integer(5)])
                    #expect(pools.addresses(named: "warm") == ["192.0.2.1"])
                }, audit: house.audit(as: "settings.write"))
        }
    }
}
