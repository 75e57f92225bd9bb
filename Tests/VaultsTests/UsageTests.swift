// What vaults use is counted once, whoever counts, whatever fails in between; and what they keep is held to their plan.

import CoreTestSupport
import JSON
import Logging
import Model
import SQL
import ServiceLifecycleTestKit
import Store
import TestSupport
import Testing
import Vaults

extension TestHouse {
    var recorder: UsageRecorder { recorder(on: database) }

    func recorder(on database: any SQLDatabase, interval: Double = 3_600) -> UsageRecorder {
        var logger = Logger(label: "tests")
        logger.logLevel = .critical
        return UsageRecorder(database: database, interval: interval, clock: clock, logger: logger)
    }
}

@Suite("Usage")
struct UsageTests {
    @Test("several recorders add up to the exact numbers", arguments: TestEngine.all)
    func exact(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let other = try await house.neighbour().vault.id
            let recorders = (0..<4).map { _ in house.recorder }
            await withTaskGroup { group in
                for recorder in recorders {
                    group.addTask {
                        for turn in 1...50 {
                            recorder.note(house.vault.id, messages: 2, bytes: 100, calls: 1)
                            recorder.note(other, messages: 1, bytes: 1)
                            if turn.isMultiple(of: 7) { await recorder.flush() }
                        }
                        await recorder.flush()
                    }
                }
            }
            let usage = try await house.vaults.usage(of: house.vault.id)
            #expect(usage.storage == 20_000)
            #expect(usage.months.map(\.messages) == [400] && usage.months.map(\.calls) == [200])
            let others = try await house.vaults.usage(of: other)
            #expect(
                others.storage == 200 && others.months.map(\.messages) == [200] && others.months.map(\.calls) == [0])
        }
    }

    @Test("what could not be written is written the next time, once")
    func failing() async throws {
        try await withHouse { house in
            let database = ScriptedDatabase(house.database)
            let recorder = house.recorder(on: database)
            recorder.note(house.vault.id, messages: 1, bytes: 5)
            database.failNextWrites([SQLError(.unavailable, "gone"), SQLError(.overloaded, "busy")])
            await recorder.flush()
            recorder.note(house.vault.id, messages: 1, bytes: 5)
            await recorder.flush()
            let written = try await house.database.count("vault_usage")
            #expect(written == 0)
            await recorder.flush()
            await recorder.flush()
            #expect(try await house.vaults.usage(of: house.vault.id).storage == 10)
            #expect(try await house.vaults.usage(of: house.vault.id).months.first?.messages == 2)
        }
    }

    @Test("what belongs to a vault that is gone keeps nothing else from being written")
    func gone() async throws {
        try await withHouse { house in
            let recorder = house.recorder
            recorder.note(house.ids.next(), messages: 1, bytes: 5)
            recorder.note(house.vault.id, messages: 1)
            await recorder.flush()
            let written = try await house.database.count("vault_usage")
            #expect(written == 1)
        }
    }

    @Test("each month has its own numbers, and the present one is always shown")
    func months() async throws {
        try await withHouse { house in
            let recorder = house.recorder
            var expected = 0
            for day in 0..<70 {
                recorder.note(house.vault.id, messages: 1, bytes: 1)
                if day.isMultiple(of: 9) { await recorder.flush() }
                house.clock.advance(seconds: 86_400)
                expected += 1
            }
            await recorder.flush()
            house.clock.advance(seconds: 31 * 86_400)
            let usage = try await house.vaults.usage(of: house.vault.id)
            #expect(usage.months.map(\.messages).reduce(0, +) == expected)
            #expect(usage.months.first?.period == UsageCounter.month(of: house.clock.now()))
            #expect(usage.months.first?.messages == 0 && usage.months.count >= 4)
            #expect(usage.months.map(\.period) == usage.months.map(\.period).sorted(by: >))
            #expect(usage.storage == expected)
        }
    }

    @Test("it writes down by itself, and at the stop what is left")
    func running() async throws {
        try await withHouse { house in
            let often = house.recorder(on: house.database, interval: 0.01)
            let never = house.recorder
            try await testGracefulShutdown { trigger in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await often.run() }
                    group.addTask { try await never.run() }
                    often.note(house.vault.id, bytes: 7)
                    try await eventually("it is written down") {
                        try await house.vaults.usage(of: house.vault.id).storage == 7
                    }
                    never.note(house.vault.id, bytes: 5)
                    trigger.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
            #expect(try await house.vaults.usage(of: house.vault.id).storage == 12)
        }
    }

    @Test("storage is held to the plan, in memory and after what others did is known", arguments: TestEngine.all)
    func storage(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let limits = PlanLimits([.storageBytes: 1_000])
            let (ours, others) = (house.recorder, house.recorder)
            func fits(_ bytes: Int, _ recorder: UsageRecorder) async -> Bool {
                do {
                    try await recorder.checkRoom(adding: bytes, in: house.vault.id, limits: limits, plan: "small")
                    return true
                } catch {
                    #expect((error as? PosternError)?.code == .planLimitReached)
                    return false
                }
            }
            #expect(await fits(1_000, ours))
            #expect(await !fits(1_001, ours))
            ours.note(house.vault.id, bytes: 600)
            #expect(await fits(400, ours))
            #expect(await !fits(401, ours))
            #expect(await fits(401, others))
            await ours.flush()
            #expect(await !fits(401, ours))
            // What another process wrote down is known after a few seconds.
            house.clock.advance(seconds: 5)
            #expect(await !fits(401, others))
            #expect(await fits(400, others))
            // Room that was made is found, though nobody here noted anything.
            try await house.database.write { connection in try connection.execute("DELETE FROM vault_usage") }
            house.clock.advance(seconds: 5)
            #expect(await fits(1_000, ours))
        }
    }

    @Test("where the plan has no limit nobody asks the database")
    func unlimited() async throws {
        try await withHouse { house in
            let database = StatementRecorder(house.database)
            let recorder = house.recorder(on: database)
            try await recorder.checkRoom(
                adding: .max, in: house.vault.id, limits: ShippedPlans.plan("self_hosted")?.limits ?? .none, plan: "x")
            #expect(database.take().isEmpty)
        }
    }
}

