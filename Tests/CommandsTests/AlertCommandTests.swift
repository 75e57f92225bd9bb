// `postern alert list`: what it asks for, and what it shows.

import ArgumentParser
import JSON
import Synchronization
import Testing

@testable import Commands

@Suite("postern alert")
struct AlertCommandTests {
    @Test("it asks for what was asked, and leaves the default to the server")
    func request() throws {
        let plain = try #require(try AlertCommand.parseAsRoot(["list"]) as? AlertCommand.List)
        #expect(plain.request.target == "/v1/alerts")
        let all = try #require(try AlertCommand.parseAsRoot(["list", "--state", "all"]) as? AlertCommand.List)
        #expect(all.request.target == "/v1/alerts?state=all")
    }

    @Test("the table shows what is wrong and what to do, whatever words are in it")
    func table() async throws {
        let row =
            #"{"id":"alr_0000000000000001","kind":"broker_blocked","subject":"rabbit:5672","vault":null,"state":"open","#
            + #""detail":"low on \u001b[31mmemory","began_at":"2026-11-20T19:26:07.448Z","closed_at":null,"fix":"Free memory."}"#
        try await FakeServer.with(.json(#"{"data":[\#(row)],"next_cursor":null}"#)) { server in
            let written = Mutex<[UInt8]>([])
            let terminal = Terminal(
                output: { bytes in written.withLock { $0 += bytes } }, note: { _ in }, input: { [] },
                environment: { ["POSTERN_DATA_DIR": "/nonexistent"][$0] }, isInteractive: false)
            let code = await Terminal.$current.withValue(terminal) {
                await CommandRunner.run(AlertCommand.self, ["list", "--url", server.url, "--token", "ak_x"])
            }
            let text = written.withLock { String(decoding: $0, as: UTF8.self) }
            #expect(code == 0)
            #expect(text.contains("broker_blocked") && text.contains("Free memory."))
            #expect(!text.contains("\u{1B}"))
            #expect(server.requests.map(\.line) == ["GET /v1/alerts"])
        }
    }
}
