// Hands the audit log out, page after page: as JSON Lines that can be checked anywhere, or as CSV for a spreadsheet.

package import Model
package import SQL
package import Store

package struct AuditExport: Sendable {
    package enum Format: String, Sendable, CaseIterable {
        case jsonl, csv

        package var contentType: String {
            switch self {
            case .jsonl: "application/jsonl; charset=utf-8"
            case .csv: "text/csv; charset=utf-8; header=present"
            }
        }
    }

    /// Records of one page.
    private static let page = 500

    private let repository: AuditRepository
    private let query: AuditQuery
    private let vault: VaultID?
    private let format: Format

    /// - Parameter query: its limit and cursor are not looked at.
    package init(database: any SQLDatabase, _ query: AuditQuery, in vault: VaultID?, as format: Format) {
        repository = AuditRepository(database: database)
        self.query = query
        self.vault = vault
        self.format = format
    }

    /// Writes the whole export, newest first. Holds one page in memory.
    /// - Returns: how many records there were.
    @discardableResult
    package func write(_ send: ([UInt8]) async throws -> Void) async throws -> Int {
        var query = query
        (query.limit, query.before) = (Self.page, nil)
        var count = 0
        // What is appended meanwhile is not part of it: it might come with a gap before it.
        let end = try await repository.end(in: vault)
        if format == .csv { try await send(AuditCSV.header) }
        while true {
            let (page, previous) = try await repository.exported(query, in: vault)
            var bytes: [UInt8] = []
            for record in page.records where record.sequence <= end {
                count += 1
                switch format {
                case .jsonl: bytes += AuditDocument.line(record, previous: previous[record.sequence - 1])
                case .csv: bytes += AuditCSV.row(record)
                }
            }
            if !bytes.isEmpty { try await send(bytes) }
            guard let next = page.next else { return count }
            query.before = next
        }
    }
}
