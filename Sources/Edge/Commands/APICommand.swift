// What every command that talks to the API has in common: its options, its connection, its end.

package import ArgumentParser
import JSON

protocol APICommand: AsyncParsableCommand {
    var connection: ConnectionOptions { get }

    /// Does the command's work. A `CommandFailure` ends it with the failure's lines and exit code.
    func perform(_ api: APIClient) async throws
}

extension APICommand {
    mutating package func run() async throws {
        let terminal = Terminal.current
        let access = try ServerAccess.resolve(url: connection.url, token: connection.token, terminal: terminal)
        do {
            let command = self
            try await APIClient.withClient(access) { try await command.perform($0) }
        } catch let failure as CommandFailure {
            for line in failure.lines { terminal.note(line) }
            throw ExitCode(failure.exitCode)
        }
    }
}

/// Which server, and as whom.
package struct ConnectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The server's address. Else POSTERN_URL, else the quickstart card's, else \(ServerAccess.defaultURL).",
            valueName: "address"))
    package var url: String?

    @Option(
        help: ArgumentHelp(
            """
            The API key. Better in POSTERN_TOKEN, where no other user sees it. Without either, the key in \
            data/quickstart.json (or $POSTERN_DATA_DIR/quickstart.json) is used with that file's server.
            """,
            valueName: "key"))
    package var token: String?

    package init() {}
}

/// Text for people, or JSON for programs.
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
