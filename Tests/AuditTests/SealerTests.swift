// The seals: made every few seconds of what is in order, never of what is not, and never so many that they are a burden.

import Audit
import CoreTestSupport
import JSON
import Logging
import Model
import SQL
import ServiceLifecycle
import ServiceLifecycleTestKit
import Store
import Synchronization
import Testing

@Suite("Audit sealer")
struct SealerTests {
    @Test("each round seals what came since, and nothing where nothing came", arguments: TestEngine.all)
    func rounds(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            let sealer = log.sealer()
            let before = try await seals(log)
            try await sealer.round()
            #expect(try await seals(log) == before)
            try await log.append(3, in: log.vault)
            #expect(try await log.report().sealed == 12)
            try await sealer.round()
            #expect(try await log.report().sealed == 15)
            #expect(await sealer.isIntact() == true)
        }
    }

    @Test("who has not the duty seals nothing")
    func duty() async throws {
        try await withLog { log in
            try await log.append(1, in: log.vault)
            try await log.sealer(false).round()
            #expect(try await log.report().sealed == 12)
        }
    }

    @Test("what was altered is not sealed, and the rest is", arguments: TestEngine.all)
    func altered(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            try await log.append(3, in: log.vault)
            try await log.append(1, in: nil)
            try await log.tamper(
                "UPDATE audit_records SET reason = 'x' WHERE chain = \(log.vault.text) AND sequence = 14")
            let sealer = log.sealer()
            try await sealer.round()
            #expect(await sealer.isIntact() == false)
            #expect(try await log.report().sealed == 12)
            let instance = try await log.verifier.chain(of: nil)
            #expect(instance.sealed == instance.end.sequence)
        }
    }

    @Test("a cut or rewritten end is noticed at the next round, without going through the whole log")
    func noticed() async throws {
        let hands: [@Sendable (AuditHouse) async throws -> Void] = [
            { log in
                try await log.tamper(
                    "DELETE FROM audit_records WHERE chain = \(log.vault.text) AND sequence = 12",
                    "UPDATE audit_heads SET sequence = 11 WHERE chain = \(log.vault.text)")
            },
            { log in
                try await log.tamper("UPDATE audit_heads SET sequence = 0 WHERE chain = \(log.vault.text)")
            },
            { log in try await log.tamper("DELETE FROM audit_heads WHERE chain = \(log.vault.text)") },
            { log in try await log.tamper("DELETE FROM audit_seals WHERE chain = \(log.vault.text)") },
            { log in try await log.tamper("DELETE FROM audit_seals WHERE chain = 'chains'") },
            { log in
                try await log.tamper("UPDATE audit_seals SET at = at + 1 WHERE chain = \(log.vault.text)")
            },
        ]
        for (index, hand) in hands.enumerated() {
            try await withLog { log in
                let sealer = log.sealer()
                #expect(await sealer.isIntact() == true)
                try await hand(log)
                try await sealer.round()
                #expect(await sealer.isIntact() == false, "hand \(index)")
            }
        }
    }

    @Test("what lies before the seals is gone through once a day")
    func daily() async throws {
        try await withLog { log in
            let sealer = log.sealer()
            #expect(await sealer.isIntact() == true)
            try await log.tamper(
                "UPDATE audit_records SET reason = 'x' WHERE chain = \(log.vault.text) AND sequence = 2")
            #expect(await sealer.isIntact() == true, "not again the same day")
            log.house.clock.advance(seconds: 86_401)
            #expect(await sealer.isIntact() == false)
        }
    }

    @Test("a seal a day is kept, and no more than a month of them")
    func thinned() async throws {
        try await withLog { log in
            for _ in 0..<40 {
                for _ in 0..<2 {
                    try await log.append(1, in: log.vault)
                    try await log.sealer().round()
                    log.house.clock.advance(seconds: 100)
                }
                log.house.clock.advance(seconds: 86_400)
            }
            let count = try await log.rows("SELECT sequence FROM audit_seals WHERE chain = \(log.vault.text)").count
            #expect((28...32).contains(count))
            #expect(try await log.report().isIntact)
        }
    }

    @Test("that there were no seals is a record, once: a second one tells that they were taken away")
    func firstSeals() async throws {
        try await withLog { log in
            var query = AuditQuery()
            query.action = "audit.seal"
            #expect(try await log.repository.list(query, in: nil).records.count == 1)
            try await log.tamper("DELETE FROM audit_seals")
            try await log.seal()
            #expect(try await log.repository.list(query, in: nil).records.count == 2)
        }
    }

    @Test("a deleted vault's seals go when all else of its log has gone, and not before")
    func purged() async throws {
        try await withLog { log in
            try await log.tamper("UPDATE vaults SET state = 'deleted' WHERE id = \(log.vault.text)")
            try await log.sealer().round()
            #expect(try await !seals(log).isEmpty)
            try await log.tamper("DELETE FROM audit_records WHERE chain = \(log.vault.text)")
            try await log.tamper("DELETE FROM audit_heads WHERE chain = \(log.vault.text)")
            try await log.sealer().round()
            #expect(try await !seals(log).isEmpty, "nothing says that the vault was purged")
            let end = JSONObject(["purged": .bool(true)])
            try await log.repository.append(
                log.entry("vault.delete", of: log.vault.text, after: .object(end)), in: nil)
            try await log.sealer().round()
            #expect(try await seals(log).isEmpty)
            #expect(try await log.verifier.all().allSatisfy(\.isIntact))
        }
    }

    @Test("the service seals while it runs and once more when it ends")
    func service() async throws {
        try await withLog { log in
            let sealer = AuditSealer(
                database: log.database, key: log.key, ids: log.house.ids, clock: log.house.clock, interval: 3_600,
                holdsDuty: { true }, logger: Logger(label: "tests"))
            try await log.append(1, in: log.vault)
            try await testGracefulShutdown { trigger in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await sealer.run() }
                    try await eventually { try await log.report().sealed == 13 }
                    try await log.append(1, in: log.vault)
                    trigger.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
            #expect(try await log.report().sealed == 14)
        }
    }

    @Test("where the chains end is said once a day, in a form that verification reads")
    func anchors() async throws {
        try await withLog { log in
            let lines = Lines()
            let logger = Logger(label: "tests") { _ in lines }
            let sealer = log.sealer(logger: logger)
            try await sealer.round()
            try await sealer.round()
            #expect(lines.anchors.count == 1)
            log.house.clock.advance(seconds: 86_400)
            try await log.append(1, in: log.vault)
            try await sealer.round()
            #expect(lines.anchors.count == 2)
            let anchors = try #require(lines.anchors.last).split(separator: " ").map { AuditAnchor(String($0)) }
            #expect(anchors.count == 2 && anchors.allSatisfy { $0 != nil })
            #expect(try await log.verifier.all(anchors: anchors.compactMap(\.self)).allSatisfy(\.isIntact))
        }
    }

    private func seals(_ log: AuditHouse) async throws -> [AuditSeal] {
        try await log.database.read { connection in try connection.auditSeals(of: log.vault.text) }
    }
}

/// Waits for what another task does, and fails when it does not come.
func eventually(_ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now.advanced(by: .seconds(20))
    while try await !condition() {
        try #require(ContinuousClock.now < end, "it never came")
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A log that a test reads.
private final class Lines: LogHandler, Sendable {
    private let kept = Mutex<[String]>([])

    var anchors: [String] { kept.withLock { $0 } }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        if let anchors = event.metadata?["anchors"] { kept.withLock { $0.append("\(anchors)") } }
    }
}
