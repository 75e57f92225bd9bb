// `postern alert`: what it asks for, and what it shows.

import ArgumentParser
import JSON
import Model
import Synchronization
import Testing

@testable import Commands

@Suite("postern alert")
struct AlertCommandTests {
    /// Runs a command against a server that answers by path, and hands over what was written and asked.
    private func run(
        _ arguments: [String],
        _ answers: [String: String]
    ) async throws -> (code: Int32, text: String, requests: [String], bodies: [JSONValue]) {
        try await FakeServer.with({ request in .json(answers[request.line] ?? #"{"id":"rul_0000000000000001"}"#) }) {
            server in
            let written = Mutex<[UInt8]>([])
            let terminal = Terminal(
                output: { bytes in written.withLock { $0 += bytes } },
                note: { note in written.withLock { $0 += Array("\(note)\n".utf8) } }, input: { [] },
                environment: { ["POSTERN_DATA_DIR": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"][$0] },
                isInteractive: false)
            let code = await Terminal.$current.withValue(terminal) {
                await CommandRunner.run(AlertCommand.self, arguments + ["--url", server.url, "--token", "ak_x"])
            }
            let bodies = try server.requests.filter { !$0.body.isEmpty }.map { try JSONParser.parse($0.body) }
            return (code, written.withLock { String(decoding: $0, as: UTF8.self) }, server.requests.map(\.line), bodies)
        }
    }

    @Test("it asks for what was asked, and leaves the default to the server")
    func request() throws {
        func target(_ arguments: String...) throws -> String {
            try #require(try AlertCommand.parseAsRoot(["list"] + arguments) as? AlertCommand.List).request.target
        }
        #expect(try target() == "/v1/alerts")
        #expect(try target("--state", "all") == "/v1/alerts?state=all")
        #expect(try target("--instance") == "/api/alerts")
        #expect(
            try target("--instance", "--kind", "refusals", "--severity", "info")
                == "/api/alerts?kind=refusals&severity=info")
    }

    @Test("the table shows what is wrong and what to do, whatever words are in it")
    func table() async throws {
        let row =
            #"{"id":"alr_0000000000000001","kind":"broker_blocked","severity":"critical","subject":"rabbit:5672","vault":null,"#
            + #""state":"open","times":3,"detail":"low on \u001b[31mmemory","began_at":"2026-11-20T19:26:07.448Z","#
            + #""closed_at":null,"fix":"Free memory."}"#
        let (code, text, requests, _) = try await run(
            ["list"], ["GET /v1/alerts": #"{"data":[\#(row)],"next_cursor":null}"#])
        #expect(code == 0)
        #expect(text.contains("broker_blocked") && text.contains("Free memory.") && text.contains("critical"))
        #expect(!text.contains("\u{1B}"))
        #expect(requests == ["GET /v1/alerts"])
    }

    @Test("acknowledging and resolving send the note, and nothing where none was given")
    func decisions() async throws {
        let id = "alr_0000000000000001"
        for verb in ["acknowledge", "resolve"] {
            for (flags, root) in [([], "v1"), (["--instance"], "api")] {
                let told = try await run([verb, id, "--note", "on it"] + flags, [:])
                #expect(told.code == 0 && told.requests == ["POST /\(root)/alerts/\(id)/\(verb)"])
                #expect(told.bodies == [.object(JSONObject(["note": .string("on it")]))])
                let silent = try await run([verb, id] + flags, [:])
                #expect(silent.bodies == [.object(JSONObject())])
            }
            #expect(try await run([verb, ""], [:]).code != 0)
        }
    }

    @Test("a rule that is set by its condition is made where there is none, and changed where there is one")
    func set() async throws {
        let arguments = [
            "rule", "set", "bounce_rate", "--threshold", "5", "--from", "a@example.com", "--to", "b@x.test,c@x.test",
        ]
        let fields = JSONObject([
            "threshold": .integer(5), "from": .string("a@example.com"),
            "recipients": .array([.string("b@x.test"), .string("c@x.test")]),
        ])
        func list(_ ids: String...) -> [String: String] {
            let rules =
                ids.map { #"{"id":"\#($0)","condition":"bounce_rate"}"# } + [#"{"id":"rul_9","condition":"refusals"}"#]
            return ["GET /v1/alert-rules": #"{"data":[\#(rules.joined(separator: ","))],"inherited":[]}"#]
        }
        let made = try await run(arguments, list())
        var creation = JSONObject(["condition": .string("bounce_rate")])
        for member in fields.members { creation[member.name] = member.value }
        #expect(made.requests == ["GET /v1/alert-rules", "POST /v1/alert-rules"] && made.bodies == [.object(creation)])
        let changed = try await run(arguments, list("rul_1"))
        #expect(changed.requests == ["GET /v1/alert-rules", "PATCH /v1/alert-rules/rul_1"])
        #expect(changed.bodies == [.object(fields)])
        let several = try await run(arguments, list("rul_1", "rul_2"))
        #expect(several.code != 0 && several.text.contains("rul_1, rul_2") && several.bodies.isEmpty)
        let another = try await run(arguments + ["--add"], list("rul_1"))
        #expect(another.requests == ["POST /v1/alert-rules"])
        let nothing = try await run(["rule", "set", "bounce_rate"], list("rul_1"))
        #expect(nothing.code != 0 && nothing.bodies.isEmpty)
    }

    @Test("a rule that is set by its id is changed without a look at the others; what is reset is null")
    func setByID() async throws {
        let id = "rul_0000000000000001"
        let run = try await run(
            ["rule", "set", id, "--instance", "--off", "--channel", "none", "--reset", "threshold,severity"], [:])
        #expect(run.requests == ["PATCH /api/alert-rules/\(id)"])
        #expect(
            run.bodies == [
                .object(
                    JSONObject([
                        "channels": .array([]), "threshold": .null, "severity": .null, "is_enabled": .bool(false),
                    ]))
            ])
        #expect(try await self.run(["rule", "set", id], [:]).code != 0)
        #expect(try await self.run(["rule", "set", "refusals", "--on", "--off"], [:]).code != 0)
    }

    @Test("the table of rules has what is inherited and in force below what was written")
    func rules() async throws {
        let own = #"{"id":"rul_1","condition":"refusals","is_enabled":false,"threshold":7,"channels":["email"]}"#
        let inherited =
            #"{"condition":"refusals","is_in_force":false,"threshold":100},{"condition":"bounce_rate","is_in_force":true}"#
        let run = try await run(
            ["rule", "list", "--instance"],
            ["GET /api/alert-rules": #"{"data":[\#(own)],"next_cursor":null,"inherited":[\#(inherited)]}"#])
        #expect(run.code == 0)
        let lines = run.text.split(separator: "\n")
        #expect(lines.count == 3 && lines[1].contains("rul_1") && lines[2].hasPrefix("-"))
        #expect(lines[2].contains("bounce_rate") && !run.text.contains("100"))
    }

    @Test("every one of them names what the gate is asked")
    func actions() {
        #expect(AlertCommand.List.action == .alertRead && AlertCommand.Show.action == .alertRead)
        #expect(
            AlertCommand.Acknowledge.action == .alertAcknowledge && AlertCommand.Resolve.action == .alertAcknowledge)
        #expect(AlertCommand.Rule.List.action == .alertRuleRead)
        #expect(AlertCommand.Rule.Set.action == .alertRuleWrite && AlertCommand.Rule.Delete.action == .alertRuleWrite)
    }
}
