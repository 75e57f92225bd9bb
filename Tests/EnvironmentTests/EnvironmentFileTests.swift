// `KEY=value` files, as people write them.

import Testing

@testable import Environment

@Suite("Environment file")
struct EnvironmentFileTests {
    private func read(_ text: String) -> (values: [String: String], problems: [String]) {
        var problems: [String] = []
        let file = EnvironmentFile(text) { problems.append($0) }
        return (file.values, problems)
    }

    @Test("comments and blank lines say nothing")
    func comments() {
        let (values, problems) = read("# POSTERN_HTTP_PORT=1\n\n   \n\t# x\nPOSTERN_HTTP_PORT=8025\n")
        #expect(values == ["POSTERN_HTTP_PORT": "8025"])
        #expect(problems == [])
    }

    @Test("white space around key and value is dropped, and inside quotes it is kept")
    func whiteSpace() {
        #expect(read("  A = one two \t").values == ["A": "one two"])
        #expect(read("A=\" one \"\nB=' two '").values == ["A": " one ", "B": " two "])
    }

    @Test(
        "only a pair of the same quotes is taken off, and only once",
        arguments: [("\"\"x\"\"", "\"x\""), ("\"x'", "\"x'"), ("\"", "\""), ("''", ""), ("it's", "it's")])
    func quotes(text: String, value: String) {
        #expect(read("A=\(text)").values == ["A": value])
    }

    @Test("a value may hold an equals sign and a hash, and may be nothing")
    func values() {
        #expect(read("A=b=c#d\nB=").values == ["A": "b=c#d", "B": ""])
    }

    @Test("the word export, as shells want it, is passed over")
    func export() {
        #expect(read("export A=1\nexported=2").values == ["A": "1", "exported": "2"])
    }

    @Test("lines may end in LF, CRLF or nothing")
    func lineEnds() {
        #expect(read("A=1\r\nB=2\nC=3").values == ["A": "1", "B": "2", "C": "3"])
    }

    @Test("a key that stands twice has its last value")
    func twice() {
        #expect(read("A=1\nA=2").values == ["A": "2"])
    }

    @Test("each line that is no assignment is named by its number, and the others count")
    func problems() {
        let (values, problems) = read("# first\nPOSTERN_HTTP_PORT 8025\r\n=x\nA=1\nexport\n")
        #expect(values == ["A": "1"])
        #expect(problems == [2, 3, 5].map { "line \($0) is not KEY=value" })
    }
}
