// The failure backlog: every message that ended as bounced or failed waits here until somebody takes note of it (drain) or
// sends it again (requeue). Both work in short transactions, and doing either twice does it once.

import JSON
package import Model
package import SQL

/// A message that did not arrive and that nobody has dealt with.
package struct Failure: Sendable {
    package let message: MessageID
    /// The SMTP reply code; `nil` where there was no reply.
    package let code: Int?
    package let enhancedCode: String?
    /// The recipient's domain, in lower case.
    package let domain: String
    package let route: String
    package let reason: Foreign<String>?
    package let failedAt: Timestamp

    /// Where a list goes on after this one.
    package var cursor: String { "\(failedAt.milliseconds).\(message)" }
}

package struct FailureFilter: Sendable {
    package enum Code: Sendable, Hashable {
        case exactly(Int)
        /// 4 or 5: every code of this class.
        case ofClass(Int)

        /// `550`, or `5xx`.
        package init?(_ text: String) {
            let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard text.utf8.count == 3, let number = Int(String(Substring(digits))) else { return nil }
            switch (digits.count, text.utf8.dropFirst().elementsEqual("xx".utf8)) {
            case (3, _) where (200...599).contains(number): self = .exactly(number)
            case (1, true) where (2...5).contains(number): self = .ofClass(number)
            default: return nil
            }
        }
    }

    package var code: Code?
    /// In lower case.
    package var domain: String?
    /// Failed at this time or before.
    package var until: Timestamp?

    package init(code: Code? = nil, domain: String? = nil, until: Timestamp? = nil) {
        self.code = code
        self.domain = domain
        self.until = until
    }
}

/// How many of one kind there are.
package struct FailureCount: Sendable, Hashable {
    package let code: Int?
    package let domain: String
    package let count: Int

    package init(code: Int?, domain: String, count: Int) {
        self.code = code
        self.domain = domain
        self.count = count
    }
}

