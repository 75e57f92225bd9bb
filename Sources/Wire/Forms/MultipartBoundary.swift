// The boundary that the Content-Type of a multipart form names (RFC 2046 §5.1.1).

enum MultipartBoundary {
    /// - Throws: `notAForm` if the type is not multipart/form-data, or its boundary cannot be one.
    static func boundary(of contentType: String) throws(FormError) -> [UInt8] {
        let header: HeaderParameters
        do throws(FormError) {
            header = try HeaderParameters(Array(contentType.utf8)[...], offset: 0)
        } catch {
            throw FormError(.notAForm, "the Content-Type cannot be read: \(error.message)")
        }
        guard header.value == "multipart/form-data" else {
            throw FormError(.notAForm, "the Content-Type is not multipart/form-data")
        }
        guard let boundary = header["boundary"] else {
            throw FormError(.notAForm, "the Content-Type names no boundary")
        }
        let bytes = Array(boundary.utf8)
        guard (1...70).contains(bytes.count), bytes.allSatisfy(isBoundaryCharacter), bytes.last != 0x20 else {
            throw FormError(.notAForm, "the boundary of the Content-Type is not 1 to 70 of the allowed characters")
        }
        return bytes
    }

    private static func isBoundaryCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "'()+_,-./:=? ".utf8.contains(byte)
        }
    }
}
