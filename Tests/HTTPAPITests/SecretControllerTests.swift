// Secrets over HTTP: they go in, their names come out, and planted values are found nowhere.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import Sealing
import Store
import Testing
import Vaults

@testable import HTTPAPI

@Suite("Secrets over HTTP")
struct SecretControllerTests {
    private let planted = "planted-value-4711"

    @Test("a secret is set, listed by name and taken away, and no answer holds its value")
    func whole() async throws {
        try await withDoor { door in
            var answers: [Answer] = []
            answers.append(try await door.call(.put, "/v1/secrets/token_1", "{\"value\":\"\(planted)\"}"))
            answers.append(try await door.call(.get, "/v1/secrets"))
            answers.append(try await door.call(.post, "/v1/secrets/rotate"))
            answers.append(try await door.call(.get, "/v1/settings"))
            answers.append(try await door.call(.put, "/v1/secrets/token_1", "{\"value\":\"\(planted)\",\"x\":1}"))
            answers.append(try await door.call(.put, "/v1/secrets/Token", "{\"value\":\"\(planted)\"}"))
            answers.append(try await door.call(.put, "/v1/secrets/token_1", "{\"value\":[\"\(planted)\"]}"))
            answers.append(try await door.call(.put, "/v1/secrets/token_1", "{\"value\":\"\(planted)\""))
            #expect(answers.map(\.status) == [200, 200, 200, 200, 422, 422, 422, 400])
            #expect(!answers.map(\.text).joined().contains("planted"))
            let listed = try #require(try answers[1].object["data"]?.arrayValue?.first?.objectValue)
            #expect(listed["name"] == .string("token_1"))
            #expect(listed["updated_at"] == .string(door.house.clock.now().description))
            #expect(try answers[2].object["rotated"] == .integer(1))
            #expect(try await door.house.vaults.secret("token_1", in: door.house.vault.id)?.reveal() == planted)
            #expect(try await door.call(.delete, "/v1/secrets/token_1").status == 204)
            #expect(try await door.call(.delete, "/v1/secrets/token_1").status == 404)
            #expect(try await door.call(.get, "/v1/secrets/token_1").status == 405)
        }
    }

    @Test("a value of 16 KiB is taken, and an empty or longer one is not")
    func sizes() async throws {
        try await withDoor { door in
            for (size, status) in [(0, 422), (1, 200), (16_384, 200), (16_385, 422)] {
                let value = String(repeating: "x", count: size)
                let answer = try await door.call(.put, "/v1/secrets/a", "{\"value\":\"\(value)\"}")
                #expect(answer.status == status)
            }
        }
    }

    @Test(
        "a name that is none is refused, and names nothing that could be deleted",
        arguments: ["A", "a-b", "a.b", "a%20b", "%E2%82%AC", "a%2Fb", "%00", String(repeating: "a", count: 65)])
    func names(_ name: String) async throws {
        try await withDoor { door in
            let answer = try await door.call(.put, "/v1/secrets/\(name)", #"{"value":"x"}"#)
            #expect([404, 422].contains(answer.status))
            #expect(try await door.call(.delete, "/v1/secrets/\(name)").status == 404)
            #expect(try await door.house.database.count("vault_secrets") == 0)
        }
    }

    @Test("the scope admin it takes, and a read-only key may list names only")
    func scopes() async throws {
        try await withDoor { door in
            for (scopes, isReadOnly, expected) in [
                ([.send, .read, .mailerq, .amqp], false, [403, 403, 403, 403]), (.admin, false, [200, 200, 200, 204]),
                (.admin, true, [200, 403, 403, 403]),
            ] as [(Scopes, Bool, [Int])] {
                let request = CallerDirectory.KeyRequest(
                    label: "k", kind: .tool, scopes: scopes, isReadOnly: isReadOnly)
                let key = try await door.house.callers.issueKey(request, in: door.house.vault.id).text.reveal()
                let field = OpenDoor.Authorization.field("Bearer \(key)")
                let statuses = [
                    try await door.call(.get, "/v1/secrets", authorization: field).status,
                    try await door.call(.put, "/v1/secrets/a", authorization: field, #"{"value":"x"}"#).status,
                    try await door.call(.post, "/v1/secrets/rotate", authorization: field).status,
                    try await door.call(.delete, "/v1/secrets/a", authorization: field).status,
                ]
                #expect(statuses == expected)
            }
        }
    }

    @Test("another vault's secrets are neither listed nor taken away")
    func tenancy() async throws {
        try await withDoor { door in
            let other = try await door.house.neighbour().vault.id
            let request = CallerDirectory.KeyRequest(label: "n", kind: .tool, scopes: .all)
            let key = try await door.house.callers.issueKey(request, in: other).text.reveal()
            let field = OpenDoor.Authorization.field("Bearer \(key)")
            #expect(try await door.call(.put, "/v1/secrets/a", #"{"value":"x"}"#).status == 200)
            #expect(try await door.call(.get, "/v1/secrets", authorization: field).object["data"] == .array([]))
            #expect(try await door.call(.delete, "/v1/secrets/a", authorization: field).status == 404)
            #expect(try await door.house.vaults.secret("a", in: door.house.vault.id)?.reveal() == "x")
        }
    }
}
