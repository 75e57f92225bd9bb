// Exports: whole, in both forms, checked where there is no database, and harmless in a spreadsheet.

import Audit
import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("Audit export")
struct ExportTests {
    private func export(
        _ log: AuditHouse, as format: AuditExport.Format = .jsonl, _ ask: (inout AuditQuery) -> Void = { _ in }
    ) async throws -> [UInt8] {
        var query = AuditQuery()
        ask(&query)
        var bytes: [UInt8] = []
        try await AuditExport(database: log.database, query, in: log.vault, as: format).write { bytes += $0 }
        return bytes
    }

    private func check(
        _ lines: [[UInt8]], filtered: Bool = false, anchors: [AuditAnchor] = []
    ) -> [String] {
        var verifier = AuditExportVerifier(isFiltered: filtered, anchors: anchors)
        for line in lines { verifier.take(line: line) }
        return verifier.finish().flatMap(\.findings).map {
            "\($0.kind.rawValue) \($0.sequence.map(String.init) ?? "-")"
        }
    }

    private func lines(_ bytes: [UInt8]) -> [[UInt8]] { bytes.split(separator: UInt8(ascii: "\n")).map(Array.init) }

    @Test("every record is there once, and the whole is proved without the database", arguments: TestEngine.all)
    func whole(_ engine: TestEngine) async throws {
        try await withLog(engine, records: 1_203) { log in
            let after = JSONObject([
                "text": .string("\u{0}\u{7F}\"\\ü\u{1F600}\n"), "small": .number(0.1), "large": .number(1e300),
                "whole": .number(3), "negative": .integer(.min),
                "list": .array([.null, .bool(true), .object(JSONObject())]),
            ])
            try await log.repository.append(
                log.entry(of: "\u{2028}", after: .object(after), outcome: .failed, reason: "\u{FEFF}"), in: log.vault)
            try await log.repository.append(log.entry(after: .null), in: log.vault)
            let lines = lines(try await export(log))
            #expect(lines.count == 1_205)
            #expect(check(lines).isEmpty)
            #expect(check(lines.shuffled()).isEmpty, "in any order")
            var verifier = AuditExportVerifier()
            for line in lines { verifier.take(line: line) }
            let report = try #require(verifier.finish().first)
            let expected = try await log.report()
            #expect(report.end == expected.end && report.records == 1_205 && report.floor == 0)
        }
    }

    @Test("after pruning the first record says what it follows")
    func pruned() async throws {
        try await withLog { log in
            log.house.clock.advance(seconds: 864_000)
            try await log.append(3, in: log.vault)
            try await log.retention(days: 5).round()
            let lines = lines(try await export(log))
            #expect(lines.count == 4 && check(lines).isEmpty)
        }
    }

    @Test("an export with filters is proved record by record, and its gaps are told where nobody said so")
    func filtered() async throws {
        try await withLog { log in
            let stranger = Actor(id: "key_9", label: "other", door: "http")
            for _ in 0..<3 {
                try await log.repository.append(log.entry(by: stranger), in: log.vault)
                try await log.append(2, in: log.vault)
            }
            let lines = lines(try await export(log) { $0.actor = "other" })
            #expect(lines.count == 3)
            #expect(check(lines, filtered: true).isEmpty)
            #expect(check(lines) == ["missing 14", "missing 17"])
        }
    }

    @Test("whatever was done to the file is found")
    func altered() async throws {
        try await withLog { log in
            let lines = lines(try await export(log))
            func changing(_ from: String, _ to: String, at index: Int) -> [[UInt8]] {
                var copy = lines
                copy[index] = Array(String(decoding: copy[index], as: UTF8.self).replacing(from, with: to).utf8)
                return copy
            }
            // The newest comes first: the line 3 is record 9.
            for (from, to) in [
                ("ops-1", "ops-2"), ("\"done\"", "\"refused\""), ("192.0.2.7", "192.0.2.8"),
                ("settings.write", "key.write"),
                ("\"n\":8", "\"n\":9"), ("\"before\":null", "\"before\":{}"), ("http", "cli"),
                ("\"reason\":null", "\"reason\":\"\""),
            ] {
                #expect(check(changing(from, to, at: 3)) == ["changed 9"], "\(from)")
            }
            #expect(check(Array(lines.prefix(4)) + lines.dropFirst(5)) == ["missing 8"])
            #expect(check(lines + [lines[5]]).contains("repeated 7"))
            #expect(check(lines + [Array("{}".utf8)]) == ["unreadable -"])
            #expect(check(lines + [Array("not JSON".utf8)]) == ["unreadable -"])
            #expect(check(changing(log.vault.text, "instance", at: 3)).isEmpty == false)
            let end = try await log.report().end
            #expect(check(Array(lines.dropFirst(2))).isEmpty, "a cut end cannot be seen without an anchor")
            #expect(check(Array(lines.dropFirst(2)), anchors: [AuditAnchor(chain: nil, link: end)]) == ["anchor 12"])
            #expect(check(lines, anchors: [AuditAnchor(chain: log.vault.text, link: end)]).isEmpty)
            let wrong = AuditChain.Link(sequence: 5, digest: AuditChain.genesis)
            #expect(check(lines, anchors: [AuditAnchor(chain: nil, link: wrong)]) == ["anchor 5"])
        }
    }

