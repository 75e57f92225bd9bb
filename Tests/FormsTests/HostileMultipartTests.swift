// multipart/form-data from people who mean no good: everything that could be read in two ways is refused, in linear time.

import Forms
import Testing

@Suite("Hostile multipart/form-data")
struct HostileMultipartTests {
    private let name = "Content-Disposition: form-data; name=a"

    private func expect(_ code: FormError.Code, _ text: String, _ comment: Comment? = nil) {
        let error = #expect(throws: FormError.self, comment) { try multipart(text) }
        #expect(error?.code == code, comment)
    }

    @Test("a body without its first or its last boundary is refused, wherever it ends")
    func truncated() throws {
        let whole = "--b\n\(name)\n\nx\n--b\n\(name)\n\ny\n--b--"
        #expect(try multipart(whole).texts("a") == ["x", "y"])
        for length in 0..<whole.count { expect(.malformed, String(whole.prefix(length)), "\(length)") }
    }

    @Test("text before the first boundary, after the last one, and behind one on its line is refused")
    func around() {
        expect(.malformed, "preamble\n--b\n\(name)\n\nx\n--b--")
        expect(.malformed, "\n\n--b\n\(name)\n\nx\n--b--")
        expect(.malformed, "--b\n\(name)\n\nx\n--b--\nepilogue")
        expect(.malformed, "--b\n\(name)\n\nx\n--b--\n--b\n\(name)\n\ny\n--b--")
        expect(.malformed, "--b\n\(name)\n\nx\n--bc\n--b--")
        expect(.malformed, "--b\n\(name)\n\nx\n--b-\n--b--")
        expect(.malformed, "--bc\n\(name)\n\nx\n--b--")
    }

