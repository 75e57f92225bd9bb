// Signing in, and the login that is kept: who can read it, how it renews itself, and what two commands at once do to it.

import Glibc
import JSON
import Sealing
import Synchronization
import Testing

@testable import Commands

@Suite("Logins")
struct LoginTests {
    /// Tokens that are fresh by the desk's clock.
    private static let answer =
        #"{"token":"at_1","refresh_token":"rt_1","expires_in":900,"user":{"email":"ada@x.example"}}"#

    /// Writes what `login` would keep for each server, in this order.
    static func keep(_ urls: [String], in directory: TemporaryDirectory, expiresIn: Int64 = 900) throws {
        guard !urls.isEmpty else { return }
        var book = LoginBook()
        for url in urls {
            let answer = try JSONParser.parse(Self.answer).objectValue ?? JSONObject()
            book[url] = try Login(answer: answer, now: Desk().now + expiresIn - 900)
        }
        try mode(directory.path + "/postern", 0o700, make: true)
        try directory.write("postern/credentials.json", String(decoding: book.bytes, as: UTF8.self))
        try mode(directory.path + "/postern/credentials.json", 0o600)
    }

    private static func mode(_ path: String, _ mode: mode_t, make: Bool = false) throws {
        if make { try #require(mkdir(path, mode) == 0) }
        try #require(chmod(path, mode) == 0)
    }

    private static func mode(of path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    private func kept(_ directory: TemporaryDirectory) throws -> LoginBook {
        try LoginFile(directory: directory.path + "/postern").read()
    }

    @Test("a login asks, is kept where only its owner reads it, and is never printed", arguments: [false, true])
    func login(json: Bool) async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(Self.answer)) { server in
                let desk = Desk.home(home, answers: ["ada@x.example ", "pass word "])
                let result = await run(["login"] + (json ? ["--json"] : []), server: server, desk: desk)
                #expect(result.code == 0, "\(result.notes)")
                #expect(result.questions.map(\.isSecret) == [false, true])
                #expect(server.requests.map(\.line) == ["POST /auth/login"])
                // A password's spaces are its own.
                #expect(server.requests[0].text == #"{"email":"ada@x.example","password":"pass word "}"#)
                #expect(server.requests[0].headers["authorization"] == nil)
                #expect(result.output.contains("ada@x.example"))
                for secret in ["at_1", "rt_1", "pass word"] {
                    #expect(!(result.output + result.notes).contains(secret))
                }
                let login = try #require(try kept(home)[server.url])
                #expect(login.accessToken.reveal() == "at_1" && login.refreshToken.reveal() == "rt_1")
                #expect(Self.mode(of: home.path + "/postern") == 0o700)
                #expect(Self.mode(of: home.path + "/postern/credentials.json") == 0o600)
                #expect(Self.mode(of: home.path + "/postern/credentials.lock") == 0o600)
            }
        }
    }

    @Test("without XDG_CONFIG_HOME it is kept below HOME; without either it is refused before a password is sent")
    func home() async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(Self.answer)) { server in
                let arguments = ["login", "--email", "ada@x.example", "--password-file", "-"]
                let desk = Desk(environment: ["HOME": home.path, "XDG_CONFIG_HOME": "relative"])
                #expect(await run(arguments, server: server, input: "pw\r\nmore", desk: desk).code == 0)
                #expect(server.requests[0].text.contains(#""password":"pw""#))
                let book = try LoginFile(directory: home.path + "/.config/postern").read()
                #expect(book[server.url] != nil)
                let nowhere = await run(arguments, server: server, input: "pw")
                #expect(nowhere.code == 1 && nowhere.notes.contains("XDG_CONFIG_HOME"))
                #expect(server.requests.count == 1)
            }
        }
    }

    @Test("the second factor is asked for only when the server wants it, and only once")
    func secondFactor() async throws {
        try await TemporaryDirectory.with { home in
            let problem = #"{"status":401,"code":"second_factor_required","detail":"a code is needed"}"#
            try await FakeServer.with({ request in
                request.text.contains(#""totp":"123456""#) ? .json(Self.answer) : .json(problem, status: 401)
            }) { server in
                let arguments = ["login", "--email", "a@x", "--password-file", "-"]
                let desk = Desk.home(home, answers: ["123456"])
                #expect(await run(arguments, server: server, input: "pw", desk: desk).code == 0)
                #expect(server.requests.count == 2)
                let given = await run(arguments + ["--code", "123456"], server: server, input: "pw", desk: .home(home))
                #expect(given.code == 0 && server.requests.count == 3)
                let wrong = await run(arguments, server: server, input: "pw", desk: .home(home, answers: ["000000"]))
                #expect(wrong.code == 1 && wrong.questions.count == 1 && server.requests.count == 5)
                let alone = await run(arguments, server: server, input: "pw", desk: .home(home))
                #expect(alone.code == 1 && alone.notes.contains("hint: ") && alone.notes.contains("--code"))
            }
        }
    }

    @Test("nobody to ask is a refusal that names the option", arguments: [["login"], ["login", "--email", "a@x"]])
    func nobodyToAsk(arguments: [String]) async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(Self.answer)) { server in
                let result = await run(arguments, server: server, desk: .home(home))
                #expect(result.code == 1)
                #expect(result.notes.contains(arguments.count == 1 ? "--email" : "--password-file"))
                #expect(server.requests.isEmpty)
            }
        }
    }

    @Test("later commands show the login, with the vault that was named")
    func use() async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(#"{"data":[],"next_cursor":null}"#)) { server in
                try Self.keep([server.url], in: home)
                #expect(await run(["key", "list", "--vault", "shop"], server: server, desk: .home(home)).code == 0)
                var desk = Desk.home(home)
                desk.environment["POSTERN_VAULT"] = "lab"
                #expect(await run(["user", "list"], server: server, desk: desk).code == 0)
                #expect(await run(["pool", "list"], server: server, desk: desk).code == 0)
                #expect(server.requests.map(\.line) == ["GET /v1/keys", "GET /api/users", "GET /v1/ip-pools"])
                #expect(
                    server.requests.map { $0.headers["authorization"] } == Array(repeating: ["Bearer at_1"], count: 3))
                #expect(server.requests.map { $0.headers["x-postern-vault"] } == [["shop"], nil, ["lab"]])
            }
        }
    }

    /// A server that does as Postern: a refresh token is good once, and its second use ends the session.
    private final class Rotation: Sendable {
        private let state: Mutex<(number: Int, refreshes: Int, isOver: Bool)>

        init(number: Int = 1) { state = Mutex((number, 0, false)) }

        var refreshes: Int { state.withLock { $0.refreshes } }
        var isOver: Bool { state.withLock { $0.isOver } }

        func answer(_ request: FakeServer.Request) -> Answer {
            state.withLock { state in
                let unauthorized = Answer.json(#"{"status":401,"code":"unauthorized","detail":"no"}"#, status: 401)
                if request.line.hasPrefix("POST /auth/refresh") {
                    state.refreshes += 1
                    if !request.text.contains("\"rt_\(state.number)\"") { state.isOver = true }
                    guard !state.isOver else { return unauthorized }
                    state.number += 1
                    let number = state.number
                    return .json(
                        #"{"token":"at_\#(number)","refresh_token":"rt_\#(number)","expires_in":900,"#
                            + #""user":{"email":"ada@x.example"}}"#)
                }
                let isKnown = request.headers["authorization"] == ["Bearer at_\(state.number)"]
                return isKnown && !state.isOver ? .json(#"{"data":[],"next_cursor":null}"#) : unauthorized
            }
        }
    }

    @Test("an access token that has ended is renewed by itself, and the new tokens are kept", arguments: [0, 29])
    func renewal(secondsLeft: Int64) async throws {
        try await TemporaryDirectory.with { home in
            let rotation = Rotation()
            try await FakeServer.with({ rotation.answer($0) }) { server in
                try Self.keep([server.url, "https://other.example"], in: home, expiresIn: secondsLeft)
                #expect(await run(["user", "list"], server: server, desk: .home(home)).code == 0)
                #expect(server.requests.map(\.line) == ["POST /auth/refresh", "GET /api/users"])
                #expect(server.requests[0].headers["authorization"] == nil)
                let book = try kept(home)
                #expect(book[server.url]?.refreshToken.reveal() == "rt_2")
                #expect(book["https://other.example"]?.refreshToken.reveal() == "rt_1")
                #expect(book.last == "https://other.example")
                #expect(await run(["user", "list"], server: server, desk: .home(home)).code == 0)
                #expect(rotation.refreshes == 1)
            }
        }
    }

    @Test("many commands at once use a refresh token once, and all succeed")
    func together() async throws {
        try await TemporaryDirectory.with { home in
            let rotation = Rotation()
            try await FakeServer.with({ rotation.answer($0) }) { server in
                try Self.keep([server.url], in: home, expiresIn: 0)
                let codes = await withTaskGroup(of: Int32.self) { group in
                    for _ in 0..<12 {
                        group.addTask { await run(["user", "list"], server: server, desk: .home(home)).code }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(codes == Array(repeating: 0, count: 12))
                #expect(rotation.refreshes == 1)
                #expect(!rotation.isOver)
            }
        }
    }

    @Test("a token that the server does not want any more is renewed once, and the call made again")
    func unwanted() async throws {
        try await TemporaryDirectory.with { home in
            let rotation = Rotation()
            try await FakeServer.with({ request in
                // The server's clock, or its key, is another one.
                request.headers["authorization"] == ["Bearer at_1"]
                    ? .json(#"{"status":401,"code":"unauthorized"}"#, status: 401) : rotation.answer(request)
            }) { server in
                try Self.keep([server.url], in: home)
                #expect(await run(["user", "list"], server: server, desk: .home(home)).code == 0)
                #expect(
                    server.requests.map(\.line) == ["GET /api/users", "POST /auth/refresh", "GET /api/users"])
            }
        }
    }

    @Test("a wrong password is not tried a second time with another token", arguments: [true, false])
    func wrongPassword(isAlive: Bool) async throws {
        try await TemporaryDirectory.with { home in
            let rotation = Rotation(number: isAlive ? 1 : 2)
            try await FakeServer.with({ request in
                request.line == "POST /auth/password" && request.headers["authorization"] == ["Bearer at_1"]
                    ? .json(#"{"status":401,"code":"unauthorized","detail":"wrong"}"#, status: 401)
                    : rotation.answer(request)
            }) { server in
                try Self.keep([server.url], in: home)
                let desk = Desk.home(home, answers: ["old", "new", "new"])
                let result = await run(["account", "password"], server: server, desk: desk)
                #expect(result.code == 1)
                #expect(
                    server.requests.map(\.line)
                        == ["POST /auth/password", "GET /auth/me"] + (isAlive ? [] : ["POST /auth/refresh"]))
                let left = try kept(home)[server.url]
                #expect((left != nil) == isAlive)
                #expect(!result.notes.contains("hint"))
            }
        }
    }

    @Test("who shows nothing is told how to, and who shows something wrong is not")
    func hint() async throws {
        try await FakeServer.with(.json(#"{"status":401,"code":"unauthorized"}"#, status: 401)) { server in
            for arguments in [["key", "list"], ["account", "show"]] {
                #expect(await run(arguments, server: server).notes.contains("hint: sign in with `postern login`"))
                let wrong = await run(arguments + ["--token", "t"], server: server)
                #expect(!wrong.notes.contains("hint"))
            }
            let login = await run(
                ["login", "--email", "a@x", "--password-file", "-"], server: server, input: "pw",
                desk: Desk(environment: ["HOME": "/nonexistent"]))
            #expect(login.code == 1 && !login.notes.contains("hint"))
        }
    }

    @Test("a session that has ended is forgotten, and said so")
    func ended() async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(#"{"status":401,"code":"unauthorized"}"#, status: 401)) { server in
                try Self.keep([server.url], in: home)
                let result = await run(["user", "list"], server: server, desk: .home(home))
                #expect(result.code == 1 && result.notes.contains("postern login"))
                #expect(server.requests.map(\.line) == ["GET /api/users", "POST /auth/refresh"])
                let left = try kept(home)[server.url]
                #expect(left == nil)
            }
        }
    }

    @Test("a renewal that the server cannot make now costs no login", arguments: [503, 429, nil])
    func renewalFails(status: Int?) async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with({ _ in
                status.map { .json(#"{"code":"storage_unavailable","detail":"x"}"#, status: $0) }
            }) { server in
                try Self.keep([server.url], in: home, expiresIn: 0)
                let result = await run(["user", "list"], server: server, desk: .home(home))
                #expect(result.code == (status == nil ? 3 : 1))
                let left = try kept(home)[server.url]
                #expect(left?.refreshToken.reveal() == "rt_1")
            }
        }
    }

    @Test("a refusal for another reason is not tried again", arguments: ["forbidden", "reauthentication_required"])
    func otherRefusal(code: String) async throws {
        try await TemporaryDirectory.with { home in
            let status = code == "forbidden" ? 403 : 401
            try await FakeServer.with(.json(#"{"code":"\#(code)","detail":"no"}"#, status: status)) { server in
                try Self.keep([server.url], in: home)
                let result = await run(["user", "enable", "usr_1"], server: server, desk: .home(home))
                #expect(result.code == 1 && server.requests.count == 1)
                #expect(result.notes.contains("hint: postern login --again") == (code != "forbidden"))
            }
        }
    }

    @Test("showing again who one is needs no address, and keeps the new tokens")
    func again() async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(Self.answer.replacing("_1", with: "_9"))) { server in
                try Self.keep([server.url], in: home)
                let result = await run(["login", "--again"], server: server, desk: .home(home, answers: ["pw"]))
                #expect(result.code == 0, "\(result.notes)")
                #expect(server.requests.map(\.line) == ["POST /auth/reauthenticate"])
                #expect(server.requests[0].headers["authorization"] == ["Bearer at_1"])
                #expect(server.requests[0].text == #"{"password":"pw"}"#)
                let left = try kept(home)[server.url]
                #expect(left?.refreshToken.reveal() == "rt_9")
                let nobody = await run(
                    ["login", "--again", "--url", "http://127.0.0.1:1"], desk: .home(home, answers: ["pw"]))
                #expect(nobody.code == 1 && nobody.notes.contains("postern login"))
            }
        }
    }

    @Test(
        "signing out ends the session and forgets the login; what is over already needs no end", arguments: [204, 401])
    func logout(status: Int) async throws {
        try await TemporaryDirectory.with { home in
            let body = status == 204 ? "" : #"{"status":401,"code":"unauthorized"}"#
            try await FakeServer.with(Answer(status: status, body: body)) { server in
                try Self.keep(["https://other.example", server.url], in: home)
                let result = await run(["logout"], server: server, desk: .home(home))
                #expect(result.code == 0, "\(result.notes)")
                #expect(server.requests.map(\.line) == ["POST /auth/logout"])
                #expect(server.requests[0].headers["authorization"] == ["Bearer at_1"])
                let book = try kept(home)
                #expect(book[server.url] == nil && book["https://other.example"] != nil)
                #expect(book.last == nil)
                #expect(await run(["logout"], server: server, desk: .home(home)).code == 1)
            }
        }
    }

    @Test("a server that is not there keeps the login, unless it is to be forgotten")
    func logoutFromNobody() async throws {
        try await TemporaryDirectory.with { home in
            let url = "http://127.0.0.1:1"
            try Self.keep([url], in: home)
            #expect(await run(["logout", "--url", url], desk: .home(home)).code == 3)
            let before = try kept(home)[url]
            #expect(before != nil)
            #expect(await run(["logout", "--url", url, "--forget"], desk: .home(home)).code == 0)
            let after = try kept(home)[url]
            #expect(after == nil)
        }
    }

    @Test("a file that others can read is not used, and the answer says what to do", arguments: [0o640, 0o604, 0o622])
    func openFile(mode: Int) async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(#"{"data":[],"next_cursor":null}"#)) { server in
                try Self.keep([server.url], in: home)
                try Self.mode(home.path + "/postern/credentials.json", mode_t(mode))
                let result = await run(["key", "list"], server: server, desk: .home(home))
                #expect(result.code == 0 && result.notes.contains("chmod 600"))
                #expect(server.requests[0].headers["authorization"] == nil)
                let login = await run(["login"], server: server, desk: .home(home, answers: ["a@x", "pw"]))
                #expect(login.code == 1 && login.notes.contains("chmod 600"))
            }
        }
    }

    @Test(
        "a file that holds something else costs no command, and is not written over",
        arguments: ["", "[]", "{", #"{"servers":{"x":{"email":1}},"last":2}"#, "\u{0}"])
    func brokenFile(text: String) async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(Self.answer.replacing("\"token\"", with: "\"data\":[],\"token\""))) {
                server in
                try Self.keep([server.url], in: home)
                try home.write("postern/credentials.json", text)
                try Self.mode(home.path + "/postern/credentials.json", 0o600)
                #expect(await run(["key", "list"], server: server, desk: .home(home)).code == 0)
                let login = await run(["login"], server: server, desk: .home(home, answers: ["a@x", "pw"]))
                // What is JSON and only holds no login can be added to.
                #expect(login.code == (text.hasPrefix(#"{""#) ? 0 : 1))
            }
        }
    }

    @Test("an answer that is no login's is not kept", arguments: ["{}", #"{"token":"a"}"#, "[]", "<html>"])
    func wrongAnswer(body: String) async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(body)) { server in
                let result = await run(["login"], server: server, desk: .home(home, answers: ["a@x", "pw"]))
                #expect(result.code == 1 && result.notes.contains("--url"))
                let left = try kept(home)[server.url]
                #expect(left == nil)
            }
        }
    }

    @Test("a password goes in clear only with a word about it")
    func clear() async throws {
        try await TemporaryDirectory.with { home in
            let result = await run(
                ["login", "--url", "http://postern.invalid"], desk: .home(home, answers: ["a@x", "pw"]))
            #expect(result.notes.contains("in clear"))
        }
    }
}

