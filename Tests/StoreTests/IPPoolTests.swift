// Pools: one a domain, changed as they are at that moment, and written down with what was before.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("IP pool repository")
struct IPPoolTests {
    private struct Refused: Error {}

    private func pool(_ house: TestHouse, _ domain: String = "example.com", in vault: VaultID? = nil) -> IPPool {
        IPPool(
            id: house.ids.next(), vault: vault ?? house.vault.id, domain: domain, pool: "warm",
            ips: ["192.0.2.1", "2001:db8::1"], createdAt: house.clock.now(), updatedAt: house.clock.now())
    }

    private func entries(_ house: TestHouse) async throws -> [AuditEntry] {
        var query = AuditQuery()
        query.action = "pool.write"
        return try await AuditRepository(database: house.database).list(query, in: house.vault.id).records.map {
            try $0.fields.entry()
        }
    }

    @Test("a domain has one pool a vault; another vault sees and changes none of it", arguments: TestEngine.all)
    func tenancy(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let pools = IPPoolRepository(database: house.database)
            let (own, other) = (house.vault.id, try await house.neighbour().vault.id)
            let audit = house.audit(as: "pool.write")
            let pool = pool(house)
            try await pools.insert(pool, in: own, audit: audit)
            let error = await #expect(throws: SQLError.self) {
                try await pools.insert(self.pool(house), in: own, audit: audit)
            }
            #expect(error?.code == .constraint)
            try await pools.insert(self.pool(house, in: other), in: other, audit: audit)
            #expect(try await pools.find(pool.id, in: other)?.id == nil)
            #expect(try await !pools.delete(pool.id, in: other, audit: audit))
            let stranger = try await pools.update(pool.id, in: other, at: house.clock.now(), audit: audit) {
                $0.ips = ["192.0.2.9"]
            }
            #expect(stranger?.id == nil)
            #expect(try await pools.find(pool.id, in: own)?.ips == ["192.0.2.1", "2001:db8::1"])
            #expect(try await entries(house).count == 1, "what failed or changed nothing left no entry")
            #expect(try await pools.delete(pool.id, in: own, audit: audit))
            #expect(try await pools.list(in: own, page: Page(limit: 10)).isEmpty)
            #expect(try await pools.list(in: other, page: Page(limit: 10)).count == 1)
        }
    }

    @Test("what is not changed stays, and each change says what was before and after", arguments: TestEngine.all)
    func changes(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let pools = IPPoolRepository(database: house.database)
            let (vault, audit, pool) = (house.vault.id, house.audit(as: "pool.write"), pool(house))
            try await pools.insert(pool, in: vault, audit: audit)
            house.clock.advance(seconds: 5)
            let changed = try await pools.update(pool.id, in: vault, at: house.clock.now(), audit: audit) {
                $0.ips.reverse()
            }
            #expect(changed?.ips == ["2001:db8::1", "192.0.2.1"] && changed?.domain == "example.com")
            #expect(changed?.createdAt == pool.createdAt && changed?.updatedAt == house.clock.now())
            let stored = try #require(try await pools.find(pool.id, in: vault))
            #expect(stored.ips == changed?.ips && stored.updatedAt == changed?.updatedAt && stored.pool == "warm")
            house.clock.advance(seconds: 5)
            #expect(try await pools.delete(pool.id, in: vault, audit: audit))
            let entries = try await entries(house)
            #expect(entries.map(\.resource) == [pool.id.text, pool.id.text, pool.id.text])
            func ips(_ value: JSONValue?) -> JSONValue? { value?.objectValue?["ips"] }
            let (first, second) = (["192.0.2.1", "2001:db8::1"].json, ["2001:db8::1", "192.0.2.1"].json)
            #expect(entries.map { ips($0.before) } == [second, first, nil])
            #expect(entries.map { ips($0.after) } == [nil, second, first])
            #expect(entries[0].before?.objectValue?["domain"] == .string("example.com"))
        }
    }

    @Test("a rule that refuses sees before and after, and leaves everything as it was", arguments: TestEngine.all)
    func rules(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let pools = IPPoolRepository(database: house.database)
            let (vault, audit, pool) = (house.vault.id, house.audit(as: "pool.write"), pool(house))
            try await pools.insert(pool, in: vault, audit: audit)
            let rule: IPPoolRepository.Rule = { own, before, after in
                #expect(own.values["auth_mode"]?.json == .string("both"))
                #expect(before.addresses(named: "warm")?.count == 2)
                #expect(after.addresses(named: "warm") == nil)
                throw Refused()
            }
            await #expect(throws: Refused.self) {
                try await pools.delete(pool.id, in: vault, rule: rule, audit: audit)
            }
            await #expect(throws: Refused.self) {
                try await pools.update(pool.id, in: vault, at: house.clock.now(), rule: rule, audit: audit) {
                    $0.pool = "cold"
                }
            }
            #expect(try await pools.find(pool.id, in: vault)?.pool == "warm")
            #expect(try await entries(house).count == 1)
        }
    }

    @Test("changes of one pool at the same time lose nothing of each other", arguments: TestEngine.all)
    func together(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let pools = IPPoolRepository(database: house.database)
            let (vault, audit, pool) = (house.vault.id, house.audit(as: "pool.write"), pool(house))
            try await pools.insert(pool, in: vault, audit: audit)
            try await withThrowingTaskGroup { group in
                for index in 0..<20 {
                    group.addTask {
                        _ = try await pools.update(pool.id, in: vault, at: house.clock.now(), audit: audit) {
                            $0.ips.append("198.51.100.\(index)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(Set(try await pools.find(pool.id, in: vault)?.ips ?? []).count == 22)
            #expect(try await entries(house).count == 21)
        }
    }
}
