// Connections over time: kept, found dead, shared, timed out, given up.

import NIOCore
import SMTP
import Testing

@testable import SMTPClient

@Suite(.timeLimit(.minutes(1)))
struct LivePoolTests {
    private static let opening = "S: 220 peer\nC: EHLO client.example\nS: 250 peer\n"
    private static let message = """
        C: MAIL FROM:<alice@example.com>
        S: 250 ok
        C: RCPT TO:<bob@example.net>
        S: 250 ok
        C: DATA
        S: 354 go
        C: <message>
        S: 250 done

        """
    private static let once: ScriptedServer.Script = { try await $0.play(opening + message) }

    @Test("two messages, one connection, and QUIT at the end")
    func reuse() async throws {
        let script: ScriptedServer.Script = { peer in
            try await peer.play(Self.opening + Self.message + Self.message + "C: QUIT\nS: 221 bye\nC: <end>")
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with { pool in
                #expect(await pool.deliver(.sample(), to: .loopback(server.port)).isDelivered)
                let second = await pool.deliver(.sample(), to: .loopback(server.port))
                #expect(second.isDelivered)
                #expect(second.transcript.lines.first == "* over a connection that was used before")
                #expect(!second.transcript.description.contains("EHLO"))
            }
            #expect(server.connections == 1)
        }
    }

    @Test("a kept connection that the peer has closed is replaced without anybody noticing")
    func replaced() async throws {
        try await ScriptedServer.run([Self.once, Self.once]) { server in
            await SMTPClientPool.with { pool in
                #expect(await pool.deliver(.sample(), to: .loopback(server.port)).isDelivered)
                #expect(await pool.deliver(.sample(), to: .loopback(server.port)).isDelivered)
                #expect(server.connections == 2)
            }
        }
    }

    @Test("a kept connection that answers MAIL with 421, or drops it, costs no attempt", arguments: [true, false])
    func staleAtMail(says421: Bool) async throws {
        let stale: ScriptedServer.Script = { peer in
            try await peer.play(Self.opening + Self.message + "C: MAIL FROM:<alice@example.com>")
            if says421 { try await peer.play("S: 421 4.4.2 idle for too long") }
        }
        try await ScriptedServer.run([stale, Self.once]) { server in
            await SMTPClientPool.with { pool in
                #expect(await pool.deliver(.sample(), to: .loopback(server.port)).isDelivered)
                #expect(await pool.deliver(.sample(), to: .loopback(server.port)).isDelivered)
                #expect(server.connections == 2)
            }
        }
    }

    @Test("a new connection that dies at MAIL is an attempt, not retried")
    func notStale() async throws {
        let dying: ScriptedServer.Script = { peer in
            try await peer.play(Self.opening + "C: MAIL FROM:<alice@example.com>")
        }
        try await ScriptedServer.run([dying, Self.once]) { server in
            await SMTPClientPool.with { pool in
                let result = await pool.deliver(.sample(), to: .loopback(server.port))
                #expect(result.failure?.stage == .mail)
                #expect(server.connections == 1)
            }
        }
    }

    @Test("a connection is given up after its share of messages")
    func messagesPerConnection() async throws {
        var configuration = SMTPClientConfiguration.brisk
        configuration.messagesPerConnection = 1
        let script: ScriptedServer.Script = { try await $0.play(Self.opening + Self.message + "C: QUIT\nS: 221 bye") }
        try await ScriptedServer.run([script, script]) { server in
            await SMTPClientPool.with(configuration) { pool in
                #expect(await pool.deliver(.sample(), to: .loopback(server.port)).isDelivered)
                #expect(await pool.deliver(.sample(), to: .loopback(server.port)).isDelivered)
                #expect(server.connections == 2)
            }
        }
    }

    @Test("an idle connection says QUIT when its time is over")
    func idleTimeout() async throws {
        var configuration = SMTPClientConfiguration.brisk
        configuration.idleTimeout = .seconds(5)
        let (ended, end) = AsyncStream.makeStream(of: Void.self)
        let script: ScriptedServer.Script = { peer in
            defer { end.finish() }
            try await peer.play(Self.opening + Self.message + "C: QUIT\nS: 221 bye\nC: <end>")
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with(configuration) { pool in
                #expect(await pool.deliver(.sample(), to: .loopback(server.port)).isDelivered)
                for await _ in ended {}
            }
        }
    }

