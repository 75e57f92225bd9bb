// One message of a payload in another tongue, in our terms, each value with the place where it stood. What a dialect reads;
// how it becomes envelopes is the same for all of them.

package import Forms
package import JSON
package import MIME
package import Model

/// A payload as it came: a JSON document, or a form's fields.
package enum NativePayload: Sendable {
    case json(JSONValue)
    case form(Form)
}

/// A value and where it stood: a JSON pointer such as `/to/0`, or a form field's name such as `h:Reply-To`.
package struct Sourced<Value: Sendable>: Sendable {
    package var value: Value
    package var at: String

    package init(_ value: Value, at: String) {
        self.value = value
        self.at = at
    }
}

package struct NativeMessage: Sendable {
    package var from: Sourced<Mailbox>?
    /// Where the author's name stood, if not beside the address.
    package var fromNameAt: String?
    package var to: [Sourced<Mailbox>] = []
    package var cc: [Sourced<Mailbox>] = []
    package var bcc: [Sourced<Mailbox>] = []
    package var replyTo: [Sourced<Mailbox>] = []
    package var subject: Sourced<String>?
    package var text: Sourced<String>?
    package var html: Sourced<String>?
    package var attachments: [Sourced<MessageBuilder.Attachment>] = [] {
        didSet { hasCheckedAttachments = false }
    }
    /// Whether nothing is wrong with the files that was not told already.
    package internal(set) var hasCheckedAttachments = false
    package var headers: [Sourced<Envelope.Header>] = []
    /// Envelope MAIL FROM; `nil` takes the vault's `default_envelope_strategy`.
    package var sender: Sourced<EmailAddress>?
    /// Envelope RCPT TO of a finished message; empty takes its header's.
    package var envelopeRecipients: [Sourced<EmailAddress>] = []
    package var priority: Sourced<Int>?
    /// Sending addresses; `nil` takes the pool.
    package var ips: Sourced<[String]>?
    /// Name of an IP pool of the vault.
    package var pool: Sourced<String>?
    package var tags: Sourced<[String]>?
    package var campaignID: Sourced<String>?
    package var tracking: Sourced<Envelope.Tracking>?
    package var metadata: [String: String] = [:]
    /// Where the metadata stands, where it stands in one place.
    package var metadataAt = ""
    package var sendAt: Sourced<Timestamp>?
    /// Without angle brackets; `nil` makes one of the submission's id.
    package var messageID: Sourced<String>?
    /// A finished RFC 5322 message; then everything from `from` to `headers` stands in it.
    package var raw: Sourced<[UInt8]>?

    package init() {}

    /// Recipients as they were given, some of them perhaps twice; those of a finished message's header are not known yet.
    package var recipientCount: Int { to.count + cc.count + bcc.count + envelopeRecipients.count }
}

/// What is wrong with a payload: what is not valid, and what Postern does not do.
package struct NativeProblems: Sendable {
    package var invalid: [JSONProblem] = []
    package private(set) var unsupported: [JSONProblem] = []

    package init() {}

    package mutating func invalid(_ message: String, at place: String) {
        invalid.append(JSONProblem(pointer: place, message: message))
    }

    /// - Parameter feature: a sentence about the feature: `templates are not rendered here`.
    package mutating func unsupported(_ feature: String, at place: String) {
        unsupported.append(JSONProblem(pointer: place, message: feature))
    }

    /// - Throws: `validation_failed` with all problems, or `unsupported_feature` where every value is valid but not all can be
    ///   done.
    package func check() throws(PosternError) {
        if !invalid.isEmpty { throw .validation(invalid + unsupported) }
        guard let first = unsupported.first else { return }
        let more = unsupported.count > 1 ? " (and \(unsupported.count - 1) more)" : ""
        throw PosternError(
            .unsupportedFeature, "\(first.pointer): \(first.message)\(more)", problems: Array(unsupported.prefix(50)))
    }
}

/// A payload format that some tool or provider made known.
package protocol NativeDialect: Sendable {
    /// As in `/v1/send/{dialect}`.
    static var name: String { get }

    /// The messages of a payload, in its order; at least one.
    /// - Throws: `validation_failed` with every problem, or `unsupported_feature`.
    static func read(_ payload: NativePayload, _ context: MappingContext) throws(PosternError) -> [NativeMessage]
}
