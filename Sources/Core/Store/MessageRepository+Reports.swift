// Reports of a next hop become events of the message they are about: each once, however often and in whatever order they come.

package import Model
import SQL

/// A fact from a report. Two facts of one origin are the same fact.
package struct ReportedEvent: Sendable {
    package let event: MessageEvent
    /// Which report it comes from: hand-over and attempt, or hand-over and end.
    package let origin: String

    package init(event: MessageEvent, origin: String) {
        self.event = event
        self.origin = origin
    }
}

/// What one report says, ready to be written down.
package struct ReportedProgress: Sendable {
    package let message: MessageID
    package let vault: VaultID
    package let handOver: Int
    /// That there was this hand-over, which the report proves: our own word of it may come later.
    package let relayed: MessageEvent
    package let attempts: [ReportedEvent]
    /// How it ended; `nil` while the next hop goes on trying.
    package let end: (origin: String, move: MessageMove)?

    package init(
        message: MessageID,
        vault: VaultID,
        handOver: Int,
        relayed: MessageEvent,
        attempts: [ReportedEvent],
        end: (origin: String, move: MessageMove)?
    ) {
        self.message = message
        self.vault = vault
        self.handOver = handOver
        self.relayed = relayed
        self.attempts = attempts
        self.end = end
    }
}

/// What became of a report.
package enum ReportOutcome: Sendable, Equatable {
    /// Something in it was new.
    case recorded
    /// All of it was known.
    case repeated
    /// There is no such message.
    case unknown
}

extension MessageRepository {
    /// Writes down reports in one commit.
    /// - Returns: one outcome a report, in order.
    package func record(_ reports: [ReportedProgress]) async throws -> [ReportOutcome] {
        try await database.write(cost: reports.count * 2048) { connection in
            // Everyone takes the log's rows first, and in the order of their ids: two writers never wait for each other.
            var outcomes = [ReportOutcome](repeating: .unknown, count: reports.count)
            for place in reports.indices.sorted(by: { reports[$0].message < reports[$1].message }) {
                outcomes[place] = try Self.record(reports[place], connection)
            }
            return outcomes
        }
    }

    private static func record(
        _ report: ReportedProgress,
        _ connection: any SQLConnection
    ) throws -> ReportOutcome {
        let row = try connection.row(
            """
            SELECT route, updated_at, status FROM smtp_relay_logs
            WHERE id = \(report.message.text) AND vault_id = \(report.vault.text) /* lock */
            """)
        guard let row else { return .unknown }
        let route = try row.text(0)
        // Next hops count in whole seconds, by clocks of their own: nothing is told as older than what came before it.
        let floor = Timestamp(milliseconds: try row.integer(1))
        if try row.text(2) == MessageStatus.queued.rawValue {
            _ = try insert(
                report.relayed.notBefore(floor), by: route, origin: relayedOrigin(report.handOver), of: report.message,
                in: report.vault, connection)
        }
        var isNew = false
        for attempt in report.attempts {
            let added = try insert(
                attempt.event.notBefore(floor), by: route, origin: attempt.origin, of: report.message, in: report.vault,
                connection)
            if added { isNew = true }
        }
        guard let end = report.end,
            try insert(
                end.move.event.notBefore(floor), by: route, origin: end.origin, of: report.message, in: report.vault,
                connection)
        else { return isNew ? .recorded : .repeated }
        // What was delivered is delivered, whichever hand-over it was. A failure counts for the last hand-over only: another
        // one is under way otherwise, and will have a report of its own.
        let origins = MessageStatus.allCases.filter { $0.canBecome(end.move.status) }
        let fence: SQLStatement = end.move.status == .delivered ? "" : "AND attempts = \(report.handOver)"
        _ = try advance(end.move, from: origins, fence, connection)
        return .recorded
    }

    /// The origin of the one event that says that this hand-over took place.
    static func relayedOrigin(_ handOver: Int) -> String { "\(handOver).relayed" }

    /// - Returns: false when an event of this origin is there already.
    @discardableResult
    private static func insert(
        _ event: MessageEvent,
        by route: String,
        origin: String,
        of message: MessageID,
        in vault: VaultID,
        _ connection: any SQLConnection
    ) throws(SQLError) -> Bool {
        try connection.execute(insertion(of: event, by: route, origin: origin, of: message, in: vault)) == 1
    }

    /// Adds an event, unless there is one of this origin.
    static func insertion(
        of event: MessageEvent,
        by route: String,
        origin: String,
        of message: MessageID,
        in vault: VaultID
    ) -> SQLStatement {
        """
        INSERT INTO message_events (message_id, id, vault_id, type, at, attempt, route, detail, origin) VALUES
            (\(message.text), \(event.id.text), \(vault.text), \(event.type.rawValue), \(event.at.milliseconds),
            \(event.attempt), \(route), \(event.detail?.asData()), \(origin))
        ON CONFLICT (message_id, origin) WHERE origin IS NOT NULL DO NOTHING
        """
    }
}
