// The monitor and its tables: the rules and decisions that it follows, what it takes up when it comes on duty, what it
// writes down.

import Logging
import Model
import Store
import Synchronization

extension AlertMonitor {
    /// Takes up what stands in the tables, then writes down what is not there yet.
    func writeDown() async {
        do {
            try await readRules()
            try await takeUp()
            for alert in state.withLock({ $0.hasTakenUp ? $0.ledger.pending : [] }) {
                try await alerts.record(alert)
                state.withLock { $0.ledger.wrote(alert) }
            }
            try await prune()
        } catch {
            // The database's own alert says it aloud where it lasts.
            logger.debug("alerts could not be written down", metadata: ["error": "\(error)"])
        }
    }

    /// Follows the rules, and what people decided about alerts: both raise the same counter.
    private func readRules() async throws {
        let (isOnDuty, turn, known) = state.withLock { ($0.isOnDuty, $0.turn, $0.version) }
        guard isOnDuty else { return }
        guard try await rules.version() != known || known == nil else { return }
        let (rows, version) = try await rules.all()
        let book = AlertRuleBook(rows, defaults: configuration.defaults)
        let open = state.withLock { $0.machine.open.map(\.id) }
        let decided = try await alerts.find(open)
        let changes = state.withLock { state -> [AlertMachine.Change] in
            guard state.turn == turn else { return [] }
            state.version = version
            if state.book != book {
                state.book = book
                // What was measured for other rules says nothing about these.
                state.sights = probes.map { _ in AlertSight() }
            }
            let changes = state.machine.heed(decided, rules: book)
            for change in changes { state.ledger.note(change.alert) }
            return changes
        }
        tell(changes)
    }

    private func takeUp() async throws {
        let turn = state.withLock { $0.isOnDuty && !$0.hasTakenUp && $0.version != nil ? $0.turn : nil }
        guard let turn else { return }
        let now = clock.now()
        let horizon = now.adding(seconds: -configuration.retry.lifetime)
        let found = try await alerts.unfinished(
            at: now, closedSince: horizon,
            decidedSince: now.adding(seconds: -Double(AlertTraits.cooldown.upperBound)), limit: 1_000)
        let changes = state.withLock { state -> [AlertMachine.Change]? in
            guard state.turn == turn, !state.hasTakenUp else { return nil }
            state.hasTakenUp = true
            let changes = state.machine.adopt(found, rules: state.book, at: now)
            for change in changes { state.ledger.note(change.alert) }
            return changes
        }
        guard let changes else { return }
        for alert in found where alert.isOpen || alert.closedAt.map({ $0 >= horizon }) == true { tellAgain(alert) }
        tell(changes)
    }

    /// What nobody could be told before.
    private func tellAgain(_ alert: Alert) {
        let isSummary = alert.toldTimes > 1
        if alert.openNotifiedAt == nil, alert.acknowledgedAt == nil, !isSummary || alert.isOpen {
            tell(alert, isSummary ? .summary : .opened)
        }
        if !alert.isOpen, alert.closeNotifiedAt == nil { tell(alert, isSummary ? .summary : .closed) }
    }

    private func prune() async throws {
        let now = clock.now()
        let isDue = state.withLock { state in
            guard state.isOnDuty, state.prunedAt.map({ $0.adding(seconds: 3_600) <= now }) ?? true else { return false }
            state.prunedAt = now
            return true
        }
        guard isDue else { return }
        _ = try await alerts.dropClosed(before: now.adding(seconds: -configuration.retention), limit: 5_000)
    }
}
