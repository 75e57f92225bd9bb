// The writer's bytes, and that the parser reads back what the writer wrote.

import JSON
import Testing

@Suite("JSON writer")
struct JSONWriterTests {
    @Test("containers, names and commas come out right")
    func shape() {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("a", 1)
            writer.member("b", "x")
            writer.member("c", String?.none)
            writer.member("d", true)
            writer.member("e", ["p", "q"])
            writer.name("f")
            writer.array { writer in
                writer.object { _ in }
                writer.array { _ in }
                writer.integer(UInt64.max)
                writer.null()
                writer.number(0.5)
            }
            writer.member("g", .object(JSONObject(["h": .array([.bool(false)])])))
        }
        #expect(
            writer.text
                == #"{"a":1,"b":"x","c":null,"d":true,"e":["p","q"],"f":[{},[],18446744073709551615,null,0.5],"#
                + #""g":{"h":[false]}}"#)
    }

    @Test(
        "what a JSON string may not hold is escaped, all else stands as it is",
        arguments: [
            ("", #""""#), ("a/b", #""a/b""#), ("\"\\", #""\"\\""#), ("\n\r\t", #""\n\r\t""#), ("\u{0}", #""\u0000""#),
            ("\u{1F}\u{7F}", #""\u001f\u007f""#), ("é€😀", #""é€😀""#), ("\r\n", #""\r\n""#), ("a\u{0}b", #""a\u0000b""#),
        ])
    func escapes(_ text: String, _ json: String) {
        #expect(String(decoding: JSONWriter.write(.string(text)), as: UTF8.self) == json)
    }

    @Test("a number that JSON has no form for is null", arguments: [Double.nan, .infinity, -.infinity])
    func notFinite(_ value: Double) {
        #expect(JSONWriter.write(.number(value)) == Array("null".utf8))
    }

    @Test("every scalar of a string survives writing and reading")
    func scalars() throws {
        for start in stride(from: UInt32(0), to: 0x11_0000, by: 251) {
            let text = String(
                String.UnicodeScalarView((start..<start + 3).compactMap(Unicode.Scalar.init)))
            #expect(try JSONParser.parse(JSONWriter.write(.string(text))) == .string(text))
        }
    }

    @Test("a random document survives writing and reading", arguments: 0..<40)
    func roundTrip(_ seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        for _ in 0..<25 {
            let value = Self.value(depth: 4, &random)
            let bytes = JSONWriter.write(value)
            #expect(try JSONParser.parse(bytes) == value)
            #expect(String(validating: bytes, as: UTF8.self) != nil)
        }
    }

    private static func value(depth: Int, _ random: inout SplitMix64) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &random) {
        case 0: return .null
        case 1: return .bool(.random(using: &random))
        case 2: return .integer(.random(in: .min ... .max, using: &random))
        case 3: return .integer(.random(in: -10...10, using: &random))
        case 4:
            let number = Double(bitPattern: random.next())
            return number.isFinite ? .number(number) : .null
        case 5: return .string(text(&random))
        case 6: return .array((0..<Int.random(in: 0..<6, using: &random)).map { _ in value(depth: depth - 1, &random) })
        default:
            var object = JSONObject()
            for index in 0..<Int.random(in: 0..<24, using: &random) {
                object["\(text(&random))\(index)"] = value(depth: depth - 1, &random)
            }
            return .object(object)
        }
    }

    private static func text(_ random: inout SplitMix64) -> String {
        var scalars = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0..<12, using: &random) {
            let limit: UInt32 = Bool.random(using: &random) ? 0x80 : 0x11_0000
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &random)) { scalars.append(scalar) }
        }
        return String(scalars)
    }
}
