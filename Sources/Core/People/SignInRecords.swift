// What the audit log is told of people: who signed in, who failed to, who changed what they sign in with.

import JSON
import Model
import Store

struct SignInRecords: Sendable {
    let clock: any WallClock
    let ids: IdentifierGenerator

    /// - Parameters:
    ///   - changes: what is to be seen of it, in order; `nil` leaves a member out.
    ///   - reason: why it was tried in vain.
    func entry(
        _ action: Action,
        by actor: Actor,
        of resource: String,
        _ changes: KeyValuePairs<String, JSONValue?> = [:],
        failingBecause reason: String? = nil
    ) -> AuditEntry {
        var document = JSONObject()
        for (name, value) in changes { if let value { document[name] = value } }
        return AuditEntry(
            id: ids.next(), at: clock.now(), actor: actor, action: action.rawValue, resource: resource,
            after: document.members.isEmpty ? nil : .object(document),
            outcome: reason == nil ? .done : .failed, reason: reason)
    }

    /// A change, of which both sides are shown.
    func entry(
        _ action: Action,
        by actor: Actor,
        of resource: String,
        before: JSONValue?,
        after: JSONValue?
    ) -> AuditEntry {
        AuditEntry(
            id: ids.next(), at: clock.now(), actor: actor, action: action.rawValue, resource: resource, before: before,
            after: after)
    }

    /// Failures of a time that is over, which nobody wrote down one by one.
    var tally: @Sendable (SignInTally) -> AuditEntry {
        { tally in
            let label = tally.subject.split(separator: ":", maxSplits: 1).last.map(String.init) ?? ""
            return entry(
                tally.again == nil ? .sessionBegin : .accountSecure,
                by: Actor(id: tally.again ?? "stranger", label: label, door: "http"), of: tally.again ?? "users",
                [
                    "attempts": .integer(Int64(tally.attempts)), "since": .string(tally.since.description),
                ], failingBecause: SignInCheck.Refusal.password.rawValue)
        }
    }
}
