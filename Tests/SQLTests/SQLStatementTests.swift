// A value becomes a bound parameter, whatever stands in it; fragments are renumbered.

import SQL
import Testing

@Suite("SQL statements")
struct SQLStatementTests {
    @Test(
        "an interpolated value never becomes SQL text",
        arguments: ["x'; DROP TABLE vaults; --", "'", "\"", "$1", "?", ";", "\u{0}", "NULL", "", "é", "\\", "/*"])
    func valuesAreBound(_ hostile: String) {
        let statement: SQLStatement = "SELECT \(hostile) FROM t WHERE a = \(hostile)"
        #expect(statement.text == "SELECT $1 FROM t WHERE a = $2")
        #expect(statement.values == [.text(hostile), .text(hostile)])
    }

    @Test("each bindable type keeps its kind")
    func kinds() {
        let absent: String? = nil
        let present: Int64? = 3
        let statement: SQLStatement =
            "\("a") \(1) \(Int64(2)) \(true) \(false) \(1.5) \([UInt8]([0, 255])) \(absent) \(present) \(SQLValue.null)"
        #expect(
            statement.values == [
                .text("a"), .integer(1), .integer(2), .integer(1), .integer(0), .real(1.5), .blob([0, 255]), .null,
                .integer(3), .null,
            ])
        #expect(statement.text == "$1 $2 $3 $4 $5 $6 $7 $8 $9 $10")
    }

    @Test("a fragment's values are renumbered behind those before it, with ten and more of them")
    func renumbering() {
        let columns: SQLStatement = "id, name"
        let fragment: SQLStatement =
            "a=\(1) b=\(2) c=\(3) d=\(4) e=\(5) f=\(6) g=\(7) h=\(8) i=\(9) j=\(10) k=\(11) l=\(12)"
        let statement: SQLStatement = "SELECT \(columns) WHERE x=\("x") AND \(fragment) AND \(fragment) AND y=\("y")"
        let first = zip("abcdefghijkl", 2...13).map { "\($0)=$\($1)" }.joined(separator: " ")
        let second = zip("abcdefghijkl", 14...25).map { "\($0)=$\($1)" }.joined(separator: " ")
        #expect(statement.text == "SELECT id, name WHERE x=$1 AND \(first) AND \(second) AND y=$26")
        let numbers = (1...12).map { SQLValue.integer($0) }
        #expect(statement.values == [.text("x")] + numbers + numbers + [.text("y")])
    }

    @Test("a fragment whose values hold markers of their own is still data")
    func markersInValues() {
        let inner: SQLStatement = "a = \("$1 $2") AND b = \("$9")"
        let outer: SQLStatement = "\(1), \(inner), \(2)"
        #expect(outer.text == "$1, a = $2 AND b = $3, $4")
        #expect(outer.values == [.integer(1), .text("$1 $2"), .text("$9"), .integer(2)])
    }

    @Test("fragments may be nested")
    func nesting() {
        var conditions: SQLStatement = "v = \("v")"
        for index in 0..<12 { conditions = "\(conditions) AND c = \(index)" }
        #expect(conditions.values == [.text("v")] + (0..<12).map { .integer(Int64($0)) })
        #expect(conditions.text == "v = $1" + (2...13).map { " AND c = $\($0)" }.joined())
    }

    @Test("a list is one parameter an element; an empty one matches nothing")
    func lists() {
        let some: SQLStatement = "a = \(0) AND b IN \(list: ["x'", "y"]) AND c = \(1)"
        #expect(some.text == "a = $1 AND b IN ($2, $3) AND c = $4")
        #expect(some.values == [.integer(0), .text("x'"), .text("y"), .integer(1)])
        let none: SQLStatement = "b IN \(list: [String]())"
        #expect(none.text == "b IN (NULL)")
        #expect(none.values.isEmpty)
    }

    @Test("a column that holds something else is an error that shows no value")
    func rows() throws {
        let row = SQLRow([.text("secret"), .integer(7), .blob([1]), .null])
        #expect(try row.text(0) == "secret")
        #expect(try row.integer(1) == 7)
        #expect(try row.bool(1))
        #expect(try row.blob(2) == [1])
        #expect(try row.optionalText(3) == nil)
        #expect(try row.optionalInteger(3) == nil)
        #expect(try row.optionalBlob(3) == nil)
        for read in [
            { _ = try row.integer(0) }, { _ = try row.blob(0) }, { _ = try row.text(1) }, { _ = try row.text(3) },
            { _ = try row.optionalInteger(0) },
        ] as [() throws -> Void] {
            let error = #expect(throws: SQLError.self) { try read() }
            #expect(error?.code == .unexpectedValue)
            #expect(error?.description.contains("secret") == false)
        }
    }

    @Test("what is worth another try is said so")
    func transient() {
        let transient: [SQLError.Code] = [.unavailable, .overloaded, .storage]
        let final: [SQLError.Code] = [.constraint, .unexpectedValue, .failure]
        #expect(transient.allSatisfy { SQLError($0, "").isTransient })
        #expect(final.allSatisfy { !SQLError($0, "").isTransient })
    }
}
