// The failure backlog: what gets into it, what a filter means, and that a repair is done once, in its own vault only.

import CoreTestSupport
import Model
import SQL
import Store
import Testing

@Suite("The failure backlog")
struct FailureTests {
    /// Accepts a message and lets it end.
    @discardableResult
    private func fail(
        _ house: TestHouse,
        to recipient: String = "ann@example.net",
        code: Int? = 550,
        status: MessageStatus = .bounced,
        by caller: Caller? = nil
    ) async throws -> MessageID {
        let id = try await house.accept(by: caller) { $0.recipients = [recipient] }[0]
        let move = MessageMove(
            message: id, vault: (caller ?? house.caller).vault, status: status,
            event: house.event(status == .bounced ? .bounced : .failed, attempt: 1), outbox: .remove,
            reply: Foreign("no such user"), code: code, enhancedCode: code.map { _ in "5.1.1" })
        #expect(try await MessageRepository(database: house.database).move([move]) == [id])
        return id
    }

    private func repair(
        _ repair: FailureRepository.Repair,
        _ house: TestHouse,
        _ filter: FailureFilter = FailureFilter(),
        limit: Int = 1000,
        in vault: VaultID? = nil,
        key: RepairKey? = nil
    ) async throws -> RepairOutcome {
        let type: EventType = if case .drain = repair { .drained } else { .retried }
        return try await FailureRepository(database: house.database).repair(
            repair, in: vault ?? house.vault.id, matching: filter, limit: limit, event: { house.event(type) },
            idempotency: key, audit: house.audit(as: "queue.repair")
        ) { done, skipped in "done \(done), skipped \(skipped)" }
    }

    private func waiting(_ house: TestHouse, _ filter: FailureFilter = FailureFilter()) async throws -> [MessageID] {
        let list = try await FailureRepository(database: house.database).list(
            in: house.vault.id, matching: filter, after: nil, limit: 200)
        return try #require(list).map(\.message)
    }

