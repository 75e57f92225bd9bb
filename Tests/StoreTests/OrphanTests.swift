// Results without a message: kept, listed, and never too many.

import CoreTestSupport
import Model
import SQL
import Store
import Testing

@Suite("Orphans")
struct OrphanTests {
    private func orphan(_ house: TestHouse, reference: String? = "msg_0000000000000000") -> Orphan {
        Orphan(
            id: house.ids.next(), queue: "success", reason: "no such message", reference: reference,
            recipientDomain: "example.net", code: 250, body: Array("{}".utf8), receivedAt: house.clock.now())
    }

    @Test("an orphan is listed, the newest first, without its body", arguments: TestEngine.all)
    func list(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = OrphanRepository(database: house.database)
            let orphans = (0..<5).map { _ in orphan(house) }
            try await repository.insert(orphans)
            let first = try await repository.list(before: nil, limit: 3)
            #expect(first.map(\.id) == orphans.reversed().prefix(3).map(\.id))
            let rest = try await repository.list(before: first.last?.id, limit: 3)
            #expect(rest.map(\.id) == orphans.prefix(2).reversed().map(\.id))
            let one = try #require(first.first)
            #expect((one.queue, one.reason, one.code) == ("success", "no such message", 250))
            #expect((one.reference, one.recipientDomain) == ("msg_0000000000000000", "example.net"))
            #expect(one.body == nil)
            #expect(try await house.database.count("orphan_results") == 5)
        }
    }

    @Test("only the newest are kept", arguments: TestEngine.all)
    func bounded(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = OrphanRepository(database: house.database)
            let old = (0..<3).map { _ in orphan(house) }
            let new = (0..<4).map { _ in orphan(house) }
            try await house.database.write { try OrphanRepository.insert(old, keeping: 4, $0) }
            #expect(try await repository.count() == 3)
            try await house.database.write { try OrphanRepository.insert(new, keeping: 4, $0) }
            #expect(try await repository.list(before: nil, limit: 9).map(\.id) == new.reversed().map(\.id))
            // More at once than may stay.
            let many = (0..<9).map { _ in orphan(house) }
            try await house.database.write { try OrphanRepository.insert(many, keeping: 4, $0) }
            #expect(try await repository.list(before: nil, limit: 9).map(\.id) == many.reversed().prefix(4).map(\.id))
        }
    }

    @Test("a stranger's reference is cut, and a NUL in it stops nothing", arguments: TestEngine.all)
    func hostile(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = OrphanRepository(database: house.database)
            try await repository.insert([orphan(house, reference: "\u{0}é" + String(repeating: "x", count: 10_000))])
            let reference = try #require(try await repository.list(before: nil, limit: 1).first?.reference)
            #expect(reference == "é" + String(repeating: "x", count: 255))
        }
    }

    @Test("no orphans is no work")
    func none() async throws {
        try await withHouse { house in
            try await OrphanRepository(database: house.database).insert([])
            #expect(try await OrphanRepository(database: house.database).count() == 0)
        }
    }
}
