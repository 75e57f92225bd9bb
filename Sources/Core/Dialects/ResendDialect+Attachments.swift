// Resend's attachments: base64, or bytes as numbers. A file that lies elsewhere is not fetched: a gate opens no address that
// a caller names.

import JSON
import MIME
import Mapping

extension ResendDialect {
    static func attachments(
        _ reader: inout JSONReader,
        _ problems: inout NativeProblems
    ) -> [Sourced<MessageBuilder.Attachment>] {
        let place = reader.pointer(to: "attachments")
        return (reader.array("attachments") ?? []).enumerated().compactMap { index, element in
            var file = JSONReader(element, pointer: "\(place)/\(index)")
            file.refuse("path", "files are not fetched from elsewhere: send their content", &problems)
            let filename = file.required("filename", file.string("filename"))
            let type = file.string("content_type")
            // Two names of one thing: a file with an id is shown in the text.
            let contentID = file.string("content_id") ?? file.string("inline_content_id")
            _ = file.value("inline_content_id")
            let content = content(&file, &problems)
            file.finish()
            problems.invalid += file.problems
            guard let filename, let content else { return nil }
            let id = contentID.flatMap { $0.isEmpty ? nil : $0 }
            return Sourced(
                MessageBuilder.Attachment(
                    filename: filename, contentType: type ?? ContentTypeGuess.type(of: filename), bytes: content,
                    isInline: id != nil, contentID: id),
                at: file.pointer)
        }
    }

    /// Base64, an array of bytes (Python's `list(bytes)`), or what JavaScript makes of a Buffer.
    private static func content(_ file: inout JSONReader, _ problems: inout NativeProblems) -> [UInt8]? {
        let place = file.pointer(to: "content")
        switch file.value("content") {
        case .string(let text): return NativeText.base64(text, at: place, &problems)
        case .array(let elements): return bytes(elements, at: place, &problems)
        case .object(let object) where object["type"] == .string("Buffer"):
            return bytes(object["data"]?.arrayValue ?? [], at: place, &problems)
        case nil:
            // With a path there is one problem already: that it is a path.
            if file.value("path") == nil { _ = file.required("content", nil as [UInt8]?) }
            return nil
        case .some(let value):
            problems.invalid("expected base64 or an array of bytes, found \(value.kind)", at: place)
            return nil
        }
    }

    private static func bytes(
        _ elements: [JSONValue],
        at place: String,
        _ problems: inout NativeProblems
    ) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(elements.count)
        for element in elements {
            guard let integer = element.integerValue, let byte = UInt8(exactly: integer) else {
                problems.invalid("is not an array of bytes, which are numbers from 0 to 255", at: place)
                return nil
            }
            bytes.append(byte)
        }
        return bytes
    }
}
