// The audit log: who changed what, with before and after, written in the commit of the change itself.

package import JSON
package import Model
import SQL

package struct AuditEntry: Sendable {
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

    package init(
        id: AuditID, at: Timestamp, actor: Actor, action: String, resource: String, before: JSONValue? = nil,
        after: JSONValue? = nil
    ) {
        self.id = id
        self.at = at
        self.actor = actor
        self.action = action
        self.resource = resource
        self.before = before
        self.after = after
    }
}

extension SQLConnection {
    /// Appends to the audit log inside the transaction of the change.
    func record(_ entry: AuditEntry, in vault: VaultID?) throws(SQLError) {
        func text(_ value: JSONValue?) -> String? {
            value.map { String(decoding: JSONWriter.write($0), as: UTF8.self) }
        }
        try send(
            """
            INSERT INTO audit_records (id, vault_id, at, actor_id, actor_label, door, address, request_id, action, resource,
                before_value, after_value)
            VALUES (\(entry.id.text), \(vault?.text), \(entry.at.milliseconds), \(entry.actor.id), \(entry.actor.label),
                \(entry.actor.door), \(entry.actor.address), \(entry.actor.requestID), \(entry.action), \(entry.resource),
                \(text(entry.before)), \(text(entry.after)))
            """)
    }
}