    @Test("a rewritten file that fits together is found by an anchor")
    func rewritten() async throws {
        try await withLog { log in
            let original = lines(try await export(log))
            let end = try await log.report().end
            try await log.tamper("UPDATE audit_records SET actor_label = 'nobody' WHERE chain = \(log.vault.text)")
            try await log.database.write { connection in
                var link = AuditChain.Link.start
                for found in try connection.auditRecords(of: log.vault.text, after: 0, limit: 100) {
                    guard let fields = found.record?.fields else { continue }
                    let digest = AuditRecord.digest(
                        of: fields, in: log.vault.text, sequence: found.sequence, after: link.digest)
                    link = AuditChain.Link(sequence: found.sequence, digest: digest)
                    try connection.execute("UPDATE audit_records SET digest = \(digest) WHERE id = \(fields.id)")
                }
            }
            let forged = lines(try await export(log))
            #expect(forged != original && check(forged).isEmpty)
            #expect(check(forged, anchors: [AuditAnchor(chain: nil, link: end)]) == ["anchor 12"])
        }
    }

    @Test("CSV is RFC 4180: one record a row, CRLF, quotes doubled, and no cell is a formula")
    func csv() async throws {
        try await withLog(records: 1) { log in
            let actor = Actor(
                id: "=1+1", label: "+cmd|' /C calc'!A0", door: "-2", address: "@SUM(A1)", requestID: " \t=x")
            try await log.repository.append(
                log.entry(
                    "settings.write", of: "a,\"b\"\r\n=c", by: actor, after: .object(JSONObject(["f": .string("=1")])),
                    outcome: .refused, reason: "\u{FF1D}1"), in: log.vault)
            let text = String(decoding: try await export(log, as: .csv), as: UTF8.self)
            let rows = try parse(text)
            #expect(rows.count == 3 && rows.allSatisfy { $0.count == 16 })
            #expect(rows[0][0] == "sequence" && rows[0][15] == "digest")
            let row = rows[1]
            #expect(row[0] == "2" && row[3] == log.vault.text)
            #expect(row[4] == "'=1+1" && row[5] == "'+cmd|' /C calc'!A0" && row[6] == "'-2" && row[7] == "'@SUM(A1)")
            #expect(row[8] == "' \t=x" && row[10] == "a,\"b\"\r\n=c" && row[12] == "'\u{FF1D}1")
            #expect(row[13].isEmpty && row[14] == "{\"f\":\"=1\"}" && row[15].count == 64)
            for cell in rows.dropFirst().joined() {
                let start = cell.unicodeScalars.first { !$0.properties.isWhitespace }
                #expect(
                    start.map { !"=+-@\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}".unicodeScalars.contains($0) } ?? true, "\(cell)"
                )
            }
        }
    }

    /// RFC 4180, strictly.
    private func parse(_ text: String) throws -> [[String]] {
        var (rows, row, cell) = ([[String]](), [String](), "")
        var scalars = text.unicodeScalars[...]
        struct Malformed: Error {}
        while !scalars.isEmpty {
            if scalars.first == "\"" {
                scalars.removeFirst()
                while true {
                    guard let next = scalars.popFirst() else { throw Malformed() }
                    if next == "\"" {
                        guard scalars.first == "\"" else { break }
                        scalars.removeFirst()
                    }
                    cell.unicodeScalars.append(next)
                }
            } else {
                while let next = scalars.first, next != ",", next != "\r" {
                    guard next != "\n", next != "\"" else { throw Malformed() }
                    cell.unicodeScalars.append(scalars.removeFirst())
                }
            }
            row.append(cell)
            cell = ""
            guard let end = scalars.popFirst() else { throw Malformed() }
            if end == "," { continue }
            guard end == "\r", scalars.popFirst() == "\n" else { throw Malformed() }
            rows.append(row)
            row = []
        }
        return rows
    }
}
