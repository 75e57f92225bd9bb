// How processes notice that another one changed what they remember: a counter a topic, raised in the change's own commit.

package import SQL

package enum ChangeTopic: String, Sendable, CaseIterable {
    /// API keys and SMTP users.
    case callers
    /// Settings, secrets and pools.
    case vaults
}

package struct ChangeCounters: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    package func all() async throws -> [ChangeTopic: Int64] {
        let rows = try await database.read { connection in
            try connection.rows("SELECT topic, value FROM change_counters")
        }
        var values: [ChangeTopic: Int64] = [:]
        for row in rows {
            if let topic = ChangeTopic(rawValue: try row.text(0)) { values[topic] = try row.integer(1) }
        }
        return values
    }
}

extension SQLConnection {
    /// Says, in the commit of the change itself, that what is remembered of the topic is out of date.
    func raise(_ topic: ChangeTopic) throws(SQLError) {
        try send(
            """
            INSERT INTO change_counters (topic, value) VALUES (\(topic.rawValue), 1)
            ON CONFLICT (topic) DO UPDATE SET value = change_counters.value + 1
            """)
    }
}
