// A vault keeps its messages for as many days as it says, one process at a time sees to it, and without a number all stay.

import CoreTestSupport
import Delivery
import JSON
import Model
import SQL
import ServiceLifecycleTestKit
import Store
import TestSupport
import Testing
import Vaults

@Suite("Retention service")
struct RetentionServiceTests {
    private func retention(_ house: TestHouse, owner: String = "test", interval: Double = 0.01) -> Retention {
        Retention(
            database: house.database, vaults: house.vaults, interval: interval,
            duty: Duty("retention", owner: owner, database: house.database, clock: house.clock), clock: house.clock,
            logger: silent)
    }

    private func captured(_ house: TestHouse, by caller: Caller? = nil, count: Int = 1) async throws {
        try await house.accept(by: caller) { $0.recipients = (0..<count).map { "r\($0)@example.net" } }
        let now = house.clock.now().milliseconds
        try await house.database.write { connection in
            try connection.execute("DELETE FROM outbox")
            try connection.execute(
                "UPDATE smtp_relay_logs SET status = 'captured', updated_at = \(now) WHERE status = 'queued'")
        }
    }

    @Test("each vault's days count, to the millisecond, and a vault without them keeps all", arguments: TestEngine.all)
    func days(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let neighbour = try await house.neighbour()
            try await house.vaults.change(JSONObject(["retention_days": .integer(2)]), in: house.vault.id)
            try await captured(house)
            try await captured(house, by: neighbour.caller)
            house.clock.advance(seconds: 2 * 86_400)
            try await retention(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 2)
            house.clock.advance(seconds: 0.001)
            try await retention(house).round()
            #expect(try await house.database.count("smtp_relay_logs", where: "vault_id = '\(house.vault.id)'") == 0)
            #expect(try await house.database.count("smtp_relay_logs") == 1)
            try await house.vaults.change(JSONObject(["retention_days": .integer(1)]), in: neighbour.vault.id)
            try await retention(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 0)
            #expect(try await house.database.count("payloads") == 0)
        }
    }

    @Test("a vault whose days cannot be read keeps all, though the instance has some, and holds up no other vault")
    func unreadable() async throws {
        try await withHouse(settings: TestHouse.settings, instanceDefaults: ["retention_days": 1]) { house in
            let neighbour = try await house.neighbour()
            try await captured(house)
            try await house.vaults.change(TestHouse.settings, in: neighbour.vault.id)
            try await captured(house, by: neighbour.caller)
            try await house.database.write { connection in
                try connection.execute(
                    """
                    INSERT INTO vault_settings (vault_id, key, value, updated_at)
                    VALUES (\(house.vault.id.text), 'retention_days', '"always"', 1)
                    """)
            }
            house.vaults.invalidateAll()
            house.clock.advance(seconds: 86_401)
            try await retention(house).round()
            #expect(try await house.database.count("smtp_relay_logs", where: "vault_id = '\(house.vault.id)'") == 1)
            #expect(try await house.database.count("smtp_relay_logs") == 1)
        }
    }

    @Test("more than one transaction takes is deleted in one round")
    func backlog() async throws {
        try await withHouse(settings: JSONObject(), instanceDefaults: ["retention_days": 1]) { house in
            try await captured(house, count: 601)
            house.clock.advance(seconds: 86_401)
            try await retention(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 0)
            #expect(try await house.database.count("message_events") == 0)
        }
    }

    @Test("who does not have the duty deletes nothing")
    func duty() async throws {
        try await withHouse { house in
            try await house.vaults.change(JSONObject(["retention_days": .integer(1)]), in: house.vault.id)
            try await captured(house)
            house.clock.advance(seconds: 86_401)
            let holder = Duty("retention", owner: "another", database: house.database, clock: house.clock)
            #expect(try await holder.hold())
            try await retention(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 1)
            house.clock.advance(seconds: 60)
            try await retention(house).round()
            #expect(try await house.database.count("smtp_relay_logs") == 0)
        }
    }

    @Test("it runs until it is told to stop")
    func running() async throws {
        try await withHouse { house in
            try await house.vaults.change(JSONObject(["retention_days": .integer(1)]), in: house.vault.id)
            try await captured(house)
            house.clock.advance(seconds: 86_401)
            let service = retention(house)
            try await testGracefulShutdown { trigger in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await service.run() }
                    try await eventually("the message is deleted") {
                        try await house.database.count("smtp_relay_logs") == 0
                    }
                    trigger.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
        }
    }
}
