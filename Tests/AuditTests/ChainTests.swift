// How records come into their chain: in order, from many at once, from before there were chains, and never without it.

import Audit
import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("The chain grows")
struct ChainTests {
    @Test("many writers at once make one chain without gaps, on several chains", arguments: TestEngine.all)
    func parallel(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject()) { house in
            let log = AuditHouse(house: house)
            let other = try await house.neighbour().vault.id
            let chains: [VaultID?] = [house.vault.id, other, nil]
            try await withThrowingTaskGroup { group in
                for worker in 0..<24 {
                    group.addTask {
                        for _ in 0..<10 {
                            // Chains in either order, as different acts have them.
                            let mine = worker % 2 == 0 ? chains : chains.reversed()
                            try await house.database.write { connection in
                                for vault in mine { try connection.record(log.entry(), in: vault) }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            for report in try await log.verifier.all() {
                #expect(report.isIntact, "\(report.findings)")
                // The house's own vaults are made in the instance's chain, where that is recorded.
                #expect(report.records >= 240 && report.end.sequence == report.records)
            }
        }
    }

    @Test("changes that raise a counter first do not hold each other up for ever", arguments: TestEngine.all)
    func withCounters(_ engine: TestEngine) async throws {
        try await withHouse(engine, settings: JSONObject()) { house in
            let log = AuditHouse(house: house)
            let settings = SettingsRepository(database: house.database)
            let pools = IPPoolRepository(database: house.database)
            try await withThrowingTaskGroup { group in
                for worker in 0..<12 {
                    group.addTask {
                        for round in 0..<5 {
                            switch worker % 3 {
                            case 0:
                                try await settings.change(
                                    SettingsChange(values: ["default_priority": round]), in: house.vault.id,
                                    at: house.clock.now(), audit: house.audit(as: "settings.write"))
                            case 1:
                                let pool = IPPool(
                                    id: house.ids.next(), vault: house.vault.id, domain: "d\(worker)-\(round).example",
                                    pool: "p", ips: ["192.0.2.1"], createdAt: house.clock.now(),
                                    updatedAt: house.clock.now())
                                try await pools.insert(pool, in: house.vault.id, audit: house.audit(as: "pool.write"))
                            default:
                                try await log.repository.append([(log.entry(), nil), (log.entry(), house.vault.id)])
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let report = try await log.report()
            #expect(report.isIntact && report.records == 60, "\(report.findings)")
        }
    }

    @Test("what fails takes its record back, and the chain goes on without a gap", arguments: TestEngine.all)
    func takenBack(_ engine: TestEngine) async throws {
        struct Refused: Error {}
        try await withLog(engine) { log in
            await #expect(throws: Refused.self) {
                try await log.database.write { connection in
                    try connection.record(log.entry(), in: log.vault)
                    throw Refused()
                }
            }
            try await log.append(1, in: log.vault)
            let report = try await log.report()
            #expect(report.isIntact && report.end.sequence == 13)
        }
    }

    @Test("records from before there were chains are put into theirs in their order", arguments: TestEngine.all)
    func adopted(_ engine: TestEngine) async throws {
        try await withDatabase(engine, isMigrated: false) { database in
            try await Migrator(database: database).migrate(through: 4)
            let ids = IdentifierGenerator(process: 3, clock: ManualClock())
            let vaults: [VaultID] = [ids.next(), ids.next()]
            try await database.write { connection in
                for (index, vault) in vaults.enumerated() {
                    try connection.execute(
                        """
                        INSERT INTO vaults (id, slug, name, data_key, created_at)
                        VALUES (\(vault.text), \("v\(index)"), 'v', \([UInt8]()), 1)
                        """)
                }
                for number in 0..<1_203 {
                    let id: AuditID = ids.next()
                    let vault = number % 3 == 2 ? nil : vaults[number % 3]
                    try connection.execute(
                        """
                        INSERT INTO audit_records (id, vault_id, at, actor_id, actor_label, door, action, resource, after_value)
                        VALUES (\(id.text), \(vault?.text), \(number), 'a', 'ä', 'http', 'settings.write', 'settings', 'null')
                        """)
                }
            }
            try await Migrator(database: database).migrate()
            let verifier = AuditVerifier(database: database, key: nil, clock: ManualClock())
            let reports = try await verifier.all()
            #expect(reports.map(\.chain) == ["instance"] + vaults.map(\.text).sorted())
            for report in reports {
                #expect(report.isIntact && report.records == 401 && report.end.sequence == 401, "\(report.findings)")
            }
            let disorder = try await database.read { connection in
                try connection.rows(
                    """
                    SELECT 1 FROM audit_records a JOIN audit_records b ON b.chain = a.chain AND b.sequence = a.sequence + 1
                    WHERE b.id <= a.id
                    """)
            }
            #expect(disorder.isEmpty)
        }
    }

    @Test("no two different records have the same digest input")
    func framing() {
        func digest(_ address: String?, _ requestID: String?, _ reason: String? = nil, chain: String = "c") -> [UInt8] {
            let fields = AuditRecord.Fields(
                id: "i", at: 1, actorID: "a", actorLabel: "l", door: "d", address: address, requestID: requestID,
                action: "x",
                resource: "r", outcome: "done", reason: reason, before: nil, after: nil)
            return AuditRecord.digest(of: fields, in: chain, sequence: 1, after: AuditChain.genesis)
        }
        let all = [
            digest("ab", "c"), digest("a", "bc"), digest(nil, "abc"), digest("abc", nil), digest("", "abc"),
            digest("abc", ""), digest(nil, nil), digest("", nil), digest(nil, ""), digest(nil, nil, ""),
            digest("ab", "c", chain: "d"),
        ]
        #expect(Set(all).count == all.count)
    }

    @Test("what cannot be stored in a text does not keep an act from being recorded", arguments: TestEngine.all)
    func hostileTexts(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            let actor = Actor(
                id: "a\0b", label: "=HYPERLINK(\"x\")\r\n\0", door: "http", address: "\u{202E}",
                requestID: "'; DROP TABLE audit_records;--")
            let entry = log.entry(
                "settings.write", of: "\0", by: actor, after: .string("a\0\u{FFFF}"), outcome: .failed,
                reason: "\0\u{1F600}")
            try await log.repository.append(entry, in: log.vault)
            #expect(try await log.report().isIntact)
            let found = try #require(try await log.repository.list(AuditQuery(limit: 1), in: log.vault).records.first)
            let back = try found.fields.entry()
            #expect(back.actor.id == "a\u{FFFD}b" && back.reason == "\u{FFFD}\u{1F600}" && back.resource == "\u{FFFD}")
            #expect(back.outcome == .failed && back.actor.requestID == actor.requestID)
        }
    }
}
