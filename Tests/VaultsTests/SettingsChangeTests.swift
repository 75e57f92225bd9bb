// What a change of settings has to hold to, in its own transaction, and what the audit log says of it.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing
import Vaults

@Suite("Changes of settings")
struct SettingsChangeTests {
    private func problems(_ house: TestHouse, _ document: JSONObject) async throws -> [String] {
        do {
            try await house.vaults.change(document, in: house.vault.id, audit: house.audit(as: "settings.write"))
            return []
        } catch let error as PosternError {
            #expect(error.code == .validationFailed)
            return error.problems.map(\.pointer)
        }
    }

    private func records(_ house: TestHouse) async throws -> [AuditRecord.Fields] {
        // Newer than what made the house.
        var query = AuditQuery()
        query.since = ManualClock().now()
        return try await AuditRepository(database: house.database).list(query, in: house.vault.id).records.map(\.fields)
    }

    private func insert(_ house: TestHouse, _ name: String, _ domain: String) async throws -> IPPool {
        let pool = IPPool(
            id: house.ids.next(), vault: house.vault.id, domain: domain, pool: name, ips: ["192.0.2.1"],
            createdAt: house.clock.now(), updatedAt: house.clock.now())
        try await IPPoolRepository(database: house.database).insert(
            pool, in: house.vault.id, audit: house.audit(as: "pool.write"))
        house.vaults.invalidate(house.vault.id)
        return pool
    }

