// Bytes → form: the two encodings that HTML forms have. One pass over bytes that are all there; text must be UTF-8.

package enum FormParser {
    /// A body or query of `application/x-www-form-urlencoded`: `name=value&name=value`, `+` for a space, `%XX`.
    /// - Throws: `malformed` for a `%` without two digits, for control characters in the clear, for a field without a
    ///   name and for text that is not UTF-8; `tooLarge`.
    package static func urlencoded(_ bytes: [UInt8], limits: FormLimits = .init()) throws(FormError) -> Form {
        guard bytes.count <= limits.bytes else {
            throw FormError(.tooLarge, "the form has more than \(limits.bytes) bytes")
        }
        var fields: [FormField] = []
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "&")) ?? bytes.count
            defer { start = end + 1 }
            guard end > start else { continue }
            guard fields.count < limits.fields else {
                throw FormError(.tooLarge, "the form has more than \(limits.fields) fields", offset: start)
            }
            let equals = bytes[start..<end].firstIndex(of: UInt8(ascii: "=")) ?? end
            let name = try text(bytes, start..<equals)
            guard !name.isEmpty else { throw FormError(.malformed, "a form field has no name", offset: start) }
            guard name.utf8.count <= limits.nameBytes else {
                throw FormError(
                    .tooLarge, "the name of a form field has more than \(limits.nameBytes) bytes", offset: start)
            }
            fields.append(FormField(name, try text(bytes, min(equals + 1, end)..<end)))
        }
        return Form(fields)
    }

    /// A body of `multipart/form-data` (RFC 7578).
    /// - Parameter contentType: the whole value of the Content-Type field, with the boundary.
    /// - Throws: `notAForm` if the type is another or has no usable boundary, `malformed`, `tooLarge`.
    package static func multipart(
        _ bytes: [UInt8],
        contentType: String,
        limits: FormLimits = .init()
    ) throws(FormError) -> Form {
        let boundary = try MultipartBoundary.boundary(of: contentType)
        guard bytes.count <= limits.bytes else {
            throw FormError(.tooLarge, "the form has more than \(limits.bytes) bytes")
        }
        // A typed throw does not pass through `withUnsafeBytes` by itself, hence the result.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(FormError) in
                var parser = MultipartParser(buffer, boundary: boundary, limits: limits)
                return try parser.form()
            }
        }
        return try result.get()
    }

    /// Whichever of the two the Content-Type names.
    /// - Throws: `notAForm` for any other type.
    package static func form(
        _ bytes: [UInt8],
        contentType: String,
        limits: FormLimits = .init()
    ) throws(FormError) -> Form {
        switch HeaderParameters.essence(of: contentType) {
        case "application/x-www-form-urlencoded": return try urlencoded(bytes, limits: limits)
        case "multipart/form-data": return try multipart(bytes, contentType: contentType, limits: limits)
        default: throw FormError(.notAForm, "the Content-Type is not that of a form")
        }
    }

    private static func text(_ bytes: [UInt8], _ range: Range<Int>) throws(FormError) -> String {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "+"): decoded.append(0x20)
            case UInt8(ascii: "%"):
                guard range.upperBound - index > 2, let high = bytes[index + 1].hexadecimalDigit,
                    let low = bytes[index + 2].hexadecimalDigit
                else { throw FormError(.malformed, "a % is not followed by two hexadecimal digits", offset: index) }
                decoded.append(high << 4 | low)
                index += 2
            case 0..<0x20, 0x7F:
                throw FormError(.malformed, "a control character has to be written as %XX", offset: index)
            default: decoded.append(byte)
            }
            index += 1
        }
        guard let text = String(validating: decoded, as: UTF8.self) else {
            throw FormError(.malformed, "a form field is not UTF-8", offset: range.lowerBound)
        }
        return text
    }
}

extension UInt8 {
    /// 0 to 15 for a hexadecimal digit of either case.
    var hexadecimalDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
