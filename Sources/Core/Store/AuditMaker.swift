// Entries of the audit log for changes whose before and after are known only inside their transaction.

package import JSON

/// Makes the entry of a change: of what, and how it was before and after. Runs inside the transaction, perhaps twice.
package typealias AuditMaker = @Sendable (_ resource: String, _ before: JSONValue?, _ after: JSONValue?) -> AuditEntry

extension JSONValue {
    /// All that is ever written down of a secret.
    static func isSet(_ isSet: Bool) -> JSONValue { .object(JSONObject(["set": .bool(isSet)])) }
}
