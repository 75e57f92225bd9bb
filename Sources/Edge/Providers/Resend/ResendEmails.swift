// Resend's operations on an email that was handed in. To Resend an email is one thing, however many it goes to; here each
// recipient is a message, and an email is all of them: the id of any stands for it.

import JSON
import Mapping
import Model
import Outbox
import Store

enum ResendEmails {
    @Sendable
    static func show(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let messages = try await messages(request, caller, services)
        guard !messages.contains(where: \.isConfidential) else {
            throw PosternError(.forbidden, "the email is a letter to a person, which its recipient alone may read")
        }
        let payload = try await services.messages.payload(of: messages[0].id, in: caller.vault)
        let mime = try payload.flatMap { payload in
            switch payload.format {
            case .envelope: try JSONParser.parse(payload.bytes)
            case .mime: try payload.envelopeJSON.map { try JSONParser.parse($0) }
            }
        }?.objectValue?["mime"]?.objectValue
        // What happened last, to whichever of them.
        let latest = messages.max { $0.updatedAt < $1.updatedAt } ?? messages[0]
        return .json { writer in
            writer.object { writer in
                writer.member("object", "email")
                writer.member("id", request.parameters["id"])
                writer.member("to", messages.map(\.recipient))
                writer.member("from", Self.party(mime?["from"]) ?? messages[0].sender)
                writer.member("created_at", messages[0].createdAt.description)
                writer.member("subject", messages[0].subject?.asData())
                writer.member("html", Self.html(mime))
                writer.member("text", mime?["text"]?.stringValue)
                // Who was written to openly and who in secret stands in the message, not in the log.
                writer.member("cc", [String]())
                writer.member("bcc", [String]())
                writer.member("reply_to", [Self.party(mime?["replyto"])].compactMap { $0 })
                writer.member("last_event", Self.event(latest))
                writer.member("scheduled_at", messages[0].sendAt?.description)
            }
        }
    }

    @Sendable
    static func change(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        throw PosternError(
            .unsupportedFeature, "scheduled_at: the time of an email that was handed in cannot be changed here",
            fix: "Cancel the email, and send it anew with another time.")
    }

    /// Stops the copies that have not left; refused only where all have.
    @Sendable
    static func cancel(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        var isStopped = false
        let messages = try await messages(request, caller, services)
        for message in messages {
            var detail = JSONWriter()
            detail.object { $0.member("by", caller.label) }
            let event = MessageEvent(
                id: services.pipeline.ids.next(), type: .cancelled, at: services.clock.now(),
                detail: Foreign(detail.text))
            let result = try await services.messages.cancel(
                message.id, in: caller.vault, event: event,
                audit: services.audits(.messageCancel, by: caller, request))
            if let (after, moved) = result, moved || after.status == .cancelled { isStopped = true }
        }
        guard isStopped else {
            throw PosternError(
                .conflict, "the email is \(messages[0].status.rawValue), and only what has not left can be cancelled")
        }
        return .json { writer in
            writer.object { writer in
                writer.member("object", "email")
                writer.member("id", request.parameters["id"])
            }
        }
    }

    /// All messages of the email, in the order of its recipients; one of them was asked for.
    private static func messages(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> [Message] {
        let missing = PosternError(.notFound, "there is no such email in this vault")
        guard let id = request.parameters["id"].flatMap(MessageID.init),
            let message = try await services.messages.find(id, in: caller.vault),
            caller.sees(label: message.callerLabel)
        else { throw missing }
        var query = MessageQuery(limit: services.pipeline.configuration.limits.recipients)
        query.text = message.correlation.text
        let found = try await services.messages.search(query, in: caller.vault).sorted { $0.id < $1.id }
        return found.isEmpty ? [message] : found
    }

    private static func party(_ value: JSONValue?) -> String? {
        guard let party = value?.objectValue, let address = party["address"]?.stringValue else { return nil }
        guard let name = party["name"]?.stringValue, name != address else { return address }
        return "\(name) <\(address)>"
    }

    private static func html(_ mime: JSONObject?) -> String? {
        let blocks = mime?["content"]?.arrayValue?.compactMap { $0.objectValue?["content"]?.stringValue } ?? []
        return blocks.isEmpty ? nil : blocks.joined(separator: "\r\n")
    }

    /// Resend's word for where a message stands. Shadow mode keeps what it is given, which Resend calls queued.
    private static func event(_ message: Message) -> String {
        switch message.status {
        case .scheduled: "scheduled"
        case .queued: message.attempts > 0 ? "delivery_delayed" : "queued"
        case .inFlight: "sent"
        case .delivered: "delivered"
        case .bounced: "bounced"
        case .failed, .expired: "failed"
        case .captured: "queued"
        case .cancelled: "canceled"
        }
    }
}
