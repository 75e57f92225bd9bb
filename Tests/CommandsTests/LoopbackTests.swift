// Single sign-on from a terminal: the port is open for one browser, and takes one sign-in's answer.

import AsyncHTTPClient
import Foundation
import JSON
import NIOCore
import NIOHTTP1
import Sealing
import Synchronization
import Testing

@testable import Commands

@Suite("Single sign-on by the loopback")
struct LoopbackTests {
    private static let answer =
        #"{"token":"at_s","refresh_token":"rt_s","expires_in":900,"user":{"email":"ada@x.example"}}"#

    @Test("the challenge is that of RFC 7636 appendix B")
    func challenge() {
        let verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        #expect(LoopbackSignIn.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    }

    @Test(
        "a callback is one of this sign-in, or none",
        arguments: [
            ("/callback?code=c%2F1&state=s", "code c/1"), ("/callback?state=s&code=c", "code c"),
            ("/callback?state=s&error=access_denied&error_description=no+way%21", "refused access_denied no way!"),
            ("/callback?code=c&state=t", nil), ("/callback?code=c", nil), ("/callback?state=s", nil),
            ("/callback?code=&state=s", nil), ("/callback?code=a&code=b&state=s", nil), ("/callback", nil),
            ("/other?code=c&state=s", nil), ("/callback?code=%zz&state=s", nil), ("/callback?code=%&state=s", nil),
            ("/callback?code=%ff&state=s", nil), ("//callback?code=c&state=s", nil), ("", nil), ("?", nil),
        ] as [(String, String?)])
    func targets(target: String, meaning: String?) {
        let found: String? =
            switch LoopbackListener.read(target, state: "s") {
            case .code(let code): "code \(code.reveal())"
            case .refused(let error, let detail): "refused \(error) \(detail ?? "")"
            case nil: nil
            }
        #expect(found == meaning)
    }

    /// Runs `login --sso` with a browser that goes where `visit` says, once the address was printed.
    private func signIn(
        _ arguments: [String] = [],
        server: FakeServer,
        home: TemporaryDirectory,
        visit: @escaping @Sendable (URLComponents) -> [String]
    ) async -> (result: CommandResult, pages: [Int]) {
        let notes = Mutex<[String]>([])
        let output = Mutex<[UInt8]>([])
        let (addresses, source) = AsyncStream.makeStream(of: String.self)
        let environment = [
            "POSTERN_URL": server.url, "POSTERN_DATA_DIR": "/nonexistent", "XDG_CONFIG_HOME": home.path,
        ]
        let terminal = Terminal(
            output: { bytes in output.withLock { $0 += bytes } },
            note: { text in
                notes.withLock { $0.append(text) }
                for line in text.split(separator: "\n") where line.hasPrefix("http") { source.yield(String(line)) }
            },
            input: { [] }, environment: { environment[$0] }, now: { Desk().now }, isInteractive: false)
        let (code, pages) = await withTaskGroup(of: (code: Int32?, pages: [Int]).self) { group in
            group.addTask {
                let code = await Terminal.$current.withValue(terminal) {
                    await CommandRunner.run(Postern.self, ["login", "--sso"] + arguments)
                }
                source.finish()
                return (code, [])
            }
            group.addTask {
                var pages: [Int] = []
                for await address in addresses {
                    guard let components = URLComponents(string: address) else { continue }
                    for target in visit(components) {
                        let request = HTTPClientRequest(url: target)
                        let response = try? await HTTPClient.shared.execute(request, timeout: .seconds(10))
                        pages.append(Int(response?.status.code ?? 0))
                    }
                }
                return (nil, pages)
            }
            return await group.reduce(into: (Int32(-1), [Int]())) { all, one in
                all = (one.code ?? all.0, all.1 + one.pages)
            }
        }
        let result = CommandResult(
            code: code, output: String(decoding: output.withLock { $0 }, as: UTF8.self),
            notes: notes.withLock { $0.joined(separator: "\n") })
        return (result, pages)
    }

    private static func value(_ name: String, _ components: URLComponents) -> String {
        components.queryItems?.first { $0.name == name }?.value ?? ""
    }

    @Test("the browser's code and our verifier become a login; what does not belong to it is passed over")
    func signIn() async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(Self.answer)) { server in
                let address = Mutex<URLComponents?>(nil)
                let (result, pages) = await signIn(["--again"], server: server, home: home) { components in
                    address.withLock { $0 = components }
                    let back = Self.value("redirect_uri", components)
                    let root = back.replacing("/callback", with: "")
                    let state = Self.value("state", components)
                    return [
                        "\(root)/favicon.ico", "\(back)?code=evil&state=guessed", "\(back)?code=c1&state=\(state)",
                    ]
                }
                #expect(result.code == 0, "\(result.notes)")
                #expect(pages == [404, 404, 200])
                #expect(result.output.contains("ada@x.example"))
                #expect(server.requests.map(\.line) == ["POST /auth/oidc/token"])
                let body = try #require(try JSONParser.parse(server.requests[0].body).objectValue)
                #expect(body["code"]?.stringValue == "c1")
                let components = try #require(address.withLock { $0 })
                #expect(components.path == "/auth/oidc/start")
                #expect(Self.value("redirect_uri", components).hasPrefix("http://127.0.0.1:"))
                #expect(Self.value("code_challenge_method", components) == "S256")
                #expect(Self.value("reauthenticate", components) == "true")
                let verifier = try #require(body["code_verifier"]?.stringValue)
                #expect(verifier.count >= 43)
                #expect(Self.value("code_challenge", components) == LoopbackSignIn.challenge(Secret(verifier)))
                #expect(!result.notes.contains(verifier))
                let book = try LoginFile(directory: home.path + "/postern").read()
                #expect(book[server.url]?.accessToken.reveal() == "at_s")
                // The port is closed: nobody answers there any more.
                let late = HTTPClientRequest(url: Self.value("redirect_uri", components))
                await #expect(throws: (any Error).self) {
                    try await HTTPClient.shared.execute(late, timeout: .seconds(2))
                }
            }
        }
    }

    @Test("what the provider refuses is said, with nothing that a terminal acts on")
    func refused() async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(Self.answer)) { server in
                let (result, pages) = await signIn(server: server, home: home) { components in
                    [
                        "\(Self.value("redirect_uri", components))?error=access_denied&error_description=%1B%5B2Jno"
                            + "&state=\(Self.value("state", components))"
                    ]
                }
                #expect(result.code == 1 && pages == [200])
                #expect(result.notes.contains("access_denied: \\u{1b}[2Jno"))
                #expect(server.requests.isEmpty)
            }
        }
    }

    @Test("a browser that does not come back is not waited for for ever")
    func timeout() async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(Self.answer)) { server in
                let (result, _) = await signIn(["--timeout", "1"], server: server, home: home) { _ in [] }
                #expect(result.code == 4)
                #expect(result.notes.contains("within 1 s"))
            }
        }
    }

    @Test("each sign-in has a state and a verifier of its own")
    func fresh() async throws {
        try await TemporaryDirectory.with { home in
            try await FakeServer.with(.json(Self.answer)) { server in
                let seen = Mutex<[String]>([])
                for _ in 0..<2 {
                    let (result, _) = await signIn(["--timeout", "5"], server: server, home: home) { components in
                        let state = Self.value("state", components)
                        seen.withLock { $0 += [state, Self.value("code_challenge", components)] }
                        return ["\(Self.value("redirect_uri", components))?code=c&state=\(state)"]
                    }
                    #expect(result.code == 0)
                }
                #expect(Set(seen.withLock { $0 }).count == 4)
            }
        }
    }
}
