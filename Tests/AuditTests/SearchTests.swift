// Searching: each filter, all of them together, page after page, and always along an index within a bounded reach.

import Audit
import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("Audit search")
struct AuditSearchTests {
    private static let people = ["key_1", "key_2", "usr_1"]
    private static let actions = ["key.write", "key.read", "keyring.write", "settings.write", "session.begin"]

    /// Records of every kind, in no particular order.
    private func fill(_ log: AuditHouse, _ count: Int) async throws -> [AuditEntry] {
        var entries: [AuditEntry] = []
        var state: UInt64 = 88_172_645_463_325_252
        func pick(_ limit: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(limit))
        }
        for _ in 0..<count {
            log.house.clock.advance(seconds: Double(pick(3)))
            let id = Self.people[pick(3)]
            // A label may be somebody else's id.
            let label = pick(5) == 0 ? Self.people[pick(3)] : "label of \(id)"
            entries.append(
                log.entry(
                    Self.actions[pick(5)], of: "thing-\(pick(7))", by: Actor(id: id, label: label, door: "http"),
                    outcome: AuditEntry.Outcome.allCases[pick(20) == 0 ? 1 : 0]))
        }
        try await log.repository.append(entries.map { ($0, log.vault) })
        return entries
    }

    private func matches(_ entry: AuditEntry, _ query: AuditQuery) -> Bool {
        if let actor = query.actor, entry.actor.id != actor, entry.actor.label != actor { return false }
        if let action = query.action {
            guard action.hasSuffix(".") ? entry.action.hasPrefix(action) : entry.action == action else { return false }
        }
        if let resource = query.resource, entry.resource != resource { return false }
        if let outcome = query.outcome, entry.outcome != outcome { return false }
        if let since = query.since, entry.at < since { return false }
        if let until = query.until, entry.at >= until { return false }
        return true
    }

    @Test(
        "every combination of filters finds what going through all records finds, page after page",
        arguments: TestEngine.all)
    func combinations(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject()) { house in
            let log = AuditHouse(house: house)
            let entries = try await fill(log, 300)
            let middle = entries[150].at
            // A reach that the filters often exceed.
            let repository = AuditRepository(database: house.database, reach: 12)
            for actor in [nil, "key_1", "label of key_2", "nobody"] {
                for action in [nil, "key.write", "key.", "session.begin", "alert."] {
                    for resource in [nil, "thing-3"] {
                        for outcome in [nil, AuditEntry.Outcome.done, .refused] {
                            for (since, until) in [(nil, nil), (middle, nil), (nil, middle)]
                                as [(Timestamp?, Timestamp?)]
                            {
                                var query = AuditQuery(limit: 9)
                                (query.actor, query.action, query.resource) = (actor, action, resource)
                                (query.outcome, query.since, query.until) = (outcome, since, until)
                                let expected = entries.filter { matches($0, query) }.map(\.id.text).sorted().reversed()
                                let found = try await all(repository, query, log.vault)
                                #expect(found == Array(expected), "\(query)")
                            }
                        }
                    }
                }
            }
        }
    }

    private func all(_ repository: AuditRepository, _ query: AuditQuery, _ vault: VaultID?) async throws -> [String] {
        var (query, ids, pages) = (query, [String](), 0)
        while true {
            let page = try await repository.list(query, in: vault)
            ids += page.records.map(\.fields.id)
            #expect(page.records.count <= query.limit)
            pages += 1
            guard let next = page.next, pages < 400 else { return ids }
            query.before = next
        }
    }

    @Test("a chain finds nothing of another's")
    func chains() async throws {
        try await withLog { log in
            let other = try await log.house.neighbour().vault.id
            try await log.append(2, in: other)
            #expect(try await log.repository.list(AuditQuery(), in: other).records.count == 2)
            #expect(try await log.repository.list(AuditQuery(), in: log.vault).records.count == 12)
            let instance = try await log.repository.list(AuditQuery(), in: nil).records
            #expect(instance.allSatisfy { $0.chain == "instance" } && instance.count >= 3)
        }
    }

    @Test("texts that mean something to SQL are only texts", arguments: TestEngine.all)
    func hostile(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            for text in ["%", "_", "' OR 1=1 --", "\\", "ops-%", "\u{FFFF}", "settings", "SETTINGS.WRITE"] {
                var query = AuditQuery()
                query.actor = text
                let byActor = try await log.repository.list(query, in: log.vault).records
                #expect(byActor.isEmpty)
                query = AuditQuery()
                query.action = text + "."
                let byAction = try await log.repository.list(query, in: log.vault).records
                #expect(byAction.count == (text == "settings" ? 12 : 0), "\(text)")
            }
        }
    }

    @Test("no statement of a search sorts, or goes through the table", arguments: 0..<32)
    func plans(_ filters: Int) async throws {
        try await withLog(.sqlite) { log in
            let recorder = StatementRecorder(log.database)
            var query = AuditQuery()
            if filters & 1 != 0 { query.actor = AuditHouse.actor.id }
            if filters & 2 != 0 { query.action = filters & 16 != 0 ? "settings." : "settings.write" }
            if filters & 4 != 0 { query.resource = "settings" }
            if filters & 8 != 0 { query.outcome = .done }
            if filters & 16 != 0 { query.since = Timestamp(milliseconds: 0) }
            let repository = AuditRepository(database: recorder)
            #expect(try await repository.list(query, in: log.vault).records.count == 12)
            for statement in recorder.take() {
                let explained: SQLStatement = "EXPLAIN QUERY PLAN \(statement)"
                let plan = try await log.rows(explained).map { try $0.text(3) }.joined(separator: "; ")
                #expect(plan.contains("USING") && plan.contains("audit_records_"), "\(plan)")
                #expect(!plan.contains("SCAN audit_records") && !plan.contains("TEMP B-TREE"), "\(plan)")
            }
        }
    }
}
