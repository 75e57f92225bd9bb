// Refusals: written down by somebody else than the request, together, with counts, and never more than there is room for.

import Audit
import CoreTestSupport
import JSON
import Logging
import Model
import SQL
import ServiceLifecycleTestKit
import Store
import Testing

@Suite("Refusal recorder")
struct RefusalTests {
    private static let error = PosternError(.forbidden, "the key lacks the scope admin")

    private func recorder(
        _ log: AuditHouse, on database: (any SQLDatabase)? = nil,
        _ change: (inout RefusalRecorder.Limits) -> Void = { _ in }
    ) -> RefusalRecorder {
        var limits = RefusalRecorder.Limits()
        change(&limits)
        return RefusalRecorder(
            database: database ?? log.database, ids: log.house.ids, clock: log.house.clock,
            logger: Logger(label: "tests"),
            limits: limits)
    }

    private func refused(_ log: AuditHouse, _ vault: VaultID? = nil) async throws -> [AuditEntry] {
        var query = AuditQuery(limit: 200)
        query.outcome = .refused
        return try await log.repository.list(query, in: vault ?? log.vault).records.reversed().map {
            try $0.fields.entry()
        }
    }

    private func count(_ entry: AuditEntry) -> Int64 { entry.after?.objectValue?["count"]?.integerValue ?? 1 }