    @Test("what ends as bounced or failed waits with its code, its domain and its reason", arguments: TestEngine.all)
    func waiting(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let bounced = try await fail(house, to: "Ann@EXAMPLE.net")
            house.clock.advance(seconds: 1)
            let failed = try await fail(house, to: "bob@other.example", code: nil, status: .failed)
            let list = try #require(
                try await FailureRepository(database: house.database).list(
                    in: house.vault.id, matching: FailureFilter(), after: nil, limit: 10))
            #expect(list.map(\.message) == [bounced, failed])
            #expect((list[0].code, list[0].enhancedCode, list[0].domain) == (550, "5.1.1", "example.net"))
            #expect(list[0].route == "smarthost")
            #expect(list[0].reason?.asData() == "no such user")
            #expect((list[1].code, list[1].domain) == (nil, "other.example"))
        }
    }

    @Test("what is delivered or expires does not wait", arguments: TestEngine.all)
    func notWaiting(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            for status in [MessageStatus.delivered, .expired, .cancelled] {
                let id = try await house.accept()[0]
                let move = MessageMove(
                    message: id, vault: house.vault.id, status: status, event: house.event(.delivered),
                    outbox: .remove)
                #expect(try await MessageRepository(database: house.database).move([move]) == [id])
            }
            #expect(try await waiting(house) == [])
        }
    }

    @Test("a filter takes what has all of its marks", arguments: TestEngine.all)
    func filters(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let a = try await fail(house, to: "x@a.example", code: 550)
            let b = try await fail(house, to: "x@b.example", code: 554)
            let start = house.clock.now()
            house.clock.advance(seconds: 100)
            let c = try await fail(house, to: "x@a.example", code: 451)
            let d = try await fail(house, to: "x@a.example", code: nil)
            #expect(try await waiting(house) == [a, b, c, d])
            #expect(try await waiting(house, FailureFilter(code: .exactly(550))) == [a])
            #expect(try await waiting(house, FailureFilter(code: .ofClass(5))) == [a, b])
            #expect(try await waiting(house, FailureFilter(domain: "a.example")) == [a, c, d])
            #expect(try await waiting(house, FailureFilter(domain: "A.example")) == [])
            #expect(try await waiting(house, FailureFilter(until: start)) == [a, b])
            #expect(
                try await waiting(house, FailureFilter(code: .ofClass(5), domain: "b.example", until: start)) == [b])
            let (total, kinds) = try await FailureRepository(database: house.database).count(
                in: house.vault.id, matching: FailureFilter())
            #expect(total == 4)
            #expect(Set(kinds.map(\.domain)) == ["a.example", "b.example"])
            #expect(kinds.reduce(0) { $0 + $1.count } == 4)
        }
    }

    @Test(
        "a code is three digits or a class",
        arguments: [
            ("550", FailureFilter.Code.exactly(550)), ("5xx", .ofClass(5)), ("4xx", .ofClass(4)),
            ("200", .exactly(200)),
            ("599", .exactly(599)), ("2xx", .ofClass(2)), ("600", nil), ("199", nil), ("6xx", nil), ("5x", nil),
            ("5XX", nil), ("xxx", nil), ("", nil), ("5500", nil), ("-50", nil), ("55x", nil), ("٥٥٠", nil),
            ("5x0", nil), (" 55", nil),
        ])
    func codes(text: String, code: FailureFilter.Code?) { #expect(FailureFilter.Code(text) == code) }

    @Test("pages follow each other without a gap, even where many failed at once", arguments: TestEngine.all)
    func pages(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            var expected: [MessageID] = []
            for number in 0..<7 {
                if number == 4 { house.clock.advance(seconds: 1) }
                expected.append(try await fail(house))
            }
            var (seen, cursor): ([MessageID], String?) = ([], nil)
            repeat {
                let page = try #require(
                    try await FailureRepository(database: house.database).list(
                        in: house.vault.id, matching: FailureFilter(), after: cursor, limit: 2))
                seen += page.map(\.message)
                cursor = page.count == 2 ? page.last?.cursor : nil
            } while cursor != nil
            #expect(seen == expected)
        }
    }

    @Test("a cursor that is none is no cursor", arguments: ["", "x", "1.", ".msg_0000000000000000", "1.2", "1 OR 1=1"])
    func badCursor(cursor: String) async throws {
        try await withHouse { house in
            let list = try await FailureRepository(database: house.database).list(
                in: house.vault.id, matching: FailureFilter(), after: cursor, limit: 2)
            #expect(list == nil || cursor.isEmpty)
        }
    }

    @Test(
        "draining takes out what matches, says so in its story, and leaves the message as it ended",
        arguments: TestEngine.all)
    func draining(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let id = try await fail(house, code: 550)
            let other = try await fail(house, code: 451)
            let filter = FailureFilter(code: .exactly(550))
            #expect(try await repair(.drain, house, filter) == .done(1, skipped: 0, isLast: true))
            #expect(try await waiting(house) == [other])
            let messages = MessageRepository(database: house.database)
            #expect(try await messages.find(id, in: house.vault.id)?.status == .bounced)
            #expect(try await messages.events(of: id, in: house.vault.id).last?.type == .drained)
            // Once more does nothing more.
            #expect(try await repair(.drain, house, filter) == .done(0, skipped: 0, isLast: true))
            let drained = try await messages.events(of: id, in: house.vault.id).count { $0.type == .drained }
            #expect(drained == 1)
        }
    }

    @Test("requeueing sends again with a new deadline, and twice is once", arguments: TestEngine.all)
    func requeueing(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let id = try await fail(house)
            let deadline = house.clock.now().adding(seconds: 5000)
            #expect(try await repair(.requeue(deadline: deadline), house) == .done(1, skipped: 0, isLast: true))
            #expect(try await repair(.requeue(deadline: deadline), house) == .done(0, skipped: 0, isLast: true))
            let messages = MessageRepository(database: house.database)
            let message = try #require(try await messages.find(id, in: house.vault.id))
            #expect((message.status, message.deadline) == (.queued, deadline))
            #expect(try await messages.events(of: id, in: house.vault.id).last?.type == .retried)
            #expect(try await house.database.count("outbox") == 1)
            #expect(try await waiting(house) == [])
            let outbox = OutboxRepository(database: house.database, owner: "tests")
            #expect(try await outbox.depth().ready == 1)
        }
    }

    @Test("a message that came to another end meanwhile is skipped and waits no longer")
    func skipping() async throws {
        try await withHouse { house in
            let id = try await fail(house)
            try await house.database.write { connection in
                try connection.execute("UPDATE smtp_relay_logs SET status = 'delivered' WHERE id = \(id.text)")
            }
            let outcome = try await repair(.requeue(deadline: house.clock.now()), house)
            #expect(outcome == .done(0, skipped: 1, isLast: true))
            #expect(try await waiting(house) == [])
            #expect(try await house.database.count("outbox") == 0)
        }
    }

    @Test("another vault's failures are neither seen nor counted nor repaired", arguments: TestEngine.all)
    func vaults(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let id = try await fail(house)
            let neighbour = try await house.neighbour()
            let theirs = neighbour.vault.id
            try await fail(house, by: neighbour.caller)
            let failures = FailureRepository(database: house.database)
            #expect(try await failures.list(in: theirs, matching: .init(), after: nil, limit: 9)?.count == 1)
            #expect(try await failures.count(in: theirs, matching: .init()).total == 1)
            #expect(try await failures.total() == 2)
            #expect(try await repair(.drain, house, in: theirs) == .done(1, skipped: 0, isLast: true))
            let deadline = house.clock.now()
            #expect(
                try await repair(.requeue(deadline: deadline), house, in: theirs)
                    == .done(0, skipped: 0, isLast: true))
            #expect(try await waiting(house) == [id])
        }
    }

    @Test("a limit is kept, oldest first, and a chunk is no more than 500", arguments: TestEngine.all)
    func chunks(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let first = try await fail(house)
            try await house.database.write { connection in
                for number in 0..<700 {
                    try connection.execute(
                        """
                        INSERT INTO smtp_relay_logs (id, vault_id, correlation_id, caller_id, caller_label, door, sender,
                            recipient, status, route, priority, size, attempts, deadline_at, created_at, updated_at,
                            payload_id)
                        SELECT \("msg_x\(1_000_000 + number)"), vault_id, correlation_id, caller_id, caller_label, door,
                            sender, recipient, status, route, priority, size, attempts, deadline_at, created_at,
                            updated_at, payload_id FROM smtp_relay_logs WHERE id = \(first.text)
                        """)
                    try connection.execute(
                        """
                        INSERT INTO failures (message_id, vault_id, code, domain, route, failed_at)
                        SELECT \("msg_x\(1_000_000 + number)"), vault_id, code, domain, route,
                            failed_at + \(number + 1) FROM failures WHERE message_id = \(first.text)
                        """)
                }
            }
            #expect(try await repair(.drain, house, limit: 1) == .done(1, skipped: 0, isLast: true))
            #expect(try await waiting(house).first?.text == "msg_x1000000")
            #expect(try await repair(.drain, house, limit: 10_000) == .done(500, skipped: 0, isLast: false))
            #expect(try await repair(.drain, house, limit: 9500) == .done(200, skipped: 0, isLast: true))
            #expect(try await FailureRepository(database: house.database).total() == 0)
        }
    }

    @Test("a call with a key is done once, and another call with that key is a conflict", arguments: TestEngine.all)
    func idempotency(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            func key(_ digest: UInt8, by caller: Caller? = nil) -> RepairKey {
                RepairKey(
                    "k-1", digest: [digest], caller: caller ?? house.caller, now: house.clock.now(),
                    expiresAt: house.clock.now().adding(seconds: 60))
            }
            try await fail(house)
            #expect(try await repair(.drain, house, key: key(1)) == .done(1, skipped: 0, isLast: true))
            let later = try await fail(house)
            #expect(try await repair(.drain, house, key: key(1)) == .replayed(answer: "done 1, skipped 0"))
            #expect(try await repair(.drain, house, key: key(2)) == .conflict)
            #expect(try await waiting(house) == [later])
            // Another caller's key is another key.
            let other = Caller(vault: house.vault.id, identity: .key(house.ids.next()), label: "b", scopes: .all)
            #expect(try await repair(.drain, house, key: key(9, by: other)) == .done(1, skipped: 0, isLast: true))
            // And after its time the key is free again.
            house.clock.advance(seconds: 61)
            try await fail(house)
            #expect(try await repair(.drain, house, key: key(2)) == .done(1, skipped: 0, isLast: true))
        }
    }

    @Test("a person's key in another vault is another key", arguments: TestEngine.all)
    func keysOfPeople(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let person: UserID = house.ids.next()
            let neighbour = try await house.neighbour()
            func key(in vault: VaultID) -> RepairKey {
                RepairKey(
                    "k-1", digest: [1],
                    caller: Caller(vault: vault, identity: .member(person), label: "a", scopes: .all),
                    now: house.clock.now(), expiresAt: house.clock.now().adding(seconds: 60))
            }
            try await fail(house)
            try await fail(house, by: neighbour.caller)
            let done = RepairOutcome.done(1, skipped: 0, isLast: true)
            #expect(try await repair(.drain, house, key: key(in: house.vault.id)) == done)
            #expect(try await repair(.drain, house, in: neighbour.vault.id, key: key(in: neighbour.vault.id)) == done)
            #expect(
                try await repair(.drain, house, in: neighbour.vault.id, key: key(in: neighbour.vault.id))
                    == .replayed(answer: "done 1, skipped 0"))
        }
    }

    @Test("the key is written with the last chunk only")
    func keyOfChunks() async throws {
        try await withHouse { house in
            let key = RepairKey(
                "k", digest: [1], caller: house.caller, now: house.clock.now(),
                expiresAt: house.clock.now().adding(seconds: 60))
            for _ in 0..<3 { try await fail(house) }
            #expect(try await repair(.drain, house, limit: 2, key: key) == .done(2, skipped: 0, isLast: true))
            #expect(try await house.database.count("idempotency_keys") == 1)
        }
    }

    @Test("several who drain at once take each failure once", arguments: TestEngine.all)
    func concurrency(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            for _ in 0..<40 { try await fail(house) }
            let done = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        let action: FailureRepository.Repair =
                            number % 2 == 0 ? .drain : .requeue(deadline: house.clock.now().adding(seconds: 60))
                        var sum = 0
                        while case .done(let done, _, _) = try await repair(action, house, limit: 3), done > 0 {
                            sum += done
                        }
                        return sum
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(done == 40)
            #expect(try await house.database.count("failures") == 0)
            let messages = MessageRepository(database: house.database)
            for message in try await messages.search(MessageQuery(limit: 200), in: house.vault.id) {
                let ends = try await messages.events(of: message.id, in: house.vault.id).count {
                    $0.type == .drained || $0.type == .retried
                }
                #expect(ends == 1)
            }
        }
    }
}
