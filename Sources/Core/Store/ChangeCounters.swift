// How processes notice that another one changed what they remember: a counter a topic, raised in the change's own commit.

package import SQL

package enum ChangeTopic: String, Sendable, CaseIterable {
    /// API keys and SMTP users.
    case callers
    /// Vaults, plans, settings, secrets and pools.
    case vaults
    /// Users, their sessions and memberships.
    case people
    /// Alert rules.
    case rules
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
    /// A write after which what other processes remember of the topic is out of date. Changes of a topic wait for each other.
    /// - Parameter changedNothing: whether the body's answer says that it found nothing to change: nobody need forget
    ///   anything then, so that asking to delete what is not there does not cost every process what it remembers.
    @discardableResult
    func change<Value: Sendable>(
        _ topic: ChangeTopic,
        unless changedNothing: @escaping @Sendable (Value) -> Bool = { _ in false },
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        let (value, isChanged) = try await write { connection in
            // First, because it is the lock; nobody sees it before the commit.
            try connection.raise(topic, by: 1)
            let value = try body(connection)
            let isChanged = !changedNothing(value)
            if !isChanged { try connection.raise(topic, by: -1) }
            return (value, isChanged)
        }
        if isChanged { announce(Announcement.changes) }
        return value
    }
}

extension SQLConnection {
    /// Says, in the commit of the change itself, that what is remembered of the topic is out of date.
    func raise(_ topic: ChangeTopic, by number: Int) throws(SQLError) {
        try send(
            """
            INSERT INTO change_counters (topic, value) VALUES (\(topic.rawValue), \(number))
            ON CONFLICT (topic) DO UPDATE SET value = change_counters.value + excluded.value
            """)
    }
}