@Suite("Recount")
struct RecountTests {
    private func recount(_ house: TestHouse) async throws -> Int {
        try await UsageRepository(database: house.database).recount(house.vault.id, at: house.clock.now())
    }

    private func storage(_ house: TestHouse) async throws -> Int {
        try await house.vaults.usage(of: house.vault.id).storage
    }

    @Test("what was never counted is counted, a payload once however many messages share it", arguments: TestEngine.all)
    func uncounted(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            try await house.accept { sample in
                sample.payload = [UInt8](repeating: 65, count: 500)
                sample.recipients = ["a@example.net", "b@example.net", "c@example.net"]
            }
            try await house.accept { $0.payload = [UInt8](repeating: 66, count: 70) }
            let neighbour = try await house.neighbour()
            try await house.accept(by: neighbour.caller)
            house.clock.advance(seconds: 61)
            #expect(try await recount(house) == 570)
            #expect(try await storage(house) == 570)
            #expect(try await recount(house) == 0)
        }
    }

    @Test("what is on its way to being counted is not counted twice", arguments: TestEngine.all)
    func pending(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let recorder = house.recorder
            try await house.accept { $0.payload = [UInt8](repeating: 65, count: 500) }
            recorder.note(house.vault.id, bytes: 500)
            #expect(try await recount(house) == 0)
            await recorder.flush()
            #expect(try await recount(house) == 0)
            #expect(try await storage(house) == 500)
        }
    }

    @Test("what is too much goes down, and what retention deletes goes down by itself", arguments: TestEngine.all)
    func down(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let recorder = house.recorder
            let messages = try await house.accept { sample in
                sample.payload = [UInt8](repeating: 65, count: 500)
                sample.recipients = ["a@example.net", "b@example.net"]
            }
            recorder.note(house.vault.id, bytes: 500 + 9_999)
            await recorder.flush()
            house.clock.advance(seconds: 61)
            #expect(try await recount(house) == -9_999)
            #expect(try await storage(house) == 500)
            let housekeeping = HousekeepingRepository(database: house.database)
            for (message, left) in zip(messages, [500, 0]) {
                try await house.database.write { connection in
                    try connection.execute(
                        "UPDATE smtp_relay_logs SET status = 'delivered', updated_at = 1 WHERE id = \(message.text)")
                }
                #expect(try await housekeeping.dropEnded(before: house.clock.now(), limit: 10, in: house.vault.id) == 1)
                // The payload goes with the last of its messages.
                #expect(try await storage(house) == left)
            }
            #expect(try await recount(house) == 0)
        }
    }
}
