// Mistakes on the command line end with 2 before anything is sent; help ends with 0 and always has an example.

import ArgumentParser
import Testing

@testable import Commands

@Suite("Usage")
struct UsageTests {
    @Test(
        "a mistake on the command line ends with 2",
        arguments: [
            ["nonsense"], ["send"], ["send", "--from", "a@x.example", "--text", "x"],
            ["send", "--from", "a@x.example", "--to", "b@y.example"],
            ["send", "--from", "a@x.example", "--to", "b@y.example", "--text", "-", "--html", "-"],
            ["send", "--from", "a@x.example", "--to", "b@y.example", "--text", "x", "--header", "no colon"],
            [
                "send", "--from", "a@x.example", "--to", "b@y.example", "--text", "x", "--header", "X: 1", "--header",
                "x: 2",
            ],
            ["send", "--from", "a@x.example", "--to", "b@y.example", "--text", "x", "--idempotency-key", "a\r\nb"],
            ["send", "--raw", "-", "--subject", "x"], ["send", "--raw", "/nonexistent/file"],
            ["key", "create"], ["key", "revoke", ""], ["smtp-user", "delete", ""], ["pool", "edit", "p"],
            ["message", "list", "--limit", "0"], ["message", "list", "--limit", "many"], ["message", "show", ""],
            ["message", "wait", "m", "--until", "arrived"], ["message", "wait", "m", "--timeout", "-1"],
            ["settings", "set"], ["settings", "set", "route"], ["settings", "set", "=x"],
            ["settings", "set", "route=a", "route=b"], ["settings", "set", "a=-", "b=-"],
            ["queue", "drain", "--limit", "0"], ["queue", "requeue", "--limit", "10001"],
            ["queue", "drain", "--idempotency-key", ""], ["queue", "drain", "--force"],
            ["mailerq", "get"], ["mailerq", "get", "/"], ["mailerq", "post", "v1/pauses", "domain"],
            ["mailerq", "delete", "v1/pauses", "=x"],
            ["login", "--sso", "--email", "a@x"], ["login", "--again", "--email", "a@x"], ["login", "--token", "t"],
            ["login", "--sso", "--timeout", "0"], ["account", "end-session"], ["account", "end-session", ""],
            ["account", "end-session", "s", "--others"], ["account", "totp", "--remove", "--code", "1"],
            ["account", "reset", "--link-file", "-", "--password-file", "-"], ["user", "show", ""],
            ["user", "role", "u"],
            ["invitation", "create", "a@x", "--vault", "v"], ["invitation", "create", "a@x", "--vault-role", "owner"],
            ["invitation", "create", "a@x", "--grant", "shop"], ["invitation", "create", "a@x", "--grant", "=owner"],
            ["invitation", "list", "--vault", ""], ["vault", "show", ""], ["vault", "rename", "v"],
            ["vault", "suspend", "v"], ["vault", "plan", "v"], ["vault", "plan", "v", "p", "--limit", "users"],
            ["vault", "plan", "v", "p", "--limit", "users=-1"], ["plan", "set", "p"],
            ["vault", "plan", "v", "p", "--limit", "users=1", "--plan-limits"],
            ["access", "explain", "--caller", "c"], ["user", "list", "--vault", "v"],
            ["key", "list", "--vault", "a b"],
            ["key", "list", "--url", "localhost"], ["key", "list", "--token", "a b"],
        ])
    func mistakes(arguments: [String]) async {
        let result = await run(arguments)
        #expect(result.code == 2, "\(result.notes)")
        #expect(result.output.isEmpty)
        #expect(!result.notes.isEmpty)
    }

    @Test("every command has help with an example")
    func help() async {
        var pending: [(path: [String], type: any ParsableCommand.Type)] = Postern.configuration.subcommands.map {
            ([$0.configuration.commandName ?? ""], $0)
        }
        var seen = 0
        while let (path, type) = pending.popLast() {
            seen += 1
            let result = await run(path + ["--help"])
            #expect(result.code == 0 && result.notes.isEmpty, "\(path)")
            #expect(result.output.contains("postern \(path.joined(separator: " "))"), "\(path)")
            let discussion = type.configuration.discussion
            #expect(discussion.contains("Example:\n  postern \(path[0])"), "\(path)")
            // Help is wrapped at 80 columns, and a wrapped example cannot be copied.
            #expect(discussion.split(separator: "\n").allSatisfy { !$0.hasPrefix(" ") || $0.count < 80 }, "\(path)")
            pending += type.configuration.subcommands.map {
                (path + [$0.configuration.commandName ?? "\($0)".lowercased()], $0)
            }
        }
        #expect(seen == 121)
    }

    @Test("nobody reading the output any more ends the command without a word")
    func closedOutput() async throws {
        try await FakeServer.with(.json(#"{"data":[{"id":"k"}],"next_cursor":null}"#)) { server in
            let terminal = Terminal(
                output: { _ throws(CommandFailure) in throw .outputClosed },
                note: { text in Issue.record("noted: \(text)") },
                input: { [] }, environment: { $0 == "POSTERN_URL" ? server.url : "/nonexistent" }, isInteractive: false)
            let code = await Terminal.$current.withValue(terminal) {
                await CommandRunner.run(Postern.self, ["key", "list", "--token", "t"])
            }
            #expect(code == 1)
        }
    }
}
