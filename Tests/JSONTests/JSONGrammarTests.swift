// RFC 8259 as tables: what is JSON, what is not, and what each text means.

import JSON
import Testing

@Suite("JSON grammar")
struct JSONGrammarTests {
    static let accepted: [(text: String, value: JSONValue)] = [
        ("null", .null),
        ("true", .bool(true)),
        ("false", .bool(false)),
        (" \t\r\n null \n", .null),
        ("0", .integer(0)),
        ("-0", .integer(0)),
        ("7", .integer(7)),
        ("-12", .integer(-12)),
        ("9223372036854775807", .integer(.max)),
        ("-9223372036854775808", .integer(.min)),
        ("9223372036854775808", .number(9.223372036854775808e18)),
        ("0.5", .number(0.5)),
        ("-1.25", .number(-1.25)),
        ("1e3", .number(1000)),
        ("1E+3", .number(1000)),
        ("1e-2", .number(0.01)),
        ("1.0", .number(1)),
        ("123e00002", .number(12300)),
        ("5e-324", .number(.leastNonzeroMagnitude)),
        ("1.7976931348623157e308", .number(.greatestFiniteMagnitude)),
        (#""""#, .string("")),
        (#""a""#, .string("a")),
        (#""\"\\\/\b\f\n\r\t""#, .string("\"\\/\u{8}\u{C}\n\r\t")),
        (#""\u0041\u00e9\u20AC""#, .string("Aé€")),
        (#""\ud83d\ude00""#, .string("😀")),
        (#""\uDBFF\uDFFF""#, .string("\u{10FFFF}")),
        (#""\u0000""#, .string("\u{0}")),
        (#""😀 é \u007F""#, .string("😀 é \u{7F}")),
        (#""\u2028""#, .string("\u{2028}")),
        ("\"\u{7F}\"", .string("\u{7F}")),
        ("[]", .array([])),
        ("[ ]", .array([])),
        ("[1,2]", .array([.integer(1), .integer(2)])),
        ("[ 1 , [ ] , { } ]", .array([.integer(1), .array([]), .object(JSONObject())])),
        ("{}", .object(JSONObject())),
        (#"{"":0}"#, .object(JSONObject(["": .integer(0)]))),
        (#"{ "a" : 1 , "b" : null }"#, .object(JSONObject(["a": .integer(1), "b": .null]))),
        (#"{"a":1,"A":2}"#, .object(JSONObject(["a": .integer(1), "A": .integer(2)]))),
        (#"{"\u0061":1}"#, .object(JSONObject(["a": .integer(1)]))),
    ]

    @Test("a text of the grammar has exactly this meaning", arguments: accepted)
    func accepts(_ text: String, _ value: JSONValue) throws {
        #expect(try JSONParser.parse(text) == value)
    }

    @Test(
        "what RFC 8259 does not allow is refused",
        arguments: [
            "", " ", "nul", "nulll", "True", "TRUE", "undefined", "NaN", "Infinity", "-Infinity", "'a'", "a", "01",
            "-01", "00", "+1", ".5", "5.", "-", "-.5", "1e", "1e+", "1.e3", "0x10", "1_000", "1,000", "--1", "1 2",
            "1e400", "-1e400", "٣", "１", "\"", "\"a", "\"\\", "\"\\\"", "\"a\nb\"", "\"a\tb\"", "\"\u{0}\"",
            "\"\u{1F}\"", #""\x""#, #""\u""#, #""\u12""#, #""\u12g4""#, #""\U0041""#, #""\'""#, #""\u 041""#,
            #""\u+041""#, "[", "]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1;2]", "[1]]", "[[]", "[}", "{", "}",
            "{]", #"{"a"}"#, #"{"a":}"#, #"{"a" 1}"#, #"{"a":1,}"#, #"{,"a":1}"#, #"{"a":1 "b":2}"#, "{a:1}", "{1:1}",
            "{'a':1}", #"{"a":1}}"#, #"{"a":1,,"b":2}"#, #"{"a":1;"b":2}"#, #"{"a"=1}"#, "null null", "{}{}", "[]x",
            "/* */ null", "null // x", "# x\nnull", "\u{FEFF}null", "null\u{0}", "null\u{A0}", "\u{C}null", "\u{B}null",
        ])
    func refuses(_ text: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(text) }
    }

    @Test(
        "half a surrogate pair is refused",
        arguments: [
            #""\ud83d""#, #""\ud83d ""#, #""\ud83d\n""#, #""\ud83d\u0041""#, #""\ud83d\ud83d""#, #""\ude00""#,
            #""\ude00\ud83d""#, #""a\uD800""#, #""\udfff""#, #""\ud83d\u""#, #""\ud83d\ude0""#,
        ])
    func surrogates(_ text: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(text) }
    }

    @Test(
        "invalid UTF-8 in a string is refused",
        arguments: [
            [0x80], [0xC0, 0x80], [0xC3], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF0, 0x9F, 0x98],
            [0xF4, 0x90, 0x80, 0x80],
            [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFF], [0xFE], [0xC3, 0x28],
        ] as [[UInt8]])
    func invalidUTF8(_ bytes: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        let escape = Array(#"\n"#.utf8)
        #expect(throws: JSONError.self) { try JSONParser.parse([quote] + bytes + [quote]) }
        #expect(throws: JSONError.self) { try JSONParser.parse([quote] + escape + bytes + [quote]) }
        #expect(throws: JSONError.self) { try JSONParser.parse(Array("{\"".utf8) + bytes + Array("\":1}".utf8)) }
        #expect(throws: JSONError.self) { try JSONParser.parse(bytes) }
    }

    @Test(
        "a name that stands twice is refused, spelt with escapes or not, also among many",
        arguments: [#"{"a":1,"a":1}"#, #"{"a":1,"b":2,"\u0061":3}"#, #"{"x":{"a":1,"a":2}}"#])
    func duplicates(_ text: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(text) }
        let many = (0..<40).map { "\"n\($0)\":\($0)" }
        #expect(throws: Never.self) { try JSONParser.parse("{\(many.joined(separator: ","))}") }
        for repeated in ["n0", "n15", "n16", "n39"] {
            #expect(throws: JSONError.self) {
                try JSONParser.parse("{\(many.joined(separator: ",")),\"\(repeated)\":0}")
            }
        }
    }

    @Test("one object's names may stand in another object again")
    func sameNamesInDifferentObjects() throws {
        #expect(throws: Never.self) { try JSONParser.parse(#"[{"a":{"a":1}},{"a":2}]"#) }
    }

    @Test("members keep the order of the text")
    func order() throws {
        let object = try #require(try JSONParser.parse(#"{"z":1,"a":2,"m":3}"#).objectValue)
        #expect(object.members.map(\.name) == ["z", "a", "m"])
    }

    @Test("an error says where", arguments: [("[1,x]", 3), ("{\"a\":1 1}", 7), ("tru", 0), ("[\"a\nb\"]", 3), ("", 0)])
    func offsets(_ text: String, _ offset: Int) {
        let error = #expect(throws: JSONError.self) { try JSONParser.parse(text) }
        #expect(error?.offset == offset)
    }

    @Test("a number of up to 64 characters is read, a longer one is refused")
    func longNumbers() throws {
        let digits = String(repeating: "1", count: 64)
        #expect(try JSONParser.parse(digits) == .number(try #require(Double(digits))))
        #expect(throws: JSONError.self) { try JSONParser.parse(digits + "1") }
    }

    @Test("a number too small for a double is zero, one too large is refused")
    func extremeNumbers() throws {
        #expect(try JSONParser.parse("1e-400") == .number(0))
        #expect(throws: JSONError.self) { try JSONParser.parse("1e309") }
    }
}
