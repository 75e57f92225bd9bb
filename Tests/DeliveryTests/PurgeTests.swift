// A deleted vault is taken away with all that it holds, whatever happens in the middle; an archived one ends what waits.

import CoreTestSupport
import Delivery
import JSON
import Model
import SQL
import Sealing
import ServiceLifecycleTestKit
import Store
import TestSupport
import Testing
import Vaults

@Suite("Purge")
struct PurgeTests {
    private func purge(
        _ house: TestHouse,
        on database: (any SQLDatabase)? = nil,
        owner: String = "test",
        interval: Double = 0.01
    ) -> Purge {
        let database = database ?? house.database
        return Purge(
            database: database, vaults: house.vaults, interval: interval,
            duty: Duty("purge", owner: owner, database: database, clock: house.clock), clock: house.clock,
            ids: house.ids,
            logger: silent)
    }

    private func delete(_ house: TestHouse) async throws {
        try await house.vaults.delete(
            house.vault.id, confirmation: house.vault.slug, audit: house.audit(as: "vault.delete"))
    }

    /// Tables that hold something of a vault, by the schema: those with a column that names it, and those that refer to such.
    private func tables(_ house: TestHouse) async throws -> Set<String> {
        try await house.database.read { connection in
            var found: Set<String> = []
            let names = InstanceTables.moved.map(\.name) + InstanceTables.left
            for name in names {
                let columns = try connection.columns(of: name).map(\.name)
                if columns.contains("vault_id") || columns.contains("chain") { found.insert(name) }
            }
            guard house.database.name == "SQLite" else { return found }
            // Only SQLite says so in a way that is quickly asked for; the schema is the same in both.
            for name in names where name != "vaults" {
                let parents = try connection.rows(
                    SQLStatement(stringLiteral: "SELECT \"table\" FROM pragma_foreign_key_list('\(name)')")
                ).map { try $0.text(0) }
                if !found.isDisjoint(with: parents) { found.insert(name) }
            }
            return found
        }
    }

    private static let purged = Set(
        PurgeRepository.withMessages + PurgeRepository.tables.map(\.name) + ["audit_heads"])

