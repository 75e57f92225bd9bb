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

/// What processes on one database tell each other: a hint that comes at once, or not at all.
package enum Announcement {
    /// There may be something to do in the outbox.
    package static let outbox = "outbox"
    /// A change counter was raised.
    package static let changes = "changes"
}

extension SQLDatabase {
    /// A write after which what other processes remember of the topic is out of date.
    @discardableResult
    func change<Value: Sendable>(
        _ topic: ChangeTopic,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        let value = try await write { connection in
            try connection.raise(topic)
            return try body(connection)
        }
        announce(Announcement.changes)
        return value
    }
}

extension SQLConnection {
    /// Says, in the commit of the change itself, that what is remembered of the topic is out of date.
    fileprivate func raise(_ topic: ChangeTopic) throws(SQLError) {
        try send(
            """
            INSERT INTO change_counters (topic, value) VALUES (\(topic.rawValue), 1)
            ON CONFLICT (topic) DO UPDATE SET value = change_counters.value + 1
            """)
    }
}
