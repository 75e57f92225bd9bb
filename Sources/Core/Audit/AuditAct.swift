// What the server itself does with the audit log, under names that are in no table of the gate: nobody can ask for it.

import JSON
import Model
import Store

package enum AuditAct: String, Sendable, CaseIterable {
    /// Records were taken away when their time was over.
    case prune = "audit.prune"
    /// Seals were made where there were none.
    case seal = "audit.seal"
    /// More was refused at once than could be written down.
    case drop = "audit.drop"

    func entry(
        _ id: AuditID, at time: Timestamp, resource: String, after: JSONValue? = nil,
        outcome: AuditEntry.Outcome = .done,
        reason: String? = nil
    ) -> AuditEntry {
        AuditEntry(
            id: id, at: time, actor: Actor(id: "postern", label: "postern", door: "server"), action: rawValue,
            resource: resource, after: after, outcome: outcome, reason: reason)
    }

    /// Whether a filter can find something: an action, or the beginning of one that ends in a dot.
    package static func isKnown(_ action: String) -> Bool {
        let names = Action.allCases.map(\.rawValue) + allCases.map(\.rawValue)
        return action.hasSuffix(".") ? names.contains { $0.hasPrefix(action) } : names.contains(action)
    }
}
