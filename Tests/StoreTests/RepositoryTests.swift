// Pools, settings, vaults, process numbers: what is stored comes back, and only to its own vault.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("Repositories")
struct RepositoryTests {
    private func pool(_ house: TestHouse, _ domain: String = "example.com", in vault: VaultID? = nil) -> IPPool {
        IPPool(
            id: house.ids.next(), vault: vault ?? house.vault.id, domain: domain, pool: "warm",
            ips: ["192.0.2.1", "2001:db8::1"], createdAt: house.clock.now(), updatedAt: house.clock.now())
    }

    @Test("pools are paged by id without gaps or repeats", arguments: TestEngine.all)
    func pages(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let pools = IPPoolRepository(database: house.database)
            var expected: [String] = []
            for index in 0..<11 {
                let pool = pool(house, "d\(index).example")
                try await pools.insert(pool, in: house.vault.id, audit: house.audit(as: "pool.write"))
                expected.append(pool.id.text)
            }
            var seen: [String] = []
            while true {
                let page = try await pools.list(in: house.vault.id, page: Page(after: seen.last ?? "", limit: 4))
                seen += page.map(\.id.text)
                guard page.count == 4 else { break }
            }
            #expect(seen == expected)
        }
    }

    @Test(
        "settings and secrets come back to their vault; what is unknown is left out, what is malformed is kept apart",
        arguments: TestEngine.all)
    func settings(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject()) { house in
            let repository = SettingsRepository(database: house.database)
            let other = try await house.neighbour().vault.id
            let now = house.clock.now()
            let secrets = SecretRepository(database: house.database)
            try await repository.change(
                SettingsChange(values: ["default_priority": 4, "route": RouteName.shadow]) { _ in
                    ["smarthost_password": [1, 2]]
                }, in: house.vault.id, at: now, audit: house.audit(as: "settings.write"))
            #expect(
                try await repository.read(in: house.vault.id).own.values.mapValues(\.json) == [
                    "default_priority": .integer(4), "route": .string("shadow"),
                ])
            #expect(try await repository.read(in: other).own.values.isEmpty)
            #expect(try await repository.updatedAt("route", in: house.vault.id) == now)
            #expect(try await repository.updatedAt("smarthost_password", in: house.vault.id) == now)
            #expect(try await repository.updatedAt("route", in: other) == nil)
            #expect(try await secrets.find("smarthost_password", in: house.vault.id)?.bytes == [1, 2])
            #expect(try await secrets.find("smarthost_password", in: other)?.bytes == nil)
            let none = SettingsChange(values: ["default_priority": nil]) { _ in ["smarthost_password": nil] }
            try await repository.change(none, in: other, at: now, audit: house.audit(as: "settings.write"))
            #expect(try await secrets.names(in: house.vault.id).map(\.name) == ["smarthost_password"])
            try await repository.change(
                SettingsChange(values: ["default_priority": nil, "route": RouteName.smarthost]) { _ in
                    ["smarthost_password": nil]
                }, in: house.vault.id, at: now, audit: house.audit(as: "settings.write"))
            #expect(
                try await repository.read(in: house.vault.id).own.values.mapValues(\.json) == [
                    "route": .string("smarthost")
                ])
            #expect(try await secrets.names(in: house.vault.id).isEmpty)
            try await house.database.write { connection in
                for (key, value) in [("no_such_setting", "1"), ("auth_mode", "{"), ("default_priority", "\"five\"")] {
                    try connection.execute(
                        "INSERT INTO vault_settings VALUES (\(house.vault.id.text), \(key), \(value), \(1))")
                }
            }
            let own = try await repository.read(in: house.vault.id).own
            #expect(own.values.keys.sorted() == ["route"])
            #expect(own.unreadable == ["auth_mode": .string("{"), "default_priority": .string("five")])
            #expect(try await repository.read(in: other).own.unreadable.isEmpty)
        }
    }

    @Test("vaults are listed by slug, and a slug is taken once", arguments: TestEngine.all)
    func vaults(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = VaultRepository(database: house.database)
            let other = try await house.neighbour("another").vault
            #expect(try await repository.all().map(\.slug) == ["another", "default"])
            #expect(try await repository.find(other.id)?.wrappedDataKey == other.wrappedDataKey)
            #expect(try await repository.find(house.ids.next())?.id == nil)
            let taken = Vault(
                id: house.ids.next(), slug: "another", name: "x", wrappedDataKey: [1], createdAt: house.clock.now())
            let error = await #expect(throws: SQLError.self) { try await repository.insert(taken) }
            #expect(error?.code == .constraint)
        }
    }

    @Test(
        "process numbers are the lowest free ones, leased, renewed by their owner and given back",
        arguments: TestEngine.all)
    func processNumbers(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = HousekeepingRepository(database: house.database)
            let now = house.clock.now()
            let lease = now.adding(seconds: 60)
            for number in 0..<3 {
                #expect(try await repository.claimProcessNumber(owner: "p\(number)", at: now, until: lease) == number)
            }
            #expect(try await !repository.renewProcessNumber(1, owner: "p0", until: lease))
            #expect(try await repository.renewProcessNumber(1, owner: "p1", until: lease.adding(seconds: 60)))
            try await repository.releaseProcessNumber(0, owner: "p2")
            #expect(try await repository.claimProcessNumber(owner: "p3", at: now, until: lease) == 3)
            try await repository.releaseProcessNumber(0, owner: "p0")
            #expect(try await repository.claimProcessNumber(owner: "p4", at: now, until: lease) == 0)
            // After their leases only the renewed number is still held.
            let after = lease.adding(seconds: 1)
            #expect(
                try await repository.claimProcessNumber(owner: "p5", at: after, until: after.adding(seconds: 9)) == 0)
            #expect(
                try await repository.claimProcessNumber(owner: "p6", at: after, until: after.adding(seconds: 9)) == 2)
            #expect(try await !repository.renewProcessNumber(0, owner: "p4", until: after))
        }
    }

    @Test("when every process number is taken there is none to have")
    func processNumbersRunOut() async throws {
        try await withHouse { house in
            let repository = HousekeepingRepository(database: house.database)
            let now = house.clock.now()
            try await house.database.write { connection in
                for number in 0..<1024 {
                    try connection.execute("INSERT INTO processes VALUES (\(number), 'x', \(now.milliseconds + 1000))")
                }
            }
            #expect(try await repository.claimProcessNumber(owner: "late", at: now, until: now) == nil)
        }
    }
}

