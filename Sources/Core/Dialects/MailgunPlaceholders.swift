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

/// A text and the places in it for `%recipient.name%`: found once, and filled for as many recipients as there are.
struct MailgunTemplate {
    let text: Sourced<String>
    /// Empty where there is nothing to fill in.
    private var bytes: [UInt8] = []
    private var places: [(range: Range<Int>, variable: Int)] = []
    /// Each once, as `recipient.name`.
    private var variables: [String] = []

    /// Mailgun's own, about its unsubscribe pages and the recipient's parts.
    private static let others: Set<String> = [
        "recipient", "recipient_email", "recipient_name", "recipient_fname", "recipient_lname", "unsubscribe_url",
        "unsubscribe_email", "mailing_list_unsubscribe_url", "tag_unsubscribe_url", "tag_unsubscribe_email",
    ]
    private static let prefix = "recipient."
    /// Bytes between two percent signs that can be a name.
    private static let nameLimit = 256

    /// - Parameter hasVariables: where there are none, `%recipient.…%` is text as any other.
    init(_ text: Sourced<String>, hasVariables: Bool, _ problems: inout NativeProblems) {
        self.text = text
        let bytes = Array(text.value.utf8)
        var index = 0
        var refused: Set<String> = []
        var numbers: [String: Int] = [:]
        while let start = bytes[index...].firstIndex(of: UInt8(ascii: "%")) {
            let window = bytes[(start + 1)...].prefix(Self.nameLimit)
            guard let end = window.firstIndex(where: { $0 == UInt8(ascii: "%") || $0 < 0x20 }),
                bytes[end] == UInt8(ascii: "%")
            else {
                index = start + 1
                continue
            }
            let name = String(decoding: bytes[(start + 1)..<end], as: UTF8.self)
            // The second sign may be the first one of the next name.
            index = end
            if Self.others.contains(name) {
                guard refused.insert(name).inserted else { continue }
                problems.unsupported("%\(name)% is not replaced here", at: text.at)
            } else if hasVariables, name.hasPrefix(Self.prefix) {
                let number = numbers[name] ?? variables.count
                if number == variables.count {
                    numbers[name] = number
                    variables.append(name)
                }
                places.append((start..<(end + 1), number))
                index = end + 1
            }
        }
        if !places.isEmpty { self.bytes = bytes }
    }

    /// The text for one recipient; what a value holds is not looked at again. A variable that the recipient does not have
    /// is a problem, so that nobody reads a placeholder.
    /// - Parameter values: `nil` where the text is not one of a batch, and costs nothing.
    func filled(_ values: [String: String]?, _ reader: inout MailgunReader) -> Sourced<String> {
        guard let values else { return text }
        // Also what stays as it is, is looked at for every recipient: as a header field, and when the message is made.
        reader.budget -= text.value.utf8.count
        // The whole payload is refused then.
        guard !places.isEmpty, reader.budget > 0 else { return text }
        var own: [String.UTF8View] = []
        for variable in variables {
            guard let value = values[String(variable.dropFirst(Self.prefix.count))] else {
                reader.problems.invalid(
                    "holds %\(variable)%, which recipient-variables does not give for every recipient", at: text.at)
                return text
            }
            own.append(value.utf8)
        }
        reader.budget -= places.reduce(0) { $0 + own[$1.variable].count }
        guard reader.budget > 0 else { return text }
        var result: [UInt8] = []
        var copied = 0
        for place in places {
            result += bytes[copied..<place.range.lowerBound]
            result += own[place.variable]
            copied = place.range.upperBound
        }
        result += bytes[copied...]
        return Sourced(String(decoding: result, as: UTF8.self), at: text.at)
    }
}
