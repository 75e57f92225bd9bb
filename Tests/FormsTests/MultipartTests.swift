// multipart/form-data: what clients send.

import Forms
import Testing

/// A form of parts between delimiter lines; `\n` stands for CR LF.
func multipart(_ text: String, boundary: String = "b", limits: FormLimits = .init()) throws(FormError) -> Form {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        if byte == 0x0A { bytes.append(0x0D) }
        bytes.append(byte)
    }
    return try FormParser.multipart(bytes, contentType: "multipart/form-data; boundary=\"\(boundary)\"", limits: limits)
}

/// One part with these header lines.
func part(_ headers: String, _ content: String = "x") throws(FormError) -> FormField {
    try multipart("--b\n\(headers)\n\n\(content)\n--b--\n").fields[0]
}

@Suite("multipart/form-data")
struct MultipartTests {
    @Test("texts and files in their order, as curl and requests send them")
    func whole() throws {
        let form = try multipart(
            """
            --b
            Content-Disposition: form-data; name="to"

            ada@example.com
            --b
            Content-Disposition: form-data; name="attachment"; filename="a.txt"
            Content-Type: text/plain

            line

            --b
            content-disposition: form-data; name="to"

            bob@example.com
            --b--

            """)
        #expect(form.names == ["to", "attachment"])
        #expect(form.texts("to") == ["ada@example.com", "bob@example.com"])
        let file = FormFile(filename: "a.txt", contentType: "text/plain", bytes: Array("line\r\n".utf8))
        #expect(form.files("attachment") == [file])
    }

    @Test("content is what stands between the lines, byte for byte")
    func content() throws {
        #expect(try part("Content-Disposition: form-data; name=a", "").value == .text(""))
        #expect(try part("Content-Disposition: form-data; name=a", "\n").value == .text("\r\n"))
        #expect(try part("Content-Disposition: form-data; name=a", "--x\n-- b\n--").value == .text("--x\r\n-- b\r\n--"))
        var bytes = Array("--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n".utf8)
        let content = [0x0D, 0x0A, 0x0D, 0x2D, 0x2D, 0x00, 0xFF, 0x0D, 0x0A, 0x2D] + (0...255).map(UInt8.init)
        bytes += content + Array("\r\n--b--".utf8)
        let form = try FormParser.multipart(bytes, contentType: "Multipart/Form-Data;BOUNDARY=b")
        #expect(form.files("f").first?.bytes == content)
    }

    @Test("content that is not there at all leaves its line break to the delimiter")
    func noContent() throws {
        let form = try multipart(
            "--b\nContent-Disposition: form-data; name=a\n\n--b\nContent-Disposition: form-data; name=c\n\n\n--b--")
        #expect(form.fields == [FormField("a", ""), FormField("c", "")])
    }

    @Test("a form without fields, a line break before, blanks after delimiters, line breaks at the end")
    func frame() throws {
        #expect(try multipart("--b--").fields.isEmpty)
        let form = try multipart("\n--b \t\nContent-Disposition: form-data; name=a\n\nx\n--b-- \n\n")
        #expect(form.fields == [FormField("a", "x")])
    }

    @Test(
        "names and file names in every way they are written",
        arguments: [
            (#"form-data; name="f"; filename="a b;c.txt""#, "a b;c.txt"),
            (#"form-data; name="f"; filename="say \"hi\".txt""#, #"say "hi".txt"#),
            (#"form-data; name="f"; filename="say %22hi%22 100%.txt""#, #"say "hi" 100%.txt"#),
            ("form-data; name=\"f\"; filename=\"a%22\u{301}b.txt\"", "a\"\u{301}b.txt"),
            (#"form-data; name="f"; filename*=utf-8''%2522.txt"#, "%22.txt"),
            (#"form-data; name="f"; filename="C:\temp\a\\b.txt""#, #"C:\temp\a\b.txt"#),
            (#"form-data; name="f"; filename="Rechnung März.pdf""#, "Rechnung März.pdf"),
            ("form-data;name=f;filename=a.txt ; x=y;", "a.txt"),
            ("FORM-DATA; Name=f; FileName*=UTF-8'en'%e2%82%ac%20rates", "€ rates"),
            (#"form-data; name="f"; filename="EURO rates"; filename*=utf-8''%e2%82%ac%20rates"#, "€ rates"),
            (#"form-data; name="f"; filename*=utf-8''%e2%82%ac%20rates; filename="EURO rates""#, "€ rates"),
            (#"form-data; name="f"; filename="""#, ""),
        ])
    func filenames(_ disposition: String, _ filename: String) throws {
        let field = try part("Content-Disposition: \(disposition)")
        #expect(field.name == "f")
        #expect(field.value == .file(filename: filename, contentType: nil, bytes: Array("x".utf8)))
    }

    @Test("without a file name, texts and JSON are fields and other types are files")
    func types() throws {
        let name = "Content-Disposition: form-data; name=f"
        for type in ["text/plain", "text/html; charset=UTF-8", "text/plain; charset=us-ascii", "application/json"] {
            #expect(try part("\(name)\nContent-Type: \(type)").value == .text("x"), "\(type)")
        }
        let file = try part("\(name)\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8BIT\nX-Other: y")
        #expect(file.value == .file(filename: nil, contentType: "message/rfc822", bytes: Array("x".utf8)))
    }

    @Test("the boundary may be of any allowed character and length")
    func boundaries() throws {
        for boundary in ["'()+_,-./:=? x", String(repeating: "z", count: 70), "----WebKitFormBoundaryABC"] {
            let form = try multipart(
                "--\(boundary)\nContent-Disposition: form-data; name=a\n\n1\n--\(boundary)--\n", boundary: boundary)
            #expect(form.text("a") == "1")
        }
        let bytes = Array("------=_Part_1\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n------=_Part_1--".utf8)
        let form = try FormParser.multipart(
            bytes, contentType: "multipart/form-data; boundary=----=_Part_1; charset=utf-8")
        #expect(form.text("a") == "1")
    }

    @Test("the Content-Type decides how a form is read")
    func dispatch() throws {
        let bytes = Array("a=1".utf8)
        #expect(
            try FormParser.form(bytes, contentType: "Application/X-WWW-Form-Urlencoded; charset=utf-8").text("a") == "1"
        )
        for type in ["", "application/json", "text/plain", "multipart/mixed; boundary=b"] {
            let error = #expect(throws: FormError.self) { try FormParser.form(bytes, contentType: type) }
            #expect(error?.code == .notAForm)
        }
    }
}
