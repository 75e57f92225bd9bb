// Alerts as the database keeps them. Written again and again until it is there, so every write may be repeated.

package import Model
package import SQL

package struct AlertRepository: Sendable {
    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    private static let columns: SQLStatement = """
        id, vault_id, kind, subject, detail, began_at, opened_at, closed_at, open_notified_at, close_notified_at
        """

    /// Instance level: writes down what is known of an alert. What was known before stays: what has closed is never
    /// open again.
    ///
    /// Another alert that is open for the same subject ends: two processes may have been on duty for a moment.
    package func record(_ alert: Alert) async throws {
        try await database.write { connection in
            if alert.isOpen {
                try connection.execute(
                    """
                    UPDATE alerts SET closed_at = \(alert.openedAt.milliseconds)
                    WHERE kind = \(alert.condition.rawValue) AND subject = \(alert.subject) AND closed_at IS NULL
                        AND id <> \(alert.id.text)
                    """)
            }
            try connection.execute(
                """
                INSERT INTO alerts (\(Self.columns)) VALUES (\(alert.id.text), \(alert.vault?.text),
                    \(alert.condition.rawValue), \(alert.subject), \(alert.detail), \(alert.beganAt.milliseconds),
                    \(alert.openedAt.milliseconds), \(alert.closedAt?.milliseconds),
                    \(alert.openNotifiedAt?.milliseconds), \(alert.closeNotifiedAt?.milliseconds))
                ON CONFLICT (id) DO UPDATE SET closed_at = COALESCE(alerts.closed_at, excluded.closed_at),
                    open_notified_at = COALESCE(alerts.open_notified_at, excluded.open_notified_at),
                    close_notified_at = COALESCE(alerts.close_notified_at, excluded.close_notified_at)
                """)
        }
    }

    /// Instance level: what whoever comes on duty goes on with: all that is open, and what closed a little while ago
    /// without everybody having been told.
    package func unfinished(closedSince: Timestamp, limit: Int) async throws -> [Alert] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(Self.columns) FROM alerts WHERE closed_at IS NULL ORDER BY id LIMIT \(limit)
                """
            ).map(Self.alert)
                + connection.rows(
                    """
                    SELECT \(Self.columns) FROM alerts
                    WHERE closed_at >= \(closedSince.milliseconds) AND close_notified_at IS NULL
                    ORDER BY closed_at LIMIT \(limit)
                    """
                ).map(Self.alert)
        }
    }

    package func list(_ query: AlertQuery, in vault: VaultID) async throws -> [Alert] {
        try await database.read { connection in
            var conditions: SQLStatement =
                query.includesInstance
                ? "(vault_id = \(vault.text) OR vault_id IS NULL)" : "vault_id = \(vault.text)"
            switch query.state {
            case .open: conditions = "\(conditions) AND closed_at IS NULL"
            case .closed: conditions = "\(conditions) AND closed_at IS NOT NULL"
            case .all: break
            }
            if let before = query.before { conditions = "\(conditions) AND id < \(before.text)" }
            return try connection.rows(
                "SELECT \(Self.columns) FROM alerts WHERE \(conditions) ORDER BY id DESC LIMIT \(query.limit)"
            ).map(Self.alert)
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

    private static func alert(_ row: SQLRow) throws(SQLError) -> Alert {
        guard let condition = AlertCondition(rawValue: try row.text(2)) else {
            throw SQLError(.unexpectedValue, "an alert's kind is unknown")
        }
        func time(_ index: Int) throws(SQLError) -> Timestamp? {
            guard let milliseconds = try row.optionalInteger(index) else { return nil }
            return Timestamp(milliseconds: milliseconds)
        }
        return Alert(
            id: AlertID(stored: try row.text(0)), vault: try row.optionalText(1).map { VaultID(stored: $0) },
            condition: condition, subject: try row.text(3), detail: try row.text(4),
            beganAt: Timestamp(milliseconds: try row.integer(5)),
            openedAt: Timestamp(milliseconds: try row.integer(6)), closedAt: try time(7),
            openNotifiedAt: try time(8), closeNotifiedAt: try time(9))
    }
}
