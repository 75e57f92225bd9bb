// Turns what next hops report into events of the messages they are about: one place for all of them.

package import Model
package import SQL
package import Store

package struct EventProcessor: Sendable {
    private let messages: MessageRepository
    private let clock: any WallClock
    private let ids: IdentifierGenerator

    /// Seconds that a reported time may lie in the past; one from further away, or from the future, is not believed.
    private static let believableAge = 2_592_000.0

    package init(database: any SQLDatabase, clock: any WallClock, ids: IdentifierGenerator) {
        messages = MessageRepository(database: database)
        self.clock = clock
        self.ids = ids
    }

    /// Returns after the commit. The same report may come twice, late, or before the hand-over itself is written down.
    /// - Returns: one outcome a report, in order.
    /// - Throws: `SQLError`; nothing was written then.
    package func process(_ reports: [DeliveryReport]) async throws -> [ReportOutcome] {
        guard !reports.isEmpty else { return [] }
        let now = clock.now()
        return try await messages.record(reports.map { progress($0, now) })
    }

    private func progress(_ report: DeliveryReport, _ now: Timestamp) -> ReportedProgress {
        let attempts = report.attempts
        let end = end(of: report)
        let tries = end == nil ? attempts[...] : attempts.dropLast()
        return ReportedProgress(
            message: report.message, vault: report.vault, handOver: report.handOver,
            relayed: MessageEvent(id: ids.next(), type: .relayed, at: now, attempt: report.handOver),
            attempts: tries.map { attempt in
                ReportedEvent(
                    event: event(.deferred, attempt, number: attempt.number, now),
                    origin: "\(report.handOver).\(attempt.number)")
            },
            end: end.map { status, type in
                let last = attempts.last
                let event = event(type, last, number: last?.number ?? 0, now)
                return (
                    "\(report.handOver).end",
                    MessageMove(
                        message: report.message, vault: report.vault, status: status, event: event, outbox: .remove,
                        reply: last?.reply, code: last?.code, enhancedCode: last?.enhancedCode)
                )
            })
    }

    private func end(of report: DeliveryReport) -> (MessageStatus, EventType)? {
        switch report.verdict {
        case .pending: nil
        case .delivered: (.delivered, .delivered)
        case .bounced: (.bounced, .bounced)
        case .failed: (.failed, .failed)
        case .expired: (.expired, .expired)
        }
    }

    private func event(
        _ type: EventType,
        _ attempt: DeliveryReport.Attempt?,
        number: Int,
        _ now: Timestamp
    ) -> MessageEvent {
        var at = now
        if let reported = attempt?.at, reported <= now, reported > now.adding(seconds: -Self.believableAge) {
            at = reported
        }
        return MessageEvent(
            id: ids.next(), type: type, at: at, attempt: number, detail: attempt?.detail)
    }
}
