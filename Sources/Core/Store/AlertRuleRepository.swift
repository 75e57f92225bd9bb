// Alert rules as the database keeps them. Every write tells the process that looks after alerts to read them again.

import JSON
package import Model
package import SQL

package struct AlertRuleRepository: Sendable {
    /// Rules of one vault, and of the instance: each costs a look every few seconds.
    package static let limit = 50

    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    private static let columns: SQLStatement =
        "id, vault_id, condition, definition, is_enabled, created_at, updated_at"

    /// - Throws: `conflict` where there are too many already.
    package func insert(_ rule: AlertRule, in scope: AlertScope, audit: @escaping AuditMaker) async throws {
        precondition(rule.vault == scope.vault, "a rule belongs to whom it is written down for")
        try await database.change(.rules) { connection in
            let count =
                try connection.row(
                    "SELECT COUNT(*) FROM alert_rules WHERE \(Self.condition(scope))")?.integer(0) ?? 0
            guard count < Self.limit else {
                throw PosternError(
                    .conflict, "there are \(Self.limit) alert rules already, and more are not taken",
                    fix: "Delete one that is not needed, or change one (PATCH).")
            }
            try connection.execute(
                """
                INSERT INTO alert_rules (\(Self.columns)) VALUES (\(rule.id.text), \(rule.vault?.text),
                    \(rule.condition.rawValue), \(Self.text(rule.definition)), \(rule.isEnabled ? 1 : 0),
                    \(rule.createdAt.milliseconds), \(rule.updatedAt.milliseconds))
                """)
            try connection.record(audit(rule.id.text, nil, rule.audited), in: scope.vault)
        }
    }

    /// Changes a rule as it is at that moment.
    /// - Returns: the rule as it is now; `nil` when it is not there.
    /// - Throws: what the change threw.
    package func update(
        _ id: AlertRuleID,
        in scope: AlertScope,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        _ change: @escaping @Sendable (inout AlertRule) throws -> Void
    ) async throws -> AlertRule? {
        try await database.change(.rules, unless: { $0 == nil }) { connection in
            guard let before = try Self.find(id, in: scope, connection) else { return nil }
            var rule = before
            try change(&rule)
            rule.updatedAt = now
            try connection.execute(
                """
                UPDATE alert_rules SET definition = \(Self.text(rule.definition)), is_enabled = \(rule.isEnabled ? 1 : 0),
                    updated_at = \(now.milliseconds)
                WHERE id = \(id.text)
                """)
            try connection.record(audit(id.text, before.audited, rule.audited), in: scope.vault)
            return rule
        }
    }

    /// - Returns: whether it was there.
    package func delete(
        _ id: AlertRuleID,
        in scope: AlertScope,
        audit: @escaping AuditMaker
    ) async throws -> Bool {
        try await database.change(.rules, unless: { !$0 }) { connection in
            guard let rule = try Self.find(id, in: scope, connection) else { return false }
            try connection.execute("DELETE FROM alert_rules WHERE id = \(id.text)")
            try connection.record(audit(id.text, rule.audited, nil), in: scope.vault)
            return true
        }
    }

    package func find(_ id: AlertRuleID, in scope: AlertScope) async throws -> AlertRule? {
        try await database.read { connection in try Self.find(id, in: scope, connection) }
    }

    /// In the order of creation.
    package func list(in scope: AlertScope) async throws -> [AlertRule] {
        try await database.read { connection in
            try connection.rows("SELECT \(Self.columns) FROM alert_rules WHERE \(Self.condition(scope)) ORDER BY id")
                .compactMap(Self.rule)
        }
    }

    /// Instance level: the rules of all, and how often rules and decisions have changed by then. What a newer Postern knows
    /// to look for, and this one does not, is passed over.
    package func all() async throws -> (rules: [AlertRule], version: Int64) {
        try await database.read { connection in
            let version = try Self.version(connection)
            let rules = try connection.rows(
                "SELECT \(Self.columns) FROM alert_rules WHERE vault_id IS NULL ORDER BY id"
            ).compactMap(Self.rule)
            let own = try connection.rows(
                """
                SELECT alert_rules.id, vault_id, condition, definition, is_enabled, alert_rules.created_at,
                    alert_rules.updated_at
                FROM alert_rules JOIN vaults ON vaults.id = alert_rules.vault_id
                WHERE vaults.state = 'active' ORDER BY vault_id, alert_rules.id
                """
            ).compactMap(Self.rule)
            return (rules + own, version)
        }
    }

    /// Instance level: counts the changes of rules, and what people decided about alerts.
    package func version() async throws -> Int64 {
        try await database.read { connection in try Self.version(connection) }
    }

    private static func version(_ connection: any SQLConnection) throws(SQLError) -> Int64 {
        try connection.row("SELECT value FROM change_counters WHERE topic = \(ChangeTopic.rules.rawValue)")?.integer(0)
            ?? 0
    }

    private static func find(
        _ id: AlertRuleID,
        in scope: AlertScope,
        _ connection: any SQLConnection
    ) throws(SQLError) -> AlertRule? {
        guard
            let row = try connection.row(
                "SELECT \(columns) FROM alert_rules WHERE id = \(id.text) AND \(condition(scope))")
        else { return nil }
        return try rule(row)
    }

    private static func condition(_ scope: AlertScope) -> SQLStatement {
        switch scope {
        case .instance: "vault_id IS NULL"
        case .vault(let vault): "vault_id = \(vault.text)"
        }
    }

    private static func text(_ definition: AlertRule.Definition) -> String {
        String(decoding: JSONWriter.write(.object(definition.json)), as: UTF8.self)
    }

    /// - Returns: `nil` for a condition that is not known.
    private static func rule(_ row: SQLRow) throws(SQLError) -> AlertRule? {
        guard let condition = AlertCondition(rawValue: try row.text(2)) else { return nil }
        guard let definition = try? JSONParser.parse(try row.text(3)).objectValue else {
            throw SQLError(.unexpectedValue, "an alert rule's definition is no object")
        }
        return AlertRule(
            id: AlertRuleID(stored: try row.text(0)), vault: try row.optionalText(1).map { VaultID(stored: $0) },
            condition: condition, definition: AlertRule.Definition(stored: definition),
            isEnabled: try row.bool(4), createdAt: Timestamp(milliseconds: try row.integer(5)),
            updatedAt: Timestamp(milliseconds: try row.integer(6)))
    }
}
