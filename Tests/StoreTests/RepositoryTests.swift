// Keys, SMTP users, pools, settings, vaults, process numbers: what is stored comes back, and only to its own vault.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("Repositories")
struct RepositoryTests {
    private func key(_ house: TestHouse, prefix: String = "abcdefgh", in vault: VaultID? = nil) -> APIKey {
        APIKey(
            id: house.ids.next(), vault: vault ?? house.vault.id, prefix: prefix, digest: Array(0..<32),
            label: "a 'label'",
            kind: .agent, scopes: [.send, .read], isReadOnly: true,
            senderDomains: ["acme.com", "*.bücher.example"].compactMap(DomainPattern.init),
            createdAt: house.clock.now(), expiresAt: house.clock.now().adding(seconds: 60))
    }

    private func user(_ house: TestHouse, _ name: String = "robot") -> SMTPUser {
        SMTPUser(
            id: house.ids.next(), vault: house.vault.id, username: name, label: "Robot", passwordHash: "hash",
            createdAt: house.clock.now())
    }

    private func pool(_ house: TestHouse, _ domain: String = "example.com", in vault: VaultID? = nil) -> IPPool {
        IPPool(
            id: house.ids.next(), vault: vault ?? house.vault.id, domain: domain, pool: "warm",
            ips: ["192.0.2.1", "2001:db8::1"], createdAt: house.clock.now(), updatedAt: house.clock.now())
    }

