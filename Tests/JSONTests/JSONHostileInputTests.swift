// Bytes that mean harm: each has to be refused cleanly, soon, and without a crash.

import JSON
import Testing

#if canImport(Glibc)
import Glibc
#endif

@Suite("JSON, hostile input")
struct JSONHostileInputTests {
    @Test("nesting is allowed up to the limit and refused beyond it, arrays and objects alike")
    func depth() throws {
        func arrays(_ count: Int) -> String {
            String(repeating: "[", count: count) + String(repeating: "]", count: count)
        }
        func objects(_ count: Int) -> String {
            String(repeating: #"{"a":"#, count: count) + "1" + String(repeating: "}", count: count)
        }
        #expect(throws: Never.self) { try JSONParser.parse(arrays(64)) }
        #expect(throws: JSONError.self) { try JSONParser.parse(arrays(65)) }
        #expect(throws: Never.self) { try JSONParser.parse(objects(63)) }
        #expect(throws: JSONError.self) { try JSONParser.parse(objects(64)) }
        var shallow = JSONLimits()
        shallow.depth = 2
        #expect(throws: Never.self) { try JSONParser.parse("[1]", limits: shallow) }
        #expect(throws: JSONError.self) { try JSONParser.parse("[[1]]", limits: shallow) }
    }

    @Test("elements and members are counted")
    func elements() throws {
        var limits = JSONLimits()
        limits.elements = 3
        #expect(throws: Never.self) { try JSONParser.parse("[1,2,3]", limits: limits) }
        #expect(throws: JSONError.self) { try JSONParser.parse("[1,2,3,4]", limits: limits) }
        #expect(throws: Never.self) { try JSONParser.parse(#"{"a":1,"b":2,"c":3}"#, limits: limits) }
        #expect(throws: JSONError.self) { try JSONParser.parse(#"{"a":1,"b":2,"c":3,"d":4}"#, limits: limits) }
    }

    @Test(
        "ten megabytes of opening brackets are refused without using the stack",
        arguments: ["[", "{\"\":", "[{\"a\":["])
    func brackets(_ pattern: String) {
        let unit = Array(pattern.utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(10 << 20)
        while bytes.count < 10 << 20 { bytes += unit }
        #expect(throws: JSONError.self) { try JSONParser.parse(bytes) }
    }

    @Test("no prefix of a document passes for a document")
    func prefixes() throws {
        let text = #"{"to":["a@b.c",{"n":-12.5e+3}],"s":"é \ud83d\ude00 \\ \u0041","t":true,"f":false,"z":null,"d":{}}"#
        let bytes = Array(text.utf8)
        #expect(throws: Never.self) { try JSONParser.parse(bytes) }
        for count in 0..<bytes.count {
            #expect(throws: JSONError.self, "the first \(count) bytes") { try JSONParser.parse(Array(bytes[..<count])) }
        }
    }

    @Test("a document with any one byte changed is read or refused, never more")
    func mutations() {
        let bytes = Array(#"{"a":[1,-2.5e3,"x\n\u00e9é"],"b":{"c":null,"d":true}}"#.utf8)
        var refused = 0
        for index in bytes.indices {
            for byte in UInt8.min ... .max {
                var changed = bytes
                changed[index] = byte
                if (try? JSONParser.parse(changed)) == nil { refused += 1 }
            }
        }
        #expect(refused > bytes.count * 100)
    }

    @Test("random bytes and random JSON tokens are read or refused, never more")
    func noise() {
        var random = SplitMix64(seed: 20_261_120)
        let tokens = [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "d83d", "1", "-", "e", ".", "true", "null", " ", "é",
        ]
        for _ in 0..<3_000 {
            let bytes = (0..<Int.random(in: 0..<48, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            _ = try? JSONParser.parse(bytes)
            let text = (0..<Int.random(in: 0..<24, using: &random)).map { _ in
                tokens.randomElement(using: &random) ?? ""
            }
            if let value = try? JSONParser.parse(text.joined()) {
                #expect((try? JSONParser.parse(JSONWriter.write(value))) == value)
            }
        }
    }

    /// Shapes whose cost would grow with the square of their size if anything were looked at again and again.
    static let shapes: [(name: String, make: @Sendable (Int) -> [UInt8])] = [
        ("members", { count in Array("{\((0..<count).map { "\"n\($0)\":0" }.joined(separator: ","))}".utf8) }),
        ("elements", { count in Array("[\(String(repeating: "1,", count: count))1]".utf8) }),
        ("escapes", { count in Array("\"\(String(repeating: #"\u00e9\n"#, count: count))\"".utf8) }),
        ("digits", { count in [UInt8](repeating: UInt8(ascii: "1"), count: count * 8) }),
        ("open string", { count in Array("\"\(String(repeating: "abcdefgh", count: count))".utf8) }),
        ("spaces", { count in [UInt8](repeating: UInt8(ascii: " "), count: count * 8) }),
    ]

    @Test("eight times the input takes about eight times as long", arguments: shapes.indices)
    func linearTime(_ index: Int) {
        let shape = Self.shapes[index]
        var limits = JSONLimits()
        limits.elements = .max
        // This thread's own time, and the best of several tries, so that a busy machine does not decide.
        func time(_ count: Int) -> Double {
            let bytes = shape.make(count)
            return (0..<5).map { _ in
                let start = threadSeconds()
                _ = try? JSONParser.parse(bytes, limits: limits)
                return threadSeconds() - start
            }.min() ?? 0
        }
        let (small, large) = (time(2_000), time(16_000))
        // A square would be 64 times; the floor keeps the clock's grain out.
        #expect(large < 30 * max(small, 0.000_2), "\(shape.name): \(small) s became \(large) s")
    }

    private func threadSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
