// Whole deliveries over a real socket to a scripted peer: what each way of answering, or not, comes to.

import NIOCore
import SMTP
import Testing

@testable import SMTPClient

@Suite(.timeLimit(.minutes(1)))
struct LiveDeliveryTests {
    private static let opening = """
        S: 220 peer.example ESMTP
        C: EHLO client.example
        S: 250-peer.example
        S: 250-SIZE 1000000
        S: 250-8BITMIME
        S: 250-DSN
        S: 250-SMTPUTF8
        S: 250 PIPELINING

        """

    private static let plainOpening = """
        S: 220 peer.example ESMTP
        C: EHLO client.example
        S: 250 peer.example

        """

    private func deliver(
        _ message: SMTPOutgoing = .sample(),
        configuration: SMTPClientConfiguration = .brisk,
        _ scripts: ScriptedServer.Script...
    ) async throws -> SMTPDeliveryResult {
        try await ScriptedServer.run(scripts) { server in
            await SMTPClientPool.with(configuration) { pool in
                await pool.deliver(message, to: .loopback(server.port))
            }
        }
    }

    @Test("a pipelined message arrives byte for byte, and the peer's last words are kept")
    func pipelined() async throws {
        let result = try await deliver { peer in
            try await peer.play(
                Self.opening + """
                    C: MAIL FROM:<alice@example.com> SIZE=22
                    C: RCPT TO:<bob@example.net>
                    C: DATA
                    S: 250 2.1.0 ok
                    S: 250 2.1.5 ok
                    S: 354 go
                    C: <message>
                    S: 250 2.0.0 queued as 4711
                    C: QUIT
                    S: 221 bye
                    """
            )
            #expect(peer.messages == ["Subject: hi\r\n\r\nhello\r\n"])
        }
        #expect(result.statuses == [.delivered(SMTPReply(250, EnhancedCode(2, 0, 0), "queued as 4711"))])
        #expect(result.tls == nil)
        #expect(result.peer.hasPrefix("127.0.0.1 [127.0.0.1]:"))
        #expect(
            Array(result.transcript.lines.dropFirst()) == [
                "S: 220 peer.example ESMTP", "C: EHLO client.example", "S: 250-peer.example", "S: 250-SIZE 1000000",
                "S: 250-8BITMIME", "S: 250-DSN", "S: 250-SMTPUTF8", "S: 250 PIPELINING",
                "C: MAIL FROM:<alice@example.com> SIZE=22", "C: RCPT TO:<bob@example.net>", "C: DATA",
                "S: 250 2.1.0 ok", "S: 250 2.1.5 ok", "S: 354 go", "C: <22 bytes>", "S: 250 2.0.0 queued as 4711",
            ]
        )
    }

    @Test("without PIPELINING each command waits for its reply")
    func oneByOne() async throws {
        let result = try await deliver(.sample(to: ["a@x.org", "b@x.org"])) { peer in
            try await peer.play(
                Self.plainOpening + """
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    C: RCPT TO:<a@x.org>
                    S: 550 5.1.1 no such user
                    C: RCPT TO:<b@x.org>
                    S: 251 will forward
                    C: DATA
                    S: 354 go
                    C: <message>
                    S: 250 done
                    """
            )
        }
        #expect(result.statuses[0].isPermanent)
        #expect(result.outcomes[0].status.failure?.enhanced == EnhancedCode(5, 1, 1))
        #expect(result.outcomes[0].status.failure?.stage == .rcpt)
        #expect(result.statuses[1].isDelivered)
    }

    @Test("a transaction that came to nothing is cleared with RSET before the next one")
    func reset() async throws {
        let script: ScriptedServer.Script = { peer in
            try await peer.play(
                Self.plainOpening + """
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    C: RCPT TO:<bob@example.net>
                    S: 450 4.2.1 busy
                    C: RSET
                    S: 250 ok
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    C: RCPT TO:<bob@example.net>
                    S: 250 ok
                    C: DATA
                    S: 354 go
                    C: <message>
                    S: 250 done
                    """
            )
        }
        try await ScriptedServer.run([script]) { server in
            await SMTPClientPool.with { pool in
                let first = await pool.deliver(.sample(), to: .loopback(server.port))
                #expect(first.statuses[0].isTransient)
                #expect(first.failure?.reply?.code == 450)
                let second = await pool.deliver(.sample(), to: .loopback(server.port))
                #expect(second.isDelivered)
                #expect(server.connections == 1)
            }
        }
    }

    @Test(
        "a refusal says at which stage, and whether for good",
        arguments: [
            ("421 4.3.2 too busy", SMTPStage.greeting, false),
            ("554 no service", .greeting, false),
        ]
    )
    func greetings(line: String, stage: SMTPStage, isPermanent: Bool) async throws {
        let result = try await deliver { peer in
            try await peer.play("S: \(line)")
            _ = try await peer.readLine()
        }
        #expect(result.failure?.stage == stage)
        #expect(result.statuses[0].isPermanent == isPermanent)
        #expect(result.failure?.reply?.code == UInt16(line.prefix(3)))
    }

    @Test(
        "4yz and 5yz at MAIL, RCPT, DATA and the final dot",
        arguments: [SMTPStage.mail, .rcpt, .data, .dot],
        ["451 4.3.0 later", "554 5.7.1 never"]
    )
    func refusals(stage: SMTPStage, line: String) async throws {
        let result = try await deliver { peer in
            try await peer.play(Self.plainOpening + "C: MAIL FROM:<alice@example.com>")
            if stage == .mail { return try await peer.play("S: \(line)\nC: QUIT") }
            try await peer.play("S: 250 ok\nC: RCPT TO:<bob@example.net>")
            if stage == .rcpt { return try await peer.play("S: \(line)\nC: QUIT") }
            try await peer.play("S: 250 ok\nC: DATA")
            if stage == .data { return try await peer.play("S: \(line)\nC: QUIT") }
            try await peer.play("S: 354 ok\nC: <message>\nS: \(line)\nC: QUIT")
        }
        #expect(result.failure?.stage == stage)
        #expect(result.statuses[0].isPermanent == line.hasPrefix("5"))
        #expect(result.failure?.reason == line)
        #expect(result.failure?.ambiguous == false)
    }

    @Test("a peer that knows only HELO gets HELO")
    func helo() async throws {
        let result = try await deliver { peer in
            try await peer.play(
                """
                S: 220 old
                C: EHLO client.example
                S: 502 what?
                C: HELO client.example
                S: 250 hello
                C: MAIL FROM:<alice@example.com>
                S: 250 ok
                C: RCPT TO:<bob@example.net>
                S: 250 ok
                C: DATA
                S: 354 go
                C: <message>
                S: 250 done
                """
            )
        }
        #expect(result.isDelivered)
    }

    @Test("DSN parameters go to a peer that offers DSN, encoded")
    func dsn() async throws {
        var message = SMTPOutgoing.sample()
        message.envid = "a+b=c"
        message.ret = .headers
        message.notify = [.failure, .delay]
        message.originalRecipients = ["rfc822;bob+tag@example.net"]
        let result = try await deliver(message) { peer in
            try await peer.play(
                Self.opening + """
                    C: MAIL FROM:<alice@example.com> SIZE=22 RET=HDRS ENVID=a+2Bb+3Dc
                    C: RCPT TO:<bob@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;bob+2Btag@example.net
                    C: DATA
                    S: 250 ok
                    S: 250 ok
                    S: 354 go
                    C: <message>
                    S: 250 done
                    """
            )
        }
        #expect(result.isDelivered)
    }

    @Test("8-bit content is announced where it may go, and UTF-8 addresses with it")
    func eightBit() async throws {
        let text = "Subject: hi\r\n\r\ngrüße\r\n"
        let result = try await deliver(.sample(to: ["jürgen@example.net"], text)) { peer in
            try await peer.play(
                Self.opening + """
                    C: MAIL FROM:<alice@example.com> SIZE=24 BODY=8BITMIME SMTPUTF8
                    C: RCPT TO:<jürgen@example.net>
                    C: DATA
                    S: 250 ok
                    S: 250 ok
                    S: 354 go
                    C: <message>
                    S: 250 done
                    """
            )
            #expect(peer.messages == [text])
        }
        #expect(result.isDelivered)
    }

    @Test("what the peer cannot take fails here, without a MAIL")
    func unfit() async throws {
        let goodbye = Self.plainOpening + "C: QUIT\nS: 221 bye"
        let eightBit = try await deliver(.sample("Subject: x\r\n\r\nü\r\n")) { try await $0.play(goodbye) }
        #expect(eightBit.failure?.enhanced == EnhancedCode(5, 6, 3))
        #expect(eightBit.statuses[0].isPermanent)

        let address = try await deliver(.sample(to: ["ü@example.net"])) { try await $0.play(goodbye) }
        #expect(address.failure?.enhanced == EnhancedCode(5, 6, 7))

        var header = SMTPOutgoing.sample()
        header.needsSMTPUTF8 = true
        let utf8 = try await deliver(header) { try await $0.play(goodbye) }
        #expect(utf8.failure?.enhanced == EnhancedCode(5, 6, 7))

        let large = try await deliver(.sample(String(repeating: "x", count: 1_000_001))) {
            try await $0.play(Self.opening + "C: QUIT\nS: 221 bye")
        }
        #expect(large.failure?.enhanced == EnhancedCode(5, 3, 4))
        #expect(large.statuses[0].isPermanent)
    }

    @Test("an ASCII recipient gets the message that a UTF-8 one beside it cannot have")
    func partlyUnfit() async throws {
        let result = try await deliver(.sample(to: ["ü@example.net", "bob@example.net"])) { peer in
            try await peer.play(
                Self.plainOpening + """
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    C: RCPT TO:<bob@example.net>
                    S: 250 ok
                    C: DATA
                    S: 354 go
                    C: <message>
                    S: 250 done
                    """
            )
        }
        #expect(result.statuses[0].failure?.enhanced == EnhancedCode(5, 6, 7))
        #expect(result.statuses[1].isDelivered)
    }

    @Test("bytes that could end a message early, or a command, never leave")
    func smuggling() async throws {
        try await ScriptedServer.run([]) { server in
            await SMTPClientPool.with { pool in
                for text in ["a\nb\r\n", "a\rb\r\n", "a\0b\r\n", "a\r\n.\n", "\n.\r\n", "a\r"] {
                    let result = await pool.deliver(.sample(text), to: .loopback(server.port))
                    #expect(result.statuses[0].isPermanent)
                    #expect(result.failure?.enhanced == EnhancedCode(5, 6, 0))
                }
                for address in ["a@b>\r\nRCPT TO:<c@d", "a@b> SIZE=1", "a b@c", "a@b\n", "", "\"a@b"] {
                    let result = await pool.deliver(.sample(to: [address]), to: .loopback(server.port))
                    #expect(result.statuses[0].isPermanent)
                }
                #expect(server.connections == 0)
            }
        }
    }

    @Test("more recipients than one transaction takes go in several, over one connection")
    func split() async throws {
        var configuration = SMTPClientConfiguration.brisk
        configuration.limits.recipientsPerTransaction = 2
        let recipients = ["a@x.org", "b@x.org", "c@x.org"]
        let result = try await deliver(.sample(to: recipients), configuration: configuration) { peer in
            try await peer.play(
                Self.opening + """
                    C: MAIL FROM:<alice@example.com> SIZE=22
                    C: RCPT TO:<a@x.org>
                    C: RCPT TO:<b@x.org>
                    C: DATA
                    S: 250 ok
                    S: 250 ok
                    S: 552 5.5.3 too many
                    S: 354 go
                    C: <message>
                    S: 250 first
                    C: MAIL FROM:<alice@example.com> SIZE=22
                    C: RCPT TO:<c@x.org>
                    C: DATA
                    S: 250 ok
                    S: 250 ok
                    S: 354 go
                    C: <message>
                    S: 250 second
                    """
            )
        }
        #expect(result.outcomes.map(\.recipient) == recipients)
        #expect(result.statuses[0] == .delivered(.reply(250, "first")))
        #expect(result.statuses[1].isTransient)
        #expect(result.statuses[1].failure?.enhanced == EnhancedCode(4, 5, 3))
        #expect(result.statuses[2] == .delivered(.reply(250, "second")))
    }

    @Test("a 354 with no valid recipient is answered by an empty message, and the refusals stand")
    func emptyMessage() async throws {
        let result = try await deliver { peer in
            try await peer.play(
                Self.opening + """
                    C: MAIL FROM:<alice@example.com> SIZE=22
                    C: RCPT TO:<bob@example.net>
                    C: DATA
                    S: 250 ok
                    S: 550 5.1.1 nobody
                    S: 354 go
                    C: .
                    S: 554 5.5.1 no valid recipients
                    C: QUIT
                    """
            )
        }
        #expect(result.failure?.reply?.code == 550)
    }

    @Test("a connection dropped in the middle of the message is a plain transient failure")
    func droppedInData() async throws {
        let text = String(repeating: "0123456789\r\n", count: 400_000)
        let result = try await deliver(.sample(text)) { peer in
            try await peer.play(
                Self.plainOpening + """
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    C: RCPT TO:<bob@example.net>
                    S: 250 ok
                    C: DATA
                    """
            )
            try await peer.play("S: 354 go")
            try await peer.readBytes(100_000)
            try await peer.reset()
        }
        #expect(result.statuses[0].isTransient)
        #expect(result.failure?.stage == .data)
        #expect(result.failure?.ambiguous == false)
    }

    @Test("a connection dropped after the final dot leaves it open whether the message arrived")
    func droppedAfterDot() async throws {
        let result = try await deliver { peer in
            try await peer.play(
                Self.plainOpening + """
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    C: RCPT TO:<bob@example.net>
                    S: 250 ok
                    C: DATA
                    S: 354 go
                    C: <message>
                    """
            )
        }
        #expect(result.statuses[0].isTransient)
        #expect(result.failure?.stage == .dot)
        #expect(result.failure?.ambiguous == true)
    }

    @Test("a refusal in the middle of the message ends it, with the peer's words")
    func refusedInData() async throws {
        let text = String(repeating: "0123456789\r\n", count: 2_000_000)
        let result = try await deliver(.sample(text)) { peer in
            try await peer.play(
                Self.plainOpening + """
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    C: RCPT TO:<bob@example.net>
                    S: 250 ok
                    C: DATA
                    """
            )
            try await peer.play("S: 354 go")
            try await peer.readBytes(1000)
            try await peer.play("S: 552 5.3.4 enough")
            try await peer.readBytes(.max)
        }
        #expect(result.statuses[0].isPermanent)
        #expect(result.failure?.reply?.code == 552)
        #expect(result.failure?.stage == .data)
    }

    @Test("nobody listening is a transient failure that names the reason")
    func refusedConnection() async throws {
        // A port that was just given back may be another test's by now; nobody listens on port 1.
        let result = await SMTPClientPool.with { await $0.deliver(.sample(), to: .loopback(1)) }
        #expect(result.statuses[0].isTransient)
        #expect(result.failure?.stage == .connect)
        #expect(result.failure?.reason.contains("Connection refused") == true)
    }

    @Test("a name that does not resolve is a transient failure")
    func unresolvable() async throws {
        let destination = SMTPDestination(host: "smtp.invalid", port: 25, tls: .none, heloName: "client.example")
        let result = await SMTPClientPool.with { await $0.deliver(.sample(), to: destination) }
        #expect(result.failure?.stage == .connect)
        #expect(result.failure?.reason.contains("could not be resolved") == true)
    }

    @Test("5 MB with a dot before each line arrive whole through a peer that reads slowly")
    func large() async throws {
        let line = ".2345678 1 2345678 2 2345678 3 2345678 4 2345678 5 2345678 6 2345678 7 2345678\r\n"
        let text = String(repeating: line, count: 5_000_000 / line.utf8.count)
        let result = try await deliver(.sample(text)) { peer in
            try await peer.play(
                Self.plainOpening + """
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    C: RCPT TO:<bob@example.net>
                    S: 250 ok
                    C: DATA
                    """
            )
            try await peer.play("S: 354 go")
            // One octet more a line, and the final dot.
            try await peer.readBytes(text.utf8.count + text.utf8.count / line.utf8.count)
            try await peer.play("C: .\nS: 250 done")
        }
        #expect(result.isDelivered)
    }

    @Test("an endless reply line is not waited for")
    func endlessLine() async throws {
        let result = try await deliver { peer in
            try await peer.send("220-" + String(repeating: "x", count: 100_000))
            while try await peer.readLine() != nil {}
        }
        #expect(result.statuses[0].isTransient)
        #expect(result.failure?.stage == .greeting)
        #expect(result.failure?.reason.contains("more than 2048 octets") == true)
    }

    @Test("an answer that nobody asked for ends the connection")
    func unasked() async throws {
        let result = try await deliver { peer in
            try await peer.play(
                Self.plainOpening + """
                    C: MAIL FROM:<alice@example.com>
                    S: 250 ok
                    S: 250 ok
                    S: 250 ok
                    S: 354 go
                    C: <end>
                    """
            )
        }
        #expect(result.statuses[0].isTransient)
        #expect(result.failure?.ambiguous == false)
    }
}

extension SMTPDestination {
    static func loopback(
        _ port: Int,
        host: String = "127.0.0.1",
        tls: SMTPClientTLS = .none,
        credentials: SMTPCredentials? = nil
    ) -> SMTPDestination {
        SMTPDestination(host: host, port: port, tls: tls, credentials: credentials, heloName: "client.example")
    }
}