    @Test("a key comes back with all that it may do", arguments: TestEngine.all)
    func keys(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = KeyRepository(database: house.database)
            let key = key(house)
            try await repository.insert(key, in: house.vault.id)
            let byID = try await repository.find(key.id, in: house.vault.id)
            let byPrefix = try await repository.find(prefix: "abcdefgh")
            for stored in [try #require(byID), try #require(byPrefix)] {
                #expect(stored.id == key.id && stored.vault == house.vault.id)
                #expect(stored.digest == key.digest && stored.label == key.label && stored.kind == .agent)
                #expect(stored.caller == key.caller)
                #expect(stored.senderDomains == key.senderDomains)
                #expect(stored.createdAt == key.createdAt && stored.expiresAt == key.expiresAt)
                #expect(stored.revokedAt == nil && stored.lastUsedAt == nil)
            }
            #expect(try await repository.find(prefix: "ABCDEFGH")?.id == nil)
        }
    }

    @Test("a key ends once, by its own vault", arguments: TestEngine.all)
    func revoking(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = KeyRepository(database: house.database)
            let other = try await house.neighbour().vault.id
            let key = key(house)
            try await repository.insert(key, in: house.vault.id)
            #expect(try await !repository.revoke(key.id, in: other, at: house.clock.now()))
            #expect(try await repository.find(key.id, in: other)?.id == nil)
            #expect(try await repository.list(in: other, page: Page()).isEmpty)
            #expect(try await repository.find(key.id, in: house.vault.id)?.revokedAt == nil)
            let revokedAt = house.clock.now()
            #expect(try await repository.revoke(key.id, in: house.vault.id, at: revokedAt))
            house.clock.advance(seconds: 1)
            #expect(try await !repository.revoke(key.id, in: house.vault.id, at: house.clock.now()))
            #expect(try await repository.find(key.id, in: house.vault.id)?.revokedAt == revokedAt)
        }
    }

    @Test("rotating a key ends its old text and begins the new one together, or neither", arguments: TestEngine.all)
    func rotating(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = KeyRepository(database: house.database)
            let other = try await house.neighbour().vault.id
            let (old, taken) = (key(house, prefix: "oldoldol"), key(house, prefix: "takentak"))
            try await repository.insert(old, in: house.vault.id)
            try await repository.insert(taken, in: house.vault.id)
            func turned(_ prefix: String) -> APIKey {
                var key = old
                (key.prefix, key.digest) = (prefix, [7])
                return key
            }
            #expect(try await !repository.rotate(turned("newnewne"), from: "oldoldol", in: other))
            #expect(try await repository.find(prefix: "newnewne")?.id == nil)
            // A prefix that is taken: the old text must live on.
            await #expect(throws: SQLError.self) {
                try await repository.rotate(turned("takentak"), from: "oldoldol", in: house.vault.id)
            }
            #expect(try await repository.find(prefix: "oldoldol")?.digest == old.digest)
            #expect(try await repository.rotate(turned("newnewne"), from: "oldoldol", in: house.vault.id))
            #expect(try await repository.find(prefix: "oldoldol")?.id == nil)
            #expect(try await repository.find(prefix: "newnewne")?.id == old.id)
            #expect(try await repository.find(old.id, in: house.vault.id)?.digest == [7])
            // Whoever knew only the old text comes too late, and so does a revoked key's owner.
            #expect(try await !repository.rotate(turned("another1"), from: "oldoldol", in: house.vault.id))
            #expect(try await repository.revoke(old.id, in: house.vault.id, at: house.clock.now()))
            #expect(try await !repository.rotate(turned("another1"), from: "newnewne", in: house.vault.id))
        }
    }

    @Test("uses are written down together", arguments: TestEngine.all)
    func uses(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (keys, users) = (KeyRepository(database: house.database), SMTPUserRepository(database: house.database))
            let (first, second, user) = (key(house, prefix: "first123"), key(house, prefix: "second12"), user(house))
            try await keys.insert(first, in: house.vault.id)
            try await keys.insert(second, in: house.vault.id)
            try await users.insert(user, in: house.vault.id)
            let (early, late) = (house.clock.now(), house.clock.now().adding(seconds: 5))
            try await keys.recordUses([first.id: early, second.id: late, house.ids.next(): late])
            try await users.recordUses([user.id: late])
            #expect(try await keys.find(first.id, in: house.vault.id)?.lastUsedAt == early)
            #expect(try await keys.find(second.id, in: house.vault.id)?.lastUsedAt == late)
            #expect(try await users.find(user.id, in: house.vault.id)?.lastUsedAt == late)
        }
    }

    @Test("an SMTP user's name is taken in the whole instance; all else is its vault's", arguments: TestEngine.all)
    func users(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = SMTPUserRepository(database: house.database)
            let other = try await house.neighbour().vault.id
            let user = user(house)
            try await repository.insert(user, in: house.vault.id)
            let error = await #expect(throws: SQLError.self) {
                try await repository.insert(self.user(house), in: other)
            }
            #expect(error?.code == .constraint)
            let found = try #require(try await repository.find(username: "robot"))
            #expect(found.id == user.id && found.vault == house.vault.id && found.passwordHash == "hash")
            #expect(found.caller.scopes == .send && found.caller.identity == .smtpUser(user.id))
            #expect(try await repository.find(username: "Robot")?.id == nil)
            #expect(try await repository.find(user.id, in: other)?.id == nil)
            #expect(try await repository.list(in: other, page: Page()).isEmpty)
            #expect(try await !repository.delete(user.id, in: other))
            #expect(try await repository.list(in: house.vault.id, page: Page()).map(\.id) == [user.id])
            #expect(try await repository.delete(user.id, in: house.vault.id))
            #expect(try await !repository.delete(user.id, in: house.vault.id))
            #expect(try await repository.find(username: "robot")?.id == nil)
        }
    }

    @Test("a domain has one pool a vault; another vault sees and changes none of it", arguments: TestEngine.all)
    func pools(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = IPPoolRepository(database: house.database)
            let other = try await house.neighbour().vault.id
            var pool = pool(house)
            try await repository.insert(pool, in: house.vault.id)
            let error = await #expect(throws: SQLError.self) {
                try await repository.insert(self.pool(house), in: house.vault.id)
            }
            #expect(error?.code == .constraint)
            try await repository.insert(self.pool(house, in: other), in: other)
            #expect(try await repository.find(pool.id, in: other)?.id == nil)
            #expect(try await !repository.delete(pool.id, in: other))
            pool.ips = ["192.0.2.9"]
            #expect(try await !repository.update(pool, in: other))
            #expect(try await repository.find(pool.id, in: house.vault.id)?.ips == ["192.0.2.1", "2001:db8::1"])
            #expect(try await repository.update(pool, in: house.vault.id))
            #expect(try await repository.all(in: house.vault.id).map(\.ips) == [["192.0.2.9"]])
            #expect(try await repository.delete(pool.id, in: house.vault.id))
            #expect(try await repository.all(in: house.vault.id).isEmpty)
            #expect(try await repository.all(in: other).count == 1)
        }
    }

    @Test("lists are paged by id without gaps or repeats", arguments: TestEngine.all)
    func pages(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (keys, users, pools) = (
                KeyRepository(database: house.database), SMTPUserRepository(database: house.database),
                IPPoolRepository(database: house.database)
            )
            var expected: [[String]] = [[], [], []]
            for index in 0..<11 {
                let (key, user, pool) = (
                    key(house, prefix: "prefix\(10 + index)"), user(house, "u\(index)"),
                    pool(house, "d\(index).example")
                )
                try await keys.insert(key, in: house.vault.id)
                try await users.insert(user, in: house.vault.id)
                try await pools.insert(pool, in: house.vault.id)
                expected[0].append(key.id.text)
                expected[1].append(user.id.text)
                expected[2].append(pool.id.text)
            }
            let lists: [@Sendable (Page) async throws -> [String]] = [
                { try await keys.list(in: house.vault.id, page: $0).map(\.id.text) },
                { try await users.list(in: house.vault.id, page: $0).map(\.id.text) },
                { try await pools.list(in: house.vault.id, page: $0).map(\.id.text) },
            ]
            for (list, expected) in zip(lists, expected) {
                var seen: [String] = []
                while true {
                    let page = try await list(Page(after: seen.last ?? "", limit: 4))
                    seen += page
                    guard page.count == 4 else { break }
                }
                #expect(seen == expected)
            }
        }
    }

    @Test(
        "settings and secrets come back to their vault; what is unknown or malformed is left out",
        arguments: TestEngine.all)
    func settings(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject()) { house in
            let repository = SettingsRepository(database: house.database)
            let other = try await house.neighbour().vault.id
            let now = house.clock.now()
            try await repository.change(
                ["default_priority": 4, "route": RouteName.shadow], sealedSecrets: ["smarthost_password": [1, 2]],
                in: house.vault.id, at: now)
            #expect(
                try await repository.values(in: house.vault.id).mapValues(\.json) == [
                    "default_priority": .integer(4), "route": .string("shadow"),
                ])
            #expect(try await repository.values(in: other).isEmpty)
            #expect(try await repository.secretNames(in: house.vault.id) == ["smarthost_password"])
            #expect(try await repository.sealedSecret("smarthost_password", in: house.vault.id) == [1, 2])
            #expect(try await repository.sealedSecret("smarthost_password", in: other) == nil)
            try await repository.change(
                ["default_priority": nil], sealedSecrets: ["smarthost_password": nil], in: other, at: now)
            #expect(try await repository.secretNames(in: house.vault.id) == ["smarthost_password"])
            try await repository.change(
                ["default_priority": nil, "route": RouteName.smarthost],
                sealedSecrets: ["smarthost_password": nil], in: house.vault.id, at: now)
            #expect(
                try await repository.values(in: house.vault.id).mapValues(\.json) == ["route": .string("smarthost")])
            #expect(try await repository.secretNames(in: house.vault.id).isEmpty)
            try await house.database.write { connection in
                for (key, value) in [("no_such_setting", "1"), ("auth_mode", "{"), ("default_priority", "\"five\"")] {
                    try connection.execute(
                        "INSERT INTO vault_settings VALUES (\(house.vault.id.text), \(key), \(value), \(1))")
                }
            }
            #expect(try await repository.values(in: house.vault.id).keys.sorted() == ["route"])
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
