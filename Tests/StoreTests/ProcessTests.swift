// Several processes on one database: numbers, duties, and what becomes of the work of one that dies.

import CoreTestSupport
import JSON
import Model
import SQL
import Sealing
import Store
import Testing
import Vaults

@Suite("Processes")
struct ProcessTests {
    @Test(
        "the messages of a dead process go back to the outbox, those of a living one do not", arguments: TestEngine.all)
    func burial(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let housekeeping = HousekeepingRepository(database: house.database)
            let now = house.clock.now()
            for (owner, lease) in [("dead", 10.0), ("alive", 100)] {
                _ = try await housekeeping.claimProcessNumber(
                    owner: owner, at: now, until: now.adding(seconds: lease))
                try await house.accept()
                let claimed = try await OutboxRepository(database: house.database, owner: owner).claim(
                    at: now, lease: now.adding(seconds: 300), limit: 10, share: 10, inHand: [:]
                ) { _ in .handOver }
                #expect(claimed.leased.count == 1)
            }
            #expect(try await housekeeping.buryProcesses(at: now.adding(seconds: 9)) == 0)
            #expect(try await housekeeping.buryProcesses(at: now.adding(seconds: 10)) == 1)
            #expect(try await house.database.count("outbox", where: "ready = 1") == 1)
            #expect(try await house.database.count("processes") == 1)
        }
    }

    @Test("a new process that takes a dead one's number frees its messages first", arguments: TestEngine.all)
    func takenOver(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let housekeeping = HousekeepingRepository(database: house.database)
            let now = house.clock.now()
            let first = try await housekeeping.claimProcessNumber(owner: "dead", at: now, until: now.adding(seconds: 5))
            try await house.accept()
            _ = try await OutboxRepository(database: house.database, owner: "dead").claim(
                at: now, lease: now.adding(seconds: 300), limit: 10, share: 10, inHand: [:]
            ) { _ in .handOver }
            let later = now.adding(seconds: 6)
            let second = try await housekeeping.claimProcessNumber(
                owner: "new", at: later, until: later.adding(seconds: 5))
            #expect(first == 0 && second == 0)
            #expect(try await house.database.count("outbox", where: "ready = 1") == 1)
        }
    }

    @Test("a duty is one owner's until its lease ends or is given up", arguments: TestEngine.all)
    func duty(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let housekeeping = HousekeepingRepository(database: house.database)
            let now = house.clock.now()
            func hold(_ owner: String, after seconds: Double) async throws -> Bool {
                try await housekeeping.holdDuty(
                    "watchdog", owner: owner, at: now.adding(seconds: seconds), until: now.adding(seconds: seconds + 30)
                )
            }
            #expect(try await hold("a", after: 0))
            #expect(try await !hold("b", after: 1))
            #expect(try await hold("a", after: 20))
            #expect(try await !hold("b", after: 49))
            #expect(try await hold("b", after: 50))
            #expect(try await !hold("a", after: 51))
            try await housekeeping.releaseDuties(of: "b")
            #expect(try await hold("a", after: 52))
        }
    }

    @Test("twenty processes that start at once have twenty numbers", arguments: TestEngine.all)
    func numbers(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let housekeeping = HousekeepingRepository(database: house.database)
            let now = house.clock.now()
            let numbers = try await withThrowingTaskGroup(of: Int?.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        try await housekeeping.claimProcessNumber(
                            owner: "p\(index)", at: now, until: now.adding(seconds: 60))
                    }
                }
                return try await group.reduce(into: [Int?]()) { $0.append($1) }
            }
            #expect(Set(numbers.compactMap(\.self)) == Set(0..<20))
        }
    }

    @Test("a change of settings, pools or callers is counted in its own commit", arguments: TestEngine.all)
    func counters(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let counters = ChangeCounters(database: house.database)
            let before = try await counters.all()
            try await house.vaults.change(JSONObject(["default_priority": .integer(9)]), in: house.vault.id)
            let after = try await counters.all()
            #expect(after[.vaults] == (before[.vaults] ?? 0) + 1)
            #expect(after[.callers] == before[.callers])
        }
    }

    @Test("what finds nothing to change is not counted, and keeps the audit log as it was", arguments: TestEngine.all)
    func nothingChanged(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (counters, vault) = (ChangeCounters(database: house.database), house.vault.id)
            let audit = house.audit(as: "key.write")
            _ = try await house.vaults.setSecret("s", to: Secret("v"), in: vault, audit: audit)
            let now = house.clock.now()
            let key = APIKey(
                id: house.ids.next(), vault: vault, prefix: "abcdefgh", digest: [1], label: "robot", kind: .tool,
                scopes: .send, isReadOnly: false, senderDomains: nil, createdAt: now, expiresAt: nil)
            let keys = KeyRepository(database: house.database)
            _ = try await keys.insert(under: nil, in: vault, audit: audit) { _ in key }
            #expect(try await keys.revoke(key.id, in: vault, at: now, audit: audit) == [key.id])
            let before = try await counters.all()
            let entries = try await house.database.count("audit_records")
            let users = SMTPUserRepository(database: house.database)
            let pools = IPPoolRepository(database: house.database)
            #expect(try await keys.revoke(key.id, in: vault, at: now, audit: audit) == [])
            #expect(try await keys.revoke(house.ids.next(), in: vault, at: now, audit: audit) == nil)
            #expect(
                try await keys.relabel(house.ids.next(), as: "x", in: vault, at: now, audit: audit) { _ in }?.id == nil)
            let rotated = try await keys.rotate(house.ids.next(), askedBy: nil, in: vault, at: now, audit: audit) {
                _, _ in KeyRepository.Renewal(prefix: "12345678", digest: [], oldEndsAt: nil)
            }
            #expect(rotated?.id == nil)
            #expect(try await users.delete(house.ids.next(), in: vault, audit: audit) { _ in }?.id == nil)
            let changed = try await users.change(house.ids.next(), askedBy: nil, in: vault, audit: audit) { user, _ in
                user
            }
            #expect(changed?.id == nil)
            #expect(try await !pools.delete(house.ids.next(), in: vault, audit: audit))
            #expect(
                try await pools.update(house.ids.next(), in: vault, at: now, audit: audit) { _ in }?.id == nil)
            #expect(try await !house.vaults.deleteSecret("none", in: vault, audit: audit))
            #expect(try await counters.all() == before)
            #expect(try await house.database.count("audit_records") == entries)
            #expect(try await house.vaults.deleteSecret("s", in: vault, audit: audit))
            #expect(try await counters.all()[.vaults] == (before[.vaults] ?? 0) + 1)
        }
    }
}
