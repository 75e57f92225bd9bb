// What else is done for vaults behind their backs: mail of archived ones ends, and what all of them keep is counted.

import CoreTestSupport
import Delivery
import Model
import SQL
import Store
import Testing
import Vaults

@Suite("Upkeep of vaults")
struct PutAwayTests {
    @Test("messages that wait in an archived vault are cancelled, those in hand are not", arguments: TestEngine.all)
    func archived(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let neighbour = try await house.neighbour()
            let others = try await house.accept(by: neighbour.caller)
            let taken = try await house.accept { $0.priority = 9 }
            let now = house.clock.now()
            let outbox = OutboxRepository(database: house.database, owner: "sender")
            let claimed = try await outbox.claim(
                at: now, lease: now.adding(seconds: 300), limit: 10, share: 1, inHand: [neighbour.vault.id: 1]
            ) { _ in .handOver }.leased
            #expect(claimed.map(\.id) == taken)
            let waiting = try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] }
            let scheduled = try await house.accept { $0.sendAfter = 3_600 }
            _ = try await house.vaults.archive(
                house.vault.id, cancelling: true, audit: house.audit(as: "vault.archive"))
            try await Purge(
                database: house.database, vaults: house.vaults, interval: 1,
                duty: Duty("purge", owner: "test", database: house.database, clock: house.clock), clock: house.clock,
                ids: house.ids, logger: silent
            ).round()
            for message in waiting + scheduled {
                #expect(try await house.status(message) == .cancelled)
                let last = try await house.events(message).last
                #expect(last?.type == .cancelled && last?.detail?.asData().contains("archived") == true)
            }
            #expect(try await house.status(taken[0]) == .queued)
            #expect(try await house.database.count("outbox", where: "message_id = '\(others[0])'") == 1)
            #expect(try await house.database.count("outbox") == 2)
        }
    }

    @Test("the recount goes through all vaults, while it has the duty")
    func recount() async throws {
        try await withHouse { house in
            let neighbour = try await house.neighbour()
            try await house.accept()
            try await house.accept(by: neighbour.caller)
            house.clock.advance(seconds: 61)
            func service(_ owner: String) -> UsageRecount {
                UsageRecount(
                    database: house.database, vaults: house.vaults,
                    duty: Duty("usage", owner: owner, database: house.database, clock: house.clock), clock: house.clock,
                    logger: silent)
            }
            try await service("one").round()
            for vault in [house.vault.id, neighbour.vault.id] {
                #expect(try await house.vaults.usage(of: vault).storage == house.acceptance().payload.count)
            }
            try await house.database.write { connection in try connection.execute("DELETE FROM vault_usage") }
            try await service("two").round()
            #expect(try await house.database.count("vault_usage") == 0)
        }
    }
}
