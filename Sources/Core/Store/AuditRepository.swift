// Reading the audit log of a vault, newest first.

import JSON
package import Model
package import SQL

package struct AuditQuery: Sendable {
    /// The id or the label of who did it.
    package var actor: String?
    package var action: String?
    package var resource: String?
    package var since: Timestamp?
    package var until: Timestamp?
    /// The last id of the page before.
    package var before: AuditID?
    /// 1–200.
    package var limit: Int

    package init(limit: Int = 50) { self.limit = limit }
}

package struct AuditRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    private static let columns: SQLStatement = """
        id, at, actor_id, actor_label, door, address, request_id, action, resource, before_value, after_value
        """

    /// Along the index of the vault's ids, from the newest: ids begin with their time.
    package func list(_ query: AuditQuery, in vault: VaultID) async throws -> [AuditEntry] {
        var conditions: SQLStatement = "vault_id = \(vault.text)"
        if let before = query.before { conditions = "\(conditions) AND id < \(before.text)" }
        if let since = query.since { conditions = "\(conditions) AND id >= \(Self.firstID(at: since))" }
        if let until = query.until { conditions = "\(conditions) AND id < \(Self.firstID(at: until))" }
        if let actor = query.actor {
            conditions = "\(conditions) AND (actor_id = \(actor) OR actor_label = \(actor))"
        }
        if let action = query.action { conditions = "\(conditions) AND action = \(action)" }
        if let resource = query.resource { conditions = "\(conditions) AND resource = \(resource)" }
        let statement: SQLStatement =
            "SELECT \(Self.columns) FROM audit_records WHERE \(conditions) ORDER BY id DESC LIMIT \(query.limit)"
        return try await database.read { connection in try connection.rows(statement).map(Self.entry) }
    }

    private static func firstID(at time: Timestamp) -> String {
        let milliseconds = UInt64(max(time.milliseconds, 0))
        return AuditID(high: UInt16(truncatingIfNeeded: milliseconds >> 32), low: milliseconds << 32).text
    }

    private static func entry(_ row: SQLRow) throws -> AuditEntry {
        AuditEntry(
            id: AuditID(stored: try row.text(0)), at: Timestamp(milliseconds: try row.integer(1)),
            actor: Actor(
                id: try row.text(2), label: try row.text(3), door: try row.text(4), address: try row.optionalText(5),
                requestID: try row.optionalText(6)),
            action: try row.text(7), resource: try row.text(8), before: try value(row.optionalText(9)),
            after: try value(row.optionalText(10)))
    }

    private static func value(_ text: String?) throws -> JSONValue? { try text.map { try JSONParser.parse($0) } }
}
