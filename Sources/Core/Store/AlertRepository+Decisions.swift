// What people decide about an alert. Recorded in the audit log, and known at once to the process that looks after alerts.

import JSON
package import Model
import SQL

/// What became of a decision.
package enum AlertDecision: Hashable, Sendable {
    case done(Alert)
    /// It was so already.
    case unchanged(Alert)
    /// It is over.
    case over(Alert)
    /// There is no such alert.
    case missing

    fileprivate var changedNothing: Bool {
        if case .done = self { return false }
        return true
    }
}

extension AlertRepository {
    /// Writes down that somebody knows of an open alert. Whoever was first stands there.
    package func acknowledge(
        _ id: AlertID,
        in scope: AlertScope,
        by hand: AlertHand,
        note: String?,
        at now: Timestamp,
        audit: @escaping AuditMaker
    ) async throws -> AlertDecision {
        try await decide(id, in: scope, audit: audit) { alert in
            guard alert.isOpen else { return .over(alert) }
            guard alert.acknowledgedAt == nil else { return .unchanged(alert) }
            alert.acknowledgedAt = now
            alert.acknowledgedBy = hand
            alert.note = note
            return .done(alert)
        }
    }

    /// Closes an open alert by somebody's word.
    /// - Parameter rule: throws where the alert is none that people close.
    package func resolve(
        _ id: AlertID,
        in scope: AlertScope,
        by hand: AlertHand,
        note: String?,
        at now: Timestamp,
        rule: @escaping @Sendable (Alert) throws -> Void,
        audit: @escaping AuditMaker
    ) async throws -> AlertDecision {
        try await decide(id, in: scope, audit: audit) { alert in
            guard alert.isOpen else { return alert.resolvedBy == nil ? .over(alert) : .unchanged(alert) }
            try rule(alert)
            alert.closedAt = now
            alert.resolvedBy = hand
            alert.note = note ?? alert.note
            return .done(alert)
        }
    }

    private func decide(
        _ id: AlertID,
        in scope: AlertScope,
        audit: @escaping AuditMaker,
        _ decide: @escaping @Sendable (inout Alert) throws -> AlertDecision
    ) async throws -> AlertDecision {
        try await database.change(.rules, unless: \.changedNothing) { connection in
            guard var alert = try Self.locked(id, in: Self.condition(scope), connection) else { return .missing }
            // Or a tenant could make the instance's people hear no more of what the tenant does.
            if case .vault = scope, alert.audience != .vault {
                throw PosternError(
                    .forbidden, "this alert is the instance's own: a vault reads it, and decides about its own",
                    fix: "Ask an admin of the instance, or write a rule of the vault: alerts by it are the vault's.")
            }
            let before = alert.decided
            let decision = try decide(&alert)
            guard case .done = decision else { return decision }
            try Self.write(alert, connection)
            try connection.record(audit(id.text, before, alert.decided), in: scope.vault)
            return decision
        }
    }
}

extension Alert {
    /// What the audit log shows of an alert: what people decide.
    fileprivate var decided: JSONValue {
        var object = JSONObject(["kind": .string(condition.rawValue), "state": .string(state.rawValue)])
        if let note { object["note"] = .string(note) }
        return .object(object)
    }
}
