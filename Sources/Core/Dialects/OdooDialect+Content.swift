// Odoo's headers, which are an object or the text of a Python dictionary, and its files.

import JSON
import MIME
import Mapping

extension OdooDialect {
    static func headers(_ record: inout OdooRecord, _ message: inout NativeMessage, _ problems: inout NativeProblems) {
        if let references = record.text("references"),
            let header = NativeText.header(
                name: "References", value: references.value, at: references.at, &problems)
        {
            message.headers.append(header)
        }
        guard let value = record.value("headers") else { return }
        let place = record.pointer(to: "headers")
        switch value {
        case .object(let object):
            for member in object.members {
                header(
                    member.name, member.value, at: "\(place)/\(JSONReader.escape(member.name))", &message, &problems)
            }
        case .string(let text):
            guard text.contains(where: { !$0.isWhitespace }) else { return }
            do throws(OdooPythonLiteral.Failure) {
                guard let object = try OdooPythonLiteral.parse(text).objectValue else {
                    problems.invalid("is not the text of a Python dictionary", at: place)
                    return
                }
                for member in object.members { header(member.name, member.value, at: place, &message, &problems) }
            } catch {
                problems.invalid(
                    "is not the text of a Python dictionary: \(error.message) at byte \(error.offset)", at: place)
            }
        default: problems.invalid("expected an object, a text or false, found \(value.kind)", at: place)
        }
    }

    private static func header(
        _ name: String,
        _ value: JSONValue,
        at place: String,
        _ message: inout NativeMessage,
        _ problems: inout NativeProblems
    ) {
        let text: String
        switch value {
        case .null, .bool(false): return
        case .string(let value): text = value
        case .integer(let value): text = String(value)
        default:
            problems.invalid("the header \(name.prefix(64)) is \(value.kind), not a text", at: place)
            return
        }
        switch name.lowercased() {
        // Odoo takes the envelope's sender from here (ir.mail_server).
        case "return-path":
            let bare = text.hasPrefix("<") && text.hasSuffix(">") ? String(text.dropFirst().dropLast()) : text
            message.sender = NativeText.address(bare, at: place, &problems).map { Sourced($0, at: place) }
        case "message-id": message.messageID = messageID(Sourced(text, at: place), &problems)
        default:
            if let header = NativeText.header(name: name, value: text, at: place, &problems) {
                message.headers.append(header)
            }
        }
    }

    /// Records of ir.attachment with their content, under either name; also `[name, base64]`, as templates make them.
    static func attachments(
        _ record: inout OdooRecord,
        _ problems: inout NativeProblems
    ) -> [Sourced<MessageBuilder.Attachment>] {
        var attachments: [Sourced<MessageBuilder.Attachment>] = []
        for related in record.many("attachments") + record.many("attachment_ids") {
            switch related {
            case .id(let place):
                problems.unsupported(
                    "files are records that only Odoo knows: send their name, datas and mimetype", at: place)
            case .values(.array(let pair), let place):
                guard pair.count == 2, let name = pair[0].stringValue, let datas = pair[1].stringValue else {
                    problems.invalid("expected a file's name and its content in base64", at: place)
                    continue
                }
                guard let bytes = NativeText.base64(datas, at: "\(place)/1", &problems) else { continue }
                attachments.append(file(name, nil, bytes, at: place))
            case .values(let value, let place):
                if let file = attachment(OdooRecord(value, pointer: place), &problems) { attachments.append(file) }
            }
        }
        return attachments
    }

    private static func attachment(
        _ values: OdooRecord,
        _ problems: inout NativeProblems
    ) -> Sourced<MessageBuilder.Attachment>? {
        var values = values
        let name = values.text("name")
        let datas = values.text("datas")
        let type = values.text("mimetype")
        if name == nil { values.problem("is required", at: "name") }
        values.refuse("url", "files are not fetched from elsewhere: send their datas", &problems)
        if datas == nil, values.value("url") == nil { values.problem("is required", at: "datas") }
        values.passOver([
            "id", "type", "description", "res_model", "res_id", "res_name", "res_field", "file_size", "checksum",
            "store_fname", "public", "company_id", "access_token", "index_content", "display_name", "create_date",
            "create_uid", "write_date", "write_uid",
        ])
        problems.invalid += values.finish()
        guard let name, let datas, let bytes = NativeText.base64(datas.value, at: datas.at, &problems) else {
            return nil
        }
        return file(name.value, type?.value, bytes, at: values.pointer)
    }

    private static func file(
        _ name: String,
        _ type: String?,
        _ bytes: [UInt8],
        at place: String
    ) -> Sourced<MessageBuilder.Attachment> {
        Sourced(
            MessageBuilder.Attachment(
                filename: name, contentType: type ?? ContentTypeGuess.type(of: name), bytes: bytes, isInline: false,
                contentID: nil),
            at: place)
    }
}
