// Sending a message again because somebody asks for it. Whoever asks passes what they would pass with a new message: else a
// caller could send by another's message what it may not send itself.

import Gate
import JSON
import MIME
import Mapping
package import Model
import Policy
import Rates
package import Store
import Vaults

extension SendPipeline {
    /// - Returns: the message afterwards and whether it was put into the outbox; `nil` when there is none of this id.
    /// - Throws: `forbidden`, what policy has to say, `rate_limited`. Nothing moved then.
    package func retry(
        _ id: Model.MessageID,
        by caller: Caller,
        event: MessageEvent,
        audit: @escaping AuditMaker
    ) async throws(PosternError) -> (message: Message, moved: Bool)? {
        do {
            try await admit(caller, .messageRetry)
            guard let message = try await messages.find(id, in: caller.vault),
                let payload = try await messages.payload(of: id, in: caller.vault)
            else { return nil }
            // A person sends again what a caller with the scope for the route handed in.
            if caller.person == nil {
                try authorize(caller, message.route, try await vaults.standing(of: caller.vault))
            }
            let envelope = try Self.envelope(of: message, payload.format, payload.bytes, payload.envelopeJSON)
            let settings = try await vaults.snapshot(of: caller.vault).settings
            try policy.judge([envelope], PolicyContext(caller: caller, settings: settings))
            // A person's second try is no runaway: the limits alone hold it.
            let charges = RateRules.charges(caller: caller, settings: settings, recipients: [envelope.recipient])
            let grant = charges.isEmpty ? nil : try await limiter.take(charges, in: caller.vault)
            do {
                let deadline = clock.now().adding(seconds: configuration.lifetime)
                let result = try await messages.retry(
                    id, in: caller.vault, event: event, deadline: deadline, audit: audit)
                if let grant, result?.moved != true { limiter.giveBack(grant) }
                if result?.moved == true { signal.announce() }
                return result
            } catch {
                if let grant { limiter.giveBack(grant) }
                throw error
            }
        } catch {
            throw PosternError(describing: error)
        }
    }

    /// What policy looks at; a finished message's bytes stay where they are.
    private static func envelope(
        of message: Message,
        _ format: Acceptance.PayloadFormat,
        _ bytes: [UInt8],
        _ json: String?
    ) throws -> Envelope {
        guard format == .mime else { return try CanonicalDialect.stored(bytes) }
        let document = try json.map { try JSONParser.parse($0) }?.objectValue
        guard let from = document?["mime"]?.objectValue?["from"]?.objectValue?["address"]?.stringValue,
            let priority = document?["priority"]?.integerValue
        else { throw PosternError(.internalError, "a stored envelope is not complete") }
        let author = Envelope.Party(name: from, address: try EmailAddress(parsing: from))
        return Envelope(
            recipient: try EmailAddress(parsing: message.recipient), sender: try EmailAddress(parsing: message.sender),
            priority: Int(priority),
            content: Envelope.Content(
                from: author, replyTo: author, subject: nil, body: .raw(Envelope.RawMessage([]))))
    }
}
