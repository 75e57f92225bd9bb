// Mailgun's form: what `POST /v3/<domain>/messages` takes, and `…/messages.mime` with a finished message in `message`.
// With recipient variables it is one message for each address in `to`.

package import Forms
import JSON
import MIME
package import Mapping
package import Model

package enum MailgunDialect: NativeDialect {
    package static let name = "mailgun"

    package static func read(
        _ payload: NativePayload,
        _ context: MappingContext
    ) throws(PosternError) -> [NativeMessage] {
        guard case .form(let form) = payload else {
            throw PosternError(.unsupportedMediaType, "Mailgun's payload is a form, not JSON")
        }
        var reader = MailgunReader(form, budget: [NativeMessage].byteLimit(context))
        let isFinished = !form.values("message").isEmpty
        let variables = MailgunRecipientVariables(&reader)
        let options = MailgunOptions(&reader)
        var messages: [NativeMessage] = []
        if isFinished {
            messages = [MailgunContent.finished(&reader, variables, context.limits)]
        } else if variables.isEmpty {
            messages = [MailgunContent.message(&reader, context.limits)]
        } else {
            messages = try MailgunContent.batch(&reader, variables, context.limits)
        }
        if reader.budget <= 0 { throw [NativeMessage].tooLarge(context) }
        reader.finish()
        try reader.problems.check()
        try messages.checkBytes(context)
        for index in messages.indices { options.apply(to: &messages[index]) }
        return messages
    }

    /// The Message-ID of a form's first message, without angle brackets: what Mailgun answers with.
    /// - Parameter correlation: of that message, which gives the id where the form gives none.
    package static func messageID(of form: Form, correlation: CorrelationID) -> String? {
        if let raw = MailgunContent.raw(form), let header = try? HeaderBlock.parse(raw) {
            if let id = header.decodedText("message-id") { return id.trimmingAngles }
            guard let from = try? header.addresses("from").mailboxes.first else { return nil }
            return MessageBuilder.messageID(correlation, from: from.address)
        }
        let own = form.names.first { $0.lowercased() == "h:message-id" }
        if let own, let text = form.text(own), !text.isEmpty { return text.trimmingAngles }
        guard let from = form.text("from").flatMap({ try? AddressList.parseMailbox($0) }) else { return nil }
        return MessageBuilder.messageID(correlation, from: from.address)
    }
}

extension String {
    fileprivate var trimmingAngles: String { hasPrefix("<") && hasSuffix(">") ? String(dropFirst().dropLast()) : self }
}

/// Reads the fields of a form by name; one that nobody asked for is a problem.
struct MailgunReader {
    let form: Form
    var problems = NativeProblems()
    /// Bytes that the texts of all messages may still have.
    var budget: Int
    private var known: Set<String> = []

    init(_ form: Form, budget: Int) {
        self.form = form
        self.budget = budget
    }

    /// Names that begin with a prefix, such as `h:`.
    func names(with prefix: String) -> [String] { form.names.filter { $0.utf8.starts(with: prefix.utf8) } }

    /// The same, unless there are too many: more of them are one problem, and none is read.
    mutating func fields(with prefix: String, atMost most: Int, _ problem: String) -> [String] {
        let names = names(with: prefix)
        guard names.count > most else { return names }
        problems.invalid(problem, at: names[most])
        known.formUnion(names)
        return []
    }

    /// The texts of a field that may stand several times.
    mutating func texts(_ name: String) -> [Sourced<String>] {
        known.insert(name)
        var texts: [Sourced<String>] = []
        for value in form.values(name) {
            switch value {
            case .text(let text): texts.append(Sourced(text, at: name))
            case .file: problems.invalid("must be a text, not a file", at: name)
            }
        }
        return texts
    }

    /// The text of a field that stands once; an empty one is none.
    mutating func text(_ name: String) -> Sourced<String>? {
        let texts = texts(name)
        if texts.count > 1 { problems.invalid("stands several times", at: name) }
        return texts.first.flatMap { $0.value.isEmpty ? nil : $0 }
    }

    mutating func files(_ name: String) -> [FormFile] {
        known.insert(name)
        let files = form.files(name)
        if files.count < form.values(name).count { problems.invalid("must be a file, not a text", at: name) }
        return files
    }

    mutating func mailboxes(_ name: String) -> [Sourced<Mailbox>] {
        texts(name).flatMap { NativeText.mailboxes($0.value, at: name, &problems) }
    }

    /// Any value of a field that is known, but read elsewhere or not at all.
    mutating func accept(_ name: String) { known.insert(name) }

    /// For a form whose other problems are enough.
    mutating func acceptAll() { known.formUnion(form.names) }

    mutating func refuse(_ name: String, _ feature: String, unless neutral: Set<String> = []) {
        known.insert(name)
        for value in form.values(name) {
            if case .text(let text) = value, text.isEmpty || neutral.contains(text.lowercased()) { continue }
            return problems.unsupported(feature, at: name)
        }
    }

    mutating func finish() {
        for name in form.names where !known.contains(name) {
            problems.invalid("unknown field", at: name)
        }
    }
}