    @Test("a refusal is written at the next flush, with who, what, where and why", arguments: TestEngine.all)
    func one(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            let recorder = recorder(log)
            recorder.note(AuditHouse.actor, .keyWrite, resource: log.vault.text, vault: log.vault, error: Self.error)
            recorder.note(AuditHouse.actor, .userWrite, resource: "instance", vault: nil, error: Self.error)
            await recorder.flush()
            let entry = try #require(try await refused(log).first)
            #expect(entry.actor == AuditHouse.actor && entry.action == "key.write" && entry.resource == log.vault.text)
            #expect(entry.outcome == .refused && entry.reason == "forbidden: the key lacks the scope admin")
            #expect(entry.before == nil && entry.after == nil)
            var query = AuditQuery()
            query.outcome = .refused
            #expect(try await log.repository.list(query, in: nil).records.map(\.fields.action) == ["user.write"])
            await recorder.flush()
            #expect(try await refused(log).count == 1)
            #expect(try await log.report().isIntact)
        }
    }

    @Test("the same refusal again within a minute is counted, and written when the minute is over")
    func coalesced() async throws {
        try await withLog { log in
            let recorder = recorder(log)
            func refuse(_ resource: String = "vlt") {
                recorder.note(AuditHouse.actor, .keyWrite, resource: resource, vault: log.vault, error: Self.error)
            }
            refuse()
            await recorder.flush()
            for number in 0..<1_000 {
                refuse("r\(number % 30)")
                if number % 100 == 0 { await recorder.flush() }
            }
            #expect(try await refused(log).count == 1)
            log.house.clock.advance(seconds: 61)
            await recorder.flush()
            let entries = try await refused(log)
            #expect(entries.map(count) == [1, 1_000])
            #expect(entries[1].after?.objectValue?["others"]?.arrayValue?.count == 10)
            #expect(recorder.held == 0)
            refuse()
            await recorder.flush()
            #expect(try await refused(log).map(count) == [1, 1_000, 1])
        }
    }

    @Test("other actors, actions, reasons and vaults are records of their own")
    func apart() async throws {
        try await withLog { log in
            let other = try await log.house.neighbour().vault.id
            let recorder = recorder(log)
            let somebody = Actor(id: "key_0000000000000009", label: "x", door: "http")
            recorder.note(AuditHouse.actor, .keyWrite, resource: "a", vault: log.vault, error: Self.error)
            recorder.note(somebody, .keyWrite, resource: "a", vault: log.vault, error: Self.error)
            recorder.note(AuditHouse.actor, .keyRead, resource: "a", vault: log.vault, error: Self.error)
            recorder.note(
                AuditHouse.actor, .keyWrite, resource: "a", vault: log.vault, error: PosternError(.vaultSuspended, "no")
            )
            recorder.note(AuditHouse.actor, .keyWrite, resource: "a", vault: other, error: Self.error)
            await recorder.flush()
            #expect(try await refused(log).count == 4)
            #expect(try await refused(log, other).count == 1)
        }
    }

    @Test("who is refused elsewhere with the same key is a record of its own, with that address")
    func addresses() async throws {
        try await withLog { log in
            let recorder = recorder(log)
            let rightful = AuditHouse.actor
            let thief = Actor(
                id: rightful.id, label: rightful.label, door: rightful.door, address: "198.51.100.66",
                requestID: "req_2")
            for actor in [rightful, thief, rightful, thief] {
                recorder.note(actor, .keyWrite, resource: "a", vault: log.vault, error: Self.error)
            }
            await recorder.flush(everything: true)
            let entries = try await refused(log)
            #expect(Set(entries.map(\.actor.address)) == ["192.0.2.7", "198.51.100.66"])
            #expect(entries.map(count) == [2, 2])
        }
    }

    @Test("what finds no room is counted, and the count is written down")
    func bounded() async throws {
        try await withLog { log in
            let recorder = recorder(log) { limits in
                limits.held = 100
                limits.batch = 30
            }
            for number in 0..<5_000 {
                let actor = Actor(id: "key_\(number)", label: String(repeating: "x", count: 1_000), door: "http")
                recorder.note(
                    actor, .keyWrite, resource: String(repeating: "y", count: 10_000), vault: log.vault,
                    error: Self.error)
            }
            #expect(recorder.held == 100)
            await recorder.flush(everything: true)
            #expect(recorder.held == 0)
            let entries = try await refused(log)
            #expect(
                entries.count == 100 && entries.allSatisfy { $0.resource.count <= 300 && $0.actor.label.count <= 320 })
            var query = AuditQuery()
            query.action = "audit.drop"
            let dropped = try await log.repository.list(query, in: log.vault).records.map { try $0.fields.entry() }
            #expect(dropped.map(count) == [4_900] && dropped.first?.outcome == .failed)
        }
    }

    @Test("while the database is away nothing is lost, and nothing is written twice")
    func away() async throws {
        try await withLog { log in
            let scripted = ScriptedDatabase(log.database)
            let recorder = recorder(log, on: scripted)
            func refuse() {
                recorder.note(AuditHouse.actor, .keyWrite, resource: "a", vault: log.vault, error: Self.error)
            }
            refuse()
            scripted.failNextWrites([SQLError(.unavailable, "away"), SQLError(.unavailable, "away")])
            await recorder.flush()
            refuse()
            await recorder.flush()
            let none = try await refused(log)
            #expect(none.isEmpty)
            refuse()
            await recorder.flush()
            #expect(try await refused(log).map(count) == [3])
            await recorder.flush(everything: true)
            #expect(try await refused(log).count == 1)
        }
    }

    @Test("the service writes while it runs, and the rest when it ends")
    func service() async throws {
        try await withLog { log in
            let recorder = recorder(log) { $0.interval = 0.01 }
            try await testGracefulShutdown { trigger in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await recorder.run() }
                    recorder.note(AuditHouse.actor, .keyWrite, resource: "a", vault: log.vault, error: Self.error)
                    try await eventually { try await refused(log).count == 1 }
                    recorder.note(AuditHouse.actor, .keyWrite, resource: "a", vault: log.vault, error: Self.error)
                    trigger.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
            #expect(try await refused(log).count == 2)
        }
    }

    @Test("many at once are counted exactly")
    func parallel() async throws {
        try await withLog { log in
            let recorder = recorder(log)
            await withTaskGroup { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<500 {
                            recorder.note(
                                AuditHouse.actor, .keyWrite, resource: "a", vault: log.vault, error: Self.error)
                        }
                    }
                }
                group.addTask { for _ in 0..<20 { await recorder.flush() } }
            }
            await recorder.flush(everything: true)
            let counts = try await refused(log).map(count)
            #expect(counts.reduce(0, +) == 4_000)
        }
    }
}