    @Test("the purge knows every table that the schema says belongs to vaults", arguments: TestEngine.all)
    func schema(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let known = try await house.database.read { connection in
                try (InstanceTables.moved.map(\.name) + InstanceTables.left).allSatisfy { try connection.hasTable($0) }
            }
            #expect(known)
            let tables = try await tables(house)
            // Seals are the sealer's to take away.
            #expect(tables.subtracting(Self.purged) == ["audit_seals"])
            #expect(tables.count > 15)
            // What the schema cannot say: an idempotency key names its caller without referring to it.
            #expect(Self.purged.subtracting(tables).isSubset(of: ["idempotency_keys", "retiring_key_texts"]))
        }
    }

    @Test(
        "nothing of a deleted vault is left in any table, and nothing of another one is touched",
        arguments: TestEngine.all)
    func everything(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let neighbour = try await house.neighbour()
            for caller in [house.caller, neighbour.caller] { try await house.fill(caller) }
            let before = try await rows(house)
            for table in Self.purged {
                #expect(
                    before[table]?[house.vault.id, default: 0] != 0, "\(table) is empty before: put something there")
            }
            try await delete(house)
            try await purge(house).round()
            let after = try await rows(house)
            for table in Self.purged {
                #expect(after[table]?[house.vault.id] == nil, "\(table)")
                #expect(after[table]?[neighbour.vault.id] == before[table]?[neighbour.vault.id], "\(table)")
            }
            // The slug is free, and of the vault no more is known than that it was there.
            let row = try #require(
                try await house.database.read { connection in
                    try connection.row(
                        """
                        SELECT slug, name, data_key, state_reason, limits FROM vaults WHERE id = \(house.vault.id.text)
                        """)
                })
            #expect(row.values == [.text(house.vault.id.text), .text(""), .blob([]), .null, .null])
            let again = try await house.vaults.create(slug: "default", name: "Again")
            #expect(again.id != house.vault.id)
            #expect(try await house.vaults.find("default")?.id == again.id)
            #expect(try await house.vaults.find(house.vault.id.text) == nil)
            #expect(try await house.vaults.changeMasterKey(to: .random(), audit: house.audit(as: "secret.write")) == 2)
        }
    }

    /// Rows by table and vault.
    private func rows(_ house: TestHouse) async throws -> [String: [VaultID: Int]] {
        try await house.database.read { connection in
            var found: [String: [VaultID: Int]] = [:]
            for table in Self.purged {
                let columns = Set(try connection.columns(of: table).map(\.name))
                let owner: String =
                    if columns.contains("chain") {
                        "chain"
                    } else if columns.contains("vault_id") {
                        "vault_id"
                    } else if table == "idempotency_keys" {
                        "(SELECT vault_id FROM smtp_relay_api_keys WHERE id = caller_id)"
                    } else {
                        "(SELECT vault_id FROM smtp_relay_api_keys WHERE id = key_id)"
                    }
                let query = "SELECT \(owner) AS vault, COUNT(*) FROM \(table) GROUP BY 1"
                for row in try connection.rows(SQLStatement(stringLiteral: query)) {
                    found[table, default: [:]][VaultID(stored: try row.optionalText(0) ?? "none")] = Int(
                        try row.integer(1))
                }
            }
            return found
        }
    }

    @Test("a purge that dies after any of its writes is finished by the next one", arguments: TestEngine.all)
    func crashes(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            _ = try await house.neighbour()
            try await house.fill(house.caller)
            try await delete(house)
            var lives = 0
            while try await house.database.count("vaults", where: "state = 'deleted' AND slug <> id") == 1 {
                lives += 1
                // Each process comes one write further than the one before it.
                let mortal = MortalDatabase(house.database, writes: lives)
                try? await purge(house, on: mortal, owner: "process \(lives)").round()
                house.clock.advance(seconds: 60)
                try #require(lives < 100)
            }
            #expect(lives > 5)
            let left = try await rows(house)
            #expect(Self.purged.allSatisfy { left[$0]?[house.vault.id] == nil })
            let records = try await house.database.count(
                "audit_records", where: "chain = 'instance' AND after_value LIKE '%purged%'")
            #expect(records == 1)
        }
    }

    @Test("more than one transaction takes is purged in one round")
    func backlog() async throws {
        try await withHouse { house in
            _ = try await house.neighbour()
            for part in 0..<4 {
                try await house.accept { $0.recipients = (0..<200).map { "r\(part)-\($0)@example.net" } }
            }
            try await delete(house)
            try await purge(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 0)
            #expect(try await house.database.count("payloads") == 0)
            #expect(try await house.database.count("vaults", where: "state = 'deleted' AND slug = id") == 1)
        }
    }

    @Test("a message in a route's hands is waited for, and what comes of it is no error", arguments: TestEngine.all)
    func inHand(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            _ = try await house.neighbour()
            try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] }
            let outbox = OutboxRepository(database: house.database, owner: "sender")
            let now = house.clock.now()
            let claimed = try await outbox.claim(
                at: now, lease: now.adding(seconds: 300), limit: 1, share: 1, inHand: [:]
            ) { [ids = house.ids] _ in .attempt(MessageEvent(id: ids.next(), type: .attempted, at: now, attempt: 1)) }
            .leased
            try await delete(house)
            try await purge(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 1)
            #expect(try await house.database.count("vaults", where: "state = 'deleted' AND slug <> id") == 1)
            let message = try #require(claimed.first)
            let delivery = MessageMove(
                message: message.id, vault: message.vault, status: .delivered,
                event: house.event(.delivered, attempt: 1), outbox: .remove)
            let repository = MessageRepository(database: house.database)
            #expect(try await repository.move([delivery]) == [message.id])
            try await purge(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 0)
            #expect(try await house.database.count("vaults", where: "state = 'deleted' AND slug = id") == 1)
            #expect(try await repository.move([delivery]).isEmpty)
        }
    }

    @Test(
        "what a process that did not know yet wrote into a vault that is gone goes as well, for a day",
        arguments: TestEngine.all)
    func afterglow(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            _ = try await house.neighbour()
            try await delete(house)
            try await purge(house).round()
            try await house.accept()
            house.clock.advance(seconds: 86_000)
            try await purge(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 0)
            house.clock.advance(seconds: 500)
            #expect(try await PurgeRepository(database: house.database).deleted(at: house.clock.now()).isEmpty)
            // The end of a vault is written down once.
            let records = try await house.database.count(
                "audit_records", where: "chain = 'instance' AND after_value LIKE '%purged%'")
            #expect(records == 1)
        }
    }

    @Test("the instance's log keeps where the vault's own log ended")
    func ending() async throws {
        try await withHouse { house in
            _ = try await house.neighbour()
            try await delete(house)
            let head = try #require(
                try await house.database.read { connection in
                    try connection.row(
                        "SELECT sequence, digest FROM audit_heads WHERE chain = \(house.vault.id.text)")
                })
            try await purge(house).round()
            let text = try #require(
                try await house.database.read { connection in
                    try connection.row(
                        """
                        SELECT after_value FROM audit_records
                        WHERE chain = 'instance' AND resource = \(house.vault.id.text) ORDER BY sequence DESC LIMIT 1
                        """)?.text(0)
                })
            let record = try JSONParser.parse(text).objectValue
            #expect(record?["purged"] == .bool(true))
            #expect(record?["audit_records"]?.integerValue == (try head.integer(0)))
            let digest = try head.blob(1).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
            #expect(record?["audit_digest"]?.stringValue == digest)
        }
    }

    @Test(
        "a vault that is not deleted is never purged, whoever asks",
        arguments: [VaultState.active, .suspended, .archived])
    func living(_ state: VaultState) async throws {
        try await withHouse { house in
            try await house.fill(house.caller)
            try await house.database.write { connection in
                try connection.execute("UPDATE vaults SET state = \(state.rawValue)")
            }
            let before = try await rows(house)
            let repository = PurgeRepository(database: house.database)
            for table in PurgeRepository.tables {
                await #expect(throws: SQLError.self) {
                    _ = try await repository.drop(table, of: house.vault.id, limit: 10)
                }
            }
            await #expect(throws: SQLError.self) {
                _ = try await repository.dropMessages(of: house.vault.id, at: house.clock.now(), limit: 10)
            }
            let audit = house.audit(as: "vault.delete")
            #expect(try await !repository.finish(house.vault.id, at: house.clock.now(), audit: audit))
            #expect(try await rows(house) == before)
        }
    }

    @Test("who does not have the duty purges nothing")
    func duty() async throws {
        try await withHouse { house in
            _ = try await house.neighbour()
            try await house.accept()
            try await delete(house)
            let holder = Duty("purge", owner: "another", database: house.database, clock: house.clock)
            #expect(try await holder.hold())
            try await purge(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 1)
        }
    }

    @Test("it runs until it is told to stop")
    func running() async throws {
        try await withHouse { house in
            _ = try await house.neighbour()
            let service = purge(house)
            try await testGracefulShutdown { trigger in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await service.run() }
                    try await delete(house)
                    try await eventually("the vault is gone") {
                        try await house.database.count("vaults", where: "slug = id") == 1
                    }
                    trigger.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
        }
    }
}
