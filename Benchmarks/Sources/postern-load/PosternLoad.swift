// `postern-load`: the one load client of the benchmarks, for Postern and for its peers. It prints one line of JSON.

import Glibc
import Load

@main
enum PosternLoad {
    static let usage = """
        usage: postern-load smtp --port N [--username U --password P] [--pipelining on|off] [--per-session M] …
               postern-load http --port N [--path /v1/send] [--bearer KEY] …
               postern-load get  --port N --paths FILE [--bearer KEY] …
               postern-load idle --port N [--sessions 1000]
        for all: [--host 127.0.0.1] [--sessions 32] [--messages 1000] [--size 4096] [--sources 0] [--timeout 300]
        idle opens the connections, says EHLO on each, prints {"ready":N} and holds them until standard input ends.

        """

    static let known: Set<String> = [
        "host", "port", "sessions", "messages", "per-session", "size", "sources", "timeout", "username", "password",
        "pipelining", "path", "paths", "bearer", "from", "to",
    ]

    static func main() {
        do {
            try run(CommandLine.arguments.dropFirst())
        } catch {
            write("postern-load: \(error)\n", to: STDERR_FILENO)
            exit(1)
        }
    }

    static func run(_ arguments: ArraySlice<String>) throws {
        guard let mode = arguments.first, ["smtp", "http", "get", "idle"].contains(mode) else {
            write(usage, to: STDERR_FILENO)
            exit(2)
        }
        let flags = try Flags(arguments.dropFirst(), known: known)
        let plan = try plan(flags)
        switch mode {
        case "smtp": try smtp(flags, plan)
        case "idle": try idle(plan)
        default: try http(flags, plan, gets: mode == "get")
        }
    }

    static func plan(_ flags: Flags) throws -> Plan {
        Plan(
            peer: try Address(
                host: flags.text("host", default: "127.0.0.1"),
                port: try flags.number("port", default: 0, in: 1...65_535)
            ),
            sessions: try flags.number("sessions", default: 32, in: 1...50_000),
            messages: try flags.number("messages", default: 1_000, in: 1...99_999_999),
            messagesPerSession: try flags.number("per-session", default: 0, in: 0...99_999_999),
            sources: try flags.number("sources", default: 0, in: 0...10_000),
            timeout: try flags.number("timeout", default: 300, in: 1...86_400)
        )
    }

    static func smtp(_ flags: Flags, _ plan: Plan) throws {
        let sender = flags.text("from", default: "bench@example.com")
        let recipient = flags.text("to", default: "reader@example.net")
        let pipelines = try flags.isOn("pipelining", default: false)
        let login: String? = try flags.text("username").map { username in
            base64([0] + Array(username.utf8) + [0] + Array(try flags.required("password").utf8))
        }
        let authenticates = login != nil
        let runner = try LoadRunner(
            plan,
            script: SMTPConversation.script(
                host: "bench.example.com",
                sender: sender,
                recipient: recipient,
                login: login
            ),
            payload: .mail(size: try size(flags), from: sender, to: recipient, run: runName()),
            makeTalk: { SMTPConversation(authenticates: authenticates, pipelines: pipelines) }
        )
        print(try runner.run().json)
    }

    static func http(_ flags: Flags, _ plan: Plan, gets: Bool) throws {
        let authority = "\(flags.text("host", default: "127.0.0.1")):\(try flags.required("port"))"
        let authorization = flags.text("bearer").map { "Bearer \($0)" }
        let payload: Payload =
            if gets {
                .requests(
                    paths: try lines(of: flags.required("paths")),
                    authority: authority,
                    authorization: authorization
                )
            } else {
                .canonical(
                    size: try size(flags),
                    from: flags.text("from", default: "bench@example.com"),
                    to: flags.text("to", default: "reader@example.net"),
                    run: runName(),
                    path: flags.text("path", default: "/v1/send"),
                    authority: authority,
                    authorization: authorization
                )
            }
        let runner = try LoadRunner(
            plan,
            script: .empty,
            payload: payload,
            makeTalk: { HTTPConversation(expected: gets ? 200 : 202) }
        )
        print(try runner.run().json)
    }

    static func idle(_ plan: Plan) throws {
        var plan = plan
        plan.messages = 0
        let runner = try LoadRunner(
            plan,
            script: SMTPConversation.script(host: "bench.example.com", sender: "", recipient: "", login: nil),
            payload: .mail(size: 0, from: "", to: "", run: ""),
            makeTalk: { SMTPConversation(authenticates: false, pipelines: false) }
        )
        try runner.hold {
            write("{\"ready\":\(plan.sessions)}\n", to: STDOUT_FILENO)
            while readLine() != nil {}
        }
    }

    static func size(_ flags: Flags) throws -> Int {
        try flags.number("size", default: 4_096, in: 512...64 << 20)
    }

    /// Tells this run's messages from those of every other.
    static func runName() -> String { "\(time(nil)).\(getpid())" }

    static func lines(of path: String) throws -> [String] {
        guard let file = fopen(path, "r") else { throw NoFile(path: path) }
        defer { fclose(file) }
        var lines: [String] = []
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while getline(&line, &capacity, file) > 0, let read = line {
            let text = String(cString: read)
            lines.append(String(text.prefix { !$0.isNewline }))
        }
        guard !lines.isEmpty else { throw NoFile(path: path) }
        return lines
    }

    struct NoFile: Error, CustomStringConvertible {
        let path: String
        var description: String { "\(path) cannot be read or is empty" }
    }

    static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }
}
