// A form as text, in the ways in which browsers and libraries write it: the other half of a round trip.

enum FormText {
    /// How the name of a field or file is written.
    enum NameStyle: CaseIterable {
        /// `name="a\"b"`
        case quoted
        /// `name="a%22b"`
        case browser
        /// `name*=utf-8''a%22b`
        case extended
    }

    /// Names grow when they are written.
    static var limits: FormLimits {
        var limits = FormLimits()
        limits.partHeaderBytes = 64_000
        limits.nameBytes = 8192
        limits.filenameBytes = 8192
        return limits
    }

    /// Such a name reads as another one.
    static func isEscaped(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        return bytes.indices.contains { bytes[$0...].starts(with: "%22".utf8) }
    }

    /// The texts of a form.
    static func urlencoded(_ form: Form, space: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for field in form.fields {
            guard case .text(let text) = field.value else { continue }
            if !bytes.isEmpty { bytes.append(UInt8(ascii: "&")) }
            bytes += percentEncoded(field.name, space: space) + "=".utf8 + percentEncoded(text, space: space)
        }
        return bytes
    }

    static func multipart(_ form: Form, boundary: String, _ style: NameStyle) -> [UInt8] {
        var bytes: [UInt8] = []
        for field in form.fields {
            bytes += "--\(boundary)\r\nContent-Disposition: form-data\(parameter("name", field.name, style))".utf8
            switch field.value {
            case .text(let text): bytes += "\r\n\r\n\(text)".utf8
            case .file(let filename, let contentType, let content):
                bytes += (filename.map { parameter("filename", $0, style) } ?? "").utf8
                bytes += (contentType.map { "\r\ncontent-type:\($0)" } ?? "").utf8
                bytes += "\r\n\r\n".utf8 + content
            }
            bytes += "\r\n".utf8
        }
        return bytes + "--\(boundary)--\r\n".utf8
    }

    static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        return "\"" + String(decoding: bytes, as: UTF8.self) + "\""
    }

    private static func parameter(_ name: String, _ text: String, _ style: NameStyle) -> String {
        // Line breaks and the like have no other form than the extended one.
        if style == .extended || text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            return "; \(name)*=UTF-8''" + String(decoding: percentEncoded(text, space: "%20"), as: UTF8.self)
        }
        // A browser leaves a backslash alone, and that before a quote is read as an escape.
        if style == .browser, !text.utf8.contains(UInt8(ascii: "\\")) {
            let pieces = text.utf8.split(separator: UInt8(ascii: "\""), omittingEmptySubsequences: false)
            return ";\(name)=\"" + String(decoding: Array(pieces.joined(separator: "%22".utf8)), as: UTF8.self) + "\""
        }
        return "; \(name)=" + quoted(text)
    }

    private static func percentEncoded(_ text: String, space: String) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                bytes.append(byte)
            case 0x20: bytes += space.utf8
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return bytes
    }
}
