// The chain broken in each way, and found: each finding says which record, and what is wrong with it.

import Audit
import CoreTestSupport
import JSON
import Model
import SQL
import Sealing
import Store
import Testing

@Suite("The chain broken in each way and found")
struct BrokenChainTests {
    @Test("as it was written nothing is found, in either engine", arguments: TestEngine.all)
    func intact(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            let reports = try await log.verifier.all()
            #expect(reports.map(\.chain) == ["instance", log.vault.text])
            for report in reports { #expect(report.isIntact, "\(report.findings)") }
            let ours = try await log.report()
            #expect(ours.records == 12 && ours.end.sequence == 12 && ours.sealed == 12 && ours.floor == 0)
        }
    }

    @Test(
        "any changed field is found at its record",
        arguments: [
            "id = 'aud_0000000000000000'", "at = at + 1", "actor_id = 'key_0000000000000002'", "actor_label = 'ops-2'",
            "door = 'smtp'", "address = NULL", "address = '192.0.2.8'", "request_id = NULL", "action = 'key.write'",
            "resource = 'setting'", "outcome = 'refused'", "reason = ''", "before_value = '{}'", "after_value = NULL",
            "after_value = '{\"n\": 4}'", "address = '192.0.2.7req_1', request_id = ''",
        ])
    func changed(_ change: String) async throws {
        try await withLog { log in
            try await log.tamper(
                "UPDATE audit_records SET \(SQLStatement(stringLiteral: change)) WHERE chain = \(log.vault.text) AND sequence = 5"
            )
            #expect(try await log.findings() == ["changed 5"])
            let finding = try #require(try await log.report().findings.first)
            #expect(finding.detail.contains("record 5") && finding.chain == log.vault.text)
        }
    }

