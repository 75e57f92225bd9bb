// Mailgun's recipient variables: `%recipient.name%` in subject, bodies, header fields and custom data.

import JSON
import MIME
import Mapping
import Model

/// The field `recipient-variables`: for each address an object of variables.
struct MailgunRecipientVariables {
    static let field = "recipient-variables"

    private var byAddress: [String: [String: String]] = [:]

    /// `{}` is the same as nothing.
    var isEmpty: Bool { byAddress.isEmpty }

    init(_ reader: inout MailgunReader) {
        guard let text = reader.text(Self.field) else { return }
        guard let document = try? JSONParser.parse(text.value), let object = document.objectValue else {
            reader.problems.invalid("is not a JSON object", at: Self.field)
            return
        }
        for member in object.members {
            guard let address = NativeText.address(member.name, at: Self.field, &reader.problems) else { continue }
            guard let variables = Self.variables(member.value) else {
                reader.problems.invalid("must hold an object of texts and numbers for each address", at: Self.field)
                return
            }
            byAddress[address.comparisonKey] = variables
        }
    }

    /// What one recipient's message says; an address without an entry has none.
    func values(of recipient: Sourced<Mailbox>) -> [String: String] {
        byAddress[recipient.value.address.comparisonKey] ?? [:]
    }

    private static func variables(_ value: JSONValue) -> [String: String]? {
        guard let object = value.objectValue else { return nil }
        var variables: [String: String] = [:]
        for member in object.members {
            switch member.value {
            case .string(let text): variables[member.name] = text
            case .integer(let number): variables[member.name] = String(number)
            default: return nil
            }
        }
        return variables
    }
}

enum MailgunPlaceholders {
    /// Mailgun's own, about its unsubscribe pages and the recipient's parts.
    private static let others: Set<String> = [
        "recipient", "recipient_email", "recipient_name", "recipient_fname", "recipient_lname", "unsubscribe_url",
        "unsubscribe_email", "mailing_list_unsubscribe_url", "tag_unsubscribe_url", "tag_unsubscribe_email",
    ]
    /// Bytes between two percent signs that can be a name.
    private static let nameLimit = 256

    /// The text with `%recipient.name%` replaced, in one pass: what a value holds is not looked at again. A variable that
    /// the recipient does not have is a problem, so that nobody reads a placeholder.
    /// - Parameter variables: `nil` where there are none, and `%recipient.…%` is text as any other.
    static func replace(
        in text: Sourced<String>,
        _ variables: [String: String]?,
        _ reader: inout MailgunReader
    ) -> Sourced<String> {
        let bytes = Array(text.value.utf8)
        var result: [UInt8] = []
        var copied = 0
        var index = 0
        var named: Set<String> = []
        while let start = bytes[index...].firstIndex(of: UInt8(ascii: "%")) {
            let window = bytes[(start + 1)...].prefix(nameLimit)
            guard let end = window.firstIndex(where: { $0 == UInt8(ascii: "%") || $0 < 0x20 }),
                bytes[end] == UInt8(ascii: "%")
            else {
                index = start + 1
                continue
            }
            let name = String(decoding: bytes[(start + 1)..<end], as: UTF8.self)
            // The second sign may be the first one of the next name.
            index = end
            if others.contains(name) {
                guard named.insert(name).inserted else { continue }
                reader.problems.unsupported("%\(name)% is not replaced here", at: text.at)
            } else if let variables, name.hasPrefix("recipient.") {
                guard let value = variables[String(name.dropFirst("recipient.".count))] else {
                    reader.problems.invalid(
                        "holds %\(name)%, which recipient-variables does not give for every recipient", at: text.at)
                    return text
                }
                reader.budget -= start - copied + value.utf8.count
                // The whole payload is refused then.
                guard reader.budget > 0 else { return text }
                result += bytes[copied..<start]
                result += value.utf8
                (copied, index) = (end + 1, end + 1)
            }
        }
        guard copied > 0 else { return text }
        reader.budget -= bytes.count - copied
        result += bytes[copied...]
        return Sourced(String(decoding: result, as: UTF8.self), at: text.at)
    }
}
