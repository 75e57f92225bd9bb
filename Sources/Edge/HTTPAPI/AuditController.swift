// The audit log, newest first: a vault's under /v1, the instance's under /api. It can be searched, taken away as a file and
// checked; nothing changes it.

import Audit
import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import NIOCore
import SQL
import Store
import Synchronization

struct AuditController: Sendable {
    private let database: any SQLDatabase
    private let verifier: AuditVerifier
    private let audit: AuditRepository
    private let turn = Turn()

    init(database: any SQLDatabase, verifier: AuditVerifier) {
        self.database = database
        self.verifier = verifier
        audit = AuditRepository(database: database)
    }

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/audit", .auditRead, isGateway: false) { try await list($0, in: $0.vault) },
            Endpoint(.get, "/v1/audit/export", .auditExport, isGateway: false) { try await export($0, in: $0.vault) },
            Endpoint(.get, "/v1/audit/verify", .auditRead, isGateway: false) { call in
                try await verify(call) { anchors in [try await verifier.chain(of: call.vault, anchors: anchors)] }
            },
            .instance(.get, "/api/audit", .auditRead) { try await list($0, in: nil) },
            .instance(.get, "/api/audit/export", .auditExport) { try await export($0, in: nil) },
            .instance(.get, "/api/audit/verify", .auditRead) { call in
                try await verify(call) { anchors in try await verifier.all(anchors: anchors) }
            },
        ]
    }

    private func list<Who>(_ call: Asking<Who>, in vault: VaultID?) async throws -> Response {
        var query = Query(call.request)
        var search = Self.filters(&query)
        search.limit = query.limit()
        if let cursor = query.text("cursor") {
            search.before = AuditID(cursor)
            if search.before == nil { query.problem("is not a cursor of this list", "cursor") }
        }
        try query.finish()
        let page = try await audit.list(search, in: vault)
        return .json { writer in
            writer.object { writer in
                writer.name("data")
                writer.array { writer in
                    for record in page.records { AuditDocument.write(record, to: &writer) }
                }
                writer.member("next_cursor", page.next?.text)
            }
        }
    }

    private static func filters(_ query: inout Query) -> AuditQuery {
        var search = AuditQuery()
        search.actor = query.text("actor")
        search.action = query.text("action")
        search.resource = query.text("resource")
        search.since = query.time("since")
        search.until = query.time("until")
        if let action = search.action, !AuditAct.isKnown(action) {
            query.problem(
                "is no action, and none begins so; one is settings.write, and settings. stands for all of them",
                "action")
        }
        if let text = query.text("outcome") {
            search.outcome = AuditEntry.Outcome(rawValue: text)
            let known = AuditEntry.Outcome.allCases.map(\.rawValue).joined(separator: ", ")
            if search.outcome == nil { query.problem("must be one of \(known)", "outcome") }
        }
        return search
    }

    /// Streams the whole log, or what the filters leave of it. That it was taken away is the first thing that stands in it.
    private func export<Who: Named>(_ call: Asking<Who>, in vault: VaultID?) async throws -> Response {
        var query = Query(call.request)
        let search = Self.filters(&query)
        var format = AuditExport.Format.jsonl
        if let text = query.text("format") {
            if let known = AuditExport.Format(rawValue: text) {
                format = known
            } else {
                query.problem("must be jsonl or csv", "format")
            }
        }
        try query.finish()
        var filters = JSONObject(["format": .string(format.rawValue)])
        for name in ["actor", "action", "resource", "outcome", "since", "until"] {
            if let text = query.text(name) { filters[name] = .string(text) }
        }
        try await audit.append(call.audit(.auditExport, "audit", after: .object(filters)), in: vault)
        let export = AuditExport(database: database, search, in: vault, as: format)
        let name = "audit-\(AuditChain.name(of: vault)).\(format.rawValue)"
        return Response(
            status: .ok,
            headers: [
                .contentType: format.contentType, .cacheControl: "no-store",
                .contentDisposition: "attachment; filename=\"\(name)\"",
            ],
            // An error in the middle breaks the connection off: nobody takes half a log for a whole one.
            body: ResponseBody { writer in
                try await export.write { bytes in try await writer.write(ByteBuffer(bytes: bytes)) }
                try await writer.finish(nil)
            })
    }

    private func verify<Who>(
        _ call: Asking<Who>, _ check: ([AuditAnchor]) async throws -> [AuditReport]
    ) async throws -> Response {
        var query = Query(call.request)
        let anchors = query.all("anchor").compactMap { text in
            let anchor = AuditAnchor(text)
            if anchor == nil { query.problem("is no anchor; one is SEQUENCE:DIGEST, as the answer has them", "anchor") }
            return anchor
        }
        try query.finish()
        let reports = try await turn.take { try await check(anchors) }
        let verdict = AuditVerdict(reports, at: call.clock.now())
        return .json { writer in verdict.write(to: &writer) }
    }
}

/// One verification at a time: each holds one of the few readers of the database for as long as the log is long.
private final class Turn: Sendable {
    private let isTaken = Atomic(false)

    func take<Result>(_ work: () async throws -> Result) async throws -> Result {
        guard isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
            throw PosternError(.overloaded, "the audit log is being verified at the moment", retryAfter: 5)
        }
        defer { isTaken.store(false, ordering: .releasing) }
        return try await work()
    }
}
