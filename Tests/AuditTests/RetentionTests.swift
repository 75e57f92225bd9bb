// Retention: the oldest part goes when its time is over, the rest stays provable, and nothing that was altered goes.

import Audit
import CoreTestSupport
import JSON
import Logging
import Model
import SQL
import Store
import Testing

@Suite("Audit retention")
struct RetentionTests {
    private static let day: Double = 86_400

    @Test(
        "what is old goes, the rest is proved from a sealed floor, and both stand in the log", arguments: TestEngine.all
    )
    func prune(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            log.house.clock.advance(seconds: 10 * Self.day)
            try await log.append(5, in: log.vault)
            try await log.seal()
            try await log.retention(days: 5).round()
            try await log.seal()
            let report = try await log.report()
            #expect(report.isIntact, "\(report.findings)")
            #expect(report.floor == 12 && report.records == 6 && report.end.sequence == 18 && report.sealed == 18)
            let newest = try #require(try await log.repository.list(AuditQuery(limit: 1), in: log.vault).records.first)
            #expect(newest.fields.action == "audit.prune" && newest.fields.actorID == "postern")
            #expect(newest.fields.after?.contains("\"first\":1,\"last\":12") == true)
            #expect(await log.sealer().isIntact() == true)
        }
    }

    @Test("again and again: the floor rises, and what is gone cannot be passed off as pruned")
    func again() async throws {
        try await withLog { log in
            for _ in 0..<4 {
                log.house.clock.advance(seconds: 10 * Self.day)
                try await log.append(3, in: log.vault)
                try await log.seal()
                try await log.retention(days: 5).round()
                try await log.seal()
                #expect(try await log.verifier.all().allSatisfy(\.isIntact))
            }
            let floors = try await log.rows(
                "SELECT sequence FROM audit_seals WHERE kind = 'floor' AND chain = \(log.vault.text)")
            #expect(floors.count == 1)
            let report = try await log.report()
            try await log.tamper(
                "DELETE FROM audit_records WHERE chain = \(log.vault.text) AND sequence = \(report.floor + 1)")
            #expect(try await log.findings() == ["missing \(report.floor + 1)"])
        }
    }

    @Test("a backlog of more than one transaction goes as a whole, under one record", arguments: TestEngine.all)
    func backlog(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            try await log.database.write { connection in
                for _ in 0..<2_500 { try connection.record(log.entry(), in: log.vault) }
            }
            try await log.seal()
            log.house.clock.advance(seconds: 10 * Self.day)
            try await log.retention(days: 5).round()
            let report = try await log.report()
            #expect(report.isIntact, "\(report.findings)")
            #expect(report.floor == 2_512 && report.records == 1)
        }
    }

    @Test("nothing goes before its day is over, without a limit, or without the duty")
    func kept() async throws {
        try await withLog { log in
            log.house.clock.advance(seconds: 5.5 * Self.day)
            try await log.retention(days: 5).round()
            try await log.retention(days: nil).round()
            try await AuditRetention(
                database: log.database, key: log.key, ids: log.house.ids, clock: log.house.clock, days: { _ in 1 },
                holdsDuty: { false }, logger: .init(label: "tests")
            ).round()
            #expect(try await log.report().floor == 0)
            log.house.clock.advance(seconds: Self.day)
            try await log.retention(days: 5).round()
            #expect(try await log.report().floor == 12)
        }
    }

    @Test("each chain has its own time")
    func chains() async throws {
        try await withLog { log in
            log.house.clock.advance(seconds: 10 * Self.day)
            try await AuditRetention(
                database: log.database, key: log.key, ids: log.house.ids, clock: log.house.clock,
                days: { vault in vault == nil ? 1 : 100 }, holdsDuty: { true }, logger: .init(label: "tests")
            ).round()
            #expect(try await log.report().floor == 0)
            #expect(try await log.verifier.chain(of: nil).floor > 0)
        }
    }

    @Test(
        "nothing is taken away from a log that was altered: it is evidence",
        arguments: [
            "UPDATE audit_records SET reason = 'x' WHERE sequence = 2 AND chain <> 'instance'",
            "DELETE FROM audit_records WHERE sequence = 2 AND chain <> 'instance'",
            "DELETE FROM audit_seals WHERE chain = 'chains'",
            "UPDATE audit_seals SET at = at + 1 WHERE chain <> 'chains'",
        ])
    func altered(_ hand: String) async throws {
        try await withLog { log in
            try await log.tamper(SQLStatement(stringLiteral: hand))
            log.house.clock.advance(seconds: 10 * Self.day)
            let before = try await log.rows("SELECT id FROM audit_records").count
            await #expect(throws: (any Error).self) { try await log.retention(days: 5).round() }
            let floors = try await log.rows(
                "SELECT 1 FROM audit_seals WHERE kind = 'floor' AND chain = \(log.vault.text)")
            let after = try await log.rows("SELECT id FROM audit_records WHERE chain = \(log.vault.text)").count
            #expect(floors.isEmpty && after >= 11 && before >= after)
        }
    }
}
