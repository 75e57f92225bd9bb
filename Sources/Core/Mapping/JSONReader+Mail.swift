// Reads the values that several dialects share: addresses, headers, tags.

import JSON
import MIME
import Model

extension JSONReader {
    mutating func address(_ name: String) -> EmailAddress? {
        guard let text = string(name) else { return nil }
        do throws(MIMEError) {
            return try EmailAddress(parsing: text)
        } catch {
            problem("is not an email address: \(error.message)", at: name)
            return nil
        }
    }

    /// `"a@b.c"` or `"Name <a@b.c>"`.
    mutating func mailbox(_ name: String) -> Mailbox? {
        guard let text = string(name) else { return nil }
        do throws(MIMEError) {
            return try AddressList.parseMailbox(text).writable()
        } catch {
            problem("is not an address: \(error.message)", at: name)
            return nil
        }
    }

    /// One address list as text, or an array of mailboxes.
    mutating func mailboxes(_ name: String) -> [Sourced<Mailbox>] {
        guard let value = value(name) else { return [] }
        let texts: [String?]
        switch value {
        case .string(let text): texts = [text]
        case .array(let elements): texts = elements.map(\.stringValue)
        default:
            problem("expected a string or an array of strings, found \(value.kind)", at: name)
            return []
        }
        var mailboxes: [Sourced<Mailbox>] = []
        for (index, text) in texts.enumerated() {
            let place = JSONProblem.place(pointer(to: name), index, isArray: value.arrayValue != nil)
            guard let text else {
                adopt([JSONProblem(pointer: place, message: "expected a string")])
                continue
            }
            do throws(MIMEError) {
                for mailbox in try AddressList.parse(text).mailboxes {
                    mailboxes.append(Sourced(try mailbox.writable(), at: place))
                }
            } catch {
                adopt([JSONProblem(pointer: place, message: "is not an address: \(error.message)")])
            }
        }
        return mailboxes
    }

    /// Header fields that a caller may add: any but those that Postern writes itself.
    mutating func headers(_ name: String, limit: Int) -> [Envelope.Header] {
        guard let object = object(name) else { return [] }
        guard object.members.count <= limit else {
            problem("must not hold more than \(limit) fields", at: name)
            return []
        }
        var headers: [Envelope.Header] = []
        for member in object.members {
            let place = "\(pointer(to: name))/\(JSONReader.escape(member.name))"
            guard let value = member.value.stringValue else {
                adopt([JSONProblem(pointer: place, message: "expected a string, found \(member.value.kind)")])
                continue
            }
            do throws(MIMEError) {
                let field = try HeaderField(name: member.name, value: value)
                guard !MIMEBuilder.isReserved(field.name) else {
                    adopt([JSONProblem(pointer: place, message: "is written by Postern and cannot be given here")])
                    continue
                }
                headers.append(Envelope.Header(name: member.name, value: value))
            } catch {
                adopt([JSONProblem(pointer: place, message: error.message)])
            }
        }
        return headers
    }

    mutating func tags(_ name: String, _ limits: MappingLimits) -> [String]? {
        guard let tags = strings(name) else { return nil }
        if tags.count > limits.tags { problem("must not hold more than \(limits.tags) tags", at: name) }
        for (index, tag) in tags.enumerated()
        where tag.isEmpty || tag.utf8.count > limits.tagBytes || tag.hasControlCharacters {
            let message = "a tag has 1 to \(limits.tagBytes) bytes and no control characters"
            adopt([JSONProblem(pointer: "\(pointer(to: name))/\(index)", message: message)])
        }
        return tags
    }

    /// A text of one header line, such as a subject or a name.
    mutating func headerText(_ name: String) -> String? {
        guard let text = string(name) else { return nil }
        guard !text.hasControlCharacters else {
            problem("must not hold line ends or other control characters", at: name)
            return nil
        }
        guard text.utf8.count <= 4096 else {
            problem("must not be longer than 4,096 bytes", at: name)
            return nil
        }
        return text
    }
}

extension String {
    /// C0, DEL and C1: nothing that a line of text needs, and what injections are made of. A tab is white space.
    var hasControlCharacters: Bool {
        unicodeScalars.contains { ($0.value < 0x20 && $0 != "\t") || (0x7F..<0xA0).contains($0.value) }
    }
}

extension JSONProblem {
    fileprivate static func place(_ pointer: String, _ index: Int, isArray: Bool) -> String {
        isArray ? "\(pointer)/\(index)" : pointer
    }
}
