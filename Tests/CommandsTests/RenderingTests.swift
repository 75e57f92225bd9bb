// What people see: tables, details and JSON, with nothing in them that a terminal would obey.

import JSON
import Testing

@testable import Commands

@Suite("Rendering")
struct RenderingTests {
    private func object(_ text: String) throws -> JSONObject { try #require(JSONParser.parse(text).objectValue) }

    @Test(
        "what a terminal would obey becomes something to read",
        arguments: [
            ("plain ünïcode 漢字 👩‍💻", "plain ünïcode 漢字 👩‍💻"),
            ("\u{1B}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}"),
            ("\u{9B}31m", "\\u{9b}31m"),
            ("a\r\nb\tc\u{0}", "a\\r\\nb\\tc\\u{0}"),
            ("gpj.\u{202E}exe", "gpj.\\u{202e}exe"),
            ("\u{2028}\u{FEFF}\u{E0041}", "\\u{2028}\\u{feff}\\u{e0041}"),
        ]
    )
    func visible(text: String, expected: String) {
        #expect(Visible.text(text) == expected)
    }

    @Test("a message on a terminal keeps its lines and loses its escapes")
    func lines() {
        #expect(Visible.lines("Subject: a\r\n\r\n\u{1B}[2Jb\nc") == "Subject: a\n\n\\u{1b}[2Jb\nc")
    }

    @Test("pretty JSON is the same document, and safe for a terminal")
    func pretty() throws {
        let value = try JSONParser.parse(
            #"{"a":[],"b":{"c":"\u001b[31m\u009b\u202e\udb40\udc41é"},"d":[1,2.5,{"e":null}],"f":{}}"#)
        let text = JSONText.pretty(value)
        #expect(
            text == #"""
                {
                  "a": [],
                  "b": {
                    "c": "\u001b[31m\u009b\u202e\udb40\udc41é"
                  },
                  "d": [
                    1,
                    2.5,
                    {
                      "e": null
                    }
                  ],
                  "f": {}
                }
                """#)
        #expect(try JSONParser.parse(text) == value)
    }

    @Test("columns line up, also with wide characters and combining marks")
    func table() throws {
        var table = Table([TableColumn("ID", "id"), TableColumn("SUBJECT", "subject", limit: 8), TableColumn("N", "n")])
        let rows = try [
            object(#"{"id":"1","subject":"漢字","n":1}"#), object(#"{"id":"22","subject":"e\u0301","n":null}"#),
            object(#"{"id":"3","subject":"a very long one\u001b","n":[1,"x"]}"#),
        ]
        #expect(
            table.lines(rows) == [
                "ID  SUBJECT   N", "1   漢字      1", "22  e\u{301}         -", "3   a very …  1, x",
            ])
        #expect(try table.lines([object(#"{"id":"4","subject":"","n":true}"#)]) == ["4   -         true"])
    }

    @Test("a cut text never takes more columns than it may", arguments: ["漢字漢字", "ééééé", "👩‍💻👩‍💻👩‍💻", "abcdef"])
    func clipped(text: String) {
        for limit in 1...8 { #expect(TextWidth.columns(TextWidth.clipped(text, to: limit)) <= limit) }
        #expect(TextWidth.clipped(text, to: 8) == text)
    }

    @Test("details align names, indent what is nested, and shorten what is huge")
    func details() throws {
        let lines = ValueText.details(
            try object(
                """
                {"id":"m","tags":["a","b"],"envelope":{"from":"x","to":{"y":1}},"errors":[{"p":"/a","m":"\\u0007"},2],\
                "none":null,"body":"\(String(repeating: "z", count: 5_000))"}
                """))
        #expect(
            Array(lines.dropLast()) == [
                "id        m", "tags      a, b", "envelope", "  from  x", "  to", "    y  1", "errors", "  - p  /a",
                "    m  \\u{7}", "  - 2", "none      -",
            ])
        #expect(try #require(lines.last).hasSuffix("z… (5000 bytes; --json shows all)"))
    }

    @Test("a problem document is told with its code, its sentence, each thing wrong and what to do")
    func problem() {
        let body = #"""
            {"type":"about:blank","title":"The request is not valid","status":422,"code":"validation_failed",
             "detail":"/to is required","fix":"Correct it.","docs":"/docs/errors#validation_failed","request_id":"req_1",
             "errors":[{"pointer":"/to","message":"is required","code":"invalid"},
                       {"pointer":"/sbject","message":"unknown field \u001b[2J","code":"unknown_field"}]}
            """#
        #expect(
            Problem(status: 422, body: Array(body.utf8)).lines == [
                "postern: validation_failed: /to is required",
                "  /to: is required (invalid)",
                "  /sbject: unknown field \\u{1b}[2J (unknown_field)",
                "  fix: Correct it.",
                "  docs: /docs/errors#validation_failed",
                "  request: req_1",
            ])
    }

    @Test("an error page of a proxy is told as what it is")
    func foreignProblem() {
        let lines = Problem(status: 502, body: Array("<html>\u{1B}]0;x</html>".utf8)).lines
        #expect(lines.first == "postern: HTTP 502: <html>\\u{1b}]0;x</html>")
        #expect(lines.last?.contains("--url") == true)
        #expect(Problem(status: 500, body: []).lines.first == "postern: HTTP 500: no reason was given")
        #expect(Problem(status: 500, body: [0xFF, 0xFE]).lines.count == 2)
    }
}
