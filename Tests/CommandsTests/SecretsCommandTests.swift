// Secrets from the command line: the value comes from where nobody looks, and is repeated nowhere.

import JSON
import Testing

@testable import Commands

@Suite("Commands for secrets")
struct SecretsCommandTests {
    private let stored = Answer.json(#"{"name":"token","updated_at":"2026-11-21T00:00:00.000Z"}"#)

    @Test("a value is read from standard input without its last line break, and is not printed")
    func fromInput() async throws {
        try await FakeServer.with({ _ in stored }) { server in
            let result = await postern("secrets", "set", "token", server: server, input: "hunter2\n two \r\n")
            #expect(result.code == 0)
            #expect(server.requests.map(\.line) == ["PUT /v1/secrets/token"])
            #expect(server.requests[0].text == #"{"value":"hunter2\n two "}"#)
            #expect(!(result.output + result.notes).contains("hunter2"))
        }
    }

    @Test("a value is read from a file, and what is wrong with the file is said")
    func fromFile() async throws {
        try await TemporaryDirectory.with { directory in
            try directory.write("value", "from a file")
            let path = "\(directory.path)/value"
            try await FakeServer.with({ _ in stored }) { server in
                let result = await postern("secrets", "set", "token", "--value-file", path, server: server)
                #expect(result.code == 0 && server.requests.map(\.text) == [#"{"value":"from a file"}"#])
                let missing = await postern("secrets", "set", "token", "--value-file", "\(path).no", server: server)
                #expect(missing.code != 0 && server.requests.count == 1)
            }
        }
    }

    @Test("a value on the command line is refused, and so are an empty one and one that is no text")
    func refused() async throws {
        try await FakeServer.with({ _ in stored }) { server in
            #expect(await postern("secrets", "set", "token", "hunter2", server: server, input: "x").code != 0)
            #expect(
                await postern("secrets", "set", "token", "--value", "hunter2", server: server, input: "x").code != 0)
            #expect(await postern("secrets", "set", "token", server: server, input: "\n").code != 0)
            #expect(await postern("secrets", "set", "", server: server, input: "x").code != 0)
            #expect(server.requests.isEmpty)
        }
    }

    @Test("names are listed, one is deleted, and all are sealed anew")
    func others() async throws {
        try await FakeServer.with({ request in
            if request.line.hasPrefix("GET") {
                return .json(#"{"data":[{"name":"token","updated_at":"2026-11-21T00:00:00.000Z"}],"next_cursor":null}"#)
            }
            return request.line.hasPrefix("DELETE") ? Answer(status: 204) : .json(#"{"rotated":2}"#)
        }) { server in
            let list = await postern("secrets", "list", server: server)
            #expect(list.code == 0 && list.output.contains("token") && list.output.contains("NAME"))
            #expect(await postern("secrets", "delete", "token", server: server).output == "deleted token\n")
            #expect(await postern("secrets", "rotate", server: server).output == "2 secrets were sealed anew\n")
            #expect(
                server.requests.map(\.line) == [
                    "GET /v1/secrets", "DELETE /v1/secrets/token", "POST /v1/secrets/rotate",
                ])
        }
    }
}