    @Test("a changed digest is found, at its record and the one after", arguments: TestEngine.all)
    func digest(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            try await log.tamper(
                "UPDATE audit_records SET digest = \([UInt8](repeating: 9, count: 32)) WHERE chain = \(log.vault.text) AND sequence = 5"
            )
            #expect(try await log.findings() == ["changed 5", "changed 6"])
        }
    }

    @Test(
        "a removed record is found: the first, one in the middle, several, the last",
        arguments: [
            (1...1, ["missing 1"]), (6...6, ["missing 6"]), (4...9, ["missing 4"]),
            (12...12, ["missing 12", "cut 12"]),
            (1...12, ["missing 1", "cut 12"]),
        ])
    func removed(_ sequences: ClosedRange<Int>, _ expected: [String]) async throws {
        try await withLog { log in
            try await log.tamper(
                """
                DELETE FROM audit_records WHERE chain = \(log.vault.text) AND sequence >= \(sequences.lowerBound)
                    AND sequence <= \(sequences.upperBound)
                """)
            #expect(try await log.findings() == expected)
        }
    }

    @Test("an inserted record is found: between two, beyond the end, before the beginning, and without a number")
    func inserted() async throws {
        let columns: SQLStatement = """
            id, vault_id, at, actor_id, actor_label, door, action, resource, chain, outcome, sequence, digest
            """
        func values(_ log: AuditHouse, _ id: String, _ sequence: SQLStatement) -> SQLStatement {
            """
            INSERT INTO audit_records (\(columns))
            SELECT \(id), vault_id, at, actor_id, actor_label, door, action, resource, chain, outcome, \(sequence), digest
            FROM audit_records WHERE chain = \(log.vault.text) AND sequence = 5
            """
        }
        try await withLog { log in
            // Room is made by moving what follows.
            try await log.tamper(
                "UPDATE audit_records SET sequence = sequence + 1000 WHERE chain = \(log.vault.text) AND sequence > 5",
                "UPDATE audit_records SET sequence = sequence - 999 WHERE chain = \(log.vault.text) AND sequence > 5",
                values(log, "aud_x", "6"))
            let found = try await log.findings()
            #expect(found.starts(with: ["changed 6", "changed 7"]))
            #expect(found.contains("head 13") || found.contains("rewritten 12"))
        }
        try await withLog { log in
            try await log.tamper(values(log, "aud_x", "13"))
            #expect(try await log.findings() == ["changed 13", "head 13"])
        }
        try await withLog { log in
            try await log.tamper(values(log, "aud_x", "0"))
            #expect(try await log.findings() == ["repeated 0"])
        }
        try await withLog { log in
            try await log.tamper(values(log, "aud_x", "NULL"))
            #expect(try await log.findings() == ["stray -"])
        }
        try await withLog { log in
            try await log.tamper("DROP INDEX audit_records_chain", values(log, "aud_x", "5"))
            #expect(try await log.findings() == ["repeated 5"])
        }
    }

    @Test("two that changed places are found")
    func swapped() async throws {
        try await withLog { log in
            func move(_ from: Int, _ to: Int) -> SQLStatement {
                "UPDATE audit_records SET sequence = \(to) WHERE chain = \(log.vault.text) AND sequence = \(from)"
            }
            try await log.tamper(move(4, 100), move(8, 4), move(100, 8))
            #expect(try await log.findings() == ["changed 4", "changed 5", "changed 8", "changed 9"])
        }
    }

    @Test("a chain that was written anew without the master key is found by its seals", arguments: TestEngine.all)
    func rewritten(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            try await log.tamper(
                "UPDATE audit_records SET after_value = NULL WHERE chain = \(log.vault.text) AND sequence = 3")
            try await rewrite(log)
            #expect(try await log.findings() == ["rewritten 12"])
            // Without the key it looks like any other chain, and that the seals cannot be checked is itself found.
            let blind = AuditVerifier(database: log.database, key: nil, clock: log.house.clock)
            #expect(try await blind.chain(of: log.vault).findings.map(\.kind) == [.unsealed])
        }
    }

    @Test("a chain that was written anew, and its seals with it or taken away, is found by the seal over the seals")
    func resealed() async throws {
        let wrong = AuditSealKey(Secret([UInt8](repeating: 8, count: 32)))
        try await withLog { log in
            try await rewrite(log)
            let report = try await log.report()
            let forged = wrong.seal(report.end, of: log.vault.text, as: .head, at: log.house.clock.now())
            try await log.tamper(
                "UPDATE audit_seals SET digest = \(forged.link.digest), seal = \(forged.seal) WHERE chain = \(log.vault.text)"
            )
            #expect(try await log.findings().contains("forged 12"))
        }
        try await withLog { log in
            try await log.tamper("DELETE FROM audit_seals WHERE chain = \(log.vault.text)")
            #expect(try await log.findings() == ["unsealed -"])
        }
        try await withLog { log in
            try await log.tamper("DELETE FROM audit_seals WHERE chain = 'chains'")
            #expect(try await log.findings() == ["unsealed -"])
        }
        try await withLog { log in
            try await log.tamper("DELETE FROM audit_seals")
            #expect(try await log.findings().isEmpty, "the records are young enough")
            log.house.clock.advance(seconds: 7_200)
            #expect(try await log.findings() == ["unsealed 1"])
        }
    }

    @Test("an older seal put back is found, as long as any other chain has gone on")
    func olderSeal() async throws {
        try await withLog { log in
            let old = try await log.rows(
                "SELECT sequence, digest, at, seal FROM audit_seals WHERE chain = \(log.vault.text)")
            try await log.append(4, in: log.vault)
            try await log.seal()
            let row = try #require(old.first)
            let (sequence, digest) = (try row.integer(0), try row.blob(1))
            let (at, seal) = (try row.integer(2), try row.blob(3))
            try await log.tamper(
                "DELETE FROM audit_records WHERE chain = \(log.vault.text) AND sequence > 12",
                "UPDATE audit_heads SET sequence = \(sequence), digest = \(digest) WHERE chain = \(log.vault.text)",
                "DELETE FROM audit_seals WHERE chain = \(log.vault.text)",
                """
                INSERT INTO audit_seals (chain, sequence, kind, digest, at, seal)
                VALUES (\(log.vault.text), \(sequence), 'head', \(digest), \(at), \(seal))
                """)
            #expect(try await log.findings() == ["unsealed -"])
        }
    }

    @Test("a tail that was cut off, with the head put right, is found by the seal")
    func cutTail() async throws {
        try await withLog { log in
            try await log.tamper(
                "DELETE FROM audit_records WHERE chain = \(log.vault.text) AND sequence > 9",
                """
                UPDATE audit_heads SET sequence = 9,
                    digest = (SELECT digest FROM audit_records WHERE chain = \(log.vault.text) AND sequence = 9)
                WHERE chain = \(log.vault.text)
                """)
            #expect(try await log.findings() == ["cut 12"])
        }
    }

    @Test("everything of a chain taken away, its head as well, is found by the seal")
    func gone() async throws {
        try await withLog { log in
            try await log.tamper(
                "DELETE FROM audit_records WHERE chain = \(log.vault.text)",
                "DELETE FROM audit_heads WHERE chain = \(log.vault.text)")
            #expect(try await log.findings() == ["cut 12"])
            #expect(try await log.verifier.all().contains { !$0.isIntact && $0.chain == log.vault.text })
        }
    }

    @Test("a head that was cut off beyond the floor is found, with and without a forged floor")
    func cutHead() async throws {
        try await withLog { log in
            try await log.tamper("DELETE FROM audit_records WHERE chain = \(log.vault.text) AND sequence <= 4")
            #expect(try await log.findings() == ["missing 1"])
        }
        try await withLog { log in
            let digest = try #require(
                try await log.rows("SELECT digest FROM audit_records WHERE chain = \(log.vault.text) AND sequence = 4")
                    .first
            ).blob(0)
            try await log.tamper(
                "DELETE FROM audit_records WHERE chain = \(log.vault.text) AND sequence <= 4",
                """
                INSERT INTO audit_seals (chain, sequence, kind, digest, at, seal)
                VALUES (\(log.vault.text), 4, 'floor', \(digest), 1, \(digest))
                """)
            let found = try await log.findings()
            #expect(found.contains("forged 4") && found.contains("unsealed -"))
        }
    }

    @Test("records of another chain are found, with and without their vault changed")
    func foreign() async throws {
        for changesVault in [false, true] {
            try await withLog { log in
                let other = try await log.house.neighbour().vault.id
                try await log.append(12, in: other)
                try await log.seal()
                try await log.tamper(
                    "DELETE FROM audit_records WHERE chain = \(log.vault.text) AND sequence = 5",
                    """
                    UPDATE audit_records SET chain = \(log.vault.text)
                    WHERE chain = \(other.text) AND sequence = 5
                    """)
                if changesVault {
                    try await log.tamper("UPDATE audit_records SET vault_id = chain WHERE chain <> 'instance'")
                }
                let kind = changesVault ? "changed" : "foreign"
                #expect(try await log.findings() == ["\(kind) 5", "changed 6"])
                #expect(try await log.findings(other) == ["missing 5"])
            }
        }
        try await withLog { log in
            let other = try await log.house.neighbour().vault.id
            try await log.tamper(
                "UPDATE audit_records SET vault_id = \(other.text) WHERE chain = \(log.vault.text) AND sequence = 7")
            #expect(try await log.findings() == ["foreign 7"])
        }
    }

    @Test("columns of a wrong kind are a finding, and no error")
    func unreadable() async throws {
        try await withLog(.sqlite) { log in
            try await log.tamper(
                "UPDATE audit_records SET actor_label = X'FF' WHERE chain = \(log.vault.text) AND sequence = 4",
                "UPDATE audit_records SET digest = NULL WHERE chain = \(log.vault.text) AND sequence = 8")
            #expect(try await log.findings() == ["unreadable 4", "unreadable 8"])
        }
    }

    @Test("a head that was changed or taken away is found")
    func head() async throws {
        try await withLog { log in
            try await log.tamper(
                "UPDATE audit_heads SET digest = \(AuditChain.genesis) WHERE chain = \(log.vault.text)")
            #expect(try await log.findings() == ["head 12"])
            try await log.tamper("DELETE FROM audit_heads WHERE chain = \(log.vault.text)")
            #expect(try await log.findings() == ["head -"])
        }
    }

    @Test("anchors written down outside are held against the chain")
    func anchors() async throws {
        try await withLog { log in
            let end = try await log.report().end
            let good = try #require(AuditAnchor("\(end.sequence):\(end.digest.hex)"))
            #expect(try await log.verifier.chain(of: log.vault, anchors: [good]).isIntact)
            try await log.tamper(
                "DELETE FROM audit_seals", "DELETE FROM audit_records WHERE chain = \(log.vault.text) AND sequence > 6")
            try await rewrite(log)
            // All of it put back to an older state: from inside there is nothing to be seen.
            #expect(try await log.report().isIntact)
            let held = try await log.verifier.chain(of: log.vault, anchors: [good])
            #expect(held.findings.map(\.kind) == [.anchor])
            let named = AuditAnchor(chain: log.vault.text, link: end)
            #expect(try await log.verifier.all(anchors: [named]).flatMap(\.findings).map(\.kind) == [.anchor])
            let other = AuditAnchor(chain: "vlt_0000000000000000", link: end)
            #expect(try await log.verifier.all(anchors: [other]).flatMap(\.findings).map(\.kind) == [.anchor])
            let six = AuditAnchor(chain: nil, link: .init(sequence: 6, digest: AuditChain.genesis))
            #expect(try await log.verifier.chain(of: log.vault, anchors: [six]).findings.map(\.sequence) == [6])
        }
    }

    @Test(
        "only what is an anchor is read as one",
        arguments: [
            "", "12", "12:", ":00", "0:" + zeros, "-1:" + zeros, "12:" + zeros + "0", "12:zz", "=12:" + zeros,
            "12:00:00",
        ])
    func malformedAnchors(_ text: String) {
        #expect(AuditAnchor(text) == nil)
    }

    @Test("an anchor is read as it is written")
    func anchorText() {
        for text in ["12:" + zeros, "instance=12:" + zeros, "vlt_1=7:" + zeros] {
            #expect(AuditAnchor(text)?.description == text)
        }
    }

    /// What somebody with the database, and without the master key, would do: a chain that fits together, head and all.
    private func rewrite(_ log: AuditHouse) async throws {
        let chain = log.vault.text
        try await log.database.write { connection in
            var link = AuditChain.Link.start
            for found in try connection.auditRecords(of: chain, after: 0, limit: 100) {
                guard let fields = found.record?.fields else { continue }
                let digest = AuditRecord.digest(of: fields, in: chain, sequence: found.sequence, after: link.digest)
                link = AuditChain.Link(sequence: found.sequence, digest: digest)
                try connection.execute(
                    "UPDATE audit_records SET digest = \(digest) WHERE chain = \(chain) AND sequence = \(found.sequence)"
                )
            }
            try connection.execute(
                "UPDATE audit_heads SET sequence = \(link.sequence), digest = \(link.digest) WHERE chain = \(chain)")
        }
    }
}

private let zeros = String(repeating: "0", count: 64)
