// A filter of the audit log, in the words of its index, and in words that no index answers.

import SQL

struct AuditFilter {
    /// Records whose column holds one of a few values: each along the column's own index.
    let columns: [(column: SQLStatement, value: String)]
    /// The same where another filter leads: the planner is not to choose this one's index.
    let otherwise: SQLStatement

    /// - Returns: `nil` where a filter names what the chain does not have.
    static func all(
        _ query: AuditQuery, _ chain: String, _ connection: any SQLConnection
    ) throws -> [AuditFilter]? {
        var filters: [AuditFilter] = []
        if let actor = query.actor {
            var columns: [(SQLStatement, String)] = []
            for column: SQLStatement in ["actor_id", "actor_label"] {
                let any: SQLStatement =
                    "SELECT 1 FROM audit_records WHERE chain = \(chain) AND \(column) = \(actor) LIMIT 1"
                if try connection.row(any) != nil { columns.append((column, actor)) }
            }
            guard !columns.isEmpty else { return nil }
            filters.append(
                AuditFilter(columns: columns, otherwise: "(actor_id || '' = \(actor) OR actor_label || '' = \(actor))"))
        }
        if let action = query.action, action.hasSuffix(".") {
            let end = end(of: action)
            let names = try actions(from: action, to: end, chain, connection)
            guard !names.isEmpty else { return nil }
            filters.append(
                AuditFilter(
                    columns: names.map { ("action", $0) },
                    otherwise: "(action || '' >= \(action) AND action || '' < \(end))"))
        } else if let action = query.action {
            filters.append(AuditFilter("action", action))
        }
        if let resource = query.resource { filters.append(AuditFilter("resource", resource)) }
        if let outcome = query.outcome { filters.append(AuditFilter("outcome", outcome.rawValue)) }
        return filters
    }

    private init(columns: [(column: SQLStatement, value: String)], otherwise: SQLStatement) {
        self.columns = columns
        self.otherwise = otherwise
    }

    private init(_ column: SQLStatement, _ value: String) {
        columns = [(column, value)]
        otherwise = "\(column) || '' = \(value)"
    }

    /// What comes after everything that begins so: the slash follows the dot in the order of bytes.
    private static func end(of prefix: String) -> String { prefix.dropLast() + "/" }

    /// The actions of the chain in a range: one step along the index for each.
    private static func actions(
        from start: String, to end: String, _ chain: String, _ connection: any SQLConnection
    ) throws -> [String] {
        let rows = try connection.rows(
            """
            WITH RECURSIVE names (name) AS (
                SELECT min(action) FROM audit_records
                WHERE chain = \(chain) AND action >= \(start) AND action < \(end)
                UNION ALL
                SELECT (SELECT min(action) FROM audit_records
                        WHERE chain = \(chain) AND action > names.name AND action < \(end))
                FROM names WHERE names.name IS NOT NULL
            )
            SELECT name FROM names WHERE name IS NOT NULL LIMIT 100
            """)
        return try rows.map { row in try row.text(0) }
    }
}
