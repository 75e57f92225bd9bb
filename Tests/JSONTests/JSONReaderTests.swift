// Reading members by name and type: every problem is found at its pointer, and nothing is dropped in silence.

import JSON
import Testing

@Suite("JSON reader")
struct JSONReaderTests {
    private func reader(_ text: String) throws -> JSONReader { JSONReader(try JSONParser.parse(text)) }

    @Test("values of the right type are read, in any order, with no problem")
    func reads() throws {
        var reader = try reader(#"{"s":"x","b":false,"i":-3,"a":[1],"o":{"k":1},"l":["p","q"]}"#)
        #expect(reader.strings("l") == ["p", "q"])
        #expect(reader.object("o") == JSONObject(["k": .integer(1)]))
        #expect(reader.array("a") == [.integer(1)])
        #expect(reader.integer("i") == -3)
        #expect(reader.bool("b") == false)
        #expect(reader.string("s") == "x")
        reader.finish()
        #expect(reader.problems.isEmpty)
    }

    @Test(
        "a value of another type is a problem at its pointer that names both types",
        arguments: [
            (#"{"x":1}"#, "expected a string, found an integer"), (#"{"x":1.5}"#, "expected a string, found a number"),
            (#"{"x":true}"#, "expected a string, found a boolean"), (#"{"x":[]}"#, "expected a string, found an array"),
            (#"{"x":{}}"#, "expected a string, found an object"),
        ])
    func wrongType(_ text: String, _ message: String) throws {
        var reader = try reader(text)
        #expect(reader.string("x") == nil)
        #expect(reader.problems == [JSONProblem(pointer: "/x", message: message)])
    }

    @Test("a whole number written with a fraction is no integer")
    func noIntegerFromFraction() throws {
        var reader = try reader(#"{"x":1.0}"#)
        #expect(reader.integer("x") == nil)
        #expect(reader.problems.map(\.message) == ["expected an integer, found a number"])
    }

    @Test("null counts as absent, and can be told from absent")
    func null() throws {
        var reader = try reader(#"{"x":null}"#)
        #expect(reader.string("x") == nil)
        #expect(reader.isNull("x"))
        #expect(!reader.isNull("y"))
        reader.finish()
        #expect(reader.problems.isEmpty)
    }

    @Test("every member that nobody asked for is a problem")
    func unknown() throws {
        var reader = try reader(#"{"a":1,"x/y":2,"~":3,"b":4,"":5}"#)
        _ = reader.integer("b")
        reader.finish()
        #expect(
            reader.problems == ["/a", "/x~1y", "/~0", "/"].map { JSONProblem(pointer: $0, message: "unknown field") })
    }

    @Test("pointers of nested readers are whole, and their names are escaped by RFC 6901")
    func pointers() throws {
        var outer = try reader(#"{"a/b~c":{"d":1}}"#)
        let nested = outer.reader("a/b~c")
        var inner = try #require(nested)
        #expect(inner.string("d") == nil)
        outer.adopt(inner.problems)
        outer.finish()
        #expect(outer.problems.map(\.pointer) == ["/a~1b~0c/d"])
    }

    @Test("a bad element of a list of strings is named by its index")
    func listElements() throws {
        var reader = try reader(#"{"l":["a",1,"b",null]}"#)
        #expect(reader.strings("l") == ["a", "b"])
        #expect(reader.problems.map(\.pointer) == ["/l/1", "/l/3"])
    }

    @Test("what is required and absent is one problem; what is required and wrong is not two")
    func required() throws {
        var reader = try reader(#"{"wrong":1}"#)
        _ = reader.required("absent", reader.string("absent"))
        _ = reader.required("wrong", reader.string("wrong"))
        #expect(
            reader.problems == [
                JSONProblem(pointer: "/absent", message: "is required"),
                JSONProblem(pointer: "/wrong", message: "expected a string, found an integer"),
            ])
    }

    @Test("a document that is no object has one problem, and reads as empty", arguments: ["[]", "1", "null", #""x""#])
    func noObject(_ text: String) throws {
        var reader = try reader(text)
        #expect(reader.string("x") == nil)
        reader.finish()
        #expect(reader.problems.map(\.pointer) == [""])
    }

    @Test("an object can be changed in place and keeps its order")
    func objectEditing() {
        var object = JSONObject(["a": .integer(1), "b": .integer(2)])
        object["a"] = .null
        object["c"] = .bool(true)
        object["b"] = nil
        object["nothing"] = nil
        #expect(object.members.map(\.name) == ["a", "c"])
        #expect(object["a"] == .null)
        #expect(object["b"] == nil)
    }
}