    @Test("bare line feeds are no line ends")
    func bareLineFeeds() {
        let bytes = Array("--b\n\(name)\n\nx\n--b--\n".utf8)
        let error = #expect(throws: FormError.self) {
            try FormParser.multipart(bytes, contentType: "multipart/form-data; boundary=b")
        }
        #expect(error?.code == .malformed)
    }

    @Test(
        "header lines that could be read in two ways are refused",
        arguments: [
            "X: y", "Content-Disposition: attachment; name=a", "Content-Disposition: form-data",
            "Content-Disposition: form-data; name=\"\"", "Content-Disposition: form-data; filename=a",
            "Content-Disposition: form-data; name=a; name=b", "Content-Disposition: form-data; name=a; NAME=b",
            "Content-Disposition: form-data; name=a; filename*=utf-8''x; filename*=utf-8''y",
            "Content-Disposition: form-data; name=\"a", "Content-Disposition: form-data; name=\"a\"b",
            "Content-Disposition: form-data; name", "Content-Disposition: form-data; =a",
            "Content-Disposition: form-data; na me=a", "Content-Disposition: form-data; name=a; filename*=x",
            "Content-Disposition: form-data; name=a; filename*=iso-8859-1''%e9",
            "Content-Disposition: form-data; name=a; filename*=utf-8''%e9",
            "Content-Disposition: form-data; name=a; filename*=utf-8''%e",
            "Content-Disposition: form-data; name=a; filename*=utf-8''%zz",
            "Content-Disposition: form-data; name=a\nContent-Disposition: form-data; name=b",
            "Content-Disposition: form-data; name=a\nContent-Type: text/plain\nContent-Type: text/html",
            "Content-Disposition: form-data; name=a\nContent-Type: text/plain; charset=iso-8859-1",
            "Content-Disposition: form-data; name=a\nContent-Type: multipart/mixed; boundary=c",
            "Content-Disposition: form-data; name=a\nContent-Transfer-Encoding: base64",
            "Content-Disposition: form-data; name=a\nContent-Transfer-Encoding: quoted-printable",
            "Content-Disposition: form-data; name=a\nContent-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: 8bit",
            "Content-Disposition: form-data;\n name=a", " Content-Disposition: form-data; name=a",
            "Content-Disposition : form-data; name=a", "Content-Disposition", ": x",
            "Content-Disposition: form-data; name=a\u{0}", "Content-Disposition: form-data; name=\"a\rb\"",
            "Content-Disposition: form-data; name=a\u{7F}",
        ])
    func headers(_ headers: String) {
        let error = #expect(throws: FormError.self) { try part(headers) }
        #expect(error?.code == .malformed)
    }

    @Test("a text that is not UTF-8 is refused, a file is bytes")
    func encoding() throws {
        for (headers, isText) in [(name, true), (name + "; filename=f", false)] {
            let bytes = Array("--b\r\n\(headers)\r\n\r\n".utf8) + [0xE9] + Array("\r\n--b--".utf8)
            let form = try? FormParser.multipart(bytes, contentType: "multipart/form-data; boundary=b")
            #expect((form == nil) == isText)
        }
        let bytes =
            Array("--b\r\nContent-Disposition: form-data; name=\"".utf8) + [0xE9] + Array("\"\r\n\r\nx\r\n--b--".utf8)
        #expect(throws: FormError.self) {
            try FormParser.multipart(bytes, contentType: "multipart/form-data; boundary=b")
        }
    }

    @Test(
        "a Content-Type without a usable boundary is not that of a form",
        arguments: [
            "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; boundary=\"a\u{E9}\"", "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=\"a", "multipart/form-data; boundary=a\"b",
            "multipart/form-data; boundary=" + String(repeating: "x", count: 71),
        ])
    func boundary(_ contentType: String) {
        let error = #expect(throws: FormError.self) { try FormParser.multipart([], contentType: contentType) }
        #expect(error?.code == .notAForm)
    }

    @Test("every limit holds at its edge")
    func limits() throws {
        let form = "--b\n\(name)\nX: y\n\nx\n--b\n\(name); filename=abcd\n\ny\n--b--"
        var limits = FormLimits(bytes: form.utf8.count + form.utf8.count { $0 == 0x0A })
        (limits.fields, limits.nameBytes, limits.filenameBytes, limits.partHeaders) = (2, 1, 4, 2)
        limits.partHeaderBytes = name.utf8.count + 2 + "; filename=abcd".utf8.count + 2
        #expect(try multipart(form, limits: limits).fields.count == 2)
        for change: (inout FormLimits) -> Void in [
            { $0.bytes -= 1 }, { $0.fields = 1 }, { $0.nameBytes = 0 }, { $0.filenameBytes = 3 },
            { $0.partHeaders = 1 },
            { $0.partHeaderBytes = name.utf8.count },
        ] {
            var smaller = limits
            change(&smaller)
            let error = #expect(throws: FormError.self) { try multipart(form, limits: smaller) }
            #expect(error?.code == .tooLarge)
        }
    }

    @Test("a body that is nearly all boundary is read in linear time")
    func nearMisses() throws {
        let boundary = String(repeating: "-", count: 69) + "b"
        let nearMiss = "\r\n--" + String(repeating: "-", count: 69)
        let head = "--\(boundary)\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n"
        func seconds(_ count: Int) throws -> Double {
            let body = head + String(repeating: nearMiss, count: count) + "\r\n--\(boundary)--"
            let bytes = Array(body.utf8)
            let start = ContinuousClock.now
            let form = try FormParser.multipart(bytes, contentType: "multipart/form-data; boundary=\(boundary)")
            #expect(form.files("f").first?.bytes.count == nearMiss.utf8.count * count)
            return (ContinuousClock.now - start) / .seconds(1)
        }
        _ = try seconds(100)
        // Sixteen times the bytes: quadratic time would be 256 times as long.
        let (few, many) = (try seconds(500), try seconds(8000))
        #expect(many < max(few, 0.001) * 100)
    }

    @Test("an error carries nothing of the body")
    func discreet() {
        let error = #expect(throws: FormError.self) { try part("Content-Disposition: form-data; name=\"s3cret") }
        #expect(error.map { "\($0)".contains("s3cret") } == false)
    }
}
