// The broker's queues, and the backlog of what did not arrive: looking at it, taking note of it, sending it again.

import Broker
import Gate
import HTTPTypes
import Hummingbird
import JSON
import Logging
import MIME
import Model
import Outbox
import Sealing
import Store

struct QueueController: Sendable {
    let broker: QueueHealth?
    let failures: FailureRepository
    let orphans: OrphanRepository
    let signal: OutboxSignal
    let clock: any WallClock
    let ids: IdentifierGenerator
    /// Seconds that a message gets when it is sent again.
    let lifetime: Double

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/queues", .queueRead, show),
            Endpoint(.get, "/v1/queues/failure", .queueRead, list),
            Endpoint(.post, "/v1/queues/failure/drain", .queueRepair) { call in try await repair(call, .drain) },
            Endpoint(.post, "/v1/queues/failure/requeue", .queueRepair) { call in try await repair(call, .requeue) },
            .instance(.get, "/api/queues/orphans", .orphanRead, listOrphans),
        ]
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        try query.finish()
        let report = broker?.report() ?? .off
        let waiting = try await failures.count(in: call.vault, matching: FailureFilter(), limit: 1).total
        return .json { writer in
            writer.object { writer in
                Self.write(report, to: &writer)
                writer.member("failures_waiting", waiting)
            }
        }
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        let limit = query.limit()
        let cursor = query.text("cursor")
        let filter = RepairRequest.filter(&query, at: clock.now())
        try query.finish()
        let found = try await failures.list(in: call.vault, matching: filter, after: cursor, limit: limit)
        guard let found else {
            throw PosternError.validation([JSONProblem(pointer: "?cursor", message: "is not a cursor of this list")])
        }
        return .list(found, limit: limit, cursor: \.cursor) { failure, writer in Self.write(failure, to: &writer) }
    }

    @Sendable private func listOrphans(_ call: PersonCall) async throws -> Response {
        var query = Query(call.request)
        let limit = query.limit()
        var before: OrphanID?
        if let cursor = query.text("cursor") {
            before = OrphanID(cursor)
            if before == nil { query.problem("is not a cursor of this list", "cursor") }
        }
        try query.finish()
        let found = try await orphans.list(before: before, limit: limit)
        return .list(found, limit: limit, cursor: \.id.text) { orphan, writer in Self.write(orphan, to: &writer) }
    }

    private func repair(_ call: Call, _ action: RepairRequest.Action) async throws -> Response {
        let now = clock.now()
        var query = Query(call.request)
        try query.finish()
        let (value, bytes) = try await call.document(upTo: 64 * 1024)
        let request = try RepairRequest(value, at: now)
        let found = try await failures.count(in: call.vault, matching: request.filter)
        var tally = RepairTally(action: action, isDryRun: request.isDryRun, matched: found.total, kinds: found.kinds)
        guard !request.isDryRun else { return .json(Array(tally.answer.utf8)) }
        let key = try call.request.headers[.idempotencyKey].map { text throws(PosternError) in
            RepairKey(
                try IdempotencyKey.checked(text),
                digest: Digest.sha256(Array("\(action.rawValue)\0".utf8) + Array(bytes.readableBytesView)),
                caller: call.caller, now: now, expiresAt: now.adding(seconds: 86_400))
        }
        let repair: FailureRepository.Repair =
            action == .drain ? .drain : .requeue(deadline: now.adding(seconds: lifetime))
        let event = event(action == .drain ? .drained : .retried, by: call)
        defer { if action == .requeue, tally.done > 0 { signal.announce() } }
        while true {
            let sofar = tally
            let outcome = try await failures.repair(
                repair, in: call.vault, matching: request.filter, limit: request.limit - tally.taken, event: event,
                idempotency: key, audit: call.audits(.queueRepair)
            ) { done, skipped in sofar.adding(done, skipped).answer }
            switch outcome {
            case .conflict:
                throw PosternError(.idempotencyConflict, "the idempotency key belongs to another call")
            case .replayed(let answer):
                var response = Response.json(Array(answer.utf8))
                response.headers[.idempotencyReplayed] = "true"
                return response
            case .done(let done, let skipped, let isLast):
                tally = tally.adding(done, skipped)
                guard isLast else { continue }
                call.context.logger.notice(
                    "failure backlog",
                    metadata: [
                        "action": "\(action.rawValue)", "done": "\(tally.done)", "caller": "\(call.caller.label)",
                        "caller_id": "\(call.caller.identity.id)", "vault": "\(call.vault)",
                        "request_id": "\(call.context.requestID)",
                    ])
                return .json(Array(tally.answer.utf8))
            }
        }
    }

    private func event(_ type: EventType, by call: Call) -> @Sendable () -> MessageEvent {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("by", call.caller.label)
            writer.member("caller_id", call.caller.identity.id)
        }
        let detail = Foreign(writer.text)
        return { [clock, ids] in MessageEvent(id: ids.next(), type: type, at: clock.now(), detail: detail) }
    }
}

extension QueueController {
    private static func write(_ report: BrokerReport, to writer: inout JSONWriter) {
        writer.member("status", report.status.rawValue)
        writer.member("detail", report.detail)
        writer.member("checked_at", report.checkedAt)
        writer.name("queues")
        writer.array { writer in
            for queue in report.queues { writer.object { writer in write(queue, to: &writer) } }
        }
        writer.name("connections")
        writer.array { writer in
            for connection in report.connections {
                writer.object { writer in
                    writer.member("name", connection.name)
                    writer.member("state", connection.state.rawValue)
                    writer.member("detail", connection.detail)
                }
            }
        }
    }

    private static func write(_ queue: QueueStatus, to writer: inout JSONWriter) {
        writer.member("role", queue.role.rawValue)
        writer.member("name", queue.name)
        writer.member("type", queue.type)
        writer.member("ready", queue.ready.json)
        writer.member("unacknowledged", queue.unacknowledged.json)
        writer.member("consumers", queue.consumers.json)
        writer.member("publish_rate", queue.publishRate.json)
        writer.member("consume_rate", queue.consumeRate.json)
        writer.member("health", queue.health.rawValue)
        writer.member("detail", queue.detail)
        writer.member("source", queue.source?.rawValue)
    }

    private static func write(_ failure: Failure, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("message", failure.message.text)
            writer.member("code", failure.code.json)
            writer.member("enhanced_code", failure.enhancedCode)
            writer.member("domain", failure.domain)
            writer.member("route", failure.route)
            writer.member("reason", failure.reason)
            writer.member("failed_at", failure.failedAt)
        }
    }

    private static func write(_ orphan: Orphan, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", orphan.id.text)
            writer.member("queue", orphan.queue)
            writer.member("reason", orphan.reason)
            writer.member("reference", orphan.reference)
            writer.member("recipient_domain", orphan.recipientDomain)
            writer.member("code", orphan.code.json)
            writer.member("received_at", orphan.receivedAt)
        }
    }
}

extension Int? {
    fileprivate var json: JSONValue { map { .integer(Int64($0)) } ?? .null }
}

extension Double? {
    fileprivate var json: JSONValue { map { .number($0) } ?? .null }
}
