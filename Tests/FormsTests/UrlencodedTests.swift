// application/x-www-form-urlencoded: what clients send, and what nobody should.

import Forms
import Testing

@Suite("application/x-www-form-urlencoded")
struct UrlencodedTests {
    private func pairs(_ text: String) throws -> [[String]] {
        try FormParser.urlencoded(Array(text.utf8)).fields.map { field in
            guard case .text(let text) = field.value else { return [field.name] }
            return [field.name, text]
        }
    }

    @Test("fields keep their order, and a name may stand several times")
    func order() throws {
        #expect(try pairs("to=a&o:tag=x&to=b") == [["to", "a"], ["o:tag", "x"], ["to", "b"]])
    }

    @Test("plus is a space, %XX a byte of UTF-8, in either case")
    func decoding() throws {
        #expect(try pairs("a+b=%C3%a9%2B+%26%3D") == [["a b", "é+ &="]])
    }

    @Test("bytes that are UTF-8 already are taken as they are")
    func rawUTF8() throws { #expect(try pairs("subject=Grüße") == [["subject", "Grüße"]]) }

    @Test("empty pieces are nothing, a missing equals sign is an empty value, a second one belongs to the value")
    func loose() throws {
        #expect(try pairs("") == [])
        #expect(try pairs("&&a&b=&c=d=e&") == [["a", ""], ["b", ""], ["c", "d=e"]])
    }

    @Test(
        "malformed escapes, fields without a name, controls in the clear and other charsets are refused",
        arguments: [
            "a=%", "a=%1", "a=%1&b=2", "a=%G0", "a=%+1", "=v", "a=b&=", "a=b\r\n", "a=\u{0}", "a=%FF", "a=%C3",
            "%ED%A0%80=1",
        ])
    func hostile(_ text: String) {
        let error = #expect(throws: FormError.self) { try FormParser.urlencoded(Array(text.utf8)) }
        #expect(error?.code == .malformed)
    }

    @Test("bytes that are not UTF-8 are refused, with the place of their field")
    func latin1() {
        let error = #expect(throws: FormError.self) {
            try FormParser.urlencoded(Array("a=1&b=".utf8) + [0xE9])
        }
        #expect(error == FormError(.malformed, "a form field is not UTF-8", offset: 6))
    }

    @Test("every limit holds at its edge")
    func limits() throws {
        var limits = FormLimits(bytes: 11)
        (limits.fields, limits.nameBytes) = (3, 4)
        #expect(try FormParser.urlencoded(Array("a=1&b=2&c=3".utf8), limits: limits).fields.count == 3)
        #expect(try FormParser.urlencoded(Array("abcd=1".utf8), limits: limits).names == ["abcd"])
        for text in ["a=1&b=2&c=33", "a&b&c&d", "abcde=1"] {
            let error = #expect(throws: FormError.self) {
                try FormParser.urlencoded(Array(text.utf8), limits: limits)
            }
            #expect(error?.code == .tooLarge, "\(text)")
        }
    }

    @Test("a form answers by name")
    func lookups() {
        let form = Form([
            FormField("a", "1"), FormField(name: "a", value: .file(filename: "f", contentType: nil, bytes: [1])),
            FormField("b", "2"), FormField("a", "3"),
        ])
        #expect(form.names == ["a", "b"])
        #expect(form.text("a") == "1")
        #expect(form.texts("a") == ["1", "3"])
        #expect(form.files("a") == [FormFile(filename: "f", contentType: nil, bytes: [1])])
        #expect(form.text("c") == nil)
        #expect(form.values("a").count == 3)
    }
}

@Suite("Names of form fields")
struct FormNameTests {
    @Test("two names that only look alike are two fields")
    func alike() {
        let form = Form([FormField("\u{E9}", "1"), FormField("e\u{301}", "2")])
        #expect(form.names.count == 2)
        #expect(form.texts("\u{E9}") == ["1"] && form.texts("e\u{301}") == ["2"])
    }
}
