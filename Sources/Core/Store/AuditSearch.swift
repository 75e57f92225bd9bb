// One page of the audit log. Each filter has an index that ends in the id; of several filters the one that goes back furthest
// within a bounded number of records leads, and the others are looked at in what it finds.

import Model
import SQL

struct AuditSearch {
    /// A filter that can lead: records whose column holds one of a few values.
    private struct Lead {
        let columns: [(column: SQLStatement, value: String)]
        /// The same filter where another one leads, in words that no index answers.
        let otherwise: SQLStatement
        /// The oldest id within reach; `nil` where all are.
        var boundary: String?
    }

    private let query: AuditQuery
    private let chain: String
    private let reach: Int

    init(_ query: AuditQuery, chain: String, reach: Int) {
        self.query = query
        self.chain = chain
        self.reach = reach
    }

    func page(_ connection: any SQLConnection) throws -> AuditPage {
        guard var leads = try leads(connection) else { return AuditPage(records: [], next: nil) }
        guard !leads.isEmpty else { return try page(connection, leading: nil, others: [], boundary: nil) }
        if leads.count > 1 {
            for index in leads.indices { leads[index].boundary = try boundary(of: leads[index], connection) }
        }
        // Whoever has everything in reach, or else reaches back furthest.
        let first = leads.indices.min { (leads[$0].boundary ?? "") < (leads[$1].boundary ?? "") } ?? 0
        let lead = leads.remove(at: first)
        return try page(connection, leading: lead, others: leads, boundary: lead.boundary)
    }

    /// - Returns: `nil` where a filter names what the chain does not have.
    private func leads(_ connection: any SQLConnection) throws -> [Lead]? {
        var leads: [Lead] = []
        func exists(_ column: SQLStatement, _ value: String) throws -> Bool {
            try connection.row(
                "SELECT 1 FROM audit_records WHERE chain = \(chain) AND \(column) = \(value) LIMIT 1") != nil
        }
        if let actor = query.actor {
            var columns: [(SQLStatement, String)] = []
            if try exists("actor_id", actor) { columns.append(("actor_id", actor)) }
            if try exists("actor_label", actor) { columns.append(("actor_label", actor)) }
            guard !columns.isEmpty else { return nil }
            leads.append(
                Lead(columns: columns, otherwise: "(actor_id || '' = \(actor) OR actor_label || '' = \(actor))"))
        }
        if let action = query.action {
            let isPrefix = action.hasSuffix(".")
            let names = isPrefix ? try actions(from: action, connection) : [action]
            guard !names.isEmpty else { return nil }
            leads.append(
                Lead(
                    columns: names.map { ("action", $0) },
                    otherwise: isPrefix
                        ? "(action || '' >= \(action) AND action || '' < \(Self.end(of: action)))"
                        : "action || '' = \(action)"))
        }
        if let resource = query.resource {
            leads.append(Lead(columns: [("resource", resource)], otherwise: "resource || '' = \(resource)"))
        }
        if let outcome = query.outcome?.rawValue {
            leads.append(Lead(columns: [("outcome", outcome)], otherwise: "outcome || '' = \(outcome)"))
        }
        return leads
    }

    /// The actions in the chain that begin so: one step along the index for each.
    private func actions(from prefix: String, _ connection: any SQLConnection) throws -> [String] {
        let end = Self.end(of: prefix)
        let rows = try connection.rows(
            """
            WITH RECURSIVE names (name) AS (
                SELECT min(action) FROM audit_records
                WHERE chain = \(chain) AND action >= \(prefix) AND action < \(end)
                UNION ALL
                SELECT (SELECT min(action) FROM audit_records
                        WHERE chain = \(chain) AND action > names.name AND action < \(end))
                FROM names WHERE names.name IS NOT NULL
            )
            SELECT name FROM names WHERE name IS NOT NULL LIMIT 100
            """)
        return try rows.map { row in try row.text(0) }
    }

    /// What comes after everything that begins so: the slash follows the dot in the order of bytes.
    private static func end(of prefix: String) -> String { prefix.dropLast() + "/" }

    /// The part of the chain that the page can come from.
    private var window: SQLStatement {
        var window: SQLStatement = "chain = \(chain)"
        if let before = query.before { window = "\(window) AND id < \(before.text)" }
        if let since = query.since { window = "\(window) AND id >= \(Self.firstID(at: since))" }
        if let until = query.until { window = "\(window) AND id < \(Self.firstID(at: until))" }
        return window
    }

    private func boundary(of lead: Lead, _ connection: any SQLConnection) throws -> String? {
        let share = max(reach / lead.columns.count, 1)
        var newest: String?
        for (column, value) in lead.columns {
            let row = try connection.row(
                """
                SELECT id FROM audit_records WHERE \(window) AND \(column) = \(value) ORDER BY id DESC LIMIT 1 OFFSET \(share)
                """)
            if let id = try row?.text(0) { newest = max(newest ?? id, id) }
        }
        return newest
    }

    private func page(
        _ connection: any SQLConnection, leading lead: Lead?, others: [Lead], boundary: String?
    ) throws -> AuditPage {
        var conditions = window
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
        if statements.count > 1 {
            // Somebody whose label is their id is found twice.
            var seen: Set<String> = []
            found = found.filter { seen.insert($0.fields.id).inserted }.sorted { $0.fields.id > $1.fields.id }
        }
        let records = Array(found.prefix(query.limit))
        if found.count > query.limit {
            return AuditPage(records: records, next: records.last.map { AuditID(stored: $0.fields.id) })
        }
        return AuditPage(records: records, next: boundary.map(AuditID.init(stored:)))
    }

    /// Ids begin with their time.
    private static func firstID(at time: Timestamp) -> String {
        let milliseconds = UInt64(max(time.milliseconds, 0))
        return AuditID(high: UInt16(truncatingIfNeeded: milliseconds >> 32), low: milliseconds << 32).text
    }
}