    @Test("the whole is looked at as it is after the change", arguments: TestEngine.all)
    func whole(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject(), instanceDefaults: ["key_send_rate_limit": 10]) { house in
            #expect(try await problems(house, ["burst_ceiling": .integer(5)]) == ["/burst_ceiling"])
            #expect(try await problems(house, ["key_burst_ceiling": .integer(5)]) == [], "the instance has the limit")
            #expect(try await problems(house, ["burst_ceiling": .integer(5), "send_rate_limit": .integer(9)]) == [])
            #expect(try await problems(house, ["send_rate_limit": .null]) == ["/send_rate_limit"])
            #expect(
                try await problems(house, ["default_envelope_strategy": .string("verp")]) == [
                    "/default_envelope_strategy"
                ])
            let verp: JSONObject = [
                "default_envelope_strategy": .string("verp"), "envelope_address": .string("b@example.com"),
            ]
            #expect(try await problems(house, verp) == [])
            #expect(try await problems(house, ["envelope_address": .string("")]) == ["/envelope_address"])
            #expect(
                try await problems(house, ["burst_ceiling": .integer(7), "envelope_address": .null]) == [
                    "/envelope_address"
                ])
            let settings = try await house.vaults.snapshot(of: house.vault.id).settings
            #expect(settings.value(Settings.burstCeiling) == 5, "what was refused changed nothing")
            #expect(settings.erased("envelope_address")?.json == .string("b@example.com"))
            #expect(try await records(house).count == 3, "and is not in the audit log")
        }
    }

    @Test("a fixed pool has to be there, and stays there", arguments: TestEngine.all)
    func fixedPool(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let pools = IPPoolRepository(database: house.database)
            let (vault, audit) = (house.vault.id, house.audit(as: "pool.write"))
            let fixed: JSONObject = ["ip_pool_strategy": .string("fixed:warm")]
            #expect(try await problems(house, fixed) == ["/ip_pool_strategy"])
            let first = try await insert(house, "warm", "a.example")
            let second = try await insert(house, "warm", "b.example")
            #expect(try await problems(house, fixed) == [])
            #expect(
                try await pools.delete(first.id, in: vault, rule: house.vaults.poolRule, audit: audit), "one is left")
            let error = await #expect(throws: PosternError.self) {
                try await pools.delete(second.id, in: vault, rule: house.vaults.poolRule, audit: audit)
            }
            #expect(error?.code == .conflict && error?.detail.contains("fixed:warm") == true)
            await #expect(throws: PosternError.self) {
                try await pools.update(
                    second.id, in: vault, at: house.clock.now(), rule: house.vaults.poolRule, audit: audit
                ) { $0.pool = "cold" }
            }
            let edited = try await pools.update(
                second.id, in: vault, at: house.clock.now(), rule: house.vaults.poolRule, audit: audit
            ) { $0.ips = ["192.0.2.7"] }
            #expect(edited?.ips == ["192.0.2.7"])
            #expect(try await problems(house, ["ip_pool_strategy": .string("caller")]) == [])
            #expect(try await pools.delete(second.id, in: vault, rule: house.vaults.poolRule, audit: audit))
        }
    }

    @Test("a pool that the instance's strategy names stays as well; one that was never there is no matter")
    func instancePool() async throws {
        try await withHouse(
            settings: JSONObject(), instanceDefaults: ["ip_pool_strategy": IPPoolStrategy.fixed("warm")]
        ) { house in
            let pools = IPPoolRepository(database: house.database)
            let cold = try await insert(house, "cold", "a.example")
            #expect(
                try await pools.delete(
                    cold.id, in: house.vault.id, rule: house.vaults.poolRule, audit: house.audit(as: "pool.write")))
            let warm = try await insert(house, "warm", "b.example")
            await #expect(throws: PosternError.self) {
                try await pools.delete(
                    warm.id, in: house.vault.id, rule: house.vaults.poolRule, audit: house.audit(as: "pool.write"))
            }
        }
    }

    @Test("a pool cannot go while the strategy that names it comes", arguments: TestEngine.all)
    func race(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            for round in 0..<10 {
                try await house.vaults.change(["ip_pool_strategy": .string("none")], in: house.vault.id)
                let pool = try await insert(house, "warm", "r\(round).example")
                async let named = problems(house, ["ip_pool_strategy": .string("fixed:warm")]).isEmpty
                async let deleted: Bool = {
                    do {
                        return try await IPPoolRepository(database: house.database).delete(
                            pool.id, in: house.vault.id, rule: house.vaults.poolRule,
                            audit: house.audit(as: "pool.write"))
                    } catch let error as PosternError {
                        #expect(error.code == .conflict)
                        return false
                    }
                }()
                let (isNamed, isDeleted) = try await (named, deleted)
                #expect(isNamed != isDeleted)
                if !isDeleted {
                    try await house.vaults.change(["ip_pool_strategy": .string("none")], in: house.vault.id)
                    _ = try await IPPoolRepository(database: house.database).delete(
                        pool.id, in: house.vault.id, audit: house.audit(as: "pool.write"))
                }
            }
        }
    }

    @Test(
        "the audit log has before and after of what was named, and of a secret only whether it is set",
        arguments: TestEngine.all)
    func audited(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject(), instanceDefaults: ["default_priority": 9]) { house in
            let secret = "correct-horse-battery-staple"
            for password in [JSONValue.string(secret), .string(secret + "2"), .null] {
                #expect(
                    try await problems(house, ["default_priority": .integer(3), "smarthost_password": password]) == [])
                house.clock.advance(seconds: 1)
            }
            #expect(try await problems(house, ["default_priority": .null]) == [])
            let records = try await records(house)
            func set(_ isSet: Bool) -> JSONValue { .object(["set": .bool(isSet)]) }
            func value(_ priority: JSONValue, _ isSet: Bool) -> JSONValue {
                .object(["default_priority": priority, "smarthost_password": set(isSet)])
            }
            #expect(
                try records.reversed().map { try $0.before.map { try JSONParser.parse($0) } } == [
                    value(.null, false), value(.integer(3), true), value(.integer(3), true),
                    .object(["default_priority": .integer(3)]),
                ])
            #expect(
                try records.reversed().map { try $0.after.map { try JSONParser.parse($0) } } == [
                    value(.integer(3), true), value(.integer(3), true), value(.integer(3), false),
                    .object(["default_priority": .null]),
                ])
            #expect(records.allSatisfy { $0.resource == "settings" && $0.action == "settings.write" })
            #expect(
                try await house.database.count(
                    "audit_records", where: "before_value LIKE '%correct-horse%' OR after_value LIKE '%correct-horse%'")
                    == 0)
        }
    }

    @Test("when a value was last set is known")
    func updatedAt() async throws {
        try await withHouse(settings: JSONObject()) { house in
            let vault = house.vault.id
            try await house.vaults.change(
                ["route": .string("shadow"), "smarthost_password": .string("p")], in: vault)
            let then = house.clock.now()
            house.clock.advance(seconds: 60)
            try await house.vaults.change(["route": .string("smarthost")], in: vault)
            #expect(try await house.vaults.updatedAt("route", in: vault) == house.clock.now())
            #expect(try await house.vaults.updatedAt("smarthost_password", in: vault) == then)
            #expect(try await house.vaults.updatedAt("auth_mode", in: vault) == nil)
        }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init()
        for (name, value) in elements { self[name] = value }
    }
}
