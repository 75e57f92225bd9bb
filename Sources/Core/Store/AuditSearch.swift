// One page of the audit log. Each filter has an index that ends in the id. Of several filters the one that finds least leads,
// and the others are looked at in what it finds: a few records first, then more, and never more than a page may cost.

import Model
import SQL

struct AuditSearch {
    /// Longest time for going through records that one filter finds and the others do not. What is left then is for the next
    /// page.
    private static let patience: Duration = .milliseconds(15)

    private let query: AuditQuery
    private let chain: String
    private let reach: Int

    /// - Parameter reach: records that the leading filter may find for one page.
    init(_ query: AuditQuery, chain: String, reach: Int) {
        self.query = query
        self.chain = chain
        self.reach = reach
    }

    func page(_ connection: any SQLConnection) throws -> AuditPage {
        guard var filters = try AuditFilter.all(query, chain, connection) else {
            return AuditPage(records: [], next: nil)
        }
        let before = query.before?.text
        guard filters.count > 1 else {
            return page(try records(connection, leading: filters.first, before: before), next: nil)
        }
        let clock = ContinuousClock()
        let end = clock.now.advanced(by: Self.patience)
        var step = max(reach / 25, 1)
        let first = try choose(filters, within: step, before: before, connection)
        let lead = filters.remove(at: first)
        var found: [AuditRecord] = []
        var (cursor, looked) = (before, 0)
        while true {
            let boundary = try boundary(of: lead, within: step, before: cursor, connection)
            found += try records(connection, leading: lead, others: filters, before: cursor, from: boundary)
            looked += step
            guard let boundary, found.count <= query.limit, looked < reach, clock.now < end else {
                return page(found, next: boundary)
            }
            cursor = boundary
            step = min(step * 4, max(reach - looked, 1))
        }
    }

    /// - Parameter next: where the search has come to; `nil` at the end of the log.
    private func page(_ found: [AuditRecord], next: String?) -> AuditPage {
        let records = Array(found.prefix(query.limit))
        let cursor = found.count > query.limit ? records.last?.fields.id : next
        return AuditPage(records: records, next: cursor.map(AuditID.init(stored:)))
    }

    /// The filter whose next records go back furthest.
    private func choose(
        _ filters: [AuditFilter], within count: Int, before: String?, _ connection: any SQLConnection
    ) throws -> Int {
        var best: (index: Int, boundary: String)?
        for (index, filter) in filters.enumerated() {
            // One that has no more than these is the best there can be.
            guard let boundary = try boundary(of: filter, within: count, before: before, connection) else {
                return index
            }
            if best.map({ boundary < $0.boundary }) ?? true { best = (index, boundary) }
        }
        return best?.index ?? 0
    }

    /// The id to which the filter has to go back for so many records; `nil` where it has no more than these.
    private func boundary(
        of filter: AuditFilter, within count: Int, before: String?, _ connection: any SQLConnection
    ) throws -> String? {
        let share = max(count / filter.columns.count, 1)
        var newest: String?
        for (column, value) in filter.columns {
            let row = try connection.row(
                """
                SELECT id FROM audit_records WHERE \(window(before)) AND \(column) = \(value)
                ORDER BY id DESC LIMIT 1 OFFSET \(share)
                """)
            if let id = try row?.text(0) { newest = max(newest ?? id, id) }
        }
        return newest
    }

    /// One more than fits on the page, if there are as many.
    private func records(
        _ connection: any SQLConnection, leading lead: AuditFilter?, others: [AuditFilter] = [], before: String?,
        from boundary: String? = nil
    ) throws -> [AuditRecord] {
        var conditions = window(before)
        if let boundary { conditions = "\(conditions) AND id >= \(boundary)" }
        for other in others { conditions = "\(conditions) AND \(other.otherwise)" }
        var statements = [conditions]
        if let lead { statements = lead.columns.map { column, value in "\(conditions) AND \(column) = \(value)" } }
        var found: [AuditRecord] = []
        for conditions in statements {
            let rows = try connection.rows(
                """
                SELECT \(AuditRecord.Fields.columns), sequence, digest FROM audit_records
                WHERE \(conditions) ORDER BY id DESC LIMIT \(query.limit + 1)
                """)
            found += try rows.map { row in
                AuditRecord(
                    chain: chain, sequence: try row.optionalInteger(13) ?? 0, fields: try AuditRecord.Fields(row),
                    digest: try row.optionalBlob(14) ?? [])
            }
        }
        guard statements.count > 1 else { return found }
        // Somebody whose label is their id is found twice.
        var seen: Set<String> = []
        return found.filter { seen.insert($0.fields.id).inserted }.sorted { $0.fields.id > $1.fields.id }
    }

    /// The part of the chain that the page can come from.
    private func window(_ before: String?) -> SQLStatement {
        var window: SQLStatement = "chain = \(chain)"
        if let before { window = "\(window) AND id < \(before)" }
        if let since = query.since { window = "\(window) AND id >= \(Self.firstID(at: since))" }
        if let until = query.until { window = "\(window) AND id < \(Self.firstID(at: until))" }
        return window
    }

    /// Ids begin with their time.
    private static func firstID(at time: Timestamp) -> String {
        let milliseconds = UInt64(max(time.milliseconds, 0))
        return AuditID(high: UInt16(truncatingIfNeeded: milliseconds >> 32), low: milliseconds << 32).text
    }
}
