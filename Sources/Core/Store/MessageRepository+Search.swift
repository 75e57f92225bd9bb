// Searching the log, newest first. Every path runs along an index, so that a page costs the same at any size.

package import Model
import SQL

package struct MessageQuery: Sendable {
    package var caller: String?
    /// What a caller's label has to begin with.
    package var callerPrefix: String?
    package var status: MessageStatus?
    package var since: Timestamp?
    package var until: Timestamp?
    package var recipient: String?
    /// A message id, a correlation id, or the beginning of a recipient's address.
    package var text: String?
    /// The last id of the page before.
    package var before: MessageID?
    /// 1–200.
    package var limit: Int

    package init(limit: Int = 50) { self.limit = limit }
}

extension MessageRepository {
    /// Up to this many matches of an address's beginning are looked up by address and sorted; with more, walking the log from
    /// its newest row finds a page sooner.
    private static let fewMatches = 1000

    package func search(_ query: MessageQuery, in vault: VaultID) async throws -> [Message] {
        try await database.read { connection in
            var conditions: SQLStatement = "vault_id = \(vault.text)"
            if let caller = query.caller { conditions = "\(conditions) AND caller_label = \(caller)" }
            if let prefix = query.callerPrefix {
                conditions =
                    "\(conditions) AND substr(caller_label, 1, CAST(\(Int64(prefix.unicodeScalars.count)) AS INTEGER)) = \(prefix)"
            }
            if let status = query.status { conditions = "\(conditions) AND status = \(status.rawValue)" }
            if let recipient = query.recipient { conditions = "\(conditions) AND recipient = \(recipient)" }
            // Ids begin with their time, so that a window in time is a range of ids.
            if let since = query.since { conditions = "\(conditions) AND id >= \(Self.firstID(at: since))" }
            if let until = query.until { conditions = "\(conditions) AND id < \(Self.firstID(at: until))" }
            if let before = query.before { conditions = "\(conditions) AND id < \(before.text)" }
            if let text = query.text {
                conditions = try Self.conditions(conditions, matching: text, in: vault, connection)
            }
            return try connection.rows(
                "SELECT \(Self.columns) FROM smtp_relay_logs WHERE \(conditions) ORDER BY id DESC LIMIT \(query.limit)"
            ).map(Self.message)
        }
    }

    static func firstID(at time: Timestamp) -> String {
        let milliseconds = UInt64(max(time.milliseconds, 0))
        return MessageID(high: UInt16(truncatingIfNeeded: milliseconds >> 32), low: milliseconds << 32).text
    }

    private static func conditions(
        _ conditions: SQLStatement,
        matching text: String,
        in vault: VaultID,
        _ connection: any SQLConnection
    ) throws -> SQLStatement {
        if let id = MessageID(text) { return "\(conditions) AND id = \(id.text)" }
        if let correlation = CorrelationID(text) { return "\(conditions) AND correlation_id = \(correlation.text)" }
        let end = text + "\u{10FFFF}"
        let matches = try connection.rows(
            """
            SELECT id FROM smtp_relay_logs
            WHERE vault_id = \(vault.text) AND recipient >= \(text) AND recipient < \(end) LIMIT \(fewMatches + 1)
            """
        ).map { try $0.text(0) }
        return matches.count > fewMatches
            // A computed text keeps the planner off the recipient index: sorting a large part of the log would cost more.
            ? "\(conditions) AND recipient || '' >= \(text) AND recipient || '' < \(end)"
            : "\(conditions) AND id IN \(list: matches)"
    }
}
