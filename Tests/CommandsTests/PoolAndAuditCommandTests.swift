// Pools address by address, the audit log, and a setting explained.

import JSON
import Testing

@testable import Commands

@Suite("Pool, audit and settings commands")
struct PoolAndAuditCommandTests {
    private static let pool = Answer.json(
        #"{"id":"p","domain":"a.example","pool":"m","ips":["192.0.2.1","2001:db8::1","192.0.2.3"]}"#)

    static let edits: [(arguments: [String], ips: String)] = [
        (["add-ip", "p", "192.0.2.4,192.0.2.5"], #"["192.0.2.1","2001:db8::1","192.0.2.3","192.0.2.4","192.0.2.5"]"#),
        (["remove-ip", "p", "192.0.2.1"], #"["2001:db8::1","192.0.2.3"]"#),
        (["remove-ip", "p", "2001:DB8:0::1", "192.0.2.3"], #"["192.0.2.1"]"#),
        (["move-ip", "p", "192.0.2.3", "--to", "1"], #"["192.0.2.3","192.0.2.1","2001:db8::1"]"#),
        (["move-ip", "p", "192.0.2.1", "--to", "3"], #"["2001:db8::1","192.0.2.3","192.0.2.1"]"#),
        (["move-ip", "p", "2001:db8:0:0::1", "--to", "2"], #"["192.0.2.1","2001:db8::1","192.0.2.3"]"#),
    ]

    @Test("an address is added, taken out and moved in the list that the server has", arguments: edits)
    func addresses(_ arguments: [String], _ ips: String) async throws {
        try await FakeServer.with(Self.pool) { server in
            #expect(await run(["pool"] + arguments, server: server).code == 0)
            #expect(server.requests.map(\.line) == ["GET /v1/ip-pools/p", "PATCH /v1/ip-pools/p"])
            #expect(server.requests.last?.text == #"{"ips":\#(ips)}"#)
        }
    }

    @Test(
        "what is not there is not taken out or moved, and nothing is sent",
        arguments: [
            ["remove-ip", "p", "192.0.2.9"], ["remove-ip", "p", "192.0.2.1", "192.0.2.1"],
            ["move-ip", "p", "192.0.2.9", "--to", "1"], ["move-ip", "p", "192.0.2.1", "--to", "4"],
        ])
    func absent(_ arguments: [String]) async throws {
        try await FakeServer.with(Self.pool) { server in
            let result = await run(["pool"] + arguments, server: server)
            #expect(result.code != 0 && !result.notes.isEmpty)
            #expect(server.requests.map(\.line) == ["GET /v1/ip-pools/p"])
        }
    }

    @Test(
        "a command line that says too little is refused before anything is sent",
        arguments: [
            ["pool", "add-ip", "p"], ["pool", "add-ip", "", "192.0.2.1"], ["pool", "move-ip", "p", "192.0.2.1"],
            ["pool", "move-ip", "p", "192.0.2.1", "--to", "0"], ["settings", "explain"], ["settings", "explain", ""],
        ])
    func usage(_ arguments: [String]) async throws {
        try await FakeServer.with(Self.pool) { server in
            #expect(await run(arguments, server: server).code == 2)
            #expect(server.requests.isEmpty)
        }
    }

    @Test("every filter of the audit log goes into the query")
    func audit() async throws {
        let page = Answer.json(
            #"{"data":[{"id":"aud_1","at":"2026-11-21T00:00:00.000Z","actor":"key_1","actor_label":"ops","#
                + #""action":"settings.write","resource":"settings","before":{"route":null},"#
                + #""after":{"route":"shadow"}}],"next_cursor":null}"#)
        try await FakeServer.with(page) { server in
            let result = await postern(
                "audit", "list", "--actor", "ops", "--action", "settings.write", "--resource", "settings", "--since",
                "2026-11-20T00:00:00Z", "--until", "2026-11-22T00:00:00Z", "--limit", "7", server: server)
            #expect(
                server.requests.map(\.line) == [
                    "GET /v1/audit?actor=ops&action=settings.write&resource=settings&since=2026-11-20T00%3A00%3A00Z"
                        + "&until=2026-11-22T00%3A00%3A00Z&limit=7"
                ])
            #expect(result.code == 0)
            for word in ["ops", "key_1", "settings.write", #"{"route":null}"#, #"{"route":"shadow"}"#] {
                #expect(result.output.contains(word))
            }
        }
    }

    static let explained: [(answer: String, words: [String])] = [
        (
            #"{"key":"route","value":"shadow","source":"instance","vault_value":null,"instance_value":"shadow","#
                + #""environment":"POSTERN_DEFAULT_ROUTE","type":"t","summary":"The way out.","optional":false,"#
                + #""updated_at":null}"#,
            ["route is shadow: the instance's value, from POSTERN_DEFAULT_ROUTE", "The way out.", "vault       -"]
        ),
        (
            #"{"key":"burst_ceiling","value":9,"source":"vault","vault_value":9,"instance_value":5,"#
                + #""environment":"POSTERN_DEFAULT_BURST_CEILING","type":"integer","summary":"s","optional":true,"#
                + #""updated_at":"2026-11-21T00:00:00.000Z"}"#,
            [
                "burst_ceiling is 9: the vault's own value", "since       2026-11-21T00:00:00.000Z", "instance    5",
                "type        integer",
            ]
        ),
        (
            #"{"key":"smarthost_host","value":null,"source":"unset","vault_value":null,"instance_value":null,"#
                + #""environment":"POSTERN_DEFAULT_SMARTHOST_HOST","type":"text","summary":"s","optional":false}"#,
            ["smarthost_host is unset: neither the vault nor the instance has a value, and what needs it is refused"]
        ),
        (
            #"{"key":"smarthost_password","value":{"set":true},"source":"vault","vault_value":{"set":true},"#
                + #""instance_value":null,"environment":null,"type":"text","summary":"s","optional":true}"#,
            ["smarthost_password is (set): the vault's own value", "instance by -"]
        ),
    ]

    @Test("a setting is explained in a sentence and its places", arguments: explained)
    func explain(_ answer: String, _ words: [String]) async throws {
        try await FakeServer.with(.json(answer)) { server in
            let result = await postern("settings", "explain", "a/b", server: server)
            #expect(server.requests.map(\.line) == ["GET /v1/settings/a%2Fb"])
            #expect(result.code == 0)
            for word in words { #expect(result.output.contains(word), "\(result.output)") }
        }
    }
}
