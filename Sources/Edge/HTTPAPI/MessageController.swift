// The message log: searching it, reading a message and its story, stopping one, sending one again.

import Delivery
import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import NIOCore
import Outbox
import Store

struct MessageController: Sendable {
    let messages: MessageRepository
    let payloads: Payloads
    /// `nil` where this instance has nothing to do with MailerQ.
    let preview: MailerQPreview?
    let pipeline: SendPipeline
    let clock: any WallClock
    let ids: IdentifierGenerator

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/messages", .messageRead, list),
            Endpoint(.get, "/v1/messages/{id}", .messageRead, show),
            Endpoint(.get, "/v1/messages/{id}/events", .messageRead, events),
            Endpoint(.get, "/v1/messages/{id}/raw", .messageRead, raw),
            Endpoint(.get, "/v1/messages/{id}/mailerq", .messageRead, mailerq),
            Endpoint(.post, "/v1/messages/{id}/cancel", .messageCancel, cancel),
            Endpoint(.post, "/v1/messages/{id}/retry", .messageRetry, retry),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        var search = MessageQuery(limit: query.limit())
        search.caller = query.text("caller")
        search.callerPrefix = call.caller.labelPrefix
        search.recipient = query.text("recipient")
        search.since = query.time("since")
        search.until = query.time("until")
        search.text = query.text("q")
        if let text = query.text("status") {
            search.status = MessageStatus(rawValue: text)
            if search.status == nil {
                let known = MessageStatus.allCases.map(\.rawValue).joined(separator: ", ")
                query.problem("is none of \(known)", "status")
            }
        }
        if let cursor = query.text("cursor") {
            search.before = MessageID(cursor)
            if search.before == nil { query.problem("is not a cursor of this list", "cursor") }
        }
        try query.finish()
        let found = try await messages.search(search, in: call.vault)
        return .list(found, limit: search.limit, cursor: \.id.text) { message, writer in
            writer.object { writer in Self.write(message, to: &writer) }
        }
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        let id = try await id(call)
        guard let message = try await messages.find(id, in: call.vault),
            let payload = try await messages.payload(of: id, in: call.vault)
        else { throw Self.missing }
        // The envelope was written by us, as JSON, so it can stand in the answer as it is.
        let envelope: JSONValue =
            switch payload.format {
            case _ where message.isConfidential: .null
            case .envelope: try JSONParser.parse(payload.bytes)
            case .mime: try payload.envelopeJSON.map { try JSONParser.parse($0) } ?? .null
            }
        let metadata = try payload.metadata.map { try JSONParser.parse($0) } ?? .object(JSONObject())
        return .json { writer in
            writer.object { writer in
                Self.write(message, to: &writer)
                writer.member("metadata", metadata)
                writer.member("envelope", envelope)
            }
        }
    }

    @Sendable private func events(_ call: Call) async throws -> Response {
        let id = try await id(call)
        guard try await messages.find(id, in: call.vault) != nil else { throw Self.missing }
        let events = try await messages.events(of: id, in: call.vault)
        return .json { writer in
            writer.object { writer in
                writer.name("data")
                writer.array { writer in
                    for event in events { Self.write(event, to: &writer) }
                }
                writer.member("next_cursor", nil as String?)
            }
        }
    }

    /// What MailerQ would be given: what shadow mode kept from it, and what goes the next time.
    @Sendable private func mailerq(_ call: Call) async throws -> Response {
        let id = try await readable(call)
        guard let bytes = try await preview?.document(for: id, in: call.vault) else { throw Self.missing }
        return Response(
            status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    @Sendable private func raw(_ call: Call) async throws -> Response {
        let id = try await readable(call)
        guard let bytes = try await payloads.message(id, in: call.vault) else { throw Self.missing }
        return Response(
            status: .ok,
            headers: [
                .contentType: "message/rfc822", .contentDisposition: "attachment; filename=\"\(id).eml\"",
                .cacheControl: "no-store",
            ],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    @Sendable private func cancel(_ call: Call) async throws -> Response {
        let id = try await id(call)
        let event = event(.cancelled, by: call)
        guard
            let (message, moved) = try await messages.cancel(
                id, in: call.vault, event: event, audit: call.audits(.messageCancel))
        else {
            throw Self.missing
        }
        // Asking twice is no mistake: the message is stopped.
        guard moved || message.status == .cancelled else {
            let state =
                message.status.isFinal || message.status == .inFlight ? message.status.rawValue : "just being sent"
            throw PosternError(
                .conflict, "the message is \(state), and only what has not left can be cancelled",
                fix: "Read the message's status; what is in flight or has ended stays as it is.")
        }
        return Self.one(message)
    }

    @Sendable private func retry(_ call: Call) async throws -> Response {
        let id = try await id(call)
        let event = event(.retried, by: call)
        guard
            let (message, moved) = try await pipeline.retry(
                id, by: call.caller, event: event, audit: call.audits(.messageRetry))
        else {
            throw Self.missing
        }
        guard moved else {
            throw PosternError(
                .conflict, "the message is \(message.status.rawValue), and cannot be sent again",
                fix: "Only what is queued, bounced, failed, expired or cancelled can be; submit a new message instead.")
        }
        return Self.one(message)
    }

    /// The message that the path names, if the caller may see it.
    private func id(_ call: Call) async throws -> MessageID {
        let id = try call.id(MessageKind.self)
        guard call.caller.labelPrefix != nil else { return id }
        guard let message = try await messages.find(id, in: call.vault), call.caller.sees(label: message.callerLabel)
        else {
            throw Self.missing
        }
        return id
    }

    /// As `id`, for what shows the body.
    /// - Throws: `forbidden` for letters to people.
    private func readable(_ call: Call) async throws -> MessageID {
        let id = try await id(call)
        guard try await messages.find(id, in: call.vault)?.isConfidential != true else {
            throw PosternError(
                .forbidden, "the message is a letter to a person, which its recipient alone may read",
                fix: "Ask the recipient; the log says whether it arrived.")
        }
        return id
    }

    private func event(_ type: EventType, by call: Call) -> MessageEvent {
        var writer = JSONWriter()
        writer.object { writer in writer.member("by", call.caller.label) }
        return MessageEvent(id: ids.next(), type: type, at: clock.now(), detail: Foreign(writer.text))
    }

    private static let missing = PosternError(.notFound, "there is no such message in this vault")

    private static func one(_ message: Message) -> Response {
        .json { writer in writer.object { writer in write(message, to: &writer) } }
    }

    private static func write(_ message: Message, to writer: inout JSONWriter) {
        writer.member("id", message.id.text)
        writer.member("correlation_id", message.correlation.text)
        writer.member("vault", message.vault.text)
        writer.member("caller", message.callerLabel)
        writer.member("caller_id", message.callerID)
        writer.member("door", message.door.rawValue)
        writer.member("from", message.sender)
        writer.member("recipient", message.recipient)
        writer.member("subject", message.subject)
        writer.member("status", message.status.rawValue)
        writer.member("route", message.route.rawValue)
        writer.member("tags", message.tags)
        writer.member("size", message.size)
        writer.member("attempts", message.attempts)
        writer.member("last_reply", message.lastReply)
        writer.member("send_at", message.sendAt)
        writer.member("deadline_at", message.deadline)
        writer.member("created_at", message.createdAt)
        writer.member("updated_at", message.updatedAt)
    }

    private static func write(_ event: MessageEvent, to writer: inout JSONWriter) {
        // An event's detail was written by us; whatever foreign words stand in it are JSON strings.
        let detail = event.detail.flatMap { try? JSONParser.parse($0.asData()) } ?? .object(JSONObject())
        writer.object { writer in
            writer.member("id", event.id.text)
            writer.member("type", event.type.rawValue)
            writer.member("at", event.at)
            writer.member("attempt", event.attempt)
            writer.member("route", event.route?.rawValue)
            writer.member("detail", detail)
        }
    }
}
