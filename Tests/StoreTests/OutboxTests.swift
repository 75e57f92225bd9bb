// Claims and leases: who has a message in hand, who is next, and that nothing is lost or moved backwards.

import CoreTestSupport
import Model
import SQL
import Store
import Testing

@Suite("Outbox")
struct OutboxTests {
    private func claim(
        _ outbox: OutboxRepository,
        _ house: TestHouse,
        limit: Int = 100,
        share: Int = 100,
        inHand: [VaultID: Int] = [:],
        lease: Double = 300
    ) async throws -> [ClaimedMessage] {
        let now = house.clock.now()
        return try await outbox.claim(
            at: now, lease: now.adding(seconds: lease), limit: limit, share: share, inHand: inHand
        ) { [ids = house.ids] ready in
            .attempt(
                MessageEvent(
                    id: ids.next(), type: .attempted, at: now, attempt: ready.attempts + 1, route: ready.route))
        }.leased
    }

    private func move(_ house: TestHouse, _ claimed: ClaimedMessage, _ status: MessageStatus, _ type: EventType)
        async throws
        -> Bool
    {
        let moved = try await MessageRepository(database: house.database).move([
            MessageMove(
                message: claimed.id, vault: claimed.vault, status: status,
                event: house.event(type, attempt: claimed.attempt),
                outbox: .remove, reply: Foreign("250 ok"))
        ])
        return moved == [claimed.id]
    }

    private func deferral(_ house: TestHouse, _ claimed: ClaimedMessage, seconds: Double) async throws -> Bool {
        let moved = try await MessageRepository(database: house.database).move([
            MessageMove(
                message: claimed.id, vault: claimed.vault, status: .queued,
                event: house.event(.deferred, attempt: claimed.attempt),
                outbox: .retry(at: house.clock.now().adding(seconds: seconds), after: claimed.attempt),
                reply: Foreign("451 later"))
        ])
        return moved == [claimed.id]
    }