    @Test("many deliveries at once share no more connections than allowed, and all arrive")
    func bounded() async throws {
        var configuration = SMTPClientConfiguration.brisk
        configuration.connectionsPerDestination = 3
        let serving: ScriptedServer.Script = { peer in
            try await peer.play(Self.opening)
            while let line = try await peer.readLine() {
                switch line {
                case "DATA": try await peer.play("S: 354 go\nC: <message>\nS: 250 done")
                case "QUIT": return try await peer.play("S: 221 bye")
                default: try await peer.play("S: 250 ok")
                }
            }
        }
        try await ScriptedServer.run([serving, serving, serving]) { server in
            await SMTPClientPool.with(configuration) { pool in
                let delivered = await withTaskGroup(of: Bool.self) { group in
                    for _ in 0..<60 {
                        group.addTask { await pool.deliver(.sample(), to: .loopback(server.port)).isDelivered }
                    }
                    return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
                }
                #expect(delivered == 60)
                #expect(server.connections <= 3)
            }
        }
    }

    @Test(
        "a peer that hangs is given up after the time of its stage",
        arguments: [SMTPStage.greeting, .ehlo, .mail, .rcpt, .data, .dot]
    )
    func hanging(stage: SMTPStage) async throws {
        var configuration = SMTPClientConfiguration.brisk
        switch stage {
        case .greeting: configuration.timeouts.greeting = .milliseconds(100)
        case .ehlo: configuration.timeouts.command = .milliseconds(100)
        case .mail: configuration.timeouts.mail = .milliseconds(100)
        case .rcpt: configuration.timeouts.rcpt = .milliseconds(100)
        case .data: configuration.timeouts.dataInitiation = .milliseconds(100)
        case .dot: configuration.timeouts.finalDot = .milliseconds(100)
        case .local, .connect, .tls, .auth: break
        }
        let lines = (Self.opening + Self.message).split(separator: "\n").map(String.init)
        let stages: [SMTPStage] = [.greeting, .ehlo, .mail, .rcpt, .data, .dot]
        let silentAt = try #require(stages.firstIndex(of: stage)) * 2
        let script: ScriptedServer.Script = { peer in
            try await peer.play(lines[..<silentAt].joined(separator: "\n"))
            try await peer.readBytes(.max)
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with(configuration) { pool in
                let result = await pool.deliver(.sample(), to: .loopback(server.port))
                #expect(result.statuses[0].isTransient)
                #expect(result.failure?.stage == stage)
                #expect(result.failure?.reason.contains("in time") == true)
                #expect(result.failure?.ambiguous == (stage == .dot))
            }
        }
    }

    @Test("a peer that stops reading in the middle of the message is given up")
    func stuckReader() async throws {
        var configuration = SMTPClientConfiguration.brisk
        configuration.timeouts.dataBlock = .milliseconds(300)
        let (released, release) = AsyncStream.makeStream(of: Void.self)
        let script: ScriptedServer.Script = { peer in
            try await peer.play(
                Self.opening + """
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    C: RCPT TO:<bob@example.net>
                    S: 250 ok
                    C: DATA
                    """
            )
            try await peer.play("S: 354 go")
            for await _ in released {}
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with(configuration) { pool in
                let text = String(repeating: "0123456789\r\n", count: 2_000_000)
                let result = await pool.deliver(.sample(text), to: .loopback(server.port))
                release.finish()
                #expect(result.failure?.stage == .data)
                #expect(result.failure?.ambiguous == false)
                #expect(result.failure?.reason.contains("in time") == true)
            }
        }
    }

    @Test("a peer that drips one byte at a time does not stretch its time")
    func dripping() async throws {
        var configuration = SMTPClientConfiguration.brisk
        configuration.timeouts.greeting = .milliseconds(200)
        let script: ScriptedServer.Script = { peer in
            // Far more drops than the time allows, each well within it.
            for _ in 0..<1500 {
                try await peer.send("220-\r\n")
                try await Task.sleep(for: .milliseconds(20))
                if !peer.channel.isActive { return }
            }
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with(configuration) { pool in
                let result = await pool.deliver(.sample(), to: .loopback(server.port))
                #expect(result.failure?.stage == .greeting)
            }
        }
    }

