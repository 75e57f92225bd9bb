// Alerts: what is wrong now, and what was, and what people say about it. A vault sees what is about it under /v1; the people
// of the instance what their rules opened under /api.

import Alerts
import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Store

struct AlertController: Sendable {
    /// Characters of a note.
    private static let note = 1_000

    let alerts: AlertRepository

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/alerts", .alertRead, isGateway: false) { try await list($0, in: .vault($0.vault)) },
            Endpoint(.get, "/v1/alerts/{id}", .alertRead, isGateway: false) {
                try await show($0, in: .vault($0.vault))
            },
            Endpoint(.post, "/v1/alerts/{id}/acknowledge", .alertAcknowledge, isGateway: false) {
                try await acknowledge($0, in: .vault($0.vault))
            },
            Endpoint(.post, "/v1/alerts/{id}/resolve", .alertAcknowledge, isGateway: false) {
                try await resolve($0, in: .vault($0.vault))
            },
            .instance(.get, "/api/alerts", .alertRead) { try await list($0, in: .instance) },
            .instance(.get, "/api/alerts/{id}", .alertRead) { try await show($0, in: .instance) },
            .instance(.post, "/api/alerts/{id}/acknowledge", .alertAcknowledge) {
                try await acknowledge($0, in: .instance)
            },
            .instance(.post, "/api/alerts/{id}/resolve", .alertAcknowledge) { try await resolve($0, in: .instance) },
        ]
    }

    private func list<Who>(_ call: Asking<Who>, in scope: AlertScope) async throws -> Response {
        var query = Query(call.request)
        var search = AlertQuery(limit: query.limit())
        if let state: AlertQuery.State = query.word("state") { search.state = state }
        search.condition = query.word("kind")
        search.severity = query.word("severity")
        if let cursor = query.text("cursor") {
            search.before = AlertID(cursor)
            if search.before == nil { query.problem("is not a cursor of this list", "cursor") }
        }
        try query.finish()
        let found = try await alerts.list(search, in: scope)
        return .list(found, limit: search.limit, cursor: \.id.text) { alert, writer in writer.alert(alert) }
    }

    private func show<Who>(_ call: Asking<Who>, in scope: AlertScope) async throws -> Response {
        guard let alert = try await alerts.find(try call.id(AlertKind.self), in: scope) else { throw Self.missing }
        return .json { writer in writer.alert(alert) }
    }

    private func acknowledge<Who: Named>(_ call: Asking<Who>, in scope: AlertScope) async throws -> Response {
        let (id, note) = (try call.id(AlertKind.self), try await note(call))
        return try Self.answer(
            try await alerts.acknowledge(
                id, in: scope, by: call.hand, note: note, at: call.clock.now(), audit: call.audits(.alertAcknowledge)))
    }

    private func resolve<Who: Named>(_ call: Asking<Who>, in scope: AlertScope) async throws -> Response {
        let (id, note) = (try call.id(AlertKind.self), try await note(call))
        return try Self.answer(
            try await alerts.resolve(
                id, in: scope, by: call.hand, note: note, at: call.clock.now(), rule: Self.check,
                audit: call.audits(.alertAcknowledge)))
    }

    @Sendable private static func check(_ alert: Alert) throws {
        guard alert.condition.traits.isOverByHand else {
            throw PosternError(
                .conflict, "\(alert.condition.rawValue) is over when its cause is, and not by anybody's word",
                fix: "Acknowledge it (POST …/acknowledge): then nobody is told again. It closes by itself.")
        }
    }

    private func note<Who>(_ call: Asking<Who>) async throws -> String? {
        var form = try await call.optionalForm()
        let note = form.string("note")
        if let note, !(1...Self.note).contains(note.unicodeScalars.count) {
            form.problem("must have 1 to \(Self.note) characters", at: "note")
        }
        form.finish()
        guard form.problems.isEmpty else { throw PosternError.validation(form.problems) }
        return note
    }

    private static func answer(_ decision: AlertDecision) throws -> Response {
        switch decision {
        case .done(let alert), .unchanged(let alert): return .json { writer in writer.alert(alert) }
        case .over: throw PosternError(.conflict, "the alert is over by itself already", fix: "Nothing is left to do.")
        case .missing: throw missing
        }
    }

    private static let missing = PosternError(.notFound, "there is no such alert")
}

extension Asking where Who: Named {
    fileprivate var hand: AlertHand {
        let (id, label) = who.auditName
        return AlertHand(id: id, label: label)
    }
}

extension Query {
    /// One of a few words.
    fileprivate mutating func word<Word: RawRepresentable & CaseIterable>(_ name: String) -> Word?
    where Word.RawValue == String {
        guard let text = text(name) else { return nil }
        if let word = Word(rawValue: text) { return word }
        problem("is none of \(Word.allCases.map(\.rawValue).joined(separator: ", "))", name)
        return nil
    }
}

extension JSONWriter {
    fileprivate mutating func alert(_ alert: Alert) {
        object { writer in
            writer.member("id", alert.id.text)
            writer.member("kind", alert.condition.rawValue)
            writer.member("severity", alert.severity.rawValue)
            writer.member("subject", alert.subject)
            writer.member("vault", alert.vault?.text)
            writer.member("audience", alert.audience.rawValue)
            writer.member("rule", alert.rule?.text)
            writer.member("state", alert.state.rawValue)
            writer.member("detail", alert.detail)
            writer.member("times", alert.times)
            writer.member("began_at", alert.beganAt)
            writer.member("opened_at", alert.openedAt)
            writer.member("closed_at", alert.closedAt)
            writer.member("acknowledged_at", alert.acknowledgedAt)
            writer.hand("acknowledged_by", alert.acknowledgedBy)
            writer.hand("resolved_by", alert.isOpen ? nil : alert.resolvedBy)
            writer.member("note", alert.note)
            // Whether everybody who is to be told has been: of the opening, and of the end.
            writer.member("open_notified_at", alert.openNotifiedAt)
            writer.member("close_notified_at", alert.closeNotifiedAt)
            writer.member("fix", alert.condition.fix)
            writer.member("docs", alert.condition.documentation)
        }
    }

    private mutating func hand(_ name: String, _ hand: AlertHand?) {
        guard let hand else { return member(name, JSONValue.null) }
        member(name, .object(JSONObject(["id": .string(hand.id), "label": .string(hand.label)])))
    }
}
