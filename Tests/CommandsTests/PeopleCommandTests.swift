// Commands for people, members, invitations, vaults and plans: what is sent, what is printed, what has to be confirmed.

import JSON
import Sealing
import Testing

@testable import Commands

@Suite("Commands for people and vaults")
struct PeopleCommandTests {
    static let calls: [(arguments: [String], line: String, body: String)] = [
        (["account", "show"], "GET /auth/me", ""),
        (["account", "rename", "Ada L."], "PATCH /auth/me", #"{"name":"Ada L."}"#),
        (["account", "sessions"], "GET /auth/sessions", ""),
        (["account", "end-session", "ses_1"], "DELETE /auth/sessions/ses_1", ""),
        (["account", "end-session", "--others"], "DELETE /auth/sessions", ""),
        (["account", "totp", "--remove"], "DELETE /auth/totp", ""),
        (["account", "totp", "--code", "123456"], "POST /auth/totp/confirm", #"{"code":"123456"}"#),
        (["account", "totp", "--json"], "POST /auth/totp", ""),
        (["account", "recovery-codes"], "POST /auth/totp/recovery-codes", ""),
        (["account", "forgot", "a@x"], "POST /auth/password/forgot", #"{"email":"a@x"}"#),
        (
            ["user", "list", "--q", "ad a", "--role", "owner", "--state", "active", "--limit", "5"],
            "GET /api/users?q=ad%20a&role=owner&state=active&limit=5", ""
        ),
        (["user", "show", "usr_1"], "GET /api/users/usr_1", ""),
        (
            ["user", "create", "a@x", "--name", "Ada", "--role", "admin"], "POST /api/users",
            #"{"email":"a@x","name":"Ada","role":"admin"}"#
        ),
        (["user", "role", "usr_1", "viewer"], "PATCH /api/users/usr_1", #"{"role":"viewer"}"#),
        (["user", "rename", "usr_1", "Ada"], "PATCH /api/users/usr_1", #"{"name":"Ada"}"#),
        (["user", "disable", "usr_1"], "PATCH /api/users/usr_1", #"{"state":"disabled"}"#),
        (["user", "enable", "usr_1"], "PATCH /api/users/usr_1", #"{"state":"active"}"#),
        (["user", "reset-link", "usr_1"], "POST /api/users/usr_1/reset-password", ""),
        (["user", "unlock", "usr_1"], "POST /api/users/usr_1/unlock", ""),
        (["user", "sessions", "usr_1"], "GET /api/users/usr_1/sessions", ""),
        (["user", "end-sessions", "usr_1"], "DELETE /api/users/usr_1/sessions", ""),
        (["invitation", "list", "--state", "pending"], "GET /api/invitations?state=pending", ""),
        (["invitation", "list", "--vault", "shop"], "GET /api/vaults/shop/invitations", ""),
        (["invitation", "create", "a@x"], "POST /api/invitations", #"{"email":"a@x"}"#),
        (
            ["invitation", "create", "a@x", "--role", "viewer", "--grant", "shop=operator,lab=viewer"],
            "POST /api/invitations",
            #"{"email":"a@x","role":"viewer","vaults":[{"vault":"shop","role":"operator"},"#
                + #"{"vault":"lab","role":"viewer"}]}"#
        ),
        (
            ["invitation", "create", "a@x", "--vault", "shop", "--vault-role", "owner", "--role", "member"],
            "POST /api/vaults/shop/invitations", #"{"email":"a@x","role":"owner","instance_role":"member"}"#
        ),
        (["invitation", "revoke", "inv_1"], "DELETE /api/invitations/inv_1", ""),
        (["invitation", "revoke", "inv_1", "--vault", "shop"], "DELETE /api/vaults/shop/invitations/inv_1", ""),
        (["invitation", "resend", "inv_1"], "POST /api/invitations/inv_1/resend", ""),
        (["invitation", "resend", "inv_1", "--vault", "shop"], "POST /api/vaults/shop/invitations/inv_1/resend", ""),
        (["member", "list", "--vault", "shop"], "GET /api/vaults/shop/members", ""),
        (
            ["member", "set", "a@x.example", "operator", "--vault", "shop"],
            "PUT /api/vaults/shop/members/a%40x.example", #"{"role":"operator"}"#
        ),
        (["member", "remove", "usr_1", "--vault", "shop"], "DELETE /api/vaults/shop/members/usr_1", ""),
        (["vault", "list"], "GET /api/vaults", ""),
        (["vault", "show", "shop"], "GET /api/vaults/shop", ""),
        (["vault", "show", "../users"], "GET /api/vaults/..%2Fusers", ""),
        (["vault", "create", "shop"], "POST /api/vaults", #"{"slug":"shop"}"#),
        (
            ["vault", "create", "shop", "--name", "The shop", "--plan", "business", "--owner", "usr_1"],
            "POST /api/vaults", #"{"slug":"shop","name":"The shop","plan":"business","owner":"usr_1"}"#
        ),
        (["vault", "rename", "shop", "--name", "Old"], "PATCH /api/vaults/shop", #"{"name":"Old"}"#),
        (["vault", "suspend", "shop", "--reason", "unpaid"], "POST /api/vaults/shop/suspend", #"{"reason":"unpaid"}"#),
        (["vault", "resume", "shop"], "POST /api/vaults/shop/resume", ""),
        (["vault", "archive", "shop"], "POST /api/vaults/shop/archive", ""),
        (
            ["vault", "archive", "shop", "--cancel-waiting"], "POST /api/vaults/shop/archive",
            #"{"cancel_waiting":true}"#
        ),
        (["plan", "delete", "gold"], "DELETE /api/plans/gold", ""),
        (["vault", "restore", "shop"], "POST /api/vaults/shop/restore", ""),
        (["vault", "plan", "shop", "business"], "PUT /api/vaults/shop/plan", #"{"plan":"business"}"#),
        (
            ["vault", "plan", "shop", "business", "--limit", "users=20", "agents=none"], "PUT /api/vaults/shop/plan",
            #"{"plan":"business","limits":{"users":20,"agents":null}}"#
        ),
        (
            ["vault", "plan", "shop", "business", "--plan-limits"], "PUT /api/vaults/shop/plan",
            #"{"plan":"business","limits":{}}"#
        ),
        (["vault", "usage", "shop"], "GET /api/vaults/shop/usage", ""),
        (["vault", "usage"], "GET /v1/usage", ""),
        (["plan", "list"], "GET /api/plans", ""),
        (["access", "list"], "GET /api/access/actions", ""),
        (
            ["access", "explain", "--caller", "key_1", "--action", "message.send"],
            "GET /v1/access/explain?caller=key_1&action=message.send", ""
        ),
    ]

    @Test("each command calls its path with its body", arguments: calls)
    func paths(_ arguments: [String], _ line: String, _ body: String) async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(#"{"data":[],"next_cursor":null,"ended":2}"#)) { server in
                try LoginTests.keep([server.url], in: home)
                let result = await run(arguments, server: server, desk: .home(home))
                #expect(result.code == 0, "\(result.notes)")
                #expect(server.requests.map(\.line) == [line])
                #expect(server.requests.map(\.text) == [body])
                let isOpen = arguments[1] == "forgot"
                #expect(server.requests[0].headers["authorization"] == (isOpen ? nil : ["Bearer at_1"]))
            }
        }
    }

    @Test(
        "an empty list says so",
        arguments: [
            ["user", "list"], ["invitation", "list"], ["member", "list", "--vault", "v"], ["vault", "list"],
            ["plan", "list"], ["account", "sessions"], ["user", "sessions", "u"], ["access", "list"],
        ])
    func empty(arguments: [String]) async throws {
        try await FakeServer.with(.json(#"{"data":[],"next_cursor":null}"#)) { server in
            let result = await run(arguments + ["--token", "t"], server: server)
            #expect(result.code == 0 && result.output.hasPrefix("No "))
            let json = await run(arguments + ["--token", "t", "--json"], server: server).output
            let document = try JSONParser.parse(json)
            #expect(document == (try JSONParser.parse(#"{"data":[],"next_cursor":null}"#)))
        }
    }

    @Test("a person is found by the whole address, whatever else the search finds")
    func byAddress() async throws {
        try await FakeServer.with({ request in
            request.line.hasPrefix("GET /api/users?q=Ada%40x.example")
                ? .json(
                    #"{"data":[{"id":"usr_2","email":"ada@x.example.org"},{"id":"usr_1","email":"ada@x.example"}],"#
                        + #""next_cursor":null}"#)
                : .json(#"{"data":[],"id":"usr_1"}"#)
        }) { server in
            let result = await postern("user", "role", "Ada@x.example", "admin", "--token", "t", server: server)
            #expect(result.code == 0, "\(result.notes)")
            #expect(server.requests.last?.line == "PATCH /api/users/usr_1")
            let nobody = await postern("user", "unlock", "bob@x.example", "--token", "t", server: server)
            #expect(nobody.code == 1 && nobody.notes.contains("nobody here has the address bob@x.example"))
        }
    }

    static let deletions: [(arguments: [String], name: String)] = [
        (["vault", "delete", "vlt_1"], "shop"), (["user", "delete", "usr_1"], "ada@x.example"),
    ]

    @Test("what is deleted for good is named once more, by option or by answer", arguments: deletions)
    func confirmation(_ arguments: [String], _ name: String) async throws {
        let found = #"{"id":"id_1","slug":"shop","email":"ada@x.example"}"#
        let gone = name == "shop" ? Answer.json(#"{"status":"deleted"}"#, status: 202) : Answer(status: 204)
        try await FakeServer.with({ $0.line.hasPrefix("GET") ? .json(found) : gone }) { server in
            let arguments = arguments + ["--token", "t"]
            func deletions() -> [FakeServer.Request] { server.requests.filter { $0.line.hasPrefix("DELETE") } }
            #expect(await run(arguments + ["--confirm", "x"], server: server).code == 1)
            #expect(await run(arguments, server: server, desk: Desk(answers: ["yes"])).code == 1)
            let silent = await run(arguments, server: server)
            #expect(silent.code == 1 && silent.notes.contains("--confirm \(name)"))
            #expect(deletions().isEmpty)
            let given = await run(arguments + ["--confirm", name, "--json"], server: server)
            #expect(given.code == 0 && given.questions.isEmpty)
            let answer = try JSONParser.parse(given.output).objectValue
            #expect(answer?["status"]?.stringValue == "deleted")
            let typed = await run(arguments, server: server, desk: Desk(answers: [" \(name)"]))
            #expect(typed.code == 0 && typed.questions.first?.prompt.contains(name) == true)
            // By id: a name could be another thing's meanwhile.
            #expect(deletions().allSatisfy { $0.line.hasSuffix("/id_1") } && deletions().count == 2)
            if name == "shop" { #expect(deletions()[0].text == #"{"confirm":"shop"}"#) }
        }
    }

    @Test("a link is shown with a word about it, or said to be sent")
    func links() async throws {
        for arguments in [
            ["invitation", "create", "a@x"], ["user", "reset-link", "usr_1"], ["invitation", "resend", "i"],
        ] {
            try await FakeServer.with(.json(#"{"id":"i","sent":false,"url":"https://p/x#token=it_1"}"#)) { server in
                let result = await run(arguments + ["--token", "t"], server: server)
                #expect(result.output.contains("https://p/x#token=it_1") && result.notes.contains("only time"))
            }
            try await FakeServer.with(.json(#"{"id":"i","sent":true}"#)) { server in
                let result = await run(arguments + ["--token", "t"], server: server)
                #expect(result.notes == "The link was sent by mail.")
            }
        }
    }

    @Test("a new password is typed twice, and never sent where the two differ")
    func password() async throws {
        try await FakeServer.with(Answer(status: 204)) { server in
            let arguments = ["account", "password", "--token", "t"]
            let differs = await run(arguments, server: server, desk: Desk(answers: ["old", "new one", "new two"]))
            #expect(differs.code == 1 && server.requests.isEmpty)
            let same = await run(arguments, server: server, desk: Desk(answers: ["old", "new one", "new one"]))
            #expect(same.code == 0 && same.questions.allSatisfy(\.isSecret))
            #expect(server.requests.map(\.line) == ["POST /auth/password"])
            #expect(server.requests[0].text == #"{"current":"old","new":"new one"}"#)
        }
    }

    @Test(
        "a reset takes the link or what stands in it",
        arguments: ["https://p/reset#token=pr_1", "pr_1", " pr_1 ", "https://p/reset#pr_1"])
    func reset(link: String) async throws {
        try await FakeServer.with(Answer(status: 204)) { server in
            let result = await run(
                ["account", "reset"], server: server, desk: Desk(answers: [link, "new one", "new one"]))
            #expect(result.code == 0, "\(result.notes)")
            #expect(server.requests.map(\.text) == [#"{"token":"pr_1","password":"new one"}"#])
            #expect(server.requests[0].headers["authorization"] == nil)
        }
    }

    @Test("a second factor is set up in one go by a person, and in two by a program")
    func totp() async throws {
        try await FakeServer.with({ request in
            request.line.hasSuffix("confirm")
                ? .json(#"{"recovery_codes":["a-1","b-2"]}"#) : .json(#"{"secret":"S","uri":"otpauth://x"}"#)
        }) { server in
            let person = await run(
                ["account", "totp", "--token", "t"], server: server, desk: Desk(answers: ["123456 "]))
            #expect(person.code == 0 && person.output.contains("otpauth://x") && person.output.hasSuffix("a-1\nb-2\n"))
            #expect(person.notes.contains("only time"))
            #expect(server.requests.map(\.line) == ["POST /auth/totp", "POST /auth/totp/confirm"])
            #expect(server.requests[1].text == #"{"code":"123456"}"#)
            let program = await run(["account", "totp", "--token", "t"], server: server)
            #expect(program.code == 0 && program.notes.contains("--code"))
        }
    }

    @Test("who accepts an invitation makes an account and is signed in")
    func accept() async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with({ request in
                request.line.hasSuffix("/show")
                    ? .json(#"{"email":"ada@x.example","role":"member","vaults":[],"has_account":false}"#)
                    : .json(
                        #"{"token":"at_i","refresh_token":"rt_i","expires_in":900,"user":{"email":"ada@x.example"}}"#,
                        status: 201)
            }) { server in
                let desk = Desk.home(
                    home, answers: ["https://p/invitation#token=it_1", "Ada", "pass word", "pass word"])
                let result = await run(["invitation", "accept"], server: server, desk: desk)
                #expect(result.code == 0, "\(result.notes)")
                #expect(
                    server.requests.map(\.line) == ["POST /auth/invitations/show", "POST /auth/invitations/accept"])
                #expect(server.requests[1].text == #"{"token":"it_1","name":"Ada","password":"pass word"}"#)
                let book = try LoginFile(directory: home.path + "/postern").read()
                #expect(book[server.url]?.accessToken.reveal() == "at_i")
                #expect(!(result.output + result.notes).contains("at_i"))
            }
        }
    }

    @Test(
        "who has an account accepts with its login, and with no other's", arguments: ["ada@x.example", "bob@x.example"])
    func acceptWithAccount(invited: String) async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with({ request in
                request.line.hasSuffix("/show")
                    ? .json(#"{"email":"\#(invited)","has_account":true}"#) : .json(#"{"user":{}}"#)
            }) { server in
                try LoginTests.keep([server.url], in: home)
                let result = await run(["invitation", "accept"], server: server, desk: .home(home, answers: ["it_1"]))
                let isHis = invited == "ada@x.example"
                #expect(result.code == (isHis ? 0 : 1), "\(result.notes)")
                #expect(server.requests.count == (isHis ? 2 : 1))
                #expect(server.requests.last?.headers["authorization"] == (isHis ? ["Bearer at_1"] : nil))
                if !isHis { #expect(result.notes.contains("postern login")) }
            }
        }
    }

    @Test("without --vault a member of one vault means that one, and a member of several has to say")
    func onlyVault() async throws {
        for (memberships, code) in [
            (#"{"vault":"vlt_1","slug":"shop"}"#, 0), ("", 1), (#"{"slug":"a"},{"slug":"b"}"#, 1),
        ] {
            try await FakeServer.with({ request in
                request.line == "GET /auth/me"
                    ? .json(#"{"memberships":[\#(memberships)]}"#) : .json(#"{"data":[],"next_cursor":null}"#)
            }) { server in
                let result = await postern("member", "list", "--token", "t", server: server)
                #expect(Int(result.code) == code, "\(result.notes)")
                if code == 0 {
                    #expect(server.requests.last?.line == "GET /api/vaults/vlt_1/members")
                } else {
                    #expect(result.notes.contains("--vault"))
                }
            }
        }
    }

    @Test("a plan keeps what is not given; a plan that is not there is not shown")
    func plans() async throws {
        let plan =
            #"{"name":"business","limits":{"users":25,"agents":10},"features":["sso"],"deploy_targets":["eu"],"#
            + #""updated_at":null}"#
        try await FakeServer.with(.json(#"{"data":[\#(plan)],"next_cursor":null}"#)) { server in
            let arguments = ["plan", "set", "business", "--token", "t", "--limit"]
            #expect(await run(arguments + ["agents=none"], server: server).code == 0)
            #expect(server.requests.last?.line == "PUT /api/plans/business")
            #expect(
                server.requests.last?.text
                    == #"{"limits":{"users":25,"agents":null},"features":["sso"],"deploy_targets":["eu"]}"#)
            let targets = arguments.dropLast() + ["--deploy-target"]
            #expect(await run(targets + ["us,eu"], server: server).code == 0)
            #expect(server.requests.last?.text.hasSuffix(#""deploy_targets":["us","eu"]}"#) == true)
            #expect(await run(targets + ["none"], server: server).code == 0)
            #expect(server.requests.last?.text.hasSuffix(#""deploy_targets":null}"#) == true)
            #expect(await postern("plan", "show", "business", "--token", "t", server: server).output.contains("25"))
            #expect(await postern("plan", "show", "gold", "--token", "t", server: server).code == 1)
            let listed = await postern("plan", "list", "--token", "t", server: server).output
            #expect(listed.contains("unlimited") && listed.contains("sso"))
        }
    }

    @Test("the gate is asked in the vault by keys and about callers, and at the instance by its admins")
    func explain() async throws {
        let answer =
            #"{"caller":"c","action":"a","resource":"r","decision":"deny","code":"forbidden","reason":"no","fix":"ask","#
            + #""role":"admin"}"#
        try await FakeServer.with(.json(answer)) { server in
            func lines(_ arguments: String...) async -> [String] {
                let before = server.requests.count
                let result = await run(["access", "explain", "--action", "user.read"] + arguments, server: server)
                #expect(result.code == 0 && result.output.contains("may not") && result.output.contains("fix: ask"))
                return server.requests.dropFirst(before).map { String($0.line.prefix { $0 != "?" }) }
            }
            #expect(await lines("--caller", "usr_1", "--token", "ak_1") == ["GET /v1/access/explain"])
            #expect(await lines("--caller", "usr_1", "--token", "j") == ["GET /auth/me", "GET /api/access/explain"])
            #expect(await lines("--caller", "key_1", "--token", "j") == ["GET /v1/access/explain"])
            #expect(
                await lines("--caller", "key_1", "--resource", "shop", "--token", "j")
                    == ["GET /auth/me", "GET /api/access/explain"])
            #expect(
                await lines("--caller", "usr_1", "--vault", "shop", "--token", "j") == ["GET /v1/access/explain"])
        }
    }

    @Test("usage is a table of what is used and allowed, and one of the months")
    func usage() async throws {
        let answer =
            #"{"vault":"vlt_1","plan":"business","features":[],"limits":{"agents":10,"users":null},"#
            + #""used":{"agents":3,"users":2},"months":[{"month":"2026-11","messages":7,"api_calls":9}]}"#
        try await FakeServer.with(.json(answer)) { server in
            let result = await postern("vault", "usage", "--token", "ak_1", server: server)
            #expect(
                result.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") } == [
                    "plan: business", "OF USED ALLOWED", "agents 3 10", "users 2 unlimited", "MONTH MESSAGES API CALLS",
                    "2026-11 7 9",
                ])
        }
    }

    @Test("an invitation's place is said by the option alone")
    func place() async throws {
        try await FakeServer.with(.json(#"{"data":[],"next_cursor":null}"#)) { server in
            let desk = Desk(environment: ["POSTERN_VAULT": "shop"])
            #expect(await run(["invitation", "list", "--token", "t"], server: server, desk: desk).code == 0)
            #expect(server.requests.map(\.line) == ["GET /api/invitations"])
            #expect(server.requests[0].headers["x-postern-vault"] == nil)
        }
    }
}