    @Test("cancelling a delivery closes its connection, at every stage", arguments: [0, 2, 4, 6, 8, 10])
    func cancelling(lines count: Int) async throws {
        let lines = (Self.opening + Self.message).split(separator: "\n").map(String.init)
        let (reached, reach) = AsyncStream.makeStream(of: Void.self)
        let (closed, close) = AsyncStream.makeStream(of: Void.self)
        let script: ScriptedServer.Script = { peer in
            try await peer.play(lines[..<count].joined(separator: "\n"))
            reach.finish()
            try await peer.readBytes(.max)
            close.finish()
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with { pool in
                let delivery = Task { await pool.deliver(.sample(), to: .loopback(server.port)) }
                for await _ in reached {}
                delivery.cancel()
                let result = await delivery.value
                #expect(result.statuses[0].isTransient)
                #expect(result.failure?.reason.contains("gave the attempt up") == true)
                for await _ in closed {}
            }
        }
    }

    @Test("cancelling a delivery that waits for a connection takes it out of the queue")
    func cancelWaiting() async throws {
        var configuration = SMTPClientConfiguration.brisk
        configuration.connectionsPerDestination = 1
        let (reached, reach) = AsyncStream.makeStream(of: Void.self)
        let (released, release) = AsyncStream.makeStream(of: Void.self)
        let script: ScriptedServer.Script = { peer in
            reach.finish()
            for await _ in released {}
            try await peer.play(Self.opening + Self.message)
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with(configuration) { pool in
                let first = Task { await pool.deliver(.sample(), to: .loopback(server.port)) }
                for await _ in reached {}
                let second = Task { await pool.deliver(.sample(), to: .loopback(server.port)) }
                second.cancel()
                #expect(await second.value.statuses[0].isTransient)
                release.finish()
                #expect(await first.value.isDelivered)
            }
        }
    }

    @Test("after shutdown nothing is tried; what is under way finishes")
    func shutdown() async throws {
        let (reached, reach) = AsyncStream.makeStream(of: Void.self)
        let (released, release) = AsyncStream.makeStream(of: Void.self)
        let script: ScriptedServer.Script = { peer in
            reach.finish()
            for await _ in released {}
            try await peer.play(Self.opening + Self.message + "C: QUIT\nS: 221 bye")
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with { pool in
                let underWay = Task { await pool.deliver(.sample(), to: .loopback(server.port)) }
                for await _ in reached {}
                let shutdown = Task { await pool.shutdown() }
                while !pool.isShutDown { await Task.yield() }
                let late = await pool.deliver(.sample(), to: .loopback(server.port))
                #expect(late.statuses[0].isTransient)
                #expect(late.failure?.reason.contains("shutting down") == true)
                release.finish()
                #expect(await underWay.value.isDelivered)
                await shutdown.value
                #expect(server.connections == 1)
            }
        }
    }

    @Test("a shutdown that is cancelled closes what is under way")
    func abort() async throws {
        let (reached, reach) = AsyncStream.makeStream(of: Void.self)
        let script: ScriptedServer.Script = { peer in
            try await peer.play(Self.opening + "C: MAIL FROM:<alice@example.com>")
            reach.finish()
            try await peer.readBytes(.max)
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with { pool in
                let underWay = Task { await pool.deliver(.sample(), to: .loopback(server.port)) }
                for await _ in reached {}
                let shutdown = Task { await pool.shutdown() }
                shutdown.cancel()
                await shutdown.value
                #expect(await underWay.value.statuses[0].isTransient)
            }
        }
    }

    @Test("faults of the configuration keep the mail and never reach the network")
    func faults() async throws {
        try await ScriptedServer.run([]) { server in
            await SMTPClientPool.with { pool in
                for broken in [
                    SMTPDestination(host: "127.0.0.1", port: server.port, tls: .none, heloName: "a b"),
                    SMTPDestination(host: "127.0.0.1", port: 0, tls: .none, heloName: "a"),
                    SMTPDestination(host: "", port: server.port, tls: .none, heloName: "a"),
                    .loopback(server.port, credentials: SMTPCredentials(username: "a\0b", password: "c")),
                ] {
                    let result = await pool.deliver(.sample(), to: broken)
                    #expect(result.statuses[0].isTransient)
                    #expect(result.failure?.stage == .local)
                }
                let nobody = await pool.deliver(.sample(to: []), to: .loopback(server.port))
                #expect(nobody.outcomes.isEmpty)
                #expect(server.connections == 0)
            }
        }
    }
}
