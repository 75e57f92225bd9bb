// Alerts as the database keeps them. Written again and again until it is there, so every write may be repeated.

import JSON
package import Model
package import SQL

package struct AlertRepository: Sendable {
    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    static let columns: SQLStatement = """
        id, vault_id, audience, kind, rule_id, severity, subject, detail, began_at, opened_at, closed_at,
        open_notified_at, close_notified_at, acknowledged_at, acknowledged_by, resolved_by, note, times, told_times,
        quiet_until
        """

    /// Instance level: writes down what is known of an alert, beside what was known before.
    ///
    /// Another alert of the same rule that is open for the same subject ends: two processes may have been on duty for a
    /// moment.
    package func record(_ alert: Alert) async throws {
        try await database.write { connection in
            if alert.isOpen {
                try connection.execute(
                    """
                    UPDATE alerts SET closed_at = \(alert.openedAt.milliseconds)
                    WHERE kind = \(alert.condition.rawValue) AND subject = \(alert.subject)
                        AND rule_id = \(alert.rule?.text ?? "") AND closed_at IS NULL AND id <> \(alert.id.text)
                    """)
            }
            let inserted = try connection.execute(
                """
                INSERT INTO alerts (\(Self.columns)) VALUES (\(alert.id.text), \(alert.vault?.text),
                    \(alert.audience.rawValue), \(alert.condition.rawValue), \(alert.rule?.text ?? ""),
                    \(alert.severity.rawValue), \(alert.subject), \(alert.detail), \(alert.beganAt.milliseconds),
                    \(alert.openedAt.milliseconds), \(alert.closedAt?.milliseconds),
                    \(alert.openNotifiedAt?.milliseconds), \(alert.closeNotifiedAt?.milliseconds),
                    \(alert.acknowledgedAt?.milliseconds), \(alert.acknowledgedBy?.stored),
                    \(alert.resolvedBy?.stored), \(alert.note), \(alert.times), \(alert.toldTimes),
                    \(alert.quietUntil?.milliseconds))
                ON CONFLICT (id) DO NOTHING
                """)
            guard inserted == 0, let known = try Self.locked(alert.id, connection) else { return }
            try Self.write(known.merged(with: alert), connection)
        }
    }

    /// Instance level: what whoever comes on duty goes on with: all that is open, what is over and may still come back
    /// within its cool-down, and what closed a little while ago without everybody having been told.
    /// - Parameter decidedSince: what people resolved since then is of interest as well.
    package func unfinished(
        at now: Timestamp,
        closedSince: Timestamp,
        decidedSince: Timestamp,
        limit: Int
    ) async throws -> [Alert] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(Self.columns) FROM alerts WHERE closed_at IS NULL ORDER BY id LIMIT \(limit)
                """
            ).compactMap(Self.alert)
                + connection.rows(
                    """
                    SELECT \(Self.columns) FROM alerts
                    WHERE closed_at >= \(min(closedSince, decidedSince).milliseconds)
                        AND (quiet_until > \(now.milliseconds) OR resolved_by IS NOT NULL
                            OR closed_at >= \(closedSince.milliseconds) AND close_notified_at IS NULL)
                    ORDER BY closed_at DESC LIMIT \(limit)
                    """
                ).compactMap(Self.alert)
        }
    }

    /// Instance level: these alerts as they stand now.
    package func find(_ ids: [AlertID]) async throws -> [Alert] {
        guard !ids.isEmpty else { return [] }
        return try await database.read { connection in
            try connection.rows("SELECT \(Self.columns) FROM alerts WHERE id IN \(list: ids.map(\.text))")
                .compactMap(Self.alert)
        }
    }

    package func list(_ query: AlertQuery, in scope: AlertScope) async throws -> [Alert] {
        var conditions = Self.condition(scope)
        switch query.state {
        case .unresolved: conditions = "\(conditions) AND closed_at IS NULL"
        case .open: conditions = "\(conditions) AND closed_at IS NULL AND acknowledged_at IS NULL"
        case .acknowledged: conditions = "\(conditions) AND closed_at IS NULL AND acknowledged_at IS NOT NULL"
        case .resolved: conditions = "\(conditions) AND closed_at IS NOT NULL"
        case .all: break
        }
        if let condition = query.condition { conditions = "\(conditions) AND kind = \(condition.rawValue)" }
        if let severity = query.severity { conditions = "\(conditions) AND severity = \(severity.rawValue)" }
        if let before = query.before { conditions = "\(conditions) AND id < \(before.text)" }
        let statement: SQLStatement =
            "SELECT \(Self.columns) FROM alerts WHERE \(conditions) ORDER BY id DESC LIMIT \(query.limit)"
        return try await database.read { connection in try connection.rows(statement).compactMap(Self.alert) }
    }

    package func find(_ id: AlertID, in scope: AlertScope) async throws -> Alert? {
        try await database.read { connection in
            try connection.row(
                "SELECT \(Self.columns) FROM alerts WHERE id = \(id.text) AND \(Self.condition(scope))"
            ).flatMap(Self.alert)
        }
    }

    /// Instance level: forgets what is over for long.
    /// - Returns: how many were forgotten.
    package func dropClosed(before time: Timestamp, limit: Int) async throws -> Int {
        try await database.write { connection in
            try connection.execute(
                """
                DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE closed_at < \(time.milliseconds)
                    ORDER BY closed_at LIMIT \(limit))
                """)
        }
    }

    static func condition(_ scope: AlertScope) -> SQLStatement {
        switch scope {
        case .instance: "audience = 'instance'"
        case .vault(let vault): "vault_id = \(vault.text)"
        }
    }

    /// The alert, held until the transaction ends.
    static func locked(
        _ id: AlertID,
        in condition: SQLStatement = "1 = 1",
        _ connection: any SQLConnection
    ) throws(SQLError) -> Alert? {
        guard
            let row = try connection.row(
                "SELECT \(columns) FROM alerts WHERE id = \(id.text) AND \(condition) /* lock */")
        else { return nil }
        return try alert(row)
    }

    /// Writes what changes of an alert in the course of time.
    static func write(_ alert: Alert, _ connection: any SQLConnection) throws(SQLError) {
        try connection.execute(
            """
            UPDATE alerts SET closed_at = \(alert.closedAt?.milliseconds),
                open_notified_at = \(alert.openNotifiedAt?.milliseconds),
                close_notified_at = \(alert.closeNotifiedAt?.milliseconds),
                acknowledged_at = \(alert.acknowledgedAt?.milliseconds),
                acknowledged_by = \(alert.acknowledgedBy?.stored), resolved_by = \(alert.resolvedBy?.stored),
                note = \(alert.note), times = \(alert.times), told_times = \(alert.toldTimes),
                quiet_until = \(alert.quietUntil?.milliseconds)
            WHERE id = \(alert.id.text)
            """)
    }

    /// - Returns: `nil` for a condition that is not known: a newer Postern may have looked for it.
    static func alert(_ row: SQLRow) throws(SQLError) -> Alert? {
        guard let condition = AlertCondition(rawValue: try row.text(3)) else { return nil }
        func time(_ index: Int) throws(SQLError) -> Timestamp? {
            guard let milliseconds = try row.optionalInteger(index) else { return nil }
            return Timestamp(milliseconds: milliseconds)
        }
        let rule = try row.text(4)
        var alert = Alert(
            id: AlertID(stored: try row.text(0)), vault: try row.optionalText(1).map { VaultID(stored: $0) },
            audience: AlertAudience(rawValue: try row.text(2)) ?? .instance, condition: condition,
            rule: rule.isEmpty ? nil : AlertRuleID(stored: rule),
            severity: AlertSeverity(rawValue: try row.text(5)) ?? .critical, subject: try row.text(6),
            detail: try row.text(7), beganAt: Timestamp(milliseconds: try row.integer(8)),
            openedAt: Timestamp(milliseconds: try row.integer(9)), closedAt: try time(10),
            openNotifiedAt: try time(11), closeNotifiedAt: try time(12))
        alert.acknowledgedAt = try time(13)
        alert.acknowledgedBy = try row.optionalText(14).map { AlertHand(stored: $0) }
        alert.resolvedBy = try row.optionalText(15).map { AlertHand(stored: $0) }
        alert.note = try row.optionalText(16)
        alert.times = Int(try row.integer(17))
        alert.toldTimes = Int(try row.integer(18))
        alert.quietUntil = try time(19)
        return alert
    }
}
