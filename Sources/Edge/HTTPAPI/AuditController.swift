// The audit log: who changed what in the vault, newest first.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Store

struct AuditController: Sendable {
    let audit: AuditRepository

    var endpoints: [Endpoint] { [Endpoint(.get, "/v1/audit", .auditRead, isGateway: false, list)] }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        var search = AuditQuery(limit: query.limit())
        search.actor = query.text("actor")
        search.action = query.text("action")
        search.resource = query.text("resource")
        search.since = query.time("since")
        search.until = query.time("until")
        if let action = search.action, Action(rawValue: action) == nil {
            query.problem("is no action; one is settings.write", "action")
        }
        if let cursor = query.text("cursor") {
            search.before = AuditID(cursor)
            if search.before == nil { query.problem("is not a cursor of this list", "cursor") }
        }
        try query.finish()
        let found = try await audit.list(search, in: call.vault)
        return .list(found, limit: search.limit, cursor: \.id.text) { entry, writer in
            Self.write(entry, to: &writer)
        }
    }

    private static func write(_ entry: AuditEntry, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", entry.id.text)
            writer.member("at", entry.at)
            writer.member("actor", entry.actor.id)
            writer.member("actor_label", entry.actor.label)
            writer.member("door", entry.actor.door)
            writer.member("address", entry.actor.address)
            writer.member("request_id", entry.actor.requestID)
            writer.member("action", entry.action)
            writer.member("resource", entry.resource)
            writer.member("before", entry.before ?? .null)
            writer.member("after", entry.after ?? .null)
        }
    }
}
