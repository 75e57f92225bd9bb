// Alerts: what is wrong now, and what was. A vault sees its own; the instance's are for those who run it.

import Alerts
import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Store

struct AlertController: Sendable {
    let alerts: AlertRepository

    var endpoints: [Endpoint] { [Endpoint(.get, "/v1/alerts", .alertRead, isGateway: false, list)] }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        var search = AlertQuery(includesInstance: call.caller.scopes.contains(.admin), limit: query.limit())
        if let text = query.text("state") {
            if let state = AlertQuery.State(rawValue: text) {
                search.state = state
            } else {
                let known = AlertQuery.State.allCases.map(\.rawValue).joined(separator: ", ")
                query.problem("is none of \(known)", "state")
            }
        }
        if let cursor = query.text("cursor") {
            search.before = AlertID(cursor)
            if search.before == nil { query.problem("is not a cursor of this list", "cursor") }
        }
        try query.finish()
        let found = try await alerts.list(search, in: call.vault)
        return .list(found, limit: search.limit, cursor: \.id.text) { alert, writer in
            Self.write(alert, to: &writer)
        }
    }

    private static func write(_ alert: Alert, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", alert.id.text)
            writer.member("kind", alert.condition.rawValue)
            writer.member("subject", alert.subject)
            writer.member("vault", alert.vault?.text)
            writer.member("state", (alert.isOpen ? AlertQuery.State.open : .closed).rawValue)
            writer.member("detail", alert.detail)
            writer.member("began_at", alert.beganAt)
            writer.member("opened_at", alert.openedAt)
            writer.member("closed_at", alert.closedAt)
            // Whether everybody who is to be told has been: of the opening, and of the end.
            writer.member("open_notified_at", alert.openNotifiedAt)
            writer.member("close_notified_at", alert.closeNotifiedAt)
            writer.member("fix", alert.condition.fix)
            writer.member("docs", alert.condition.documentation)
        }
    }
}
