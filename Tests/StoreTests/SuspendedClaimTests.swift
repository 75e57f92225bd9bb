// What waits in a vault that is not in use stays where it is, costs the others nothing, and goes on when the vault does.

import CoreTestSupport
import Model
import SQL
import Store
import Testing

@Suite("Claims and the state of vaults")
struct SuspendedClaimTests {
    private func claim(_ house: TestHouse, on database: (any SQLDatabase)? = nil) async throws -> [MessageID] {
        let now = house.clock.now()
        return try await OutboxRepository(database: database ?? house.database, owner: "a").claim(
            at: now, lease: now.adding(seconds: 300), limit: 100, share: 100, inHand: [:]
        ) { _ in .handOver }.leased.map(\.id)
    }

    private func set(_ state: VaultState, _ vault: VaultID, _ house: TestHouse) async throws {
        try await house.database.write { connection in
            try connection.execute("UPDATE vaults SET state = \(state.rawValue) WHERE id = \(vault.text)")
        }
    }

    @Test(
        "a vault that is not active is passed over, with all of its routes, and comes back with what waited",
        arguments: TestEngine.all, [VaultState.suspended, .archived, .deleted])
    func passedOver(_ engine: TestEngine, _ state: VaultState) async throws {
        try await withHouse(engine) { house in
            let neighbour = try await house.neighbour()
            try await set(state, house.vault.id, house)
            var waiting: [MessageID] = []
            for route in [RouteName.smarthost, .mailerq, .shadow] {
                waiting += try await house.accept { $0.route = route }
            }
            let scheduled = try await house.accept { $0.sendAfter = 60 }
            let others = try await house.accept(by: neighbour.caller)
            #expect(try await claim(house) == others)
            house.clock.advance(seconds: 61)
            #expect(try await claim(house).isEmpty)
            #expect(try await house.database.count("smtp_relay_logs", where: "attempts > 0") == 1)
            try await set(.active, house.vault.id, house)
            #expect(try await Set(claim(house)) == Set(waiting + scheduled))
        }
    }

    @Test("finding what is ready reads one entry of the outbox and one vault for each vault and route")
    func plan() async throws {
        try await withHouse(.sqlite) { house in
            for index in 0..<3 {
                let neighbour = try await house.neighbour("n\(index)")
                try await house.accept(by: neighbour.caller) { $0.recipients = (0..<20).map { "r\($0)@example.net" } }
                try await set(.suspended, neighbour.vault.id, house)
            }
            try await house.accept()
            let recorder = StatementRecorder(house.database)
            #expect(try await claim(house, on: recorder).count == 1)
            let jumps = recorder.take().filter { $0.text.contains("ORDER BY vault_id, route LIMIT 1") }
            #expect(jumps.count == 5)
            let jump = try #require(jumps.first)
            let plan = try await house.database.read { connection in
                try connection.rows("EXPLAIN QUERY PLAN \(jump)").map { try $0.text(3) }
            }
            #expect(plan.contains { $0.contains("outbox USING") && $0.contains("outbox_ready") })
            #expect(plan.contains { $0.hasPrefix("SEARCH vaults USING") })
            #expect(!plan.contains { $0.hasPrefix("SCAN") || $0.contains("TEMP B-TREE") })
        }
    }
}