    @Test("a claimed message is in flight, counted, and nobody else's", arguments: TestEngine.all)
    func claiming(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let (first, second) = (
                OutboxRepository(database: house.database, owner: "a"),
                OutboxRepository(database: house.database, owner: "b")
            )
            let id = try await house.accept()[0]
            let claimed = try await claim(first, house)
            #expect(claimed.map(\.id) == [id])
            #expect(claimed[0].attempt == 1)
            #expect(claimed[0].vault == house.vault.id && claimed[0].route == .smarthost)
            #expect(claimed[0].sender == "sales@example.com" && claimed[0].recipient == "ann@example.net")
            #expect(claimed[0].createdAt == house.clock.now())
            #expect(try await claim(second, house).isEmpty)
            let message = try #require(try await repository.find(id, in: house.vault.id))
            #expect(message.status == .inFlight && message.attempts == 1)
            #expect(
                try await repository.events(of: id, in: house.vault.id).map(\.type) == [.accepted, .queued, .attempted])
        }
    }

    @Test("fifty claims at once take each message once", arguments: TestEngine.all)
    func concurrentClaims(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let ids = try await house.accept { $0.recipients = (0..<200).map { "r\($0)@example.net" } }
            let claimed = try await withThrowingTaskGroup(of: [ClaimedMessage].self) { group in
                for index in 0..<50 {
                    let outbox = OutboxRepository(database: house.database, owner: "owner \(index)")
                    group.addTask { try await claim(outbox, house, limit: 7) }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(claimed.count == 200)
            #expect(Set(claimed.map(\.id)) == Set(ids))
        }
    }

    @Test(
        "a lease that runs out makes the message ready again; one that is renewed does not", arguments: TestEngine.all)
    func leases(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let crashed = OutboxRepository(database: house.database, owner: "crashed")
            let other = OutboxRepository(database: house.database, owner: "other")
            let ids = try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] }
            #expect(try await claim(crashed, house, lease: 300).count == 2)
            house.clock.advance(seconds: 299.999)
            #expect(try await claim(other, house).isEmpty)
            try await crashed.renew([ids[0]], until: house.clock.now().adding(seconds: 300))
            try await other.renew([ids[1]], until: house.clock.now().adding(seconds: 300))
            house.clock.advance(seconds: 0.001)
            let again = try await claim(other, house)
            #expect(again.map(\.id) == [ids[1]], "only the owner of a lease can renew it")
            #expect(again.first?.attempt == 2)
            house.clock.advance(seconds: 300)
            #expect(try await claim(other, house).map(\.id).contains(ids[0]))
        }
    }

    @Test("what another owner held can be freed, what is one's own stays", arguments: TestEngine.all)
    func releasingOthers(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let before = OutboxRepository(database: house.database, owner: "before")
            let after = OutboxRepository(database: house.database, owner: "after")
            let first = try await house.accept()[0]
            _ = try await claim(before, house)
            let second = try await house.accept()[0]
            #expect(try await claim(after, house).map(\.id) == [second])
            try await after.releaseOthers()
            #expect(try await claim(after, house).map(\.id) == [first])
        }
    }

    @Test("a deferred message comes back at its time and not before", arguments: TestEngine.all)
    func retries(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let outbox = OutboxRepository(database: house.database, owner: "a")
            let id = try await house.accept()[0]
            let claimed = try #require(try await claim(outbox, house).first)
            #expect(try await deferral(house, claimed, seconds: 60))
            let waiting = try #require(try await repository.find(id, in: house.vault.id))
            #expect(waiting.status == .queued && waiting.lastReply?.asData() == "451 later")
            #expect(try await outbox.nextDue() == house.clock.now().adding(seconds: 60))
            house.clock.advance(seconds: 59.999)
            #expect(try await claim(outbox, house).isEmpty)
            house.clock.advance(seconds: 0.001)
            let second = try #require(try await claim(outbox, house).first)
            #expect(second.attempt == 2)
            #expect(try await move(house, second, .delivered, .delivered))
            #expect(try await house.database.count("outbox") == 0)
            let types = try await repository.events(of: id, in: house.vault.id).map(\.type)
            #expect(types == [.accepted, .queued, .attempted, .deferred, .attempted, .delivered])
        }
    }

    @Test("a scheduled message is claimed when its time has come", arguments: TestEngine.all)
    func schedule(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let outbox = OutboxRepository(database: house.database, owner: "a")
            let id = try await house.accept { $0.sendAfter = 10 }[0]
            #expect(try await claim(outbox, house).isEmpty)
            house.clock.advance(seconds: 10)
            #expect(try await claim(outbox, house).map(\.id) == [id])
        }
    }

    @Test("the higher priority goes first, and among equals who came first", arguments: TestEngine.all)
    func priority(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let outbox = OutboxRepository(database: house.database, owner: "a")
            var expected: [(priority: Int, id: MessageID)] = []
            for priority in [5, 900, 5, 0, 900, 1000] {
                expected.append((priority, try await house.accept { $0.priority = priority }[0]))
                house.clock.advance(seconds: 1)
            }
            var order: [MessageID] = []
            while let next = try await claim(outbox, house, limit: 1).first { order.append(next.id) }
            let sorted = expected.enumerated().sorted {
                ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset)
            }
            #expect(order == sorted.map(\.element.id))
        }
    }

    @Test("a vault with a thousand messages leaves room for one with two", arguments: TestEngine.all)
    func fairness(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let outbox = OutboxRepository(database: house.database, owner: "a")
            try await house.accept {
                $0.recipients = (0..<1000).map { "r\($0)@example.net" }
                $0.priority = 1000
            }
            let small = try await house.neighbour()
            let few = try await house.accept(by: small.caller) { $0.recipients = ["x@example.net", "y@example.net"] }
            let claimed = try await claim(outbox, house, limit: 100, share: 50)
            #expect(claimed.count { $0.vault == house.vault.id } == 50)
            #expect(Set(claimed.filter { $0.vault == small.vault.id }.map(\.id)) == Set(few))
            // What a vault has in hand already counts towards its share.
            let more = try await claim(outbox, house, limit: 100, share: 50, inHand: [house.vault.id: 45])
            #expect(more.count == 5)
            #expect(try await claim(outbox, house, limit: 100, share: 50, inHand: [house.vault.id: 60]).isEmpty)
        }
    }

    @Test("no vault is always first", arguments: TestEngine.all)
    func turns(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let outbox = OutboxRepository(database: house.database, owner: "a")
            try await house.accept { $0.recipients = (0..<60).map { "r\($0)@example.net" } }
            let other = try await house.neighbour()
            try await house.accept(by: other.caller) { $0.recipients = (0..<60).map { "r\($0)@example.net" } }
            var first: Set<VaultID> = []
            for _ in 0..<60 where first.count < 2 {
                first.formUnion(try await claim(outbox, house, limit: 1).map(\.vault))
            }
            #expect(first == [house.vault.id, other.vault.id])
        }
    }

    @Test(
        "what only has to be settled is settled in the claim, without a lease, and not twice", arguments: TestEngine.all
    )
    func settling(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let outbox = OutboxRepository(database: house.database, owner: "a")
            let ids = try await house.accept { $0.recipients = ["a@example.net", "b@example.net", "c@example.net"] }
            try await house.database.write { connection in
                try connection.execute("UPDATE smtp_relay_logs SET status = 'cancelled' WHERE id = \(ids[2].text)")
            }
            let now = house.clock.now()
            let result = try await outbox.claim(at: now, lease: now, limit: 10, share: 10, inHand: [:]) {
                [ids = house.ids] ready in
                .settle(
                    MessageMove(
                        message: ready.id, vault: ready.vault, status: .captured,
                        event: MessageEvent(id: ids.next(), type: .captured, at: now, route: .shadow), outbox: .remove))
            }
            #expect(result.leased.isEmpty && result.count == 3)
            for id in ids.prefix(2) {
                #expect(try await repository.find(id, in: house.vault.id)?.status == .captured)
                #expect(
                    try await repository.events(of: id, in: house.vault.id).map(\.type) == [
                        .accepted, .queued, .captured,
                    ])
            }
            #expect(try await repository.find(ids[2], in: house.vault.id)?.status == .cancelled)
            #expect(try await house.database.count("outbox") == 0)
        }
    }

    @Test("an outbox entry whose message has ended is thrown away", arguments: TestEngine.all)
    func orphans(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let outbox = OutboxRepository(database: house.database, owner: "a")
            let ids = try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] }
            try await house.database.write { connection in
                try connection.execute("UPDATE smtp_relay_logs SET status = 'delivered' WHERE id = \(ids[0].text)")
            }
            #expect(try await claim(outbox, house).map(\.id) == [ids[1]])
            #expect(try await house.database.count("outbox") == 1)
            #expect(try await house.database.count("message_events", where: "type = 'attempted'") == 1)
        }
    }

    @Test("a move that comes too late changes nothing", arguments: TestEngine.all)
    func lateMoves(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let outbox = OutboxRepository(database: house.database, owner: "a")
            let id = try await house.accept()[0]
            let claimed = try #require(try await claim(outbox, house).first)
            #expect(try await move(house, claimed, .delivered, .delivered))
            let before = try await repository.events(of: id, in: house.vault.id).map(\.id)
            house.clock.advance(seconds: 5)
            for (status, type) in [
                (.delivered, .delivered), (.bounced, .bounced), (.failed, .failed), (.expired, .expired),
                (.captured, .captured), (.cancelled, .cancelled), (.inFlight, .attempted),
            ] as [(MessageStatus, EventType)] {
                #expect(try await !move(house, claimed, status, type), "\(status)")
            }
            #expect(try await !deferral(house, claimed, seconds: 1))
            let message = try #require(try await repository.find(id, in: house.vault.id))
            #expect(message.status == .delivered && message.updatedAt < house.clock.now())
            #expect(try await repository.events(of: id, in: house.vault.id).map(\.id) == before)
            #expect(try await house.database.count("outbox") == 0)
        }
    }

    @Test("the deferral of an attempt that lost its lease leaves the next attempt alone", arguments: TestEngine.all)
    func lateDeferral(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let slow = OutboxRepository(database: house.database, owner: "slow")
            let next = OutboxRepository(database: house.database, owner: "next")
            let id = try await house.accept()[0]
            let first = try #require(try await claim(slow, house, lease: 10).first)
            house.clock.advance(seconds: 11)
            let second = try #require(try await claim(next, house).first)
            #expect(try await !deferral(house, first, seconds: 1))
            house.clock.advance(seconds: 2)
            #expect(try await claim(slow, house).isEmpty, "the second attempt still has it in hand")
            #expect(try await move(house, second, .delivered, .delivered))
            #expect(try await repository.find(id, in: house.vault.id)?.status == .delivered)
        }
    }

    @Test(
        "a final answer that comes after the lease counts, so that nothing is sent once more", arguments: TestEngine.all
    )
    func lateDelivery(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let slow = OutboxRepository(database: house.database, owner: "slow")
            let next = OutboxRepository(database: house.database, owner: "next")
            let id = try await house.accept()[0]
            let first = try #require(try await claim(slow, house, lease: 10).first)
            house.clock.advance(seconds: 11)
            let second = try #require(try await claim(next, house).first)
            #expect(try await deferral(house, second, seconds: 60))
            #expect(try await move(house, first, .delivered, .delivered))
            #expect(try await repository.find(id, in: house.vault.id)?.status == .delivered)
            house.clock.advance(seconds: 61)
            #expect(try await claim(next, house).isEmpty)
        }
    }

    @Test("a move names its vault, and moves nothing of another one", arguments: TestEngine.all)
    func moveTenancy(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let other = try await house.neighbour().vault
            let id = try await house.accept()[0]
            let moved = try await repository.move([
                MessageMove(
                    message: id, vault: other.id, status: .cancelled, event: house.event(.cancelled), outbox: .remove)
            ])
            #expect(moved.isEmpty)
            #expect(try await repository.find(id, in: house.vault.id)?.status == .queued)
            #expect(try await house.database.count("outbox") == 1)
        }
    }
}
