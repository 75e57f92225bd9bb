// A message given in fields: the body of POST /v1/messages.

import ArgumentParser
import JSON
import MIME

extension SendCommand {
    func validateFields() throws {
        guard from != nil else { throw ValidationError("--from is missing.") }
        guard !(to + cc + bcc).isEmpty else { throw ValidationError("Name a recipient with --to, --cc or --bcc.") }
        guard text != nil || html != nil else {
            throw ValidationError("Give --text or --html; - reads standard input.")
        }
        guard text != "-" || html != "-" else { throw ValidationError("Only one of --text and --html can be -.") }
        _ = try headerFields()
    }

    func fieldsRequest(_ terminal: Terminal) throws -> APIRequest {
        var body = JSONObject()
        body.give("from", from)
        body.give("to", to)
        body.give("cc", cc)
        body.give("bcc", bcc)
        body.give("reply_to", replyTo)
        body.give("subject", subject)
        body.give("text", try content(text, terminal))
        body.give("html", try content(html, terminal))
        if !attach.isEmpty { body["attachments"] = .array(try attach.map(attachment)) }
        let fields = try headerFields()
        if !fields.members.isEmpty { body["headers"] = .object(fields) }
        body.give("tags", tag)
        body.give("send_at", sendAt)
        return APIRequest(.post, "messages", json: body)
    }

    private func content(_ option: String?, _ terminal: Terminal) throws -> String? {
        guard option == "-" else { return option }
        do throws(FileFailure) {
            guard let text = String(validating: try terminal.input(), as: UTF8.self) else {
                throw FileFailure(description: "standard input is not UTF-8")
            }
            return text
        } catch {
            throw ValidationError(error.description)
        }
    }

    private func attachment(_ path: String) throws -> JSONValue {
        do throws(FileFailure) {
            let bytes = try FileBytes.read(path)
            let name = path.split(separator: "/").last.map { String($0) } ?? path
            return .object(
                JSONObject([
                    "filename": .string(name), "content_type": .string(ContentTypeGuess.type(of: name)),
                    "content": .string(String(decoding: Base64.encode(bytes), as: UTF8.self)),
                ]))
        } catch {
            throw ValidationError(error.description)
        }
    }

    /// `Name: value`. A JSON object holds each name once, and so do the fields that a caller may sensibly add.
    private func headerFields() throws -> JSONObject {
        var fields = JSONObject()
        for field in header {
            guard let colon = field.firstIndex(of: ":"), colon > field.startIndex else {
                throw ValidationError("--header '\(Visible.text(field))' is not written as 'Name: value'.")
            }
            let name = field[..<colon].trimmed
            guard !fields.members.contains(where: { $0.name.lowercased() == name.lowercased() }) else {
                throw ValidationError("--header \(Visible.text(name)) is given twice.")
            }
            fields[name] = .string(field[field.index(after: colon)...].trimmed)
        }
        return fields
    }
}