@Suite("Overdue messages")
struct OverdueTests {
    @Test(
        "what should have ended is overdue, oldest deadline first, but not while somebody has it in hand",
        arguments: TestEngine.all)
    func overdue(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let housekeeping = HousekeepingRepository(database: house.database)
            let later = try await house.accept { $0.lifetime = 50 }[0]
            let sooner = try await house.accept { $0.lifetime = 40 }[0]
            let ended = try await house.accept { $0.lifetime = 10 }[0]
            let held = try await house.accept { $0.lifetime = 10 }[0]
            _ = try await house.accept { $0.lifetime = 1000 }
            let lease = house.clock.now().adding(seconds: 90).milliseconds
            try await house.database.write { connection in
                try connection.execute("UPDATE smtp_relay_logs SET status = 'bounced' WHERE id = \(ended.text)")
                try connection.execute("UPDATE smtp_relay_logs SET status = 'in_flight' WHERE id = \(held.text)")
                try connection.execute(
                    "UPDATE outbox SET ready = 0, due_at = \(lease), lease_owner = 'a' WHERE message_id = \(held.text)")
            }
            #expect(
                try await housekeeping.overdue(at: house.clock.now().adding(seconds: 39.999), patience: 0, limit: 10)
                    .isEmpty)
            house.clock.advance(seconds: 60)
            #expect(
                try await housekeeping.overdue(at: house.clock.now(), patience: 0, limit: 10).map(\.id) == [
                    sooner, later,
                ])
            #expect(try await housekeeping.overdue(at: house.clock.now(), patience: 0, limit: 1).map(\.id) == [sooner])
            house.clock.advance(seconds: 30)
            #expect(
                try await housekeeping.overdue(at: house.clock.now(), patience: 0, limit: 10).map(\.id) == [
                    held, sooner, later,
                ])
        }
    }
}