package struct FailureRepository: Sendable {
    /// Messages in one transaction, so that others get their turn.
    package static let chunk = 500

    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// The backlog, what failed first at the top: the order in which it is drained.
    /// - Parameter cursor: of the last failure of the page before.
    /// - Returns: `nil` when the cursor is none of this list.
    package func list(
        in vault: VaultID,
        matching filter: FailureFilter,
        after cursor: String?,
        limit: Int
    ) async throws -> [Failure]? {
        var conditions = Self.conditions(vault, filter)
        if let cursor {
            let parts = cursor.split(separator: ".", maxSplits: 1)
            guard parts.count == 2, let time = Int64(parts[0]), let id = MessageID(String(parts[1])) else { return nil }
            conditions = "\(conditions) AND (failed_at, message_id) > (\(time), \(id.text))"
        }
        let wanted = conditions
        return try await database.read { connection in
            try connection.rows(
                """
                SELECT message_id, code, enhanced_code, domain, route, reason, failed_at FROM failures
                WHERE \(wanted) ORDER BY failed_at, message_id LIMIT \(limit)
                """
            ).map { row in
                Failure(
                    message: MessageID(stored: try row.text(0)), code: try row.optionalInteger(1).map { Int($0) },
                    enhancedCode: try row.optionalText(2), domain: try row.text(3), route: try row.text(4),
                    reason: try row.optionalText(5).map(Foreign.init),
                    failedAt: Timestamp(milliseconds: try row.integer(6)))
            }
        }
    }

    /// How many match, and of which codes and domains, the most first.
    /// - Parameter limit: of the kinds; the total counts all.
    package func count(
        in vault: VaultID,
        matching filter: FailureFilter,
        limit: Int = 20
    ) async throws -> (total: Int, kinds: [FailureCount]) {
        let conditions = Self.conditions(vault, filter)
        return try await database.read { connection in
            let total = try connection.row("SELECT COUNT(*) FROM failures WHERE \(conditions)")?.integer(0) ?? 0
            let kinds = try connection.rows(
                """
                SELECT code, domain, COUNT(*) FROM failures WHERE \(conditions)
                GROUP BY code, domain ORDER BY COUNT(*) DESC, domain, code LIMIT \(limit)
                """
            ).map { row in
                FailureCount(
                    code: try row.optionalInteger(0).map { Int($0) }, domain: try row.text(1),
                    count: Int(try row.integer(2)))
            }
            return (Int(total), kinds)
        }
    }

    /// Instance level: the whole backlog, for alerts and metrics.
    package func total() async throws -> Int {
        try await database.read { connection in
            Int(try connection.row("SELECT COUNT(*) FROM failures")?.integer(0) ?? 0)
        }
    }

    /// What is to be done with the backlog.
    package enum Repair: Sendable {
        /// Taken out of the backlog; the message stays as it ended.
        case drain
        /// Into the outbox again, with this deadline.
        case requeue(deadline: Timestamp)

        /// What the audit log says of it.
        var resource: String {
            switch self {
            case .drain: "queues/failure/drain"
            case .requeue: "queues/failure/requeue"
            }
        }
    }

    /// Deals with at most one chunk of what matches, oldest first, in one transaction.
    ///
    /// - Parameters:
    ///   - event: a fresh event for each message; what it says of the attempts is filled in.
    ///   - idempotency: the key of the whole call. Where it has an answer already, nothing is done. It is written down with
    ///     `answer` when this chunk is the last one.
    ///   - audit: one entry for each chunk that held anything.
    ///   - answer: what a repeat hears, given how many this chunk took; asked with the last chunk only.
    package func repair(
        _ repair: Repair,
        in vault: VaultID,
        matching filter: FailureFilter,
        limit: Int,
        event: @escaping @Sendable () -> MessageEvent,
        idempotency: RepairKey? = nil,
        audit: @escaping AuditMaker,
        answer: @escaping @Sendable (_ done: Int, _ skipped: Int) -> String = { _, _ in "" }
    ) async throws -> RepairOutcome {
        let size = min(limit, Self.chunk)
        let conditions = Self.conditions(vault, filter)
        return try await database.write { connection in
            if let earlier = try idempotency?.earlier(connection) { return earlier }
            // What somebody else is dealing with at this moment is passed over.
            let taken = try connection.rows(
                """
                SELECT message_id FROM failures WHERE \(conditions)
                ORDER BY failed_at, message_id LIMIT \(size) /* skip locked */
                """
            ).map { MessageID(stored: try $0.text(0)) }
            try connection.send("DELETE FROM failures WHERE message_id IN \(list: taken.map(\.text))")
            var done = 0
            for message in taken {
                guard let before = try MessageRepository.find(message, in: vault, connection) else { continue }
                let event = event().after(attempts: before.attempts)
                switch repair {
                case .drain:
                    try MessageRepository.insert(event, of: message, in: vault, connection)
                    done += 1
                case .requeue(let deadline):
                    // What has come to another end meanwhile is no failure any more.
                    if try MessageRepository.restart(message, in: vault, event, deadline: deadline, connection) {
                        done += 1
                    }
                }
            }
            if !taken.isEmpty {
                let after = JSONObject(["done": .integer(Int64(done)), "skipped": .integer(Int64(taken.count - done))])
                try connection.record(audit(repair.resource, nil, .object(after)), in: vault)
            }
            let isLast = taken.count < size || size == limit
            if isLast, let idempotency { try idempotency.keep(answer(done, taken.count - done), connection) }
            return .done(done, skipped: taken.count - done, isLast: isLast)
        }
    }

    private static func conditions(_ vault: VaultID, _ filter: FailureFilter) -> SQLStatement {
        var conditions: SQLStatement = "vault_id = \(vault.text)"
        switch filter.code {
        case .exactly(let code): conditions = "\(conditions) AND code = \(code)"
        case .ofClass(let digit):
            conditions = "\(conditions) AND code >= \(digit * 100) AND code < \(digit * 100 + 100)"
        case nil: break
        }
        if let domain = filter.domain { conditions = "\(conditions) AND domain = \(domain)" }
        if let until = filter.until { conditions = "\(conditions) AND failed_at <= \(until.milliseconds)" }
        return conditions
    }
}

package enum RepairOutcome: Sendable, Hashable {
    /// - Parameter isLast: nothing that matches is left, or the limit is reached.
    case done(Int, skipped: Int, isLast: Bool)
    /// The same call was answered before.
    case replayed(answer: String)
    /// The idempotency key belongs to another call.
    case conflict
}
