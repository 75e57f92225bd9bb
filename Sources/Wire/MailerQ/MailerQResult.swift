// What MailerQ publishes of a message that it was given: read from any version's form, whatever is missing or odd.

import JSON

/// The queue that a result came from.
package enum MailerQResultQueue: String, Hashable, Sendable, CaseIterable {
    case success, failure, retry
}

package struct MailerQResult: Sendable {
    package let queue: MailerQResultQueue
    package let recipient: String?
    /// MAIL FROM.
    package let envelope: String?
    /// `nil` where there is none, or where what stands there is not well-formed.
    package let reference: MailerQReference?
    /// Oldest first; of more than ``MailerQLimits/attempts``, the last ones.
    package let attempts: [MailerQAttempt]
    /// When MailerQ tries again, as it says.
    package let nextAttempt: MailerQTime?
    package let verdict: MailerQVerdict

    package init(
        queue: MailerQResultQueue,
        recipient: String?,
        envelope: String? = nil,
        reference: MailerQReference?,
        attempts: [MailerQAttempt],
        nextAttempt: MailerQTime? = nil
    ) {
        self.queue = queue
        self.recipient = recipient
        self.envelope = envelope
        self.reference = reference
        self.attempts = attempts
        self.nextAttempt = nextAttempt
        verdict = MailerQVerdict(of: attempts.last, from: queue, nextAttempt: nextAttempt)
    }

    /// Reads one result.
    /// - Parameter bytes: the body, unpacked.
    /// - Throws: ``MailerQError`` `too_large`, `not_json` or `not_a_result`: nothing can be made of it, now or later.
    package static func parse(
        _ bytes: [UInt8],
        from queue: MailerQResultQueue,
        limits: MailerQLimits = .init()
    ) throws(MailerQError) -> MailerQResult {
        guard bytes.count <= limits.documentBytes else {
            throw MailerQError(.tooLarge, "a result of \(bytes.count) bytes; \(limits.documentBytes) are read")
        }
        guard let object = try document(bytes).objectValue else {
            throw MailerQError(.notAResult, "the document is not an object")
        }
        let reference = MailerQReference(object[MailerQReference.property])
        let recipient =
            object["recipient"]?.stringValue?.bounded(limits.wordBytes) ?? extractedRecipient(object, limits)
        let results = object["results"]
        guard reference != nil || recipient != nil || results?.arrayValue != nil else {
            throw MailerQError(.notAResult, "the object has no recipient, no results and no reference")
        }
        return MailerQResult(
            queue: queue, recipient: recipient, envelope: object["envelope"]?.stringValue?.bounded(limits.wordBytes),
            reference: reference, attempts: attempts(results, limits), nextAttempt: nextAttempt(object))
    }

    /// Strict first. A remote server's words may stand in the document byte for byte as they came, in no UTF-8 or with bare
    /// control characters; then they are mended, for a result that is given up leaves its message without an end.
    private static func document(_ bytes: [UInt8]) throws(MailerQError) -> JSONValue {
        if let value = try? JSONParser.parse(bytes) { return value }
        // A space is allowed wherever a control character is, and within strings as well.
        let mended = String(decoding: bytes, as: UTF8.self).utf8.map { $0 < 0x20 ? 0x20 : $0 }
        do throws(JSONError) {
            return try JSONParser.parse(mended)
        } catch {
            throw MailerQError(.notJSON, "at byte \(error.offset)")
        }
    }

    private static func attempts(_ results: JSONValue?, _ limits: MailerQLimits) -> [MailerQAttempt] {
        switch results {
        case .array(let elements):
            elements.indices.suffix(limits.attempts).map { index in
                MailerQAttempt(elements[index], index: index + 1, limits: limits)
            }
        case .object: [MailerQAttempt(results ?? .null, index: 1, limits: limits)]
        default: []
        }
    }

    /// `extracted.recipient` is `{"local","domain"}`.
    private static func extractedRecipient(_ object: JSONObject, _ limits: MailerQLimits) -> String? {
        guard let parts = object["extracted"]?.objectValue?["recipient"]?.objectValue,
            let local = parts["local"]?.stringValue, let domain = parts["domain"]?.stringValue
        else { return nil }
        return "\(local)@\(domain)".bounded(limits.wordBytes)
    }

    /// `nextattempt` is an object with the time in it; up to 5.3 it was `delayed`, a string.
    private static func nextAttempt(_ object: JSONObject) -> MailerQTime? {
        let text =
            object["nextattempt"]?.objectValue?["time"]?.stringValue ?? object["nextattempt"]?.stringValue
            ?? object["delayed"]?.stringValue
        return text.flatMap(MailerQTime.init)
    }
}