@Suite("The card's owner")
struct CardOwnerTests {
    @Test("signs in for one command that only people may do, and out again, and is not kept", arguments: [200, 403])
    func visit(status: Int) async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with({ request in
                switch request.line {
                case "POST /auth/login":
                    .json(#"{"token":"at_o","refresh_token":"rt_o","expires_in":900,"user":{"email":"o@x"}}"#)
                case "POST /auth/logout": Answer(status: 204)
                default: .json(#"{"data":[],"next_cursor":null,"code":"forbidden","detail":"no"}"#, status: status)
                }
            }) { server in
                try home.write(
                    "quickstart.json",
                    #"{"url":"\#(server.url)","api_key":"ak_card","owner":{"email":"o@x","password":"pw"}}"#)
                var desk = Desk.home(home)
                desk.environment["POSTERN_DATA_DIR"] = home.path
                let result = await run(["user", "list"], desk: desk)
                #expect(result.code == (status == 200 ? 0 : 1))
                #expect(server.requests.map(\.line) == ["POST /auth/login", "GET /api/users", "POST /auth/logout"])
                #expect(
                    server.requests.map { $0.headers["authorization"] } == [nil, ["Bearer at_o"], ["Bearer at_o"]])
                #expect(!FileBytes.exists(home.path + "/postern"))
                // With what a key may do the card's key does it.
                #expect(await run(["key", "list"], desk: desk).code == (status == 200 ? 0 : 1))
                #expect(server.requests.last?.headers["authorization"] == ["Bearer ak_card"])
            }
        }
    }
}
