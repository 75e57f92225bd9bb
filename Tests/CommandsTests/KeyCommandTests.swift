// Keys and SMTP users from the command line: options become fields of the API, and only those that were given.

import ArgumentParser
import JSON
import Testing

@testable import Commands

@Suite("Commands for keys and logins")
struct KeyCommandTests {
    private func request(_ arguments: String...) throws -> APIRequest {
        let command = try Postern.parseAsRoot(arguments)
        switch command {
        case let create as KeyCommand.Create: return create.request
        case let rotate as KeyCommand.Rotate: return rotate.request
        case let create as SMTPUserCommand.Create: return create.request
        case let edit as SMTPUserCommand.Edit: return edit.request
        default: throw ValidationError("another command: \(command)")
        }
    }

    private func body(_ request: APIRequest) -> String { String(decoding: request.bodyBytes ?? [], as: UTF8.self) }

    @Test("every bound of a key is an option")
    func everyBound() throws {
        let request = try request(
            "key", "create", "--label", "bill-1", "--kind", "agent", "--scope", "send,read", "--label-prefix", "bill-",
            "--read-only", "--sender-domain", "acme.com", "*.acme.com", "--allowed-ip", "192.0.2.0/24,2001:db8::/32",
            "--ip-pool", "warm", "--send-rate-limit", "10", "--burst-ceiling", "2", "--expires-in", "3600")
        #expect(request.target == "/v1/keys" && request.method == .post)
        #expect(
            body(request) == #"{"label":"bill-1","kind":"agent","scopes":["send","read"],"label_prefix":"bill-","#
                + #""read_only":true,"sender_domains":["acme.com","*.acme.com"],"#
                + #""allowed_ips":["192.0.2.0/24","2001:db8::/32"],"ip_pool":"warm","send_rate_limit":10,"#
                + #""burst_ceiling":2,"expires_in":3600}"#)
    }

    @Test("a rotation without an overlap has no body, and one with an overlap names the seconds")
    func rotation() throws {
        let plain = try request("key", "rotate", "key_1")
        #expect(plain.target == "/v1/keys/key_1/rotate" && plain.bodyBytes == nil)
        #expect(body(try request("key", "rotate", "key_1", "--overlap", "60")) == #"{"overlap_seconds":60}"#)
    }

    @Test("a login's bounds are set by their options and taken away by --remove")
    func editing() throws {
        let edit = try request(
            "smtp-user", "edit", "smtp_1", "--label", "x", "--allowed-ip", "192.0.2.7", "--remove",
            "sender_domains,ip_pool")
        #expect(edit.method == .patch && edit.target == "/v1/smtp-users/smtp_1")
        #expect(body(edit) == #"{"sender_domains":null,"ip_pool":null,"label":"x","allowed_ips":["192.0.2.7"]}"#)
        #expect(throws: (any Error).self) { try request("smtp-user", "edit", "smtp_1") }
        #expect(throws: (any Error).self) { try request("smtp-user", "edit", "smtp_1", "--remove", "password") }
    }

    @Test("relabelling and a new password call the API as it wants to be called, and a password is shown with a note")
    func calls() async throws {
        try await FakeServer.with({ request in
            .json(
                request.line.hasSuffix("/rotate HTTP/1.1") || request.line.contains("rotate")
                    ? #"{"id":"smtp_1","password":"pw"}"# : #"{"id":"key_1","label":"new"}"#)
        }) { server in
            let relabelled = await postern("key", "relabel", "key_1", "--label", "new", server: server)
            #expect(relabelled.code == 0 && relabelled.output.contains("new"))
            let rotated = await postern("smtp-user", "rotate", "smtp_1", server: server)
            #expect(rotated.code == 0 && rotated.output.contains("pw") && rotated.notes.contains("only time"))
            #expect(server.requests.map(\.line) == ["PATCH /v1/keys/key_1", "POST /v1/smtp-users/smtp_1/rotate"])
            #expect(server.requests[0].text == #"{"label":"new"}"#)
        }
    }
}
