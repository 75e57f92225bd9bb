// The audit log: who changed what, with before and after, and who was refused. Written in the commit of the act itself.

package import JSON
package import Model
package import SQL

package struct AuditEntry: Sendable, Equatable {
    package enum Outcome: String, Sendable, CaseIterable {
        case done
        /// Asked for, and not allowed.
        case refused
        /// Allowed, and not achieved: a wrong password.
        case failed
    }

    package let id: AuditID
    package let at: Timestamp
    package let actor: Actor
    /// As in the gate's table: `settings.write`.
    package let action: String
    /// What was changed: an id, or a name such as `settings`.
    package let resource: String
    /// Secrets never stand in here, only whether they are set.
    package let before: JSONValue?
    package let after: JSONValue?
    package let outcome: Outcome
    /// Why it was refused or failed: the error's code and sentence.
    package let reason: String?

    package init(
        id: AuditID, at: Timestamp, actor: Actor, action: String, resource: String, before: JSONValue? = nil,
        after: JSONValue? = nil, outcome: Outcome = .done, reason: String? = nil
    ) {
        self.id = id
        self.at = at
        self.actor = actor
        self.action = action
        self.resource = resource
        self.before = before
        self.after = after
        self.outcome = outcome
        self.reason = reason
    }
}

extension SQLConnection {
    /// Appends to the chain of a vault, or to the instance's, inside the transaction of the act. Everybody who appends to the
    /// same chain waits for this transaction's end, so it is to be the last thing that a body does, or nearly.
    package func record(_ entry: AuditEntry, in vault: VaultID?) throws(SQLError) {
        try AuditChain.append(entry, to: AuditChain.name(of: vault), vault: vault, on: self)
    }
}
