// The text of a Python dictionary, as Odoo keeps headers: read as data, whatever stands in it.

import JSON
import Testing

@testable import Dialects

@Suite("Odoo's Python literals")
struct OdooPythonLiteralTests {
    /// What Python would write, and the same in JSON.
    private static let pairs = [
        ("{}", "{}"),
        (" { } ", "{}"),
        ("{'a': 'b'}", #"{"a": "b"}"#),
        (#"{"a": "it's",}"#, #"{"a": "it's"}"#),
        ("{'a': {'b': [1, -2, 1.5, None, True, False]}}", #"{"a": {"b": [1, -2, 1.5, null, true, false]}}"#),
        ("()", "[]"),
        ("('x')", #""x""#),
        ("('x',)", #"["x"]"#),
        ("[('a', 'b'), []]", #"[["a", "b"], []]"#),
        (#"'\\ \' \" \n \r \t \a\b\f\v'"#, #""\\ ' \" \n \r \t \u0007\b\f\u000b""#),
        (#"'caf\xe9 \u4e16 \U0001F44B'"#, #""café 世 👋""#),
        ("'Grüße'", #""Grüße""#),
        ("{'a':\n\t1}", #"{"a": 1}"#),
    ]

    @Test("literals are read as the values that they are", arguments: pairs)
    func reads(_ python: String, _ json: String) throws {
        #expect(try OdooPythonLiteral.parse(python) == JSONParser.parse(json))
    }

    @Test(
        "what is more than a literal, or less, is not read",
        arguments: [
            "", " ", "{", "}", "{'a'", "{'a':", "{'a':}", "{'a': 1", "{'a': 1,,}", "{,}", "{'a' 1}", "{1: 2}", "{a: 1}",
            "{'a': b}", "{'a': 1} x", "{'a': 1}{'b': 2}", "{'a': 1, 'a': 2}", "{'a', 'b'}", "[1, 2", "[,]", "(,)",
            "[1 2]",
            "'a", "'a\n'", "'a\\", "'\\q'", "'\\x4'", "'\\u12'", "'\\ud800'", "'\\U00110000'", "'\\N{BULLET}'",
            "'''a'''",
            "'a' 'b'", "u'a'", "b'a'", "f'{1}'", "__import__('os')", "{'a': print()}", "lambda: 1", "1+1", "-", "+",
            ".",
            "1e999", "0x10", "1_000", "nan", "NaN", "inf", "true", "null", "Nonesuch", "# a\n1", "'a'.upper()",
            "dict(a=1)",
        ])
    func refuses(_ text: String) {
        #expect(throws: OdooPythonLiteral.Failure.self) { try OdooPythonLiteral.parse(text) }
    }

    @Test("every beginning of a text is refused, and none of them does harm")
    func beginnings() throws {
        let text = "{'a': ('b', \"c\\u00e9\"), 'd': [1.5, None, {'e': True}]}"
        _ = try OdooPythonLiteral.parse(text)
        for length in 0..<text.utf8.count {
            let beginning = String(decoding: text.utf8.prefix(length), as: UTF8.self)
            #expect(throws: OdooPythonLiteral.Failure.self) { try OdooPythonLiteral.parse(beginning) }
        }
    }

    @Test("deep nesting is refused, not followed")
    func depth() throws {
        _ = try OdooPythonLiteral.parse(String(repeating: "[", count: 16) + String(repeating: "]", count: 16))
        for open in ["[", "(", "{'a':"] {
            #expect(throws: OdooPythonLiteral.Failure.self) {
                try OdooPythonLiteral.parse(String(repeating: open, count: 100_000))
            }
        }
    }

    @Test("more elements than headers ever have are refused")
    func elements() {
        let many = (0...1000).map { "'\($0)': 0" }.joined(separator: ",")
        #expect(throws: OdooPythonLiteral.Failure.self) { try OdooPythonLiteral.parse("{\(many)}") }
    }
}
