// Which server is asked, as whom and in which vault: the order of options, environment, logins and the card.

import ArgumentParser
import Sealing
import Testing

@testable import Commands

@Suite("Choosing the server")
struct ServerAccessTests {
    private struct Choice: ConnectionChoice {
        var url: String? = nil
        var token: String? = nil
        var vault: String? = nil
    }

    private func resolve(
        url: String? = nil,
        token: String? = nil,
        vault: String? = nil,
        for audience: Audience = .peopleAndKeys,
        _ environment: [String: String] = [:]
    ) throws -> String {
        let fixed = ["POSTERN_DATA_DIR": "/nonexistent"].merging(environment) { $1 }
        let terminal = Terminal(
            output: { _ in }, note: { _ in }, input: { [] }, environment: { fixed[$0] }, isInteractive: false)
        var choice = Choice()
        (choice.url, choice.token, choice.vault) = (url, token, vault)
        let access = try ServerAccess.resolve(choice, for: audience, terminal: terminal)
        let shown =
            switch access.identity {
            case .nobody: "-"
            case .token(let token): token
            case .login: "login"
            case .owner(let email, let password): "\(email):\(password.reveal())"
            }
        return "\(access.url) \(shown)" + (access.vault.map { " \($0)" } ?? "")
    }

    /// A directory with a card for port 9000 and logins for the servers named.
    private func withMachine(card: Bool = true, logins: [String], _ body: ([String: String]) throws -> Void) throws {
        try TemporaryDirectory.with { directory in
            if card {
                try directory.write(
                    "quickstart.json",
                    #"{"url":"http://127.0.0.1:9000/","api_key":"ak_card","vault":"default","#
                        + #""owner":{"email":"o@x","password":"pw"}}"#)
            }
            try LoginTests.keep(logins, in: directory)
            try body(["POSTERN_DATA_DIR": directory.path, "XDG_CONFIG_HOME": directory.path])
        }
    }

    @Test("options come before the environment, and the default comes last")
    func order() throws {
        #expect(try resolve() == "http://127.0.0.1:8025 -")
        #expect(
            try resolve(["POSTERN_URL": "https://m.example/base//", "POSTERN_TOKEN": "ak_1"])
                == "https://m.example/base ak_1")
        #expect(
            try resolve(url: "http://h", token: "t", ["POSTERN_URL": "https://m.example", "POSTERN_TOKEN": "ak_1"])
                == "http://h t")
        #expect(
            try resolve(["POSTERN_URL": "", "POSTERN_TOKEN": "", "POSTERN_VAULT": ""]) == "http://127.0.0.1:8025 -")
        #expect(try resolve(["POSTERN_VAULT": "shop"]) == "http://127.0.0.1:8025 - shop")
        #expect(try resolve(vault: "lab", ["POSTERN_VAULT": "shop"]) == "http://127.0.0.1:8025 - lab")
    }

    @Test("the quickstart card gives its key to its own server, and to no other")
    func card() throws {
        try withMachine(logins: []) { machine throws in
            #expect(try resolve(machine) == "http://127.0.0.1:9000 ak_card")
            #expect(try resolve(url: "http://127.0.0.1:9000", machine) == "http://127.0.0.1:9000 ak_card")
            #expect(try resolve(url: "http://other.example:9000", machine) == "http://other.example:9000 -")
            #expect(try resolve(token: "mine", machine) == "http://127.0.0.1:8025 mine")
        }
    }

    @Test("a login comes before the card, and goes to no other server")
    func login() throws {
        try withMachine(logins: ["http://127.0.0.1:9000"]) { machine throws in
            #expect(try resolve(machine) == "http://127.0.0.1:9000 login")
            #expect(try resolve(url: "HTTP://127.0.0.1:9000/", machine) == "HTTP://127.0.0.1:9000 login")
            #expect(try resolve(url: "http://127.0.0.1:9001", machine) == "http://127.0.0.1:9001 -")
            #expect(
                try resolve(machine.merging(["POSTERN_TOKEN": "ak_1", "POSTERN_URL": "http://127.0.0.1:9000"]) { $1 })
                    == "http://127.0.0.1:9000 ak_1")
        }
    }

    @Test("without a card the last login names the server, but not for a key that may be another's")
    func lastLogin() throws {
        try withMachine(card: false, logins: ["https://a.example", "https://b.example"]) { machine throws in
            #expect(try resolve(machine) == "https://b.example login")
            #expect(try resolve(machine.merging(["POSTERN_TOKEN": "ak_1"]) { $1 }) == "http://127.0.0.1:8025 ak_1")
            #expect(try resolve(for: .everybody, machine) == "https://b.example -")
        }
    }

    @Test("what only people may do prefers the login, then the card's owner; a key in the environment is no use for it")
    func people() throws {
        try withMachine(logins: []) { machine throws in
            #expect(try resolve(for: .people, machine) == "http://127.0.0.1:9000 o@x:pw")
            let named = machine.merging(["POSTERN_TOKEN": "ak_1", "POSTERN_URL": "http://127.0.0.1:9000"]) { $1 }
            #expect(try resolve(for: .people, named) == "http://127.0.0.1:9000 o@x:pw")
            #expect(
                try resolve(for: .people, machine.merging(["POSTERN_TOKEN": "ey.J.x"]) { $1 })
                    == "http://127.0.0.1:8025 ey.J.x")
            #expect(try resolve(token: "ak_1", for: .people, named) == "http://127.0.0.1:9000 ak_1")
            // Nobody is there to prefer: the key goes where it would go else, and to no server that a file names.
            let elsewhere = named.merging(["POSTERN_URL": "http://h"]) { $1 }
            #expect(try resolve(for: .people, elsewhere) == "http://h ak_1")
        }
        try withMachine(logins: ["http://127.0.0.1:9000"]) { machine throws in
            #expect(try resolve(for: .people, machine) == "http://127.0.0.1:9000 login")
            #expect(try resolve(for: .keys, machine) == "http://127.0.0.1:9000 ak_card")
            #expect(try resolve(for: .everybody, machine) == "http://127.0.0.1:9000 -")
        }
    }

    @Test("a broken card is passed over", arguments: ["", "{}", "[1]", #"{"url":"ftp://x","api_key":"k"}"#])
    func brokenCard(text: String) throws {
        try TemporaryDirectory.with { directory in
            try directory.write("quickstart.json", text)
            #expect(try resolve(["POSTERN_DATA_DIR": directory.path]) == "http://127.0.0.1:8025 -")
        }
    }

    @Test(
        "what cannot be an address, a key or a vault is refused before anything is sent",
        arguments: [
            "", "localhost:8025", "ftp://x", "http://", "http://a b", "http://u:p@h", "http://h?x", "http://h\r\nX: y",
        ])
    func refused(url: String) {
        #expect(throws: ValidationError.self) { try ServerAccess(url: url) }
        #expect(throws: ValidationError.self) { try ServerAccess(url: "http://h", identity: .token("a\r\nX: y")) }
        #expect(throws: ValidationError.self) { try ServerAccess(url: "http://h", vault: "a\r\nX: y") }
    }

    @Test(
        "clear text is noticed, except on the way to this machine",
        arguments: [
            ("http://postern.example.com", true), ("http://localhost.example.com/x", true),
            ("http://127.0.0.1.nip.io", true),
            ("http://127.0.0.1:8025", false), ("HTTP://localhost/x", false), ("http://[::1]:1", false),
            ("https://postern.example.com", false),
        ])
    func clear(url: String, isInClear: Bool) throws {
        #expect(try ServerAccess(url: url).isInClear == isInClear)
    }
}
