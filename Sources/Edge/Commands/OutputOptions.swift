// Text for people, or JSON for programs.

import ArgumentParser
import JSON

package struct OutputOptions: ParsableArguments {
    @Flag(help: "Print the server's answer as JSON.")
    package var json = false

    package init() {}

    /// Prints the answer itself with `--json`, else the lines made of it.
    func show(_ answer: JSONValue, _ lines: @autoclosure () -> [String]) throws(CommandFailure) {
        try Terminal.current.line(json ? JSONText.pretty(answer) : lines().joined(separator: "\n"))
    }

    /// One thing: its members, one a line.
    func show(_ object: JSONObject) throws(CommandFailure) {
        try show(.object(object), ValueText.details(object))
    }

    /// That something is gone, where the server has nothing to say about it any more.
    func done(_ what: String, _ id: String) throws(CommandFailure) {
        try show(.object(JSONObject(["id": .string(id), "status": .string(what)])), ["\(what) \(Visible.text(id))"])
    }
}
