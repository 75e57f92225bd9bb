// What a caller handed in, in its own dialect, and what it is told when that is safe.

package import Dialects
package import JSON
package import Mapping
package import Model

package enum Submission: Sendable {
    case canonical(JSONValue)
    case simple(JSONValue)
    case mime(RawSubmission)
    /// In the tongue of another tool or provider.
    case native(Dialect, NativePayload)
}

/// What makes two submissions the same one.
package struct IdempotencyKey: Sendable {
    /// At most 256 characters.
    package let key: String
    /// SHA-256 over the dialect and the body as it came.
    package let digest: [UInt8]

    package init(key: String, digest: [UInt8]) {
        self.key = key
        self.digest = digest
    }

    /// - Throws: `validation_failed` unless the key has 1 to 256 characters, none of them a control character.
    package static func checked(_ key: String) throws(PosternError) -> String {
        guard (1...256).contains(key.unicodeScalars.count),
            !key.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
        else {
            throw PosternError(
                .validationFailed, "an idempotency key has 1 to 256 printable characters",
                fix: "Send a shorter Idempotency-Key, such as a UUID.")
        }
        return key
    }
}

/// The durable yes.
package struct Receipt: Sendable {
    package struct Entry: Sendable {
        package let id: MessageID
        package let recipient: String
        package let status: MessageStatus
        /// What the copies of one message have in common.
        package let correlation: CorrelationID
    }

    /// One a recipient, in the order of the messages and of their recipients; at least one.
    package let entries: [Entry]
    /// Whether this is the answer to an earlier submission with the same key.
    package var isReplay = false
    /// What is left of the limit that is nearest to its end.
    package var rate: RateStatus?

    package init(entries: [Entry]) {
        precondition(!entries.isEmpty, "a receipt is for at least one message")
        self.entries = entries
    }

    package var correlation: CorrelationID { entries[0].correlation }

    /// The entries message by message.
    package var parts: [[Entry]] {
        var parts: [[Entry]] = []
        for entry in entries {
            if parts.last?.first?.correlation == entry.correlation {
                parts[parts.count - 1].append(entry)
            } else {
                parts.append([entry])
            }
        }
        return parts
    }

    /// `{"id","status","correlation_id","messages":[{"id","recipient","status"}]}`; `id` is the first message's. Where a payload
    /// held several messages, each of `messages` has its own `correlation_id`.
    package var json: [UInt8] {
        let hasSeveral = entries.contains { $0.correlation != correlation }
        var writer = JSONWriter(capacity: 128 + entries.count * 96)
        writer.object { writer in
            writer.member("id", entries[0].id.text)
            writer.member("status", entries[0].status.rawValue)
            writer.member("correlation_id", correlation.text)
            writer.name("messages")
            writer.array { writer in
                for entry in entries {
                    writer.object { writer in
                        writer.member("id", entry.id.text)
                        writer.member("recipient", entry.recipient)
                        writer.member("status", entry.status.rawValue)
                        if hasSeveral { writer.member("correlation_id", entry.correlation.text) }
                    }
                }
            }
        }
        return writer.bytes
    }

    /// Reads an answer that was kept for a repeat.
    /// - Throws: `internal_error` when it is not one.
    init(replaying answer: String) throws(PosternError) {
        guard let document = (try? JSONParser.parse(answer))?.objectValue,
            let correlation = document["correlation_id"]?.stringValue, let messages = document["messages"]?.arrayValue
        else { throw PosternError(.internalError, "a kept answer cannot be read") }
        entries = messages.compactMap { message in
            guard let message = message.objectValue, let id = message["id"]?.stringValue,
                let recipient = message["recipient"]?.stringValue,
                let status = message["status"]?.stringValue.flatMap(MessageStatus.init(rawValue:))
            else { return nil }
            return Entry(
                id: MessageID(stored: id), recipient: recipient, status: status,
                correlation: CorrelationID(stored: message["correlation_id"]?.stringValue ?? correlation))
        }
        guard !entries.isEmpty else { throw PosternError(.internalError, "a kept answer names no message") }
        isReplay = true
    }
}
